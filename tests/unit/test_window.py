"""Quiet hours at the account, on days on which the clock is changed as on any other."""

from datetime import date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from dunning_rules.window import Window
from hypothesis import given, settings
from hypothesis import strategies as st

WORKDAYS = frozenset(range(5))
MINUTE = timedelta(minutes=1)


def utc(*parts):
    return datetime(*parts, tzinfo=timezone.utc)


def office(tz="UTC", **values):
    return Window(8, 18, WORKDAYS, tz=tz, **values)


@pytest.mark.parametrize(
    ("now", "is_open"),
    [
        (utc(2027, 3, 1, 7, 59, 59), False),
        (utc(2027, 3, 1, 8), True),
        (utc(2027, 3, 1, 17, 59, 59), True),
        (utc(2027, 3, 1, 18), False),
        (utc(2027, 3, 6, 12), False),
        (utc(2027, 3, 7, 12), False),
    ],
)
def test_hours_and_weekdays(now, is_open):
    assert office().is_open(now) == is_open


def test_half_hours():
    assert Window(8.5, 9.25).is_open(utc(2027, 3, 1, 9, 14))
    assert not Window(8.5, 9.25).is_open(utc(2027, 3, 1, 8, 29))
    assert not Window(8.5, 9.25).is_open(utc(2027, 3, 1, 9, 15))


def test_the_hours_are_those_of_the_account():
    auckland = office("Pacific/Auckland")
    assert auckland.is_open(utc(2027, 3, 1, 20)), "Tuesday, 9 in the morning"
    assert not auckland.is_open(utc(2027, 3, 1, 12))
    assert auckland.local_date(utc(2027, 3, 1, 12)) == date(2027, 3, 2)


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (utc(2027, 3, 1, 9, 30, 5), utc(2027, 3, 1, 9, 30, 5)),
        (utc(2027, 3, 1, 3), utc(2027, 3, 1, 8)),
        (utc(2027, 3, 1, 18), utc(2027, 3, 2, 8)),
        (utc(2027, 3, 5, 19), utc(2027, 3, 8, 8)),
        (utc(2027, 3, 6, 9), utc(2027, 3, 8, 8)),
    ],
)
def test_the_next_opening(now, expected):
    assert office().next_open(now) == expected


def test_a_holiday_is_closed():
    closed = office(holidays=frozenset([date(2027, 3, 8)]))
    assert closed.next_open(utc(2027, 3, 6, 9)) == utc(2027, 3, 9, 8)
    assert closed.first_open_day(date(2027, 3, 6)) == date(2027, 3, 9)
    assert closed.first_open_day(date(2027, 3, 9)) == date(2027, 3, 9)


def test_what_never_opens_is_no_endless_search():
    year = frozenset(date(2027, 1, 1) + timedelta(days=n) for n in range(500))
    closed = Window(holidays=year)
    assert closed.next_open(utc(2027, 1, 1, 12)) is None
    assert closed.first_open_day(date(2027, 1, 1)) is None


def test_an_instant_without_zone_is_utc_and_stays_without():
    naive = datetime(2027, 3, 1, 3)  # noqa: DTZ001 - as the ORM keeps it
    assert office().next_open(naive) == datetime(2027, 3, 1, 8)  # noqa: DTZ001


def test_open_all_the_time():
    always = Window()
    for now in (utc(2027, 3, 6), utc(2027, 3, 6, 23, 59, 59)):
        assert always.next_open(now) == now


@pytest.mark.parametrize(
    "values",
    [
        {"hour_from": 18, "hour_to": 8},
        {"hour_from": 8, "hour_to": 8},
        {"hour_from": -1},
        {"hour_to": 25},
        {"weekdays": frozenset()},
        {"weekdays": frozenset([7])},
        {"tz": "Mars/Olympus"},
        {"tz": "../etc/passwd"},
    ],
)
def test_what_is_no_window_is_refused(values):
    with pytest.raises(ValueError, match=r"no time|A week|no time zone"):
        Window(**values)


