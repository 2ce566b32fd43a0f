from datetime import date

import psycopg2
from freezegun import freeze_time

from odoo.exceptions import UserError
from odoo.tests import tagged
from odoo.tools import mute_logger

from .agreement_common import AgreementCommon


@tagged("post_install", "-at_install")
@freeze_time("2027-01-01 12:00:00")
class TestAgreementLedger(AgreementCommon):
    """The ledger follows what really happens to the invoices."""

    def test_overlapping_days_of_a_line_cannot_be_stored(self):
        agreement = self._create_agreement()
        self._run(date(2027, 1, 1))
        vals = {
            "line_id": agreement.line_ids.id,
            "kind": "charge",
            "date_from": date(2027, 1, 31),
            "date_to": date(2027, 2, 28),
            "amount": 1.0,
        }
        with (
            self.assertRaises(psycopg2.errors.ExclusionViolation),
            mute_logger("odoo.sql_db"),
            self.env.cr.savepoint(),
        ):
            self.env["crm.billing.period"].create(vals)
        self.env["crm.billing.period"].create({**vals, "date_from": date(2027, 2, 1)})

    def test_deleted_draft_gives_its_period_back(self):
        agreement = self._create_agreement()
        self._run(date(2027, 1, 1)).with_user(self.clerk).unlink()
        self.assertFalse(agreement.period_ids)
        self.assertEqual(agreement.next_invoice_date, date(2027, 1, 1))
        self.assertEqual(len(self._run(date(2027, 1, 1))), 1)

    def test_cancelled_draft_gives_its_period_back_and_stays_cancelled(self):
        agreement = self._create_agreement()
        cancelled = self._run(date(2027, 1, 1))
        cancelled.with_user(self.clerk).button_cancel()
        self.assertFalse(agreement.period_ids)
        again = self._run(date(2027, 1, 1))
        self.assertEqual(len(again), 1)
        with self.assertRaisesRegex(UserError, "Generate a new invoice"):
            cancelled.button_draft()

    def test_line_removed_from_a_draft_is_missing(self):
        agreement = self._create_agreement(lines=[{}, {"price_unit": 7.0}])
        draft = self._run(date(2027, 1, 1))
        draft.invoice_line_ids[0].unlink()
        self.assertEqual(agreement.period_ids.mapped("amount"), [7.0])
        self.assertEqual(agreement.next_invoice_date, date(2027, 1, 1))

    def test_ledger_keeps_what_was_really_posted(self):
        agreement = self._create_agreement(price_unit=100.0)
        draft = self._run(date(2027, 1, 1))
        draft.invoice_line_ids.price_unit = 80.0
        draft.billing_review_note = "Agreed on the phone"
        draft.with_user(self.clerk).action_billing_review()
        self._post(draft)
        self.assertEqual(agreement.period_ids.amount, 80.0)
        self.assertEqual(agreement.period_ids.status, "posted")

    def test_posted_invoice_reset_to_draft_keeps_its_period(self):
        self._create_agreement()
        invoice = self._post(self._run(date(2027, 1, 1)))
        invoice.button_draft()
        self.assertFalse(self._run(date(2027, 1, 1)))

    def test_moved_invoice_date_changes_nothing(self):
        self._create_agreement()
        draft = self._run(date(2027, 1, 1))
        draft.invoice_date = date(2026, 11, 30)
        self._post(draft)
        self.assertFalse(self._run(date(2027, 1, 15)))

    def test_posted_period_cannot_be_deleted(self):
        agreement = self._create_agreement()
        self._post(self._run(date(2027, 1, 1)))
        with self.assertRaisesRegex(UserError, "Credit the invoice"):
            agreement.period_ids.unlink()

    def test_reversal_writes_credits_and_asks(self):
        agreement = self._create_agreement(price_unit=100.0)
        invoice = self._post(self._run(date(2027, 1, 1)))
        reversal = invoice._reverse_moves(cancel=True)
        self.assertEqual(reversal.agreement_ids, agreement)
        credit = agreement.period_ids.filtered(lambda row: row.kind == "credit")
        self.assertEqual(credit.amount, -100.0)
        self.assertEqual(credit.move_id, reversal)
        self.assertIn("again", agreement.activity_ids.summary)
        self.assertFalse(self._run(date(2027, 1, 15)))

    def test_credited_period_is_billed_again_on_demand(self):
        agreement = self._create_agreement(price_unit=100.0)
        invoice = self._post(self._run(date(2027, 1, 1)))
        debit = agreement.period_ids
        with self.assertRaisesRegex(UserError, "not credited in full"):
            debit.with_user(self.clerk).action_bill_again()
        invoice._reverse_moves(cancel=True)
        debit.with_user(self.clerk).action_bill_again()
        self.env.flush_all()
        again = self._run(date(2027, 1, 15))
        self.assertRecordValues(
            again.invoice_line_ids,
            [{"price_subtotal": 100.0, "billing_date_from": date(2027, 1, 1)}],
        )
        self.assertEqual(len(self._run(date(2027, 2, 1))), 1)

    def test_deleted_reversal_takes_its_credit_back(self):
        agreement = self._create_agreement()
        invoice = self._post(self._run(date(2027, 1, 1)))
        invoice._reverse_moves().unlink()
        self.assertEqual(agreement.period_ids.mapped("kind"), ["recurring"])

    def test_tax_included_price_is_what_the_ledger_holds(self):
        tax = self.env["account.tax"].create(
            {
                "name": "21% incl.",
                "amount": 21.0,
                "type_tax_use": "sale",
                "price_include_override": "tax_included",
            }
        )
        agreement = self._create_agreement(price_unit=121.0, tax_ids=tax.ids)
        invoice = self._post(self._run(date(2027, 1, 1)))
        self.assertEqual(invoice.amount_untaxed, 100.0)
        self.assertEqual(agreement.period_ids.amount, 121.0)

    def test_currencies_without_and_with_three_decimals(self):
        plan = self._create_plan(anchor_mode="fixed_day", anchor_day=1)
        amounts = {}
        for name, price in (("JPY", 1000.0), ("KWD", 10.0)):
            currency = self.env.ref(f"base.{name}")
            currency.active = True
            agreement = self._create_agreement(
                currency_id=currency.id,
                lines=[{"plan_id": plan.id, "price_unit": price}],
                start_date=date(2027, 1, 12),
            )
            self._run(date(2027, 1, 12))
            amounts[name] = agreement.period_ids.amount
        self.assertEqual(amounts, {"JPY": 645.0, "KWD": 6.452})

    def test_price_of_a_month_billed_by_the_quarter(self):
        plan = self._create_plan(interval_count=3)
        self._create_agreement(
            lines=[{"plan_id": plan.id, "price_unit": 10.0, "price_plan_unit": "month"}]
        )
        invoice = self._run(date(2027, 1, 1))
        self.assertEqual(invoice.amount_untaxed, 30.0)

    def test_edited_plan_never_moves_running_periods(self):
        agreement = self._create_agreement()
        self._run(date(2027, 1, 1))
        self.monthly.interval_count = 3
        self.assertEqual(agreement.line_ids.interval_count, 1)
        self.assertEqual(len(self._run(date(2027, 2, 1))), 1)

    def test_unconfigured_line_cannot_start(self):
        agreement = self._create_agreement(start=False, plan_id=False)
        with self.assertRaisesRegex(UserError, "choose a billing cycle"):
            agreement.with_user(self.clerk).action_start()

    def test_what_another_system_billed_is_covered(self):
        agreement = self._create_agreement(
            start_date=date(2025, 1, 1), billed_until=date(2026, 12, 31)
        )
        self.assertEqual(len(agreement.period_ids), 24)
        self.assertEqual(set(agreement.period_ids.mapped("status")), {"covered"})
        invoice = self._run(date(2027, 1, 1))
        self.assertEqual(invoice.invoice_line_ids.billing_date_from, date(2027, 1, 1))

    def test_billing_date_stays_where_the_plan_says_so(self):
        plan = self._create_plan(invoice_date_mode="billing_date")
        self._create_agreement(plan_id=plan.id, start_date=date(2026, 11, 1))
        self.assertEqual(
            self._run(date(2027, 1, 1)).mapped("invoice_date"),
            [date(2026, 11, 1), date(2026, 12, 1), date(2027, 1, 1)],
        )

    def test_locked_books_move_the_invoice_date(self):
        self.company.hard_lock_date = date(2026, 11, 30)
        plan = self._create_plan(invoice_date_mode="billing_date")
        self._create_agreement(plan_id=plan.id, start_date=date(2026, 11, 1))
        self.assertEqual(
            self._run(date(2027, 1, 1)).mapped("invoice_date"),
            [date(2027, 1, 1), date(2026, 12, 1), date(2027, 1, 1)],
        )
