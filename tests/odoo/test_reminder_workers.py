"""Two workers remind at once, and one dies in the middle: one message a customer."""

import contextlib
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from office import until

LANES = ["crm_dunning.ir_cron_follow_up", "crm_dunning.ir_cron_follow_up_2"]
WRITTEN = "AFTER INSERT ON crm_dunning_notice FOR EACH STATEMENT"
# Messages, listed instalments, open cases and mails of each customer.
REMINDED = """
    SELECT (SELECT count(*) FROM crm_dunning_notice WHERE partner_id = account.id
               AND state = 'queued'),
           (SELECT count(*) FROM crm_dunning_notice_line line
              JOIN account_move move ON move.id = line.move_id
             WHERE move.commercial_partner_id = account.id AND kind = 'listed'),
           (SELECT count(*) FROM crm_dunning_case WHERE partner_id = account.id),
           (SELECT count(*) FROM mail_mail JOIN mail_message message
                ON message.id = mail_message_id
              JOIN account_move move ON move.id = message.res_id
             WHERE move.commercial_partner_id = account.id
               AND message.model = 'account.move')
      FROM res_partner account WHERE id = ANY(%s)
"""
ONCE = (1, 2, 2, 1)  # each customer has two invoices


class Reminders:
    def __init__(self, office):
        self.office = office
        self.lanes = [office._get_id(*lane.split(".")) for lane in LANES]
        office.execute("UPDATE ir_cron SET nextcall = now() + interval '1 day'")
        office.execute(
            "UPDATE ir_cron SET active = FALSE WHERE id != ALL(%s)", self.lanes
        )
        policy = office._get_id("crm_dunning", "policy_default")
        office.execute(
            "UPDATE crm_dunning_policy SET state = 'armed', hour_from = 0,"
            " hour_to = 24, weekdays_only = FALSE WHERE id = %s",
            policy,
        )

    def slice(self, size):
        code = f"model._cron_follow_up(chunk_size={size})"
        self.office.admin("ir.cron", "write", self.lanes, {"code": code})

    def create_customers(self, count):
        """Create customers with two invoices each, both three days late."""
        office = self.office
        due = datetime.now(UTC).date() - timedelta(days=3)
        line = {"product_id": office.product, "price_unit": 100}
        accounts = [
            office.create_account(f"Late {number}")[0] for number in range(count)
        ]
        moves = office.admin(
            "account.move",
            "create",
            [
                {
                    "move_type": "out_invoice",
                    "partner_id": account,
                    "invoice_date": str(due - timedelta(days=30)),
                    "invoice_date_due": str(due),
                    "invoice_payment_term_id": False,
                    "invoice_line_ids": [(0, 0, line)],
                }
                for account in accounts
                for _invoice in range(2)
            ],
        )
        office.admin("account.move", "action_post", moves)
        return accounts

    def run(self, lane=0, session=None):
        self.office.run_job(self.lanes[lane], session)

    def get_counts(self, accounts):
        return {tuple(row) for row in self.office.query(REMINDED, accounts)}


@pytest.fixture
def reminders(office):
    return Reminders(office)


def test_two_lanes_share_a_wave(office, reminders):
    accounts = reminders.create_customers(6)
    reminders.slice(2)
    office.meet(
        WRITTEN,
        partial(reminders.run, 0),
        partial(reminders.run, 1, session=office.other_admin),
    )
    reminders.run()
    assert reminders.get_counts(accounts) == {ONCE}
    reminders.run(1, session=office.other_admin)
    assert reminders.get_counts(accounts) == {ONCE}


def test_both_lanes_want_the_same_customer(office, reminders):
    """The second one leaves it alone, or loses the race; the customer gets one mail."""
    [account] = reminders.create_customers(1)
    with ThreadPoolExecutor(2) as pool, office.gate(WRITTEN) as open_gate:
        first = pool.submit(reminders.run)
        until(lambda: office.count_waiting() == 1)
        second = pool.submit(reminders.run, 1, session=office.other_admin)
        second.result()  # waits for nobody
        open_gate()
        first.result()
    assert reminders.get_counts([account]) == {ONCE}


def test_killed_in_the_middle(office, reminders):
    """What a dead worker did not commit is done by the next run, nothing twice."""
    accounts = reminders.create_customers(6)
    reminders.slice(2)
    with ThreadPoolExecutor(1) as pool, office.gate(WRITTEN):
        call = pool.submit(reminders.run)
        until(lambda: office.count_waiting() == 1)
        office.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        with contextlib.suppress(Exception):
            call.result()
    reminders.run(session=office.other_admin)
    assert reminders.get_counts(accounts) == {ONCE}
