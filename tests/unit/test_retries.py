"""When a failed charge is tried again: printed rules, outages, caps, hours (S25)."""

from dataclasses import replace
from datetime import date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from dunning_rules.caps import HARD, Attempt, Limits, allowed_at
from dunning_rules.declines import (
    CLASSES,
    UNKNOWN,
    Decline,
    Override,
    classify,
    restrict,
)
from dunning_rules.retries import (
    Facts,
    Plan,
    RetryPolicy,
    get_person_reason,
    next_try,
    plan,
)
from dunning_rules.window import Window
from hypothesis import given, settings
from hypothesis import strategies as st

FAILED = date(2027, 11, 3)  # a Wednesday
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
SOFT = CLASSES["wait_funds"]
POLICY = RetryPolicy()
BY_CLASS = RetryPolicy(timing="class")
OPEN = Window()


def november(*days):
    return tuple(date(2027, 11, day) for day in days)


def at(day, hour=12, minute=0):
    return datetime(2027, 11, day, hour, minute, tzinfo=timezone.utc)


def attempt(instant, card="card", invoice="invoice", **facts):
    return Attempt(instant, card, invoice, **facts)


def facts(*tries, decline=SOFT, first=None, **values):
    first = first or at(3)
    tried = [first, *tries]
    values = {
        "first_failed_at": first,
        "last_failed_at": tried[-1],
        "decline": decline,
        "tries": tries,
        "attempts": tuple(map(attempt, tried)),
        "card": "card",
        "invoice": "invoice",
        **values,
    }
    return Facts(**values)


# === THE PLAN === #


def test_the_printed_example():
    assert plan(FAILED, POLICY, SOFT) == Plan(
        tries=november(4, 6, 8, 10), person=date(2027, 11, 10), mail="neutral"
    )


@pytest.mark.parametrize("name", ["wait_funds", "try_later", "generic"])
def test_on_fixed_days_every_soft_class_has_them_all(name):
    assert plan(FAILED, POLICY, CLASSES[name]).tries == november(4, 6, 8, 10)


def test_an_unknown_code_has_two_tries():
    found = plan(FAILED, POLICY, UNKNOWN)
    assert found.tries == november(4, 6)
    assert found.person == date(2027, 11, 6)


@pytest.mark.parametrize(
    ("name", "mail"),
    [
        ("new_method", "new_method"),
        ("lost_stolen", "new_method"),
        ("blocked", "new_method"),
        ("sepa_dead", "new_method"),
        ("revoked", "revoked"),
        ("fraud", "none"),
        ("duplicate", "none"),
    ],
)
def test_a_hard_decline_is_not_tried_and_goes_to_a_person_the_same_day(name, mail):
    assert plan(FAILED, POLICY, CLASSES[name]) == Plan((), FAILED, mail)


def test_the_customer_may_be_given_days_first():
    patient = RetryPolicy(hard_patience_days=3)
    assert plan(FAILED, patient, CLASSES["new_method"]).person == date(2027, 11, 6)
    for name in ("fraud", "revoked", "sepa_dead"):
        assert plan(FAILED, patient, CLASSES[name]).person == FAILED


def test_authentication_waits_for_two_unanswered_mails():
    found = plan(FAILED, POLICY, CLASSES["needs_customer"])
    assert found == Plan((), None, "confirm", person_after=2)


def test_network_advice_postpones_and_adds_nothing():
    later = classify(
        Decline(
            decline_code="insufficient_funds",
            network_advice_code="27",
            brand="mastercard",
        )
    )
    assert plan(FAILED, POLICY, later).tries == november(7, 8, 10)


def test_a_managers_limit_holds_on_fixed_days():
    one = restrict(SOFT, Override(max_tries=1))
    assert plan(FAILED, POLICY, one).tries == november(4)
    person = restrict(SOFT, Override(to_person=True))
    assert plan(FAILED, POLICY, person).tries == ()
    assert plan(FAILED, POLICY, person).person == FAILED


def test_eight_tries_in_fourteen_days():
    many = RetryPolicy((1, 2, 4, 6, 8, 10, 12, 14), timing="window")
    # The first charge counts: eight charges of one invoice is the end under any policy.
    assert plan(FAILED, many, SOFT).tries == november(4, 5, 7, 9, 11, 13, 15)


def test_by_class():
    assert plan(FAILED, BY_CLASS, CLASSES["try_later"]).tries == november(3, 4, 6)
    assert plan(FAILED, BY_CLASS, CLASSES["generic"]).tries == november(6, 8)
    found = plan(FAILED, BY_CLASS, CLASSES["wait_funds"])
    # Saturday the 6th, then Friday, the 15th, Friday.
    assert found.tries == november(6, 12, 15, 19)
    assert found.person == date(2027, 11, 19)


