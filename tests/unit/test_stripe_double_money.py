"""The local Stripe: declines, the customer's confirmation, debits, what comes later."""

import json

import pytest
import stripe
from stripe_calls import EUR, OLD, ask, charge, create

DAY = 24 * 3600


def types_of(local):
    """Return the types of all events, oldest first."""
    return [event["type"] for event in local.find("event")][::-1]


def decline(api, saved, **values):
    """Return the error object of a charge that is declined."""
    with pytest.raises(stripe.CardError) as caught:
        charge(api, saved, **values)
    assert caught.value.http_status == 402
    return caught.value.json_body["error"]


# === DECLINES === #


@pytest.mark.parametrize(
    ("name", "code", "decline_code"),
    [
        ("pm_card_visa_chargeDeclined", "card_declined", "generic_decline"),
        (
            "pm_card_visa_chargeDeclinedInsufficientFunds",
            "card_declined",
            "insufficient_funds",
        ),
        ("pm_card_visa_chargeDeclinedLostCard", "card_declined", "lost_card"),
        ("pm_card_visa_chargeDeclinedStolenCard", "card_declined", "stolen_card"),
        ("pm_card_chargeDeclinedExpiredCard", "expired_card", "expired_card"),
        ("pm_card_chargeDeclinedIncorrectCvc", "incorrect_cvc", "incorrect_cvc"),
        (
            "pm_card_chargeDeclinedProcessingError",
            "processing_error",
            "processing_error",
        ),
        ("pm_card_chargeCustomerFail", "card_declined", "generic_decline"),
        ("pm_card_radarBlock", "card_declined", "fraudulent"),
        (
            "pm_card_authenticationRequired",
            "authentication_required",
            "authentication_required",
        ),
    ],
)
def test_declines(local, api, name, code, decline_code):
    error = decline(api, local.saved_method(name))
    assert error["type"] == "card_error"
    assert (error["code"], error["decline_code"]) == (code, decline_code)
    intent = error["payment_intent"]
    assert intent["status"] == "requires_payment_method"
    assert intent["payment_method"] is None
    assert intent["last_payment_error"]["decline_code"] == decline_code
    assert intent["last_payment_error"]["payment_method"] == error["payment_method"]
    assert error["charge"] == intent["latest_charge"]
    failed = api.charges.retrieve(error["charge"])
    assert (failed.status, failed.paid, failed.failure_code) == ("failed", False, code)
    assert types_of(local)[-2:] == ["charge.failed", "payment_intent.payment_failed"]
    assert not local.find("balance_transaction")


def test_bank_and_network_say_more(local, api):
    saved = local.saved_method()
    local.decline_with(
        saved["payment_method"],
        "do_not_honor",
        advice_code="do_not_try_again",
        network_decline_code="05",
        network_advice_code="03",
        times=2,
    )
    said = {
        "decline_code": "do_not_honor",
        "advice_code": "do_not_try_again",
        "network_decline_code": "05",
        "network_advice_code": "03",
    }
    error = decline(api, saved)
    assert said.items() <= error.items()
    assert said.items() <= error["payment_intent"]["last_payment_error"].items()
    outcome = api.charges.retrieve(error["charge"]).outcome.to_dict()
    assert (outcome["type"], outcome["reason"]) == ("issuer_declined", "do_not_honor")
    assert outcome["network_status"] == "declined_by_network"
    assert outcome["advice_code"] == "do_not_try_again"
    decline(api, saved)
    assert charge(api, saved).status == "succeeded"


def test_older_versions_do_not_know_the_advice(local, api):
    saved = local.saved_method()
    local.decline_with(
        saved["payment_method"], network_decline_code="05", network_advice_code="02"
    )
    error = decline(api, saved)
    path = f"payment_intents/{error['payment_intent']['id']}"
    seen = {
        version: ask(local, "GET", path, Stripe_Version=version)[2][
            "last_payment_error"
        ]
        for version in (OLD, "2024-12-18.acacia", "2026-10-28.endive")
    }
    assert seen[OLD]["decline_code"] == "generic_decline"
    assert not {"advice_code", "network_decline_code"} & seen[OLD].keys()
    assert seen["2024-12-18.acacia"]["network_decline_code"] == "05"
    assert "advice_code" not in seen["2024-12-18.acacia"]
    assert seen["2026-10-28.endive"]["advice_code"] == "try_again_later"


