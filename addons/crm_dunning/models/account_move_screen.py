from odoo import api, fields, models
from odoo.tools import format_datetime

from .crm_dunning_case import CASE_STATES


class AccountMove(models.Model):
    """What an invoice shows of its case."""

    _inherit = "account.move"

    dunning_state = fields.Selection(
        CASE_STATES, string="Collections", compute="_compute_dunning_state"
    )
    dunning_note = fields.Char(compute="_compute_dunning_state")

    @api.depends(
        "dunning_case_ids.state",
        "dunning_case_ids.next_action",
        "dunning_case_ids.next_action_at",
    )
    @api.depends_context("uid", "lang", "tz")
    def _compute_dunning_state(self):
        """Show the live case, else the last one; who may not read it sees none."""
        for move in self:
            cases = move.sudo().dunning_case_ids.sudo(self.env.su)
            cases = cases._filtered_access("read").sorted("id")
            live = cases.filtered(lambda case: case.state != "closed")
            case = live or cases[-1:]
            move.dunning_state = case.state
            move.dunning_note = False
            if live:
                labels = dict(live._fields["state"]._description_selection(self.env))
                words = [labels[live.state], live.next_action]
                if live.next_action_at:
                    at = format_datetime(
                        self.env, live.next_action_at, dt_format="short"
                    )
                    words.append(at)
                move.dunning_note = self.env._(
                    "Collections: %(words)s",
                    words=" · ".join(word for word in words if word),
                )
