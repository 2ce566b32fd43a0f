"""A real Odoo server process, started, waited for, and stopped."""

import contextlib
import http.cookiejar
import re
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request

from . import databases, environment, lock, say
from .paths import LOGS


class Server:
    """Odoo serving one database; ``url`` answers inside the ``with`` block.

    With ``workers`` each worker, those for scheduled actions included, is a process of
    its own, under Odoo's limits for CPU time, time and memory.
    """

    def __init__(
        self,
        database,
        port=None,
        http=True,
        cron_threads=1,
        workers=0,
        patience=120,
    ):
        self.database = database
        self.port = port or environment.free_port()
        self.url = f"http://localhost:{self.port}" if http else None
        self.log = LOGS / f"server-{database}.log"
        self._patience = patience
        self._command = [
            *databases.odoo(),
            *("-d", database, f"--db-filter=^{database}$", f"--workers={workers}"),
            f"--max-cron-threads={cron_threads}",
            *([f"--http-port={self.port}"] if http else ["--no-http"]),
        ]

    def __enter__(self):
        self._lock = lock.take(self.database, shared=True)
        with open(self.log, "w") as output:
            self.process = subprocess.Popen(
                self._command, stdout=output, stderr=subprocess.STDOUT
            )
        if self.url:
            self._wait_until_ready()
        return self

    def __exit__(self, *exception):
        self.stop()
        self._lock.close()

    def stop(self, patience=10):
        """Ask the server to end, and make it end if it does not."""
        if self.process.poll() is None:
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(patience)
        self.kill()

    def kill(self):
        """End the server as a power cut would."""
        self.process.kill()
        self.process.wait()

    def wake_crons(self):
        """Make the cron thread look for work now (it may not listen yet: repeat)."""
        databases.query(f"NOTIFY cron_trigger, '{self.database}'")

    def wait(self):
        """Serve until the process ends or somebody presses Ctrl+C."""
        with contextlib.suppress(KeyboardInterrupt):
            return self.process.wait()
        return 0

    def _wait_until_ready(self):
        deadline = time.monotonic() + self._patience
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"{self.url}/web/health", timeout=5).close()
                return
            if self.process.poll() is not None:
                break
            time.sleep(0.2)
        self.kill()
        tail = "\n".join(self.log.read_text().splitlines()[-10:])
        raise say.Trouble(f"Odoo does not serve on port {self.port}:\n{tail}")


def check_web_client(url, login):
    """Log in over HTTP as a browser would, and fetch the web client."""
    cookies = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
    browser = urllib.request.build_opener(cookies)

    def fetch(path, data=None):
        with browser.open(url + path, data=data, timeout=120) as answer:
            return answer.geturl(), answer.read().decode()

    _, form = fetch("/web/login")
    token = re.search(r'name="csrf_token" value="([^"]+)"', form)
    if not token:
        raise say.Trouble(f"{url}/web/login is not a login form")
    fields = {"login": login, "password": login, "csrf_token": token[1]}
    fetch("/web/login", urllib.parse.urlencode(fields).encode())
    address, page = fetch("/odoo")
    if "odoo.__session_info__" not in page or "/web/login" in address:
        raise say.Trouble(f"{login} cannot log in at {url}")
