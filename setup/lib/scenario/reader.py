"""Read scenario files strictly: what is not understood is said, never skipped."""

import json
from pathlib import Path

from .. import say
from .schema import OPERATIONS, SCENARIO, find_problems


def read_files(paths):
    """Return the scenarios of all files, in order, without those to be skipped.

    :raise Trouble: a file cannot be read, or is no list of scenarios
    """
    found, seen = [], set()
    for path in map(Path, paths):
        for scenario in _read_file(path):
            if scenario.get("supported", True) is False:
                continue
            if scenario["id"] in seen:
                scenario = {**scenario, "id": f"{scenario['id']} ({path.name})"}
            seen.add(scenario["id"])
            found.append(scenario)
    return found


def _read_file(path):
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise say.Trouble(f"{path}: {error}") from error
    if isinstance(content, dict):
        content = content.get("scenarios", content.get("vectors"))
    if not isinstance(content, list):
        raise say.Trouble(
            f'{path} is neither a list of scenarios nor an object with "scenarios"'
        )
    for position, scenario in enumerate(content):
        if not isinstance(scenario, dict) or not scenario.get("id"):
            raise say.Trouble(f"{path}: scenario {position} has no id")
        yield {**scenario, "id": str(scenario["id"])}


def check(scenario):
    """Return what is wrong with the scenario in one line, None if nothing is."""
    problems = [
        f"unknown key {key}" for key in scenario if key not in SCENARIO | {"note"}
    ]
    operation = scenario.get("operation")
    if operation not in OPERATIONS:
        known = ", ".join(OPERATIONS)
        problems.append(f"operation {operation!r} cannot be played; known: {known}")
    elif not isinstance(scenario.get("inputs"), dict):
        problems.append("inputs are missing")
    else:
        problems += find_problems(scenario["inputs"], OPERATIONS[operation])
    return "; ".join(problems) or None
