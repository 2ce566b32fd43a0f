"""The local Stripe: events, signed deliveries, endpoints."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import stripe
from stripe_calls import OLD, charge, client_of, wait_for


@pytest.fixture
def inbox():
    """A receiver: ``inbox.got`` are ``(body, signature)``; it answers ``status``."""

    class Inbox(ThreadingHTTPServer):
        daemon_threads = True
        status = 200

        def __init__(self):
            super().__init__(("127.0.0.1", 0), Receiver)
            self.got = []
            self.url = f"http://127.0.0.1:{self.server_port}/hook"

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            self.server.got.append((body, self.headers["Stripe-Signature"]))
            self.send_response(self.server.status)
            self.end_headers()

        def log_message(self, format, *args):
            pass

    server = Inbox()
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def types_in(inbox):
    return [json.loads(body)["type"] for body, _signature in inbox.got]


PAID = ["payment_intent.created", "charge.succeeded", "payment_intent.succeeded"]


def test_signed_delivery(local, api, inbox):
    saved = local.saved_method()
    local.set_webhook(inbox.url, "whsec_x")
    intent = charge(api, saved)
    assert types_in(inbox) == []
    sent = local.deliver()
    assert [item["status"] for item in sent] == [200, 200, 200]
    assert types_in(inbox) == PAID
    body, signature = inbox.got[-1]
    event = stripe.Webhook.construct_event(body, signature, "whsec_x")
    assert event.data.object.id == intent.id
    assert event.api_version == "2026-10-28.endive"
    assert event.request.id.startswith("req_")
    with pytest.raises(stripe.SignatureVerificationError):
        stripe.Webhook.construct_event(body, signature, "whsec_other")
    with pytest.raises(stripe.SignatureVerificationError):
        stripe.Webhook.construct_event(f"{body} ", signature, "whsec_x")
    assert local.deliver() == []


def test_rotated_secrets_and_old_signatures(local, api):
    endpoint = local.set_webhook("http://127.0.0.1:9/", ["whsec_new", "whsec_old"])
    api.customers.create()
    [told] = local.signed_events()
    signature = told["headers"]["Stripe-Signature"]
    assert signature.count("v1=") == 2
    for secret in ("whsec_new", "whsec_old"):
        stripe.Webhook.construct_event(told["body"], signature, secret)
    local.set_secrets(endpoint["id"], "whsec_new")
    [told] = local.signed_events(age=301)
    with pytest.raises(stripe.SignatureVerificationError, match="tolerance"):
        stripe.Webhook.construct_event(
            told["body"], told["headers"]["Stripe-Signature"], "whsec_new"
        )


def test_repeated_and_shuffled(local, api, inbox):
    saved = local.saved_method()
    local.set_webhook(inbox.url, "whsec_x")
    charge(api, saved)
    local.deliver(order="shuffled", copies=3, seed=4)
    assert sorted(types_in(inbox)) == sorted(PAID * 3)
    assert types_in(inbox) != PAID * 3
    assert len({json.loads(body)["id"] for body, _signature in inbox.got}) == 3
    inbox.got.clear()
    charge(api, saved)
    local.deliver(order="reversed")
    assert types_in(inbox) == PAID[::-1]


def test_undelivered_events_are_listed_and_replayed(local, api, inbox):
    local.set_webhook(inbox.url, "whsec_x", types=["payment_intent.succeeded"])
    inbox.status = 500
    charge(api, local.saved_method())
    assert [item["status"] for item in local.deliver()] == [500]
    missing = {"delivery_success": False, "types": ["payment_intent.succeeded"]}
    [event] = api.events.list(missing).data
    local.lose_pending()
    inbox.status = 200
    assert local.deliver() == []
    assert [item.id for item in api.events.list(missing).data] == [event.id]
    assert [item["status"] for item in local.deliver(ids=[event.id])] == [200]
    assert types_in(inbox) == ["payment_intent.succeeded"] * 2


def test_list_of_events(local, api):
    local.set_time("2026-03-01T00:00:00")
    charge(api, local.saved_method())
    local.advance(days=29)
    api.customers.create()
    kinds = [event.type for event in api.events.list().data]
    assert kinds[0] == "customer.created"
    assert kinds[1:4] == PAID[::-1]
    assert [e.type for e in api.events.list({"type": "charge.*"}).data] == [PAID[1]]
    since = {"created": {"gte": local.now() - 60}}
    [late] = api.events.list(since).data
    assert api.events.retrieve(late.id).type == "customer.created"
    local.advance(days=2)
    assert [event.id for event in api.events.list().data] == [late.id]


def test_automatic_delivery_until_it_is_taken(local, api, inbox):
    inbox.status = 503
    local.set_webhook(inbox.url, "whsec_x", automatic=True)
    api.customers.create()
    wait_for(lambda: inbox.got)
    inbox.status = 200
    wait_for(lambda: not local.pending())
    assert set(types_in(inbox)) == {"customer.created"}
    assert api.events.list({"delivery_success": False}).data == []


def test_receiver_may_ask_back(local, api):
    """A delivery holds no lock: who is told may read the object at once."""

    class Asking(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            event = json.loads(body)
            client_of(local).customers.retrieve(event["data"]["object"]["id"])
            self.send_response(200)
            self.end_headers()

        def log_message(self, format, *args):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Asking) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        local.set_webhook(f"http://127.0.0.1:{server.server_port}/", "whsec_x")
        api.customers.create()
        assert [item["status"] for item in local.deliver()] == [200]
        server.shutdown()


def test_endpoints_over_the_api(local, api):
    made = api.webhook_endpoints.create(
        {"url": "http://127.0.0.1:9/", "enabled_events": ["charge.failed"]}
    )
    assert made.secret.startswith("whsec_")
    [found] = api.webhook_endpoints.list().data
    assert (found.id, found.status) == (made.id, "enabled")
    assert "secret" not in found
    api.customers.create()
    assert not local.pending()
    with pytest.raises(stripe.CardError):
        charge(api, local.saved_method("pm_card_visa_chargeDeclined"))
    [told] = local.signed_events()
    stripe.Webhook.construct_event(
        told["body"], told["headers"]["Stripe-Signature"], made.secret
    )
    changed = api.webhook_endpoints.update(made.id, {"disabled": True})
    assert changed.status == "disabled"
    assert api.webhook_endpoints.delete(made.id).deleted


def test_events_of_the_old_version(local, api):
    local.set_webhook("http://127.0.0.1:9/", "whsec_x", api_version=OLD)
    saved = local.saved_method("pm_card_visa_chargeDeclined")
    with pytest.raises(stripe.CardError):
        charge(api, saved)
    [told] = local.signed_events(types=["payment_intent.payment_failed"])
    intent = json.loads(told["body"])["data"]["object"]
    assert intent["last_payment_error"]["decline_code"] == "generic_decline"
    assert "advice_code" not in intent["last_payment_error"]
    assert intent["charges"]["data"][0]["status"] == "failed"
