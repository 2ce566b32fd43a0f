from odoo import fields, models


class ResConfigSettings(models.TransientModel):
    _inherit = "res.config.settings"

    billing_exception_budget = fields.Float(
        related="company_id.billing_exception_budget", readonly=False
    )
