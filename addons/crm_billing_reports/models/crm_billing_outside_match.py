from odoo import fields, models
from odoo.exceptions import UserError
from odoo.fields import Domain
from odoo.tools import SQL

from .crm_billing_outside_document import MODELS, MOVE_TYPES

LINKS = {
    "account.move": "move_id",
    "account.payment": "payment_id",
    "account.bank.statement.line": "statement_line_id",
}
HOMES = {
    "invoice": ("account.move",),
    "credit": ("account.move",),
    "payment": ("account.payment", "account.bank.statement.line"),
}


class CrmBillingOutsideDocument(models.Model):
    _inherit = "crm.billing.outside.document"

    # === BUSINESS METHODS - MATCHING === #

    def _match(self, now):
        """Find accounts and counterparts here of all rows, and note them as seen.

        The crosswalk decides; without it a number does where amount or account agrees.
        A number alone is no proof: it is shown as a clash.
        """
        for system, rows in self.grouped("system_id").items():
            rows._match_accounts(system)
            rows._match_crosswalk(system)
            rows._match_numbers(system)
            rows._note_seen(system, now)

    def _match_accounts(self, system):
        """Find which account each customer is: by crosswalk, else by its only name."""
        keys = set(self.mapped("customer_name")) | set(self.mapped("customer_ref"))
        keys.discard(False)
        known = self._get_mapped_accounts(system, keys)
        named = self._get_named_accounts(set(self.mapped("customer_name")), system)
        for row in self:
            account = known.get(row.customer_ref) or known.get(row.customer_name)
            row.partner_id = account or named.get(row.customer_name.lower(), False)

    def _get_mapped_accounts(self, system, keys):
        rows = self.env["crm.billing.crosswalk"].search(
            [
                ("system_id", "=", system.id),
                ("model", "=", "res.partner"),
                "|",
                ("external_id", "in", list(keys)),
                ("external_name", "in", list(keys)),
            ]
        )
        partners = self.env["res.partner"].browse(rows.mapped("res_id")).exists()
        accounts = {row.id: row.commercial_partner_id.id for row in partners}
        found = {row.external_name: accounts.get(row.res_id) for row in rows}
        found.update({row.external_id: accounts.get(row.res_id) for row in rows})
        return found

    def _get_named_accounts(self, names, system):
        """Return ``{name in small letters: account}`` where only one is called so."""
        self.env["res.partner"].flush_model(["name", "legal_name", "parent_id"])
        self.env.cr.execute(
            SQL(
                """
                SELECT lower(called.name), array_agg(DISTINCT account.id)
                  FROM res_partner account
            CROSS JOIN LATERAL (
                       VALUES (account.name), (account.legal_name)) called(name)
                 WHERE account.parent_id IS NULL
                   AND account.active
                   AND (account.company_id IS NULL OR account.company_id = %s)
                   AND lower(called.name) = ANY(%s)
              GROUP BY 1
                """,
                system.company_id.id,
                [name.lower() for name in names],
            )
        )
        return {name: ids[0] for name, ids in self.env.cr.fetchall() if len(ids) == 1}

    def _match_crosswalk(self, system):
        """Link what the crosswalk knows, by external id, else by the number there."""
        for kind, rows in self._get_unlinked().grouped("kind").items():
            keys = {*rows.mapped("external_id"), *rows.mapped("number")}
            known = self.env["crm.billing.crosswalk"].search(
                [
                    ("system_id", "=", system.id),
                    ("model", "in", HOMES[kind]),
                    "|",
                    ("external_id", "in", list(keys)),
                    ("external_name", "in", list(keys)),
                ]
            )
            by_id = {row.external_id: row for row in known}
            by_name = {row.external_name: row for row in known}
            for row in rows:
                found = by_id.get(row.external_id) or by_name.get(row.number)
                if found:
                    row._link(self.env[found.model].browse(found.res_id), "crosswalk")

    def _match_numbers(self, system):
        """Link what has the same number here, if amount or account agrees as well."""
        for kind, rows in self._get_unlinked().grouped("kind").items():
            own = Domain("company_id", "in", system._get_companies().ids)
            names = Domain("name", "in", rows.mapped("number"))
            if kind == "payment":
                usual = Domain("state", "in", ("in_process", "paid"))
                usual &= Domain("partner_type", "=", "customer")
            else:
                usual = Domain("state", "=", "posted")
                usual &= Domain("move_type", "=", MOVE_TYPES[kind])
            found = self.env[MODELS[kind]].search(own & names & usual)
            mapped = self.env["crm.billing.crosswalk"]._get_rows(
                system, MODELS[kind], found.ids
            )
            free = {row.name: row for row in found if row.id not in mapped}
            for row in rows:
                record = free.get(row.number)
                if record and row._agrees(record):
                    row._link(record, "number")

    def _get_unlinked(self):
        return self.filtered(lambda row: not row._get_record() and row._is_alive())

    def _agrees(self, record):
        """Return whether account or amount of a record are those of this row."""
        if self.partner_id == record.partner_id.commercial_partner_id:
            return True
        is_payment = record._name == "account.payment"
        amount = record.amount if is_payment else record.amount_total
        return self.currency_id == record.currency_id and self.currency_id.is_zero(
            amount - self.amount
        )

    def _link(self, record, linked_by):
        """Take a record as counterpart, unless another row has it."""
        record = record.exists()
        name = LINKS[record._name]
        if not record or not self.system_id._covers(record.company_id):
            return
        if record._name == "account.move" and record.move_type != MOVE_TYPES[self.kind]:
            return
        others = self.search(
            [("system_id", "=", self.system_id.id), (name, "=", record.id)]
        )
        if all(row.is_gone for row in others):
            others.write({name: False, "linked_by": False})
            self.write({name: record.id, "linked_by": linked_by})

    def _note_seen(self, system, now):
        """Tell the crosswalk what the other side showed of linked rows."""
        crosswalk = self.env["crm.billing.crosswalk"]
        linked = self.filtered(
            lambda row: not row.is_gone and not row.is_balance and row._get_record()
        )
        for model, rows in linked.grouped(lambda row: row._get_record()._name).items():
            seen = {row._get_record().id: row for row in rows}
            known = crosswalk._get_rows(system, model, seen)
            crosswalk._note_seen(
                system,
                model,
                {
                    res_id: row._prepare_seen(known.get(res_id))
                    for res_id, row in seen.items()
                },
                now,
            )

    def _prepare_seen(self, known):
        """Return what the crosswalk notes; a number does not replace a better id."""
        values = {
            "external_name": self.number,
            "version": self.version,
            "is_deposited": self.is_deposited,
        }
        if not known or self.external_id != self.number:
            values["external_id"] = self.external_id
        return values

    # === BUSINESS METHODS - BY HAND === #

    def _link_by_hand(self, record):
        """Link one document to a record that a person chose.

        :raise UserError: the record is of another kind or company, or taken
        """
        self.ensure_one()
        flow = self.sudo()  # rows are the flow's; the person's rights were checked
        if flow._get_record():
            raise UserError(
                self.env._(
                    "%(number)s already has a counterpart. Undo that link first.",
                    number=self.number,
                )
            )
        flow._link(record, "person")
        if not flow._get_record():
            raise UserError(
                self.env._(
                    "%(here)s cannot be the counterpart of %(there)s: it is of another "
                    "kind or company, or has a counterpart already.",
                    here=record.display_name,
                    there=self.number,
                )
            )
        flow._note_seen(flow.system_id, fields.Datetime.now())
        self._log_match("outside_linked", record.display_name)

    def _unlink_records(self):
        """Forget counterparts, also in the crosswalk."""
        if any(row.is_taken_over for row in self):
            raise UserError(
                self.env._(
                    "A payment that was taken over is not unlinked: correct it there "
                    "and read the list again."
                )
            )
        for row in self.filtered(lambda row: row._get_record()):
            record = row._get_record()
            self.env["crm.billing.crosswalk"].sudo()._get_rows(
                row.system_id, record._name, record.ids
            ).get(record.id, self.env["crm.billing.crosswalk"]).unlink()
            row._log_match("outside_linked", "", record.display_name)
            row.sudo().write({LINKS[record._name]: False, "linked_by": False})

    def _map_account(self, account):
        """Note that the customer there is this account, for now and ever."""
        self.ensure_one()
        now = fields.Datetime.now()
        key = self.customer_ref or self.customer_name
        seen = {"external_id": key, "external_name": self.customer_name}
        self.env["crm.billing.crosswalk"].sudo()._note_seen(
            self.system_id, "res.partner", {account.id: seen}, now
        )
        same = self.sudo().search(
            [
                ("system_id", "=", self.system_id.id),
                ("customer_name", "=", self.customer_name),
            ]
        )
        same._match(now)
        self._log_match("outside_linked", account.name, self.customer_name)

    def _log_match(self, action, new_value="", old_value=""):
        """Add to the audit log what was done with this document."""
        self.env["crm.billing.event"]._log(
            [
                {
                    "action": action,
                    "company_id": row.company_id.id,
                    "partner_id": row.partner_id.id,
                    "move_id": row.move_id.id,
                    "old_value": old_value or False,
                    "new_value": new_value or False,
                    "note": f"{row.system_id.name}: {row.number}",
                }
                for row in self
            ]
        )
