"""A request on its way through: key, fault, parameters, repetition, execution, reply.

Nothing here knows HTTP. No lock is held while a planned delay passes.
"""

import base64
import binascii
import collections
import json
import secrets
import time
from dataclasses import dataclass, field

from . import (
    api,
    charging,
    customers,
    disputes,
    errors,
    events,
    forms,
    idempotency,
    intents,
    mandates,
    refunds,
    setup_intents,
    versions,
)
from .errors import ApiError, BadParameter

KEYS = ("sk_test_", "rk_test_")
JOURNAL = 10_000  # requests that are remembered


@dataclass
class Request:
    method: str
    path: str
    query: str = ""
    body: str = ""
    headers: dict = field(default_factory=dict)  # names in lower case


@dataclass
class Reply:
    """``how``: sent, dropped, malformed or cut."""

    status: int = 200
    body: str = ""
    headers: dict = field(default_factory=dict)
    how: str = "sent"


class Service:
    def __init__(self, store, faults, sleep=time.sleep):
        self.store = store
        self.faults = faults
        self.sleep = sleep
        self.journal = collections.deque(maxlen=JOURNAL)
        self.replies = idempotency.Replies(store.clock, store.loaded.get("replies"))

    def answer(self, request):
        """Answer a request as Stripe would, or as a planned fault wants it."""
        fault = self.faults.take(request.method, request.path)
        call = Call(self, request, fault.kind if fault else None)
        self.journal.append(call.entry)
        try:
            if fault and (reply := self._fail_early(fault)):
                return call.finish(reply)
            return call.finish(self._after(fault, call.run(fault)))
        except ApiError as error:
            return call.finish(call.refuse(error))

    def _fail_early(self, fault):
        """Return the reply of a fault that lets nothing be executed, or None."""
        if fault.kind == "drop_before":
            return Reply(how="dropped")
        if fault.kind == "rate_limit":
            raise errors.rate_limit()
        if fault.kind == "error_before" and not fault.stored:
            raise errors.crash(fault.status)
        return None

    def _after(self, fault, reply):
        """Return what a fault makes of the reply of an execution."""
        kind = fault.kind if fault else None
        if kind == "delay_after":
            self.sleep(fault.seconds)
        reply.how = {
            "drop_after": "dropped",
            "malformed": "malformed",
            "cut": "cut",
        }.get(kind, "sent")
        return reply

    def save(self):
        """Keep everything over a restart, if there is a file for it."""
        if not self.store.state_file:
            return
        with self.store.lock:
            self.store.save(replies=self.replies.to_json())


class Call:
    """One request: its id, its parameters, its place in the journal."""

    def __init__(self, service, request, fault):
        self.service = service
        self.store = service.store
        self.request = request
        self.id = f"req_{secrets.token_hex(7)}"
        self.key = request.headers.get("idempotency-key")
        self.version = request.headers.get("stripe-version") or versions.NEWEST
        self.entry = {
            "id": self.id,
            "method": request.method,
            "path": request.path,
            "params": {},
            "idempotency_key": self.key,
            "api_version": self.version,
            "fault": fault,
            "status": None,
            "replayed": False,
        }

    # === STEPS === #

    def run(self, fault):
        """Return the reply: executed now, or kept from the first time."""
        _check_key(self.request.headers.get("authorization", ""))
        versions.check(self.version)
        text = "&".join(filter(None, [self.request.query, self.request.body]))
        raw = self.entry["params"] = forms.decode(text)
        endpoint, known, parts = api.find_route(self.request.method, self.request.path)
        params = forms.check(raw, known, self.version)
        if not (self.key and self.request.method == "POST"):
            return self._execute(endpoint, params, parts, fault)
        mark = idempotency.fingerprint(
            self.request.method, self.request.path, raw, self.version
        )
        if kept := self.service.replies.begin(self.key, mark):
            return self._repeat(*kept)
        try:
            reply = self._execute(endpoint, params, parts, fault)
        except BaseException:
            self.service.replies.forget(self.key)
            raise
        if fault and fault.kind == "error_after" and not fault.stored:
            self.service.replies.forget(self.key)
        else:
            self.service.replies.keep(self.key, reply.status, reply.body, self.id)
        self.service.save()
        return reply

    def _execute(self, endpoint, params, parts, fault):
        """Call the endpoint; an error that it raises is a result like any other."""
        kind = fault.kind if fault else None
        if kind == "delay_before":
            self.service.sleep(fault.seconds)
        if kind == "error_before":
            return self.refuse(errors.crash(fault.status))
        with self.store.executing(self.id, self.key):
            try:
                charging.settle_due(self.store)
                answer = endpoint(self.store, dict(params), **parts)
                reply = self._show(answer, params.get("expand", []))
            except BadParameter:
                raise
            except ApiError as error:
                reply = self.refuse(error)
        if self.request.method != "GET":
            self.service.save()
        if kind == "error_after":
            return self.refuse(errors.crash(fault.status))
        return reply

    def _show(self, answer, expand):
        shown = versions.render(self._whole(answer), self.version)
        shown = api.expand(self.store, shown, expand, self.version)
        return Reply(body=json.dumps(shown, indent=2))

    def _whole(self, answer):
        """Return an answer with the lists that older versions show in objects."""
        if answer.get("object") == "list":
            return {**answer, "data": [self._whole(item) for item in answer["data"]]}
        return self.store.with_children(answer) if "object" in answer else answer

    def _repeat(self, status, body, first_id):
        self.entry["replayed"] = True
        headers = {"Idempotent-Replayed": "true", "Original-Request": first_id}
        return Reply(status, body, headers)

    def refuse(self, error):
        """Return the reply that carries an error."""
        shown = dict(error.error)
        for kind in ("payment_intent", "setup_intent"):
            if kind in shown:
                shown[kind] = self.store.with_children(shown[kind])
        address = f"https://dashboard.stripe.com/test/logs/{self.id}"
        shown = versions.render({**shown, "request_log_url": address}, self.version)
        return Reply(error.status, json.dumps({"error": shown}, indent=2))

    def finish(self, reply):
        self.entry["status"] = reply.status if reply.how != "dropped" else None
        reply.headers |= {
            "Request-Id": self.id,
            "Stripe-Version": self.version,
            "Content-Type": "application/json",
        }
        if self.key and self.request.method == "POST":
            reply.headers["Idempotency-Key"] = self.key
        return reply


def _check_key(header):
    """Let in whoever has a secret key of a test account.

    :raise ApiError: 401
    """
    kind, _blank, value = header.partition(" ")
    if kind.lower() == "basic":
        try:
            value = base64.b64decode(value).decode().partition(":")[0]
        except (binascii.Error, UnicodeDecodeError):
            value = ""
    if not value:
        raise errors.unauthorized(
            "You did not provide an API key. You need to provide your API key in the "
            "Authorization header, using Bearer auth."
        )
    if not value.startswith(KEYS) or len(value) <= len(KEYS[0]):
        raise errors.unauthorized(f"Invalid API Key provided: {value[:8]}****")


# The modules whose endpoints are served
ENDPOINTS = (customers, disputes, events, intents, mandates, refunds, setup_intents)
