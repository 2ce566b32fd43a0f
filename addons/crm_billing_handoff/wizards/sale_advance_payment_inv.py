from odoo import models


class SaleAdvancePaymentInv(models.TransientModel):
    _inherit = "sale.advance.payment.inv"

    def _create_invoices(self, sale_orders):
        """Override of `sale` to leave down payments of handed off deals to Billing.

        A down payment does not pass `sale.order._create_invoices`, which refuses the
        rest.
        """
        sale_orders._check_not_handed_off()
        return super()._create_invoices(sale_orders)
