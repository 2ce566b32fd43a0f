"""How fast money comes in (billing rules, 8.4 to 8.8).

Amounts are exact, of one currency. What is undefined is ``None`` and shown as "–":
never 0, never an error. The reports compute the same in SQL and are tested with this.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction

ONE_DAY = timedelta(days=1)
MONTHS_OF = {"month": 1, "quarter": 3, "year": 12}
DAYS_OF_YEAR = 365


# === SLICES OF A RANGE === #


@dataclass(frozen=True)
class Slice:
    """Days from ``first`` to ``last``, both included."""

    first: date
    last: date

    @property
    def days(self) -> int:
        return (self.last - self.first).days + 1

    @property
    def whole_months(self) -> int | None:
        """Return how many calendar months these are, ``None`` if parts of some."""
        after = self.last + ONE_DAY
        if self.first.day != 1 or after.day != 1:
            return None
        return _number(after) - _number(self.first)

    @property
    def months(self) -> Fraction:
        """Return N of the rule of CEI (8.5)."""
        whole = self.whole_months
        return Fraction(self.days * 12, DAYS_OF_YEAR) if whole is None else whole


def cut(first: date, last: date, unit: str | None) -> list[Slice]:
    """Return the range cut at calendar months, quarters or years.

    :param unit: a key of ``MONTHS_OF``, ``None`` for one slice
    """
    if unit is None:
        return [Slice(first, last)]
    slices, step = [], MONTHS_OF[unit]
    while first <= last:
        number = (_number(first) // step + 1) * step
        end = min(last, _first_of(number) - ONE_DAY)
        slices.append(Slice(first, end))
        first = end + ONE_DAY
    return slices


def _number(day: date) -> int:
    """Return the number of the month, counted from year 0."""
    return day.year * 12 + day.month - 1


def _first_of(number: int) -> date:
    return date(number // 12, number % 12 + 1, 1)


# === RECEIVABLES === #


@dataclass(frozen=True)
class Receivables:
    """What was owed around a range, and what was sold in it.

    :param opening: owed at the end of the day before the range
    :param sales: posted invoices less credit notes, with tax
    :param closing: owed at the end of the last day
    :param not_due: the part of ``closing`` that is not due, with retention
    """

    range: Slice
    opening: Decimal
    sales: Decimal
    closing: Decimal
    not_due: Decimal

    @property
    def dso(self) -> Fraction | None:
        """Return days of sales outstanding (8.4)."""
        return self._to_days(self.closing)

    @property
    def best_dso(self) -> Fraction | None:
        """Return what DSO would be if everything was paid when due (8.4)."""
        return self._to_days(self.not_due)

    @property
    def add(self) -> Fraction | None:
        """Return average days delinquent: DSO less the best possible one (8.4)."""
        return self._to_days(self.closing - self.not_due)

    @property
    def cei(self) -> Fraction | None:
        """Return the collection effectiveness index in percent (8.5)."""
        if self.sales <= 0:
            return None
        owed = Fraction(self.opening) + Fraction(self.sales) / self.range.months
        if (base := owed - Fraction(self.not_due)) <= 0:
            return None
        return (owed - Fraction(self.closing)) / base * 100

    def _to_days(self, amount):
        if self.sales <= 0:
            return None
        return Fraction(amount) * self.range.days / Fraction(self.sales)


@dataclass(frozen=True)
class CountBack:
    """Days that were walked back; ``is_more``: the first invoice stopped the walk."""

    days: Fraction
    is_more: bool = False


def count_back(
    closing: Decimal, months: Sequence[tuple[Decimal, int]]
) -> CountBack | None:
    """Return how old sales must be to make up what is owed (8.4).

    Where nothing is owed, no day is counted.

    :param months: net sales and days of each calendar month, the last one first: its
        days up to the day looked at, and so on down to that of the first invoice
    """
    left, days = Fraction(closing), 0
    if left <= 0:
        return CountBack(Fraction(0))
    for sales, length in months:
        if left <= sales:
            return CountBack(days + left / Fraction(sales) * length)
        left -= Fraction(sales)
        days += length
    return CountBack(Fraction(days), is_more=True) if months else None


# === COLLECTIONS === #


@dataclass(frozen=True)
class Allocation:
    """Money that was matched with an instalment.

    :param due: due date of the instalment, None while it is retained
    :param paid: day of the matching, the later date of the two entries
    :param service: mean billing date of the parts on the invoice, done date of
        milestones: days since any fixed day, a fraction between two days
    :param settled: day on which the bank had the money, ``paid`` if not known
    """

    amount: Decimal
    due: date | None
    paid: date
    service: Fraction | None = None
    posted: date | None = None
    sent: date | None = None
    settled: date | None = None

    @property
    def days(self) -> int | None:
        """Return days past the due date, negative before it."""
        return None if self.due is None else (self.paid - self.due).days


def get_days_late(allocations: Iterable[Allocation]) -> Fraction | None:
    """Return the mean lateness; what came early counts as in time (8.6)."""
    return _weigh((one.amount, max(0, one.days)) for one in _with_due(allocations))


def get_days_to_terms(allocations: Iterable[Allocation]) -> Fraction | None:
    """Return the mean distance to the due date, early payments negative (8.6)."""
    return _weigh((one.amount, one.days) for one in _with_due(allocations))


def _with_due(allocations):
    return [one for one in allocations if one.due is not None]


def _weigh(pairs):
    total = mean = Fraction(0)
    for amount, value in pairs:
        total += Fraction(amount)
        mean += Fraction(amount) * value
    return mean / total if total > 0 else None


def get_known_steps(
    invoiced: date, paid: date, posted: date | None, sent: date | None
) -> tuple[date, date]:
    """Return when an invoice was posted and sent, from what is recorded.

    Without a record it was posted on its own date, and sent when posted. What was
    recorded as posted after its money had come is history that was typed in later:
    that record says nothing of the way it went.
    """
    if posted and posted > paid:
        posted = sent = None
    posted = posted or invoiced
    return posted, sent or posted


PARTS = ("to_post", "to_send", "terms", "customer", "processing")


def get_parts(one: Allocation) -> dict[str, Fraction]:
    """Return whose delay the days from service to money are (8.7).

    The first two are ours. Together they are the whole, also where one is negative.
    """
    steps = [
        one.service,
        *(Fraction(day.toordinal()) for day in (one.posted, one.sent, one.due)),
        *(Fraction(day.toordinal()) for day in (one.paid, one.settled or one.paid)),
    ]
    return {
        name: after - before
        for name, before, after in zip(PARTS, steps[:-1], steps[1:], strict=True)
    }
