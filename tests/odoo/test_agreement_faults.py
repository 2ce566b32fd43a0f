"""The billing of agreements when something goes wrong: nothing twice, nothing lost."""

import contextlib
import os
from datetime import datetime, timedelta, timezone

import psycopg2
import pytest
from agreements import NOT_YET, ONCE, Agreements, Billed
from office import CLERK, Office, until

from lib import databases, server

# Stops exactly one statement, as a concurrent change would.
STOP_ONCE = """
    CREATE SEQUENCE fault;
    CREATE FUNCTION stop_once() RETURNS trigger AS $$
      BEGIN
        IF nextval('fault') = 1 THEN
          RAISE EXCEPTION 'changed meanwhile' USING ERRCODE = '40001';
        END IF;
        RETURN NULL;
      END $$ LANGUAGE plpgsql;
    CREATE TRIGGER fault AFTER INSERT ON account_move
      FOR EACH STATEMENT EXECUTE FUNCTION stop_once()
"""


@pytest.fixture(scope="module")
def office():
    with contextlib.ExitStack() as stack:
        template = os.environ["ODOO_TEST_TEMPLATE"]
        database = stack.enter_context(databases.temporary(template))
        connection = psycopg2.connect(dbname=database)
        stack.callback(connection.close)
        running = stack.enter_context(server.Server(database, cron_threads=0))
        office = Office(connection, running)
        office.clerk = office.hire("clerk", CLERK)
        yield office


@pytest.fixture(scope="module")
def agreements(office):
    return Agreements(office)


@pytest.fixture(autouse=True)
def usual_job(agreements):
    agreements.set_job()


def work(office):
    """Return a process that runs scheduled actions only."""
    database = office.servers[0].database
    return server.Server(database, http=False, cron_threads=1)


@pytest.mark.parametrize("table", ["account_move", "crm_billing_period"])
def test_a_killed_run_goes_on_where_it_was(office, agreements, table):
    """Killed while a chunk writes invoices, or between its invoices and its ledger."""
    made = agreements.create(9)
    before = office.count_invoices()
    agreements.set_job(chunk_size=3)
    [[name, line]] = office.query(
        "SELECT agreement.name, line.id FROM crm_billing_agreement agreement"
        "  JOIN crm_billing_agreement_line line ON agreement_id = agreement.id"
        " WHERE agreement.id = %s",
        made[4],
    )
    column, value = {
        "account_move": ("invoice_origin", f"'{name}'"),
        "crm_billing_period": ("line_id", line),
    }[table]
    event = f"AFTER INSERT ON {table} FOR EACH ROW WHEN (NEW.{column} = {value})"
    with agreements.due_for_workers():
        with office.gate(event), work(office) as running:
            until(office.count_waiting, meanwhile=running.wake_crons)
            running.kill()
        assert agreements.are_billed_once(made[:3])
        assert set(agreements.get_billed(made[3:]).values()) == {NOT_YET}
        assert office.count_invoices() == before + 3
        with work(office) as running:
            until(
                lambda: agreements.are_billed_once(made), meanwhile=running.wake_crons
            )
    assert office.count_invoices() == before + 9


def get_noon():
    """Return 12:00 UTC of today, as the job is told."""
    now = datetime.now(timezone.utc)
    return now.replace(hour=12, minute=0, second=0, microsecond=0, tzinfo=None)


def test_a_lost_race_is_nobodys_fault(office, agreements):
    made = agreements.create(4)
    office.cursor.execute(STOP_ONCE)
    try:
        agreements.run()
        assert set(agreements.get_billed(made).values()) == {NOT_YET}
        assert not agreements.get_tasks(made)
        agreements.run()
    finally:
        office.cursor.execute("DROP TRIGGER fault ON account_move")
    assert agreements.are_billed_once(made)


def test_what_a_person_edits_is_billed_later(office, agreements):
    edited, *free = made = agreements.create(4)
    with contextlib.closing(
        psycopg2.connect(dbname=office.servers[0].database)
    ) as person:
        person.cursor().execute(
            "UPDATE crm_billing_agreement SET po_number = 'PO 7' WHERE id = %s",
            [edited],
        )
        agreements.run()
        assert agreements.get_billed([edited]) == {edited: NOT_YET}
        assert agreements.are_billed_once(free)
        assert office.query(
            "SELECT 1 FROM ir_cron_trigger WHERE cron_id = %s"
            " AND call_at < now() AT TIME ZONE 'utc' + interval '2 minutes'",
            agreements.lanes[0],
        ), "nobody looks again soon"
        person.commit()
    agreements.run()
    assert agreements.are_billed_once(made)
    assert office.query("SELECT 1 FROM account_move WHERE ref = 'PO 7'")


