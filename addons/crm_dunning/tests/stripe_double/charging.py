"""An attempt to take money: the charge, what the bank says, what becomes of it."""

import copy
import secrets

from . import balance, disputes, errors, forms, mandates, outcomes
from .api import listed, retrieved
from .outcomes import AUTHENTICATE, DECLINE, Outcome

DEBIT_DAYS = 5  # until a SEPA debit settles
DEAD_MANDATE = (  # failures after which a SEPA mandate is of no use
    "account_closed",
    "bank_account_restricted",
    "debit_not_authorized",
    "no_account",
)

listed("charges", "charge", customer=forms.text, payment_intent=forms.text)
retrieved("charges", "charge")


# === WHAT THE BANK SAYS === #


def next_outcome(store, method):
    """Return how charging ends this time; what was planned comes first."""
    behaviour = store.hidden["behaviours"][method["id"]]
    if planned := behaviour["next"]:
        planned[0]["times"] -= 1
        outcome = planned[0]["outcome"]
        if not planned[0]["times"]:
            del planned[0]
        return Outcome(**outcome)
    return Outcome(**behaviour["always"])


def run(store, intent, method, off_session=False, no_action=False, mandate=None):
    """Charge a method for a confirmed intent.

    :param no_action: the caller wants a decline where the customer should act
    :raise ApiError: 402, declined
    """
    outcome = next_outcome(store, method)
    if method["type"] == "sepa_debit":
        return debit(store, intent, method, outcome, mandate)
    if outcome.kind == AUTHENTICATE and not (off_session or no_action):
        return _ask_customer(store, intent)
    if outcome.kind in (DECLINE, AUTHENTICATE):
        raise fail(store, intent, method, outcome)
    return succeed(store, intent, method, outcome)


def _ask_customer(store, intent):
    address = f"https://hooks.stripe.com/3d_secure/{secrets.token_hex(8)}"
    action = {"type": "use_stripe_sdk", "use_stripe_sdk": {"type": "three_d_secure"}}
    if back := store.hidden["return_urls"].get(intent["id"]):
        action = {
            "type": "redirect_to_url",
            "redirect_to_url": {"return_url": back, "url": address},
        }
    intent.update(status="requires_action", next_action=action)
    store.emit("payment_intent.requires_action", intent)


# === CARDS === #


def succeed(store, intent, method, outcome):
    """The bank has approved: money moves, or is reserved for a later capture."""
    charge = _new_charge(store, intent, method, outcome, status="succeeded", paid=True)
    if intent["capture_method"] == "manual":
        intent.update(
            status="requires_capture",
            amount_capturable=intent["amount"],
            latest_charge=charge["id"],
            next_action=None,
        )
        store.emit("charge.succeeded", charge)
        store.emit("payment_intent.amount_capturable_updated", intent)
        return
    receive(store, intent, charge, intent["amount"])
    store.emit("charge.succeeded", charge)
    store.emit("payment_intent.succeeded", intent)
    if outcome.dispute:
        disputes.open_dispute(store, charge, outcome.dispute)


def receive(store, intent, charge, amount):
    """The money is ours: book it."""
    charge.update(captured=True, amount_captured=amount)
    is_card = charge["payment_method_details"]["type"] == "card"
    kind = "charge" if is_card else "payment"
    fee = balance.fee_of(charge)
    movement = balance.book(store, charge, amount, kind, fee)
    charge["balance_transaction"] = movement["id"]
    intent.update(
        status="succeeded",
        amount_received=amount,
        amount_capturable=0,
        latest_charge=charge["id"],
        last_payment_error=None,
        next_action=None,
        processing=None,
    )


def fail(store, intent, method, outcome):
    """The bank has declined; return the error to raise."""
    charge = _new_charge(
        store,
        intent,
        method,
        outcome,
        status="failed",
        failure_code=outcome.code,
        failure_message=outcome.message,
    )
    error = _decline_error(outcome, method, charge)
    _send_back(store, intent, charge, error.error)
    error.error["payment_intent"] = intent
    return error


def _decline_error(outcome, method, charge):
    return errors.ApiError(
        402,
        outcome.message,
        kind="card_error",
        charge=charge["id"],
        payment_method=copy.deepcopy(method),
        **outcomes.error_fields(outcome),
    )


def _send_back(store, intent, charge, error):
    """The intent waits for another method."""
    intent.update(
        status="requires_payment_method",
        payment_method=None,
        latest_charge=charge["id"],
        last_payment_error=dict(error),
        next_action=None,
        processing=None,
    )
    store.emit("charge.failed", charge)
    store.emit("payment_intent.payment_failed", intent)


