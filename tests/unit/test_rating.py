"""Metered usage: price models agree with counting, steps come in their order."""

import json
from decimal import Decimal
from fractions import Fraction

import pytest
from billing_rules.rating import (
    KINDS,
    PriceModel,
    Tier,
    check_model,
    check_tiers,
    rate,
    to_text,
)
from hypothesis import given
from hypothesis import strategies as st

CENT, YEN = Decimal("0.01"), Decimal(1)


def number(text):
    return None if text is None else Decimal(text)


def tiers(*rows, unit="price"):
    return tuple(
        Tier(up_to=number(up_to), flat=Decimal(flat), **{unit: Decimal(price)})
        for up_to, price, flat in rows
    )


LADDER = tiers(("40", "0.90", "4.00"), ("90", "0.70", "1.50"), (None, "0.50", "0"))


def total(model, quantity=None, **options):
    quantity = number(quantity)
    return rate(model, quantity=quantity, step=CENT, **options).total


# === PRICE MODELS === #


@pytest.mark.parametrize(
    ("quantity", "graduated", "volume"),
    [
        ("0", "4.00", "4.00"),
        ("40", "40.00", "40.00"),
        ("40.5", "41.85", "29.85"),
        ("90", "76.50", "64.50"),
        ("91", "77.00", "45.50"),
    ],
)
def test_boundaries_of_a_table(quantity, graduated, volume):
    """The end of a tier belongs to it, any fraction above enters the next one."""
    assert total(PriceModel("graduated", tiers=LADDER), quantity) == Decimal(graduated)
    assert total(PriceModel("volume", tiers=LADDER), quantity) == Decimal(volume)


@pytest.mark.parametrize("kind", ["graduated", "volume"])
def test_first_flat_fee_at_zero_is_an_option(kind):
    model = PriceModel(kind, tiers=LADDER, flat_at_zero=False)
    assert total(model, "0") == 0
    assert total(model, "1") == Decimal("4.90")


@pytest.mark.parametrize(
    ("quantity", "expected"),
    [("60", "15.00"), ("61", "22.50"), ("10", "0"), ("10.01", "7.50"), ("0", "0")],
)
def test_started_packages_count(quantity, expected):
    model = PriceModel(
        "package",
        price=Decimal("7.50"),
        package_size=Decimal(25),
        allowance=Decimal(10),
    )
    assert total(model, quantity) == Decimal(expected)


@pytest.mark.parametrize(
    ("options", "events", "expected"),
    [
        ({"free_amount": Decimal(70)}, ["60", "15", "125"], "3.85"),
        ({}, ["60", "15", "125"], "5.90"),
        ({"free_amount": Decimal(70)}, ["70"], "0"),
        ({"free_events": 2}, ["60", "15", "125"], "3.43"),
        ({"free_events": 3}, ["60", "15", "125"], "0"),
        # whichever is used up first
        ({"free_events": 1, "free_amount": Decimal(70)}, ["60", "15", "125"], "4.10"),
        ({"free_events": 9, "free_amount": Decimal(70)}, ["60", "15", "125"], "3.85"),
        # a correction gives its rate back, and below the free amount nothing more
        ({"free_amount": Decimal(70)}, ["100", "-20"], "0.55"),
        ({"free_amount": Decimal(70)}, ["100", "-60"], "0.30"),
        ({"event_minimum": Decimal(2)}, ["60", "100"], "4.80"),
        ({"event_maximum": Decimal(2)}, ["60", "100"], "3.80"),
        ({"free_amount": Decimal(70), "event_minimum": Decimal(5)}, ["70", "1"], "5"),
        ({"allowance": Decimal(70)}, ["60", "15", "125"], "3.85"),
        ({}, [], "0"),
        ({}, ["10", "-30"], "0"),
    ],
)
def test_percentage_of_events(options, events, expected):
    model = PriceModel(
        "percentage",
        percent=Decimal("2.5"),
        fixed_per_event=Decimal("0.30"),
        **options,
    )
    rating = rate(model, events=map(Decimal, events), step=CENT)
    assert rating.total == Decimal(expected)


def test_a_quantity_of_money_is_one_event():
    model = PriceModel(
        "percentage", percent=Decimal(10), fixed_per_event=Decimal(1), free_events=None
    )
    assert total(model, "50") == Decimal(6)
    assert total(model, "0") == 0


