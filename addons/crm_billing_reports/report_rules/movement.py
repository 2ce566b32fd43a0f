"""Recurring revenue from one day to another (billing rules, 7.3 to 7.5).

The kinds stand here and nowhere else: the reports make their SQL of them. The replay is
the slow, plain reading of the rule; the reports must say the same.
"""

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction

NEW = "new"
EXPANSION = "expansion"
REACTIVATION = "reactivation"
CONTRACTION = "contraction"
CHURN = "churn"
CURRENCY = "currency"
# As they are read, from opening to closing.
MOVEMENTS = (NEW, EXPANSION, REACTIVATION, CONTRACTION, CHURN)
KINDS = (*MOVEMENTS, CURRENCY)
# What happens to those who pay already: new customers retain nobody.
NET, GROSS = (EXPANSION, CONTRACTION, CHURN), (CONTRACTION, CHURN)

# Rates are stored with so many digits that a tie is known by; not by more.
RATE_DIGITS = 8

Values = Mapping[Hashable, Decimal]  # {currency: monthly amount of one account}
Rate = Callable[[Hashable, date], Fraction]  # company currency for one unit, on a day


@dataclass(frozen=True)
class Movement:
    """Net change of one account on one day, in company currency.

    :param kind: one of :data:`KINDS`
    :param amount: later less earlier value, negative for contraction and churn
    """

    day: date
    kind: str
    amount: Decimal


def convert(amount: Decimal, rate: Fraction, step: Decimal) -> Decimal:
    """Return an amount in company currency, rounded half away from zero."""
    known = _round_half_away(Fraction(amount) * rate, Decimal(1).scaleb(-RATE_DIGITS))
    return _round_half_away(Fraction(known), step)


def _round_half_away(number: Fraction, step: Decimal) -> Decimal:
    steps = number / Fraction(step)
    whole = (abs(steps.numerator) * 2 + steps.denominator) // (steps.denominator * 2)
    return (whole if steps >= 0 else -whole) * step


def replay(
    days: Iterable[tuple[date, Values]], rate: Rate, step: Decimal
) -> list[Movement]:
    """Return the movements of one account, with what rates did to it (7.3, 7.4).

    :param days: each day on which values or rates may change, oldest first, with the
        values at its end, rounded per currency
    :param step: smallest amount of the company currency
    """
    found, before, worth, paid_before = [], {}, Decimal(0), False
    for day, values in days:
        values = {currency: value for currency, value in values.items() if value}
        deltas = {
            currency: values.get(currency, Decimal(0)) - before.get(currency, 0)
            for currency in {*values, *before}
        }
        amount = sum(
            (convert(delta, rate(money, day), step) for money, delta in deltas.items()),
            Decimal(0),
        )
        if any(deltas.values()):
            kind = get_kind(bool(before), bool(values), paid_before, amount)
            if amount or kind not in (EXPANSION, CONTRACTION):
                found.append(Movement(day, kind, amount))
        now_worth = sum(
            (convert(value, rate(money, day), step) for money, value in values.items()),
            Decimal(0),
        )
        if revaluation := now_worth - worth - amount:
            found.append(Movement(day, CURRENCY, revaluation))
        before, worth, paid_before = values, now_worth, paid_before or bool(values)
    return found


def get_kind(paid: bool, pays: bool, paid_before: bool, amount: Decimal) -> str:
    """Return what the change of an account is (S19).

    :param paid: whether it paid the day before
    :param pays: whether it pays at the end of the day
    :param paid_before: whether it ever paid before
    """
    if not paid:
        return REACTIVATION if paid_before else NEW
    if not pays:
        return CHURN
    return CONTRACTION if amount < 0 else EXPANSION


@dataclass(frozen=True)
class Bridge:
    """From the opening of a period to its closing, in one currency (7.5).

    :param movements: ``{kind: signed sum}`` without what rates did
    """

    opening: Decimal
    closing: Decimal
    movements: Mapping[str, Decimal]

    @property
    def currency(self) -> Decimal:
        """What rates did: what movements do not explain (7.4)."""
        return self.closing - self.opening - sum(self.movements.values(), Decimal(0))

    @property
    def net_retention(self) -> Fraction | None:
        """Share of the opening that is left, with expansions; ``None`` is "–"."""
        return self._get_retention(NET)

    @property
    def gross_retention(self) -> Fraction | None:
        """Share of the opening that is left, without expansions; ``None`` is "–"."""
        return self._get_retention(GROSS)

    def _get_retention(self, kinds):
        if self.opening <= 0:
            return None
        kept = self.opening + sum(self.movements.get(kind, 0) for kind in kinds)
        return Fraction(kept) / Fraction(self.opening)
