from collections import defaultdict
from dataclasses import dataclass

from psycopg2.errors import UniqueViolation

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
# Names at hand, so that a long file needs no more memory than a short one.
MOST_KNOWN = 50_000
# What the database writes as a file needs it.
WRITTEN = ("date", "integer", "monetary")


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
    def _iter_portions(self, report, options, columns, write=None):
        """Yield portions of the rows: the values of each column, None if empty.

        One query, read in portions: whatever its size, a report is computed once.

        :param write: makes a writer of values of a kind; then columns are of texts, and
            the database writes numbers and dates itself, which is several times faster
        """
        runs = self._get_runs(columns, write)
        converters = [
            None if is_written else self._get_converter(run[0], write)
            for is_written, run in runs
        ]
        report, domain = report._with_parameters(options.domain)
        report = report.with_context(billing_in_bulk=True)
        query = report._search(domain, order=report._order)
        selected = [self._select_run(report, query, *run) for run in runs]
        # What several columns are made of is read once.
        read = dict.fromkeys(selected)
        for rows in self._fetch(query.select(*read)):
            values = dict(zip(read, zip(*rows, strict=True), strict=True))
            yield [
                converter(values[source]) if converter else values[source]
                for source, converter in zip(selected, converters, strict=True)
            ]

    @api.model
    def _get_runs(self, columns, write):
        """Return ``(whether the database writes them, neighbouring columns)``.

        What it writes are texts already; neighbours of them are read as one.
        """
        runs = []
        for column in columns:
            is_written = bool(write) and column.kind in WRITTEN
            if is_written and runs and runs[-1][0]:
                runs[-1][1].append(column)
            else:
                runs.append((is_written, [column]))
        return runs

    @api.model
    def _select_run(self, report, query, is_written, run):
        """Return the SQL of a value, or of the text of several, empty where unknown."""
        values = [
            report._field_to_sql(report._table, column.field.name, query)
            for column in run
        ]
        if not is_written:
            return values[0]
        digits = self._get_money_digits()
        values = [
            SQL("ROUND((%s)::numeric, %s)", value, digits)
            if column.kind == "monetary"
            else value
            for column, value in zip(run, values, strict=True)
        ]
        form = ",".join(["%s"] * len(values))
        return SQL("FORMAT(%s, %s)", form, SQL(", ").join(values))

    @api.model
    def _fetch(self, select):
        """Yield the rows of a query in portions, with a cursor of the database."""
        # The planner else bets on few rows being read.
        self.env.execute_query(SQL("SET LOCAL cursor_tuple_fraction = 0.99"))
        self.env.execute_query(
            SQL("DECLARE billing_report_export NO SCROLL CURSOR FOR %s", select)
        )
        fetch = SQL("FETCH %s FROM billing_report_export", FETCHED)
        while rows := self.env.execute_query(fetch):
            yield rows
        self.env.execute_query(SQL("CLOSE billing_report_export"))

    # === BUSINESS METHODS - VALUES === #

    @api.model
    def _get_converter(self, column, write):
        """Return what turns a column of the database into one of a file."""
        field = column.field
        writer = write(column.kind) if write else None
        if field.type == "many2one" and column.part != ".id":
            is_name = column.part == "value"
            read = self._read_names if is_name else self._read_external_ids
            return self._make_lookup(field.comodel_name, read, writer)
        change = self._get_change(field)
        if change and writer:
            return self._convert_each(lambda value: writer(change(value)))
        return self._convert_each(change or writer)

    @api.model
    def _get_change(self, field):
        """Return what turns a value of the field into what people read, or None."""
        if field.type == "selection":
            labels = dict(field._description_selection(self.env))
            return lambda value: labels.get(value, value)
        if field.type == "datetime":
            return lambda value: value and self._localize(value)
        return None

    @api.model
    def _convert_each(self, convert):
        """Return what converts a column, each different value once."""
        if not convert:
            return None

        def convert_all(values):
            known = {value: convert(value) for value in set(values)}
            return map(known.__getitem__, values)

        return convert_all

    @api.model
    def _localize(self, moment):
        """Return the moment (UTC) as the user's clock shows it."""
        return fields.Datetime.context_timestamp(self, moment).replace(tzinfo=None)

    @api.model
    def _make_lookup(self, comodel, read, writer):
        """Return a converter of ids that asks for an id once, while it is at hand."""
        known = {}

        def convert(ids):
            missing = set(ids).difference(known)
            if missing and len(known) > MOST_KNOWN:
                known.clear()
                missing = set(ids)
            if missing:
                found = read(comodel, missing - {None})
                names = map(found.get, missing)
                known.update(
                    zip(missing, map(writer, names) if writer else names, strict=True)
                )
            return map(known.__getitem__, ids)

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
                SELECT wanted.id, named.name
                  FROM unnest(%(ids)s) wanted (id)
    CROSS JOIN LATERAL (SELECT module || '.' || name AS name
                          FROM ir_model_data
                         WHERE model = %(model)s AND res_id = wanted.id
                      ORDER BY module = '__export__', id
                         LIMIT 1) named
                """,
                model=comodel,
                ids=self._as_array(ids),
            )
        )
        return dict(rows)

    @api.model
    def _as_array(self, ids):
        """Return the ids for a query, in the order in which an index has them.

        As a text: thousands of values parse slowly.
        """
        text = ",".join(map(str, sorted(ids)))
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
            self._add_external_ids(comodel, record_ids - {None})
        return count

    @api.model
    def _add_external_ids(self, comodel, ids):
        """Name what has no external id yet, as core's export does, in one statement."""
        if not ids:
            return
        self.env["ir.model.data"].flush_model(["model", "module", "name", "res_id"])
        insert = SQL(
            """
            INSERT INTO ir_model_data (module, model, name, res_id)
            SELECT '__export__', %(model)s, %(table)s || '_' || wanted.id, wanted.id
              FROM unnest(%(ids)s) wanted (id)
             WHERE NOT EXISTS (SELECT FROM ir_model_data known
                                WHERE known.model = %(model)s
                                  AND known.res_id = wanted.id)
            """,
            model=comodel,
            table=self.env[comodel]._table,
            ids=self._as_array(ids),
        )
        # Looking for names that are taken costs a quarter more, and they are rare.
        try:
            with self.env.cr.savepoint(flush=False):
                self.env.cr.execute(insert, log_exceptions=False)
        except UniqueViolation:
            self.env.execute_query(SQL("%s ON CONFLICT DO NOTHING", insert))
