"""When a failed charge is tried again, and when a person takes over instead (S25)."""

from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta, timezone

from . import caps
from .declines import DeclineClass
from .window import Window

_DAY = timedelta(days=1)
NOON = time(12, tzinfo=timezone.utc)
TIMINGS = ("days", "class", "window")
UNKNOWN_TRIES = 2
WINDOW_TRIES, WINDOW_DAYS = 8, 14
CLASS_TRIES, CLASS_DAYS = 4, 21
PAY_DAYS = (1, 15)
FRIDAY = 4
BANK_WEEKEND = (5, 6)


@dataclass(frozen=True)
class RetryPolicy:
    """What a policy says about trying again.

    :param days: days after the first failure, ascending; with timing ``class`` unused
    :param timing: ``days``, ``class`` (by the reason of the decline) or ``window`` (up
        to 8 tries in 14 days)
    :param max_tries: charges of one invoice at most, its first one included
    :param hard_patience_days: days that a customer has to give a new method after a
        hard decline before a person takes over
    :raise ValueError: the days are no such list
    """

    days: tuple[int, ...] = (1, 3, 5, 7)
    timing: str = "days"
    max_tries: int = 8
    hard_patience_days: int = 0

    def __post_init__(self):
        if self.timing not in TIMINGS:
            raise ValueError(f"Tries cannot be timed by {self.timing!r}")
        if sorted(set(self.days)) != list(self.days) or min(self.days, default=1) < 1:
            raise ValueError(f"{self.days} are no ascending days after the failure")
        if self.timing == "window" and (
            len(self.days) > WINDOW_TRIES or max(self.days, default=0) > WINDOW_DAYS
        ):
            raise ValueError(f"{self.days} are not 8 tries in 14 days at most")
        if not 1 <= self.max_tries <= caps.HARD.per_invoice:
            raise ValueError(f"{self.max_tries} charges of one invoice cannot be set")
        if self.hard_patience_days < 0:
            raise ValueError("Patience is counted in days from the failure on")

    @property
    def limits(self) -> caps.Limits:
        return caps.HARD.lowered(per_invoice=self.max_tries)


@dataclass(frozen=True)
class Plan:
    """What follows a first failure if every try fails on its day.

    :param tries: local dates
    :param person: local date on which a person takes over, None where that depends on
        the customer's answer (``person_after`` mails without one)
    :param mail: which text tells the customer now, see :class:`DeclineClass`
    """

    tries: tuple[date, ...]
    person: date | None
    mail: str
    person_after: int | None = None


@dataclass(frozen=True)
class Facts:
    """Where the collection of one invoice by its saved method stands.

    :param first_failed_at: instant in UTC of the first failed charge
    :param last_failed_at: of the latest one
    :param tries: instants of the charges after the first failure
    :param decline: class of the latest failure
    :param stop: why no try may be made, such as ``paid``, ``processing``,
        ``verifying``, ``disputed``, ``held``, ``promised``, ``person``,
        ``other_collector``, ``no_method``; None where nothing is in the way
    :param attempts: what :func:`caps.allowed_at` counts
    """

    first_failed_at: datetime
    last_failed_at: datetime
    decline: DeclineClass
    tries: tuple[datetime, ...] = ()
    stop: str | None = None
    attempts: tuple[caps.Attempt, ...] = ()
    card: object = None
    invoice: object = None
    brand: str | None = None


@dataclass(frozen=True)
class NextTry:
    """When the next charge may be sent.

    :param at: instant in UTC, ``now`` itself if it is due; None if there is none
    :param reason: why there is none (the fact that stops it, ``never``, ``exhausted``,
        a cap), else what moved it (``planned``, ``made_up``, ``advice``, ``hours``,
        a cap)
    :param person: whether a person takes over because none is left
    """

    at: datetime | None
    reason: str
    person: bool = False


# === THE PLAN === #


def plan(first_failure: date, policy: RetryPolicy, decline: DeclineClass) -> Plan:
    """Return the dated plan after a first failure, on local dates.

    Rule: billing rules, 9.6. A class may forbid or postpone a try, never add one; its
    own delays and number count only where the policy goes by class.
    """
    noon = datetime.combine(first_failure, NOON)
    slots = _get_slots(noon, first_failure, policy, decline, Window())
    earliest = (noon + decline.not_before).date()
    tries = tuple(dict.fromkeys(max(slot.date(), earliest) for slot in slots))
    return Plan(
        tries=tries,
        person=_get_person_date(first_failure, tries, policy, decline),
        mail=decline.mail,
        person_after=2 if _waits_for_mails(policy, decline) else None,
    )


def _get_person_date(first_failure, tries, policy, decline):
    if tries:
        return tries[-1]
    if _waits_for_mails(policy, decline):
        return None
    if decline.person == "at_once" or not decline.is_hard:
        return first_failure
    return first_failure + policy.hard_patience_days * _DAY


def _waits_for_mails(policy, decline):
    """Return whether a person comes after two unanswered mails.

    Authentication always; with a policy by class also a card that must be replaced.
    """
    if decline.name == "needs_customer":
        return decline.person == "after_two_mails"
    return policy.timing == "class" and decline.person in (
        "after_two_mails",
        "if_no_reply",
    )


