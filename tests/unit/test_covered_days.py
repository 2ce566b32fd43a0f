"""Ranges of days: whether together they leave a gap."""

from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st
from report_rules.coverage import find_gap

DAY = date(2026, 3, 1)
days = st.integers(0, 40).map(lambda number: DAY + timedelta(number))
ranges = st.lists(st.tuples(days, days), max_size=6)


def march(first, end):
    return date(2026, 3, first), date(2026, 3, end)


def test_ranges_that_touch_leave_no_gap():
    assert find_gap([march(10, 20), march(1, 10), march(15, 31)], *march(1, 31)) is None


def test_the_first_day_without_a_range_is_named():
    assert find_gap([march(1, 10), march(12, 31)], *march(1, 31)) == date(2026, 3, 10)
    assert find_gap([], *march(1, 31)) == date(2026, 3, 1)
    assert find_gap([march(1, 30)], *march(1, 31)) == date(2026, 3, 30)


@given(ranges, days, days)
def test_equals_looking_at_each_day(some, first, end):
    some = [(min(pair), max(pair)) for pair in some]
    covered = {
        start + timedelta(number)
        for start, stop in some
        for number in range((stop - start).days)
    }
    wanted = (first + timedelta(number) for number in range((end - first).days))
    expected = next((day for day in wanted if day not in covered), None)
    assert find_gap(some, first, end) == expected
