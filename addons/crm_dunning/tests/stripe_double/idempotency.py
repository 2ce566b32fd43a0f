"""Idempotency keys: the first result is kept and told again, for a day.

A result is kept once execution has begun, whatever it was (402 and 500 too). What
fails before – unknown parameters, a wrong API key, too many requests, a request with
the same key still running – leaves no trace.
"""

import contextlib
import json
import threading

from .errors import ApiError

KEPT = 24 * 3600  # seconds
LONGEST = 255


class Running:
    """Stands where the result of a running request will be."""


class Replies:
    """Results by key. ``begin`` and ``keep`` enclose the execution."""

    def __init__(self, clock, kept=None):
        self.clock = clock
        self.lock = threading.Lock()
        self.kept = kept or {}  # {key: [fingerprint, when, status, body, request id]}

    def begin(self, key, fingerprint):
        """Return the kept ``(status, body, request id)``, or None: go on.

        :raise ApiError: 400 other parameters, 409 the first request still runs
        """
        if len(key) > LONGEST:
            raise ApiError(
                400, f"Idempotency keys can be at most {LONGEST} characters long."
            )
        with self.lock:
            self._prune()
            found = self.kept.get(key)
            if not found:
                self.kept[key] = [fingerprint, self.clock.now(), Running]
                return None
        if found[0] != fingerprint:
            raise ApiError(
                400,
                "Keys for idempotent requests can only be used with the same parameters"
                f" they were first used with. Try using a key other than '{key}' if you"
                " meant to execute a different request.",
                kind="idempotency_error",
            )
        if found[2] is Running:
            raise ApiError(
                409,
                "There is currently another in-progress request using this Idempotency"
                f" Key (that probably means you submitted twice): {key}. Please try"
                " again later.",
                kind="idempotency_error",
                code="idempotency_key_in_use",
            )
        return tuple(found[2:])

    def keep(self, key, status, body, request_id):
        with self.lock:
            self.kept[key][2:] = [status, body, request_id]

    def forget(self, key):
        """The request has failed before its execution began."""
        with self.lock, contextlib.suppress(KeyError):
            del self.kept[key]

    def _prune(self):
        oldest = self.clock.now() - KEPT
        for key, entry in list(self.kept.items()):
            if entry[1] <= oldest and entry[2] is not Running:
                del self.kept[key]

    def to_json(self):
        with self.lock:
            return {key: e for key, e in self.kept.items() if e[2] is not Running}


def fingerprint(method, path, params, version):
    """Return what must be equal in a repetition."""
    return json.dumps([method, path, params, version], sort_keys=True)
