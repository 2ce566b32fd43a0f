"""Customers and their payment methods."""

from . import cards, errors, forms
from .api import PAGE, Known, listed, page, retrieved, route

PERSON = {
    "address": forms.mapping,
    "description": forms.text,
    "email": forms.text,
    "invoice_settings": forms.mapping,
    "metadata": forms.mapping,
    "name": forms.text,
    "phone": forms.text,
    "preferred_locales": forms.array,
    "shipping": forms.mapping,
    "tax_exempt": forms.one_of("none", "exempt", "reverse"),
}
NOBODY = {"address": None, "email": None, "name": None, "phone": None, "tax_id": None}


# === CUSTOMERS === #


@route("POST", "customers", **PERSON, payment_method=forms.text)
def create_customer(store, params):
    method = params.pop("payment_method", None)
    customer = store.add(
        "customer",
        **{
            "address": None,
            "balance": 0,
            "currency": None,
            "default_source": None,
            "delinquent": False,
            "description": None,
            "discount": None,
            "email": None,
            "invoice_prefix": None,
            "invoice_settings": {
                "custom_fields": None,
                "default_payment_method": None,
                "footer": None,
                "rendering_options": None,
            },
            "metadata": {},
            "name": None,
            "next_invoice_sequence": 1,
            "phone": None,
            "preferred_locales": [],
            "shipping": None,
            "tax_exempt": "none",
            "test_clock": None,
            **without_expand(params),
        },
    )
    store.emit("customer.created", customer)
    if method:
        attach(store, resolve(store, method), customer["id"])
    return customer


@route("POST", "customers/{id}", **PERSON)
def update_customer(store, params, id):
    return update(store, store.get("customer", id), params, "customer.updated")


retrieved("customers", "customer")
listed("customers", "customer", email=forms.text)


@route("GET", "customers/{id}/payment_methods", **PAGE, type=forms.text)
def list_methods_of_customer(store, params, id):
    store.get("customer", id)
    found = store.find("payment_method", customer=id)
    return page(found, params, f"/v1/customers/{id}/payment_methods", ("type",))


# === PAYMENT METHODS === #


@route(
    "POST",
    "payment_methods",
    type=Known(forms.text, required=True),
    card=forms.mapping,
    sepa_debit=forms.mapping,
    billing_details=forms.mapping,
    metadata=forms.mapping,
)
def create_method(store, params):
    """Make a method from a card number or an IBAN, as Stripe.js does."""
    kind = params["type"]
    details = params.get(kind) or {}
    number = str(details.get("number") or details.get("iban") or "").replace(" ", "")
    if kind == "card" and not cards.is_card_number(number):
        raise errors.ApiError(
            402,
            "Your card number is incorrect.",
            kind="card_error",
            code="incorrect_number",
            param="number",
        )
    if kind not in ("card", "sepa_debit") or not number:
        raise errors.BadParameter(f"Invalid {kind}", "parameter_invalid", "type")
    expiry = {key: details[key] for key in ("exp_month", "exp_year") if key in details}
    method = add_method(store, kind, number, cards.outcome_of(number), **expiry)
    method["billing_details"] = {**NOBODY, **params.get("billing_details", {})}
    method["metadata"] = params.get("metadata", {})
    return method


def add_method(store, kind, number, outcome, id=None, **expiry):
    """Keep a new payment method that charges as ``outcome`` says."""
    details = cards.card(number, **expiry) if kind == "card" else cards.debit(number)
    method = store.add(
        "payment_method",
        id=id,
        allow_redisplay="unspecified",
        billing_details=dict(NOBODY),
        customer=None,
        customer_account=None,
        metadata={},
        type=kind,
        **{kind: details},
    )
    store.hidden["behaviours"][method["id"]] = {"always": outcome.to_json(), "next": []}
    return method


def resolve(store, name, param="payment_method"):
    """Return the method with that id; a test name gives a new one each time."""
    if known := cards.find(name):
        return add_method(store, *known)
    return store.get("payment_method", name, param)


@route("GET", "payment_methods/{id}")
def retrieve_method(store, params, id):
    return resolve(store, id, "id")


@route(
    "POST",
    "payment_methods/{id}",
    allow_redisplay=forms.text,
    billing_details=forms.mapping,
    card=forms.mapping,
    metadata=forms.mapping,
)
def update_method(store, params, id):
    method = store.get("payment_method", id)
    if not method["customer"]:
        raise errors.ApiError(
            400, "You must save this PaymentMethod to a customer before updating it."
        )
    if expiry := params.get("card"):
        params["card"] = {name: int(value) for name, value in expiry.items()}
    return update(store, method, params, "payment_method.updated")


@route("GET", "payment_methods", **PAGE, customer=forms.text, type=forms.text)
def list_methods(store, params):
    found = [item for item in store.find("payment_method") if item["customer"]]
    return page(found, params, "/v1/payment_methods", ("customer", "type"))


@route(
    "POST",
    "payment_methods/{id}/attach",
    customer=Known(forms.text, required=True),
)
def attach_method(store, params, id):
    return attach(store, resolve(store, id, "id"), params["customer"])


def attach(store, method, customer):
    """Save a method for the customer with that id."""
    store.get("customer", customer, "customer")
    if method["customer"] == customer:
        return method
    if method["customer"]:
        raise errors.ApiError(
            400,
            "The payment method you provided has already been attached to a customer.",
            code="payment_method_unexpected_state",
        )
    check_usable(store, method)
    method["customer"] = customer
    store.emit("payment_method.attached", method)
    return method


@route("POST", "payment_methods/{id}/detach")
def detach_method(store, params, id):
    method = store.get("payment_method", id)
    if not method["customer"]:
        raise errors.ApiError(
            400,
            "The payment method you provided is not attached to a customer so "
            "detachment is impossible.",
        )
    store.hidden["behaviours"][id]["detached"] = True
    return store.change(method, "payment_method.detached", customer=None)


def check_usable(store, method):
    """A detached method is of no use to anybody any more."""
    if store.hidden["behaviours"][method["id"]].get("detached"):
        raise errors.ApiError(
            400,
            "The provided PaymentMethod was previously used with a PaymentIntent "
            "without Customer attachment, shared with a connected account without "
            "Customer attachment, or was detached from a Customer. It may not be used "
            "again. To use a PaymentMethod multiple times, you must attach it to a "
            "Customer first.",
        )


# === WHAT UPDATES HAVE IN COMMON === #


def without_expand(params):
    return {name: value for name, value in params.items() if name != "expand"}


def update(store, item, params, event=None):
    """Write the parameters on an object: mappings are merged, empty ends a key."""
    values = without_expand(params)
    for name, value in values.items():
        if isinstance(value, dict) and isinstance(item.get(name), dict):
            merged = {**item[name], **value}
            if name == "metadata":
                merged = {key: text for key, text in merged.items() if text is not None}
            values[name] = merged
    return store.change(item, event, **values)
