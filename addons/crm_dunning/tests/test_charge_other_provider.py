from datetime import timedelta
from unittest.mock import patch

import requests

from odoo.exceptions import ValidationError
from odoo.tests import tagged

from .charge_common import ChargeCommon


@tagged("post_install", "-at_install")
class TestOtherProvider(ChargeCommon):
    """Any provider with saved methods: through core, and never repeated blindly."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.other = cls.env["payment.provider"].create(
            {
                "name": "Another provider",
                "code": "none",
                "company_id": cls.company.id,
                "state": "test",
                "journal_id": cls.provider.journal_id.id,
            }
        )
        cls.other._arm_charging()
        cls.token.active = False
        cls.token = cls.env["payment.token"].create(
            {
                "provider_id": cls.other.id,
                "partner_id": cls.account.id,
                "payment_method_id": cls.token.payment_method_id.id,
                "provider_ref": "token-1",
            }
        )

    def _charge_with(self, answer, source="due"):
        """Charge an invoice; ``answer`` is what the provider's module does."""
        calls = []

        def send(transaction):
            calls.append(transaction)
            answer(transaction)

        invoice = self._create_invoice()
        transactions = type(self.env["payment.transaction"])
        line = self.env["account.payment.method.line"]
        with (
            patch.object(transactions, "_send_payment_request", send),
            patch.object(transactions, "_create_payment", lambda *args, **more: line),
        ):
            self._charge(invoice, source)
            attempt = self._get_attempts(invoice)
            for _round in range(3):
                attempt._send(self.now)
        self.assertEqual(len(calls), 1, "core was asked to charge again")
        return invoice, attempt

    def test_a_success_is_taken_over(self):
        _invoice, attempt = self._charge_with(lambda one: one._set_done())
        self.assertEqual(attempt.state, "succeeded")
        self.assertTrue(attempt.transaction_id.is_post_processed)

    def test_a_pending_payment_is_under_way(self):
        invoice, attempt = self._charge_with(lambda one: one._set_pending())
        self.assertEqual(attempt.state, "processing")
        attempt.transaction_id._set_done()
        line = self.env["account.payment.method.line"]
        transactions = type(self.env["payment.transaction"])
        with patch.object(transactions, "_create_payment", lambda *a, **k: line):
            attempt._send(self.now)
        self.assertEqual(attempt.state, "succeeded")

    def test_a_refusal_opens_a_case_and_plans_a_try(self):
        def decline(transaction):
            transaction.provider_reference = "ref-1"
            transaction._set_error("Not enough money")

        invoice, attempt = self._charge_with(decline)
        self.assertEqual(attempt.state, "declined")
        self.assertEqual(self._get_case(invoice).state, "retrying")

    def test_a_lost_answer_stays_verifying(self):
        def lose(transaction):
            message = "Could not establish the connection."
            raise ValidationError(message)

        def break_off(transaction):
            raise requests.exceptions.ChunkedEncodingError

        for answer in (lose, break_off):
            with self.subTest(answer.__name__):
                invoice, attempt = self._charge_with(answer)
                self.assertEqual(attempt.state, "verifying")
                self.assertEqual(self._get_case(invoice).state, "verifying")
                self.assertFalse(self._charge(invoice, "person"))

    def test_the_answer_is_stored_before_anything_else_is_written(self):
        """Whoever looks at the attempt meanwhile cannot undo the success."""
        seen = []
        commit = type(self.attempts)._commit

        def note(attempt):
            seen.append((attempt.transaction_id.state, attempt.state))
            commit(attempt)

        with patch.object(type(self.attempts), "_commit", note):
            self._charge_with(lambda one: one._set_done())
        self.assertIn(("done", "sending"), seen)

    def test_a_customer_on_another_pay_page_comes_first(self):
        invoice = self._create_invoice()
        page = self.env["payment.transaction"].create(
            {
                "provider_id": self.other.id,
                "payment_method_id": self.token.payment_method_id.id,
                "operation": "online_redirect",
                "reference": invoice.name,
                "amount": invoice.amount_residual,
                "currency_id": invoice.currency_id.id,
                "partner_id": self.account.id,
                "invoice_ids": invoice.ids,
            }
        )
        now = page.create_date
        self.assertFalse(self.attempts._start(invoice, "due", now))
        self.assertFalse(self.attempts._start(invoice, "person", now))
        later = now + timedelta(minutes=21)
        self.assertTrue(self.attempts._start(invoice, "due", later))
