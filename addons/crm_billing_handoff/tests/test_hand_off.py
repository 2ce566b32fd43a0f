from datetime import date
from unittest.mock import patch

from odoo import fields
from odoo.exceptions import AccessError, UserError
from odoo.fields import Command
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
        self.assertEqual(draft.invoice_line_ids.mapped("price_unit"), [500.0, 80.0])

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


@tagged("post_install", "-at_install")
class TestWinning(BillingHandoffCommon):
    """Every way to win queues one handoff, and winning never fails."""

    def test_every_way_to_win(self):
        ways = {
            "write": lambda deal: deal.write({"stage_id": self.won_stage.id}),
            "assignment": lambda deal: setattr(deal, "stage_id", self.won_stage),
            "button": lambda deal: deal.action_set_won(),
            "rainbow": lambda deal: deal.action_set_won_rainbowman(),
        }
        for way, win in ways.items():
            with self.subTest(way=way):
                deal = self._create_deal()
                win(deal.with_user(self.seller))
                self.assertEqual(deal.billing_handoff_ids.state, "pending")

    def test_created_won(self):
        deal = (
            self.env["crm.lead"]
            .with_user(self.seller)
            .with_context(default_stage_id=self.won_stage.id)
            .create({"name": "Walk-in", "type": "opportunity"})
        )
        self.assertEqual(deal.sudo().billing_handoff_ids.state, "pending")

    def test_imported_won_and_imported_again(self):
        rows = [["__import__.deal_one", "Imported", "opportunity", self.won_stage.name]]
        names = ["id", "name", "type", "stage_id"]
        leads = self.env["crm.lead"].with_user(self.seller)
        for _time in range(2):
            result = leads.load(names, rows)
            self.assertFalse(result["messages"])
            deal = self.env["crm.lead"].browse(result["ids"])
            self.assertEqual(len(deal.billing_handoff_ids), 1)

    def test_a_stage_that_becomes_a_won_stage(self):
        stage = self.env["crm.stage"].create({"name": "Signed"})
        deals = self.env["crm.lead"].union(
            *(self._create_deal(stage_id=stage.id) for _number in range(3))
        )
        stage.is_won = True
        self.env.flush_all()
        self.assertEqual(len(deals.billing_handoff_ids), 3)
        self.assertFalse(any(deals.billing_handoff_ids.mapped("is_held")))

    def test_wins_in_bulk_wait_for_a_person(self):
        self.company.billing_bulk_win_limit = 2
        deals = self.env["crm.lead"].union(
            *(self._create_deal(expected_revenue=10) for _number in range(3))
        )
        handoffs = self._win(deals)
        self._run_job()
        self.assertEqual(set(handoffs.mapped("state")), {"blocked"})
        self.env["crm.billing.handoff"]._cron_recheck()
        self._run_job()
        self.assertFalse(handoffs.move_ids, "the nightly pass leaves them alone")

        handoffs[0].with_user(self.clerk).action_process()
        self.assertEqual(handoffs[0].state, "done")
        self.assertEqual(handoffs[1].state, "blocked")

    def test_a_lead_that_is_won_is_an_opportunity(self):
        lead = self._create_deal(type="lead", expected_revenue=10)
        self._win_and_process(lead)
        self.assertEqual(lead.type, "opportunity")
        self.assertEqual(len(lead.billing_move_ids), 1)

    def test_an_automation_wins(self):
        model = self.env["ir.model"]._get("crm.lead")
        field = self.env["ir.model.fields"]._get("crm.lead", "priority")
        self.env["base.automation"].create(
            {
                "name": "Very high means won",
                "model_id": model.id,
                "trigger": "on_create_or_write",
                "trigger_field_ids": [Command.set(field.ids)],
                "filter_domain": "[('priority', '=', '3')]",
                "action_server_ids": [
                    Command.create(
                        {
                            "name": "Win",
                            "model_id": model.id,
                            "state": "code",
                            "code": "record.action_set_won()",
                        }
                    )
                ],
            }
        )
        deal = self._create_deal()
        deal.with_user(self.seller).priority = "3"
        self.assertEqual(deal.billing_handoff_ids.state, "pending")

    def test_hand_off_as_a_server_action(self):
        deal = self._create_deal(expected_revenue=10)
        self._win(deal)
        action = self.env.ref("crm_billing_handoff.crm_lead_action_hand_off")
        action.with_user(self.seller).with_context(
            active_model="crm.lead", active_ids=deal.ids, active_id=deal.id
        ).run()
        self.assertEqual(deal.billing_handoff_ids.state, "done")

    def test_a_server_action_on_the_wrong_model_says_which(self):
        action = self.env["ir.actions.server"].create(
            {
                "name": "Wrong",
                "model_id": self.env["ir.model"]._get("res.partner").id,
                "state": "billing_hand_off",
            }
        )
        with self.assertRaisesRegex(UserError, "Billing Handoff"):
            action.with_context(
                active_model="res.partner", active_ids=self.account.ids
            ).run()

    def test_the_job_makes_the_draft_and_runs_twice(self):
        deal = self._create_deal(expected_revenue=10)
        handoff = self._win(deal)
        self._run_job()
        self.assertEqual(handoff.state, "done")
        drafts = handoff.move_ids
        self._run_job()
        self.assertEqual(handoff.move_ids, drafts)

    def test_winning_can_be_refused_by_the_company(self):
        self.company.billing_refuse_win = True
        deal = self._create_deal()
        with (
            self.assertRaisesRegex(UserError, "no quotation and no expected revenue"),
            self.env.cr.savepoint(),
        ):
            self._win(deal)
        deal.expected_revenue = 10
        self.assertTrue(self._win(deal))

    def test_only_won_deals_are_handed_off(self):
        deal = self._create_deal()
        with self.assertRaisesRegex(UserError, "is not won yet"):
            deal.with_user(self.seller).action_hand_off()

    def test_a_deal_of_somebody_else_is_refused(self):
        deal = self._create_deal(expected_revenue=10)
        self._win(deal)
        with self.assertRaises(AccessError):
            deal.with_user(self.users["other_seller"]).action_hand_off()
        with self.assertRaisesRegex(AccessError, "own deals only"):
            deal.billing_handoff_ids.with_user(
                self.users["other_seller"]
            ).action_process()