def test_by_class_a_card_to_be_replaced_gets_two_mails():
    for name in ("new_method", "blocked", "lost_stolen"):
        assert plan(FAILED, BY_CLASS, CLASSES[name]).person_after == 2
    assert plan(FAILED, BY_CLASS, CLASSES["fraud"]).person == FAILED


def test_a_debit_is_presented_once_more_after_five_bank_days():
    for policy in (POLICY, BY_CLASS):
        assert plan(FAILED, policy, CLASSES["sepa_funds"]).tries == november(10)
    friday = date(2027, 11, 5)
    assert plan(friday, POLICY, CLASSES["sepa_funds"]).tries == november(12)


@pytest.mark.parametrize(
    "values",
    [
        {"days": (3, 1)},
        {"days": (1, 1)},
        {"days": (0, 1)},
        {"timing": "mood"},
        {"days": tuple(range(1, 10)), "timing": "window"},
        {"days": (1, 15), "timing": "window"},
        {"max_tries": 9},
        {"max_tries": 0},
        {"hard_patience_days": -1},
    ],
)
def test_what_is_no_policy_is_refused(values):
    with pytest.raises(ValueError, match=r".+"):
        RetryPolicy(**values)


# === THE PERSON === #


def test_a_person_takes_over_a_hard_decline():
    hard = CLASSES["new_method"]
    assert get_person_reason(POLICY, hard, FAILED, FAILED, 0) == "new_method"
    patient = RetryPolicy(hard_patience_days=2)
    assert get_person_reason(patient, hard, FAILED, FAILED + DAY, 1) is None
    assert get_person_reason(patient, hard, FAILED, FAILED + 2 * DAY, 1) == "new_method"


def test_authentication_goes_to_a_person_after_two_unanswered_mails():
    asks = CLASSES["needs_customer"]
    for mails, reason in ((0, None), (1, None), (2, "no_answer")):
        found = get_person_reason(POLICY, asks, FAILED, FAILED + 9 * DAY, mails)
        assert found == reason


def test_a_soft_decline_goes_to_a_person_by_its_last_try():
    assert get_person_reason(POLICY, SOFT, FAILED, FAILED + 99 * DAY, 9) is None


# === THE NEXT TRY === #


def test_day_by_day():
    tries = ()
    for day in (4, 6, 8, 10):
        found = next_try(facts(*tries), POLICY, at(3, 13), OPEN)
        assert found.at.date() == date(2027, 11, day)
        tries += (at(day),)
    last = next_try(facts(*tries), POLICY, at(10, 13), OPEN)
    assert (last.at, last.reason, last.person) == (None, "exhausted", True)


def test_not_before_24_hours_after_the_failure():
    assert next_try(facts(), POLICY, at(3, 13), OPEN).at == at(4, 12)


def test_a_missed_day_is_made_up_once_and_later_days_keep_their_dates():
    made_up = next_try(facts(), POLICY, at(7), OPEN)  # the 4th and the 6th were missed
    assert (made_up.at, made_up.reason) == (at(7), "made_up")
    after = facts(at(7))
    assert next_try(after, POLICY, at(7, 13), OPEN).at == at(8, 12)
    assert next_try(facts(at(7), at(8)), POLICY, at(8, 13), OPEN).at.date() == date(
        2027, 11, 10
    )


def test_made_up_late_at_night_the_next_day_is_24_hours_later():
    hours = Window(8, 18)
    found = next_try(facts(at(7, 17)), POLICY, at(7, 18), hours)
    assert found.at == at(8, 17)
    found = next_try(facts(at(7, 17, 59)), POLICY, at(8, 8), hours)
    assert found.at == at(8, 17, 59)


def test_a_whole_plan_that_was_missed_is_one_try():
    late = next_try(facts(), POLICY, at(25), OPEN)
    assert (late.at, late.reason) == (at(25), "made_up")
    done = next_try(facts(at(25)), POLICY, at(25, 13), OPEN)
    assert done.reason == "exhausted"


def test_a_clock_that_was_set_back_tries_nothing_early():
    assert next_try(facts(at(4)), POLICY, at(1), OPEN).at == at(6, 0)


@pytest.mark.parametrize(
    "stop", ["paid", "processing", "verifying", "disputed", "held", "other_collector"]
)
def test_what_stops_tries(stop):
    found = next_try(facts(stop=stop), POLICY, at(4), OPEN)
    assert (found.at, found.reason, found.person) == (None, stop, False)


