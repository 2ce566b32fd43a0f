"""One message at the right stage, none twice, none that nobody owes (S24)."""

from datetime import date, timedelta
from decimal import Decimal

import pytest
from dunning_rules.ladder import Step, calendar, decide, next_date
from dunning_rules.situation import Instalment, Situation
from hypothesis import given
from hypothesis import strategies as st

DUE = date(2027, 2, 10)
DEFAULT = (
    Step(-5, "mail", "gentle"),
    Step(2, "mail", "neutral"),
    Step(9, "mail", "firm"),
    Step(18, "person"),
)


def owed(key="A", due=DUE, residual="100", noticed=(), **facts):
    return Instalment(key, due, Decimal(residual), frozenset(noticed), **facts)


def situation(today, *instalments, **facts):
    day = today if isinstance(today, date) else DUE + timedelta(days=today)
    return Situation(day, "EUR", instalments or (owed(),), **facts)


def keys(entries):
    return [entry.key for entry in entries]


class Ledger:
    """Plays a policy day by day, and remembers as the models do."""

    def __init__(self, *instalments, steps=DEFAULT, **options):
        self.owed = {item.key: item for item in instalments}
        self.steps, self.options = steps, options
        self.noticed = {item.key: set() for item in instalments}
        self.last_message, self.with_person = None, False
        self.sent = []

    def look(self, today, **facts):
        instalments = tuple(
            Instalment(
                item.key,
                item.due,
                item.residual,
                frozenset(self.noticed[item.key]),
                item.blocked,
            )
            for item in self.owed.values()
        )
        return Situation(
            today,
            "EUR",
            instalments,
            last_message=self.last_message,
            is_with_person=self.with_person,
            **facts,
        )

    def run(self, today, **facts):
        decision = decide(self.steps, self.look(today, **facts), **self.options)
        for entry in decision.listed:
            if entry.is_new:
                assert entry.offset not in self.noticed[entry.key], "noticed twice"
                self.noticed[entry.key].add(entry.offset)
        for key, offset in decision.skipped:
            assert offset not in self.noticed[key], "skipped what is recorded"
            self.noticed[key].add(offset)
        for step, key in decision.also:
            self.noticed[key].add(step.offset)
        if decision.action == "mail":
            self.last_message = today
        self.with_person |= decision.takeover
        if decision.action:
            self.sent.append((today, decision.action, decision.step.offset))
        return decision

    def run_days(self, first, last):
        day = first
        while day <= last:
            self.run(day)
            day += timedelta(days=1)
        return self.sent

    def pay(self, key, left="0"):
        item = self.owed[key]
        self.owed[key] = Instalment(key, item.due, Decimal(left))


# === THE PRINTED EXAMPLE === #


def test_the_default_policy_over_an_unpaid_invoice():
    assert Ledger(owed()).run_days(date(2027, 1, 1), date(2027, 4, 1)) == [
        (date(2027, 2, 5), "mail", -5),
        (date(2027, 2, 12), "mail", 2),
        (date(2027, 2, 19), "mail", 9),
        (date(2027, 2, 28), "person", 18),
    ]


def test_after_an_outage_only_the_highest_goes_out():
    ledger = Ledger(owed())
    ledger.run_days(date(2027, 2, 1), date(2027, 2, 5))
    assert ledger.run_days(date(2027, 2, 21), date(2027, 2, 27)) == [
        (date(2027, 2, 5), "mail", -5),
        (date(2027, 2, 21), "mail", 9),
    ]
    assert ledger.noticed == {"A": {-5, 2, 9}}, "the missed step is recorded"


def test_an_outage_over_everything_ends_with_the_person():
    ledger = Ledger(owed())
    decision = ledger.run(DUE + timedelta(days=40))
    assert decision.takeover
    assert decision.skipped == (("A", -5), ("A", 2), ("A", 9))
    assert [offset for _day, _action, offset in ledger.sent] == [18]


# === STAGE === #


@pytest.mark.parametrize(
    ("days", "stage"),
    [(-6, None), (-5, -5), (0, -5), (1, -5), (2, 2), (8, 2), (9, 9), (17, 9), (18, 18)],
)
def test_the_stage_is_the_last_step_reached(days, stage):
    assert decide(DEFAULT, situation(days)).stage == stage


