import hashlib

from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError
from odoo.fields import Command

from odoo.addons.crm_billing_handoff.billing_rules.usage_table import (
    BadTable,
    decode,
    find_separator,
)
from odoo.addons.crm_billing_handoff.models.uploaded import read_upload

from ..models.crm_billing_outside_document import KINDS
from ..report_rules.outside_file import (
    HEADINGS,
    MissingColumns,
    find_heading,
    read_documents,
    read_rows,
)

MOST_ROWS = 100_000
SHOWN_ERRORS = 200
READER = "account.group_account_invoice"


class CrmBillingBooksImport(models.TransientModel):
    """Read what the other books have: all of a list or, with an error a row, nothing.

    :meth:`action_check` shows what the list would do and writes nothing. The same list
    again changes nothing: documents are known by their id there.
    """

    _name = "crm.billing.books.import"
    _description = "Read a List of External Books"

    system_id = fields.Many2one(
        "crm.billing.system",
        string="Books",
        required=True,
        default=lambda self: self.env["crm.billing.system"]._get_default(),
    )
    company_id = fields.Many2one(related="system_id.company_id")
    file = fields.Binary(attachment=False, required=True)
    file_name = fields.Char()
    kind = fields.Selection(
        KINDS,
        string="Rows Are",
        default="invoice",
        required=True,
        help="Where no column says it. A column “Type” wins.",
    )
    date_format = fields.Selection(
        selection="_get_date_formats",
        compute="_compute_date_format",
        store=True,
        precompute=True,
        readonly=False,
        required=True,
    )
    decimal_sign = fields.Selection(
        [(".", "Point: 1,234.50"), (",", "Comma: 1.234,50")], default=".", required=True
    )
    has_documents = fields.Boolean(
        string="All Invoices and Credit Notes",
        help="The list has all of them, of the days below: what is not in it is gone.",
    )
    has_payments = fields.Boolean(string="All Payments")
    date_from = fields.Date(string="Complete From")
    date_to = fields.Date(string="Complete To")
    is_checked = fields.Boolean()
    new_count = fields.Integer(string="New", readonly=True)
    changed_count = fields.Integer(string="Changed", readonly=True)
    same_count = fields.Integer(string="Known", readonly=True)
    gone_count = fields.Integer(string="Gone", readonly=True)
    withdrawn_count = fields.Integer(
        string="Payments Withdrawn",
        readonly=True,
        help="Of those that are gone, payments that were booked here from an earlier "
        "list: they are cancelled, and their invoices are open again.",
    )
    error_count = fields.Integer(string="Errors", readonly=True)
    line_ids = fields.One2many(
        "crm.billing.books.import.line", "wizard_id", readonly=True
    )

    @api.model
    def _get_date_formats(self):
        return self.env["crm.billing.system"]._fields["date_format"].selection

    # === COMPUTE METHODS === #

    @api.depends("system_id")
    def _compute_date_format(self):
        for wizard in self:
            wizard.date_format = wizard.system_id.date_format

    @api.onchange(
        "file",
        "kind",
        "date_format",
        "decimal_sign",
        "system_id",
        "has_documents",
        "has_payments",
        "date_from",
        "date_to",
    )
    def _onchange_file(self):
        self.is_checked = False

    # === ACTION METHODS === #

    def action_check(self):
        """Show what the list would do, and what is wrong with it; write nothing."""
        self.ensure_one()
        self._check_can_import()
        documents, errors, _data = self._read()
        values = {"is_checked": True, "error_count": len(errors), "new_count": 0}
        values.update(changed_count=0, same_count=0, gone_count=0, withdrawn_count=0)
        if not errors:
            rows = self.env["crm.billing.outside.document"]
            new, changed, same, older = rows._sort_list(self.system_id, documents)
            errors = self._describe_older(documents, older)
            gone = self._find_gone(documents)
            values.update(
                new_count=len(new),
                changed_count=len(changed),
                same_count=len(same),
                gone_count=len(gone),
                withdrawn_count=len(gone.filtered("is_taken_over")),
                error_count=len(errors),
            )
        values["line_ids"] = [
            Command.clear(),
            *(Command.create(vals) for vals in self._prepare_lines(errors)),
        ]
        self.write(values)
        return self._reopen()

    def action_import(self):
        """Take the list over, match it, and book payments where books are elsewhere.

        :raise UserError: rows are wrong: nothing was taken over
        """
        self.ensure_one()
        self._check_can_import()
        documents, errors, data = self._read()
        # Rows of other books are the flow's; the rights of the user were checked.
        flow = self.env["crm.billing.outside.document"].sudo()
        if not errors:
            *_sorted, older = flow._sort_list(self.system_id, documents)
            errors = self._describe_older(documents, older)
        if errors:
            raise UserError(self._explain(errors))
        if not documents:
            raise UserError(self.env._("There is no document in this list."))
        self._find_gone(documents)
        record = self._create_record(data)
        now = fields.Datetime.now()
        touched = flow._read_list(self.system_id, documents, record, now)
        (touched | record._get_unmatched())._match(now)
        if self.system_id._has_our_books():
            record._get_bookable(touched).sudo(False)._take_over()
        self._log_import(record)
        return self._show(record)

    # === BUSINESS METHODS === #

    def _check_can_import(self):
        if not self.env.user.has_group(READER):
            raise AccessError(
                self.env._("Lists of other books are read by billing and accountants.")
            )
        if self.company_id not in self.env.user.company_ids:
            raise AccessError(self.env._("Choose books of one of your own companies."))
        if (self.has_documents or self.has_payments) and not (
            self.date_from and self.date_to and self.date_from <= self.date_to
        ):
            raise UserError(
                self.env._("Say from which to which day this list is complete.")
            )

    def _find_gone(self, documents):
        """Return what is known and not in this complete list.

        :raise UserError: the list has nothing at all of what it is said to be complete
            of: the wrong file, or a box too many
        """
        gone = self.env["crm.billing.outside.document"]._find_gone(
            self.system_id, documents, self
        )
        listed = {one.kind for one in documents}
        payments = gone.filtered(lambda row: row.kind == "payment")
        if payments and "payment" not in listed:
            raise UserError(
                self.env._(
                    "This list has no payment at all, and %(count)s payments of these "
                    "days are known: they would all be withdrawn. Untick “All "
                    "Payments”, or choose the list that has them.",
                    count=len(payments),
                )
            )
        if gone - payments and not listed & {"invoice", "credit"}:
            raise UserError(
                self.env._(
                    "This list has no invoice and no credit note at all, and "
                    "%(count)s of these days are known: they would all be gone. "
                    "Untick “All Invoices and Credit Notes”, or choose the list that "
                    "has them.",
                    count=len(gone - payments),
                )
            )
        return gone

    def _read(self):
        """Return documents, errors and the bytes of the file.

        :raise UserError: it is no table, or lacks columns
        """
        data = read_upload(self)
        rows = self._read_rows(data)
        try:
            place, columns = find_heading(rows)
        except MissingColumns as error:
            raise UserError(self._explain_columns(error)) from error
        documents, errors = read_documents(
            rows[place + 1 :],
            columns,
            self.kind,
            self.date_format,
            self.decimal_sign,
            place + 2,
        )
        return documents, errors, data

    def _read_rows(self, data):
        if data.startswith(b"PK\x03\x04"):
            raise UserError(
                self.env._(
                    "This is an Excel workbook (.xlsx) or an archive, and is not read "
                    "here. Open it, save the list as “CSV (UTF-8)” and choose that "
                    "file."
                )
            )
        try:
            text = decode(data)
            rows = read_rows(text, self._find_separator(text), MOST_ROWS)
        except (BadTable, ValueError) as error:
            raise UserError(
                self.env._(
                    "This is no table with a heading and separated columns. Save the "
                    "list as CSV (UTF-8)."
                )
            ) from error
        if len(rows) > MOST_ROWS:
            raise UserError(
                self.env._("Read at most %(most)s rows at a time.", most=MOST_ROWS)
            )
        return rows

    @api.model
    def _find_separator(self, text):
        """Return what parts the widest of the first rows: titles have no columns."""
        heads = [line for line in text.splitlines()[:20] if line.strip()]
        found = {}
        for line in heads:
            try:
                separator = find_separator(line)
            except BadTable:
                continue
            found[separator] = max(found.get(separator, 0), line.count(separator))
        if not found:
            raise BadTable("separator")
        return max(found, key=found.get)

    def _create_record(self, data):
        """Keep the list as it was read, for the certificate and for ever."""
        record = (
            self.env["crm.billing.outside.import"]
            .sudo()
            .create(
                {
                    "system_id": self.system_id.id,
                    "file_name": self.file_name or self.env._("List"),
                    "checksum": hashlib.sha256(data).hexdigest(),
                    "has_documents": self.has_documents,
                    "has_payments": self.has_payments,
                    "date_from": self._is_complete() and self.date_from,
                    "date_to": self._is_complete() and self.date_to,
                }
            )
        )
        record.attachment_id = record.env["ir.attachment"].create(
            {
                "name": record.file_name,
                "raw": data,
                "mimetype": "text/csv",
                "res_model": record._name,
                "res_id": record.id,
            }
        )
        return record

    def _is_complete(self):
        return self.has_documents or self.has_payments

    def _log_import(self, record):
        self.env["crm.billing.event"]._log(
            [
                {
                    "action": "outside_read",
                    "company_id": self.company_id.id,
                    "new_value": record.checksum,
                    "note": f"{self.system_id.name}: {record.row_count}",
                }
            ]
        )

    def _reopen(self):
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Read a List"),
            "res_model": self._name,
            "res_id": self.id,
            "view_mode": "form",
            "target": "new",
        }

    def _show(self, record):
        """Return the board of what was just read."""
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "crm_billing_reports.crm_billing_match_report_action"
        )
        action["domain"] = [("system_id", "=", record.system_id.id)]
        action["context"] = {"search_default_to_explain": 1}
        return action

    # === BUSINESS METHODS - ERRORS === #

    def _explain_columns(self, error):
        names = ", ".join(
            f"{name} ({' / '.join(HEADINGS[name][:3])})" for name in error.names
        )
        if error.reason == "twice":
            return self.env._("Two columns mean the same: %(names)s.", names=names)
        return self.env._(
            "No heading has these columns: %(names)s. Was one renamed there?",
            names=names,
        )

    def _describe_older(self, documents, older):
        """Return an error for each row that would bring back an older version."""
        known = {(row.kind, row.external_id): row.version for row in older}
        return [
            self._error(document.row, "version", "older", document.version)
            for document in documents
            if (document.kind, document.external_id) in known
        ]

    @api.model
    def _error(self, row, column, reason, value):
        return {"row": row, "column": column, "reason": reason, "value": value}

    def _prepare_lines(self, errors):
        """Return one line for each error, the first ones of many."""
        words = self._get_reasons()
        lines = []
        for error in errors[:SHOWN_ERRORS]:
            if not isinstance(error, dict):
                error = self._error(error.row, error.column, error.reason, error.value)
            lines.append({**error, "reason": words[error["reason"]]})
        return lines

    def _explain(self, errors):
        lines = [
            self.env._(
                "Row %(row)s, %(column)s: “%(value)s” %(reason)s.",
                row=line["row"],
                column=line["column"],
                value=line["value"],
                reason=line["reason"],
            )
            for line in self._prepare_lines(errors)[:20]
        ]
        if len(errors) > 20:
            lines.append(self.env._("… and %(count)s more.", count=len(errors) - 20))
        return self.env._("Nothing was read.") + "\n" + "\n".join(lines)

    def _get_reasons(self):
        _ = self.env._
        return {
            "empty": _("is empty"),
            "long": _("is far too long"),
            "date": _("is no date as chosen above"),
            "amount": _("is no amount as chosen above"),
            "negative": _("is negative: a credit note is of another kind"),
            "kind": _("is neither invoice, credit note nor payment"),
            "status": _("is no status that is known"),
            "flag": _("is neither yes nor no"),
            "currency": _("is no currency code"),
            "open": _("is more than the whole amount"),
            "applied": _("is applied beyond its amount"),
            "twice": _("stands in the list twice"),
            "mixed": _("differs within one payment"),
            "older": _("is an older version than the one that is known"),
        }


class CrmBillingBooksImportLine(models.TransientModel):
    """One row of a list that is not understood."""

    _name = "crm.billing.books.import.line"
    _description = "Wrong Row of a List"
    _order = "id"

    wizard_id = fields.Many2one(
        "crm.billing.books.import", required=True, ondelete="cascade"
    )
    row = fields.Integer(aggregator=None)
    column = fields.Char()
    value = fields.Char()
    reason = fields.Char()
