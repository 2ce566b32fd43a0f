"""SetupIntents: saving a method without charging it."""

import copy
import secrets

from . import charging, errors, forms, mandates, outcomes
from .api import listed, retrieved, route
from .customers import attach, check_usable, resolve, without_expand
from .intent_values import NEW_TYPES, OLD_TYPES, OPEN

CONFIRMING = {
    "mandate_data": forms.mapping,
    "return_url": forms.text,
    "use_stripe_sdk": forms.flag,
}

retrieved("setup_intents", "setup_intent", client_secret=forms.text)
listed(
    "setup_intents",
    "setup_intent",
    customer=forms.text,
    payment_method=forms.text,
)


@route(
    "POST",
    "setup_intents",
    **CONFIRMING,
    allowed_payment_method_types=NEW_TYPES,
    automatic_payment_methods=forms.mapping,
    confirm=forms.flag,
    customer=forms.text,
    description=forms.text,
    metadata=forms.mapping,
    payment_method=forms.text,
    payment_method_options=forms.mapping,
    payment_method_types=OLD_TYPES,
    usage=forms.one_of("off_session", "on_session"),
)
def create(store, params):
    confirming = {name: params.pop(name, None) for name in CONFIRMING}
    at_once = params.pop("confirm", False)
    named = params.pop("payment_method", None)
    if customer := params.get("customer"):
        store.get("customer", customer, "customer")
    types = params.pop("payment_method_types", None)
    allowed = params.get("allowed_payment_method_types")
    intent = store.add(
        "setup_intent",
        **{
            **EMPTY,
            **without_expand(params),
            "payment_method_types": types or allowed or ["card"],
        },
    )
    intent["client_secret"] = f"{intent['id']}_secret_{secrets.token_hex(8)}"
    if named:
        _take_method(store, intent, named)
    store.emit("setup_intent.created", intent)
    if at_once:
        _confirm(store, intent, confirming)
    return intent


def _take_method(store, intent, named):
    method = resolve(store, named)
    check_usable(store, method)
    intent.update(payment_method=method["id"], status="requires_confirmation")


@route(
    "POST",
    "setup_intents/{id}/confirm",
    **CONFIRMING,
    allowed_payment_method_types=NEW_TYPES,
    payment_method=forms.text,
    payment_method_options=forms.mapping,
)
def confirm(store, params, id):
    intent = store.get("setup_intent", id)
    _check_open(intent, "confirm")
    if named := params.get("payment_method"):
        _take_method(store, intent, named)
    _confirm(store, intent, params)
    return intent


def _check_open(intent, verb):
    if intent["status"] not in OPEN:
        raise errors.unexpected_state(
            intent,
            f"You cannot {verb} this SetupIntent because it has a status of "
            f"{intent['status']}.",
        )


def _confirm(store, intent, params, on_session=True):
    if not intent["payment_method"]:
        raise errors.unexpected_state(
            intent,
            "You cannot confirm this SetupIntent because it's missing a payment "
            "method.",
        )
    method = store.get("payment_method", intent["payment_method"])
    outcome = charging.next_outcome(store, method)
    if outcome.kind == outcomes.AUTHENTICATE and on_session:
        intent.update(
            status="requires_action",
            next_action={"type": "use_stripe_sdk", "use_stripe_sdk": {}},
        )
        store.emit("setup_intent.requires_action", intent)
    elif outcome.kind == outcomes.DECLINE and method["type"] == "card":
        raise _decline(store, intent, method, outcome)
    else:
        finish(store, intent, method)


def _decline(store, intent, method, outcome):
    """The bank does not let the card be saved; return the error to raise."""
    error = errors.ApiError(
        402,
        outcome.message,
        kind="card_error",
        payment_method=copy.deepcopy(method),
        **outcomes.error_fields(outcome),
    )
    intent.update(
        status="requires_payment_method",
        payment_method=None,
        last_setup_error=dict(error.error),
    )
    store.emit("setup_intent.setup_failed", intent)
    error.error["setup_intent"] = intent
    return error


def finish(store, intent, method):
    """The method may be charged from now on."""
    if method["type"] == "sepa_debit":
        intent["mandate"] = mandates.make(store, method)["id"]
    if intent["customer"]:
        attach(store, method, intent["customer"])
    intent.update(status="succeeded", next_action=None, last_setup_error=None)
    store.emit("setup_intent.succeeded", intent)


@route("POST", "setup_intents/{id}/cancel", cancellation_reason=forms.text)
def cancel(store, params, id):
    intent = store.get("setup_intent", id)
    _check_open(intent, "cancel")
    intent.update(
        status="canceled",
        cancellation_reason=params.get("cancellation_reason"),
        next_action=None,
    )
    store.emit("setup_intent.canceled", intent)
    return intent


EMPTY = {
    "allowed_payment_method_types": None,
    "application": None,
    "automatic_payment_methods": None,
    "cancellation_reason": None,
    "client_secret": None,
    "customer": None,
    "description": None,
    "excluded_payment_method_types": None,
    "flow_directions": None,
    "last_setup_error": None,
    "latest_attempt": None,
    "mandate": None,
    "metadata": {},
    "next_action": None,
    "on_behalf_of": None,
    "payment_method": None,
    "payment_method_configuration_details": None,
    "payment_method_options": {},
    "single_use_mandate": None,
    "status": "requires_payment_method",
    "usage": "off_session",
}
