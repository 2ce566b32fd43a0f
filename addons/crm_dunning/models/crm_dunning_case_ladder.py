"""Where on the ladder a case goes on after a person gave it back."""

from odoo import api, fields, models
from odoo.tools import SQL


class CrmDunningCase(models.Model):
    _inherit = "crm.dunning.case"

    resumed_on = fields.Date(
        readonly=True, help="Local date on which it was given back at a step."
    )
    waiting_reason = fields.Char(
        string="Waits Because",
        readonly=True,
        help="Why the last run sent no message that was due.",
    )

    # === BUSINESS METHODS - LADDER === #

    def _resume_ladder(self, days, now):
        """Go on at the step of ``days``: it is reached today, later ones after it.

        What was recorded of this and later steps becomes void, so that they are said
        again; earlier ones are never said any more (billing rules, 9.4).

        :param days: offset of the step, in days from the due date
        :param now: instant, naive UTC
        """
        for case in self:
            payer = case.partner_id
            today = payer._get_dunning_today(case.company_id, now)
            case.write({"resume_days": days, "resumed_on": today})
        lines = self.env["crm.dunning.notice.line"].sudo()
        lines.search(
            [
                ("move_id", "in", self.move_id.ids),
                ("trigger", "=", "due"),
                ("days", ">=", days),
                ("kind", "in", ("listed", "skipped", "done")),
            ]
        )._void()

    @api.model
    def _read_delays(self, move_ids):
        """Return ``{move id: (local date, days)}`` of what was given back."""
        self.env["crm.dunning.case"].flush_model()
        rows = self.env.execute_query(
            SQL(
                "SELECT move_id, resumed_on, COALESCE(resume_days, 0)"
                "  FROM crm_dunning_case WHERE state != 'closed'"
                "   AND resumed_on IS NOT NULL AND move_id = ANY(%s)",
                list(move_ids),
            )
        )
        return {move_id: (day, days) for move_id, day, days in rows}
