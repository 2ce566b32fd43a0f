"""The bench command: figures against the floor of the same run, as table or JSON."""

import argparse
import json
from dataclasses import asdict, dataclass, field

from . import bench_handoff, bench_usage, environment, say

SUITES = {
    "P7": bench_usage.rating,
    "P16": bench_handoff.one_deal,
    "P17": bench_handoff.many_deals,
    "P19": bench_handoff.installation,
}


@dataclass
class Figure:
    """One measured number; ``floor`` is what the same costs in plain Odoo."""

    id: str
    what: str
    n: int
    value: float
    unit: str
    floor: float
    ratio: float = field(init=False)
    goal: float
    met: bool = field(init=False)

    def __post_init__(self):
        self.value, self.floor = round(self.value, 2), round(self.floor, 2)
        self.ratio = round(self.value / self.floor, 2) if self.floor else 0.0
        self.met = self.value <= self.goal


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
    line = "{:<4} {:<52} {:>4} {:>9} {:>9} {:<8} {:>6} {:>7}  {}"
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
