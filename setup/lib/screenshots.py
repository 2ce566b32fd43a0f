"""The screenshots command: pictures of the web client, taken from the demo data."""

import json

from . import databases, demo, environment, say, server
from .browser import Browser, BrowserError
from .paths import ROOT, SETUP

USAGE = """\
usage: setup/screenshots [name ...]

Take the pictures listed in setup/screenshots.txt, or only those named, from a copy of
the demo database, and write docs/images/<name>.png."""
LIST = SETUP / "screenshots.txt"
IMAGES = ROOT / "docs/images"
LOADED = """
    document.readyState === "complete"
    && (!location.pathname.startsWith("/odoo")
        || document.querySelector(".o_action_manager")?.children.length)
    && !document.querySelector(".o_loading_indicator, .o_blockUI")
    && [...document.images].every((image) => image.complete)
"""
SETTLED = "new Promise((done) => setTimeout(() => done(true), 1500))"  # charts grow
DISMISS = "document.querySelectorAll('.o_notification_close').forEach((b) => b.click())"


def main(arguments):
    if any(argument.startswith("-") for argument in arguments):
        print(USAGE)
        return 0 if arguments in (["-h"], ["--help"]) else 2
    shots = [shot for shot in read_list() if not arguments or shot[0] in arguments]
    if not shots:
        raise say.Trouble(f"{LIST.relative_to(ROOT)} lists no such picture")
    environment.prepare()
    layer = databases.layer(demo=True, extra=demo.EXTRA)
    IMAGES.mkdir(parents=True, exist_ok=True)
    with databases.temporary(layer, "shots") as name:
        with server.Server(name, cron_threads=0) as running:
            for shot in shots:
                _take(running.url, *shot)
    return 0


def read_list():
    """Return ``(name, login, path, [selectors to click])`` of each line."""
    shots = []
    for line in LIST.read_text().splitlines():
        if line.strip() and not line.startswith("#"):
            name, login, path, *clicks = (part.strip() for part in line.split("|"))
            shots.append((name, login, path, clicks))
    return shots


def _take(url, name, login, path, clicks):
    say.step(f"{name}.png: {path} as {login}")
    try:
        with Browser() as browser:
            page = browser.page()
            log_in(page, url, login)
            page.open(url + path)
            _wait(page)
            for selector in clicks:
                page.click(selector)
                _wait(page)
            page.evaluate(DISMISS)
            _wait(page)
            page.screenshot(IMAGES / f"{name}.png")
    except BrowserError as error:
        raise say.Trouble(f"{name}.png: {error}") from error


def log_in(page, url, login):
    """Log in through the form; the password is the login."""
    page.open(f"{url}/web/login")
    page.wait_for("document.querySelector('form.oe_login_form [name=password]')")
    value = json.dumps(login)
    page.evaluate(
        f"""(() => {{
            const form = document.querySelector("form.oe_login_form");
            form.querySelector("[name=login]").value = {value};
            form.querySelector("[name=password]").value = {value};
            form.submit();
        }})()"""
    )
    if not page.wait_for("!location.pathname.startsWith('/web/login')"):
        raise BrowserError(f"{login} cannot log in")


def _wait(page):
    if not page.wait_for(LOADED, timeout=60):
        raise BrowserError("the page does not finish loading")
    page.evaluate(SETTLED)
    page.wait_for(LOADED)
