"""Calls to the local Stripe, with the real SDK and without."""

import json
import time
import urllib.error
import urllib.request

import stripe

EUR = {"amount": 1200, "currency": "eur", "allowed_payment_method_types": ["card"]}
OLD = "2019-05-16"  # the version that Odoo's own connector speaks


def client_of(local, key="sk_test_x"):
    return stripe.StripeClient(
        key, base_addresses={"api": local.url}, max_network_retries=0
    ).v1


def ask(local, method, path, body="", key="sk_test_x", **headers):
    """Send a request as any HTTP library would; return status, headers, JSON."""
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    if key:
        headers["Authorization"] = f"Bearer {key}"
    data = body.encode() if body or method == "POST" else None
    request = urllib.request.Request(
        f"{local.url}/v1/{path}", data, headers, method=method
    )
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, answer.headers, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, error.headers, json.load(error)


def create(api, saved, **values):
    """Return an unconfirmed PaymentIntent for a saved method."""
    return api.payment_intents.create(
        {
            **EUR,
            "customer": saved["customer"],
            "payment_method": saved["payment_method"],
            **values,
        }
    )


def charge(api, saved, **values):
    """Return the PaymentIntent of an off-session charge."""
    return create(api, saved, confirm=True, off_session=True, **values)


def wait_for(condition, patience=5):
    """Return what ``condition()`` gives, as soon as it gives anything."""
    deadline = time.monotonic() + patience
    while not (found := condition()):
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.01)
    return found
