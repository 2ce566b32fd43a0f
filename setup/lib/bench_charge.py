"""P18: what the job that charges costs: finding what is due among what is open.

The upper half drives, the lower half (from IN ODOO on) runs inside an Odoo process.
That no database transaction is open while the provider is called is a test
(`tests/odoo/test_charge_faults.py`), not a figure.
"""

import json
import time

from . import databases, paths
from .meter import Meter

FEW, MANY = 100, 100_000


def few_among_many():
    """P18: 100 retries and 100 first charges due, among 100 and among 100,000 open."""
    with databases.temporary(databases.layer(demo=False), "bench") as name:
        found = json.loads(databases.shell(name, _CODE).splitlines()[-1])
    for kind, what in (
        ("retries", "finding 100 retries that are due, among open invoices"),
        ("charges", "finding 100 first charges that are due, among open invoices"),
    ):
        yield {
            "n": MANY,
            "what": f"{what} (floor: of {2 * FEW})",
            "value": found[kind]["many"],
            "floor": found[kind]["alone"],
            "unit": "ms",
            "goal": 50,
        }
    yield {
        "n": MANY,
        "what": "the same, queries",
        "value": found["queries"]["many"],
        "floor": found["queries"]["alone"],
        "unit": "queries",
        "goal": found["queries"]["alone"],
    }


_CODE = f"""
import json, sys
sys.path.insert(0, {str(paths.SETUP)!r})
from lib import bench_charge
print(json.dumps(bench_charge.measure(env, {FEW}, {MANY})))
"""


# === IN ODOO === #


def measure(env, few, many):
    """Return ms and queries to find what is due, alone and among many."""
    now = env.cr.now()
    _prepare(env, now)
    due = _create_invoices(env, 2 * few, now.date())
    _fail(env, due, few, "now() AT TIME ZONE 'utc' - interval '1 hour'")
    alone = _measure(env, few, now)
    _surround(env, many, now)
    among = _measure(env, few, now)
    return {
        kind: {"alone": alone[kind], "many": among[kind]}
        for kind in ("retries", "charges", "queries")
    }


def _prepare(env, now):
    """Write what charging by itself asks for; nothing is sent."""
    from odoo import fields

    provider = env["payment.provider"].search([("code", "=", "stripe")], limit=1)
    env.cr.execute(
        "UPDATE payment_provider SET state = 'test', dunning_armed = TRUE"
        " WHERE id = %s",
        [provider.id],
    )
    env["crm.dunning.policy"].create(
        {
            "name": "Bench policy",
            "company_id": env.company.id,
            "sequence": 0,
            "state": "armed",
            "armed_at": fields.Datetime.subtract(now, days=90),
            "charge_mode": "due",
            "hour_from": 0.0,
            "hour_to": 24.0,
            "weekdays_only": False,
            "owner_id": env.ref("base.user_admin").id,
        }
    )
    env.invalidate_all()


def _surround(env, many, now):
    """Add what is open and not to be charged now.

    80 % not due yet, 15 % failed and tried again later, 5 % without a saved method.
    """
    from odoo.fields import Date

    today, some = now.date(), many // 20
    _create_invoices(env, 16 * some, Date.add(today, days=20))
    late = _create_invoices(env, 3 * some, Date.subtract(today, days=20))
    _fail(env, late, 3 * some, "now() AT TIME ZONE 'utc' + interval '3 days'")
    _create_invoices(env, some, Date.subtract(today, days=10), tokens=False)


def _analyze(env):
    for table in (
        *("account_move", "account_move_line", "crm_dunning_case", "payment_token"),
        *("payment_provider", "res_partner"),
    ):
        env.cr.execute(f"ANALYZE {table}")
    env.cr.commit()


def _create_invoices(env, count, due, tokens=True):
    """Create open invoices, each of another account with a saved method.

    :return: the number to which 1, 2, … is added for their ids
    """
    from .bench_cloning import clone, create_customers, get_product

    customers = create_customers(env, count)
    move = env["account.move"].create(
        {
            "move_type": "out_invoice",
            "partner_id": customers + 1,
            "invoice_date": due,
            "invoice_date_due": due,
            "invoice_payment_term_id": False,
            "invoice_line_ids": [
                (0, 0, {"product_id": get_product(env).id, "price_unit": 100})
            ],
        }
    )
    move.action_post()
    account = f"{customers} + n"
    values = {"partner_id": account, "commercial_partner_id": account}
    base = clone(env, move, count, name=f"'BENCH/{move.id}/' || n", **values)
    for line in move.line_ids:
        clone(env, line, count, move_id=f"{base} + n", partner_id=account)
    if tokens:
        token = env["payment.token"].create(
            {
                "provider_id": env["payment.provider"]
                .search([("code", "=", "stripe")], limit=1)
                .id,
                "partner_id": customers + 1,
                "payment_method_id": env.ref("payment.payment_method_card").id,
                "provider_ref": "cus_bench",
                "stripe_payment_method": "pm_bench",
            }
        )
        clone(env, token, count, partner_id=account)
        token.active = False
    move.button_draft()
    move.button_cancel()
    env.cr.execute("UPDATE payment_method SET active = TRUE WHERE code = 'card'")
    env.cr.commit()
    env.invalidate_all()
    return base


def _fail(env, base, count, at):
    """Let the first ``count`` of these invoices have failed; next try at ``at``."""
    from .bench_cloning import clone

    case = env["crm.dunning.case"]._open_for(env["account.move"].browse(base + 1))
    env.flush_all()
    values = {"state": "'retrying'", "first_failure_at": "now() AT TIME ZONE 'utc'"}
    clone(env, case, count - 1, move_id=f"{base} + 1 + n", next_try_at=at, **values)
    env.cr.execute(
        "UPDATE crm_dunning_case one SET state = other.state,"
        " next_try_at = other.next_try_at, first_failure_at = other.first_failure_at"
        " FROM crm_dunning_case other WHERE one.id = %s AND other.move_id = %s",
        [case.id, base + 2],
    )
    env.cr.commit()
    env.invalidate_all()


def _measure(env, few, now):
    """Return the least milliseconds to find both kinds, and the queries of all."""
    _analyze(env)
    attempts = env["crm.dunning.attempt"]
    found = {}
    for kind, find in (
        ("retries", attempts._find_retries),
        ("charges", attempts._find_due),
    ):
        times = []
        for _round in range(5):
            env.invalidate_all()
            started = time.monotonic()
            number = len(find(now))
            times.append((time.monotonic() - started) * 1000)
            assert number == few, f"{number} {kind}"
        found[kind] = min(times)
    env.invalidate_all()
    with Meter(env, commit=False) as meter:
        assert len(attempts._find_to_charge(now)) == 2 * few
    return found | {"queries": meter.queries}
