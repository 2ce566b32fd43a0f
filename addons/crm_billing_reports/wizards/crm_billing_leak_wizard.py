from odoo import api, fields, models


class CrmBillingLeakWizard(models.TransientModel):
    """Asks why leaks are accepted."""

    _name = "crm.billing.leak.wizard"
    _description = "Waive Leaks"

    leak_ids = fields.Many2many(
        "crm.billing.leak.report", string="Leaks", required=True
    )
    reason = fields.Char(required=True)
    summary = fields.Char(compute="_compute_summary")

    @api.depends("leak_ids")
    def _compute_summary(self):
        for wizard in self:
            totals = wizard.leak_ids.grouped("company_currency_id")
            wizard.summary = ", ".join(
                currency.format(sum(leaks.mapped("amount")))
                for currency, leaks in totals.items()
            )

    def action_confirm(self):
        """Waive the leaks with the reason."""
        self.leak_ids.waive(self.reason)
        return {"type": "ir.actions.act_window_close"}
