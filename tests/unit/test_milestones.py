"""A contract is split to the cent, and its deposit comes back to the cent."""

from decimal import Decimal

import pytest
from billing_rules.milestones import (
    Milestone,
    find_change_problem,
    find_problem,
    get_deposit,
    get_recovery,
    split_contract,
)
from billing_rules.retention import get_retention, split_due
from hypothesis import given
from hypothesis import strategies as st

CENT, YEN = Decimal("0.01"), Decimal("1")
MODES = ("pro_rata", "first", "last")


def decimals(*texts):
    return [Decimal(text) for text in texts]


def weighted(*texts):
    return [Milestone(weight=weight) for weight in decimals(*texts)]


def fixed(text, invoiced=None):
    return Milestone(fixed=Decimal(text), invoiced=invoiced and Decimal(invoiced))


def recover(deposit, amounts, mode="pro_rata", step=CENT):
    """Invoice ``amounts`` in order; return what each gives back."""
    parts, open_deposit, left = [], deposit, sum(amounts, Decimal(0))
    for amount in amounts:
        parts.append(get_recovery(open_deposit, amount, left, mode, step))
        open_deposit -= parts[-1]
        left -= amount
    return parts


# === SPLITTING === #


def test_fixed_amounts_first_then_the_weights():
    entries = [fixed("8000"), *weighted("25", "45", "30")]
    amounts, left = split_contract(Decimal(80000), entries, CENT)
    assert amounts == decimals("8000", "18000", "32400", "21600")
    assert left == 0


def test_seven_shares():
    amounts, _left = split_contract(Decimal(100), weighted(*["1"] * 7), CENT)
    assert amounts == decimals(*["14.29"] * 6, "14.26")


def test_a_currency_without_cents():
    amounts, _left = split_contract(Decimal(100), weighted("1", "1", "1"), YEN)
    assert amounts == decimals("33", "33", "34")


def test_a_contract_of_cents_has_no_negative_part():
    amounts, _left = split_contract(Decimal("0.03"), weighted(*["1"] * 5), CENT)
    assert amounts == decimals("0.01", "0.01", "0.01", "0.00", "0.00")


@pytest.mark.parametrize(
    ("contract", "entries", "shares", "problem"),
    [
        ("100", weighted("25", "45", "30"), False, None),
        ("100", weighted("33.33", "33.33", "33.33"), False, None),
        ("100", weighted("50", "49.95"), False, None),
        ("100", weighted("50", "49.94"), False, "percent"),
        ("100", weighted("50", "50.06"), False, "percent"),
        ("100", weighted("1", "1", "1"), True, None),
        ("100", weighted("1", "0"), True, "weight"),
        ("100", weighted("101", "-1"), False, "weight"),
        ("100", [fixed("-1"), *weighted("100")], False, "fixed"),
        ("100", [fixed("60"), fixed("40")], False, None),
        ("100", [fixed("60"), fixed("30")], False, "rest"),
        ("100", [fixed("60"), fixed("50")], False, "over"),
        ("100", [fixed("100.01"), *weighted("100")], False, "over"),
        ("100", [], False, "empty"),
    ],
)
def test_what_is_refused_at_confirmation(contract, entries, shares, problem):
    assert find_problem(Decimal(contract), entries, shares) == problem


# === CONTRACT CHANGES === #


def invoiced_first_two():
    return [
        fixed("8000", invoiced="8000"),
        Milestone(weight=Decimal(25), invoiced=Decimal(18000)),
        *weighted("45", "30"),
    ]


def test_a_lowered_contract_keeps_what_was_invoiced():
    amounts, left = split_contract(Decimal(74000), invoiced_first_two(), CENT)
    assert amounts == decimals("8000", "18000", "28800", "19200")
    assert left == 0


def test_a_raise_without_open_milestone_is_a_new_one():
    done = [Milestone(weight=Decimal(100), invoiced=Decimal(500))]
    assert split_contract(Decimal(600), done, CENT) == ([500], 100)
    still_fixed = [*done, fixed("50")]
    assert split_contract(Decimal(600), still_fixed, CENT) == ([500, 50], 50)


@pytest.mark.parametrize(
    ("total", "deposit", "problem"),
    [
        ("26000", "0", None),
        ("25999.99", "0", "invoiced"),
        ("34100", "8100", None),
        ("34099.99", "8100", "invoiced"),
    ],
)
def test_a_contract_cannot_fall_below_what_was_invoiced(total, deposit, problem):
    entries = invoiced_first_two()
    assert find_change_problem(Decimal(total), entries, Decimal(deposit)) == problem


def test_a_contract_cannot_fall_below_its_open_fixed_amounts():
    entries = [fixed("60"), *weighted("100")]
    assert find_change_problem(Decimal(59), entries) == "over"
    with pytest.raises(ValueError, match="below"):
        split_contract(Decimal(59), entries, CENT)


