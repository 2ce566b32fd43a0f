import logging
from dataclasses import dataclass
from datetime import timedelta

from odoo import SUPERUSER_ID, api, models
from odoo.exceptions import UserError
from odoo.fields import Domain

_logger = logging.getLogger(__name__)

EXPORTER = "base.group_allow_export"
MANAGER = "crm_billing_handoff.group_billing_manager"
# What one person may take along in a day before a manager hears of it (K5).
ALERT_ROWS = "crm_billing_reports.export_alert_rows"
DEFAULT_ALERT_ROWS = 50_000
# A sheet of XLSX has 1,048,576 rows; some are taken by head and tie-outs.
MOST_SHEET_ROWS = 1_048_000
MOST_PRINTED_ROWS = 2_000

FORMATS = ("csv", "data", "xlsx", "pdf")


@dataclass(frozen=True)
class ExportOptions:
    """What of a report is asked for.

    :param format: one of ``FORMATS``; ``data`` is CSV of names that never change
    :param detail: ``rows`` or ``groups``
    :param groupby: specs of the groups, as on the screen
    :param columns: fields on the screen; rows ignore them, except in print
    :param filters: the filters in words, as on the screen
    """

    domain: list
    format: str = "csv"
    detail: str = "rows"
    groupby: tuple = ()
    columns: tuple = ()
    filters: str = ""

    def __post_init__(self):
        """Check what came over the wire.

        :raise TypeError: an option is of another type than it must be
        """
        texts = (self.format, self.detail, self.filters, *self.groupby, *self.columns)
        if wrong := [one for one in texts if not isinstance(one, str)]:
            raise TypeError(f"{wrong[0]!r} is no text")
        Domain(self.domain)


