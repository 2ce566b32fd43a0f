"""A card that expires is mentioned 30 and 7 days before, if it will be charged then."""

from datetime import date, timedelta

import pytest
from dunning_rules.expiry import get_notice, last_day

END = date(2028, 2, 29)
CHARGE = date(2028, 3, 5)


def notice(days_before, sent=(), charge=CHARGE):
    return get_notice(2, 2028, charge, END - timedelta(days=days_before), sent)


def test_a_card_works_until_the_end_of_its_month():
    assert last_day(2, 2028) == END
    assert last_day(12, 2027) == date(2027, 12, 31)
    with pytest.raises(ValueError, match="month 13"):
        last_day(13, 2027)


@pytest.mark.parametrize(
    ("days_before", "sent", "expected"),
    [
        (31, (), None),
        (30, (), 30),
        (29, (30,), None),
        (8, (), 30),
        (8, (30,), None),
        (7, (30,), 7),
        (7, (), 7),
        (6, (30, 7), None),
        (6, (7,), None),
        (0, (30,), 7),
    ],
)
def test_thirty_and_seven_days_before(days_before, sent, expected):
    assert notice(days_before, sent) == expected


def test_only_if_a_charge_falls_after_it():
    assert notice(7, charge=None) is None
    assert notice(7, charge=END) is None
    assert notice(7, charge=END + timedelta(days=1)) == 7


def test_after_an_outage_it_is_said_until_the_charge():
    assert notice(-5) == 7
    assert notice(-6) is None
    assert notice(-2, sent=(30, 7)) is None


def test_day_by_day_each_is_sent_once():
    sent = []
    for days_before in range(60, -10, -1):
        if due := notice(days_before, sent):
            sent.append(due)
    assert sent == [30, 7]
