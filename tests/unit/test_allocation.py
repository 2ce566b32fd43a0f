"""Splitting an amount loses no cent and rounds once."""

from decimal import Decimal
from fractions import Fraction

import pytest
from billing_rules.allocation import round_money, split
from hypothesis import given
from hypothesis import strategies as st

CENT, YEN, FILS = Decimal("0.01"), Decimal("1"), Decimal("0.001")


@pytest.mark.parametrize(
    ("amount", "step", "expected"),
    [
        ("4.385", CENT, "4.39"),
        ("-4.385", CENT, "-4.39"),
        ("7.5", YEN, "8"),
        ("2.0005", FILS, "2.001"),
        ("0.004", CENT, "0.00"),
        ("-0.005", CENT, "-0.01"),
    ],
)
def test_half_away_from_zero(amount, step, expected):
    assert round_money(Decimal(amount), step) == Decimal(expected)


def test_a_third_is_rounded_once():
    assert round_money(Fraction(100, 3), CENT) == Decimal("33.33")


def test_a_step_is_positive():
    with pytest.raises(ValueError, match="no step"):
        round_money(Decimal(1), Decimal(0))


@pytest.mark.parametrize(
    ("amount", "weights", "expected"),
    [
        ("100", ["1"] * 7, ["14.29"] * 6 + ["14.26"]),
        ("72000", ["25", "45", "30"], ["18000", "32400", "21600"]),
        ("-10", ["1", "2"], ["-3.33", "-6.67"]),
        ("10", ["0", "0"], ["5", "5"]),
        ("10", ["0", "1"], ["0", "10"]),
        ("10", ["1"], ["10"]),
        ("10", [], []),
    ],
)
def test_the_last_one_takes_the_rest(amount, weights, expected):
    parts = split(Decimal(amount), [Decimal(weight) for weight in weights], CENT)
    assert parts == [Decimal(part) for part in expected]


@given(
    cents=st.integers(-(10**9), 10**9),
    weights=st.lists(st.integers(0, 10**6), min_size=1, max_size=12),
)
def test_parts_add_up_to_the_whole(cents, weights):
    amount = Decimal(cents) * CENT
    parts = split(amount, [Decimal(weight) for weight in weights], CENT)
    assert sum(parts, Decimal(0)) == amount
    assert len(parts) == len(weights)
    assert all(part == round_money(part, CENT) for part in parts)
