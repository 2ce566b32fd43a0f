from odoo import fields, models

from odoo.addons.crm_billing_handoff.models import ir_actions_server

# Type of server action → the public method that it calls, by model.
ir_actions_server.BILLING_ACTIONS.update(
    {
        "dunning_start": {"account.move": "action_start_dunning"},
        "dunning_take_over": {"crm.dunning.case": "action_take_over"},
        "dunning_retry": {"crm.dunning.case": "action_retry"},
    }
)


class IrActionsServer(models.Model):
    """Verbs of collections as server action types, for automation rules, too."""

    _inherit = "ir.actions.server"

    state = fields.Selection(
        selection_add=[
            ("dunning_start", "Collections: Start Dunning"),
            ("dunning_take_over", "Collections: Take Over"),
            ("dunning_retry", "Collections: Retry Now"),
            ("code",),
        ],
        ondelete={
            "dunning_start": "cascade",
            "dunning_take_over": "cascade",
            "dunning_retry": "cascade",
        },
    )

    def _run_action_dunning_start_multi(self, eval_context=None):
        return self._call_billing_action(eval_context)

    def _run_action_dunning_take_over_multi(self, eval_context=None):
        return self._call_billing_action(eval_context)

    def _run_action_dunning_retry_multi(self, eval_context=None):
        return self._call_billing_action(eval_context)
