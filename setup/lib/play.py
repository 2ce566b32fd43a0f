"""The play command: scenario files through real Odoo, held against what they expect."""

import argparse
import json
import os
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor

from . import databases, environment, say
from .paths import LOGS, SETUP
from .scenario import compare, reader

LOG = LOGS / "play.log"
MOST_WORKERS = 4
WORTH = 25  # scenarios that take as long as starting one more Odoo
CODE = """
import sys
sys.path.insert(0, {setup!r})
from lib.scenario import player
player.main(env, {path!r})
"""


def main(arguments):
    parser = argparse.ArgumentParser(
        prog="setup/play",
        description="Play scenario files (tests/scenarios/*.json) through real Odoo. "
        "One line per scenario; ends with 1 if any failed.",
    )
    parser.add_argument("paths", nargs="+", metavar="PATH", help="a scenario file")
    parser.add_argument(
        "--json",
        action="store_true",
        help='print {"id": {"actual": …, "error": …}} instead, comparing nothing',
    )
    options = parser.parse_args(arguments)
    scenarios = reader.read_files(options.paths)
    environment.prepare()
    results = play(scenarios, databases.layer(demo=False))
    if options.json:
        print(json.dumps(dict(results), indent=1))
        return 0
    failed = [print_verdict(scenario, results) for scenario in scenarios]
    return 1 if any(failed) else 0


def print_verdict(scenario, results):
    """Print ok or the first difference, and return whether there was one."""
    difference = find_difference(scenario, results[scenario["id"]])
    verdict = f"FAIL {scenario['id']} – {difference}" if difference else None
    print(verdict or f"ok {scenario['id']}", flush=True)
    return bool(difference)


def find_difference(scenario, result):
    """Return the first difference between a result and ``expected``, or the error."""
    if result["error"]:
        return result["error"]
    return compare.first_difference(scenario.get("expected") or {}, result["actual"])


def play(scenarios, template):
    """Play scenarios on a copy of a database with our addons.

    :return: ``{id: {"actual": document or None, "error": text or None}}``
    """
    problems = {scenario["id"]: reader.check(scenario) for scenario in scenarios}
    sound = [scenario for scenario in scenarios if not problems[scenario["id"]]]
    played = _play(sound, template) if sound else {}
    return {
        name: played.get(name) or {"actual": None, "error": problem}
        for name, problem in problems.items()
    }


def _play(scenarios, template):
    """Play in as many processes as pay off, each on a copy of its own."""
    workers = min(MOST_WORKERS, os.cpu_count() or 1, 1 + len(scenarios) // WORTH)
    say.step(f"playing {len(scenarios)} scenarios (log: {LOG})")
    shares = [scenarios[number::workers] for number in range(workers)]
    LOG.write_text("")
    played, running = {}, []
    with ThreadPoolExecutor(workers) as pool:
        try:
            for results in pool.map(
                lambda share: _play_share(share, template, running), shares
            ):
                played |= results
        except BaseException:
            for process in running:
                process.terminate()
            raise
    return played


def _play_share(scenarios, template, running):
    """Play one after the other; what ends Odoo itself stops only its own scenario."""
    played = {}
    while left := [item for item in scenarios if item["id"] not in played]:
        with databases.temporary(template, "play") as name:
            found = _run_odoo(name, left, running)
        if not found:
            tail = "\n".join(LOG.read_text().splitlines()[-20:])
            raise say.Trouble(f"Odoo broke off (whole log: {LOG})\n{tail}")
        played |= found
        if len(found) < len(left):
            culprit = next(item for item in left if item["id"] not in played)
            error = f"Odoo ended while playing it (see {LOG})"
            played[culprit["id"]] = {"actual": None, "error": error}
    return played


def _run_odoo(name, scenarios, running):
    """Play in one Odoo process; return ``{id: result}`` as far as it came."""
    command = [*databases.odoo("shell"), "-d", name, "--no-http", "--log-level=warn"]
    with (
        tempfile.NamedTemporaryFile("w", suffix=".json") as file,
        open(LOG, "a") as log,
    ):
        json.dump(scenarios, file)
        file.flush()
        pipe = subprocess.PIPE
        process = subprocess.Popen(
            command, stdin=pipe, stdout=pipe, stderr=log, text=True
        )
        running.append(process)
        code = CODE.format(setup=str(SETUP), path=file.name)
        output, _nothing = process.communicate(code)
    lines = [line for line in output.splitlines() if line.startswith('["')]
    return dict(json.loads(line) for line in lines)