def test_the_stage_is_that_of_the_oldest_open_one():
    old, new = owed("old"), owed("new", DUE + timedelta(days=7))
    both = decide(DEFAULT, situation(9, old, new))
    assert (both.stage, both.step.offset) == (9, 9)
    paid = owed("old", residual="0")
    assert decide(DEFAULT, situation(9, paid, new)).stage == 2


def test_it_falls_back_and_no_step_is_skipped_because_the_oldest_was_paid():
    ledger = Ledger(owed("old"), owed("new", DUE + timedelta(days=7)))
    ledger.run_days(DUE - timedelta(days=10), DUE + timedelta(days=9))
    assert ledger.sent[-1] == (DUE + timedelta(days=9), "mail", 9)
    ledger.pay("old")
    ledger.run_days(DUE + timedelta(days=10), DUE + timedelta(days=25))
    assert ledger.sent[-2:] == [
        (DUE + timedelta(days=16), "mail", 9),
        (DUE + timedelta(days=25), "person", 18),
    ]


def test_the_stage_never_jumps_ahead_of_the_lateness():
    ledger = Ledger(owed(), steps=(Step(0), Step(1), Step(2)))
    for hour in range(5):
        ledger.run(DUE)
        assert len(ledger.sent) == 1, hour


def test_a_disputed_oldest_one_still_gives_the_stage_but_not_the_words():
    old, new = owed("old", blocked="disputed"), owed("new", DUE + timedelta(days=7))
    decision = decide(DEFAULT, situation(9, old, new))
    assert decision.stage == 9
    assert decision.step.offset == 2
    assert keys(decision.listed) == ["new"]


# === ONE MESSAGE, EVERYTHING IN IT === #


def test_one_message_lists_everything_overdue_with_open_amounts():
    a = owed("A", residual="40.50", noticed=[-5, 2])
    b = owed("B", DUE + timedelta(days=7), "60", noticed=[-5])
    c = owed("C", DUE + timedelta(days=8), "7")
    decision = decide(DEFAULT, situation(9, a, b, c))
    assert decision.action == "mail"
    assert [(entry.key, entry.offset) for entry in decision.listed] == [
        ("A", 9),
        ("B", 2),
        ("C", -5),
    ]
    assert decision.amount == Decimal("107.50")
    assert decision.step.offset == 9


def test_what_was_noticed_is_listed_again_but_not_recorded_again():
    a = owed("A", noticed=[-5, 2])
    b = owed("B", DUE - timedelta(days=-1), noticed=[-5])
    decision = decide(DEFAULT, situation(3, a, b))
    assert [(entry.key, entry.is_new) for entry in decision.listed] == [
        ("A", False),
        ("B", True),
    ]


def test_what_falls_due_soon_stands_by_itself():
    late = owed("late", noticed=[-5])
    first = owed("first", DUE + timedelta(days=6))  # reaches −5 only tomorrow
    second = owed("second", DUE + timedelta(days=7), noticed=[-5])
    third = owed("third", DUE + timedelta(days=30))
    decision = decide(
        DEFAULT, situation(2, late, first, second, third), upcoming_days=7
    )
    assert keys(decision.listed) == ["late", "first"]
    assert [entry.is_overdue for entry in decision.listed] == [True, False]
    assert keys(decision.upcoming) == ["second"]
    assert decision.amount == 100
    assert decision.amount_upcoming == 100
    assert decision.total == 200


def test_on_its_due_date_nothing_is_overdue():
    decision = decide((Step(0),), situation(0))
    assert decision.action == "mail"
    assert decision.amount == 0
    assert decision.amount_upcoming == 100


def test_before_any_step_an_overdue_one_is_listed_without_a_step():
    a, b = owed("A"), owed("B", DUE + timedelta(days=1))
    decision = decide((Step(2),), situation(2, a, b))
    assert [(entry.key, entry.offset) for entry in decision.listed] == [
        ("A", 2),
        ("B", None),
    ]
    assert decision.amount == 200


