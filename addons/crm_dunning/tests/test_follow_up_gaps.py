from datetime import timedelta
from unittest.mock import patch

from odoo import fields
from odoo.tests import tagged

from .dunning_run_common import MailRunCommon, to_instant


@tagged("post_install", "-at_install")
class TestFollowUpGaps(MailRunCommon):
    """Nobody is forgotten, nobody hears twice, whatever is archived or half sent."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls._init_mail_gateway()
        cls.contact = cls.account.billing_contact_id

    def _get_mail(self, notice):
        return self.env["mail.mail"].search(
            [("mail_message_id", "=", notice.message_id.id)]
        )

    # === WHO IS FOLLOWED, WHO IS WRITTEN TO === #

    def test_archived_policy_follows_nobody(self):
        """The run looks at archived accounts, not at archived policies."""
        old = self._create_policy([(1, "mail")], sequence=-5, state="dry_run")
        old.active = False
        self._create_invoice(due="2027-02-10")
        [notice] = self._run("2027-02-12")
        self.assertEqual(notice.policy_id, self.policy)

    def test_archived_address_hides_no_other(self):
        self.account.billing_contact_id = False
        old, new = self.env["res.partner"].create(
            [
                {
                    "name": name,
                    "type": "invoice",
                    "parent_id": self.account.id,
                    "email": f"{name}@example.com",
                }
                for name in ("a.left", "b.new")
            ]
        )
        old.active = False
        self._create_invoice(due="2027-02-10")
        [notice] = self._run("2027-02-12")
        self.assertEqual(notice.recipient_id, new)

    def test_person_of_another_currency_stops_mails(self):
        """A person took the account over: no automatic mail leaves any more (9.4)."""
        other = (
            self.env["res.currency"]
            .with_context(active_test=False)
            .search([("name", "=", "CHF")])
        )
        other.active = True
        self._create_invoice(due="2027-01-25")
        self._create_invoice(due="2027-02-10", currency_id=other.id)
        notices = self._run("2027-02-12")
        mail = notices.filtered(lambda one: one.currency_id == other)
        self.assertEqual(mail.state, "queued")
        self.assertFalse(self._send())
        self.assertEqual(mail.state, "stopped")

    # === WHAT LEAVES === #

    def test_what_was_stopped_does_not_leave(self):
        self.account.email = "house@example.com"
        self._create_invoice(due="2027-02-10")
        [notice] = self._run("2027-02-12")
        self._send()
        self.contact._message_receive_bounce(self.contact.email, self.contact)
        notice.move_id._message_receive_bounce(self.contact.email, self.contact)
        self.assertEqual(notice.state, "bounced")
        self.contact.email = "better@example.com"
        self.assertEqual(notice.state, "stopped")
        self._run("2027-02-12", hour=13)
        mails = self._send("2027-02-12 13:10:00")
        self.assertEqual(len(mails), 1)
        self.assertIn("better@example.com", mails[0]["email_to"][0])

    def test_upcoming_paid_meanwhile(self):
        """No message asks for what was paid since it was written, due soon or not."""
        self._create_invoice(due="2027-02-10")
        soon = self._create_invoice(due="2027-02-18", amount=30)
        [notice] = self._run("2027-02-12")
        self.assertEqual(self._get_lines(notice, "upcoming").move_id, soon)
        self._pay(soon)
        self.assertFalse(self._send())
        [again] = self._run("2027-02-12", hour=13)
        self.assertNotIn(soon, again.line_ids.move_id)
        self.assertEqual(len(self._send("2027-02-12 13:10:00")), 1)

    def test_bad_address_of_a_copy(self):
        """The customer got it, the copy did not: it is sent."""
        self.policy.copy_salesperson = True
        self.account.user_id = self.seller
        self._create_invoice(due="2027-02-10")
        [notice] = self._run("2027-02-12")
        copy = self.seller.partner_id
        self.assertIn(copy, notice.recipient_ids)
        bad = copy.email_normalized
        servers = type(self.env["ir.mail_server"])

        def send(server, message, *args, **kwargs):
            if bad in message["To"]:
                raise AssertionError(server.NO_VALID_RECIPIENT)
            return message["Message-Id"]

        now = to_instant("2027-02-12 12:30:00")
        self.patch(type(self.env["mail.mail"]), "_get_dunning_now", lambda self: now)
        with self.mock_mail_gateway(), patch.object(servers, "send_email", send):
            self.env["mail.mail"].process_email_queue()
        self.assertEqual(notice.state, "sent")
        self.assertEqual(copy.dunning_bounced_email, bad)
        self.assertFalse(self.contact.dunning_bounced_email)

    def test_our_own_sender_is_refused(self):
        """A wrong sender is our fault: no customer is marked as unreachable."""
        self._create_invoice(due="2027-02-10")
        [notice] = self._run("2027-02-12")
        mail = self._get_mail(notice)
        for fault in ("mail_from_invalid", "mail_from_missing"):
            mail.write({"state": "exception"})
            mail._postprocess_sent_message([], [], "No sender", fault)
            self.assertFalse(self.contact.dunning_bounced_email)
            self.assertEqual((notice.state, mail.state), ("queued", "outgoing"))

    # === THE WAVE === #

    def test_wave_is_released_when_nobody_is_due(self):
        """Bank data came in and everybody has paid: the task clears itself."""
        self.policy.bank_data_limit_days = 3
        move = self._create_invoice(due="2027-02-10")
        companies = type(self.env["res.company"])
        with patch.object(companies, "_get_bank_data_age", lambda *args: 9):
            self._run("2027-02-12")
        summary = self.policy._get_wave_summary(self.company)
        tasks = self.policy.activity_ids.filtered(lambda one: one.summary == summary)
        self.assertTrue(tasks)
        self._pay(move)
        with patch.object(companies, "_get_bank_data_age", lambda *args: 0):
            self._run("2027-02-13")
        self.assertFalse(self.policy._get_wave_activity(self.company))

    # === CASES === #

    def test_paid_and_bounced_goes_back_to_the_person(self):
        """A person had it when the customer promised: no machine takes it over."""
        move = self._create_invoice(due=fields.Date.today() - timedelta(days=30))
        case = self.env["crm.dunning.case"]._open_for(move)
        case._take_over("manual", user=self.clerk)
        case._promise(fields.Date.today() + timedelta(days=5))
        self._pay(move)
        self._wake()
        self.assertEqual(case.state, "closed")
        move.line_ids.remove_move_reconcile()
        self._wake()
        self.assertEqual((case.state, case.owner_id), ("person", self.clerk))

    def test_reopened_case_has_time_again(self):
        move = self._create_invoice(due=fields.Date.today() - timedelta(days=30))
        case = self.env["crm.dunning.case"]._open_for(move)
        case._take_over("manual", user=self.clerk)
        case.write(
            {
                "deadline": fields.Date.today() - timedelta(days=20),
                "escalated_at": fields.Datetime.now() - timedelta(days=15),
            }
        )
        self._pay(move)
        self._wake()
        move.line_ids.remove_move_reconcile()
        self._wake()
        self.assertEqual(case.state, "person")
        self.assertGreaterEqual(case.deadline, fields.Date.today())
        self.assertFalse(case.escalated_at)

    def test_retained_part_hides_no_payment_that_bounced(self):
        """Only the retention was left, then the payment is undone: it is owed again."""
        day = fields.Date.today()
        term = self.env["account.payment.term"].create(
            {
                "name": "Two",
                "line_ids": [
                    (0, 0, {"value": "percent", "value_amount": 90, "nb_days": 0}),
                    (0, 0, {"value": "percent", "value_amount": 10, "nb_days": 300}),
                ],
            }
        )
        move = self._create_invoice(
            due=day - timedelta(days=30),
            invoice_payment_term_id=term.id,
            invoice_date=day - timedelta(days=40),
        )
        lines = move.line_ids.filtered("date_maturity").sorted("date_maturity")
        lines[-1].sudo().billing_is_retention = True
        case = self.env["crm.dunning.case"]._open_for(move)
        case._take_over("manual", user=self.clerk)
        self._pay(move, 90)
        self._wake()
        self.assertEqual((case.state, case.close_reason), ("closed", "settled"))
        lines[0].remove_move_reconcile()
        self._wake()
        self.assertEqual(case.state, "person")

    def test_later_due_date_begins_anew(self):
        """More time is given: steps that lie ahead again are said again."""
        move = self._create_invoice(due="2027-02-10")
        self._run_days("2027-02-01", "2027-02-19")
        line = move.line_ids.filtered("date_maturity")
        line.date_maturity = "2027-03-10"
        found = self._run_days("2027-02-20", "2027-03-30")
        self.assertEqual(list(found), ["05.03.", "12.03.", "19.03.", "28.03."])

    def test_one_clash_holds_up_no_other(self):
        """What cannot be recorded today holds up its own account alone."""
        first = self._create_invoice(due="2027-02-10")
        other = self._create_account("Other payer")
        self._create_invoice(other, due="2027-02-10")
        clash = self.Notice.create(
            {
                "partner_id": other.id,
                "company_id": self.company.id,
                "currency_id": self.currency.id,
                "date": "2027-02-12",
                "state": "sent",
                "line_ids": [
                    (
                        0,
                        0,
                        {
                            "company_id": self.company.id,
                            "line_id": first.line_ids.filtered("date_maturity").id,
                            "move_id": first.id,
                            "days": 0,
                            "kind": "named",
                            "date": "2027-02-12",
                            "currency_id": self.currency.id,
                        },
                    )
                ],
            }
        )
        clash.partner_id = self._create_account("Somebody").id
        [notice] = self._run("2027-02-12")
        self.assertEqual(notice.partner_id, other)
        self.assertIn(first, self._run("2027-02-13").line_ids.move_id)

    def test_mail_that_was_deleted_can_be_tried_again(self):
        """A message without a mail can never leave: a clerk puts it back."""
        self._create_invoice(due="2027-02-10")
        [notice] = self._run("2027-02-12")
        self._get_mail(notice).unlink()
        notice.with_user(self.clerk).action_try_again()
        self.assertEqual(notice.state, "stopped")
        [again] = self._run("2027-02-12", hour=13)
        again.with_user(self.clerk).action_try_again()
        self.assertEqual(again.state, "queued", "its mail is about to leave")
