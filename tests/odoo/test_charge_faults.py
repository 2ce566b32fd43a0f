"""Everything that can go wrong while money moves: one charge or none, never two.

Each fault at each call, recovered at once and 30 hours later, when the provider has
forgotten the keys; then killed processes, in the middle of each call.
"""

import os
import time

import charging
import pytest

from lib import databases

FAULTS = ("drop_before", "drop_after", "rate_limit", "error_before", "error_after")
TIMEOUTS = ("delay_before", "delay_after")
# The call that fails: its address, and how the bank answers the charge.
CALLS = {
    "create": ("payment_intents", None),
    "confirm": ("payment_intents/*/confirm", None),
    "confirm, declined": ("payment_intents/*/confirm", "insufficient_funds"),
    "cancel": ("payment_intents/*/cancel", "insufficient_funds"),
    "refund": ("refunds", None),
}
# Plans the trouble for one call of one invoice, and lives through it.
BREAK = """
def break_off(call, kind, name):
    path, decline = calls[call]
    move = invoice_of(name)
    if decline:
        method = token_of(move).stripe_payment_method
        control("decline_with", method, decline, times=1)
    slow = {"seconds": 3} if kind.startswith("delay") else {}
    if call == "refund":
        attempt = Attempt._start(move, "due", now)
        env.cr.commit()
        attempt._send(now)
        control("fault", kind, path, **slow)
        attempt._refund(40.0)
    else:
        control("fault", kind, path, **slow)
        attempt = Attempt._start(move, "due", now)
        env.cr.commit()
        attempt._send(now)
    env.cr.commit()
    control("clear_faults")
    return move
"""
MATRIX = (
    BREAK
    + """
stripe_client.TIMEOUT = 1
found = {}
for when, hours in (("now", 0), ("later", 30)):
    moves = {}
    for call in calls:
        for kind in kinds:
            moves[f"{call} | {kind} | {when}"] = break_off(call, kind, when)
    import time; time.sleep(3.5)  # requests that came too late arrive
    if hours:
        control("advance", hours=hours)
    moment = now + timedelta(hours=hours)
    for minutes in (5, 10):
        Attempt._cron_reconcile(moment + timedelta(minutes=minutes))
    found |= {name: look(move) for name, move in moves.items()}
    Attempt._cron_charge(moment + timedelta(hours=2))
    for name, move in moves.items():
        found[name]["at last"] = look(move)
tell(found)
"""
)
LATE = "SELECT count(*) FROM crm_dunning_attempt WHERE state IN ('sending','verifying')"


@pytest.fixture(scope="module")
def database(stripe):
    """A database whose provider is the local Stripe of this module."""
    with databases.temporary(os.environ["ODOO_TEST_TEMPLATE"]) as name:
        charging.prepare(stripe, name)
        yield name


def check(call, name, seen):
    """Say what is wrong with what became of one invoice; nothing if all is well."""
    wrong = []
    declined = CALLS[call][1]
    last = seen["at last"]
    if seen["charges"] > 1 or last["charges"] > 1:
        wrong.append("charged twice")
    if seen["failures"] > bool(declined):
        wrong.append("asked the bank twice")
    if set(seen["states"]) - {"succeeded", "declined", "cancelled", "not_sent"}:
        wrong.append(f"not resolved: {seen['states']}")
    if ("succeeded" in seen["states"]) != (seen["charges"] == 1):
        wrong.append("state and money differ")
    if seen["open_intents"]:
        wrong.append("somebody could still pay it")
    if not declined and (last["charges"], last["residual"]) != (1, 0.0):
        wrong.append("never charged")
    if declined and seen["charges"]:
        wrong.append("a decline that took money")
    if call == "refund" and (last["refunds"], last["refund_states"]) != (
        1,
        ["succeeded"],
    ):
        wrong.append(f"refunds: {last['refunds']} {last['refund_states']}")
    return [f"{name}: {text} ({seen})" for text in wrong]


def test_the_matrix_of_faults(database, stripe):
    calls = {name: list(values) for name, values in CALLS.items()}
    found = charging.run(database, MATRIX, calls=calls, kinds=FAULTS + TIMEOUTS)
    assert len(found) == len(CALLS) * len(FAULTS + TIMEOUTS) * 2
    wrong = [
        line
        for name, seen in found.items()
        for line in check(name.split(" | ")[0], name, seen)
    ]
    assert not wrong, "\n".join(wrong)
    assert databases.query(LATE, database) == [["0"]]


