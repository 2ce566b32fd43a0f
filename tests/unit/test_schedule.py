"""Periods: where they start, which parts are billed, and on which day."""

from datetime import date, timedelta

import pytest
from billing_rules.period import Period
from billing_rules.schedule import (
    Anchor,
    Cadence,
    billing_date,
    due_parts,
    merge,
    next_billing_date,
    parts,
    resolve_anchor,
)
from hypothesis import given
from hypothesis import strategies as st

days = st.dates(date(2000, 1, 1), date(2060, 12, 31))
anchors = st.builds(
    Anchor, st.integers(2000, 2060), st.integers(1, 12), st.integers(1, 31)
)
cadences = st.builds(
    Cadence,
    st.sampled_from(["day", "week", "month", "year"]),
    st.integers(1, 7),
    anchors,
)
timings = st.sampled_from(["advance", "arrears"])


def monthly(year, month, day, count=1):
    return Cadence("month", count, Anchor(year, month, day))


# === PERIOD === #


def test_a_period_is_half_open():
    march = Period(date(2027, 3, 1), date(2027, 4, 1))
    assert march.days == 31
    assert march.last_day == date(2027, 3, 31)
    assert march.contains(date(2027, 3, 1))
    assert not march.contains(date(2027, 4, 1))


def test_touching_periods_do_not_overlap():
    march = Period(date(2027, 3, 1), date(2027, 4, 1))
    april = Period(date(2027, 4, 1), date(2027, 5, 1))
    assert march.overlap(april) is None
    middle = Period(date(2027, 3, 20), date(2027, 4, 10))
    assert march.overlap(middle) == Period(date(2027, 3, 20), date(2027, 4, 1))


@pytest.mark.parametrize("end", [date(2027, 3, 1), date(2027, 2, 28)])
def test_a_period_holds_a_day(end):
    with pytest.raises(ValueError, match="No day"):
        Period(date(2027, 3, 1), end)


def test_merged_periods_hold_the_same_days():
    pieces = [
        Period(date(2027, 3, 5), date(2027, 3, 9)),
        Period(date(2027, 3, 1), date(2027, 3, 3)),
        Period(date(2027, 3, 3), date(2027, 3, 6)),
        Period(date(2027, 4, 1), date(2027, 4, 2)),
    ]
    assert merge(pieces) == [
        Period(date(2027, 3, 1), date(2027, 3, 9)),
        Period(date(2027, 4, 1), date(2027, 4, 2)),
    ]


# === GRID === #


def test_the_thirtieth_comes_back_after_february():
    grid = monthly(2027, 12, 30)
    assert [grid.grid(n) for n in range(5)] == [
        date(2027, 12, 30),
        date(2028, 1, 30),
        date(2028, 2, 29),
        date(2028, 3, 30),
        date(2028, 4, 30),
    ]


def test_quarters_from_the_thirty_first():
    grid = monthly(2027, 8, 31, 3)
    assert [grid.grid(n) for n in (1, 2, 3)] == [
        date(2027, 11, 30),
        date(2028, 2, 29),
        date(2028, 5, 31),
    ]


@pytest.mark.parametrize("day", [29, 30, 31])
def test_ten_years_do_not_drift(day):
    grid = monthly(2027, 1, day)
    starts = [grid.grid(n) for n in range(121)]
    assert all(
        start.day == day or (start + timedelta(days=1)).day == 1 for start in starts
    )
    assert starts[120] == date(2037, 1, day)
    assert date(2028, 2, 29) in starts
    assert date(2032, 2, 29) in starts


def test_a_leap_day_comes_back_every_leap_year():
    grid = Cadence("year", 1, Anchor(2028, 2, 29))
    assert [grid.grid(n) for n in (1, 4, -4)] == [
        date(2029, 2, 28),
        date(2032, 2, 29),
        date(2024, 2, 29),
    ]


@given(cadence=cadences, day=days)
def test_the_period_holds_its_day(cadence, day):
    assert cadence.holding(day).contains(day)


@given(cadence=cadences, n=st.integers(-300, 300))
def test_periods_tile_the_timeline(cadence, n):
    assert cadence.period(n).end == cadence.period(n + 1).start
    assert cadence.index(cadence.grid(n)) == n
    assert cadence.index(cadence.grid(n + 1) - timedelta(days=1)) == n


