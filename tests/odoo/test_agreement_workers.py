"""Two workers bill the same agreements at once: each period once, payers whole."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
from office import until

MADE = "AFTER INSERT ON account_move FOR EACH STATEMENT"


def run_both(office, agreements):
    """Let both lanes write invoices at the same time, then one look for the rest."""
    office.meet(
        MADE,
        partial(agreements.run, 0),
        partial(agreements.run, 1, session=office.other_admin),
    )
    agreements.run()


def test_two_lanes_share_the_due_agreements(office, agreements):
    made = agreements.create(30)
    agreements.set_job(chunk_size=5)
    before = office.count_invoices()
    run_both(office, agreements)
    assert agreements.are_billed_once(made)
    assert office.count_invoices() == before + 30
    agreements.run(1, session=office.other_admin)
    assert office.count_invoices() == before + 30


def test_a_payer_is_never_split_by_two_lanes(office, agreements):
    """C14: what shares an invoice is taken by one lane, whatever its chunk."""
    accounts = [office.create_account(f"Payer {number}")[0] for number in range(6)]
    made = agreements.create(accounts=accounts * 4)
    agreements.set_job(chunk_size=3)
    before = office.count_invoices()
    run_both(office, agreements)
    assert agreements.are_billed_once(made)
    assert office.count_invoices() == before + 6


@pytest.mark.parametrize("other", ["clerk", "admin"])
def test_a_person_and_the_run_generate_at_once(office, agreements, other):
    """M1: who comes second waits, and finds nothing left to bill."""
    made = agreements.create(2)
    agreements.set_job()
    before = office.count_invoices()
    person = office.clerk if other == "clerk" else office.other_admin

    generate = partial(
        person, "crm.billing.agreement", "action_generate_invoices", made
    )
    with ThreadPoolExecutor(2) as pool, office.gate(MADE) as open_gate:
        calls = [pool.submit(agreements.run)]
        until(lambda: office.count_waiting() == 1)
        calls.append(pool.submit(generate))
        until(lambda: office.count_waiting() == 2 or calls[1].done())
        open_gate()
        for call in calls:
            call.result()
    assert agreements.are_billed_once(made)
    assert office.count_invoices() == before + 2
