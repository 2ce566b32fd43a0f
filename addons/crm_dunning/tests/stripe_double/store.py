"""What one Stripe account remembers: its objects, its events, its clock."""

import contextlib
import copy
import json
import secrets
import threading
from pathlib import Path

from . import errors, versions
from .clock import Clock

PREFIXES = {
    "customer": "cus",
    "payment_method": "pm",
    "payment_intent": "pi",
    "setup_intent": "seti",
    "charge": "ch",
    "refund": "re",
    "dispute": "du",
    "mandate": "mandate",
    "balance_transaction": "txn",
    "payout": "po",
    "event": "evt",
    "webhook_endpoint": "we",
    "radar.early_fraud_warning": "issfr",
}
UNDATED = ("mandate",)  # have no `created`
DEAD = ("balance_transaction", "refund", "event")  # have no `livemode` or set it


class Store:
    """Objects by type and id, oldest first.

    ``lock`` is held while an endpoint executes, never while anybody waits.
    ``hidden`` keeps what Stripe would not show: how a method behaves, when a debit
    settles, who got which event.
    """

    def __init__(self, state_file=None):
        self.lock = threading.RLock()
        self.clock = Clock()
        self.objects = {kind: {} for kind in PREFIXES}
        self.hidden = {
            "behaviours": {},  # {payment method: how charging it ends}
            "settle_at": {},  # {charge: when and how the debit settles}
            "return_urls": {},  # {intent: where the payer comes back to}
            "paid_out": {},  # {balance transaction: payout}
            "secrets": {},  # {webhook endpoint: signing secrets}
            "deliveries": {},  # {event: {endpoint: tries}}
        }
        self.request = {"id": None, "idempotency_key": None}  # of the running request
        self.listeners = []  # called with each new event
        self.state_file = state_file and Path(state_file)
        self._load()

    # === OBJECTS === #

    def add(self, kind, **values):
        """Keep a new object and return it."""
        identifier = values.pop("id", None) or self.new_id(kind)
        item = {"id": identifier, "object": kind}
        if kind not in UNDATED:
            item["created"] = self.clock.now()
        if kind not in DEAD:
            item["livemode"] = False
        self.objects[kind][identifier] = {**item, **values}
        return self.objects[kind][identifier]

    def remove(self, item):
        del self.objects[item["object"]][item["id"]]

    def new_id(self, kind):
        return f"{PREFIXES[kind]}_{secrets.token_hex(12)}"

    def get(self, kind, identifier, param="id"):
        """Return an object.

        :raise ApiError: 404 when the id is the address, 400 when it is a parameter
        """
        found = self.objects[kind].get(identifier)
        if not found:
            raise errors.missing(kind, identifier, param)
        return found

    def find(self, kind, **wanted):
        """Return the objects with these values, newest first."""
        found = [
            item
            for item in self.objects[kind].values()
            if all(item.get(name) == value for name, value in wanted.items())
        ]
        return found[::-1]

    def locate(self, identifier):
        """Return the object with that id, of whatever type, or None."""
        kinds = [items for items in self.objects.values() if identifier in items]
        return kinds[0][identifier] if kinds else None

    def change(self, item, event=None, **values):
        """Write on an object, and tell what it was before when there is an event."""
        before = copy.deepcopy(item)
        item.update(values)
        if event:
            self.emit(event, item, _difference(before, item))
        return item

    # === EVENTS === #

    def emit(self, kind, item, previous=None):
        """Make an event with the object as it is now."""
        data = {"object": copy.deepcopy(self.with_children(item))}
        if previous:
            data["previous_attributes"] = previous
        event = self.add(
            "event",
            livemode=False,
            api_version=versions.NEWEST,
            data=data,
            pending_webhooks=0,
            request=dict(self.request),
            type=kind,
        )
        for listener in self.listeners:
            listener(event)
        return event

    def with_children(self, item):
        """Return the object with the lists that versions before 2022-11-15 show."""
        if item["object"] == "payment_intent":
            charges = self.find("charge", payment_intent=item["id"])
            charges = [self.with_children(charge) for charge in charges]
            address = f"/v1/charges?payment_intent={item['id']}"
            return {**item, "charges": listing(charges, address)}
        if item["object"] == "charge":
            refunds = self.find("refund", charge=item["id"])
            address = f"/v1/charges/{item['id']}/refunds"
            return {**item, "refunds": listing(refunds, address)}
        return item

    # === LASTING === #

    @contextlib.contextmanager
    def executing(self, request_id=None, key=None):
        """Hold the lock, and note whose request the events come from."""
        with self.lock:
            self.request = {"id": request_id, "idempotency_key": key}
            try:
                yield
            finally:
                self.request = {"id": None, "idempotency_key": None}

    def save(self, **more):
        """Write everything to the state file, if there is one."""
        if not self.state_file:
            return
        state = {
            "clock": vars(self.clock),
            "objects": self.objects,
            "hidden": self.hidden,
            **more,
        }
        partial = self.state_file.with_suffix(".partial")
        partial.write_text(json.dumps(state))
        partial.replace(self.state_file)

    def _load(self):
        self.loaded = {}
        if self.state_file and self.state_file.exists():
            self.loaded = json.loads(self.state_file.read_text())
            self.clock = Clock(**self.loaded.pop("clock"))
            self.objects.update(self.loaded.pop("objects"))
            self.hidden.update(self.loaded.pop("hidden"))


def listing(items, address, has_more=False):
    return {"object": "list", "data": items, "has_more": has_more, "url": address}


def _difference(before, after):
    """Return the old values of what has changed, nested as the object is."""
    previous = {}
    for name, value in after.items():
        old = before.get(name)
        if old == value:
            continue
        if isinstance(old, dict) and isinstance(value, dict):
            old = _difference(old, value)
        previous[name] = old
    return previous