# === SEPA === #


def debit(store, intent, method, outcome, mandate):
    """The debit is on its way to the bank, which answers days later."""
    charge = _new_charge(
        store,
        intent,
        method,
        Outcome(),
        id=f"py_{secrets.token_hex(12)}",
        status="pending",
    )
    charge["payment_method_details"]["sepa_debit"]["mandate"] = mandate["id"]
    charge["outcome"]["seller_message"] = "Payment pending."
    intent.update(status="processing", latest_charge=charge["id"])
    store.hidden["settle_at"][charge["id"]] = {
        "at": store.clock.now() + DEBIT_DAYS * balance.DAY,
        "outcome": outcome.to_json(),
    }
    store.emit("payment_intent.processing", intent)
    store.emit("charge.pending", charge)


def settle_due(store):
    """Settle the debits whose day has come."""
    now = store.clock.now()
    for identifier, plan in list(store.hidden["settle_at"].items()):
        if plan["at"] <= now:
            settle(store, identifier)


def settle(store, identifier, failure_code=None):
    """The bank answers a debit.

    :param failure_code: a failure, whatever was planned; "" for success
    """
    plan = store.hidden["settle_at"].pop(identifier)
    charge = store.get("charge", identifier)
    intent = store.get("payment_intent", charge["payment_intent"])
    outcome = Outcome(**plan["outcome"])
    if failure_code is not None:
        outcome = outcomes.bank_failure(failure_code) if failure_code else Outcome()
    if outcome.kind == DECLINE:
        return _return_debit(store, intent, charge, outcome)
    charge.update(status="succeeded", paid=True, outcome=outcomes.describe(outcome))
    receive(store, intent, charge, charge["amount"])
    store.emit("charge.succeeded", charge)
    store.emit("payment_intent.succeeded", intent)
    if outcome.dispute:
        disputes.open_dispute(store, charge, outcome.dispute)


def _return_debit(store, intent, charge, outcome):
    """The debit comes back unpaid."""
    message = "The payment failed because the bank returned the debit."
    charge.update(
        status="failed",
        failure_code=outcome.code,
        failure_message=message,
        outcome=None,
    )
    method = store.get("payment_method", charge["payment_method"])
    error = {
        "charge": charge["id"],
        "code": "payment_intent_payment_attempt_failed",
        "message": message,
        "payment_method": copy.deepcopy(method),
        "type": "invalid_request_error",
    }
    if outcome.code in DEAD_MANDATE:
        named = charge["payment_method_details"]["sepa_debit"]["mandate"]
        mandates.set_status(store, store.get("mandate", named), "inactive")
    _send_back(store, intent, charge, error)


# === THE CHARGE === #


def _new_charge(store, intent, method, outcome, **values):
    kind = method["type"]
    details = {key: method[kind][key] for key in method[kind] if key in SHOWN[kind]}
    if kind == "card":
        details |= {"network": details["brand"], "three_d_secure": None}
    return store.add(
        "charge",
        **{
            **EMPTY_CHARGE,
            "amount": intent["amount"],
            "billing_details": dict(method["billing_details"]),
            "currency": intent["currency"],
            "customer": intent["customer"],
            "description": intent["description"],
            "metadata": dict(intent["metadata"]),
            "outcome": outcomes.describe(outcome),
            "payment_intent": intent["id"],
            "payment_method": method["id"],
            "payment_method_details": {
                kind: {**details, "mandate": None},
                "type": kind,
            },
            "shipping": intent["shipping"],
            **values,
        },
    )


SHOWN = {
    "card": (
        *("brand", "checks", "country", "exp_month", "exp_year", "fingerprint"),
        *("funding", "last4", "wallet"),
    ),
    "sepa_debit": ("bank_code", "branch_code", "country", "fingerprint", "last4"),
}
EMPTY_CHARGE = {
    "amount_captured": 0,
    "amount_refunded": 0,
    "application": None,
    "application_fee": None,
    "application_fee_amount": None,
    "balance_transaction": None,
    "calculated_statement_descriptor": None,
    "captured": False,
    "disputed": False,
    "failure_balance_transaction": None,
    "failure_code": None,
    "failure_message": None,
    "fraud_details": {},
    "on_behalf_of": None,
    "paid": False,
    "receipt_email": None,
    "receipt_number": None,
    "receipt_url": None,
    "refunded": False,
    "review": None,
    "source_transfer": None,
    "statement_descriptor": None,
    "statement_descriptor_suffix": None,
    "transfer_data": None,
    "transfer_group": None,
}