def test_one_message_a_day_and_a_longer_gap_where_asked():
    today = situation(2, last_message=DUE + timedelta(days=2))
    assert decide(DEFAULT, today).reason == "gap"
    yesterday = situation(2, last_message=DUE + timedelta(days=1))
    assert decide(DEFAULT, yesterday).action == "mail"
    assert decide(DEFAULT, yesterday, gap_days=3).reason == "gap"
    assert decide(DEFAULT, situation(4, last_message=DUE), gap_days=3).action == "mail"


def test_a_clock_that_was_set_back_sends_nothing():
    ahead = situation(2, last_message=DUE + timedelta(days=30))
    assert decide(DEFAULT, ahead).reason == "gap"


def test_the_gap_does_not_hold_up_the_person():
    assert decide(
        DEFAULT, situation(18, last_message=DUE + timedelta(days=18))
    ).takeover


# === NOT REMINDED === #


@pytest.mark.parametrize(
    "reason",
    [
        "disputed",
        "promised",
        "held",
        "no_followup",
        "blocked",
        "retention",
        "in_flight",
        "bank_match",
    ],
)
def test_what_is_blocked_is_neither_reminded_nor_listed(reason):
    blocked = owed("A", blocked=reason)
    alone = decide(DEFAULT, situation(9, blocked))
    assert (alone.action, alone.reason, alone.listed) == (None, reason, ())
    beside = decide(DEFAULT, situation(9, blocked, owed("B")))
    assert keys(beside.listed) == ["B"]
    assert beside.amount == 100


def test_the_steps_of_a_blocked_one_are_not_used_up():
    ledger = Ledger(owed("A", blocked="in_flight"))
    ledger.run(DUE + timedelta(days=2))
    ledger.owed["A"] = owed("A")
    assert ledger.run(DUE + timedelta(days=5)).step.offset == 2


def test_nothing_open_is_nothing_to_do():
    for amount in ("0", "-20"):
        decision = decide(DEFAULT, situation(9, owed(residual=amount)))
        assert (decision.stage, decision.reason) == (None, "nothing_open")
    assert decide(DEFAULT, Situation(DUE, "EUR", ())).reason == "nothing_open"


def test_an_unreleased_retention_gives_no_stage():
    assert decide(DEFAULT, situation(9, owed(blocked="retention"))).stage is None


def test_a_small_debt_waits_until_it_has_grown():
    small = owed("A", residual="19.99")
    limit = {"threshold": Decimal(20)}
    assert decide(DEFAULT, situation(2, small), **limit).reason == "threshold"
    assert decide(DEFAULT, situation(18, small), **limit).reason == "threshold"
    exact = owed("A", residual="20")
    assert decide(DEFAULT, situation(2, exact), **limit).action == "mail"
    more = owed("B", DUE + timedelta(days=1), "0.01")
    decision = decide(DEFAULT, situation(3, small, more), **limit)
    assert decision.amount == Decimal("20.00")
    assert decision.action == "mail"


def test_the_threshold_does_not_count_what_is_not_overdue():
    late = owed("late", residual="5")
    soon = owed("soon", DUE + timedelta(days=4), "500", noticed=[-5])
    decision = decide(DEFAULT, situation(2, late, soon), threshold=Decimal(20))
    assert decision.reason == "threshold"


def test_old_bank_data_hold_everything():
    for days in (2, 18):
        old = situation(days, bank_data_age=4)
        assert decide(DEFAULT, old, bank_data_limit=3).reason == "bank_data"
        assert decide(DEFAULT, old, bank_data_limit=4).action
        assert decide(DEFAULT, old).action
    assert decide(DEFAULT, situation(2), bank_data_limit=3).action == "mail"


def test_old_bank_data_matter_only_where_something_is_due():
    quiet = situation(3, owed(noticed=[-5, 2]), bank_data_age=9)
    assert decide(DEFAULT, quiet, bank_data_limit=3).reason == "nothing_due"


def test_a_credit_that_covers_all_stops_the_message():
    assert decide(DEFAULT, situation(2, credits=Decimal(100))).reason == "credit"
    assert decide(DEFAULT, situation(2, credits=Decimal("99.99"))).action == "mail"


def test_with_a_person_the_machine_is_silent():
    assert decide(DEFAULT, situation(9, is_with_person=True)).reason == "with_person"


