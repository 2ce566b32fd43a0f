from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

from odoo import models
from odoo.exceptions import UserError

from ..billing_rules.allocation import exact, round_money
from ..billing_rules.proration import amount as prorated
from ..billing_rules.proration import factor, price_multiplier
from ..billing_rules.schedule import Part, billing_date, due_parts, parts


@dataclass
class Due:
    """One ledger row to be written, with the invoice line that will print it.

    :param line: the agreement line
    :param billing_date: local date on which it is billed
    :param vals: values of `crm.billing.period`; ``amount`` is a Decimal
    :param period: the row, where it exists and only waits for an invoice
    :param whole: quantity and unit price may be printed as they are (2.13)
    :param tax_ids: taxes of the line that a credit takes back, else the line's own
    """

    line: models.Model
    billing_date: date
    vals: dict
    period: models.Model | None = None
    whole: bool = False
    tax_ids: tuple | None = None

    @property
    def amount(self) -> Decimal:
        return self.vals["amount"]


@dataclass
class Document:
    """What one agreement puts on one invoice."""

    agreement: models.Model
    billing_date: date
    rows: list[Due] = field(default_factory=list)


class CrmBillingAgreement(models.Model):
    """What is due: the rows of the lines, collected into documents by billing date."""

    _inherit = "crm.billing.agreement"

    def _plan_documents(self, until, facts, pending):
        """Return what the agreement has to invoice by ``until``, oldest first.

        Each billing date is a document of its own, so that a catch-up stays one invoice
        a period (S17). What waits rides on the first one (S8).

        :param until: local date, included
        :param facts: from :meth:`CrmBillingAgreementLine._read_due_facts`
        :param pending: ledger rows of the agreement that no invoice carries
        :raise UserError: something cannot be billed; the message says why
        """
        self.ensure_one()
        self._check_billable()
        dues = []
        for line in self.line_ids:
            if line.billing_method != "one_off":
                dues += line._get_dues(until, facts)
        documents = self._group_dues(dues)
        waiting = [row._to_due() for row in pending] + self._get_late_dues(facts)
        if waiting and not documents and not self._expects_invoice(until, facts):
            documents = [Document(self, until)]
        if documents:
            documents[0].rows = waiting + documents[0].rows
        self._add_one_offs(documents, until, facts)
        for document in documents:
            document.rows.sort(key=self._get_row_order)
        return [document for document in documents if document.rows]

    def _group_dues(self, dues):
        by_date = {}
        for due in dues:
            by_date.setdefault(due.billing_date, []).append(due)
        return [Document(self, day, rows) for day, rows in sorted(by_date.items())]

    def _expects_invoice(self, until, facts):
        """Return whether a later invoice will come that rows can wait for."""
        return any(
            (day := line._get_next_date(facts)) and day > until
            for line in self.line_ids
            if line.billing_method != "one_off"
        )

    def _add_one_offs(self, documents, until, facts):
        """A one-off rides on the first invoice on or after its date (1.6)."""
        for line in self.line_ids:
            if line.billing_method != "one_off":
                continue
            due = line._get_due_one_off(facts)
            if not due:
                continue
            later = [doc for doc in documents if doc.billing_date >= due.billing_date]
            if later:
                later[0].rows.append(due)
            elif due.billing_date <= until and not self._expects_invoice(until, facts):
                documents.append(Document(self, due.billing_date, [due]))

    def _get_row_order(self, due):
        """Oldest service first; of the same days the credit before the charge."""
        order = ("credit", "charge", "late_usage", "usage", "minimum", "recurring")
        kind = due.vals["kind"]
        return (
            due.vals["date_from"],
            due.line.sequence,
            order.index(kind) if kind in order else len(order),
            due.line.id,
        )

    def _check_billable(self):
        """Refuse what would make a wrong invoice.

        :raise UserError: payer archived, account on hold
        """
        _ = self.env._
        if not self.payer_id.active:
            raise UserError(
                _(
                    "%(payer)s is archived and cannot pay. Choose the account that "
                    "pays.",
                    payer=self.payer_id.display_name,
                )
            )
        account = self.partner_id.with_company(self.company_id)
        if account.billing_hold:
            raise UserError(
                _(
                    "%(account)s is on billing hold. What is due is billed when the "
                    "hold ends.",
                    account=account.display_name,
                )
            )


