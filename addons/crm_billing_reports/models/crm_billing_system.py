from odoo import api, fields, models
from odoo.exceptions import UserError, ValidationError
from odoo.fields import Domain
from odoo.tools import SQL

from ..report_rules.books_layout import DOCUMENT_LIMIT, LAYOUTS, ROW_LIMIT

KINDS = [("quickbooks_csv", "QuickBooks (CSV)"), ("generic_csv", "Other (CSV)")]
ENTITIES = [
    ("customer", "Customers"),
    ("invoice", "Invoices"),
    ("credit", "Credit notes"),
    ("payment", "Payments"),
]
MOST = 8  # books of a company: their number is part of the ids of the match board
# What can stand on the other side, and so in the crosswalk.
MODELS = {
    "res.partner": "customer",
    "account.move": "invoice",
    "account.payment": "payment",
    "account.bank.statement.line": "payment",
}


class CrmBillingSystem(models.Model):
    """Another system that keeps books of the same business, such as QuickBooks.

    What goes out and comes back is a file. What is what on both sides stands in
    `crm.billing.crosswalk`: it hangs on this record and on no password or address, so
    that it outlives both. A system that was in use is archived, never deleted.
    """

    _name = "crm.billing.system"
    _description = "External Books"
    _inherit = ["mail.thread", "mail.activity.mixin"]
    _order = "name, id"
    _check_company_auto = True

    name = fields.Char(required=True, tracking=True)
    active = fields.Boolean(default=True, tracking=True)
    kind = fields.Selection(
        KINDS,
        string="Format",
        required=True,
        default="quickbooks_csv",
        tracking=True,
        help="After a change restore the shipped columns of the new format.",
    )
    company_id = fields.Many2one(
        "res.company", required=True, default=lambda self: self.env.company, index=True
    )
    user_id = fields.Many2one(
        "res.users",
        string="Responsible",
        default=lambda self: self.env.user,
        help="Gets the tasks: a batch to hand out, a field that is gone.",
    )
    start_date = fields.Date(
        string="Hand Out From",
        required=True,
        default=fields.Date.context_today,
        tracking=True,
        help="Documents before this day are never handed out: the other books have "
        "them, and would have them twice.",
    )
    closed_until = fields.Date(
        string="Books There Closed Until",
        tracking=True,
        help="Nothing of this day or before is handed out: the other side would refuse "
        "it, or change figures that were reported.",
    )
    confirm_days = fields.Integer(
        string="Days to Confirm",
        default=7,
        help="What was handed out and was not seen there after these days is an alarm.",
    )
    with_payments = fields.Boolean(
        string="Hand Out Payments",
        default=True,
        help="Payments that were received here, such as online payments. Payments that "
        "came from these books never go back.",
    )
    accepts_updates = fields.Boolean(
        help="The other side takes a changed record from a file, and finds it by its "
        "external id. Leave it off for QuickBooks, whose import adds records.",
    )
    is_automatic = fields.Boolean(
        string="Prepare a Batch Daily",
        help="What is posted is collected and checked every day; the responsible gets "
        "a task to hand it out.",
    )
    row_limit = fields.Integer(string="Rows per File", default=ROW_LIMIT, required=True)
    document_limit = fields.Integer(
        string="Documents per File", default=DOCUMENT_LIMIT, required=True
    )
    date_format = fields.Selection(
        [
            ("%m/%d/%Y", "12/31/2026"),
            ("%d/%m/%Y", "31/12/2026"),
            ("%Y-%m-%d", "2026-12-31"),
        ],
        required=True,
        default="%Y-%m-%d",
        help="Choose the same when the file is imported there.",
    )
    no_tax_code = fields.Char(
        string="Tax Code without Tax", help="What the other side calls a line untaxed."
    )
    field_ids = fields.One2many("crm.billing.system.field", "system_id", copy=True)
    map_ids = fields.One2many("crm.billing.system.map", "system_id", copy=True)
    name_ids = fields.One2many(
        "crm.billing.system.name", "system_id", string="Names There"
    )
    name_count = fields.Integer(compute="_compute_name_count")
    crosswalk_ids = fields.One2many("crm.billing.crosswalk", "system_id")
    crosswalk_count = fields.Integer(compute="_compute_crosswalk_count")

    _name_uniq = models.UniqueIndex(
        "(company_id, lower(name))",
        "This company already has books of that name.",
    )
    _confirm_days_positive = models.Constraint(
        "CHECK (confirm_days >= 0)",
        "Give the days in which a file is read there as a number from 0 on.",
    )

    _limits_positive = models.Constraint(
        "CHECK (row_limit > 0 AND document_limit > 0)",
        "A file holds at least one row of one document.",
    )

    # === COMPUTE METHODS === #

    @api.depends("name_ids")
    def _compute_name_count(self):
        counts = self.env["crm.billing.system.name"]._read_group(
            [("system_id", "in", self.ids)], ["system_id"], ["__count"]
        )
        counts = {system.id: count for system, count in counts}
        for system in self:
            system.name_count = counts.get(system.id, 0)

    @api.depends("crosswalk_ids")
    def _compute_crosswalk_count(self):
        counts = self.env["crm.billing.crosswalk"]._read_group(
            [("system_id", "in", self.ids)], ["system_id"], ["__count"]
        )
        counts = {system.id: count for system, count in counts}
        for system in self:
            system.crosswalk_count = counts.get(system.id, 0)

    # === CRUD METHODS === #

    @api.model_create_multi
    def create(self, vals_list):
        """Give new books the columns that are shipped for their format."""
        systems = super().create(vals_list)
        for system in systems.filtered(lambda system: not system.field_ids):
            system._create_fields()
        return systems

    def copy_data(self, default=None):
        """Name the copy after the original: two of one name are refused."""
        default = default or {}
        return [
            {**vals, "name": self.env._("%(name)s (copy)", name=system.name)}
            if "name" not in default
            else vals
            for system, vals in zip(self, super().copy_data(default), strict=True)
        ]

    def write(self, vals):
        """Refuse to move what is mapped, or to a company that is not the user's."""
        if "company_id" in vals and any(
            system.company_id.id != vals["company_id"] and system.sudo().crosswalk_ids
            for system in self
        ):
            raise UserError(
                self.env._(
                    "Records are mapped to these books: they stay with their company. "
                    "Create other books for the other company."
                )
            )
        written = super().write(vals)
        if "company_id" in vals:
            self.check_access("write")  # Odoo itself asks before the move alone
        return written

    @api.ondelete(at_uninstall=False)
    def _unlink_except_mapped(self):
        if self.sudo().crosswalk_ids:
            raise UserError(
                self.env._(
                    "Records are mapped to these books. Archive them: without the "
                    "map everything would be handed out a second time."
                )
            )

    # === ACTION METHODS === #

    def action_restore_fields(self):
        """Put the shipped columns of the format in place of the present ones."""
        self.check_access("write")
        for system in self:
            system.field_ids.unlink()
            system._create_fields()
            system.message_post(body=self.env._("The shipped columns were restored."))

    def action_open_names(self):
        """Show the names that the other side uses."""
        self.ensure_one()
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "crm_billing_reports.crm_billing_system_name_action"
        )
        action["domain"] = [("system_id", "=", self.id)]
        action["context"] = {"default_system_id": self.id}
        return action

    def action_open_crosswalk(self):
        """Show what is mapped to these books."""
        self.ensure_one()
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "crm_billing_reports.crm_billing_crosswalk_action"
        )
        action["domain"] = [("system_id", "=", self.id)]
        action["context"] = {"default_system_id": self.id}
        return action

    # === BUSINESS METHODS === #

    def _create_fields(self):
        self.ensure_one()
        self.env["crm.billing.system.field"].create(
            [
                {
                    "system_id": self.id,
                    "entity": entity,
                    "sequence": 100 * file + place,
                    "name": column.heading,
                    "value": column.value,
                    "is_required": column.is_required,
                }
                for file, (entity, columns) in enumerate(LAYOUTS[self.kind].items())
                for place, column in enumerate(columns, 1)
            ]
        )

    @api.constrains("company_id")
    def _check_count(self):
        """At most :data:`MOST` books a company: the match board has a row for each."""
        found = self.sudo().with_context(active_test=False)
        for company in self.company_id:
            if found.search_count([("company_id", "=", company.id)]) > MOST:
                raise ValidationError(
                    self.env._(
                        "%(company)s has %(most)s books already, archived ones "
                        "included. Delete one that was never used.",
                        company=company.name,
                        most=MOST,
                    )
                )

    @api.model
    def _get_homes(self):
        """Return ``{company id: id of the company whose books have its documents}``.

        That is the company itself or the nearest one above it with books in use: the
        branches of a company are in its books, unless they keep their own.
        """
        owners = set(self.sudo().search([("active", "=", True)]).company_id.ids)
        companies = self.env["res.company"].sudo().with_context(active_test=False)
        homes = {}
        for company in companies.search(Domain.TRUE):
            line = [int(part) for part in company.parent_path.split("/") if part]
            home = next((one for one in reversed(line) if one in owners), None)
            if home:
                homes[company.id] = home
        return homes

    def _get_companies(self):
        """Return the companies whose documents are in these books, its own first."""
        self.ensure_one()
        homes = self._get_homes()
        own = self.company_id
        branches = [one for one, home in homes.items() if home == own.id != one]
        return own | own.browse(branches)

    def _covers(self, company):
        """Return whether documents of a company are in these books."""
        return company == self.company_id or company in self._get_companies()

    @api.model
    def _get_default(self):
        """Return the books of the user's company, else the first ones beside it."""
        company = self.env.company
        return company.billing_system_id or self.search(
            [("company_id", "=", company.id)], limit=1
        )

    def _get_responsible(self):
        """Return who gets a task: the responsible, else a billing manager."""
        self.ensure_one()
        if self.user_id.active:
            return self.user_id
        return self.env["crm.billing.watch"]._get_manager(self.company_id)

    def _get_taken(self, names):
        """Return ``{(entity, name in small letters): whose it is}`` of names in use.

        :param names: of what is to be handed out
        """
        self.ensure_one()
        taken = {}
        for row in self._find_named(names):
            # Invoices and credit notes share one row of ids in the crosswalk.
            entities = {"invoice", "credit"} if row.model == "account.move" else set()
            for entity in entities | {row._get_entity()}:
                for name in (row.external_name, row.external_id):
                    taken[entity, name.lower()] = row.res_name or row.external_name
        return taken

    def _find_named(self, names):
        """Return rows of the crosswalk that go by one of these names there."""
        crosswalk = self.env["crm.billing.crosswalk"]
        crosswalk.flush_model(["system_id", "external_name", "external_id"])
        ids = self.env.execute_query(
            SQL(
                "SELECT id FROM crm_billing_crosswalk WHERE system_id = %s"
                " AND (lower(external_name) = ANY(%s) OR external_id = ANY(%s))",
                self.id,
                [name.lower() for name in names],
                list(names),
            )
        )
        return crosswalk.browse(row_id for (row_id,) in ids)
