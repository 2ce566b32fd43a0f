"""Files for other books: what is written is read again, nothing is lost or added."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_rules import books_file, books_layout

CELLS = st.text(
    st.characters(blacklist_categories=("Cs",), blacklist_characters="\x00"),
    max_size=20,
)
CENTS = st.integers(-1_000_000, 1_000_000).map(lambda cents: Decimal(cents) / 100)
CENT = Decimal("0.01")


@given(st.lists(st.lists(CELLS, min_size=2, max_size=2), max_size=6))
def test_a_file_is_read_as_it_was_written(rows):
    data = books_file.write_csv(["a", "b"], rows)
    assert books_file.read_csv(data) == (["a", "b"], rows)


@given(st.lists(st.lists(CELLS, min_size=2, max_size=2), max_size=6))
def test_the_same_rows_give_the_same_bytes(rows):
    first = books_file.write_csv(["a", "b"], rows)
    headings, again = books_file.read_csv(first)
    assert books_file.write_csv(headings, again) == first


@pytest.mark.parametrize(
    ("cell", "written"),
    [
        ("=HYPERLINK(1)", "'=HYPERLINK(1)"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("+cmd|' /C calc'!A0", "'+cmd|' /C calc'!A0"),
        ("-2+3+cmd", "'-2+3+cmd"),
        ("+49 (30) 1234-5", "+49 (30) 1234-5"),
        ("-12.50", "-12.50"),
        ("Northwind", "Northwind"),
    ],
)
def test_no_cell_runs_in_a_spreadsheet(cell, written):
    data = books_file.write_csv(["a"], [[cell]])
    assert data.decode().splitlines()[1].strip('"') == written


def test_columns_are_found_without_star_and_capitals():
    found, missing = books_file.find_columns(
        [" invoiceno ", "*Customer"], ["*InvoiceNo", "Customer", "*DueDate"]
    )
    assert found == {"*InvoiceNo": 0, "Customer": 1}
    assert missing == ["*DueDate"]


@given(
    st.lists(st.integers(1, 7), max_size=30),
    st.integers(1, 12),
    st.integers(1, 5),
)
def test_files_stay_below_the_limits_and_lose_nothing(sizes, row_limit, documents):
    given_rows = [[[str(i)]] * size for i, size in enumerate(sizes)]
    files = books_file.split_rows(given_rows, row_limit, documents)
    assert [row for rows in files for row in rows] == [
        row for rows in given_rows for row in rows
    ]
    for rows in files:
        names = {row[0] for row in rows}
        assert len(names) <= documents
        assert len(rows) <= row_limit or len(names) == 1
        for name in names:  # no document is torn apart
            assert rows.count([name]) == sizes[int(name)]


@given(CENTS, st.integers(-1000, 1000).map(lambda tenths: Decimal(tenths) / 10))
def test_quantity_times_rate_is_the_amount(amount, quantity):
    quantity, rate = books_file.split_rate(amount, quantity, CENT)
    assert (quantity * rate).quantize(CENT) == amount
    assert rate == rate.quantize(Decimal("0.00001"))


def test_a_rate_without_an_end_is_kept_when_it_gives_the_amount():
    assert books_file.split_rate(Decimal(100), Decimal(3), CENT) == (
        Decimal(3),
        Decimal("33.33333"),
    )
    # 7,000 pieces of 0.00014 are 0.98: one piece of the whole amount instead
    assert books_file.split_rate(Decimal("1.00"), Decimal(7000), CENT) == (
        Decimal(1),
        Decimal("1.00"),
    )


@given(st.lists(CENTS, min_size=1, max_size=8), CENTS)
def test_shared_parts_add_up(parts, total):
    assert sum(books_file.share_difference(parts, total)) == total


def test_the_largest_part_takes_the_cent():
    parts = [Decimal("1.00"), Decimal("-9.00"), Decimal("3.00")]
    assert books_file.share_difference(parts, Decimal("-4.99"))[1] == Decimal("-8.99")


@pytest.mark.parametrize(
    ("number", "text"),
    [("12", "12.00"), ("0.33333", "0.33333"), ("1E+3", "1000.00"), ("-5.10", "-5.10")],
)
def test_numbers_are_plain(number, text):
    assert books_file.format_decimal(Decimal(number)) == text


def test_a_checksum_hears_a_renamed_file():
    one = books_file.get_batch_checksum({"a.csv": b"1", "b.csv": b"2"})
    assert one == books_file.get_batch_checksum({"b.csv": b"2", "a.csv": b"1"})
    assert one != books_file.get_batch_checksum({"a.csv": b"2", "b.csv": b"1"})


def test_a_fingerprint_does_not_depend_on_order():
    one = books_file.get_fingerprint({"a": 1, "b": Decimal("2.50")})
    assert one == books_file.get_fingerprint({"b": Decimal("2.50"), "a": 1})
    assert one != books_file.get_fingerprint({"a": 1, "b": Decimal("2.51")})


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("Northwind Ltd", None),
        ("  ", "name_empty"),
        ("x" * 100, None),
        ("x" * 101, "name_long"),
        ("North: wind", "name_sign"),
        ('The "Shop"', "name_sign"),
        ("North\nwind", "name_sign"),
        ("@Home", "name_formula"),
        ("'-wind", "name_formula"),
        ("-5", None),
    ],
)
def test_display_names_follow_the_rules_there(name, fault):
    assert books_layout.find_name_fault(name) == fault


@pytest.mark.parametrize(
    ("number", "fault"),
    [
        ("INV/2026/00001", None),
        ("9" * 21, None),
        ("9" * 22, "number_long"),
        ("", "number_empty"),
        ("=7", "name_formula"),
    ],
)
def test_document_numbers_follow_the_rules_there(number, fault):
    assert books_layout.find_number_fault(number) == fault


def test_an_email_is_never_cut():
    assert books_layout.shorten("email", "a" * 101) == ""
    assert books_layout.shorten("company_name", "c" * 60) == "c" * 50
    assert books_layout.shorten("memo", "m" * 5000) == "m" * 5000


@pytest.mark.parametrize("kind", books_layout.LAYOUTS)
@pytest.mark.parametrize("entity", books_layout.NEEDED)
def test_shipped_layouts_carry_what_is_needed_and_no_heading_twice(kind, entity):
    columns = books_layout.LAYOUTS[kind][entity]
    headings = [column.heading.lower() for column in columns]
    assert len(headings) == len(set(headings))
    assert books_layout.NEEDED[entity] <= {column.value for column in columns}
