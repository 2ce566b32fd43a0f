from datetime import date
from unittest.mock import patch

from odoo import fields
from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.fields import Command
from odoo.tests import tagged

from .agreement_handoff_common import AgreementHandoffCommon


@tagged("post_install", "-at_install")
class TestOneAgreement(AgreementHandoffCommon):
    """B7, B9: whatever happens to the deal, it is billed by one agreement, once."""

    def setUp(self):
        super().setUp()
        self.deal, self.order = self._create_mixed_deal()
        self.handoff = self._hand_off(self.deal)
        self.agreement = self.handoff.agreement_id

    def test_handing_off_again_changes_nothing(self):
        for _time in range(2):
            self.deal.with_user(self.seller).action_hand_off()
            self.handoff.with_user(self.clerk).action_process()
        self.assertEqual(self.deal.billing_agreement_ids, self.agreement)
        self.assertEqual(len(self.deal.billing_move_ids), 1)

    def test_taken_out_of_won_it_asks_and_deletes_nothing(self):
        self.deal.with_user(self.seller).stage_id = self.open_stage
        self.env.flush_all()
        self.assertEqual(self.agreement.state, "running")
        task = self.handoff.activity_ids
        self.assertEqual(task.user_id, self.clerk)
        self.assertIn(self.agreement.name, task.note)
        self.assertTrue(self.deal.billing_not_won)

        self._win_and_process(self.deal)
        self.assertFalse(self.handoff.activity_ids)
        self.assertEqual(self.deal.billing_agreement_ids, self.agreement)
        self.assertEqual(len(self.deal.billing_move_ids), 1)

    def test_cancelled_and_credited_it_is_billed_again(self):
        self.deal.with_user(self.seller).stage_id = self.open_stage
        self.deal.billing_move_ids.action_post()
        self.deal.billing_move_ids._reverse_moves(cancel=True)
        self.agreement.sudo().state = "cancelled"
        self.env.flush_all()
        self._win_and_process(self.deal)
        second = self.handoff.agreement_id
        self.assertNotEqual(second, self.agreement)
        self.assertEqual(second.state, "running")
        self.assertEqual(len(second.line_ids), 2)
        self._win_and_process(self.deal)
        self.assertEqual(self.deal.billing_agreement_ids, self.agreement | second)

    def test_an_agreement_that_waits_is_not_made_twice(self):
        deal, order = self._create_mixed_deal()
        order.billing_start_date = date(2030, 1, 1)
        handoff = self._hand_off(deal)
        deal.with_user(self.seller).stage_id = self.open_stage
        self._win_and_process(deal)
        self.assertEqual(handoff.state, "done")
        self.assertEqual(len(deal.billing_agreement_ids), 1)

    def test_a_copied_deal_and_order_start_anew(self):
        copy = self.deal.copy({"stage_id": self.open_stage.id})
        self.assertFalse(copy.billing_agreement_ids)
        self.assertFalse(copy.billing_next_date)
        order = self.order.copy()
        self.assertEqual(order.order_line[1].billing_method, "flat")
        self.assertFalse(any(order.order_line.mapped("is_billing_taken_over")))

    def test_it_follows_the_deal_to_another_salesperson(self):
        other = self.users["other_seller"]
        agreement = self.agreement.with_user(other)
        self.assertFalse(agreement.has_access("read"))
        self.deal.with_user(self.manager).sudo().user_id = other
        self.env.flush_all()
        self.assertEqual(self.agreement.user_id, other)
        self.assertTrue(agreement.has_access("read"))
        self.agreement.user_id = self.clerk
        self.deal.user_id = self.seller
        self.assertEqual(self.agreement.user_id, self.clerk, "somebody chose that")

    def test_the_order_shows_no_invoice_that_others_share(self):
        self.assertEqual(self.order.invoice_ids, self.deal.billing_move_ids)
        order = self._create_quotation(
            deal := self._create_deal(), product=self.hosting
        )
        order.billing_start_date = date(2026, 3, 10)
        second = self._hand_off(deal).agreement_id
        shared = (self.agreement | second).generate_invoices(until=date(2026, 4, 10))
        self.assertEqual(shared.agreement_ids, self.agreement | second)
        self.env.invalidate_all()
        self.assertNotIn(shared, order.invoice_ids)

    def test_merging_keeps_both_agreements(self):
        other, _order = self._create_mixed_deal()
        second = self._hand_off(other).agreement_id
        merged = (self.deal | other).merge_opportunity(auto_unlink=True)
        self.env.flush_all()
        self.assertEqual(merged.billing_agreement_ids, self.agreement | second)
        self.assertEqual(len(merged.billing_move_ids), 2)
        live = merged.billing_handoff_ids._filtered_live()
        self.assertEqual(len(live), 1)

    def test_a_deal_with_an_agreement_is_not_deleted(self):
        self.deal.billing_move_ids.unlink()
        with self.assertRaisesRegex(UserError, "archive it"):
            self.deal.unlink()

    def test_the_order_of_a_running_agreement_is_not_cancelled(self):
        with self.assertRaisesRegex(UserError, "cancel the agreement first"):
            self.order.with_user(self.seller)._action_cancel()

    def test_no_down_payment_after_the_agreement(self):
        wizard = self.env["sale.advance.payment.inv"].create(
            {
                "sale_order_ids": [Command.set(self.order.ids)],
                "advance_payment_method": "fixed",
                "fixed_amount": 10.0,
            }
        )
        with self.assertRaisesRegex(UserError, "would not be deducted"):
            wizard.with_user(self.clerk).create_invoices()

    def test_a_deleted_draft_is_due_again(self):
        self.deal.billing_move_ids.unlink()
        self.assertEqual(self.handoff.state, "done")
        self.agreement.generate_invoices(until=date(2026, 3, 10))
        self.assertEqual(self.deal.billing_move_ids.amount_untaxed, 181.0)

    def test_a_consolidated_invoice_is_shared_by_the_deals_lines(self):
        order = self._create_quotation(
            deal := self._create_deal(), product=self.hosting, price=19.0
        )
        order.billing_start_date = self.order.billing_start_date = date(2026, 3, 10)
        self.deal.billing_move_ids.unlink()
        self.company.billing_consolidate = True
        with patch.object(type(self.agreement), "_bill_at_once"):
            second = self._hand_off(deal).agreement_id
        move = (self.agreement | second).generate_invoices(until=date(2026, 3, 10))
        self.assertEqual(len(move), 1)
        weights = move._get_opportunity_weights()
        self.assertEqual(
            {lead: float(weight) for lead, weight in weights.items()},
            {self.deal: 181.0, deal: 19.0},
        )

    def test_core_recurring_is_refused(self):
        with self.assertRaisesRegex(ValidationError, "billing agreement"):
            self.deal.billing_move_ids.auto_post = "monthly"
        self.deal.billing_move_ids.auto_post = "at_date"


