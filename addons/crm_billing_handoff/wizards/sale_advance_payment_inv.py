from odoo import models


class SaleAdvancePaymentInv(models.TransientModel):
    _inherit = "sale.advance.payment.inv"

    def _create_invoices(self, sale_orders):
        """Override of `sale` to leave down payments of handed off deals to Billing.

        A down payment does not pass `sale.order._create_invoices`, which refuses the
        rest. What an agreement bills takes no more of them: it would not deduct them.
        """
        sale_orders._check_not_handed_off()
        sale_orders._check_no_agreement()
        return super()._create_invoices(sale_orders)
