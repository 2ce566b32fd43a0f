from odoo import api, fields, models


class CrmBillingRetentionWizard(models.TransientModel):
    """Asks how much of a retention is released, and from which day its terms run."""

    _name = "crm.billing.retention.wizard"
    _description = "Release Retention"

    move_ids = fields.Many2many("account.move", string="Invoices", required=True)
    currency_id = fields.Many2one("res.currency", compute="_compute_retained")
    retained = fields.Monetary(compute="_compute_retained")
    amount = fields.Monetary(compute="_compute_amount", store=True, readonly=False)
    date = fields.Date(
        string="Release Date", required=True, default=fields.Date.context_today
    )

    @api.depends("move_ids")
    def _compute_retained(self):
        for wizard in self:
            moves = wizard.move_ids._origin.filtered(
                lambda move: move.state == "posted"
            )
            wizard.currency_id = moves.currency_id[:1]
            wizard.retained = sum(moves.mapped("billing_retention_open"))

    @api.depends("move_ids")
    def _compute_amount(self):
        for wizard in self:
            wizard.amount = wizard.retained

    def action_release(self):
        """Release the amount, oldest invoice first."""
        self.ensure_one()
        self.move_ids.action_release_retention(amount=self.amount, date=self.date)
        return {"type": "ir.actions.act_window_close"}
