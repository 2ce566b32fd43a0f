"""Mandates: the payer's permission to debit an account."""

from . import errors
from .api import retrieved

retrieved("mandates", "mandate")


def find_or_make(store, method, named=None, data=None):
    """Return the mandate that a SEPA debit runs on.

    :param named: id given in the request
    :param data: ``mandate_data`` of the request: the payer has just agreed
    :raise ApiError: there is none, or it is no longer active
    """
    if named:
        mandate = store.get("mandate", named, "mandate")
    elif data:
        return make(store, method)
    else:
        found = store.find("mandate", payment_method=method["id"])
        mandate = found[0] if found else None
    if not mandate:
        raise errors.ApiError(
            400,
            "You must provide `mandate_data` or a `mandate` to confirm with a "
            "sepa_debit PaymentMethod that has no mandate.",
            code="parameter_missing",
            param="mandate_data",
        )
    if mandate["status"] != "active" or mandate["payment_method"] != method["id"]:
        raise errors.ApiError(
            400,
            "The provided mandate is invalid for this PaymentMethod.",
            code="payment_intent_mandate_invalid",
            param="mandate",
        )
    return mandate


def make(store, method):
    """Keep an active mandate of a method."""
    now = store.clock.now()
    details = {"reference": store.new_id("mandate")[-16:].upper(), "url": ""}
    return store.add(
        "mandate",
        customer_acceptance={
            "accepted_at": now,
            "online": {"ip_address": "127.0.0.1", "user_agent": "local"},
            "type": "online",
        },
        multi_use={},
        payment_method=method["id"],
        payment_method_details={
            method["type"]: details if method["type"] == "sepa_debit" else {},
            "type": method["type"],
        },
        status="active",
        type="multi_use",
    )


def set_status(store, mandate, status):
    """End a mandate (inactive), or make it active again."""
    if mandate["status"] != status:
        store.change(mandate, "mandate.updated", status=status)
