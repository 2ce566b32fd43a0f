"""P16, P17, P19: what it costs to win deals and bill them, and to install the addon.

The upper half drives, the lower half (from IN ODOO on) runs inside an Odoo process:
ours in a database with our addons, the floor in one without, where a person would win
the deal and press *Create Invoice*.
"""

import json
import resource
import subprocess
import time

from . import databases
from .meter import Meter
from .paths import SETUP, manifests

FEW, MANY = 50, 150  # the difference leaves out what does not grow with the number


def one_deal():
    """P16: one confirmed order, its deal is won, the draft is there."""
    ours, plain = _measure("measure_one")
    common = {"n": 1, "unit": "queries"}
    yield {
        **common,
        "what": "won → draft, one deal, all queries",
        "value": ours["win"]["queries"] + ours["bill"]["queries"],
        "floor": plain["win"]["queries"] + plain["bill"]["queries"],
        "goal": 80,
    }
    yield {
        **common,
        "unit": "ms CPU",
        "what": "won → draft, one deal, CPU",
        "value": ours["win"]["cpu"] + ours["bill"]["cpu"],
        "floor": plain["win"]["cpu"] + plain["bill"]["cpu"],
        "goal": 80,
    }
    yield {
        **common,
        "what": "queueing, on top of plain Odoo's winning",
        "value": ours["win"]["queries"] - plain["win"]["queries"],
        "floor": plain["win"]["queries"],
        "goal": 5,
    }


def many_deals():
    """P17: deals won in one call, then one run of the job; per deal."""
    ours, plain = _measure("measure_many")
    for unit, key, goal in (("queries", "queries", 6), ("ms CPU", "cpu", 20)):
        yield {
            "n": MANY - FEW,
            "what": f"a deal of many, over plain Odoo's winning, {key}",
            "value": ours["win"][key] + ours["bill"][key] - plain["win"][key],
            "floor": plain["bill"][key],
            "unit": unit,
            "goal": goal,
        }


def _measure(function):
    """Run one function of the lower half with our addons and without."""
    code = f"""
import json, sys
sys.path.insert(0, {str(SETUP)!r})
from lib import bench_handoff
print(json.dumps(bench_handoff.{function}(env)))
"""
    results = []
    for layer in (databases.layer(demo=False), databases.core_layer(demo=False)):
        with databases.temporary(layer, "bench") as name:
            results.append(json.loads(databases.shell(name, code).splitlines()[-1]))
    return results


def installation():
    """P19: installing our addons where everything below is there already."""
    core = databases.core_layer(demo=False)
    addons = sorted(manifests())
    with databases.temporary(core, "bench") as name:
        start = min(_time_odoo(name) for _round in range(2))
        installed = _time_odoo(name, "-i", ",".join(addons))
    for index, unit in enumerate(("s", "s CPU")):
        yield {
            "n": len(addons),
            "what": "installing our addons, beyond start-up",
            "value": installed[index] - start[index],
            "floor": start[index],
            "unit": unit,
            "goal": 5,
        }


def _time_odoo(name, *options):
    """Return the seconds and the CPU seconds of one start of Odoo."""
    command = [*databases.odoo(), "-d", name, *options, "--stop-after-init"]
    command += ["--no-http", "--log-level=warn"]
    before, started = _children_cpu(), time.monotonic()
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    return time.monotonic() - started, _children_cpu() - before


def _children_cpu():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


# === IN ODOO === #


def measure_one(env):
    """Return ``{"win": …, "bill": …}`` of one deal, the least of three rounds.

    In a process that did the same before, as a server does all day.
    """
    run(env, 1, warm=True)
    rounds = [run(env, 1, warm=True) for _round in range(3)]
    return {
        step: {key: min(result[step][key] for result in rounds) for key in values}
        for step, values in rounds[0].items()
    }


def measure_many(env):
    """Return the same per deal, from the difference between few and many."""
    run(env, 2)
    few, many = run(env, FEW), run(env, MANY)
    return {
        step: {key: (many[step][key] - few[step][key]) / (MANY - FEW) for key in values}
        for step, values in few.items()
    }


def run(env, count, warm=False):
    """Win ``count`` deals as a person does, then bill them; measure both.

    :param warm: all in one transaction, with what it has read already at hand, and
        billed at the button; else each step reads anew, and the job bills
    """
    leads = create_deals(env, count)
    env.flush_all()
    env.cr.precommit.run()
    if not warm:
        env.cr.commit()
    user = env.ref("base.user_admin")
    with Meter(env, commit=not warm) as win:
        leads.with_user(user).action_set_won()
    if not warm:
        env.invalidate_all()
    with Meter(env, commit=not warm) as bill:
        if "crm.billing.handoff" in env and warm:
            leads.billing_handoff_ids.with_user(user).action_process()
        elif "crm.billing.handoff" in env:
            env["crm.billing.handoff"]._cron_process()
        else:
            leads.order_ids.with_user(user)._create_invoices()
    assert len(leads.order_ids.invoice_ids) == count, "not every deal has its draft"
    return {
        "win": {"queries": win.queries, "cpu": win.cpu},
        "bill": {"queries": bill.queries, "cpu": bill.cpu},
    }


def create_deals(env, count):
    """Create open deals with one confirmed order of one line each, billable at once."""
    # a new product clears Odoo's caches, which no deal does: take the same each time
    service = {"name": "Bench service", "type": "service", "invoice_policy": "order"}
    product = env["product.product"].search([("name", "=", service["name"])])
    product = product or product.create(service)
    partners = env["res.partner"].create(
        [
            {
                "name": f"Bench customer {number}",
                "is_company": True,
                "street": "1 Main Street",
                "city": "Springfield",
                "country_id": env.ref("base.us").id,
                "child_ids": [(0, 0, {"name": "Accounts", "email": "ap@example.com"})],
            }
            for number in range(count)
        ]
    )
    if "billing_contact_id" in partners:
        for partner in partners:
            partner.billing_contact_id = partner.child_ids
    leads = env["crm.lead"].create(
        [
            {"name": "Bench deal", "type": "opportunity", "partner_id": partner.id}
            for partner in partners
        ]
    )
    orders = env["sale.order"].create(
        [
            {
                "partner_id": lead.partner_id.id,
                "opportunity_id": lead.id,
                "order_line": [(0, 0, {"product_id": product.id, "price_unit": 100})],
            }
            for lead in leads
        ]
    )
    orders.action_confirm()
    return leads