def test_stripe_itself_blocks(local, api):
    error = decline(api, local.saved_method("pm_card_radarBlock"))
    outcome = api.charges.retrieve(error["charge"]).outcome
    assert (outcome.type, outcome.reason) == ("blocked", "highest_risk_level")
    assert (outcome.network_status, outcome.risk_level) == (
        "not_sent_to_network",
        "highest",
    )


def test_after_a_decline_the_intent_is_cancelled(local, api):
    saved = local.saved_method("pm_card_visa_chargeDeclined")
    error = decline(api, saved)
    intent = api.payment_intents.cancel(
        error["payment_intent"]["id"], {"cancellation_reason": "abandoned"}
    )
    assert (intent.status, intent.cancellation_reason) == ("canceled", "abandoned")
    local.succeed_with(saved["payment_method"])
    assert charge(api, saved).status == "succeeded"


def test_methods_that_somebody_knows_already(local, api):
    name = "pm_card_visa_chargeDeclinedInsufficientFunds.2x.anna"
    saved = {"customer": "cus_anna", "payment_method": name}
    assert local.adopt(**saved, name="Anna")
    assert not local.adopt(**saved)
    assert api.customers.retrieve("cus_anna").name == "Anna"
    for _time in range(2):
        assert decline(api, saved)["decline_code"] == "insufficient_funds"
    assert charge(api, saved).status == "succeeded"
    lasting = {"customer": "cus_anna", "payment_method": "pm_card_chargeDeclined.x"}
    local.adopt(**lasting)
    assert decline(api, lasting)["decline_code"] == "generic_decline"
    debited = {"customer": "cus_anna", "payment_method": "pm_success_de.a"}
    local.adopt(**debited)
    types = {"allowed_payment_method_types": ["sepa_debit"]}
    assert charge(api, debited, **types).status == "processing"


# === THE CUSTOMER CONFIRMS === #


@pytest.mark.parametrize("success", [True, False])
def test_on_session_the_customer_is_asked(local, api, success):
    saved = local.saved_method("pm_card_authenticationRequired")
    intent = create(api, saved, confirm=True)
    assert intent.status == "requires_action"
    assert intent.next_action.type == "use_stripe_sdk"
    assert types_of(local)[-1] == "payment_intent.requires_action"
    local.authenticate(intent.id, success=success)
    intent = api.payment_intents.retrieve(intent.id)
    if success:
        assert (intent.status, intent.amount_received) == ("succeeded", 1200)
    else:
        assert intent.status == "requires_payment_method"
        code = intent.last_payment_error.code
        assert code == "payment_intent_authentication_failure"


def test_whoever_cannot_act_gets_a_decline(local, api):
    saved = local.saved_method("pm_card_authenticationRequired")
    with pytest.raises(stripe.CardError) as caught:
        create(api, saved, confirm=True, error_on_requires_action=True)
    assert caught.value.code == "authentication_required"


def test_address_to_come_back_to(local, api):
    saved = local.saved_method("pm_card_authenticationRequired")
    back = "https://example.com/back"
    intent = create(api, saved, confirm=True, return_url=back)
    assert intent.next_action.redirect_to_url.return_url == back


# === SEPA === #


def debit(api, saved):
    return charge(api, saved, allowed_payment_method_types=["sepa_debit"])


def test_debit_settles_after_five_days(local, api):
    saved = local.saved_method("pm_success_de")
    local.set_time("2026-03-01T12:00:00")
    intent = debit(api, saved)
    assert intent.status == "processing"
    pending = api.charges.retrieve(intent.latest_charge)
    details = pending.payment_method_details.sepa_debit
    assert (pending.status, pending.paid) == ("pending", False)
    assert details.mandate == saved["mandate"]
    for verb in ("confirm", "cancel"):
        with pytest.raises(stripe.InvalidRequestError):
            getattr(api.payment_intents, verb)(intent.id)
    local.advance(seconds=5 * DAY - 1)
    assert api.payment_intents.retrieve(intent.id).status == "processing"
    local.advance(seconds=1)
    assert api.payment_intents.retrieve(intent.id).status == "succeeded"
    assert api.charges.retrieve(intent.latest_charge).paid
    assert types_of(local)[-2:] == ["charge.succeeded", "payment_intent.succeeded"]


