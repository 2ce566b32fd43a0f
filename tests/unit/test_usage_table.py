"""Tables of usage: separators, encodings, numbers, headings, and formulas."""

from datetime import datetime
from decimal import Decimal

import pytest
from billing_rules.usage_event import Event, Refusal, local_day, read_event
from billing_rules.usage_table import (
    BadTable,
    decode,
    disarm,
    find_columns,
    find_separator,
    read_events,
    read_number,
    read_text,
    write_text,
)
from hypothesis import given
from hypothesis import strategies as st

instant = datetime.fromisoformat
NOW = instant("2027-01-31T12:00:00")


def events(text, **options):
    rows = read_text(text)
    return list(read_events(rows, find_columns(next(rows)), **options))


@pytest.mark.parametrize("separator", [";", ",", "\t", "|"])
def test_separators(separator):
    text = "id;at;account;value\nx;2027-01-01;C1;5\n".replace(";", separator)
    assert find_separator(text) == separator
    assert events(text) == [
        {"id": "x", "at": "2027-01-01", "account": "C1", "value": Decimal(5)}
    ]


def test_quoted_separators_and_line_ends():
    text = '"id";"at";"account";"value"\r\n"a;b";2027-01-01;"C ""1""";"1"\r\n\r\n'
    assert events(text)[0]["id"] == "a;b"
    assert events(text)[0]["account"] == 'C "1"'


def test_one_column_is_no_table():
    with pytest.raises(BadTable, match="separator"):
        find_separator("just words\n")


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252", "utf-16-le-with-mark"]
)
def test_encodings(encoding):
    text = "id;account\n1;Müller\n"
    if encoding == "utf-16-le-with-mark":
        data = b"\xff\xfe" + text.encode("utf-16-le")
    else:
        data = text.encode(encoding)
    assert decode(data) == text


def test_binary_is_no_text():
    with pytest.raises(BadTable, match="encoding"):
        decode(b"PK\x03\x04\x00\x00")


@pytest.mark.parametrize(
    ("text", "decimal", "number"),
    [
        ("1.5", ".", "1.5"),
        ("1,5", ",", "1.5"),
        ("1,234.5", ".", "1234.5"),
        ("1.234,5", ",", "1234.5"),
        ("1 234,5", ",", "1234.5"),
        ("-3", ".", "-3"),
        ("1'000", ".", "1000"),
    ],
)
def test_numbers(text, decimal, number):
    assert read_number(text, decimal) == Decimal(number)


@pytest.mark.parametrize(
    ("text", "decimal"), [("1,5", "."), ("1.5", ","), ("12,34,5", "."), ("x", ".")]
)
def test_what_is_no_number_is_left_to_be_refused(text, decimal):
    assert read_number(text, decimal) == text


@given(st.decimals(-(10**9), 10**9, places=3), st.sampled_from(".,"))
def test_numbers_come_back(number, decimal):
    assert read_number(f"{number:f}".replace(".", decimal), decimal) == number


@pytest.mark.parametrize(
    ("heading", "reason"),
    [
        (["id", "at", "value"], "missing"),
        (["id", "account", "value"], "missing"),
        (["at", "account"], "missing"),
        (["at", "date", "account", "value"], "twice"),
    ],
)
def test_bad_headings(heading, reason):
    with pytest.raises(BadTable, match=reason):
        find_columns(heading)


def test_other_columns_are_properties():
    text = "At;Customer;Quantity;Region\n2027-01-01;C1;5;EU\n"
    assert events(text)[0]["properties"] == {"region": "EU"}


def test_rows_without_id_get_one_from_their_content():
    text = "at;account;value\n2027-01-01;C1;5\n2027-01-01;C1;5\n2027-01-02;C1;5\n"
    first, again = events(text), events(text)
    assert first == again
    assert len({event["id"] for event in first}) == 3


@pytest.mark.parametrize(
    "text", ["=1+1", "@x", "+x", "-x", "\tx", "=cmd|' /C calc'!A0"]
)
def test_formulas_are_disarmed_in_and_out(text):
    assert disarm(text) == f"'{text}"
    table = f'id;at;account;value\n"{text}";2027-01-01;C1;5\n'
    assert not events(table)[0]["id"].startswith(("=", "@", "+", "-"))
    assert write_text([[text]]).lstrip('"').startswith("'")


@pytest.mark.parametrize("text", ["+32470", "-5", "C=1", ""])
def test_harmless_texts_stay(text):
    assert disarm(text) == text


# === EVENTS === #

EVENT = {"id": "x", "meter": "m", "account": "a", "at": "2027-01-01", "value": 1}


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ("2027-01-10T10:00:00Z", instant("2027-01-10T10:00:00")),
        ("2027-01-10 10:00", instant("2027-01-10T10:00:00")),
        ("2027-01-10T10:00:00+02:00", instant("2027-01-10T08:00:00")),
        ("2027-01-10T10:00:00-0330", instant("2027-01-10T13:30:00")),
        ("2027-01-10T10:00:00.123456789Z", instant("2027-01-10T10:00:00.123456")),
    ],
)
def test_times(at, expected):
    assert read_event({**EVENT, "at": at}, NOW).at == expected


def test_more_than_one_day_ahead_is_the_future():
    assert read_event({**EVENT, "at": "2027-02-01T12:00:00Z"}, NOW).at
    refusal = read_event({**EVENT, "at": "2027-02-01T12:00:00.1Z"}, NOW)
    assert refusal == Refusal("future", "2027-02-01T12:00:00.1Z")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.1 + 0.2, "0.3"),
        ("2.50", "2.5"),
        (-3, "-3"),
        ("1e3", "1000"),
        (0.0000005, "1e-6"),
    ],
)
def test_values_are_kept_to_six_digits(value, expected):
    assert read_event({**EVENT, "value": value}, NOW).value == Decimal(expected)


def test_the_same_event_is_equal_however_it_is_written():
    one = read_event({**EVENT, "properties": {"a": 1, "b": 2}, "value": "1.0"}, NOW)
    two = read_event({**EVENT, "properties": {"b": 2, "a": 1}, "value": 1}, NOW)
    assert one == two


def test_local_day():
    late = instant("2027-01-09T11:30:00")
    assert str(local_day(late, "Pacific/Auckland")) == "2027-01-10"
    assert str(local_day(late, "America/Los_Angeles")) == "2027-01-09"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner),
    max_leaves=6,
)


@given(
    st.dictionaries(
        st.sampled_from(["id", "meter", "account", "at", "value", "properties", "x"]),
        json_values,
    )
    | json_values
)
def test_whatever_is_sent_gets_an_answer(raw):
    assert isinstance(read_event(raw, NOW), Event | Refusal)
