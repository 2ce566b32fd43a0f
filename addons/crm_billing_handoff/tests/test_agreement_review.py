from datetime import date

from odoo.exceptions import UserError
from odoo.fields import Command
from odoo.tests import tagged

from .agreement_handoff_common import WON, AgreementHandoffCommon


@tagged("post_install", "-at_install")
class TestAgreementReview(AgreementHandoffCommon):
    """B4: the draft of an agreement is compared with its ledger."""

    def setUp(self):
        super().setUp()
        self.deal, self.order = self._create_mixed_deal()
        with self._at(WON):
            self.agreement = self._hand_off(self.deal).agreement_id
        self.draft = self.agreement.move_ids

    def _get_red(self, move):
        move.invalidate_recordset(["billing_checklist"])
        return {
            row["code"]: row["status"]
            for row in move.billing_checklist
            if row["status"] not in ("ok", "missing_ok")
        }

    def _bill_april(self):
        self.draft.action_post()
        return self.agreement.generate_invoices(until=date(2026, 4, 10))

    def test_nothing_is_red_on_what_the_ledger_says(self):
        self.assertFalse(self._get_red(self.draft))
        self.assertFalse(self._get_red(self._bill_april()))

    def test_a_manual_edit_is_a_difference(self):
        self.draft.invoice_line_ids[0].price_unit += 5
        self.assertEqual(self._get_red(self.draft), {"amount": "differs"})
        with self.assertRaisesRegex(UserError, "Reason"):
            self.draft.with_user(self.clerk).action_billing_review()

    def test_a_line_added_by_hand_is_a_difference(self):
        self.draft.invoice_line_ids = [
            Command.create({"name": "Extra", "price_unit": 1, "tax_ids": self.tax.ids})
        ]
        self.assertEqual(self._get_red(self.draft)["amount"], "differs")

    def test_other_taxes_are_a_difference(self):
        other = self.tax.copy({"name": "Other", "amount": 3})
        self.draft.invoice_line_ids[0].tax_ids = other
        self.assertEqual(self._get_red(self.draft), {"tax": "differs"})

    def test_only_the_first_invoice_is_reviewed_by_setting(self):
        self.company.billing_review_required = True
        with self.assertRaisesRegex(UserError, "has not been reviewed"):
            self.draft.with_user(self.clerk).action_post()
        self.draft.with_user(self.clerk).action_billing_review()
        later = self._bill_april()
        self.assertTrue(later.billing_is_later)
        self.company.billing_review_later = True
        with self.assertRaisesRegex(UserError, "has not been reviewed"):
            later.with_user(self.clerk).action_post()
        self.company.billing_review_later = False
        later.with_user(self.clerk).action_post()
        self.assertEqual(later.state, "posted")

    def test_a_later_invoice_that_differs_is_reviewed(self):
        later = self._bill_april()
        later.invoice_line_ids.price_unit = 1
        with self.assertRaisesRegex(UserError, "has not been reviewed"):
            later.with_user(self.clerk).action_post()

    def test_own_terms_are_looked_at_once(self):
        self.agreement.po_number = "OWN-1"
        self.account.po_number = "PO-1"
        self.draft.unlink()
        first = self.agreement.generate_invoices(until=date(2026, 3, 10))
        self.assertEqual(self._get_red(first), {"po": "differs"})
        first.billing_review_note = "agreed"
        first.with_user(self.clerk).action_billing_review()
        first.action_post()
        later = self.agreement.generate_invoices(until=date(2026, 4, 10))
        self.assertFalse(self._get_red(later))


@tagged("post_install", "-at_install")
class TestAgreementImpact(AgreementHandoffCommon):
    """A4: agreements follow the account, unless they have a value of their own."""

    def setUp(self):
        super().setUp()
        self.immediate = self.env.ref("account.account_payment_term_immediate")
        self.fifteen = self.env.ref("account.account_payment_term_15days")
        deals = self._create_mixed_deal()[0] | self._create_mixed_deal()[0]
        deals[1].order_ids.payment_term_id = self.immediate
        self.follower, self.own = self._hand_off(deals).agreement_id

    def test_terms_reach_the_next_draft(self):
        self.assertEqual(self.own.payment_term_id, self.immediate)
        self.account.with_user(self.manager).property_payment_term_id = self.fifteen
        self.assertEqual(self.follower.move_ids.invoice_payment_term_id, self.fifteen)
        self.assertEqual(self.own.move_ids.invoice_payment_term_id, self.immediate)
        moves = (self.follower | self.own).generate_invoices(until=date(2026, 4, 10))
        self.assertEqual(
            {move.agreement_ids: move.invoice_payment_term_id for move in moves},
            {self.follower: self.fifteen, self.own: self.immediate},
        )

    def test_an_own_value_that_equals_the_accounts_stays(self):
        self.account.property_payment_term_id = self.immediate
        self.account.property_payment_term_id = self.fifteen
        self.assertEqual(self.own.move_ids.invoice_payment_term_id, self.immediate)

    def test_the_list_before_saving(self):
        partner = self.account.new(origin=self.account)
        partner.property_payment_term_id = self.fifteen
        rows = {
            row["res_id"]: row
            for row in partner.billing_impact
            if row["model"] == "crm.billing.agreement"
        }
        self.assertEqual(rows[self.follower.id]["level"], "info")
        self.assertIn("follows the account", rows[self.follower.id]["why"])
        self.assertIn("keeps its own", rows[self.own.id]["why"])

    def test_the_payer_follows_the_account(self):
        payer = self._create_account("Parent Holding")
        self.account.with_user(self.manager).bill_to_id = payer
        self.assertEqual(self.follower.payer_id, payer)
        self.assertEqual(self.follower.move_ids.partner_id, payer.billing_contact_id)
        self.own.bill_to_id = other = self._create_account("Other")
        self.assertEqual(self.own.payer_id, other, "its own comes first")

    def test_the_account_lists_its_agreements(self):
        account = self.account.with_user(self.seller)
        self.assertEqual(account.billing_agreement_count, 2)
        action = account.action_view_billing_agreements()
        domain = action["domain"]
        self.assertEqual(
            self.env["crm.billing.agreement"].search(domain), self.follower | self.own
        )

    def test_a_merge_of_accounts_keeps_them(self):
        other = self._create_account("Northwind Branch", vat=False)
        other.billing_contact_id.unlink()
        wizard = self.env["base.partner.merge.automatic.wizard"].sudo()
        wizard._merge((self.account | other).ids, other)
        self.env.invalidate_all()
        self.assertEqual((self.follower | self.own).partner_id, other)
        self.assertEqual((self.follower | self.own).payer_id, other)
