"""PaymentIntents: one debt each, from the wish to the money."""

import secrets

from . import charging, errors, forms, mandates, versions
from .api import Known, listed, retrieved, route
from .customers import attach, check_usable, resolve, update, without_expand

OPEN = ("requires_payment_method", "requires_confirmation", "requires_action")
CANCELABLE = ("requires_payment_method", "requires_capture", *OPEN[1:])
OLD_TYPES = Known(forms.array, until=versions.ALLOWED_TYPES)
NEW_TYPES = Known(forms.array, since=versions.ALLOWED_TYPES)
CAPTURE = forms.one_of("automatic", "automatic_async", "manual")

WISHES = {
    "allowed_payment_method_types": NEW_TYPES,
    "capture_method": CAPTURE,
    "customer": forms.text,
    "description": forms.text,
    "metadata": forms.mapping,
    "payment_method": forms.text,
    "payment_method_options": forms.mapping,
    "payment_method_types": OLD_TYPES,
    "receipt_email": forms.text,
    "setup_future_usage": forms.one_of("off_session", "on_session"),
    "shipping": forms.mapping,
    "statement_descriptor": forms.text,
    "statement_descriptor_suffix": forms.text,
}
ONLY_WHEN_CONFIRMING = {
    "error_on_requires_action": forms.flag,
    "mandate": forms.text,
    "mandate_data": forms.mapping,
    "off_session": forms.flag_or_word,
    "return_url": forms.text,
    "use_stripe_sdk": forms.flag,
}

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
    confirming = {name: params.pop(name, None) for name in ONLY_WHEN_CONFIRMING}
    at_once = params.pop("confirm", False)
    for name, value in confirming.items():
        if value and not at_once and name != "use_stripe_sdk":
            raise errors.ApiError(
                400,
                f"The parameter `{name}` cannot be passed when creating a PaymentIntent"
                " unless `confirm` is set to true.",
                param=name,
            )
    if customer := params.get("customer"):
        store.get("customer", customer, "customer")
    intent = store.add("payment_intent", **_prepare(store, params))
    intent["client_secret"] = f"{intent['id']}_secret_{secrets.token_hex(8)}"
    if named := params.get("payment_method"):
        _take_method(store, intent, named)
    store.emit("payment_intent.created", intent)
    if at_once:
        _confirm(store, intent, confirming)
    return intent


def _prepare(store, params):
    """Return the values of a new intent."""
    values = {**EMPTY, **without_expand(params), "payment_method": None}
    named = params.get("allowed_payment_method_types")
    types = named or params.get("payment_method_types")
    if not types:
        values["automatic_payment_methods"] = {
            "allow_redirects": "always",
            **_flags(params.get("automatic_payment_methods", {})),
            "enabled": True,
        }
        types = ["card", *(["sepa_debit"] if params["currency"] == "eur" else [])]
    values["payment_method_types"] = types
    values["allowed_payment_method_types"] = named
    return values


def _flags(values):
    return {name: value for name, value in values.items() if name != "enabled"}


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
    named = params.pop("payment_method", None)
    update(store, intent, params)
    if named:
        _take_method(store, intent, named)
    return intent


def _take_method(store, intent, named):
    """Put a method on an intent, if it may be charged for that customer.

    :raise ApiError: it is somebody else's, spent, or of a type that is not allowed
    """
    method = resolve(store, named)
    check_usable(store, method)
    if method["customer"] and method["customer"] != intent["customer"]:
        raise errors.ApiError(
            400,
            "The provided PaymentMethod belongs to another Customer. Please supply the "
            "customer that it is attached to.",
            code="payment_method_customer_mismatch",
            param="payment_method",
        )
    if method["type"] not in intent["payment_method_types"]:
        allowed = ", ".join(intent["payment_method_types"])
        raise errors.ApiError(
            400,
            f"The PaymentMethod provided ({method['type']}) is not allowed for this "
            f"PaymentIntent. Please attach a payment method with one of the following "
            f"types: {allowed}.",
            code="payment_intent_incompatible_payment_method",
            param="payment_method",
        )
    intent["payment_method"] = method["id"]
    if intent["status"] == "requires_payment_method":
        intent["status"] = "requires_confirmation"


# === CONFIRM === #


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
    _check_open(intent)
    if named := params.pop("payment_method", None):
        _take_method(store, intent, named)
    wishes = {name: value for name, value in params.items() if name in WISHES}
    update(store, intent, wishes)
    _confirm(store, intent, params)
    return intent


def _confirm(store, intent, params):
    """Charge what the intent asks for.

    :raise ApiError: 402 when declined, 400 when it cannot be tried
    """
    _check_open(intent)
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
    charging.run(
        store,
        intent,
        method,
        off_session=bool(params.get("off_session")),
        no_action=bool(params.get("error_on_requires_action")),
        mandate=_mandate(store, intent, method, params),
    )
    keep_for_later(store, intent, method)


def _check_open(intent):
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


EMPTY = {
    "allowed_payment_method_types": None,
    "amount_capturable": 0,
    "amount_details": {"tip": {}},
    "amount_received": 0,
    "application": None,
    "application_fee_amount": None,
    "automatic_payment_methods": None,
    "canceled_at": None,
    "cancellation_reason": None,
    "capture_method": "automatic_async",
    "client_secret": None,
    "confirmation_method": "automatic",
    "customer": None,
    "description": None,
    "excluded_payment_method_types": None,
    "last_payment_error": None,
    "latest_charge": None,
    "metadata": {},
    "next_action": None,
    "on_behalf_of": None,
    "payment_method": None,
    "payment_method_configuration_details": None,
    "payment_method_options": {},
    "processing": None,
    "receipt_email": None,
    "review": None,
    "setup_future_usage": None,
    "shipping": None,
    "source": None,
    "statement_descriptor": None,
    "statement_descriptor_suffix": None,
    "status": "requires_payment_method",
    "transfer_data": None,
    "transfer_group": None,
}
