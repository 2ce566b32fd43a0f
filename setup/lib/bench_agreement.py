"""P1, P2, P3, P5, P8: what the run of agreements costs beside plain Odoo's invoices.

What is measured is in `bench_agreement_inside`: ours in a database with our addons, the
floor in one without, where the same invoices are made and posted in one batch.
"""

import json

from . import databases
from .paths import SETUP

_results = {}  # P1 and P2 are two views of one measurement


def queries_of_drafts():
    """P1: marginal queries of a draft from an agreement, its note included."""
    for lines, goal in ((1, 1.0), (5, 1.5)):
        yield {
            "n": 100,
            "what": f"a draft of an agreement, {_lines(lines)}",
            "value": _ours("measure_drafts")[lines]["queries"],
            "floor": _plain("measure_plain_drafts")[lines]["queries"],
            "unit": "queries",
            "goal": goal,
        }


def cpu_of_drafts():
    """P2: the same in CPU, as a share of plain Odoo's batch ``create``."""
    for lines, goal in ((1, 0.85), (5, 0.9)):
        yield {
            "n": 100,
            "what": f"a draft of an agreement, {_lines(lines)}",
            "value": _ours("measure_drafts")[lines]["cpu"],
            "floor": _plain("measure_plain_drafts")[lines]["cpu"],
            "unit": "ms CPU",
            "goal": goal,
            "goal_of": "ratio",
        }


def failures():
    """P3: one agreement of 200 that cannot be billed, beside 200 that can."""
    cpu = _ours("measure_failures")
    for kind, what, goal in (
        ("prepare", "one bad of 200, met in preparing", 1.3),
        ("create", "one bad of 200, fails inside create", 1.6),
    ):
        yield {
            "n": 200,
            "what": what,
            "value": cpu[kind],
            "floor": cpu["clean"],
            "unit": "ms CPU",
            "goal": goal,
            "goal_of": "ratio",
        }


def nothing_due():
    """P5: a second run, beside few agreements and beside many."""
    for result in _ours("measure_nothing_due"):
        yield {
            "n": result["n"],
            "what": "a run when nothing is due any more",
            "value": result["queries"],
            "floor": 0,
            "unit": "queries",
            "goal": 10,
        }
    yield {
        "n": result["n"],
        "what": "the same: agreements with a second invoice",
        "value": result["twice"],
        "floor": 0,
        "unit": "",
        "goal": 0,
    }


def posting():
    """P8: posting and queueing for sending, beside core's batch ``action_post``."""
    yield {
        "n": 200,
        "what": "posting and queueing for sending, in chunks",
        "value": _ours("measure_posting"),
        "floor": _plain("measure_plain_posting"),
        "unit": "ms CPU",
        "goal": 1.1,
        "goal_of": "ratio",
    }


def _lines(number):
    return f"{number} line{'s' if number > 1 else ''}"


def _ours(function):
    return _measure(function, databases.layer)


def _plain(function):
    return _measure(function, databases.core_layer)


def _measure(function, layer):
    if function not in _results:
        code = f"""
import json, sys
sys.path.insert(0, {str(SETUP)!r})
from lib import bench_agreement_inside
print(json.dumps(bench_agreement_inside.{function}(env)))
"""
        with databases.temporary(layer(demo=False), "bench") as name:
            output = databases.shell(name, code)
        _results[function] = json.loads(
            output.splitlines()[-1],
            object_hook=lambda found: {
                int(key) if key.isdigit() else key: value
                for key, value in found.items()
            },
        )
    return _results[function]