@pytest.mark.parametrize(
    "name", [name for name, found in CLASSES.items() if found.is_hard]
)
def test_never_after_a_hard_decline(name):
    for policy in (POLICY, BY_CLASS):
        found = next_try(facts(decline=CLASSES[name]), policy, at(9), OPEN)
        assert (found.at, found.reason) == (None, "never")


def test_the_latest_decline_decides():
    found = next_try(facts(at(4), decline=CLASSES["lost_stolen"]), POLICY, at(5), OPEN)
    assert found.at is None
    found = next_try(facts(at(4), at(6), decline=UNKNOWN), POLICY, at(7), OPEN)
    assert (found.reason, found.person) == ("exhausted", True)


def test_inside_the_hours_of_the_account():
    berlin = Window(9, 17, frozenset(range(5)), tz="Europe/Berlin")
    found = next_try(facts(at(4)), POLICY, at(5), berlin)  # the 6th is a Saturday
    assert (found.at, found.reason) == (at(8, 8), "hours")


def test_the_days_are_those_of_the_account():
    auckland = Window(tz="Pacific/Auckland")
    first = at(3, 12)  # the 4th there
    found = next_try(facts(at(4, 12), first=first), POLICY, at(4, 13), auckland)
    assert auckland.local_date(found.at) == date(2027, 11, 7)


def test_advice_of_the_network_postpones():
    later = replace(SOFT, not_before=48 * HOUR)
    found = next_try(facts(decline=later), POLICY, at(4), OPEN)
    assert (found.at, found.reason) == (at(5), "advice")


def test_naive_instants_are_utc_and_stay_naive():
    plain = [moment.replace(tzinfo=None) for moment in (at(3), at(3, 13), at(4))]
    case = Facts(plain[0], plain[0], SOFT, attempts=(attempt(plain[0]),), card="card")
    assert next_try(case, POLICY, plain[1], OPEN).at == plain[2]


def test_by_class_a_glitch_is_tried_after_two_hours():
    glitch = CLASSES["try_later"]
    assert next_try(facts(decline=glitch), BY_CLASS, at(3), OPEN).at == at(3, 14)
    second = facts(at(3, 14), decline=glitch)
    assert next_try(second, BY_CLASS, at(3, 15), OPEN).at == at(4, 12)
    third = facts(at(3, 14), at(4, 12), decline=glitch)
    assert next_try(third, BY_CLASS, at(4, 13), OPEN).at == at(6, 12)
    fourth = facts(at(3, 14), at(4, 12), at(6, 12), decline=glitch)
    assert next_try(fourth, BY_CLASS, at(6, 13), OPEN).reason == "exhausted"


def test_by_class_missing_money_waits_for_a_pay_day():
    second = facts(at(6, 12))
    assert next_try(second, BY_CLASS, at(6, 13), OPEN).at.date() == date(2027, 11, 12)
    third = facts(at(6, 12), at(12, 12))
    assert next_try(third, BY_CLASS, at(13), OPEN).at.date() == date(2027, 11, 15)


def test_by_class_nothing_is_planned_after_21_days():
    first = datetime(2027, 11, 3, 12, tzinfo=timezone.utc)
    tries = (at(23, 12), at(24, 11))
    found = next_try(facts(*tries, first=first), BY_CLASS, at(24, 13), OPEN)
    assert (found.at, found.reason) == (None, "exhausted")


# === CAPS === #


def test_a_card_has_fifteen_tries_in_thirty_days():
    many = [attempt(at(1) + n * DAY, invoice=n) for n in range(15)]
    found = allowed_at(many, at(20), card="card", invoice="new", brand="visa")
    assert (found.allowed, found.reason) == (False, "card_cap")
    assert found.not_before == at(1) + 30 * DAY + timedelta(seconds=1)
    then = found.not_before
    assert allowed_at(many, then, card="card", invoice="new").allowed
    before = then - timedelta(seconds=1)
    assert not allowed_at(many, before, card="card", invoice="new").allowed
    assert allowed_at(many, at(20), card="other", invoice="new").allowed


def test_charges_that_pay_at_once_are_no_tries():
    paid = [attempt(at(1) + n * HOUR, invoice=n, failed=False) for n in range(30)]
    assert allowed_at(paid, at(20), card="card", invoice="new").allowed
    again = [replace(one, is_retry=True) for one in paid]
    assert not allowed_at(again, at(20), card="card", invoice="new").allowed


