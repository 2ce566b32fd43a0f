from odoo import api, fields, models
from odoo.tools import float_compare

from .product_template import BILLING_METHODS, METHOD_HELP, RECURRING_METHODS


class SaleOrderLine(models.Model):
    """A line of a quotation: how it is billed, and whether an agreement bills it.

    What an agreement has taken over is never invoiceable from the order again (B2).
    """

    _inherit = "sale.order.line"

    billing_method = fields.Selection(
        BILLING_METHODS,
        compute="_compute_billing_method",
        store=True,
        readonly=False,
        precompute=True,
        help=METHOD_HELP,
    )
    billing_plan_id = fields.Many2one(
        "crm.billing.plan",
        compute="_compute_billing_method",
        store=True,
        readonly=False,
        precompute=True,
        check_company=True,
        ondelete="restrict",
        index="btree_not_null",
        help="How often it is billed; the price is for one such period. Empty: the "
        "cycle of the account, else the company's.",
    )
    billing_meter_id = fields.Many2one(
        "crm.billing.meter",
        compute="_compute_billing_method",
        store=True,
        readonly=False,
        precompute=True,
        check_company=True,
        ondelete="restrict",
        index="btree_not_null",
        help="What measures the usage that is billed, at the price of this line.",
    )
    billing_start_date = fields.Date(
        help="First day of service of this line. Empty: the start of the agreement."
    )
    billing_line_ids = fields.One2many(
        "crm.billing.agreement.line",
        "sale_line_id",
        string="Agreement Lines",
        readonly=True,
        copy=False,
    )
    is_billing_taken_over = fields.Boolean(
        string="Billed by an Agreement",
        compute="_compute_is_billing_taken_over",
        store=True,
        precompute=True,
        copy=False,
        help="The order leaves this line to an agreement, for good.",
    )

    # === COMPUTE METHODS === #

    @api.depends("product_id")
    def _compute_billing_method(self):
        for line in self:
            product = line.product_id.with_company(line.company_id)
            line.billing_method = product.billing_method
            line.billing_plan_id = product.billing_plan_id
            line.billing_meter_id = product.billing_meter_id

    @api.depends("billing_line_ids.agreement_id.state")
    def _compute_is_billing_taken_over(self):
        for line in self:
            # Cancelled after it has billed, it has still billed these lines.
            line.is_billing_taken_over = any(
                agreement.state != "cancelled" or agreement.period_ids
                for agreement in line.billing_line_ids.agreement_id
            )

    @api.depends("is_billing_taken_over")
    def _compute_qty_to_invoice(self):
        """Override of `sale`: the order leaves to the agreement what it bills."""
        result = super()._compute_qty_to_invoice()
        self._filtered_taken_over().qty_to_invoice = 0
        return result

    @api.depends("is_billing_taken_over")
    def _compute_invoice_status(self):
        """Override of `sale`: what an agreement bills is no upselling either."""
        result = super()._compute_invoice_status()
        for line in self._filtered_taken_over():
            if line.invoice_status in ("upselling", "to invoice"):
                line.invoice_status = "no"
        return result

    @api.depends("is_billing_taken_over")
    def _compute_untaxed_amount_to_invoice(self):
        """Override of `sale`: nothing is left to invoice of what an agreement bills."""
        result = super()._compute_untaxed_amount_to_invoice()
        self._filtered_taken_over().untaxed_amount_to_invoice = 0
        return result

    @api.depends("is_billing_taken_over")
    def _compute_amount_to_invoice(self):
        """Override of `sale`: nothing is left to invoice of what an agreement bills."""
        result = super()._compute_amount_to_invoice()
        self._filtered_taken_over().amount_to_invoice = 0
        return result

    # === BUSINESS METHODS === #

    def _filtered_taken_over(self):
        """Return the lines that an agreement bills, or has billed."""
        return self.filtered("is_billing_taken_over")

    def _filtered_for_agreement(self):
        """Return the lines that only an agreement can bill."""
        return self.filtered(
            lambda line: line.billing_method in (*RECURRING_METHODS, "milestone")
        )

    def _get_billing_plan(self):
        """Return the cadence: of the line, else of the account, else of the company."""
        self.ensure_one()
        account = self.order_id.partner_id.commercial_partner_id
        return (
            self.billing_plan_id
            or self.product_id.billing_plan_id
            or account.billing_plan_id
            or self.company_id.billing_plan_id
        )

    def _get_quantity_left(self):
        """Return the quantity that no invoice of the order has billed yet."""
        self.ensure_one()
        left = self.product_uom_qty - self.qty_invoiced
        rounding = self.product_uom_id.rounding or 0.01
        return left if float_compare(left, 0, precision_rounding=rounding) > 0 else 0
