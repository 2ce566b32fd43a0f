"""Two people, or a person and the job, do the same thing at once: one bill.

Two server processes work on one database, as two workers behind a proxy do. A gate in
the database makes sure that both transactions are really under way at the same time.
"""

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
from office import (
    ONE_DRAFT,
    QUEUED,
    SALES_LEADER,
    SELLER,
    until,
)


@pytest.fixture(scope="module")
def office(office):
    office.seller = office.hire("seller", SELLER, server=0)
    office.leader = office.hire("leader", SALES_LEADER, server=1)
    return office


@pytest.mark.parametrize("by", ["drag", "button"])
def test_two_people_win_a_deal_at_once(office, by):
    [deal] = office.create_deals(office.seller, f"Won by {by}")

    def win(person):
        if by == "drag":
            office.win(person, [deal])
        else:
            person("crm.lead", "action_set_won_rainbowman", [deal])

    office.meet(
        "BEFORE UPDATE ON crm_lead FOR EACH STATEMENT",
        partial(win, office.seller),
        partial(win, office.leader),
    )
    assert office.get_bill(deal) == QUEUED
    office.run_job()
    assert office.get_bill(deal) == ONE_DRAFT


@pytest.mark.parametrize("history", ["queued", "won before the addon was there"])
def test_two_people_hand_off_a_won_deal_at_once(office, history):
    [deal] = office.create_deals(office.seller, f"Handed off, {history}")
    office.win(office.seller, [deal])
    if history != "queued":
        office.execute("DELETE FROM crm_billing_handoff WHERE lead_id = %s", deal)
    office.meet(
        "AFTER INSERT ON account_move FOR EACH STATEMENT",
        partial(office.seller, "crm.lead", "action_hand_off", [deal]),
        partial(office.leader, "crm.lead", "action_hand_off", [deal]),
    )
    assert office.get_bill(deal) == ONE_DRAFT


@pytest.mark.parametrize("first", ["clerk", "job"])
def test_a_clerk_and_the_job_process_a_deal_at_once(office, first):
    [deal] = office.create_deals(office.seller, f"Taken first by the {first}")
    office.win(office.seller, [deal])
    [handoff] = office.get_handoffs([deal])
    process = partial(office.clerk, "crm.billing.handoff", "action_process", [handoff])
    with (
        ThreadPoolExecutor(2) as pool,
        office.gate("AFTER INSERT ON account_move FOR EACH STATEMENT") as open_gate,
    ):
        calls = [pool.submit(process if first == "clerk" else office.run_job)]
        until(lambda: office.count_waiting() == 1)
        if first == "clerk":
            # The job leaves what somebody works on, and does not wait for it.
            office.run_job()
        else:
            calls.append(pool.submit(process))
            # On a slow machine the job may have left the deal to the clerk by now.
            until(lambda: office.count_waiting() == 2 or calls[0].done())
        open_gate()
        for call in calls:
            call.result()
    assert office.get_bill(deal) == ONE_DRAFT
    office.run_job()
    assert office.get_bill(deal) == ONE_DRAFT


def test_two_jobs_share_forty_deals(office):
    names = [f"Deal {number}" for number in range(40)]
    deals = office.create_deals(office.seller, *names)
    for deal in deals:
        office.win(office.seller, [deal])
    before = office.count_invoices()
    lanes = [office.create_lane(f"Lane {number}", size=8) for number in (1, 2)]
    office.meet(
        "AFTER INSERT ON account_move FOR EACH STATEMENT",
        partial(office.run_job, lanes[0]),
        partial(office.run_job, lanes[1], session=office.other_admin),
    )
    office.run_job()  # what the two may have left to each other
    assert office.get_bills(deals) == dict.fromkeys(names, ONE_DRAFT)
    assert office.count_invoices() == before + 40
