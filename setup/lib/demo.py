"""The demo command: a database with a story in it, served in the real web client."""

import argparse
import contextlib

from . import (
    databases,
    environment,
    local_stripe,
    lock,
    mailbox,
    postgres,
    say,
    server,
    timelapse,
)

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
        local_stripe.stop()
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
        "--stop",
        action="store_true",
        help="stop the private PostgreSQL and the local Stripe, end",
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
        local_stripe.forget()


def _serve(port):
    _set_address(f"http://localhost:{port}")
    with contextlib.ExitStack() as stack:
        stripe = stack.enter_context(local_stripe.beside(DATABASE))
        mails = stack.enter_context(mailbox.Mailbox())
        _set_mail_server(mails.port)
        running = stack.enter_context(server.Server(DATABASE, port=port))
        say.step("ready")
        print(f"\n  {running.url}\n\n  login and password are the same:")
        for login, role in LOGINS:
            print(f"    {login:<8}{role}")
        print(f"\n  Mails do not leave: they are files in {mails.folder}")
        if stripe:
            print(f"  Cards are charged at a local Stripe: {stripe.url}")
        print("\n  Ctrl+C ends the server; the data stays.\n", flush=True)
        if stripe:
            local_stripe.send_webhooks(stripe, DATABASE, running.url)
            stack.enter_context(timelapse.Timelapse(running, stripe))
        return running.wait()


def _set_address(url):
    """Tell Odoo its own address, for the links and the PDFs it makes."""
    databases.query(
        f"UPDATE ir_config_parameter SET value = '{url}' WHERE key = 'web.base.url'",
        DATABASE,
    )


def _set_mail_server(port):
    """Let Odoo send its mails to the mailbox of the demo."""
    databases.query(
        "DELETE FROM ir_mail_server WHERE name = 'Demo mailbox';"
        " INSERT INTO ir_mail_server (name, active, sequence, smtp_host, smtp_port,"
        " smtp_authentication, smtp_encryption)"
        f" VALUES ('Demo mailbox', true, 1, '127.0.0.1', {port}, 'login', 'none')",
        DATABASE,
    )
