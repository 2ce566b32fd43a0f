"""Why two rehearsals of the same months differ."""

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest
from billing_rules.rehearsal import Expected, Situation, compare
from hypothesis import given
from hypothesis import strategies as st

FIRST, LAST = date(2027, 6, 1), date(2027, 8, 31)
ITEM = Expected("line", "agreement", "recurring", date(2027, 6, 5), Decimal(84))
KNOWN = Situation(known={"line"})


def causes(old, new, situation=KNOWN):
    return [
        (found.cause, found.amount)
        for found in compare(old, new, FIRST, LAST, situation)
    ]


def test_the_same_book_differs_in_nothing():
    assert causes([ITEM], [ITEM]) == []


@pytest.mark.parametrize(
    ("values", "cause"),
    [
        ({"price": Decimal(90)}, "price"),
        ({"quantity": Decimal(2)}, "quantity"),
        ({"discount": Decimal(5)}, "discount"),
        ({"factor": "19/31"}, "proration"),
        ({}, "proration"),
    ],
)
def test_another_amount(values, cause):
    changed = replace(ITEM, amount=Decimal(100), **values)
    assert causes([ITEM], [changed]) == [(cause, 16)]


@pytest.mark.parametrize(
    ("kind", "cause"),
    [
        ("usage", "usage"),
        ("late_usage", "usage"),
        ("milestone", "milestone"),
        ("credit", "proration"),
        ("charge", "proration"),
    ],
)
def test_a_kind_that_speaks_for_itself(kind, cause):
    item = replace(ITEM, kind=kind)
    assert causes([], [item]) == [(cause, 84)]
    assert causes([item], []) == [(cause, -84)]
    assert causes([item], [replace(item, amount=Decimal(90))]) == [(cause, 6)]


def test_a_line_that_the_earlier_one_did_not_know_is_new():
    assert causes([], [ITEM], Situation()) == [("new", 84)]
    assert causes([], [ITEM]) == [("schedule", 84)]
    assert causes([], [replace(ITEM, factor="1/2")]) == [("proration", 84)]


@pytest.mark.parametrize(
    ("situation", "cause"),
    [
        (Situation(known={"line"}), "schedule"),
        (Situation(ended={"line"}), "end"),
        (Situation(ended={"line"}, paused={"agreement"}), "pause"),
        (Situation(ended={"line"}, billed={ITEM.key}), "billed"),
        (Situation(billed={ITEM.key}, broken={"agreement"}), "broken"),
    ],
)
def test_what_is_not_expected_any_more(situation, cause):
    assert causes([ITEM], [], situation) == [(cause, -84)]


def test_days_outside_both_are_not_compared():
    outside = [
        replace(ITEM, billing_date=day) for day in (date(2027, 5, 31), date(2027, 9, 1))
    ]
    assert causes(outside, []) == []
    assert causes([], outside) == []


amounts = st.integers(-5, 5).map(Decimal)
books = st.lists(
    st.builds(
        Expected,
        chain=st.sampled_from(["a", "b"]),
        agreement=st.just("agreement"),
        kind=st.sampled_from(["recurring", "usage", "credit"]),
        billing_date=st.dates(date(2027, 5, 1), date(2027, 9, 30)),
        amount=amounts,
    ),
    max_size=12,
)


@given(books, books)
def test_differences_add_up_to_the_difference_of_the_totals(old, new):
    def total(book):
        return sum(item.amount for item in book if FIRST <= item.billing_date <= LAST)

    found = compare(old, new, FIRST, LAST, Situation())
    assert sum(item.amount for item in found) == total(new) - total(old)
    assert all(item.cause for item in found)
