"""Play scenarios inside an Odoo process, each in a transaction that is rolled back.

Whatever commits meanwhile (a cron, a button) commits to a savepoint, as in Odoo's own
tests of such code. The clock of the process stands at each event.
"""

import contextlib
import json
import logging
from pathlib import Path
from unittest.mock import patch

from . import (
    aging,
    dunning,
    ingest,
    milestones,
    mrr_movements,
    rate,
    retention,
    retries,
    starts,
    timeline,
)
from .clock import naive
from .stage import Stage, build

OPERATIONS = {
    "timeline": timeline.play,
    "starts": starts.play,
    "rate": rate.play,
    "ingest": ingest.play,
    "milestones": milestones.play,
    "retention": retention.play,
    "dunning": dunning.play,
    "retries": retries.play,
    "aging": aging.play,
    "mrr_movements": mrr_movements.play,
}
_logger = logging.getLogger(__name__)


def main(env, path):
    """Play the scenarios of a JSON file; print ``[id, result]``, a line each."""
    scenarios = json.loads(Path(path).read_text())
    fixture = build(env)
    env.cr.commit()
    with frozen_clock() as clock:
        for scenario in scenarios:
            result = play(env.registry, fixture, clock, scenario)
            print(json.dumps([scenario["id"], result]), flush=True)


def play(registry, fixture, clock, scenario):
    """Return ``{"actual": …, "error": …}`` of one scenario."""
    operation = OPERATIONS[scenario["operation"]]
    try:
        with rolled_back(registry):
            actual = operation(Stage(registry, fixture, clock), scenario["inputs"])
    except Exception as error:
        _logger.warning("%s", scenario["id"], exc_info=True)
        return {"actual": None, "error": f"{type(error).__name__}: {error}"}
    return {"actual": actual, "error": None}


@contextlib.contextmanager
def rolled_back(registry):
    """Let every cursor of the registry write into one transaction, then undo it."""
    from odoo.modules import module
    from odoo.tests.common import TransactionCase

    class Scenario(TransactionCase):
        """Stands in for the test that Odoo's test cursors ask for."""

        def runTest(self):
            pass

    with registry.cursor() as cr, contextlib.ExitStack() as stack:
        stack.callback(_forget, registry)
        stack.callback(cr.rollback)
        stack.enter_context(patch.object(module, "current_test", Scenario()))
        patches = Scenario._registry_test_mode_patches(cr=cr, registry=registry)
        for patched in patches:
            stack.enter_context(patched)
        yield


def _forget(registry):
    """Drop what was cached of things that are undone.

    Ids are never given out again, so it matters only where something that is cached
    was changed.
    """
    if registry.cache_invalidated:
        registry.clear_all_caches()
        registry.cache_invalidated.clear()


class Clock:
    """The frozen clock of the process: ``move_to`` an aware instant, back as well."""

    def __init__(self, frozen):
        self._frozen = frozen

    def move_to(self, instant):
        self._frozen.move_to(naive(instant))


@contextlib.contextmanager
def frozen_clock():
    from odoo.tests import freeze_time

    with freeze_time("2027-01-01 12:00:00") as frozen:
        yield Clock(frozen)