@tagged("post_install", "-at_install")
class TestOneBill(BillingHandoffCommon):
    """Won twice, reopened, merged, copied: one live handoff, one bill."""

    def test_won_unwon_won_before_billing(self):
        deal = self._create_deal(expected_revenue=10)
        first = self._win(deal)
        deal.with_user(self.seller).stage_id = self.open_stage
        self.assertEqual(first.state, "cancelled")
        self.assertEqual(deal.billing_state, "none")

        second = self._win(deal) - first
        self.assertEqual(second.state, "pending")
        (first | second)._process_or_bisect()
        self.assertEqual(len(deal.billing_move_ids), 1)

    def test_won_unwon_won_after_billing(self):
        deal = self._create_deal(expected_revenue=10)
        handoff = self._win_and_process(deal)

        for _time in range(2):
            deal.with_user(self.seller).stage_id = self.open_stage
            self.assertEqual(handoff.state, "done")
            self.assertTrue(deal.billing_not_won)
            tasks = handoff.activity_ids
            self.assertEqual(len(tasks), 1, "the clerk is asked once")
            self.assertEqual(tasks.user_id, self.clerk)
            self._win(deal)
            self.assertFalse(handoff.activity_ids, "winning again answers the task")
        self.assertEqual(deal.billing_handoff_ids, handoff)
        self.assertEqual(len(deal.billing_move_ids), 1)

    def test_an_archived_won_deal_is_billed(self):
        deal = self._create_deal(expected_revenue=10)
        handoff = self._win(deal)
        deal.active = False
        self._run_job()
        self.assertEqual(handoff.state, "done")

    def test_a_deal_that_slipped_out_of_won_is_not_billed(self):
        deal = self._create_deal(expected_revenue=10)
        handoff = self._win(deal)
        self.env.cr.execute(
            "UPDATE crm_lead SET won_status = 'pending' WHERE id = %s", [deal.id]
        )
        deal.invalidate_recordset()
        handoff._process_or_bisect()
        self.assertEqual(handoff.state, "cancelled")
        self.assertFalse(deal.billing_move_ids)

    def test_handing_off_again_changes_nothing(self):
        deal = self._create_deal(expected_revenue=10)
        handoff = self._win_and_process(deal)
        for _time in range(2):
            deal.with_user(self.seller).action_hand_off()
            handoff.with_user(self.clerk).action_process()
        self.assertEqual(len(deal.billing_handoff_ids), 1)
        self.assertEqual(len(deal.billing_move_ids), 1)

    def test_the_index_refuses_a_second_live_row(self):
        deal = self._create_deal()
        handoff = self._win(deal)
        with self.assertRaisesRegex(Exception, "live_lead_uniq"):
            with self.env.cr.savepoint(), self._quiet_sql():
                handoff.copy({"lead_id": deal.id, "company_id": self.company.id})

    def _quiet_sql(self):
        return self.assertLogs("odoo.sql_db", level="ERROR")

    def test_a_copied_deal_starts_without_billing(self):
        deal = self._create_deal(expected_revenue=10)
        self._win_and_process(deal)
        copy = deal.copy({"stage_id": self.open_stage.id})
        self.assertFalse(copy.billing_handoff_ids)
        self.assertFalse(copy.billing_move_ids)
        self.assertEqual(copy.billing_state, "none")

    def test_merging_two_won_deals_keeps_one_live_handoff(self):
        billed = self._create_deal(expected_revenue=10)
        waiting = self._create_deal(expected_revenue=20)
        kept = self._win_and_process(billed)
        self._win(waiting)

        merged = (billed | waiting).merge_opportunity(auto_unlink=True)
        self.env.flush_all()

        live = merged.billing_handoff_ids.filtered(lambda h: h.state != "cancelled")
        self.assertEqual(live, kept)
        self.assertEqual(len(merged.billing_move_ids), 1)

    def test_merging_billed_deals_keeps_both_invoices(self):
        deals = self._create_deal(expected_revenue=10)
        deals |= self._create_deal(expected_revenue=20)
        moves = self._win_and_process(deals).move_ids
        self.assertEqual(len(moves), 2)

        merged = deals.merge_opportunity(auto_unlink=True)
        self.env.flush_all()

        self.assertEqual(merged.billing_move_ids, moves)
        live = merged.billing_handoff_ids.filtered(lambda h: h.state != "cancelled")
        self.assertEqual(len(live), 1)

    def test_a_billed_deal_is_not_deleted(self):
        deal = self._create_deal(expected_revenue=10)
        self._win_and_process(deal)
        with self.assertRaisesRegex(UserError, "archive it"):
            deal.unlink()
        unbilled = self._create_deal()
        handoff = self._win(unbilled)
        unbilled.unlink()
        self.assertFalse(handoff.exists())

    def test_a_deleted_draft_waits_for_a_person(self):
        deal = self._create_deal(expected_revenue=10)
        handoff = self._win_and_process(deal)
        handoff.move_ids.with_user(self.clerk).unlink()

        self.assertEqual(handoff.state, "blocked")
        self.assertIn("deleted or cancelled", handoff.billing_error)
        self.account.comment = "touched"
        self._wake()
        self._run_job()
        self.assertEqual(handoff.state, "blocked", "nothing makes a draft by itself")

        handoff.with_user(self.clerk).action_process()
        self.assertEqual(handoff.state, "done")
        self.assertEqual(len(handoff.move_ids), 1)

    def test_create_invoice_is_left_to_billing(self):
        deal = self._create_deal()
        order = self._create_quotation(deal, confirm=True)
        self._win(deal)
        with self.assertRaisesRegex(UserError, "handed off to Billing"):
            order.with_user(self.seller)._create_invoices()
        self.assertTrue(order.with_user(self.seller).billing_is_handed_off)
        self.assertFalse(order.with_user(self.clerk).billing_is_handed_off)
        order.with_user(self.clerk)._create_invoices()
        self.assertEqual(order.invoice_ids.opportunity_ids, deal)

    def test_orders_without_a_deal_are_core_s_business(self):
        order = self._create_quotation(self._create_deal(), confirm=True)
        order.opportunity_id = False
        invoice = order.with_user(self.seller)._create_invoices()
        self.assertFalse(invoice.sudo().is_billing_review)