@pytest.mark.parametrize(("unit", "count"), [("fortnight", 1), ("month", 0)])
def test_a_cadence_has_a_known_length(unit, count):
    with pytest.raises(ValueError, match="fortnight|0 months"):
        Cadence(unit, count, Anchor(2027, 1, 1))


# === ANCHOR === #


@pytest.mark.parametrize(
    ("mode", "start", "unit", "count", "options", "expected"),
    [
        ("start", (2027, 3, 31), "month", 1, {}, (2027, 3, 31)),
        ("fixed_day", (2027, 10, 7), "month", 1, {"day": 20}, (2027, 1, 20)),
        ("fixed_day", (2027, 5, 12), "month", 3, {"day": 1}, (2027, 1, 1)),
        ("fixed_day", (2027, 5, 12), "year", 1, {"day": 1}, (2027, 1, 1)),
        ("fixed_day", (2027, 5, 12), "year", 1, {"day": 6, "month": 4}, (2027, 4, 6)),
        ("fixed_day", (2027, 5, 12), "month", 5, {"day": 1}, (2027, 1, 1)),
        ("end_of_month", (2027, 2, 28), "month", 1, {}, (2027, 2, 31)),
        ("end_of_month", (2027, 2, 28), "month", 3, {"month": 1}, (2027, 1, 31)),
        ("weekday", (2027, 6, 9), "week", 1, {"weekday": 0}, (2027, 6, 7)),
        ("weekday", (2027, 6, 7), "week", 1, {"weekday": 0}, (2027, 6, 7)),
        ("weekday", (2027, 6, 7), "week", 1, {"weekday": 6}, (2027, 6, 6)),
    ],
)
def test_where_the_anchor_comes_from(mode, start, unit, count, options, expected):
    anchor = resolve_anchor(mode, date(*start), unit, count, **options)
    assert anchor == Anchor(*expected)


@pytest.mark.parametrize(
    ("mode", "unit"),
    [
        ("fixed_day", "week"),
        ("end_of_month", "day"),
        ("weekday", "month"),
        ("x", "year"),
    ],
)
def test_an_anchor_that_the_unit_does_not_know(mode, unit):
    with pytest.raises(ValueError, match="start on|No such anchor"):
        resolve_anchor(mode, date(2027, 1, 1), unit, 1)


def test_fixed_day_splits_the_first_period():
    anchor = resolve_anchor("fixed_day", date(2027, 10, 7), "month", 1, day=20)
    first = next(parts(Cadence("month", 1, anchor), date(2027, 10, 7), None))
    assert first.anchored == Period(date(2027, 9, 20), date(2027, 10, 20))
    assert first.period.days == 13
    assert first.anchored.days == 30


def test_end_of_month_starts_on_each_last_day():
    anchor = resolve_anchor("end_of_month", date(2027, 2, 28), "month", 1)
    grid = Cadence("month", 1, anchor)
    assert [grid.grid(n) for n in range(3)] == [
        date(2027, 2, 28),
        date(2027, 3, 31),
        date(2027, 4, 30),
    ]


# === PARTS === #


def test_start_and_end_in_one_period_are_one_part():
    cadence = monthly(2027, 1, 1)
    (part,) = parts(cadence, date(2027, 3, 5), date(2027, 3, 6))
    assert part.period.days == 1
    assert part.anchored == Period(date(2027, 3, 1), date(2027, 4, 1))


@given(cadence=cadences, start=days, length=st.integers(1, 900))
def test_parts_add_up_to_the_service(cadence, start, length):
    end = start + timedelta(days=length)
    found = list(parts(cadence, start, end))
    assert sum(part.period.days for part in found) == length
    assert all(
        part.anchored.overlap(part.period) == part.period
        and part.anchored == cadence.holding(part.period.start)
        for part in found
    )


# === DUE === #


def test_advance_is_billed_on_the_first_day_arrears_after_the_last():
    (part,) = parts(monthly(2027, 1, 10), date(2027, 1, 10), date(2027, 2, 10))
    assert billing_date(part, "advance") == date(2027, 1, 10)
    assert billing_date(part, "arrears") == date(2027, 2, 10)
    assert billing_date(part, "arrears", settling_days=3) == date(2027, 2, 13)


