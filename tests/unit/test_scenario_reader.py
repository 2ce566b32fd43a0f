"""Scenario files: read strictly, compared as numbers, dates in the account's zone."""

import json
from datetime import date, datetime, timezone
from fractions import Fraction

import pytest

from lib import play, say
from lib.scenario import agreements, clock, compare, milestones, money, prices, reader

SCENARIO = {
    "id": "one-month",
    "description": "",
    "operation": "timeline",
    "inputs": {
        "account": {"timezone": "UTC"},
        "agreements": [{"start": "2027-01-01", "lines": [{"price": "10"}]}],
        "events": [{"type": "run", "at": "2027-01-01"}],
    },
    "expected": {"whatever": 1},
}


@pytest.fixture
def write(tmp_path):
    def write(content, name="file.json"):
        path = tmp_path / name
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path

    return write


# === READING === #


@pytest.mark.parametrize("key", [None, "scenarios", "vectors"])
def test_a_file_is_a_list_or_holds_one(write, key):
    content = {key: [SCENARIO]} if key else [SCENARIO]
    assert reader.read_files([write(content)]) == [SCENARIO]


def test_what_is_not_supported_is_skipped(write):
    skipped = {**SCENARIO, "id": "later", "supported": False}
    found = reader.read_files([write([skipped, SCENARIO])])
    assert [scenario["id"] for scenario in found] == ["one-month"]


def test_the_same_id_in_two_files_is_played_twice(write):
    files = [write([SCENARIO]), write([SCENARIO], "other.json")]
    found = reader.read_files(files)
    assert [scenario["id"] for scenario in found] == [
        "one-month",
        "one-month (other.json)",
    ]


@pytest.mark.parametrize("content", ["{", '{"a": 1}', "[1]", '[{"operation": "x"}]'])
def test_what_is_no_scenario_file_is_said(write, content):
    with pytest.raises(say.Trouble, match=r"file\.json"):
        reader.read_files([write(content)])


def test_a_missing_file_is_said(tmp_path):
    with pytest.raises(say.Trouble, match="nowhere"):
        reader.read_files([tmp_path / "nowhere.json"])


def test_a_sound_scenario_has_no_problem():
    assert reader.check(SCENARIO) is None


def changed(*path, value="x"):
    scenario = json.loads(json.dumps(SCENARIO))
    place = scenario
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return scenario


@pytest.mark.parametrize(
    ("path", "named"),
    [
        (("colour",), "unknown key colour"),
        (("inputs", "colour"), "unknown key inputs.colour"),
        (("inputs", "account", "zone"), "unknown key inputs.account.zone"),
        (
            ("inputs", "agreements", 0, "lines", 0, "pirce"),
            "unknown key inputs.agreements[0].lines[0].pirce",
        ),
        (("inputs", "events", 0, "amount"), "unknown key inputs.events[0].amount"),
        (("inputs", "events", 0, "type"), "inputs.events[0].type 'x' is unknown"),
        (("inputs", "agreements", 0, "start"), None),
        (("inputs", "agreements"), "inputs.agreements is a list"),
        (("inputs", "agreements", 0, "interval"), "interval is an object"),
        (("operation",), "operation 'x' cannot be played"),
        (("inputs",), "inputs are missing"),
    ],
)
def test_what_is_not_understood_is_named(path, named):
    problem = reader.check(changed(*path))
    assert (named in problem) if named else problem is None


@pytest.mark.parametrize(
    "path",
    [
        ("note",),
        ("inputs", "note"),
        ("inputs", "account", "note"),
        ("inputs", "agreements", 0, "lines", 0, "note"),
        ("inputs", "events", 0, "note"),
    ],
)
def test_a_note_is_a_comment_wherever_it_stands(path):
    assert reader.check(changed(*path)) is None


DUNNING = {
    "id": "limits",
    "operation": "dunning",
    "inputs": {
        "policy": [{"offset": 2, "action": "mail"}],
        "instalments": [{"id": "A", "due": "2027-02-10", "amount": "100"}],
        "runs": [{"date": "2027-02-12", "note": "a comment"}],
        "thresholds": {"EUR": "50", "USD": "60", "note": "a comment"},
    },
}


def test_names_such_as_currencies_are_free_as_keys():
    assert reader.check(DUNNING) is None


@pytest.mark.parametrize(
    ("thresholds", "named"),
    [
        ("50", "inputs.thresholds is an object with names as keys"),
        ({"EUR": ["50"]}, "inputs.thresholds.EUR is one value"),
    ],
)
def test_what_stands_under_such_a_name_is_one_value(thresholds, named):
    inputs = {**DUNNING["inputs"], "thresholds": thresholds}
    assert named in reader.check({**DUNNING, "inputs": inputs})


# === COMPARING === #


@pytest.mark.parametrize(
    ("expected", "actual"),
    [
        ("12.5", "12.50"),
        ("0.20", "1/5"),
        (2, "2.00"),
        ("-0", "0.00"),
        ("2027-01-01", "2027-01-01"),
        (None, None),
        (True, True),
        ({"a": "1"}, {"a": "1.0", "b": "free"}),
        ({"note": "a comment"}, {}),
        ([], []),
        ({"lines": [{"tax": "1"}, {}]}, {"lines": [{"tax": "1"}, {"tax": "2"}]}),
    ],
)
def test_the_same(expected, actual):
    assert compare.first_difference(expected, actual) is None


