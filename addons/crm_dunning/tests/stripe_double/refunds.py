"""Refunds: money that goes back to the customer."""

from . import balance, errors, forms
from .api import PAGE, listed, page, retrieved, route
from .customers import update

REASONS = ("duplicate", "fraudulent", "requested_by_customer")

listed("refunds", "refund", charge=forms.text, payment_intent=forms.text)
retrieved("refunds", "refund")


@route(
    "POST",
    "refunds",
    amount=forms.amount,
    charge=forms.text,
    metadata=forms.mapping,
    payment_intent=forms.text,
    reason=forms.one_of(*REASONS),
)
def create(store, params):
    charge = _charge_of(store, params)
    left = charge["amount"] - charge["amount_refunded"]
    amount = params.get("amount", left)
    _check(charge, amount, left)
    refund = store.add(
        "refund",
        amount=amount,
        balance_transaction=None,
        charge=charge["id"],
        currency=charge["currency"],
        destination_details=None,
        metadata=params.get("metadata", {}),
        payment_intent=charge["payment_intent"],
        reason=params.get("reason"),
        receipt_number=None,
        source_transfer_reversal=None,
        status="succeeded",
        transfer_reversal=None,
    )
    movement = balance.book(store, refund, -amount, "refund")
    refund["balance_transaction"] = movement["id"]
    store.emit("refund.created", refund)
    _count(store, charge, amount, "charge.refunded")
    return refund


def _charge_of(store, params):
    """Return the charge to refund.

    :raise ApiError: none is named, or nothing was paid
    """
    identifier = params.get("charge")
    if not identifier and not params.get("payment_intent"):
        raise errors.BadParameter(
            "One of the following params should be provided for this request: "
            "payment_intent or charge.",
            "parameter_missing",
            "payment_intent",
        )
    if named := params.get("payment_intent"):
        intent = store.get("payment_intent", named, "payment_intent")
        identifier = intent["latest_charge"]
        if not identifier:
            raise errors.ApiError(
                400,
                f"This PaymentIntent ({named}) does not have a successful charge to "
                "refund.",
                code="payment_intent_unexpected_state",
            )
    return store.get("charge", identifier, "charge")


def _check(charge, amount, left):
    """Stripe gives back no more than it got, and nothing that is disputed."""
    if not charge["paid"]:
        raise errors.ApiError(
            400,
            f"Charge {charge['id']} has no payment that could be refunded.",
            code="charge_not_refundable",
        )
    if charge["disputed"]:
        raise errors.ApiError(
            400,
            f"Charge {charge['id']} has been charged back; cannot issue a refund.",
            code="charge_disputed",
        )
    if charge["refunded"]:
        raise errors.ApiError(
            400,
            f"Charge {charge['id']} has already been refunded.",
            code="charge_already_refunded",
        )
    if amount > left:
        raise errors.ApiError(
            400,
            f"Refund amount ({amount}) is greater than unrefunded amount on charge "
            f"({left}).",
            param="amount",
        )


def _count(store, charge, amount, event):
    total = charge["amount_refunded"] + amount
    store.change(
        charge, event, amount_refunded=total, refunded=total == charge["amount"]
    )


def fail(store, refund, reason):
    """The bank of the customer does not take the money: it is ours again."""
    charge = store.get("charge", refund["charge"])
    movement = balance.book(store, refund, refund["amount"], "refund_failure")
    _count(store, charge, -refund["amount"], "charge.updated")
    store.change(
        refund,
        "charge.refund.updated",
        status="failed",
        failure_reason=reason,
        failure_balance_transaction=movement["id"],
    )
    store.emit("refund.failed", refund)


@route("POST", "refunds/{id}", metadata=forms.mapping)
def update_refund(store, params, id):
    return update(store, store.get("refund", id), params, "charge.refund.updated")


@route("GET", "charges/{id}/refunds", **PAGE)
def list_refunds_of_charge(store, params, id):
    store.get("charge", id)
    found = store.find("refund", charge=id)
    return page(found, params, f"/v1/charges/{id}/refunds")
