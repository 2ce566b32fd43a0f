from odoo import api, models
from odoo.exceptions import UserError
from odoo.fields import Command

from ..report_rules.outside_file import is_older

CHUNK = 1000


class CrmBillingOutsideDocument(models.Model):
    _inherit = "crm.billing.outside.document"

    # === BUSINESS METHODS - READING A LIST === #

    @api.model
    def _sort_list(self, system, documents):
        """Compare a list with what is known; write nothing.

        :param documents: of :func:`..report_rules.outside_file.read_documents`
        :return: ``(new, changed, same, older)``: new ones as values, the others as
            ``{row: values}``; older ones were known in a later version
        """
        known = self._get_known(system, documents)
        currencies = self._get_currencies(system, documents)
        new, changed, same, older = [], {}, {}, {}
        for document in documents:
            vals = self._prepare_document(system, document, currencies)
            row = known.get((document.kind, document.external_id))
            if not row:
                new.append(vals)
            elif is_older(document.version, row.version):
                older[row] = vals
            elif row._differs(vals) or row._differs_applied(document):
                changed[row] = vals
            else:
                same[row] = vals
        return new, changed, same, older

    def _get_known(self, system, documents):
        rows = self.search(
            [
                ("system_id", "=", system.id),
                ("external_id", "in", [one.external_id for one in documents]),
            ]
        )
        return {(row.kind, row.external_id): row for row in rows}

    def _get_currencies(self, system, documents):
        codes = {one.currency for one in documents if one.currency}
        known = self.env["res.currency"].with_context(active_test=False)
        found = {row.name: row.id for row in known.search([("name", "in", [*codes])])}
        if unknown := sorted(codes - found.keys()):
            raise UserError(
                self.env._(
                    "Odoo does not know these currencies: %(names)s.",
                    names=", ".join(unknown),
                )
            )
        return {**found, "": system.company_id.currency_id.id}

    def _prepare_document(self, system, document, currencies):
        """Return the values of a row of a list."""
        return {
            "system_id": system.id,
            "kind": document.kind,
            "external_id": document.external_id,
            "number": document.number,
            "customer_name": document.customer,
            "customer_ref": document.customer_id or False,
            "date": document.date,
            "due_date": document.due or False,
            "currency_id": currencies[document.currency],
            "amount": float(document.amount),
            "has_open": document.open is not None,
            "amount_open": float(document.open or 0),
            "status": document.status or False,
            "version": document.version or False,
            "is_deposited": document.deposited,
            "is_gone": False,
            "allocation_ids": [
                Command.clear(),
                *(
                    Command.create({"invoice_ref": ref, "amount": float(amount)})
                    for ref, amount in document.applied
                ),
            ],
        }

    def _differs_applied(self, document):
        digits = self.currency_id.decimal_places
        known = {
            (row.invoice_ref, round(row.amount, digits)) for row in self.allocation_ids
        }
        return known != {
            (ref, round(float(amount), digits)) for ref, amount in document.applied
        }

    @api.model
    def _read_list(self, system, documents, record, now):
        """Take over a list; the same list again changes nothing but when it was seen.

        :param record: the `crm.billing.outside.import` that holds the list
        :param now: instant (naive UTC)
        :return: the rows that are new or changed
        """
        new, changed, same, _older = self._sort_list(system, documents)
        seen = {"import_id": record.id, "last_seen_at": now}
        created = self.create([{**vals, **seen, "first_seen_at": now} for vals in new])
        for row, vals in changed.items():
            row.write({**vals, **seen})
        touched = created.union(*changed)
        self.union(*same).write(seen)
        gone = self._find_gone(system, documents, record)
        gone.is_gone = True
        record.write(
            {
                "row_count": len(documents),
                "new_count": len(new),
                "changed_count": len(changed),
                "gone_count": len(gone),
            }
        )
        return touched | gone

    def _find_gone(self, system, documents, record):
        """Return what a complete list of these days no longer has.

        :param record: says which list is complete and of which days: the wizard, or
            the `crm.billing.outside.import` that holds the list
        """
        kinds = record.has_documents * ["invoice", "credit"]
        kinds += record.has_payments * ["payment"]
        if not kinds or not record.date_from:
            return self.browse()
        listed = {(one.kind, one.external_id) for one in documents}
        rows = self.search(
            [
                ("system_id", "=", system.id),
                ("kind", "in", kinds),
                ("date", ">=", record.date_from),
                ("date", "<=", record.date_to),
                ("is_gone", "=", False),
                ("is_balance", "=", False),
            ]
        )
        return rows.filtered(lambda row: (row.kind, row.external_id) not in listed)


class CrmBillingOutsideImport(models.Model):
    _inherit = "crm.billing.outside.import"

    def _get_unmatched(self):
        """Return what earlier lists left without a counterpart: it may be here now."""
        return self.env["crm.billing.outside.document"].search(
            [
                ("system_id", "=", self.system_id.id),
                ("move_id", "=", False),
                ("payment_id", "=", False),
                ("statement_line_id", "=", False),
                ("is_gone", "=", False),
            ]
        )

    def _get_bookable(self, touched):
        """Return the payments to look at: what changed, and what failed before."""
        return touched.filtered(lambda row: row.kind == "payment") | touched.search(
            [
                ("system_id", "=", self.system_id.id),
                ("kind", "=", "payment"),
                ("payment_id", "=", False),
                ("statement_line_id", "=", False),
                ("is_gone", "=", False),
            ]
        )
