"""What a deal says about its billing, from its handoff and its documents."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

# Of several documents the one that needs attention first names the deal.
ATTENTION = (
    "failed",
    "blocked",
    "partial",
    "invoiced",
    "draft",
    "waiting",
    "paid",
    "credited",
)
_HANDOFF_STATE = {"pending": "waiting", "blocked": "blocked"}


@dataclass(frozen=True)
class Document:
    """One customer invoice as the deal sees it.

    :param state: draft, posted or cancel
    :param payment_state: as the ledger names it (not_paid, partial, paid, reversed,
        blocked …)
    :param total: amount with tax, document currency
    :param residual: what is still open of ``total``
    :param last_charge: state of the newest online payment attempt, if any
    """

    state: str
    payment_state: str
    total: Decimal
    residual: Decimal
    last_charge: str | None = None


def document_state(document: Document) -> str | None:
    """Return the billing state of one invoice, ``None`` for a cancelled one.

    A blocked payment hides what was paid, and a paid invoice that was reset to draft
    keeps its payment state: so money is read from the residual and the draft first.
    """
    if document.state == "cancel":
        return None
    if document.state == "draft":
        return "draft"
    if document.payment_state == "reversed":
        return "credited"
    if document.residual == 0:
        return "paid"
    if document.last_charge == "error":
        return "failed"
    if document.residual != document.total:
        return "partial"
    return "invoiced"


def deal_state(
    handoff_state: str | None,
    documents: Iterable[Document],
    agreement_states: Iterable[str] = (),
) -> str:
    """Return the one state that a deal shows.

    :param handoff_state: state of the live handoff, ``None`` without one
    :param agreement_states: what its agreements add, such as ``blocked``
    :return: a member of ``ATTENTION``, or ``"none"``
    """
    states = {document_state(document) for document in documents}
    states.add(_HANDOFF_STATE.get(handoff_state))
    states.update(agreement_states)
    return next((state for state in ATTENTION if state in states), "none")
