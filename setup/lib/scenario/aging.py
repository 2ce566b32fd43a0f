"""Operation "aging": documents, payments and releases by date, and what is open then.

Everything happens in order of time, what is dated after the day of the report, too;
the report is made last, on the day it is printed. Who could be reminded is asked on the
day of the report.
"""

from datetime import date, timedelta
from decimal import Decimal

from . import agreements
from .clock import naive, to_date
from .money import number, text, to_float

COLUMNS = {
    "0_not_due": "not_due",
    "1_30": "1-30",
    "31_60": "31-60",
    "61_90": "61-90",
    "91_120": "91-120",
    "over_120": "over_120",
    "unapplied": "unapplied",
    "retention": "retention_not_due",
}
KINDS = {"invoice": "out_invoice", "credit_note": "out_refund"}
HOLD = timedelta(days=30)
LADDER = [(2, "mail"), (9, "mail"), (18, "person")]
# Of one day: documents, releases, money, what the customer says, the reminders' view.
WRITTEN, RELEASED, PAID, FLAGGED, ASKED = range(5)


def play(stage, inputs):
    """Return the columns, the rows, the sums, and whom a reminder may name."""
    book = Book(stage, inputs)
    for day, _rank, act, arguments in sorted(book.plan(), key=lambda one: one[:2]):
        with stage.at(stage.to_instant(day)) as env:
            act(env, *arguments)
    printed = inputs.get("printed_on") or max(one[0] for one in book.plan())
    with stage.at(stage.to_instant(printed)) as env:
        return book.read(env)