class CrmBillingReportExport(models.AbstractModel):
    """A report leaves the screen: by right, in a format, logged (K1, K5).

    Read :meth:`_export`; the table is made in ``…_table.py`` and ``…_groups.py``, the
    files in ``…_file.py`` and ``…_print.py``.
    """

    _name = "crm.billing.report.export"
    _description = "Export of Billing Reports"

    # === BUSINESS METHODS - EXPORT === #

    @api.model
    def _export(self, model_name, options):
        """Return what was asked for as ``(file name, content type, chunks)``.

        It is counted and logged before the first byte leaves.

        :param model_name: a report, a model of ``crm.billing.report.mixin``
        :param chunks: a generator of bytes; CSV reads with a cursor of its own, after
            this transaction
        :raise AccessError: the user may not read the report, or not export
        :raise UserError: no such report or format, or too many rows for the format
        """
        report = self._get_report(model_name)
        self._check_options(report, options)
        count = self._count_rows(report, options)
        self._check_count(count, options)
        self._log_export(report._name, options.format, options.domain, count)
        name = f"{self._get_title(report)}.{self._get_extension(options)}"
        chunks, content_type = self._get_chunks(report, options)
        return name, content_type, chunks

    @api.model
    def _get_report(self, model_name):
        """Return the report's model, readable by the user."""
        report = self.env.get(model_name)
        if report is None or not getattr(report, "_is_billing_report", False):
            raise UserError(
                self.env._("There is no billing report %(name)s.", name=model_name)
            )
        report.check_access("read")
        return report

    @api.model
    def _check_options(self, report, options):
        if options.format not in FORMATS or options.detail not in ("rows", "groups"):
            raise UserError(
                self.env._(
                    "Export as one of %(formats)s, rows or groups.",
                    formats=", ".join(FORMATS),
                )
            )
        names = [*options.columns, *(spec.split(":")[0] for spec in options.groupby)]
        unknown = set(names) - set(report._fields) - {"__count"}
        if unknown:
            raise UserError(
                self.env._(
                    "The report has no column %(names)s.",
                    names=", ".join(sorted(unknown)),
                )
            )
        # Paper shows what the screen shows; files carry everything, and need a right.
        if options.format != "pdf" and not self.env.user.has_group(EXPORTER):
            raise UserError(
                self.env._(
                    "You may not export data: ask an administrator for the right "
                    "“Access to export feature”."
                )
            )

    @api.model
    def _count_rows(self, report, options):
        """Return how many lines leave, and give their documents external IDs."""
        if options.detail == "groups":
            return len(self._get_group_lines(report, options))
        if options.format == "pdf":
            return report.search_count(options.domain, limit=MOST_PRINTED_ROWS + 1)
        return self._identify_documents(report, options)

    @api.model
    def _check_count(self, count, options):
        most = {"xlsx": MOST_SHEET_ROWS, "pdf": MOST_PRINTED_ROWS}
        if count > most.get(options.format, count):
            raise UserError(
                self.env._(
                    "More than %(most)s rows do not fit: filter or group the report, "
                    "or export it as CSV.",
                    most=most[options.format],
                )
            )

    @api.model
    def _get_chunks(self, report, options):
        if options.format == "pdf":
            return self._print_report(report, options), "application/pdf"
        if options.format == "xlsx":
            content_type = (
                "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
            )
            return self._write_xlsx(report, options), content_type
        return self._stream_csv(report._name, options), "text/csv;charset=utf-8"

    @api.model
    def _get_extension(self, options):
        return "csv" if options.format == "data" else options.format

    @api.model
    def _get_title(self, report):
        return self.env["ir.model"]._get(report._name).name

    # === BUSINESS METHODS - LOG === #

    @api.model
    def _log_export(self, model_name, export_format, domain, count):
        """Write who took what along into the audit log; tell a manager of much."""
        self.env["crm.billing.event"]._log(
            [
                {
                    "action": "exported",
                    "company_id": self.env.company.id,
                    "note": f"{model_name} ({export_format})",
                    "new_value": str(list(domain)),
                    "row_count": count,
                }
            ]
        )
        if export_format != "pdf":
            self._alert_manager(model_name, count)

    @api.model
    def _alert_manager(self, model_name, count):
        """Leave a task for a manager once somebody's exports of a day are many rows.

        What was taken in small portions counts together.
        """
        most = self._get_alert_rows()
        taken = self._sum_rows_of_a_day()
        if not taken > most >= taken - count:
            return
        manager = self._get_alerted()
        self.env["mail.activity"].sudo().create(
            {
                "user_id": manager.id,
                "activity_type_id": self.env.ref("mail.mail_activity_data_todo").id,
                "summary": self.env._(
                    "%(user)s exported %(rows)s rows of billing data in 24 hours",
                    user=self.env.user.name,
                    rows=taken,
                ),
                "note": self.env._(
                    "The last export was %(model)s with %(rows)s rows; the audit log "
                    "has the filters. Ask what it was for, or withdraw the right to "
                    "export.",
                    model=model_name,
                    rows=count,
                ),
            }
        )
        _logger.info("User %s exported %s rows in a day", self.env.uid, taken)

    @api.model
    def _get_alert_rows(self):
        parameter = self.env["ir.config_parameter"].sudo().get_param(ALERT_ROWS)
        try:
            return int(parameter or DEFAULT_ALERT_ROWS)
        except ValueError:
            return DEFAULT_ALERT_ROWS

    @api.model
    def _sum_rows_of_a_day(self):
        since = self.env.cr.now() - timedelta(days=1)
        [[rows]] = (
            self.env["crm.billing.event"]
            .sudo()
            ._read_group(
                [
                    ("action", "=", "exported"),
                    ("user_id", "=", self.env.uid),
                    ("create_date", ">", since),
                ],
                [],
                ["row_count:sum"],
            )
        )
        return rows or 0

    @api.model
    def _get_alerted(self):
        """Return a manager who is not the one who exports, if there is another."""
        company = self.env.company
        managers = self.env.ref(MANAGER).sudo().all_user_ids
        others = managers.filtered(
            lambda user: (
                user.active
                and user.id not in (self.env.uid, SUPERUSER_ID)
                and company in user.company_ids
            )
        )
        return others.sorted("id")[:1] or company.sudo()._get_billing_responsible()
