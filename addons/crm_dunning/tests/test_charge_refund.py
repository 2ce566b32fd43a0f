from datetime import timedelta

from psycopg2.errors import UniqueViolation

from odoo.exceptions import UserError
from odoo.tests import tagged

from .charge_common import ChargeCommon


@tagged("post_install", "-at_install")
class TestRefund(ChargeCommon):
    """Money goes back once, whatever answer is lost."""

    def setUp(self):
        super().setUp()
        self.invoice = self._create_invoice()
        self.charge = self._charge(self.invoice)

    def _get_refunds(self):
        return self.stripe.find("refund")

    def _get_attempt(self):
        return self.attempts.search([("kind", "=", "refund")])

    def test_a_refund_is_booked_once(self):
        refund = self.charge._refund(40.0)
        self.assertRecordValues(refund, [{"state": "done", "amount": -40.0}])
        self.assertEqual([one["amount"] for one in self._get_refunds()], [4000])
        self.assertEqual(refund.payment_id.payment_type, "outbound")
        self.assertRecordValues(
            self._get_attempt(),
            [{"state": "succeeded", "amount": 40.0, "move_id": self.invoice.id}],
        )
        self.assertEqual(self.invoice.amount_residual, 0.0)

    def test_through_the_wizard_it_has_a_key_too(self):
        payment = self.charge.transaction_id.payment_id
        wizard = (
            self.env["payment.refund.wizard"]
            .with_context(active_id=payment.id)
            .create({"payment_id": payment.id, "amount_to_refund": 25.0})
        )
        wizard.action_refund()
        [request] = self.stripe.journal(method="POST", path="refunds")
        self.assertTrue(request["idempotency_key"].startswith(self._get_attempt().key))

    def test_lost_answers_refund_once(self):
        for kind in ("drop_before", "drop_after", "rate_limit", "malformed", "cut"):
            for later in (timedelta(minutes=5), timedelta(hours=30)):
                with self.subTest(kind=kind, later=later):
                    self._refund_with_fault(kind, later)

    def test_errors_of_the_provider_refund_once(self):
        for kind in ("error_before", "error_after"):
            for later in (timedelta(minutes=5), timedelta(hours=30)):
                with self.subTest(kind=kind, later=later):
                    self._refund_with_fault(kind, later)

    def _refund_with_fault(self, kind, later):
        charge = self._charge(self._create_invoice())
        before = len(self._get_refunds())
        self.stripe.fault(kind, "refunds")
        refund = charge._refund(40.0)
        self.assertNotEqual(refund.state, "error")
        self.stripe.clear_faults()
        self.stripe.advance(seconds=later.total_seconds())
        for _round in range(2):
            self._reconcile(self.now + later)
            later += timedelta(minutes=5)
        self.assertEqual(refund.state, "done")
        self.assertEqual(len(self._get_refunds()), before + 1)

    def test_no_more_is_refunded_than_was_paid(self):
        self.charge._refund(60.0)
        with self.assertRaisesRegex(UserError, "can still be refunded"):
            self.charge._refund(60.0)
        self.assertEqual(len(self._get_refunds()), 1)

    def test_one_refund_of_a_payment_at_a_time(self):
        self.stripe.fault("drop_before", "refunds")
        self.charge._refund(10.0)
        with self.assertRaises(UniqueViolation), self.env.cr.savepoint():
            self.charge._refund(10.0)
            self.env.flush_all()

    def test_a_refusal_is_said(self):
        self.stripe.open_dispute(self.charge.payment_intent)
        refund = self.charge._refund(40.0)
        self.assertEqual(refund.state, "error")
        self.assertEqual(self._get_attempt().state, "declined")
        self.assertFalse(self._get_refunds())

    def test_a_person_hears_of_a_refund_that_fails(self):
        self.stripe.open_dispute(self.charge.payment_intent)
        self.charge._refund(40.0)
        self.assertRecordValues(
            self._get_case(self.invoice), [{"state": "person", "reason": "refund"}]
        )

    def test_what_was_given_back_is_not_charged_again_by_itself(self):
        """Whether it is owed again, a person says; the card pays an invoice once."""
        refund = self.charge._refund()
        payment = self.charge.transaction_id.payment_id
        payment.move_id.line_ids.remove_move_reconcile()
        lines = (payment | refund.payment_id).move_id.line_ids
        lines.filtered(lambda one: one.account_type == "asset_receivable").reconcile()
        self.env.cr.flush()
        self.assertEqual(self.invoice.amount_residual, 100.0)
        self._run_charges()
        self.assertEqual(
            self._get_attempts(self.invoice).mapped("kind"), ["charge", "refund"]
        )
        case = self._get_case(self.invoice)
        self.assertRecordValues(case, [{"state": "person", "reason": "refund"}])
        case.with_user(self.clerk).action_retry()
        self.assertPaid(self.invoice)
