from datetime import timedelta

from odoo import fields

from .common import DunningCommon
from .stripe_common import StripeMixin


class ChargeCommon(StripeMixin, DunningCommon):
    """An armed provider and policy, an account with a saved card, short verbs."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.policy.charge_mode = "due"
        cls.policy.armed_at = fields.Datetime.now() - timedelta(days=30)
        cls.provider.sudo()._arm_charging()
        cls.token = cls._create_token(cls.account)
        cls.attempts = cls.env["crm.dunning.attempt"]
        cls.env["ir.config_parameter"].set_param(
            "account_payment.enable_portal_payment", True
        )

    def setUp(self):
        super().setUp()
        self.now = fields.Datetime.now()
        self.today = self.now.date()

    # === VERBS === #

    def _charge(self, move, source="due", now=None):
        """Start and send one charge as the job does; return the attempt."""
        now = now or self.now
        attempt = self.attempts._start(move, source, now)
        if attempt:
            attempt._send(now)
        return attempt

    def _run_charges(self, now=None):
        """Run the job as the scheduler does: on a cursor that may commit."""
        self._run_job("_cron_charge", now)

    def _reconcile(self, now=None):
        self._run_job("_cron_reconcile", now)

    def _run_job(self, method, now):
        self.env.flush_all()
        with self.enter_registry_test_mode(), self.registry.cursor() as cr:
            model = self.env(cr=cr, user=self.env.ref("base.user_root").id)
            getattr(model["crm.dunning.attempt"], method)(now or self.now)
        self.env.invalidate_all()

    # === QUESTIONS === #

    def _get_attempts(self, move):
        return self.attempts.search([("move_id", "=", move.id)], order="id")

    def _count_charges(self):
        """Return how many charges took money at the provider."""
        return len(self.stripe.find("charge", paid=True))

    def _get_failures(self):
        return self.stripe.find("charge", status="failed")

    def assertPaid(self, move):
        self.assertEqual(move.amount_residual, 0.0)
        self.assertIn(move.payment_state, ("paid", "in_payment"))
