"""The local Stripe: repetition, broken networks, restarts, its control."""

import contextlib
import http.client
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import stripe
from stripe_calls import EUR, ask, charge, client_of, create, wait_for

from lib.local_stripe import LocalStripe, double

ADVANCE = {"idempotency_key": "one"}


# === IDEMPOTENCY === #


def test_same_key_same_result(local, api):
    wish = {**EUR, "confirm": True, "payment_method": "pm_card_visa"}
    first = api.payment_intents.create(wish, ADVANCE)
    second = api.payment_intents.create(wish, ADVANCE)
    assert first.id == second.id
    assert second.last_response.headers["Idempotent-Replayed"] == "true"
    assert (
        second.last_response.headers["Original-Request"]
        == (first.last_response.headers["Request-Id"])
    )
    assert len(local.find("charge")) == 1
    assert [entry["replayed"] for entry in local.journal()] == [False, True]


def test_key_is_forgotten_after_a_day_of_the_settable_clock(local, api):
    local.set_time("2026-03-01T00:00:00")
    first = api.payment_intents.create(EUR, ADVANCE)
    local.advance(hours=23, minutes=59)
    assert api.payment_intents.create(EUR, ADVANCE).id == first.id
    local.advance(minutes=1)
    assert api.payment_intents.create(EUR, ADVANCE).id != first.id


def test_same_key_other_parameters(local, api):
    api.payment_intents.create(EUR, ADVANCE)
    with pytest.raises(stripe.IdempotencyError):
        api.payment_intents.create({**EUR, "amount": 1300}, ADVANCE)
    with pytest.raises(stripe.IdempotencyError):
        api.customers.create({}, ADVANCE)
    assert len(local.find("payment_intent")) == 1


def test_a_decline_is_replayed(local, api):
    saved = local.saved_method("pm_card_visa_chargeDeclined")
    intent = create(api, saved)
    for _time in range(2):
        with pytest.raises(stripe.CardError) as caught:
            api.payment_intents.confirm(intent.id, {"off_session": True}, ADVANCE)
    assert caught.value.headers["Idempotent-Replayed"] == "true"
    assert caught.value.json_body["error"]["decline_code"] == "generic_decline"
    assert len(local.find("charge")) == 1


def test_what_does_not_begin_is_not_kept(local, api):
    headers = {"Idempotency_Key": "one"}
    path = "payment_intents"
    local.fault("rate_limit", path)
    assert ask(local, "POST", path, "amount=1&currency=eur", **headers)[0] == 429
    for body, key, status in (
        ("amount=1&currency=eur&colour=red", "sk_test_x", 400),
        ("amount=1&currency=eur", "sk_live_x", 401),
    ):
        assert ask(local, "POST", path, body, key=key, **headers)[0] == status
    status, headers, _answer = ask(
        local, "POST", path, "amount=1&currency=eur", **headers
    )
    assert status == 200
    assert "Idempotent-Replayed" not in headers


def test_same_key_while_the_first_request_runs(local, api):
    local.fault("delay_before", "payment_intents", seconds=1.5)
    with ThreadPoolExecutor() as pool:
        first = pool.submit(api.payment_intents.create, EUR, ADVANCE)
        wait_for(lambda: local.journal())
        with pytest.raises(stripe.APIError) as caught:
            api.payment_intents.create(EUR, ADVANCE)
        assert caught.value.http_status == 409
        assert caught.value.json_body["error"]["code"] == "idempotency_key_in_use"
        assert api.payment_intents.list().data == []  # nobody waits for the delay
        first = first.result()
    assert api.payment_intents.create(EUR, ADVANCE).id == first.id


def test_many_at_once_with_one_key(local, api):
    saved = local.saved_method()
    intent = create(api, saved)

    def confirm(_number):
        with contextlib.suppress(stripe.APIError):  # 409
            return api.payment_intents.confirm(intent.id, {}, ADVANCE).id

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(confirm, range(16))) <= {intent.id, None}
    assert len(local.find("charge")) == 1


def test_key_of_any_length(local):
    body = "amount=1&currency=eur"
    for length, status in ((255, 200), (256, 400)):
        headers = {"Idempotency_Key": "k" * length}
        assert ask(local, "POST", "payment_intents", body, **headers)[0] == status


# === FAULTS === #


@pytest.mark.parametrize(
    ("kind", "executed"),
    [
        ("drop_before", False),
        ("drop_after", True),
        ("cut", True),
        ("malformed", True),
    ],
)
def test_reply_is_lost(local, api, kind, executed):
    local.fault(kind, "payment_intents")
    errors = (stripe.APIConnectionError, stripe.APIError)
    with pytest.raises(errors):
        api.payment_intents.create(EUR, ADVANCE)
    assert len(local.find("payment_intent")) == executed
    assert local.journal()[-1]["fault"] == kind
    again = api.payment_intents.create(EUR, ADVANCE)
    replayed = again.last_response.headers.get("Idempotent-Replayed")
    assert (replayed == "true") == executed
    assert len(local.find("payment_intent")) == 1


