"""What a test can make the local Stripe do, beside what its API offers.

Each public method is reached as ``/_control/<name>`` or, from Python, as the method of
the same name of ``LocalStripe``. Objects come back as the newest API version has them.
"""

import copy
from datetime import datetime, timezone

from .control_money import MoneyControl
from .events import add_endpoint

WITHOUT_LOCK = ("deliver", "settle_due")  # deliver waits for the receiver


class Control(MoneyControl):
    """Clock, faults, journal, webhooks; money is in ``MoneyControl``."""

    def __init__(self, service, deliveries):
        self.service = service
        self.store = service.store
        self.deliveries = deliveries
        self.kept = None

    def call(self, name, /, *args, **kwargs):
        """Call a public method with JSON values, and keep what has changed."""
        is_private = name.startswith("_") or name == "call"
        method = None if is_private else getattr(type(self), name, None)
        if not callable(method):
            raise AttributeError(f"The local Stripe cannot {name!r}")
        if name in WITHOUT_LOCK:
            return method(self, *args, **kwargs)
        with self.store.lock:
            result = copy.deepcopy(method(self, *args, **kwargs))
        self.service.save()
        return result

    # === STATE === #

    def keep(self):
        """Remember how things are, for ``reset``."""
        self.kept = copy.deepcopy([self.store.objects, self.store.hidden])

    def reset(self):
        """Go back to what was kept, or to nothing, on real time and without faults."""
        self.service.faults.clear()
        self.service.journal.clear()
        self.service.replies.kept.clear()
        self.store.clock.follow()
        self.deliveries.automatic = False
        for now, then in zip(
            [self.store.objects, self.store.hidden],
            copy.deepcopy(self.kept) if self.kept else [{}, {}],
            strict=True,
        ):
            for name, items in now.items():
                items.clear()
                items.update(then.get(name, {}))

    def get(self, identifier):
        """Return the object with that id, or None."""
        return self.store.locate(identifier)

    def find(self, kind, **values):
        """Return objects by type (``charge``) and values, newest first."""
        return self.store.find(kind, **values)

    # === CLOCK === #

    def now(self):
        """Return the time of the local Stripe in seconds."""
        return self.store.clock.now()

    def set_time(self, moment, frozen=True):
        """Go to a timestamp or an ISO text (UTC unless it says), and stand still."""
        if isinstance(moment, str):
            moment = datetime.fromisoformat(moment)
            moment = moment.replace(tzinfo=moment.tzinfo or timezone.utc).timestamp()
        self.store.clock.set(moment, frozen)
        self.settle_due()
        return self.store.clock.now()

    def advance(self, seconds=0, minutes=0, hours=0, days=0):
        """Let time pass; debits whose day has come settle."""
        hours += 24 * days
        self.store.clock.advance(seconds + 60 * (minutes + 60 * hours))
        self.settle_due()
        return self.store.clock.now()

    def follow_time(self):
        """Show the real time again."""
        self.store.clock.follow()
        return self.store.clock.now()

    # === FAULTS, JOURNAL === #

    def fault(self, kind, path="*", **more):
        """Plan trouble for the next requests: see ``faults.Fault`` for the values."""
        return self.service.faults.plan(kind, path, **more)

    def faults(self):
        """Return what is planned and has not happened yet."""
        return self.service.faults.planned()

    def clear_faults(self):
        self.service.faults.clear()

    def journal(self, method=None, path=None):
        """Return the requests so far, oldest first (``path`` without ``/v1/``)."""
        return [
            entry
            for entry in self.service.journal
            if method in (None, entry["method"])
            and path in (None, entry["path"].removeprefix("/v1/"))
        ]

    def forget_journal(self):
        self.service.journal.clear()

    # === WEBHOOKS === #

    def set_webhook(self, url, secret, types=("*",), api_version=None, automatic=False):
        """Tell a receiver of everything from now on, by hand or automatically.

        :param secret: one, or several while they are rotated
        """
        secrets = [secret] if isinstance(secret, str) else list(secret)
        endpoint = add_endpoint(self.store, url, secrets[0], types, api_version)
        self.set_secrets(endpoint["id"], *secrets)
        self.deliveries.automatic = automatic
        return endpoint

    def set_secrets(self, endpoint, *secrets):
        """Sign with these secrets from now on: one ``v1`` each."""
        self.store.hidden["secrets"][endpoint] = list(secrets)

    def drop_webhooks(self):
        """Forget the receivers and what they wait for."""
        self.deliveries.automatic = False
        self.deliveries.drop()
        self.store.objects["webhook_endpoint"].clear()

    def pending(self):
        """Return ``[{"id", "type"}]`` of the events that somebody waits for."""
        names = list(self.deliveries.waiting)
        return [{"id": name, "type": self.get(name)["type"]} for name in names]

    def lose_pending(self):
        """Never send what waits: only the list of events tells of it."""
        self.deliveries.drop()

    def deliver(self, **how):
        """Send what waits: see ``webhooks.Deliveries.deliver`` for order and copies."""
        return self.deliveries.deliver(**how)

    def signed_events(self, types=None, ids=None, age=0):
        """Return what would be sent, to be handed over without HTTP.

        :return: ``[{"id", "type", "body", "headers"}]``
        """
        found = []
        for event, endpoint in self.deliveries._pairs(types, ids):
            body, headers = self.deliveries.signed(event, endpoint, age)
            found.append(
                {
                    "id": event["id"],
                    "type": event["type"],
                    "body": body,
                    "headers": headers,
                }
            )
        return found
