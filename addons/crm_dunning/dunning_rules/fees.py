"""Interest on what is paid late (billing rules, section 11)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction

BASES = (365, 360)
_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Rate:
    """A yearly rate from a day on, until the next one.

    :param percent: 9 for 9 % a year
    """

    valid_from: date
    percent: Decimal


@dataclass(frozen=True)
class Payment:
    """What closed a part of it; on that day the part still bears interest."""

    on: date
    amount: Decimal


@dataclass(frozen=True)
class Pause:
    """Days on which nothing is charged, both included; no ``end`` means until further.

    A dispute, a promise that is kept so far, an unreleased retention.
    """

    start: date
    end: date | None = None

    def holds(self, day: date) -> bool:
        return self.start <= day and (self.end is None or day <= self.end)


@dataclass(frozen=True)
class Stretch:
    """Days of constant residual and rate, both included.

    :param residual: open amount with tax
    :param percent: None where no rate is known for these days
    """

    first: date
    last: date
    residual: Decimal
    percent: Decimal | None

    @property
    def days(self) -> int:
        return (self.last - self.first).days + 1


@dataclass(frozen=True)
class Interest:
    """Interest of one instalment up to one notice.

    :param amount: rounded once, in the currency of the instalment
    :param days_without_rate: overdue days that no rate was given for; they bear nothing
        and somebody must be told
    """

    amount: Decimal
    stretches: tuple[Stretch, ...]
    days_without_rate: int = 0


def get_stretches(
    due: date,
    until: date,
    total: Decimal,
    rates: Iterable[Rate],
    payments: Sequence[Payment] = (),
    pauses: Sequence[Pause] = (),
    since: date | None = None,
) -> tuple[Stretch, ...]:
    """Return the stretches that bear interest, in order.

    Rule: billing rules, 11. The first day is the day after the due date, the last one
    the day of the payment or notice, included: n days late are n days of interest.

    :param total: amount of the instalment before any payment
    :param until: date of the notice
    :param since: last day that was charged before, if any
    """
    rates = sorted(rates, key=lambda rate: rate.valid_from)
    day = max(due, since or due) + _DAY
    found: list[Stretch] = []
    for start in _get_borders(day, until, rates, payments, pauses):
        residual = total - sum(
            (payment.amount for payment in payments if payment.on < start), Decimal(0)
        )
        if residual <= 0 or any(pause.holds(start) for pause in pauses):
            continue
        valid = [rate.percent for rate in rates if rate.valid_from <= start]
        found.append(Stretch(start, start, residual, valid[-1] if valid else None))
    return _close(found, until, rates, payments, pauses)


def _get_borders(first, until, rates, payments, pauses):
    """Return the days on which residual, rate or pause may change, and the first."""
    days = {first}
    days |= {rate.valid_from for rate in rates}
    days |= {payment.on + _DAY for payment in payments}
    for pause in pauses:
        days |= {pause.start, *([pause.end + _DAY] if pause.end else [])}
    return sorted(day for day in days if first <= day <= until)


def _close(opened, until, rates, payments, pauses):
    """Give each stretch its last day: the day before the next change, or the notice."""
    if not opened:
        return ()
    borders = _get_borders(opened[0].first, until, rates, payments, pauses)
    last_of = {
        start: (borders[number + 1] - _DAY if number + 1 < len(borders) else until)
        for number, start in enumerate(borders)
    }
    return tuple(
        Stretch(one.first, last_of[one.first], one.residual, one.percent)
        for one in opened
    )


def get_interest(
    stretches: Iterable[Stretch], step: Decimal, basis: int = 365
) -> Interest:
    """Return simple interest, summed exactly and rounded once, half away from zero.

    :param step: smallest amount of the currency
    :param basis: days of a year, 365 or 360
    :raise ValueError: another basis, or a currency without a step
    """
    if basis not in BASES or step <= 0:
        raise ValueError(f"No interest over {basis} days a year in steps of {step}")
    stretches = tuple(stretches)
    exact = sum(
        (
            Fraction(one.residual) * Fraction(one.percent) * one.days / 100 / basis
            for one in stretches
            if one.percent is not None
        ),
        Fraction(0),
    )
    return Interest(
        amount=_round(exact, step),
        stretches=stretches,
        days_without_rate=sum(one.days for one in stretches if one.percent is None),
    )


def keep_or_waive(
    accrued: Decimal, residual: Decimal, if_paid: str = "keep"
) -> Decimal:
    """Return what of the accrued interest is asked for once the principal is paid.

    :param if_paid: ``keep`` (default) or ``waive``
    """
    return Decimal(0) if residual <= 0 and if_paid == "waive" else accrued


def _round(exact: Fraction, step: Decimal) -> Decimal:
    steps = exact / Fraction(step)
    whole, rest = divmod(abs(steps.numerator), steps.denominator)
    whole += 2 * rest >= steps.denominator
    amount = (whole if steps >= 0 else -whole) * step
    return amount.quantize(step, ROUND_HALF_UP)
