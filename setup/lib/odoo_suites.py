"""Odoo's own test suites with our addons installed, held against untouched Odoo.

pytest runs them, not Odoo: Odoo runs a module's tests while only the modules below it
are loaded, so most of them would never meet our addons.
"""

import re
import subprocess

from . import databases, environment, odoo_source, say
from .paths import CONF, LOGS, ROOT, SETUP

MODULES = ("crm", "sale_crm", "payment", "payment_stripe", "account_payment")
BASELINE = SETUP / "odoo_baseline.txt"
LOG = LOGS / "odoo-suites.log"
# What our addons do otherwise than Odoo, on purpose, and why.
CHANGED = {
    "payment_stripe/tests/test_refund_flows.py::TestRefundFlows"
    "::test_refund_id_is_set_as_provider_reference": "a refund is written down and "
    "committed before it is sent, so its id is known a moment later",
}
FAILED = re.compile(r"^(?:FAILED|ERROR|SUBFAILED\S*) \S*?addons/(\S+)", re.M)


def run(baseline=False):
    """Return 0 when nothing fails that untouched Odoo passes.

    :param baseline: run without our addons and write down what fails
    """
    environment.prepare()
    make = databases.core_layer if baseline else databases.layer
    source = make(demo=False, extra=MODULES)
    say.step(f"running Odoo's tests of {', '.join(MODULES)} (2 minutes; log: {LOG})")
    with databases.temporary(source) as name:
        text, code = _run_tests(name)
    failed = set(FAILED.findall(text))
    last = text.strip().splitlines()[-1]
    if code not in (0, 1) or (code and not failed):
        raise say.Trouble(f"Odoo's tests broke off: {last} (see {LOG})")
    if baseline:
        BASELINE.unlink(missing_ok=True)
        if failed:
            BASELINE.write_text("".join(f"{test}\n" for test in sorted(failed)))
        print(last)
        return 0
    known = set(BASELINE.read_text().split()) if BASELINE.exists() else set()
    for test in sorted(failed & CHANGED.keys()):
        print(f"changed on purpose: {test}\n  ({CHANGED[test]})")
    known |= CHANGED.keys()
    for test in sorted(failed - known):
        print(f"FAILED {test}")
    print(
        f"{len(failed & known - CHANGED.keys())} of the failures are plain Odoo's own"
    )
    print(last)
    return 1 if failed - known else 0


def _run_tests(name):
    """Return what pytest prints, and its exit code."""
    folders = odoo_source.addons_paths()
    tests = [folder / module / "tests" for module in MODULES for folder in folders]
    command = [environment.PYTHON, "-m", "pytest", "-c", ROOT / "pytest.ini"]
    command += ["-q", "-rfE", "-p", "no:cacheprovider", "--odoo-http"]
    command += [f"--odoo-database={name}", f"--odoo-config={CONF}"]
    command += filter(lambda path: path.is_dir(), tests)
    with open(LOG, "w") as output:
        done = subprocess.run(
            list(map(str, command)), cwd=ROOT, stdout=output, stderr=subprocess.STDOUT
        )
    return LOG.read_text(), done.returncode
