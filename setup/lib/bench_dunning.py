"""P9, P10, P11: what reminding costs: an invoice, a mail, a whole run."""

import json

from . import databases
from .paths import SETUP

INVOICES = 10_000

_results = {}


def decisions():
    """P9: finding who is due, deciding and writing, mails left out."""
    found = _measure("measure_decisions(env)")
    yield {
        "n": 1000,
        "what": "reminders: find, decide, write, per 1000 invoices",
        "value": found["cpu"],
        "floor": 0,
        "unit": "s CPU",
        "goal": 0.3,
    }
    yield {
        "n": 1000,
        "what": "the same, an invoice",
        "value": found["queries"],
        "floor": 0,
        "unit": "queries",
        "goal": 0.1,
    }


def mails():
    """P10: one mail to a customer with four invoices, pay links and notes included."""
    found = _measure("measure_mails(env)")
    yield {
        "n": 200,
        "what": "a reminder mail listing 4 invoices with their pay links",
        "value": found["cpu"],
        "floor": 0,
        "unit": "ms CPU",
        "goal": 5,
    }
    yield {
        "n": 200,
        "what": "the same",
        "value": found["queries"],
        "floor": 0,
        "unit": "queries",
        "goal": 1,
    }


def whole_run():
    """P11: 10,000 overdue invoices of 2,500 customers, nobody presses a button."""
    found = _measure(f"measure_run(env, {INVOICES})")
    yield {
        "n": INVOICES,
        "what": "reminding 2,500 customers of 10,000 overdue invoices",
        "value": found["cpu"],
        "floor": 0,
        "unit": "s CPU",
        "goal": 20,
    }
    yield {
        "n": INVOICES,
        "what": "the same: customers without their one mail of all invoices",
        "value": found["wrong"],
        "floor": 0,
        "unit": "",
        "goal": 0,
    }
    yield {
        "n": INVOICES,
        "what": "a second run of the day",
        "value": found["again"],
        "floor": 0,
        "unit": "queries",
        "goal": 20,
    }


def _measure(call):
    if call not in _results:
        code = f"""
import json, sys
sys.path.insert(0, {str(SETUP)!r})
from lib import bench_dunning_inside
print(json.dumps(bench_dunning_inside.{call}))
"""
        with databases.temporary(databases.layer(demo=False), "bench") as name:
            output = databases.shell(name, code)
        _results[call] = json.loads(output.splitlines()[-1])
    return _results[call]
