"""The test command: prepare, copy the template, run pytest, drop the copy."""

import os
import subprocess

from . import browser, databases, environment, odoo_suites, say
from .paths import CONF, ROOT

USAGE = """\
usage: setup/test [--no-browser] [pytest arguments]   our tests
       setup/test --odoo [--baseline]                 Odoo's own, with our addons

Without arguments everything runs. `setup/test tests/unit` needs no database and takes
seconds. --no-browser lets browser tests be skipped where there is no Chromium; on CI
they never are. --baseline writes what fails without us to setup/odoo_baseline.txt,
which is missing when nothing does."""


def main(arguments):
    if arguments in (["-h"], ["--help"]):
        print(USAGE)
        return 0
    if "--odoo" in arguments:
        return odoo_suites.run(baseline="--baseline" in arguments)
    needs_browser = "--no-browser" not in arguments
    arguments = [argument for argument in arguments if argument != "--no-browser"]
    if _only_unit_tests(arguments):
        environment.prepare_python()
        return _pytest("-p", "no:odoo", *arguments)
    if needs_browser or os.environ.get("CI"):
        check_browser()
    environment.prepare()
    template = databases.layer(demo=False)
    os.environ["ODOO_TEST_TEMPLATE"] = template
    os.environ["ODOO_CONF"] = str(CONF)
    with databases.temporary(template) as name:
        return _pytest(
            f"--odoo-database={name}",
            f"--odoo-config={CONF}",
            "--odoo-http",
            *arguments,
        )


def check_browser():
    if not browser.find():
        raise say.Trouble(
            "the browser tests need Chromium: apt-get install chromium"
            " (or run with --no-browser, which skips them)"
        )


def _only_unit_tests(arguments):
    """Return whether the arguments name test files, all of them below tests/unit."""
    named = [(ROOT / argument.split("::")[0]).resolve() for argument in arguments]
    named = [path for path in named if path != ROOT and path.exists()]
    unit = ROOT / "tests/unit"
    return bool(named) and all(path.is_relative_to(unit) for path in named)


def _pytest(*arguments):
    command = [environment.PYTHON, "-m", "pytest", *arguments]
    process = subprocess.Popen(list(map(str, command)), cwd=ROOT)
    while True:
        try:
            return process.wait()
        except say.Ended:
            process.terminate()
        except KeyboardInterrupt:
            continue  # pytest got it too, and reports what it has
