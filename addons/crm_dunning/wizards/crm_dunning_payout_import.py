from odoo import fields, models
from odoo.exceptions import UserError
from odoo.tools import groupby

from odoo.addons.crm_billing_handoff.billing_rules.usage_table import (
    BadTable,
    decode,
    find_separator,
    read_text,
)
from odoo.addons.crm_billing_handoff.models.uploaded import read_upload

from ..dunning_rules import payout_file

SHOWN_ERRORS = 30


class CrmDunningPayoutImport(models.TransientModel):
    """Read payouts from a file: all of it or, with an error for each bad row, nothing.

    The same file again changes nothing: payouts and movements are known by their ids.
    """

    _name = "crm.dunning.payout.import"
    _description = "Import Payouts"

    company_id = fields.Many2one(
        "res.company", required=True, default=lambda self: self.env.company
    )
    file = fields.Binary(attachment=False, required=True)
    file_name = fields.Char()
    decimal_sign = fields.Selection(
        [(".", "Point: 1234.50"), (",", "Comma: 1234,50")], default=".", required=True
    )

    # === ACTION METHODS === #

    def action_import(self):
        """Store the payouts of the file and match them with our payments.

        :return: the action that shows the payouts
        :raise UserError: it is no such table, or rows of it are wrong
        """
        self.ensure_one()
        payouts = self.env["crm.dunning.payout"]
        payouts._check_accountant()
        if self.company_id not in self.env.user.company_ids:
            raise UserError(self.env._("Choose one of your own companies."))
        movements = self._read()
        found = payouts.browse()
        movements = sorted(movements, key=lambda row: (row.payout, row.movement))
        for payout_ref, group in groupby(movements, key=lambda row: row.payout):
            found |= self._store(payout_ref, group)
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "crm_dunning.crm_dunning_payout_action"
        )
        action["domain"] = [("id", "in", found.ids)]
        return action

    # === BUSINESS METHODS - READING === #

    def _read(self):
        """Return the movements of the file.

        :raise UserError: the errors of the rows, in words
        """
        try:
            text = decode(read_upload(self))
            rows = list(read_text(text, find_separator(text)))
        except BadTable as error:
            raise UserError(
                self.env._("This is no table with a heading and separated columns.")
            ) from error
        columns = payout_file.find_columns(rows[0])
        if missing := payout_file.find_missing(columns):
            raise UserError(
                self.env._(
                    "These columns are missing: %(names)s.", names=", ".join(missing)
                )
            )
        movements, errors = payout_file.read_movements(
            rows[1:], columns, self.decimal_sign
        )
        errors += self._find_unknown_currencies(movements)
        if errors:
            raise UserError(self._explain(errors))
        if not movements:
            raise UserError(self.env._("There is no movement in this file."))
        return movements

    def _find_unknown_currencies(self, movements):
        used = {row.currency for row in movements}
        used |= {row.paid_currency for row in movements if row.paid_currency}
        known = self.env["res.currency"].with_context(active_test=False)
        names = known.search([("name", "in", list(used))]).mapped("name")
        return [
            payout_file.RowError(0, "currency", "currency", name)
            for name in sorted(used - set(names))
        ]

    def _explain(self, errors):
        """Return one line for each error, the first ones of many."""
        reasons = {
            "empty": self.env._("is empty"),
            "date": self.env._("is no date such as 2026-11-30"),
            "amount": self.env._("is no amount"),
            "sum": self.env._("is not gross less fee"),
            "twice": self.env._("stands in the file twice"),
            "mixed": self.env._("differs within one payout"),
            "currency": self.env._("is no currency that Odoo knows"),
        }
        lines = [
            self.env._(
                "Row %(row)s, %(column)s: “%(value)s” %(reason)s.",
                row=error.row or "-",
                column=payout_file.HEADINGS[error.column][0],
                value=error.value,
                reason=reasons[error.reason],
            )
            for error in errors[:SHOWN_ERRORS]
        ]
        if len(errors) > SHOWN_ERRORS:
            more = len(errors) - SHOWN_ERRORS
            lines.append(self.env._("… and %(count)s more.", count=more))
        return self.env._("Nothing was imported.") + "\n" + "\n".join(lines)

    # === BUSINESS METHODS - STORING === #

    def _store(self, payout_ref, rows):
        """Store one payout, or the movements that it does not have yet."""
        # Accountants read payouts; a file of theirs is taken over by the flow.
        payouts = self.env["crm.dunning.payout"].sudo()
        payout = payouts.search(
            [
                ("company_id", "=", self.company_id.id),
                ("payout_ref", "=", payout_ref),
            ],
            limit=1,
        ) or payouts.create(self._prepare_payout(payout_ref, rows))
        if payout.currency_id.name != rows[0].currency:
            raise UserError(
                self.env._(
                    "%(payout)s is known in %(currency)s, the file says %(other)s.",
                    payout=payout_ref,
                    currency=payout.currency_id.name,
                    other=rows[0].currency,
                )
            )
        self._store_lines(payout, rows)
        return payout.sudo(False)

    def _store_lines(self, payout, rows):
        known = set(payout.line_ids.mapped("movement_ref"))
        new = [row for row in rows if row.movement not in known]
        if new and payout.entry_state == "posted":
            raise UserError(
                self.env._(
                    "%(payout)s is booked: its entry is posted. Reset it to draft "
                    "before adding movements.",
                    payout=payout.payout_ref,
                )
            )
        lines = payout.line_ids.create([self._prepare_line(payout, row) for row in new])
        if new and payout.source == "file":
            payout.amount = sum(payout.line_ids.mapped("net"))
        lines._match()

    def _prepare_payout(self, payout_ref, rows):
        """Return the values of a payout; a file has no row of what was paid out."""
        return {
            "payout_ref": payout_ref,
            "company_id": self.company_id.id,
            "date": rows[0].arrival,
            "state": "paid",
            "source": "file",
            "currency_id": self._get_currency(rows[0].currency).id,
            "amount": 0.0,
        }

    def _prepare_line(self, payout, row):
        values = {
            "payout_id": payout.id,
            "movement_ref": row.movement,
            "kind": row.kind,
            "description": row.reference,
            "gross": float(row.gross),
            "fee": float(row.fee),
            "net": float(row.net),
            "source_ref": row.source or row.charge,
            "payment_ref": row.payment,
        }
        if row.paid_amount is not None and row.paid_currency not in ("", row.currency):
            sign = -1 if row.gross < 0 else 1
            values["paid_amount"] = sign * abs(float(row.paid_amount))
            values["paid_currency_id"] = self._get_currency(row.paid_currency).id
        return values

    def _get_currency(self, code):
        return self.env["crm.dunning.payout"]._find_currency(code)
