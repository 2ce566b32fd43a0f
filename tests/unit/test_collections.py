"""Collections: the worked examples of the rule, to the decimal, and its edges."""

from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_rules.collections import (
    MONTHS_OF,
    PARTS,
    Allocation,
    CountBack,
    Receivables,
    Slice,
    count_back,
    cut,
    get_days_late,
    get_days_to_terms,
    get_known_steps,
    get_parts,
)

EXAMPLE = Receivables(
    range=Slice(date(2027, 8, 1), date(2027, 10, 31)),
    opening=Decimal(84000),
    sales=Decimal(360000),
    closing=Decimal(96000),
    not_due=Decimal(66000),
)
amounts = st.decimals(-1000, 1000, places=2)
days = st.dates(date(2026, 1, 1), date(2028, 12, 31))


def shown(value, digits=1):
    return f"{float(value):.{digits}f}"


def test_worked_example_of_dso_and_cei():
    assert EXAMPLE.range.days == 92
    assert shown(EXAMPLE.dso) == "24.5"
    assert shown(EXAMPLE.best_dso) == "16.9"
    assert shown(EXAMPLE.add) == "7.7"  # not 24.5 − 16.9
    assert EXAMPLE.cei == Fraction(108000, 138000) * 100
    assert shown(EXAMPLE.cei, 2) == "78.26"


def test_worked_example_of_count_back():
    months = [(Decimal(70000), 31), (Decimal(52000), 30), (Decimal(90000), 31)]
    assert count_back(Decimal(96000), months) == CountBack(Fraction(46))


def test_worked_example_of_lag():
    due = date(2027, 3, 10)
    paid = [
        Allocation(Decimal(250), due, date(2027, 3, 2)),
        Allocation(Decimal(750), due, date(2027, 3, 26)),
    ]
    assert get_days_late(paid) == 12
    assert get_days_to_terms(paid) == 10


def test_without_sales_nothing_is_defined():
    for sales in (Decimal(0), Decimal(-100)):
        none = Receivables(EXAMPLE.range, Decimal(5), sales, Decimal(5), Decimal(0))
        assert (none.dso, none.best_dso, none.add, none.cei) == (None,) * 4


def test_cei_needs_something_to_collect():
    all_not_due = Receivables(
        Slice(date(2027, 8, 1), date(2027, 8, 31)),
        opening=Decimal(0),
        sales=Decimal(100),
        closing=Decimal(100),
        not_due=Decimal(100),
    )
    assert all_not_due.cei is None
    assert all_not_due.dso == 31


def test_a_broken_range_counts_months_by_days():
    assert Slice(date(2027, 8, 1), date(2027, 10, 31)).months == 3
    assert Slice(date(2027, 8, 2), date(2027, 10, 31)).months == Fraction(91 * 12, 365)
    assert Slice(date(2027, 8, 1), date(2027, 10, 30)).months == Fraction(91 * 12, 365)


def test_count_back_stops_at_the_first_invoice():
    months = [(Decimal(10), 15), (Decimal(20), 30)]
    assert count_back(Decimal(31), months) == CountBack(Fraction(45), is_more=True)
    assert count_back(Decimal(30), months) == CountBack(Fraction(45))
    assert count_back(Decimal(5), []) is None


def test_a_month_without_sales_adds_its_days():
    months = [(Decimal(0), 15), (Decimal(-10), 30), (Decimal(100), 31)]
    # The credit notes of the second month make what is left larger.
    assert count_back(Decimal(21), months) == CountBack(45 + Fraction(31, 100) * 31)


def test_nothing_owed_counts_no_day():
    assert count_back(Decimal(0), [(Decimal(0), 5)]) == CountBack(Fraction(0))
    assert count_back(Decimal(-7), [(Decimal(70), 5)]) == CountBack(Fraction(0))


def test_no_allocations():
    assert get_days_late([]) is None
    retained = Allocation(Decimal(10), None, date(2027, 3, 2))
    assert get_days_to_terms([retained]) is None


def test_delay_has_owners():
    one = Allocation(
        Decimal(100),
        due=date(2027, 2, 10),
        paid=date(2027, 2, 20),
        service=Fraction(date(2027, 1, 1).toordinal()),
        posted=date(2027, 1, 4),
        sent=date(2027, 1, 11),
        settled=date(2027, 2, 23),
    )
    assert list(get_parts(one).values()) == [3, 7, 30, 10, 3]


def test_what_is_not_recorded():
    first, second, third = (date(2027, 2, day) for day in (1, 5, 9))
    assert get_known_steps(first, third, None, None) == (first, first)
    assert get_known_steps(first, third, second, None) == (second, second)
    assert get_known_steps(first, second, first, third) == (first, third)
    # Typed in after it was paid: its own date stands.
    assert get_known_steps(first, second, third, third) == (first, first)


@given(days, days, days, days, days, days)
def test_parts_add_up(service, posted, sent, due, paid, settled):
    one = Allocation(
        Decimal(1), due, paid, Fraction(service.toordinal()), posted, sent, settled
    )
    parts = get_parts(one)
    assert tuple(parts) == PARTS
    assert sum(parts.values()) == (settled - service).days
    assert parts["customer"] == one.days


@pytest.mark.parametrize("unit", [None, *MONTHS_OF])
@given(first=days, length=st.integers(0, 900))
def test_slices_cover_the_range(unit, first, length):
    last = first + timedelta(days=length)
    slices = cut(first, last, unit)
    assert (slices[0].first, slices[-1].last) == (first, last)
    assert sum(one.days for one in slices) == length + 1
    for one, after in zip(slices, slices[1:], strict=False):
        assert after.first == one.last + timedelta(days=1)
        assert after.first.day == 1
        assert (after.first.month - 1) % MONTHS_OF[unit] == 0


@given(
    st.decimals("0.01", 5000, places=2),
    st.lists(st.tuples(amounts, st.integers(28, 31)), min_size=1, max_size=8),
)
def test_count_back_is_the_first_month_whose_sales_reach(closing, months):
    found = count_back(closing, months)
    total = counted = Fraction(0)
    for sales, length in months:
        if total + Fraction(sales) >= Fraction(closing):
            rest = (Fraction(closing) - total) / Fraction(sales)
            assert found == CountBack(counted + rest * length)
            return
        total, counted = total + Fraction(sales), counted + length
    assert found == CountBack(counted, is_more=True)
