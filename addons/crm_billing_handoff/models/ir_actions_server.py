from odoo import fields, models
from odoo.exceptions import UserError

from .crm_billing_event import Cause

# Type of server action → the public method that it calls, by model.
BILLING_ACTIONS = {
    "billing_hand_off": {
        "crm.lead": "action_hand_off",
        "crm.billing.handoff": "action_process",
    },
    "billing_review": {"account.move": "action_billing_review"},
    "billing_post_and_send": {"account.move": "action_billing_post_and_send"},
    "billing_mark_done": {"crm.billing.milestone": "action_mark_done"},
    "billing_generate_invoices": {
        "crm.billing.agreement": "action_generate_invoices",
        "crm.lead": "action_generate_invoices",
    },
}


class IrActionsServer(models.Model):
    """Billing verbs as server action types, for buttons and automation rules alike."""

    _inherit = "ir.actions.server"

    state = fields.Selection(
        selection_add=[
            ("billing_hand_off", "Billing: Hand Off"),
            ("billing_review", "Billing: Mark Draft Reviewed"),
            ("billing_post_and_send", "Billing: Post and Send"),
            ("billing_mark_done", "Billing: Mark Milestone Done"),
            ("billing_generate_invoices", "Billing: Generate Invoices"),
            ("code",),
        ],
        ondelete={
            "billing_hand_off": "cascade",
            "billing_review": "cascade",
            "billing_post_and_send": "cascade",
            "billing_mark_done": "cascade",
            "billing_generate_invoices": "cascade",
        },
    )

    def run(self):
        """Override of `base` to let the audit log name the rule or job that did it."""
        result = False
        for action in self:
            cause = action._get_billing_cause()
            result = super(
                IrActionsServer, action.with_context(billing_cause=cause)
            ).run()
        return result

    def _get_billing_cause(self):
        """Return what the log names: the automation rule, the job, else the action.

        A verb of ours that a person picks from the *Actions* menu is the person's own
        act; an action inside an automation rule is the rule's.
        """
        self.ensure_one()
        action, outer = self.sudo(), Cause.of(self.env)
        if action.base_automation_id:
            return Cause("rule", action.base_automation_id.name)
        if action.usage == "ir_cron":
            return Cause("job", action.name)
        if action.state in BILLING_ACTIONS or (outer and outer.source == "rule"):
            return outer
        return Cause("rule", action.name)

    def _run_action_billing_hand_off_multi(self, eval_context=None):
        return self._call_billing_action(eval_context)

    def _run_action_billing_review_multi(self, eval_context=None):
        return self._call_billing_action(eval_context)

    def _run_action_billing_post_and_send_multi(self, eval_context=None):
        return self._call_billing_action(eval_context)

    def _run_action_billing_generate_invoices_multi(self, eval_context=None):
        return self._call_billing_action(eval_context)

    def _run_action_billing_mark_done_multi(self, eval_context=None):
        return self._call_billing_action(eval_context)

    def _call_billing_action(self, eval_context):
        """Call the verb on the records; it checks its own rights."""
        records = (eval_context or {}).get("records")
        if not records:
            return False
        method = BILLING_ACTIONS[self.state].get(records._name)
        if not method:
            raise UserError(
                self.env._(
                    "%(action)s works on %(models)s, not on %(model)s. Choose one of "
                    "them as the model of the action.",
                    action=dict(self._fields["state"]._description_selection(self.env))[
                        self.state
                    ],
                    models=", ".join(
                        self.env["ir.model"]._get(name).name
                        for name in BILLING_ACTIONS[self.state]
                    ),
                    model=self.env["ir.model"]._get(records._name).name,
                )
            )
        return getattr(records, method)() or False
