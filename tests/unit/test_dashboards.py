"""The files of the dashboards are what their description says."""

import json
from dataclasses import replace

import pytest

from lib import dashboard_boards, dashboards

FILES = [path for path, _text in dashboards._render_all(dashboard_boards.BOARDS)]


def test_the_files_are_up_to_date():
    assert not dashboards.check(dashboard_boards.BOARDS), "run setup/dashboards"


def test_a_change_of_the_description_is_noticed():
    board = dashboard_boards.OWNER
    changed = replace(board, cards=board.cards[1:])
    assert dashboards.check([changed]) == [
        "billing_dashboard.json",
        "billing_sample_dashboard.json",
    ]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_identifiers_are_unique(path):
    content = json.loads(path.read_text())
    figures = [one["id"] for sheet in content["sheets"] for one in sheet["figures"]]
    assert len(figures) == len(set(figures)) > 8


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_numbers_refer_to_cells_that_are_there(path):
    front, data = json.loads(path.read_text())["sheets"]
    for figure in front["figures"]:
        if figure["data"]["type"] == "scorecard":
            cell = figure["data"]["keyValue"].removeprefix("Data!")
            assert data["cells"][cell]