@pytest.mark.parametrize(
    ("expected", "actual", "difference"),
    [
        ({"a": "12.5"}, {"a": "12.51"}, "a: expected 12.5, got 12.51"),
        ({"a": "1/3"}, {"a": "0.3333"}, "a: expected 1/3, got 0.3333"),
        ({"a": "2027-01-01"}, {"a": "2027-01-02"}, "got 2027-01-02"),
        ({"a": "1"}, {"a": None}, "a: expected 1, got nothing"),
        ({"a": "1"}, {}, "a: expected 1, there is none"),
        ({"a": True}, {"a": 1}, "a: expected True, got 1"),
        ({"a": [1, 2]}, {"a": [1]}, "a: expected 2 entries, got 1"),
        ({"a": [1]}, {"a": [1, 2]}, "a: expected 1 entries, got 2"),
        ({"a": [1]}, {"a": "1"}, "a: expected a list, got 1"),
        ({"a": {"b": 1}}, {"a": "1"}, "a: expected an object, got 1"),
        ({"a": [{"b": [1]}]}, {"a": [{"b": [2]}]}, "a[0].b[0]: expected 1, got 2"),
        ({"notes": [{"note": "x"}]}, {"notes": [{"note": "y"}]}, "notes[0].note"),
    ],
)
def test_the_first_difference_is_named(expected, actual, difference):
    assert difference in compare.first_difference(expected, actual)


def test_an_error_is_a_failure_whatever_was_expected():
    result = {"actual": None, "error": "it broke"}
    assert play.find_difference({"id": "x"}, result) == "it broke"
    assert play.find_difference({"id": "x"}, {"actual": {}, "error": None}) is None


# === NUMBERS AND DATES === #


def test_numbers():
    assert money.exact("1/3") == Fraction(1, 3)
    assert money.exact("-12.50") == Fraction(-25, 2)
    for no_number in ("", "12,50", "2027-01-01", "1/0", None, True, "abc"):
        assert money.exact(no_number) is None
    with pytest.raises(ValueError, match="price is no number"):
        money.number("ten", "price")


def test_amounts_are_printed_with_the_digits_of_the_currency():
    assert money.text(12.5) == "12.50"
    assert money.text(8.0, 0) == "8"
    assert money.text(2.001, 3) == "2.001"
    assert money.text(-0.0) == "0.00"


def test_a_date_is_noon_at_the_account_and_an_instant_ends_in_z():
    noon = clock.to_instant("2027-07-01", "Pacific/Auckland")
    assert noon == datetime(2027, 7, 1, 0, tzinfo=timezone.utc)
    instant = clock.to_instant("2027-03-09T12:00:00Z", "Pacific/Auckland")
    assert instant == datetime(2027, 3, 9, 12, tzinfo=timezone.utc)
    assert clock.to_date("2027-03-09T12:00Z", "Pacific/Auckland") == date(2027, 3, 10)
    assert clock.to_date("2027-03-09", "Pacific/Auckland") == date(2027, 3, 9)


def test_a_bound_that_is_no_local_midnight_is_an_instant():
    day = date(2027, 11, 19)
    assert clock.show_bound(False, day, "UTC") == "2027-11-19"
    midnight = clock.naive(clock.to_instant("2027-11-18T11:00Z"))
    assert clock.show_bound(midnight, day, "Pacific/Auckland") == "2027-11-19"
    three = clock.naive(clock.to_instant("2027-11-19T15:00Z"))
    assert clock.show_bound(three, day, "UTC") == "2027-11-19T15:00:00Z"


# === TERMS === #


def test_quarters_and_half_years_are_months():
    assert agreements.read_interval({"unit": "quarter", "count": 1}) == ("month", 3)
    assert agreements.read_interval({"unit": "half_year"}) == ("month", 6)
    assert agreements.read_interval({"unit": "week", "count": 2}) == ("week", 2)
    assert agreements.read_interval(None) == ("month", 1)


def test_percentages_are_read_as_percent_or_as_share():
    for percent in ("2.5", "0.025"):
        values = prices.prepare({"kind": "percentage", "percent": percent})
        assert values["percent"] == 2.5
    tiers = [{"up_to": "10", "percent": "2"}, {"up_to": None, "percent": "0.1"}]
    values = prices.prepare({"kind": "graduated_percentage", "tiers": tiers})
    assert [tier["percent"] for _0, _1, tier in values["tier_ids"]] == [2, 0.1]


def test_an_unknown_price_model_is_named():
    with pytest.raises(ValueError, match="'staircase'"):
        prices.prepare({"kind": "staircase"})


def test_a_base_fee_with_overage_is_two_lines():
    model = {"kind": "flat_overage", "base": "20", "included": "100", "price": "0.1"}
    base, used = prices.split({"id": "L", "model": model})
    assert (base["method"], base["price"]) == ("flat", "20")
    assert used["model"] == {**model, "kind": "per_unit", "allowance": "100"}
    assert prices.split({"price": "1"}) == [{"price": "1"}]


def test_shares_without_an_end_become_whole_numbers():
    shares = [{"kind": "share", "share": share} for share in ("1/3", "1/6", "0.5")]
    phases = milestones._prepare_phases({"milestones": shares})
    assert [phase["weight"] for phase in phases] == [2, 1, 3]
