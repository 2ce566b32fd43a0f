"""The share of an amount that falls in part of its period."""

from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from fractions import Fraction

import pytest
from billing_rules.allocation import round_money
from billing_rules.period import Period
from billing_rules.proration import amount, factor, midnight, price_multiplier
from billing_rules.schedule import Anchor, Cadence, Part, parts, resolve_anchor
from hypothesis import given
from hypothesis import strategies as st

CENT = Decimal("0.01")
days = st.dates(date(2000, 1, 1), date(2060, 12, 31))
cadences = st.builds(
    Cadence,
    st.sampled_from(["day", "week", "month", "year"]),
    st.integers(1, 7),
    st.builds(Anchor, st.integers(2000, 2060), st.integers(1, 12), st.integers(1, 31)),
)
bases = st.sampled_from(["day", "second", "actual_30"])
zones = st.sampled_from(["UTC", "Pacific/Auckland", "America/New_York", "Asia/Beirut"])


def utc(*args):
    return datetime(*args, tzinfo=timezone.utc)


def monthly(day, count=1):
    return Cadence("month", count, Anchor(2027, 1, day))


def part_of(cadence, start, end):
    return Part(Period(start, end), cadence.holding(start))


def price_of(price, share, step=CENT):
    return round_money(amount(Decimal(price), Decimal(1), Decimal(0), share), step)


# === DAY === #


def test_nineteen_of_thirty_one_days():
    anchor = resolve_anchor("fixed_day", date(2027, 3, 22), "month", 1, day=10)
    cadence = Cadence("month", 1, anchor)
    part = next(parts(cadence, date(2027, 3, 22), None))
    assert factor(part, cadence) == Fraction(19, 31)
    assert price_of("62.00", factor(part, cadence)) == Decimal("38.00")


def test_first_part_of_a_calendar_quarter():
    anchor = resolve_anchor("fixed_day", date(2027, 5, 12), "month", 3, day=1)
    cadence = Cadence("month", 3, anchor)
    part = next(parts(cadence, date(2027, 5, 12), None))
    assert factor(part, cadence) == Fraction(50, 91)


def test_the_rest_of_a_period_after_a_change():
    cadence = monthly(5)
    part = part_of(cadence, date(2027, 11, 19), date(2027, 12, 5))
    assert factor(part, cadence) == Fraction(16, 30)
    assert price_of("84.00", factor(part, cadence)) == Decimal("44.80")
    assert price_of("126.00", factor(part, cadence)) == Decimal("67.20")


# === 30 DAYS === #


def test_thirty_day_basis_counts_a_month_as_thirty_days():
    cadence = monthly(5)
    part = part_of(cadence, date(2027, 12, 5), date(2027, 12, 15))
    assert price_of("84.00", factor(part, cadence, "day")) == Decimal("27.10")
    assert price_of("84.00", factor(part, cadence, "actual_30")) == Decimal("28.00")


def test_thirty_of_thirty_one_days_are_at_most_a_period():
    cadence = monthly(1)
    part = part_of(cadence, date(2027, 3, 1), date(2027, 3, 31))
    assert factor(part, cadence, "actual_30") == 1


def test_a_whole_february_is_one_and_a_day_less_is_not():
    cadence = monthly(1)
    whole = part_of(cadence, date(2027, 2, 1), date(2027, 3, 1))
    part = part_of(cadence, date(2027, 2, 1), date(2027, 2, 28))
    assert factor(whole, cadence, "actual_30") == 1
    assert factor(part, cadence, "actual_30") == Fraction(27, 30)


def test_a_week_has_seven_days_on_the_thirty_day_basis():
    cadence = Cadence("week", 2, Anchor(2027, 6, 7))
    part = part_of(cadence, date(2027, 6, 7), date(2027, 6, 10))
    assert factor(part, cadence, "actual_30") == Fraction(3, 14)


# === SECONDS === #


def test_a_change_takes_effect_at_its_instant():
    cadence = monthly(5)
    part = part_of(cadence, date(2027, 11, 19), date(2027, 12, 5))
    change = utc(2027, 11, 19, 15)
    share = factor(part, cadence, "second", start_at=change)
    assert share == Fraction(369, 720)
    naive = change.replace(tzinfo=None)
    assert factor(part, cadence, "second", start_at=naive) == share
    assert price_of("84.00", share) == Decimal("43.05")
    assert price_of("126.00", share) == Decimal("64.58")


def test_the_old_part_ends_at_the_instant():
    cadence = monthly(5)
    part = part_of(cadence, date(2027, 11, 5), date(2027, 11, 20))
    share = factor(part, cadence, "second", end_at=utc(2027, 11, 19, 15))
    assert share == 1 - Fraction(369, 720)


def test_a_day_without_an_hour_counts_its_hours():
    cadence = monthly(1)
    part = part_of(cadence, date(2027, 3, 14), date(2027, 3, 15))
    assert factor(part, cadence, "second", tz="America/New_York") == Fraction(
        23, 31 * 24 - 1
    )
    assert factor(part, cadence, "day") == Fraction(1, 31)


