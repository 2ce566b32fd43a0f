"""Monthly recurring revenue and its movements."""

from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from billing_rules.allocation import round_money
from billing_rules.mrr import Movement, Version, monthly, movements, mrr_on
from hypothesis import given
from hypothesis import strategies as st

CENT = Decimal("0.01")
FIRST = date(2027, 1, 1)


def version(start, end, value):
    return Version(start, end, Fraction(value))


def kinds(versions, **options):
    return [
        (move.day, move.kind, move.amount)
        for move in movements(versions, CENT, **options)
    ]


@pytest.mark.parametrize(
    ("unit", "count", "price", "quantity", "discount", "expected"),
    [
        ("month", 5, "450", "1", "0", "90.00"),
        ("week", 1, "18", "1", "0", "78.00"),
        ("day", 1, "3", "1", "0", "91.25"),
        ("year", 1, "1980", "1", "10", "148.50"),
        ("year", 1, "1000", "3", "0", "250.00"),
        ("month", 1, "100", "2", "25", "150.00"),
    ],
)
def test_a_price_counts_per_month(unit, count, price, quantity, discount, expected):
    values = (Decimal(price), Decimal(quantity), Decimal(discount))
    assert round_money(monthly(unit, count, *values), CENT) == Decimal(expected)


def test_three_lines_are_rounded_once():
    third = monthly("year", 1, Decimal(1000))
    versions = [Version(FIRST, None, third)] * 3
    assert mrr_on(versions, FIRST, CENT) == Decimal("250.00")


def test_the_life_of_an_account():
    versions = [
        version(date(2027, 1, 10), date(2027, 2, 28), 100),
        version(date(2027, 3, 1), date(2027, 3, 31), 150),
        version(date(2027, 4, 1), date(2027, 5, 31), 120),
        version(date(2027, 8, 1), None, 80),
    ]
    assert kinds(versions) == [
        (date(2027, 1, 10), "new", 100),
        (date(2027, 3, 1), "expansion", 50),
        (date(2027, 4, 1), "contraction", -30),
        (date(2027, 6, 1), "churn", -120),
        (date(2027, 8, 1), "reactivation", 80),
    ]


def test_an_account_does_not_churn_with_one_of_two_lines():
    versions = [version(FIRST, date(2027, 1, 31), 40), version(FIRST, None, 60)]
    assert kinds(versions) == [
        (FIRST, "new", 100),
        (date(2027, 2, 1), "contraction", -40),
    ]


def test_a_day_has_one_net_movement():
    versions = [
        version(FIRST, date(2027, 1, 31), 40),
        version(date(2027, 2, 1), None, 25),
        version(date(2027, 2, 1), None, 15),
    ]
    assert kinds(versions) == [(FIRST, "new", 40)]


def test_who_paid_before_the_import_comes_back():
    versions = [version(FIRST, None, 40)]
    assert kinds(versions, paid_before=True) == [(FIRST, "reactivation", 40)]


def test_a_line_replaced_on_its_first_day_never_counted():
    versions = [
        version(FIRST, FIRST - timedelta(days=1), 40),
        version(FIRST, None, 60),
    ]
    assert kinds(versions) == [(FIRST, "new", 60)]


def test_what_lies_after_the_range_is_not_told():
    versions = [version(FIRST, date(2027, 1, 31), 40)]
    assert kinds(versions, until=date(2027, 1, 31)) == [(FIRST, "new", 40)]


@given(
    st.lists(
        st.tuples(
            st.integers(0, 400),
            st.none() | st.integers(-1, 300),
            st.fractions(0, 1000, max_denominator=12),
        ),
        max_size=8,
    ),
    st.integers(0, 800),
)
def test_movements_add_up_to_the_value(lives, at):
    versions = [
        Version(
            FIRST + timedelta(days=start),
            None if length is None else FIRST + timedelta(days=start + length),
            value,
        )
        for start, length, value in lives
    ]
    day = FIRST + timedelta(days=at)
    moves = list(movements(versions, CENT, until=day))
    assert sum(move.amount for move in moves) == mrr_on(versions, day, CENT)
    assert len({move.day for move in moves}) == len(moves)
    assert sum(move.kind == "new" for move in moves) <= 1
    assert all(isinstance(move, Movement) for move in moves)
