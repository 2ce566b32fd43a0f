"""What the provider's own record proves about a charge, and what it leaves open."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .declines import Decline

# Names of the API versions in use; the older ones speak of sources.
_NEEDS_METHOD = ("requires_payment_method", "requires_source")
_NEEDS_ACTION = ("requires_action", "requires_source_action")
_ASKS_CUSTOMER = frozenset(
    (
        "authentication_required",
        "authentication_not_handled",
        "payment_intent_authentication_failure",
        "mobile_device_authentication_required",
        "offline_pin_required",
        "online_or_offline_pin_required",
    )
)
FINAL = ("succeeded", "canceled")


@dataclass(frozen=True)
class CallError:
    """What came instead of an answer.

    :param kind: ``card``, ``connection``, ``rate_limit``, ``api``, ``idempotency``,
        ``invalid``, ``authentication``
    :param body: the ``error`` object of the answer, if there was one
    """

    kind: str
    status: int | None = None
    body: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Outcome:
    """What is proven.

    :param state: ``succeeded``; ``processing`` (money may be on its way);
        ``declined``; ``needs_customer`` (the customer must confirm, nothing was
        charged); ``cancelled`` (nothing was and will be charged); ``confirmable``
        (created, never confirmed); ``not_charged`` (no charge so far); ``unknown``
    :param amount: in the smallest unit of the currency: received where succeeded, else
        asked for
    :param currency: lower-case code
    """

    state: str
    decline: Decline | None = None
    charge: str | None = None
    amount: int | None = None
    currency: str | None = None
    message: str | None = None
    outcome_type: str | None = None
    fingerprint: str | None = None


def read(pi: Mapping[str, Any] | None, error: CallError | None = None) -> Outcome:
    """Return what a PaymentIntent proves, after an error what its answer proves.

    Never says ``declined`` where money may have moved: a lost answer, a server error
    or a charge that is pending leave it unknown until the object is read again.

    :param pi: as plain dictionaries; read after the error, if there was one
    """
    if error and isinstance((error.body or {}).get("payment_intent"), Mapping):
        pi = error.body["payment_intent"]
    elif error and (pi is None or pi.get("status") not in FINAL):
        return Outcome("unknown")
    if not pi:
        return Outcome("unknown")
    failure = _get(pi, "last_payment_error") or (error.body if error else None) or {}
    charge = _get_charge(pi, failure)
    return Outcome(
        state=_get_state(pi, failure, charge),
        decline=_get_decline(pi, failure, charge)
        if failure or _failed(charge)
        else None,
        charge=_get_charge_id(pi, failure, charge),
        amount=pi.get("amount_received") or pi.get("amount"),
        currency=(pi.get("currency") or "").lower() or None,
        message=failure.get("message"),
        outcome_type=_get(charge, "outcome").get("type"),
        fingerprint=_get_details(failure, charge).get("fingerprint"),
    )


def _get_state(pi, failure, charge):
    status = pi.get("status")
    if status == "succeeded":
        return "succeeded"
    if status == "canceled":
        return "unknown" if _has_moved(charge) else "cancelled"
    if status in ("processing", "requires_capture"):
        return "processing"
    if _has_moved(charge):
        return "unknown"
    if status in _NEEDS_ACTION:
        return "needs_customer"
    if status == "requires_confirmation":
        return "confirmable"
    if status in _NEEDS_METHOD:
        return _get_failed_state(failure, charge)
    return "unknown"


def _get_failed_state(failure, charge):
    if not failure and not _failed(charge):
        return "not_charged"
    codes = {failure.get("code"), failure.get("decline_code")}
    return "needs_customer" if codes & _ASKS_CUSTOMER else "declined"


def _has_moved(charge):
    """Return whether a charge beside the status says that money moved or may move."""
    return bool(charge) and (
        bool(charge.get("paid")) or charge.get("status") in ("succeeded", "pending")
    )


def _failed(charge):
    return charge.get("status") == "failed"


def _get_charge(pi, failure):
    """Return the latest charge where it was expanded, else nothing."""
    charge = pi.get("latest_charge")
    if isinstance(charge, Mapping):
        return charge
    listed = _get(pi, "charges").get("data") or []
    return listed[0] if listed else {}


def _get_charge_id(pi, failure, charge):
    latest = pi.get("latest_charge")
    if isinstance(latest, str):
        return latest
    return charge.get("id") or failure.get("charge")


def _get_decline(pi, failure, charge):
    outcome, details = _get(charge, "outcome"), _get_details(failure, charge)

    def first(*values):
        return next((value for value in values if value), None)

    return Decline(
        code=first(failure.get("code"), charge.get("failure_code")),
        # A debit that came back tells its reason in the charge only.
        decline_code=first(failure.get("decline_code"), charge.get("failure_code")),
        advice_code=first(failure.get("advice_code"), outcome.get("advice_code")),
        network_advice_code=first(
            failure.get("network_advice_code"), outcome.get("network_advice_code")
        ),
        network_decline_code=first(
            failure.get("network_decline_code"), outcome.get("network_decline_code")
        ),
        outcome_reason=first(outcome.get("reason")),
        brand=first(details.get("brand")),
        method_type=first(
            _get(failure, "payment_method").get("type"),
            _get(charge, "payment_method_details").get("type"),
            *(pi.get("payment_method_types") or ()),
        )
        or "card",
    )


def _get_details(failure, charge):
    """Return what is known of the card or bank account that was charged."""
    for holder in (
        _get(failure, "payment_method"),
        _get(charge, "payment_method_details"),
    ):
        details = _get(holder, holder.get("type") or "card")
        if details:
            return details
    return {}


def _get(holder, key):
    value = holder.get(key) if holder else None
    return value if isinstance(value, Mapping) else {}
