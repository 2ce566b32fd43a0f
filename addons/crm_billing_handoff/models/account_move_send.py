from odoo import api, models

from .crm_billing_handoff import ACTIVITY_BILLING


class AccountMoveSend(models.AbstractModel):
    """Sending: an invoice that did not leave is a task, one that left is logged."""

    _inherit = "account.move.send"

    @api.model
    def _hook_if_errors(self, moves_data, allow_raising=True):
        """Override of `account` to ask Billing when an invoice did not leave."""
        result = super()._hook_if_errors(moves_data, allow_raising=allow_raising)
        self._log_not_sent(
            {
                move: self._format_error_text(move_data["error"])
                for move, move_data in moves_data.items()
                if move.is_billing_review
            }
        )
        return result

    @api.model
    def _log_not_sent(self, reason_by_move):
        for move, reason in reason_by_move.items():
            move.activity_schedule(
                ACTIVITY_BILLING,
                summary=self.env._("Invoice not sent"),
                note=reason,
                user_id=move.company_id._get_billing_responsible().id,
            )
        self.env["crm.billing.event"]._log(
            [
                {**move._prepare_billing_event("not_sent"), "note": reason}
                for move, reason in reason_by_move.items()
            ]
        )

    @api.model
    def _hook_if_success(self, moves_data, from_cron=False):
        """Override of `account` to log what left, and to whom."""
        result = super()._hook_if_success(moves_data, from_cron=from_cron)
        self.env["crm.billing.event"]._log(
            [
                {
                    **move._prepare_billing_event("sent"),
                    "note": move.partner_id.display_name,
                }
                for move in moves_data
                if move.is_billing_review
            ]
        )
        return result
