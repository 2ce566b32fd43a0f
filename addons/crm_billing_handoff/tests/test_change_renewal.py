from datetime import date

from odoo.exceptions import AccessError, UserError
from odoo.tests import tagged

from .change_common import ChangeCommon

START = date(2027, 1, 1)
LAST = date(2027, 12, 31)
NOTICE = date(2027, 12, 1)


@tagged("post_install", "-at_install")
class TestRenewal(ChangeCommon):
    """The end of a term: asked in time, renewed or ended as agreed (C12)."""

    def _create_term(self, policy, **values):
        yearly = self._create_plan(interval_unit="year")
        return self._create_billed(
            START,
            price=1200.0,
            plan_id=yearly.id,
            end_date=LAST,
            renewal_policy=policy,
            notice_days=30,
            **values,
        )

    def test_salesperson_is_asked_in_time_with_a_prefilled_deal(self):
        agreement = self._create_term("ask")
        self.assertEqual(agreement.notice_date, NOTICE)
        self._apply_due(date(2027, 10, 31))
        self.assertFalse(agreement.renewal_lead_id)
        self._apply_due(date(2027, 11, 1))
        deal = agreement.renewal_lead_id
        self.assertEqual((deal.partner_id, deal.user_id), (self.account, self.seller))
        self.assertEqual(deal.date_deadline, NOTICE)
        self.assertEqual(deal.activity_ids.user_id, self.seller)
        self._apply_due(date(2027, 11, 2))
        self.assertEqual(agreement.renewal_lead_id, deal)
        self.assertEqual(len(deal.activity_ids), 1)

    def test_auto_renews_after_the_notice_date(self):
        agreement = self._create_term("auto")
        self._apply_due(NOTICE)
        self.assertFalse(agreement.successor_ids)
        self._apply_due(date(2027, 12, 2))
        successor = agreement.successor_ids
        self.assertRecordValues(
            successor,
            [
                {
                    "start_date": date(2028, 1, 1),
                    "end_date": date(2028, 12, 31),
                    "state": "running",
                    "predecessor_id": agreement.id,
                }
            ],
        )
        self._apply_due(date(2027, 12, 3))
        self.assertEqual(agreement.successor_ids, successor)
        self.assertEqual(
            self._get_printed(self._bill(date(2028, 1, 1))), [("recurring", 1200.0)]
        )

    def test_missed_notice_follows_the_written_option(self):
        ends = self._create_term("ask", missed_notice="end")
        renews = self._create_term("ask", missed_notice="renew")
        self._apply_due(date(2027, 12, 2))
        self.assertFalse(ends.successor_ids)
        self.assertTrue(renews.successor_ids)
        self.assertTrue(ends.is_notice_missed and renews.is_notice_missed)
        self.assertIn("passed without a decision", ends.message_ids[0].body)

    def test_cancelled_or_fixed_terms_do_not_renew(self):
        fixed = self._create_term("none")
        cancelled = self._create_term("auto")
        self._change(cancelled, "cancel", date(2027, 6, 1))
        self._apply_due(date(2027, 12, 2))
        self.assertFalse((fixed | cancelled).successor_ids)

    def test_late_cancellation_shows_the_missed_notice(self):
        agreement = self._create_term("ask")
        self._apply_due(date(2027, 12, 2))
        with self._on(date(2027, 12, 3)):
            change = self._create_change(agreement, "cancel", policy="none")
            self.assertIn("Notice was due by", change.preview["notes"][0])

    def test_clerk_renews_with_a_price_rise(self):
        agreement = self._create_term("ask", renewal_count=6)
        change = self._change(agreement, "renew", date(2027, 11, 10), uplift=5.0)
        successor = agreement.successor_ids
        self.assertEqual(successor.line_ids.price_unit, 1260.0)
        self.assertEqual(successor.end_date, date(2028, 6, 30))
        self.assertEqual(change.applied_preview["mrr_effect"], "5.00")
        with self.assertRaisesRegex(UserError, "renewed already"):
            self._change(agreement, "renew", date(2027, 11, 11))

    def test_action_renew_is_idempotent_and_for_billing(self):
        agreement = self._create_term("ask")
        first = agreement.with_user(self.clerk).action_renew()
        self.assertEqual(agreement.with_user(self.clerk).action_renew(), first)
        with self.assertRaises(AccessError):
            agreement.with_user(self.seller).action_renew()

    def test_renewal_keeps_the_grid_and_leaves_ended_lines(self):
        agreement = self._create_billed(
            date(2027, 1, 31),
            end_date=date(2028, 1, 30),
            lines=[{}, {"end_date": date(2027, 6, 30)}],
        )
        successor = agreement.action_renew()
        self.assertEqual(len(successor.line_ids), 1)
        self.assertEqual(successor.line_ids.anchor_day, 31)

    def test_discount_of_the_first_term_does_not_renew(self):
        agreement = self._create_term("ask", discount=20.0, discount_last_day=LAST)
        self.assertFalse(agreement.change_ids, "no full price in this term")
        self.assertEqual(agreement.action_renew().line_ids.discount, 0.0)

    def test_won_renewal_deal_links_its_agreement(self):
        agreement = self._create_term("ask")
        self._apply_due(date(2027, 11, 1))
        bought = self._create_agreement(
            start=False,
            start_date=date(2028, 1, 1),
            lead_id=agreement.renewal_lead_id.id,
        )
        self.assertEqual(bought.predecessor_id, agreement)


