"""Usage that comes twice at once counts once; what comes during a run is not lost."""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from functools import partial

import pytest
from office import until

INVOICED = "AFTER INSERT ON account_move FOR EACH STATEMENT"
RECORDED = "AFTER INSERT ON crm_billing_usage FOR EACH STATEMENT"


@pytest.fixture(scope="module")
def agreement(office, agreements):
    values = {"name": "Calls", "code": "calls"}
    [meter] = office.admin("crm.billing.meter", "create", [values])
    line = {"billing_method": "usage", "meter_id": meter, "price_unit": 0.5}
    [agreement] = agreements.create(start_date="2026-01-01", line=line)
    return agreement


def event(uid, agreement, value, day="2026-01-10", **values):
    moment = {"at": f"{day}T10:00:00Z", "value": value}
    return {"id": uid, "meter": "calls", "agreement": agreement, **moment, **values}


def record(person, *events):
    answers = person("crm.billing.meter", "record_usage", list(events))
    return [answer["status"] for answer in answers]


def test_two_senders_of_one_event_are_both_told_the_truth(office, agreement):
    events = [event(f"twice-{number}", agreement, 10) for number in range(3)]
    answers = office.meet(
        RECORDED,
        partial(record, office.admin, *events),
        partial(record, office.clerk, *events),
    )
    assert sorted(answers) == [["accepted"] * 3, ["already_known"] * 3]


def test_what_comes_while_its_period_is_billed_is_late(office, agreements, agreement):
    agreements.set_job(now=datetime(2026, 2, 1, 12, tzinfo=timezone.utc))
    with ThreadPoolExecutor(1) as pool, office.gate(INVOICED) as open_gate:
        run = pool.submit(agreements.run)
        until(lambda: office.count_waiting() == 1 or run.done())
        assert record(office.clerk, event("during", agreement, 8)) == ["accepted"]
        open_gate()
        run.result()
    assert get_ledger(office, agreement) == [("usage", 15)]
    agreements.set_job(now=datetime(2026, 3, 1, 12, tzinfo=timezone.utc))
    record(office.clerk, event("february", agreement, 2, "2026-02-10"))
    agreements.run()
    ledger = [("usage", 15), ("late_usage", 4), ("usage", 1)]
    assert sorted(get_ledger(office, agreement)) == sorted(ledger)
    agreements.run()
    assert sorted(get_ledger(office, agreement)) == sorted(ledger)


def get_ledger(office, agreement):
    return office.query(
        "SELECT kind, amount::float FROM crm_billing_period WHERE agreement_id = %s",
        agreement,
    )