def test_a_clock_that_is_set_back_bills_nothing_twice(agreements):
    noon = get_noon()
    [made] = agreements.create(1, start_date=str(noon.date().replace(day=1)))

    def run_in(days):
        agreements.set_job(now=noon + timedelta(days=days))
        agreements.run()
        return agreements.get_invoices(made)

    ahead = run_in(40)
    assert len(ahead) == 1 + ((noon + timedelta(days=40)).month - noon.month) % 12
    assert run_in(0) == run_in(20) == ahead
    later = run_in(80)
    assert later[: len(ahead)] == ahead
    assert [end for _start, end in later[:-1]] == [start for start, _end in later[1:]]


def test_after_a_hundred_days_each_missed_week_has_its_invoice(office, agreements):
    [weekly] = office.admin(
        "crm.billing.plan", "create", [{"name": "Weekly", "interval_unit": "week"}]
    )
    start = get_noon().date() - timedelta(days=100)
    values = {"start_date": str(start), "line": {"plan_id": weekly}}
    [free] = agreements.create(1, catch_up_limit=0, **values)
    [held] = agreements.create(1, catch_up_limit=12, **values)
    agreements.run()
    weeks = [
        (start + timedelta(days=7 * n), start + timedelta(days=7 * n + 7))
        for n in range(15)
    ]
    assert agreements.get_invoices(free) == weeks
    assert agreements.get_billed([free]) == {free: Billed(15, 15, None)}
    assert agreements.get_billed([held]) == {held: NOT_YET}
    agreements.run()
    assert agreements.get_tasks([held]) == [1]
    office.clerk("crm.billing.agreement", "action_confirm_catch_up", [held])
    agreements.run()
    assert agreements.get_invoices(held) == weeks


def test_the_database_itself_refuses_a_second_bill(office, agreements):
    """M1: also for whoever writes past every check of the application."""
    [made] = agreements.create(1)
    agreements.run()
    for shift in (0, 10):
        with pytest.raises(psycopg2.errors.ExclusionViolation):
            office.execute(
                "INSERT INTO crm_billing_period"
                " (line_id, agreement_id, kind, amount, date_from, date_to)"
                " SELECT line_id, agreement_id, 'charge', 1, date_from + %s, date_to"
                "   FROM crm_billing_period WHERE agreement_id = %s",
                shift,
                made,
            )


@pytest.mark.parametrize("count, step", [(100, 100), (400, 50)])
def test_broken_agreements_among_many(office, agreements, odoo_shell, count, step):
    """One of a chunk and two of each: met in preparing, or by Odoo in creating."""
    made = agreements.create_many(odoo_shell, office.servers[0].database, count)
    product, account = office.create_broken_product(str(999000 + step))
    broken = made[step // 2 :: step]
    in_create, in_prepare = broken[::2], broken[1::2]
    office.execute(
        "UPDATE crm_billing_agreement_line SET product_id = %s"
        " WHERE agreement_id = ANY(%s)",
        product,
        in_create,
    )
    payers = office.query(
        "UPDATE res_partner SET active = false FROM crm_billing_agreement agreement"
        " WHERE res_partner.id = payer_id AND agreement.id = ANY(%s)"
        " RETURNING res_partner.id",
        in_prepare,
    )
    good = sorted(set(made) - set(broken))
    for _run in range(2):
        agreements.run()
        billed = agreements.get_billed(made)
        assert {billed[key] for key in good} == {ONCE}
        assert all(
            (row.invoices, row.rows) == (0, 0) and row.error
            for row in (billed[key] for key in broken)
        )
        assert agreements.get_tasks(made) == [1] * len(broken)
    assert {"off" in billed[key].error.lower() for key in in_create} == {True}
    assert all("archived" in billed[key].error for key in in_prepare)
    # What a person repairs is billed; what nobody repaired keeps its reason.
    office.admin("res.partner", "write", [key for [key] in payers], {"active": True})
    agreements.run()
    assert not in_prepare or agreements.are_billed_once(in_prepare)
    office.admin("account.account", "write", account, {"account_type": "income"})
    office.admin("crm.billing.agreement", "action_retry", in_create)
    agreements.run()
    assert agreements.are_billed_once(made)
