import json
import time

from odoo import SUPERUSER_ID
from odoo.tests import HttpCase

from .common import DunningCommon
from .stripe_common import WEBHOOK_SECRET, StripeMixin
from .stripe_double import signature_header


class ProviderCommon(StripeMixin, DunningCommon):
    """A customer who pays on the portal, and jobs that look at the local Stripe."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.token = cls._create_token(cls.account)
        cls.inbox = cls.env["crm.dunning.provider.event"]
        cls.secret = WEBHOOK_SECRET

    def _run(self, model, method, *args):
        """Call a job as the scheduler does: on a cursor that may commit."""
        self.env.flush_all()
        with self.enter_registry_test_mode(), self.registry.cursor() as cr:
            getattr(self.env(cr=cr, user=SUPERUSER_ID)[model], method)(*args)
        self.env.invalidate_all()

    # === PAYING === #

    def _subscribe(self):
        """Let the local Stripe note from now on what our route has to hear."""
        self.stripe.set_webhook("http://127.0.0.1:1/unused", self.secret)

    def _pay_on_portal(self, invoice, method="pm_card_visa"):
        """Let the customer pay on the page; core is told of nothing.

        :return: core's transaction, still a draft, and the id of the payment
        """
        transaction = self.env["payment.transaction"].create(
            {
                "provider_id": self.provider.id,
                "payment_method_id": self.token.payment_method_id.id,
                "operation": "online_direct",
                "reference": invoice.name,
                "amount": invoice.amount_residual,
                "currency_id": invoice.currency_id.id,
                "partner_id": self.account.id,
                "invoice_ids": invoice.ids,
            }
        )
        intent = transaction._stripe_create_intent()
        self.stripe.pay(intent["id"], method)
        return transaction, intent["id"]


class WebhookCommon(HttpCase, ProviderCommon):
    """Events sent to our route, and the job that works them off."""

    # === SENDING === #

    def _route(self, provider=None):
        provider_id = self.provider.id if provider is None else provider
        return f"/billing/stripe/webhook/{provider_id}"

    def _event(self, kind="payment_intent.succeeded", **values):
        """Return an event as Stripe sends it, about an object that nobody knows."""
        return {
            "id": "evt_1",
            "object": "event",
            "type": kind,
            "created": 1_790_000_000,
            "data": {"object": {"id": "pi_unknown", "object": "payment_intent"}},
            **values,
        }

    def _send(self, content, secrets=None, age=0, route=None, header=None):
        """Send bytes or JSON, signed with ``secrets``; return the status."""
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        if header is None:
            moment = time.time() - age
            header = signature_header(
                body.decode("latin-1"), secrets or [self.secret], moment
            )
        headers = {"Content-Type": "application/json"}
        if header:
            headers["Stripe-Signature"] = header
        answer = self.url_open(route or self._route(), data=body, headers=headers)
        self.assertNotIn("Traceback", answer.text)
        return answer.status_code

    def _bring(self, types=None, copies=1):
        """Hand what the local Stripe has to say to our route, signed by it."""
        found = self.stripe.signed_events(types=types)
        statuses = []
        for event in found * copies:
            answer = self.url_open(
                self._route(), data=event["body"].encode(), headers=event["headers"]
            )
            statuses.append(answer.status_code)
        self.assertEqual(set(statuses), {200} if found else set())
        return found

    def _work(self, now=None):
        """Run the job that works off the inbox, at ``now`` on a cursor of its own."""
        if not now:
            cron = self.env.ref("crm_dunning.ir_cron_process_provider_events")
            with self.enter_registry_test_mode():
                cron.method_direct_trigger()
        else:
            self._run("crm.dunning.provider.event", "_cron_process_events", now)
        self.env.invalidate_all()
