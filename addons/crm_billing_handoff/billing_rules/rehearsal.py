"""What changed between two rehearsals of the same days, and why."""

from collections.abc import Collection, Hashable, Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

USAGE = frozenset({"usage", "late_usage", "minimum"})
MILESTONES = frozenset({"milestone", "deposit", "deposit_recovery"})
CHANGES = frozenset({"credit", "charge"})


@dataclass(frozen=True)
class Expected:
    """What a rehearsal expects a line to be billed on one day.

    :param chain: the line with all that replaced it
    :param kind: of the ledger row
    :param amount: before tax, in one currency for both rehearsals
    :param factor: share of the whole period, as text
    """

    chain: Hashable
    agreement: Hashable
    kind: str
    billing_date: date
    amount: Decimal
    price: Decimal = Decimal(0)
    quantity: Decimal = Decimal(1)
    discount: Decimal = Decimal(0)
    factor: str = "1"

    @property
    def key(self) -> tuple[Hashable, date, str]:
        return self.chain, self.billing_date, self.kind


@dataclass(frozen=True)
class Situation:
    """What is known now about the lines of the earlier rehearsal.

    :param known: chains of the earlier rehearsal's book
    :param billed: keys that were really billed since then
    :param ended: chains whose service ends or has ended
    :param paused: agreements that are paused
    :param broken: agreements that cannot be billed at the moment
    """

    known: Collection[Hashable] = ()
    billed: Collection[Hashable] = ()
    ended: Collection[Hashable] = ()
    paused: Collection[Hashable] = ()
    broken: Collection[Hashable] = ()


@dataclass(frozen=True)
class Difference:
    """One line on one day that is expected differently."""

    cause: str
    chain: Hashable
    agreement: Hashable
    kind: str
    billing_date: date
    old: Decimal
    new: Decimal

    @property
    def amount(self) -> Decimal:
        return self.new - self.old


def compare(
    old: Iterable[Expected],
    new: Iterable[Expected],
    first: date,
    last: date,
    situation: Situation,
) -> list[Difference]:
    """Return what differs on the days that both rehearsals look at, oldest first.

    The differences add up to the difference of the totals on these days.

    :param first: first billing date in both, included
    :param last: last billing date in both, included
    """
    before, after = (_by_key(book, first, last) for book in (old, new))
    differences = []
    for key in sorted(before.keys() | after.keys(), key=lambda key: (key[1], str(key))):
        was, now = before.get(key, []), after.get(key, [])
        old_amount = sum((item.amount for item in was), Decimal(0))
        new_amount = sum((item.amount for item in now), Decimal(0))
        if old_amount == new_amount:
            continue
        any_item = (now or was)[0]
        differences.append(
            Difference(
                _get_cause(was, now, situation),
                any_item.chain,
                any_item.agreement,
                any_item.kind,
                any_item.billing_date,
                old_amount,
                new_amount,
            )
        )
    return differences


def _by_key(
    book: Iterable[Expected], first: date, last: date
) -> dict[tuple, list[Expected]]:
    found: dict[tuple, list[Expected]] = {}
    for item in book:
        if first <= item.billing_date <= last:
            found.setdefault(item.key, []).append(item)
    return found


def _get_cause(was: list[Expected], now: list[Expected], situation: Situation) -> str:
    item = (now or was)[0]
    if not was and item.chain not in situation.known:
        return "new"
    if not now:
        return _get_reason_of_loss(item, situation)
    if item.kind in USAGE:
        return "usage"
    if item.kind in MILESTONES:
        return "milestone"
    if item.kind in CHANGES:
        return "proration"
    if not was:
        return "proration" if item.factor != "1" else "schedule"
    for name in ("price", "quantity", "discount"):
        if {getattr(row, name) for row in was} != {getattr(row, name) for row in now}:
            return name
    return "proration"


def _get_reason_of_loss(item: Expected, situation: Situation) -> str:
    """Return why something that was expected is not any more."""
    if item.agreement in situation.broken:
        return "broken"
    if item.key in situation.billed:
        return "billed"
    if item.agreement in situation.paused:
        return "pause"
    if item.chain in situation.ended:
        return "end"
    for cause, kinds in (
        ("usage", USAGE),
        ("milestone", MILESTONES),
        ("proration", CHANGES),
    ):
        if item.kind in kinds:
            return cause
    return "schedule"
