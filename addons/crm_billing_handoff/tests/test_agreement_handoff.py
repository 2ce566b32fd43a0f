from datetime import date
from unittest.mock import patch

from odoo.exceptions import UserError
from odoo.fields import Command
from odoo.tests import tagged

from .agreement_handoff_common import WON, AgreementHandoffCommon


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