def test_what_waits_is_not_recorded():
    for decision in (
        decide(DEFAULT, situation(9), threshold=Decimal(1000)),
        decide(DEFAULT, situation(9, bank_data_age=9), bank_data_limit=3),
        decide(DEFAULT, situation(9, is_with_person=True)),
        decide(DEFAULT, situation(9, last_message=DUE + timedelta(days=9))),
    ):
        assert not decision.skipped
        assert not decision.also
        assert not any(entry.is_new for entry in decision.listed)


# === PERSON AND GIVING BACK === #


def test_a_hand_over_notices_nobody_by_mail():
    old, new = owed("old", noticed=[-5, 2, 9]), owed("new", DUE + timedelta(days=16))
    decision = decide(DEFAULT, situation(18, old, new))
    assert decision.takeover
    assert [(entry.key, entry.is_new) for entry in decision.listed] == [
        ("old", True),
        ("new", False),
    ]
    assert decision.amount == 200


def test_given_back_it_goes_on_from_that_step():
    later = Step(30, "mail", "firm")
    back = owed(noticed=[-5, 2, 9, 18])
    assert decide((*DEFAULT, later), situation(29, back)).reason == "nothing_due"
    assert decide((*DEFAULT, later), situation(30, back)).step == later


def test_given_back_at_an_earlier_step_it_takes_the_same_time_again():
    back = owed(noticed=[-5, 2, 9], delay=18)  # at +27 given back at +9
    assert decide(DEFAULT, situation(27, back)).stage == 9
    assert decide(DEFAULT, situation(35, back)).action is None
    assert decide(DEFAULT, situation(36, back)).takeover
    assert next_date(DEFAULT, situation(27, back)) == DUE + timedelta(days=36)


def test_a_given_back_one_beside_a_new_one_uses_the_words_of_its_last_mail():
    back = owed("back", noticed=[-5, 2, 9, 18])
    new = owed("new", DUE + timedelta(days=20))
    decision = decide(DEFAULT, situation(22, back, new))
    assert (decision.action, decision.step.offset) == ("mail", 9)


# === OTHER ACTIONS === #

FULL = (
    Step(2, "mail"),
    Step(2, "activity", key="call"),
    Step(5, "activity", key="visit"),
    Step(9, "mail"),
    Step(9, "hold"),
    Step(12, "letter"),
    Step(18, "person"),
)


def actions(decision):
    return [step.action for step, _key in decision.also]


def test_everything_of_the_stage_happens_together():
    decision = decide(FULL, situation(2))
    assert decision.action == "mail"
    assert [(step.key, key) for step, key in decision.also] == [("call", "A")]
    assert actions(decide(FULL, situation(9, owed(noticed=[2, 5])))) == ["hold"]


def test_an_activity_alone_sends_no_mail():
    decision = decide(FULL, situation(5, owed(noticed=[2])))
    assert decision.action is None
    assert actions(decision) == ["activity"]
    assert decision.reason == "nothing_due"


def test_other_actions_happen_once():
    ledger = Ledger(owed(), steps=FULL)
    seen = []
    for days in range(30):
        seen += actions(ledger.run(DUE + timedelta(days=days)))
    assert seen == ["activity", "activity", "hold", "letter"]


def test_a_missed_hold_is_made_up_for_and_a_missed_letter_is_not():
    decision = decide(FULL, situation(20))
    assert decision.takeover
    assert actions(decision) == ["hold"]
    assert {offset for _key, offset in decision.skipped} == {2, 5, 12}


def test_when_the_message_waits_so_does_the_rest_of_its_step():
    waiting = situation(2, last_message=DUE + timedelta(days=2))
    assert decide(FULL, waiting).also == ()


def test_a_person_and_a_mail_on_one_day_are_a_person():
    decision = decide((Step(5, "person"), Step(5, "mail")), situation(5))
    assert decision.takeover


def test_an_unknown_action_is_refused():
    with pytest.raises(ValueError, match="'sue'"):
        Step(3, "sue")


# === A STEP BEFORE THE INVOICE === #