KILLED = (
    BREAK
    + """
path, decline = calls[call]
moves = [invoice_of(f"{call} {kind} {number}") for number in range(2)]
ready = []
for move in moves:
    if decline:
        control("decline_with", token_of(move).stripe_payment_method, decline, times=1)
    attempt = Attempt._start(move, "due", now)
    env.cr.commit()
    if call == "refund":
        attempt._send(now)
    ready.append(attempt.id)
control("fault", kind, path, seconds=6, times=2)
env.cr.commit()

def live(attempt_id):
    with env.registry.cursor() as cr:
        own = api.Environment(cr, SUPERUSER_ID, {})["crm.dunning.attempt"]
        attempt = own.browse(attempt_id)
        if call == "refund":
            attempt._refund(40.0)
            cr.commit()
        else:
            attempt._send(now)

threads = [threading.Thread(target=live, args=[one]) for one in ready]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""
)
RECOVER = """
moves = env["account.move"].search([("partner_id.name", "like", f"{call} {kind} %")])
moves = moves.sorted("id")
found = {}
for move, hours in zip(moves, (0, 30)):
    if hours:
        control("advance", hours=hours)
    moment = now + timedelta(hours=hours)
    for minutes in (5, 10):
        for attempt in move.dunning_attempt_ids:
            attempt._send(moment + timedelta(minutes=minutes))
    found[f"{call} | {kind} | {hours}"] = look(move)
Attempt._cron_charge(now + timedelta(hours=32))
for move, hours in zip(moves, (0, 30)):
    found[f"{call} | {kind} | {hours}"]["at last"] = look(move)
tell(found)
"""


@pytest.mark.parametrize("kind", TIMEOUTS)
@pytest.mark.parametrize("call", ["create", "confirm", "cancel", "refund"])
def test_a_process_that_is_killed(database, stripe, connect, call, kind):
    """Two charges hang in one call; no transaction is open meanwhile; then kill -9."""
    calls = {name: list(values) for name, values in CALLS.items()}
    values = {"call": call, "kind": kind, "calls": calls}
    stripe.forget_journal()
    process = charging.start(database, KILLED, **values)
    try:
        wait(lambda: len(get_hanging(stripe)) == 2, process)
        time.sleep(0.3)
        assert idle_states(look_at(connect(database))) <= {"idle"}
    finally:
        process.kill()
        process.wait()
    stripe.clear_faults()
    wait(lambda: not get_hanging(stripe))  # what nobody waits for is executed, too
    found = charging.run(database, RECOVER, **values)
    wrong = [line for name, seen in found.items() for line in check(call, name, seen)]
    assert len(found) == 2
    assert not wrong, "\n".join(wrong)


def get_hanging(stripe):
    """Return the requests with a planned delay that have no answer yet."""
    return [one for one in get_delayed(stripe) if one["status"] is None]


def get_delayed(stripe):
    return [one for one in stripe.journal() if (one["fault"] or "").startswith("delay")]


def idle_states(cursor):
    """Return the states of the other sessions of the database."""
    cursor.execute(
        "SELECT DISTINCT state FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid != pg_backend_pid()"
        "   AND state IS NOT NULL"
    )
    return {state for [state] in cursor.fetchall()}


def look_at(connection):
    connection.autocommit = True
    return connection.cursor()


def wait(condition, process=None, patience=60):
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline, "it does not happen"
        assert process is None or process.poll() is None, "the process has ended"
        time.sleep(0.1)


def test_no_transaction_is_open_while_the_provider_is_asked(database, stripe, connect):
    """P18: three calls of a charge, seen from the database."""
    code = """
    move = invoice_of("Slow")
    control("forget_journal")
    control("fault", "delay_after", "payment_intents", method="GET", seconds=1.5)
    for path in ("payment_intents", "payment_intents/*/confirm"):
        control("fault", "delay_after", path, seconds=1.5)
    env.cr.commit()
    Attempt._cron_charge(now)
    """
    stripe.forget_journal()
    process = charging.start(database, code)
    seen, cursor = [], look_at(connect(database))
    try:
        wait(lambda: get_delayed(stripe), process)
        while process.poll() is None:
            hanging = get_hanging(stripe)
            states = idle_states(cursor)
            if hanging and hanging == get_hanging(stripe):
                seen.append(states)
            time.sleep(0.1)
        process.wait(60)
    finally:
        process.kill()
    assert len(get_delayed(stripe)) == 3
    assert len(seen) >= 3
    assert set().union(*seen) == {"idle"}
