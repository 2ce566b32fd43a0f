"""Hard limits on how often one card and one invoice are charged, under every policy."""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from decimal import Decimal

_DAY = timedelta(days=1)
_INSTANT = timedelta(seconds=1)


@dataclass(frozen=True)
class Limits:
    """The most that any policy may do; a policy may only lower it.

    Visa and the providers name 15 and 20 charges of one card in 30 days, Mastercard 10
    in 24 hours and 35 in 30 days; 15 holds for every card, whatever its brand.

    :param per_invoice: tries of one invoice for ever, its first one included; an
        instalment that pays at once is no try
    :param per_card: charges of one card in ``card_span``
    :param mastercard_day: charges of one Mastercard in 24 hours
    :param spacing: time between a failed charge of a card and the next one
    """

    per_invoice: int = 8
    per_card: int = 15
    mastercard_day: int = 10
    mastercard_month: int = 35
    card_span: timedelta = 30 * _DAY
    spacing: timedelta = timedelta(0)

    def lowered(self, **values) -> "Limits":
        """Return the limits with lower ones put in place.

        :raise ValueError: one of them is no limit, or higher than it is now
        """
        given = {item.name: getattr(self, item.name) for item in fields(self)} | values
        for name, value in values.items():
            now = getattr(self, name)
            is_looser = value < now if isinstance(now, timedelta) else value > now
            if is_looser or (isinstance(now, int) and value < 1):
                raise ValueError(
                    f"{name} can be lowered from {now}, not set to {value}"
                )
        return Limits(**given)


HARD = Limits()


@dataclass(frozen=True)
class Attempt:
    """One charge that was sent, ours or the customer's own on the portal.

    :param at: instant in UTC at which it was sent
    :param card: fingerprint of the card, or whatever tells one method from another
    :param failed: False where it paid
    :param is_retry: an earlier charge of the invoice had failed; a charge that pays at
        once is no try, however many of them a card sees
    :param never: its decline forbids any further charge of that card
    """

    at: datetime
    card: object
    invoice: object
    brand: str | None = None
    amount: Decimal | None = None
    failed: bool = True
    is_retry: bool = False
    never: bool = False


@dataclass(frozen=True)
class Verdict:
    """Whether a charge may be sent now, and if not, when at the earliest.

    :param not_before: None where it may never be
    :param reason: ``dead_method``, ``invoice_cap``, ``card_cap``, ``mastercard_cap``,
        ``spacing``
    """

    allowed: bool
    not_before: datetime | None = None
    reason: str | None = None


def allowed_at(
    attempts: Iterable[Attempt],
    now: datetime,
    *,
    card: object,
    invoice: object,
    brand: str | None = None,
    limits: Limits = HARD,
) -> Verdict:
    """Return whether the card may be charged for the invoice at ``now``.

    Every attempt counts, also one dated after ``now``: a clock that was set back opens
    no limit. A span is closed at both ends, so no 30 days ever hold one too many.

    :param attempts: at least those of the card in the last 30 days and all those of the
        invoice, in any order
    """
    attempts = sorted(attempts, key=lambda attempt: attempt.at)
    of_card = [attempt for attempt in attempts if attempt.card == card]
    if any(attempt.never for attempt in of_card):
        return Verdict(False, None, "dead_method")
    of_invoice = [attempt for attempt in attempts if attempt.invoice == invoice]
    if sum(map(_is_try, of_invoice)) >= limits.per_invoice:
        return Verdict(False, None, "invoice_cap")
    earliest, reason = max(
        _get_waits(of_card, now, brand, limits), key=lambda wait: wait[0]
    )
    if earliest <= now:
        return Verdict(True, now)
    return Verdict(False, earliest, reason)


def _get_waits(of_card, now, brand, limits):
    """Return when each limit of the card would let another charge pass."""
    waits = [
        (_free_from(of_card, now, limits.per_card, limits.card_span), "card_cap"),
        (_spaced_from(of_card, now, limits.spacing), "spacing"),
    ]
    if (brand or "").lower() == "mastercard":
        for most, span in (
            (limits.mastercard_day, _DAY),
            (limits.mastercard_month, limits.card_span),
        ):
            waits.append((_free_from(of_card, now, most, span), "mastercard_cap"))
    return waits


def _free_from(attempts, now, most, span):
    """Return the first instant with fewer than ``most`` tries in the span before it."""
    recent = [
        attempt.at
        for attempt in attempts
        if attempt.at >= now - span and _is_try(attempt)
    ]
    if len(recent) < most:
        return now
    return recent[-most] + span + _INSTANT


def _is_try(attempt):
    return attempt.failed or attempt.is_retry


def _spaced_from(attempts, now, spacing):
    failed = [attempt.at for attempt in attempts if attempt.failed]
    return failed[-1] + spacing if failed else now
