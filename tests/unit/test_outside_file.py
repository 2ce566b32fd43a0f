"""Lists of the books outside: columns, rows, and the words for what is wrong."""

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_rules.outside_file import (
    HEADINGS,
    MissingColumns,
    find_columns,
    find_heading,
    is_older,
    read_documents,
    read_rows,
)

HEAD = ["Id", "Type", "Num", "Customer", "Date", "Amount", "Open balance", "Status"]
PAYMENTS = ["Id", "Num", "Name", "Date", "Amount", "Applied to", "Applied amount"]


def read(*rows, head=HEAD, **options):
    return read_documents(rows, find_columns(head), **options)


def good(*rows, **options):
    documents, errors = read(*rows, **options)
    assert not errors
    return documents


def reasons(*rows, **options):
    _documents, errors = read(*rows, **options)
    return [(error.row, error.column, error.reason) for error in errors]


def invoice(**cells):
    row = {
        "Id": "77",
        "Type": "Invoice",
        "Num": "INV/1",
        "Customer": "Northwind",
        "Date": "2026-03-31",
        "Amount": "1,250.00",
        "Open balance": "",
        "Status": "",
    }
    row.update({name.replace("_", " "): text for name, text in cells.items()})
    return [row[name] for name in HEAD]


def test_a_row_is_a_document():
    (found,) = good(invoice(Open_balance="250.00"))
    assert (found.kind, found.external_id, found.number) == ("invoice", "77", "INV/1")
    assert found.date == date(2026, 3, 31)
    assert (found.amount, found.open) == (Decimal("1250.00"), Decimal("250.00"))


@pytest.mark.parametrize(
    ("form", "text", "decimal", "amount"),
    [
        ("%m/%d/%Y", "3/31/2026", ".", "1,250.00"),
        ("%d/%m/%Y", "31.03.2026", ",", "1.250,00"),
        ("%Y-%m-%d", "2026-03-31", ",", "1250"),
    ],
)
def test_dates_and_numbers_are_read_as_told(form, text, decimal, amount):
    (found,) = good(
        invoice(Date=text, Amount=amount), date_format=form, decimal=decimal
    )
    assert (found.date, found.amount) == (date(2026, 3, 31), Decimal(1250))


@pytest.mark.parametrize(
    ("status", "left"),
    [
        ("Paid", Decimal(0)),
        ("Closed", Decimal(0)),
        ("Overdue 12 days", Decimal(1250)),
        ("Unpaid", Decimal(1250)),
        ("Partially paid", None),
        ("", None),
    ],
)
def test_a_status_says_what_is_open_only_where_it_can(status, left):
    assert good(invoice(Status=status))[0].open == left


def test_credits_are_shown_with_a_minus_or_in_brackets():
    rows = [
        invoice(Id="1", Type="Credit Memo", Amount="-40.00"),
        invoice(Id="2", Type="Credit Memo", Amount="(40.00)"),
        invoice(Id="3", Type="credit note", Amount="40.00"),
    ]
    assert {(row.kind, row.amount) for row in good(*rows)} == {("credit", Decimal(40))}


@pytest.mark.parametrize(
    ("cells", "error"),
    [
        ({"Amount": ""}, ("amount", "empty")),
        ({"Amount": "12.5.0"}, ("amount", "amount")),
        ({"Amount": "1,25"}, ("amount", "amount")),
        ({"Amount": "-5"}, ("amount", "negative")),
        ({"Amount": "=1+1"}, ("amount", "amount")),
        ({"Amount": "9" * 14}, ("amount", "amount")),
        ({"Amount": "١٢"}, ("amount", "amount")),
        ({"Date": "31/03/2026"}, ("date", "date")),
        ({"Date": "2026-02-30"}, ("date", "date")),
        ({"Date": "0001-01-01"}, ("date", "date")),
        ({"Date": "2026-03-31-01"}, ("date", "date")),
        ({"Num": ""}, ("number", "empty")),
        ({"Customer": " "}, ("customer", "empty")),
        ({"Type": "Bill"}, ("kind", "kind")),
        ({"Status": "Perhaps"}, ("status", "status")),
        ({"Open_balance": "9999"}, ("open", "open")),
        ({"Num": "x" * 500}, ("number", "long")),
    ],
)
def test_what_is_not_understood_is_an_error_of_its_row(cells, error):
    assert reasons(invoice(Id="1"), invoice(**cells)) == [(3, *error)]


def test_a_payment_without_a_number_is_known_by_its_id():
    row = ["P7", "", "Northwind", "2026-03-31", "100", "INV/1", "100"]
    (found,) = good(row, head=PAYMENTS, kind="payment")
    assert (found.external_id, found.number) == ("P7", "P7")
    assert reasons(["", *row[1:]], head=PAYMENTS, kind="payment") == [
        (2, "number", "empty")
    ]


