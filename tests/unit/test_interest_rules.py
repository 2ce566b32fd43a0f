"""Interest to the cent and the day; nothing while it is disputed."""

from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from dunning_rules.fees import (
    Pause,
    Payment,
    Rate,
    get_interest,
    get_stretches,
    keep_or_waive,
)
from hypothesis import given
from hypothesis import strategies as st

DUE = date(2027, 3, 1)
CENT = Decimal("0.01")
DAY = timedelta(days=1)
NINE = (Rate(date(2020, 1, 1), Decimal(9)),)


def day(number):
    return DUE + number * DAY


def interest(until, total="2400", rates=NINE, basis=365, step=CENT, **facts):
    stretches = get_stretches(DUE, day(until), Decimal(total), rates, **facts)
    return get_interest(stretches, step, basis).amount


def test_the_printed_examples():
    assert interest(50) == Decimal("29.59")
    rates = (*NINE, Rate(day(21), Decimal(10)))  # 20 days at 9 %, then 30 at 10 %
    assert interest(50, rates=rates) == Decimal("31.56")


def test_n_days_late_are_n_days_of_interest():
    assert interest(0) == 0
    assert interest(1, total="3650") == Decimal("0.90")
    assert interest(10, total="3650") == Decimal("9.00")
    assert interest(10, total="3600", basis=360) == Decimal("9.00")


def test_the_day_of_the_payment_is_included():
    paid = (Payment(day(10), Decimal(3650)),)
    assert interest(50, total="3650", payments=paid) == Decimal("9.00")
    half = (Payment(day(10), Decimal(1825)),)
    assert interest(20, total="3650", payments=half) == Decimal("13.50")


def test_what_was_paid_in_time_bears_nothing():
    paid = (Payment(day(0), Decimal(1825)),)
    assert interest(10, total="3650", payments=paid) == Decimal("4.50")
    early = (Payment(day(-9), Decimal(3650)),)
    assert interest(10, total="3650", payments=early) == 0


def test_nothing_while_it_is_disputed_or_promised():
    paused = (Pause(day(3), day(6)),)
    assert interest(10, total="3650", pauses=paused) == Decimal("5.40")
    retained = (Pause(day(-30)),)
    assert interest(10, total="3650", pauses=retained) == 0
    both = (Pause(day(3), day(6)), Pause(day(5), day(8)))
    assert interest(10, total="3650", pauses=both) == Decimal("3.60")


def test_the_second_notice_charges_only_what_came_after_the_first():
    first, second = interest(10, total="3650"), interest(25, "3650", since=day(10))
    assert (first, second) == (Decimal("9.00"), Decimal("13.50"))
    assert interest(10, "3650", since=day(10)) == 0


def test_it_is_rounded_once_half_away_from_zero():
    rate = (Rate(date(2020, 1, 1), Decimal("0.5")),)
    # 365 × 0.5 % × 1 ÷ 365 = 0.005 a day
    assert interest(1, "365", rates=rate) == Decimal("0.01")
    assert interest(3, "365", rates=rate) == Decimal("0.02")
    yen = Decimal(1)
    assert interest(10, "18250", rates=rate, step=yen) == Decimal(3)


def test_days_without_a_rate_are_said():
    rates = (Rate(day(6), Decimal(9)),)
    found = get_interest(get_stretches(DUE, day(10), Decimal(3650), rates), CENT)
    assert found.amount == Decimal("4.50")
    assert found.days_without_rate == 5


@pytest.mark.parametrize(("basis", "step"), [(366, CENT), (365, Decimal(0))])
def test_what_cannot_be_is_refused(basis, step):
    with pytest.raises(ValueError, match="No interest over"):
        get_interest((), step, basis)


def test_interest_of_a_paid_principal_is_kept_or_waived():
    accrued = Decimal("9.00")
    assert keep_or_waive(accrued, Decimal(0)) == accrued
    assert keep_or_waive(accrued, Decimal(0), "waive") == 0
    assert keep_or_waive(accrued, Decimal("0.01"), "waive") == accrued


@given(
    st.integers(0, 120),
    st.decimals(1, 10**6, places=2),
    st.lists(st.tuples(st.integers(-40, 130), st.decimals(0, 20, places=2))),
    st.lists(
        st.tuples(st.integers(-20, 130), st.decimals("0.01", 10**5, places=2)),
        max_size=4,
    ),
    st.lists(
        st.tuples(st.integers(-20, 130), st.none() | st.integers(0, 40)), max_size=3
    ),
    st.none() | st.integers(-5, 60),
    st.sampled_from([365, 360]),
)
def test_it_is_the_sum_over_the_days(until, total, rates, paid, paused, since, basis):
    """Against a walk day by day."""
    rates = [Rate(day(start), percent) for start, percent in dict(rates).items()]
    payments = [Payment(day(on), amount) for on, amount in paid]
    pauses = [
        Pause(day(start), None if length is None else day(start + length))
        for start, length in paused
    ]
    last = None if since is None else day(since)
    stretches = get_stretches(
        DUE, day(until), total, rates, payments, pauses, since=last
    )
    exact, without = Fraction(0), 0
    for number in range(max(0, since or 0) + 1, until + 1):
        today = day(number)
        left = total - sum(one.amount for one in payments if one.on < today)
        stopped = any(
            one.start <= today and (one.end is None or today <= one.end)
            for one in pauses
        )
        if left <= 0 or stopped:
            continue
        valid = [one for one in rates if one.valid_from <= today]
        if not valid:
            without += 1
            continue
        percent = max(valid, key=lambda one: one.valid_from).percent
        exact += Fraction(left) * Fraction(percent) / 100 / basis
    found = get_interest(stretches, CENT, basis)
    assert found.days_without_rate == without
    assert abs(Fraction(found.amount) - exact) <= Fraction(1, 200)
    for one, following in zip(stretches, stretches[1:], strict=False):
        assert one.last < following.first
