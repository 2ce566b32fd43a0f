from datetime import date

from odoo.exceptions import UserError
from odoo.tests import tagged

from .change_common import CHANGE_DAY, DECEMBER, NOVEMBER, ChangeCommon


@tagged("post_install", "-at_install")
class TestChangeTerms(ChangeCommon):
    """New price, product, quantity, discount, interval: a credit and a charge (S7)."""

    def test_upgrade_is_a_credit_and_a_charge_on_the_next_invoice(self):
        agreement = self._create_billed(NOVEMBER)
        change = self._change(agreement, "price", CHANGE_DAY, price_unit=126.0)
        self.assertEqual(change.state, "applied")
        self.assertEqual(
            self._get_rows(agreement, "credit", "charge"),
            [("credit", -44.80), ("charge", 67.20)],
        )
        self.assertFalse(self._run(date(2027, 11, 20)), "it waits for the next invoice")
        invoice = self._bill(DECEMBER)
        self.assertEqual(
            self._get_printed(invoice),
            [("credit", -44.80), ("charge", 67.20), ("recurring", 126.0)],
        )
        charge = invoice.invoice_line_ids.sorted("sequence")[1]
        self.assertIn("16 of 30 days", charge.name)

    def test_old_line_ends_and_the_new_one_keeps_the_grid(self):
        agreement = self._create_billed(NOVEMBER)
        old = agreement.line_ids
        self._change(agreement, "price", CHANGE_DAY, price_unit=126.0)
        new = agreement.line_ids - old
        self.assertEqual(old.end_date, date(2027, 11, 18))
        self.assertEqual(old.end_reason, "change")
        self.assertEqual(new.start_date, CHANGE_DAY)
        self.assertEqual((new.predecessor_id, old.successor_id), (old, new))
        self.assertEqual(new.anchor_date, NOVEMBER)
        self.assertEqual(agreement.next_invoice_date, DECEMBER)

    def test_change_at_once_has_its_own_invoice(self):
        agreement = self._create_billed(NOVEMBER)
        known = agreement.move_ids
        self._change(
            agreement, "price", CHANGE_DAY, price_unit=126.0, proration_timing="now"
        )
        invoice = agreement.move_ids - known
        self.assertEqual(invoice.move_type, "out_invoice")
        self.assertEqual(invoice.invoice_date, CHANGE_DAY)
        self.assertEqual(invoice.amount_untaxed, 22.40)

    def test_downgrade_at_once_is_a_credit_note(self):
        agreement = self._create_billed(NOVEMBER)
        known = agreement.move_ids
        self._change(
            agreement, "price", CHANGE_DAY, price_unit=42.0, proration_timing="now"
        )
        note = agreement.move_ids - known
        self.assertEqual(note.move_type, "out_refund")
        self.assertEqual(note.amount_untaxed, 22.40)
        self.assertEqual(note.reversed_entry_id, known)

    def test_downgrade_beyond_the_next_invoice_is_no_negative_invoice(self):
        agreement = self._create_billed(NOVEMBER, price=840.0)
        self._change(agreement, "price", CHANGE_DAY, price_unit=10.0)
        moves = self._bill(DECEMBER)
        self.assertTrue(all(move.amount_total >= 0 for move in moves))
        self.assertEqual(sum(moves.mapped("amount_untaxed_signed")), 15.33 - 448.0)

    def test_without_proration_the_new_price_starts_with_the_next_period(self):
        agreement = self._create_billed(NOVEMBER)
        self._change(
            agreement, "price", CHANGE_DAY, price_unit=126.0, proration_timing="none"
        )
        self.assertFalse(self._get_rows(agreement, "credit", "charge"))
        self.assertEqual(self._get_printed(self._bill(DECEMBER)), [("recurring", 126)])

    def test_quantity_credits_the_old_and_charges_the_new_in_full(self):
        agreement = self._create_billed(NOVEMBER, price=30.0, quantity=2.0)
        self._change(agreement, "quantity", CHANGE_DAY, quantity=3.0)
        self.assertEqual(
            self._get_rows(agreement, "credit", "charge"),
            [("credit", -32.0), ("charge", 48.0)],
        )

    def test_several_changes_add_up_to_the_days_used(self):
        agreement = self._create_billed(NOVEMBER, price=30.0)
        self._change(agreement, "quantity", date(2027, 11, 15), quantity=2.0)
        self._change(agreement, "quantity", date(2027, 11, 25), quantity=5.0)
        billed = sum(amount for _kind, amount in self._get_rows(agreement))
        self.assertEqual(billed, 10 * 1 + 10 * 2 + 10 * 5)

    def test_other_product_brings_its_name_and_taxes(self):
        tax = self.tax.copy({"name": "Test 21%", "amount": 21.0})
        premium = self._create_product()
        premium.write({"name": "Premium", "taxes_id": tax.ids, "list_price": 126.0})
        agreement = self._create_billed(NOVEMBER)
        change = self._change(agreement, "product", CHANGE_DAY, product_id=premium.id)
        self.assertEqual(change.price_unit, 126.0)
        new = change.new_line_ids
        self.assertEqual((new.name, new.tax_ids), ("Premium", tax))
        invoice = self._bill(DECEMBER)
        by_kind = {line.billing_kind: line for line in invoice.invoice_line_ids}
        self.assertEqual(by_kind["credit"].tax_ids, self.tax, "tax of that time")
        self.assertEqual(by_kind["charge"].tax_ids, tax)

    def test_credit_follows_what_was_posted_not_the_list_price(self):
        agreement = self._create_agreement(start_date=NOVEMBER, price_unit=84.0)
        with self._on(NOVEMBER):
            draft = self._run(NOVEMBER)
            draft.invoice_line_ids.price_unit = 60.0
            draft.billing_review_note = "As told on the phone"
            draft.with_user(self.clerk).action_billing_review()
            self._post(draft)
        self.product.list_price = 500.0
        self._change(agreement, "price", CHANGE_DAY, price_unit=126.0)
        self.assertEqual(self._get_rows(agreement, "credit"), [("credit", -32.0)])

    def test_last_change_of_a_day_wins(self):
        agreement = self._create_billed(NOVEMBER)
        self._change(agreement, "price", CHANGE_DAY, price_unit=126.0)
        self._change(agreement, "price", CHANGE_DAY, price_unit=105.0)
        self.assertEqual(
            self._get_rows(agreement, "credit", "charge"),
            [("credit", -44.80), ("charge", 56.0)],
        )
        self.assertEqual(
            self._get_printed(self._bill(DECEMBER)),
            [("credit", -44.80), ("charge", 56.0), ("recurring", 105.0)],
        )

    def test_second_change_of_a_day_that_is_invoiced_credits_it_whole(self):
        agreement = self._create_billed(NOVEMBER)
        self._change(
            agreement, "price", CHANGE_DAY, price_unit=126.0, proration_timing="now"
        )
        self._post(agreement.move_ids)
        self._change(agreement, "price", CHANGE_DAY, price_unit=105.0)
        self.assertEqual(
            self._get_rows(agreement, "credit", "charge"),
            [
                ("credit", -44.80),
                ("charge", 67.20),
                ("credit", -67.20),
                ("charge", 56.0),
            ],
        )

    def test_change_on_a_period_start_credits_and_charges_whole(self):
        agreement = self._create_billed(NOVEMBER)
        self._change(agreement, "price", NOVEMBER, CHANGE_DAY, price_unit=100.0)
        self.assertEqual(
            self._get_rows(agreement, "credit", "charge"),
            [("credit", -84.0), ("charge", 100.0)],
        )

    def test_change_on_an_unbilled_period_start_prorates_nothing(self):
        agreement = self._create_billed(NOVEMBER)
        self._change(agreement, "price", DECEMBER, price_unit=100.0)
        self.assertEqual(self._get_printed(self._bill(DECEMBER)), [("recurring", 100)])

    def test_past_change_touches_each_billed_part(self):
        agreement = self._create_billed(NOVEMBER)
        self._bill(DECEMBER)
        self._change(
            agreement, "price", CHANGE_DAY, date(2027, 12, 20), price_unit=126.0
        )
        self.assertEqual(
            self._get_rows(agreement, "credit", "charge"),
            [
                ("credit", -44.80),
                ("charge", 67.20),
                ("credit", -84.0),
                ("charge", 126.0),
            ],
        )

    def test_past_change_before_another_one_keeps_what_that_one_changed(self):
        agreement = self._create_billed(NOVEMBER, price=30.0)
        self._change(agreement, "quantity", date(2027, 11, 25), quantity=3.0)
        self._change(
            agreement,
            "price",
            date(2027, 11, 15),
            date(2027, 11, 26),
            price_unit=60.0,
        )
        billed = sum(amount for _kind, amount in self._get_rows(agreement))
        self.assertEqual(billed, 10 * 1 + 10 * 2 + 10 * 2 * 3)
        self.assertEqual(
            self._get_printed(self._bill(DECEMBER))[-1], ("recurring", 180.0)
        )

    def test_change_outside_the_life_of_a_line_is_refused(self):
        agreement = self._create_billed(NOVEMBER, end_date=date(2027, 12, 31))
        for day in (date(2027, 11, 4), date(2028, 1, 1)):
            change = self._create_change(
                agreement, "price", day, line_ids=agreement.line_ids.ids, price_unit=1.0
            )
            with self._on(day), self.assertRaisesRegex(UserError, "does not run on"):
                change.action_apply()

    def test_closed_agreement_is_refused(self):
        agreement = self._create_billed(NOVEMBER, end_date=date(2027, 12, 4))
        agreement.state = "closed"
        change = self._create_change(agreement, "price", CHANGE_DAY, price_unit=1.0)
        with self.assertRaisesRegex(UserError, "does not run"):
            change.action_apply()

    def test_same_terms_are_no_change(self):
        agreement = self._create_billed(NOVEMBER)
        change = self._create_change(agreement, "price", CHANGE_DAY, price_unit=84.0)
        self.assertIn("nothing would change", change.preview_problem)

    def test_arrears_charge_each_part_at_its_own_terms(self):
        plan = self._create_plan(timing="arrears")
        with self._on(NOVEMBER):
            agreement = self._create_agreement(
                start_date=NOVEMBER, price_unit=30.0, plan_id=plan.id
            )
        self._change(agreement, "price", date(2027, 11, 15), price_unit=60.0)
        self.assertFalse(agreement.period_ids, "nothing was debited")
        self.assertFalse(self._run(date(2027, 11, 20)))
        invoice = self._bill(DECEMBER)
        self.assertEqual(
            self._get_printed(invoice), [("recurring", 10.0), ("recurring", 40.0)]
        )
        self.assertEqual(len(invoice), 1)

    def test_net_zero_makes_no_line_and_keeps_both_rows(self):
        agreement = self._create_billed(NOVEMBER, price=30.0, quantity=2.0)
        line = agreement.line_ids
        self._change(agreement, "quantity", CHANGE_DAY, quantity=1.0)
        self._change(agreement, "price", CHANGE_DAY, price_unit=60.0, line_ids=[])
        rows = agreement.period_ids.filtered(lambda row: row.kind != "recurring")
        self.assertEqual(rows.mapped("status"), ["covered", "covered"])
        self.assertEqual(set(rows.mapped("note")), {"net zero, no line"})
        self.assertEqual(sum(rows.mapped("amount")), 0.0)
        self.assertEqual(self._get_printed(self._bill(DECEMBER)), [("recurring", 60)])
        self.assertTrue(line.end_date)

    def test_not_prorated_the_second_change_of_a_period_meets_the_first(self):
        plan = self._create_plan(proration_timing="none")
        agreement = self._create_billed(NOVEMBER, plan_id=plan.id)
        self._change(agreement, "price", CHANGE_DAY, price_unit=100.0)
        self._change(agreement, "quantity", CHANGE_DAY, quantity=2.0)
        self.assertEqual(
            self._get_printed(self._bill(DECEMBER)), [("recurring", 200.0)]
        )
        self.assertEqual(self._get_rows(agreement, "credit", "charge"), [])

    def test_usage_prices_change_twice_before_the_next_period(self):
        plan = self._create_plan(timing="arrears")
        with self._on(NOVEMBER):
            meter = self.env["crm.billing.meter"].create(
                {"name": "Calls", "code": "calls", "unit_price": 1.0}
            )
            agreement = self._create_agreement(
                start_date=NOVEMBER,
                plan_id=plan.id,
                billing_method="usage",
                meter_id=meter.id,
            )
        self._change(agreement, "price", CHANGE_DAY, price_unit=2.0)
        self._change(agreement, "price", CHANGE_DAY, price_unit=3.0)
        serving = agreement.line_ids.filtered(
            lambda line: line._is_in_service(DECEMBER)
        )
        self.assertEqual(serving.mapped("unit_price"), [3.0])

    def test_net_zero_is_seen_under_a_fiscal_position(self):
        position = self.env["account.fiscal.position"].create({"name": "Reduced"})
        self.tax.copy(
            {
                "name": "Reduced",
                "amount": 5.0,
                "fiscal_position_ids": position.ids,
                "original_tax_ids": self.tax.ids,
            }
        )
        self.account.property_account_position_id = position
        agreement = self._create_billed(NOVEMBER, price=30.0, quantity=2.0)
        change_day = CHANGE_DAY
        self._change(agreement, "quantity", change_day, quantity=1.0)
        self._change(agreement, "price", change_day, price_unit=60.0, line_ids=[])
        rows = agreement.period_ids.filtered(lambda row: row.kind != "recurring")
        self.assertEqual(rows.mapped("status"), ["covered", "covered"])

    def test_by_the_second_a_change_takes_effect_at_its_instant(self):
        plan = self._create_plan(proration_basis="second")
        agreement = self._create_billed(NOVEMBER, plan_id=plan.id)
        self._change(
            agreement,
            "price",
            CHANGE_DAY,
            price_unit=126.0,
            effective_at="2027-11-19 15:00:00",
        )
        self.assertEqual(
            self._get_rows(agreement, "credit", "charge"),
            [("credit", -43.05), ("charge", 64.58)],
        )

    def test_interval_change_starts_a_new_grid_on_the_day(self):
        yearly = self._create_plan(interval_unit="year")
        agreement = self._create_billed(NOVEMBER)
        change = self._change(agreement, "interval", CHANGE_DAY, plan_id=yearly.id)
        self.assertEqual(change.price_unit, 84.0 * 12, "same price, over a year")
        invoice = self._bill(CHANGE_DAY)
        self.assertEqual(
            self._get_printed(invoice), [("credit", -44.80), ("recurring", 1008.0)]
        )
        self.assertEqual(change.new_line_ids.anchor_date, CHANGE_DAY)
        self.assertEqual(agreement.next_invoice_date, date(2028, 11, 19))

    def test_interval_change_to_a_fixed_day_has_a_prorated_first_part(self):
        quarterly = self._create_plan(
            interval_count=3, anchor_mode="fixed_day", anchor_day=1
        )
        agreement = self._create_billed(NOVEMBER)
        change = self._change(
            agreement, "interval", CHANGE_DAY, plan_id=quarterly.id, price_unit=276.0
        )
        invoice = self._bill(CHANGE_DAY)
        self.assertEqual(self._get_printed(invoice)[1], ("recurring", 43 * 3.0))
        self.assertEqual(change.new_line_ids.anchor_day, 1)

    def test_added_line_renews_with_the_others(self):
        agreement = self._create_billed(NOVEMBER)
        change = self._change(
            agreement, "add", CHANGE_DAY, product_id=self.product.id, price_unit=30.0
        )
        self.assertEqual(
            self._get_printed(self._bill(CHANGE_DAY)), [("recurring", 16.0)]
        )
        self.assertEqual(change.new_line_ids.anchor_date, NOVEMBER)
        self.assertEqual(
            self._get_printed(self._bill(DECEMBER)),
            [("recurring", 84.0), ("recurring", 30.0)],
        )

    def test_reversed_days_stay_given_back_on_the_new_line(self):
        agreement = self._create_billed(NOVEMBER)
        with self._on(NOVEMBER):
            agreement.move_ids._reverse_moves(cancel=True)
        self._change(agreement, "price", CHANGE_DAY, price_unit=126.0)
        self.assertEqual(agreement.next_invoice_date, DECEMBER)
        self.assertFalse(self._run(CHANGE_DAY))
