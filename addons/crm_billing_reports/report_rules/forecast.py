"""How much is likely to be invoiced, and when its money is likely to come."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction

ENOUGH = 3  # paid instalments that make a habit, as in collections
ZERO = Decimal(0)


@dataclass(frozen=True)
class Range:
    """An amount in the worst, the likely and the best case."""

    low: Decimal
    expected: Decimal
    high: Decimal

    @classmethod
    def certain(cls, amount: Decimal) -> "Range":
        return cls(amount, amount, amount)

    @classmethod
    def likely(cls, amount: Decimal) -> "Range":
        """Something stands in its way that usually goes away; a credit never waits."""
        return cls(min(amount, ZERO), amount, amount)

    @classmethod
    def possible(cls, amount: Decimal) -> "Range":
        return cls(ZERO, ZERO, amount)

    def times(self, factor: Decimal) -> "Range":
        return Range(self.low * factor, self.expected * factor, self.high * factor)


def get_usage_range(planned: Decimal, billed: Sequence[Decimal]) -> Range:
    """Return what a coming period of usage is likely to cost.

    :param planned: what is certain by now: used so far, or the minimum
    :param billed: the last periods that were billed, as a whole each
    """
    if not billed:
        return Range.certain(planned)
    mean = Fraction(sum(billed)) / len(billed)
    average = Decimal(mean.numerator) / Decimal(mean.denominator)
    return Range(planned, max(planned, average), max(planned, *billed))


@dataclass(frozen=True)
class Delays:
    """How late a payer pays, in days after the due date, negative for early.

    :param count: paid instalments that tell it
    :param early: one in ten was paid by then
    :param usual: the average, never outside the other two
    :param late: nine in ten were paid by then
    """

    count: int
    early: int
    usual: int
    late: int

    @classmethod
    def of(cls, count: int, early: int, average: Fraction, late: int) -> "Delays":
        return cls(count, early, min(max(round(average), early), late), late)

    def is_habit(self) -> bool:
        return self.count >= ENOUGH


ON_TIME = Delays(0, 0, 0, 0)


@dataclass(frozen=True)
class Arrival:
    """The days on which an instalment comes in; None where nobody can count on it.

    Cumulated from the first day on, the worst case is never above the likely one, and
    that never above the best one.
    """

    low: date | None
    expected: date | None
    high: date


def get_arrival(
    due: date,
    delays: Delays,
    today: date,
    promised: date | None = None,
    is_stuck: bool = False,
) -> Arrival:
    """Return when an instalment is likely to be paid, by the habits of its payer.

    Due date plus the days that the payer is usually late. Once that has passed: plus
    the days of its late payments. Once that has passed, too, it is in the best case
    only. A promise comes before habit; what is stuck is in the best case only.

    :param promised: day that the customer named; counts until it has passed
    :param is_stuck: disputed, held, or retained
    """
    early, usual, late = (
        due + timedelta(days=days) for days in (delays.early, delays.usual, delays.late)
    )
    high = max(early, today)
    if is_stuck:
        return Arrival(None, None, high)
    if promised and promised >= today:
        return Arrival(max(late, promised), promised, min(high, promised))
    low = late if late >= today else None
    return Arrival(low, usual if usual >= today else low, high)


@dataclass(frozen=True)
class Instalment:
    """Something open of a payer, in one currency.

    :param key: whatever identifies it to the caller
    """

    key: object
    due: date
    amount: Decimal


def settle(instalments: Iterable[Instalment], credit: Decimal) -> list[Instalment]:
    """Return what money is still wanted for, when a credit pays the oldest first.

    :param credit: payments and credit notes that are not matched yet, positive
    """
    wanted = []
    for one in sorted(instalments, key=lambda one: one.due):
        taken = min(credit, one.amount)
        credit -= taken
        if one.amount > taken:
            wanted.append(replace(one, amount=one.amount - taken))
    return wanted
