from odoo.exceptions import AccessError, UserError
from odoo.tests import tagged

from .common import BillingHandoffCommon


@tagged("post_install", "-at_install")
class TestHandOff(BillingHandoffCommon):
    """Won → draft: where the lines come from, and what the draft carries."""

    def test_a_confirmed_quotation_becomes_a_draft(self):
        deal = self._create_deal()
        order = self._create_quotation(deal, price=250.0, quantity=2, confirm=True)

        handoff = self._win_and_process(deal)

        self.assertEqual(
            handoff.state, "done", handoff.missing or handoff.billing_error
        )
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
                    "team_id": order.team_id.id,
                }
            ],
        )
        self.assertEqual(draft.opportunity_ids, deal)
        self.assertEqual(order.invoice_ids, draft)
        self.assertEqual(draft.invoice_line_ids.tax_ids, self.tax)
        self.assertEqual(deal.billing_state, "draft")

    def test_the_only_open_quotation_is_confirmed(self):
        deal = self._create_deal()
        order = self._create_quotation(deal)

        handoff = self._win_and_process(deal)

        self.assertEqual(order.state, "sale")
        self.assertEqual(handoff.move_ids.amount_untaxed, 100.0)
        self.assertIn("the deal was won", order.message_ids[0].body)

    def test_confirming_can_be_left_to_a_person(self):
        self.company.billing_confirm_quotation = False
        deal = self._create_deal()
        order = self._create_quotation(deal)

        handoff = self._win_and_process(deal)
        self.assertEqual(handoff.state, "blocked")
        self.assertEqual(handoff.missing[0]["code"], "unconfirmed")

        order.with_user(self.seller).action_confirm()
        self._wake()
        self.assertTrue(handoff.to_recheck)
        handoff._process_or_bisect()
        self.assertEqual(handoff.state, "done")

    def test_of_several_quotations_one_has_to_be_chosen(self):
        deal = self._create_deal()
        self._create_quotation(deal, price=100)
        second = self._create_quotation(deal, price=200)

        handoff = self._win_and_process(deal)
        self.assertEqual(handoff.missing[0]["code"], "several")

        linked = [gap["res_id"] for gap in handoff.missing if gap["code"] == "several"]
        self.assertEqual(linked, deal.order_ids.ids, "one link each")
        logged = self.env["crm.billing.event"].search(
            [("handoff_id", "=", handoff.id), ("action", "=", "blocked")]
        )
        self.assertEqual(logged.note, "Several quotations", "one reason")

        other = self.users["other_seller"]
        with self.assertRaises(AccessError):
            second.with_user(other).action_choose_for_billing()
        second.with_user(self.seller).action_choose_for_billing()
        self.assertTrue(handoff.to_recheck, "choosing releases it")
        handoff._process_or_bisect()
        self.assertEqual(handoff.move_ids.amount_untaxed, 200.0)

    def test_a_deal_without_quotation_is_billed_from_its_amounts(self):
        deal = self._create_deal(expected_revenue=900.0)

        draft = self._win_and_process(deal).move_ids

        self.assertRecordValues(
            draft,
            [
                {
                    "amount_untaxed": 900.0,
                    "partner_id": self.account.billing_contact_id.id,
                }
            ],
        )
        self.assertEqual(
            draft.invoice_line_ids.product_id, self.company.billing_product_id
        )
        self.assertTrue(draft.is_billing_review)
        draft = draft.with_user(self.clerk)
        self.assertEqual(draft.billing_checklist[0]["code"], "quotation")
        with self.assertRaisesRegex(UserError, "has not been reviewed"):
            draft.action_post()

    def test_recurring_revenue_is_a_line_of_its_own(self):
        plan = self.env["crm.recurring.plan"].create(
            {"name": "Monthly", "number_of_months": 1}
        )
        deal = self._create_deal(
            expected_revenue=500.0, recurring_revenue=80.0, recurring_plan=plan.id
        )
        draft = self._win_and_process(deal).move_ids
        self.assertEqual(
            sorted(draft.invoice_line_ids.mapped("price_unit")), [80.0, 500.0]
        )
        self.assertTrue(draft.agreement_ids)

    def test_a_deal_with_nothing_to_bill_is_blocked(self):
        handoff = self._win_and_process(self._create_deal())
        self.assertEqual(handoff.missing[0]["code"], "nothing")

    def test_an_order_invoiced_in_part_is_billed_for_the_rest(self):
        deal = self._create_deal()
        order = self._create_quotation(deal, quantity=4, confirm=True)
        first = order._create_invoices()
        first.invoice_line_ids.quantity = 1

        handoff = self._win_and_process(deal)

        second = handoff.move_ids - first
        self.assertEqual(second.invoice_line_ids.quantity, 3)
        self.assertEqual(first.opportunity_ids, deal, "both are linked")

    def test_an_order_invoiced_in_full_is_not_billed_again(self):
        deal = self._create_deal()
        invoice = self._create_quotation(deal, confirm=True)._create_invoices()

        handoff = self._win_and_process(deal)

        self.assertEqual(handoff.state, "done")
        self.assertEqual(handoff.move_ids, invoice)
        event = self.env["crm.billing.event"].search([("handoff_id", "=", handoff.id)])
        self.assertEqual(event.action, "already_billed", "and the log says so")

    def test_orders_of_one_deal_share_an_invoice(self):
        deal = self._create_deal()
        orders = self._create_quotation(deal, price=100, confirm=True)
        orders |= self._create_quotation(deal, price=50, confirm=True)

        draft = self._win_and_process(deal).move_ids

        self.assertEqual(len(draft), 1)
        self.assertEqual(draft.amount_untaxed, 150.0)

    def test_nothing_delivered_yet_waits_for_the_delivery(self):
        product = self._create_product(invoice_policy="delivery")
        deal = self._create_deal()
        order = self._create_quotation(deal, product=product, quantity=3)

        handoff = self._win_and_process(deal)
        self.assertEqual(handoff.missing[0]["code"], "undelivered")
        self.assertEqual(order.state, "sale", "confirmed, so that it can be delivered")

        order.order_line.qty_delivered = 2
        self._wake()
        handoff._process_or_bisect()
        self.assertEqual(handoff.move_ids.invoice_line_ids.quantity, 2)

    def test_the_currency_of_the_quotation_is_kept(self):
        currency = self.env.ref("base.CHF")
        currency.active = True
        pricelist = self.env["product.pricelist"].create(
            {"name": "Swiss", "currency_id": currency.id}
        )
        deal = self._create_deal()
        self._create_quotation(deal, price=77.0, pricelist_id=pricelist.id)

        draft = self._win_and_process(deal).move_ids

        self.assertEqual(draft.currency_id, currency)
        self.assertEqual(draft.amount_untaxed, 77.0)

    def test_the_draft_carries_what_the_quotation_says(self):
        other_terms = self.env.ref("account.account_payment_term_immediate")
        self.account.po_number = "PO-ACCOUNT"
        deal = self._create_deal()
        order = self._create_quotation(
            deal,
            discount=20.0,
            client_order_ref="PO-QUOTE",
            payment_term_id=other_terms.id,
        )
        draft = self._win_and_process(deal).move_ids
        self.assertRecordValues(
            draft,
            [
                {
                    "ref": "PO-QUOTE",
                    "invoice_payment_term_id": other_terms.id,
                    "amount_untaxed": 80.0,
                    "invoice_origin": order.name,
                }
            ],
        )

    def test_what_the_quotation_leaves_empty_follows_the_account(self):
        self.account.po_number = "PO-ACCOUNT"
        deal = self._create_deal()
        order = self._create_quotation(deal)
        order.payment_term_id = False

        draft = self._win_and_process(deal).move_ids

        self.assertEqual(draft.ref, "PO-ACCOUNT")
        self.assertEqual(draft.invoice_payment_term_id, self.terms)

    def test_a_contact_named_after_the_quotation_receives_the_invoice(self):
        account = self._create_account("Latecomer")
        contact = account.billing_contact_id
        account.billing_contact_id = False
        deal = self._create_deal(account)
        order = self._create_quotation(deal)
        self.assertEqual(order.partner_invoice_id, account)

        handoff = self._win_and_process(deal)
        self.assertEqual(handoff.state, "blocked")
        account.with_user(self.seller).billing_contact_id = contact
        self._wake()
        handoff._process_or_bisect()

        self.assertEqual(handoff.move_ids.partner_id, contact)

    def test_who_pays_goes_by_precedence(self):
        parent = self._create_account("Holding")
        third = self._create_account("Third Party")
        self.account.bill_to_id = parent
        self.account.billing_contact_id = False

        deal = self._create_deal()
        order = self._create_quotation(deal)
        handoff = self._win(deal)
        self.assertEqual((handoff.payer_id, handoff.payer_source), (parent, "account"))

        order.partner_invoice_id = third
        self.assertEqual((handoff.payer_id, handoff.payer_source), (third, "quotation"))

        handoff.with_user(self.clerk).bill_to_id = parent
        self.assertEqual((handoff.payer_id, handoff.payer_source), (parent, "handoff"))
        handoff._process_or_bisect()
        self.assertEqual(handoff.move_ids.partner_id, parent.billing_contact_id)

    def test_a_person_is_blocked_until_confirmed_as_private_customer(self):
        person = self.env["res.partner"].create(
            {
                "name": "Ada Private",
                "email": "ada@example.com",
                "street": "2 Side Street",
                "city": "Springfield",
                "country_id": self.home.id,
            }
        )
        deal = self._create_deal(person)
        self._create_quotation(deal)

        handoff = self._win_and_process(deal)
        self.assertIn("person", [gap["code"] for gap in handoff.missing])

        person.with_user(self.seller).private_customer = True
        self._wake()
        handoff._process_or_bisect()
        self.assertEqual(handoff.move_ids.partner_id, person)

    def test_an_archived_or_held_account_is_blocked(self):
        archived, held = self._create_account("Old"), self._create_account("Held")
        deals = self._create_deal(archived, expected_revenue=10)
        deals |= self._create_deal(held, expected_revenue=10)
        handoffs = self._win(deals)
        archived.active = False
        held.billing_hold = True

        handoffs._process_or_bisect()

        self.assertEqual(handoffs.mapped("state"), ["blocked", "blocked"])
        codes = {
            handoff.account_id: [gap["code"] for gap in handoff.missing]
            for handoff in handoffs
        }
        self.assertIn("archived", codes[archived])
        self.assertIn("hold", codes[held])

    def test_a_merged_partner_does_not_lose_the_handoff(self):
        twin = self._create_account("Northwind Twin")
        deal = self._create_deal(twin, expected_revenue=10)
        handoff = self._win(deal)
        self.env["base.partner.merge.automatic.wizard"]._merge(
            (twin | self.account).ids, self.account
        )
        self.env.invalidate_all()
        self.assertEqual(handoff.account_id, self.account)
        handoff._process_or_bisect()
        self.assertEqual(handoff.move_ids.commercial_partner_id, self.account)

    def test_the_account_is_read_not_copied(self):
        """A13: a change of the account is on the next draft without any job."""
        deal = self._create_deal(expected_revenue=10)
        self.account.with_user(self.seller).write({"street": "9 New Road", "name": "N"})
        draft = self._win_and_process(deal).move_ids
        self.assertEqual(draft.commercial_partner_id.street, "9 New Road")
        copies = {"street", "city", "vat", "legal_name"}
        for model in ("crm.billing.handoff", "crm.billing.event"):
            stored = {
                name for name, field in self.env[model]._fields.items() if field.store
            }
            self.assertFalse(copies & stored, model)
