"""The watchdog with real processes: no job at all, and signs of life in a crowd."""

import json
import time
import urllib.error
import urllib.request

from office import until

TOKEN = "health-token-of-this-test"

SEEN = """
import time
watches = env["crm.billing.watch"]
started = time.monotonic()
watches._seen("webhook")
took = time.monotonic() - started
env["res.partner"].create({"name": "Noted all the same"})
env.cr.commit()
print("took", took < 2, "made", env["res.partner"].search_count(
    [("name", "=", "Noted all the same")]))
"""

LOST_RACE = """
from datetime import timedelta
from odoo import fields
watches = env["crm.billing.watch"]
now = fields.Datetime.now()
# The transaction begins, then somebody else notes a sign.
env["res.partner"].create({"name": "Begun before"})
env.flush_all()
with env.registry.cursor() as other:
    env(cr=other)["crm.billing.watch"]._seen("webhook", now=now)
watches._seen("webhook", now=now + timedelta(hours=1))
env.cr.commit()
row = watches.search([("key", "=", "webhook")])
print("made", env["res.partner"].search_count([("name", "=", "Begun before")]),
      "seen", row.last_seen_at == now, "rows", len(row))
"""


def execute(connection, query, *values):
    with connection, connection.cursor() as cursor:
        cursor.execute(query, values)


def ask(url):
    """Return status and answer of the address that a monitor asks."""
    try:
        with urllib.request.urlopen(f"{url}/billing/health?token={TOKEN}") as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def get_states(health):
    return {watch["key"]: watch["state"] for watch in health["watches"]}


def test_a_monitor_hears_that_all_jobs_are_dead(database, connect, odoo_server):
    """M4: nothing runs jobs, and the address still tells; then it clears by itself."""
    connection = connect(database)
    execute(connection, "UPDATE res_company SET billing_health_token = %s", TOKEN)
    execute(
        connection,
        "UPDATE ir_cron SET active = TRUE, lastcall = NULL,"
        " nextcall = now() AT TIME ZONE 'utc' - interval '5 hours'"
        " WHERE cron_name LIKE 'Billing:%%' OR cron_name LIKE 'Collections:%%'"
        "    OR cron_name LIKE 'Mail: Email Queue%%'"
        "    OR cron_name LIKE 'Send invoices%%'",
    )
    execute(connection, "DELETE FROM ir_cron_progress")
    with odoo_server(database, cron_threads=0) as running:
        status, health = ask(running.url)
    assert (status, health["status"]) == (503, "alarm")
    states = get_states(health)
    assert states["job:crm_billing_handoff.ir_cron_watch"] == "late"
    assert states["job:crm_billing_handoff.ir_cron_invoice_agreements"] == "late"

    with odoo_server(database, cron_threads=2) as running:

        def is_well():
            running.wake_crons()
            return ask(running.url)[0] == 200

        until(is_well, seconds=120)
        states = get_states(ask(running.url)[1])
    assert states["heartbeat"] == "ok"


def test_a_sign_of_life_waits_for_nobody(database, connect, odoo_shell):
    odoo_shell(database, 'env["crm.billing.watch"]._seen("webhook"); env.cr.commit()')
    connection = connect(database)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE crm_billing_watch SET last_seen_at = NULL")
        started = time.monotonic()
        told = odoo_shell(database, SEEN)
        assert time.monotonic() - started < 60
    connection.rollback()
    assert "took True made 1" in told


def test_a_sign_of_life_that_loses_a_race_breaks_nothing(database, odoo_shell):
    odoo_shell(
        database,
        'env["crm.billing.watch"]._seen("webhook");'
        'env.cr.execute("UPDATE crm_billing_watch SET last_seen_at = NULL");'
        "env.cr.commit()",
    )
    assert "made 1 seen True rows 1" in odoo_shell(database, LOST_RACE)
