from datetime import date

from freezegun import freeze_time

from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.fields import Command
from odoo.tests import tagged

from ..models.account_move_retention import NEVER_DUE
from .milestone_common import MilestoneCommon


@tagged("post_install", "-at_install")
@freeze_time("2027-03-01 12:00:00")
class TestRetention(MilestoneCommon):
    """What a customer retains is due only after its release (C9)."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.tax.amount = 21.0

    def _bill(self, base="net", percent=5.0, post=True, **values):
        """Return the invoice of 18,000 of a contract with a retention."""
        agreement = self._start(
            retention_percent=percent, retention_base=base, **values
        )
        agreement.milestone_ids[1].action_mark_done()
        move = agreement.move_ids
        return self._post(move) if post else move

    def _get_instalments(self, move):
        lines = move.line_ids.filtered(lambda line: line.display_type == "payment_term")
        return [
            (line.date_maturity, line.amount_currency, line.billing_is_retention)
            for line in lines.sorted(lambda line: (line.date_maturity, line.id))
        ]

    def test_of_the_net_value(self):
        move = self._bill()
        self.assertRecordValues(
            move,
            [
                {
                    "amount_untaxed": 18000,
                    "amount_total": 21780,
                    "billing_retention_amount": 900,
                    "billing_retention_open": 900,
                    "invoice_date_due": date(2027, 3, 31),
                }
            ],
        )
        self.assertEqual(
            self._get_instalments(move),
            [(date(2027, 3, 31), 20880, False), (NEVER_DUE, 900, True)],
        )

    def test_of_the_gross_value(self):
        self.assertEqual(
            self._get_instalments(self._bill("gross")),
            [(date(2027, 3, 31), 20691, False), (NEVER_DUE, 1089, True)],
        )

    def test_of_the_milestone_before_the_deposit_comes_off(self):
        agreement = self._start(line={"deposit_percent": 15.0}, retention_percent=5.0)
        agreement.with_user(self.clerk).generate_invoices()
        self.assertFalse(agreement.move_ids.billing_retention_amount)
        agreement.milestone_ids[1].action_mark_done()
        move = agreement.milestone_ids[1].move_id
        self.assertRecordValues(
            move, [{"amount_total": 18513, "billing_retention_amount": 900}]
        )

    def test_without_terms(self):
        self.account.property_payment_term_id = False
        self.assertEqual(
            self._get_instalments(self._bill()),
            [(date(2027, 3, 1), 20880, False), (NEVER_DUE, 900, True)],
        )

    def test_with_terms_of_several_instalments(self):
        self.account.property_payment_term_id = self.env["account.payment.term"].create(
            {
                "name": "A third now",
                "line_ids": [
                    Command.create(
                        {"value": "percent", "value_amount": 30.0, "nb_days": 0}
                    ),
                    Command.create(
                        {"value": "percent", "value_amount": 70.0, "nb_days": 30}
                    ),
                ],
            }
        )
        move = self._bill()
        self.assertEqual(
            self._get_instalments(move),
            [
                (date(2027, 3, 1), 6264, False),
                (date(2027, 3, 31), 14616, False),
                (NEVER_DUE, 900, True),
            ],
        )
        self.assertEqual(move.invoice_date_due, date(2027, 3, 31))

    def test_with_an_early_payment_discount(self):
        self.account.property_payment_term_id = self.env["account.payment.term"].create(
            {
                "name": "2/10 net 30",
                "early_discount": True,
                "discount_percentage": 2.0,
                "discount_days": 10,
                "early_pay_discount_computation": "included",
                "line_ids": [
                    Command.create(
                        {"value": "percent", "value_amount": 100.0, "nb_days": 30}
                    ),
                ],
            }
        )
        move = self._bill()
        self.assertEqual(
            self._get_instalments(move),
            [(date(2027, 3, 31), 20880, False), (NEVER_DUE, 900, True)],
        )
        due = move.line_ids.filtered("discount_date")
        self.assertAlmostEqual(due.discount_amount_currency, 20462.4)

    def test_prices_with_tax_included(self):
        self.tax.price_include_override = "tax_included"
        move = self._bill("gross")
        self.assertEqual(
            (move.amount_total, move.billing_retention_amount), (18000, 900)
        )

    def test_terms_are_printed_without_a_date_for_the_retention(self):
        self.account.property_payment_term_id.display_on_invoice = True
        move = self._bill()
        self.assertEqual(
            [row["amount"] for row in move.payment_term_details], [20880, 900]
        )
        html = (
            self.env["ir.actions.report"]
            ._render_qweb_html("account.report_invoice", move.ids)[0]
            .decode()
        )
        self.assertNotIn("2999", html)
        self.assertIn("due only after its release", html)

    def test_an_edited_draft_retains_of_its_new_value(self):
        move = self._bill(post=False)
        move.invoice_line_ids.price_unit = 10000.0
        self.assertEqual(move.billing_retention_amount, 500)
        self.assertEqual(
            self._get_instalments(move),
            [(date(2027, 3, 31), 11600, False), (NEVER_DUE, 500, True)],
        )

    def test_a_posted_invoice_keeps_its_retention(self):
        move = self._bill()
        move.agreement_ids.retention_percent = 50.0
        self.env.flush_all()
        self.assertEqual(move.billing_retention_amount, 900)

    def test_tax_rounded_per_document(self):
        self.company.tax_calculation_rounding_method = "round_globally"
        move = self._bill("gross")
        self.assertEqual(sum(row[1] for row in self._get_instalments(move)), 21780)
        self.assertEqual(move.billing_retention_amount, 1089)

    def test_two_milestones_are_rounded_once(self):
        phases = [("A", "fixed", 10.1), ("B", "fixed", 10.1)]
        agreement = self._start(20.2, phases, retention_percent=5.0)
        agreement.milestone_ids.action_mark_done()
        # Each alone would be 0.505, so 0.51; together 1.01.
        self.assertEqual(agreement.move_ids.billing_retention_amount, 1.01)

    def test_a_foreign_currency(self):
        money = self.env.ref("base.USD")
        if money == self.company.currency_id:
            money = self.env.ref("base.EUR")
        money.active = True
        money.rate_ids.unlink()
        self.env["res.currency.rate"].create(
            {"currency_id": money.id, "name": "2027-01-01", "rate": 3.0}
        )
        move = self._bill(currency_id=money.id)
        lines = move.line_ids.filtered(lambda line: line.display_type == "payment_term")
        self.assertEqual(move.currency_id, money)
        self.assertEqual(sorted(lines.mapped("amount_currency")), [900, 20880])
        self.assertEqual(sorted(lines.mapped("balance")), [300, 6960])
        self.assertEqual(sum(move.line_ids.mapped("balance")), 0)

    # === NOT DUE === #

    def test_never_overdue_before_the_release(self):
        move = self._bill()
        with freeze_time("2031-01-01 12:00:00"):
            self._pay(move, 20880.0)
            self.assertEqual(move.amount_residual, 900)
            self.assertTrue(
                move.line_ids.filtered("billing_is_retention").amount_residual
            )
            data = move._get_installments_data()
            self.assertNotIn("overdue", [row["type"] for row in data])

    def test_the_payment_of_what_is_due_leaves_the_retention(self):
        move = self._bill()
        wizard = (
            self.env["account.payment.register"]
            .with_context(active_model="account.move", active_ids=move.ids)
            .create({})
        )
        self.assertEqual(wizard.amount, 20880)
        wizard._create_payments()
        self.assertEqual(move.payment_state, "partial")
        retained = move.line_ids.filtered("billing_is_retention")
        self.assertEqual(retained.amount_residual, 900)
        self.assertFalse(move._has_to_be_paid())

    def test_the_deal_is_not_overdue(self):
        deal = self._create_deal()
        move = self._bill(lead_id=deal.id)
        self.assertEqual(move.opportunity_ids, deal)
        with freeze_time("2031-01-01 12:00:00"):
            self.assertTrue(deal.billing_overdue)
            self._pay(move, 20880.0)
            deal.invalidate_recordset()
            self.assertFalse(deal.billing_overdue)

    def test_credits_of_the_account_do_not_pay_the_retention(self):
        paid = self._bill()
        self._pay(paid, paid.amount_total)
        credit = paid._reverse_moves([{"invoice_date": "2027-03-01"}])
        credit.action_post()
        self.assertEqual(credit.amount_residual, 21780)
        move = self._bill()
        self.assertEqual(move.amount_residual, 900)
        self.assertEqual(credit.amount_residual, 900)

    # === RELEASE === #

    def test_released_it_is_due_after_the_terms(self):
        move = self._bill()
        move.with_user(self.clerk).action_release_retention(date="2028-06-01")
        self.assertEqual(
            self._get_instalments(move),
            [(date(2027, 3, 31), 20880, False), (date(2028, 7, 1), 900, False)],
        )
        self.assertRecordValues(
            move,
            [{"billing_retention_open": 0, "invoice_date_due": date(2028, 7, 1)}],
        )
        self.assertRecordValues(
            move.billing_release_ids,
            [{"amount": 900, "user_id": self.clerk.id, "date": date(2028, 6, 1)}],
        )

    def test_released_in_parts(self):
        move = self._bill()
        move.with_user(self.clerk).action_release_retention(400.0, "2028-06-01")
        self.assertEqual(
            self._get_instalments(move),
            [
                (date(2027, 3, 31), 20880, False),
                (date(2028, 7, 1), 400, False),
                (NEVER_DUE, 500, True),
            ],
        )
        move.with_user(self.clerk).action_release_retention(date="2028-09-01")
        self.assertEqual(
            self._get_instalments(move),
            [
                (date(2027, 3, 31), 20880, False),
                (date(2028, 7, 1), 400, False),
                (date(2028, 10, 1), 500, False),
            ],
        )
        self.assertEqual(sum(move.line_ids.mapped("balance")), 0)
        self.assertEqual(move.amount_total, 21780)

    def test_what_is_paid_stays_matched(self):
        move = self._bill()
        payment = self._pay(move, 21000.0)
        move.action_release_retention(400.0, "2028-06-01")
        self.assertEqual(move.amount_residual, 780)
        matched = payment.move_id.line_ids.filtered("matched_debit_ids")
        self.assertTrue(matched.reconciled)
        lines = move.line_ids.filtered(lambda line: line.display_type == "payment_term")
        self.assertEqual(
            lines.sorted("date_maturity").mapped("amount_residual"), [0, 280, 500]
        )

    def test_released_after_the_books_are_closed(self):
        move = self._bill()
        self.company.fiscalyear_lock_date = "2027-12-31"
        with freeze_time("2028-06-01 12:00:00"):
            move.with_user(self.clerk).action_release_retention(400.0)
        self.assertEqual(move.billing_retention_open, 500)

    def test_posted_again_the_release_stands(self):
        move = self._bill()
        move.action_release_retention(400.0, "2028-06-01")
        instalments = self._get_instalments(move)
        move.button_draft()
        move.action_post()
        self.assertEqual(self._get_instalments(move), instalments)

    def test_released_for_the_agreement_oldest_first(self):
        agreement = self._start(retention_percent=5.0)
        for milestone in agreement.milestone_ids[:2]:
            milestone.action_mark_done()
            self._post(milestone.move_id)
        # Both are on one draft unless it was posted before the second was done.
        self.assertEqual(agreement.retention_open, 1300)
        agreement.with_user(self.clerk).action_release_retention(500.0, "2028-06-01")
        self.assertEqual(
            agreement.milestone_ids[:2]
            .move_id.sorted("id")
            .mapped("billing_retention_open"),
            [0, 800],
        )
        self.assertEqual(agreement.retention_open, 800)

    def test_from_the_dialog(self):
        move = self._bill()
        action = move.with_user(self.clerk).action_open_retention_release()
        wizard = (
            self.env[action["res_model"]]
            .with_user(self.clerk)
            .with_context(**action["context"])
            .create({"date": "2028-06-01"})
        )
        self.assertEqual(wizard.amount, 900)
        wizard.amount = 100.0
        wizard.action_release()
        self.assertEqual(move.billing_retention_open, 800)

    def test_only_billing_releases_and_not_too_much(self):
        move = self._bill()
        for user in (self.seller, self.users["accountant"]):
            with self.subTest(user.name), self.assertRaises(AccessError):
                move.with_user(user).action_release_retention()
        for amount in (0.0, -1.0, 900.01, 0.001):
            with self.subTest(amount), self.assertRaises(UserError):
                move.with_user(self.clerk).action_release_retention(amount)
        move.with_user(self.clerk).action_release_retention()
        self.assertFalse(move.with_user(self.clerk).action_release_retention())

    def test_a_draft_releases_nothing(self):
        self.assertFalse(self._bill(post=False).action_release_retention())

    # === CREDIT NOTES === #

    def test_a_credit_note_retains_nothing(self):
        move = self._bill()
        credit = move._reverse_moves([{"invoice_date": "2027-03-01"}], cancel=True)
        self.assertFalse(credit.billing_retention_amount)
        self.assertFalse(credit.line_ids.filtered("billing_is_retention"))
        self.assertNotIn(NEVER_DUE, credit.line_ids.mapped("date_maturity"))
        self.assertEqual(move.payment_state, "reversed")
        self.assertFalse(move.amount_residual)

    def test_a_part_credited_closes_what_is_due_first(self):
        move = self._bill()
        credit = move._reverse_moves([{"invoice_date": "2027-03-01"}])
        credit.invoice_line_ids.price_unit = 1000.0
        credit.action_post()
        lines = move.line_ids.filtered(lambda line: line.display_type == "payment_term")
        self.assertEqual(
            lines.sorted("date_maturity").mapped("amount_residual"), [19670, 900]
        )

    def test_a_percentage(self):
        with self.assertRaises(ValidationError):
            self._create_contract(retention_percent=101.0)
