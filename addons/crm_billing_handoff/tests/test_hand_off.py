from odoo.tests import tagged

from .common import BillingHandoffCommon


@tagged("post_install", "-at_install")
class TestHandOff(BillingHandoffCommon):
    def test_a_confirmed_quotation_becomes_a_draft(self):
        deal = self._create_deal()
        order = self._create_quotation(deal, price=250.0, quantity=2, confirm=True)

        handoff = self._win_and_process(deal)

        self.assertEqual(handoff.state, "done", handoff.missing or handoff.billing_error)
        draft = handoff.move_ids
        self.assertRecordValues(
            draft,
            [
                {
                    "state": "draft",
                    "partner_id": self.account.billing_contact_id.id,
                    "amount_untaxed": 500.0,
                    "invoice_payment_term_id": self.terms.id,
                    "invoice_user_id": self.seller.id,
                }
            ],
        )
        self.assertEqual(draft.opportunity_ids, deal)
        self.assertEqual(order.invoice_ids, draft)
        self.assertEqual(deal.billing_state, "draft")
