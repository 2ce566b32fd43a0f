"""What a PaymentIntent proves; a decline is never said where money may have moved."""

import pytest
from dunning_rules.declines import Decline
from dunning_rules.outcome import CallError, read
from hypothesis import given
from hypothesis import strategies as st

CARD = {"type": "card", "card": {"brand": "visa", "fingerprint": "fp_1"}}


def intent(status, **values):
    return {
        "id": "pi_1",
        "object": "payment_intent",
        "status": status,
        "amount": 1250,
        "currency": "eur",
        "payment_method_types": ["card"],
        **values,
    }


def failure(decline_code="insufficient_funds", code="card_declined", **values):
    return {
        "type": "card_error",
        "code": code,
        "decline_code": decline_code,
        "message": "Your card has insufficient funds.",
        "charge": "ch_1",
        "payment_method": CARD,
        **values,
    }


def declined(**values):
    return intent("requires_payment_method", last_payment_error=failure(), **values)


@pytest.mark.parametrize(
    ("pi", "state"),
    [
        (intent("succeeded"), "succeeded"),
        (intent("processing"), "processing"),
        (intent("requires_capture"), "processing"),
        (intent("canceled"), "cancelled"),
        (intent("requires_confirmation"), "confirmable"),
        (intent("requires_payment_method"), "not_charged"),
        (intent("requires_source"), "not_charged"),
        (intent("requires_action"), "needs_customer"),
        (intent("requires_source_action"), "needs_customer"),
        (intent("a_new_status"), "unknown"),
        (intent(None), "unknown"),
        ({}, "unknown"),
        (None, "unknown"),
        (declined(), "declined"),
        (
            intent("requires_source", last_payment_error=failure()),
            "declined",
        ),
        (
            intent(
                "requires_payment_method",
                last_payment_error=failure(None, "authentication_required"),
            ),
            "needs_customer",
        ),
        (
            intent(
                "requires_payment_method",
                last_payment_error=failure("authentication_required"),
            ),
            "needs_customer",
        ),
    ],
)
def test_states(pi, state):
    assert read(pi).state == state


def test_success_says_charge_and_amount():
    pi = intent("succeeded", latest_charge="ch_9", amount_received=1250)
    found = read(pi)
    assert (found.charge, found.amount, found.currency) == ("ch_9", 1250, "eur")
    assert found.decline is None


def test_what_was_received_counts_not_what_was_asked_for():
    assert read(intent("succeeded", amount_received=1000)).amount == 1000


@pytest.mark.parametrize("kind", ["connection", "api", "rate_limit", "idempotency"])
@pytest.mark.parametrize(
    "pi", [None, intent("requires_confirmation"), declined(), intent("processing")]
)
def test_a_lost_answer_proves_nothing(kind, pi):
    assert read(pi, CallError(kind, 500)).state == "unknown"


def test_what_is_final_stays_so_whatever_came_after():
    lost = CallError("connection")
    assert read(intent("succeeded"), lost).state == "succeeded"
    assert read(intent("canceled"), lost).state == "cancelled"


def test_a_declined_answer_carries_its_own_proof():
    body = failure(payment_intent=declined(latest_charge="ch_2"))
    found = read(None, CallError("card", 402, body))
    assert (found.state, found.charge) == ("declined", "ch_2")
    assert found.decline.decline_code == "insufficient_funds"


def test_a_decline_without_its_object_is_read_again():
    assert read(None, CallError("card", 402, failure())).state == "unknown"


def test_an_answer_to_a_repeated_confirmation_shows_the_success():
    body = {
        "code": "payment_intent_unexpected_state",
        "payment_intent": intent("succeeded"),
    }
    assert read(None, CallError("invalid", 400, body)).state == "succeeded"


@pytest.mark.parametrize(
    "charge",
    [
        {"id": "ch", "status": "succeeded", "paid": True},
        {"id": "ch", "status": "pending", "paid": False},
        {"id": "ch", "paid": True},
    ],
)
@pytest.mark.parametrize(
    "status", ["requires_payment_method", "canceled", "requires_action"]
)
def test_a_charge_that_contradicts_the_status_leaves_it_unknown(charge, status):
    pi = intent(status, last_payment_error=failure(), latest_charge=charge)
    assert read(pi).state == "unknown"
    listed = intent(status, charges={"data": [charge]})
    assert read(listed).state == "unknown"


def test_everything_said_of_a_decline_is_kept():
    charge = {
        "id": "ch_3",
        "status": "failed",
        "paid": False,
        "failure_code": "card_declined",
        "payment_method_details": CARD,
        "outcome": {
            "type": "issuer_declined",
            "reason": "insufficient_funds",
            "network_advice_code": "24",
            "network_decline_code": "51",
            "advice_code": "try_again_later",
        },
    }
    found = read(declined(latest_charge=charge))
    assert found.decline == Decline(
        code="card_declined",
        decline_code="insufficient_funds",
        advice_code="try_again_later",
        network_advice_code="24",
        network_decline_code="51",
        outcome_reason="insufficient_funds",
        brand="visa",
        method_type="card",
    )
    assert (found.charge, found.fingerprint) == ("ch_3", "fp_1")
    assert found.outcome_type == "issuer_declined"
    assert found.message == "Your card has insufficient funds."


def test_a_late_failure_of_a_debit():
    charge = {
        "id": "py_1",
        "status": "failed",
        "failure_code": "insufficient_funds",
        "payment_method_details": {"type": "sepa_debit", "sepa_debit": {}},
    }
    pi = intent("requires_payment_method", latest_charge=charge)
    found = read({**pi, "payment_method_types": ["sepa_debit"]})
    assert found.state == "declined"
    assert (found.decline.code, found.decline.method_type) == (
        "insufficient_funds",
        "sepa_debit",
    )


@given(
    st.sampled_from(
        [
            "succeeded",
            "processing",
            "requires_capture",
            "canceled",
            "requires_confirmation",
            "requires_payment_method",
            "requires_action",
            None,
        ]
    ),
    st.none() | st.just(failure()),
    st.none()
    | st.just("ch_1")
    | st.fixed_dictionaries(
        {
            "paid": st.booleans(),
            "status": st.sampled_from(["succeeded", "pending", "failed"]),
        }
    ),
    st.none() | st.sampled_from(["card", "connection", "api", "invalid"]),
    st.booleans(),
)
def test_declined_only_where_no_money_can_move(status, failed, charge, kind, has_pi):
    pi = intent(status, last_payment_error=failed, latest_charge=charge)
    error = kind and CallError(kind, body=failed)
    found = read(pi if has_pi else None, error)
    if found.state in ("declined", "cancelled"):
        assert status in ("requires_payment_method", "canceled")
        assert has_pi
        assert not isinstance(charge, dict) or (
            not charge["paid"] and charge["status"] == "failed"
        )
        assert not kind or status == "canceled"
