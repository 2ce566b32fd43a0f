"""Letters on paper: what a reminder says, as a document to print and post."""

from odoo import api, models


class CrmDunningNotice(models.Model):
    _inherit = "crm.dunning.notice"

    # === BUSINESS METHODS - LETTERS === #

    @api.model
    def _create_letters(self, cases, step, now):
        """Make one letter an account and currency, listing what the cases are about.

        :param cases: cases that reached the step of the letter
        :param now: instant, naive UTC
        """
        lines = self.env["account.move.line"]._get_open_instalments(cases.move_id.ids)
        case_by_move = {case.move_id.id: case for case in cases}
        groups = {}
        for rows in lines.values():
            for row in rows:
                if not row.is_retention:
                    key = (row.partner_id, row.company_id, row.currency_id)
                    groups.setdefault(key, []).append(row)
        letters = self.create(
            [
                {
                    "partner_id": partner_id,
                    "company_id": company_id,
                    "currency_id": currency_id,
                    "policy_id": step.policy_id.id,
                    "step_id": step.id,
                    "kind": "letter",
                    "state": "recorded",
                    "tone": step.tone,
                    "stage": step.days,
                    "date": case_by_move[rows[0].move_id]._get_today(now),
                    "move_id": rows[0].move_id,
                    "amount": float(sum(row.residual for row in rows)),
                    "lang": self.env["res.partner"].browse(partner_id).lang,
                    "subject": self.env._("Letter: %(step)s", step=step.name),
                }
                for (partner_id, company_id, currency_id), rows in groups.items()
            ]
        )
        self.env["crm.dunning.notice.line"].create(
            [
                {
                    "notice_id": letter.id,
                    "company_id": row.company_id,
                    "line_id": row.line_id,
                    "move_id": row.move_id,
                    "case_id": case_by_move[row.move_id].id,
                    "step_id": step.id,
                    "days": step.days,
                    # The step itself is in the ledger of the run already.
                    "kind": "upcoming",
                    "date": letter.date,
                    "date_due": row.due,
                    "currency_id": row.currency_id,
                    "amount": float(row.residual),
                }
                for letter, rows in zip(letters, groups.values(), strict=True)
                for row in rows
            ]
        )
        return letters

    def action_print_letter(self):
        """Print the letters, amounts as they are open now."""
        self.check_access("read")
        report = self.env.ref("crm_dunning.report_dunning_letter")
        return report.report_action(self)
