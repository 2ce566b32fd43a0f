from datetime import date

from odoo.exceptions import AccessError, UserError
from odoo.tests import tagged

from .change_common import ChangeCommon

MARCH = date(2027, 3, 1)
NOVEMBER = date(2027, 11, 5)
ELEVENTH = date(2027, 3, 11)


@tagged("post_install", "-at_install")
class TestChangeCancel(ChangeCommon):
    """The end of a service: four policies, credit and refund (S10, 3.3)."""

    def _create_march(self, **values):
        return self._create_billed(MARCH, price=186.0, **values)

    def _pay_part(self, invoice, amount):
        with self._on(date(2027, 3, 5)):
            self._pay(invoice, amount)

    def _get_notes(self, agreement):
        return agreement.move_ids.filtered(lambda move: move.move_type == "out_refund")

    def test_end_of_period_is_the_default_and_costs_nothing(self):
        agreement = self._create_march()
        change = self._change(agreement, "cancel", ELEVENTH)
        self.assertEqual(change.policy, "end_of_period")
        self.assertEqual(agreement.end_date, date(2027, 3, 31))
        self.assertEqual(agreement.line_ids.end_date, date(2027, 3, 31))
        self.assertEqual(self._get_rows(agreement), [("recurring", 186.0)])
        self.assertFalse(agreement.next_invoice_date)
        self.assertEqual(agreement.state, "running", "until its last day")
        with self._on(date(2027, 4, 1)):
            agreement._cron_refresh()
        self.assertEqual(agreement.state, "cancelled")

    def test_each_line_ends_with_its_own_period(self):
        yearly = self._create_plan(interval_unit="year")
        agreement = self._create_march(lines=[{}, {"plan_id": yearly.id}])
        self._change(agreement, "cancel", ELEVENTH)
        self.assertEqual(
            agreement.line_ids.mapped("end_date"),
            [date(2027, 3, 31), date(2028, 2, 29)],
        )
        self.assertEqual(agreement.end_date, date(2028, 2, 29))

    def test_now_without_credit(self):
        agreement = self._create_march()
        self._change(agreement, "cancel", ELEVENTH, policy="none")
        self.assertEqual(agreement.end_date, ELEVENTH)
        self.assertEqual(self._get_rows(agreement), [("recurring", 186.0)])

    def test_now_with_credit_closes_the_open_invoice(self):
        agreement = self._create_march(invoice_mode="post")
        invoice = agreement.move_ids
        self._change(agreement, "cancel", ELEVENTH, policy="credit")
        note = self._get_notes(agreement)
        self.assertEqual(note.amount_total, 132.0)
        self.assertEqual(note.reversed_entry_id, invoice)
        self.assertEqual(note.state, "posted")
        self.assertEqual(invoice.amount_residual, 72.60)
        self.assertEqual(note.amount_residual, 0.0)

    def test_credit_rides_on_the_final_invoice(self):
        arrears = self._create_plan(timing="arrears")
        agreement = self._create_march(
            lines=[{}, {"plan_id": arrears.id, "price_unit": 620.0}]
        )
        self._change(agreement, "cancel", ELEVENTH, policy="credit")
        self.assertFalse(self._get_notes(agreement))
        final = self._bill(date(2027, 3, 12))
        self.assertEqual(
            self._get_printed(final), [("recurring", 220.0), ("credit", -120.0)]
        )

    def test_refund_gives_back_only_what_was_paid(self):
        agreement = self._create_march()
        invoice = agreement.move_ids
        self._pay_part(invoice, 100.0)
        change = self._change(
            agreement, "cancel", ELEVENTH, user=self.manager, policy="refund"
        )
        note = self._get_notes(agreement)
        self.assertEqual(note.amount_total, 132.0)
        self.assertEqual(invoice.amount_residual, 0.0, "closes 104.60")
        self.assertEqual(change.refund_amount, 27.40)
        self.assertEqual(change.payment_ids.amount, 27.40)
        self.assertEqual(change.payment_ids.payment_type, "outbound")
        self.assertEqual(change.refund_state, "done")
        self.assertEqual(note.amount_residual, 0.0)

    def test_refund_of_an_unpaid_invoice_pays_nothing(self):
        agreement = self._create_march()
        invoice = agreement.move_ids
        change = self._change(
            agreement, "cancel", ELEVENTH, user=self.manager, policy="refund"
        )
        self.assertFalse(change.payment_ids)
        self.assertEqual(invoice.amount_residual, 72.60)

    def test_refund_of_a_paid_invoice_gives_back_the_whole_credit(self):
        agreement = self._create_march()
        self._pay_part(agreement.move_ids, 204.60)
        change = self._change(
            agreement, "cancel", ELEVENTH, user=self.manager, policy="refund"
        )
        self.assertEqual(change.refund_amount, 132.0)

    def _create_changed(self, paid, **plan):
        """Return an agreement of 84.00, paid in part, that costs 126.00 since the 19th.

        Cancelled after the 24th, 14 days at 84.00 and 6 at 126.00 are used: 64.40.
        """
        plan = self._create_plan(**plan)
        agreement = self._create_billed(NOVEMBER, plan_id=plan.id)
        if paid:
            self._pay_part(agreement.move_ids, paid)
        self._change(agreement, "price", date(2027, 11, 19), price_unit=126.0)
        self._post(agreement.move_ids.filtered(lambda move: move.state == "draft"))
        return agreement

    def test_credit_meets_the_change_that_waits(self):
        agreement = self._create_changed(84.0)
        self._change(agreement, "cancel", date(2027, 11, 24), policy="credit")
        note = self._get_notes(agreement)
        self.assertEqual(note.amount_untaxed, 19.60)
        self.assertEqual(len(agreement.move_ids), 2, "no other document")

    def test_refund_meets_the_change_that_waits(self):
        agreement = self._create_changed(92.4)
        change = self._change(
            agreement,
            "cancel",
            date(2027, 11, 24),
            user=self.manager,
            policy="refund",
        )
        self.assertEqual(change.refund_amount, 21.56)

    def test_refund_of_what_an_earlier_invoice_brought(self):
        agreement = self._create_changed(92.4, proration_timing="now")
        change = self._change(
            agreement,
            "cancel",
            date(2027, 11, 24),
            user=self.manager,
            policy="refund",
        )
        self.assertEqual(self._get_notes(agreement).amount_untaxed, 42.0)
        self.assertEqual(change.refund_amount, 21.56)

    def test_what_is_open_on_the_earlier_invoice_is_not_paid_back(self):
        agreement = self._create_changed(40.0, proration_timing="now")
        change = self._change(
            agreement,
            "cancel",
            date(2027, 11, 24),
            user=self.manager,
            policy="refund",
        )
        self.assertFalse(change.payment_ids)

    def test_an_invoice_closed_by_a_credit_note_brought_no_money(self):
        agreement = self._create_march()
        invoice = agreement.move_ids
        gift = self.env["account.move"].create(
            {
                "move_type": "out_refund",
                "partner_id": invoice.partner_id.id,
                "invoice_date": MARCH,
                "invoice_line_ids": [
                    (0, 0, {"name": "Gift", "price_unit": 186.0, "tax_ids": self.tax})
                ],
            }
        )
        gift.action_post()
        gift._match_open_lines(invoice)
        self.assertEqual(invoice.amount_residual, 0.0)
        change = self._change(
            agreement, "cancel", ELEVENTH, user=self.manager, policy="refund"
        )
        self.assertFalse(change.payment_ids)
        self.assertEqual(self._get_notes(agreement).amount_residual, 132.0)

    def test_refund_needs_a_manager(self):
        agreement = self._create_march()
        change = self._create_change(agreement, "cancel", ELEVENTH, policy="refund")
        with self._on(ELEVENTH), self.assertRaisesRegex(AccessError, "billing manager"):
            change.action_apply()

    def test_cancelling_the_same_part_again_is_refused(self):
        agreement = self._create_march(invoice_mode="post")
        self._pay_part(agreement.move_ids, 204.60)
        self._change(agreement, "cancel", ELEVENTH, policy="credit")
        again = self._create_change(
            agreement, "cancel", ELEVENTH, user=self.manager, policy="refund"
        )
        with (
            self._on(ELEVENTH),
            self.assertRaisesRegex(UserError, "nothing is left to cancel|does not run"),
        ):
            again.action_apply()
        self.assertFalse(again.payment_ids)

    def test_applying_twice_refunds_once(self):
        agreement = self._create_march()
        self._pay_part(agreement.move_ids, 204.60)
        change = self._change(
            agreement, "cancel", ELEVENTH, user=self.manager, policy="refund"
        )
        change.action_apply()
        change.sudo()._pay_back()
        self.assertEqual(change.payment_ids.amount, 132.0)

    def test_preview_shows_last_day_credit_and_refund(self):
        agreement = self._create_march()
        self._pay_part(agreement.move_ids, 100.0)
        with self._on(ELEVENTH):
            change = self._create_change(agreement, "cancel", policy="refund")
            preview = change.action_preview()
        self.assertEqual(change.date, ELEVENTH, "today by default")
        self.assertEqual(preview["total"], "-132")
        self.assertEqual(preview["last_days"][0]["day"], "2027-03-11")
        self.assertEqual(
            {name: float(value) for name, value in preview["settlement"].items()},
            {"closes": 104.60, "refund": 27.40, "left_over": 0.0},
        )
        self.assertEqual(float(preview["mrr_effect"]), -186.0)
        self.assertIn("27.40", change.preview_html)

    def test_preview_shows_the_final_invoice(self):
        arrears = self._create_plan(timing="arrears")
        agreement = self._create_march(plan_id=arrears.id)
        with self._on(ELEVENTH):
            change = self._create_change(agreement, "cancel", policy="none")
            preview = change.action_preview()
        self.assertEqual([row["amount"] for row in preview["final"]], ["66.00"])
        self.assertEqual(float(preview["final_total"]), 72.60)

    def test_unbilled_arrears_are_billed_up_to_the_last_day(self):
        arrears = self._create_plan(timing="arrears")
        with self._on(MARCH):
            agreement = self._create_agreement(
                start_date=MARCH, price_unit=186.0, plan_id=arrears.id
            )
        self._change(agreement, "cancel", ELEVENTH, policy="none")
        final = self._bill(date(2027, 3, 12))
        self.assertEqual(self._get_printed(final), [("recurring", 66.0)])
        self.assertEqual(agreement.state, "cancelled")

    def test_pending_changes_are_billed_on_the_final_document(self):
        agreement = self._create_march()
        self._change(agreement, "price", date(2027, 3, 5), price_unit=310.0)
        self._change(agreement, "cancel", ELEVENTH, policy="none")
        final = self._bill(date(2027, 3, 12))
        self.assertEqual(
            self._get_printed(final), [("credit", -162.0), ("charge", 270.0)]
        )

    def test_payment_on_its_way_makes_the_refund_wait(self):
        agreement = self._create_march()
        invoice = agreement.move_ids
        everything = self.env(context={"active_test": False})
        method = everything["payment.method"].search([], limit=1)
        provider = everything["payment.provider"].search([], limit=1)
        transaction = self.env["payment.transaction"].create(
            {
                "provider_id": provider.id,
                "payment_method_id": method.id,
                "reference": "on its way",
                "amount": 204.60,
                "currency_id": invoice.currency_id.id,
                "partner_id": invoice.partner_id.id,
                "state": "pending",
                "invoice_ids": invoice.ids,
            }
        )
        change = self._change(
            agreement, "cancel", ELEVENTH, user=self.manager, policy="refund"
        )
        self.assertEqual(change.refund_state, "waiting")
        self.assertFalse(change.payment_ids)
        transaction.state = "cancel"
        self._apply_due(date(2027, 3, 12))
        self.assertEqual(change.refund_state, "done")
        self.assertFalse(change.payment_ids, "it never arrived")

    def test_draft_invoice_is_posted_or_deleted_first(self):
        with self._on(MARCH):
            agreement = self._create_agreement(start_date=MARCH, price_unit=186.0)
            self._run(MARCH)
        change = self._create_change(agreement, "cancel", ELEVENTH, policy="credit")
        with self._on(ELEVENTH), self.assertRaisesRegex(UserError, "still a draft"):
            change.action_apply()

    def test_cancelled_line_leaves_the_others_alone(self):
        agreement = self._create_march(lines=[{}, {"price_unit": 310.0}])
        gone, stays = agreement.line_ids
        self._change(agreement, "cancel", ELEVENTH, policy="credit", line_ids=gone.ids)
        self.assertEqual(gone.end_date, ELEVENTH)
        self.assertFalse(stays.end_date)
        self.assertFalse(agreement.cancel_date)
        self.assertEqual(
            self._get_printed(self._bill(date(2027, 4, 1))),
            [("credit", -120.0), ("recurring", 310.0)],
        )

    def test_cancelling_before_the_start_bills_nothing(self):
        with self._on(date(2027, 2, 10)):
            agreement = self._create_agreement(start_date=MARCH)
        self._change(agreement, "cancel", date(2027, 2, 10), policy="none")
        self.assertFalse(self._run(MARCH))

    def test_scheduled_changes_after_the_end_are_withdrawn(self):
        agreement = self._create_march()
        later = self._change(
            agreement, "price", date(2027, 4, 10), ELEVENTH, price_unit=200.0
        )
        self.assertEqual(later.state, "scheduled")
        self._change(agreement, "cancel", ELEVENTH)
        self.assertEqual(later.state, "cancelled")