# === WHEN THE CLOCK IS CHANGED === #


def test_an_opening_that_the_clock_passes_over():
    berlin = Window(2.5, 5, tz="Europe/Berlin")  # 28 March: 2:00 becomes 3:00
    assert berlin.next_open(utc(2027, 3, 27, 23)) == utc(2027, 3, 28, 1)


def test_hours_that_do_not_exist_on_that_day():
    berlin = Window(2, 3, tz="Europe/Berlin")
    assert berlin.next_open(utc(2027, 3, 27, 23)) == utc(2027, 3, 29, 0)


def test_hours_that_come_twice():
    berlin = Window(2, 2.5, tz="Europe/Berlin")  # 31 October: 3:00 becomes 2:00
    assert berlin.next_open(utc(2027, 10, 30, 22)) == utc(2027, 10, 31, 0)
    assert berlin.next_open(utc(2027, 10, 31, 0, 30)) == utc(2027, 10, 31, 1)


def test_a_midnight_that_does_not_exist():
    santiago = Window(tz="America/Santiago")  # 5 September: 0:00 becomes 1:00
    assert santiago.start_of(date(2027, 9, 5)) == utc(2027, 9, 5, 4)
    assert santiago.local_date(utc(2027, 9, 5, 4)) == date(2027, 9, 5)
    assert santiago.local_date(utc(2027, 9, 5, 3, 59)) == date(2027, 9, 4)


def test_a_day_that_does_not_exist():
    apia = Window(9, 17, tz="Pacific/Apia")  # there was no 30 December 2011
    assert apia.next_open(utc(2011, 12, 30, 4)) == utc(2011, 12, 30, 19)
    assert apia.local_date(utc(2011, 12, 30, 19)) == date(2011, 12, 31)


ZONES = {
    "Europe/Berlin": [date(2027, 3, 28), date(2027, 10, 31)],
    "America/New_York": [date(2027, 3, 14), date(2027, 11, 7)],
    "Australia/Lord_Howe": [date(2027, 4, 4), date(2027, 10, 3)],
    "America/Santiago": [date(2027, 4, 3), date(2027, 9, 5)],
    "Africa/Casablanca": [date(2027, 2, 7), date(2027, 3, 14)],
    "Asia/Kathmandu": [date(2027, 6, 1)],
    "Pacific/Apia": [date(2011, 12, 30)],
}
days_of_zones = st.sampled_from(
    [(zone, day) for zone, days in ZONES.items() for day in days]
)


@settings(max_examples=150, deadline=None)
@given(
    days_of_zones,
    st.integers(0, 95),
    st.integers(1, 96),
    st.sets(st.integers(0, 6), min_size=3),
    st.integers(-2 * 1440, 2 * 1440),
)
def test_the_next_opening_is_the_first_open_minute(place, start, length, days, minute):
    """Against a walk over the minutes of the wall clock."""
    zone, day = place
    hour_to = min(24, (start + length) / 4)
    window = Window(start / 4, hour_to, frozenset(days), tz=zone)
    now = utc(day.year, day.month, day.day) + minute * MINUTE
    found = window.next_open(now)

    def is_open(moment):
        local = moment.astimezone(ZoneInfo(zone))
        hour = local.hour + local.minute / 60
        return local.weekday() in days and start / 4 <= hour < hour_to

    walked = now
    while not is_open(walked):
        walked += MINUTE
    assert found == walked
    assert window.is_open(found)


@given(days_of_zones, st.integers(-2 * 1440, 2 * 1440))
def test_each_instant_belongs_to_its_local_day(place, minute):
    zone, day = place
    window = Window(tz=zone)
    now = utc(day.year, day.month, day.day) + minute * MINUTE
    today = window.local_date(now)
    assert window.start_of(today) <= now < window.start_of(today + timedelta(days=1))
