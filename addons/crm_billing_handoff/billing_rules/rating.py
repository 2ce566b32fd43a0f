"""What metered usage costs: price models, and the steps from a quantity to an amount.

Order of the steps (billing rules, 4.4): allowance → price model → minimum → cap →
discount; tax is not ours. Everything is exact until the one rounding at the end.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from decimal import Decimal
from fractions import Fraction

from .allocation import round_money

Number = int | Decimal | Fraction

TIERED = ("graduated", "volume", "graduated_percentage")
BY_EVENT = ("percentage",)
KINDS = ("per_unit", "package", *BY_EVENT, *TIERED)


@dataclass(frozen=True)
class Tier:
    """One step of a price table.

    :param up_to: last quantity that belongs to this tier; ``None``: no end
    :param price: price of a unit; ``percent`` is read instead for money, 2.5 is 2.5 %
    :param flat: fee that is due once the tier is entered
    """

    up_to: Decimal | None = None
    price: Decimal = Decimal(0)
    flat: Decimal = Decimal(0)
    percent: Decimal = Decimal(0)


@dataclass(frozen=True)
class PriceModel:
    """How a quantity is priced; percentages as people write them, 8 is 8 %.

    ``None`` means *not agreed*: no cap, no free amount, no limit an event.
    ``flat_at_zero``: the flat fee of the first tier is due without any usage.
    """

    kind: str = "per_unit"
    price: Decimal = Decimal(0)
    package_size: Decimal = Decimal(1)
    tiers: tuple[Tier, ...] = ()
    percent: Decimal = Decimal(0)
    fixed_per_event: Decimal = Decimal(0)
    free_amount: Decimal | None = None
    free_events: int | None = None
    event_minimum: Decimal | None = None
    event_maximum: Decimal | None = None
    allowance: Decimal = Decimal(0)
    minimum: Decimal = Decimal(0)
    cap: Decimal | None = None
    discount: Decimal = Decimal(0)
    flat_at_zero: bool = True

    def to_dict(self) -> dict:
        """Return a JSON value that says all of it, to be frozen beside an amount."""
        return {
            field.name: _to_json(getattr(self, field.name)) for field in fields(self)
        }

    @classmethod
    def from_dict(cls, values: dict) -> "PriceModel":
        """Return the model that :meth:`to_dict` froze."""
        tiers = tuple(
            Tier(**{name: _to_decimal(value) for name, value in tier.items()})
            for tier in values.get("tiers", ())
        )
        known = {
            name: value
            if name in ("kind", "flat_at_zero", "free_events")
            else _to_decimal(value)
            for name, value in values.items()
            if name != "tiers"
        }
        return cls(**known, tiers=tiers)


@dataclass(frozen=True)
class Part:
    """One piece of a price: a tier, the packages, or the paying events."""

    quantity: Fraction
    price: Fraction
    flat: Fraction
    amount: Fraction


@dataclass(frozen=True)
class Rating:
    """A rated quantity, step by step; exact but for the rounded amounts.

    :param rated: what the price model gives for ``quantity`` less ``allowance``
    :param minimum: the agreed minimum for this time of service
    :param after_cap: the larger of the two, at most the cap
    :param discount: what the discount takes from that
    :param usage: amount of the usage line (U), rounded
    :param true_up: what a line "minimum" adds to it (T − U), rounded
    :param total: both together (T)
    :param floored: the quantity was negative and counted as 0
    """

    quantity: Fraction
    allowance: Fraction
    billable: Fraction
    parts: tuple[Part, ...]
    rated: Fraction
    minimum: Fraction
    after_cap: Fraction
    discount: Fraction
    usage: Decimal
    true_up: Decimal
    total: Decimal
    floored: bool

    def to_steps(self) -> dict[str, str]:
        """Return each step as text, in its order, for an explanation."""
        names = ("quantity", "allowance", "billable", "rated", "minimum", "after_cap")
        steps = {name: to_text(getattr(self, name)) for name in names}
        steps["discount"] = to_text(self.discount)
        for name in ("usage", "true_up", "total"):
            steps[name] = str(getattr(self, name))
        return steps


def rate(
    model: PriceModel,
    *,
    step: Decimal,
    quantity: Number | None = None,
    events: Iterable[Number] | None = None,
    minimum_factor: Number = Fraction(1),
    allowance_factor: Number = Fraction(1),
) -> Rating:
    """Rate a quantity, or the events of a period (billing rules, 4.4 to 4.6).

    :param step: smallest amount of the currency
    :param events: amounts in order of timestamp, then arrival; only a price by event
        needs them, a ``quantity`` alone counts there as one event
    :param minimum_factor: share of the period with service, for the minimum
    :param allowance_factor: the same for the allowance, where that is agreed
    """
    amounts = None if events is None else [Fraction(amount) for amount in events]
    measured = sum(amounts, Fraction(0)) if quantity is None else Fraction(quantity)
    if amounts is None:
        amounts = [measured] if measured else []
    allowance = Fraction(model.allowance) * Fraction(allowance_factor)
    billable = max(Fraction(0), max(Fraction(0), measured) - allowance)
    if model.kind in BY_EVENT:
        parts = _rate_events(model, _above(amounts, allowance) if measured >= 0 else [])
    else:
        parts = _PRICE[model.kind](model, billable)
    rated = sum((part.amount for part in parts), Fraction(0))
    minimum = Fraction(model.minimum) * Fraction(minimum_factor)
    after_cap = _capped(model, max(minimum, rated))
    kept = 1 - Fraction(model.discount) / 100
    usage = round_money(_capped(model, rated) * kept, step)
    total = round_money(after_cap * kept, step)
    return Rating(
        quantity=measured,
        allowance=allowance,
        billable=billable,
        parts=tuple(parts),
        rated=rated,
        minimum=minimum,
        after_cap=after_cap,
        discount=after_cap - after_cap * kept,
        usage=usage,
        true_up=total - usage,
        total=total,
        floored=measured < 0,
    )


def check_tiers(tiers: Sequence[Tier]) -> list[tuple[str, int]]:
    """Return what is wrong with a price table: ``(problem, number of the tier)``.

    ``missing``: there is none; ``not_positive``: ends at 0 or below; ``not_ascending``:
    ends at or below the end of the tier before it, so that they overlap;
    ``open_inside``: has no end and is not the last; ``not_open``: the last has an end,
    so that quantities above it have no price.
    """
    if not tiers:
        return [("missing", 0)]
    problems = []
    before = None
    for number, tier in enumerate(tiers, 1):
        if tier.up_to is None:
            if number < len(tiers):
                problems.append(("open_inside", number))
            continue
        if tier.up_to <= 0:
            problems.append(("not_positive", number))
        elif before is not None and tier.up_to <= before:
            problems.append(("not_ascending", number))
        before = tier.up_to
    if tiers[-1].up_to is not None:
        problems.append(("not_open", len(tiers)))
    return problems


def check_model(model: PriceModel) -> list[tuple[str, int]]:
    """Return what is wrong with a price model, its table included (4.5, 4.6)."""
    problems = check_tiers(model.tiers) if model.kind in TIERED else []
    if model.kind == "package" and model.package_size <= 0:
        problems.append(("package_size", 0))
    if model.cap is not None and model.minimum > model.cap:
        problems.append(("minimum_above_cap", 0))
    if None not in (model.event_minimum, model.event_maximum):
        if model.event_minimum > model.event_maximum:
            problems.append(("event_minimum_above_maximum", 0))
    names = ("allowance", "minimum", "cap", "free_amount", "free_events")
    if any((getattr(model, name) or 0) < 0 for name in names):
        problems.append(("negative", 0))
    return problems


def without_minimum(model: PriceModel) -> PriceModel:
    """Return the same model without a minimum: what the usage alone costs."""
    return replace(model, minimum=Decimal(0))


# === PRICES === #


def _rate_per_unit(model, quantity):
    return [_part(quantity, model.price)]


def _rate_package(model, quantity):
    started = -(-quantity // Fraction(model.package_size))
    return [_part(Fraction(started), model.price)]


def _rate_graduated(model, quantity, unit="price"):
    """Price the units inside each tier; its flat fee is due once it is entered."""
    parts, before = [], Fraction(0)
    for number, tier in enumerate(model.tiers):
        if number and quantity <= before:
            break
        end = quantity if tier.up_to is None else min(quantity, Fraction(tier.up_to))
        price = _unit_price(tier, unit)
        parts.append(_part(end - before, price, _flat(model, tier, quantity)))
        before = end if tier.up_to is None else Fraction(tier.up_to)
    return parts


def _rate_graduated_percentage(model, quantity):
    return _rate_graduated(model, quantity, "percent")


def _rate_volume(model, quantity):
    """Price all units as the one tier says that holds the quantity."""
    tier = next(
        tier for tier in model.tiers if tier.up_to is None or quantity <= tier.up_to
    )
    return [_part(quantity, tier.price, _flat(model, tier, quantity))]


def _rate_events(model, amounts):
    """Price events of money: nothing inside the free part, then rate and fixed fee.

    A negative event corrects the sum: it gives back its rate, and no fee.
    """
    limit = None if model.free_amount is None else Fraction(model.free_amount)
    left, total, is_free = model.free_events, Fraction(0), True
    charged, fees, amount = Fraction(0), Fraction(0), Fraction(0)
    if limit is None and left is None:
        limit, is_free = Fraction(0), False
    for event in amounts:
        if is_free and event >= 0 and left is not None:
            if left <= 0:  # the free events are used up: what came so far was free
                limit, is_free = total, False
            left -= 1
        before, total = total, total + event
        if is_free and (limit is None or total <= limit):
            continue
        is_free = False
        above = max(Fraction(0), total - limit) - max(Fraction(0), before - limit)
        price, fee = _price_event(model, event, above)
        charged, fees, amount = charged + above, fees + fee, amount + price
    rate_of = Fraction(model.percent) / 100
    return [Part(charged, rate_of, fees, max(Fraction(0), amount))]


def _price_event(model, event, above):
    """Return the price of one event outside the free part, and its fee in that."""
    price = above * Fraction(model.percent) / 100
    if event < 0:
        return price, Fraction(0)
    fee = Fraction(model.fixed_per_event)
    price += fee
    if model.event_minimum is not None:
        price = max(price, Fraction(model.event_minimum))
    if model.event_maximum is not None:
        price = min(price, Fraction(model.event_maximum))
    return price, fee


_PRICE = {
    "per_unit": _rate_per_unit,
    "package": _rate_package,
    "graduated": _rate_graduated,
    "volume": _rate_volume,
    "graduated_percentage": _rate_graduated_percentage,
}


# === ARITHMETIC === #


def _part(quantity, price, flat=0):
    quantity, price, flat = Fraction(quantity), Fraction(price), Fraction(flat)
    return Part(quantity, price, flat, quantity * price + flat)


def _flat(model, tier, quantity):
    return tier.flat if quantity or model.flat_at_zero else 0


def _unit_price(tier, unit):
    return Fraction(tier.percent) / 100 if unit == "percent" else Fraction(tier.price)


def _capped(model, amount):
    return amount if model.cap is None else min(Fraction(model.cap), amount)


def _above(amounts, allowance):
    """Return what is left of the events once the allowance is used up, in order."""
    if not allowance:
        return amounts
    left, rest = allowance, []
    for amount in amounts:
        used = min(left, amount)
        left -= used
        if amount != used:
            rest.append(amount - used)
    return rest


def to_text(number: Number) -> str:
    """Write a number exactly: as a decimal where it ends, else as a fraction."""
    fraction = Fraction(number)
    rest = fraction.denominator
    for prime in (2, 5):
        while rest % prime == 0:
            rest //= prime
    if rest != 1:
        return str(fraction)
    exact = Decimal(fraction.numerator) / Decimal(fraction.denominator)
    return f"{exact:f}" if Fraction(exact) == fraction else str(fraction)


def _to_json(value):
    if isinstance(value, tuple):
        return [
            {field.name: _to_json(getattr(tier, field.name)) for field in fields(tier)}
            for tier in value
        ]
    return str(value) if isinstance(value, Decimal) else value


def _to_decimal(value):
    return None if value is None else Decimal(value)
