"""The job beside people, beside broken deals, and when somebody pulls the plug."""

import pytest
from office import ONE_DRAFT, QUEUED, SELLER, Bill, Office, until

LISTENS = """
    SELECT 1 FROM pg_stat_activity
     WHERE datname = 'postgres' AND application_name = %s AND query = 'COMMIT'
"""


@pytest.fixture
def office(database, connect, odoo_server):
    with odoo_server(database) as running:
        office = Office(connect(database), running)
        office.seller = office.hire("seller", SELLER)
        yield office


@pytest.fixture
def job_server(database, odoo_server):
    """Return a function that gives a process which runs scheduled actions only."""
    return lambda: odoo_server(database, http=False, cron_threads=1)


def test_a_draft_is_there_within_a_minute_of_winning(office, job_server):
    [deal] = office.create_deals(office.seller, "Won in the morning")
    with job_server() as running:
        # Not woken: the win itself has to wake a process that listens already.
        until(lambda: office.query(LISTENS, f"odoo-{running.process.pid}"))
        office.win(office.seller, [deal])
        until(lambda: office.get_bill(deal) == ONE_DRAFT, seconds=60)


def test_a_killed_job_loses_nothing_and_repeats_nothing(office, job_server):
    slow, payable = office.create_account("Slow")
    names = [f"Deal {number}" for number in range(1, 10)]
    deals = office.create_deals(office.seller, *names[:4])
    deals += office.create_deals(office.seller, names[4], account=slow)
    deals += office.create_deals(office.seller, *names[5:])
    for deal in deals:
        office.win(office.seller, [deal])
    before = office.count_invoices()
    office.slice_job(3)
    first, rest, slow_deal = deals[:3], deals[3:], deals[4]

    def are_drafted(chunk):
        return set(office.get_bills(chunk).values()) == {ONE_DRAFT}

    with office.gate(
        f"AFTER INSERT ON account_move FOR EACH ROW WHEN (NEW.partner_id = {payable})"
    ) as open_gate:
        with job_server() as running:
            # It was not there yet when the deals were won, so it has to be woken.
            until(office.count_waiting, meanwhile=running.wake_crons)
            running.kill()
        assert are_drafted(first)
        assert set(office.get_bills(rest).values()) == {QUEUED}
        with job_server() as running:
            others = set(deals) - {slow_deal}
            until(lambda: are_drafted(others), meanwhile=running.wake_crons)
            # Still held up, so left alone: neither broken nor in the way of others.
            assert office.get_bill(slow_deal) == QUEUED
            open_gate()
            until(lambda: are_drafted(deals), meanwhile=running.wake_crons)
    assert office.get_bills(deals) == dict.fromkeys(names, ONE_DRAFT)
    assert office.count_invoices() == before + len(deals)


def test_what_somebody_else_holds_is_done_later(office, connect, database):
    names = ["Handoff", "Deal", "Quotation", "Line", "Free", "Free, too"]
    deals = office.create_deals(office.seller, *names)
    office.win(office.seller, deals)
    handoff_deal, edited_deal, quoted_deal, line_deal, *free = deals
    holder = connect(database)
    cursor = holder.cursor()
    cursor.execute(
        "SELECT id FROM crm_billing_handoff WHERE lead_id = %s FOR UPDATE",
        [handoff_deal],
    )
    cursor.execute(
        "UPDATE crm_lead SET referred = 'A friend' WHERE id = %s", [edited_deal]
    )
    cursor.execute(
        "UPDATE sale_order SET reference = 'Edited' WHERE opportunity_id = %s",
        [quoted_deal],
    )
    cursor.execute(
        "UPDATE sale_order_line SET sequence = 11 FROM sale_order"
        " WHERE sale_order.id = order_id AND opportunity_id = %s",
        [line_deal],
    )
    office.run_job()
    bills = office.get_bills(deals)
    assert [bills[name] for name in names[:4]] == [QUEUED] * 4
    assert [bills[name] for name in names[4:]] == [ONE_DRAFT] * 2
    holder.commit()
    office.run_job()
    assert office.get_bills(deals) == dict.fromkeys(names, ONE_DRAFT)
    [[kept]] = office.query("SELECT referred FROM crm_lead WHERE id = %s", edited_deal)
    assert kept == "A friend"


def test_a_broken_deal_does_not_stop_thirty(office):
    names = [f"Deal {number}" for number in range(1, 31)]
    product, account = office.create_broken_product()
    deals = office.create_deals(office.seller, *names[:16])
    [broken] = office.create_deals(office.seller, names[16], product=product)
    deals += [broken, *office.create_deals(office.seller, *names[17:])]
    office.win(office.seller, deals)
    office.run_job()
    assert office.get_bills(deals) == {
        **dict.fromkeys(names, ONE_DRAFT),
        names[16]: Bill("blocked", None, "blocked"),
    }
    [[reason, task]] = office.query(
        "SELECT billing_error, summary FROM crm_billing_handoff handoff"
        "  JOIN mail_activity ON res_id = handoff.id AND res_model = %s"
        " WHERE lead_id = %s",
        "crm.billing.handoff",
        broken,
    )
    assert "off" in reason.lower() and task
    # The job does not try again by itself; once the cause is gone, a person does.
    office.run_job()
    assert office.get_bill(broken) == Bill("blocked", None, "blocked")
    office.admin("account.account", "write", account, {"account_type": "income"})
    office.admin("crm.lead", "action_hand_off", [broken])
    assert office.get_bill(broken) == ONE_DRAFT
