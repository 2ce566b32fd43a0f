from odoo import fields, models


class CrmDunningFeeWizard(models.TransientModel):
    """Asks why late fees and interest are waived."""

    _name = "crm.dunning.fee.wizard"
    _description = "Waive Fees and Interest"

    fee_ids = fields.Many2many("crm.dunning.fee", string="Waived", required=True)
    reason = fields.Char(required=True)

    def action_apply(self):
        """Waive them, with the rights of whoever asks."""
        self.ensure_one()
        self.fee_ids.action_waive(self.reason)
        return {"type": "ir.actions.act_window_close"}


class ResConfigSettings(models.TransientModel):
    _inherit = "res.config.settings"

    dunning_fee_product_id = fields.Many2one(
        related="company_id.dunning_fee_product_id", readonly=False
    )
    dunning_interest_product_id = fields.Many2one(
        related="company_id.dunning_interest_product_id", readonly=False
    )
