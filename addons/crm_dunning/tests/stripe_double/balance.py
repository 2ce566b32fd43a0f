"""Balance transactions and payouts: the way of the money to the bank."""

from . import forms
from .api import PAGE, listed, page, retrieved, route

DAY = 24 * 3600
SETTLING_DAYS = 7  # until money of a charge is available for a payout
CARD_FEE = (150, 25)  # 1.5 % + 0.25: the list price for cards of the EEA
DEBIT_FEE = (0, 35)  # 0.35: the list price of a SEPA debit


@route(
    "GET",
    "balance_transactions",
    **PAGE,
    created=forms.moment,
    currency=forms.text,
    payout=forms.text,
    source=forms.text,
    type=forms.text,
)
def list_movements(store, params):
    found = store.find("balance_transaction")
    if payout := params.get("payout"):
        taken = store.hidden["paid_out"]
        found = [item for item in found if taken.get(item["id"]) == payout]
    return page(
        found, params, "/v1/balance_transactions", ("currency", "source", "type")
    )


retrieved("balance_transactions", "balance_transaction")
listed("payouts", "payout", status=forms.text)
retrieved("payouts", "payout")


def book(store, source, amount, kind, fee=0):
    """Keep a movement of the balance.

    :param amount: minor units, negative when money leaves
    :param kind: charge, payment, refund, adjustment, payout, …
    """
    category = {"payment": "charge", "adjustment": "dispute"}.get(kind, kind)
    now = store.clock.now()
    details = {
        "amount": fee,
        "application": None,
        "currency": source["currency"],
        "description": "Stripe processing fees",
        "type": "stripe_fee",
    }
    return store.add(
        "balance_transaction",
        amount=amount,
        available_on=now + SETTLING_DAYS * DAY,
        balance_type="payments",
        currency=source["currency"],
        description=source.get("description"),
        exchange_rate=None,
        fee=fee,
        fee_details=[details] if fee else [],
        net=amount - fee,
        reporting_category=category,
        source=source["id"],
        status="pending",
        type=kind,
    )


def fee_of(charge):
    """Return what Stripe keeps of a charge, in minor units."""
    is_card = charge["payment_method_details"]["type"] == "card"
    basis_points, fixed = CARD_FEE if is_card else DEBIT_FEE
    return round(charge["amount_captured"] * basis_points / 10000) + fixed


def pay_out(store, currency, paid=True):
    """Pay everything that no payout has taken yet; nothing gives None."""
    taken = store.hidden["paid_out"]
    waiting = [
        movement
        for movement in store.find("balance_transaction", currency=currency)
        if movement["id"] not in taken
    ]
    if not waiting:
        return None
    total = sum(movement["net"] for movement in waiting)
    payout = store.add("payout", **_payout_values(store, total, currency))
    movement = book(store, payout, -total, "payout")
    payout["balance_transaction"] = movement["id"]
    for part in (movement, *waiting):
        taken[part["id"]] = payout["id"]
        part["status"] = "available"
    store.emit("payout.created", payout)
    if paid:
        store.change(payout, status="paid")
        store.emit("payout.paid", payout)
    return payout


def _payout_values(store, total, currency):
    return {
        "amount": total,
        "application_fee": None,
        "application_fee_amount": None,
        "arrival_date": store.clock.now() + 2 * DAY,
        "automatic": True,
        "balance_transaction": None,
        "currency": currency,
        "description": "STRIPE PAYOUT",
        "destination": "ba_local",
        "failure_balance_transaction": None,
        "failure_code": None,
        "failure_message": None,
        "metadata": {},
        "method": "standard",
        "original_payout": None,
        "payout_method": None,
        "reconciliation_status": "completed",
        "reversed_by": None,
        "source_type": "card",
        "statement_descriptor": None,
        "status": "in_transit",
        "trace_id": None,
        "type": "bank_account",
    }
