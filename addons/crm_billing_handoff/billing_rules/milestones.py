"""How a contract is split over its milestones, and how its deposit comes back."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from .allocation import round_money

# Percentages that sum to 33.33 + 33.33 + 33.33 still mean the whole.
PERCENT_TOLERANCE = Decimal("0.05")


@dataclass(frozen=True)
class Milestone:
    """One phase of a contract, before tax, in the currency of the contract.

    :param weight: percent or share of what the fixed amounts leave; ``None`` for a
        milestone with an amount of its own
    :param fixed: its own amount, where ``weight`` is ``None``
    :param invoiced: what it was invoiced with, ``None`` while it is open
    """

    weight: Decimal | None = None
    fixed: Decimal = Decimal(0)
    invoiced: Decimal | None = None

    @property
    def is_open(self) -> bool:
        return self.invoiced is None


def find_problem(
    contract: Decimal, milestones: Sequence[Milestone], shares: bool = False
) -> str | None:
    """Return why a contract cannot be split at its confirmation, ``None`` if it can.

    Rule: billing rules, 5.1.

    :param shares: the weights are shares and need not sum to 100
    :return: ``empty``, ``weight`` (one is not positive), ``fixed`` (one is negative),
        ``over`` (fixed amounts above the contract), ``rest`` (nobody takes what the
        fixed amounts leave) or ``percent`` (they do not sum to 100)
    """
    weights = [entry.weight for entry in milestones if entry.weight is not None]
    amounts = [entry.fixed for entry in milestones if entry.weight is None]
    fixed = sum(amounts, Decimal(0))
    if not milestones:
        return "empty"
    if any(weight <= 0 for weight in weights):
        return "weight"
    if any(amount < 0 for amount in amounts):
        return "fixed"
    if fixed > contract:
        return "over"
    if not weights:
        return "rest" if fixed != contract else None
    if not shares and abs(sum(weights) - 100) > PERCENT_TOLERANCE:
        return "percent"
    return None


def find_change_problem(
    total: Decimal, milestones: Sequence[Milestone], open_deposit: Decimal = Decimal(0)
) -> str | None:
    """Return why a running contract cannot be changed to ``total``, if it cannot.

    Rule: billing rules, 5.2. What was invoiced includes the part of the deposit that
    no milestone has given back yet.

    :return: ``invoiced`` (below what was invoiced) or ``over`` (below that and the
        open fixed amounts)
    """
    invoiced = _sum_invoiced(milestones)
    if total < invoiced + open_deposit:
        return "invoiced"
    return "over" if total < invoiced + _sum_open_fixed(milestones) else None


def split_contract(
    total: Decimal, milestones: Sequence[Milestone], step: Decimal
) -> tuple[list[Decimal], Decimal]:
    """Split ``total`` over its milestones; the last open weighted one takes the rest.

    Rule: billing rules, 5.1 and 5.2: what was invoiced and fixed amounts stay, the
    remainder is shared by weight. No part is negative, however small the contract.

    :param step: smallest amount of the currency
    :return: one amount a milestone, and what no open weighted milestone is left to
        take: after a raise, the amount of a new milestone
    :raise ValueError: ``find_problem`` or ``find_change_problem`` was not heeded
    """
    rest = total - _sum_invoiced(milestones) - _sum_open_fixed(milestones)
    if rest < 0:
        raise ValueError(f"{total} is below what was invoiced and what is fixed")
    takers = [entry for entry in milestones if entry.is_open and entry.weight]
    weights = sum((Fraction(entry.weight) for entry in takers), Fraction(0))
    amounts, left, waiting = [], rest, len(takers)
    for entry in milestones:
        if not entry.is_open:
            amounts.append(entry.invoiced)
        elif not entry.weight:
            amounts.append(entry.fixed)
        else:
            waiting -= 1
            exact = Fraction(rest) * Fraction(entry.weight) / weights
            part = min(round_money(exact, step), left) if waiting else left
            left -= part
            amounts.append(part)
    return amounts, left


def get_deposit(
    contract: Decimal, percent: Decimal, amount: Decimal, step: Decimal
) -> Decimal:
    """Return the deposit of a contract: an amount, else a percentage (rules, 5.4).

    :raise ValueError: the deposit is negative or above the contract
    """
    deposit = amount or round_money(Fraction(contract) * Fraction(percent) / 100, step)
    if not 0 <= deposit <= contract:
        raise ValueError(f"A deposit of {deposit} on a contract of {contract}")
    return deposit


def get_recovery(
    open_deposit: Decimal,
    milestone: Decimal,
    to_invoice: Decimal,
    mode: str,
    step: Decimal,
) -> Decimal:
    """Return how much of the deposit a milestone gives back.

    Rule: billing rules, 5.4. Never more than the milestone, so that no invoice becomes
    negative, and never so little that the later ones could not give back the rest.

    :param open_deposit: what was invoiced as deposit and not given back yet
    :param to_invoice: all that is still to be invoiced, this milestone included
    :param mode: ``pro_rata``, ``first`` or ``last``
    :return: a positive amount
    """
    later = to_invoice - milestone
    least = min(max(open_deposit - later, Decimal(0)), milestone)
    most = min(open_deposit, milestone)
    if mode == "first":
        return most
    if mode == "last" or not to_invoice:
        return least
    exact = Fraction(open_deposit) * Fraction(milestone) / Fraction(to_invoice)
    return min(max(round_money(exact, step), least), most)


def _sum_invoiced(milestones):
    return sum((entry.invoiced for entry in milestones if not entry.is_open), Decimal())


def _sum_open_fixed(milestones):
    return sum(
        (entry.fixed for entry in milestones if entry.is_open and not entry.weight),
        Decimal(),
    )
