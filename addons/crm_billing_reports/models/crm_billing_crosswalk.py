from odoo import api, fields, models
from odoo.exceptions import UserError, ValidationError

from .crm_billing_system import MODELS

NAMES = {
    "res.partner": "Customer",
    "account.move": "Invoice or credit note",
    "account.payment": "Payment",
    "account.bank.statement.line": "Bank line",
}
# What one row is about never changes: another record is another row.
IDENTITY = ("system_id", "model", "res_id")
# What the drift alarm stands on: files handed out and lists read write it.
MACHINE_FIELDS = (
    "company_id",
    "partner_id",
    "known_version",
    "state",
    "first_seen_at",
    "last_seen_at",
    "handed_out_at",
    "checksum",
    "drift",
    "drift_checked_at",
)


class CrmBillingCrosswalk(models.Model):
    """One record here and the same one in the books outside.

    Unique both ways: a record has one counterpart in a system, a counterpart one
    record. Flows read it with :meth:`_get_rows` and :meth:`_find_records`, and write
    it with :meth:`_note_handed_out` (a file left) and :meth:`_note_seen` (the other
    side showed it). A payment that came from outside must get a row, too: what has
    one is never handed out as new.
    """

    _name = "crm.billing.crosswalk"
    _description = "Crosswalk"
    _inherit = ["crm.billing.machine.fields"]
    _order = "id desc"
    _rec_name = "external_id"

    system_id = fields.Many2one(
        "crm.billing.system",
        string="Books",
        required=True,
        index=True,
        ondelete="restrict",
    )
    company_id = fields.Many2one(related="system_id.company_id", store=True, index=True)
    model = fields.Selection(list(NAMES.items()), string="Kind", required=True)
    res_id = fields.Many2oneReference(
        string="Record", model_field="model", required=True
    )
    res_name = fields.Char(string="Record Here", compute="_compute_res_name")
    partner_id = fields.Many2one(
        "res.partner", string="Account", index="btree_not_null", readonly=True
    )
    external_id = fields.Char(
        string="External ID",
        required=True,
        help="What the other side knows it by: its internal id where it shows one, "
        "else the document number or the display name.",
    )
    external_name = fields.Char(
        help="The display name or document number there: files name customers and "
        "invoices by it."
    )
    version = fields.Char(
        help="The version of the object that the other side showed last."
    )
    known_version = fields.Char(
        readonly=True,
        help="The version of the object when we last handed it out or accepted it.",
    )
    is_deposited = fields.Boolean(
        string="Deposited There",
        help="The payment is part of a bank deposit there and cannot change any more.",
    )
    state = fields.Selection(
        [
            ("handed_out", "Handed out"),
            ("confirmed", "Seen there"),
            ("missing", "Missing there"),
            ("withdrawn", "Withdrawn"),
        ],
        default="confirmed",
        required=True,
        index=True,
    )
    first_seen_at = fields.Datetime(readonly=True)
    last_seen_at = fields.Datetime(
        string="Last Seen There", help="When a file of the other side last showed it."
    )
    handed_out_at = fields.Datetime(readonly=True)
    checksum = fields.Char(
        readonly=True, help="SHA-256 of what was handed out; a change here shows."
    )

    _record_uniq = models.UniqueIndex(
        "(system_id, model, res_id)",
        "This record already has a counterpart in these books.",
    )
    _external_uniq = models.UniqueIndex(
        "(system_id, model, external_id)",
        "This external id already belongs to another record.",
    )
    _external_name_idx = models.Index("(system_id, lower(external_name))")

    @api.model
    def _get_machine_fields(self):
        return MACHINE_FIELDS

    # === COMPUTE METHODS === #

    @api.depends("model", "res_id")
    def _compute_res_name(self):
        """Name the record with the reader's rights; a deleted one has none."""
        for model, rows in self.grouped("model").items():
            names = {}
            if model:
                found = self.env[model].browse(rows.mapped("res_id")).exists()
                readable = found._filtered_access("read")
                names = {record.id: record.display_name for record in readable}
            for row in rows:
                row.res_name = names.get(row.res_id, False)

    # === CONSTRAINT METHODS === #

    @api.constrains("model", "res_id", "system_id")
    def _check_record(self):
        """A row names a record that exists, of the right company."""
        for model, rows in self.grouped("model").items():
            # Whoever maps need not see the record; its company is looked at here.
            records = self.env[model].sudo().browse(rows.mapped("res_id")).exists()
            companies = {record.id: record.company_id for record in records}
            for row in rows:
                row._check_record_company(companies.get(row.res_id))

    def _check_record_company(self, company):
        if company is None:
            raise ValidationError(
                self.env._(
                    "%(kind)s %(id)s does not exist here: take the number from the "
                    "record itself.",
                    kind=NAMES[self.model],
                    id=self.res_id,
                )
            )
        if company and not self.system_id._covers(company):
            raise ValidationError(
                self.env._(
                    "%(kind)s %(id)s belongs to another company than %(books)s.",
                    kind=NAMES[self.model],
                    id=self.res_id,
                    books=self.system_id.name,
                )
            )

    # === CRUD METHODS === #

    @api.model_create_multi
    def create(self, vals_list):
        """Note whose record it is, and the version that is known."""
        rows = super().create(vals_list)
        for row in rows.sudo():
            record = self.env[row.model].sudo().browse(row.res_id)
            account = record if row.model == "res.partner" else record.partner_id
            row.partner_id = account.commercial_partner_id
            row.external_name = row.external_name or row.external_id
            row.known_version = row.known_version or row.version
        rows._log_by_hand("create")
        return rows

    def write(self, vals):
        """Keep what a row is about, and log what a person changes."""
        if any(row._is_moved_by(vals) for row in self):
            raise UserError(
                self.env._(
                    "A row of the crosswalk keeps its record and its books. Delete it "
                    "and map the other record."
                )
            )
        before = {row.id: row.external_id for row in self}
        result = super().write(vals)
        if "external_id" in vals:
            self._log_by_hand("write", before)
        return result

    def _is_moved_by(self, vals):
        now = {"system_id": self.system_id.id, "model": self.model}
        now["res_id"] = self.res_id
        return any(name in vals and vals[name] != now[name] for name in IDENTITY)

    def unlink(self):
        """Log what a person takes out of the map."""
        self._log_by_hand("unlink")
        return super().unlink()

    def _log_by_hand(self, operation, before=None):
        """Add to the audit log what a person did; flows log the batch or the import."""
        if self.env.su:
            return
        before = before or {}
        self.env["crm.billing.event"]._log(
            [
                {
                    "action": "mapped",
                    "company_id": row.company_id.id,
                    "partner_id": row.partner_id.id,
                    "move_id": row.res_id if row.model == "account.move" else False,
                    "old_value": before.get(
                        row.id, row.external_id if operation == "unlink" else False
                    ),
                    "new_value": row.external_id if operation != "unlink" else False,
                    "note": row.system_id.name,
                }
                for row in self
            ]
        )

    # === ACTION METHODS === #

    def action_open_record(self):
        """Show the record here."""
        self.ensure_one()
        record = self.env[self.model].browse(self.res_id)
        return record._get_records_action(context={})

    def action_accept_version(self):
        """Take what the other side shows as known: it was compared by a person."""
        self.check_access("write")
        for row in self:
            row.sudo().known_version = row.version

    # === BUSINESS METHODS - READING === #

    @api.model
    def _get_rows(self, system, model, res_ids):
        """Return ``{res_id: row}`` of the records that are mapped to ``system``."""
        rows = self.search(
            [
                ("system_id", "=", system.id),
                ("model", "=", model),
                ("res_id", "in", list(res_ids)),
            ]
        )
        return {row.res_id: row for row in rows}

    @api.model
    def _find_records(self, system, model, external_ids):
        """Return ``{external id: record}`` of what is mapped and still exists here."""
        rows = self.search(
            [
                ("system_id", "=", system.id),
                ("model", "=", model),
                ("external_id", "in", list(external_ids)),
            ]
        )
        alive = set(self.env[model].browse(rows.mapped("res_id")).exists().ids)
        return {
            row.external_id: self.env[model].browse(row.res_id)
            for row in rows
            if row.res_id in alive
        }

    # === BUSINESS METHODS - WRITING === #

    @api.model
    def _note_seen(self, system, model, seen, now):
        """Note that the other side showed these; the same file again changes nothing.

        A row that was handed out under its number gets the internal id that the other
        side gave it.

        :param seen: ``{res_id: values}`` with ``external_id`` and, where known,
            ``external_name``, ``version``, ``is_deposited``
        :param now: instant (naive UTC)
        :return: the rows
        """
        rows = self._get_rows(system, model, seen)
        new = []
        for res_id, values in seen.items():
            values = {**values, "state": "confirmed", "last_seen_at": now}
            row = rows.get(res_id)
            if row:
                values["first_seen_at"] = row.first_seen_at or now
                if not row.known_version:
                    values["known_version"] = values.get("version") or row.version
                row.write(values)
            else:
                key = {"system_id": system.id, "model": model, "res_id": res_id}
                new.append({**key, **values, "first_seen_at": now})
        return self.union(*rows.values()) | self.create(new)

    @api.model
    def _note_handed_out(self, system, model, handed, now):
        """Note that these left in a file; a second time updates the same rows.

        :param handed: ``{res_id: values}`` with ``external_name`` and ``checksum``
        :param now: instant (naive UTC)
        :return: the rows
        """
        rows = self._get_rows(system, model, handed)
        new = []
        for res_id, values in handed.items():
            values = {**values, "handed_out_at": now}
            row = rows.get(res_id)
            if row:
                row.write({**values, "known_version": row.version})
            else:
                key = {"system_id": system.id, "model": model, "res_id": res_id}
                name = {"external_id": values["external_name"]}
                new.append({**key, **name, **values, "state": "handed_out"})
        return self.union(*rows.values()) | self.create(new)

    def _note_withdrawn(self):
        """Note that the other side took these back, and so did we.

        The row stays, under an id that frees the one there: what was booked from the
        other side is never handed out to it, not even posted again here.
        """
        for row in self.filtered(lambda row: row.state != "withdrawn"):
            key = f"{row.external_id} #{row.res_id}"
            row.write({"state": "withdrawn", "external_id": key, "external_name": key})
        # The id is free before the next payment takes it: rows are inserted at once.
        self.flush_recordset(["external_id"])

    def _get_entity(self):
        """Return which list of the other side the row stands in."""
        self.ensure_one()
        if self.model == "account.move":
            move = self.env["account.move"].sudo().browse(self.res_id)
            return "credit" if move.move_type == "out_refund" else "invoice"
        return MODELS[self.model]
