import io
import zipfile
from itertools import islice

import psycopg2

from odoo import api, fields, models

from ..billing_rules.usage_table import (
    BadTable,
    decode,
    find_columns,
    find_separator,
    read_events,
    read_text,
    write_text,
)
from .crm_billing_meter_record import KEPT_REFUSALS

try:
    import openpyxl
except ImportError:  # as for core's own import of such files
    openpyxl = None

LARGEST_SHEET = 500 * 1024 * 1024  # bytes once unpacked
# One commit for so many rows of a long file.
CHUNK = 10_000


class CrmBillingUsageBatch(models.Model):
    """A file of usage: read as a whole first, then recorded chunk by chunk.

    A file that cannot be read records nothing. A long one is recorded by a job, with
    one commit a chunk: killed in the middle it goes on where it stopped.
    """

    _inherit = "crm.billing.usage.batch"

    state = fields.Selection(
        [("done", "Done"), ("queued", "In progress"), ("failed", "Failed")],
        default="done",
        required=True,
        readonly=True,
        index=True,
    )
    attachment_id = fields.Many2one("ir.attachment", readonly=True)
    meter_id = fields.Many2one("crm.billing.meter", readonly=True)
    separator = fields.Char(readonly=True)
    encoding = fields.Char(readonly=True)
    decimal_sign = fields.Char(default=".", readonly=True)
    total_rows = fields.Integer(readonly=True)
    done_rows = fields.Integer(readonly=True)
    progress = fields.Float(compute="_compute_progress")
    error = fields.Char(readonly=True)

    @api.depends("total_rows", "done_rows", "state")
    def _compute_progress(self):
        for batch in self:
            if batch.state == "queued" and batch.total_rows:
                batch.progress = 100 * batch.done_rows / batch.total_rows
            else:
                batch.progress = 100

    # === ACTION METHODS === #

    def action_download_refused(self):
        """Download the refused rows with their reasons, as a table."""
        self.ensure_one()
        self.check_access("read")
        heading = [self.env._("Row"), self.env._("Id"), self.env._("Reason")]
        rows = [[row["row"], row["id"], row["reason"]] for row in self.refusals or ()]
        attachment = (
            self.env["ir.attachment"]
            .sudo()  # readers of the delivery may have what it refused
            .create(
                {
                    "name": f"refused-{self.id}.csv",
                    "raw": write_text([heading, *rows]).encode("utf-8-sig"),
                    "mimetype": "text/csv",
                    "res_model": self._name,
                    "res_id": self.id,
                }
            )
        )
        return {
            "type": "ir.actions.act_url",
            "url": f"/web/content/{attachment.id}?download=true",
            "target": "download",
        }

    # === BUSINESS METHODS === #

    def _record_all(self, events):
        """Record a short file at once."""
        events = list(events)
        self.write({"total_rows": len(events), "state": "queued"})
        meters = self.env["crm.billing.meter"].with_company(self.company_id)
        (self.meter_id.with_env(meters.env) or meters)._record_into(events, self)
        self.write({"done_rows": len(events), "state": "done"})

    def _queue(self, data, name, count):
        """Keep a long file for the job, and wake it."""
        self.attachment_id = self.env["ir.attachment"].create(
            {
                "name": name or "usage",
                "raw": data,
                "res_model": self._name,
                "res_id": self.id,
            }
        )
        self.write({"total_rows": count, "state": "queued"})
        self.env.ref("crm_billing_handoff.ir_cron_import_usage").sudo()._trigger()

    @api.model
    def _cron_import(self):
        """Record the files that wait, a chunk a commit."""
        self = self.sudo()
        commit_progress = self.env["ir.cron"]._commit_progress
        queued = self.search([("state", "=", "queued")], order="id")
        commit_progress(
            remaining=sum(batch.total_rows - batch.done_rows for batch in queued)
        )
        for batch in queued.try_lock_for_update(allow_referencing=True):
            events = batch._read_file_or_fail()
            while batch.state == "queued":
                chunk = list(islice(events, CHUNK))
                try:
                    batch._record_chunk(chunk)
                except psycopg2.OperationalError:
                    # Somebody recorded the same events: again, with the next run.
                    self.env.cr.rollback()
                    self.env.ref("crm_billing_handoff.ir_cron_import_usage")._trigger()
                    return
                if not commit_progress(len(chunk)):
                    return
                batch.lock_for_update(allow_referencing=True)

    def _read_file_or_fail(self):
        """Return the events that are still to be recorded."""
        try:
            events = self._read_events(self.attachment_id.raw)
        except BadTable as problem:
            self.write({"state": "failed", "error": self._explain_table(problem)})
            return iter(())
        return islice(events, self.done_rows, None)

    def _record_chunk(self, events):
        """Record the next rows of the file and add up what became of them."""
        meters = self.env["crm.billing.meter"].with_user(self.user_id).sudo()
        meters = meters.with_company(self.company_id)
        meter = meters.browse(self.meter_id.id) or meters
        answers = meter._record_into(events, self, first=self.done_rows)
        self.done_rows += len(answers)
        if len(answers) < CHUNK:
            self.state = "done"

    def _read_events(self, data):
        """Yield the events of a file, as senders send them.

        :raise BadTable: it cannot be read as a whole
        """
        rows = self._read_rows(data)
        heading = next(rows, None)
        if heading is None:
            raise BadTable("empty")
        columns = find_columns(heading)
        if not self.meter_id and "meter" not in columns.places:
            raise BadTable("missing", "meter")
        return read_events(rows, columns, self.decimal_sign or ".")

    def _read_rows(self, data):
        if data.startswith(b"PK\x03\x04"):
            return self._read_sheet(data)
        text = decode(data, self.encoding or None)
        separator = self.separator or find_separator(text)
        return read_text(text, {"tab": "\t"}.get(separator, separator))

    def _read_sheet(self, data):
        """Yield the rows of the first sheet; formulas give the value they had."""
        if openpyxl is None:
            raise BadTable("no_sheets")
        try:
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                unpacked = sum(part.file_size for part in archive.infolist())
            if unpacked > LARGEST_SHEET:
                raise BadTable("large")
            book = openpyxl.load_workbook(
                io.BytesIO(data), read_only=True, data_only=True
            )
            for row in book.worksheets[0].iter_rows(values_only=True):
                if any(cell not in (None, "") for cell in row):
                    yield list(row)
        except BadTable:
            raise
        except Exception as error:  # whatever a broken file makes the reader raise
            raise BadTable("broken", type(error).__name__) from error

    @api.model
    def _explain_table(self, problem):
        """Return in words why a file as a whole cannot be read."""
        _ = self.env._
        words = {
            "encoding": _("The file is no text in this encoding: save it as UTF-8."),
            "separator": _(
                "No separator parts its first row: use a semicolon, a comma or a tab."
            ),
            "broken": _("The file is broken: %(about)s.", about=problem.about),
            "missing": _("It has no column “%(about)s”.", about=problem.about),
            "twice": _("Two columns mean “%(about)s”.", about=problem.about),
            "empty": _("The file is empty."),
            "large": _("The file is too large."),
            "no_sheets": _("Sheets cannot be read here: save it as CSV."),
        }
        return words[problem.reason]


class CrmBillingMeter(models.Model):
    _inherit = "crm.billing.meter"

    def _record_into(self, events, batch, first=0):
        """Record events as part of a delivery, and add them to its sums.

        :param first: number of rows before these
        """
        answers, _none = self._record_usage(events, batch.source, batch=batch)
        refused = [
            {**row, "row": row["row"] + first} for row in self._get_refusals(answers)
        ]
        sums = self._count_answers(answers)
        batch.write(
            {
                **{name: batch[name] + count for name, count in sums.items()},
                "refusals": [*(batch.refusals or []), *refused][:KEPT_REFUSALS],
            }
        )
        return answers
