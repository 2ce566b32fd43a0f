from odoo import fields, models


class CrmDunningThreshold(models.Model):
    """The overdue amount below which an account is not reminded, per currency."""

    _name = "crm.dunning.threshold"
    _description = "Collections Threshold"

    policy_id = fields.Many2one(
        "crm.dunning.policy", required=True, ondelete="cascade", index=True
    )
    company_id = fields.Many2one(related="policy_id.company_id", store=True)
    currency_id = fields.Many2one("res.currency", required=True)
    amount = fields.Monetary(required=True)

    _currency_uniq = models.UniqueIndex(
        "(policy_id, currency_id)", "One threshold per currency is enough."
    )
    _amount_positive = models.Constraint(
        "CHECK(amount >= 0)", "A threshold cannot be negative."
    )
