"""What one payer owes one company in one currency on one local day."""

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal


@dataclass(frozen=True)
class Instalment:
    """One receivable line with its own due date (billing rules, 8.2 and 9.2).

    :param key: whatever tells the caller which line it is
    :param due: local date; on that day it is not yet overdue
    :param residual: what is open of it, tax included, in the situation's currency
    :param noticed: offsets of the steps that are recorded for it, sent or skipped
    :param blocked: why nobody may be reminded of it now (``disputed``, ``promised``,
        ``held``, ``no_followup``, ``blocked``, ``retention``, ``in_flight``,
        ``bank_match`` …), None where nothing is in the way
    :param total: what it was before any payment, None where nobody asks
    :param since: day from which the customer knows of it; what a step before the due
        date would have said earlier, the invoice itself says
    :param delay: days by which a person moved its steps on when giving it back
    """

    key: object
    due: date
    residual: Decimal
    noticed: frozenset[int] = frozenset()
    blocked: str | None = None
    total: Decimal | None = None
    since: date | None = None
    delay: int = 0

    @property
    def is_open(self) -> bool:
        return self.residual > 0

    def days_late(self, today: date) -> int:
        """Return the days since the due date; negative before it."""
        return (today - self.due).days

    def days_on_ladder(self, today: date) -> int:
        """Return the lateness that the steps are compared with."""
        return self.days_late(today) - self.delay

    def get_date(self, offset: int) -> date:
        """Return the day on which the step at ``offset`` is reached."""
        return self.due + timedelta(days=offset + self.delay)


@dataclass(frozen=True)
class Situation:
    """Everything that decides whether and how this payer hears of its debts.

    :param today: local date of the account
    :param currency: code of the one currency that all amounts are in
    :param credits: what the payer has paid or was credited and is not matched yet
    :param last_message: local date of the last message in this currency
    :param bank_data_age: days since the last bank import, None where none is expected
    :param is_with_person: somebody took over; automatic messages have stopped
    """

    today: date
    currency: str
    instalments: tuple[Instalment, ...]
    credits: Decimal = Decimal(0)
    last_message: date | None = None
    bank_data_age: int | None = None
    is_with_person: bool = False

    @property
    def open_instalments(self) -> tuple[Instalment, ...]:
        """What is owed at all; an unreleased retention is not (billing rules, 5.5)."""
        return tuple(
            instalment
            for instalment in self.instalments
            if instalment.is_open and instalment.blocked != "retention"
        )

    @property
    def reminded(self) -> tuple[Instalment, ...]:
        """What a message may name, oldest first."""
        free = [item for item in self.open_instalments if not item.blocked]
        return tuple(sorted(free, key=lambda item: item.due))
