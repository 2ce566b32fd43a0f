import time

import requests
import stripe

from odoo.tests import tagged

from odoo.addons.payment_stripe.controllers.main import StripeController

from .common import DunningCommon
from .stripe_common import API_KEY, StripeMixin


@tagged("post_install", "-at_install")
class TestLocalStripe(StripeMixin, DunningCommon):
    """The local Stripe inside Odoo: through the SDK and through core's connector."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.token = cls._create_token(cls.account)

    def _create_transaction(self, token, currency=None):
        currency = currency or self.currency
        invoice = self._create_invoice(amount=12.0, currency_id=currency.id)
        return self.env["payment.transaction"].create(
            {
                "provider_id": self.provider.id,
                "payment_method_id": token.payment_method_id.id,
                "token_id": token.id,
                "operation": "offline",
                "reference": invoice.name,
                "amount": 12.0,
                "currency_id": currency.id,
                "partner_id": self.account.id,
                "invoice_ids": invoice.ids,
            }
        )

    def _charge(self, transaction):
        """Charge with exactly what core sends."""
        intent = self.provider._send_api_request(
            "POST",
            "payment_intents",
            data=transaction._stripe_prepare_payment_intent_payload(),
            idempotency_key=transaction.reference,
        )
        data = {"reference": transaction.reference}
        StripeController._include_payment_intent_in_payment_data(intent, data)
        transaction._process("stripe", data)
        return intent

    def test_core_reaches_it_and_understands_it(self):
        transaction = self._create_transaction(self.token)
        intent = self._charge(transaction)
        self.assertEqual(transaction.state, "done")
        self.assertEqual(transaction.provider_reference, intent["id"])
        transaction._post_process()
        self.assertIn(transaction.invoice_ids.payment_state, ("paid", "in_payment"))
        [entry] = self.stripe.journal(method="POST", path="payment_intents")
        self.assertEqual(entry["api_version"], "2019-05-16")
        self.assertEqual(entry["idempotency_key"], transaction.reference)

    def test_debit_is_pending(self):
        euro = self.env.ref("base.EUR")
        euro.active = True
        token = self._create_token(self.account, "pm_success_de")
        transaction = self._create_transaction(token, euro)
        self._charge(transaction)
        self.assertEqual(transaction.state, "pending")

    def test_the_sdk_reaches_it_and_its_patience_is_its_own(self):
        client = stripe.StripeClient(
            API_KEY,
            base_addresses={"api": self.stripe.url},
            max_network_retries=0,
            http_client=stripe.RequestsClient(timeout=0.2),
        )
        method = client.v1.payment_methods.retrieve(self.token.stripe_payment_method)
        self.assertEqual(method.card.last4, self.token.payment_details)
        self.stripe.fault("delay_before", "customers", seconds=5)
        start = time.monotonic()
        with self.assertRaises(stripe.APIConnectionError):
            client.v1.customers.create()
        self.assertLess(time.monotonic() - start, 4)

    def test_the_rest_of_the_world_stays_closed(self):
        with self.assertRaises(requests.exceptions.ConnectionError):
            requests.get("https://api.stripe.com/v1/charges", timeout=10)

    def test_each_test_starts_with_what_the_class_has_set_up(self):
        self.assertEqual(len(self.stripe.find("payment_method")), 1)
        self.assertFalse(self.stripe.find("charge"))
        self.assertFalse(self.stripe.journal())
