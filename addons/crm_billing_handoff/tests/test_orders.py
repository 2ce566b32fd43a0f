from unittest.mock import patch

from odoo.exceptions import UserError
from odoo.fields import Command
from odoo.tests import tagged

from .common import BillingHandoffCommon


@tagged("post_install", "-at_install")
class TestOrders(BillingHandoffCommon):
    """What the orders of a deal leave to bill, whatever happened to them before."""

    def _ask_down_payment(self, order, percent, user=None):
        """Make a down payment invoice with core's wizard."""
        wizard = self.env["sale.advance.payment.inv"].with_user(user or self.env.user)
        wizard.with_context(active_model="sale.order", active_ids=order.ids).create(
            {"advance_payment_method": "percentage", "amount": percent}
        ).create_invoices()
        return order.invoice_ids.filtered("line_ids.is_downpayment")

    def test_a_down_payment_is_deducted(self):
        deal = self._create_deal()
        order = self._create_quotation(deal, price=1000.0, confirm=True)
        down_payment = self._ask_down_payment(order, 30)
        down_payment.action_post()

        draft = self._win_and_process(deal).move_ids - down_payment

        self.assertEqual(draft.amount_untaxed, 700.0)
        self.assertEqual(draft.billing_difference_count, 0)
        draft.invoice_line_ids.filtered("is_downpayment").unlink()
        amount = next(
            item for item in draft.billing_checklist if item["code"] == "amount"
        )
        self.assertEqual(amount["status"], "differs", "the deduction was taken out")

    def test_a_down_payment_is_left_to_billing_too(self):
        deal = self._create_deal()
        order = self._create_quotation(deal)
        self._win_and_process(deal)
        with self.assertRaisesRegex(UserError, "handed off to Billing"):
            self._ask_down_payment(order, 30, self.seller)

    def test_a_negative_quantity_counts(self):
        deal = self._create_deal()
        order = self._create_quotation(deal, quantity=5)
        order.order_line = [
            Command.create({"product_id": self.product.id, "product_uom_qty": -1})
        ]
        draft = self._win_and_process(deal).move_ids
        self.assertEqual(draft.amount_untaxed, 400.0)
        self.assertEqual(draft.billing_difference_count, 0)

    def test_orders_with_other_terms_are_billed_apart(self):
        deal = self._create_deal()
        first = self._create_quotation(deal, confirm=True)
        at_once = self.env.ref("account.account_payment_term_immediate")
        second = self._create_quotation(deal, confirm=True, payment_term_id=at_once.id)
        self._win_and_process(deal)
        self.assertEqual(first.invoice_ids.invoice_payment_term_id, self.terms)
        self.assertEqual(second.invoice_ids.invoice_payment_term_id, at_once)

    def test_an_order_without_quantity_is_nothing_to_bill(self):
        deal = self._create_deal()
        order = self._create_quotation(deal, quantity=0, confirm=True)
        handoff = self._win_and_process(deal)
        self.assertEqual(handoff.missing[0]["code"], "empty")

        order.order_line.product_uom_qty = 1
        self._wake()
        self._run_job()
        self.assertEqual(handoff.move_ids.amount_untaxed, 100.0)

    def test_a_combo_waits_for_the_delivery_of_its_products(self):
        product = self._create_product(invoice_policy="delivery")
        combo = self.env["product.combo"].create(
            {
                "name": "Drill",
                "combo_item_ids": [Command.create({"product_id": product.id})],
            }
        )
        kit = self._create_product(
            name="Kit", type="combo", combo_ids=[Command.set(combo.ids)]
        )
        deal = self._create_deal()
        order = self._create_quotation(deal, product=kit)
        order.order_line = [
            Command.create(
                {
                    "product_id": product.id,
                    "combo_item_id": combo.combo_item_ids.id,
                    "linked_line_id": order.order_line.id,
                }
            )
        ]
        handoff = self._win_and_process(deal)
        self.assertEqual(handoff.missing[0]["code"], "undelivered")

    def test_what_leaves_nothing_to_invoice_is_a_task(self):
        deal = self._create_deal()
        self._create_quotation(deal)
        handoff = self._win(deal)
        with patch.object(type(self.env["sale.order"]), "_create_billing_drafts") as no:
            no.return_value = self.env["account.move"]
            handoff._process_or_bisect()
        self.assertEqual(handoff.state, "blocked")
        self.assertIn("leaves nothing to invoice", handoff.billing_error)
        self.assertEqual(handoff.activity_ids.user_id, self.clerk)

    def test_an_invoice_from_before_the_deal_is_linked(self):
        deal = self._create_deal()
        order = self._create_quotation(deal, confirm=True, opportunity_id=False)
        invoice = order._create_invoices()
        order.opportunity_id = deal
        handoff = self._win_and_process(deal)
        self.assertEqual(handoff.move_ids, invoice)
        self.assertEqual(deal.billing_state, "draft")

    def test_a_chosen_quotation_that_left_the_deal_is_not_billed_for_it(self):
        deal, other = self._create_deal(), self._create_deal()
        chosen = self._create_quotation(deal, price=100)
        left = self._create_quotation(deal, price=200)
        handoff = self._win_and_process(deal)
        chosen.with_user(self.seller).action_choose_for_billing()
        chosen.opportunity_id = other
        handoff._process_or_bisect()
        self.assertEqual(handoff.move_ids.amount_untaxed, 200.0)
        self.assertEqual(handoff.order_id, left)

    def test_deleting_the_other_quotation_releases_the_deal(self):
        deal = self._create_deal()
        first = self._create_quotation(deal)
        self._create_quotation(deal, price=200)
        handoff = self._win_and_process(deal)
        self._wake()
        handoff._process_or_bisect()
        first.unlink()
        self._wake()
        self.assertTrue(handoff.to_recheck)


