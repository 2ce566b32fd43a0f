"""PaymentIntents: one debt each, from the wish to the money."""

import secrets

from . import charging, confirming, errors, forms
from .api import Known, listed, retrieved, route
from .intent_values import (
    ONLY_WHEN_CONFIRMING,
    OPEN,
    WISHES,
    apply,
    prepare,
    take_method,
)

CANCELABLE = ("requires_payment_method", "requires_capture", *OPEN[1:])

retrieved("payment_intents", "payment_intent", client_secret=forms.text)
listed("payment_intents", "payment_intent", customer=forms.text)


# === CREATE, UPDATE === #


@route(
    "POST",
    "payment_intents",
    **WISHES,
    **ONLY_WHEN_CONFIRMING,
    amount=Known(forms.amount, required=True),
    currency=Known(forms.currency, required=True),
    automatic_payment_methods=forms.mapping,
    confirm=forms.flag,
    confirmation_method=forms.one_of("automatic", "manual"),
)
def create(store, params):
    agreed = {name: params.pop(name, None) for name in ONLY_WHEN_CONFIRMING}
    at_once = params.pop("confirm", False)
    for name, value in agreed.items():
        if value and not at_once and name != "use_stripe_sdk":
            raise errors.ApiError(
                400,
                f"The parameter `{name}` cannot be passed when creating a PaymentIntent"
                " unless `confirm` is set to true.",
                param=name,
            )
    if customer := params.get("customer"):
        store.get("customer", customer, "customer")
    intent = store.add("payment_intent", **prepare(store, params))
    intent["client_secret"] = f"{intent['id']}_secret_{secrets.token_hex(8)}"
    try:
        if named := params.get("payment_method"):
            take_method(store, intent, named)
        how = confirming.ready(store, intent, agreed) if at_once else None
    except errors.ApiError:
        store.remove(intent)
        raise
    store.emit("payment_intent.created", intent)
    if at_once:
        confirming.charge(store, intent, how)
    return intent


@route(
    "POST",
    "payment_intents/{id}",
    **WISHES,
    amount=forms.amount,
    currency=forms.currency,
)
def update_intent(store, params, id):
    intent = store.get("payment_intent", id)
    for name in ("amount", "currency", "customer", "payment_method"):
        if name in params and intent["status"] not in OPEN:
            raise errors.unexpected_state(
                intent,
                f"This PaymentIntent's {name} could not be updated because it has a "
                f"status of {intent['status']}. You may only update the {name} of a "
                f"PaymentIntent with one of the following statuses: {', '.join(OPEN)}.",
            )
    apply(store, intent, params)
    return intent


# === CAPTURE, CANCEL === #


@route("POST", "payment_intents/{id}/capture", amount_to_capture=forms.amount)
def capture(store, params, id):
    intent = store.get("payment_intent", id)
    if intent["status"] != "requires_capture":
        raise errors.unexpected_state(
            intent,
            "This PaymentIntent could not be captured because it has a status of "
            f"{intent['status']}. Only a PaymentIntent with one of the following "
            "statuses may be captured: requires_capture.",
        )
    amount = params.get("amount_to_capture", intent["amount_capturable"])
    if amount > intent["amount_capturable"]:
        raise errors.ApiError(
            400,
            "The amount to capture is greater than the amount that can be captured.",
            code="amount_too_large",
            param="amount_to_capture",
        )
    charge = store.get("charge", intent["latest_charge"])
    charging.receive(store, intent, charge, amount)
    store.emit("charge.captured", charge)
    store.emit("payment_intent.succeeded", intent)
    return intent


@route("POST", "payment_intents/{id}/cancel", cancellation_reason=forms.text)
def cancel(store, params, id):
    intent = store.get("payment_intent", id)
    if intent["status"] not in CANCELABLE:
        raise errors.unexpected_state(
            intent,
            "You cannot cancel this PaymentIntent because it has a status of "
            f"{intent['status']}. Only a PaymentIntent with one of the following "
            f"statuses may be canceled: {', '.join(CANCELABLE)}.",
        )
    intent.update(
        status="canceled",
        amount_capturable=0,
        canceled_at=store.clock.now(),
        cancellation_reason=params.get("cancellation_reason"),
        next_action=None,
    )
    store.emit("payment_intent.canceled", intent)
    return intent
