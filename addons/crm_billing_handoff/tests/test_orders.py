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
