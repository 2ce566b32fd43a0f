"""When messages and charges may leave: hours, weekdays and holidays at the account."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from zoneinfo import ZoneInfo

ALL_DAYS = frozenset(range(7))
FARTHEST = 400  # days that are looked through before giving up
_MINUTE, _DAY = timedelta(minutes=1), timedelta(days=1)


@dataclass(frozen=True)
class Window:
    """Open from one hour to before another, on some days, in one time zone.

    :param hour_from: first open hour of the day by the wall clock, 8.5 is half past 8
    :param hour_to: the first hour that is closed again
    :param weekdays: 0 for Monday to 6 for Sunday
    :param holidays: local dates on which it stays closed
    :param tz: name of the account's time zone
    :raise ValueError: it has no open hour, or the zone is unknown
    """

    hour_from: Decimal | float = 0
    hour_to: Decimal | float = 24
    weekdays: frozenset[int] = ALL_DAYS
    holidays: frozenset[date] = frozenset()
    tz: str = "UTC"
    _zone: ZoneInfo = field(init=False, repr=False, compare=False)

    def __post_init__(self):
        if not 0 <= self.hour_from < self.hour_to <= 24:
            raise ValueError(f"Open from {self.hour_from} to {self.hour_to} is no time")
        if not self.weekdays or not self.weekdays <= ALL_DAYS:
            raise ValueError("A week has the days 0 to 6, at least one of them open")
        try:
            object.__setattr__(self, "_zone", ZoneInfo(self.tz))
        except (KeyError, OSError, ValueError) as error:
            raise ValueError(f"{self.tz} is no time zone") from error

    # === DAYS === #

    def local_date(self, instant: datetime) -> date:
        """Return the date that the account's wall calendar shows."""
        return self._local(instant).date()

    def is_open_day(self, day: date) -> bool:
        return day.weekday() in self.weekdays and day not in self.holidays

    def first_open_day(self, day: date) -> date | None:
        """Return ``day`` or the next open one, None if none is near."""
        days = (day + ahead * _DAY for ahead in range(FARTHEST))
        return next((found for found in days if self.is_open_day(found)), None)

    def start_of(self, day: date) -> datetime:
        """Return the first instant of a local date, in UTC."""
        return self._first_instant(day, 0)

    # === INSTANTS === #

    def is_open(self, now: datetime) -> bool:
        """Return whether something may leave now; an instant without zone is UTC."""
        local = self._local(now)
        minute = 60 * local.hour + local.minute
        return (
            self.is_open_day(local.date()) and self._opens() <= minute < self._closes()
        )

    def next_open(self, now: datetime) -> datetime | None:
        """Return ``now`` if it is open, else the next instant at which it is.

        :return: in UTC, with a zone exactly where ``now`` has one; None if it stays
            closed for more than a year
        """
        if self.is_open(now):
            return now
        found = next(self._openings(_aware(now)), None)
        return found if now.tzinfo or not found else found.replace(tzinfo=None)

    def _openings(self, now) -> Iterator[datetime]:
        """Yield the openings after ``now``, day by day."""
        today = self.local_date(now)
        for ahead in range(FARTHEST):
            day = today + ahead * _DAY
            if not self.is_open_day(day):
                continue
            if self._is_plain(day):
                opening = self._first_instant(day, self._opens())
                candidates = [opening] if opening > now else []
            else:
                candidates = self._minutes(day, now)
            yield from (moment for moment in candidates if self.is_open(moment))

    def _minutes(self, day, now):
        """Yield each full minute of a day on which the clock is changed."""
        moment = self.start_of(day)
        end = self.start_of(day + _DAY)
        while moment < end:
            if moment > now:
                yield moment
            moment += _MINUTE

    def _is_plain(self, day):
        """Return whether the clock is left alone on that day and around it."""
        return self.start_of(day + _DAY) - self.start_of(day) == _DAY

    def _first_instant(self, day, minute):
        """Return the first instant at or after a wall time, in UTC.

        A time that the clock passes over is the instant at which it jumps; of a time
        that comes twice it is the first.
        """
        wall = datetime.combine(day, time.min) + minute * _MINUTE
        first, second = (
            wall.replace(tzinfo=self._zone, fold=fold).astimezone(timezone.utc)
            for fold in (0, 1)
        )
        if first <= second:
            return first
        moment = second  # in the gap: before the jump by as much as is missing
        while self._local(moment).replace(tzinfo=None) < wall:
            moment += _MINUTE
        return moment

    def _local(self, instant):
        return _aware(instant).astimezone(self._zone)

    def _opens(self):
        return round(self.hour_from * 60)

    def _closes(self):
        return round(self.hour_to * 60)


def _aware(instant):
    if instant.tzinfo:
        return instant.astimezone(timezone.utc)
    return instant.replace(tzinfo=timezone.utc)
