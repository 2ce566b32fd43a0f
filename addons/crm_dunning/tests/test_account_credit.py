from datetime import date

from odoo.tests import tagged

from .common import DunningCommon


@tagged("post_install", "-at_install")
class TestAccountCredit(DunningCommon):
    """F9: what the account has paid too much pays the next invoice."""

    def _pay_in_advance(self, amount, day, currency=None):
        payment = self.env["account.payment"].create(
            {
                "payment_type": "inbound",
                "partner_type": "customer",
                "partner_id": self.account.id,
                "amount": amount,
                "date": day,
                "currency_id": (currency or self.currency).id,
            }
        )
        payment.action_post()
        return payment.move_id.line_ids.filtered(
            lambda line: line.account_type == "asset_receivable"
        )

    def _credit(self, amount, day, **values):
        note = self._create_invoice(
            amount=amount, due=day, move_type="out_refund", **values
        )
        return note.line_ids.filtered(
            lambda line: line.account_type == "asset_receivable"
        )

    def test_oldest_credit_pays_first_and_the_rest_stays_visible(self):
        newer = self._pay_in_advance(50.0, date(2027, 2, 1))
        older = self._pay_in_advance(30.0, date(2027, 1, 1))
        invoice = self._create_invoice(amount=40.0, due="2027-03-10")
        self.assertEqual(invoice.payment_state, "paid")
        self.assertEqual(older.amount_residual, 0.0)
        self.assertEqual(newer.amount_residual, -40.0)
        next_one = self._create_invoice(amount=100.0, due="2027-04-10")
        self.assertEqual(next_one.amount_residual, 60.0)
        self.assertEqual(newer.amount_residual, 0.0)

    def test_a_credit_note_pays_too_unless_its_money_is_returned(self):
        credit = self._credit(25.0, "2027-01-31")
        returned = self._credit(10.0, "2027-01-31")
        returned.move_id.is_billing_refund = True
        invoice = self._create_invoice(amount=100.0, due="2027-03-10")
        self.assertEqual(invoice.amount_residual, 75.0)
        self.assertEqual(credit.amount_residual, 0.0)
        self.assertEqual(returned.amount_residual, -10.0)

    def test_another_currency_waits_for_a_person(self):
        other = self.env.ref("base.EUR")
        if other == self.currency:
            other = self.env.ref("base.USD")
        other.active = True
        credit = self._pay_in_advance(50.0, date(2027, 1, 1), other)
        invoice = self._create_invoice(amount=40.0, due="2027-03-10")
        self.assertEqual(invoice.amount_residual, 40.0)
        self.assertEqual(credit.amount_residual_currency, -50.0)

    def test_another_account_pays_nothing(self):
        self._pay_in_advance(50.0, date(2027, 1, 1))
        other = self._create_account("Southwind")
        invoice = self._create_invoice(other, amount=40.0, due="2027-03-10")
        self.assertEqual(invoice.amount_residual, 40.0)

    def test_the_company_may_switch_it_off(self):
        self.company.dunning_apply_credits = False
        self._pay_in_advance(50.0, date(2027, 1, 1))
        invoice = self._create_invoice(amount=40.0, due="2027-03-10")
        self.assertEqual(invoice.amount_residual, 40.0)

    def test_a_batch_costs_one_search(self):
        """Posting many invoices at once looks for credit once."""
        accounts = [self._create_account(f"Batch {number}") for number in range(12)]
        invoices = self.env["account.move"].union(
            *(self._create_invoice(account, post=False) for account in accounts)
        )
        invoices.action_post()
        self.env.flush_all()
        self.env.invalidate_all()
        few, many = invoices[:2], invoices

        def count(moves):
            self.env.invalidate_all()
            moves.line_ids.fetch(["account_type", "reconciled"])
            before = self.env.cr.sql_log_count
            moves._use_account_credit()
            return self.env.cr.sql_log_count - before

        self.assertEqual(count(few), count(many))
