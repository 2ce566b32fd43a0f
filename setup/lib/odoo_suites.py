"""Odoo's own test suites with our addons installed, held against untouched Odoo."""

import re
import subprocess

from . import databases, environment, say
from .paths import LOGS, SETUP

BASELINE = SETUP / "odoo_baseline.txt"
TAGS = "/crm,/sale_crm,/payment,/payment_stripe,/account_payment"
MODULES = ("payment_stripe",)  # tested, though our addons may not ask for it
FAILED = re.compile(r" (?:ERROR|FAIL): (\S+)\.(test_\w+)")
SUMMARY = re.compile(r"(\d+) failed, (\d+) error\(s\) of (\d+) tests")


def run(baseline=False):
    """Return 0 when nothing fails that untouched Odoo passes.

    :param baseline: run without our addons and write down what fails
    """
    environment.prepare()
    make = databases.core_layer if baseline else databases.layer
    source = make(demo=False, extra=MODULES)
    with databases.temporary(source) as name:
        say.step(f"running Odoo's tests {TAGS} (3 to 6 minutes)")
        text, code = _run_tests(name)
    failed = {".".join(match) for match in FAILED.findall(text)}
    summary = SUMMARY.findall(text)
    if not summary or (code and not failed):
        raise say.Trouble(f"Odoo's tests broke off: {LOGS / 'odoo-suites.log'}")
    if baseline:
        BASELINE.write_text("".join(f"{name}\n" for name in sorted(failed)))
        return 0
    known = set(BASELINE.read_text().split()) if BASELINE.exists() else set()
    for test in sorted(failed - known):
        print(f"FAILED {test}")
    print(
        f"Odoo's own suites: {summary[-1][2]} tests, {len(failed & known)} fail without"
        f" us too, {len(failed - known)} fail because of us"
    )
    return 1 if failed - known else 0


def _run_tests(name):
    log = LOGS / "odoo-suites.log"
    port = environment.free_port()
    command = [*databases.odoo(), "-d", name, "--test-tags", TAGS]
    command += ["--stop-after-init", "--log-level=test", f"--http-port={port}"]
    with open(log, "w") as output:
        done = subprocess.run(command, stdout=output, stderr=subprocess.STDOUT)
    return log.read_text(), done.returncode
