"""Rules of the deal's status, exhaustively."""

import itertools
from decimal import Decimal

import pytest
from billing_rules.status import ATTENTION, Document, deal_state, document_state

FULL = Decimal("110.00")


def document(
    state="posted", payment="not_paid", residual=FULL, charge=None, total=FULL
):
    return Document(state, payment, total, Decimal(residual), charge)


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (document(), "invoiced"),
        (document(residual="60.00", payment="partial"), "partial"),
        (document(residual="0", payment="paid"), "paid"),
        (document(residual="0", payment="in_payment"), "paid"),
        (document(residual="0", payment="blocked"), "paid"),
        (document(payment="blocked"), "invoiced"),
        (document(residual="0", payment="reversed"), "credited"),
        (document(charge="error"), "failed"),
        (document(charge="pending"), "invoiced"),
        (document(charge="done", residual="0", payment="paid"), "paid"),
        (document(charge="error", residual="0", payment="paid"), "paid"),
        (document(charge="error", residual="60"), "failed"),
        (document(state="draft", payment="paid", residual="0"), "draft"),
        (document(state="draft", charge="error"), "draft"),
        (document(state="cancel", residual="0"), None),
        (document(total=Decimal(0), residual="0", payment="paid"), "paid"),
    ],
)
def test_one_document(facts, expected):
    assert document_state(facts) == expected


@pytest.mark.parametrize(
    ("handoff", "expected"),
    [(None, "none"), ("pending", "waiting"), ("blocked", "blocked"), ("done", "none")],
)
def test_a_handoff_without_documents(handoff, expected):
    assert deal_state(handoff, []) == expected


SAMPLES = {
    "failed": document(charge="error"),
    "partial": document(residual="1"),
    "invoiced": document(),
    "draft": document(state="draft"),
    "paid": document(residual="0", payment="paid"),
    "credited": document(residual="0", payment="reversed"),
}


@pytest.mark.parametrize("pair", itertools.combinations(SAMPLES, 2))
def test_what_needs_attention_first_names_the_deal(pair):
    facts = [SAMPLES[state] for state in pair]
    expected = min(pair, key=ATTENTION.index)
    assert deal_state("done", facts) == expected
    assert deal_state("done", reversed(facts)) == expected


@pytest.mark.parametrize("state", SAMPLES)
def test_a_blocked_handoff_comes_before_all_but_a_failure(state):
    expected = "failed" if state == "failed" else "blocked"
    assert deal_state("blocked", [SAMPLES[state]]) == expected
