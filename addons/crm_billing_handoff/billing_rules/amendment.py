"""What a change or the end of a line gives back, and where the money goes."""

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction

from .allocation import round_money
from .schedule import Cadence

END_OF_PERIOD = "end_of_period"
REFUND = "refund"
NOTHING = Fraction(0)


def credit(
    debit: Decimal,
    debited_factor: Fraction,
    unused_factor: Fraction,
    step: Decimal,
    credited_before: Decimal = Decimal(0),
    credited_factor: Fraction = NOTHING,
) -> Decimal:
    """Return what the unused part of a debit gives back (billing rules, S7 and 3.2).

    From what was really debited, so that price, discount and tax of that time stay. Who
    credits the last unused day gives back the debit to the cent.

    :param debit: untaxed subtotal of the document line
    :param debited_factor: share of the period that ``debit`` paid for
    :param unused_factor: share of the period that is given back now
    :param step: smallest amount of the currency
    :param credited_before: earlier credits of this debit, with the debit's sign
    :param credited_factor: share of the period that they gave back
    :return: with the sign of ``debit``, never more than is left of it
    :raise ValueError: a debit of no time at all
    """
    if debited_factor <= 0:
        raise ValueError(f"A debit of {debit} for no time")
    left = debit - credited_before
    if credited_factor + unused_factor >= debited_factor:
        return left
    share = round_money(Fraction(debit) * unused_factor / debited_factor, step)
    return min(share, left) if debit >= 0 else max(share, left)


def last_day(
    policy: str,
    request: date,
    cadence: Cadence | None = None,
    start: date | None = None,
    end: date | None = None,
) -> date:
    """Return the last day of service of a line that is cancelled (billing rules, S10).

    :param policy: ``end_of_period``, else the service ends on the day of the request
    :param cadence: of the line, ``None`` where it has no periods
    :param start: first day of the line; what has not begun ends with its first period
    :param end: last day that was agreed anyway; a cancellation never makes it later
    """
    day = request
    if policy == END_OF_PERIOD and cadence is not None:
        day = cadence.holding(max(request, start or request)).last_day
    return min(day, end) if end else day


@dataclass(frozen=True)
class Settlement:
    """Where a credit goes; the three add up to it.

    :param closes: what it closes of its original invoice
    :param refund: what is paid back
    :param left_over: what stays open on the account
    """

    closes: Decimal
    refund: Decimal
    left_over: Decimal


def settle(
    total: Decimal,
    open_amount: Decimal,
    policy: str,
    refundable: Decimal | None = None,
) -> Settlement:
    """Split a credit over invoice, customer's bank and account (billing rules, 3.3).

    :param total: the credit including tax
    :param open_amount: residual of the original invoice
    :param policy: ``refund`` pays the excess back, any other keeps it as credit
    :param refundable: money that really came in for the invoice and was not sent back
        yet; ``None`` where whatever closed the invoice was money
    """
    closes = min(total, max(open_amount, Decimal(0)))
    excess = total - closes
    refund = excess if policy == REFUND else Decimal(0)
    if refundable is not None:
        refund = min(refund, max(refundable, Decimal(0)))
    return Settlement(closes, refund, excess - refund)


def discount_end(cadence: Cadence, start: date, periods: int) -> date:
    """Return the first day at full price after a discount (billing rules, 2.11).

    The period that holds ``start`` counts where the discount starts on its first day;
    else ``periods`` whole ones follow the part that is left of it.

    :param periods: whole anchored periods
    """
    n = cadence.index(start)
    if cadence.grid(n) < start:
        n += 1
    return cadence.grid(n + periods)


def resume_shift(paused_from: date, resumed: date, end: date | None) -> date | None:
    """Return the last day of service moved by the paused days (billing rules, 2.12)."""
    if end is None:
        return None
    return end + timedelta(days=(resumed - paused_from).days)


def has_visible_effect(*amounts: Decimal) -> bool:
    """Tell whether credits and charges of a change together move any money (2.10)."""
    return sum(amounts, Decimal(0)) != 0
