"""The local Stripe answers the real SDK as Stripe does: keys, forms, life cycles."""

import json

import pytest
import stripe
from stripe_calls import EUR, OLD, ask, charge, client_of, create

# === KEYS, VERSIONS, PARAMETERS === #


@pytest.mark.parametrize("key", ["", "sk_live_x", "pk_test_x", "sk_test_", "whatever"])
def test_only_secret_test_keys_are_let_in(local, key):
    status, _headers, answer = ask(local, "GET", "customers", key=key)
    assert status == 401
    assert answer["error"]["type"] == "invalid_request_error"
    assert not key or key[8:] == "" or key not in answer["error"]["message"]


def test_restricted_keys_and_basic_authentication(local):
    assert ask(local, "GET", "customers", key="rk_test_x")[0] == 200
    password = {"Authorization": "Basic c2tfdGVzdF94Og=="}  # sk_test_x:
    assert ask(local, "GET", "customers", key="", **password)[0] == 200


def test_wrong_key_with_the_sdk(local):
    with pytest.raises(stripe.AuthenticationError):
        client_of(local, "sk_live_abc").customers.list()


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        ("amount=100&currency=eur&colour=red", "parameter_unknown", "colour"),
        ("currency=eur", "parameter_missing", "amount"),
        ("amount=&currency=eur", "parameter_invalid_empty", "amount"),
        ("amount=0&currency=eur", "parameter_invalid_integer", "amount"),
        ("amount=1.5&currency=eur", "parameter_invalid_integer", "amount"),
        ("amount=100&currency=euro", "parameter_invalid", "currency"),
        ("amount=100&currency=eur&confirm=maybe", "parameter_invalid", "confirm"),
        ("amount=100&currency=eur&metadata=x", "parameter_invalid", "metadata"),
        ("amount=100&currency=eur&customer=cus_x", "resource_missing", "customer"),
    ],
)
def test_bad_parameters(local, body, code, param):
    status, headers, answer = ask(local, "POST", "payment_intents", body)
    assert (status, answer["error"]["code"]) == (400, code)
    assert answer["error"]["param"] == param
    assert headers["Request-Id"].startswith("req_")


def test_method_types_have_another_name_in_the_newest_version(local):
    old, new = "payment_method_types[]=card", "allowed_payment_method_types[]=card"
    for types, version, status in (
        (old, OLD, 200),
        (new, OLD, 400),
        (old, "2026-10-28.endive", 400),
        (new, "2026-10-28.endive", 200),
        (old, "1999-01-01", 400),
    ):
        body = f"amount=100&currency=eur&{types}"
        headers = {"Stripe_Version": version}
        assert ask(local, "POST", "payment_intents", body, **headers)[0] == status


def test_unknown_address_and_unknown_object(local, api):
    assert ask(local, "GET", "no/such/thing")[0] == 404
    with pytest.raises(stripe.InvalidRequestError) as caught:
        api.payment_intents.retrieve("pi_x")
    assert (caught.value.http_status, caught.value.code) == (404, "resource_missing")


def test_request_of_the_connector(local):
    """What payment_stripe sends: Python's True, empty values, old version."""
    saved = local.saved_method()
    body = (
        "amount=1200&currency=eur&description=INV%2F1&capture_method=automatic"
        "&payment_method_types%5B%5D=card&expand%5B%5D=payment_method"
        "&shipping%5Baddress%5D%5Bcity%5D=&shipping%5Baddress%5D%5Bline1%5D=Street+1"
        "&shipping%5Bname%5D=Anna&confirm=True&off_session=True"
        f"&customer={saved['customer']}&payment_method={saved['payment_method']}"
    )
    headers = {"Stripe_Version": OLD, "Idempotency_Key": "one"}
    status, headers, answer = ask(local, "POST", "payment_intents", body, **headers)
    assert (status, answer["status"]) == (200, "succeeded")
    assert headers["Stripe-Version"] == OLD
    assert answer["payment_method"]["card"]["brand"] == "visa"
    assert answer["shipping"]["address"] == {"city": None, "line1": "Street 1"}
    assert answer["charges"]["data"][0]["payment_method_details"]["type"] == "card"
    assert "allowed_payment_method_types" not in answer
    entry = local.journal(path="payment_intents")[-1]
    assert entry["params"]["shipping"]["address"]["line1"] == "Street 1"
    assert (entry["idempotency_key"], entry["api_version"]) == ("one", OLD)


