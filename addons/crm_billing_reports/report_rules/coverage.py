"""Whether some stretches of days cover another one without a gap."""

from collections.abc import Iterable
from datetime import date


def find_gap(
    ranges: Iterable[tuple[date, date]], first: date, end: date
) -> date | None:
    """Return the first day of ``[first, end)`` that no range covers, or nothing.

    :param ranges: half-open, in any order, overlapping or not
    """
    for start, stop in sorted(ranges):
        if start > first:
            break
        first = max(first, stop)
    return first if first < end else None
