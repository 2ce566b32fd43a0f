from odoo import api, fields, models
from odoo.exceptions import UserError


class CrmBillingContractWizard(models.TransientModel):
    """Asks for the new total of a contract, and shows the new split beside the old."""

    _name = "crm.billing.contract.wizard"
    _description = "Change Contract"

    line_id = fields.Many2one("crm.billing.agreement.line", required=True)
    currency_id = fields.Many2one(related="line_id.currency_id")
    contract = fields.Monetary(
        string="Total Now", compute="_compute_contract", compute_sudo=False
    )
    total = fields.Monetary(
        string="New Total", compute="_compute_total", store=True, readonly=False
    )
    preview = fields.Text(
        string="New Split", compute="_compute_preview", compute_sudo=False
    )

    # === COMPUTE METHODS === #

    @api.depends("line_id")
    def _compute_contract(self):
        for wizard in self:
            line = wizard.line_id
            wizard.contract = float(line._get_contract()) if line else 0.0

    @api.depends("line_id")
    def _compute_total(self):
        for wizard in self:
            wizard.total = wizard.contract

    @api.depends("line_id", "total")
    def _compute_preview(self):
        for wizard in self:
            wizard.preview = wizard.line_id and wizard._get_preview()

    # === ACTION METHODS === #

    def action_apply(self):
        """Change the contract."""
        self.ensure_one()
        self.line_id.action_change_contract(self.total)
        return {"type": "ir.actions.act_window_close"}

    # === BUSINESS METHODS === #

    def _get_preview(self):
        """Return one row a milestone: what it bills now, and what it would."""
        line, money = self.line_id, self.currency_id
        try:
            _total, amounts, left = line._plan_contract(self.total)
        except UserError as error:
            return error.args[0]
        rows = [
            self.env._(
                "%(name)s: %(old)s → %(new)s",
                name=milestone.name,
                old=money.format(milestone.amount),
                new=money.format(float(amount)),
            )
            for milestone, amount in zip(line._get_milestones(), amounts, strict=True)
        ]
        if left:
            rows.append(
                self.env._("A new milestone: %(new)s", new=money.format(float(left)))
            )
        return "\n".join(rows)
