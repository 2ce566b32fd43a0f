"""Monthly recurring revenue: what a line counts, and how an account moves."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction

from .allocation import round_money
from .proration import amount

# Periods of one unit in a month.
PER_MONTH = {
    "month": Fraction(1),
    "year": Fraction(1, 12),
    "week": Fraction(52, 12),
    "day": Fraction(365, 12),
}


def monthly(
    unit: str,
    count: int,
    price: Decimal | Fraction,
    quantity: Decimal = Decimal(1),
    discount: Decimal = Decimal(0),
) -> Fraction:
    """Return the exact monthly amount of a recurring price (billing rules, S18).

    :param unit: of the billing period: day, week, month or year
    :param price: per billing period, before tax
    :param discount: percent
    """
    return amount(price, quantity, discount) * PER_MONTH[unit] / count


@dataclass(frozen=True)
class Version:
    """A recurring amount while it lasts.

    :param start: first day of service
    :param end: last day of service, included; ``None`` for an open end
    :param monthly: exact amount a month
    """

    start: date
    end: date | None
    monthly: Fraction

    def runs_on(self, day: date) -> bool:
        return self.start <= day and (self.end is None or day <= self.end)


@dataclass(frozen=True)
class Movement:
    """Net change of one account on one day.

    :param kind: new, expansion, contraction, churn or reactivation
    :param amount: later minus earlier value, negative for contraction and churn
    """

    day: date
    kind: str
    amount: Decimal


def mrr_on(versions: Iterable[Version], day: date, step: Decimal) -> Decimal:
    """Return the value of one account at the end of ``day``, rounded once (7.2)."""
    exact = sum((v.monthly for v in versions if v.runs_on(day)), Fraction(0))
    return round_money(exact, step)


def change_days(versions: Iterable[Version]) -> list[date]:
    """Return the days on which the value of an account may change."""
    days = set()
    for version in versions:
        if version.end is None or version.end >= version.start:
            days.add(version.start)
            if version.end is not None:
                days.add(version.end + timedelta(days=1))
    return sorted(days)


def movements(
    versions: Iterable[Version],
    step: Decimal,
    until: date | None = None,
    paid_before: bool = False,
) -> Iterator[Movement]:
    """Yield the movements of one account, oldest first (billing rules, S19).

    One movement a day: its net change, whatever number of lines moved. A change of less
    than the rounding of an account is none.

    :param versions: all recurring amounts the account ever had
    :param step: smallest amount of the currency
    :param until: last day to look at, included
    :param paid_before: it was a paying account before these versions, as imported
        history says: the first rise is a reactivation
    """
    versions = list(versions)
    before = Decimal(0)
    for day in change_days(versions):
        if until is not None and day > until:
            return
        value = mrr_on(versions, day, step)
        if value != before:
            yield Movement(day, _kind(before, value, paid_before), value - before)
        paid_before = paid_before or value != 0
        before = value


def _kind(before: Decimal, value: Decimal, paid_before: bool) -> str:
    if before == 0:
        return "reactivation" if paid_before else "new"
    if value == 0:
        return "churn"
    return "expansion" if value > before else "contraction"
