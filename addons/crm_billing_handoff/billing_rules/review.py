"""What a reviewer must look at before a draft becomes an invoice."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

# An amount this many times the account's usual one is probably a typing mistake.
UNUSUAL_FACTOR = 10


@dataclass(frozen=True)
class Term:
    """One value of the draft beside what was agreed and what the account says.

    :param quotation: ``None`` where no quotation gives it
    :param account: ``None`` where the account does not give it
    """

    code: str
    draft: Hashable
    quotation: Hashable = None
    account: Hashable = None


@dataclass(frozen=True)
class Amounts:
    """Money of a draft before tax, in its own currency.

    :param draft: what the draft bills
    :param agreed: what the quotation still leaves to bill, ``None`` without one
    :param usual: average of the account's earlier invoices, ``None`` for the first
    :param discount: highest discount of a line, percent
    :param agreed_discount: highest discount of the quotation's lines, percent
    :param discount_limit: percent above which a person must look, 0 for no limit
    """

    draft: Decimal
    agreed: Decimal | None = None
    usual: Decimal | None = None
    discount: Decimal = Decimal(0)
    agreed_discount: Decimal | None = None
    discount_limit: Decimal = Decimal(0)


def judge_term(term: Term) -> str:
    """Return ``ok``, ``differs`` or ``missing`` for one compared value."""
    given = [value for value in (term.quotation, term.account) if value]
    if not term.draft and not given:
        return "missing"
    return "ok" if all(value == term.draft for value in given) else "differs"


def source_of(term: Term) -> str | None:
    """Return where the draft's value came from: quotation, account or by hand."""
    if not term.draft:
        return None
    if term.quotation == term.draft:
        return "quotation"
    return "account" if term.account == term.draft else "manual"


def judge_amounts(amounts: Amounts) -> dict[str, str]:
    """Return a verdict for the amount and the discount of a draft.

    :return: ``{"amount": …, "discount": …}`` with ``ok``, ``differs``, ``zero``,
        ``unusual``, ``missing`` (agreed, but not given) or ``limit``
    """
    verdicts = {"amount": "ok", "discount": "ok"}
    if amounts.draft == 0:
        verdicts["amount"] = "zero"
    elif amounts.agreed is not None and amounts.agreed != amounts.draft:
        verdicts["amount"] = "differs"
    elif amounts.usual and amounts.draft >= UNUSUAL_FACTOR * amounts.usual:
        verdicts["amount"] = "unusual"
    agreed = amounts.agreed_discount
    if amounts.discount_limit and amounts.discount > amounts.discount_limit:
        verdicts["discount"] = "limit"
    elif agreed is not None and agreed != amounts.discount:
        verdicts["discount"] = "missing" if amounts.discount < agreed else "differs"
    return verdicts


def first_given(options: Sequence[tuple[str, Any]]) -> tuple[str, Any]:
    """Return the first ``(source, value)`` that has a value, in order of precedence."""
    return next(((source, value) for source, value in options if value), ("", None))