def test_mastercard_declines_ten_times_a_day():
    many = [attempt(at(4, n), invoice=n) for n in range(10)]
    mastercard = {"card": "card", "invoice": "new", "brand": "mastercard"}
    found = allowed_at(many, at(4, 12), **mastercard)
    assert (found.reason, found.not_before) == (
        "mastercard_cap",
        at(5) - 12 * HOUR + timedelta(seconds=1),
    )
    assert allowed_at(many, at(4, 12), card="card", invoice="new", brand="visa").allowed


def test_an_invoice_is_charged_eight_times_whatever_the_card():
    many = [attempt(at(n), card=n) for n in range(1, 9)]
    found = allowed_at(many, at(20), card="new", invoice="invoice")
    assert (found.allowed, found.not_before, found.reason) == (
        False,
        None,
        "invoice_cap",
    )
    assert allowed_at(many[1:], at(20), card="new", invoice="invoice").allowed


def test_what_pays_at_once_is_no_try_of_the_invoice():
    paid = [replace(attempt(at(1), card=n), failed=False) for n in range(12)]
    assert allowed_at(paid, at(20), card="new", invoice="invoice").allowed
    retried = [replace(one, is_retry=True) for one in paid[:8]]
    found = allowed_at(retried, at(20), card="new", invoice="invoice")
    assert found.reason == "invoice_cap"


def test_a_dead_card_is_never_charged_for_anything():
    dead = attempt(at(1), invoice="other", never=True)
    found = allowed_at([dead], at(30), card="card", invoice="new")
    assert (found.allowed, found.not_before, found.reason) == (
        False,
        None,
        "dead_method",
    )


def test_limits_can_only_be_lowered():
    assert Limits().lowered(per_card=5).per_card == 5
    assert Limits().lowered(spacing=DAY).spacing == DAY
    for values in ({"per_card": 16}, {"per_invoice": 9}, {"per_invoice": 0}):
        with pytest.raises(ValueError, match="can be lowered"):
            Limits().lowered(**values)
    with pytest.raises(ValueError, match="can be lowered"):
        Limits(spacing=DAY).lowered(spacing=HOUR)
    with pytest.raises(ValueError, match="can be lowered"):
        Limits().lowered(card_span=29 * DAY)


def test_the_invoices_of_a_card_share_its_caps():
    others = tuple(attempt(at(4, 10), invoice=n) for n in ("a", "b"))
    case = facts()
    case = replace(case, attempts=case.attempts + others)
    found = next_try(case, POLICY, at(4, 13), OPEN)
    assert (found.at, found.reason) == (at(5, 10), "spacing")


def test_where_a_cap_leaves_nothing_a_person_takes_over():
    many = tuple(attempt(at(1), card=n) for n in range(8))
    found = next_try(replace(facts(), attempts=many), POLICY, at(4), OPEN)
    assert (found.at, found.reason, found.person) == (None, "invoice_cap", True)


# === PROPERTIES === #


def count_in_any_window(instants, span):
    """Return the most instants that any span, closed at both ends, holds."""
    return max(
        (
            sum(start <= instant <= start + span for instant in instants)
            for start in instants
        ),
        default=0,
    )


classes = st.sampled_from(
    [*CLASSES.values(), UNKNOWN, SOFT, SOFT, SOFT, CLASSES["generic"], UNKNOWN]
)
soft = st.sampled_from([SOFT, UNKNOWN, CLASSES["generic"], CLASSES["try_later"]])
brands = st.sampled_from(["visa", "mastercard", "amex"])
day_lists = st.lists(st.integers(1, 14), min_size=1, max_size=8, unique=True).map(
    lambda days: tuple(sorted(days))
)
policies = st.builds(
    RetryPolicy,
    day_lists,
    st.sampled_from(["days", "class", "window"]),
    st.integers(1, 8),
)


class Book:
    """Invoices that are charged to a few cards, and fail each time."""

    def __init__(self, policy, brand, invoices):
        self.policy, self.brand = policy, brand
        self.cards = [card for card, _decline in invoices]
        self.declines = [decline for _card, decline in invoices]
        self.failed = [[] for _invoice in invoices]
        self.history = []

    def run(self, now, next_decline):
        for invoice in range(len(self.cards)):
            if self.may_charge(invoice, now):
                if self.failed[invoice]:
                    assert self.declines[invoice].may_retry
                    self.declines[invoice] = next_decline()
                self.charge(invoice, now)

    def may_charge(self, invoice, now):
        where = {"card": self.cards[invoice], "invoice": invoice, "brand": self.brand}
        if not self.failed[invoice]:
            return allowed_at(self.history, now, **where).allowed
        first, *tries = self.failed[invoice]
        case = Facts(
            first,
            self.failed[invoice][-1],
            self.declines[invoice],
            tuple(tries),
            attempts=tuple(self.history),
            **where,
        )
        found = next_try(case, self.policy, now, OPEN)
        assert found.at is None or found.at >= now
        return found.at == now

    def charge(self, invoice, now):
        card, decline = self.cards[invoice], self.declines[invoice]
        self.failed[invoice].append(now)
        self.history.append(
            Attempt(now, card, invoice, self.brand, never=decline.stops_card)
        )


