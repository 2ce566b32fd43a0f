"""How rows of the ledger come to be, and what becomes of them when nothing left."""

from odoo import api, fields, models
from odoo.tools import SQL

from .bulk_insert import insert_rows
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
        names = {name for plan in plans for name in plan.values} - {"recipient_ids"}
        notices = insert_rows(
            self,
            [
                {name: plan.values.get(name, False) for name in sorted(names)}
                for plan in plans
            ],
        )
        notices._insert_recipients([plan.values.get("recipient_ids") for plan in plans])
        insert_rows(
            self.env["crm.dunning.notice.line"],
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
            ],
        )
        notices.invalidate_recordset(["line_ids", "recipient_ids"])
        return notices

    def _insert_recipients(self, ids_list):
        """Link the people of each notice, in one statement."""
        field = self._fields["recipient_ids"]
        pairs = [
            (notice.id, partner_id)
            for notice, ids in zip(self, ids_list, strict=True)
            for partner_id in ids or ()
        ]
        if pairs:
            self.env.execute_query(
                SQL(
                    "INSERT INTO %s (%s, %s) SELECT * FROM unnest(%s, %s) RETURNING 1",
                    SQL.identifier(field.relation),
                    SQL.identifier(field.column1),
                    SQL.identifier(field.column2),
                    [notice_id for notice_id, _partner_id in pairs],
                    [partner_id for _notice_id, partner_id in pairs],
                )
            )

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