# === DEPOSIT === #


def test_a_deposit_is_an_amount_or_a_percentage():
    assert get_deposit(Decimal(80000), Decimal(15), Decimal(0), CENT) == 12000
    assert get_deposit(Decimal(80000), Decimal(0), Decimal(500), CENT) == 500
    assert get_deposit(Decimal("0.99"), Decimal(50), Decimal(0), CENT) == Decimal("0.5")
    for percent, amount in (("101", "0"), ("0", "80000.01"), ("-1", "0")):
        with pytest.raises(ValueError, match="deposit"):
            get_deposit(Decimal(80000), Decimal(percent), Decimal(amount), CENT)


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("pro_rata", ("1200", "2700", "4860", "3240")),
        ("first", ("8000", "4000", "0", "0")),
        ("last", ("0", "0", "0", "12000")),
    ],
)
def test_recovery(mode, expected):
    amounts = decimals("8000", "18000", "32400", "21600")
    assert recover(Decimal(12000), amounts, mode) == decimals(*expected)


def test_recovery_last_goes_backwards():
    parts = recover(Decimal(25000), decimals("8000", "18000", "32400", "21600"), "last")
    assert parts == decimals("0", "0", "3400", "21600")


def test_recovery_after_a_lowered_contract():
    assert recover(Decimal(8100), decimals("28800", "19200")) == decimals(
        "4860", "3240"
    )


# === RETENTION === #


@pytest.mark.parametrize(
    ("base", "retained", "due"), [("net", "900", "20880"), ("gross", "1089", "20691")]
)
def test_retention(base, retained, due):
    total = Decimal(21780)
    part = get_retention(Decimal(18000), total, Decimal(5), base, total, CENT)
    assert part == Decimal(retained)
    assert split_due([total], part, CENT) == [Decimal(due)]


def test_retention_is_at_most_what_the_invoice_asks_for():
    part = get_retention(
        Decimal(100), Decimal(110), Decimal(50), "net", Decimal(30), CENT
    )
    assert part == 30


def test_retention_comes_off_every_instalment():
    assert split_due(decimals("30", "70"), Decimal("5"), CENT) == decimals(
        "28.5", "66.5"
    )


# === WHATEVER THE NUMBERS === #

cents = st.integers(0, 10**9).map(lambda number: Decimal(number) * CENT)
weights = st.lists(st.integers(1, 10**5).map(Decimal), min_size=1, max_size=8)


@given(total=cents, weights=weights, amounts=st.lists(cents, max_size=3))
def test_parts_sum_to_the_whole(total, weights, amounts):
    entries = [Milestone(weight=weight) for weight in weights]
    entries += [Milestone(fixed=amount) for amount in amounts]
    total += sum(amounts, Decimal(0))
    parts, left = split_contract(total, entries, CENT)
    assert sum(parts) == total
    assert left == 0
    assert min(parts) >= 0


@given(
    total=cents,
    raise_by=cents,
    weights=st.lists(st.integers(1, 99).map(Decimal), min_size=2, max_size=6),
    done=st.integers(0, 6),
)
def test_a_change_keeps_what_was_invoiced(total, raise_by, weights, done):
    entries = [Milestone(weight=weight) for weight in weights]
    first, _left = split_contract(total, entries, CENT)
    entries = [
        Milestone(weight=entry.weight, invoiced=amount if at < done else None)
        for at, (entry, amount) in enumerate(zip(entries, first, strict=True))
    ]
    parts, left = split_contract(total + raise_by, entries, CENT)
    assert parts[:done] == first[:done]
    assert sum(parts) + left == total + raise_by
    assert left == 0 or done >= len(weights)


@given(
    amounts=st.lists(cents, min_size=1, max_size=8),
    percent=st.integers(0, 100),
    mode=st.sampled_from(MODES),
)
def test_a_deposit_comes_back_whole(amounts, percent, mode):
    contract = sum(amounts, Decimal(0))
    deposit = get_deposit(contract, Decimal(percent), Decimal(0), CENT)
    parts = recover(deposit, amounts, mode)
    assert sum(parts) == deposit
    pairs = list(zip(parts, amounts, strict=True))
    assert all(0 <= part <= amount for part, amount in pairs)


@given(
    instalments=st.lists(cents, min_size=1, max_size=4),
    percent=st.integers(0, 100).map(Decimal),
    base=st.sampled_from(("net", "gross")),
)
def test_retention_and_instalments_sum_to_the_invoice(instalments, percent, base):
    total = sum(instalments, Decimal(0))
    part = get_retention(total, total * 2, percent, base, total, CENT)
    assert 0 <= part <= total
    assert sum(split_due(instalments, part, CENT)) + part == total
