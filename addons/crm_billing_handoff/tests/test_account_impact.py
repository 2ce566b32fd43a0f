from odoo.fields import Command
from odoo.tests import tagged

from .common import BillingHandoffCommon


@tagged("post_install", "-at_install")
class TestAccountImpact(BillingHandoffCommon):
    """A4: one change of the account reaches every draft without an own value."""

    def setUp(self):
        super().setUp()
        self.immediate = self.env.ref("account.account_payment_term_immediate")
        deals = self._create_deal(expected_revenue=10)
        deals |= self._create_deal()
        self._create_quotation(deals[1], payment_term_id=self.immediate.id)
        self.follower, self.own = (
            self._win_and_process(deal).move_ids for deal in deals
        )
        self.fifteen = self.env.ref("account.account_payment_term_15days")

    def test_terms_reach_the_draft_that_follows(self):
        self.account.with_user(self.manager).property_payment_term_id = self.fifteen
        self.assertEqual(self.follower.invoice_payment_term_id, self.fifteen)
        self.assertEqual(self.own.invoice_payment_term_id, self.immediate)
        self.assertIn("followed a change", self.follower.message_ids[0].body)

    def test_people_payer_and_po_reach_the_drafts(self):
        contact = self.env["res.partner"].create(
            {"name": "New Payable", "parent_id": self.account.id, "email": "n@x.com"}
        )
        self.account.with_user(self.seller).billing_contact_id = contact
        self.assertEqual((self.follower | self.own).partner_id, contact)

        self.account.with_user(self.seller).po_number = "PO-NEW"
        self.assertEqual(self.follower.ref, "PO-NEW")

        payer = self._create_account("Payer")
        self.account.with_user(self.manager).bill_to_id = payer
        self.assertEqual(self.follower.partner_id, payer.billing_contact_id)

    def test_the_fiscal_position_changes_the_taxes(self):
        position = self.env["account.fiscal.position"].create({"name": "No tax"})
        self.tax.copy(
            {
                "name": "Zero",
                "amount": 0,
                "fiscal_position_ids": [Command.set(position.ids)],
                "original_tax_ids": [Command.set(self.tax.ids)],
            }
        )
        deal = self._create_deal()
        self._create_quotation(deal, price=44)
        draft = self._win_and_process(deal).move_ids
        self.assertEqual(draft.amount_tax, 4.4)
        self.account.with_user(self.manager).property_account_position_id = position
        self.assertEqual(draft.fiscal_position_id, position)
        self.assertEqual(draft.amount_tax, 0)

    def test_posted_invoices_never_change(self):
        self.follower.with_user(self.clerk).action_billing_review()
        self.follower.action_post()
        self.account.property_payment_term_id = self.fifteen
        self.assertEqual(self.follower.invoice_payment_term_id, self.terms)

    def test_the_clerk_sees_what_a_change_reaches_before_saving(self):
        account = self.account.with_user(self.manager)
        unsaved = account.new(origin=account)
        unsaved.property_payment_term_id = self.fifteen
        impact = {item["res_id"]: item for item in unsaved.billing_impact}
        self.assertEqual(impact[self.follower.id]["level"], "info")
        self.assertEqual(impact[self.own.id]["level"], "warn")
        self.assertIn("keeps its own", impact[self.own.id]["why"])
        self.assertEqual(self.follower.invoice_payment_term_id, self.terms)

    def test_a_reviewed_draft_that_follows_needs_a_new_review(self):
        draft = self.follower.with_user(self.clerk)
        draft.action_billing_review()
        self.account.with_user(self.manager).property_payment_term_id = self.fifteen
        draft.invalidate_recordset()
        self.assertFalse(draft.billing_is_reviewed)
