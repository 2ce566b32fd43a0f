"""The local Stripe beside a server: for the demo, and for tests with real processes.

Its code lies with the tests of the addon, so that tests inside Odoo use it, too; it is
loaded from there as ``stripe_double``, without the tests themselves (they need Odoo).
"""

import contextlib
import importlib.util
import os
import signal
import subprocess
import sys
import time

from . import databases, environment, say
from .paths import ADDONS, LOGS, SETUP, WORK

PACKAGE = ADDONS / "crm_dunning/tests/stripe_double"
STATE = WORK / "local-stripe.json"  # what it remembers over a restart
PID = WORK / "local-stripe.pid"
PARAMETER = "crm_dunning.stripe_api_base"
PATIENCE = 10  # seconds to start and to end


def _load():
    """Import the package by its place and return it."""
    name = PACKAGE.name
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(
            name, PACKAGE / "__init__.py", submodule_search_locations=[str(PACKAGE)]
        )
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


double = _load()
LocalStripe = double.LocalStripe


# === PROCESS === #


def start():
    """Start one in a process of its own, and return a ``LocalStripe`` to control it."""
    stop()
    port = environment.free_port()
    command = [sys.executable, "-m", __name__, f"--port={port}", f"--state={STATE}"]
    with open(LOGS / "local-stripe.log", "w") as log:
        process = subprocess.Popen(
            command, cwd=SETUP, stdout=log, stderr=subprocess.STDOUT
        )
    PID.write_text(str(process.pid))
    running = LocalStripe(f"http://127.0.0.1:{port}")
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError):
            running.now()
            return running
        time.sleep(0.05)
    raise say.Trouble(f"the local Stripe does not start (see {log.name})")


def stop():
    """End the one that runs, if one does."""
    pid = _running()
    deadline = time.monotonic() + PATIENCE
    while pid and _running() == pid:
        late = time.monotonic() > deadline
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL if late else signal.SIGTERM)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)
        time.sleep(0.05)
    PID.unlink(missing_ok=True)


def _running():
    """Return the id of the process that the pid file means, None when it is gone.

    Another process may have got the number since: the command line tells.
    """
    if not PID.exists():
        return None
    pid = PID.read_text()
    shown = subprocess.run(
        ["ps", "-o", "args=", "-p", pid], capture_output=True, text=True
    )
    return int(pid) if __name__ in shown.stdout else None


def forget():
    """Let the next one start with nothing, as a database made anew does."""
    stop()
    STATE.unlink(missing_ok=True)


# === BESIDE AN ODOO === #


@contextlib.contextmanager
def beside(database):
    """Run one for ``database`` inside the block, if collections are installed there.

    Odoo learns the address from its system parameter, so it must start after this.
    Gives the ``LocalStripe``, or None.
    """
    if not _is_installed(database):
        yield None
        return
    running = start()
    try:
        connect(running, database)
        yield running
    finally:
        stop()


def _is_installed(database):
    return bool(
        databases.query(
            "SELECT 1 FROM ir_module_module"
            " WHERE name = 'crm_dunning' AND state = 'installed'",
            database,
        )
    )


def connect(running, database):
    """Point a database at a local Stripe, which learns the saved methods from it."""
    databases.query(
        "INSERT INTO ir_config_parameter (key, value)"
        f" VALUES ('{PARAMETER}', '{running.url}')"
        " ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        database,
    )
    tokens = databases.query(
        "SELECT t.provider_ref, t.stripe_payment_method FROM payment_token t"
        " JOIN payment_provider p ON p.id = t.provider_id"
        " WHERE p.code = 'stripe' AND p.state = 'test' AND t.active"
        " AND t.provider_ref <> '' AND t.stripe_payment_method <> ''",
        database,
    )
    for customer, method in tokens:
        running.adopt(customer, method)


def send_webhooks(running, database, url):
    """Tell the Odoo at ``url`` of everything that happens, signed with its secrets."""
    providers = databases.query(
        "SELECT id, stripe_webhook_secret FROM payment_provider"
        " WHERE code = 'stripe' AND state = 'test' AND stripe_webhook_secret <> ''",
        database,
    )
    running.drop_webhooks()
    for provider, secret in providers:
        address = f"{url}/billing/stripe/webhook/{provider}"
        running.set_webhook(address, secret, automatic=True)


if __name__ == "__main__":
    importlib.import_module(f"{double.__name__}.__main__").main()