class CrmBillingAgreementLine(models.Model):
    """What a line has to bill. Each method reads ``facts``, none asks the database."""

    _inherit = "crm.billing.agreement.line"

    def _read_due_facts(self, until_by_agreement):
        """Read for all lines at once what :meth:`_get_dues` needs.

        Addons and other billing methods add their own keys through ``super()``.

        :param until_by_agreement: ``{agreement: local date}``
        :return: dict with ``covered``: ``{line id: [Period]}``
        """
        return self._read_coverage()

    def _get_dues(self, until, facts):
        """Return the :class:`Due` rows of the line by ``until``, by billing method."""
        self.ensure_one()
        return getattr(self, f"_get_due_{self.billing_method}")(until, facts)

    def _get_due_parts(self, until, facts):
        """Return ``(part, billing date)`` of what no row covers yet."""
        if not self.anchor_date or not self._has_service():
            return []
        return due_parts(
            self._to_cadence(),
            self.start_date,
            self._get_end(),
            self.timing,
            facts["covered"].get(self.id, ()),
            until,
            settling_days=self.settling_days,
            lead_days=self.lead_days,
            continued=self._is_continued(),
        )

    def _cover_billed_elsewhere(self):
        """Write covered rows for what another system billed (6.2): no invoice."""
        vals_list = []
        for line in self:
            until = line.agreement_id.billed_until
            if until and line.billing_method == "one_off" and line.start_date <= until:
                due = line._get_due_one_off({"billed_once": ()})
                vals_list.append(due.vals)
            elif until and line.anchor_date and line.start_date <= until:
                kind = "usage" if line.billing_method == "usage" else "recurring"
                stop = until + timedelta(days=1)
                end = min(line._get_end() or stop, stop)
                vals_list += [
                    line._to_due_part(part, kind).vals
                    for part in parts(line._to_cadence(), line.start_date, end)
                ]
        note = self.env._("Billed elsewhere")
        self.env["crm.billing.period"].sudo().create(
            [
                {
                    **vals,
                    "amount": float(vals["amount"]),
                    "is_covered": True,
                    "note": note,
                }
                for vals in vals_list
            ]
        )

    def _get_due_flat(self, until, facts):
        return [
            self._to_due_part(part, "recurring")
            for part in self._get_due_parts(until, facts)
        ]

    def _get_due_usage(self, until, facts):
        return []

    def _get_due_milestone(self, until, facts):
        return []

    def _get_due_one_off(self, facts):
        if self.id in facts["billed_once"] or not self._has_service():
            return None
        amount = prorated(
            exact(self.price_unit), exact(self.quantity), exact(self.discount)
        )
        day = self.start_date
        vals = {
            "line_id": self.id,
            "kind": "one_off",
            "date_from": day,
            "date_to": day.fromordinal(day.toordinal() + 1),
            "amount": round_money(amount, self._get_step()),
            "factor": "1",
            "explanation": self._explain("S11", Fraction(1), amount),
        }
        return Due(self, day, vals, whole=True)

    def _to_due_part(self, part, kind):
        """Return what a part of a period costs at the line's terms (S5, S7)."""
        share = self._get_factor(part)
        amount = prorated(
            self._get_price(), exact(self.quantity), exact(self.discount), share
        )
        vals = {
            "line_id": self.id,
            "kind": kind,
            "date_from": part.period.start,
            "date_to": part.period.end,
            "instant_from": self._get_cut(part, "start"),
            "instant_to": self._get_cut(part, "end"),
            "amount": round_money(amount, self._get_step()),
            "factor": str(share),
            "explanation": self._explain("S5", share, amount, part),
        }
        return Due(self, self._get_billing_date(part), vals, whole=share == 1)

    def _get_billing_date(self, part):
        end = self._get_end()
        last = self._is_continued() and part.period.end == end
        return billing_date(part, self.timing, self.settling_days, last)

    def _get_cut(self, part, side):
        """Return the instant at which a change cut the part, on the second basis."""
        if self.proration_basis != "second":
            return False
        if side == "start":
            return self.start_at if part.period.start == self.start_date else False
        return self.end_at if part.period.end == self._get_end() else False

    def _get_factor(self, part: Part) -> Fraction:
        """Return the exact share of the whole period that ``part`` costs."""
        if part.is_whole and self.proration_basis != "second":
            return Fraction(1)
        return factor(
            part,
            self._to_cadence(),
            self.proration_basis,
            start_at=self._get_cut(part, "start") or None,
            end_at=self._get_cut(part, "end") or None,
            tz=self.agreement_id.billing_tz or "UTC",
            service_start=self._get_service_start(),
        )

    def _get_service_start(self) -> date | datetime:
        """Return the first day of the service, before any change of the line."""
        first = self
        while first.predecessor_id and first.predecessor_id.end_reason == "change":
            first = first.predecessor_id
        return first.start_at or first.start_date

    def _get_price(self) -> Fraction:
        """Return the exact price of one unit for a whole billing period (2.4)."""
        price = Fraction(exact(self.price_unit))
        if not self.price_plan_unit:
            return price
        return price * price_multiplier(
            self.interval_unit,
            self.interval_count,
            self.price_plan_unit,
            self.price_plan_count,
        )

    def _get_step(self) -> Decimal:
        """Return the smallest amount of the line's currency."""
        return exact(self.currency_id.rounding)

    def _explain(self, rule, share, amount, part=None):
        """Return formula and inputs of an amount, to be replayed later."""
        inputs = {
            "price": str(self._get_price()),
            "quantity": str(exact(self.quantity)),
            "discount": str(exact(self.discount)),
            "factor": str(share),
            "step": str(self._get_step()),
        }
        if part is not None:
            inputs |= {
                "days": part.period.days,
                "of_days": part.anchored.days,
                "period_from": str(part.anchored.start),
                "period_to": str(part.anchored.end),
                "basis": self.proration_basis,
            }
        return {
            "rule": rule,
            "formula": "price × quantity × (1 − discount ÷ 100) × factor",
            "inputs": inputs,
            "amount": str(round_money(amount, self._get_step())),
        }


class CrmBillingPeriod(models.Model):
    _inherit = "crm.billing.period"

    def _to_due(self):
        """Return a row that waits for an invoice, as what is to be printed."""
        self.ensure_one()
        origin = self.debit_id.move_line_id
        return Due(
            self.line_id,
            self.date_from,
            {
                "line_id": self.line_id.id,
                "kind": self.kind,
                "date_from": self.date_from,
                "date_to": self.date_to,
                "amount": exact(self.amount),
                "factor": self.factor,
                "explanation": self.explanation,
            },
            period=self,
            whole=False,
            tax_ids=tuple(origin.tax_ids.ids) if origin else None,
        )
