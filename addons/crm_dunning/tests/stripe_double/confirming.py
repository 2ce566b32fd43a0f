"""Confirming a PaymentIntent: from here on money moves."""

from . import charging, errors, forms, mandates
from .api import route
from .customers import attach
from .intent_values import (
    CAPTURE,
    NEW_TYPES,
    OLD_TYPES,
    ONLY_WHEN_CONFIRMING,
    OPEN,
    WISHES,
    apply,
)


@route(
    "POST",
    "payment_intents/{id}/confirm",
    **ONLY_WHEN_CONFIRMING,
    allowed_payment_method_types=NEW_TYPES,
    capture_method=CAPTURE,
    payment_method=forms.text,
    payment_method_options=forms.mapping,
    payment_method_types=OLD_TYPES,
    receipt_email=forms.text,
    setup_future_usage=forms.one_of("off_session", "on_session"),
    shipping=forms.mapping,
)
def confirm(store, params, id):
    intent = store.get("payment_intent", id)
    check_open(intent)
    wishes = {name: value for name, value in params.items() if name in WISHES}
    apply(store, intent, wishes)
    charge(store, intent, ready(store, intent, params))
    return intent


def ready(store, intent, params):
    """Return how to charge the intent.

    :raise ApiError: 400, it cannot be tried
    """
    if not intent["payment_method"]:
        raise errors.unexpected_state(
            intent,
            "You cannot confirm this PaymentIntent because it's missing a payment "
            "method. You can either update the PaymentIntent with a payment method and "
            "then confirm it again, or confirm it again directly with a payment method "
            "or ConfirmationToken.",
        )
    _check_return_url(intent, params)
    method = store.get("payment_method", intent["payment_method"])
    if back := params.get("return_url"):
        store.hidden["return_urls"][intent["id"]] = back
    return {
        "method": method,
        "off_session": bool(params.get("off_session")),
        "no_action": bool(params.get("error_on_requires_action")),
        "mandate": _mandate(store, intent, method, params),
    }


def charge(store, intent, how):
    """Charge what the intent asks for.

    :param how: from ``ready``
    :raise ApiError: 402, declined
    """
    charging.run(store, intent, **how)
    keep_for_later(store, intent, how["method"])


def check_open(intent):
    status = intent["status"]
    if status in OPEN:
        return
    reason = f"because it has a status of {status}. Only a PaymentIntent with one of "
    reason += f"the following statuses may be confirmed: {', '.join(OPEN)}."
    if status == "succeeded":
        reason = "because it has already succeeded after being previously confirmed."
    raise errors.unexpected_state(
        intent, f"You cannot confirm this PaymentIntent {reason}"
    )


def _check_return_url(intent, params):
    """Methods that may redirect need an address to come back to."""
    automatic = intent["automatic_payment_methods"] or {}
    if automatic.get("allow_redirects") == "always" and not params.get("return_url"):
        raise errors.ApiError(
            400,
            "This PaymentIntent is configured to accept payment methods enabled in "
            "your Dashboard. Because some of these payment methods might redirect your "
            "customer off of your page, you must provide a `return_url`. If you don't "
            "want to accept redirect-based payment methods, set "
            "`automatic_payment_methods[enabled]` to `true` and "
            "`automatic_payment_methods[allow_redirects]` to `never` when creating "
            "Setup Intents and Payment Intents.",
            param="return_url",
        )


def _mandate(store, intent, method, params):
    if method["type"] != "sepa_debit":
        return None
    if intent["currency"] != "eur":
        raise errors.ApiError(
            400,
            "The currency provided is invalid for the payment method type sepa_debit.",
            code="payment_intent_invalid_parameter",
            param="currency",
        )
    return mandates.find_or_make(
        store, method, params.get("mandate"), params.get("mandate_data")
    )


def keep_for_later(store, intent, method):
    """Attach the method when the intent says that it will be used again."""
    if intent["setup_future_usage"] and intent["customer"] and not method["customer"]:
        attach(store, method, intent["customer"])
