"""The bench command: figures against the floor of the same run, as table or JSON."""

import argparse
import json
from dataclasses import InitVar, asdict, dataclass, field

from . import (
    bench_agreement,
    bench_agreement_scale,
    bench_charge,
    bench_dunning,
    bench_handoff,
    bench_reports,
    bench_reports_lag,
    bench_reports_mrr,
    bench_usage,
    environment,
    say,
)


def _revenue_and_lag():
    """P15: movements of revenue, and collections lag, of two years."""
    yield from bench_reports_mrr.movements()
    yield from bench_reports_lag.lag()


SUITES = {
    "P1": bench_agreement.queries_of_drafts,
    "P2": bench_agreement.cpu_of_drafts,
    "P3": bench_agreement.failures,
    "P4": bench_agreement_scale.many_due,
    "P5": bench_agreement.nothing_due,
    "P6": bench_agreement_scale.few_among_many,
    "P7": bench_usage.rating,
    "P8": bench_agreement.posting,
    "P9": bench_dunning.decisions,
    "P10": bench_dunning.mails,
    "P11": bench_dunning.whole_run,
    "P12": bench_reports.aging_today,
    "P13": bench_reports.aging_before,
    "P14": bench_reports.details,
    "P15": _revenue_and_lag,
    "P16": bench_handoff.one_deal,
    "P17": bench_handoff.many_deals,
    "P18": bench_charge.few_among_many,
    "P19": bench_handoff.installation,
}


@dataclass
class Figure:
    """One measured number; ``floor`` is what the same costs in plain Odoo.

    The goal is the most that the value may be, or its ratio to the floor.
    """

    id: str
    what: str
    n: int
    value: float
    unit: str
    floor: float
    ratio: float = field(init=False)
    goal: float
    met: bool = field(init=False)
    goal_of: InitVar[str] = "value"

    def __post_init__(self, goal_of):
        self.value, self.floor = round(self.value, 2), round(self.floor, 2)
        self.ratio = round(self.value / self.floor, 2) if self.floor else 0.0
        self.met = getattr(self, goal_of) <= self.goal


def main(arguments):
    parser = argparse.ArgumentParser(
        prog="setup/bench",
        description="Measure queries and CPU of our flows and of plain Odoo's.",
    )
    parser.add_argument("ids", nargs="*", metavar="ID", help=", ".join(SUITES))
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    unknown = set(options.ids) - set(SUITES)
    if unknown:
        parser.error(f"no figure {', '.join(sorted(unknown))}; there are {[*SUITES]}")
    environment.prepare()
    figures = []
    for name, suite in SUITES.items():
        if not options.ids or name in options.ids:
            say.step(f"measuring {name}")
            figures += [Figure(name, **values) for values in suite()]
    if options.json:
        print(json.dumps({"figures": [asdict(figure) for figure in figures]}))
    else:
        _print_table(figures)
    return 0


def _print_table(figures):
    line = "{:<4} {:<62} {:>6} {:>9} {:>9} {:<8} {:>6} {:>7}  {}"
    print(line.format("", "", "n", "ours", "floor", "", "ratio", "goal", "met"))
    for figure in figures:
        print(
            line.format(
                figure.id,
                figure.what,
                figure.n,
                f"{figure.value:.2f}",
                f"{figure.floor:.2f}",
                figure.unit,
                f"{figure.ratio:.2f}",
                f"{figure.goal:g}",
                "yes" if figure.met else "NO",
            )
        )