def test_arrears_of_a_replaced_line_wait_for_the_end_of_the_period():
    (part,) = parts(monthly(2027, 1, 1), date(2027, 1, 1), date(2027, 1, 12))
    assert billing_date(part, "arrears") == date(2027, 1, 12)
    assert billing_date(part, "arrears", continued=True) == date(2027, 2, 1)


def test_four_missed_weeks_are_four_parts():
    cadence = Cadence("week", 1, Anchor(2027, 6, 7))
    start, today = date(2027, 6, 7), date(2027, 6, 30)
    due = due_parts(cadence, start, None, "advance", [], today)
    assert [part.period.start.day for part in due] == [7, 14, 21, 28]
    covered = [part.period for part in due]
    assert due_parts(cadence, start, None, "advance", covered, today) == []
    assert next_billing_date(cadence, start, None, "advance", covered) == date(
        2027, 7, 5
    )


def test_what_is_left_of_a_part_is_due():
    covered = [Period(date(2027, 1, 1), date(2027, 1, 20))]
    (part,) = due_parts(
        monthly(2027, 1, 1),
        date(2027, 1, 1),
        None,
        "advance",
        covered,
        date(2027, 1, 31),
    )
    assert part.period == Period(date(2027, 1, 20), date(2027, 2, 1))
    assert part.anchored == Period(date(2027, 1, 1), date(2027, 2, 1))


def test_lead_days_draft_earlier():
    def due(today, lead):
        start = date(2027, 5, 10)
        return due_parts(
            monthly(2027, 5, 10), start, None, "advance", [], today, lead_days=lead
        )

    assert not due(date(2027, 5, 3), 0)
    assert not due(date(2027, 5, 2), 7)
    assert len(due(date(2027, 5, 3), 7)) == 1


def test_after_the_last_part_nothing_is_billed():
    cadence, start, end = monthly(2027, 1, 1), date(2027, 1, 1), date(2027, 3, 1)
    covered = [Period(start, end)]
    assert next_billing_date(cadence, start, end, "arrears", covered) is None
    assert not due_parts(cadence, start, end, "arrears", covered, date(2030, 1, 1))


def test_a_line_that_ends_before_it_starts_bills_nothing():
    day = date(2027, 1, 1)
    assert next_billing_date(monthly(2027, 1, 1), day, day, "advance", []) is None


def test_a_long_history_is_skipped():
    covered = [Period(date(1, 1, 1), date(9000, 1, 1))]
    cadence = Cadence("day", 1, Anchor(1, 1, 1))
    assert next_billing_date(cadence, date(1, 1, 1), None, "advance", covered) == date(
        9000, 1, 1
    )


@given(
    cadence=cadences,
    start=days,
    length=st.none() | st.integers(1, 300),
    timing=timings,
    lead=st.integers(0, 9),
    continued=st.booleans(),
    steps=st.lists(st.integers(0, 40), min_size=1, max_size=12),
)
def test_a_late_run_bills_what_daily_runs_bill(
    cadence, start, length, timing, lead, continued, steps
):
    end = length and start + timedelta(days=length)
    terms = (cadence, start, end, timing)
    options = {"lead_days": lead, "continued": continued}
    today, covered, billed = start, [], []
    for step in steps:
        today += timedelta(days=step)
        due = due_parts(*terms, covered, today, **options)
        billed += due
        covered += [part.period for part in due]
        assert not due_parts(*terms, covered, today, **options)
    assert billed == due_parts(*terms, [], today, **options)
    following = next_billing_date(*terms, covered, continued=continued)
    assert following is None or following > today + timedelta(days=lead)


@given(
    cadence=cadences,
    start=days,
    holes=st.lists(st.tuples(st.integers(0, 200), st.integers(1, 60)), max_size=5),
)
def test_no_day_is_billed_twice_and_none_is_lost(cadence, start, holes):
    covered = [
        Period(start + timedelta(days=at), start + timedelta(days=at + length))
        for at, length in holes
    ]
    end = start + timedelta(days=300)
    due = due_parts(cadence, start, end, "arrears", covered, end + timedelta(400))
    billed = {
        part.period.start + timedelta(days=n)
        for part in due
        for n in range(part.period.days)
    }
    given_away = {day for day in billed if any(c.contains(day) for c in covered)}
    assert not given_away
    service = [start + timedelta(days=n) for n in range(300)]
    assert len(billed) == sum(
        not any(c.contains(day) for c in covered) for day in service
    )