def test_where_midnight_does_not_exist_the_day_starts_later():
    assert midnight(date(2021, 3, 28), "Asia/Beirut").hour == 22
    assert midnight(date(2021, 3, 29), "Asia/Beirut").hour == 21


def test_what_lies_before_the_grid_is_measured_from_the_start():
    cadence = monthly(1)
    start = date(2027, 2, 20)
    part = part_of(cadence, start, date(2027, 3, 1))
    from_start = factor(part, cadence, "second", service_start=start)
    assert from_start == Fraction(9, 28)  # 20 February to 20 March
    assert factor(part, cadence, "day", service_start=start) == Fraction(9, 28)
    march = part_of(cadence, date(2027, 3, 20), date(2027, 4, 1))
    assert factor(march, cadence, "second", service_start=date(2027, 3, 20)) == (
        Fraction(12, 31)
    )
    january = part_of(cadence, date(2027, 1, 20), date(2027, 2, 1))
    later = date(2027, 1, 20)
    assert factor(january, cadence, "second", service_start=later) == Fraction(12, 31)
    april = part_of(cadence, date(2027, 4, 1), date(2027, 5, 1))
    assert factor(april, cadence, "second", service_start=start) == 1


def test_a_change_before_the_grid_keeps_the_same_measure():
    cadence = monthly(25)
    start = date(2027, 3, 1)  # in 25 February to 25 March, 28 days
    old = part_of(cadence, start, date(2027, 3, 10))
    new = part_of(cadence, date(2027, 3, 10), date(2027, 3, 25))
    shares = [
        factor(part, cadence, "second", service_start=start) for part in (old, new)
    ]
    assert shares == [Fraction(9, 31), Fraction(15, 31)]


def test_the_start_itself_may_be_an_instant():
    cadence = monthly(25)
    start = utc(2027, 3, 1, 12)
    part = part_of(cadence, date(2027, 3, 1), date(2027, 3, 25))
    share = factor(part, cadence, "second", start_at=start, service_start=start)
    assert share == Fraction(47, 62)  # 23.5 of 31 days


def test_a_basis_that_is_not_offered():
    cadence = monthly(1)
    part = part_of(cadence, date(2027, 3, 1), date(2027, 3, 5))
    with pytest.raises(ValueError, match="30/360"):
        factor(part, cadence, "30/360")


# === ALL === #


@given(cadence=cadences, day=days, basis=bases, tz=zones)
def test_a_whole_period_is_one(cadence, day, basis, tz):
    whole = cadence.holding(day)
    assert factor(Part(whole, whole), cadence, basis, tz=tz) == 1


@given(
    cadence=cadences,
    start=days,
    length=st.integers(2, 800),
    cuts=st.lists(st.integers(1, 800), max_size=4),
    basis=st.sampled_from(["day", "second"]),
    tz=zones,
)
def test_parts_add_up_to_the_whole(cadence, start, length, cuts, basis, tz):
    end = start + timedelta(days=length)

    def share_of(first, last, service_start=None):
        return sum(
            factor(part, cadence, basis, tz=tz, service_start=service_start)
            for part in parts(cadence, first, last)
        )

    stops = sorted({0, length, *(cut for cut in cuts if cut < length)})
    for service_start in (None, start):
        pieces = [
            share_of(
                start + timedelta(days=a), start + timedelta(days=b), service_start
            )
            for a, b in zip(stops, stops[1:], strict=False)
        ]
        assert sum(pieces) == share_of(start, end, service_start)


@given(
    cadence=cadences,
    start=days,
    basis=bases,
    tz=zones,
    length=st.integers(1, 800),
)
def test_a_share_is_between_nothing_and_all(cadence, start, basis, tz, length):
    end = start + timedelta(days=length)
    for part in parts(cadence, start, end):
        share = factor(part, cadence, basis, tz=tz, service_start=start)
        assert 0 < share <= 1


# === PRICE === #


def test_an_amount_is_exact_until_it_is_rounded():
    exact = amount(Decimal("10"), Decimal("3"), Decimal("12.5"), Fraction(1, 3))
    assert exact == Fraction(35, 4)


@pytest.mark.parametrize(
    ("billed", "stated", "expected"),
    [
        (("month", 3), ("month", 1), Fraction(3)),
        (("month", 1), ("year", 1), Fraction(1, 12)),
        (("year", 1), ("month", 1), Fraction(12)),
        (("week", 2), ("day", 1), Fraction(14)),
        (("month", 1), ("month", 3), Fraction(1, 3)),
    ],
)
def test_a_price_is_multiplied_up_to_the_period(billed, stated, expected):
    assert price_multiplier(*billed, *stated) == expected


def test_a_month_is_no_number_of_weeks():
    with pytest.raises(ValueError, match="not billed"):
        price_multiplier("week", 1, "month")
