"""Gently to whoever is late for once, firmly to whoever always is."""

from fractions import Fraction

import pytest
from dunning_rules.tone import PayerHistory, ToneRules, choose
from hypothesis import given
from hypothesis import strategies as st


def tone(days_late=(), before=0, stage="neutral", **rules):
    found = choose(PayerHistory(tuple(days_late), before), stage, ToneRules(**rules))
    return found.name, found.reason


@pytest.mark.parametrize("stage", ["gentle", "neutral", "firm"])
def test_the_first_overdue_ever_is_told_gently_at_every_step(stage):
    assert tone(stage=stage) == ("gentle", "first_overdue")
    assert tone([-3, 0, 3], stage=stage) == ("gentle", "first_overdue")


def test_a_punctual_payer_is_told_gently():
    assert tone([0] * 9 + [40], before=1) == ("gentle", "punctual")
    assert tone([0] * 8 + [40], before=1) == ("neutral", "step")


def test_serial_late_ones_are_told_firmly():
    assert tone([10, 20, 0, 0], before=2) == ("firm", "serial_late")
    assert tone([10, 20, 0, 0, 0], before=2, stage="gentle") == ("gentle", "step")


def test_too_little_is_no_habit():
    assert tone([30, 30], before=2) == ("neutral", "step")
    assert tone([], before=1, stage="firm") == ("firm", "step")


def test_a_few_days_are_not_late():
    assert tone([3, 3, 3], before=1) == ("gentle", "punctual")
    assert tone([4, 4, 4], before=1) == ("firm", "serial_late")


def test_the_numbers_are_a_managers():
    assert tone([1, 1], before=1, tolerance_days=0, enough=2) == ("firm", "serial_late")
    assert tone([9, 0, 0], before=1, punctual_share=Fraction(1, 3))[0] == "gentle"


def test_the_reason_comes_with_its_numbers():
    facts = choose(PayerHistory((0, 10, 21, 12), 3), "neutral").facts
    assert facts == {"paid": 4, "late": 3, "median_days": 12}


def test_an_unknown_tone_of_a_step_is_refused():
    with pytest.raises(ValueError, match="'rude'"):
        tone(stage="rude")


@given(
    st.lists(st.integers(-30, 200), max_size=20),
    st.integers(0, 5),
    st.sampled_from(["gentle", "neutral", "firm"]),
)
def test_paying_later_is_never_answered_more_gently(days_late, before, stage):
    order = ("gentle", "neutral", "firm")
    name, _reason = tone(days_late, before, stage)
    later, _reason = tone([days + 10 for days in days_late], before, stage)
    if len(days_late) >= 3 or stage == "gentle":
        assert order.index(later) >= order.index(name) or name == stage