class Book:
    """The documents of the story, by their name in it."""

    def __init__(self, stage, inputs):
        self.stage, self.as_of = stage, inputs["as_of"]
        self.documents = inputs["documents"]
        self.moves, self.eligible = {}, []
        first = min([self.as_of, *(one["date"] for one in self.documents)])
        opening = stage.to_instant(first) - timedelta(days=1)
        stage.set_account(opening, {"currency": inputs.get("company_currency")})

    def plan(self):
        """Return ``[(day, rank, what is done, arguments)]``."""
        plan = [(self.as_of, ASKED, self.ask, ())]
        for document in self.documents:
            day = document["date"]
            plan.append((day, WRITTEN, self.write, (document,)))
            for part in document.get("instalments") or ():
                if part.get("released"):
                    when = max(day, part["released"])
                    plan.append((when, RELEASED, self.release, (document, part)))
            for paid in document.get("allocations") or ():
                # An advance is matched once there is what it is for.
                when = max(day, paid["date"])
                plan.append((when, PAID, self.pay, (document, paid)))
            if document.get("disputed") or document.get("on_hold"):
                if day <= self.as_of:
                    plan.append((self.as_of, FLAGGED, self.flag, (document,)))
        return plan

    # === DOCUMENTS === #

    def write(self, env, document):
        """Post the document with its instalments."""
        self.set_rate(env, document, document["date"])
        retained = [part for part in document["instalments"] if is_retention(part)]
        due = [part for part in document["instalments"] if not is_retention(part)]
        if retained:
            move = self.bill_milestone(env, document, retained)
        else:
            move = self.create(env, document)
        move.write(
            {
                "invoice_date": document["date"],
                "invoice_date_due": self.get_due(document, due[-1] if due else {}),
                "invoice_payment_term_id": self.get_terms(env, document, due).id,
            }
        )
        move.action_post()
        self.moves[document["id"]] = move.id

    def create(self, env, document):
        kind = document.get("kind") or "invoice"
        if kind not in KINDS:
            raise ValueError(f"{kind!r} is no kind of document; there are {[*KINDS]}")
        return env["account.move"].create(
            {
                "move_type": KINDS[kind],
                "partner_id": self.stage.get_account(env).id,
                "currency_id": self.get_currency(env, document).id,
                "invoice_date": document["date"],
                "invoice_payment_term_id": False,
                "invoice_line_ids": [
                    (
                        0,
                        0,
                        {
                            "product_id": self.stage.get_product(env, 0).id,
                            "price_unit": float(get_total(document["instalments"])),
                            "tax_ids": [(5, 0, 0)],
                        },
                    )
                ],
            }
        )

    def bill_milestone(self, env, document, retained):
        """Return the draft of a phase of a contract, of which a part is retained."""
        total = get_total(document["instalments"])
        share = get_total(retained) / total
        agreement = env["crm.billing.agreement"].create(
            {
                **agreements.prepare(
                    self.stage, env, {"start": document["date"], "lines": []}
                ),
                "retention_percent": float(share * 100),
            }
        )
        line = env["crm.billing.agreement.line"].create(
            {
                "agreement_id": agreement.id,
                "product_id": self.stage.get_product(env, 0).id,
                "name": "Contract",
                "billing_method": "milestone",
                "price_unit": float(total),
                "shares": True,
                "milestone_ids": [
                    (0, 0, {"name": "Phase", "kind": "share", "weight": 1.0})
                ],
            }
        )
        agreement.action_start()
        line.milestone_ids.action_mark_done(date=to_date(document["date"]))
        agreement.generate_invoices()
        move = agreement.move_ids
        move.currency_id = self.get_currency(env, document)
        return move

    def get_terms(self, env, document, parts):
        """Return payment terms with these dates; none where there is one date."""
        # Accounting sets up terms; the story is told by whoever bills.
        terms = env["account.payment.term"].sudo()
        if len(parts) < 2:
            return terms
        first = to_date(document["date"])
        days = [(self.get_due(document, part) - first).days for part in parts]
        # What is retained comes off each instalment in proportion.
        scale = get_total(document["instalments"]) / get_total(parts)
        lines = [
            {"value": "fixed", "value_amount": float(get_total([part]) * scale)}
            for part in parts
        ]
        lines[-1] = {"value": "percent", "value_amount": 100}
        return terms.create(
            {
                "name": "Instalments",
                "line_ids": [
                    (0, 0, {**line, "nb_days": count})
                    for line, count in zip(lines, days, strict=True)
                ],
            }
        )

    @staticmethod
    def get_due(document, part):
        """Return the due date of an instalment; without one it is due at once."""
        return to_date(part.get("due") or document["date"])

    def get_currency(self, env, document):
        return self.stage.get_currency(env, document.get("currency"))

    def set_rate(self, env, document, day):
        """Let the rate of the document be that of ``day``, for it and its payments."""
        currency = self.get_currency(env, document)
        company = self.stage.get_company(env)
        if not document.get("company_rate") or currency == company.currency_id:
            return
        rates = env["res.currency.rate"].sudo()
        key = {"currency_id": currency.id, "company_id": company.id, "name": day}
        known = rates.search([(name, "=", value) for name, value in key.items()])
        rate = to_float(document["company_rate"], "company rate")
        (known or rates.create(key)).inverse_company_rate = rate

    # === WHAT HAPPENS TO THEM === #

    def find_line(self, env, document, part):
        """Return the receivable item of an instalment."""
        move = env["account.move"].browse(self.moves[document["id"]])
        lines = move.line_ids.filtered(
            lambda line: line.account_type == "asset_receivable"
        )
        if is_retention(part):
            return lines.filtered(
                lambda line: line.billing_is_retention or line.billing_release_id
            )[:1]
        due = self.get_due(document, part)
        return lines.filtered(lambda line: line.date_maturity == due)[:1]

    def pay(self, env, document, paid):
        self.set_rate(env, document, paid["date"])
        part = document["instalments"][int(paid.get("instalment") or 0)]
        line = self.find_line(env, document, part)
        wizard = env["account.payment.register"].with_context(
            active_model="account.move.line", active_ids=line.ids
        )
        wizard.create(
            {
                "payment_date": paid["date"],
                "currency_id": line.currency_id.id,
                "amount": to_float(paid["amount"], "amount"),
            }
        )._create_payments()

    def release(self, env, document, part):
        """Ask for what was retained; due later than that day only where it says so."""
        move = env["account.move"].browse(self.moves[document["id"]])
        amount = to_float(part["amount"], "amount")
        release = move.action_release_retention(amount, part["released"])
        due = part.get("due")
        if due and due > part["released"]:
            lines = move.line_ids.filtered(
                lambda line: line.billing_release_id == release
            )
            lines.date_maturity = due

    def flag(self, env, document):
        """Dispute the invoice, or let its reminders wait."""
        move = env["account.move"].browse(self.moves[document["id"]])
        if move.move_type != "out_invoice" or not move.amount_residual:
            return
        move.action_start_dunning()
        case = move.dunning_case_ids
        if document.get("disputed"):
            case.action_dispute("Not as agreed")
        else:
            case.action_hold(to_date(self.as_of) + HOLD)

    # === WHAT COMES OUT === #

    def ask(self, env):
        """Note which documents the reminders of the day may name as overdue."""
        env = env(su=True)
        now = naive(self.stage.to_instant(self.as_of))
        self.arm_policy(env)
        payer = self.stage.get_account(env).commercial_partner_id
        found = env["crm.dunning.case"]._decide_follow_up(now, payer.ids)
        lines = env["account.move.line"].browse(
            instalment.key
            for one in found
            for instalment in one.situation.reminded
            if instalment.days_late(to_date(self.as_of)) > 0
        )
        named = set(lines.move_id.ids)
        self.eligible = [
            document["id"]
            for document in self.documents
            if self.moves.get(document["id"]) in named
        ]

    def arm_policy(self, env):
        env["crm.dunning.policy"].create(
            {
                "name": "Scenario policy",
                "company_id": self.stage.get_company(env).id,
                "sequence": -1,
                "state": "armed",
                "charge_mode": "none",
                "step_ids": [
                    (0, 0, {"name": f"{action} {days}", "days": days, "action": action})
                    for days, action in LADDER
                ],
            }
        )

    def read(self, env):
        """Return the report as of the day, as its readers get it."""
        report = env["crm.billing.aging.report"]
        account = self.stage.get_account(env).commercial_partner_id
        domain = [("as_of", "=", self.as_of), ("partner_id", "=", account.id)]
        rows = report.search(domain)
        digits = rows.company_currency_id.decimal_places if rows else 2
        columns = dict(report._read_group(domain, ["bucket"], ["total:sum"]))
        currencies = report._read_group(
            domain, ["currency_id"], ["amount_currency:sum"]
        )
        [(overdue, total)] = report._read_group(
            domain, [], ["overdue:sum", "total:sum"]
        )
        return {
            "columns": {
                name: text(columns.get(key) or 0, digits)
                for key, name in COLUMNS.items()
            },
            "rows": [self.show(row) for row in sorted(rows, key=self.get_place)],
            "overdue": text(overdue or 0, digits),
            "total": text(total or 0, digits),
            "by_currency": {
                currency.name: text(amount, currency.decimal_places)
                for currency, amount in currencies
            },
            "reminder_eligible": self.eligible,
        }

    def get_name(self, row):
        """Return the name of the row's document, None of a payment's."""
        names = {move: name for name, move in self.moves.items()}
        return names.get(row.move_id.id)

    def get_place(self, row):
        names = [document["id"] for document in self.documents]
        name = self.get_name(row)
        place = names.index(name) if name in names else len(names)
        return place, row.date_due or date.max, row.id

    def show(self, row):
        return {
            "id": self.get_name(row),
            "days": row.days if row.date_due else None,
            "column": COLUMNS[row.bucket],
            "residual": text(row.amount_currency, row.currency_id.decimal_places),
            "flagged": row.is_disputed or row.is_held or row.is_blocked,
        }


def is_retention(part):
    return part.get("kind") == "retention"


def get_total(parts):
    """Return the sum of instalments, positive whatever the kind of the document."""
    return abs(sum((exact(part["amount"]) for part in parts), Decimal(0)))


def exact(amount):
    fraction = number(amount, "amount")
    return Decimal(fraction.numerator) / Decimal(fraction.denominator)
