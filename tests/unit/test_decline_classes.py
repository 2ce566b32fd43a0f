"""What a decline allows: the whole table, the networks' advice, a stricter manager."""

from dataclasses import replace
from datetime import timedelta

import pytest
from dunning_rules import declines
from dunning_rules.declines import CLASSES, CODES, Decline, Override, classify
from hypothesis import given
from hypothesis import strategies as st

# Written out once more from the payment rules, so that a slip in the table shows.
TABLE = {
    "wait_funds": [
        "insufficient_funds",
        "card_velocity_exceeded",
        "withdrawal_count_limit_exceeded",
    ],
    "try_later": [
        "processing_error",
        "issuer_not_available",
        "try_again_later",
        "reenter_transaction",
        "approve_with_id",
        "no_action_taken",
    ],
    "generic": [
        "generic_decline",
        "do_not_honor",
        "call_issuer",
        "security_violation",
        "service_not_allowed",
        "not_permitted",
        "restricted_card",
        "invalid_amount",
    ],
    "needs_customer": [
        "authentication_required",
        "authentication_not_handled",
        "mobile_device_authentication_required",
        "offline_pin_required",
        "online_or_offline_pin_required",
    ],
    "new_method": [
        "expired_card",
        "incorrect_number",
        "invalid_number",
        "invalid_account",
        "invalid_expiry_month",
        "invalid_expiry_year",
        "incorrect_cvc",
        "invalid_cvc",
        "incorrect_zip",
        "incorrect_address",
        "incorrect_pin",
        "card_not_supported",
        "currency_not_supported",
        "transaction_not_allowed",
        "new_account_information_available",
        "testmode_decline",
    ],
    "revoked": [
        "revocation_of_authorization",
        "revocation_of_all_authorizations",
        "stop_payment_order",
    ],
    "lost_stolen": ["lost_card", "stolen_card", "pickup_card", "pin_try_exceeded"],
    "fraud": ["fraudulent", "merchant_blacklist", "highest_risk_level"],
    "duplicate": ["duplicate_transaction"],
    "blocked": ["do_not_try_again", "previously_declined_do_not_retry"],
}
SOFT = {"wait_funds": 4, "try_later": 3, "generic": 2, "sepa_funds": 1}


@pytest.mark.parametrize(
    ("name", "code"), [(name, code) for name in TABLE for code in TABLE[name]]
)
def test_each_code_has_its_class(name, code):
    assert classify(Decline("card_declined", code)).name == name
    assert classify(Decline(code)).name == name, "the code, without a decline code"


def test_the_table_has_nothing_else():
    assert set(CODES) == {code for codes in TABLE.values() for code in codes}


@pytest.mark.parametrize("name", CLASSES)
def test_what_each_class_allows(name):
    found = CLASSES[name]
    assert found.max_tries == SOFT.get(name, 0)
    assert found.may_retry == (name in SOFT)
    assert found.is_hard == (name not in SOFT)
    assert found.blocks_token == (
        name in ("revoked", "lost_stolen", "fraud", "blocked", "sepa_dead")
    )
    assert found.stops_card == (found.blocks_token or name == "new_method")


@pytest.mark.parametrize(
    ("name", "mail", "person"),
    [
        ("wait_funds", "neutral", "after_cap"),
        ("try_later", "none", "after_cap"),
        ("generic", "declined", "after_cap"),
        ("needs_customer", "confirm", "after_two_mails"),
        ("new_method", "new_method", "after_two_mails"),
        ("revoked", "revoked", "at_once"),
        ("lost_stolen", "new_method", "if_no_reply"),
        ("fraud", "none", "at_once"),
        ("duplicate", "none", "if_not_found"),
        ("blocked", "new_method", "after_two_mails"),
        ("sepa_funds", "neutral", "after_cap"),
        ("sepa_dead", "new_method", "at_once"),
    ],
)
def test_what_customer_and_person_hear(name, mail, person):
    assert (CLASSES[name].mail, CLASSES[name].person) == (mail, person)


def test_a_stolen_card_reads_like_one_to_be_replaced():
    assert CLASSES["lost_stolen"].mail == CLASSES["new_method"].mail


# === THE NETWORKS === #


@pytest.mark.parametrize(
    "decline",
    [
        Decline("card_declined", "do_not_honor", advice_code="do_not_try_again"),
        Decline("card_declined", "insufficient_funds", network_advice_code="03"),
        Decline(
            "card_declined",
            "generic_decline",
            network_advice_code="21",
            brand="mastercard",
        ),
        Decline("card_declined", "", network_decline_code="R0", brand="visa"),
        Decline("card_declined", "odd", network_decline_code="14", brand="Visa"),
        Decline(outcome_reason="previously_declined_do_not_retry"),
        Decline("authentication_required", advice_code="do_not_try_again"),
    ],
)
def test_a_dead_method_is_never_tried_again(decline):
    found = classify(decline)
    assert found == CLASSES["blocked"]
    assert not found.may_retry


@pytest.mark.parametrize("code", sorted(declines.VISA_NEVER))
def test_each_final_code_of_visa(code):
    assert (
        classify(Decline(decline_code="do_not_honor", network_decline_code=code)).name
        == "blocked"
    )
    other = Decline(
        decline_code="do_not_honor", network_decline_code=code, brand="amex"
    )
    assert classify(other).name == "generic"


