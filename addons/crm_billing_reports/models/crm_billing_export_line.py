from odoo import api, fields, models
from odoo.exceptions import UserError

from .crm_billing_crosswalk import NAMES
from .crm_billing_system import ENTITIES

MACHINE_FIELDS = (
    "batch_id",
    "entity",
    "model",
    "res_id",
    "operation",
    "name",
    "partner_id",
    "date",
    "amount",
    "currency_id",
    "is_name_typed",
    "state",
    "reason",
    "about",
    "issue",
    "rows",
    "fingerprint",
    "previous_checksum",
    "is_live",
)


class CrmBillingExportLine(models.Model):
    """One record of a batch: ready, or refused with the reason and what to do.

    ``rows`` are the texts that stand in the file: with them the same file can be
    written again, to the byte.
    """

    _name = "crm.billing.export.line"
    _description = "Record for External Books"
    _inherit = ["crm.billing.machine.fields"]
    _order = "batch_id desc, state desc, id"

    batch_id = fields.Many2one(
        "crm.billing.export.batch", required=True, index=True, ondelete="cascade"
    )
    system_id = fields.Many2one(related="batch_id.system_id", store=True, index=True)
    company_id = fields.Many2one(related="batch_id.company_id", store=True, index=True)
    entity = fields.Selection(ENTITIES, string="File", required=True, readonly=True)
    model = fields.Selection(list(NAMES.items()), required=True, readonly=True)
    res_id = fields.Many2oneReference(
        string="Record", model_field="model", required=True, readonly=True
    )
    name = fields.Char(string="Name or Number Here", readonly=True)
    partner_id = fields.Many2one("res.partner", string="Account", readonly=True)
    date = fields.Date(readonly=True)
    amount = fields.Monetary(readonly=True, aggregator=None)
    currency_id = fields.Many2one("res.currency", readonly=True)
    operation = fields.Selection(
        [("new", "New"), ("update", "Change")], required=True, readonly=True
    )
    external_name = fields.Char(
        string="Name or Number There",
        help="Type another one if the other side cannot take ours, then check again.",
    )
    is_name_typed = fields.Boolean(readonly=True)
    state = fields.Selection(
        [("ready", "Ready"), ("refused", "To fix"), ("handed_out", "Handed out")],
        required=True,
        readonly=True,
        index=True,
    )
    is_live = fields.Boolean(compute="_compute_is_live", store=True)
    reason = fields.Char(readonly=True)
    about = fields.Char(readonly=True)
    issue = fields.Text(string="What to Fix", readonly=True)
    fingerprint = fields.Char(readonly=True)
    previous_checksum = fields.Char(readonly=True)
    rows = fields.Json(readonly=True)

    _live_uniq = models.UniqueIndex(
        "(system_id, model, res_id) WHERE is_live AND operation = 'new'",
        "This record is in another batch for the same books.",
    )

    @api.model
    def _get_machine_fields(self):
        return MACHINE_FIELDS

    @api.depends("state", "batch_id.state")
    def _compute_is_live(self):
        for line in self:
            is_open = line.batch_id.state != "cancelled"
            line.is_live = is_open and line.state in ("ready", "handed_out")

    # === CRUD METHODS === #

    def write(self, vals):
        """Remember a name that a person types; what left keeps its name."""
        if "external_name" in vals and not self.env.su:
            if self.filtered(lambda line: line.batch_id.state != "checked"):
                raise UserError(
                    self.env._("This batch is closed: names are typed before it is.")
                )
            if self.filtered(lambda line: line.operation == "update"):
                raise UserError(
                    self.env._(
                        "This record is mapped already: change its name in the "
                        "crosswalk."
                    )
                )
            self.check_access("write")
            self.sudo().is_name_typed = True
        return super().write(vals)

    # === ACTION METHODS === #

    def action_open_record(self):
        """Show the record here."""
        self.ensure_one()
        record = self.env[self.model].browse(self.res_id)
        return record._get_records_action(context={})

    def action_fix(self):
        """Open what must be corrected, or correct it where only a yes is missing."""
        self.ensure_one()
        if self.reason in ("no_item", "no_tax", "inactive"):
            return self._open_map()
        if self.reason in ("no_tax_code", "period_closed"):
            return self._open(self.system_id)
        if self.reason in ("changed", "changed_there", "deposited"):
            return self._open(self._get_row())
        if self.reason in ("no_document", "customer_refused"):
            return self._open_of_account()
        if self.reason == "name_known":
            return self.action_link()
        return self.action_open_record()

    def action_link(self):
        """Take the customer there for this one: it is not handed out again.

        :raise UserError: no customer of this name is known there
        """
        self.ensure_one()
        self.batch_id._check_can_hand_out()
        names = self.env["crm.billing.system.name"]._get_names(self.system_id)
        listed = names.get((self.external_name or "").strip().lower())
        if self.entity != "customer" or not listed or listed.kind != "customer":
            raise UserError(
                self.env._("There is no customer of this name in the other books.")
            )
        self.env["crm.billing.crosswalk"].create(
            {
                "system_id": self.system_id.id,
                "model": self.model,
                "res_id": self.res_id,
                "external_id": listed.external_id or listed.name,
                "external_name": listed.name,
            }
        )
        return self.batch_id.action_collect()

    # === BUSINESS METHODS === #

    def _open(self, record):
        return record._get_records_action(context={})

    def _open_of_account(self):
        """Show the rows that hold each other up: the account and its documents."""
        action = self.batch_id.action_open_refused()
        action["domain"] += [("partner_id", "=", self.partner_id.id)]
        return action

    def _open_map(self):
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "crm_billing_reports.crm_billing_system_map_action"
        )
        action["domain"] = [("system_id", "=", self.system_id.id)]
        action["context"] = {"default_system_id": self.system_id.id}
        return action

    def _get_row(self):
        rows = self.env["crm.billing.crosswalk"]._get_rows(
            self.system_id, self.model, [self.res_id]
        )
        return rows[self.res_id]

    @api.model
    def _explain(self, reason, about):
        """Return in words what the other side would refuse, and what to do."""
        return self._get_texts()[reason] % {"about": about}

    @api.model
    def _get_texts(self):
        """Return a text for each reason, with a place for what it is about."""
        _ = self.env._
        return {
            "name_empty": _("The account has no name. Give it one."),
            "name_long": _(
                "“%(about)s” is longer than the 100 characters of a display name. Type "
                "a shorter name there."
            ),
            "name_sign": _(
                "“%(about)s” holds a colon, a quotation mark or a line break, which a "
                "display name cannot have. Type another name there."
            ),
            "name_formula": _(
                "“%(about)s” begins as a formula does, and would arrive with a "
                "quotation mark in front. Type another name there, or rename it there."
            ),
            "name_known": _(
                "A customer “%(about)s” is there already. If it is the same, link it; "
                "else type another name there."
            ),
            "name_taken": _(
                "“%(about)s” is a vendor or an employee there, and a display name is "
                "unique among all lists. Type another name there."
            ),
            "name_twice": _(
                "“%(about)s” already has this name there. Type another name there."
            ),
            "number_empty": _("The document has no number. Post it first."),
            "number_long": _(
                "“%(about)s” is longer than 21 characters. Type a shorter number there."
            ),
            "number_taken": _(
                "The number is used there by %(about)s. Map the record if it is the "
                "same, else type another number there."
            ),
            "period_closed": _(
                "The books there are closed on %(about)s. Have the period opened, or "
                "move “Books There Closed Until”."
            ),
            "no_account": _("%(about)s names no account. Set its customer."),
            "customer_refused": _(
                "The customer %(about)s cannot be handed out: fix that row first."
            ),
            "no_document": _(
                "An account leaves with its first document: fix the rows of its "
                "documents first."
            ),
            "inactive": _(
                "“%(about)s” is inactive there. Activate it there and tick it here, or "
                "name another one."
            ),
            "no_item": _(
                "%(about)s has no item there. Give its product or its account a name."
            ),
            "no_tax": _("The tax %(about)s has no tax code there. Give it one."),
            "two_taxes": _(
                "A line has several taxes (%(about)s) and one tax code there. Use a "
                "tax that combines them."
            ),
            "no_tax_code": _(
                "A line has no tax. Say on the books which tax code stands for that."
            ),
            "does_not_add_up": _(
                "The lines do not add up to the total (%(about)s). Enter the document "
                "there by hand and map it."
            ),
            "invoice_missing": _(
                "It pays %(about)s, which is not there yet. Hand that out first, or "
                "map it."
            ),
            "write_off": _(
                "The payment also writes off %(about)s, which the file cannot say. "
                "Enter it there by hand and map it."
            ),
            "currency": _(
                "It pays in %(about)s what was received in another currency, which the "
                "file cannot say. Enter it there by hand and map it."
            ),
            "outbound": _(
                "%(about)s is money paid back, which the file cannot say. Enter it "
                "there by hand and map it."
            ),
            "changed": _(
                "%(about)s changed here after it was handed out, and these books take "
                "no changes by file. Correct it there, then accept it in the crosswalk."
            ),
            "changed_there": _(
                "The other side changed it, too (version %(about)s). Compare both, "
                "then accept the version in the crosswalk."
            ),
            "deposited": _(
                "%(about)s is part of a bank deposit there and cannot change. Undo the "
                "change here, or correct it with another payment."
            ),
            "column_empty": _(
                "The column “%(about)s” must be filled and is empty. Complete the "
                "record."
            ),
        }