def get_person_reason(
    policy: RetryPolicy,
    decline: DeclineClass,
    first_failure: date,
    today: date,
    unanswered_mails: int,
) -> str | None:
    """Return why a person takes over a case without any try, None if not yet.

    :param unanswered_mails: about this failure, sent before today
    """
    if decline.may_retry:
        return None
    if _waits_for_mails(policy, decline):
        return "no_answer" if unanswered_mails >= 2 else None
    due = _get_person_date(first_failure, (), policy, decline)
    return decline.name if today >= due else None


# === THE NEXT TRY === #


def next_try(
    facts: Facts,
    policy: RetryPolicy,
    now: datetime,
    window: Window,
    limits: caps.Limits | None = None,
) -> NextTry:
    """Return when the next charge may be sent, given all that happened so far.

    Rule: billing rules, 9.6. A day that was missed is made up once, now; the days after
    it keep their dates, at least 24 hours after the last failure of the card.

    :param now: instant in UTC, naive or aware; so are the instants of ``facts``
    :param limits: lower ones than the policy's, None for those of the policy
    """
    if facts.stop:
        return NextTry(None, facts.stop)
    if not facts.decline.may_retry:
        return NextTry(None, "never")
    slot = _get_slot(facts, policy, window)
    if not slot:
        return NextTry(None, "exhausted", person=True)
    limits = limits or policy.limits
    spacing = max(limits.spacing, _get_spacing(policy, facts.decline))
    found = _postpone(slot, facts, _aware(now), window, limits.lowered(spacing=spacing))
    if found.at and not now.tzinfo:
        return replace(found, at=found.at.replace(tzinfo=None))
    return found


def _postpone(slot, facts, now, window, limits):
    """Move the slot on until advice, caps and hours all allow it."""
    is_missed = window.local_date(slot) < window.local_date(now)
    reason = "made_up" if is_missed else "planned"
    at = max(slot, now)
    advised = _aware(facts.last_failed_at) + facts.decline.not_before
    if advised > at:
        reason, at = "advice", advised
    attempts = [replace(attempt, at=_aware(attempt.at)) for attempt in facts.attempts]
    while True:
        verdict = caps.allowed_at(
            attempts,
            at,
            card=facts.card,
            invoice=facts.invoice,
            brand=facts.brand,
            limits=limits,
        )
        if not verdict.allowed and verdict.not_before is None:
            return NextTry(None, verdict.reason, person=True)
        if not verdict.allowed:
            reason, at = verdict.reason, verdict.not_before
        opening = window.next_open(at)
        if opening is None:
            return NextTry(None, "hours", person=True)
        if opening > at:
            reason, at = "hours", opening
        elif verdict.allowed:
            return NextTry(at, reason)


def _get_slot(facts, policy, window):
    """Return the first planned instant that no try has used up, None if none is left.

    On fixed days a try uses up every slot up to its own local day, so that several
    missed days are made up for once.
    """
    if len(facts.tries) >= _get_most(policy, facts.decline):
        return None
    first = _aware(facts.first_failed_at)
    days = [window.local_date(instant) for instant in facts.tries]
    slots = _get_slots(
        first, window.local_date(first), policy, facts.decline, window, days
    )
    if policy.timing == "class":
        used = max(map(_aware, facts.tries), default=first)
        return next((slot for slot in slots if slot > used), None)
    used = max(days, default=window.local_date(first))
    return next((slot for slot in slots if window.local_date(slot) > used), None)


def _get_most(policy, decline):
    """Return how many tries there are at most after the first failure."""
    most = [policy.max_tries - 1]
    if decline.is_unknown:
        most.append(UNKNOWN_TRIES)
    if decline.is_restricted or decline.first_delay_bank_days:
        most.append(decline.max_tries)
    if policy.timing == "class":
        most += (decline.max_tries, CLASS_TRIES)
    else:
        most.append(len(policy.days))
    return min(most)


def _get_slots(first, day, policy, decline, window, tries=()):
    """Return the planned instants, in order: the start of a local day or a delay's end.

    :param first: instant of the first failure, aware
    :param day: its local date
    :param tries: local dates of the tries made, which pay days come after
    """
    if not decline.may_retry:
        return []
    most = _get_most(policy, decline)
    if decline.first_delay_bank_days:
        again = _add_bank_days(day, decline.first_delay_bank_days)
        return [window.start_of(again)][:most]
    if policy.timing != "class":
        return [window.start_of(day + days * _DAY) for days in policy.days[:most]]
    slots = [first + delay for delay in decline.delays]
    while decline.pay_days and len(slots) < most:
        last = max([window.local_date(slots[-1]), *tries])
        slots.append(window.start_of(_next_pay_day(last + _DAY)))
    end = first + CLASS_DAYS * _DAY
    return [slot for slot in slots[:most] if slot <= end]


def _get_spacing(policy, decline):
    """Return the least time between a failed charge of the card and the next one."""
    if policy.timing == "class" and decline.delays:
        return min(_DAY, decline.delays[0])
    return _DAY


def _next_pay_day(day):
    while day.day not in PAY_DAYS and day.weekday() != FRIDAY:
        day += _DAY
    return day


def _add_bank_days(day, count):
    while count:
        day += _DAY
        count -= day.weekday() not in BANK_WEEKEND
    return day


def _aware(instant):
    return instant if instant.tzinfo else instant.replace(tzinfo=timezone.utc)