# === LISTS AND EXPANSION === #


def test_pages(api):
    ids = [api.customers.create({"name": str(n)}).id for n in range(5)][::-1]
    page = api.customers.list({"limit": 2})
    assert [item.id for item in page.data] == ids[:2]
    assert page.has_more
    page = api.customers.list({"limit": 2, "starting_after": ids[2]})
    assert [item.id for item in page.data] == ids[3:]
    assert not page.has_more
    page = api.customers.list({"limit": 2, "ending_before": ids[3]})
    assert [item.id for item in page.data] == ids[1:3]
    assert page.has_more
    everything = api.customers.list({"limit": 2}).auto_paging_iter()
    assert [item.id for item in everything] == ids


@pytest.mark.parametrize("limit", ["0", "101", "many"])
def test_page_of_a_wrong_size(local, limit):
    assert ask(local, "GET", f"charges?limit={limit}")[0] == 400


def test_list_of_one_customer_since_a_moment(local, api):
    local.set_time("2026-03-01T00:00:00")
    one, other = local.saved_method(), local.saved_method()
    early = create(api, one)
    local.advance(hours=1)
    late = create(api, one)
    create(api, other)
    found = api.payment_intents.list({"customer": one["customer"]})
    assert [item.id for item in found.data] == [late.id, early.id]
    since = {"customer": one["customer"], "created": {"gte": late.created}}
    assert [item.id for item in api.payment_intents.list(since).data] == [late.id]
    before = {"customer": one["customer"], "created": {"lt": late.created}}
    assert [item.id for item in api.payment_intents.list(before).data] == [early.id]


def test_expansion(local, api):
    saved = local.saved_method()
    intent = charge(api, saved, expand=["latest_charge.balance_transaction"])
    movement = intent.latest_charge.balance_transaction
    assert (movement.amount, movement.fee, movement.net) == (1200, 43, 1157)
    found = api.payment_intents.list({"expand": ["data.customer"]})
    assert found.data[0].customer.id == saved["customer"]
    with pytest.raises(stripe.InvalidRequestError, match="cannot be expanded"):
        api.payment_intents.retrieve(intent.id, {"expand": ["colour"]})


# === PAYMENT METHODS === #


def test_a_test_method_becomes_a_saved_one_of_its_kind(api):
    customer = api.customers.create({"email": "anna@example.com"})
    method = api.payment_methods.attach(
        "pm_card_visa_chargeDeclinedInsufficientFunds", {"customer": customer.id}
    )
    assert method.id.startswith("pm_")
    assert method.id != "pm_card_visa_chargeDeclinedInsufficientFunds"
    assert (method.card.last4, method.customer) == ("9995", customer.id)
    saved = {"customer": customer.id, "payment_method": method.id}
    with pytest.raises(stripe.CardError) as caught:
        charge(api, saved)
    assert caught.value.json_body["error"]["decline_code"] == "insufficient_funds"
    found = api.customers.payment_methods.list(customer.id, {"type": "card"})
    assert [item.id for item in found.data] == [method.id]


def test_equal_cards_share_a_fingerprint(local, api):
    cards = [
        api.payment_methods.retrieve(
            local.saved_method(number=number)["payment_method"]
        )
        for number in (None, None, "4012888888881881")
    ]
    prints = [card.card.fingerprint for card in cards]
    assert prints[0] == prints[1] != prints[2]


def test_card_numbers_are_checked_and_not_kept(local, api):
    card = {"number": "4000 0000 0000 9995", "exp_month": 7, "exp_year": 2031}
    method = api.payment_methods.create({"type": "card", "card": card})
    assert (method.card.exp_month, method.card.last4) == (7, "9995")
    assert "4000000000009995" not in json.dumps(local.find("payment_method"))
    with pytest.raises(stripe.CardError) as caught:
        api.payment_methods.create(
            {"type": "card", "card": {**card, "number": "4242424242424241"}}
        )
    assert caught.value.code == "incorrect_number"


