from odoo.exceptions import UserError
from odoo.tests import tagged

from .common import BillingHandoffCommon


@tagged("post_install", "-at_install")
class TestOneBill(BillingHandoffCommon):
    """Won twice, reopened, merged, copied: one live handoff, one bill."""

    def test_won_unwon_won_before_billing(self):
        deal = self._create_deal(expected_revenue=10)
        first = self._win(deal)
        deal.with_user(self.seller).stage_id = self.open_stage
        self.assertEqual(first.state, "cancelled")
        self.assertEqual(deal.billing_state, "none")

        second = self._win(deal) - first
        self.assertEqual(second.state, "pending")
        (first | second)._process_or_bisect()
        self.assertEqual(len(deal.billing_move_ids), 1)

    def test_won_unwon_won_after_billing(self):
        deal = self._create_deal(expected_revenue=10)
        handoff = self._win_and_process(deal)

        for _time in range(2):
            deal.with_user(self.seller).stage_id = self.open_stage
            self.assertEqual(handoff.state, "done")
            self.assertTrue(deal.billing_not_won)
            tasks = handoff.activity_ids
            self.assertEqual(len(tasks), 1, "the clerk is asked once")
            self.assertEqual(tasks.user_id, self.clerk)
            self._win(deal)
            self.assertFalse(handoff.activity_ids, "winning again answers the task")
        self.assertEqual(deal.billing_handoff_ids, handoff)
        self.assertEqual(len(deal.billing_move_ids), 1)

    def test_an_archived_won_deal_is_billed(self):
        deal = self._create_deal(expected_revenue=10)
        handoff = self._win(deal)
        deal.active = False
        self._run_job()
        self.assertEqual(handoff.state, "done")

    def test_a_deal_that_slipped_out_of_won_is_not_billed(self):
        deal = self._create_deal(expected_revenue=10)
        handoff = self._win(deal)
        self.env.cr.execute(
            "UPDATE crm_lead SET won_status = 'pending' WHERE id = %s", [deal.id]
        )
        deal.invalidate_recordset()
        handoff._process_or_bisect()
        self.assertEqual(handoff.state, "cancelled")
        self.assertFalse(deal.billing_move_ids)

    def test_handing_off_again_changes_nothing(self):
        deal = self._create_deal(expected_revenue=10)
        handoff = self._win_and_process(deal)
        for _time in range(2):
            deal.with_user(self.seller).action_hand_off()
            handoff.with_user(self.clerk).action_process()
        self.assertEqual(len(deal.billing_handoff_ids), 1)
        self.assertEqual(len(deal.billing_move_ids), 1)

    def test_the_index_refuses_a_second_live_row(self):
        deal = self._create_deal()
        handoff = self._win(deal)
        with self.assertRaisesRegex(Exception, "live_lead_uniq"):
            with self.env.cr.savepoint(), self._quiet_sql():
                handoff.copy({"lead_id": deal.id, "company_id": self.company.id})

    def _quiet_sql(self):
        return self.assertLogs("odoo.sql_db", level="ERROR")

    def test_a_copied_deal_starts_without_billing(self):
        deal = self._create_deal(expected_revenue=10)
        self._win_and_process(deal)
        copy = deal.copy({"stage_id": self.open_stage.id})
        self.assertFalse(copy.billing_handoff_ids)
        self.assertFalse(copy.billing_move_ids)
        self.assertEqual(copy.billing_state, "none")

    def test_merging_two_won_deals_keeps_one_live_handoff(self):
        billed = self._create_deal(expected_revenue=10)
        waiting = self._create_deal(expected_revenue=20)
        kept = self._win_and_process(billed)
        self._win(waiting)

        merged = (billed | waiting).merge_opportunity(auto_unlink=True)
        self.env.flush_all()

        live = merged.billing_handoff_ids.filtered(lambda h: h.state != "cancelled")
        self.assertEqual(live, kept)
        self.assertEqual(len(merged.billing_move_ids), 1)

    def test_merging_billed_deals_keeps_both_invoices(self):
        deals = self._create_deal(expected_revenue=10)
        deals |= self._create_deal(expected_revenue=20)
        moves = self._win_and_process(deals).move_ids
        self.assertEqual(len(moves), 2)

        merged = deals.merge_opportunity(auto_unlink=True)
        self.env.flush_all()

        self.assertEqual(merged.billing_move_ids, moves)
        live = merged.billing_handoff_ids.filtered(lambda h: h.state != "cancelled")
        self.assertEqual(len(live), 1)

    def test_a_billed_deal_is_not_deleted(self):
        deal = self._create_deal(expected_revenue=10)
        self._win_and_process(deal)
        with self.assertRaisesRegex(UserError, "archive it"):
            deal.unlink()
        unbilled = self._create_deal()
        handoff = self._win(unbilled)
        unbilled.unlink()
        self.assertFalse(handoff.exists())

    def test_a_deleted_draft_waits_for_a_person(self):
        deal = self._create_deal(expected_revenue=10)
        handoff = self._win_and_process(deal)
        handoff.move_ids.with_user(self.clerk).unlink()

        self.assertEqual(handoff.state, "blocked")
        self.assertIn("deleted or cancelled", handoff.billing_error)
        self.account.comment = "touched"
        self._wake()
        self._run_job()
        self.assertEqual(handoff.state, "blocked", "nothing makes a draft by itself")

        handoff.with_user(self.clerk).action_process()
        self.assertEqual(handoff.state, "done")
        self.assertEqual(len(handoff.move_ids), 1)

    def test_create_invoice_is_left_to_billing(self):
        deal = self._create_deal()
        order = self._create_quotation(deal, confirm=True)
        self._win(deal)
        with self.assertRaisesRegex(UserError, "handed off to Billing"):
            order.with_user(self.seller)._create_invoices()
        self.assertTrue(order.with_user(self.seller).billing_is_handed_off)
        self.assertFalse(order.with_user(self.clerk).billing_is_handed_off)
        order.with_user(self.clerk)._create_invoices()
        self.assertEqual(order.invoice_ids.opportunity_ids, deal)

    def test_orders_without_a_deal_are_core_s_business(self):
        order = self._create_quotation(self._create_deal(), confirm=True)
        order.opportunity_id = False
        invoice = order.with_user(self.seller)._create_invoices()
        self.assertFalse(invoice.sudo().is_billing_review)
