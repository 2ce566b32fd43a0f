from datetime import date

from odoo.exceptions import AccessError, UserError
from odoo.tests import Form, tagged

from .change_common import CHANGE_DAY, DECEMBER, NOVEMBER, ChangeCommon


@tagged("post_install", "-at_install")
class TestChangeFlow(ChangeCommon):
    """Preview, schedule, apply, refuse; pauses and discounts with an end."""

    # === PREVIEW === #

    def test_preview_shows_lines_tax_total_next_date_and_mrr(self):
        agreement = self._create_billed(NOVEMBER)
        with self._on(CHANGE_DAY):
            change = self._create_change(agreement, "price", price_unit=126.0)
            preview = change.action_preview()
        self.assertEqual(
            [
                (row["kind"], float(row["amount"]), float(row["tax"]))
                for row in preview["rows"]
            ],
            [("credit", -44.80, -4.48), ("charge", 67.20, 6.72)],
        )
        self.assertRecordValues(
            change,
            [
                {
                    "amount_credit": -44.80,
                    "amount_charge": 67.20,
                    "amount_untaxed": 22.40,
                    "amount_tax": 2.24,
                    "amount_total": 24.64,
                    "mrr_effect": 42.0,
                    "next_date": DECEMBER,
                }
            ],
        )

    def test_preview_writes_nothing(self):
        agreement = self._create_billed(NOVEMBER)
        before = (agreement.line_ids, agreement.period_ids, agreement.move_ids)
        with self._on(CHANGE_DAY):
            change = self._create_change(agreement, "price", price_unit=126.0)
            change.action_preview()
        self.env.flush_all()
        self.env.invalidate_all()
        after = (agreement.line_ids, agreement.period_ids, agreement.move_ids)
        self.assertEqual(before, after)
        self.assertFalse(agreement.line_ids.end_date)
        self.assertEqual(change.state, "draft")

    def test_what_was_seen_is_what_is_done(self):
        agreement = self._create_billed(NOVEMBER)
        with self._on(CHANGE_DAY):
            change = self._create_change(agreement, "price", price_unit=126.0)
            seen = change.action_preview()
            change.action_apply()
        self.assertEqual(change.applied_preview, seen)
        self.assertEqual(change.preview, seen)

    def test_apply_refuses_what_is_no_longer_true(self):
        agreement = self._create_billed(NOVEMBER)
        with self._on(CHANGE_DAY):
            change = self._create_change(agreement, "price", price_unit=126.0)
            change.action_preview()
        self._change(agreement, "quantity", CHANGE_DAY, quantity=3.0)
        with self._on(CHANGE_DAY):
            with self.assertRaisesRegex(UserError, "Look at the new preview"):
                change.action_apply()
            change.action_preview()
            change.action_apply()
        self.assertEqual(change.state, "applied")

    def test_form_remembers_what_the_clerk_saw(self):
        agreement = self._create_billed(NOVEMBER)
        with self._on(CHANGE_DAY):
            form = Form(
                self.changes.with_user(self.clerk).with_context(
                    default_agreement_id=agreement.id
                )
            )
            form.change_type = "price"
            form.price_unit = 126.0
            self.assertIn("67.20", form.preview_html)
            change = form.save()
            self.assertTrue(change.seen_digest)
        self._change(agreement, "quantity", CHANGE_DAY, quantity=3.0)
        with self._on(CHANGE_DAY), self.assertRaisesRegex(UserError, "new preview"):
            change.action_apply()

    def test_form_is_applied_as_it_was_seen(self):
        agreement = self._create_billed(NOVEMBER, lines=[{}, {"price_unit": 30.0}])
        with self._on(CHANGE_DAY):
            form = Form(
                self.changes.with_user(self.clerk).with_context(
                    default_agreement_id=agreement.id, default_change_type="quantity"
                )
            )
            form.line_ids.add(agreement.line_ids[1])
            form.quantity = 3.0
            change = form.save()
            change.action_apply()
        self.assertEqual(
            self._get_rows(agreement, "credit", "charge"),
            [("credit", -16.0), ("charge", 48.0)],
        )

    def test_problem_is_shown_before_it_is_refused(self):
        agreement = self._create_billed(NOVEMBER)
        change = self._create_change(agreement, "discount", CHANGE_DAY, discount=120.0)
        self.assertIn("between 0 and 100", change.preview_problem)
        with self.assertRaisesRegex(UserError, "between 0 and 100"):
            change.action_apply()

    # === SCHEDULE === #

    def test_future_change_is_applied_on_its_day(self):
        agreement = self._create_billed(NOVEMBER)
        change = self._change(
            agreement, "price", CHANGE_DAY, NOVEMBER, price_unit=126.0
        )
        self.assertEqual(change.state, "scheduled")
        self._apply_due(date(2027, 11, 17))
        self.assertEqual(change.state, "scheduled")
        self._apply_due(CHANGE_DAY)
        self.assertEqual(change.state, "applied")
        self.assertEqual(len(agreement.line_ids), 2)
        self._apply_due(CHANGE_DAY)
        self.assertEqual(len(agreement.line_ids), 2)

    def test_new_price_comes_before_the_invoice_of_its_day(self):
        agreement = self._create_billed(NOVEMBER)
        self._change(agreement, "price", DECEMBER, NOVEMBER, price_unit=126.0)
        self.assertEqual(self._get_printed(self._bill(DECEMBER)), [("recurring", 126)])

    def test_change_that_is_refused_on_its_day_stops_nobody(self):
        agreement = self._create_billed(NOVEMBER)
        change = self._change(agreement, "price", DECEMBER, NOVEMBER, price_unit=126.0)
        agreement.line_ids.price_unit = 126.0
        invoice = self._bill(DECEMBER)
        self.assertEqual(change.state, "refused")
        self.assertIn("nothing would change", change.problem)
        self.assertTrue(invoice)
        self.assertTrue(agreement.activity_ids)

    def test_scheduled_change_is_withdrawn_not_edited(self):
        agreement = self._create_billed(NOVEMBER)
        change = self._change(agreement, "price", DECEMBER, NOVEMBER, price_unit=126.0)
        with self.assertRaisesRegex(UserError, "no draft any more"):
            change.price_unit = 1.0
        change.action_withdraw()
        self.assertEqual(self._get_printed(self._bill(DECEMBER)), [("recurring", 84)])

    # === RIGHTS === #

    def test_only_billing_changes_agreements(self):
        agreement = self._create_billed(NOVEMBER)
        with self.assertRaises(AccessError):
            self._create_change(agreement, "price", CHANGE_DAY, user=self.seller)
        change = self._create_change(agreement, "price", CHANGE_DAY, price_unit=1.0)
        for role in ("seller", "accountant"):
            with self._on(CHANGE_DAY), self.assertRaises(AccessError):
                change.with_user(self.users[role]).action_apply()
        self.assertEqual(change.with_user(self.seller).amount_charge, 0.53)

    def test_state_is_no_field_to_type_in(self):
        agreement = self._create_billed(NOVEMBER)
        change = self._create_change(agreement, "price", CHANGE_DAY, state="applied")
        self.assertEqual(change.state, "draft")
        with self.assertRaisesRegex(AccessError, "with its buttons"):
            change.state = "applied"

    def test_applied_change_is_proof(self):
        agreement = self._create_billed(NOVEMBER)
        change = self._change(agreement, "price", CHANGE_DAY, price_unit=126.0)
        self.assertEqual(change.applied_uid, self.clerk)
        with self.assertRaisesRegex(UserError, "proof"):
            change.unlink()

    # === DRAFTS === #

    def test_credit_follows_a_draft_that_is_edited_before_posting(self):
        with self._on(NOVEMBER):
            agreement = self._create_agreement(start_date=NOVEMBER, price_unit=84.0)
            draft = self._run(NOVEMBER)
        self._change(agreement, "price", CHANGE_DAY, price_unit=126.0)
        draft.invoice_line_ids.price_unit = 60.0
        draft._set_reviewed()
        self._post(draft)
        self.assertEqual(self._get_rows(agreement, "credit"), [("credit", -32.0)])

    def test_deleted_draft_takes_its_credits_along(self):
        with self._on(NOVEMBER):
            agreement = self._create_agreement(start_date=NOVEMBER, price_unit=30.0)
            draft = self._run(NOVEMBER)
        self._change(agreement, "price", date(2027, 11, 15), price_unit=60.0)
        draft.unlink()
        self.assertFalse(agreement.period_ids)
        with self._on(CHANGE_DAY):
            moves = self._run(CHANGE_DAY)
        self.assertEqual(sum(moves.mapped("amount_untaxed")), 10.0 + 40.0)

    # === DISCOUNTS === #

    def test_discount_for_some_periods_ends_by_itself(self):
        agreement = self._create_billed(NOVEMBER, price=100.0)
        change = self._change(
            agreement,
            "discount",
            DECEMBER,
            discount=20.0,
            discount_until="periods",
            discount_periods=2,
        )
        self.assertEqual(change.new_line_ids.discount_last_day, date(2028, 2, 4))
        for day, amount in (
            (DECEMBER, 80.0),
            (date(2028, 1, 5), 80.0),
            (date(2028, 2, 5), 100.0),
        ):
            self.assertEqual(
                self._get_printed(self._bill(day)), [("recurring", amount)]
            )

    def test_end_of_a_discount_inside_a_period_is_a_change(self):
        agreement = self._create_billed(NOVEMBER, price=30.0)
        self._change(
            agreement,
            "discount",
            NOVEMBER,
            discount=50.0,
            discount_until="date",
            discount_last_day=date(2027, 11, 14),
        )
        self._apply_due(date(2027, 11, 15))
        billed = sum(amount for _kind, amount in self._get_rows(agreement))
        self.assertEqual(billed, 10 * 0.5 + 20 * 1.0)
        self.assertEqual(self._get_printed(self._bill(DECEMBER))[-1][1], 30.0)

    def test_discount_in_an_amount(self):
        agreement = self._create_billed(NOVEMBER, price=60.0, quantity=2.0)
        self._change(
            agreement,
            "discount",
            DECEMBER,
            discount_mode="amount",
            discount_amount=30.0,
        )
        self.assertEqual(self._get_printed(self._bill(DECEMBER)), [("recurring", 90.0)])
        self.assertEqual(agreement.line_ids[-1:]._get_mrr(), 90)

    def test_new_discount_replaces_the_end_of_the_old_one(self):
        agreement = self._create_billed(NOVEMBER, price=100.0)
        first = self._change(
            agreement,
            "discount",
            DECEMBER,
            discount=20.0,
            discount_until="periods",
            discount_periods=1,
        )
        self._change(agreement, "discount", date(2027, 12, 10), discount=10.0)
        ends = self.changes.search([("origin_id", "=", first.id)])
        self.assertEqual(ends.state, "cancelled")

    def test_end_of_a_discount_is_announced(self):
        agreement = self._create_billed(NOVEMBER, price=100.0)
        self._change(
            agreement,
            "discount",
            DECEMBER,
            discount=20.0,
            discount_until="periods",
            discount_periods=1,
        )
        self._apply_due(date(2027, 12, 28))
        activity = agreement.activity_ids.filtered(
            lambda activity: activity.summary == "A discount ends"
        )
        self.assertEqual(activity.user_id, self.seller)
        self._apply_due(date(2027, 12, 29))
        self.assertEqual(
            agreement.activity_ids.filtered(
                lambda activity: activity.summary == "A discount ends"
            ),
            activity,
        )

    def test_discount_agreed_at_the_start_ends_too(self):
        agreement = self._create_billed(
            NOVEMBER,
            price=100.0,
            discount=50.0,
            discount_last_day=date(2027, 12, 4),
        )
        self.assertEqual(agreement.change_ids.state, "scheduled")
        self.assertEqual(
            self._get_printed(self._bill(DECEMBER)), [("recurring", 100.0)]
        )

    def test_new_discount_replaces_the_one_agreed_at_the_start(self):
        agreement = self._create_billed(
            NOVEMBER,
            price=100.0,
            discount=50.0,
            discount_last_day=date(2027, 12, 4),
        )
        self._change(agreement, "discount", NOVEMBER, discount=25.0)
        self.assertEqual(
            self._get_printed(self._bill(DECEMBER))[-1], ("recurring", 75.0)
        )

    # === PAUSE === #

    def test_paused_agreement_ends_on_its_last_day(self):
        agreement = self._create_billed(NOVEMBER, end_date=date(2028, 1, 4))
        self._change(agreement, "pause", date(2027, 11, 15), pause_credit=False)
        with self._on(date(2028, 1, 5)):
            agreement._cron_refresh()
        self.assertEqual(agreement.state, "closed")

    def test_paused_days_are_given_back(self):
        agreement = self._create_billed(NOVEMBER, price=30.0)
        self._change(
            agreement,
            "pause",
            date(2027, 11, 15),
            resume_date=date(2027, 11, 25),
        )
        self.assertEqual(agreement.state, "paused")
        self.assertEqual(self._get_rows(agreement, "credit"), [("credit", -10.0)])
        self.assertEqual(agreement.mrr, 0.0)
        self._apply_due(date(2027, 11, 25))
        self.assertEqual(agreement.state, "running")
        self.assertEqual(
            self._get_printed(self._bill(DECEMBER)),
            [("credit", -10.0), ("recurring", 30.0)],
        )

    def test_pause_without_credit(self):
        agreement = self._create_billed(NOVEMBER, price=30.0)
        self._change(
            agreement,
            "pause",
            date(2027, 11, 15),
            resume_date=date(2027, 11, 25),
            pause_credit=False,
        )
        self.assertFalse(self._get_rows(agreement, "credit"))
        self.assertEqual(self._get_printed(self._bill(DECEMBER)), [("recurring", 30.0)])

    def test_pause_until_further_notice(self):
        agreement = self._create_billed(NOVEMBER, price=30.0)
        self._change(agreement, "pause", date(2027, 11, 15))
        self.assertEqual(self._get_rows(agreement, "credit"), [("credit", -20.0)])
        self._bill(DECEMBER)
        self._change(agreement, "resume", date(2027, 12, 25))
        self.assertEqual(agreement.state, "running")
        resumed = self._bill(date(2027, 12, 25))
        self.assertEqual(
            [
                amount
                for kind, amount in self._get_printed(resumed)
                if kind == "recurring"
            ],
            [10.65],  # 11 of 31 days, on the old grid
        )
        self.assertEqual(agreement.next_invoice_date, date(2028, 1, 5))

    def test_pause_can_move_the_end(self):
        agreement = self._create_billed(NOVEMBER, end_date=date(2028, 11, 4))
        self._change(
            agreement,
            "pause",
            date(2027, 11, 15),
            resume_date=date(2027, 11, 25),
            shift_end=True,
        )
        self.assertEqual(agreement.end_date, date(2028, 11, 14))

    def test_cancelling_after_a_pause_credits_each_day_once(self):
        agreement = self._create_billed(NOVEMBER, price=30.0, invoice_mode="post")
        self._change(
            agreement, "pause", date(2027, 11, 15), resume_date=date(2027, 11, 25)
        )
        self._change(agreement, "cancel", date(2027, 11, 29), policy="credit")
        self.assertEqual(
            sorted(self._get_rows(agreement, "credit")),
            [("credit", -10.0), ("credit", -5.0)],
        )
        billed = sum(amount for _kind, amount in self._get_rows(agreement))
        self.assertEqual(billed, 15.0)

    def test_changing_after_a_pause_charges_only_what_is_served(self):
        agreement = self._create_billed(NOVEMBER, price=30.0)
        self._change(
            agreement, "pause", date(2027, 11, 15), resume_date=date(2027, 11, 25)
        )
        self._apply_due(date(2027, 11, 25))
        self._change(agreement, "price", date(2027, 11, 30), price_unit=60.0)
        billed = sum(amount for _kind, amount in self._get_rows(agreement))
        self.assertEqual(billed, 10 + 5 + 5 * 2)

    def test_paused_arrears_are_billed_in_the_pause(self):
        plan = self._create_plan(timing="arrears")
        with self._on(NOVEMBER):
            agreement = self._create_agreement(
                start_date=NOVEMBER, price_unit=30.0, plan_id=plan.id
            )
        self._change(agreement, "pause", date(2027, 11, 15))
        self.assertEqual(agreement.state, "paused")
        self.assertEqual(
            self._get_printed(self._bill(date(2027, 11, 15))), [("recurring", 10.0)]
        )