def test_a_method_of_somebody_else_is_refused(local, api):
    one, other = local.saved_method(), local.saved_method()
    mixed = {**one, "payment_method": other["payment_method"]}
    with pytest.raises(stripe.InvalidRequestError, match="another Customer"):
        create(api, mixed)


def test_a_detached_method_is_spent(local, api):
    saved = local.saved_method()
    api.payment_methods.detach(saved["payment_method"])
    with pytest.raises(stripe.InvalidRequestError, match="may not be used again"):
        create(api, saved)
    with pytest.raises(stripe.InvalidRequestError, match="may not be used again"):
        api.payment_methods.attach(
            saved["payment_method"], {"customer": saved["customer"]}
        )


def test_network_renews_a_card(local, api):
    saved = local.saved_method("pm_card_chargeDeclinedExpiredCard")
    local.set_webhook("http://127.0.0.1:9/", "whsec_x")
    local.update_card(saved["payment_method"], exp_month=3, exp_year=2039)
    [told] = local.signed_events(types=["payment_method.automatically_updated"])
    data = json.loads(told["body"])["data"]
    assert data["object"]["card"]["exp_year"] == 2039
    assert data["previous_attributes"] == {"card": {"exp_month": 12, "exp_year": 2034}}
    assert charge(api, saved).status == "succeeded"


# === PAYMENT INTENTS === #


def test_create_confirm_succeed(local, api):
    saved = local.saved_method()
    local.set_time("2026-03-01T12:00:00")
    intent = create(api, saved, description="INV/1", metadata={"attempt": "7"})
    assert (intent.status, intent.amount_received) == ("requires_confirmation", 0)
    assert intent.client_secret.startswith(f"{intent.id}_secret_")
    assert intent.created == 1772366400
    intent = api.payment_intents.confirm(intent.id, {"off_session": True})
    assert (intent.status, intent.amount_received) == ("succeeded", 1200)
    paid = api.charges.retrieve(intent.latest_charge)
    assert (paid.status, paid.paid, paid.description) == ("succeeded", True, "INV/1")
    assert paid.metadata.to_dict() == {"attempt": "7"}
    assert paid.outcome.type == "authorized"


def test_without_a_method_nothing_can_be_confirmed(local, api):
    intent = api.payment_intents.create(EUR)
    assert intent.status == "requires_payment_method"
    with pytest.raises(stripe.InvalidRequestError) as caught:
        api.payment_intents.confirm(intent.id)
    assert caught.value.code == "payment_intent_unexpected_state"
    intent = api.payment_intents.confirm(intent.id, {"payment_method": "pm_card_visa"})
    assert intent.status == "succeeded"


@pytest.mark.parametrize("end", ["succeeded", "canceled"])
@pytest.mark.parametrize("verb", ["confirm", "cancel"])
def test_what_is_over_is_over(local, api, verb, end):
    saved = local.saved_method()
    intent = create(api, saved)
    if end == "succeeded":
        api.payment_intents.confirm(intent.id)
    else:
        intent = api.payment_intents.cancel(intent.id)
        assert intent.canceled_at
    with pytest.raises(stripe.InvalidRequestError) as caught:
        getattr(api.payment_intents, verb)(intent.id)
    error = caught.value.json_body["error"]
    assert caught.value.http_status == 400
    assert error["code"] == "payment_intent_unexpected_state"
    assert error["payment_intent"]["status"] == end
    assert len(local.find("charge")) == (end == "succeeded")


def test_update_until_it_is_over(local, api):
    intent = create(api, local.saved_method(), metadata={"a": "1", "b": "2"})
    changes = {"amount": 900, "metadata": {"b": "", "c": "3"}}
    intent = api.payment_intents.update(intent.id, changes)
    assert (intent.amount, intent.metadata.to_dict()) == (900, {"a": "1", "c": "3"})
    api.payment_intents.confirm(intent.id)
    with pytest.raises(stripe.InvalidRequestError) as caught:
        api.payment_intents.update(intent.id, {"amount": 800})
    assert caught.value.code == "payment_intent_unexpected_state"


