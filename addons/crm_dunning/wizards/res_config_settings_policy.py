from odoo import fields, models


class ResConfigSettings(models.TransientModel):
    _inherit = "res.config.settings"

    dunning_policy_id = fields.Many2one(
        related="company_id.dunning_policy_id", readonly=False
    )
    dunning_apply_credits = fields.Boolean(
        related="company_id.dunning_apply_credits", readonly=False
    )
