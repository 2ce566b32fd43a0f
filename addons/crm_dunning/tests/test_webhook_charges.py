from odoo import fields
from odoo.exceptions import UserError
from odoo.tests import tagged

from .charge_common import ChargeCommon


@tagged("post_install", "-at_install")
class TestWebhookCharges(ChargeCommon):
    """Events about charges of ours: before the reply, instead of it, and after."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.inbox = cls.env["crm.dunning.provider.event"]

    def setUp(self):
        super().setUp()
        self.move = self._create_invoice(amount=80.0, due=self.today)

    def _hear(self, later=5):
        """Ask Stripe for its events and work them off, ``later`` minutes from now."""
        now = fields.Datetime.add(self.now, minutes=later)
        self.env.flush_all()
        with self.enter_registry_test_mode(), self.registry.cursor() as cr:
            env = self.env(cr=cr, user=self.env.ref("base.user_root").id)
            env["payment.provider"]._cron_poll_events(now)
            env["crm.dunning.provider.event"]._cron_process_events(now)
        self.env.invalidate_all()

    def _get_payments(self):
        return self.env["account.payment"].search(
            [("payment_transaction_id.invoice_ids", "in", self.move.ids)]
        )

    def _lose_reply(self):
        """Charge, and lose the answer: the money moved, Odoo does not know."""
        self.stripe.fault("drop_after", "payment_intents/*/confirm")
        self.stripe.fault("drop_before", "payment_intents/*", method="GET", times=3)
        self._run_charges()
        self.stripe.clear_faults()
        attempt = self._get_attempts(self.move)
        self.assertIn(attempt.state, ("sending", "verifying"))
        return attempt

    def test_event_before_the_reply_ends_in_one_payment(self):
        attempt = self._lose_reply()
        self._hear()
        self.assertEqual(attempt.state, "succeeded")
        self.assertPaid(self.move)
        self._reconcile(fields.Datetime.add(self.now, hours=1))
        self._hear()
        self.assertEqual(self._count_charges(), 1)
        self.assertEqual(len(self._get_payments()), 1)

    def test_event_before_the_payment_id_is_stored(self):
        """The key that the payment carries leads to the attempt."""
        attempt = self._lose_reply()
        attempt.payment_intent = False
        attempt.transaction_id.provider_reference = False
        self._hear()
        self.assertEqual(attempt.state, "succeeded")
        self.assertTrue(attempt.payment_intent)
        self.assertEqual(len(self._get_payments()), 1)

    def test_event_after_the_reply_changes_nothing(self):
        self._run_charges()
        self._hear()
        rows = self.inbox.search([("attempt_id.move_id", "=", self.move.id)])
        self.assertTrue(rows)
        self.assertEqual(set(rows.mapped("state")), {"done"})
        self.assertEqual(rows.move_id, self.move)
        self.assertEqual(len(self._get_payments()), 1)
        self.assertEqual(self._count_charges(), 1)

    def test_decline_is_known_once(self):
        self.stripe.decline_with(
            self.token.stripe_payment_method, "insufficient_funds", times=0
        )
        self._run_charges()
        attempt = self._get_attempts(self.move)
        self.assertEqual(attempt.state, "declined")
        case = self._get_case(self.move)
        planned = case.next_try_at
        self._hear()
        self.assertEqual(self._get_attempts(self.move), attempt)
        self.assertEqual(case.next_try_at, planned)
        self.assertEqual(len(self._get_failures()), 1)

    def test_dispute_of_a_charge_stops_everything(self):
        self._run_charges()
        attempt = self._get_attempts(self.move)
        self.stripe.open_dispute(attempt.payment_intent)
        self._hear()
        dispute = self.env["crm.dunning.dispute"].search(
            [("attempt_id", "=", attempt.id)]
        )
        self.assertEqual(dispute.move_ids, self.move)
        case = self._get_case(self.move)
        self.assertEqual((case.state, case.reason), ("person", "chargeback"))
        self.assertFalse(case.next_try_at)

    def test_method_of_a_fraud_dispute_is_never_charged_again(self):
        self._run_charges()
        attempt = self._get_attempts(self.move)
        self.stripe.open_dispute(attempt.payment_intent, "fraudulent")
        self._hear()
        self.assertEqual(self.token.dunning_blocked_class, "fraud")
        other = self._create_invoice(amount=10.0, due=self.today)
        self._run_charges()
        self.assertFalse(self._get_attempts(other))

    def test_method_of_a_dispute_about_goods_is_charged_on(self):
        self._run_charges()
        attempt = self._get_attempts(self.move)
        self.stripe.open_dispute(attempt.payment_intent, "product_not_received")
        self._hear()
        self.assertFalse(self.token.dunning_blocked_class)

    def test_part_of_a_disputed_invoice_is_not_charged_by_hand(self):
        self._run_charges()
        attempt = self._get_attempts(self.move)
        self.stripe.open_dispute(attempt.payment_intent, "product_not_received")
        self._hear()
        self.move.line_ids.remove_move_reconcile()
        self.assertEqual(self.move.amount_residual, 80.0)
        with self.assertRaises(UserError):
            self._get_case(self.move).with_user(self.clerk).action_retry()
        self.assertEqual(self._count_charges(), 1)

    def test_own_refund_is_not_noted_again(self):
        self._run_charges()
        attempt = self._get_attempts(self.move)
        child = attempt._refund(30.0)
        self._reconcile(fields.Datetime.add(self.now, hours=1))
        self._hear()
        self.assertEqual(attempt.transaction_id.child_transaction_ids, child)
        self.assertEqual(child.state, "done")
        self.assertEqual(len(self.stripe.find("refund")), 1)

    def test_event_before_the_reply_to_our_refund(self):
        self._run_charges()
        attempt = self._get_attempts(self.move)
        self.stripe.fault("drop_after", "refunds")
        self.stripe.fault("drop_before", "refunds", method="GET", times=2)
        child = attempt._refund(30.0)
        self._reconcile(fields.Datetime.add(self.now, minutes=1))
        self.stripe.clear_faults()
        self._hear()
        self._reconcile(fields.Datetime.add(self.now, hours=1))
        self._hear()
        self.assertEqual(attempt.transaction_id.child_transaction_ids, child)
        self.assertEqual(child.state, "done")
        self.assertEqual(len(self.stripe.find("refund")), 1)
        refunds = self._get_payments().filtered(
            lambda payment: payment.payment_type == "outbound"
        )
        self.assertLessEqual(len(refunds), 1)

    def _fail_for_want_of_a_valid_card(self):
        self.policy.hard_patience_days = 10  # else a person has the case at once
        self.stripe.decline_with(
            self.token.stripe_payment_method, "expired_card", times=0
        )
        self.token._apply_method(
            self.stripe.get(self.token.stripe_payment_method), self.now
        )
        self._run_charges()
        case = self._get_case(self.move)
        self.assertEqual(case.decline_class, "new_method")
        self.assertFalse(case.next_try_at)
        return case

    def test_card_renewed_by_the_bank_is_tried_once(self):
        case = self._fail_for_want_of_a_valid_card()
        self.stripe.update_card(self.token.stripe_payment_method, 12, 2044)
        self._hear()
        self.assertTrue(case.next_try_at)
        self._run_charges(fields.Datetime.add(self.now, minutes=10))
        self.assertPaid(self.move)
        self.assertEqual(self._count_charges(), 1)

    def test_renewed_card_that_fails_again_is_left_alone(self):
        case = self._fail_for_want_of_a_valid_card()
        method = self.token.stripe_payment_method
        self.stripe.update_card(method, 12, 2044)
        self.stripe.decline_with(method, "expired_card", times=0)
        self._hear()
        self._run_charges(fields.Datetime.add(self.now, minutes=10))
        self.assertEqual(len(self._get_failures()), 2)
        self.assertFalse(case.next_try_at)
        self._hear(later=20)
        for days in (1, 3, 7):
            self._run_charges(fields.Datetime.add(self.now, days=days))
        self.assertEqual(len(self._get_failures()), 2)

    def test_detached_method_is_told_on_the_case(self):
        case = self._fail_for_want_of_a_valid_card()
        client = self.provider._get_stripe_client()
        client.v1.payment_methods.detach(self.token.stripe_payment_method)
        self._hear()
        self.assertFalse(self.token.active)
        self.assertTrue(
            case.message_ids.filtered(lambda one: "was removed" in one.body)
        )
