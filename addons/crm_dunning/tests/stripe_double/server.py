"""HTTP: the server that listens on the loopback interface, one thread per request.

A request goes from here to ``service.py`` (what Stripe does with every request), from
there to the endpoint (``intents.py``, ``customers.py``, …). What lies below
``/_control/`` is for tests and is found in ``control.py``.
"""

import json
import threading
import traceback
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from .control import Control
from .faults import Faults
from .service import Reply, Request, Service
from .store import Store
from .webhooks import Deliveries

LOOPBACK = "127.0.0.1"
LARGEST = 1_000_000  # bytes of a request


class Server(ThreadingHTTPServer):
    """The local Stripe. ``start`` serves from threads until ``stop``.

    :param port: 0 for any free one
    :param state_file: where everything is kept, so that a restart forgets nothing
    """

    daemon_threads = True

    def __init__(self, port=0, state_file=None):
        super().__init__((LOOPBACK, port), Handler)
        self.store = Store(state_file)
        self.service = Service(self.store, Faults())
        self.deliveries = Deliveries(self.store)
        self.control = Control(self.service, self.deliveries)
        self.url = f"http://{LOOPBACK}:{self.server_port}"
        self._loops = [
            threading.Thread(target=target, args=arguments, daemon=True)
            for target, arguments in (
                (self.serve_forever, (0.05,)),
                (self.deliveries.run, (self.control.settle_due,)),
            )
        ]

    def start(self):
        for thread in self._loops:
            thread.start()
        return self

    def stop(self):
        self.deliveries.end()
        self.shutdown()
        self.server_close()

    def handle_error(self, request, client_address):
        """Stay silent when somebody hangs up: that is often what is tested."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "local-stripe"

    def do_GET(self):
        self._answer()

    def do_POST(self):
        self._answer()

    def do_DELETE(self):
        self._answer()

    def log_message(self, format, *args):
        """Print nothing: the journal remembers each request."""

    def _answer(self):
        self.close_connection = True
        address = urlsplit(self.path)
        length = int(self.headers.get("Content-Length") or 0)
        if length > LARGEST:
            return self.send_error(413)
        body = self.rfile.read(length).decode()
        if address.path.startswith("/_control/"):
            return self._control(address.path.removeprefix("/_control/"), body)
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(self.command, address.path, address.query, body, headers)
        try:
            reply = self.server.service.answer(request)
        except Exception:
            text = f"The local Stripe is broken:\n{traceback.format_exc()}"
            reply = Reply(500, json.dumps({"error": {"message": text}}))
        self._reply(reply)

    def _reply(self, reply):
        if reply.how == "dropped":
            return
        data = reply.body.encode()
        if reply.how == "malformed":
            data = b"<html><body>Bad gateway</body>"
        self.send_response(reply.status)
        for name, value in {**reply.headers, "Connection": "close"}.items():
            self.send_header(name, value)
        if reply.how == "cut":
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            half = data[: len(data) // 2]
            self.wfile.write(b"%x\r\n%s\r\n" % (len(half), half))
            return
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _control(self, name, body):
        """Do what a test wants; a browser cannot ask for it (no form sends JSON)."""
        is_json = self.headers.get_content_type() == "application/json"
        if self.client_address[0] != LOOPBACK or not is_json:
            return self.send_error(403)
        asked = json.loads(body or "{}")
        try:
            result = self.server.control.call(
                name, *asked.get("args", []), **asked.get("kwargs", {})
            )
            status, answer = 200, {"result": result}
        except Exception as error:  # the test shall read it, whatever it is
            status, answer = 400, {"error": f"{type(error).__name__}: {error}"}
        data = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(data)