@pytest.mark.parametrize(
    ("name", "failure", "mandate_status"),
    [
        ("pm_insufficientFunds_de", "insufficient_funds", "active"),
        ("pm_debitNotAuthorized_de", "debit_not_authorized", "inactive"),
    ],
)
def test_debit_comes_back(local, api, name, failure, mandate_status):
    saved = local.saved_method(name)
    intent = debit(api, saved)
    local.settle(intent.id)
    intent = api.payment_intents.retrieve(intent.id, {"expand": ["latest_charge"]})
    assert intent.status == "requires_payment_method"
    failed = intent.latest_charge
    assert (failed.status, failed.failure_code) == ("failed", failure)
    assert types_of(local)[-2:] == ["charge.failed", "payment_intent.payment_failed"]
    assert api.mandates.retrieve(saved["mandate"]).status == mandate_status
    if mandate_status == "inactive":
        with pytest.raises(stripe.InvalidRequestError) as caught:
            debit(api, saved)
        assert caught.value.code == "payment_intent_mandate_invalid"


def test_debit_fails_as_the_test_says(local, api):
    saved = local.saved_method("pm_success_de")
    local.decline_with(saved["payment_method"], "account_closed")
    first, second = debit(api, saved), debit(api, saved)
    local.settle(first.id)
    local.settle(second.id, "insufficient_funds")
    found = [local.get(pi.latest_charge)["failure_code"] for pi in (first, second)]
    assert found == ["account_closed", "insufficient_funds"]


def test_debits_need_a_mandate_and_euros(local, api):
    customer = api.customers.create()
    wish = {"customer": customer.id, "payment_method": "pm_success_de"}
    wish |= {**EUR, "allowed_payment_method_types": ["sepa_debit"], "confirm": True}
    with pytest.raises(stripe.InvalidRequestError) as caught:
        api.payment_intents.create(wish)
    assert caught.value.param == "mandate_data"
    agreed = {"customer_acceptance": {"type": "offline"}}
    intent = api.payment_intents.create({**wish, "mandate_data": agreed})
    assert intent.status == "processing"
    with pytest.raises(stripe.InvalidRequestError) as caught:
        api.payment_intents.create({**wish, "mandate_data": agreed, "currency": "usd"})
    assert caught.value.param == "currency"


def test_cards_only_means_cards_only(local, api):
    with pytest.raises(stripe.InvalidRequestError, match="not allowed"):
        charge(api, local.saved_method("pm_success_de"))


# === REFUNDS === #


def test_refund_in_parts(local, api):
    intent = charge(api, local.saved_method())
    refund = api.refunds.create({"payment_intent": intent.id, "amount": 500})
    assert (refund.status, refund.charge) == ("succeeded", intent.latest_charge)
    paid = api.charges.retrieve(intent.latest_charge, {"expand": ["refunds"]})
    assert (paid.amount_refunded, paid.refunded) == (500, False)
    assert [item.id for item in paid.refunds.data] == [refund.id]
    with pytest.raises(stripe.InvalidRequestError, match="greater than unrefunded"):
        api.refunds.create({"charge": paid.id, "amount": 701})
    api.refunds.create({"charge": paid.id})
    assert api.charges.retrieve(paid.id).refunded
    with pytest.raises(stripe.InvalidRequestError) as caught:
        api.refunds.create({"charge": paid.id, "amount": 1})
    assert caught.value.code == "charge_already_refunded"
    found = api.refunds.list({"payment_intent": intent.id}).data
    assert sorted(item.amount for item in found) == [500, 700]


def test_event_of_a_refund(local, api):
    """The connector reads the list of refunds out of the event."""
    local.set_webhook("http://127.0.0.1:9/", "whsec_x", api_version=OLD)
    intent = charge(api, local.saved_method())
    refund = local.refund(intent.id, 500)
    [told] = local.signed_events(types=["charge.refunded"])
    event = json.loads(told["body"])
    assert event["api_version"] == OLD
    assert event["data"]["previous_attributes"] == {"amount_refunded": 0}
    assert event["data"]["object"]["refunds"]["data"][0]["id"] == refund["id"]