def test_equal_rows_are_one_and_others_of_one_id_are_refused():
    assert len(good(invoice(), invoice())) == 1
    assert reasons(invoice(), invoice(Amount="7")) == [(3, "external_id", "twice")]


def test_rows_of_one_payment_become_one():
    rows = [
        ["P1", "901", "Northwind", "2026-04-02", "300.00", "INV/1", "250.00"],
        ["P1", "901", "Northwind", "2026-04-02", "300.00", "INV/2", "50.00"],
    ]
    (found,) = good(*rows, head=PAYMENTS, kind="payment")
    assert found.applied == (("INV/1", Decimal(250)), ("INV/2", Decimal(50)))
    assert found.amount == Decimal(300)


def test_a_payment_is_not_applied_beyond_its_amount():
    rows = [
        ["P1", "901", "Northwind", "2026-04-02", "300.00", "INV/1", "250.00"],
        ["P1", "901", "Northwind", "2026-04-02", "300.00", "INV/2", "50.01"],
    ]
    assert reasons(*rows, head=PAYMENTS, kind="payment") == [(2, "applied", "applied")]


def test_rows_of_one_payment_agree():
    rows = [
        ["P1", "901", "Northwind", "2026-04-02", "300.00", "INV/1", "250.00"],
        ["P1", "901", "Northwind", "2026-04-03", "300.00", "INV/2", "50.00"],
    ]
    found = reasons(*rows, head=PAYMENTS, kind="payment")
    assert found == [(3, "external_id", "mixed")]


def test_without_applied_amounts_a_payment_is_the_sum_of_its_rows():
    rows = [
        ["P1", "901", "Northwind", "2026-04-02", "250.00", "INV/1"],
        ["P1", "901", "Northwind", "2026-04-02", "50.00", "INV/2"],
    ]
    (found,) = good(*rows, head=PAYMENTS[:-1], kind="payment")
    assert found.applied == (("INV/1", Decimal(250)), ("INV/2", Decimal(50)))
    assert found.amount == Decimal(300)


def test_a_payment_names_an_invoice_once():
    row = ["P1", "901", "Northwind", "2026-04-02", "250.00", "INV/1"]
    found = reasons(row, row, head=PAYMENTS[:-1], kind="payment")
    assert found == [(3, "applied_to", "twice")]


def test_titles_above_and_sums_below_are_passed_over():
    rows = [["Acme Ltd"], ["Transaction List by Customer"], HEAD, invoice()]
    place, columns = find_heading(rows)
    assert place == 2
    below = [*rows[place + 1 :], ["TOTAL", "", "", "", "", "1,250.00", "", ""]]
    documents, errors = read_documents(below, columns, first=place + 2)
    assert [row.number for row in documents] == ["INV/1"]
    assert [row.row for row in documents] == [4]
    assert not errors
    with pytest.raises(MissingColumns) as caught:
        find_heading([["Acme"], HEAD[:4], ["1", "2"]])
    assert caught.value.names == ("date", "amount")


def test_columns_are_needed_and_have_one_meaning():
    with pytest.raises(MissingColumns) as caught:
        find_columns(["Id", "Customer", "Date"])
    assert caught.value.names == ("number", "amount")
    with pytest.raises(MissingColumns) as caught:
        find_columns([*HEAD, "Invoice No"])
    assert (caught.value.reason, caught.value.names) == ("twice", ("number",))


def test_rows_are_counted_as_people_count_them():
    text = "Acme\n\n" + ",".join(HEAD) + "\n\n" + "1,Bill,x,y,2026-01-01,5,,\n"
    rows = read_rows(text, ",", 100)
    place, columns = find_heading(rows)
    _documents, errors = read_documents(rows[place + 1 :], columns, first=place + 2)
    assert [error.row for error in errors] == [5]
    assert len(read_rows("a\n" * 50, ",", 10)) == 11
    with pytest.raises(ValueError, match="limit"):
        read_rows("a" * 200_000, ",", 10)


def test_no_heading_has_two_meanings():
    words = [word for words in HEADINGS.values() for word in words]
    assert len(words) == len(set(words))


def test_versions_are_compared_as_numbers():
    assert is_older("9", "10")
    assert not is_older("10", "10")
    assert not is_older("a", "10")
    assert not is_older("", "10")


@given(st.lists(st.lists(st.text(max_size=30), max_size=9), max_size=4))
def test_rubbish_is_refused_in_words_and_never_lost(rows):
    documents, errors = read(*rows)
    assert not documents
    assert len({error.row for error in errors}) <= len(rows)
    for row in rows:
        if row and len([cell for cell in row if cell.strip()]) > 3:
            assert errors
