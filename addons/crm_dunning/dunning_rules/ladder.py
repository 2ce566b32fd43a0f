"""Which rung of the ladder a payer has reached, and what is done about it today."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal

from .situation import Instalment, Situation

MAIN = ("mail", "person")  # what a payer goes through one after the other
SIDE = ("activity", "hold", "letter", "retry")  # what happens besides, once each


@dataclass(frozen=True)
class Step:
    """One rung.

    :param offset: days from the due date, negative before it
    :param action: ``mail``, ``person``, ``activity``, ``hold``, ``letter``, ``retry``
    :param tone: of the text: gentle, neutral, firm
    :param key: whatever tells the caller which step it is
    """

    offset: int
    action: str = "mail"
    tone: str = "neutral"
    key: object = None

    def __post_init__(self):
        if self.action not in MAIN + SIDE:
            raise ValueError(f"A step cannot {self.action!r}")


@dataclass(frozen=True)
class Listed:
    """One instalment in a message or hand-over.

    :param offset: its own step, None before the first one
    :param is_overdue: else it stands in the section of what falls due soon
    :param is_new: its step has not been recorded for it; the caller records it
    """

    key: object
    offset: int | None
    residual: Decimal
    days_late: int
    is_overdue: bool
    is_new: bool


@dataclass(frozen=True)
class Decision:
    """What to do today, and what to write down about it.

    :param stage: offset of the step that the oldest open instalment has reached
    :param action: ``mail``, ``person`` or None
    :param step: the step whose words are used, that of the highest stage listed
    :param listed: what is overdue, and what newly reached a step before its due date
    :param upcoming: what else falls due soon; named in the message, not recorded
    :param skipped: (key, offset) of steps that are never sent any more
    :param also: (step, key) of activities, holds, letters and retries now due
    :param amount: sum of what is overdue and listed
    :param amount_upcoming: sum of what is listed and not yet overdue
    :param reason: why neither mail nor person: ``nothing_open``, ``nothing_due``,
        ``with_person``, ``threshold``, ``credit``, ``gap``, ``bank_data``, or the one
        thing that blocks everything that is open, such as ``disputed``
    """

    stage: int | None = None
    action: str | None = None
    step: Step | None = None
    listed: tuple[Listed, ...] = ()
    upcoming: tuple[Listed, ...] = ()
    skipped: tuple[tuple[object, int], ...] = ()
    also: tuple[tuple[Step, object], ...] = ()
    amount: Decimal = Decimal(0)
    amount_upcoming: Decimal = Decimal(0)
    reason: str | None = None

    @property
    def takeover(self) -> bool:
        """Whether a person gets the case now (billing rules, 9.4)."""
        return self.action == "person"

    @property
    def total(self) -> Decimal:
        """Sum of everything listed, overdue or not."""
        return self.amount + self.amount_upcoming


@dataclass(frozen=True)
class _Rung:
    """Where one instalment stands among the steps."""

    item: Instalment
    reached: Step | None
    main: Step | None
    is_due: bool
    side: tuple[Step, ...] = ()
    skipped: tuple[int, ...] = ()


def decide(
    steps: Sequence[Step],
    situation: Situation,
    *,
    threshold: Decimal = Decimal(0),
    gap_days: int = 1,
    bank_data_limit: int | None = None,
    upcoming_days: int = 0,
) -> Decision:
    """Return what is due of one payer, company and currency on one local day.

    Rule: billing rules, 9.1–9.4 (S24). Deciding twice changes nothing once the caller
    has recorded ``listed`` (where new), ``skipped`` and ``also``.

    :param threshold: overdue amount below which nothing happens; before anything is
        overdue, what the message would ask for is compared with it
    :param gap_days: least number of days between two messages
    :param bank_data_limit: age in days above which everything waits, None for no limit
    :param upcoming_days: a message also names what falls due within these days
    """
    steps = sorted(steps, key=lambda step: step.offset)
    rungs = [_stand(steps, item, situation.today) for item in situation.reminded]
    decision = _describe(steps, situation, rungs, upcoming_days)
    action = _get_action(rungs)
    touched = [rung for rung in rungs if not rung.is_due or rung.main.action == action]
    also = tuple((step, rung.item.key) for rung in touched for step in rung.side)
    if action or also:
        reason = _why_waiting(situation, decision, threshold, bank_data_limit)
        if not reason and action == "mail" and _is_too_soon(situation, gap_days):
            reason = "gap"
    else:
        reason = _why_nothing(situation)
    if reason:
        return replace(decision, listed=_mark_new(decision.listed, ()), reason=reason)
    return replace(
        decision,
        action=action,
        step=_get_words(steps, rungs, situation.today, action),
        listed=_mark_new(decision.listed, touched),
        skipped=tuple(
            (rung.item.key, days) for rung in touched for days in rung.skipped
        ),
        also=also,
        reason=None if action else "nothing_due",
    )


# === WHERE EACH INSTALMENT STANDS === #


def _passed(steps, item, today):
    """Return the steps that the instalment has reached or gone past."""
    days = item.days_on_ladder(today)
    return [
        step
        for step in steps
        if step.offset <= days
        and not (
            step.offset < 0 and item.since and item.get_date(step.offset) < item.since
        )
    ]


def _stand(steps, item, today):
    """Return where the instalment stands, and what of it is not recorded yet.

    A hold is a state, so one that was missed is made up for; everything else that was
    missed is skipped.
    """
    passed = _passed(steps, item, today)
    main = _last(passed, MAIN)
    side = {
        step
        for action in SIDE
        if (step := _last(passed, (action,))) and step.offset not in item.noticed
        if action == "hold" or step.offset >= (main.offset if main else step.offset)
    }
    side = tuple(step for step in passed if step in side)
    is_due = bool(main) and main.offset not in item.noticed
    done = {step.offset for step in side} | ({main.offset} if main else set())
    missed = {step.offset for step in passed} - item.noticed - done
    return _Rung(
        item=item,
        reached=passed[-1] if passed else None,
        main=main,
        is_due=is_due,
        side=side,
        skipped=tuple(sorted(missed)),
    )


def _last(steps, actions):
    found = [step for step in steps if step.action in actions]
    if not found:
        return None
    # On one day a person comes after a mail: then no mail is sent.
    top = found[-1].offset
    return max(
        (step for step in found if step.offset == top),
        key=lambda step: actions.index(step.action),
    )


def _get_action(rungs):
    due = {rung.main.action for rung in rungs if rung.is_due}
    return "person" if "person" in due else "mail" if due else None


def _get_words(steps, rungs, today, action):
    """Return the step that words the message: the highest that any of them reached."""
    if action == "person":
        return _highest(rung.main for rung in rungs if rung.is_due)
    if action == "mail":
        return _highest(_last(_passed(steps, r.item, today), ("mail",)) for r in rungs)
    return None


def _highest(steps):
    return max((step for step in steps if step), key=lambda step: step.offset)


def _mark_new(listed, touched):
    """Mark as new only what is recorded now: a hand-over notices nobody by mail."""
    new = {rung.item.key for rung in touched if rung.is_due}
    return tuple(replace(item, is_new=item.key in new) for item in listed)


# === WHAT IS OWED === #


def _describe(steps, situation, rungs, upcoming_days):
    """Return stage, lists and sums, whatever is done about them."""
    today = situation.today
    horizon = today + timedelta(days=upcoming_days)
    listed, upcoming = [], []
    for rung in rungs:
        entry = _list(rung, today)
        if entry.is_overdue or rung.is_due:
            listed.append(entry)
        elif rung.reached or rung.item.due <= horizon:
            upcoming.append(entry)
    return Decision(
        stage=_get_stage(steps, situation),
        listed=tuple(listed),
        upcoming=tuple(upcoming),
        amount=_sum(entry for entry in listed if entry.is_overdue),
        amount_upcoming=_sum(entry for entry in listed if not entry.is_overdue),
    )


def _list(rung, today):
    late = rung.item.days_late(today)
    return Listed(
        key=rung.item.key,
        offset=rung.main.offset if rung.main else None,
        residual=rung.item.residual,
        days_late=late,
        is_overdue=late > 0,
        is_new=rung.is_due,
    )


def _get_stage(steps, situation):
    """Return the stage of the oldest open instalment, blocked or not.

    The oldest is the one furthest on the ladder: one that a person gave back at an
    earlier step counts from there.
    """
    offsets = [
        passed[-1].offset
        for item in situation.open_instalments
        if (passed := _passed(steps, item, situation.today))
    ]
    return max(offsets, default=None)


def _sum(entries: Iterable[Listed]) -> Decimal:
    return sum((entry.residual for entry in entries), Decimal(0))


# === WHY NOT === #


def _why_nothing(situation):
    if situation.reminded or not situation.instalments:
        return "nothing_due" if situation.reminded else "nothing_open"
    blocks = {item.blocked for item in situation.instalments if item.is_open}
    if not blocks:
        return "nothing_open"
    return blocks.pop() if len(blocks) == 1 else "blocked"


def _why_waiting(situation, decision, threshold, bank_data_limit):
    """Return what holds everything of this payer, mails and hand-overs alike."""
    asked = decision.amount or decision.total
    if situation.is_with_person:
        return "with_person"
    if asked < threshold:
        return "threshold"
    if situation.credits >= asked + _sum(decision.upcoming) and situation.credits > 0:
        return "credit"
    age = situation.bank_data_age
    if bank_data_limit is not None and age is not None and age > bank_data_limit:
        return "bank_data"
    return None


def _is_too_soon(situation, gap_days):
    last = situation.last_message
    return bool(last) and (situation.today - last).days < gap_days


# === LOOKING AHEAD === #


def next_date(
    steps: Sequence[Step], situation: Situation, *, gap_days: int = 1
) -> date | None:
    """Return the day on which something may become due, at the earliest today.

    What blocks an instalment may be gone earlier than anybody can say, so a blocked one
    counts as if it were free.
    """
    today = situation.today
    days = [
        date_
        for item in situation.open_instalments
        if (date_ := _get_next_step_date(steps, item, today))
    ]
    if not days:
        return None
    earliest = max(min(days), today)
    if situation.last_message and earliest == today:
        earliest = max(today, situation.last_message + timedelta(days=gap_days))
    return earliest


def _get_next_step_date(steps, item, today):
    rung = _stand(sorted(steps, key=lambda step: step.offset), item, today)
    if rung.is_due or rung.side:
        return today
    ahead = [item.get_date(step.offset) for step in steps]
    return min((day for day in ahead if day > today), default=None)


def calendar(
    steps: Sequence[Step], due: date, closed: Callable[[date], bool] | None = None
) -> list[tuple[date, Step]]:
    """Return on which days the steps of an unpaid invoice would happen.

    A step on a closed day waits for the next open one; where two meet there, the mail
    that is overtaken is not sent (billing rules, 9.2).

    :param closed: whether no message leaves on a day, such as a Sunday
    """
    found: list[tuple[date, Step]] = []
    for step in sorted(steps, key=lambda step: step.offset):
        day = due + timedelta(days=step.offset)
        while closed and closed(day):
            day += timedelta(days=1)
        if step.action in MAIN:
            found = [
                (other, earlier)
                for other, earlier in found
                if other != day or earlier.action not in MAIN
            ]
        found.append((day, step))
    return found