def test_graduated_percentage():
    table = tiers(("1000", "3", "5"), (None, "2", "0"), unit="percent")
    model = PriceModel("graduated_percentage", tiers=table)
    assert total(model, "1500") == Decimal("45.00")


# === STEPS === #


def test_order_of_the_steps():
    model = PriceModel(
        "graduated",
        tiers=tiers(("1000", "0.05", "0"), (None, "0.04", "0")),
        allowance=Decimal(400),
        minimum=Decimal(100),
        cap=Decimal(125),
        discount=Decimal(8),
    )
    rating = rate(model, quantity=Decimal(3400), step=CENT)
    assert (rating.billable, rating.rated, rating.after_cap) == (3000, 130, 125)
    assert (rating.discount, rating.usage, rating.total) == (10, 115, 115)
    assert rating.true_up == 0 and not rating.floored
    assert rating.to_steps() == {
        "quantity": "3400",
        "allowance": "400",
        "billable": "3000",
        "rated": "130",
        "minimum": "100",
        "after_cap": "125",
        "discount": "10",
        "usage": "115.00",
        "true_up": "0.00",
        "total": "115.00",
    }


def test_minimum_is_prorated_and_shown_as_its_own_line():
    model = PriceModel(price=Decimal("0.91"), minimum=Decimal(45))
    rating = rate(
        model, quantity=Decimal(10), step=CENT, minimum_factor=Fraction(12, 31)
    )
    assert (rating.usage, rating.true_up) == (Decimal("9.10"), Decimal("8.32"))
    assert rating.total == Decimal("17.42")


def test_cap_and_allowance_are_not_prorated():
    model = PriceModel(price=Decimal(1), allowance=Decimal(10), cap=Decimal(20))
    options = {"step": CENT, "minimum_factor": Fraction(1, 2)}
    assert rate(model, quantity=Decimal(50), **options).total == 20
    assert rate(model, quantity=Decimal(15), **options).total == 5
    half = rate(model, quantity=Decimal(15), allowance_factor=Fraction(1, 2), **options)
    assert half.total == 10


def test_discount_falls_on_the_minimum_too():
    model = PriceModel(price=Decimal(1), minimum=Decimal(50), discount=Decimal(10))
    rating = rate(model, quantity=Decimal(10), step=CENT)
    assert (rating.usage, rating.true_up, rating.total) == (9, 36, 45)


def test_less_than_nothing_counts_as_nothing():
    rating = rate(PriceModel(price=Decimal(2)), quantity=Decimal(-3), step=CENT)
    assert rating.floored and rating.total == 0 and rating.quantity == -3


def test_late_units_are_the_difference_of_two_ratings():
    model = PriceModel("graduated", tiers=LADDER)
    assert total(model, "43") - total(model, "40") == Decimal("3.60")


def test_rounded_once_to_the_currency():
    model = PriceModel(price=Decimal("0.5"))
    assert rate(model, quantity=Decimal(15), step=YEN).total == 8
    assert rate(model, quantity=Decimal("8.77"), step=CENT).total == Decimal("4.39")


# === BRUTE FORCE === #

amounts = st.integers(0, 500).map(lambda n: Decimal(n) / 100)


@st.composite
def tables(draw):
    ends = draw(st.lists(st.integers(1, 60), max_size=4, unique=True).map(sorted))
    return tuple(
        Tier(up_to, price=draw(amounts), flat=draw(amounts), percent=draw(amounts))
        for up_to in [*map(Decimal, ends), None]
    )


def holding(table, unit):
    return next(tier for tier in table if tier.up_to is None or unit <= tier.up_to)


@given(table=tables(), quantity=st.integers(0, 80))
def test_graduated_agrees_with_counting_each_unit(table, quantity):
    units = [holding(table, unit) for unit in range(1, quantity + 1)]
    entered = {tier.up_to for tier in units} | {table[0].up_to}
    flats = [tier.flat for tier in table if tier.up_to in entered]
    for kind, unit in (("graduated", "price"), ("graduated_percentage", "percent")):
        share = 100 if unit == "percent" else 1
        exact = Fraction(sum(flats)) + sum(
            Fraction(getattr(tier, unit)) / share for tier in units
        )
        assert rate(
            PriceModel(kind, tiers=table), quantity=quantity, step=CENT
        ).rated == (exact)


@given(table=tables(), quantity=st.integers(0, 80))
def test_volume_prices_all_units_as_the_tier_that_holds_them(table, quantity):
    tier = holding(table, quantity)
    rating = rate(PriceModel("volume", tiers=table), quantity=quantity, step=CENT)
    assert rating.rated == quantity * tier.price + tier.flat