def test_refund_fails_later(local, api):
    intent = charge(api, local.saved_method())
    refund = api.refunds.create({"payment_intent": intent.id})
    local.fail_refund(refund.id)
    refund = api.refunds.retrieve(refund.id)
    assert (refund.status, refund.failure_reason) == (
        "failed",
        "expired_or_canceled_card",
    )
    paid = api.charges.retrieve(intent.latest_charge)
    assert (paid.amount_refunded, paid.refunded) == (0, False)
    assert "charge.refund.updated" in types_of(local)


def test_only_what_was_paid_is_refunded(local, api):
    error = decline(api, local.saved_method("pm_card_visa_chargeDeclined"))
    with pytest.raises(stripe.InvalidRequestError):
        api.refunds.create({"charge": error["charge"]})
    with pytest.raises(stripe.InvalidRequestError, match="should be provided"):
        api.refunds.create({"amount": 1})


# === DISPUTES === #


@pytest.mark.parametrize("status", ["won", "lost"])
def test_dispute(local, api, status):
    intent = charge(api, local.saved_method())
    dispute = local.open_dispute(intent.id, "product_not_received")
    found = api.disputes.list({"payment_intent": intent.id}).data[0]
    assert (found.id, found.status, found.amount) == (
        dispute["id"],
        "needs_response",
        1200,
    )
    assert api.charges.retrieve(intent.latest_charge).disputed
    with pytest.raises(stripe.InvalidRequestError) as caught:
        api.refunds.create({"payment_intent": intent.id})
    assert caught.value.code == "charge_disputed"
    evidence = {"evidence": {"uncategorized_text": "We did."}, "submit": True}
    assert api.disputes.update(found.id, evidence).status == "under_review"
    local.close_dispute(found.id, status)
    assert api.disputes.retrieve(found.id).status == status
    kinds = [kind for kind in types_of(local) if "dispute" in kind]
    assert kinds == [
        "charge.dispute.created",
        "charge.dispute.funds_withdrawn",
        "charge.dispute.updated",
        "charge.dispute.closed",
        *(["charge.dispute.funds_reinstated"] if status == "won" else []),
    ]
    moved = api.disputes.retrieve(found.id).balance_transactions
    assert sum(item.amount for item in moved) == (0 if status == "won" else -1200)


def test_dispute_after_a_debit_is_lost_at_once(local, api):
    intent = debit(api, local.saved_method("pm_disputed_de"))
    local.settle(intent.id)
    [dispute] = api.disputes.list({"charge": intent.latest_charge}).data
    assert (dispute.status, dispute.reason) == ("lost", "debit_not_authorized")


def test_card_that_is_disputed_at_once(local, api):
    charge(api, local.saved_method("pm_card_createDispute"))
    assert [item["reason"] for item in local.find("dispute")] == ["fraudulent"]


def test_early_fraud_warning(local, api):
    intent = charge(api, local.saved_method())
    warning = local.warn_of_fraud(intent.id)
    found = api.radar.early_fraud_warnings.retrieve(warning["id"])
    assert (found.charge, found.actionable) == (intent.latest_charge, True)


# === PAYOUTS === #


def test_payout_and_what_it_consists_of(local, api):
    first = charge(api, local.saved_method())  # fee 43
    second = charge(api, local.saved_method(), amount=10000)  # fee 175
    api.refunds.create({"payment_intent": first.id, "amount": 200})
    payout = local.pay_out()
    assert payout["amount"] == 1200 - 43 + 10000 - 175 - 200
    found = api.balance_transactions.list({"payout": payout["id"]}).data
    parts = {item.type: item.net for item in found if item.type != "charge"}
    assert parts == {"payout": -payout["amount"], "refund": -200}
    charges = {item.source: item.fee for item in found if item.type == "charge"}
    assert charges == {first.latest_charge: 43, second.latest_charge: 175}
    assert api.payouts.retrieve(payout["id"]).status == "paid"
    assert [item.id for item in api.payouts.list().data] == [payout["id"]]
    assert local.pay_out() is None
    assert types_of(local)[-2:] == ["payout.created", "payout.paid"]
