"""What is likely to be invoiced and when its money comes, without Odoo."""

from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st
from report_rules.forecast import (
    ON_TIME,
    Arrival,
    Delays,
    Instalment,
    Range,
    get_arrival,
    get_usage_range,
    settle,
)

TODAY = date(2027, 6, 15)
SLOW = Delays(5, 2, 10, 30)


def test_habits_move_the_due_date():
    due = date(2027, 6, 20)
    assert get_arrival(due, SLOW, TODAY) == Arrival(
        low=date(2027, 7, 20), expected=date(2027, 6, 30), high=date(2027, 6, 22)
    )


def test_without_habits_money_comes_when_it_is_due():
    due = date(2027, 6, 20)
    assert get_arrival(due, ON_TIME, TODAY) == Arrival(due, due, due)


def test_past_its_usual_day_it_is_expected_as_late_as_late_ones():
    arrival = get_arrival(date(2027, 6, 1), SLOW, TODAY)
    assert arrival == Arrival(date(2027, 7, 1), date(2027, 7, 1), TODAY)


def test_later_than_ever_is_in_the_best_case_only():
    assert get_arrival(date(2027, 4, 1), SLOW, TODAY) == Arrival(None, None, TODAY)


def test_the_last_day_still_counts():
    due = TODAY - timedelta(days=30)
    assert get_arrival(due, SLOW, TODAY).expected == TODAY
    assert get_arrival(due - timedelta(days=1), SLOW, TODAY).expected is None


def test_a_promise_comes_before_habit():
    arrival = get_arrival(date(2027, 4, 1), SLOW, TODAY, promised=date(2027, 6, 18))
    assert arrival.expected == date(2027, 6, 18)
    assert arrival.low == date(2027, 6, 18)


def test_a_broken_promise_counts_no_more():
    arrival = get_arrival(date(2027, 4, 1), SLOW, TODAY, promised=date(2027, 6, 14))
    assert arrival.expected is None


def test_what_is_disputed_is_in_the_best_case_only():
    arrival = get_arrival(date(2027, 6, 20), SLOW, TODAY, is_stuck=True)
    assert arrival == Arrival(None, None, date(2027, 6, 22))


@given(
    st.integers(-200, 200),
    st.lists(st.integers(-60, 90), min_size=3, max_size=3),
    st.none() | st.integers(-30, 60),
    st.booleans(),
)
def test_cumulated_the_worst_case_is_never_above_the_best(
    offset, days, promise, is_stuck
):
    early, late = min(days), max(days)
    delays = Delays.of(3, early, Fraction(sum(days), 3), late)
    promised = None if promise is None else TODAY + timedelta(days=promise)
    due = TODAY + timedelta(days=offset)
    arrival = get_arrival(due, delays, TODAY, promised, is_stuck)
    low, expected = arrival.low or date.max, arrival.expected or date.max
    assert TODAY <= arrival.high <= expected <= low


def test_an_outlier_does_not_move_the_average_out_of_the_others():
    assert Delays.of(10, 0, Fraction(95, 2), 12) == Delays(10, 0, 12, 12)


def test_a_habit_needs_three_payments():
    assert not Delays(2, 0, 5, 9).is_habit()
    assert Delays(3, 0, 5, 9).is_habit()


def test_usage_is_at_least_what_is_certain():
    billed = [Decimal(90), Decimal(120), Decimal(60)]
    assert get_usage_range(Decimal(30), billed) == Range(
        Decimal(30), Decimal(90), Decimal(120)
    )
    assert get_usage_range(Decimal(200), billed) == Range.certain(Decimal(200))


def test_usage_without_history_is_what_is_planned():
    assert get_usage_range(Decimal(25), []) == Range.certain(Decimal(25))


def test_the_worst_case_keeps_a_credit():
    assert Range.likely(Decimal(-40)).low == Decimal(-40)
    assert Range.likely(Decimal(40)) == Range(Decimal(0), Decimal(40), Decimal(40))
    assert Range.possible(Decimal(40)).times(Decimal("1.1")) == Range(
        Decimal(0), Decimal(0), Decimal("44.0")
    )


def test_unmatched_money_pays_the_oldest_first():
    instalments = [
        Instalment("b", date(2027, 6, 10), Decimal(100)),
        Instalment("a", date(2027, 6, 1), Decimal(50)),
    ]
    assert settle(instalments, Decimal(80)) == [
        Instalment("b", date(2027, 6, 10), Decimal(70))
    ]


@given(
    st.lists(st.integers(1, 1000), max_size=8),
    st.integers(0, 5000),
)
def test_a_credit_takes_exactly_what_it_can(amounts, credit):
    instalments = [
        Instalment(number, TODAY + timedelta(days=number % 3), Decimal(amount))
        for number, amount in enumerate(amounts)
    ]
    left = sum(one.amount for one in settle(instalments, Decimal(credit)))
    assert left == max(sum(amounts) - credit, 0)
