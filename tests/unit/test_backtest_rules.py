"""The past is replayed day by day, without looking at every day."""

from datetime import date, timedelta
from decimal import Decimal

import pytest
from dunning_rules.backtest import PastLine, Terms, Walk, known_since
from dunning_rules.ladder import Step
from dunning_rules.window import Window
from hypothesis import given
from hypothesis import strategies as st

FIRST, LAST = date(2026, 1, 1), date(2026, 6, 30)
STEPS = (
    Step(-5, "mail", "gentle", key="hello"),
    Step(2, "mail", "neutral", key="reminder"),
    Step(9, "mail", "firm", key="firm"),
    Step(14, "hold", key="hold"),
    Step(18, "person", key="person"),
)
TERMS = Terms(STEPS, Window())


def day(month, number):
    return date(2026, month, number)


def line(number=1, due=None, amount=100, known=None, matches=(), **facts):
    due = due or day(2, 10)
    return PastLine(
        line_id=number,
        move_id=number,
        partner_id=1,
        currency_id=1,
        due=due,
        known=known or due - timedelta(days=30),
        amount=Decimal(amount),
        rate=Decimal(1),
        matches=[(seen, paid, Decimal(part)) for seen, paid, part in matches],
        **facts,
    )


def replay(*lines, terms=TERMS, saved_since=None, walk=Walk):
    happenings = walk(terms, list(lines), saved_since).go(FIRST, LAST)
    return [(one.day, one.action, one.amount) for one in happenings]


# === EXAMPLES === #


def test_an_invoice_that_nobody_pays():
    assert replay(line()) == [
        (day(2, 5), "mail", 100),
        (day(2, 12), "mail", 100),
        (day(2, 19), "mail", 100),
        (day(2, 24), "hold", 100),
        (day(2, 28), "person", 100),
    ]


def test_what_is_paid_is_left_alone_from_the_day_it_is_matched():
    paid = line(matches=[(day(2, 13), day(2, 11), 100)])
    assert replay(paid) == [(day(2, 5), "mail", 100), (day(2, 12), "mail", 100)]
    assert paid.is_paid(day(2, 11))
    assert not paid.is_paid(day(2, 10))


def test_a_person_keeps_all_mails_of_the_payer_back():
    other = line(2, due=day(3, 10))
    assert replay(line(), other)[-1] == (day(2, 28), "person", 100)
    paid = line(matches=[(day(3, 15), day(3, 15), 100)])
    late = [one for one in replay(paid, other) if one[0] > day(2, 28)]
    assert late[0] == (day(3, 15), "mail", 100)


def test_a_longer_gap_moves_the_second_mail():
    terms = Terms(STEPS, Window(), gap_days=5)
    other = line(2, due=day(2, 11))
    happenings = replay(line(), other, terms=terms)
    mails = [one[0] for one in happenings if one[1] == "mail"]
    assert mails == [day(2, 5), day(2, 10), day(2, 15), day(2, 20)]


def test_a_saved_method_is_charged_once_and_nobody_is_reminded():
    terms = Terms(STEPS, Window(), charge_mode="due")
    charged = [(day(2, 10), "charge", 100)]
    assert replay(line(), terms=terms, saved_since=day(1, 15)) == charged
    # Saved too late for the due date: reminded as everybody else.
    assert replay(line(), terms=terms, saved_since=day(2, 20)) == replay(line())
    posted = Terms(STEPS, Window(), charge_mode="posting")
    assert replay(line(), terms=posted, saved_since=FIRST) == [
        (day(1, 11), "charge", 100)
    ]


def test_what_is_blocked_waits_until_it_is_free():
    disputed = line(blocks=[("disputed", day(2, 11), None)])
    assert replay(disputed) == [(day(2, 5), "mail", 100)]
    promised = line(blocks=[("promised", day(2, 11), day(2, 20))])
    assert replay(promised)[1] == (day(2, 20), "mail", 100)
    assert replay(line(blocks=[("retention", None, None)])) == []


@pytest.mark.parametrize(
    ("created", "known"),
    [
        (day(2, 1), day(2, 10)),
        (day(2, 20), day(2, 20)),
        (day(3, 13), day(3, 13)),
        (day(3, 14), day(2, 10)),
    ],
)
def test_what_was_written_down_over_a_month_later_counts_from_its_date(created, known):
    assert known_since(day(2, 10), created) == known


# === PROPERTIES === #


class EveryDay(Walk):
    """Looks at every open day, as the real run does."""

    def _get_days(self, first, last):
        days = (first + timedelta(days=n) for n in range((last - first).days + 1))
        return [one for one in days if self.terms.window.is_open_day(one)]


days = st.dates(FIRST - timedelta(days=60), LAST)
parts = st.integers(1, 100)


@st.composite
def past_lines(draw, number):
    due = draw(days)
    amount = draw(st.integers(1, 100)) * draw(st.sampled_from((1, 1, 1, -1)))
    matches = []
    left = abs(amount)
    for _match in range(draw(st.integers(0, 2))):
        if left:
            part = draw(st.integers(1, left))
            left -= part
            paid = due + timedelta(days=draw(st.integers(-10, 40)))
            seen = paid + timedelta(days=draw(st.integers(0, 9)))
            matches.append((seen, paid, part))
    facts = {}
    if draw(st.integers(0, 4)) == 0:
        start = draw(days)
        until = start + timedelta(days=draw(st.integers(1, 30)))
        facts = {"blocks": [("held", start, until)]}
    known = due - timedelta(days=draw(st.integers(0, 40)))
    return line(number, due, amount, known, matches, **facts)


books = st.integers(1, 4).flatmap(
    lambda count: st.tuples(*(past_lines(number) for number in range(count)))
)
policies = st.builds(
    Terms,
    steps=st.just(STEPS),
    window=st.sampled_from(
        (
            Window(),
            Window(weekdays=frozenset(range(5))),
            Window(weekdays=frozenset((1,)), holidays=frozenset((day(2, 3),))),
        )
    ),
    threshold=st.sampled_from((Decimal(0), Decimal(60))),
    gap_days=st.sampled_from((1, 4)),
    upcoming_days=st.sampled_from((0, 7)),
    by_behaviour=st.booleans(),
    charge_mode=st.sampled_from(("none", "due", "posting")),
)
saved = st.one_of(st.none(), days)


@given(books, policies, saved)
def test_days_that_are_not_looked_at_would_change_nothing(lines, terms, since):
    quick = replay(*lines, terms=terms, saved_since=since)
    slow = replay(*lines, terms=terms, saved_since=since, walk=EveryDay)
    assert quick == slow


@given(books, policies, saved)
def test_nobody_is_asked_for_what_the_books_show_as_paid(lines, terms, since):
    for one in Walk(terms, list(lines), since).go(FIRST, LAST):
        assert FIRST <= one.day <= LAST
        assert terms.window.is_open_day(one.day)
        assert one.amount > 0
        for owed in one.lines:
            assert owed.known <= one.day
            assert owed.get_open(one.day) > 0
            assert not owed.get_block(one.day)


@given(books, policies, saved)
def test_one_message_a_day_and_each_step_once(lines, terms, since):
    happenings = list(Walk(terms, list(lines), since).go(FIRST, LAST))
    mails = [one.day for one in happenings if one.action == "mail"]
    gaps = [(b - a).days for a, b in zip(mails, mails[1:], strict=False)]
    assert all(gap >= terms.gap_days for gap in gaps)
    charges = [one.lines[0].line_id for one in happenings if one.action == "charge"]
    assert len(charges) == len(set(charges))
