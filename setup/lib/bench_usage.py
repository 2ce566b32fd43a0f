"""P7: what it costs to rate usage, from events to the lines of a draft.

The upper half drives, the lower half (from IN ODOO on) runs inside an Odoo process.
The floor is what PostgreSQL alone needs to add up the same events, as wall time; the
figure is CPU of Odoo, in which the database has no part.
"""

import json
import time
from datetime import date, timedelta

from . import databases
from .meter import Meter
from .paths import SETUP

FEW, MANY = 1_000, 100_000  # events
LINES = 100
DAY = date(2026, 1, 1)


def rating():
    """P7: events of one month to lines; queries do not grow with the events."""
    code = f"""
import json, sys
sys.path.insert(0, {str(SETUP)!r})
from lib import bench_usage
print(json.dumps(bench_usage.measure(env)))
"""
    with databases.temporary(databases.layer(demo=False), "bench") as name:
        few, many = json.loads(databases.shell(name, code).splitlines()[-1])
    yield {
        "n": MANY,
        "what": f"rating events to {LINES} lines",
        "value": many["rate"]["cpu"] / 1000,
        "floor": many["floor"],
        "unit": "s CPU",
        "goal": 1,
    }
    yield {
        "n": MANY,
        "what": "the same with the time of the database",
        "value": many["wall"],
        "floor": many["floor"],
        "unit": "s",
        "goal": 1,
    }
    yield {
        "n": MANY,
        "what": f"queries, more than for {FEW:,} events",
        "value": many["rate"]["queries"] - few["rate"]["queries"],
        "floor": few["rate"]["queries"],
        "unit": "queries",
        "goal": 0,
    }
    yield {
        "n": MANY,
        "what": "recording those events",
        "value": many["record"] / 1000,
        "floor": many["floor"],
        "unit": "s CPU",
        "goal": 10,
    }


# === IN ODOO === #


def measure(env):
    """Return the figures of few events and of many, each in lines of its own."""
    measure_one(env, LINES)
    return [measure_one(env, count) for count in (FEW, MANY)]


def measure_one(env, count):
    """Record ``count`` events, then rate their month; measure both."""
    agreements, meter = create_agreements(env, f"bench_{count}")
    events = [
        prepare_event(number, agreements[number % LINES].partner_id.id)
        for number in range(count)
    ]
    with Meter(env) as record:
        meter.record_usage(events)
    env.invalidate_all()
    until = dict.fromkeys(agreements, DAY + timedelta(days=31))
    started = time.monotonic()
    with Meter(env, commit=False) as rate:
        lines = agreements.line_ids
        facts = lines._read_due_facts(until)
        dues = [
            due for line in lines for due in line._get_dues(DAY + timedelta(31), facts)
        ]
    wall = time.monotonic() - started
    used = sum(int(due.vals["explanation"]["inputs"]["events"]) for due in dues)
    assert (len(dues), used) == (LINES, count), "not every event was rated"
    return {
        "rate": {"queries": rate.queries, "cpu": rate.cpu},
        "record": record.cpu,
        "wall": wall,
        "floor": time_sum(env, lines),
    }


def time_sum(env, lines):
    """Return the seconds of the plainest query over the same events."""
    started = time.monotonic()
    env.cr.execute(
        "SELECT line_id, sum(value) FROM crm_billing_usage WHERE line_id IN %s "
        "GROUP BY line_id",
        (tuple(lines.ids),),
    )
    env.cr.fetchall()
    return time.monotonic() - started


def prepare_event(number, partner_id):
    day, minute = divmod(number % (31 * 1440), 1440)
    return {
        "id": f"event-{number}",
        "account": partner_id,
        "at": f"2026-01-{day + 1:02}T{minute // 60:02}:{minute % 60:02}Z",
        "value": f"{number % 97}.5",
    }


def create_agreements(env, code):
    """Create agreements of one usage line, each with an account of its own."""
    service = {"name": "Bench usage", "type": "service"}
    product = env["product.product"].search([("name", "=", service["name"])])
    product = product or product.create(service)
    plan = env["crm.billing.plan"].create({"name": "Bench month"})
    meter = env["crm.billing.meter"].create(
        {
            "name": code,
            "code": code,
            "price_model": "graduated",
            "tier_ids": [
                (0, 0, {"up_to": 1000, "price": 0.05}),
                (0, 0, {"price": 0.04}),
            ],
        }
    )
    partners = env["res.partner"].create(
        [
            {"name": f"Bench {code} {number}", "is_company": True}
            for number in range(LINES)
        ]
    )
    line = {
        "product_id": product.id,
        "billing_method": "usage",
        "meter_id": meter.id,
        "plan_id": plan.id,
    }
    agreements = env["crm.billing.agreement"].create(
        [
            {"partner_id": partner.id, "start_date": DAY, "line_ids": [(0, 0, line)]}
            for partner in partners
        ]
    )
    agreements.action_start()
    env.flush_all()
    return agreements, meter
