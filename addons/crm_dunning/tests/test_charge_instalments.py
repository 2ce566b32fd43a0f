from datetime import timedelta

from odoo.fields import Command
from odoo.tests import tagged

from .charge_common import ChargeCommon


@tagged("post_install", "-at_install")
class TestInstalments(ChargeCommon):
    """Each instalment is charged on its day, whatever became of the one before."""

    def _create_instalments(self, *days, amount=100.0):
        """Return an invoice in equal parts, due so many days from today."""
        terms = self.env["account.payment.term"].create(
            {
                "name": "Instalments",
                "line_ids": [
                    Command.create({"value_amount": 100.0 / len(days), "nb_days": day})
                    for day in days
                ],
            }
        )
        return self._create_invoice(
            amount=amount,
            invoice_date=self.today,
            invoice_payment_term_id=terms.id,
        )

    def _decline(self, code):
        self.stripe.decline_with(self.token.stripe_payment_method, code, times=1)

    def _pay_by_bank(self, invoice, amount):
        self.env["account.payment.register"].with_context(
            active_model="account.move", active_ids=invoice.ids
        ).create({"amount": amount})._create_payments()

    def _run_days(self, *days):
        for day in days:
            self._run_charges(self.now + timedelta(days=day, minutes=5))

    def test_ten_instalments_are_no_ten_tries(self):
        """The limit of an invoice counts what failed and what was tried again."""
        self._decline("insufficient_funds")
        days = [30 * number for number in range(10)]
        invoice = self._create_instalments(*days, amount=1000.0)
        self._run_days(0, 1, *days[1:])
        self.assertPaid(invoice)
        self.assertEqual(self._count_charges(), 10)
        self.assertEqual(len(self._get_attempts(invoice)), 11)

    def test_after_the_failed_one_was_paid_by_bank_the_next_is_charged(self):
        self._decline("insufficient_funds")
        invoice = self._create_instalments(0, 30)
        self._run_days(0)
        case = self._get_case(invoice)
        self._pay_by_bank(invoice, 50.0)
        self.env.cr.flush()
        self.assertRecordValues(
            case,
            [{"state": "automatic", "next_try_at": False, "first_failure_at": False}],
        )
        self._run_days(1, 29)
        self.assertEqual(self._count_charges(), 0)
        self._run_days(30)
        self.assertEqual(self._count_charges(), 1)
        self.assertPaid(invoice)

    def test_nobody_is_asked_about_a_failure_that_was_paid_by_bank(self):
        self.policy.hard_patience_days = 3
        self._decline("expired_card")
        invoice = self._create_instalments(0, 30)
        self._run_days(0)
        case = self._get_case(invoice)
        self._pay_by_bank(invoice, 50.0)
        self._run_days(1, 4, 29)
        self.assertEqual(case.state, "automatic")
        self._run_days(30)
        self.assertEqual(case.state, "person", "the card is as dead as before")
        self.assertEqual(len(self._get_attempts(invoice)), 1)
