"""``LocalStripe``: start a local Stripe, talk to it, end it."""

import json
import urllib.error
import urllib.request

from .server import Server


class ControlError(Exception):
    """The local Stripe does not do what a test asks."""


class LocalStripe:
    """A local Stripe, in a thread of this process or somewhere else.

    Every public method of ``control.Control`` is a method of this, too:
    ``stripe.advance(days=5)``, ``stripe.fault("drop_after", "refunds")``.

    :param url: of a running one; None starts one here, which ``stop`` ends
    """

    def __init__(self, url=None, port=0, state_file=None):
        self._server = None if url else Server(port, state_file).start()
        self.url = url or self._server.url

    def stop(self):
        """End the one that was started here."""
        if self._server:
            self._server.stop()
            self._server = None

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.stop()

    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)

        def control(*args, **kwargs):
            return self._call(name, args, kwargs)

        return control

    def _call(self, name, args, kwargs):
        request = urllib.request.Request(
            f"{self.url}/_control/{name}",
            json.dumps({"args": args, "kwargs": kwargs}).encode(),
            {"Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)["result"]
        except urllib.error.HTTPError as error:
            raise ControlError(json.load(error)["error"]) from None
