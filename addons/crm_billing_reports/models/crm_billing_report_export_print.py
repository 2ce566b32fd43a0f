from dataclasses import dataclass, replace

from odoo import api, models
from odoo.exceptions import UserError
from odoo.tools.misc import format_date, format_datetime, formatLang

from ..report.crm_billing_ratio import Ratio, Share

PRINT = "crm_billing_reports.action_report_billing_report"
NUMBERS = ("integer", "float", "monetary")
UNDEFINED = "–"


@dataclass(frozen=True)
class Cell:
    text: str
    is_number: bool = False
    is_zero: bool = False


class CrmBillingReportExport(models.AbstractModel):
    """A report on paper: what the screen shows, with its filters and its proof."""

    _inherit = "crm.billing.report.export"

    @api.model
    def _print_report(self, report, options):
        """Return the portions of the PDF.

        :raise UserError: Odoo cannot print here
        """
        content, _type = (
            self.env["ir.actions.report"]
            .sudo()
            ._render_qweb_pdf(PRINT, [], data=self._prepare_print(report, options))
        )
        if not content:
            raise UserError(
                self.env._(
                    "The PDF could not be made: the program that prints gave nothing. "
                    "Export the report instead, and tell your administrator."
                )
            )
        return [content]

    @api.model
    def _prepare_print(self, report, options):
        """Return what the template prints; all texts, formatted for the user."""
        title, *head = self._get_head(report, options)
        labels, lines = self._get_print_table(report, options)
        return {
            "title": title[0],
            "head": head,
            "labels": labels,
            "lines": lines,
            "depth": max((depth for depth, _cells in lines), default=0),
            "proofs": report.get_tie_outs(options.domain),
            "format_proof": self._format_proof,
        }

    @api.model
    def _format_proof(self, proof, key):
        currency = self.env["res.currency"].browse(proof["currency_id"])
        if not currency:  # a count
            return formatLang(self.env, proof[key], digits=0)
        return formatLang(self.env, proof[key], currency_obj=currency)

    @api.model
    def _get_print_table(self, report, options):
        """Return labels (cells) and lines ``(depth, cells)``; a total has depth 0."""
        if options.detail == "groups":
            return self._get_print_groups(report, options)
        fields = [
            field
            for name in options.columns
            if (field := report._fields.get(name))
            and report._has_field_access(field, "read")
        ]
        labels = [
            Cell(field._description_string(self.env), field.type in NUMBERS)
            for field in fields
        ]
        lines = [
            (1, [self._get_cell(record, field) for field in fields])
            for record in report.search(options.domain)
        ]
        if lines and any(self._is_summed(report, field) for field in fields):
            lines.append((0, self._get_row_total(report, options, fields)))
        return labels, lines

    @api.model
    def _is_summed(self, report, field):
        return (
            field.type == "monetary"
            and field.aggregator == "sum"
            and self._is_measure(report, field.name)
        )

    @api.model
    def _get_row_total(self, report, options, fields):
        """Return the cells below the rows; what is no amount has no total."""
        options = replace(options, groupby=())
        [total] = self._get_group_lines(report, options)
        found = {
            measure.field.name: (measure, value, currency)
            for measure, value, currency in zip(
                self._get_measures(report, options),
                total.figures,
                total.currencies,
                strict=True,
            )
            if measure.field
        }
        cells = [
            Cell(self._format(*found[field.name]), True)
            if self._is_summed(report, field)
            else Cell("")
            for field in fields
        ]
        if not cells[0].text:
            cells[0] = Cell(self.env._("Total"))
        return cells

    @api.model
    def _get_print_groups(self, report, options):
        measures = self._get_measures(report, options)
        groups = " / ".join(
            report._fields[spec.split(":")[0]]._description_string(self.env)
            for spec in options.groupby
        )
        labels = [Cell(groups), *(Cell(measure.label, True) for measure in measures)]
        lines = []
        for line in self._get_group_lines(report, options):
            label = line.labels[-1] if line.labels else self.env._("Total")
            figures = zip(measures, line.figures, line.currencies, strict=True)
            cells = [
                Cell(self._format(measure, value, currency), True, value == 0)
                for measure, value, currency in figures
            ]
            lines.append((len(line.labels), [Cell(label), *cells]))
        return labels, lines

    @api.model
    def _get_cell(self, record, field):
        value = record[field.name]
        if record._is_blank(field.name):
            return Cell("", field.type in NUMBERS)
        if field.type in NUMBERS:
            currency = self.env["res.currency"]
            if field.type == "monetary":
                currency = record[field.get_currency_field(record)]
            text = self._format_number(field, value, currency)
            return Cell(text, True, value == 0 and value is not False)
        if field.relational:
            return Cell(value.sudo().display_name or "")
        return Cell(self._format_text(field, value))

    @api.model
    def _format_text(self, field, value):
        if not value:
            return ""
        if field.type == "date":
            return format_date(self.env, value)
        if field.type == "datetime":
            return format_datetime(self.env, value)
        if field.type == "selection":
            return dict(field._description_selection(self.env)).get(value, value)
        return self.env._("Yes") if value is True else str(value)

    @api.model
    def _format(self, measure, value, currency):
        if value is None:
            return UNDEFINED
        return self._format_number(measure.field, value, currency)

    @api.model
    def _format_number(self, field, value, currency):
        """Return the number for the user's language; an amount with its currency."""
        if currency:
            return formatLang(self.env, value, currency_obj=currency)
        if field is None or field.type == "integer":
            return formatLang(self.env, value, digits=0)
        if isinstance(field, Ratio):
            return self._format_ratio(field, value)
        return formatLang(self.env, value, digits=2)

    @api.model
    def _format_ratio(self, field, value):
        """Return days, rates and percentages as the screen shows them."""
        if value is False:
            return UNDEFINED
        if isinstance(field, Share):
            return f"{formatLang(self.env, value * 100, digits=1)}%"
        return formatLang(self.env, value, digits=1)
