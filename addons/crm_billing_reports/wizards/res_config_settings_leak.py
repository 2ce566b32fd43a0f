from odoo import fields, models


class ResConfigSettings(models.TransientModel):
    _inherit = "res.config.settings"

    billing_leak_since = fields.Date(
        related="company_id.billing_leak_since", readonly=False
    )
    billing_leak_draft_days = fields.Integer(
        related="company_id.billing_leak_draft_days", readonly=False
    )
    billing_leak_unsent_days = fields.Integer(
        related="company_id.billing_leak_unsent_days", readonly=False
    )
    billing_forecast_months = fields.Integer(
        related="company_id.billing_forecast_months", readonly=False
    )
