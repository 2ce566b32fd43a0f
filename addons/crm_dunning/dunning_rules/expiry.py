"""When the owner of a saved card hears that it expires."""

from calendar import monthrange
from collections.abc import Collection
from datetime import date

NOTICES = (30, 7)  # days before the last day of the card


def last_day(exp_month: int, exp_year: int) -> date:
    """Return the last day on which the card works: the end of its month.

    :raise ValueError: there is no such month
    """
    if not 1 <= exp_month <= 12:
        raise ValueError(f"A card cannot expire in month {exp_month}")
    return date(exp_year, exp_month, monthrange(exp_year, exp_month)[1])


def get_notice(
    exp_month: int,
    exp_year: int,
    next_charge: date | None,
    today: date,
    sent: Collection[int] = (),
) -> int | None:
    """Return which notice is due today: 30 or 7 days before, None if none.

    Only if a charge falls after the expiry (F8). After an outage only the later of the
    two goes out, as long as the charge has not been made.

    :param next_charge: local date of the next charge of the card that is known
    :param sent: notices that have been sent for this expiry; a replaced card has none
    """
    end = last_day(exp_month, exp_year)
    if next_charge is None or next_charge <= end or today > next_charge:
        return None
    left = (end - today).days
    due = [notice for notice in NOTICES if left <= notice]
    if not due or min(due) in sent:
        return None
    return min(due)
