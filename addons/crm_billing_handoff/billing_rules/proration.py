"""How much of a recurring amount belongs to a part of its period."""

from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from zoneinfo import ZoneInfo

from .schedule import DAYS, MONTHS, Anchor, Cadence, Part

# Days that the 30-day basis gives a month.
MONTH_DAYS = 30
# Smallest difference of two instants.
TICK = timedelta(microseconds=1)
WHOLE = Fraction(1)


def factor(
    part: Part,
    cadence: Cadence,
    basis: str = "day",
    *,
    start_at: datetime | None = None,
    end_at: datetime | None = None,
    tz: str = "UTC",
    service_start: date | datetime | None = None,
) -> Fraction:
    """Return the share of a period that ``part`` costs (billing rules, S5 and S6).

    A whole period is exactly 1 on every basis.

    :param basis: ``day``, ``second`` or ``actual_30``
    :param start_at: instant at which the part starts, where a change cut it (seconds)
    :param end_at: instant at which it ends, where a change cut it (seconds)
    :param tz: zone whose midnights bound the days (seconds)
    :param service_start: first day or instant of the service, before any change; with
        seconds, what lies before the first grid point is measured against one full
        interval from here
    :raise ValueError: unknown basis
    """
    if basis == "second":
        return _seconds_factor(part, cadence, start_at, end_at, tz, service_start)
    if part.is_whole:
        return WHOLE
    if basis == "day":
        return Fraction(part.period.days, part.anchored.days)
    if basis == "actual_30":
        whole = MONTH_DAYS * cadence.months or cadence.days
        return min(WHOLE, Fraction(part.period.days, whole))
    raise ValueError(f"Nothing is prorated by the {basis}")


def _seconds_factor(part, cadence, start_at, end_at, tz, service_start):
    begin = _utc(start_at) if start_at else midnight(part.period.start, tz)
    finish = _utc(end_at) if end_at else midnight(part.period.end, tz)
    whole_from = midnight(part.anchored.start, tz)
    whole_to = midnight(part.anchored.end, tz)
    if service_start is not None:
        first, first_day = _first_instant(service_start, tz)
        if part.anchored.contains(first_day) and first > whole_from:
            whole_from, whole_to = first, _one_interval_later(first, cadence, tz)
    return Fraction((finish - begin) // TICK, (whole_to - whole_from) // TICK)


def _first_instant(service_start, tz):
    """Return the instant and the local day of the first moment of a service."""
    if isinstance(service_start, datetime):
        instant = _utc(service_start)
        return instant, instant.astimezone(ZoneInfo(tz)).date()
    return midnight(service_start, tz), service_start


def _one_interval_later(instant: datetime, cadence: Cadence, tz: str) -> datetime:
    local = instant.astimezone(ZoneInfo(tz))
    day = Cadence(cadence.unit, cadence.count, Anchor.of(local.date())).grid(1)
    return datetime.combine(day, local.timetz()).astimezone(timezone.utc)


def midnight(day: date, tz: str) -> datetime:
    """Return the instant at which ``day`` starts in ``tz``, in UTC.

    Where clocks skip midnight this is the first instant of the day.
    """
    return datetime.combine(day, time(), ZoneInfo(tz)).astimezone(timezone.utc)


def _utc(instant: datetime) -> datetime:
    """Return an aware instant; one without zone is UTC."""
    if instant.tzinfo is None:
        return instant.replace(tzinfo=timezone.utc)
    return instant.astimezone(timezone.utc)


def amount(
    price: Decimal | Fraction,
    quantity: Decimal,
    discount: Decimal,
    factor: Fraction = WHOLE,
) -> Fraction:
    """Return the exact amount of a part, not rounded yet.

    :param price: of one unit for the whole billing period
    :param discount: percent
    """
    net = 1 - Fraction(discount) / 100
    return Fraction(price) * Fraction(quantity) * net * factor


def price_multiplier(
    billing_unit: str, billing_count: int, price_unit: str, price_count: int = 1
) -> Fraction:
    """Return what a price per ``price_unit`` is multiplied by, before proration (2.4).

    :raise ValueError: a month is no number of days or weeks
    """
    for lengths in (MONTHS, DAYS):
        if billing_unit in lengths and price_unit in lengths:
            return Fraction(
                lengths[billing_unit] * billing_count,
                lengths[price_unit] * price_count,
            )
    raise ValueError(f"A price per {price_unit} is not billed by the {billing_unit}")