@tagged("post_install", "-at_install")
class TestRestOfAgreement(AgreementHandoffCommon):
    """B7: what comes to a deal after its agreement goes into the agreement."""

    def setUp(self):
        super().setUp()
        self.deal, self.order = self._create_mixed_deal()
        self.handoff = self._hand_off(self.deal)
        self.agreement = self.handoff.agreement_id

    def _add_line(self, product, price):
        line = {"product_id": product.id, "price_unit": price}
        self.order.order_line = [Command.create(line)]

    def test_an_added_line_joins_the_agreement(self):
        self._add_line(self.hosting, 12.0)
        self.assertIn("12.00", self.deal.with_user(self.seller).billing_difference)
        with self._at(fields.Datetime.to_datetime("2026-03-25 09:00:00")):
            for _time in range(2):
                self.deal.with_user(self.clerk).action_bill_rest()
        line = self.agreement.line_ids.filtered(lambda line: line.price_unit == 12)
        self.assertEqual(line.start_date, date(2026, 3, 25))
        self.assertEqual(line.anchor_date, date(2026, 3, 10), "renews with the others")
        first, second = self.agreement.move_ids.sorted("id")
        self.assertEqual(second.amount_untaxed, 6.19)  # 12 × 16/31
        self.assertFalse(self.handoff.difference)

    def test_an_added_one_off_joins_too(self):
        self._add_line(self.product, 40.0)
        self.deal.with_user(self.clerk).action_bill_rest()
        line = self.agreement.line_ids.filtered(lambda line: line.price_unit == 40)
        self.assertEqual(line.billing_method, "one_off")
        self.assertTrue(all(self.order.order_line.mapped("is_billing_taken_over")))

    def test_a_recurring_line_on_a_one_off_deal_makes_the_agreement(self):
        deal = self._create_deal()
        order = self._create_quotation(deal, confirm=True)
        handoff = self._hand_off(deal)
        self.assertFalse(handoff.agreement_id)
        line = {"product_id": self.hosting.id, "price_unit": 30.0}
        order.order_line = [Command.create(line)]
        handoff.with_user(self.clerk).action_bill_rest()
        agreement = handoff.agreement_id
        self.assertEqual(agreement.state, "running")
        self.assertEqual(agreement.line_ids.mapped("price_unit"), [30.0])
        self.assertFalse(handoff.difference)

    def test_an_edited_line_is_shown_and_asked_about(self):
        line = self.order.order_line[1]
        line.product_uom_qty = 5
        self.assertIn("Hosting 5", self.handoff.difference)
        self.assertEqual(self.handoff.activity_ids.summary, "The order was changed")
        self.assertEqual(len(self.deal.billing_move_ids), 1)
        self.deal.with_user(self.clerk).action_bill_rest()
        self.assertEqual(len(self.deal.billing_move_ids), 1, "no second bill")
        line.product_uom_qty = 3
        self.assertFalse(self.handoff.difference)

    def test_an_edited_line_is_proposed_as_a_change(self):
        line = self.order.order_line[1]
        line.write({"product_uom_qty": 5, "price_unit": 33})
        handoff = self.handoff.with_user(self.clerk)
        self.assertTrue(handoff.can_propose_change)
        for _time in range(2):
            action = handoff.action_propose_change()
        changes = self.env["crm.billing.change"].search(action["domain"])
        self.assertRecordValues(
            changes.sorted("change_type"),
            [
                {"change_type": "price", "state": "draft"},
                {"change_type": "quantity", "state": "draft"},
            ],
        )
        price, quantity = changes.sorted("change_type")
        self.assertEqual((price.price_unit, quantity.quantity), (33, 5))
        flat = self.agreement.line_ids.filtered(lambda one: one.plan_id)
        self.assertEqual(changes.line_ids, flat)
        self.assertEqual(flat.quantity, 3, "nothing changes by itself")
        with self.assertRaises(AccessError):
            self.handoff.with_user(self.seller).action_propose_change()
