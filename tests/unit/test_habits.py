"""How a payer usually pays, and what is suggested to the person who has the case."""

from datetime import date, timedelta
from fractions import Fraction

import pytest
from dunning_rules.habits import (
    CaseFacts,
    Habits,
    PaidInvoice,
    Suggestion,
    get_habits,
    suggest,
)

DUE = date(2027, 3, 1)  # a Monday


def paid(days_late, mails=0):
    return PaidInvoice(DUE, DUE + timedelta(days=days_late), mails)


def test_average_days_late():
    assert get_habits([paid(10), paid(-2), paid(5)]).days_late == Fraction(13, 3)


def test_a_usual_weekday_needs_more_than_half_of_three():
    assert get_habits([paid(4), paid(11), paid(1)]).weekday == 4
    assert get_habits([paid(4), paid(11)]).weekday is None
    assert get_habits([paid(4), paid(11), paid(1), paid(2)]).weekday is None


def test_share_paid_after_the_first_mail():
    habits = get_habits([paid(5, 1), paid(9, 2), paid(4, 1), paid(0)])
    assert habits.after_first_mail == Fraction(2, 3)
    assert get_habits([paid(0)]).after_first_mail is None


def test_nothing_is_known_of_a_new_payer():
    assert get_habits([]) == Habits(0, None, None, None)


SLOW = Habits(count=5, days_late=Fraction(20))


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (CaseFacts("overdue", 30), ("call", "no_answer")),
        (CaseFacts("overdue", 30, unread_replies=1), ("read_reply", "unread_reply")),
        (CaseFacts("overdue", 30, is_reachable=False), ("find_address", "unreachable")),
        (CaseFacts("dispute", 30, SLOW), ("answer_dispute", "dispute")),
        (CaseFacts("fraud", 1), ("call", "fraud")),
        (CaseFacts("declined", 1), ("ask_method", "declined")),
        (CaseFacts("overdue", 20, SLOW), ("wait", "usual_lateness")),
        (CaseFacts("overdue", 21, SLOW), ("call", "no_answer")),
        (CaseFacts("promise", 5, SLOW, broken_promises=1), ("call", "no_answer")),
        (
            CaseFacts("promise", 5, SLOW, broken_promises=2),
            ("agree_instalments", "broken_promises"),
        ),
        (CaseFacts("retries", 8, has_method=True), ("ask_method", "retries_failed")),
        (CaseFacts("overdue", 0, Habits(5, Fraction(-3))), ("call", "no_answer")),
    ],
)
def test_what_is_suggested(facts, expected):
    assert suggest(facts) == Suggestion(*expected)
