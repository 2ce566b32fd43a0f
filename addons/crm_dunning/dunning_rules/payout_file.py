"""Payouts in a table of text: which columns there are, and a movement of each row."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation

# As Stripe heads its itemized payout reconciliation, then as people would.
HEADINGS = {
    "payout": ("automatic_payout_id", "payout_id", "payout"),
    "arrival": (
        "automatic_payout_effective_at",
        "automatic_payout_effective_at_utc",
        "arrival_date",
        "payout_date",
    ),
    "movement": ("balance_transaction_id", "movement", "id"),
    "kind": ("reporting_category", "kind", "type"),
    "currency": ("currency",),
    "gross": ("gross", "amount"),
    "fee": ("fee",),
    "net": ("net",),
    "source": ("source_id", "charge_id", "source"),
    "charge": ("charge_id",),
    "payment": ("payment_intent_id", "payment_intent", "payment"),
    "reference": ("description", "reference"),
    "paid_amount": ("customer_facing_amount", "paid_amount"),
    "paid_currency": ("customer_facing_currency", "paid_currency"),
}
NEEDED = ("payout", "arrival", "movement", "kind", "currency", "gross", "fee", "net")
# What Stripe's reporting categories and types of balance transactions mean here.
KINDS = {
    "charge": "charge",
    "payment": "charge",
    "refund": "refund",
    "payment_refund": "refund",
    "refund_failure": "refund",
    "payment_failure_refund": "refund",
    "dispute": "dispute",
    "dispute_reversal": "dispute",
    "fee": "fee",
    "stripe_fee": "fee",
    "tax_fee": "fee",
    "network_cost": "fee",
    "tax": "fee",
}
PAYOUTS = ("payout", "payout_reversal")  # the payout itself, no part of it


@dataclass(frozen=True)
class Movement:
    """One line of a payout, amounts in its currency.

    :param gross: positive when money came in, negative for refunds and disputes
    :param fee: positive what the provider keeps
    :param net: ``gross - fee``
    :param paid_amount: what the customer paid, in ``paid_currency``; None if unknown
    """

    payout: str
    arrival: date
    movement: str
    kind: str
    currency: str
    gross: Decimal
    fee: Decimal
    net: Decimal
    source: str = ""
    charge: str = ""
    payment: str = ""
    reference: str = ""
    paid_amount: Decimal | None = None
    paid_currency: str = ""


@dataclass(frozen=True)
class RowError:
    """What is wrong with a row: a reason by name, the column, what stands there."""

    row: int
    reason: str
    column: str = ""
    value: str = ""


def classify(kind: str) -> str:
    """Return charge, refund, dispute, fee, payout or other for a category of Stripe."""
    word = kind.strip().lower()
    return "payout" if word in PAYOUTS else KINDS.get(word, "other")


def find_columns(heading: Iterable[str]) -> dict[str, int]:
    """Return where each value stands; a column may serve two of them."""
    words = [str(word).strip().lower() for word in heading]
    return {
        name: words.index(known[0])
        for name, headings in HEADINGS.items()
        if (known := [word for word in headings if word in words])
    }


def find_missing(columns: dict[str, int]) -> list[str]:
    """Return the headings without which no payout can be read."""
    return [HEADINGS[name][0] for name in NEEDED if name not in columns]


def read_movements(
    rows: Iterable[Sequence[str]], columns: dict[str, int], decimal: str = "."
) -> tuple[list[Movement], list[RowError]]:
    """Return the movements of the rows, and what is wrong with the others.

    The row of the payout itself is left out. An id may stand there once only: with two
    amounts of one id nobody knows which is right.

    :param rows: without the heading; the first one is row 2 of the file
    :param decimal: the decimal sign of amounts, point or comma
    """
    movements, errors, seen = [], [], {}
    for number, row in enumerate(rows, start=2):
        found = _read_row(number, row, columns, decimal)
        if isinstance(found, RowError):
            errors.append(found)
        elif found is None:
            continue
        elif found.movement in seen:
            errors.append(RowError(number, "twice", "movement", found.movement))
        else:
            seen[found.movement] = found
            movements.append(found)
    return movements, errors + _find_mixed(movements)


def _read_row(number, row, columns, decimal):
    def cell(name):
        place = columns.get(name, len(row))
        return row[place].strip() if place < len(row) else ""

    kind = classify(cell("kind"))
    if kind == "payout":
        return None
    for name in ("payout", "movement", "currency"):
        if not cell(name):
            return RowError(number, "empty", name)
    try:
        arrival = date.fromisoformat(cell("arrival")[:10])
    except ValueError:
        return RowError(number, "date", "arrival", cell("arrival"))
    amounts = {}
    for name in ("gross", "fee", "net", "paid_amount"):
        if name == "paid_amount" and not cell(name):
            amounts[name] = None
            continue
        amounts[name] = read_amount(cell(name), decimal)
        if amounts[name] is None:
            return RowError(number, "amount", name, cell(name))
    if amounts["gross"] - amounts["fee"] != amounts["net"]:
        return RowError(number, "sum", "net", cell("net"))
    texts = {
        name: cell(name)
        for name in ("payout", "movement", "source", "charge", "payment", "reference")
    }
    return Movement(
        arrival=arrival,
        kind=kind,
        currency=cell("currency").upper(),
        paid_currency=cell("paid_currency").upper(),
        **texts,
        **amounts,
    )


def read_amount(text: str, decimal: str = ".") -> Decimal | None:
    """Return a written amount, None for what is none. Thousands are not parted."""
    if decimal == ",":
        text = text.replace(".", "x").replace(",", ".")
    try:
        amount = Decimal(text.replace(" ", ""))
    except InvalidOperation:
        return None
    return amount if amount.is_finite() else None


def _find_mixed(movements):
    """A payout has one currency and arrives on one day."""
    first, errors = {}, []
    for movement in movements:
        known = first.setdefault(movement.payout, movement)
        for name in ("currency", "arrival"):
            if getattr(known, name) != getattr(movement, name):
                value = str(getattr(movement, name))
                errors.append(RowError(0, "mixed", name, f"{movement.payout}: {value}"))
    return errors
