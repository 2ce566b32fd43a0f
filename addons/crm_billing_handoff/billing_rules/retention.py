"""What a customer keeps back of an invoice until the work has proved good."""

from decimal import Decimal
from fractions import Fraction

from .allocation import round_money, split


def get_retention(
    net: Decimal,
    gross: Decimal,
    percent: Decimal,
    base: str,
    total: Decimal,
    step: Decimal,
) -> Decimal:
    """Return the retained part of an invoice, rounded once for the invoice.

    Rule: billing rules, 5.5. The base is the value of the milestones before any deposit
    comes off; the retained part is at most what the invoice asks for.

    :param net: milestones before tax
    :param gross: the same milestones with tax
    :param percent: 5 for 5 %
    :param base: ``net`` or ``gross``
    :param total: what the invoice asks for, tax included
    """
    value = gross if base == "gross" else net
    retained = round_money(Fraction(value) * Fraction(percent) / 100, step)
    return max(min(retained, total), Decimal(0))


def split_due(
    instalments: list[Decimal], retained: Decimal, step: Decimal
) -> list[Decimal]:
    """Return what the instalments of an invoice ask for without the retained part.

    Each gives in proportion; the last takes the remainder (billing rules, 10.2).
    """
    due = sum(instalments, Decimal(0)) - retained
    return split(due, instalments, step)
