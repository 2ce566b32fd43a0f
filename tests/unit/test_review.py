"""What a reviewer is shown in red."""

from decimal import Decimal

import pytest
from billing_rules.review import (
    Amounts,
    Term,
    first_given,
    judge_amounts,
    judge_term,
    source_of,
)


@pytest.mark.parametrize(
    ("draft", "quotation", "account", "verdict", "source"),
    [
        ("a", "a", "a", "ok", "quotation"),
        ("a", None, "a", "ok", "account"),
        ("a", None, None, "ok", "manual"),
        ("a", "a", "b", "differs", "quotation"),
        ("b", "a", "b", "differs", "account"),
        ("c", "a", "b", "differs", "manual"),
        ("", "a", None, "differs", None),
        ("", None, None, "missing", None),
    ],
)
def test_one_term(draft, quotation, account, verdict, source):
    term = Term("x", draft, quotation, account)
    assert judge_term(term) == verdict
    assert source_of(term) == source


def amounts(draft, **values):
    return Amounts(
        draft=Decimal(draft),
        **{
            name: None if value is None else Decimal(value)
            for name, value in values.items()
        },
    )


@pytest.mark.parametrize(
    ("facts", "amount", "discount"),
    [
        (amounts(100), "ok", "ok"),
        (amounts(100, agreed=100, usual=100), "ok", "ok"),
        (amounts(99, agreed=100), "differs", "ok"),
        (amounts("100.01", agreed=100), "differs", "ok"),
        (amounts(0), "zero", "ok"),
        (amounts(0, agreed=0), "zero", "ok"),
        (amounts(999, usual=100), "ok", "ok"),
        (amounts(1000, usual=100), "unusual", "ok"),
        (amounts(1000, usual=0), "ok", "ok"),
        (amounts(100, discount=10, agreed_discount=10), "ok", "ok"),
        (amounts(100, discount=5, agreed_discount=10), "ok", "missing"),
        (amounts(100, discount=15, agreed_discount=10), "ok", "differs"),
        (
            amounts(100, discount=20, agreed_discount=20, discount_limit=15),
            "ok",
            "limit",
        ),
        (amounts(100, discount=15, discount_limit=15), "ok", "ok"),
        (amounts(100, discount=90), "ok", "ok"),
    ],
)
def test_amount_and_discount(facts, amount, discount):
    assert judge_amounts(facts) == {"amount": amount, "discount": discount}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([("handoff", "h"), ("quotation", "q")], ("handoff", "h")),
        ([("handoff", None), ("quotation", "q")], ("quotation", "q")),
        ([("handoff", None)], ("", None)),
        ([], ("", None)),
    ],
)
def test_the_first_given_wins(options, expected):
    assert first_given(options) == expected
