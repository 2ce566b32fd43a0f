"""The strip of periods: what is billed, missing, credited, paused."""

from datetime import date, timedelta
from decimal import Decimal

import pytest
from billing_rules.coverage import Entry, Slot, build_strip, judge_entries
from hypothesis import given
from hypothesis import strategies as st

TODAY = date(2027, 5, 12)
MONTHS = [date(2027, month, 1) for month in range(1, 9)]


def slot(number, line="a", start=None, end=None):
    first, after = MONTHS[number], MONTHS[number + 1]
    return Slot(line, start or first, end or after, first, after, start or first)


def entry(number, line="a", status="posted", credited=0, start=None, end=None):
    first, after = start or MONTHS[number], end or MONTHS[number + 1]
    return Entry(
        (line, first), line, first, after, Decimal(31), Decimal(credited), status
    )


def statuses(cells):
    return [cell.status for cell in cells]


def test_each_period_is_billed_missing_or_still_to_come():
    cells = build_strip(
        [slot(number) for number in range(7)],
        [entry(0), entry(1, status="draft"), entry(3, credited=31)],
        TODAY,
    )
    assert statuses(cells) == [
        "billed",
        "draft",
        "missing",
        "credited",
        "missing",
        "upcoming",
        "upcoming",
    ]


def test_due_today_is_not_missing_yet():
    assert statuses(build_strip([slot(4)], [], MONTHS[4])) == ["due"]


@pytest.mark.parametrize(
    ("entries", "status"),
    [
        ([entry(0)], "billed"),
        ([entry(0, credited=Decimal("0.01"))], "part_credited"),
        ([entry(0, credited=31)], "credited"),
        ([entry(0, status="covered")], "covered"),
        ([entry(0, status="covered"), entry(0)], "billed"),
        ([entry(0, status="pending"), entry(0)], "pending"),
        ([entry(0, status="draft"), entry(0, status="pending")], "draft"),
    ],
)
def test_debits_of_a_part(entries, status):
    assert judge_entries(entries) == status


def test_a_change_cuts_its_cell_in_two():
    middle = date(2027, 1, 12)
    [cell] = build_strip(
        [slot(0, "old", end=middle), slot(0, "new", start=middle)],
        [entry(0, "old", credited=20), entry(0, "new", start=middle)],
        TODAY,
    )
    assert [(part.line, part.status, part.days) for part in cell.segments] == [
        ("old", "part_credited", 11),
        ("new", "billed", 20),
    ]
    assert cell.status == "part_credited"


def test_a_line_is_not_covered_by_the_debit_of_another():
    middle = date(2027, 1, 12)
    [cell] = build_strip(
        [slot(0, "old", end=middle), slot(0, "new", start=middle)],
        [entry(0, "old")],
        TODAY,
    )
    assert [part.status for part in cell.segments] == ["billed", "missing"]


def test_a_part_that_is_billed_in_part_is_cut():
    [cell] = build_strip(
        [slot(0)],
        [entry(0, start=date(2027, 1, 5), end=date(2027, 1, 20))],
        TODAY,
    )
    assert [(part.status, part.days) for part in cell.segments] == [
        ("missing", 4),
        ("billed", 15),
        ("missing", 12),
    ]


def test_a_pause_shows_inside_its_period():
    pause, resume = date(2027, 1, 12), date(2027, 1, 20)
    [cell] = build_strip(
        [slot(0, "old", end=pause), slot(0, "new", start=resume)],
        [entry(0, "old"), entry(0, "new", start=resume)],
        TODAY,
        [(pause, resume, "paused")],
    )
    assert [part.status for part in cell.segments] == ["billed", "paused", "billed"]
    assert sum(part.days for part in cell.segments) == 31


def test_a_long_pause_fills_the_ends_and_one_cell_between():
    pause, resume = date(2027, 1, 12), date(2027, 4, 20)
    cells = build_strip(
        [slot(0, "old", end=pause), slot(3, "new", start=resume)],
        [entry(0, "old"), entry(3, "new", start=resume)],
        TODAY,
        [(pause, resume, "paused")],
    )
    assert [(cell.date_from, cell.date_to) for cell in cells] == [
        (MONTHS[0], MONTHS[1]),
        (MONTHS[1], MONTHS[3]),
        (MONTHS[3], MONTHS[4]),
    ]
    paused = [part for cell in cells for part in cell.segments if part.line is None]
    assert sum(part.days for part in paused) == (resume - pause).days


def test_an_open_pause_stands_at_the_end():
    pause = date(2027, 2, 1)
    cells = build_strip([slot(0)], [entry(0)], TODAY, [(pause, TODAY, "paused")])
    assert statuses(cells) == ["billed", "paused"]


@given(
    st.lists(st.booleans(), min_size=1, max_size=40),
    st.integers(min_value=-40, max_value=40),
)
def test_what_has_no_debit_is_missing_exactly_if_it_is_in_the_past(billed, shift):
    first = date(2027, 3, 1)
    days = [first + timedelta(days=7 * number) for number in range(len(billed) + 1)]
    parts = list(zip(days, days[1:], strict=False))
    today = first + timedelta(days=7 * shift + 3)
    cells = build_strip(
        [Slot("a", start, end, start, end, start) for start, end in parts],
        [
            Entry(start, "a", start, end, Decimal(1), Decimal(0), "posted")
            for (start, end), done in zip(parts, billed, strict=True)
            if done
        ],
        today,
    )
    assert len(cells) == len(billed)
    for cell, (start, end), done in zip(cells, parts, billed, strict=True):
        assert (cell.date_from, cell.date_to) == (start, end)
        expected = "billed" if done else "missing" if start < today else "upcoming"
        assert cell.status == expected
