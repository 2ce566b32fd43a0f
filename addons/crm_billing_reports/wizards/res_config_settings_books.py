from odoo import fields, models


class ResConfigSettings(models.TransientModel):
    _inherit = "res.config.settings"

    billing_books = fields.Selection(related="company_id.billing_books", readonly=False)
    billing_system_id = fields.Many2one(
        related="company_id.billing_system_id", readonly=False
    )
