from odoo import api, fields, models

KINDS = [
    ("promise", "Promise to pay"),
    ("dispute", "Dispute"),
    ("hold", "Hold"),
    ("release", "Give back to automation"),
]


class CrmDunningCaseWizard(models.TransientModel):
    """Asks what an action on a case needs, and calls the action with it."""

    _name = "crm.dunning.case.wizard"
    _description = "Work a Case"

    kind = fields.Selection(KINDS, required=True, readonly=True)
    case_ids = fields.Many2many("crm.dunning.case", string="Cases", required=True)
    currency_id = fields.Many2one("res.currency", compute="_compute_terms")
    date = fields.Date(default=fields.Date.context_today)
    is_partial = fields.Boolean(string="Only a Part")
    amount = fields.Monetary(compute="_compute_amount", store=True, readonly=False)
    note = fields.Text()
    policy_id = fields.Many2one("crm.dunning.policy", compute="_compute_terms")
    step_id = fields.Many2one(
        "crm.dunning.step",
        domain="[('policy_id', '=', policy_id), ('trigger', '=', 'due')]",
        compute="_compute_step_id",
        store=True,
        readonly=False,
        help="It goes out next; earlier steps are not sent any more.",
    )

    @api.depends("case_ids")
    def _compute_terms(self):
        for wizard in self:
            cases = wizard.case_ids._origin
            wizard.currency_id = cases.currency_id[:1]
            wizard.policy_id = cases.policy_id[:1]

    @api.depends("case_ids")
    def _compute_amount(self):
        for wizard in self:
            cases = wizard.case_ids._origin
            wizard.amount = cases.amount_residual if len(cases) == 1 else 0.0

    @api.depends("case_ids")
    def _compute_step_id(self):
        """Propose the step that comes after the last one that was said."""
        for wizard in self:
            cases = wizard.case_ids._origin
            steps = (
                cases.policy_id[:1]
                .step_ids.filtered(lambda step: step.trigger == "due")
                .sorted("days")
            )
            last = max(cases.mapped("stage"), default=0)
            later = steps.filtered(lambda step, last=last: step.days > last)
            mails = steps.filtered(lambda step: step.action == "mail")
            wizard.step_id = later[:1] or mails[-1:] or steps[-1:]

    def action_apply(self):
        """Do what was asked, with the rights of whoever asks."""
        self.ensure_one()
        cases = self.case_ids
        if self.kind == "promise":
            amount = self.amount if self.is_partial and len(cases) == 1 else None
            cases.action_promise(self.date, amount)
        elif self.kind == "dispute":
            cases.action_dispute(self.note)
        elif self.kind == "hold":
            cases.action_hold(self.date)
        else:
            cases.action_release(self.step_id.days)
        return {"type": "ir.actions.act_window_close"}


class CrmDunningCase(models.Model):
    _inherit = "crm.dunning.case"

    def _ask(self, kind):
        """Return the dialog that asks for what an action needs."""
        return {
            "type": "ir.actions.act_window",
            "name": dict(
                self.env["crm.dunning.case.wizard"]
                ._fields["kind"]
                ._description_selection(self.env)
            )[kind],
            "res_model": "crm.dunning.case.wizard",
            "view_mode": "form",
            "target": "new",
            "context": {"default_kind": kind, "default_case_ids": self.ids},
        }
