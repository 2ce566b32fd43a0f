"""What is billed and what is not, period by period, for a strip on a screen."""

from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from .period import Period
from .schedule import merge

# Of several segments the one to look at first gives its colour to the whole cell.
ATTENTION = (
    "missing",
    "due",
    "pending",
    "draft",
    "part_credited",
    "credited",
    "billed",
    "upcoming",
    "covered",
    "paused",
    "trial",
)


@dataclass(frozen=True)
class Slot:
    """A part of one anchored period that a line has to bill.

    :param line: the line that serves these days
    :param date_from: first day of the part
    :param date_to: first day after the part
    :param period_from: first day of the anchored period that holds the part
    :param period_to: first day after that period
    :param billing_date: local date on which the part is billed
    """

    line: Hashable
    date_from: date
    date_to: date
    period_from: date
    period_to: date
    billing_date: date


@dataclass(frozen=True)
class Entry:
    """A debit of the ledger with what was credited of it.

    :param key: the row
    :param status: ``pending``, ``draft``, ``posted`` or ``covered``
    :param credited: positive, what credit rows took back
    """

    key: Hashable
    line: Hashable
    date_from: date
    date_to: date
    amount: Decimal
    credited: Decimal
    status: str


@dataclass(frozen=True)
class Segment:
    """Days that one line serves in one period, judged."""

    status: str
    line: Hashable
    date_from: date
    date_to: date
    billing_date: date | None = None
    keys: tuple[Hashable, ...] = ()

    @property
    def days(self) -> int:
        return (self.date_to - self.date_from).days


@dataclass
class Cell:
    """One anchored period of a strip, cut where its line changed."""

    date_from: date
    date_to: date
    segments: list[Segment] = field(default_factory=list)

    @property
    def status(self) -> str:
        return min((segment.status for segment in self.segments), key=ATTENTION.index)


def judge_entries(entries: Sequence[Entry]) -> str:
    """Return the status of days that have one or more debits."""
    states = {entry.status for entry in entries}
    for state in ("draft", "pending"):
        if state in states:
            return state
    if states == {"covered"}:
        return "covered"
    amount = sum(entry.amount for entry in entries)
    credited = sum(entry.credited for entry in entries)
    if credited <= 0:
        return "billed"
    return "credited" if credited >= amount else "part_credited"


def judge_open(billing_date: date, today: date) -> str:
    """Return the status of days that no debit covers.

    Rule: what is in the past and not covered is due (billing rules 6.1). What is due
    today is not missing yet: the run may still come.
    """
    if billing_date < today:
        return "missing"
    return "due" if billing_date == today else "upcoming"


def judge_slot(slot: Slot, entries: Sequence[Entry], today: date) -> list[Segment]:
    """Return the segments of a part: its own debits decide, else its date.

    :param entries: debits of the line that overlap the part
    """
    segments = []
    for start, end, inside in _pieces(slot, entries):
        if inside:
            status = judge_entries(inside)
        else:
            status = judge_open(slot.billing_date, today)
        keys = tuple(entry.key for entry in inside)
        segments.append(Segment(status, slot.line, start, end, slot.billing_date, keys))
    return segments


def _pieces(
    slot: Slot, entries: Sequence[Entry]
) -> Iterator[tuple[date, date, list[Entry]]]:
    """Yield stretches of the part that debits cover, and those between them."""
    covered = merge(
        Period(max(entry.date_from, slot.date_from), min(entry.date_to, slot.date_to))
        for entry in entries
    )
    start = slot.date_from
    for days in covered:
        if start < days.start:
            yield start, days.start, []
        yield (
            days.start,
            days.end,
            [
                entry
                for entry in entries
                if entry.date_from < days.end and days.start < entry.date_to
            ],
        )
        start = days.end
    if start < slot.date_to:
        yield start, slot.date_to, []


def build_strip(
    slots: Iterable[Slot],
    entries: Iterable[Entry],
    today: date,
    gaps: Iterable[tuple[date, date, str]] = (),
) -> list[Cell]:
    """Return the cells of a chain of lines, one per anchored period, in order.

    :param slots: parts of all lines of the chain, in any order
    :param entries: debits of those lines
    :param gaps: ``(first day, first day after, "paused" or "trial")`` between lines
    """
    by_line: dict[Hashable, list[Entry]] = {}
    for entry in entries:
        by_line.setdefault(entry.line, []).append(entry)
    cells: list[Cell] = []
    for slot in sorted(slots, key=lambda slot: (slot.date_from, slot.date_to)):
        covering = [
            entry
            for entry in by_line.get(slot.line, ())
            if entry.date_from < slot.date_to and slot.date_from < entry.date_to
        ]
        segments = judge_slot(slot, covering, today)
        last = cells[-1] if cells else None
        if last and (last.date_from, last.date_to) == (
            slot.period_from,
            slot.period_to,
        ):
            last.segments.extend(segments)
        else:
            cells.append(Cell(slot.period_from, slot.period_to, segments))
    for date_from, date_to, status in gaps:
        _insert_gap(cells, Segment(status, None, date_from, date_to))
    return cells


def _insert_gap(cells: list[Cell], gap: Segment) -> None:
    """Put days without a line into the cells that hold them, else in one of their own.

    A pause inside a period shows inside its cell, a longer one as one cell between.
    """
    rest_from, rest_to = gap.date_from, gap.date_to
    for cell in cells:
        start, end = max(cell.date_from, rest_from), min(cell.date_to, rest_to)
        if start < end:
            cell.segments.append(Segment(gap.status, None, start, end))
            cell.segments.sort(key=lambda segment: segment.date_from)
            if start == rest_from:
                rest_from = end
            elif end == rest_to:
                rest_to = start
    if rest_from < rest_to:
        own = Segment(gap.status, None, rest_from, rest_to)
        cells.append(Cell(rest_from, rest_to, [own]))
        cells.sort(key=lambda cell: cell.date_from)