def test_the_connection_really_breaks(local):
    for kind in ("drop_before", "drop_after", "cut"):
        local.fault(kind, "customers")
        errors = (ConnectionError, http.client.HTTPException)
        with pytest.raises(errors):
            ask(local, "POST", "customers")


@pytest.mark.parametrize(
    ("kind", "stored", "executed", "second"),
    [
        ("error_before", True, 0, 500),
        ("error_before", False, 0, 200),
        ("error_after", True, 1, 500),
        ("error_after", False, 1, 200),
    ],
)
def test_internal_errors(local, kind, stored, executed, second):
    local.fault(kind, "payment_intents", stored=stored)
    body, headers = "amount=1&currency=eur", {"Idempotency_Key": "one"}
    status, _headers, answer = ask(local, "POST", "payment_intents", body, **headers)
    assert (status, answer["error"]["type"]) == (500, "api_error")
    assert len(local.find("payment_intent")) == executed
    status, headers, _answer = ask(local, "POST", "payment_intents", body, **headers)
    assert status == second
    assert (headers.get("Idempotent-Replayed") == "true") == stored


def test_rate_limit_and_other_statuses(local, api):
    local.fault("rate_limit", "payment_intents/*/confirm")
    intent = create(api, local.saved_method())
    with pytest.raises(stripe.RateLimitError):
        api.payment_intents.confirm(intent.id)
    assert api.payment_intents.retrieve(intent.id).status == "requires_confirmation"
    assert api.payment_intents.confirm(intent.id).status == "succeeded"
    local.fault("error_before", "charges", method="GET", status=503, stored=False)
    with pytest.raises(stripe.APIError) as caught:
        api.charges.list()
    assert caught.value.http_status == 503


@pytest.mark.parametrize("kind", ["delay_before", "delay_after"])
def test_delay_beyond_patience(local, kind):
    impatient = stripe.StripeClient(
        "sk_test_x",
        base_addresses={"api": local.url},
        max_network_retries=0,
        http_client=stripe.RequestsClient(timeout=0.3),
    ).v1
    local.fault(kind, "payment_intents", seconds=1.5)
    with pytest.raises(stripe.APIConnectionError):
        impatient.payment_intents.create(EUR, ADVANCE)
    start = time.monotonic()
    wait_for(lambda: local.find("payment_intent"))
    assert (time.monotonic() - start > 0.6) == (kind == "delay_before")


def test_faults_wait_in_line(local, api):
    local.fault("rate_limit", "customers", times=2)
    assert [fault["times"] for fault in local.faults()] == [2]
    for _time in range(2):
        with pytest.raises(stripe.RateLimitError):
            api.customers.create()
    assert api.customers.create().id
    assert not local.faults()


# === RESTART === #


def test_a_restart_forgets_nothing(tmp_path):
    state = tmp_path / "stripe.json"
    with LocalStripe(state_file=state) as first:
        first.set_time("2026-03-01T00:00:00")
        saved = first.saved_method("pm_success_de")
        types = {"allowed_payment_method_types": ["sepa_debit"]}
        intent = charge(client_of(first), saved, **types)
        card = first.saved_method("pm_card_visa_chargeDeclined")
        made = client_of(first).payment_intents.create(EUR, ADVANCE)
    with LocalStripe(state_file=state) as second:
        api = client_of(second)
        assert second.now() == 1772323200
        assert api.payment_intents.retrieve(intent.id).status == "processing"
        assert api.payment_intents.create(EUR, ADVANCE).id == made.id
        second.advance(days=5)
        assert api.payment_intents.retrieve(intent.id).status == "succeeded"
        with pytest.raises(stripe.CardError):
            charge(api, card)


# === CONTROL === #


def test_a_mistake_of_its_own_is_said(local, api, monkeypatch):
    saved = local.saved_method()
    charging = sys.modules[f"{double.__name__}.charging"]
    monkeypatch.setattr(charging, "next_outcome", None)
    with pytest.raises(stripe.APIError, match="local Stripe is broken"):
        charge(api, saved)


def test_control_is_for_tests_only(local):
    for headers, status in (
        ({"Content-Type": "text/plain"}, 403),  # what a form on a web page can send
        ({"Content-Type": "application/json"}, 200),
    ):
        connection = http.client.HTTPConnection(local.url.removeprefix("http://"))
        connection.request("POST", "/_control/now", "{}", headers)
        assert connection.getresponse().status == status
        connection.close()


@pytest.mark.parametrize("name", ["call", "nonsense", "service"])
def test_only_what_is_public_is_controlled(local, name):
    with pytest.raises(Exception, match="cannot"):
        getattr(local, name)()


def test_reset_goes_back_to_what_was_kept():
    with LocalStripe() as local:
        saved = local.saved_method()
        local.keep()
        charge(client_of(local), saved)
        local.fault("rate_limit")
        local.set_time("2026-03-01T00:00:00")
        local.reset()
        assert (local.find("charge"), local.faults()) == ([], [])
        assert local.now() == pytest.approx(time.time(), abs=2)
        assert charge(client_of(local), saved).status == "succeeded"
