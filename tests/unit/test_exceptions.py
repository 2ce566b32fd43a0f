"""When the exceptions per 100 invoices count as raised."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_rules.exceptions import is_raised, rate

counts = st.tuples(st.integers(0, 50), st.integers(1, 500))


def test_rate_is_per_hundred_invoices():
    assert rate(3, 40) == Fraction(15, 2)
    assert rate(0, 40) == 0


def test_rate_without_invoices_is_undefined():
    assert rate(3, 0) is None


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ((0, 100), (3, 100), True),  # three more than none
        ((0, 100), (2, 100), False),  # chance
        ((10, 100), (13, 100), True),  # 30 % more, three more
        ((10, 100), (12, 100), False),  # a fifth more
        ((40, 100), (50, 100), False),  # a quarter exactly is not more than it
        ((40, 100), (51, 100), True),
        ((10, 100), (26, 200), True),  # 13 a hundred, six more than 20
        ((5, 0), (9, 10), False),  # nothing to compare with
        ((0, 10), (9, 0), False),
    ],
)
def test_raised(before, after, expected):
    assert is_raised(before, after) is expected


@given(counts)
def test_the_same_rate_is_not_raised(both):
    assert not is_raised(both, both)


@given(counts, counts)
def test_what_rose_did_not_fall(before, after):
    assert not (is_raised(before, after) and is_raised(after, before))
