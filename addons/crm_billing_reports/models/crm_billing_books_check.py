"""What the other books would refuse is found before the file leaves, with its fix.

Sources: Intuit, “Which contact fields are imported from Excel” (a display name is
unique among customers, vendors and employees) and “How to Handle Frequently Returned
QuickBooks Online API Error Messages” (duplicate number, reference to what is inactive);
Workato, “Troubleshoot QuickBooks Online runtime errors” (closed period). That a
deposited payment stays, and that only a known version is changed, is a requirement of
ours.
"""

from dataclasses import dataclass, field

from odoo import models

from ..report_rules import books_file, books_layout
from .crm_billing_system_field import PATH

NO_CUSTOMER = ("customer_refused", "no_account")
MONEY = ("quantity", "rate", "amount", "tax_amount")


@dataclass
class There:
    """What is known of the other side, read once for a whole batch.

    :param rows: crosswalk rows by ``(model, res_id)``
    :param names: rows of the name lists by name in small letters
    :param taken: ``{(entity, name or number in small letters): whose it is}``
    :param map: names of accounts, taxes … by ``(model, res_id)``
    :param columns: columns by entity
    :param accepted: external names of what this batch hands out so far
    """

    rows: dict
    names: dict
    taken: dict
    map: dict
    columns: dict
    accepted: dict = field(default_factory=dict)


