"""Planned trouble: what goes wrong with the next requests that match."""

import fnmatch
import itertools
import threading
from dataclasses import asdict, dataclass

KINDS = {
    "drop_before": "the connection breaks before anything is executed",
    "drop_after": "everything is executed, the reply is lost",
    "delay_before": "the request is executed after some seconds",
    "delay_after": "the reply comes some seconds after the execution",
    "rate_limit": "429: too many requests, nothing is executed",
    "error_before": "an error instead of the execution (500)",
    "error_after": "everything is executed, the answer is an error (500)",
    "malformed": "everything is executed, the reply is not JSON",
    "cut": "everything is executed, the chunked reply breaks off",
}


@dataclass
class Fault:
    """Trouble for the next ``times`` requests to an address.

    ``path`` is a pattern without ``/v1/``: ``payment_intents/*/confirm``.
    ``stored``: whether the error is kept for the idempotency key, as Stripe keeps the
    500 of an execution that had begun.
    """

    kind: str
    path: str = "*"
    method: str = "POST"
    times: int = 1
    seconds: float = 0
    status: int = 500
    stored: bool = True
    number: int = 0

    def matches(self, method, path):
        return method == self.method and fnmatch.fnmatchcase(
            path.removeprefix("/v1/"), self.path
        )


class Faults:
    def __init__(self):
        self._lock = threading.Lock()
        self._planned = []
        self._numbers = itertools.count(1)

    def plan(self, kind, path="*", **more):
        """Plan a fault and return it; several wait in line."""
        if kind not in KINDS:
            raise ValueError(f"No fault {kind!r}; there are {', '.join(KINDS)}")
        fault = Fault(kind, path, **more, number=next(self._numbers))
        with self._lock:
            self._planned.append(fault)
        return asdict(fault)

    def take(self, method, path):
        """Return the fault for a request, or None; it has then happened once."""
        with self._lock:
            for fault in self._planned:
                if fault.matches(method, path):
                    fault.times -= 1
                    if not fault.times:
                        self._planned.remove(fault)
                    return fault
        return None

    def planned(self):
        with self._lock:
            return [asdict(fault) for fault in self._planned]

    def clear(self):
        with self._lock:
            self._planned.clear()
