from datetime import timedelta
from unittest.mock import patch

from psycopg2.errors import UniqueViolation

from odoo.exceptions import ValidationError
from odoo.tests import tagged

from ..models import payment_transaction_unknown
from .charge_common import ChargeCommon


@tagged("post_install", "-at_install")
class TestOtherDoors(ChargeCommon):
    """Pay page, payment form, wizard and core's webhook lead to the same money."""

    def _begin(self, invoice, operation="online_direct", token=None, amount=None):
        """Begin a payment as core's pay page or wizard does."""
        return self.env["payment.transaction"].create(
            {
                "provider_id": self.provider.id,
                "payment_method_id": self.token.payment_method_id.id,
                "operation": operation,
                "token_id": token and token.id,
                "reference": self.env["payment.transaction"]._compute_reference(
                    "stripe", prefix=invoice.name
                ),
                "amount": amount or invoice.amount_residual,
                "currency_id": invoice.currency_id.id,
                "partner_id": self.account.id,
                "invoice_ids": invoice.ids,
            }
        )

    def _lose_core_answer(self, invoice, kind="drop_after"):
        transaction = self._begin(invoice, "offline", self.token)
        self.stripe.fault(kind, "payment_intents")
        transaction._charge_with_token()
        return transaction

    # === WHILE OUR CHARGE IS UNDER WAY === #

    def test_nobody_pays_while_we_charge(self):
        invoice = self._create_invoice()
        self.assertTrue(invoice._has_to_be_paid())
        self.attempts._start(invoice, "due", self.now)
        self.assertFalse(invoice._has_to_be_paid())
        self.assertIn("under way", invoice._get_online_payment_error())
        for operation in ("online_direct", "online_token", "offline"):
            with self.assertRaisesRegex(ValidationError, "under way"):
                self._begin(invoice, operation, self.token)

    def test_the_wizard_refuses_in_words(self):
        invoice = self._create_invoice()
        self.attempts._start(invoice, "due", self.now)
        line = self.provider.journal_id.inbound_payment_method_line_ids.filtered(
            lambda one: one.payment_provider_id == self.provider
        )
        wizard = (
            self.env["account.payment.register"]
            .with_context(active_model="account.move", active_ids=invoice.ids)
            .create(
                {
                    "journal_id": self.provider.journal_id.id,
                    "payment_method_line_id": line.id,
                    "payment_token_id": self.token.id,
                }
            )
        )
        with self.assertRaisesRegex(ValidationError, "under way"):
            wizard._create_payments()

    def test_an_old_page_pays_nothing_that_is_paid(self):
        invoice = self._create_invoice()
        self._charge(invoice)
        for operation in ("online_direct", "online_token"):
            with self.assertRaisesRegex(ValidationError, "is open"):
                self._begin(invoice, operation, self.token, amount=100.0)
        part = self._create_invoice()
        with self.assertRaisesRegex(ValidationError, "is open"):
            self._begin(part, amount=100.01)
        self.assertTrue(self._begin(part, amount=60.0))

    # === WHILE ANOTHER PAYMENT IS UNDER WAY === #

    def test_we_do_not_charge_while_somebody_pays(self):
        for state in ("pending", "authorized"):
            with self.subTest(state):
                invoice = self._create_invoice()
                self._begin(invoice).state = state
                self._run_charges()
                self.assertFalse(self._get_attempts(invoice))

    def test_a_customer_on_the_pay_page_has_time(self):
        """The payment that was begun is cancelled before we charge, not before."""
        invoice = self._create_invoice()
        transaction = self._begin(invoice)
        intent = transaction._stripe_create_intent()
        case = self.env["crm.dunning.case"]._open_for(invoice)
        self.assertEqual(case.collector, "portal")
        self._run_charges()
        self.assertFalse(self._get_attempts(invoice))
        self._run_charges(self.now + timedelta(minutes=30))
        self.assertPaid(invoice)
        self.assertEqual(self.stripe.get(intent["id"])["status"], "canceled")
        self.assertEqual(self._count_charges(), 1)

    def test_what_the_customer_paid_meanwhile_is_found(self):
        invoice = self._create_invoice()
        transaction = self._begin(invoice)
        intent = transaction._stripe_create_intent()
        self.stripe.pay(intent["id"])
        self._run_charges(self.now + timedelta(minutes=30))
        self.assertPaid(invoice)
        self.assertFalse(self._get_attempts(invoice))
        self.assertEqual(self._count_charges(), 1)

    # === ANSWERS THAT CORE LOSES === #

    def test_a_timeout_of_core_is_no_failure(self):
        """Core says error though the money moved: nobody charges again."""
        invoice = self._create_invoice()
        transaction = self._lose_core_answer(invoice)
        self.assertEqual(transaction.state, "error")
        self.assertTrue(transaction.outcome_unknown)
        self.assertFalse(self._get_case(invoice).first_failure_at)
        with self.assertRaisesRegex(ValidationError, "under way"):
            self._begin(invoice, "online_token", self.token)
        self._run_charges()
        self._reconcile()
        self._run_charges()
        self.assertPaid(invoice)
        self.assertEqual(transaction.state, "done")
        self.assertFalse(self._get_attempts(invoice))
        self.assertEqual(self._count_charges(), 1)

    def test_the_job_finds_it_out_without_a_charge(self):
        self.policy.charge_mode = "none"
        invoice = self._create_invoice()
        transaction = self._lose_core_answer(invoice)
        self._reconcile()
        self.assertEqual(transaction.state, "done")
        self.assertPaid(invoice)

    def test_after_two_hours_a_person_is_asked(self):
        invoice = self._create_invoice()
        self._lose_core_answer(invoice)
        self.stripe.fault("drop_before", "*", method="GET", times=20)
        self._reconcile(self.now + timedelta(hours=1))
        self.assertFalse(self._get_case(invoice))
        self._reconcile(self.now + timedelta(hours=2, minutes=1))
        self.assertRecordValues(
            self._get_case(invoice), [{"state": "person", "reason": "unknown"}]
        )

    def test_a_request_that_never_arrived_is_proven_too(self):
        invoice = self._create_invoice()
        transaction = self._lose_core_answer(invoice, "drop_before")
        self._reconcile()
        self.assertFalse(transaction.outcome_unknown)
        self.assertTrue(self._get_case(invoice).first_failure_at)
        self.assertEqual(self._count_charges(), 0)

    def test_a_clear_decline_opens_a_case(self):
        self.stripe.decline_with(self.token.stripe_payment_method, "lost_card")
        invoice = self._create_invoice()
        transaction = self._begin(invoice, "online_token", self.token)
        transaction._charge_with_token()
        self.assertRecordValues(
            transaction,
            [{"state": "error", "decline_code": "lost_card", "outcome_unknown": False}],
        )
        self.assertTrue(transaction.provider_reference)
        self.assertTrue(self._get_case(invoice).first_failure_at)

    # === CORE'S WEBHOOK === #

    def test_core_believes_nobody_about_our_charges(self):
        """A forged success on core's route, where no secret may be set."""
        invoice = self._create_invoice()
        attempt = self.attempts._start(invoice, "due", self.now)
        forged = {
            "id": "pi_forged",
            "status": "succeeded",
            "amount": 10000,
            "currency": invoice.currency_id.name.lower(),
        }
        self.env["payment.transaction"]._process(
            "stripe", {"reference": attempt.reference, "payment_intent": forged}
        )
        self.assertEqual(attempt.transaction_id.state, "draft")
        self.assertFalse(attempt.checked_at)
        self.assertEqual(invoice.amount_residual, 100.0)

    # === WHO MAY CHARGE === #

    def test_the_case_shows_who_may_charge(self):
        invoice = self._create_invoice()
        case = self.env["crm.dunning.case"]._open_for(invoice)
        self.assertFalse(case.collector)
        self.attempts._start(invoice, "due", self.now)
        case.invalidate_recordset()
        self.assertEqual(case.collector, "retry")
        invoice.dunning_attempt_ids.state = "processing"
        case.invalidate_recordset()
        self.assertEqual(case.collector, "provider")
        invoice.dunning_attempt_ids.state = "cancelled"
        invoice._write_lease("portal", self.now - timedelta(minutes=1))
        case.invalidate_recordset()
        self.assertFalse(case.collector, "the lease has expired")

    def test_two_attempts_of_one_invoice_cannot_live(self):
        invoice = self._create_invoice()
        attempt = self.attempts._start(invoice, "due", self.now)
        self.assertFalse(self.attempts._start(invoice, "person", self.now))
        with self.assertRaises(UniqueViolation), self.env.cr.savepoint():
            attempt.copy({"key": "another"})
            self.env.flush_all()

    def test_what_cannot_be_asked_is_not_in_the_way_of_others(self):
        """Of a provider without a key nobody learns anything; each gets its turn."""
        gone = self.provider.copy()
        keys = {"stripe_publishable_key": "pk_test_x", "stripe_secret_key": "sk_test_x"}
        gone.write({"state": "test", **keys})
        gone.payment_method_ids |= self.token.payment_method_id
        begun = self.env["payment.transaction"].create(
            [
                {
                    "provider_id": provider.id,
                    "payment_method_id": self.token.payment_method_id.id,
                    "operation": "online_direct",
                    "reference": f"Page {number}",
                    "amount": 10.0,
                    "currency_id": self.currency.id,
                    "partner_id": self.account.id,
                    "outcome_unknown": True,
                }
                for number, provider in enumerate([gone, gone, self.provider])
            ]
        )
        gone.write({"state": "disabled", "stripe_secret_key": False})
        with patch.object(payment_transaction_unknown, "BATCH", 2):
            for hours in (2, 3):
                self._reconcile(self.now + timedelta(hours=hours))
        self.assertFalse(begun[2].outcome_unknown)
        self.assertTrue(all(begun[:2].mapped("outcome_unknown")))
