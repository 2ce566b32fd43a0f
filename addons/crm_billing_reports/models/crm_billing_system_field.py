from odoo import api, fields, models
from odoo.exceptions import ValidationError

from ..report_rules.books_layout import NEEDED, get_values
from .crm_billing_system import ENTITIES

# Where the path of a column begins, by what the file lists.
ROOTS = {
    "customer": "res.partner",
    "invoice": "account.move.line",
    "credit": "account.move.line",
    "payment": "account.payment",
}
PATH = "path"
UNREADABLE = ("binary", "one2many", "many2many", "html", "properties", "json")


class CrmBillingSystemField(models.Model):
    """One column of a file for other books, and what stands in it.

    A column takes a value that every format knows (:data:`LAYOUTS`), or follows a path
    of fields from the record, such as ``move_id.x_cost_center``. A path that ends in
    nothing any more stops the export: :meth:`_find_problems`.
    """

    _name = "crm.billing.system.field"
    _description = "Column for External Books"
    _inherit = ["crm.billing.machine.fields"]
    _order = "system_id, sequence, id"

    system_id = fields.Many2one(
        "crm.billing.system", required=True, index=True, ondelete="cascade"
    )
    company_id = fields.Many2one(related="system_id.company_id", store=True, index=True)
    entity = fields.Selection(ENTITIES, string="File", required=True)
    sequence = fields.Integer(default=999)
    name = fields.Char(string="Heading", required=True)
    value = fields.Selection("_get_value_selection", required=True, default=PATH)
    field_path = fields.Char(
        string="Path",
        help="Fields from the record on: of a customer, an invoice line (move_id leads "
        "to the invoice) or a payment.",
    )
    is_required = fields.Boolean(
        string="Must Be Filled", help="A record without this value is not handed out."
    )

    _heading_uniq = models.UniqueIndex(
        "(system_id, entity, lower(name))", "This file already has such a heading."
    )

    @api.model
    def _get_machine_fields(self):
        return ("company_id",)

    @api.model
    def _get_value_selection(self):
        names = sorted({name for entity in ROOTS for name in get_values(entity)})
        known = [(name, name.replace("_", " ").capitalize()) for name in names]
        return [*known, (PATH, "Another field")]

    # === CONSTRAINT METHODS === #

    @api.constrains("entity", "value", "field_path")
    def _check_value(self):
        """What cannot be read is refused when it is typed, with the reason."""
        # Constraints run as superuser; the person must be able to read it.
        for column in self.sudo(False):
            if problem := column._find_problem():
                raise ValidationError(problem)

    # === BUSINESS METHODS === #

    def _find_problems(self):
        """Return what is wrong with the columns of a system, in words.

        Looked at before each export and by the watchdog: fields are renamed and
        removed, and a file without them would be wrong in silence.
        """
        problems = [problem for one in self if (problem := one._find_problem())]
        for (system, entity), columns in self.grouped(
            lambda column: (column.system_id, column.entity)
        ).items():
            missing = NEEDED[entity] - set(columns.mapped("value"))
            entities = dict(self._fields["entity"]._description_selection(self.env))
            problems += [
                self.env._(
                    "%(books)s, %(file)s: no column takes “%(value)s”. Add one, or "
                    "restore the shipped columns.",
                    books=system.name,
                    file=entities[entity],
                    value=name.replace("_", " "),
                )
                for name in sorted(missing)
            ]
        return problems

    def _find_problem(self):
        """Return why this column cannot be filled, or nothing."""
        self.ensure_one()
        if self.value != PATH:
            return self._find_value_problem()
        model = self.env[ROOTS[self.entity]]
        names = (self.field_path or "").split(".")
        for name in names:
            field = model is not None and model._fields.get(name)
            if not field or field.type in UNREADABLE or "token" in name:
                return self._describe_missing(name)
            if not model._has_field_access(field, "read"):
                return self._describe_missing(name)
            model = self.env[field.comodel_name] if field.relational else None
        return None

    def _find_value_problem(self):
        if self.value in get_values(self.entity):
            return None
        return self.env._(
            "The column “%(column)s” takes “%(value)s”, which this file does not have. "
            "Choose another value.",
            column=self.name,
            value=(self.value or "").replace("_", " "),
        )

    def _describe_missing(self, name):
        return self.env._(
            "The column “%(column)s” of %(books)s reads %(path)s, and %(field)s does "
            "not exist (any more) or cannot be written to a file. Choose another field "
            "or delete the column.",
            column=self.name,
            books=self.system_id.name,
            path=self.field_path or "–",
            field=name or "–",
        )

    def _read_path(self, record):
        """Return the text at the end of the path, as the reader of ``record`` sees it.

        :param record: of the model of :data:`ROOTS`, or of another one: nothing
        """
        if record._name != ROOTS[self.entity]:
            return ""
        value = record
        for name in self.field_path.split("."):
            value = value[name]
        if isinstance(value, models.BaseModel):
            return value.display_name or ""
        return "" if value is False or value is None else str(value)
