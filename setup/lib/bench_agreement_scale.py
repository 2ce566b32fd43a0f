"""Agreements by the ten thousand: real workers under Odoo's limits, and finding few.

The upper half drives, the lower half (from IN ODOO on) runs inside an Odoo process.
"""

import contextlib
import json
import time
from pathlib import Path

from . import databases, paths, server
from .meter import Meter

FEW, MANY = 2_000, 10_000
LANES = ("ir_cron_invoice_agreements", "ir_cron_invoice_agreements_2")
PATIENCE = 900  # seconds after which a run does not come to an end any more

DONE = """
    SELECT count(*) FROM crm_billing_agreement
     WHERE state = 'running' AND next_run_at <= now() AT TIME ZONE 'utc'
"""
# Agreements, those with exactly one invoice, invoices, ledger rows, errors.
RESULT = """
    SELECT (SELECT count(*) FROM crm_billing_agreement WHERE state = 'running'),
           (SELECT count(*) FROM (SELECT FROM account_move_crm_billing_agreement_rel
              GROUP BY agreement_id HAVING count(*) = 1) billed),
           (SELECT count(*) FROM account_move),
           (SELECT count(*) FROM crm_billing_period WHERE move_line_id IS NOT NULL),
           (SELECT count(*) FROM crm_billing_agreement WHERE billing_error IS NOT NULL)
"""


# === MANY DUE AT ONCE === #


def many_due():
    """P4: everything is due at once, two cron workers share it under Odoo's limits.

    That is 60 s of CPU and 120 s of time for one call of the job, Odoo's defaults.
    """
    small, large = _run_workers(FEW), _run_workers(MANY)
    yield {
        "n": MANY,
        "what": "due at once, 2 cron workers: lost, doubled, killed by limits",
        "value": large["wrong"] + small["wrong"],
        "floor": 0,
        "unit": "",
        "goal": 0,
    }
    yield {
        "n": MANY,
        "what": f"the same, peak memory of a worker (floor: {FEW} due)",
        "value": large["memory"],
        "floor": small["memory"],
        "unit": "MB",
        "goal": 1.15,
        "goal_of": "ratio",
    }
    yield {
        "n": MANY,
        "what": f"the same, from first to last (floor: {FEW} due, as many times)",
        "value": large["seconds"],
        "floor": small["seconds"] * MANY / FEW,
        "unit": "s",
        "goal": PATIENCE,
    }


def _run_workers(count):
    """Let two cron workers bill ``count`` agreements, nobody helping."""
    layer = databases.layer(demo=False)
    with databases.temporary(layer, "bench") as name:
        _in_odoo(name, "create", count)
        started, watch = time.monotonic(), _Watch()
        with server.Server(name, http=False, cron_threads=2, workers=2) as running:
            while int(databases.query(DONE, name)[0][0]):
                running.wake_crons()
                watch.look(running.process.pid)
                if time.monotonic() - started > PATIENCE:
                    break
                time.sleep(1)
            seconds = time.monotonic() - started
            time.sleep(3)  # what is committed now would be a second invoice
        [row] = databases.query(RESULT, name)
    agreements, *billed, errors = map(int, row)
    assert agreements == count, "not all of them run"
    return {
        "wrong": sum(abs(count - number) for number in billed)
        + errors
        + running.log.read_text().count("limit exceeded"),
        "memory": watch.memory,
        "seconds": seconds,
    }


class _Watch:
    """The most memory that a worker process of a server has taken, in MB."""

    def __init__(self):
        self.memory = 0.0

    def look(self, pid):
        with contextlib.suppress(OSError):
            children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
            for child in children:
                with contextlib.suppress(OSError):
                    self._look_at(child)

    def _look_at(self, pid):
        status = dict(
            line.split(":", 1)
            for line in Path(f"/proc/{pid}/status").read_text().splitlines()
        )
        self.memory = max(self.memory, int(status["VmHWM"].split()[0]) / 1024)


# === FEW DUE AMONG MANY === #


def few_among_many():
    """P6: 100 due among 100,000: what finding them takes, and the whole run."""
    layer = databases.layer(demo=False)
    with databases.temporary(layer, "bench") as name:
        result = _in_odoo(name, "measure_few_among_many")
    yield {
        "n": 100_000,
        "what": "finding 100 due: queries without the index",
        "value": result["unindexed"],
        "floor": 0,
        "unit": "queries",
        "goal": 0,
    }
    yield {
        "n": 100_000,
        "what": "the same, time",
        "value": result["find"],
        "floor": 0,
        "unit": "ms",
        "goal": 50,
    }
    yield {
        "n": 100_000,
        "what": "billing them (floor: 100 due of 100)",
        "value": result["run"],
        "floor": result["alone"],
        "unit": "ms CPU",
        "goal": 1.15,
        "goal_of": "ratio",
    }


def _in_odoo(name, function, *arguments):
    code = f"""
import json, sys
sys.path.insert(0, {str(paths.SETUP)!r})
from lib import bench_agreement_scale
print(json.dumps(bench_agreement_scale.{function}(env, *{arguments!r})))
"""
    return json.loads(databases.shell(name, code).splitlines()[-1])


# === IN ODOO === #


def create(env, count):
    from .bench_cloning import create_agreements

    create_agreements(env, count)
    lanes = [env.ref(f"crm_billing_handoff.{name}").id for name in LANES]
    env.cr.execute("UPDATE ir_cron SET active = false WHERE id != ALL(%s)", [lanes])
    env.cr.execute("UPDATE ir_cron SET nextcall = now() AT TIME ZONE 'utc'")
    env.cr.commit()
    print("null")


def measure_few_among_many(env, few=100, many=100_000):
    """Return ms to find what is due, CPU to bill it, alone and among many."""
    from .bench_agreement_inside import run
    from .bench_cloning import create_agreements

    create_agreements(env, 5)
    run(env)
    create_agreements(env, few)
    alone = run(env).cpu
    first = create_agreements(env, many)
    env.cr.execute(
        "UPDATE crm_billing_agreement SET next_run_at = next_run_at + interval '5 days'"
        " WHERE id > %s AND (id - %s) %% %s != 0",
        [first, first, many // few],
    )
    env.cr.commit()
    env.cr.execute("ANALYZE crm_billing_agreement")
    env.cr.commit()
    plans, find = _find(env, few)
    return {
        "unindexed": sum("crm_billing_agreement_due_idx" not in plan for plan in plans),
        "find": find,
        "run": run(env).cpu,
        "alone": alone,
    }


def _find(env, few):
    """Return the plans and the least milliseconds of what looks for due agreements."""
    agreements = env["crm.billing.agreement"].with_context(active_test=False)
    domain = agreements._get_due_domain(env.cr.now())
    times = []
    for _round in range(5):
        started = time.monotonic()
        with Meter(env, commit=False) as meter:
            found = agreements._read_group(
                domain, ["payer_id"], ["__count"], limit=1000, order="id:min"
            )
        times.append((time.monotonic() - started) * 1000)
        assert len(found) == few and meter.queries == 1
    env.cr.execute(_explain(agreements._search(domain)))
    plan = "\n".join(line for [line] in env.cr.fetchall())
    return [plan], min(times)


def _explain(query):
    from odoo.tools import SQL

    return SQL("EXPLAIN %s", query.select())