def test_what_the_invoice_itself_just_said_is_not_said_again():
    new = owed(since=DUE - timedelta(days=3))
    assert decide(DEFAULT, situation(-3, new)).reason == "nothing_due"
    assert decide(DEFAULT, situation(2, new)).step.offset == 2
    known = owed(since=DUE - timedelta(days=5))
    assert decide(DEFAULT, situation(-3, known)).step.offset == -5
    assert next_date(DEFAULT, situation(-3, new)) == DUE + timedelta(days=2)


# === LOOKING AHEAD === #


@pytest.mark.parametrize(
    ("today", "noticed", "expected"),
    [
        (-30, (), -5),
        (-5, (), -5),
        (-5, (-5,), 2),
        (7, (-5, 2), 9),
        (7, (-5,), 7),
        (17, (-5, 2, 9), 18),
        (18, (-5, 2, 9, 18), None),
    ],
)
def test_the_next_day_on_which_something_happens(today, noticed, expected):
    found = next_date(DEFAULT, situation(today, owed(noticed=noticed)))
    assert found == (DUE + timedelta(days=expected) if expected is not None else None)


def test_after_todays_message_nothing_is_looked_at_before_the_gap_is_over():
    today = situation(2, last_message=DUE + timedelta(days=2))
    assert next_date(DEFAULT, today) == DUE + timedelta(days=3)
    assert next_date(DEFAULT, today, gap_days=4) == DUE + timedelta(days=6)


def test_a_calendar_for_a_sample_invoice():
    assert calendar(DEFAULT, DUE) == [
        (date(2027, 2, 5), DEFAULT[0]),
        (date(2027, 2, 12), DEFAULT[1]),
        (date(2027, 2, 19), DEFAULT[2]),
        (date(2027, 2, 28), DEFAULT[3]),
    ]


def test_a_step_on_a_closed_day_waits_and_the_overtaken_one_is_left_out():
    def is_weekend(day):
        return day.weekday() > 4

    steps = (Step(3), Step(4), Step(5), Step(4, "hold"))  # 13th Sat, 14th Sun, 15th Mon
    assert calendar(steps, DUE, is_weekend) == [
        (date(2027, 2, 15), Step(4, "hold")),
        (date(2027, 2, 15), Step(5)),
    ]


# === PROPERTIES === #

policies = st.lists(
    st.builds(
        Step,
        st.integers(-10, 40),
        st.sampled_from(["mail", "mail", "activity", "hold", "letter", "person"]),
    ),
    min_size=1,
    max_size=7,
    unique_by=lambda step: step.offset,
)
books = st.lists(
    st.tuples(st.integers(0, 30), st.decimals("0.01", 500, places=2)),
    min_size=1,
    max_size=4,
)


@given(policies, books, st.sets(st.integers(-12, 80)), st.data())
def test_whenever_it_runs_nothing_is_sent_twice(policy, book, days, data):
    """Any policy, any book, any days on which the job ran, payments in between."""
    ledger = Ledger(
        *(
            owed(number, DUE + timedelta(days=later), str(residual))
            for number, (later, residual) in enumerate(book)
        ),
        steps=policy,
    )
    for day in sorted(days):
        today = DUE + timedelta(days=day)
        decision = ledger.run(today)
        again = ledger.run(today)
        assert again.action != "mail", "one message a day"
        assert not again.also and not again.skipped
        late = max(
            (item.days_late(today) for item in ledger.owed.values() if item.is_open),
            default=None,
        )
        if decision.step:
            assert decision.step.offset <= late, "never ahead of the lateness"
        overdue = sum(
            item.residual
            for item in ledger.owed.values()
            if item.is_open and item.days_late(today) > 0
        )
        assert decision.amount == overdue
        if data.draw(st.booleans()):
            ledger.pay(data.draw(st.sampled_from(sorted(ledger.owed))))


@given(policies, books, st.integers(-20, 60))
def test_before_the_next_day_nothing_happens(policy, book, start):
    ledger = Ledger(
        *(
            owed(number, DUE + timedelta(days=later), str(residual))
            for number, (later, residual) in enumerate(book)
        ),
        steps=policy,
    )
    today = DUE + timedelta(days=start)
    ledger.run(today)
    following = next_date(policy, ledger.look(today))
    for ahead in range(1, 60):
        day = today + timedelta(days=ahead)
        if following and day >= following:
            break
        decision = ledger.run(day)
        assert not decision.action and not decision.also
