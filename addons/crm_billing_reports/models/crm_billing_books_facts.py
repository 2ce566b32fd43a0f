"""What other books must be told of accounts, invoices, credit notes and payments."""

from dataclasses import dataclass, field
from decimal import Decimal

from odoo import api, models

from ..report_rules import books_file, books_layout

ASIDE = ("line_section", "line_subsection", "line_note")
# Received and not taken back.
RECEIVED = ("in_process", "paid")


@dataclass
class Facts:
    """One record as other books see it, before names of theirs are put in.

    :param rows: for each row of the file its values, and the record that paths of
        fields begin at; amounts in the document currency
    :param identity: what must not change after it was handed out
    :param faults: ``(reason, what it is about)``; see `crm_billing_books_check.py`
    """

    entity: str
    record: object
    account: object
    number: str
    rows: list
    identity: dict
    date: object = False
    amount: Decimal = Decimal(0)
    currency: object = False
    invoices: object = None
    faults: list = field(default_factory=list)

    @property
    def key(self):
        return self.record._name, self.record.id

    @property
    def fingerprint(self):
        return books_file.get_fingerprint(self.identity)


class CrmBillingSystem(models.Model):
    _inherit = "crm.billing.system"

    # === BUSINESS METHODS - FACTS === #

    def _read_facts(self, records):
        """Return :class:`Facts` of records of one model, in their order."""
        self.ensure_one()
        read = {
            "res.partner": self._read_customer,
            "account.move": self._read_move,
            "account.payment": self._read_payment,
            "account.bank.statement.line": self._read_bank_line,
        }[records._name]
        references = self._get_references(records)
        if records._name == "account.move":
            records.invoice_line_ids.mapped("tax_ids")  # read at once, not by document
        facts = []
        for record in records:
            fact = read(record)
            for values, _root in fact.rows:
                values["external_ref"] = references[record.id]
            facts.append(fact)
        return facts

    @api.model
    def _get_references(self, records):
        """Return the external id of each record: the same in every file, for ever."""
        # It is written for whoever exports, like that of a list exported by hand.
        rows = records.sudo()._export_rows([["id"]])
        return {record.id: row[0] for record, row in zip(records, rows, strict=True)}

    def _read_customer(self, account):
        """Return the facts of an account: its name and tax number identify it."""
        values = {
            "company_name": account.legal_name or account.name or "",
            "email": account.billing_contact_id.email or account.email or "",
            "phone": account.phone or "",
            "website": account.website or "",
            "street": ", ".join(filter(None, (account.street, account.street2))),
            "city": account.city or "",
            "state": account.state_id.name or "",
            "zip": account.zip or "",
            "country": account.country_id.name or "",
            "vat": account.vat or "",
            "currency": self.company_id.currency_id.name,
        }
        values = {
            name: books_layout.shorten(name, text) for name, text in values.items()
        }
        return Facts(
            entity="customer",
            record=account,
            account=account,
            number=account.name or "",
            rows=[(values, account)],
            identity={"name": account.name, "vat": account.vat or ""},
        )

    def _read_move(self, move):
        """Return the facts of a posted invoice or credit note, one row a line."""
        lines = move.invoice_line_ids.filtered(
            lambda line: line.display_type not in ASIDE
        )
        rows = self._prepare_rows(move, lines)
        facts = Facts(
            entity="credit" if move.move_type == "out_refund" else "invoice",
            record=move,
            account=move.commercial_partner_id,
            number=move.name or "",
            rows=rows,
            identity=self._get_identity(move, rows),
            date=move.invoice_date or move.date,
            amount=_to_decimal(move.amount_total, move.currency_id),
            currency=move.currency_id,
        )
        total = sum(
            (values["amount"] + values["tax_amount"] for values, _line in rows),
            Decimal(0),
        )
        if total != facts.amount:
            facts.faults.append(("does_not_add_up", f"{total} ≠ {facts.amount}"))
        return facts

    def _prepare_rows(self, move, lines):
        """Return the rows of a document: nets as booked, taxes that add up."""
        currency = move.currency_id
        step = Decimal(str(currency.rounding))
        nets = [_to_decimal(line.price_subtotal, currency) for line in lines]
        taxes = [
            _to_decimal(line.price_total, currency) - net
            for line, net in zip(lines, nets, strict=True)
        ]
        taxes = books_file.share_difference(
            taxes, _to_decimal(move.amount_tax, currency)
        )
        rows = []
        for line, net, tax in zip(lines, nets, taxes, strict=True):
            quantity, rate = books_file.split_rate(
                net, Decimal(str(line.quantity)), step
            )
            rows.append(
                (
                    {
                        **self._prepare_line(move, line),
                        "quantity": quantity,
                        "rate": rate,
                        "amount": net,
                        "tax_amount": tax,
                    },
                    line,
                )
            )
        return rows

    @api.model
    def _prepare_line(self, move, line):
        return {
            "document_date": move.invoice_date or move.date,
            "due_date": move.invoice_date_due or move.invoice_date or move.date,
            "memo": move.ref or "",
            "original_number": move.reversed_entry_id.name or "",
            "description": line.name or line.product_id.display_name or "",
            "currency": move.currency_id.name,
            "service_date": line.billing_date_from or "",
        }

    @api.model
    def _get_identity(self, move, rows):
        """Return what the other books would have to change, too, if it changed here."""
        return {
            "number": move.name,
            "date": str(move.invoice_date or move.date),
            "due": str(move.invoice_date_due or ""),
            "account": move.commercial_partner_id.id,
            "currency": move.currency_id.name,
            "total": str(_to_decimal(move.amount_total, move.currency_id)),
            "lines": [
                [
                    values["description"],
                    str(values["amount"]),
                    str(values["tax_amount"]),
                ]
                for values, _line in rows
            ],
        }

    # === BUSINESS METHODS - PAYMENTS === #

    def _read_payment(self, payment):
        """Return the facts of a payment, one row an invoice that it pays."""
        facts = self._prepare_money(
            payment,
            payment.move_id,
            Decimal(str(payment.amount)),
            payment.currency_id,
        )
        facts.rows = [
            (
                {
                    **values,
                    "method": payment.payment_method_line_id.name or "",
                    "reference": payment.payment_reference or "",
                    "memo": payment.memo or "",
                },
                payment,
            )
            for values, _record in facts.rows
        ]
        if payment.payment_type == "outbound":
            facts.faults.append(("outbound", facts.number))
        return facts

    def _read_bank_line(self, line):
        """Return the facts of money that a bank line brought, without a payment."""
        currency = line.foreign_currency_id or line.currency_id
        amount = line.amount_currency if line.foreign_currency_id else line.amount
        return self._prepare_money(
            line, line.move_id, Decimal(str(amount)), currency, line.payment_ref or ""
        )

    def _prepare_money(self, record, move, amount, currency, memo=""):
        """Return the facts of money received: which invoices it pays, what is left."""
        amount = amount.quantize(Decimal(str(currency.rounding)))
        shares = self._get_shares(move, currency)
        rest = amount - sum((share for _invoice, share in shares), Decimal(0))
        if rest > 0:
            shares.append((self.env["account.move"], rest))
        account = record.partner_id.commercial_partner_id
        values = {
            "payment_number": move.name or record.display_name,
            "document_date": record.date,
            "method": "",
            "reference": "",
            "memo": memo,
            "currency": currency.name,
        }
        facts = Facts(
            entity="payment",
            record=record,
            account=account,
            number=move.name or record.display_name,
            rows=[
                ({**values, "amount": share, "invoice": invoice}, record)
                for invoice, share in shares
            ],
            identity={
                "date": str(record.date),
                "account": account.id,
                "amount": str(amount),
                "currency": currency.name,
            },
            date=record.date,
            amount=amount,
            currency=currency,
            invoices=self.env["account.move"].union(*(move for move, _ in shares)),
        )
        others = self._get_receivables(move).currency_id - currency
        if others:
            facts.faults.append(("currency", ", ".join(others.mapped("name"))))
        elif rest < 0:
            facts.faults.append(("write_off", str(-rest)))
        return facts

    @api.model
    def _get_receivables(self, move):
        return move.line_ids.filtered(
            lambda line: line.account_id.account_type == "asset_receivable"
        )

    @api.model
    def _get_shares(self, move, currency):
        """Return ``[(invoice, amount)]`` that the entry of a payment pays.

        Amounts in ``currency``, that of the payment.
        """
        shares = {}
        for partial in self._get_receivables(move).matched_debit_ids:
            invoice = partial.debit_move_id.move_id
            if invoice.is_invoice():
                part = _to_decimal(partial.credit_amount_currency, currency)
                shares[invoice] = shares.get(invoice, Decimal(0)) + part
        return sorted(shares.items(), key=lambda share: share[0].id)


def _to_decimal(amount, currency):
    """Return an amount of the ledger, exact at the rounding of its currency."""
    return Decimal(str(amount)).quantize(Decimal(str(currency.rounding)))
