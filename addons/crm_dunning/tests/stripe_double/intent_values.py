"""What a PaymentIntent is made of: its parameters, its first values, its method."""

from . import errors, forms, versions
from .api import Known
from .customers import check_usable, resolve, update, without_expand

OPEN = ("requires_payment_method", "requires_confirmation", "requires_action")
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


def prepare(store, params):
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


def apply(store, intent, wishes):
    """Write parameters on an intent that is there already."""
    wishes = dict(wishes)
    named = wishes.pop("payment_method", None)
    if types := wishes.get("allowed_payment_method_types"):
        wishes["payment_method_types"] = types
    update(store, intent, wishes)
    if named:
        take_method(store, intent, named)


def take_method(store, intent, named):
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
