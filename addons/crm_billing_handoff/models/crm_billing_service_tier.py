from odoo import fields, models


class CrmBillingServiceTier(models.Model):
    """The level of service that an account pays for."""

    _name = "crm.billing.service.tier"
    _description = "Service Tier"
    _order = "sequence, id"
    _check_company_auto = True

    name = fields.Char(required=True, translate=True)
    sequence = fields.Integer(default=10)
    active = fields.Boolean(default=True)
    company_id = fields.Many2one("res.company")
    note = fields.Text(translate=True)
