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


class AccountMoveLine(models.Model):
    _inherit = "account.move.line"

    def write(self, vals):
        """Override of `account` to begin anew where more time was given."""
        before = {}
        if "date_maturity" in vals:
            before = {line: line.date_maturity for line in self if line.date_maturity}
        result = super().write(vals)
        later = [line.id for line, due in before.items() if line._is_due_after(due)]
        if later:
            self.browse(later)._give_steps_back(fields.Datetime.now())
        return result

    def _is_due_after(self, day):
        return bool(self.date_maturity) and self.date_maturity > day

    def _give_steps_back(self, now):
        """Let steps that lie ahead again be said again.

        :param now: instant, naive UTC
        """
        # Who moves a due date may not write the ledger of messages.
        lines = self.env["crm.dunning.notice.line"].sudo()
        said = lines.search(
            [
                ("line_id", "in", self.ids),
                ("trigger", "=", "due"),
                ("kind", "in", ("listed", "skipped", "done")),
            ]
        )
        for line, rows in said.grouped("line_id").items():
            payer = line.move_id.commercial_partner_id
            today = payer._get_dunning_today(line.company_id, now)
            late = (today - line.date_maturity).days
            rows.filtered(lambda row, late=late: row.days > late)._void()
