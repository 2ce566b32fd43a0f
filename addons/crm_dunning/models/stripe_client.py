"""The way to Stripe: whose key, which address, and what an error of it means.

Requests are our own, in the newest version of the API; core's pinned one neither knows
advice codes nor can be mixed with the library. Nothing in here touches the database:
whatever is called has been committed before.
"""

import ipaddress
import logging
from urllib.parse import urlsplit

import stripe

from odoo.addons.payment_stripe import utils as stripe_utils

TIMEOUT = 20  # seconds for one request
PAGE = 100
API_BASE = "crm_dunning.stripe_api_base"
TEST_KEYS = ("sk_test_", "rk_test_")
EXPAND = ["payment_method", "latest_charge"]
MOVED = ("succeeded", "processing", "requires_capture")

_logger = logging.getLogger(__name__)
# At INFO the library writes addresses of requests, ids of customers included.
logging.getLogger("stripe").setLevel(logging.WARNING)


# === WHERE AND WHO === #


def is_test_key(key):
    return (key or "").startswith(TEST_KEYS)


def get_api_base(provider):
    """Return the address of a local Stripe instead of the real one, or None.

    Only for a provider in test mode, with a test key, and on the loopback: nothing can
    send live keys to another address.

    :param provider: sudoed `payment.provider` of Stripe
    """
    base = provider.env["ir.config_parameter"].sudo().get_param(API_BASE)
    if not base:
        return None
    key = stripe_utils.get_secret_key(provider)
    if provider.state == "test" and is_test_key(key) and _is_loopback(base):
        return base.rstrip("/")
    _logger.error(
        "%s is ignored for provider %s: it holds in test mode, with a test key and on "
        "the loopback only",
        API_BASE,
        provider.id,
    )
    return None


def _is_loopback(base):
    try:
        parts = urlsplit(base)
        host = parts.hostname or ""
    except ValueError:
        return False
    if parts.scheme not in ("http", "https"):
        return False
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def make_client(provider):
    """Return a client that repeats nothing by itself.

    :param provider: sudoed `payment.provider` of Stripe with a secret key
    """
    base = get_api_base(provider)
    headers = provider._get_stripe_extra_request_headers()
    return stripe.StripeClient(
        stripe_utils.get_secret_key(provider),
        stripe_account=headers.get("Stripe-Account"),
        base_addresses={"api": base} if base else None,
        max_network_retries=0,
        http_client=stripe.RequestsClient(timeout=TIMEOUT),
    )


# === PAYMENT INTENTS === #


def list_intents(client, customer):
    """Return all PaymentIntents of a customer, the newest first; read after write."""
    found = client.v1.payment_intents.list({"customer": customer, "limit": PAGE})
    return [intent.to_dict() for intent in found.auto_paging_iter()]


def read_intent(client, intent_id):
    """Return a PaymentIntent with its method and latest charge expanded."""
    found = client.v1.payment_intents.retrieve(intent_id, {"expand": EXPAND})
    return found.to_dict()


def find_stranger(client, intents, invoice, known):
    """Return the id of a payment for the invoice that Odoo does not know, or None.

    Core keeps nothing of a payment when the process dies after the call. What somebody
    has given back since is in nobody's way.

    :param invoice: its number, which references of its payments begin with
    :param known: ids of payments that Odoo knows
    """
    for intent in intents:
        reference = intent.get("description") or ""
        if (
            intent["status"] in MOVED
            and intent["id"] not in known
            and (reference == invoice or reference.startswith(f"{invoice}-"))
            and not _is_given_back(client, intent["id"])
        ):
            return intent["id"]
    return None


def _is_given_back(client, intent_id):
    charge = read_intent(client, intent_id).get("latest_charge")
    return isinstance(charge, dict) and bool(charge.get("refunded"))


def cancel_intent(client, intent_id, key):
    """Cancel a PaymentIntent; one that is settled stays as it is.

    :param key: a new one each time: cancelling twice does no harm, but a stored error
        of the first time would be told again for a day
    :return: the PaymentIntent, read again
    """
    try:
        client.v1.payment_intents.cancel(intent_id, {}, {"idempotency_key": key})
    except stripe.StripeError as error:
        _logger.info("Not cancelled at once: %s", type(error).__name__)
    return read_intent(client, intent_id)


# === ERRORS === #


def is_refusal(error):
    """Return whether the provider refused before it did anything.

    Not so a lost answer, a server error or a conflict with the same request: then it
    may have done what it was asked for.
    """
    if isinstance(error, (stripe.APIConnectionError, stripe.IdempotencyError)):
        return False
    status = error.http_status or 0
    return 400 <= status < 500 and status not in (409, 429)


def is_server_error(error):
    return not isinstance(error, stripe.APIConnectionError) and (
        (error.http_status or 0) >= 500
    )


def get_error_body(error):
    """Return the ``error`` object of an answer as a dict."""
    body = getattr(error, "json_body", None)
    body = body.get("error") if isinstance(body, dict) else None
    return body if isinstance(body, dict) else {}
