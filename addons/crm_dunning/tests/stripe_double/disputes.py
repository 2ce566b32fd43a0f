"""Disputes: the customer's bank takes the money back."""

from . import balance, errors, forms
from .api import listed, retrieved, route
from .customers import update

DISPUTE_FEE = 2000  # minor units: 20.00, the list price in euro
ANSWER_DAYS = 7
FINAL = ("won", "lost", "warning_closed")

listed("disputes", "dispute", charge=forms.text, payment_intent=forms.text)
retrieved("disputes", "dispute")


def open_dispute(store, charge, reason="fraudulent", amount=None):
    """The bank disputes a charge and takes the money at once.

    :param amount: minor units; None for what is left of the charge
    """
    left = charge["amount"] - charge["amount_refunded"]
    amount = amount or left
    dispute = store.add("dispute", **_values(store, charge, reason, amount))
    charge["disputed"] = True
    store.emit("charge.dispute.created", dispute)
    _move(store, dispute, -amount, DISPUTE_FEE, "charge.dispute.funds_withdrawn")
    return dispute


def _values(store, charge, reason, amount):
    kind = charge["payment_method_details"]["type"]
    return {
        "amount": amount,
        "balance_transactions": [],
        "charge": charge["id"],
        "currency": charge["currency"],
        "enhanced_eligibility_types": [],
        "evidence": {},
        "evidence_details": {
            "due_by": store.clock.now() + ANSWER_DAYS * balance.DAY,
            "enhanced_eligibility": {},
            "has_evidence": False,
            "past_due": False,
            "submission_count": 0,
            "submission_method": None,
        },
        "is_charge_refundable": False,
        "metadata": {},
        "payment_intent": charge["payment_intent"],
        "payment_method_details": {"type": kind},
        "reason": reason,
        # A SEPA payer needs no reason: there is nothing to answer
        "status": "lost" if kind == "sepa_debit" else "needs_response",
    }


def _move(store, dispute, amount, fee, event):
    movement = balance.book(store, dispute, amount, "adjustment", fee)
    moved = [*dispute["balance_transactions"], movement]
    store.change(dispute, event, balance_transactions=moved)


def close_dispute(store, dispute, status):
    """The bank decides: ``won`` (the money comes back) or ``lost``."""
    if status not in FINAL:
        raise errors.ApiError(400, f"A dispute ends as one of {', '.join(FINAL)}.")
    store.change(dispute, status=status)
    store.emit("charge.dispute.closed", dispute)
    if status == "won":
        _move(store, dispute, dispute["amount"], 0, "charge.dispute.funds_reinstated")


@route(
    "POST",
    "disputes/{id}",
    evidence=forms.mapping,
    metadata=forms.mapping,
    submit=forms.flag,
)
def answer(store, params, id):
    dispute = store.get("dispute", id)
    submit = params.pop("submit", False)
    values = {"status": "under_review"} if submit else {}
    return update(store, dispute, {**params, **values}, "charge.dispute.updated")


@route("POST", "disputes/{id}/close")
def give_in(store, params, id):
    dispute = store.get("dispute", id)
    if dispute["status"] in FINAL:
        raise errors.ApiError(400, "This dispute is already closed.")
    close_dispute(store, dispute, "lost")
    return dispute


def warn_of_fraud(store, charge):
    """The network tells of a likely fraud before there is a dispute."""
    warning = store.add(
        "radar.early_fraud_warning",
        actionable=True,
        charge=charge["id"],
        fraud_type="made_with_stolen_card",
        payment_intent=charge["payment_intent"],
    )
    store.emit("radar.early_fraud_warning.created", warning)
    return warning


retrieved("radar/early_fraud_warnings", "radar.early_fraud_warning")
listed("radar/early_fraud_warnings", "radar.early_fraud_warning", charge=forms.text)
