"""Collect what other books do not have yet, and check it as they would."""

from odoo import api, fields, models
from odoo.fields import Domain

from .crm_billing_books_check import There
from .crm_billing_books_facts import RECEIVED
from .crm_billing_system import ENTITIES

ACTIVITY = "crm_billing_handoff.mail_activity_type_billing"
MOST = 2000  # documents of a batch; what is more waits for the next one


class CrmBillingExportBatch(models.Model):
    _inherit = "crm.billing.export.batch"

    # === BUSINESS METHODS - COLLECTING === #

    def _collect(self, reader, only=None):
        """Write a line for each record that is to be handed out, with what is wrong.

        :param reader: environment of the person, for paths of fields
        :param only: ``{model: ids}`` to look at; by default what is not there yet
        :return: whether the columns can be filled at all
        """
        self.ensure_one()
        self._lock()
        if problems := self.system_id.with_env(reader).field_ids._find_problems():
            self._stop(problems)
            return False
        typed = {
            (line.model, line.res_id): line.external_name
            for line in self.line_ids
            if line.is_name_typed
        }
        self.line_ids.unlink()
        found = self._find_records(only)
        facts = self._read_all(found)
        self.env["crm.billing.export.line"].create(self._judge(facts, typed))
        self.write(
            {
                "state": "checked",
                "problem": False,
                "columns": self._get_columns(),
                "collected_at": fields.Datetime.now(),
            }
        )
        return True

    def _lock(self):
        """One hand at a time collects for these books."""
        self.system_id.lock_for_update()

    def _stop(self, problems):
        """Note what stops the export, and give it to a person by name."""
        self.problem = "\n".join(problems)
        system = self.system_id
        if not system.activity_search([ACTIVITY]):
            system.activity_schedule(
                ACTIVITY,
                user_id=system._get_responsible().id,
                summary=self.env._(
                    "Correct the columns of %(books)s", books=system.name
                ),
                note=self.problem,
            )

    def _get_columns(self):
        return {
            entity: columns.mapped("name")
            for entity, columns in self.system_id.field_ids.grouped("entity").items()
        }

    def _find_records(self, only):
        """Return ``{model: records}`` that are to be handed out, new or changed."""
        found, is_partial = {}, False
        for name, domain in self._get_domains().items():
            if only is not None:
                domain &= Domain("id", "in", only.get(name, []))
            records = self.env[name].search(domain, order="date, id", limit=MOST + 1)
            is_partial = is_partial or len(records) > MOST
            found[name] = records[:MOST] | self._find_changed(name)
        found["res.partner"] = self._find_changed("res.partner")
        if only is None:
            self.is_partial = is_partial
        return found

    def _get_domains(self):
        """Return what is to be handed out, by model; a hook."""
        system = self.system_id
        since = max(filter(None, (self.date_from, system.start_date)))
        common = Domain("company_id", "in", system._get_companies().ids)
        days = Domain("date", ">=", since) & Domain("date", "<=", self.date_to)
        domains = {
            "account.move": Domain(
                [
                    ("state", "=", "posted"),
                    ("move_type", "in", ("out_invoice", "out_refund")),
                    ("invoice_date", ">=", since),
                    ("invoice_date", "<=", self.date_to),
                ]
            )
        }
        if system.with_payments:
            domains["account.payment"] = days & Domain(
                [
                    ("partner_type", "=", "customer"),
                    ("state", "in", RECEIVED),
                    ("amount", ">", 0),
                ]
            )
            domains["account.bank.statement.line"] = days & Domain(
                [
                    ("amount", ">", 0),
                    ("move_id.state", "=", "posted"),
                    (
                        "move_id.line_ids",
                        "any",
                        [
                            ("account_id.account_type", "=", "asset_receivable"),
                            ("matched_debit_ids", "!=", False),
                        ],
                    ),
                ]
            )
        return {
            name: common & domain & self._get_new_domain(name)
            for name, domain in domains.items()
        }

    def _get_new_domain(self, model):
        """Return what is not mapped, and in no live batch."""
        own = [("system_id", "=", self.system_id.id), ("model", "=", model)]
        mapped = self.env["crm.billing.crosswalk"]._search(own)
        waiting = self.env["crm.billing.export.line"]._search(
            [*own, ("is_live", "=", True)]
        )
        return Domain("id", "not in", mapped.subselect("res_id")) & Domain(
            "id", "not in", waiting.subselect("res_id")
        )

    def _find_changed(self, model):
        """Return what was handed out and changed here since, as the job found it."""
        rows = self.env["crm.billing.crosswalk"].search(
            [
                ("system_id", "=", self.system_id.id),
                ("model", "=", model),
                ("drift", "=", "changed"),
            ]
        )
        return self.env[model].browse(rows.mapped("res_id")).exists()

    # === BUSINESS METHODS - JUDGING === #

    def _read_all(self, found):
        """Return the facts of all records, customers first, then as they depend.

        Accounts are never handed out for their own sake: only with a document.
        """
        system = self.system_id
        facts = [
            fact
            for name, records in found.items()
            if name != "res.partner"
            for fact in system._read_facts(records)
        ]
        accounts = self.env["res.partner"].union(*(fact.account for fact in facts))
        known = self.env["crm.billing.crosswalk"]._get_rows(
            system, "res.partner", accounts.ids
        )
        new = accounts.filtered(lambda account: account.id not in known)
        accounts = (new | found.get("res.partner", accounts.browse())).sorted("id")
        facts = [*system._read_facts(accounts), *facts]
        order = [entity for entity, _label in ENTITIES]
        return sorted(facts, key=lambda fact: order.index(fact.entity))

    def _judge(self, facts, typed):
        """Return the values of a line for each fact: what it says, what is wrong."""
        names = {fact.key: typed.get(fact.key) or fact.number for fact in facts}
        there = self._read_there(facts, names)
        system = self.system_id
        judged = []
        for fact in facts:
            name = (names[fact.key] or "").strip()
            faults, rows = system._check_facts(fact, there, name)
            if not faults:
                there.accepted[fact.key] = name
                there.taken[fact.entity, name.lower()] = fact.number
            judged.append((fact, name, faults, rows))
        self._hold_idle_customers(judged, there)
        return [
            {
                **self._prepare_export_line(fact, there, name, faults, rows),
                "is_name_typed": fact.key in typed,
            }
            for fact, name, faults, rows in judged
        ]

    @api.model
    def _hold_idle_customers(self, judged, there):
        """Keep new accounts here of which no document can leave."""
        used = {
            fact.account.id
            for fact, _name, faults, _rows in judged
            if fact.entity != "customer" and not faults
        }
        for fact, name, faults, _rows in judged:
            is_new = fact.entity == "customer" and fact.key not in there.rows
            if is_new and not faults and fact.account.id not in used:
                faults.append(("no_document", name))

    def _read_there(self, facts, names):
        crosswalk = self.env["crm.billing.crosswalk"]
        system = self.system_id
        accounts = {fact.account.id for fact in facts}
        ids = {"res.partner": accounts}
        for fact in facts:
            ids.setdefault(fact.record._name, set()).add(fact.record.id)
            if fact.invoices:
                ids.setdefault("account.move", set()).update(fact.invoices.ids)
        rows = {
            (model, res_id): row
            for model, wanted in ids.items()
            for res_id, row in crosswalk._get_rows(system, model, wanted).items()
        }
        return There(
            rows=rows,
            names=self.env["crm.billing.system.name"]._get_names(system),
            taken=system._get_taken({name.strip() for name in names.values()}),
            map=self.env["crm.billing.system.map"]._get_names(system),
            columns=system.field_ids.grouped("entity"),
        )

    def _prepare_export_line(self, fact, there, name, faults, rows):
        explain = self.env["crm.billing.export.line"]._explain
        row = there.rows.get(fact.key)
        return {
            "batch_id": self.id,
            "entity": fact.entity,
            "model": fact.record._name,
            "res_id": fact.record.id,
            "name": fact.number,
            "partner_id": fact.account.id,
            "date": fact.date,
            "amount": float(fact.amount),
            "currency_id": fact.currency and fact.currency.id,
            "operation": "update" if row else "new",
            "external_name": row.external_name if row else name,
            "state": "refused" if faults else "ready",
            "reason": faults[0][0] if faults else False,
            "about": faults[0][1] if faults else False,
            "issue": "\n".join(explain(*fault) for fault in faults),
            "fingerprint": fact.fingerprint,
            "rows": rows,
        }
