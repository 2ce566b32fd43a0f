from datetime import date
from decimal import Decimal

import pytest
from dunning_rules import payout_file
from dunning_rules.payout_file import Movement, RowError
from hypothesis import given
from hypothesis import strategies as st

HEADING = (
    "balance_transaction_id",
    "currency",
    "gross",
    "fee",
    "net",
    "reporting_category",
    "source_id",
    "description",
    "customer_facing_amount",
    "customer_facing_currency",
    "automatic_payout_id",
    "automatic_payout_effective_at",
    "charge_id",
    "payment_intent_id",
)
COLUMNS = payout_file.find_columns(HEADING)


def row(**values):
    known = {
        "balance_transaction_id": "txn_1",
        "currency": "eur",
        "gross": "100.00",
        "fee": "1.75",
        "net": "98.25",
        "reporting_category": "charge",
        "source_id": "ch_1",
        "automatic_payout_id": "po_1",
        "automatic_payout_effective_at": "2026-11-20 00:00:00",
        "charge_id": "ch_1",
        "payment_intent_id": "pi_1",
    }
    return [{**known, **values}.get(name, "") for name in HEADING]


def read(*rows, decimal="."):
    return payout_file.read_movements(rows, COLUMNS, decimal)


def test_a_movement_as_stripe_writes_it():
    movements, errors = read(row())
    assert errors == []
    assert movements == [
        Movement(
            payout="po_1",
            arrival=date(2026, 11, 20),
            movement="txn_1",
            kind="charge",
            currency="EUR",
            gross=Decimal("100.00"),
            fee=Decimal("1.75"),
            net=Decimal("98.25"),
            source="ch_1",
            charge="ch_1",
            payment="pi_1",
        )
    ]


def test_the_payout_itself_is_no_part_of_it():
    movements, errors = read(
        row(),
        row(
            balance_transaction_id="txn_2",
            reporting_category="payout",
            gross="-98.25",
            fee="0",
            net="-98.25",
            automatic_payout_id="",
        ),
    )
    assert [movement.movement for movement in movements] == ["txn_1"]
    assert errors == []


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("charge", "charge"),
        ("payment", "charge"),
        ("Refund", "refund"),
        ("refund_failure", "refund"),
        ("dispute_reversal", "dispute"),
        ("stripe_fee", "fee"),
        ("payout", "payout"),
        ("topup", "other"),
        ("other_adjustment", "other"),
        ("", "other"),
    ],
)
def test_kinds(word, kind):
    assert payout_file.classify(word) == kind


def test_headings_of_people_will_do():
    columns = payout_file.find_columns(
        ["Payout", "payout_date", "ID", "Type", "Currency", "Amount", "Fee", "Net"]
    )
    assert payout_file.find_missing(columns) == []


def test_missing_columns_are_named():
    assert payout_file.find_missing(payout_file.find_columns(["gross", "net"])) == [
        "automatic_payout_id",
        "automatic_payout_effective_at",
        "balance_transaction_id",
        "reporting_category",
        "currency",
        "fee",
    ]


@pytest.mark.parametrize(
    ("values", "reason", "column"),
    [
        ({"gross": "x"}, "amount", "gross"),
        ({"fee": ""}, "amount", "fee"),
        ({"gross": "NaN"}, "amount", "gross"),
        ({"gross": "Infinity"}, "amount", "gross"),
        ({"net": "98.26"}, "sum", "net"),
        ({"automatic_payout_effective_at": "20.11.2026"}, "date", "arrival"),
        ({"automatic_payout_effective_at": ""}, "date", "arrival"),
        ({"automatic_payout_id": ""}, "empty", "payout"),
        ({"balance_transaction_id": ""}, "empty", "movement"),
        ({"currency": ""}, "empty", "currency"),
        ({"customer_facing_amount": "x"}, "amount", "paid_amount"),
    ],
)
def test_each_bad_row_has_its_number_and_reason(values, reason, column):
    movements, [error] = read(row(balance_transaction_id="txn_0"), row(**values))
    assert (error.row, error.reason, error.column) == (3, reason, column)
    assert [movement.movement for movement in movements] == ["txn_0"]


def test_an_id_stands_there_once():
    _movements, errors = read(row(), row(gross="50", fee="0", net="50"))
    assert errors == [RowError(3, "twice", "movement", "txn_1")]


def test_a_payout_has_one_currency_and_one_day():
    other = row(
        balance_transaction_id="txn_2",
        currency="usd",
        automatic_payout_effective_at="2026-11-21",
    )
    _movements, errors = read(row(), other)
    assert [error.column for error in errors] == ["currency", "arrival"]
    assert {error.reason for error in errors} == {"mixed"}


def test_a_short_row_is_an_error_and_no_crash():
    _movements, [error] = read(["txn_1"])
    assert error.row == 2


def test_decimal_comma():
    values = {"gross": "1000,50", "fee": "0,50", "net": "1000,00"}
    [movement], errors = read(row(**values), decimal=",")
    assert errors == []
    assert movement.gross == Decimal("1000.50")
    # Thousands are not parted: what could be read in two ways is no amount.
    assert payout_file.read_amount("1.000,50", ",") is None
    assert payout_file.read_amount("1,000.50", ".") is None


@given(
    st.decimals(-99999, 99999, places=2, allow_nan=False),
    st.decimals(0, 999, places=2, allow_nan=False),
)
def test_what_adds_up_is_read_to_the_cent(gross, fee):
    net = gross - fee
    [movement], errors = read(row(gross=str(gross), fee=str(fee), net=str(net)))
    assert errors == []
    assert (movement.gross, movement.fee, movement.net) == (gross, fee, net)


@given(st.lists(st.text(max_size=12), max_size=16))
def test_no_row_of_text_crashes(cells):
    movements, errors = read(cells)
    assert len(movements) + len(errors) <= 1