@st.composite
def models(draw):
    minimum = draw(amounts)
    return PriceModel(
        draw(st.sampled_from(KINDS)),
        price=draw(amounts),
        package_size=Decimal(draw(st.integers(1, 9))),
        tiers=draw(tables()),
        percent=draw(amounts),
        fixed_per_event=draw(amounts),
        free_amount=draw(st.none() | amounts),
        free_events=draw(st.none() | st.integers(0, 5)),
        allowance=Decimal(draw(st.integers(0, 20))),
        minimum=minimum,
        cap=draw(st.none() | amounts.map(lambda more: minimum + more)),
        discount=Decimal(draw(st.integers(0, 100))),
        flat_at_zero=draw(st.booleans()),
    )


@given(
    model=models(),
    quantities=st.lists(st.integers(0, 800).map(lambda n: Decimal(n) / 10), max_size=6),
    days=st.integers(1, 31),
)
def test_promises_of_every_model(model, quantities, days):
    factor = Fraction(days, 31)
    rating = rate(model, events=quantities, step=CENT, minimum_factor=factor)
    kept = 1 - Fraction(model.discount) / 100
    assert rating.true_up >= 0 and rating.usage + rating.true_up == rating.total
    assert 2 * rating.total >= 2 * Fraction(model.minimum) * factor * kept - Fraction(
        CENT
    )
    if model.cap is not None:
        assert 2 * rating.total <= 2 * Fraction(model.cap) * kept + Fraction(CENT)
    assert rating.rated == sum(part.amount for part in rating.parts)
    frozen = json.loads(json.dumps(model.to_dict()))
    assert PriceModel.from_dict(frozen) == model


@given(
    model=models().filter(lambda model: model.kind != "volume"),
    quantity=st.integers(0, 80),
    more=st.integers(0, 20),
)
def test_more_usage_never_costs_less(model, quantity, more):
    """Volume prices may fall at a boundary: that is what they are for."""
    assert total(model, quantity + more) >= total(model, quantity)


@given(
    events=st.lists(st.integers(0, 50).map(Decimal), max_size=8),
    free=st.none() | st.integers(0, 100).map(Decimal),
    fee=amounts,
)
def test_percentage_agrees_with_the_formula(events, free, fee):
    model = PriceModel(
        "percentage", percent=Decimal(10), fixed_per_event=fee, free_amount=free
    )
    rated = rate(model, events=events, step=CENT).rated
    running, paying = 0, 0
    for event in events:
        running += event
        paying += free is None or running > free
    assert rated == Fraction(max(0, running - (free or 0))) / 10 + paying * Fraction(
        fee
    )


# === BAD TABLES === #


@pytest.mark.parametrize(
    ("ends", "problems"),
    [
        ([None], []),
        (["10", "20", None], []),
        ([], [("missing", 0)]),
        (["10", "20"], [("not_open", 2)]),
        (["10", "10", None], [("not_ascending", 2)]),
        (["20", "10", None], [("not_ascending", 2)]),
        ([None, "10", None], [("open_inside", 1)]),
        (["0", None], [("not_positive", 1)]),
        (["-5", "10"], [("not_positive", 1), ("not_open", 2)]),
    ],
)
def test_bad_tables_are_told(ends, problems):
    table = [Tier(number(end)) for end in ends]
    assert check_tiers(table) == problems


@pytest.mark.parametrize(
    ("values", "problems"),
    [
        ({}, []),
        ({"kind": "volume"}, ["missing"]),
        ({"kind": "package", "package_size": Decimal(0)}, ["package_size"]),
        ({"minimum": Decimal(5), "cap": Decimal(4)}, ["minimum_above_cap"]),
        ({"minimum": Decimal(5), "cap": Decimal(5)}, []),
        (
            {"event_minimum": Decimal(5), "event_maximum": Decimal(4)},
            ["event_minimum_above_maximum"],
        ),
        ({"allowance": Decimal(-1)}, ["negative"]),
    ],
)
def test_bad_models_are_told(values, problems):
    assert [problem for problem, _tier in check_model(PriceModel(**values))] == problems


@pytest.mark.parametrize(
    ("value", "text"),
    [(Fraction(1, 8), "0.125"), (Fraction(1, 3), "1/3"), (Decimal("1E+3"), "1000")],
)
def test_numbers_are_written_exactly(value, text):
    assert to_text(value) == text
