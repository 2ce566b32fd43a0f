"""How a payer usually pays, and what a person might do next about a case."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from fractions import Fraction

ENOUGH = 3  # paid invoices that make a habit


@dataclass(frozen=True)
class PaidInvoice:
    """One instalment that was paid in full.

    :param mails: reminders that were sent before the payment
    """

    due: date
    paid_on: date
    mails: int = 0


@dataclass(frozen=True)
class Habits:
    """What a collector wants to know of a payer; None where nothing is known.

    :param days_late: average days from due date to payment, negative for early
    :param weekday: 0 for Monday, the day of most payments, None without a habit
    :param after_first_mail: of those reminded, the share that one mail was enough for
    """

    count: int = 0
    days_late: Fraction | None = None
    weekday: int | None = None
    after_first_mail: Fraction | None = None


def get_habits(paid: Sequence[PaidInvoice]) -> Habits:
    """Return the habits of a payer from what it has paid.

    A weekday is a habit if more than half of at least three payments came on it.
    """
    if not paid:
        return Habits()
    days = [(one.paid_on - one.due).days for one in paid]
    [(weekday, often)] = Counter(one.paid_on.weekday() for one in paid).most_common(1)
    reminded = [one for one in paid if one.mails]
    return Habits(
        count=len(paid),
        days_late=Fraction(sum(days), len(days)),
        weekday=weekday if len(paid) >= ENOUGH and 2 * often > len(paid) else None,
        after_first_mail=Fraction(
            sum(one.mails == 1 for one in reminded), len(reminded)
        )
        if reminded
        else None,
    )


@dataclass(frozen=True)
class CaseFacts:
    """Where a case stands, as far as the next step depends on it.

    :param reason: why a person has it, as the case names it
    :param days_late: of the oldest open instalment
    :param unread_replies: messages of the customer that nobody answered
    :param is_reachable: some address takes mail
    :param has_method: a saved method that may still be charged
    :param broken_promises: how many the payer has broken in this case
    """

    reason: str
    days_late: int
    habits: Habits = Habits()
    unread_replies: int = 0
    is_reachable: bool = True
    has_method: bool = False
    broken_promises: int = 0


@dataclass(frozen=True)
class Suggestion:
    """What to do next: a key that the case has words for, and why."""

    step: str
    reason: str


BY_REASON = {
    "fraud": Suggestion("call", "fraud"),
    "chargeback": Suggestion("answer_dispute", "chargeback"),
    "dispute": Suggestion("answer_dispute", "dispute"),
    "unknown": Suggestion("check_provider", "unknown_outcome"),
    "mismatch": Suggestion("check_provider", "mismatch"),
    "bounce": Suggestion("find_address", "unreachable"),
    "refund": Suggestion("check_refund", "refund"),
    "authentication": Suggestion("call", "unconfirmed"),
    "no_method": Suggestion("ask_method", "no_method"),
    "declined": Suggestion("ask_method", "declined"),
}


def suggest(facts: CaseFacts) -> Suggestion:
    """Return the next step for a person, the first of these that fits.

    Read the reply, find an address, what the reason asks for, after a second broken
    promise a firm agreement, wait for a payer that is only as late as always, try the
    method again, call.
    """
    if facts.unread_replies:
        return Suggestion("read_reply", "unread_reply")
    if not facts.is_reachable:
        return Suggestion("find_address", "unreachable")
    if facts.reason in BY_REASON:
        return BY_REASON[facts.reason]
    if facts.broken_promises > 1:
        return Suggestion("agree_instalments", "broken_promises")
    if _is_as_late_as_always(facts):
        return Suggestion("wait", "usual_lateness")
    if facts.has_method and facts.reason == "retries":
        return Suggestion("ask_method", "retries_failed")
    return Suggestion("call", "no_answer")


def _is_as_late_as_always(facts):
    habits = facts.habits
    return (
        habits.count >= ENOUGH
        and not facts.broken_promises
        and habits.days_late > 0
        and facts.days_late <= habits.days_late
    )