@tagged("post_install", "-at_install")
class TestPriceRevision(ChangeCommon):
    """New prices for many agreements, seen in total first (D4)."""

    def setUp(self):
        super().setUp()
        self.running = self._create_billed(date(2027, 1, 10), price=100.0)
        self.ended = self._create_billed(
            date(2027, 1, 10), price=100.0, end_date=date(2027, 2, 20)
        )
        self.other = self._create_billed(
            date(2027, 1, 10), price=50.0, product_id=self._create_product().id
        )

    def _create_revision(self, **values):
        return (
            self.env["crm.billing.price.revision"]
            .with_user(self.clerk)
            .create(
                {
                    "name": "Prices 2027",
                    "date": date(2027, 3, 1),
                    "percent": 10.0,
                    "product_ids": self.product.ids,
                    **values,
                }
            )
        )

    def test_preview_shows_the_total_effect(self):
        revision = self._create_revision()
        self.assertRecordValues(
            revision,
            [{"line_count": 1, "mrr_before": 100.0, "mrr_after": 110.0}],
        )
        self.assertIn("110.00", revision.preview_html)
        self.assertFalse(self.running.change_ids)

    def test_new_price_starts_with_the_next_period_of_each_line(self):
        revision = self._create_revision()
        with self._on(date(2027, 2, 15)):
            revision.action_apply()
            revision.action_apply()
        change = self.running.change_ids
        self.assertRecordValues(
            change, [{"state": "scheduled", "date": date(2027, 3, 10)}]
        )
        self._bill(date(2027, 2, 10))
        invoice = self._bill(date(2027, 3, 10))
        self.assertIn(("recurring", 110.0), self._get_printed(invoice))
        self.assertFalse(self.ended.change_ids, "it has ended by then")
        self.assertFalse(self.other.change_ids, "other product")

    def test_new_price_on_the_day_is_prorated(self):
        self._bill(date(2027, 2, 10))
        revision = self._create_revision(
            starts_on="date", method="price", price_unit=128.0
        )
        with self._on(date(2027, 3, 1)):
            revision.action_apply()
        self.assertEqual(
            self._get_rows(self.running, "credit", "charge"),
            [("credit", -32.14), ("charge", 41.14)],
        )

    def test_revision_without_lines_says_so(self):
        revision = self._create_revision(date=date(2026, 1, 1))
        with self.assertRaisesRegex(UserError, "touches no line"):
            revision.action_apply()

    def test_customers_are_told_once(self):
        revision = self._create_revision()
        with self._on(date(2027, 2, 15)):
            revision.action_apply()
            revision.action_notify()
            revision.action_notify()
        notices = self.running.message_ids.filtered(
            lambda message: "110.00" in (message.body or "")
        )
        self.assertEqual(len(notices), 1)
        self.assertEqual(notices.partner_ids, self.account.billing_contact_id)

    def test_sales_cannot_revise_prices(self):
        revision = self._create_revision()
        with self.assertRaises(AccessError):
            revision.with_user(self.seller).action_apply()
