"""A policy replayed on the past: who would have got what, and on which day."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal

from . import ladder, tone
from .situation import Instalment, Situation
from .window import Window

DAY = timedelta(days=1)
# What was matched later than this after the payment is an import or a clean-up: then
# the day of the payment counts.
LATE_MATCH_DAYS = 31


def known_since(day: date, created: date) -> date:
    """Return from which day the books knew of what is dated ``day``.

    :param created: day on which it was written into the books
    """
    is_late = created > day + LATE_MATCH_DAYS * DAY
    return day if is_late else max(day, created)


@dataclass
class PastLine:
    """One receivable line as the books had it, an instalment (positive) or a credit.

    :param known: local date from which the books knew of it
    :param amount: in the currency of the line, negative for a credit
    :param rate: of that currency, in the company's
    :param blocks: ``(why nobody may be reminded of it, see :class:`Instalment`, from
        which day on, before which day)``; None for always and for still
    :param matches: ``(day it was matched, day of the money, amount)`` in the currency
        of the line; the amount is positive and lowers what is open
    """

    line_id: int
    move_id: int
    partner_id: int
    currency_id: int
    due: date
    known: date
    amount: Decimal
    rate: Decimal
    blocks: list[tuple[str, date | None, date | None]] = field(default_factory=list)
    matches: list[tuple[date, date, Decimal]] = field(default_factory=list)

    @property
    def seen_days(self) -> set[date]:
        """The days on which something was matched with the line."""
        return {seen for seen, _paid, _amount in self.matches}

    @property
    def last_paid(self) -> date:
        """The day of the last money; only asked of what is paid."""
        return max(paid for _seen, paid, _amount in self.matches)

    def get_open(self, day: date) -> Decimal:
        """Return what the books showed as open at the end of ``day``, 0 or more."""
        done = sum((amount for seen, _paid, amount in self.matches if seen <= day), 0)
        return max(abs(self.amount) - done, Decimal(0))

    def is_paid(self, day: date) -> bool:
        """Return whether all the money had come by ``day``, matched or not."""
        done = sum((amount for _seen, paid, amount in self.matches if paid <= day), 0)
        return done >= abs(self.amount)

    def get_block(self, day: date) -> str | None:
        """Return why nobody was reminded of it on ``day``, None if nothing was."""
        for reason, since, until in self.blocks:
            if (not since or since <= day) and (not until or day < until):
                return reason
        return None


@dataclass(frozen=True)
class Terms:
    """What of a policy the replay needs, for one currency."""

    steps: tuple[ladder.Step, ...]
    window: Window
    threshold: Decimal = Decimal(0)
    gap_days: int = 1
    upcoming_days: int = 0
    by_behaviour: bool = False
    charge_mode: str = "none"


@dataclass(frozen=True)
class Happening:
    """One thing that would have been done on one day.

    :param lines: what it would have been about
    :param amount: asked for, in the currency of the lines
    """

    day: date
    action: str
    lines: tuple[PastLine, ...]
    amount: Decimal
    step: ladder.Step | None = None
    tone: str | None = None


@dataclass
class Walk:
    """One payer in one currency, from day to day.

    :param lines: all that the books knew of it, see :class:`PastLine`
    :param saved_since: day from which a saved method could be charged
    """

    terms: Terms
    lines: list[PastLine]
    saved_since: date | None = None
    last_message: date | None = None
    noticed: dict = field(default_factory=dict)
    handed_over: set = field(default_factory=set)
    charged: set = field(default_factory=set)

    def __post_init__(self):
        self.by_id = {line.line_id: line for line in self.lines}
        self.debts = [line for line in self.lines if line.amount > 0]
        self.credits = [line for line in self.lines if line.amount < 0]

    def go(self, first: date, last: date) -> Iterator[Happening]:
        """Yield what would have happened from ``first`` to ``last``, both included."""
        self._start(first)
        days = self._get_days(first, last)
        while days:
            day = days.pop(0)
            yield from self._charge(day)
            decision = self._decide(day)
            yield from self._record(decision, day)
            if decision.reason == "gap":
                again = self.terms.window.first_open_day(day + DAY)
                if again and again <= last and again not in days:
                    days = sorted([*days, again])

    def _start(self, first):
        """Take the steps before the first day as done: the past is not caught up on."""
        for line in self.debts:
            done = {
                step.offset
                for step in self.terms.steps
                if line.due + step.offset * DAY < first
            }
            self.noticed[line.line_id] = done
            if any(
                step.action == "person" and step.offset in done
                for step in self.terms.steps
            ):
                self.handed_over.add(line.line_id)
            if self._get_charge_day(line) < first:
                self.charged.add(line.line_id)

    def _get_days(self, first, last):
        """Return the open days on which anything may differ from the day before."""
        days = {first}
        for line in self.lines:
            days |= {line.known, self._get_charge_day(line), *line.seen_days}
            days |= {line.due + s.offset * DAY for s in self.terms.steps}
            # What is overdue, and what is named as due soon, changes by itself.
            days |= {line.due + DAY, line.due - self.terms.upcoming_days * DAY}
            days |= {until for _reason, _since, until in line.blocks if until}
        opened = {
            self.terms.window.first_open_day(day)
            for day in days
            if first <= day <= last
        }
        return sorted(day for day in opened if day and day <= last)

    # === CHARGES === #

    def _get_charge_day(self, line):
        return line.known if self.terms.charge_mode == "posting" else line.due

    def _is_automatic(self, line, day):
        """Return whether a saved method pays the line, as was known on ``day``."""
        since = self.saved_since
        return (
            self.terms.charge_mode != "none"
            and since is not None
            and since <= day
            and since <= max(self._get_charge_day(line), line.known)
        )

    def _charge(self, day):
        """Yield the charges of the day; whether they would have failed nobody knows."""
        for line in self.debts:
            due = max(self._get_charge_day(line), line.known)
            if due > day or line.line_id in self.charged:
                continue
            if not self._is_automatic(line, day) or line.get_block(day):
                continue
            self.charged.add(line.line_id)
            if amount := line.get_open(day):
                yield Happening(day, "charge", (line,), amount)

    # === REMINDERS === #

    def _decide(self, day):
        terms = self.terms
        return ladder.decide(
            terms.steps,
            self._get_situation(day),
            threshold=terms.threshold,
            gap_days=terms.gap_days,
            upcoming_days=terms.upcoming_days,
        )

    def _get_situation(self, day):
        debts = [one for one in self.debts if one.known <= day and one.get_open(day)]
        return Situation(
            today=day,
            currency="",
            instalments=tuple(self._to_instalment(line, day) for line in debts),
            credits=sum(
                (line.get_open(day) for line in self.credits if line.known <= day),
                Decimal(0),
            ),
            last_message=self.last_message,
            is_with_person=any(
                self.by_id[key].get_open(day) for key in self.handed_over
            ),
        )

    def _to_instalment(self, line, day):
        automatic = "automatic" if self._is_automatic(line, day) else None
        return Instalment(
            key=line.line_id,
            due=line.due,
            residual=line.get_open(day),
            noticed=frozenset(self.noticed[line.line_id]),
            blocked=line.get_block(day) or automatic,
            since=line.known,
        )

    def _record(self, decision, day):
        """Yield what was decided, and remember it as the ledger of messages would."""
        listed = tuple(entry for entry in decision.listed if entry.is_new)
        for entry in listed:
            self.noticed[entry.key].add(entry.offset)
        for key, offset in decision.skipped:
            self.noticed[key].add(offset)
        if decision.action:
            shown = decision.listed if decision.action == "mail" else listed
            yield self._prepare(day, decision, shown)
        if decision.action == "mail":
            self.last_message = day
        elif decision.action == "person":
            self.handed_over.update(entry.key for entry in listed)
        yield from self._record_others(decision.also, day)

    def _prepare(self, day, decision, shown):
        lines = tuple(self.by_id[entry.key] for entry in shown)
        return Happening(
            day,
            decision.action,
            lines,
            sum((entry.residual for entry in shown), Decimal(0)),
            decision.step,
            self._get_tone(decision.step, lines, day)
            if decision.action == "mail"
            else None,
        )

    def _record_others(self, also, day):
        """Yield activities, holds, letters and tries, one a step and day."""
        by_step = {}
        for step, key in also:
            self.noticed[key].add(step.offset)
            by_step.setdefault(step, []).append(self.by_id[key])
        for step, lines in by_step.items():
            amount = sum((line.get_open(day) for line in lines), Decimal(0))
            yield Happening(day, step.action, tuple(lines), amount, step)

    def _get_tone(self, step, lines, day):
        """Return the tone of a message, by the payer's habits of these months."""
        if not self.terms.by_behaviour:
            return step.tone
        others = [line for line in self.debts if line not in lines and line.due < day]
        history = tone.PayerHistory(
            days_late=tuple(
                (line.last_paid - line.due).days for line in others if line.is_paid(day)
            ),
            overdue_before=sum(
                1
                for line in others
                if not line.is_paid(day) or line.last_paid > line.due
            ),
        )
        return tone.choose(history, step.tone).name
