"""What is open on a day, and in which column, by the rule alone."""

from collections import defaultdict
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_rules import aging

from lib.scenario import compare, reader

FOLDER = Path(__file__).resolve().parents[1] / "scenarios"
STORIES = reader.read_files([FOLDER / "aging.json"])
NAMES = {
    aging.NOT_DUE: "not_due",
    aging.RETENTION: "retention_not_due",
    "over_120": "over_120",
    aging.UNAPPLIED: "unapplied",
}
DAY = date(2027, 10, 31)

days = st.integers(-200, 200).map(lambda count: DAY + timedelta(days=count))
amounts = st.integers(1, 10**7).map(lambda cents: Decimal(cents) / 100)


# === COLUMNS === #


@pytest.mark.parametrize(
    ("days", "column"),
    [
        (-1, aging.NOT_DUE),
        (0, aging.NOT_DUE),
        (1, "1_30"),
        (30, "1_30"),
        (31, "31_60"),
        (60, "31_60"),
        (61, "61_90"),
        (90, "61_90"),
        (91, "91_120"),
        (120, "91_120"),
        (121, "over_120"),
        (36500, "over_120"),
    ],
)
def test_where_a_bucket_ends(days, column):
    assert aging.get_column(Decimal(1), days) == column


def test_what_we_owe_is_never_late():
    assert aging.get_column(Decimal(-1), 500) == aging.UNAPPLIED
    assert aging.get_column(Decimal(-1), None, retained=True) == aging.UNAPPLIED


def test_buckets_leave_no_day_out():
    for before, after in zip(aging.BUCKETS, aging.BUCKETS[1:], strict=False):
        assert after.first == before.last + 1
    assert aging.BUCKETS[0].first == 1
    assert aging.BUCKETS[-1].last is None


@given(days)
def test_due_dates_of_a_bucket_say_the_same(due):
    late = (DAY - due).days
    column = aging.get_column(Decimal(1), late)
    for bucket in aging.BUCKETS:
        first, last = bucket.get_due_dates(DAY)
        assert (due <= last and (first is None or due >= first)) == (
            bucket.key == column
        )


@pytest.mark.parametrize(
    ("released", "retained"),
    [(None, True), (DAY + timedelta(days=1), True), (DAY, False)],
)
def test_retention_until_its_release(released, retained):
    item = aging.Item("a", DAY, DAY, Decimal(5), True, released)
    assert aging.is_retained(item, DAY) is retained
    row = aging.age(item, Decimal(5), DAY)
    assert (row.column, row.days) == (
        (aging.RETENTION, None) if retained else (aging.NOT_DUE, 0)
    )


# === ANY LEDGER === #


@st.composite
def ledgers(draw):
    """Return items and matchings that never take more than is open."""
    items = [
        aging.Item(
            number,
            draw(days),
            draw(st.none() | days),
            draw(amounts) * draw(st.sampled_from([1, -1])),
        )
        for number in range(draw(st.integers(0, 12)))
    ]
    left = {item.key: item.balance for item in items}
    matchings = []
    for _number in range(draw(st.integers(0, 12))):
        debits = [key for key, amount in left.items() if amount > 0]
        credits = [key for key, amount in left.items() if amount < 0]
        if not debits or not credits:
            break
        debit, credit = draw(st.sampled_from(debits)), draw(st.sampled_from(credits))
        most = min(left[debit], -left[credit])
        amount = min(most, draw(amounts))
        left[debit] -= amount
        left[credit] += amount
        matchings.append(aging.Matching(debit, credit, amount))
    return items, matchings


@given(ledgers(), days)
def test_the_total_is_the_balance(ledger, as_of):
    items, matchings = ledger
    sums = aging.add_up(aging.replay(items, matchings, as_of))
    assert sums["total"] == sum(item.balance for item in items if item.day <= as_of)
    assert sums["overdue"] == sum(sums[bucket.key] for bucket in aging.BUCKETS)


@given(ledgers(), days, st.data())
def test_what_is_dated_later_changes_nothing(ledger, as_of, data):
    items, matchings = ledger
    rows = aging.replay(items, matchings, as_of)
    known = {item.key: item for item in items if item.day <= as_of}
    earlier = [one for one in matchings if one.debit in known and one.credit in known]
    assert aging.replay(known.values(), earlier, as_of) == rows


@given(ledgers(), days)
def test_from_what_is_open_today_backwards(ledger, as_of):
    """The report starts from now and puts back what was matched later."""
    items, matchings = ledger
    days_of = {item.key: item.day for item in items}
    residual = {item.key: item.balance for item in items}
    back = defaultdict(Decimal)
    for one in matchings:
        residual[one.debit] -= one.amount
        residual[one.credit] += one.amount
        if max(days_of[one.debit], days_of[one.credit]) > as_of:
            back[one.debit] += one.amount
            back[one.credit] -= one.amount
    open_then = {
        item.key: residual[item.key] + back[item.key]
        for item in items
        if item.day <= as_of
    }
    rows = aging.replay(items, matchings, as_of)
    assert {row.key: row.residual for row in rows} == {
        key: amount for key, amount in open_then.items() if amount
    }


# === THE STORIES === #


def play(inputs):
    """Tell a story by the rule; company amounts at the document's rate."""
    as_of = date.fromisoformat(inputs["as_of"])
    items, matchings, rates = [], [], {}
    for document in inputs["documents"]:
        told = read(document)
        items += told[0]
        matchings += told[1]
        rates |= dict.fromkeys(
            (item.key for item in told[0]), Decimal(document.get("company_rate", 1))
        )
    rows = aging.replay(items, matchings, as_of)
    booked = [
        aging.Row(row.key, row.residual * rates[row.key], row.column, row.days)
        for row in rows
    ]
    sums = aging.add_up(booked)
    return {
        "columns": {get_name(key): str(sums[key]) for key in aging.COLUMNS},
        "rows": [
            {
                "id": row.key[0],
                "days": row.days,
                "column": get_name(row.column),
                "residual": str(row.residual),
            }
            for row in sorted(rows, key=lambda row: row.key[0] is None)
        ],
        "overdue": str(sums["overdue"]),
        "total": str(sums["total"]),
    }


def read(document):
    """Return the items and matchings of a document and the money for it."""
    day = date.fromisoformat(document["date"])
    sign = -1 if document.get("kind") == "credit_note" else 1
    items, matchings = [], []
    for place, part in enumerate(document["instalments"]):
        due, released = part.get("due"), part.get("released")
        retained = part.get("kind") == "retention"
        due = released if retained else due
        items.append(
            aging.Item(
                (document["id"], place),
                day,
                due and date.fromisoformat(due),
                sign * Decimal(part["amount"]),
                retained,
                released and date.fromisoformat(released),
            )
        )
    for number, paid in enumerate(document.get("allocations") or ()):
        key = (None, document["id"], number)
        amount = Decimal(paid["amount"])
        on = date.fromisoformat(paid["date"])
        items.append(aging.Item(key, on, None, -sign * amount))
        pair = [(document["id"], paid["instalment"]), key][::sign]
        matchings.append(aging.Matching(*pair, amount))
    return items, matchings


def get_name(column):
    return NAMES.get(column) or column.replace("_", "-")


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story["id"])
def test_story(story):
    actual, expected = play(story["inputs"]), story["expected"]
    for row in expected.get("rows", ()):
        row.pop("flagged", None)
    wanted = {key: expected[key] for key in actual if key in expected}
    assert compare.first_difference(wanted, actual) is None


def test_every_story_has_its_own_name():
    names = [story["id"] for story in STORIES]
    assert len(names) == len(set(names)) >= 20
