"""What a change gives back, and where a credit goes."""

from datetime import date
from decimal import Decimal
from fractions import Fraction

import pytest
from billing_rules.amendment import (
    Settlement,
    credit,
    discount_end,
    has_visible_effect,
    last_day,
    resume_shift,
    settle,
)
from billing_rules.schedule import Anchor, Cadence
from hypothesis import given
from hypothesis import strategies as st

CENT = Decimal("0.01")
MONTHLY = Cadence("month", 1, Anchor(2027, 1, 1))
money = st.integers(-(10**7), 10**7).map(lambda cents: cents * CENT)
positive = st.integers(0, 10**7).map(lambda cents: cents * CENT)


def cents(*values):
    return tuple(Decimal(value) for value in values)


# === CREDIT === #


def test_the_rest_of_an_upgraded_period():
    debit = Decimal("84.00")
    assert credit(debit, Fraction(1), Fraction(16, 30), CENT) == Decimal("44.80")
    assert credit(debit, Fraction(1), Fraction(369, 720), CENT) == Decimal("43.05")


def test_twenty_of_thirty_one_days():
    assert credit(Decimal(186), Fraction(1), Fraction(20, 31), CENT) == Decimal(120)


def test_a_credit_keeps_what_was_edited_on_the_invoice():
    """The debit was lowered by hand from 62 to 50 before posting."""
    assert credit(Decimal(50), Fraction(1), Fraction(1, 2), CENT) == Decimal(25)


def test_a_prorated_debit_gives_back_its_own_share():
    debited = Fraction(19, 31)
    assert credit(Decimal(38), debited, Fraction(10, 31), CENT) == Decimal(20)


def test_thirds_give_back_the_whole_to_the_cent():
    third, debit = Fraction(1, 3), Decimal("1.00")
    given_back = [
        credit(debit, Fraction(1), third, CENT, Decimal(before), third * n)
        for n, before in enumerate(("0", "0.33", "0.66"))
    ]
    assert given_back == [Decimal("0.33"), Decimal("0.33"), Decimal("0.34")]


def test_nothing_is_given_back_twice():
    debit, whole = Decimal(100), Fraction(1)
    assert credit(debit, whole, Fraction(1, 2), CENT, debit, whole) == 0
    assert credit(debit, whole, Fraction(1, 2), CENT, Decimal(80)) == Decimal(20)


def test_a_debit_of_no_time():
    with pytest.raises(ValueError, match="no time"):
        credit(Decimal(1), Fraction(0), Fraction(0), CENT)


@given(debit=money, weights=st.lists(st.integers(0, 50), min_size=1, max_size=12))
def test_credits_never_exceed_the_debit_and_return_it_all(debit, weights):
    total = sum(weights) or 1
    given_back, share = Decimal(0), Fraction(0)
    for weight in weights:
        unused = Fraction(weight, total)
        part = credit(debit, Fraction(1), unused, CENT, given_back, share)
        given_back, share = given_back + part, share + unused
        assert abs(given_back) <= abs(debit)
        assert part * debit >= 0
    assert given_back == (debit if sum(weights) else 0)


# === CANCELLATION === #


@pytest.mark.parametrize("policy", ["none", "credit", "refund"])
def test_now_ends_on_the_day_of_the_request(policy):
    assert last_day(policy, date(2027, 3, 11), MONTHLY) == date(2027, 3, 11)


@pytest.mark.parametrize(
    ("request_day", "options", "expected"),
    [
        (date(2027, 3, 11), {}, date(2027, 3, 31)),
        (date(2027, 3, 31), {}, date(2027, 3, 31)),
        (date(2027, 4, 1), {}, date(2027, 4, 30)),
        (date(2027, 3, 11), {"end": date(2027, 3, 20)}, date(2027, 3, 20)),
        (date(2027, 3, 11), {"start": date(2027, 5, 7)}, date(2027, 5, 31)),
    ],
)
def test_the_end_of_the_period_that_holds_the_request(request_day, options, expected):
    found = last_day("end_of_period", request_day, MONTHLY, **options)
    assert found == expected


def test_a_line_without_periods_ends_on_the_day():
    assert last_day("end_of_period", date(2027, 3, 11)) == date(2027, 3, 11)


# === SETTLEMENT === #


@pytest.mark.parametrize(
    ("open_amount", "expected"),
    [
        ("104.60", ("104.60", "27.40", "0")),
        ("204.60", ("132.00", "0", "0")),
        ("0", ("0", "132.00", "0")),
    ],
)
def test_only_money_that_came_in_goes_back(open_amount, expected):
    found = settle(Decimal("132.00"), Decimal(open_amount), "refund")
    assert found == Settlement(*cents(*expected))


def test_with_credit_the_excess_stays_on_the_account():
    found = settle(Decimal("132.00"), Decimal("104.60"), "credit")
    assert found == Settlement(*cents("104.60", "0", "27.40"))


def test_an_invoice_closed_by_a_credit_note_brought_no_money():
    found = settle(Decimal(132), Decimal(0), "refund", refundable=Decimal(30))
    assert found == Settlement(*cents("0", "30", "102"))


@given(
    total=positive,
    open_amount=positive,
    policy=st.sampled_from(["credit", "refund"]),
    refundable=st.none() | positive,
)
def test_closed_refunded_and_left_over_are_the_credit(
    total, open_amount, policy, refundable
):
    found = settle(total, open_amount, policy, refundable)
    assert found.closes + found.refund + found.left_over == total
    assert found.closes <= open_amount
    assert min(found.closes, found.refund, found.left_over) >= 0
    assert refundable is None or found.refund <= refundable


# === OTHER CHANGES === #


@pytest.mark.parametrize(
    ("start", "periods", "expected"),
    [
        (date(2027, 3, 1), 3, date(2027, 6, 1)),
        (date(2027, 3, 15), 3, date(2027, 7, 1)),
        (date(2027, 3, 1), 0, date(2027, 3, 1)),
    ],
)
def test_a_discount_for_some_periods_covers_whole_ones(start, periods, expected):
    assert discount_end(MONTHLY, start, periods) == expected


def test_the_end_moves_by_the_paused_days():
    paused, resumed = date(2027, 3, 10), date(2027, 3, 25)
    moved = resume_shift(paused, resumed, date(2027, 12, 31))
    assert moved == date(2028, 1, 15)
    assert resume_shift(paused, resumed, None) is None


def test_a_change_that_nets_to_zero_is_not_visible():
    assert not has_visible_effect(*cents("-10.00", "10.00"))
    assert has_visible_effect(*cents("-10.00", "10.01"))
