"""What is open on a day, and how late it is (billing rules, 8.1 and 8.2).

The buckets stand here and nowhere else: the report makes its SQL of them. The replay
is the slow, plain reading of the rule; the report must say the same.
"""

from collections import defaultdict
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

NOT_DUE = "0_not_due"
UNAPPLIED = "unapplied"
RETENTION = "retention"


@dataclass(frozen=True)
class Bucket:
    """Days past the due date, both included; ``last`` None has no end."""

    key: str
    first: int
    last: int | None

    def get_due_dates(self, as_of: date) -> tuple[date | None, date]:
        """Return the first (None: no bound) and the last due date in it, included."""
        earliest = None if self.last is None else as_of - timedelta(days=self.last)
        return earliest, as_of - timedelta(days=self.first)


# Keys sort as they are read: lists, pivots and charts show them in this order.
BUCKETS = (
    Bucket("1_30", 1, 30),
    Bucket("31_60", 31, 60),
    Bucket("61_90", 61, 90),
    Bucket("91_120", 91, 120),
    Bucket("over_120", 121, None),
)
COLUMNS = (NOT_DUE, *(bucket.key for bucket in BUCKETS), UNAPPLIED, RETENTION)


@dataclass(frozen=True)
class Item:
    """One line on a receivable account of a posted entry.

    :param day: date of the entry
    :param due: date, None for the date of the entry
    :param balance: positive is owed to us; any one currency
    :param is_retained: the customer retains it until its release
    :param released: day of the release of what was retained, None if never
    """

    key: Hashable
    day: date
    due: date | None
    balance: Decimal
    is_retained: bool = False
    released: date | None = None


@dataclass(frozen=True)
class Matching:
    """``amount`` (positive) of a debit item matched with a credit item, by keys."""

    debit: Hashable
    credit: Hashable
    amount: Decimal


@dataclass(frozen=True)
class Row:
    """What is open of an item, and in which column it stands.

    :param days: past the due date, negative before it; None while it is retained
    """

    key: Hashable
    residual: Decimal
    column: str
    days: int | None


def replay(
    items: Iterable[Item], matchings: Iterable[Matching], as_of: date
) -> list[Row]:
    """Return what is open on ``as_of``, in the order of ``items``.

    A matching counts from the later of the two entries' dates on, whenever it was
    typed in.
    """
    known = {item.key: item for item in items}
    matched: dict[Hashable, Decimal] = defaultdict(Decimal)
    for matching in matchings:
        pair = known[matching.debit], known[matching.credit]
        if max(item.day for item in pair) <= as_of:
            matched[matching.debit] += matching.amount
            matched[matching.credit] -= matching.amount
    rows = (
        age(item, item.balance - matched[item.key], as_of)
        for item in known.values()
        if item.day <= as_of
    )
    return [row for row in rows if row.residual]


def age(item: Item, residual: Decimal, as_of: date) -> Row:
    """Return the row of ``item`` of which ``residual`` is open on ``as_of``."""
    retained = is_retained(item, as_of)
    days = None if retained else (as_of - (item.due or item.day)).days
    return Row(item.key, residual, get_column(residual, days, retained), days)


def is_retained(item: Item, as_of: date) -> bool:
    """What is released later was still retained on ``as_of``."""
    return item.is_retained and (item.released is None or item.released > as_of)


def get_column(residual: Decimal, days: int | None, retained: bool = False) -> str:
    """Return the column of an open amount; what we owe is never late."""
    if residual < 0:
        return UNAPPLIED
    if retained:
        return RETENTION
    return next(
        (
            bucket.key
            for bucket in BUCKETS
            if days >= bucket.first and (bucket.last is None or days <= bucket.last)
        ),
        NOT_DUE,
    )


def add_up(rows: Iterable[Row]) -> dict[str, Decimal]:
    """Return the sum of each column, with ``overdue`` and ``total``."""
    sums = dict.fromkeys(COLUMNS, Decimal(0))
    for row in rows:
        sums[row.column] += row.residual
    overdue = sum((sums[bucket.key] for bucket in BUCKETS), Decimal(0))
    return {**sums, "overdue": overdue, "total": sum(sums.values(), Decimal(0))}
