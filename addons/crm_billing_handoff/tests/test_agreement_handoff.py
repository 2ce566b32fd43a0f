from datetime import date
from unittest.mock import patch

from odoo import fields
from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.fields import Command
from odoo.tests import tagged

from .common import BillingHandoffCommon

WON = fields.Datetime.to_datetime("2026-03-10 09:00:00")


class AgreementHandoffCommon(BillingHandoffCommon):
    """Deals whose quotation recurs, won on 10 March 2026."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.monthly = cls.env.ref("crm_billing_handoff.plan_monthly")
        cls.quarterly = cls.env.ref("crm_billing_handoff.plan_quarterly")
        cls.yearly = cls.env.ref("crm_billing_handoff.plan_yearly")
        cls.hosting = cls._create_product(
            name="Hosting",
            list_price=30.0,
            billing_method="flat",
            billing_plan_id=cls.monthly.id,
        )

    def _create_mixed_deal(self, **values):
        """Return a deal with 3 × 30.00 a month and 100.00 once."""
        deal = self._create_deal()
        order = self._create_quotation(deal, product=self.product, **values)
        order.order_line = [
            Command.create(
                {
                    "product_id": self.hosting.id,
                    "product_uom_qty": 3,
                    "price_unit": 30.0,
                    "discount": 10.0,
                }
            )
        ]
        return deal, order

    def _hand_off(self, deals, on=WON):
        """Win the deals on that day, as the salesperson, and let the job run."""
        self.env.cr.flush()
        with self._at(on):
            return self._win_and_process(deals)

    def _at(self, moment):
        """Freeze the clock that the flow reads."""
        return patch("odoo.fields.Datetime.now", return_value=moment)


@tagged("post_install", "-at_install")
class TestAgreementHandoff(AgreementHandoffCommon):
    """B2: one line that recurs makes one running agreement of all lines."""

    def test_the_quotation_line_takes_the_products_method(self):
        _deal, order = self._create_mixed_deal()
        once, monthly = order.order_line
        self.assertFalse(once.billing_method)
        self.assertEqual(monthly.billing_method, "flat")
        self.assertEqual(monthly.billing_plan_id, self.monthly)
        monthly.with_user(self.seller).billing_plan_id = self.quarterly
        self.assertEqual(monthly.billing_plan_id, self.quarterly)

    def test_one_agreement_takes_all_lines(self):
        deal, order = self._create_mixed_deal()
        handoff = self._hand_off(deal)

        agreement = handoff.agreement_id
        self.assertEqual(handoff.state, "done")
        self.assertRecordValues(
            agreement,
            [
                {
                    "state": "running",
                    "partner_id": self.account.id,
                    "payer_id": self.account.id,
                    "lead_id": deal.id,
                    "order_id": order.id,
                    "user_id": self.seller.id,
                    "start_date": date(2026, 3, 10),
                    "payment_term_id": False,
                    "fiscal_position_id": False,
                    "po_number": False,
                    "bill_to_id": False,
                    "billing_error": False,
                }
            ],
        )
        self.assertRecordValues(
            agreement.line_ids.sorted("billing_method"),
            [
                {
                    "billing_method": "flat",
                    "quantity": 3,
                    "price_unit": 30,
                    "discount": 10,
                    "plan_id": self.monthly.id,
                    "sale_line_id": order.order_line[1].id,
                    "tax_ids": self.tax.ids,
                },
                {
                    "billing_method": "one_off",
                    "quantity": 1,
                    "price_unit": 100,
                    "discount": 0,
                    "plan_id": False,
                    "sale_line_id": order.order_line[0].id,
                    "tax_ids": self.tax.ids,
                },
            ],
        )

    def test_the_first_draft_has_the_one_off_lines(self):
        deal, order = self._create_mixed_deal()
        with self._at(WON):
            handoff = self._hand_off(deal)
        draft = handoff.move_ids
        self.assertEqual(len(draft), 1)
        self.assertEqual(draft.amount_untaxed, 181.0)  # 100 + 3 × 30 − 10 %
        self.assertEqual(draft.opportunity_ids, deal)
        self.assertEqual(draft.agreement_ids, handoff.agreement_id)
        self.assertTrue(draft.is_billing_review)
        self.assertEqual(deal.billing_state, "draft")
        self.assertEqual(deal.billing_next_date, date(2026, 4, 10))
        self.assertEqual(order.invoice_ids, draft)

    def test_the_order_cannot_be_invoiced_again(self):
        deal, order = self._create_mixed_deal()
        handoff = self._hand_off(deal)
        self.assertEqual(order.order_line.mapped("qty_to_invoice"), [0, 0])
        self.assertNotEqual(order.invoice_status, "to invoice")
        self.assertEqual(order._get_untaxed_to_invoice(), 0)
        # One-off lines count as invoiced on the order, recurring ones never do.
        self.assertEqual(order.order_line.mapped("qty_invoiced"), [1, 0])
        self.assertFalse(handoff.difference)
        with self.assertRaisesRegex(UserError, "[Cc]annot create an invoice"):
            order.with_user(self.clerk)._create_invoices()

    def test_only_one_off_lines_make_no_agreement(self):
        deal = self._create_deal()
        self._create_quotation(deal)
        handoff = self._hand_off(deal)
        self.assertFalse(handoff.agreement_id)
        self.assertEqual(len(handoff.move_ids), 1)

    def test_what_the_quotation_says_otherwise_is_the_agreements_own(self):
        payer = self._create_account("Parent Holding")
        deal, order = self._create_mixed_deal()
        immediate = self.env.ref("account.account_payment_term_immediate")
        order.write(
            {
                "payment_term_id": immediate.id,
                "client_order_ref": "PO-77",
                "partner_invoice_id": payer.id,
                "billing_start_date": date(2026, 5, 1),
                "billing_end_date": date(2027, 4, 30),
                "billing_trial_days": 14,
            }
        )
        agreement = self._hand_off(deal).agreement_id
        self.assertRecordValues(
            agreement,
            [
                {
                    "payment_term_id": immediate.id,
                    "po_number": "PO-77",
                    "bill_to_id": payer.id,
                    "payer_id": payer.id,
                    "start_date": date(2026, 5, 1),
                    "end_date": date(2027, 4, 30),
                    "trial_days": 14,
                }
            ],
        )

    def test_a_start_in_the_future_waits(self):
        deal, order = self._create_mixed_deal()
        order.billing_start_date = date(2027, 1, 1)
        handoff = self._hand_off(deal)
        self.assertEqual(handoff.state, "done")
        self.assertFalse(handoff.move_ids)
        self.assertEqual(deal.billing_state, "waiting")
        self.assertEqual(deal.billing_next_date, date(2027, 1, 1))

    def test_taxes_are_kept_before_the_fiscal_position(self):
        mapped = self.tax.copy({"name": "Test 5%", "amount": 5.0})
        position = self.env["account.fiscal.position"].create({"name": "Abroad"})
        mapped.write(
            {
                "fiscal_position_ids": [Command.link(position.id)],
                "original_tax_ids": [Command.link(self.tax.id)],
            }
        )
        self.account.property_account_position_id = position
        deal, order = self._create_mixed_deal()
        order.action_update_taxes()
        self.assertEqual(order.order_line.tax_ids, mapped)
        handoff = self._hand_off(deal)
        self.assertEqual(handoff.agreement_id.line_ids.tax_ids, self.tax)
        self.assertFalse(handoff.agreement_id.fiscal_position_id)
        self.assertEqual(handoff.move_ids.invoice_line_ids.tax_ids, mapped)

    def test_a_line_without_a_cycle_blocks(self):
        self.hosting.billing_plan_id = False
        deal, order = self._create_mixed_deal()
        gaps = deal._get_billing_gaps()[deal]
        self.assertIn("no_plan", [gap["code"] for gap in gaps])
        handoff = self._hand_off(deal)
        self.assertEqual(handoff.state, "blocked")

        self.account.billing_plan_id = self.quarterly
        self._wake()
        self._run_job()
        self.assertEqual(handoff.state, "done")
        flat = handoff.agreement_id.line_ids.filtered("plan_id")
        self.assertEqual(flat.plan_id, self.quarterly)

    def test_the_company_has_the_last_word_on_the_cycle(self):
        self.hosting.billing_plan_id = False
        deal, order = self._create_mixed_deal()
        line = order.order_line[1]
        self.assertFalse(line._get_billing_plan())
        self.company.billing_plan_id = self.yearly
        self.assertEqual(line._get_billing_plan(), self.yearly)
        self.account.billing_plan_id = self.quarterly
        self.assertEqual(line._get_billing_plan(), self.quarterly)
        self.hosting.billing_plan_id = self.monthly
        self.assertEqual(line._get_billing_plan(), self.monthly)

    def test_orders_of_two_currencies_block(self):
        other = self.env["res.currency"].create(
            {"name": "XBT", "symbol": "x", "rounding": 0.01}
        )
        pricelist = self.env["product.pricelist"].create(
            {"name": "Other", "currency_id": other.id}
        )
        deal, order = self._create_mixed_deal(confirm=True)
        self._create_quotation(deal, confirm=True, pricelist_id=pricelist.id)
        codes = [gap["code"] for gap in deal._get_billing_gaps()[deal]]
        self.assertIn("currencies", codes)

    def test_all_orders_of_a_deal_share_the_agreement(self):
        deal, order = self._create_mixed_deal(confirm=True)
        second = self._create_quotation(deal, price=7.0, confirm=True)
        agreement = self._hand_off(deal).agreement_id
        self.assertEqual(agreement.line_ids.sale_line_id, (order | second).order_line)
        self.assertEqual(agreement.move_ids.amount_untaxed, 188.0)

    def test_a_failing_invoice_leaves_the_agreement(self):
        deal, _order = self._create_mixed_deal()
        moves = type(self.env["crm.billing.agreement"])
        with patch.object(moves, "_make_papers", side_effect=UserError("No period")):
            handoff = self._hand_off(deal)
        self.assertEqual(handoff.state, "done")
        self.assertEqual(handoff.agreement_id.state, "running")
        self.assertEqual(handoff.agreement_id.billing_error, "No period")
        self.assertEqual(deal.billing_state, "blocked")
        self.assertEqual(deal.with_user(self.seller).billing_error, "No period")

    def test_usage_is_measured_not_quoted(self):
        meter = self.env["crm.billing.meter"].create({"name": "Calls", "code": "c"})
        calls = self._create_product(
            name="Calls",
            billing_method="usage",
            billing_plan_id=self.monthly.id,
            billing_meter_id=meter.id,
        )
        deal = self._create_deal()
        order = self._create_quotation(deal, product=calls, quantity=0, price=0.25)
        self.assertEqual(order.order_line.billing_meter_id, meter)
        agreement = self._hand_off(deal).agreement_id
        self.assertRecordValues(
            agreement.line_ids,
            [{"billing_method": "usage", "meter_id": meter.id, "unit_price": 0.25}],
        )
        self.assertEqual(agreement.next_invoice_date, date(2026, 4, 10))

        order = self._create_quotation(self._create_deal(), product=calls)
        order.order_line.billing_meter_id = False
        gaps = order.opportunity_id._get_billing_gaps()[order.opportunity_id]
        self.assertIn("no_meter", [gap["code"] for gap in gaps])

    def test_a_down_payment_is_deducted(self):
        deal, order = self._create_mixed_deal(confirm=True)
        wizard = self.env["sale.advance.payment.inv"].create(
            {
                "sale_order_ids": [Command.set(order.ids)],
                "advance_payment_method": "fixed",
                "fixed_amount": 110.0,
            }
        )
        wizard.create_invoices()
        payment = order.invoice_ids
        self.assertEqual(payment.amount_total, 110.0)
        handoff = self._hand_off(deal)
        first = handoff.agreement_id.move_ids
        self.assertFalse(handoff.agreement_id.billing_error)
        self.assertFalse(handoff.billing_error)
        self.assertEqual(first.amount_untaxed, 81.0)  # 181 − 100
        lines = order.order_line
        self.assertEqual(set(lines.mapped("qty_to_invoice")), {0})

    def test_a_down_payment_above_the_first_invoice_goes_on(self):
        deal, order = self._create_mixed_deal(confirm=True)
        self.env["sale.advance.payment.inv"].create(
            {
                "sale_order_ids": [Command.set(order.ids)],
                "advance_payment_method": "fixed",
                "fixed_amount": 220.0,
            }
        ).create_invoices()
        agreement = self._hand_off(deal).agreement_id
        self.assertEqual(agreement.move_ids.amount_untaxed, 0.0)
        later = agreement.generate_invoices(until=date(2026, 5, 9))
        self.assertEqual(later.amount_untaxed, 62.0)  # 81 − the 19 that were left
        last = agreement.generate_invoices(until=date(2026, 5, 10))
        self.assertEqual(last.amount_untaxed, 81.0)

    def test_what_is_invoiced_already_is_not_taken_over(self):
        deal, order = self._create_mixed_deal(confirm=True)
        order.order_line[1].product_uom_qty = 0
        order._create_invoices()
        order.order_line[1].product_uom_qty = 3
        agreement = self._hand_off(deal).agreement_id
        self.assertEqual(agreement.line_ids.sale_line_id, order.order_line[1])


@tagged("post_install", "-at_install")
class TestAgreementOfAmounts(AgreementHandoffCommon):
    """A deal without quotation: what is typed on it recurs as it says (design 5)."""

    def _create_amounts(self, months, **values):
        plan = self.env["crm.recurring.plan"].create(
            {"name": f"{months} months", "number_of_months": months}
        )
        return self._create_deal(recurring_plan=plan.id, **values)

    def test_recurring_revenue_makes_an_agreement(self):
        deal = self._create_amounts(12, recurring_revenue=1200, expected_revenue=500)
        handoff = self._hand_off(deal)
        agreement = handoff.agreement_id
        flat, once = agreement.line_ids.sorted("billing_method")
        self.assertEqual(flat.plan_id, self.yearly)
        self.assertEqual(flat.product_id, self.company.billing_recurring_product_id)
        self.assertEqual(once.product_id, self.company.billing_product_id)
        self.assertEqual(agreement.move_ids.amount_untaxed, 1700.0)
        self.assertEqual(agreement.mrr, 100.0)
        statuses = {row["code"]: row for row in agreement.move_ids.billing_checklist}
        self.assertEqual(statuses["quotation"]["status"], "missing", "to be reviewed")

    def test_the_accounts_cycle_comes_first(self):
        self.account.billing_plan_id = self.quarterly
        deal = self._create_amounts(12, recurring_revenue=1200)
        agreement = self._hand_off(deal).agreement_id
        self.assertEqual(agreement.move_ids.amount_untaxed, 300.0)

    def test_a_term_of_years_is_billed_by_the_month(self):
        deal = self._create_amounts(36, recurring_revenue=3600)
        agreement = self._hand_off(deal).agreement_id
        self.assertEqual(agreement.line_ids.plan_id, self.monthly)
        self.assertEqual(agreement.move_ids.amount_untaxed, 100.0)

    def test_without_a_product_it_is_blocked(self):
        self.company.billing_recurring_product_id = False
        deal = self._create_amounts(1, recurring_revenue=80)
        handoff = self._hand_off(deal)
        self.assertEqual(handoff.state, "blocked")
        self.assertEqual(handoff.missing[0]["code"], "no_product")


@tagged("post_install", "-at_install")
class TestOneAgreement(AgreementHandoffCommon):
    """B7, B9: whatever happens to the deal, it is billed by one agreement, once."""

    def setUp(self):
        super().setUp()
        self.deal, self.order = self._create_mixed_deal()
        self.handoff = self._hand_off(self.deal)
        self.agreement = self.handoff.agreement_id

    def test_handing_off_again_changes_nothing(self):
        for _time in range(2):
            self.deal.with_user(self.seller).action_hand_off()
            self.handoff.with_user(self.clerk).action_process()
        self.assertEqual(self.deal.billing_agreement_ids, self.agreement)
        self.assertEqual(len(self.deal.billing_move_ids), 1)

    def test_taken_out_of_won_it_asks_and_deletes_nothing(self):
        self.deal.with_user(self.seller).stage_id = self.open_stage
        self.env.flush_all()
        self.assertEqual(self.agreement.state, "running")
        task = self.handoff.activity_ids
        self.assertEqual(task.user_id, self.clerk)
        self.assertIn(self.agreement.name, task.note)
        self.assertTrue(self.deal.billing_not_won)

        self._win_and_process(self.deal)
        self.assertFalse(self.handoff.activity_ids)
        self.assertEqual(self.deal.billing_agreement_ids, self.agreement)
        self.assertEqual(len(self.deal.billing_move_ids), 1)

    def test_cancelled_and_credited_it_is_billed_again(self):
        self.deal.with_user(self.seller).stage_id = self.open_stage
        self.deal.billing_move_ids.action_post()
        self.deal.billing_move_ids._reverse_moves(cancel=True)
        self.agreement.sudo().state = "cancelled"
        self.env.flush_all()
        self._win_and_process(self.deal)
        second = self.handoff.agreement_id
        self.assertNotEqual(second, self.agreement)
        self.assertEqual(second.state, "running")
        self.assertEqual(len(second.line_ids), 2)
        self._win_and_process(self.deal)
        self.assertEqual(self.deal.billing_agreement_ids, self.agreement | second)

    def test_an_agreement_that_waits_is_not_made_twice(self):
        deal, order = self._create_mixed_deal()
        order.billing_start_date = date(2030, 1, 1)
        handoff = self._hand_off(deal)
        deal.with_user(self.seller).stage_id = self.open_stage
        self._win_and_process(deal)
        self.assertEqual(handoff.state, "done")
        self.assertEqual(len(deal.billing_agreement_ids), 1)

    def test_a_copied_deal_and_order_start_anew(self):
        copy = self.deal.copy({"stage_id": self.open_stage.id})
        self.assertFalse(copy.billing_agreement_ids)
        self.assertFalse(copy.billing_next_date)
        order = self.order.copy()
        self.assertEqual(order.order_line[1].billing_method, "flat")
        self.assertFalse(any(order.order_line.mapped("is_billing_taken_over")))

    def test_merging_keeps_both_agreements(self):
        other, _order = self._create_mixed_deal()
        second = self._hand_off(other).agreement_id
        merged = (self.deal | other).merge_opportunity(auto_unlink=True)
        self.env.flush_all()
        self.assertEqual(merged.billing_agreement_ids, self.agreement | second)
        self.assertEqual(len(merged.billing_move_ids), 2)
        live = merged.billing_handoff_ids._filtered_live()
        self.assertEqual(len(live), 1)

    def test_a_deal_with_an_agreement_is_not_deleted(self):
        self.deal.billing_move_ids.unlink()
        with self.assertRaisesRegex(UserError, "archive it"):
            self.deal.unlink()

    def test_the_order_of_a_running_agreement_is_not_cancelled(self):
        with self.assertRaisesRegex(UserError, "cancel the agreement first"):
            self.order.with_user(self.seller)._action_cancel()

    def test_a_deleted_draft_is_due_again(self):
        self.deal.billing_move_ids.unlink()
        self.assertEqual(self.handoff.state, "done")
        self.agreement.generate_invoices(until=date(2026, 3, 10))
        self.assertEqual(self.deal.billing_move_ids.amount_untaxed, 181.0)

    def test_a_consolidated_invoice_is_shared_by_the_deals_lines(self):
        order = self._create_quotation(
            deal := self._create_deal(), product=self.hosting, price=19.0
        )
        order.billing_start_date = self.order.billing_start_date = date(2026, 3, 10)
        self.deal.billing_move_ids.unlink()
        self.company.billing_consolidate = True
        with patch.object(type(self.agreement), "_bill_at_once"):
            second = self._hand_off(deal).agreement_id
        move = (self.agreement | second).generate_invoices(until=date(2026, 3, 10))
        self.assertEqual(len(move), 1)
        weights = move._get_opportunity_weights()
        self.assertEqual(
            {lead: float(weight) for lead, weight in weights.items()},
            {self.deal: 181.0, deal: 19.0},
        )

    def test_core_recurring_is_refused(self):
        with self.assertRaisesRegex(ValidationError, "billing agreement"):
            self.deal.billing_move_ids.auto_post = "monthly"
        self.deal.billing_move_ids.auto_post = "at_date"


@tagged("post_install", "-at_install")
class TestRestOfAgreement(AgreementHandoffCommon):
    """B7: what comes to a deal after its agreement goes into the agreement."""

    def setUp(self):
        super().setUp()
        self.deal, self.order = self._create_mixed_deal()
        self.handoff = self._hand_off(self.deal)
        self.agreement = self.handoff.agreement_id

    def _add_line(self, product, price):
        line = {"product_id": product.id, "price_unit": price}
        self.order.order_line = [Command.create(line)]

    def test_an_added_line_joins_the_agreement(self):
        self._add_line(self.hosting, 12.0)
        self.assertIn("12.00", self.deal.with_user(self.seller).billing_difference)
        with self._at(fields.Datetime.to_datetime("2026-03-25 09:00:00")):
            for _time in range(2):
                self.deal.with_user(self.clerk).action_bill_rest()
        line = self.agreement.line_ids.filtered(lambda line: line.price_unit == 12)
        self.assertEqual(line.start_date, date(2026, 3, 25))
        self.assertEqual(line.anchor_date, date(2026, 3, 10), "renews with the others")
        first, second = self.agreement.move_ids.sorted("id")
        self.assertEqual(second.amount_untaxed, 6.19)  # 12 × 16/31
        self.assertFalse(self.handoff.difference)

    def test_an_added_one_off_joins_too(self):
        self._add_line(self.product, 40.0)
        self.deal.with_user(self.clerk).action_bill_rest()
        line = self.agreement.line_ids.filtered(lambda line: line.price_unit == 40)
        self.assertEqual(line.billing_method, "one_off")
        self.assertTrue(all(self.order.order_line.mapped("is_billing_taken_over")))

    def test_a_recurring_line_on_a_one_off_deal_makes_the_agreement(self):
        deal = self._create_deal()
        order = self._create_quotation(deal, confirm=True)
        handoff = self._hand_off(deal)
        self.assertFalse(handoff.agreement_id)
        line = {"product_id": self.hosting.id, "price_unit": 30.0}
        order.order_line = [Command.create(line)]
        handoff.with_user(self.clerk).action_bill_rest()
        agreement = handoff.agreement_id
        self.assertEqual(agreement.state, "running")
        self.assertEqual(agreement.line_ids.mapped("price_unit"), [30.0])
        self.assertFalse(handoff.difference)

    def test_an_edited_line_is_shown_and_asked_about(self):
        line = self.order.order_line[1]
        line.product_uom_qty = 5
        self.assertIn("Hosting 5", self.handoff.difference)
        self.assertEqual(self.handoff.activity_ids.summary, "The order was changed")
        self.assertEqual(len(self.deal.billing_move_ids), 1)
        self.deal.with_user(self.clerk).action_bill_rest()
        self.assertEqual(len(self.deal.billing_move_ids), 1, "no second bill")
        line.product_uom_qty = 3
        self.assertFalse(self.handoff.difference)

    def test_an_edited_line_is_proposed_as_a_change(self):
        line = self.order.order_line[1]
        line.write({"product_uom_qty": 5, "price_unit": 33})
        handoff = self.handoff.with_user(self.clerk)
        self.assertTrue(handoff.can_propose_change)
        for _time in range(2):
            action = handoff.action_propose_change()
        changes = self.env["crm.billing.change"].search(action["domain"])
        self.assertRecordValues(
            changes.sorted("change_type"),
            [
                {"change_type": "price", "state": "draft"},
                {"change_type": "quantity", "state": "draft"},
            ],
        )
        price, quantity = changes.sorted("change_type")
        self.assertEqual((price.price_unit, quantity.quantity), (33, 5))
        flat = self.agreement.line_ids.filtered(lambda one: one.plan_id)
        self.assertEqual(changes.line_ids, flat)
        self.assertEqual(flat.quantity, 3, "nothing changes by itself")
        with self.assertRaises(AccessError):
            self.handoff.with_user(self.seller).action_propose_change()


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
