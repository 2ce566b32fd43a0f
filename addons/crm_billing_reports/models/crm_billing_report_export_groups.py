from dataclasses import dataclass

from odoo import api, models

SUMMED = ("integer", "float", "monetary")


@dataclass(frozen=True)
class Measure:
    """A figure of the groups.

    :param field: None for the number of rows
    :param currency: spec of the currencies that the amounts of a group are in
    """

    spec: str
    label: str
    field: object = None
    currency: str = ""


@dataclass(frozen=True)
class GroupLine:
    """A group with its figures; ``labels`` are those of it and the groups above.

    The total has no labels. A figure is None where it is not defined, or where it would
    add up different currencies.
    """

    labels: tuple
    figures: tuple
    currencies: tuple = ()


class CrmBillingReportExport(models.AbstractModel):
    """The groups of a report: every level with its own figures, ratios included."""

    _inherit = "crm.billing.report.export"

    @api.model
    def _get_measures(self, report, options):
        """Return the figures on the screen, or all that can be aggregated."""
        names = [name for name in options.columns if self._is_measure(report, name)]
        names = names or [
            name for name in report._fields if self._is_measure(report, name)
        ]
        return [self._get_measure(report, name) for name in names]

    @api.model
    def _is_measure(self, report, name):
        field = report._fields.get(name)
        return name == "__count" or bool(
            field
            and field.store
            and field.aggregator
            and field.type in SUMMED
            and name != "id"
            and report._has_field_access(field, "read")
        )

    @api.model
    def _get_measure(self, report, name):
        if name == "__count":
            return Measure(name, self.env._("Rows"))
        field = report._fields[name]
        currency = ""
        if field.type == "monetary":
            currency = f"{field.get_currency_field(report)}:array_agg_distinct"
        return Measure(
            f"{name}:{field.aggregator}",
            field._description_string(self.env),
            field,
            currency,
        )

    @api.model
    def _get_group_lines(self, report, options):
        """Return each group before those within it, and the total at the end."""
        measures = self._get_measures(report, options)
        specs = {spec for one in measures for spec in (one.spec, one.currency) if spec}
        levels = [options.groupby[:depth] for depth in range(len(options.groupby) + 1)]
        found = report.formatted_read_grouping_sets(
            options.domain, levels, sorted(specs)
        )
        children = {}
        for level, groups in zip(levels, found, strict=True):
            for group in groups:
                key = tuple(self._make_key(group[spec]) for spec in level)
                children.setdefault(key[:-1] if key else None, []).append((key, group))
        lines = []
        self._add_lines(report, options, measures, children, (), lines)
        [(_key, total)] = children[None]
        return [*lines, self._make_line(report, (), total, measures)]

    @api.model
    def _add_lines(self, report, options, measures, children, parent, lines):
        for key, group in children.get(parent, ()):
            if key:
                level = options.groupby[: len(key)]
                labels = tuple(
                    self._get_label(report, spec, group[spec]) for spec in level
                )
                lines.append(self._make_line(report, labels, group, measures))
                self._add_lines(report, options, measures, children, key, lines)

    @api.model
    def _make_key(self, value):
        return tuple(value) if isinstance(value, list) else value

    @api.model
    def _make_line(self, report, labels, group, measures):
        def get_currency(measure):
            known = group[measure.currency] if measure.currency else ()
            found = [currency_id for currency_id in known or () if currency_id]
            one = found[0] if len(found) == 1 else False
            return self.env["res.currency"].browse(one)

        return GroupLine(
            labels,
            tuple(self._get_figure(measure, group) for measure in measures),
            tuple(get_currency(measure) for measure in measures),
        )

    @api.model
    def _get_figure(self, measure, group):
        value = group[measure.spec]
        return None if value is False else value

    @api.model
    def _get_label(self, report, spec, value):
        """Return the group in words, as on the screen."""
        field = report._fields[spec.split(":")[0]]
        if field.type == "boolean":
            return self.env._("Yes") if value else self.env._("No")
        if value is False or value is None:
            return self.env._("None")
        if isinstance(value, list | tuple):
            return value[1]
        if field.type == "selection":
            return dict(field._description_selection(self.env)).get(value, value)
        return str(value)
