"""Two people tick one milestone at once: one ledger row, one draft (C8)."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
from office import until

MADE = "AFTER INSERT ON account_move FOR EACH STATEMENT"
CONTRACT = {
    "billing_method": "milestone",
    "milestone_ids": [(0, 0, {"name": "Delivered", "weight": 100})],
}


@pytest.mark.parametrize("other", ["clerk", "run"])
def test_a_milestone_is_billed_once(office, agreements, other):
    made = agreements.create(line=CONTRACT)
    domain = [("agreement_id", "in", made)]
    milestones = office.admin("crm.billing.milestone", "search", domain)
    agreements.set_job()
    before = office.count_invoices()
    tick = ("crm.billing.milestone", "action_mark_done", milestones)
    second = {
        "clerk": partial(office.clerk, *tick),
        "run": partial(agreements.run, session=office.other_admin),
    }[other]
    with ThreadPoolExecutor(2) as pool, office.gate(MADE) as open_gate:
        calls = [pool.submit(office.admin, *tick)]
        until(lambda: office.count_waiting() == 1 or calls[0].done())
        calls.append(pool.submit(second))
        until(lambda: office.count_waiting() == 2 or calls[1].done(), seconds=20)
        open_gate()
        for call in calls:
            call.result()
    assert agreements.are_billed_once(made)
    assert office.count_invoices() == before + 1
