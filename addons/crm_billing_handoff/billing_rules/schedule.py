"""Which parts of which periods a recurring line is billed for, and when."""

from calendar import monthrange
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property

from .period import Period

MONTHS = {"month": 1, "year": 12}
DAYS = {"day": 1, "week": 7}


@dataclass(frozen=True)
class Anchor:
    """Where a grid of periods starts: a month and a day that month may not have.

    :param day: 1 to 31; the 31st falls on the last day of a shorter month
    """

    year: int
    month: int
    day: int

    def __post_init__(self):
        if not 1 <= self.day <= 31:
            raise ValueError(f"No month has a day {self.day}")

    @classmethod
    def of(cls, day: date) -> "Anchor":
        return cls(day.year, day.month, day.day)

    @property
    def date(self) -> date:
        """The anchor as a day that exists."""
        return self.shifted(0)

    def shifted(self, months: int) -> date:
        """Return the same day-number ``months`` later, clamped to that month."""
        years, month = divmod(self.month - 1 + months, 12)
        year = self.year + years
        return date(year, month + 1, min(self.day, monthrange(year, month + 1)[1]))


@dataclass(frozen=True)
class Cadence:
    """A grid of periods: one every ``count`` units, seen from its anchor.

    :param unit: day, week, month or year
    :raise ValueError: unknown unit, or a count that is not positive
    """

    unit: str
    count: int
    anchor: Anchor

    def __post_init__(self):
        if self.unit not in MONTHS and self.unit not in DAYS:
            raise ValueError(f"Nothing is billed by the {self.unit}")
        if self.count < 1:
            raise ValueError(f"A period of {self.count} {self.unit}s")

    @cached_property
    def months(self) -> int:
        """Length of a period in months, 0 where it is counted in days."""
        return MONTHS.get(self.unit, 0) * self.count

    @cached_property
    def days(self) -> int:
        """Length of a period in days, 0 where it is counted in months."""
        return DAYS.get(self.unit, 0) * self.count

    def grid(self, n: int) -> date:
        """Return grid point ``n``, from the anchor and never from point n - 1 (S2)."""
        if self.months:
            return self.anchor.shifted(n * self.months)
        return self.anchor.date + timedelta(days=n * self.days)

    def index(self, day: date) -> int:
        """Return the number of the period that holds ``day``."""
        anchor = self.anchor
        if not self.months:
            return (day - anchor.date).days // self.days
        months = (day.year - anchor.year) * 12 + day.month - anchor.month
        n = months // self.months
        return n if self.grid(n) <= day else n - 1

    def period(self, n: int) -> Period:
        return Period(self.grid(n), self.grid(n + 1))

    def holding(self, day: date) -> Period:
        """Return the anchored period that holds ``day``."""
        return self.period(self.index(day))

    def on_grid(self, day: date) -> bool:
        return self.holding(day).start == day


@dataclass(frozen=True)
class Part:
    """What one ledger row bills: a piece of one anchored period.

    :param period: the days that are billed
    :param anchored: the whole period that holds them, and measures their share
    """

    period: Period
    anchored: Period

    @property
    def is_whole(self) -> bool:
        return self.period == self.anchored


def resolve_anchor(
    mode: str,
    start: date,
    unit: str,
    count: int,
    day: int | None = None,
    month: int | None = None,
    weekday: int | None = None,
) -> Anchor:
    """Return the anchor of a line that starts on ``start`` (billing rules, 1.3).

    The anchor month is always taken in the start's own year: where 12 is a multiple of
    the months of a period this is any year's grid, else it is the rule.

    :param mode: start, fixed_day, end_of_month or weekday
    :param day: 1 to 31, for fixed_day; the 1st by default
    :param month: 1 to 12; January for fixed_day, the start's month for end_of_month
    :param weekday: 0 (Monday) to 6, for weeks; the start's by default
    :raise ValueError: a mode that the unit does not know
    """
    if mode == "start":
        return Anchor.of(start)
    if mode == "weekday":
        if unit != "week":
            raise ValueError("Only weeks start on a weekday")
        back = (start.weekday() - weekday) % 7 if weekday is not None else 0
        return Anchor.of(start - timedelta(days=back))
    if unit not in MONTHS:
        raise ValueError("Only months and years start on a day of the month")
    if mode == "end_of_month":
        return Anchor(start.year, month or start.month, 31)
    if mode == "fixed_day":
        return Anchor(start.year, month or 1, day or 1)
    raise ValueError(f"No such anchor: {mode}")


