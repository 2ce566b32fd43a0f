"""Numbers as scenario files write them: ``"12.50"``, ``"0.20"``, ``"1/3"``."""

import re
from decimal import Decimal
from fractions import Fraction

NUMBER = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?(/\d*[1-9]\d*)?")


def exact(value):
    """Return the number as a Fraction, None if the value is no number."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | float | Decimal):
        return Fraction(str(value))
    text = str(value).strip()
    if not NUMBER.fullmatch(text):
        return None
    whole, _slash, divisor = text.partition("/")
    return Fraction(whole) / (int(divisor) if divisor else 1)


def number(value, what="a number"):
    """Return the number as an exact Fraction.

    :raise ValueError: the value is no number
    """
    result = exact(value)
    if result is None:
        raise ValueError(f"{what} is no number: {value!r}")
    return result


def to_float(value, what="a number"):
    """Return what a person would type into a float field."""
    return float(number(value, what))


def text(amount, digits=2):
    """Return an Odoo amount, which prints rounded, as ``"12.50"``."""
    rounded = f"{amount:.{digits}f}"
    return rounded[1:] if float(rounded) == 0 and rounded[0] == "-" else rounded


def plain(value):
    """Return a number without trailing zeros, for quantities: ``"3"``, ``"2.5"``."""
    value = f"{value:.6f}".rstrip("0").rstrip(".")
    return "0" if value == "-0" else value
