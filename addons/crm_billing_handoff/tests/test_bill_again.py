from datetime import date

from freezegun import freeze_time

from odoo.exceptions import AccessError, UserError
from odoo.fields import Command
from odoo.tests import tagged

from .change_common import ChangeCommon
from .usage_common import UsageCommon

JANUARY = date(2027, 1, 1)


@tagged("post_install", "-at_install")
class TestBillAgain(ChangeCommon):
    """What was given back is billed once more: once, and also after the end."""

    def _reverse(self, agreement, day=JANUARY):
        """Credit the invoice with a posted credit note; return the ledger row."""
        with self._on(day):
            agreement.move_ids._reverse_moves(cancel=True)
        return agreement.period_ids.filtered(lambda row: row.kind == "recurring")

    def _again(self, debit, user=None):
        with self._on(debit.date_from):
            debit.with_user(user or self.clerk).action_bill_again()
            self.env.flush_all()

    def test_a_second_click_is_refused(self):
        agreement = self._create_billed(JANUARY, price=100.0)
        debit = self._reverse(agreement)
        self._again(debit)
        with self.assertRaisesRegex(UserError, "billed again already"):
            self._again(debit)
        self.assertEqual(self._run(date(2027, 1, 15)).mapped("amount_untaxed"), [100.0])

    def test_days_billed_again_are_no_second_revenue(self):
        with self._on(JANUARY):
            agreement = self._create_billed(JANUARY, price=100.0)
            self._again(self._reverse(agreement))
            agreement._refresh_next_dates()
            self.assertEqual(agreement.mrr, 100.0)

    def test_days_billed_again_are_not_renewed_twice(self):
        agreement = self._create_billed(
            JANUARY, price=100.0, end_date=date(2027, 1, 31), renewal_count=1
        )
        self._again(self._reverse(agreement))
        with self._on(date(2027, 1, 20)):
            successor = agreement.with_user(self.clerk).action_renew()
        self.assertEqual(len(successor.line_ids), 1)

    def test_a_draft_credit_note_gives_nothing_back_yet(self):
        agreement = self._create_billed(JANUARY, price=100.0)
        with self._on(JANUARY):
            agreement.move_ids._reverse_moves()
        debit = agreement.period_ids.filtered(lambda row: row.kind == "recurring")
        with self.assertRaisesRegex(UserError, "posted credit notes"):
            self._again(debit)

    def test_days_that_a_change_charged_anew_are_not_billed_again(self):
        agreement = self._create_billed(JANUARY, price=100.0, invoice_mode="post")
        debit = agreement.period_ids
        self._change(
            agreement, "price", JANUARY, price_unit=150.0, proration_timing="now"
        )
        self.assertEqual(debit.credit_ids.status, "posted")
        with self.assertRaisesRegex(UserError, "only what was taken back"):
            self._again(debit)

    def test_clerk_of_another_company_is_kept_out(self):
        agreement = self._create_billed(JANUARY, price=100.0)
        debit = self._reverse(agreement)
        other = self.env["res.company"].create({"name": "Other"})
        stranger = self.clerk.copy(
            {
                "login": "billing_stranger",
                "company_id": other.id,
                "company_ids": [Command.set(other.ids)],
            }
        )
        with self.assertRaises(AccessError):
            self._again(debit, stranger)

    def test_ended_agreement_runs_once_more(self):
        agreement = self._create_billed(
            JANUARY, price=100.0, end_date=date(2027, 1, 31)
        )
        with self._on(date(2027, 2, 2)):
            agreement._cron_refresh()
        self.assertEqual(agreement.state, "closed")
        debit = self._reverse(agreement, date(2027, 2, 2))
        self._again(debit)
        with self._on(date(2027, 2, 2)):
            again = self._run(date(2027, 2, 2))
        self.assertEqual(again.mapped("amount_untaxed"), [100.0])
        self.assertEqual(agreement.state, "closed", "it ends again")

    def test_deleted_final_draft_is_due_again(self):
        with self._on(JANUARY):
            agreement = self._create_agreement(
                start_date=JANUARY, price_unit=100.0, end_date=date(2027, 1, 31)
            )
            draft = self._run(JANUARY)
        with self._on(date(2027, 2, 2)):
            agreement._cron_refresh()
            self.assertEqual(agreement.state, "closed")
            draft.with_user(self.clerk).unlink()
            self.assertEqual(len(self._run(date(2027, 2, 2))), 1)

    def test_deleted_final_credit_is_due_again(self):
        agreement = self._create_billed(JANUARY, price=310.0)
        self._change(agreement, "cancel", date(2027, 1, 11), policy="credit")
        with self._on(date(2027, 2, 2)):
            agreement._cron_refresh()
            self.assertEqual(agreement.state, "cancelled")
            note = agreement.move_ids.filtered(lambda move: move.state == "draft")
            note.with_user(self.clerk).unlink()
            again = self._run(date(2027, 2, 2))
        self.assertEqual(again.mapped("move_type"), ["out_refund"])
        self.assertEqual(again.amount_untaxed, 200.0)

    def test_reversal_credits_only_what_is_left(self):
        agreement = self._create_billed(JANUARY, price=310.0, invoice_mode="post")
        invoice = agreement.move_ids
        self._change(agreement, "cancel", date(2027, 1, 11), policy="credit")
        with self._on(date(2027, 1, 12)):
            reversal = invoice._reverse_moves()
            reversal.action_post()
        self.assertEqual(reversal.amount_untaxed, 110.0)
        self.assertEqual(sum(agreement.period_ids.mapped("amount")), 0.0)
        with self.assertRaisesRegex(UserError, "credited already"):
            invoice._reverse_moves()

    def test_reversal_that_posts_at_once_is_refused_after_a_credit(self):
        agreement = self._create_billed(JANUARY, price=310.0, invoice_mode="post")
        invoice = agreement.move_ids
        self._change(agreement, "cancel", date(2027, 1, 11), policy="credit")
        with self.assertRaisesRegex(UserError, "look at before posting"):
            invoice._reverse_moves(cancel=True)


