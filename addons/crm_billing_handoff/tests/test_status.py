from odoo import fields
from odoo.fields import Command
from odoo.tests import tagged

from .common import BillingHandoffCommon


@tagged("post_install", "-at_install")
class TestStatus(BillingHandoffCommon):
    """The deal shows what the ledger says, in the transaction that changes it."""

    def setUp(self):
        super().setUp()
        self.deal = self._create_deal()
        self._create_quotation(self.deal, price=100)
        self.invoice = self._win_and_process(self.deal).move_ids

    def _assert_status(self, state, invoiced=0.0, due=0.0):
        self.assertRecordValues(
            self.deal.with_user(self.seller),
            [
                {
                    "billing_state": state,
                    "billing_amount_invoiced": invoiced,
                    "billing_amount_due": due,
                }
            ],
        )

    def test_from_draft_to_paid(self):
        self._assert_status("draft")
        self.invoice.action_post()
        self._assert_status("invoiced", 110.0, 110.0)
        self._pay(self.invoice, 50)
        self._assert_status("partial", 110.0, 60.0)
        self._pay(self.invoice)
        self._assert_status("paid", 110.0, 0.0)
        self.assertTrue(self.deal.billing_as_of)

    def test_a_payment_that_is_taken_back(self):
        self.invoice.action_post()
        payment = self._pay(self.invoice)
        self._assert_status("paid", 110.0, 0.0)
        self.invoice.line_ids.remove_move_reconcile()
        self._assert_status("invoiced", 110.0, 110.0)
        payment.action_cancel()
        self._assert_status("invoiced", 110.0, 110.0)

    def test_a_credit_note(self):
        self.invoice.action_post()
        wizard = (
            self.env["account.move.reversal"]
            .with_context(active_model="account.move", active_ids=self.invoice.ids)
            .create({"journal_id": self.invoice.journal_id.id})
        )
        credit = self.env["account.move"].browse(wizard.refund_moves()["res_id"])
        self.assertEqual(credit.opportunity_ids, self.deal)
        self.assertEqual(self.deal.billing_state, "invoiced")
        credit.action_post()
        self._assert_status("credited", 0.0, 0.0)

    def test_a_failed_payment(self):
        self.invoice.action_post()
        transaction = self._create_transaction("error")
        self._assert_status("failed", 110.0, 110.0)
        self._create_transaction("pending")
        self._assert_status("invoiced", 110.0, 110.0)
        transaction.copy({"reference": "another", "state": "error"})
        self._pay(self.invoice)
        self._assert_status("paid", 110.0, 0.0)

    def test_a_payment_block_is_shown_beside_the_state(self):
        self.invoice.action_post()
        self.invoice.action_toggle_block_payment()
        self._assert_status("invoiced", 110.0, 110.0)
        self.assertTrue(self.deal.billing_payment_blocked)
        self.invoice.action_toggle_block_payment()
        self.assertFalse(self.deal.billing_payment_blocked)

    def test_back_to_draft_and_cancelled(self):
        self.invoice.action_post()
        self._pay(self.invoice)
        self.invoice.button_draft()
        self._assert_status("draft")
        self.invoice.button_cancel()
        self._assert_status("blocked")

    def test_overdue_is_searched_by_instalment(self):
        half = self.env["account.payment.term"].create(
            {
                "name": "Half now, half later",
                "line_ids": [
                    Command.create(
                        {"value": "percent", "value_amount": 50, "nb_days": 0}
                    ),
                    Command.create(
                        {"value": "percent", "value_amount": 50, "nb_days": 90}
                    ),
                ],
            }
        )
        self.invoice.write(
            {
                "invoice_payment_term_id": half.id,
                "invoice_date": fields.Date.subtract(
                    fields.Date.context_today(self.invoice), days=10
                ),
            }
        )
        self.invoice.with_user(self.clerk).action_billing_review()
        self.invoice.action_post()
        deals = self.env["crm.lead"].with_user(self.seller)
        self.assertGreater(
            self.invoice.invoice_date_due, fields.Date.context_today(self.invoice)
        )
        self.assertIn(self.deal, deals.search([("billing_overdue", "=", True)]))
        self.assertTrue(self.deal.with_user(self.seller).billing_overdue)
        self.deal.active = False
        self.deal.invalidate_recordset()
        self.assertTrue(self.deal.billing_overdue, "archived, and still owed")
        self.deal.active = True

        self._pay(self.invoice, 55)
        self.deal.invalidate_recordset()
        self.assertNotIn(self.deal, deals.search([("billing_overdue", "=", True)]))
        self.assertIn(self.deal, deals.search([("billing_overdue", "=", False)]))
        self.assertFalse(self.deal.billing_overdue)

    def test_an_invoice_for_two_deals_is_shared(self):
        other = self._create_deal()
        orders = self._create_quotation(other, price=200, confirm=True)
        orders |= self._create_quotation(self._create_deal(), price=100, confirm=True)
        shared = orders._create_invoices()
        self.assertEqual(shared.opportunity_ids, orders.opportunity_id)
        shared.action_post()
        self._pay(shared, 33)
        first, second = orders.opportunity_id
        self.assertEqual(
            (first.billing_amount_invoiced, second.billing_amount_invoiced),
            (220.0, 110.0),
        )
        self.assertEqual(
            (first.billing_amount_due, second.billing_amount_due), (198.0, 99.0)
        )

    def test_a_discount_line_lowers_the_share_of_its_deal(self):
        other = self._create_deal()
        orders = self._create_quotation(other, price=500)
        line = {"product_id": self.product.id, "price_unit": -300}
        orders.order_line = [Command.create(line)]
        orders |= self._create_quotation(self._create_deal(), price=200)
        orders.action_confirm()
        orders._create_invoices().action_post()
        shares = orders.opportunity_id.mapped("billing_amount_invoiced")
        self.assertEqual(shares, [220.0, 220.0])

    def test_foreign_currency_is_shown_in_the_company_s(self):
        currency = self.env.ref("base.CHF")
        currency.active = True
        self.env["res.currency.rate"].search(
            [("currency_id", "=", currency.id)]
        ).unlink()
        self.env["res.currency.rate"].create(
            {
                "name": "2020-01-01",
                "rate": 2.0,
                "currency_id": currency.id,
                "company_id": self.company.id,
            }
        )
        pricelist = self.env["product.pricelist"].create(
            {"name": "Swiss", "currency_id": currency.id}
        )
        self.deal = self._create_deal()
        self._create_quotation(self.deal, price=100, pricelist_id=pricelist.id)
        invoice = self._win_and_process(self.deal).move_ids
        invoice.action_post()
        self._assert_status("invoiced", 55.0, 55.0)

    def test_the_most_urgent_document_names_the_deal(self):
        self.invoice.action_post()
        self._pay(self.invoice)
        order = self._create_quotation(self.deal, price=50, confirm=True)
        order.with_user(self.clerk)._create_invoices()
        self._assert_status("draft", 110.0, 0.0)

    def test_the_status_is_in_the_transaction_of_the_payment(self):
        self.invoice.action_post()
        self._pay(self.invoice)
        self.env.flush_all()
        self.env.cr.execute(
            "SELECT billing_state FROM crm_lead WHERE id = %s", [self.deal.id]
        )
        self.assertEqual(self.env.cr.fetchone(), ("paid",))

    def test_an_archived_deal_follows_its_payment_and_credit_note(self):
        self.invoice.action_post()
        self.deal.action_archive()
        self._pay(self.invoice)
        self._assert_status("paid", 110.0, 0.0)
        credit_note = self.invoice._reverse_moves()
        self.assertEqual(credit_note.opportunity_ids, self.deal)

    def _create_transaction(self, state):
        provider = self.env["payment.provider"].search([], limit=1)
        return self.env["payment.transaction"].create(
            {
                "provider_id": provider.id,
                "payment_method_id": self.env.ref("payment.payment_method_unknown").id,
                "reference": f"test-{state}",
                "amount": self.invoice.amount_total,
                "currency_id": self.invoice.currency_id.id,
                "partner_id": self.invoice.partner_id.id,
                "invoice_ids": [Command.set(self.invoice.ids)],
                "state": state,
            }
        )