@tagged("post_install", "-at_install")
class TestInvoiceGone(BillingHandoffCommon):
    """A bill that was cancelled or credited is no bill: somebody is told, and may."""

    def _get_tasks(self, handoff):
        return handoff.activity_ids.filtered(lambda task: task.user_id == self.clerk)

    def test_a_cancelled_draft_without_quotation_is_made_again(self):
        deal = self._create_deal(expected_revenue=900.0)
        handoff = self._win_and_process(deal)
        handoff.move_ids.with_user(self.clerk).button_cancel()
        self.assertEqual(handoff.state, "blocked")
        self.assertEqual(len(self._get_tasks(handoff)), 1)

        handoff.with_user(self.clerk).action_process()

        self.assertEqual(handoff.move_ids._filtered_standing().amount_untaxed, 900.0)
        self.assertFalse(self._get_tasks(handoff), "the task is done")

    def test_a_cancelled_order_leaves_a_task_and_the_next_one_is_billed(self):
        deal = self._create_deal()
        order = self._create_quotation(deal)
        handoff = self._win_and_process(deal)
        order._action_cancel()
        self.assertEqual(handoff.state, "blocked")
        self.assertEqual(len(self._get_tasks(handoff)), 1)

        other = self._create_quotation(deal, price=300.0)
        handoff.with_user(self.clerk).action_process()

        self.assertEqual(handoff.move_ids._filtered_standing().amount_untaxed, 300.0)
        self.assertEqual(handoff.order_id, other)

    def test_a_cancelled_draft_does_not_keep_a_deal_billed(self):
        deal = self._create_deal()
        self._create_quotation(deal)
        handoff = self._win_and_process(deal)
        handoff.move_ids.button_cancel()
        deal.with_user(self.seller).stage_id = self.open_stage
        self.env.flush_all()
        self.assertEqual(handoff.state, "cancelled")
        self._win_and_process(deal)
        self.assertEqual(deal.billing_state, "draft")

    def test_unwon_credited_won_again_is_billed_again(self):
        deal = self._create_deal()
        self._create_quotation(deal)
        handoff = self._win_and_process(deal)
        invoice = handoff.move_ids
        invoice.action_post()
        deal.with_user(self.seller).stage_id = self.open_stage
        self.env.flush_all()
        invoice._reverse_moves(cancel=True)

        self._win_and_process(deal)

        self.assertEqual(deal.billing_handoff_id, handoff)
        self.assertEqual(handoff.move_ids._filtered_standing().amount_untaxed, 100.0)

    def test_a_credited_deal_that_stays_won_is_not_billed_again(self):
        deal = self._create_deal()
        self._create_quotation(deal)
        invoice = self._win_and_process(deal).move_ids
        invoice.action_post()
        invoice._reverse_moves(cancel=True)
        deal.with_user(self.seller).action_hand_off()
        self._run_job()
        self.assertEqual(deal.billing_state, "credited")
        self.assertEqual(len(deal.billing_move_ids), 2)
