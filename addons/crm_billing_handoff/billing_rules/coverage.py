"""What is billed and what is not, period by period, for a strip on a screen."""

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

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


def judge_slot(slot: Slot, entries: Sequence[Entry], today: date) -> Segment:
    """Return the segment of a part: its own debits decide, else its date.

    Rule: a part in the past that no debit covers is due (billing rules 6.1). What is
    due today is not missing yet: the run may still come.
    """
    if entries:
        status = judge_entries(entries)
    elif slot.billing_date < today:
        status = "missing"
    else:
        status = "due" if slot.billing_date == today else "upcoming"
    keys = tuple(entry.key for entry in entries)
    return Segment(
        status, slot.line, slot.date_from, slot.date_to, slot.billing_date, keys
    )


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
        segment = judge_slot(slot, covering, today)
        last = cells[-1] if cells else None
        if last and (last.date_from, last.date_to) == (
            slot.period_from,
            slot.period_to,
        ):
            last.segments.append(segment)
        else:
            cells.append(Cell(slot.period_from, slot.period_to, [segment]))
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
