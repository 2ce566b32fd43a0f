"""Deliveries: signed, repeated, late, out of order – as Stripe's really are."""

import hashlib
import hmac
import json
import random
import threading
import time
import urllib.error
import urllib.request

from . import events, versions

GIVE_UP = 3 * 24 * 3600  # seconds after which Stripe stops trying
PATIENCE = 10  # seconds for an answer


def signature_header(body, secrets, timestamp=None):
    """Return ``Stripe-Signature`` of a body: one ``v1`` for each secret.

    :param timestamp: real time in seconds (not the settable clock: the receiver
        holds it against its own); None for now
    """
    timestamp = int(time.time()) if timestamp is None else int(timestamp)
    signed = f"{timestamp}.{body}".encode()
    hashes = [
        hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
        for secret in secrets
    ]
    return ",".join([f"t={timestamp}", *(f"v1={code}" for code in hashes)])


class Deliveries:
    """Who still has to be told of what.

    By hand at first (``deliver``); ``automatic`` sends each event at once from a thread
    of its own, and again until it is answered with 2xx.
    """

    def __init__(self, store):
        self.store = store
        self.automatic = False
        self.waiting = store.hidden["deliveries"]  # {event id: {endpoint id: tries}}
        self._wake = threading.Event()
        self._ended = False
        store.listeners.append(self.queue)

    def queue(self, event):
        """Note that each endpoint that wants the event must get it."""
        endpoints = self.store.objects["webhook_endpoint"].values()
        wanted = {item["id"]: 0 for item in endpoints if events.wants(item, event)}
        event["pending_webhooks"] = len(wanted)
        if wanted:
            self.waiting[event["id"]] = wanted
            self._wake.set()

    # === SENDING === #

    def deliver(self, order="created", copies=1, seed=0, types=None, ids=None, age=0):
        """Send what waits, and return ``[{"event", "type", "status"}]`` as it went.

        :param order: created, reversed, or shuffled (by ``seed``)
        :param copies: how often each is sent; the repetitions are shuffled in as well
        :param types: only these types
        :param ids: only these events, delivered or not (a replay)
        :param age: seconds that the signature is old
        """
        with self.store.lock:
            pairs = self._pairs(types, ids)
        if order == "reversed":
            pairs.reverse()
        pairs = pairs * copies
        if order == "shuffled":
            random.Random(seed).shuffle(pairs)
        return [self._send(*pair, age=age) for pair in pairs]

    def _pairs(self, types, ids):
        """Return ``(event, endpoint)`` of what is to be sent, oldest first."""
        everybody = list(self.store.objects["webhook_endpoint"])
        chosen = {name: everybody for name in ids} if ids else self.waiting
        return [
            (self.store.get("event", name), self.store.get("webhook_endpoint", target))
            for name, targets in chosen.items()
            for target in targets
            if target in self.store.objects["webhook_endpoint"]
            and (not types or self.store.get("event", name)["type"] in types)
        ]

    def signed(self, event, endpoint, age=0):
        """Return ``(body, headers)`` of a delivery."""
        version = endpoint["api_version"] or versions.NEWEST
        shown = versions.render({**event, "api_version": version}, version)
        body = json.dumps(shown, indent=2)
        secrets = self.store.hidden["secrets"][endpoint["id"]]
        header = signature_header(body, secrets, time.time() - age)
        return body, {"Content-Type": "application/json", "Stripe-Signature": header}

    def _send(self, event, endpoint, age=0):
        with self.store.lock:
            body, headers = self.signed(event, endpoint, age)
        request = urllib.request.Request(endpoint["url"], body.encode(), headers)
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                status = answer.status
        except urllib.error.HTTPError as error:
            status = error.code
        except OSError:
            status = None
        with self.store.lock:
            self._note(event, endpoint, status)
        return {"event": event["id"], "type": event["type"], "status": status}

    def _note(self, event, endpoint, status):
        targets = self.waiting.get(event["id"], {})
        if endpoint["id"] not in targets:
            return
        targets[endpoint["id"]] += 1
        if status and 200 <= status < 300:
            del targets[endpoint["id"]]
            event["pending_webhooks"] -= 1
        if not targets:
            del self.waiting[event["id"]]

    def drop(self):
        """Lose what waits, as a receiver does that is away for three days."""
        self.waiting.clear()

    # === AUTOMATIC === #

    def run(self, settle):
        """Send on and on, until ``end``; call ``settle()`` each second."""
        while not self._ended:
            self._wake.wait(1)
            self._wake.clear()
            settle()
            if self.automatic:
                for event, endpoint in self._due():
                    self._send(event, endpoint)

    def _due(self):
        """Return what is to be tried now: later and later after each failure."""
        now = self.store.clock.now()
        with self.store.lock:
            return [
                (event, endpoint)
                for event, endpoint in self._pairs(None, None)
                if self._next_try(event, endpoint) <= now <= event["created"] + GIVE_UP
            ]

    def _next_try(self, event, endpoint):
        tries = self.waiting[event["id"]][endpoint["id"]]
        return event["created"] + (2 ** min(tries, 16) - 1)

    def end(self):
        self._ended = True
        self._wake.set()
