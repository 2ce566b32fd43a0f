"""Movements of recurring revenue, and what is left of an opening."""

from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from billing_rules import mrr
from hypothesis import given
from hypothesis import strategies as st
from report_rules.movement import (
    CHURN,
    CONTRACTION,
    CURRENCY,
    EXPANSION,
    NEW,
    REACTIVATION,
    Bridge,
    Movement,
    convert,
    replay,
)

CENT = Decimal("0.01")
FIRST = date(2027, 1, 1)


def at_par(currency, day):
    return Fraction(1)


def days(*values, money="EUR"):
    """Return days of one currency, a day apart."""
    return [
        (FIRST + timedelta(days=number), {money: Decimal(value)})
        for number, value in enumerate(values)
    ]


# === WORKED EXAMPLES === #


def test_the_example_of_the_rules():
    bridge = Bridge(
        Decimal(2500),
        Decimal(2675),
        {
            NEW: Decimal(310),
            EXPANSION: Decimal(120),
            REACTIVATION: Decimal(60),
            CONTRACTION: Decimal(-75),
            CHURN: Decimal(-240),
        },
    )
    assert bridge.currency == 0
    assert round(float(bridge.net_retention), 3) == 0.922
    assert round(float(bridge.gross_retention), 3) == 0.874


def test_a_rate_is_no_movement():
    rates = {FIRST: Fraction("1.10"), FIRST + timedelta(days=1): Fraction("1.08")}
    found = replay(days(250, 250), lambda _money, day: rates[day], CENT)
    assert found == [
        Movement(FIRST, NEW, Decimal("275.00")),
        Movement(FIRST + timedelta(days=1), CURRENCY, Decimal("-5.00")),
    ]


def test_an_opening_of_nothing_retains_nobody():
    bridge = Bridge(Decimal(0), Decimal(10), {NEW: Decimal(10)})
    assert bridge.net_retention is None
    assert bridge.gross_retention is None


def test_all_left():
    bridge = Bridge(Decimal(80), Decimal(0), {CHURN: Decimal(-80)})
    assert bridge.net_retention == bridge.gross_retention == 0


@pytest.mark.parametrize(
    ("amount", "rate", "step", "expected"),
    [
        ("0.5", "0.01", "0.01", "0.01"),
        ("-0.5", "0.01", "0.01", "-0.01"),
        ("1", "1/3", "0.01", "0.33"),
        ("100.03", "1", "0.05", "100.05"),
        ("1250", "1/150", "1", "8"),
    ],
)
def test_money_is_rounded_half_away_from_zero(amount, rate, step, expected):
    found = convert(Decimal(amount), Fraction(rate), Decimal(step))
    assert found == Decimal(expected)


# === SEVERAL CURRENCIES === #


def test_a_second_currency_is_an_expansion():
    second = FIRST + timedelta(days=1)
    story = [
        (FIRST, {"EUR": Decimal(100)}),
        (second, {"EUR": Decimal(100), "USD": Decimal(40)}),
    ]
    assert replay(story, at_par, CENT) == [
        Movement(FIRST, NEW, Decimal(100)),
        Movement(second, EXPANSION, Decimal(40)),
    ]


def test_the_last_currency_that_ends_is_churn():
    story = [
        (FIRST, {"EUR": Decimal(100), "USD": Decimal(40)}),
        (FIRST + timedelta(days=1), {"USD": Decimal(40)}),
        (FIRST + timedelta(days=2), {}),
    ]
    kinds = [move.kind for move in replay(story, at_par, CENT)]
    assert kinds == [NEW, CONTRACTION, CHURN]


def test_a_switch_of_currency_at_par_is_no_movement():
    story = [
        (FIRST, {"EUR": Decimal(100)}),
        (FIRST + timedelta(days=1), {"USD": Decimal(100)}),
    ]
    assert [move.kind for move in replay(story, at_par, CENT)] == [NEW]


# === PROPERTIES === #

amounts = st.decimals(0, 5000, places=2, allow_nan=False)
stories = st.lists(
    st.dictionaries(st.sampled_from(["EUR", "USD", "CHF"]), amounts), max_size=9
)
rate_tables = st.lists(
    st.fractions("1/4", 4, max_denominator=97), min_size=10, max_size=10
)


@given(stories, rate_tables)
def test_movements_and_rates_lead_to_the_closing(story, table):
    def rate(money, day):
        return table[(day - FIRST).days] * {"EUR": 1, "USD": 2, "CHF": 3}[money]

    dated = [
        (FIRST + timedelta(days=number), values) for number, values in enumerate(story)
    ]
    found = replay(dated, rate, CENT)
    last, values = dated[-1] if dated else (FIRST, {})
    closing = sum(
        convert(value, rate(money, last), CENT) for money, value in values.items()
    )
    assert sum(move.amount for move in found) == closing
    movements = [move for move in found if move.kind != CURRENCY]
    assert len({move.day for move in movements}) == len(movements)
    assert sum(move.kind == NEW for move in movements) <= 1


@given(st.lists(amounts, max_size=9))
def test_in_one_currency_it_is_the_rule_of_agreements(values):
    """The pure rule of one currency, which agreements use, says the same."""
    last = len(values) - 1
    versions = [
        mrr.Version(
            FIRST + timedelta(days=number),
            FIRST + timedelta(days=number) if number < last else None,
            Fraction(value),
        )
        for number, value in enumerate(values)
    ]
    expected = [
        (move.day, move.kind, move.amount) for move in mrr.movements(versions, CENT)
    ]
    found = replay(days(*values), at_par, CENT)
    assert [(move.day, move.kind, move.amount) for move in found] == expected
