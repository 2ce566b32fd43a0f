from lxml import html

from odoo.tests import HttpCase, tagged

from .common import BillingHandoffCommon


@tagged("post_install", "-at_install")
class TestTours(BillingHandoffCommon, HttpCase):
    """The main job in a browser, by role."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.account = cls._create_account("Fabrikam", po_number="PO-4711")

    def test_salesperson_wins_and_names_who_pays(self):
        self.account.billing_contact_id.unlink()
        deal = self._create_deal(expected_revenue=500.0)
        self._create_quotation(deal, price=500.0)

        self.start_tour(
            "/odoo/crm", "billing_salesperson_wins", login=self.seller.login
        )

        contact = self.account.billing_contact_id
        self.assertEqual(contact.email, "paula@fabrikam.example.com")
        self.assertEqual(contact.commercial_partner_id, self.account)
        self.assertRecordValues(
            deal.billing_move_ids,
            [{"state": "draft", "partner_id": contact.id, "amount_untaxed": 500.0}],
        )

    def test_clerk_reviews_and_sends(self):
        self.env["payment.provider"].create(
            {"name": "Pay link", "code": "none", "state": "test"}
        )
        invoice, following = (
            self._win_and_process(deal).move_ids for deal in self._create_two_deals()
        )
        invoice.invoice_line_ids.quantity = 0.5

        self.start_tour(
            "/odoo/billing-review", "billing_clerk_sends", login=self.clerk.login
        )

        self.assertRecordValues(
            invoice | following,
            [
                {"state": "posted", "billing_reviewed_uid": self.clerk.id},
                {"state": "draft", "billing_reviewed_uid": False},
            ],
        )
        self.assertTrue(invoice.is_move_sent)
        contact = self.account.billing_contact_id
        mail = invoice.message_ids.filtered(
            lambda message: contact in message.partner_ids
        )
        self.assertEqual(len(mail), 1)
        self.assertIn("PO-4711", mail.subject)
        self.assertIn("/my/invoices/", mail.body)
        self.assertIn("access_token", mail.body)
        text = self._read_printed(invoice)
        for words in (
            "Fabrikam Trading Ltd",
            "PO Number PO-4711",
            contact.name,
            "250.00",
        ):
            self.assertIn(words, text)

    def test_paid_is_seen_by_the_salesperson(self):
        deal = self._create_deal()
        self._create_quotation(deal, price=500.0)
        invoice = self._win_and_process(deal).move_ids
        invoice.with_user(self.clerk).action_billing_review()
        invoice.action_post()

        self.start_tour(
            f"/odoo/customer-invoices/{invoice.id}",
            "billing_accountant_pays",
            login=self.users["accountant"].login,
        )
        self.assertEqual(deal.billing_state, "paid")
        self.start_tour(
            f"/odoo/crm/{deal.id}",
            "billing_salesperson_sees_paid",
            login=self.seller.login,
        )

    def test_manager_adds_a_readiness_rule(self):
        deal = self._create_deal(expected_revenue=500.0)
        self.assertEqual(deal.billing_gap_count, 0)

        self.start_tour(
            "/odoo/billing-readiness/new",
            "billing_manager_adds_a_rule",
            login=self.manager.login,
        )

        rule = self.env["crm.billing.readiness.rule"].search([("name", "=", "Website")])
        self.assertEqual(rule.field_path, "website")
        deal.invalidate_recordset()
        self.assertEqual(deal.billing_gap_count, 1)

    def _create_two_deals(self):
        for account in (self.account, self._create_account("Contoso")):
            deal = self._create_deal(account)
            self._create_quotation(deal, price=500.0)
            yield deal

    def _read_printed(self, invoice):
        """Return the words of the invoice as its PDF is made from, in one line."""
        content, _kind = self.env["ir.actions.report"]._render_qweb_html(
            "account.account_invoices", invoice.ids
        )
        return " ".join(html.fromstring(content).text_content().split())
