from unittest.mock import patch

from odoo.exceptions import AccessError, UserError
from odoo.fields import Command
from odoo.tests import tagged

from .common import BillingHandoffCommon


@tagged("post_install", "-at_install")
class TestReview(BillingHandoffCommon):
    """What the clerk sees red, and that nothing differing leaves unreviewed."""

    def _make_draft(self, account=None, **values):
        deal = self._create_deal(account)
        self._create_quotation(deal, **values)
        return self._win_and_process(deal).move_ids.with_user(self.clerk)

    def _get_red(self, draft):
        return {
            item["code"]: item["status"]
            for item in draft.billing_checklist
            if item["status"] != "ok"
        }

    def test_a_draft_as_agreed_is_all_green(self):
        draft = self._make_draft()
        self.assertEqual(self._get_red(draft), {})
        self.assertEqual(
            [item["code"] for item in draft.billing_checklist],
            ["payer", "recipient", "terms", "fiscal_position", "po", "tax"]
            + ["amount", "discount", "duplicate"],
        )

    def test_what_differs_between_quotation_and_account_is_red(self):
        immediate = self.env.ref("account.account_payment_term_immediate")
        # A fiscal position without taxes of its own leaves none on the lines.
        position = self.env["account.fiscal.position"].create({"name": "Special"})
        other = self._create_account("Other Payer")
        self.account.po_number = "PO-1"
        draft = self._make_draft(
            payment_term_id=immediate.id,
            fiscal_position_id=position.id,
            partner_invoice_id=other.id,
            client_order_ref="PO-2",
        )
        self.assertEqual(
            self._get_red(draft),
            {
                "payer": "differs",
                "terms": "differs",
                "fiscal_position": "differs",
                "po": "differs",
                "tax": "missing",
            },
        )
        row = {item["code"]: item for item in draft.billing_checklist}["terms"]
        self.assertEqual(
            (row["draft"], row["quotation"], row["account"], row["source"]),
            (immediate.name, immediate.name, self.terms.name, "quotation"),
        )

    def test_each_value_says_where_it_came_from(self):
        self.account.po_number = "PO-1"
        draft = self._make_draft()
        draft.ref = "PO-TYPED"
        source = {item["code"]: item["source"] for item in draft.billing_checklist}
        self.assertEqual(source["terms"], "quotation")
        self.assertEqual(source["recipient"], "account")
        self.assertEqual(source["po"], "by hand")

    def test_a_changed_line_is_red(self):
        self.company.billing_discount_limit = 30
        cases = {
            "price": ({"price_unit": 90}, {"amount": "differs"}),
            "zero": ({"price_unit": 0}, {"amount": "zero"}),
            "discount given": (
                {"discount": 10},
                {"amount": "differs", "discount": "differs"},
            ),
            "discount above the limit": (
                {"discount": 40},
                {"amount": "differs", "discount": "limit"},
            ),
            "no tax": ({"tax_ids": [Command.clear()]}, {"tax": "differs"}),
        }
        for number, (why, (change, red)) in enumerate(cases.items()):
            with self.subTest(why=why):
                draft = self._make_draft(self._create_account(f"A{number}"))
                draft.invoice_line_ids.write(change)
                self.assertEqual(self._get_red(draft), red)

    def test_an_agreed_discount_that_is_missing(self):
        draft = self._make_draft(discount=15)
        self.assertEqual(self._get_red(draft), {})
        draft.invoice_line_ids.discount = 0
        self.assertEqual(
            self._get_red(draft), {"amount": "differs", "discount": "missing"}
        )

    def test_ten_times_the_usual_amount(self):
        self._make_draft(price=100).sudo().action_post()
        self.assertEqual(self._get_red(self._make_draft(price=999)), {})
        self.assertEqual(
            self._get_red(self._make_draft(price=1000)), {"amount": "unusual"}
        )

    def test_the_usual_amount_is_compared_in_one_currency(self):
        yen = self.env.ref("base.JPY")
        yen.active = True
        rate = {"currency_id": yen.id, "rate": 150.0, "company_id": self.company.id}
        self.env["res.currency.rate"].create(rate)
        self._make_draft(price=100).sudo().action_post()
        prices = self.env["product.pricelist"].create(
            {"name": "Yen", "currency_id": yen.id}
        )
        draft = self._make_draft(price=15000, pricelist_id=prices.id)
        self.assertEqual(self._get_red(draft), {})
        draft = self._make_draft(price=150000, pricelist_id=prices.id)
        self.assertEqual(self._get_red(draft), {"amount": "unusual"})

    def test_the_same_amount_twice_in_a_month(self):
        first = self._make_draft(price=123)
        second = self._make_draft(price=123)
        self.assertEqual(self._get_red(second), {"duplicate": "duplicate"})
        first.button_cancel()
        second.invalidate_recordset()
        self.assertEqual(self._get_red(second), {})

    def test_an_exempt_account_needs_no_tax(self):
        self.account.write({"tax_exempt": True, "tax_exempt_reason": "Art. 151"})
        product = self._create_product(taxes_id=[Command.clear()])
        draft = self._make_draft(product=product)
        self.assertEqual(self._get_red(draft), {})
        draft.commercial_partner_id.sudo().tax_exempt = False
        draft.invalidate_recordset()
        self.assertEqual(
            self._get_red(draft), {"tax": "missing", "fiscal_position": "differs"}
        )

    def test_the_second_part_of_an_order_is_compared_with_the_rest(self):
        deal = self._create_deal()
        order = self._create_quotation(deal, quantity=4, confirm=True)
        order._create_invoices().invoice_line_ids.quantity = 1
        draft = self._win_and_process(deal).move_ids.filtered(
            lambda move: move.invoice_line_ids.quantity == 3
        )
        self.assertEqual(self._get_red(draft.with_user(self.clerk)), {})

    # === WHO LOOKED AT IT === #

    def test_a_differing_draft_is_not_posted_unreviewed(self):
        self.account.po_number = "PO-1"
        draft = self._make_draft(client_order_ref="PO-2")
        for post in (
            draft.action_post,
            draft.sudo().action_post,
            draft.action_billing_post_and_send,
        ):
            with self.assertRaisesRegex(UserError, "Reviewed"):
                post()
        draft.action_billing_review()
        self.assertEqual(draft.billing_reviewed_uid, self.clerk)
        self.assertTrue(draft.billing_reviewed_at)
        self.assertTrue(draft.checked)
        draft.action_post()
        self.assertEqual(draft.state, "posted")
        self.assertEqual(draft.billing_reviewed_uid, self.clerk)

    def test_a_wrong_amount_asks_for_a_reason(self):
        draft = self._make_draft()
        draft.invoice_line_ids.price_unit = 90
        with self.assertRaisesRegex(UserError, "Reason"):
            draft.action_billing_review()
        draft.billing_review_note = "Ten off for the delay"
        draft.action_billing_review()
        event = self.env["crm.billing.event"].search(
            [("move_id", "=", draft.id), ("action", "=", "reviewed")]
        )
        self.assertEqual(event.note, "Ten off for the delay")
        self.assertEqual(event.user_id, self.clerk)

    def test_a_change_after_the_review_needs_a_new_one(self):
        draft = self._make_draft()
        draft.action_billing_review()
        self.assertTrue(draft.billing_is_reviewed)
        draft.billing_review_note = "agreed by phone"
        self.assertTrue(draft.billing_is_reviewed, "a remark changes no money")

        draft.invoice_line_ids.price_unit = 90
        draft.invalidate_recordset()
        self.assertFalse(draft.billing_is_reviewed)
        with self.assertRaisesRegex(UserError, "changed after its review"):
            draft.action_post()

    def test_a_typed_due_date_needs_a_new_review(self):
        draft = self._make_draft()
        draft.invoice_payment_term_id = False
        draft.action_billing_review()
        self.assertTrue(draft.billing_is_reviewed)
        draft.invoice_date_due = "2099-01-01"
        draft.invalidate_recordset()
        self.assertFalse(draft.billing_is_reviewed)

    def test_the_company_can_want_every_draft_reviewed(self):
        draft = self._make_draft()
        self.company.billing_review_required = True
        with self.assertRaisesRegex(UserError, "has not been reviewed"):
            draft.action_post()
        self.company.billing_review_required = False
        draft.action_post()

    def test_a_draft_paid_online_is_posted_all_the_same(self):
        self.company.billing_review_required = True
        draft = self._make_draft()
        self.env["payment.transaction"].create(
            self._prepare_transaction(draft, state="done")
        )
        draft.sudo().action_post()
        event = self.env["crm.billing.event"].search(
            [("move_id", "=", draft.id), ("action", "=", "overridden")]
        )
        self.assertEqual(event.source, "payment")

    def test_only_billing_reviews(self):
        draft = self._make_draft()
        for role in ("seller", "accountant"):
            person = draft.with_user(self.users[role])
            with self.assertRaisesRegex(AccessError, "billing clerk"):
                person.action_billing_review()
            with self.assertRaisesRegex(AccessError, "billing clerk"):
                person.action_billing_post_and_send()

    def test_invoices_without_a_deal_are_core_s_business(self):
        invoice = self.env["account.move"].create(
            {
                "move_type": "out_invoice",
                "partner_id": self.account.id,
                "invoice_line_ids": [Command.create({"name": "x", "price_unit": 0})],
            }
        )
        self.assertFalse(invoice.is_billing_review)
        self.company.billing_review_required = True
        invoice.action_post()

    # === POST AND SEND === #

    def _send(self, drafts):
        """Post and send with the PDF as HTML, as core's tests do."""
        return drafts.action_billing_post_and_send()

    def test_post_and_send_in_one_click(self):
        self.account.billing_mail_note = "Thank you for ten years together!"
        draft = self._make_draft()
        following = self._make_draft(price=77)

        action = self._send(draft)

        self.assertEqual(draft.state, "posted")
        self.assertTrue(draft.is_move_sent)
        self.assertEqual(draft.billing_reviewed_uid, self.clerk)
        self.assertEqual(action["params"]["res_id"], following.id)
        mail = draft.message_ids.filtered(lambda m: m.message_type == "comment")
        self.assertEqual(mail.partner_ids, self.account.billing_contact_id)
        self.assertIn("Thank you for ten years together!", mail.body)
        self.assertTrue(mail.attachment_ids, "the PDF")
        events = self.env["crm.billing.event"].search([("move_id", "=", draft.id)])
        self.assertEqual(
            set(events.mapped("action")), {"drafted", "reviewed", "posted", "sent"}
        )

    def test_no_address_means_not_posted(self):
        draft = self._make_draft()
        draft.partner_id.sudo().email = False
        with self.assertRaisesRegex(UserError, "no e-mail address"):
            self._send(draft)
        self.assertEqual(draft.state, "draft")

    def test_a_broken_pdf_is_a_task(self):
        draft = self._make_draft()
        send = type(self.env["account.move.send"])
        with (
            patch.object(
                send, "_prepare_invoice_pdf_report", side_effect=UserError("no printer")
            ),
            self.assertLogs("odoo.addons.crm_billing_handoff", level="ERROR"),
        ):
            action = self._send(draft)
        self.assertEqual(draft.state, "posted")
        self.assertFalse(draft.is_move_sent)
        self.assertEqual(action["params"]["type"], "warning")
        self.assertEqual(draft.activity_ids.user_id, self.clerk)
        self.assertIn("no printer", draft.activity_ids.note)
        event = self.env["crm.billing.event"].search(
            [("move_id", "=", draft.id), ("action", "=", "not_sent")]
        )
        self.assertIn("no printer", event.note)

    def test_many_are_posted_and_queued(self):
        self.account.po_number = "PO-1"
        drafts = self._make_draft(price=10) | self._make_draft(price=20)
        odd = self._make_draft(price=30, client_order_ref="PO-2")

        action = self._send(drafts | odd)

        self.assertEqual(set(drafts.mapped("state")), {"posted"})
        self.assertTrue(all(drafts.mapped("sending_data")))
        self.assertEqual(odd.state, "draft")
        self.assertIn("has differences", action["params"]["message"])

        with self.enter_registry_test_mode():
            self.env.ref("account.ir_cron_account_move_send").method_direct_trigger()
        self.assertTrue(all(drafts.mapped("is_move_sent")))

    def test_a_mail_that_does_not_leave_is_a_task(self):
        draft = self._make_draft()
        with patch.object(
            type(self.env["ir.mail_server"]),
            "_connect__",
            side_effect=ConnectionRefusedError("no server"),
        ):
            self._send(draft)
            mails = self.env["mail.mail"].search([("res_id", "=", draft.id)])
            mails.send()
        self.assertIn("Invoice not sent", draft.activity_ids.mapped("summary"))

    def test_paper_is_printed_not_mailed(self):
        self.account.invoice_sending_method = "manual"
        draft = self._make_draft()
        self._send(draft)
        self.assertTrue(draft.is_move_sent)
        self.assertFalse(
            draft.message_ids.filtered(lambda m: m.message_type == "comment")
        )
        draft.write({"billing_courier": "Bike", "billing_tracking_ref": "B-1"})

    def test_the_next_draft_is_at_hand(self):
        self.env["account.move"].search(
            [("state", "=", "draft")]
        ).is_billing_review = False
        drafts = [self._make_draft(price=price) for price in (11, 22, 33)]
        self.assertEqual(drafts[0]._get_next_to_review(), drafts[1])
        self.assertEqual(drafts[2]._get_next_to_review(), drafts[0])

    def test_the_document_carries_legal_name_po_and_contact(self):
        self.account.write({"po_number": "PO-4711", "vat": "BE0477472701"})
        draft = self._make_draft()
        draft.action_post()
        html = (
            self.env["ir.actions.report"]
            ._render_qweb_html("account.report_invoice", draft.ids)[0]
            .decode()
        )
        self.assertIn("Northwind Trading Ltd", html)
        self.assertIn("Northwind Payable", html)
        self.assertIn("PO-4711", html)
        self.assertIn("PO Number", html)

    def test_the_trading_name_stays_elsewhere_and_both_are_found(self):
        self.assertEqual(self.account.display_name, "Northwind")
        found = self.env["res.partner"].name_search("Northwind Trading")
        self.assertIn(self.account.id, [record_id for record_id, _name in found])

    def test_the_pay_link_is_made_when_the_mail_is_sent(self):
        self.env["ir.config_parameter"].sudo().set_param(
            "account_payment.enable_portal_payment", "True"
        )
        draft = self._make_draft()
        self.assertFalse(draft._get_billing_pay_link(), "nothing to pay yet")
        self._enable_provider()
        self._send(draft)
        link = draft._get_billing_pay_link()
        self.assertIn("/my/invoices/", link)
        mail = draft.message_ids.filtered(lambda m: m.message_type == "comment")
        self.assertIn("payment_token=", mail.body)

        self._pay(draft.sudo(), 50)
        self.assertNotEqual(draft._get_billing_pay_link(), link, "it binds the amount")
        self._pay(draft.sudo())
        self.assertFalse(draft._get_billing_pay_link())

    def _enable_provider(self):
        method = self.env.ref("payment.payment_method_unknown")
        provider = self.env["payment.provider"].search([("code", "=", "none")], limit=1)
        provider = provider or self.env["payment.provider"].create({"name": "Test"})
        provider.write(
            {"state": "test", "payment_method_ids": [Command.link(method.id)]}
        )
        return provider

    def _prepare_transaction(self, move, state):
        provider = self.env["payment.provider"].search([], limit=1)
        return {
            "provider_id": provider.id,
            "payment_method_id": self.env.ref("payment.payment_method_unknown").id,
            "reference": f"test-{move.id}-{state}",
            "amount": move.amount_total,
            "currency_id": move.currency_id.id,
            "partner_id": move.partner_id.id,
            "invoice_ids": [Command.set(move.ids)],
            "state": state,
        }
