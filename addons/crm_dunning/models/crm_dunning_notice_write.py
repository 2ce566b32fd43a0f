"""How rows of the ledger come to be, and what becomes of them when nothing left."""

from odoo import api, fields, models

from .crm_dunning_notice import IN_MESSAGE


class CrmDunningNotice(models.Model):
    _inherit = "crm.dunning.notice"

    # === BUSINESS METHODS - WRITING === #

    @api.model
    def _create_from_plans(self, plans, cases):
        """Create notices and their lines, all in two statements.

        :param plans: what the run decided, values and lines each
        :param cases: ``{move id: open case}``
        """
        notices = self.create([plan.values for plan in plans])
        self.env["crm.dunning.notice.line"].create(
            [
                {
                    **line,
                    "notice_id": notice.id,
                    "case_id": cases[line["move_id"]].id
                    if line["move_id"] in cases
                    else False,
                }
                for notice, plan in zip(notices, plans, strict=True)
                for line in plan.lines
            ]
        )
        self._note_step_of_cases(plans, cases)
        return notices

    @api.model
    def _note_step_of_cases(self, plans, cases):
        """Keep on each case the last step that was recorded, one write a step."""
        steps = {}
        for plan in plans:
            for line in plan.lines:
                case = cases.get(line["move_id"])
                if case and line["kind"] in ("listed", "done"):
                    step = (line["days"], line["step_id"] or False)
                    steps[case] = max(steps.get(case, step), step)
        groups = self.env["crm.dunning.case"].browse(case.id for case in steps)
        for (days, step_id), group in groups.grouped(steps.get).items():
            group.write({"stage": days, "step_id": step_id})

    @api.model
    def _record_failure(self, payer, rows, now, reason):
        """Keep why a payer could not be reminded, and ask Billing once.

        :param rows: open instalments of one company
        :param now: instant, naive UTC
        """
        company = self.env["res.company"].browse(rows[0].company_id)
        known = self.search(
            [
                ("partner_id", "=", payer.id),
                ("company_id", "=", company.id),
                ("state", "=", "failed"),
            ],
            limit=1,
        )
        values = {
            "date": payer._get_dunning_today(company, now),
            "reason": reason,
            "move_id": rows[0].move_id,
        }
        if known:
            known.write(values)
        else:
            known = self.create(
                {
                    "partner_id": payer.id,
                    "company_id": company.id,
                    "currency_id": rows[0].currency_id,
                    "kind": "record",
                    "state": "failed",
                    **values,
                }
            )
        known.move_id._ask_collections(
            self.env._("The customer could not be reminded"), reason
        )

    def _stop(self, reason):
        """Nothing leaves: its steps may be said again by the next run.

        :param reason: in words
        """
        self.write({"state": "stopped", "reason": reason})
        self.line_ids._void()

    def _mark_sent(self):
        self.write({"state": "sent", "sent_at": fields.Datetime.now()})


class CrmDunningNoticeLine(models.Model):
    _inherit = "crm.dunning.notice.line"

    def _void(self):
        """Give the steps back: what did not leave was not said."""
        recorded = self.filtered(
            lambda line: line.kind in (*IN_MESSAGE, "skipped", "done")
        )
        recorded.kind = "void"
