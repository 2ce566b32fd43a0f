from datetime import timedelta

from odoo import fields
from odoo.exceptions import AccessError
from odoo.tests import tagged

from .common import DunningCommon


@tagged("post_install", "-at_install")
class TestSellerNews(DunningCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.today = fields.Date.today()
        cls.news = cls.env["crm.dunning.news"]
        cls.other_seller = cls.users["other_seller"]
        cls.deal = cls._create_deal(user=cls.other_seller)
        cls.move = cls._create_invoice(due=cls.today - timedelta(days=2))
        cls.move.opportunity_ids = cls.deal
        cls.seller.tz = cls.other_seller.tz = "UTC"
        cls.noon = fields.Datetime.now().replace(hour=12, minute=0, second=0)

    def _send(self, now):
        self.env.flush_all()
        with self.enter_registry_test_mode(), self.env.registry.cursor() as cr:
            self.env(cr=cr)["crm.dunning.news"]._cron_tell_sellers(now)
        self.env.invalidate_all()

    def _get_messages(self, user):
        return self.env["mail.message"].search(
            [
                ("model", "=", "res.partner"),
                ("res_id", "=", user.partner_id.id),
                ("message_type", "=", "user_notification"),
            ],
            order="id",
        )

    def _get_news(self, kind):
        return self.news.search([("move_id", "=", self.move.id), ("kind", "=", kind)])

    def test_the_owner_of_the_deal_is_told_of_a_payment(self):
        self._pay(self.move)
        self._wake()
        self.assertEqual(self._get_news("paid").user_id, self.other_seller)

    def test_without_a_deal_the_salesperson_of_the_invoice(self):
        self.move.opportunity_ids = False
        self._pay(self.move)
        self._wake()
        self.assertEqual(self._get_news("paid").user_id, self.seller)

    def test_a_part_payment_is_no_news(self):
        self._pay(self.move, 10)
        self._wake()
        self.assertFalse(self._get_news("paid"))

    def test_a_credit_note_is_news(self):
        self.move._reverse_moves([{"invoice_date": self.today}], cancel=True)
        self._wake()
        self.assertEqual(self._get_news("credited").amount, 100)

    def test_reset_and_posting_are_no_news(self):
        self.move.opportunity_ids = False
        self.move.is_billing_review = False
        self.move.button_draft()
        self._wake()
        self.move.action_post()
        self._wake()
        self.assertFalse(self.news.search([("move_id", "=", self.move.id)]))

    def test_overdue_is_found_once(self):
        self.news._collect_overdue(self.noon)
        self.news._collect_overdue(self.noon)
        self.assertEqual(len(self._get_news("overdue")), 1)

    def test_old_debts_are_no_news(self):
        old = self._create_invoice(due=self.today - timedelta(days=30))
        self.news._collect_overdue(self.noon)
        self.assertFalse(self.news.search([("move_id", "=", old.id)]))

    def test_the_first_failure_is_told_and_a_task_on_the_deal(self):
        cases = self.env["crm.dunning.case"]
        case = cases._open_for(self.move, first_failure_at=self.noon)
        case.write({"first_failure_at": self.noon, "next_try_at": self.noon})
        self.assertEqual(len(self._get_news("failed")), 1)
        task = self.deal.activity_ids
        self.assertEqual(len(task), 1)
        self.assertEqual(task.user_id, self.other_seller)
        self.assertIn(self.move.name, task.summary)
        self._pay(self.move)
        self._wake()
        self.assertFalse(self.deal.activity_ids, "paid: nothing is left to do")

    def test_a_retry_that_collects_ends_the_task(self):
        case = self.env["crm.dunning.case"]._open_for(
            self.move, first_failure_at=self.noon
        )
        case.first_failure_at = False  # as a charge that succeeds leaves it
        self._pay(self.move)
        self._wake()
        self.assertFalse(self.deal.activity_ids)

    def test_a_later_first_failure_counts_as_well(self):
        case = self.env["crm.dunning.case"]._open_for(self.move)
        self.assertFalse(self.deal.activity_ids)
        case.first_failure_at = self.noon
        self.assertEqual(len(self.deal.activity_ids), 1)

    def test_one_message_a_day(self):
        other = self._create_invoice(due=self.today - timedelta(days=1))
        other.opportunity_ids = self.deal
        self._pay(self.move)
        self._wake()
        self._send(self.noon)
        first = self._get_messages(self.other_seller)
        self.assertEqual(len(first), 1)
        self.assertIn(self.move.name, first.body)
        self.assertIn(other.name, first.body)
        self.assertIn("Paid: 1", first.subject)
        self.assertIn("Overdue: 1", first.subject)
        self._pay(other)
        self._wake()
        self._send(self.noon + timedelta(hours=3))
        self.assertEqual(len(self._get_messages(self.other_seller)), 1)
        self._send(self.noon + timedelta(days=1))
        self.assertEqual(len(self._get_messages(self.other_seller)), 2)
        self._send(self.noon + timedelta(days=2))
        self.assertEqual(len(self._get_messages(self.other_seller)), 2)

    def test_not_at_night(self):
        self._send(self.noon.replace(hour=5))
        self.assertFalse(self._get_messages(self.other_seller))

    def test_who_does_not_want_it_is_not_told(self):
        user = self.other_seller.with_user(self.other_seller)
        user.write({"dunning_news_paid": False})
        self._pay(self.move)
        self._wake()
        self.assertFalse(self._get_news("paid"))
        with self.assertRaises(AccessError):
            self.seller.with_user(self.other_seller).write({"dunning_news_paid": False})

    def test_who_has_left_hears_nothing(self):
        self._pay(self.move)
        self._wake()
        self.other_seller.active = False
        self._send(self.noon)
        self.assertFalse(self._get_messages(self.other_seller))

    def test_the_deal_shows_paid_with_time(self):
        handoffs = self._create_deal(user=self.seller)
        self.assertFalse(handoffs.billing_paid_at)
        self.assertFalse(self.deal.billing_paid_at)
        self._pay(self.move)
        self._wake()
        self.assertEqual(self.deal.billing_state, "paid")
        self.assertTrue(self.deal.billing_paid_at)
