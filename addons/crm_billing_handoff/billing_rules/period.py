"""A stretch of local days, half-open."""

from dataclasses import dataclass
from datetime import date, timedelta


@dataclass(frozen=True, order=True)
class Period:
    """Days from ``start``, included, to ``end``, excluded (billing rules, S1).

    :raise ValueError: it holds no day
    """

    start: date
    end: date

    def __post_init__(self):
        if self.end <= self.start:
            raise ValueError(f"No day from {self.start} to before {self.end}")

    @property
    def days(self) -> int:
        return (self.end - self.start).days

    @property
    def last_day(self) -> date:
        """The last day of service, as people say and print it (S4)."""
        return self.end - timedelta(days=1)

    def contains(self, day: date) -> bool:
        return self.start <= day < self.end

    def overlap(self, other: "Period") -> "Period | None":
        """Return the days in both, ``None`` where there is none."""
        start, end = max(self.start, other.start), min(self.end, other.end)
        return Period(start, end) if start < end else None
