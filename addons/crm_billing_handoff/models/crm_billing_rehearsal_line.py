from odoo import api, fields, models


class CrmBillingRehearsalLine(models.Model):
    """What a rehearsal expects to bill: one ledger row that is not written."""

    _name = "crm.billing.rehearsal.line"
    _description = "Rehearsed Billing"
    _order = "billing_date, agreement_id, id"
    _rec_name = "agreement_id"

    rehearsal_id = fields.Many2one(
        "crm.billing.rehearsal", required=True, index=True, ondelete="cascade"
    )
    company_id = fields.Many2one(
        related="rehearsal_id.company_id", store=True, precompute=True, index=True
    )
    company_currency_id = fields.Many2one(
        related="company_id.currency_id", string="Company Currency"
    )
    agreement_id = fields.Many2one(
        "crm.billing.agreement", required=True, index=True, ondelete="cascade"
    )
    partner_id = fields.Many2one(
        related="agreement_id.partner_id",
        string="Account",
        store=True,
        precompute=True,
    )
    user_id = fields.Many2one(
        related="agreement_id.user_id", store=True, precompute=True
    )
    line_id = fields.Many2one(
        "crm.billing.agreement.line", index="btree_not_null", ondelete="cascade"
    )
    chain_id = fields.Many2one(
        "crm.billing.agreement.line",
        string="First Line",
        help="The line that all its replacements go back to.",
        index="btree_not_null",
        ondelete="cascade",
    )
    product_id = fields.Many2one(
        related="line_id.product_id", store=True, precompute=True
    )
    kind = fields.Selection("_get_kinds")
    billing_date = fields.Date(string="Billed On", required=True)
    date_from = fields.Date(string="First Day")
    date_to = fields.Date(help="The first day that is not covered.")
    price = fields.Float(digits=(16, 6), aggregator=None)
    quantity = fields.Float(digits=(16, 6), aggregator=None)
    discount = fields.Float(digits=(16, 6), aggregator=None)
    factor = fields.Char(string="Share")
    currency_id = fields.Many2one(related="agreement_id.currency_id")
    amount = fields.Monetary(aggregator=None)
    amount_company = fields.Monetary(
        string="Before Tax", currency_field="company_currency_id"
    )
    error = fields.Char(string="Cannot Be Billed")

    @api.model
    def _get_kinds(self):
        return (
            self.env["crm.billing.period"]
            ._fields["kind"]
            ._description_selection(self.env)
        )


class CrmBillingAgreementLine(models.Model):
    _inherit = "crm.billing.agreement.line"

    def _get_first_of_chain(self):
        """Return the line that this one goes back to, through all replacements."""
        self.ensure_one()
        first = self
        while first.predecessor_id and first.predecessor_id != self:
            first = first.predecessor_id
        return first
