from datetime import date

from freezegun import freeze_time

from odoo.exceptions import AccessError
from odoo.tests import tagged

from .agreement_common import AgreementCommon


@tagged("post_install", "-at_install")
@freeze_time("2027-01-01 12:00:00")
class TestAgreementInvoicing(AgreementCommon):
    """The run: what is due becomes drafts, once."""

    def test_first_month_is_prorated(self):
        plan = self._create_plan(anchor_mode="fixed_day", anchor_day=10)
        agreement = self._create_agreement(
            plan_id=plan.id, price_unit=62.0, start_date=date(2027, 3, 22)
        )
        invoice = self._run(date(2027, 3, 22))
        self.assertRecordValues(
            invoice.invoice_line_ids,
            [{"price_subtotal": 38.0, "quantity": 1, "price_unit": 38.0}],
        )
        self.assertIn("19 of 31 days", invoice.invoice_line_ids.name)
        self.assertEqual(agreement.next_invoice_date, date(2027, 4, 10))
        self.assertEqual(agreement.period_ids.factor, "19/31")

    def test_second_run_makes_nothing(self):
        self._create_agreement()
        self.assertEqual(len(self._run(date(2027, 1, 1))), 1)
        self.assertFalse(self._run(date(2027, 1, 1)))
        self.assertFalse(self._run(date(2027, 1, 31)))
        self.assertEqual(len(self._run(date(2027, 2, 1))), 1)

    def test_each_missed_period_has_its_invoice(self):
        weekly = self._create_plan(interval_unit="week")
        self._create_agreement(plan_id=weekly.id, start_date=date(2027, 6, 7))
        with freeze_time("2027-06-30 12:00:00"):
            invoices = self._run(date(2027, 6, 30))
            self.assertEqual(
                invoices.invoice_line_ids.mapped("billing_date_from"),
                [date(2027, 6, day) for day in (7, 14, 21, 28)],
            )
            self.assertEqual(set(invoices.mapped("invoice_date")), {date(2027, 6, 30)})
            self.assertFalse(self._run(date(2027, 6, 30)))

    def test_whole_period_prints_quantity_price_and_discount(self):
        self._create_agreement(price_unit=50.0, quantity=3, discount=10.0)
        line = self._run(date(2027, 1, 1)).invoice_line_ids
        self.assertRecordValues(
            line,
            [{"quantity": 3, "price_unit": 50, "discount": 10, "price_subtotal": 135}],
        )

    def test_advance_and_arrears_share_the_invoice_of_their_day(self):
        arrears = self._create_plan(timing="arrears")
        self._create_agreement(
            lines=[{"price_unit": 10.0}, {"price_unit": 20.0, "plan_id": arrears.id}]
        )
        first = self._run(date(2027, 1, 1))
        self.assertEqual(first.amount_untaxed, 10.0)
        second = self._run(date(2027, 2, 1))
        self.assertEqual(len(second), 1)
        self.assertRecordValues(
            second.invoice_line_ids,
            [
                {"price_subtotal": 20.0, "billing_date_from": date(2027, 1, 1)},
                {"price_subtotal": 10.0, "billing_date_from": date(2027, 2, 1)},
            ],
        )

    def test_one_off_rides_on_the_first_invoice(self):
        agreement = self._create_agreement(
            lines=[
                {"price_unit": 10.0},
                {"price_unit": 500.0, "billing_method": "one_off"},
                {
                    "price_unit": 70.0,
                    "billing_method": "one_off",
                    "start_date": date(2027, 1, 15),
                },
            ]
        )
        self.assertEqual(self._run(date(2027, 1, 1)).amount_untaxed, 510.0)
        self.assertFalse(self._run(date(2027, 1, 20)))
        self.assertEqual(self._run(date(2027, 2, 1)).amount_untaxed, 80.0)
        self.assertEqual(agreement.next_invoice_date, date(2027, 3, 1))

    def test_one_off_alone_is_billed_on_its_date(self):
        agreement = self._create_agreement(billing_method="one_off", price_unit=5.0)
        self.assertEqual(self._run(date(2027, 1, 1)).amount_untaxed, 5.0)
        self.assertFalse(self._run(date(2027, 1, 2)))
        self.assertFalse(agreement.next_invoice_date)

    def test_same_payer_and_day_is_one_invoice_with_a_section_each(self):
        both = self._create_agreement() | self._create_agreement(price_unit=20.0)
        invoice = self._run(date(2027, 1, 1))
        self.assertEqual(invoice.agreement_ids, both)
        self.assertEqual(
            invoice.invoice_line_ids.mapped("display_type"),
            ["line_section", "product", "line_section", "product"],
        )

    def test_other_terms_po_or_wish_keep_invoices_apart(self):
        self._create_agreement()
        self._create_agreement(po_number="PO-7")
        self._create_agreement(consolidate="no")
        self._create_agreement(
            payment_term_id=self.env.ref("account.account_payment_term_15days").id
        )
        self.assertEqual(len(self._run(date(2027, 1, 1))), 4)

    def test_account_decides_the_day(self):
        """At noon UTC of the 9th it is the 10th in Auckland, not in Honolulu."""
        east = self._create_account("East", billing_tz="Pacific/Auckland")
        west = self._create_account("West", billing_tz="Pacific/Honolulu")
        for account in east | west:
            self._create_agreement(
                partner_id=account.id, start_date=date(2027, 3, 10), lines=[{}]
            )
        with freeze_time("2027-03-09 12:00:00"):
            invoice = self._run(date(2027, 3, 9))
        self.assertEqual(invoice.commercial_partner_id, east)
        self.assertEqual(invoice.invoice_date, date(2027, 3, 10))
        with freeze_time("2027-03-10 12:00:00"):
            self.assertEqual(self._run(date(2027, 3, 10)).commercial_partner_id, west)

    def test_broken_agreement_keeps_its_reason_and_the_rest_is_billed(self):
        broken = self._create_agreement(
            partner_id=self._create_account("Held", billing_hold=True).id
        )
        sound = self._create_agreement()
        invoice = self._run(date(2027, 1, 1))
        self.assertEqual(invoice.agreement_ids, sound)
        self.assertIn("on billing hold", broken.billing_error)
        self.assertEqual(len(broken.activity_ids), 1)
        self.assertFalse(broken.period_ids)
        self.assertFalse(self._run(date(2027, 1, 2)))
        self.assertEqual(len(broken.activity_ids), 1)
        broken.partner_id.billing_hold = False
        self._wake()
        self.assertFalse(broken.billing_error)
        self.assertEqual(self._run(date(2027, 1, 2)).agreement_ids, broken)

    def test_many_periods_at_once_wait_for_a_person(self):
        self.company.billing_catch_up_limit = 3
        agreement = self._create_agreement(start_date=date(2026, 9, 1))
        self.assertFalse(self._run(date(2027, 1, 1)))
        self.assertTrue(agreement.is_catch_up_held)
        self.assertEqual(agreement.catch_up_count, 5)
        self.assertFalse(self._run(date(2027, 1, 2)))
        self.assertEqual(len(agreement.activity_ids), 1)
        agreement.with_user(self.clerk).action_confirm_catch_up()
        self.assertEqual(len(self._run(date(2027, 1, 2))), 5)

    def test_clerk_generates_and_seller_does_not(self):
        agreement = self._create_agreement()
        with self.assertRaisesRegex(AccessError, "billing clerk"):
            agreement.with_user(self.seller).generate_invoices()
        invoices = agreement.with_user(self.clerk).generate_invoices(
            until=date(2027, 2, 1)
        )
        self.assertEqual(
            invoices.mapped("invoice_date"), [date(2027, 1, 1), date(2027, 2, 1)]
        )
        self.assertFalse(agreement.with_user(self.clerk).generate_invoices())

    def test_preview_is_what_is_made_and_writes_nothing(self):
        agreement = self._create_agreement(price_unit=33.33, quantity=3)
        preview = agreement.with_user(self.clerk).preview_invoices(date(2027, 2, 15))
        self.assertFalse(agreement.period_ids)
        made = agreement.generate_invoices(until=date(2027, 2, 15))
        self.assertEqual(
            [(paper["date"], paper["total"]) for paper in preview],
            [(move.invoice_date, move.amount_total) for move in made],
        )

    def test_last_day_ends_the_agreement(self):
        agreement = self._create_agreement(end_date=date(2027, 2, 9), price_unit=28.0)
        self._run(date(2027, 1, 1))
        invoice = self._run(date(2027, 2, 1))
        self.assertEqual(invoice.invoice_line_ids.price_subtotal, 9.0)
        self.assertEqual(agreement.state, "running")
        with freeze_time("2027-02-10 12:00:00"):
            agreement._cron_refresh()
        self.assertEqual(agreement.state, "closed")

    def test_trial_days_are_free(self):
        agreement = self._create_agreement(trial_days=14, price_unit=31.0)
        self.assertFalse(self._run(date(2027, 1, 14)))
        invoice = self._run(date(2027, 1, 15))
        self.assertEqual(invoice.invoice_line_ids.price_subtotal, 31.0)
        self.assertEqual(agreement.next_invoice_date, date(2027, 2, 15))

    def test_posted_by_itself_where_the_agreement_says_so(self):
        self._create_agreement(invoice_mode="post")
        self.assertEqual(self._run(date(2027, 1, 1)).state, "posted")
