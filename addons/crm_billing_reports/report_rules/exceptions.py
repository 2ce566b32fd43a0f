"""When exceptions per 100 invoices count as raised, and by what."""

from fractions import Fraction

# How many days before and after a change are compared.
WINDOW_DAYS = 30
# From which factor on the rate is raised, and by how many exceptions at least: one more
# on a handful of invoices proves nothing.
FACTOR = Fraction(5, 4)
LEAST = 3


def rate(exceptions: int, invoices: int) -> Fraction | None:
    """Return exceptions per 100 invoices; ``None`` without invoices (shown as "–")."""
    return Fraction(100 * exceptions, invoices) if invoices else None


def is_raised(before: tuple[int, int], after: tuple[int, int]) -> bool:
    """Return whether the rate went up by a quarter and by more than chance.

    :param before: exceptions and invoices of the time before
    :param after: exceptions and invoices of the time after
    :return: false where one of the rates is undefined: nothing is proven then
    """
    rate_before, rate_after = rate(*before), rate(*after)
    if rate_before is None or rate_after is None:
        return False
    expected = rate_before * after[1] / 100
    return rate_after > rate_before * FACTOR and after[0] - expected >= LEAST