class CrmBillingSystem(models.Model):
    _inherit = "crm.billing.system"

    # === BUSINESS METHODS - CHECK === #

    def _check_facts(self, facts, there, name):
        """Return ``(faults, rows of the file)`` of one record.

        :param name: its display name or number there
        :return: ``[(reason, what it is about)]`` and rows of texts
        """
        faults = list(facts.faults)
        row = there.rows.get(facts.key)
        faults += self._check_change(facts, row)
        if not row:
            faults += self._check_name(facts, there, name)
        if facts.date and self.closed_until and facts.date <= self.closed_until:
            faults.append(("period_closed", str(facts.date)))
        if facts.entity != "customer":
            faults += self._check_customer(facts, there)
        rows = []
        for values, root in facts.rows:
            known = {
                **values,
                **self._get_common_values(facts, there, row, name),
                **self._get_named_values(facts, values, root, there, faults),
            }
            rows.append(self._fill_row(facts, known, root, there, faults))
        return list(dict.fromkeys(faults)), rows

    def _check_change(self, facts, row):
        """A change goes out only where it can be taken, and onto a known version."""
        if not row or not row.checksum or row.checksum == facts.fingerprint:
            return
        if row.is_deposited:
            yield "deposited", facts.number
        elif not self.accepts_updates:
            yield "changed", facts.number
        elif (row.version or "") != (row.known_version or ""):
            yield "changed_there", row.version or ""

    def _check_name(self, facts, there, name):
        """A new name or number fits there and is free."""
        is_customer = facts.entity == "customer"
        find = (
            books_layout.find_name_fault
            if is_customer
            else books_layout.find_number_fault
        )
        if fault := find(name):
            yield fault, name
        key = (facts.entity, name.strip().lower())
        if is_customer and (listed := there.names.get(key[1])):
            is_same = listed.kind == "customer"
            yield ("name_known" if is_same else "name_taken", name)
        if owner := there.taken.get(key):
            yield ("name_twice" if is_customer else "number_taken", owner)

    def _check_customer(self, facts, there):
        """Whom it is about is there, active, or goes out in the same batch."""
        key = ("res.partner", facts.account.id)
        name = self._get_customer_name(facts, there)
        if not facts.account:
            yield "no_account", facts.number
        elif name is None:
            yield "customer_refused", facts.account.display_name
        elif books_file.is_marked(name):
            yield "name_formula", name
        elif key in there.rows:
            listed = there.names.get(name.strip().lower())
            if listed and not listed.is_active:
                yield "inactive", name

    def _get_customer_name(self, facts, there):
        """Return the display name there, or ``None`` if the account is not there."""
        key = ("res.partner", facts.account.id)
        if key in there.rows:
            return there.rows[key].external_name
        return there.accepted.get(key)

    # === BUSINESS METHODS - VALUES === #

    def _get_common_values(self, facts, there, row, name):
        customer = there.rows.get(("res.partner", facts.account.id))
        values = {
            "operation": "update" if row else "new",
            "version": row.version or "" if row else "",
            "customer_ref": customer.external_id if customer else "",
        }
        if facts.entity == "customer":
            return {**values, "customer_name": row.external_name if row else name}
        values["customer_name"] = self._get_customer_name(facts, there) or ""
        number = "payment_number" if facts.entity == "payment" else "document_number"
        values[number] = row.external_name if row else name
        return values

    def _get_named_values(self, facts, values, root, there, faults):
        """Return what the other side calls accounts, taxes, items and invoices."""
        if facts.entity == "customer":
            return {}
        if facts.entity == "payment":
            return {
                "deposit_to": there.map.get(
                    ("account.journal", root.journal_id.id), ("", True)
                )[0],
                "document_number": self._get_paid(values["invoice"], there, faults),
            }
        terms = ("account.payment.term", facts.record.invoice_payment_term_id.id)
        return {
            "terms": there.map.get(terms, ("", True))[0],
            "item": self._get_item(root, facts, there, faults),
            "account": there.map.get(
                ("account.account", root.account_id.id), (root.account_id.code, True)
            )[0],
            "tax_code": self._get_tax_code(root, facts, there, faults),
        }

    def _get_paid(self, invoice, there, faults):
        """Return the number there of a paid invoice; of an older one it is our own."""
        key = ("account.move", invoice.id)
        if not invoice:
            return ""
        if key in there.rows:
            return there.rows[key].external_name
        if key in there.accepted:
            return there.accepted[key]
        if (invoice.invoice_date or invoice.date) >= self.start_date:
            faults.append(("invoice_missing", invoice.name))
        return invoice.name or ""

    def _get_item(self, line, facts, there, faults):
        """Return the item: that of the product, else that of the account."""
        if "item" not in there.columns[facts.entity].mapped("value"):
            return ""
        for model, record in (
            ("product.product", line.product_id),
            ("account.account", line.account_id),
        ):
            if (model, record.id) in there.map:
                return self._get_active(there.map[model, record.id], faults)
        about = line.product_id or line.account_id
        faults.append(("no_item", about.display_name or line.name or ""))
        return ""

    def _get_tax_code(self, line, facts, there, faults):
        taxes = line.tax_ids
        if "tax_code" not in there.columns[facts.entity].mapped("value"):
            return ""
        if not taxes:
            if not self.no_tax_code:
                faults.append(("no_tax_code", ""))
            return self.no_tax_code or ""
        if len(taxes) > 1:
            faults.append(("two_taxes", ", ".join(taxes.mapped("name"))))
            return ""
        if ("account.tax", taxes.id) in there.map:
            return self._get_active(there.map["account.tax", taxes.id], faults)
        faults.append(("no_tax", taxes.name))
        return ""

    @staticmethod
    def _get_active(named, faults):
        name, is_active = named
        if not is_active:
            faults.append(("inactive", name))
        return name

    def _fill_row(self, facts, values, root, there, faults):
        """Return the texts of one row in the order of the columns."""
        texts = []
        for column in there.columns[facts.entity]:
            if column.value == PATH:
                text = column._read_path(root)
            else:
                text = self._format_value(column.value, values.get(column.value, ""))
            if column.is_required and not text.strip():
                faults += self._get_empty_faults(column, faults)
            texts.append(text)
        return texts

    @staticmethod
    def _get_empty_faults(column, faults):
        """A customer that is not there is one fault, not another for its column."""
        is_known = any(reason in NO_CUSTOMER for reason, _about in faults)
        if is_known and column.value in ("customer_name", "customer_ref"):
            return []
        return [("column_empty", column.name)]

    def _format_value(self, name, value):
        if value is False or value is None or value == "":
            return ""
        if name in MONEY:
            return books_file.format_decimal(value)
        if name.endswith("_date"):
            return value.strftime(self.date_format)
        return str(value)