@tagged("post_install", "-at_install")
class TestFailures(BillingHandoffCommon):
    """One broken deal stops nobody, and says why in plain words."""

    def _break_product(self):
        """Return a product whose account cannot be used on an invoice line."""
        account = self.env["account.account"].create(
            {"name": "Memo", "code": "990099", "account_type": "off_balance"}
        )
        return self._create_product(property_account_income_id=account.id)

    def test_a_broken_deal_among_many(self):
        broken = self._create_deal()
        self._create_quotation(broken, product=self._break_product())
        good = self.env["crm.lead"].union(
            *(self._create_deal(expected_revenue=10) for _number in range(4))
        )
        deals = good[:2] | broken | good[2:]
        handoffs = self._win(deals)

        self._run_job()

        by_deal = {handoff.lead_id: handoff for handoff in handoffs}
        self.assertEqual({by_deal[deal].state for deal in good}, {"done"})
        failed = by_deal[broken]
        self.assertEqual(failed.state, "blocked")
        self.assertIn("Off-Balance", failed.billing_error)
        self.assertNotIn("Traceback", failed.billing_error)
        self.assertEqual(failed.activity_ids.user_id, self.clerk)
        self.assertEqual(broken.won_status, "won")

        self._run_job()
        self.assertEqual(len(failed.activity_ids), 1, "one task, not one a run")

    def test_it_goes_on_when_the_cause_changes(self):
        deal = self._create_deal()
        order = self._create_quotation(deal, product=self._break_product())
        handoff = self._win_and_process(deal)
        self.assertEqual(handoff.state, "blocked")

        order.order_line.product_id = self.product
        self._wake()
        handoff._process_or_bisect()
        self.assertEqual(handoff.state, "done", handoff.billing_error)
        self.assertFalse(handoff.billing_error)
        self.assertFalse(handoff.activity_ids)

    def test_a_programming_error_is_a_task_too(self):
        deal = self._create_deal(expected_revenue=10)
        handoff = self._win(deal)
        model = type(self.env["crm.billing.handoff"])
        with (
            patch.object(model, "_prepare_draft", side_effect=KeyError("oops")),
            self.assertLogs("odoo.addons.crm_billing_handoff", level="ERROR"),
        ):
            handoff._process_or_bisect()
        self.assertEqual(handoff.state, "blocked")
        self.assertIn("Tell your administrator", handoff.billing_error)

    def test_dates_of_the_draft(self):
        deal = self._create_deal(expected_revenue=10)
        draft = self._win_and_process(deal).move_ids
        draft.with_user(self.clerk).action_billing_review()
        draft.action_post()
        today = fields.Date.context_today(draft)
        self.assertEqual(draft.invoice_date, today)
        self.assertEqual(
            draft.invoice_date_due - today, date(2026, 1, 31) - date(2026, 1, 1)
        )
