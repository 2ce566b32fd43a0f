from datetime import date
from unittest.mock import patch

from odoo import fields
from odoo.tests import tagged

from .common import BillingHandoffCommon


@tagged("post_install", "-at_install")
class TestFailures(BillingHandoffCommon):
    """One broken deal stops nobody, and says why in plain words."""

    def _break_product(self):
        """Return a product whose account cannot be used on an invoice line."""
        account = self.env["account.account"].create(
            {"name": "Memo", "code": "990099", "account_type": "off_balance"}
        )
        return self._create_product(property_account_income_id=account.id)

    def test_a_broken_deal_among_many(self):
        broken = self._create_deal()
        self._create_quotation(broken, product=self._break_product())
        good = self.env["crm.lead"].union(
            *(self._create_deal(expected_revenue=10) for _number in range(4))
        )
        deals = good[:2] | broken | good[2:]
        handoffs = self._win(deals)

        self._run_job()

        by_deal = {handoff.lead_id: handoff for handoff in handoffs}
        self.assertEqual({by_deal[deal].state for deal in good}, {"done"})
        failed = by_deal[broken]
        self.assertEqual(failed.state, "blocked")
        self.assertIn("Off-Balance", failed.billing_error)
        self.assertNotIn("Traceback", failed.billing_error)
        self.assertEqual(failed.activity_ids.user_id, self.clerk)
        self.assertEqual(broken.won_status, "won")

        for _night in range(2):
            self.env["crm.billing.handoff"]._cron_recheck()
            self._run_job()
        self.assertEqual(len(failed.activity_ids), 1, "one task, not one a run")
        events = self.env["crm.billing.event"].search([("handoff_id", "=", failed.id)])
        self.assertEqual(events.mapped("action"), ["blocked"], "nor one line a night")

    def test_the_task_of_an_owner_who_left_goes_to_billing(self):
        deal = self._create_deal(team_id=False)
        handoff = self._win(deal)
        self.seller.active = False
        handoff._process_or_bisect()
        self.assertEqual(deal.activity_ids.user_id, self.clerk)

    def test_it_goes_on_when_the_cause_changes(self):
        deal = self._create_deal()
        order = self._create_quotation(deal, product=self._break_product())
        handoff = self._win_and_process(deal)
        self.assertEqual(handoff.state, "blocked")

        order.order_line.product_id = self.product
        self._wake()
        handoff._process_or_bisect()
        self.assertEqual(handoff.state, "done", handoff.billing_error)
        self.assertFalse(handoff.billing_error)
        self.assertFalse(handoff.activity_ids)

    def test_a_programming_error_is_a_task_too(self):
        deal = self._create_deal(expected_revenue=10)
        handoff = self._win(deal)
        model = type(self.env["crm.billing.handoff"])
        with (
            patch.object(model, "_prepare_draft", side_effect=KeyError("oops")),
            self.assertLogs("odoo.addons.crm_billing_handoff", level="ERROR"),
        ):
            handoff._process_or_bisect()
        self.assertEqual(handoff.state, "blocked")
        self.assertIn("Tell your administrator", handoff.billing_error)

    def test_dates_of_the_draft(self):
        deal = self._create_deal(expected_revenue=10)
        draft = self._win_and_process(deal).move_ids
        draft.with_user(self.clerk).action_billing_review()
        draft.action_post()
        today = fields.Date.context_today(draft)
        self.assertEqual(draft.invoice_date, today)
        self.assertEqual(
            draft.invoice_date_due - today, date(2026, 1, 31) - date(2026, 1, 1)
        )
