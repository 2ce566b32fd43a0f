from collections import defaultdict
from dataclasses import dataclass

from odoo import api, fields, models
from odoo.tools import SQL

# Documents that other systems refer to; each has its ids beside its name (K1).
DOCUMENTS = (
    "account.move",
    "account.payment",
    "crm.billing.agreement",
    "crm.billing.handoff",
    "crm.lead",
    "res.partner",
    "sale.order",
)
# Rows of documents have no name of their own.
NAMELESS = ("account.move.line", "account.partial.reconcile")
FETCHED = 10_000


@dataclass(frozen=True)
class Column:
    """One column of the table.

    :param part: ``value``, or of a link ``.id`` (database id) or ``id`` (external id),
        as in Odoo's own imports
    """

    field: object
    label: str
    part: str = "value"

    @property
    def name(self):
        name = self.field.name
        return name if self.part == "value" else f"{name}/{self.part}"

    @property
    def kind(self):
        """The type of its values: the field's, ``char`` for a link's name."""
        if self.field.type == "many2one":
            return "integer" if self.part == ".id" else "char"
        return self.field.type


class CrmBillingReportExport(models.AbstractModel):
    """The rows of a report: typed values, in columns that no screen decides on."""

    _inherit = "crm.billing.report.export"

    # === BUSINESS METHODS - COLUMNS === #

    @api.model
    def _get_columns(self, report, options):
        """Return all columns of the report that the user may read, in its order."""
        return [
            column
            for field in report._fields.values()
            if field.store and report._has_field_access(field, "read")
            for column in self._get_field_columns(field, options.format == "data")
        ]

    @api.model
    def _get_field_columns(self, field, is_data):
        """Return the column of a field; of a document also those of its ids.

        Machines get the id of every link, not only of documents.
        """
        label = field._description_string(self.env)
        if field.type != "many2one":
            return [Column(field, label)]
        columns = []
        is_document = field.comodel_name in DOCUMENTS
        is_nameless = field.comodel_name in NAMELESS
        if not is_nameless:
            columns.append(Column(field, label))
        if is_document or is_nameless or is_data:
            number = self.env._("%(name)s ID", name=label)
            columns.append(Column(field, number, ".id"))
        if is_document:
            external = self.env._("%(name)s External ID", name=label)
            columns.append(Column(field, external, "id"))
        return columns

    # === BUSINESS METHODS - ROWS === #

    @api.model
    def _iter_portions(self, report, options, columns):
        """Yield portions of the rows: the values of each column, None if empty.

        One query, read in portions: whatever its size, a report is computed once.
        """
        read = dict.fromkeys(column.field for column in columns)
        converters = [self._get_converter(column) for column in columns]
        report, domain = report._with_parameters(options.domain)
        report = report.with_context(billing_in_bulk=True)
        query = report._search(domain, order=report._order)
        select = query.select(
            *(report._field_to_sql(report._table, field.name, query) for field in read)
        )
        for rows in self._fetch(select):
            values = dict(zip(read, zip(*rows, strict=True), strict=True))
            yield [
                converter(values[column.field])
                for column, converter in zip(columns, converters, strict=True)
            ]

    @api.model
    def _fetch(self, select):
        """Yield the rows of a query in portions, with a cursor of the database."""
        # The planner else bets on few rows being read.
        self.env.execute_query(SQL("SET LOCAL cursor_tuple_fraction = 1.0"))
        self.env.execute_query(
            SQL("DECLARE billing_report_export NO SCROLL CURSOR FOR %s", select)
        )
        fetch = SQL("FETCH %s FROM billing_report_export", FETCHED)
        while rows := self.env.execute_query(fetch):
            yield rows
        self.env.execute_query(SQL("CLOSE billing_report_export"))

    @api.model
    def _get_converter(self, column):
        """Return what turns values of the database into those of a file."""
        field = column.field
        if field.type == "many2one":
            if column.part == "value":
                return self._make_lookup(field.comodel_name, self._read_names)
            if column.part == "id":
                return self._make_lookup(field.comodel_name, self._read_external_ids)
        if field.type == "selection":
            labels = dict(field._description_selection(self.env))
            return lambda values: [labels.get(value, value) for value in values]
        if field.type == "datetime":
            return lambda values: [value and self._localize(value) for value in values]
        return lambda values: values

    @api.model
    def _localize(self, moment):
        """Return the moment (UTC) as the user's clock shows it."""
        return fields.Datetime.context_timestamp(self, moment).replace(tzinfo=None)

    @api.model
    def _make_lookup(self, comodel, read):
        """Return a converter of ids that asks for each id once."""
        known = {None: None}

        def convert(ids):
            if missing := {record_id for record_id in ids if record_id not in known}:
                known.update(dict.fromkeys(missing))
                known.update(read(comodel, missing))
            return [known[record_id] for record_id in ids]

        return convert

    @api.model
    def _read_names(self, comodel, ids):
        """Return the display names by id; the row was readable, so its links show."""
        model = self.env[comodel].sudo().with_context(active_test=False)
        field = model._fields.get(model._rec_name)
        if not (field and field.store and field.type == "char") or field.translate:
            return {record.id: record.display_name for record in model.browse(ids)}
        return dict(
            self.env.execute_query(
                SQL(
                    "SELECT id, %s FROM %s WHERE id = ANY(%s)",
                    SQL.identifier(field.name),
                    SQL.identifier(model._table),
                    self._as_array(ids),
                )
            )
        )

    @api.model
    def _read_external_ids(self, comodel, ids):
        """Return the external ids by id; one given by people wins, the oldest."""
        rows = self.env.execute_query(
            SQL(
                """
                SELECT res_id, module || '.' || name
                  FROM ir_model_data
                 WHERE model = %s AND res_id = ANY(%s)
              ORDER BY module != '__export__', id DESC
                """,
                comodel,
                self._as_array(ids),
            )
        )
        return dict(rows)

    @api.model
    def _as_array(self, ids):
        """Return the ids for a query, as a text: thousands of values parse slowly."""
        text = ",".join(map(str, ids))
        return SQL("%s::integer[]", f"{{{text}}}")

    # === BUSINESS METHODS - EXTERNAL IDS === #

    @api.model
    def _identify_documents(self, report, options):
        """Give the documents of the rows external ids; return the number of rows.

        Before the file is read with a cursor of its own, so that what it names exists.
        """
        links = [
            column.field
            for column in self._get_columns(report, options)
            if column.part == "id"
        ]
        specs = [f"{field.name}:array_agg_distinct" for field in links]
        [[count, *found]] = report._read_group(options.domain, [], ["__count", *specs])
        ids = defaultdict(set)
        for field, record_ids in zip(links, found, strict=True):
            ids[field.comodel_name].update(record_ids or ())
        for comodel, record_ids in ids.items():
            self._add_external_ids(comodel, sorted(record_ids - {None}))
        return count

    @api.model
    def _add_external_ids(self, comodel, ids):
        """Name what has no external id yet, as core's export does, in one statement."""
        if not ids:
            return
        self.env["ir.model.data"].flush_model(["model", "res_id"])
        self.env.execute_query(
            SQL(
                """
                INSERT INTO ir_model_data (module, model, name, res_id)
                SELECT '__export__', %(model)s, %(table)s || '_' || wanted.id, wanted.id
                  FROM unnest(%(ids)s) wanted (id)
                 WHERE NOT EXISTS (SELECT FROM ir_model_data known
                                    WHERE known.model = %(model)s
                                      AND known.res_id = wanted.id)
           ON CONFLICT DO NOTHING
                """,
                model=comodel,
                table=self.env[comodel]._table,
                ids=self._as_array(ids),
            )
        )
