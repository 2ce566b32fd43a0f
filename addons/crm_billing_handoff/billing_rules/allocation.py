"""Split an amount over several receivers, losing no cent."""

from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction


def round_money(amount: Decimal | Fraction, step: Decimal) -> Decimal:
    """Round once, half away from zero, to the currency's unit (billing rules, S11).

    :param step: smallest amount of the currency, ``Decimal("0.01")`` for EUR
    :raise ValueError: ``step`` is not positive
    """
    if step <= 0:
        raise ValueError(f"A currency has no step of {step}")
    exact = Fraction(amount) / Fraction(step)
    whole, rest = divmod(abs(exact.numerator), exact.denominator)
    whole += 2 * rest >= exact.denominator
    sign = -1 if exact < 0 else 1
    return (Decimal(sign * whole) * step).quantize(step, ROUND_HALF_UP)


def exact(value: float | str | Decimal, digits: int = 6) -> Decimal:
    """Return a stored number as the decimal it prints, never as its binary value.

    :param digits: decimals that the field keeps
    """
    number = (
        Decimal(value) if isinstance(value, str) else Decimal(f"{value:.{digits}f}")
    )
    return number.normalize() if number else Decimal(0)


def split(amount: Decimal, weights: Sequence[Decimal], step: Decimal) -> list[Decimal]:
    """Split ``amount`` in proportion to ``weights``; the last one takes the rest.

    Rule: billing rules, S12. Weights that sum to zero count as equal ones, so that a
    document of nothing but free lines still belongs to somebody.

    :param step: smallest amount of the currency
    :return: one rounded amount a weight; they add up to ``amount``
    """
    if not weights:
        return []
    total = sum(map(Fraction, weights))
    shares = [
        Fraction(weight) / total if total else Fraction(1, len(weights))
        for weight in weights
    ]
    parts = [round_money(Fraction(amount) * share, step) for share in shares[:-1]]
    return [*parts, amount - sum(parts, Decimal(0))]
