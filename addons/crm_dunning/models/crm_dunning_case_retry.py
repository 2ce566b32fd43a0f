"""“Retry now”, and who may charge the invoice of a case in this moment."""

from odoo import api, fields, models
from odoo.exceptions import UserError

from .account_move_charge import COLLECTORS

INLINE = 3  # charges that a click waits for; the job sends the others


class CrmDunningCase(models.Model):
    _inherit = "crm.dunning.case"

    collector = fields.Selection(
        COLLECTORS,
        string="May Charge Now",
        compute="_compute_collector",
        help="Who may charge the invoice in this moment; empty: everybody.",
    )
    collector_until = fields.Datetime(
        string="May Charge Until", compute="_compute_collector"
    )

    # === COMPUTE METHODS === #

    @api.depends("move_id.dunning_collector_until", "move_id.dunning_attempt_ids.state")
    def _compute_collector(self):
        now = fields.Datetime.now()
        for case in self:
            # The lease is in the invoice, which a salesperson may not read.
            who, until = case.sudo().move_id._get_collector(now)
            case.collector = who
            case.collector_until = until

    # === ACTION METHODS === #

    def action_retry(self):
        """Charge what is due of these invoices now, by the saved method.

        For a button, RPC, server actions and automation rules alike. Limits, declines
        for good and the pre-flight hold as for the job; only the hours of the policy,
        and that a person has the case, do not. Nothing is sent before the caller's
        transaction is committed; clicked twice, it is charged once.

        :raise AccessError: the user is no billing clerk
        :raise UserError: one case was chosen and cannot be charged now, or none can
        """
        self._check_can_work()
        self._check_open()
        now = fields.Datetime.now()
        moves = self.sudo().move_id  # what is charged is checked by the flow
        attempts = self.env["crm.dunning.attempt"]._start(moves, "person", now)
        if not attempts:
            raise UserError(self._explain_no_retry(moves, now))
        cases = self.sudo().filtered(lambda case: case.move_id in attempts.move_id)
        cases._log_events("charge_asked")
        attempts[INLINE:].checked_at = False
        attempts._trigger_job("reconcile")
        attempts[:INLINE]._send_after_commit()
        return {"type": "ir.actions.client", "tag": "soft_reload"}

    def _explain_no_retry(self, moves, now):
        """Return, an invoice a line, why nothing can be charged."""
        attempts = self.env["crm.dunning.attempt"].sudo()
        found = attempts._get_obstacles(moves, "person", now)
        other = self.env._("somebody else works on it in this moment; try again")
        lines = [
            self.env._(
                "%(invoice)s: %(reason)s.",
                invoice=move.display_name,
                reason=found.get(move, other),
            )
            for move in moves
        ]
        return "\n".join([self.env._("Nothing was charged."), *lines])
