from odoo.exceptions import AccessError, UserError
from odoo.fields import Command
from odoo.tests import tagged

from .common import BillingHandoffCommon


@tagged("post_install", "-at_install")
class TestRest(BillingHandoffCommon):
    """What comes to a deal after it was handed over is shown and billed by a person."""

    def setUp(self):
        super().setUp()
        self.deal = self._create_deal()
        self.order = self._create_quotation(self.deal, price=100, confirm=True)
        self.handoff = self._win_and_process(self.deal)

    def _add_line(self, price):
        line = {"product_id": self.product.id, "price_unit": price}
        self.order.order_line = [Command.create(line)]

    def test_an_edited_order_makes_no_second_bill_by_itself(self):
        self.assertFalse(self.handoff.difference)
        self._add_line(40)
        self._wake()
        self._run_job()
        self.assertEqual(len(self.handoff.move_ids), 1)
        self.assertIn("40.00", self.deal.with_user(self.seller).billing_difference)

    def test_the_rest_is_billed_once(self):
        self._add_line(40)
        for _time in range(2):
            self.deal.with_user(self.seller).action_bill_rest()
        first, second = self.handoff.move_ids.sorted("id")
        self.assertEqual((first.amount_untaxed, second.amount_untaxed), (100.0, 40.0))
        self.assertEqual(second.opportunity_ids, self.deal)
        self.assertFalse(self.handoff.difference)
        with self.assertRaises(AccessError):
            self.handoff.with_user(self.users["other_seller"]).action_bill_rest()

    def test_what_is_delivered_later_is_billed_later(self):
        product = self._create_product(invoice_policy="delivery")
        deal = self._create_deal()
        order = self._create_quotation(deal, product=product, quantity=5, confirm=True)
        order.order_line.qty_delivered = 2
        handoff = self._win_and_process(deal)
        self.assertEqual(handoff.move_ids.amount_untaxed, 200.0)
        order.order_line.qty_delivered = 5
        handoff.with_user(self.clerk).action_bill_rest()
        self.assertEqual(sum(handoff.move_ids.mapped("amount_untaxed")), 500.0)

    def test_what_blocks_a_hand_off_blocks_the_rest(self):
        self._add_line(40)
        self.account.billing_hold = True
        with self.assertRaisesRegex(UserError, "Billing hold"):
            self.handoff.with_user(self.clerk).action_bill_rest()
        self.assertEqual(len(self.handoff.move_ids), 1)

    def test_what_was_credited_in_full_is_no_rest(self):
        self.handoff.move_ids.action_post()
        self.handoff.move_ids._reverse_moves(cancel=True)
        self.env.flush_all()
        self.assertFalse(self.handoff.difference)

    def test_what_comes_later_is_a_task_by_the_morning(self):
        self._add_line(40)
        for _night in range(2):
            self.env["crm.billing.handoff"]._cron_recheck()
        self.assertEqual(self.handoff.activity_ids.summary, "More to bill")
        self.assertEqual(self.handoff.activity_ids.user_id, self.clerk)
        self.handoff.with_user(self.clerk).action_bill_rest()
        self.assertFalse(self.handoff.activity_ids)

    def test_a_partial_credit_is_not_billed_again(self):
        order = self._create_quotation(self.deal, price=10, quantity=5, confirm=True)
        self.handoff.with_user(self.clerk).action_bill_rest()
        invoice = order.invoice_ids
        invoice.action_post()
        credit = invoice._reverse_moves()
        credit.invoice_line_ids.quantity = 2
        credit.action_post()
        self.assertFalse(self.handoff.difference)

        order.order_line.product_uom_qty = 6
        self.assertTrue(self.handoff.difference)
        with self.assertRaisesRegex(UserError, "one-off invoice"):
            self.handoff.with_user(self.clerk).action_bill_rest()

    def test_an_open_quotation_that_is_merged_into_a_billed_deal(self):
        other = self._create_deal()
        self._create_quotation(other, price=500)
        merged = (self.deal | other).merge_opportunity(auto_unlink=True)
        self.assertIn("open quotation", merged.billing_handoff_id.activity_ids.summary)

    def test_a_one_off_invoice_of_a_deal(self):
        with self.assertRaises(AccessError):
            self.deal.with_user(self.seller).action_new_billing_invoice()
        action = self.deal.with_user(self.clerk).action_new_billing_invoice()
        draft = self.env["account.move"].with_user(self.clerk).browse(action["res_id"])
        self.assertEqual(draft.partner_id, self.account.billing_contact_id)
        self.assertEqual(draft.opportunity_ids.sudo(), self.deal)
        draft.invoice_line_ids = [Command.create({"name": "Extra", "price_unit": 0})]
        self.assertIn(
            "zero", [item["status"] for item in draft.billing_checklist], "guarded (C1)"
        )
        with self.assertRaisesRegex(UserError, "won before"):
            self._create_deal().with_user(self.clerk).action_new_billing_invoice()

    def test_a_one_off_invoice_of_an_account(self):
        self.account.po_number = "PO-1"
        account = self.account.with_user(self.clerk)
        context = account.action_new_billing_invoice()["context"]
        draft = (
            self.env["account.move"]
            .with_user(self.clerk)
            .with_context(**context)
            .create(
                {"invoice_line_ids": [Command.create({"name": "x", "price_unit": 5})]}
            )
        )
        self.assertRecordValues(
            draft,
            [
                {
                    "partner_id": self.account.billing_contact_id.id,
                    "ref": "PO-1",
                    "invoice_payment_term_id": self.terms.id,
                    "is_billing_review": True,
                }
            ],
        )
        self.assertTrue(draft.billing_checklist)