@tagged("post_install", "-at_install")
class TestUsageAgain(UsageCommon):
    """Measured periods that are given back."""

    def test_usage_is_billed_again_with_its_minimum(self):
        agreement = self._create_usage_agreement(minimum=8.0)
        self._use(10)
        lines = self._bill("2027-02-01")
        self.assertEqual(sum(lines.mapped("price_subtotal")), 8.0)
        with freeze_time("2027-02-02 12:00:00"):
            lines.move_id._reverse_moves(cancel=True)
            debit = agreement.period_ids.filtered(lambda row: row.kind == "usage")
            debit.with_user(self.clerk).action_bill_again()
            self.env.flush_all()
            again = self._run(date(2027, 2, 2))
        self.assertEqual(again.amount_untaxed, 8.0)
        self.assertEqual(
            again.invoice_line_ids.mapped("billing_date_from"), [date(2027, 1, 1)]
        )
        self.assertEqual(
            self.env["crm.billing.usage"].search([]).line_id, debit.line_id
        )

    def test_late_usage_is_no_second_time_in_a_draft_made_anew(self):
        self._create_usage_agreement()
        self._use(10)
        with freeze_time("2027-02-01 12:00:00"):
            first = self._run(date(2027, 2, 1))
        self._use(4, at="2027-01-20T10:00:00Z", now="2027-02-10 12:00:00")
        with freeze_time("2027-03-01 12:00:00"):
            late = self._run(date(2027, 3, 1))
            first.with_user(self.clerk).unlink()
            anew = self._run(date(2027, 3, 1))
        with freeze_time("2027-04-01 12:00:00"):
            credit = self._run(date(2027, 4, 1))
        self.assertEqual(
            [move.amount_untaxed_signed for move in (late, anew, credit)],
            [2.0, 7.0, -2.0],
            "14 units cost 7.00",
        )
