"""A small Stripe of our own: stateful, local, for demonstrations and tests.

It speaks Stripe's HTTP API as far as charging saved payment methods needs it, keeps
what it was told, and can be made to fail in every way a network and a bank can. It
imports nothing but the standard library, so that tests inside Odoo, tests without Odoo
and the demo share it. Start reading in ``server.py`` (a request on its way), then
``intents.py`` and ``charging.py`` (a payment on its way); ``control.py`` lists what a
test can make it do.

Where it knowingly differs from Stripe:

- payment methods whose charges are declined can be attached, so that a test says with
  a name how a *saved* method fails;
- a parameter that Stripe knows and that is not simulated is refused as unknown;
- SEPA debits settle after five days of the settable clock, not after minutes.
"""

from .local import LocalStripe
from .webhooks import signature_header

__all__ = ["LocalStripe", "signature_header"]