@settings(max_examples=120, deadline=None)
@given(
    policies,
    st.lists(st.tuples(st.sampled_from("ab"), classes), min_size=1, max_size=20),
    st.lists(st.integers(1, 60), min_size=5, max_size=80),
    brands,
    st.data(),
)
def test_no_cap_is_ever_exceeded(policy, invoices, pauses, brand, data):
    """Many invoices on a few cards, any policy, a job that runs at odd hours."""
    book = Book(policy, brand, invoices)
    play(book, pauses, lambda: data.draw(classes))


@settings(max_examples=60, deadline=None)
@given(
    policies,
    st.lists(soft, min_size=12, max_size=40),
    st.lists(st.sampled_from([1, 5, 24, 25, 100]), min_size=20, max_size=60),
    brands,
    st.data(),
)
def test_no_cap_is_exceeded_by_a_card_that_never_dies(
    policy, invoices, pauses, brand, data
):
    book = Book(policy, brand, [("a", decline) for decline in invoices])
    play(book, pauses, lambda: data.draw(soft))


def play(book, pauses, next_decline):
    now = at(1)
    for pause in pauses:
        now += pause * HOUR
        book.run(now, next_decline)
    for card in set(book.cards):
        check_card([one for one in book.history if one.card == card], book.brand)
    policy = book.policy
    most = 4 if policy.timing == "class" else len(policy.days)
    for failed in book.failed:
        assert len(failed) <= min(policy.max_tries, most + 1)


def check_card(of_card, brand):
    instants = [one.at for one in of_card]
    assert count_in_any_window(instants, 30 * DAY) <= 15
    if brand == "mastercard":
        assert count_in_any_window(instants, DAY) <= 10
    dead = [position for position, one in enumerate(of_card) if one.never]
    assert not dead or dead[0] == len(of_card) - 1, "charged after it was dead"


@settings(deadline=None)
@given(
    st.sampled_from(["Europe/Berlin", "America/New_York", "Australia/Lord_Howe"]),
    st.datetimes(datetime(2027, 1, 1), datetime(2027, 12, 20)),  # noqa: DTZ001
    st.lists(st.integers(1, 50), max_size=40),
)
def test_tries_are_inside_the_hours_on_their_days(zone, first, pauses):
    """Over every change of the clock: at most one a day, never early, 24 h apart."""
    window = Window(8, 20, tz=zone)
    first = first.replace(tzinfo=timezone.utc)
    due = {window.local_date(first) + days * DAY for days in POLICY.days}
    now, tries = first, []
    for pause in pauses:
        now += pause * HOUR
        found = next_try(facts(*tries, first=first), POLICY, now, window)
        if found.at is None:
            assert found.person
            break
        assert found.at >= now
        if found.at > now:
            continue
        local = now.astimezone(ZoneInfo(zone))
        assert 8 <= local.hour < 20
        assert sum(day <= local.date() for day in due) > len(tries)
        assert now - max([first, *tries]) >= DAY
        tries.append(now)
    assert len(tries) <= 4


@given(policies, classes, st.dates(date(2027, 1, 1), date(2030, 1, 1)))
def test_the_plan_is_what_next_try_does_day_by_day(policy, decline, first):
    """Failing each time on the planned day, with a job that runs at every hour."""
    noon = datetime(first.year, first.month, first.day, 12, tzinfo=timezone.utc)
    expected = plan(first, policy, decline)
    tries = []
    while (
        found := next_try(
            facts(*tries, first=noon, decline=decline),
            policy,
            max([noon, *tries]),
            OPEN,
        )
    ).at:
        tries.append(found.at)
    if decline.name != "try_later" or policy.timing != "class":
        assert tuple(instant.date() for instant in tries) == expected.tries
    assert found.person == decline.may_retry


def test_the_hard_limits_are_those_that_are_printed():
    assert Limits(8, 15, 10, 35, 30 * DAY, timedelta(0)) == HARD
