"""Drive a headless Chromium over its DevTools pipe, with the standard library only.

``with Browser() as browser: page = browser.page()``; then ``page.open(url)``,
``page.wait_for("expression")``, ``page.screenshot(path)`` or ``page.pdf()``.
"""

import base64
import contextlib
import fcntl
import json
import os
import resource
import select
import shutil
import subprocess
import sys
import tempfile
import time

NAMES = ("google-chrome", "chromium", "chromium-browser", "google-chrome-stable")
FLAGS = (
    "--headless",
    "--remote-debugging-pipe",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-extensions",
    "--hide-scrollbars",
    "--force-device-scale-factor=1",
    "--no-first-run",
)
# the browser expects the pipe's ends as files 3 and 4
LAUNCH = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.dup2(int(sys.argv[2]), 4)
os.execv(sys.argv[3], sys.argv[3:])
"""


class BrowserError(Exception):
    """Chromium is missing, has died, or did not answer in time."""


def find():
    """Return the path of the browser that Odoo's tests would find too, or None."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


class Browser:
    """One Chromium process with a throwaway profile."""

    def __init__(self):
        self._last_id = 0
        self._buffer = b""
        self._answers = {}
        self._listeners = {}

    def __enter__(self):
        program = find()
        if not program:
            raise BrowserError("Chromium is missing")
        self._lift_memory_limit()
        self._profile = tempfile.mkdtemp(prefix="crm-billing-browser-")
        to_browser, self._to = self._pipe()
        self._from, from_browser = self._pipe()
        arguments = [program, *FLAGS, f"--user-data-dir={self._profile}"]
        ends = [to_browser, from_browser]
        self._process = subprocess.Popen(
            [sys.executable, "-c", LAUNCH, *map(str, ends), *arguments],
            pass_fds=ends,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for end in ends:
            os.close(end)
        return self

    @staticmethod
    def _pipe():
        """Return a pipe whose numbers leave 3 and 4 free for the browser's ends."""
        ends = os.pipe()
        high = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in ends]
        for end in ends:
            os.close(end)
        return high

    def __exit__(self, *exception):
        with contextlib.suppress(BrowserError, OSError):
            self.call("Browser.close", timeout=5)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(5)
        self._process.kill()
        self._process.wait()
        os.close(self._to)
        os.close(self._from)
        shutil.rmtree(self._profile, ignore_errors=True)

    @staticmethod
    def _lift_memory_limit():
        """Undo the cap on address space that Odoo's children inherit."""
        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        resource.setrlimit(resource.RLIMIT_AS, (hard, hard))

    def page(self, width=1400, height=900):
        """Return a new, empty page of that many pixels."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        answer = self.call("Target.attachToTarget", targetId=target, flatten=True)
        page = Page(self, answer["sessionId"])
        size = {"width": width, "height": height}
        page.call(
            "Emulation.setDeviceMetricsOverride",
            **size,
            deviceScaleFactor=1,
            mobile=False,
        )
        return page

    def call(self, method, session=None, timeout=60, **params):
        """Send one DevTools command and return its result."""
        self._last_id += 1
        message = {"id": self._last_id, "method": method, "params": params}
        if session:
            message["sessionId"] = session
        self._send(json.dumps(message).encode() + b"\0")
        number, deadline = self._last_id, time.monotonic() + timeout
        while number not in self._answers:
            self._dispatch(self._receive(deadline))
        answer = self._answers.pop(number)
        if "error" in answer:
            raise BrowserError(f"{method}: {answer['error']['message']}")
        return answer["result"]

    def listen(self, event, session, function):
        """Call ``function(**params)`` at each ``event`` of a session."""
        self._listeners[event, session] = function

    def _dispatch(self, message):
        if "id" in message:
            self._answers[message["id"]] = message
            return
        key = message["method"], message.get("sessionId")
        if function := self._listeners.get(key):
            function(**message["params"])

    def _send(self, data):
        try:
            while data:
                data = data[os.write(self._to, data) :]
        except BrokenPipeError:
            raise BrowserError("Chromium has died") from None

    def _receive(self, deadline):
        while b"\0" not in self._buffer:
            left = max(0, deadline - time.monotonic())
            if not select.select([self._from], [], [], left)[0]:
                raise BrowserError("Chromium does not answer")
            chunk = os.read(self._from, 1 << 20)
            if not chunk:
                raise BrowserError("Chromium has died")
            self._buffer += chunk
        message, _, self._buffer = self._buffer.partition(b"\0")
        return json.loads(message)


class Page:
    """One tab."""

    def __init__(self, browser, session):
        self._browser = browser
        self._session = session

    def call(self, method, **params):
        return self._browser.call(method, session=self._session, **params)

    def open(self, url):
        """Go to ``url``; return whether something answered there."""
        return not self.call("Page.navigate", url=url).get("errorText")

    def evaluate(self, expression):
        """Return the value of a JavaScript expression (promises are awaited)."""
        answer = self.call(
            "Runtime.evaluate",
            expression=expression,
            awaitPromise=True,
            returnByValue=True,
        )
        if details := answer.get("exceptionDetails"):
            thrown = details.get("exception", {}).get("description")
            raise BrowserError(thrown or details["text"])
        return answer["result"].get("value")

    def wait_for(self, expression, timeout=30):
        """Wait until ``expression`` is true; return whether that came in time."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            # while a page is being left, its context comes and goes
            with contextlib.suppress(BrowserError):
                if self.evaluate(f"!!({expression})"):
                    return True
            time.sleep(0.05)
        return False

    def open_as(self, url, html):
        """Show ``html`` as if the server had sent it from ``url``.

        Its styles, fonts and images load as from there; nobody needs to answer.
        """

        def fulfil(requestId, request, **params):
            if request["url"] == url:
                headers = [
                    {"name": "Content-Type", "value": "text/html; charset=utf-8"}
                ]
                body = base64.b64encode(html.encode()).decode()
                answer = {"responseCode": 200, "responseHeaders": headers, "body": body}
                self.call("Fetch.fulfillRequest", requestId=requestId, **answer)
            else:
                self.call("Fetch.continueRequest", requestId=requestId)

        self._browser.listen("Fetch.requestPaused", self._session, fulfil)
        self.call("Fetch.enable", patterns=[{"resourceType": "Document"}])
        self.open(url)
        self.wait_for("document.readyState === 'complete'", timeout=15)
        self.evaluate("document.fonts.ready.then(() => true)")

    def click(self, selector, timeout=30):
        """Click the first visible element that ``selector`` finds."""
        element = f"document.querySelector({json.dumps(selector)})"
        if not self.wait_for(f"{element}?.offsetParent", timeout):
            raise BrowserError(f"nothing to click at {selector}")
        self.evaluate(f"{element}.click()")

    def screenshot(self, path):
        """Write what is visible to ``path`` as PNG."""
        answer = self.call("Page.captureScreenshot", format="png")
        path.write_bytes(base64.b64decode(answer["data"]))

    def pdf(self, **options):
        """Return the document printed as PDF."""
        answer = self.call("Page.printToPDF", printBackground=True, **options)
        return base64.b64decode(answer["data"])
