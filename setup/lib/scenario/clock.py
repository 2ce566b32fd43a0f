"""Dates and instants of a scenario, and the clock of the process."""

from datetime import date, datetime, time, timedelta, timezone
from zoneinfo import ZoneInfo

UTC = timezone.utc
NOON = time(12)


def is_instant(value):
    return isinstance(value, str) and value.endswith("Z")


def to_date(value, zone="UTC"):
    """Return the local date of a date or an instant (``…Z``), None for nothing."""
    if not value:
        return None
    if is_instant(value):
        return to_instant(value).astimezone(ZoneInfo(zone)).date()
    return date.fromisoformat(value)


def to_instant(value, zone="UTC", at=NOON):
    """Return an aware UTC datetime; a plain date means ``at`` local time, noon."""
    if is_instant(value):
        return datetime.fromisoformat(f"{value[:-1]}+00:00").astimezone(UTC)
    local = datetime.combine(date.fromisoformat(value), at, ZoneInfo(zone))
    return local.astimezone(UTC)


def naive(instant):
    """Return an instant as Odoo's Datetime fields hold it."""
    return instant.astimezone(UTC).replace(tzinfo=None)


def show_bound(instant, day, zone):
    """Return a local date, or an instant where it is no local midnight.

    :param instant: naive UTC or False, as on the ledger; then ``day`` counts
    """
    if not instant:
        return day.isoformat()
    local = instant.replace(tzinfo=UTC).astimezone(ZoneInfo(zone))
    if local.time() == time():
        return local.date().isoformat()
    return f"{instant.isoformat()}Z"


def show_last_day(day):
    """Return the day before an exclusive bound."""
    return (day - timedelta(days=1)).isoformat()