def test_a_dead_method_keeps_the_more_telling_class():
    dead = {"advice_code": "do_not_try_again"}
    assert classify(Decline(decline_code="fraudulent", **dead)) == CLASSES["fraud"]
    assert classify(Decline(decline_code="lost_card", **dead)).name == "lost_stolen"
    duplicate = classify(Decline(decline_code="duplicate_transaction", **dead))
    assert duplicate == CLASSES["duplicate"]
    expired = classify(Decline(decline_code="expired_card", **dead))
    assert (expired.name, expired.blocks_token) == ("new_method", True)


@pytest.mark.parametrize(
    ("code", "hours"),
    [
        ("24", 1),
        ("25", 24),
        ("26", 48),
        ("27", 96),
        ("28", 144),
        ("29", 192),
        ("30", 240),
        ("31", 0),
        (None, 0),
    ],
)
def test_mastercard_says_how_long_to_wait(code, hours):
    decline = Decline(
        decline_code="insufficient_funds",
        network_advice_code=code,
        brand="mastercard",
    )
    assert classify(decline).not_before == timedelta(hours=hours)
    assert classify(replace(decline, brand="visa")).not_before == timedelta(0)


def test_the_risk_of_the_provider_is_suspected_fraud():
    decline = Decline(
        "card_declined", "generic_decline", outcome_reason="highest_risk_level"
    )
    assert classify(decline).name == "fraud"
    assert classify(Decline(outcome_reason="generic_decline")).name == "generic"


# === UNKNOWN === #


@pytest.mark.parametrize(
    "decline",
    [
        Decline(),
        Decline("", ""),
        Decline("card_declined"),
        Decline("card_declined", "brand_new_reason"),
        Decline("brand_new_reason"),
        Decline("processing_error", "brand_new_reason"),
    ],
)
def test_the_unknown_is_generic_with_two_tries(decline):
    found = classify(decline)
    assert (found.name, found.max_tries, found.is_unknown) == ("generic", 2, True)


def test_an_unknown_reason_does_not_hide_a_hard_code():
    assert classify(Decline("expired_card", "brand_new_reason")).name == "new_method"


def test_a_known_generic_one_is_not_unknown():
    assert not classify(Decline(decline_code="generic_decline")).is_unknown


# === DIRECT DEBIT === #


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("insufficient_funds", "sepa_funds"),
        ("debit_not_authorized", "sepa_dead"),
        ("account_closed", "sepa_dead"),
        ("bank_account_restricted", "sepa_dead"),
        ("no_account", "sepa_dead"),
        ("incorrect_account_holder_name", "sepa_dead"),
        ("incorrect_account_holder_address", "sepa_dead"),
        ("invalid_mandate", "sepa_dead"),
        ("fraudulent", "fraud"),
    ],
)
@pytest.mark.parametrize("method", ["sepa_debit", "sepa_direct_debit"])
def test_direct_debit(code, name, method):
    assert classify(Decline(code, method_type=method)).name == name


def test_any_other_debit_is_presented_once_more_at_most():
    for code in ("generic_could_not_process", "processing_error", None):
        found = classify(Decline(code, method_type="sepa_debit"))
        assert (found.max_tries, found.first_delay_bank_days) == (1, 5)
        assert found.is_unknown


def test_the_codes_of_a_bank_account_mean_nothing_on_a_card():
    assert classify(Decline("no_account")).is_unknown


# === STRICTER === #


def test_a_manager_may_be_stricter():
    funds = CLASSES["wait_funds"]
    fewer = declines.restrict(funds, Override(max_tries=1))
    assert (fewer.max_tries, fewer.is_restricted) == (1, True)
    person = declines.restrict(funds, Override(to_person=True))
    assert (person.max_tries, person.person) == (0, "at_once")
    assert declines.restrict(funds, Override()) == funds


def test_a_manager_may_not_be_looser():
    for name, most in SOFT.items():
        assert declines.is_looser(CLASSES[name], Override(max_tries=most + 1))
        assert not declines.is_looser(CLASSES[name], Override(max_tries=most))
    with pytest.raises(ValueError, match="lost_stolen allows 0 tries, not 1"):
        declines.restrict(CLASSES["lost_stolen"], Override(max_tries=1))


texts = st.one_of(
    st.none(),
    st.text(max_size=4),
    st.sampled_from(sorted(CODES)),
    st.sampled_from(["03", "21", "24", "30", "14", "R1"]),
)


@given(
    texts,
    texts,
    texts,
    texts,
    texts,
    texts,
    st.sampled_from(["visa", "mastercard", "", None]),
    st.sampled_from(["card", "sepa_debit"]),
)
def test_whatever_is_said_has_a_class(
    code, decline_code, advice, network, response, reason, brand, method
):
    decline = Decline(
        code, decline_code, advice, network, response, reason, brand, method
    )
    found = classify(decline)
    assert found.may_retry != found.is_hard
    if advice == "do_not_try_again":
        assert not found.may_retry
    if found.blocks_token:
        assert not found.may_retry
