"""Two people tick one milestone at once: one ledger row, one draft (C8)."""

import contextlib
import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import psycopg2
import pytest
from agreements import Agreements
from office import CLERK, Office, Session, until

from lib import databases, server

MADE = "AFTER INSERT ON account_move FOR EACH STATEMENT"
CONTRACT = {
    "billing_method": "milestone",
    "milestone_ids": [(0, 0, {"name": "Delivered", "weight": 100})],
}


@pytest.fixture(scope="module")
def office():
    with contextlib.ExitStack() as stack:
        template = os.environ["ODOO_TEST_TEMPLATE"]
        database = stack.enter_context(databases.temporary(template))
        connection = psycopg2.connect(dbname=database)
        stack.callback(connection.close)
        workers = [
            stack.enter_context(server.Server(database, cron_threads=0))
            for _worker in range(2)
        ]
        office = Office(connection, *workers)
        office.other_admin = Session(workers[1], "admin")
        office.clerk = office.hire("clerk", CLERK, server=1)
        yield office


@pytest.fixture(scope="module")
def agreements(office):
    return Agreements(office)


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