def test_off_session_belongs_to_the_confirmation(local, api):
    with pytest.raises(stripe.InvalidRequestError, match="unless `confirm`"):
        create(api, local.saved_method(), off_session=True)


def test_methods_that_may_redirect_need_an_address(local, api):
    saved = local.saved_method()
    wish = {"amount": 100, "currency": "eur", **saved, "confirm": True}
    del wish["mandate"]
    with pytest.raises(stripe.InvalidRequestError, match="return_url"):
        api.payment_intents.create(wish)
    wish["automatic_payment_methods"] = {"enabled": True, "allow_redirects": "never"}
    assert api.payment_intents.create(wish).status == "succeeded"


def test_nothing_is_made_of_a_wish_that_cannot_be(local, api):
    one, other = local.saved_method(), local.saved_method("pm_success_de")
    for wish in (
        {**one, "payment_method": other["payment_method"]},  # somebody else's
        {"customer": one["customer"], "payment_method": "pm_x"},
        other,  # a debit, where only cards are allowed
        {"customer": one["customer"]},  # nothing to charge
    ):
        wish = {key: value for key, value in wish.items() if key != "mandate"}
        with pytest.raises(stripe.InvalidRequestError):
            api.payment_intents.create({**EUR, **wish, "confirm": True})
    assert not local.find("payment_intent")
    assert "payment_intent.created" not in {e["type"] for e in local.find("event")}


def test_types_can_be_named_later(local, api):
    saved = local.saved_method("pm_success_de")
    intent = api.payment_intents.create({**EUR, "customer": saved["customer"]})
    changes = {"allowed_payment_method_types": ["sepa_debit"]}
    changes["payment_method"] = saved["payment_method"]
    intent = api.payment_intents.confirm(intent.id, changes)
    assert (intent.status, intent.payment_method_types) == (
        "processing",
        ["sepa_debit"],
    )


def test_capture_later(local, api):
    intent = charge(api, local.saved_method(), capture_method="manual")
    assert (intent.status, intent.amount_capturable) == ("requires_capture", 1200)
    with pytest.raises(stripe.InvalidRequestError):
        api.payment_intents.capture(intent.id, {"amount_to_capture": 1201})
    intent = api.payment_intents.capture(intent.id, {"amount_to_capture": 1000})
    assert (intent.status, intent.amount_received) == ("succeeded", 1000)


def test_the_method_is_kept_for_later(local, api):
    customer = api.customers.create()
    wish = {**EUR, "customer": customer.id, "setup_future_usage": "off_session"}
    intent = api.payment_intents.create(wish)
    local.pay(intent.id, "pm_card_visa")
    intent = api.payment_intents.retrieve(intent.id, {"expand": ["payment_method"]})
    assert intent.status == "succeeded"
    assert intent.payment_method.customer == customer.id


# === SETUP INTENTS === #


def test_setup_saves_a_card(local, api):
    customer = api.customers.create()
    wish = {"customer": customer.id, "payment_method": "pm_card_visa", "confirm": True}
    setup = api.setup_intents.create(wish)
    assert setup.status == "succeeded"
    method = api.payment_methods.retrieve(setup.payment_method)
    assert method.customer == customer.id
    assert not local.find("charge")


def test_setup_asks_the_customer(local, api):
    customer = api.customers.create()
    setup = api.setup_intents.create({"customer": customer.id})
    local.pay(setup.id, "pm_card_authenticationRequired")
    assert api.setup_intents.retrieve(setup.id).status == "requires_action"
    local.authenticate(setup.id)
    assert api.setup_intents.retrieve(setup.id).status == "succeeded"


def test_setup_declined_and_cancelled(local, api):
    setup = api.setup_intents.create()
    with pytest.raises(stripe.CardError) as caught:
        api.setup_intents.confirm(
            setup.id, {"payment_method": "pm_card_visa_chargeDeclinedLostCard"}
        )
    error = caught.value.json_body["error"]
    assert error["decline_code"] == "lost_card"
    assert error["setup_intent"]["status"] == "requires_payment_method"
    assert api.setup_intents.cancel(setup.id).status == "canceled"
    with pytest.raises(stripe.InvalidRequestError):
        api.setup_intents.cancel(setup.id)