def merge(periods: Iterable[Period]) -> list[Period]:
    """Return the same days in as few periods as possible, oldest first."""
    merged: list[Period] = []
    for period in sorted(periods):
        if merged and period.start <= merged[-1].end:
            if period.end > merged[-1].end:
                merged[-1] = Period(merged[-1].start, period.end)
        else:
            merged.append(period)
    return merged


def _gaps(
    start: date, end: date | None, covered: Iterable[Period]
) -> Iterator[tuple[date, date | None]]:
    """Yield what is not covered between ``start`` and ``end``; the last may be open."""
    for period in merge(covered):
        if end is not None and period.start >= end:
            break
        if period.start > start:
            yield start, period.start
        start = max(start, period.end)
    if end is None or start < end:
        yield start, end


def parts(
    cadence: Cadence, start: date, end: date | None, until: date | None = None
) -> Iterator[Part]:
    """Yield the parts of [``start``, ``end``), one an anchored period, oldest first.

    :param end: the first day without service, ``None`` for an open end
    :param until: yield only parts that start before this day
    """
    n = cadence.index(start)
    while (end is None or start < end) and (until is None or start < until):
        anchored = cadence.period(n)
        stop = anchored.end if end is None else min(anchored.end, end)
        yield Part(Period(start, stop), anchored)
        start, n = stop, n + 1


def billing_date(
    part: Part, timing: str, settling_days: int = 0, continued: bool = False
) -> date:
    """Return the day on which a part is billed (billing rules, 1.6).

    :param timing: ``advance``: its first day; ``arrears``: the day after its last one
    :param settling_days: days that usage is given to arrive, after arrears
    :param continued: a successor line goes on with the period, so that arrears are
        billed together with its rest (2.9)
    """
    if timing == "advance":
        return part.period.start
    end = part.anchored.end if continued else part.period.end
    return end + timedelta(days=settling_days)


def uncovered_parts(
    cadence: Cadence,
    start: date,
    end: date | None,
    covered: Iterable[Period] = (),
) -> Iterator[Part]:
    """Yield what no debit row covers, oldest first; endless where ``end`` is open."""
    for gap_start, gap_end in _gaps(start, end, covered):
        yield from parts(cadence, gap_start, gap_end)


def due_parts(
    cadence: Cadence,
    start: date,
    end: date | None,
    timing: str,
    covered: Sequence[Period],
    today: date,
    settling_days: int = 0,
    lead_days: int = 0,
    continued: bool = False,
) -> list[Part]:
    """Return what is to be billed by ``today``, oldest first (billing rules, 6.1).

    Covered days are skipped by arithmetic, so a long history costs nothing.

    :param end: the first day without service, ``None`` for an open end
    :param covered: ranges of the line's debit rows, in any order
    :param today: local date of the account
    :param lead_days: draft this many days before the billing date
    :param continued: see :func:`billing_date`; concerns the last part alone
    """
    horizon = today + timedelta(days=lead_days)
    due = []
    for part in uncovered_parts(cadence, start, end, covered):
        last = continued and part.period.end == end
        if billing_date(part, timing, settling_days, last) > horizon:
            break
        due.append(part)
    return due


def next_billing_date(
    cadence: Cadence,
    start: date,
    end: date | None,
    timing: str,
    covered: Sequence[Period],
    settling_days: int = 0,
    continued: bool = False,
) -> date | None:
    """Return when the first uncovered part is billed, ``None`` after the last one."""
    part = next(uncovered_parts(cadence, start, end, covered), None)
    if part is None:
        return None
    last = continued and part.period.end == end
    return billing_date(part, timing, settling_days, last)
