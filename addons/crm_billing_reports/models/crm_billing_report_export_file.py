import csv
import io
import re
import tempfile

import xlsxwriter

from odoo import api, fields, models
from odoo.tools import html2plaintext
from odoo.tools.misc import format_date

# What a spreadsheet would take for a formula, at the start of a text.
FORMULA = ("=", "+", "-", "@", "\t", "\r")
TO_QUOTE = re.compile(r'[",\r\n]')
PORTION = 1 << 16


class CrmBillingReportExport(models.AbstractModel):
    """The files: CSV that is streamed, XLSX that needs constant memory."""

    _inherit = "crm.billing.report.export"

    # === BUSINESS METHODS - HEAD AND FOOT === #

    @api.model
    def _get_head(self, report, options):
        """Return the lines above the table: what, as of when, for whom, by whom."""
        now = fields.Datetime.context_timestamp(self, fields.Datetime.now())
        lines = [
            (self._get_title(report),),
            (self.env._("Company"), ", ".join(self.env.companies.mapped("name"))),
            (self.env._("Filters"), options.filters or str(options.domain or "–")),
            (self.env._("Exported by"), self.env.user.name, f"{now:%Y-%m-%d %H:%M %Z}"),
        ]
        if dates := self._get_dates_in_words(report, options):
            lines.insert(1, (dates,))
        return lines

    @api.model
    def _get_dates_in_words(self, report, options):
        dates = report._get_report_dates(options.domain)
        if not dates:
            return ""
        if dates["kind"] == "day":
            return self.env._(
                "As of %(day)s", day=format_date(self.env, dates["as_of"])
            )
        return self.env._(
            "%(first)s to %(last)s",
            first=format_date(self.env, dates["date_from"]) or "…",
            last=format_date(self.env, dates["date_to"]) or "…",
        )

    @api.model
    def _get_foot(self, report, options):
        """Return the lines below the table: each tie-out of the report."""
        return [
            (
                proof["label"],
                proof["amount"],
                "=" if proof["ties"] else "≠",
                proof["ledger_label"],
                proof["ledger_amount"],
                self.env._("ties")
                if proof["ties"]
                else self.env._("differs by %(amount)s", amount=proof["difference"]),
            )
            for proof in report.get_tie_outs(options.domain)
        ]

    @api.model
    def _get_table(self, report, options, write=None):
        """Return ``(labels, names, kinds, portions)``, a portion being columns.

        :param write: makes a writer of values of a kind: then columns are of texts
        """
        if options.detail == "rows":
            columns = self._get_columns(report, options)
            labels = [column.label for column in columns]
            names = [column.name for column in columns]
            kinds = [column.kind for column in columns]
            portions = self._iter_portions(report, options, columns, write)
            return labels, names, kinds, portions
        measures = self._get_measures(report, options)
        groups = [report._fields[spec.split(":")[0]] for spec in options.groupby]
        labels = [field._description_string(self.env) for field in groups]
        labels += [measure.label for measure in measures]
        names = [*options.groupby, *(measure.spec for measure in measures)]
        kinds = ["char"] * len(groups)
        kinds += [one.field.type if one.field else "integer" for one in measures]
        lines = self._get_group_lines(report, options)
        columns = self._get_group_columns(lines, len(groups))
        if write:
            columns = [
                map(write(kind), values)
                for kind, values in zip(kinds, columns, strict=True)
            ]
        return labels, names, kinds, [columns]

    @api.model
    def _get_group_columns(self, lines, depth):
        """Return the lines as columns; the total says so in the first."""
        rows = []
        for line in lines:
            labels = line.labels or ((self.env._("Total"),) if depth else ())
            rows.append((*labels, *[None] * (depth - len(labels)), *line.figures))
        return list(zip(*rows, strict=True))

    # === BUSINESS METHODS - CSV === #

    @api.model
    def _stream_csv(self, model_name, options):
        """Yield the file; it is read after the request's transaction, in its own."""
        context = dict(self.env.context)
        with self.env.registry.cursor() as cr:
            env = api.Environment(cr, self.env.uid, context)
            yield from env[self._name]._write_csv(env[model_name], options)

    @api.model
    def _write_csv(self, report, options):
        """Yield portions of bytes: bare for machines, with head and foot for people."""
        is_plain = options.format == "data"
        buffer = io.StringIO()
        writer = csv.writer(buffer)
        labels, names, _kinds, portions = self._get_table(
            report, options, self._get_csv_writer
        )
        if is_plain:
            writer.writerow(names)
        else:
            buffer.write("\N{BYTE ORDER MARK}")
            writer.writerows(map(self._escape_line, self._get_head(report, options)))
            writer.writerows([(), labels])
        for columns in portions:
            # The cells are quoted already, each different value once.
            lines = map(",".join, zip(*columns, strict=True))
            buffer.write("\r\n".join([*lines, ""]))
            yield self._empty(buffer)
        if not is_plain:
            foot = self._get_foot(report, options)
            writer.writerows([(), *map(self._escape_line, foot)])
        yield self._empty(buffer)

    @api.model
    def _empty(self, buffer):
        data = buffer.getvalue().encode()
        buffer.seek(0)
        buffer.truncate()
        return data

    @api.model
    def _get_csv_writer(self, kind):
        """Return what makes a cell of a value of this kind, empty of None."""
        formatter = self._get_csv_formatter(kind)

        def write(value):
            if value is None:
                return ""
            text = formatter(value)
            return self._quote(text) if TO_QUOTE.search(text) else text

        return write

    @api.model
    def _get_csv_formatter(self, kind):
        """Return what writes a value; an amount with the digits of its currencies."""
        if kind == "monetary":
            return f"{{:.{self._get_money_digits()}f}}".format
        if kind in ("char", "text", "selection"):
            return self._escape
        if kind == "html":
            return lambda value: self._escape(html2plaintext(value))
        return str

    @api.model
    def _quote(self, text):
        return '"{}"'.format(text.replace('"', '""'))

    @api.model
    def _escape(self, value):
        """Return the text so that no spreadsheet runs it as a formula."""
        return f"'{value}" if value.startswith(FORMULA) else value

    @api.model
    def _escape_line(self, line):
        """Return a line of head or foot, escaped; a sign alone is no formula."""
        return [
            self._escape(cell) if isinstance(cell, str) and len(cell) > 1 else cell
            for cell in line
        ]

    @api.model
    def _get_money_digits(self):
        [[digits]] = self.env["res.currency"]._read_group(
            [], [], ["decimal_places:max"]
        )
        return digits or 2

    # === BUSINESS METHODS - XLSX === #

    @api.model
    def _write_xlsx(self, report, options):
        """Return the portions of the file, made on disk a row at a time."""
        file = tempfile.TemporaryFile()  # noqa: SIM115
        workbook = xlsxwriter.Workbook(
            file,
            {
                "constant_memory": True,
                "strings_to_formulas": False,
                "strings_to_urls": False,
                "strings_to_numbers": False,
            },
        )
        self._fill_workbook(workbook, report, options)
        workbook.close()
        file.seek(0)
        return self._read_file(file)

    @api.model
    def _read_file(self, file):
        with file:
            while data := file.read(PORTION):
                yield data

    @api.model
    def _fill_workbook(self, workbook, report, options):
        sheet = workbook.add_worksheet(self._get_sheet_name(report))
        bold = workbook.add_format({"bold": True})
        labels, _names, kinds, portions = self._get_table(report, options)
        sheet.set_column(0, max(len(labels) - 1, 0), 16)
        number = 0
        for line in (*self._get_head(report, options), ()):
            sheet.write_row(number, 0, line, bold if number == 0 else None)
            number += 1
        sheet.write_row(number, 0, labels, bold)
        number = self._fill_rows(workbook, sheet, number + 1, kinds, portions)
        for offset, line in enumerate(self._get_foot(report, options), 1):
            sheet.write_row(number + offset, 0, line)

    @api.model
    def _get_sheet_name(self, report):
        name = self._get_title(report)
        return "".join(" " if char in "[]:*?/\\" else char for char in name)[:31]

    @api.model
    def _fill_rows(self, workbook, sheet, number, kinds, portions):
        """Write the rows from line ``number``; return the line after the last."""
        money = workbook.add_format(
            {"num_format": f"#,##0.{'0' * self._get_money_digits()}"}
        )
        day = workbook.add_format({"num_format": "yyyy-mm-dd"})
        moment = workbook.add_format({"num_format": "yyyy-mm-dd hh:mm"})
        formats = {"monetary": money, "date": day, "datetime": moment}
        cells = list(enumerate(formats.get(kind) for kind in kinds))
        for columns in portions:
            for row in zip(*columns, strict=True):
                for (column, cell_format), value in zip(cells, row, strict=True):
                    if value is not None:
                        sheet.write(number, column, value, cell_format)
                number += 1
        return number
