from odoo import fields, models


class CrmDunningOrderWizard(models.TransientModel):
    """Asks why orders of an account that owes are allowed."""

    _name = "crm.dunning.order.wizard"
    _description = "Allow Orders Although Overdue"

    order_ids = fields.Many2many("sale.order", string="Quotations", required=True)
    reason = fields.Char(required=True)

    def action_apply(self):
        """Allow them, with the rights of whoever asks."""
        self.ensure_one()
        self.order_ids.action_allow_overdue(self.reason)
        return {"type": "ir.actions.act_window_close"}
