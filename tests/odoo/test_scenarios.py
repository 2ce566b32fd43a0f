"""Every scenario of ``tests/scenarios``, played as ``setup/play`` does."""

import os
from pathlib import Path

import pytest

from lib import play
from lib.scenario import reader

FOLDER = Path(__file__).resolve().parents[1] / "scenarios"
SCENARIOS = reader.read_files(sorted(FOLDER.glob("*.json")))


@pytest.fixture(scope="session")
def results():
    """What comes out of all of them, played at once."""
    return play.play(SCENARIOS, os.environ["ODOO_TEST_TEMPLATE"])


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario["id"])
def test_scenario(scenario, results):
    assert play.find_difference(scenario, results[scenario["id"]]) is None
