"""The demo command: a database with a story in it, served in the real web client."""

import argparse

from . import databases, environment, lock, postgres, say, server

DATABASE = "demo"
EXTRA = ("sale_management", "contacts")  # so that each role has its usual menus
LOGINS = (  # the password is the login
    ("admin", "administrator"),
    ("sam", "sales"),
    ("nora", "sales"),
    ("clara", "billing clerk"),
    ("max", "billing manager"),
    ("anna", "accountant"),
)


def main(arguments):
    options = _parse(arguments)
    if options.stop:
        postgres.stop()
        return 0
    environment.prepare()
    prepare_database(reset=options.reset)
    if options.no_serve:
        with server.Server(DATABASE, cron_threads=0) as running:
            server.check_web_client(running.url, "admin")
        say.step(
            f"the web client answers; serve it with: setup/demo --port {options.port}"
        )
        return 0
    return _serve(options.port)


def _parse(arguments):
    parser = argparse.ArgumentParser(
        prog="setup/demo", description="Open Odoo with our addons and demo data."
    )
    parser.add_argument("--port", type=int, default=8069)
    parser.add_argument("--reset", action="store_true", help="forget what was entered")
    parser.add_argument(
        "--no-serve", action="store_true", help="prepare, check the web client, end"
    )
    parser.add_argument(
        "--stop", action="store_true", help="stop the private PostgreSQL, end"
    )
    return parser.parse_args(arguments)


def prepare_database(reset=False):
    """Make the demo database, unless it is there and as it should be."""
    layer = databases.layer(demo=True, extra=EXTRA)
    is_ours = DATABASE in databases.labels()
    if not is_ours and databases.exists(DATABASE):
        raise say.Trouble(f"there is a database {DATABASE} that we did not make")
    if databases.is_made(DATABASE, layer) and not reset:
        return
    if is_ours:
        say.step(
            "making the demo database anew, what was entered is gone"
            + ("" if reset else " (the addons have changed)")
        )
    if not (handle := lock.take(DATABASE, wait=False)):
        raise say.Trouble("the demo is being served: end that first")
    with handle:
        databases.drop(DATABASE)
        databases.copy(layer, DATABASE)
        databases.mark(DATABASE, layer)


def _serve(port):
    _set_address(f"http://localhost:{port}")
    with server.Server(DATABASE, port=port) as running:
        say.step("ready")
        print(f"\n  {running.url}\n\n  login and password are the same:")
        for login, role in LOGINS:
            print(f"    {login:<8}{role}")
        print("\n  Ctrl+C ends the server; the data stays.", flush=True)
        return running.wait()


def _set_address(url):
    """Tell Odoo its own address, for the links and the PDFs it makes."""
    databases.query(
        f"UPDATE ir_config_parameter SET value = '{url}' WHERE key = 'web.base.url'",
        DATABASE,
    )
