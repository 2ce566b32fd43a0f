"""What the commands read from the outside: addresses, command lines, fragments."""

import subprocess
import sys
from pathlib import Path

import pytest

from lib import paths, pdf, postgres, readme


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (
            "postgresql://me:a%40b@db:5433/x",
            {"PGHOST": "db", "PGPORT": "5433", "PGUSER": "me", "PGPASSWORD": "a@b"},
        ),
        ("postgresql://me@%2FRun%2Fpg/x", {"PGHOST": "/Run/pg", "PGUSER": "me"}),
        ("postgresql:///x?host=/tmp&user=me", {"PGHOST": "/tmp", "PGUSER": "me"}),
        ("postgresql:///x", {"PGHOST": "/var/run/postgresql"}),
    ],
)
def test_database_url(url, expected):
    assert postgres._parse(url) == expected


def test_wkhtmltopdf_command_line():
    line = "--quiet --margin-top 40.0 --header-html h.html a.html b.html out.pdf"
    options, files = pdf.parse(line.split())
    assert options == {"quiet": True, "margin-top": "40.0", "header-html": "h.html"}
    assert files == ["a.html", "b.html", "out.pdf"]


def test_wkhtmltopdf_brings_its_own_python():
    """Whoever starts Odoo need not have the libraries of the stand-in in PATH."""
    bare = Path(sys.base_prefix) / "bin/python3"
    command = [bare, paths.SETUP / "bin/wkhtmltopdf", "--version"]
    done = subprocess.run(command, env={}, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{pdf.VERSION}\n", "")


def test_lengths():
    assert [pdf.millimetres(text) for text in ("40", "7.5", "210mm")] == [40, 7.5, 210]


def test_readme_is_joined_in_order(tmp_path, monkeypatch):
    fragments = tmp_path / "an_addon" / "readme"
    fragments.mkdir(parents=True)
    (fragments / "USAGE.rst").write_text("Press it.\n")
    (fragments / "DESCRIPTION.rst").write_text("It has a button.\n")
    monkeypatch.setattr(readme, "ADDONS", tmp_path)
    text = readme.build("an_addon", {"name": "An addon", "license": "LGPL-3"})
    assert text.startswith("========\nAn addon\n========\n")
    assert text.index("It has a button.") < text.index("Usage\n=====\n\nPress it.")
