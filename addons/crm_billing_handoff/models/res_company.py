from odoo import api, fields, models

from odoo.addons.base.models.res_partner import _tz_get

from .crm_billing_plan import BASES, PRORATION_TIMINGS


class ResCompany(models.Model):
    """Billing defaults of a company."""

    _inherit = "res.company"

    billing_tz = fields.Selection(
        _tz_get,
        string="Billing Time Zone",
        help="Decides the billing day of accounts that have no zone of their own; "
        "empty means UTC.",
    )
    billing_confirm_quotation = fields.Boolean(
        string="Confirm the open quotation of a won deal",
        default=True,
        help="If a won deal has exactly one open quotation and no order, the handoff "
        "confirms it. Otherwise the handoff waits until somebody does.",
    )
    billing_refuse_win = fields.Boolean(
        string="Refuse winning while billing data is missing",
        help="By default winning never fails: the handoff waits and says why.",
    )
    billing_review_required = fields.Boolean(
        string="Drafts of deals need a review before posting",
        help="Drafts that differ from quotation or account always need one.",
    )
    billing_discount_limit = fields.Float(
        string="Discount Limit (%)",
        help="A line with a higher discount is pointed out in the review; 0 for none.",
    )
    billing_bulk_win_limit = fields.Integer(
        default=200,
        string="Hold Wins in Bulk Above",
        help="If one action wins more deals than this (an import, a stage that becomes "
        "a won stage), their handoffs wait for a person to release them; 0 for never.",
    )
    billing_proration_basis = fields.Selection(
        BASES,
        string="Parts of a Period",
        default="day",
        required=True,
        help="How a part of a billing period is measured, unless the plan says else.",
    )
    billing_proration_timing = fields.Selection(
        PRORATION_TIMINGS,
        string="Changes Are Billed",
        default="next",
        required=True,
        help="When credit and charge of a change in mid-period are invoiced, unless "
        "the plan says else.",
    )
    billing_catch_up_limit = fields.Integer(
        string="Confirm Catching up Above",
        default=12,
        help="If more periods of an agreement are due at once, nothing is billed "
        "before a person confirms it; 0 for no limit.",
    )
    billing_consolidate = fields.Boolean(
        string="One Invoice per Account and Day",
        default=True,
        help="Agreements with the same payer, terms, currency, PO and billing date "
        "share an invoice, one section each.",
    )
    billing_responsible_id = fields.Many2one(
        "res.users",
        domain="[('share', '=', False), ('company_ids', 'in', id)]",
        help="Gets the tasks that only Billing can solve.",
    )
    billing_product_id = fields.Many2one(
        "product.product",
        string="Product for Deals without Quotation",
        check_company=True,
        default=lambda self: self._default_billing_product(),
    )
    billing_recurring_product_id = fields.Many2one(
        "product.product",
        string="Product for Recurring Revenue without Quotation",
        check_company=True,
        default=lambda self: self._default_billing_product(),
    )

    @api.model
    def _default_billing_product(self):
        return self.env.ref(
            "crm_billing_handoff.product_product_deal", raise_if_not_found=False
        )

    def _get_billing_responsible(self):
        """Return who gets the billing tasks: the named person, or a manager."""
        self.ensure_one()
        if self.billing_responsible_id.active:
            return self.billing_responsible_id
        managers = self.env.ref("crm_billing_handoff.group_billing_manager").sudo()
        candidates = managers.all_user_ids.filtered(
            lambda user: user.active and not user.share and self in user.company_ids
        )
        return candidates.sorted("id", reverse=True)[:1] or self.env.user
