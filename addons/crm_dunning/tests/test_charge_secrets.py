import logging

from odoo.tests import tagged

from .charge_common import ChargeCommon
from .stripe_common import API_KEY


@tagged("post_install", "-at_install")
class TestSecrets(ChargeCommon):
    """No key, card number or token in a log or in the chatter."""

    def test_nothing_leaks_whatever_happens(self):
        secrets = [API_KEY, self.token.provider_ref, self.token.stripe_payment_method]
        secrets += [
            "4242424242424242",
            self.stripe.get(secrets[2])["card"]["fingerprint"],
        ]
        with self.assertLogs(level=logging.DEBUG) as logs:
            self._live_through_everything()
        ours = [
            record.getMessage()
            for record in logs.records
            if record.name.startswith(("odoo.addons.crm_", "stripe"))
        ]
        self.env.flush_all()
        self.env.cr.execute("SELECT body, subject FROM mail_message")
        chatter = str(self.env.cr.fetchall())
        for secret in secrets:
            self.assertNotIn(secret, "\n".join(ours))
            self.assertNotIn(secret, chatter)
        self.assertIn("Transaction", chatter.title(), "the chatter was written")

    def _live_through_everything(self):
        method = self.token.stripe_payment_method
        for kind in ("drop_after", "error_after", "malformed", "rate_limit"):
            for path in ("payment_intents", "payment_intents/*/confirm", "refunds"):
                self.stripe.fault(kind, path)
                attempt = self._charge(self._create_invoice())
                if attempt.state == "succeeded":
                    attempt._refund()
                self.stripe.clear_faults()
        broken = self.attempts._start(self._create_invoice(), "due", self.now)
        broken.payload = {"create": {"customer": self.token.provider_ref}}
        broken._send(self.now)
        self._reconcile()
        for code in ("insufficient_funds", "processing_error", "lost_card"):
            self.stripe.decline_with(method, code, times=1)
            self._charge(self._create_invoice())
        self.assertEqual(self.token.dunning_blocked_class, "lost_stolen")
