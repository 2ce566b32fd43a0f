from datetime import date, timedelta

from freezegun import freeze_time

from odoo.tests import tagged

from .agreement_common import AgreementCommon


@tagged("post_install", "-at_install")
@freeze_time("2027-01-01 12:00:00")
class TestAgreementCalendar(AgreementCommon):
    """Years of periods through the real run: nothing drifts, nothing is missed."""

    def _bill_until(self, agreement, day):
        with freeze_time(f"{day} 12:00:00"):
            agreement.generate_invoices()
        self.env.flush_all()
        return agreement.period_ids.sorted("date_from")

    def test_ten_years_from_the_31st_never_drift(self):
        agreement = self._create_agreement(start_date=date(2023, 8, 31))
        rows = self._bill_until(agreement, date(2033, 8, 30))
        starts = rows.mapped("date_from")
        self.assertEqual(len(starts), 120)
        self.assertIn(date(2024, 2, 29), starts)
        self.assertIn(date(2025, 2, 28), starts)
        self.assertIn(date(2028, 2, 29), starts)
        self.assertEqual({day.day for day in starts if day.month in (1, 3, 5)}, {31})
        self.assertEqual(rows.mapped("date_to"), [*starts[1:], date(2033, 8, 31)])
        self.assertEqual(set(rows.mapped("factor")), {"1"})

    def test_ten_years_of_last_days(self):
        plan = self._create_plan(anchor_mode="end_of_month")
        agreement = self._create_agreement(
            plan_id=plan.id, start_date=date(2023, 2, 28)
        )
        rows = self._bill_until(agreement, date(2033, 2, 27))
        self.assertEqual(len(rows), 120)
        for row in rows:
            self.assertNotEqual(
                (row.date_from + timedelta(days=1)).month, row.date_from.month
            )

    def test_leap_day_years(self):
        plan = self._create_plan(interval_unit="year")
        agreement = self._create_agreement(
            plan_id=plan.id, start_date=date(2024, 2, 29)
        )
        rows = self._bill_until(agreement, date(2033, 1, 1))
        self.assertEqual(
            [(day.month, day.day) for day in rows.mapped("date_from")],
            [(2, 29 if year % 4 == 0 else 28) for year in range(2024, 2033)],
        )

    def test_daily_runs_and_one_late_run_bill_the_same(self):
        weekly = self._create_plan(interval_unit="week", interval_count=2)
        daily, late = (
            self._create_agreement(plan_id=weekly.id, price_unit=10.0)
            for _number in range(2)
        )
        for offset in range(0, 90, 3):
            self._bill_until(daily, date(2027, 1, 1) + timedelta(days=offset))
        self._bill_until(late, date(2027, 3, 29))
        billed = [
            sorted((row.date_from, row.amount) for row in agreement.period_ids)
            for agreement in (daily, late)
        ]
        self.assertEqual(*billed)
        self.assertEqual(len(billed[0]), 7)

    def test_daylight_saving_changes_no_day(self):
        """The day that lacks an hour, and the one that has one more, count as days."""
        self.account.billing_tz = "America/New_York"
        daily = self._create_plan(interval_unit="day")
        agreement = self._create_agreement(
            plan_id=daily.id, start_date=date(2027, 3, 12), end_date=date(2027, 3, 16)
        )
        self.assertEqual(len(self._run(date(2027, 3, 14), hour=4)), 2)
        self.assertEqual(len(self._run(date(2027, 3, 15), hour=3)), 1)
        self.assertEqual(len(self._run(date(2027, 3, 15), hour=4)), 1)
        self._run(date(2027, 3, 20))
        self.assertEqual(len(agreement.period_ids), 5)

    def test_clock_set_back_bills_nothing_twice(self):
        self._create_agreement()
        self._run(date(2027, 2, 1))
        self.assertFalse(self._run(date(2027, 1, 1)))
        self.assertFalse(self._run(date(2027, 2, 2)))
        self.assertEqual(len(self._run(date(2027, 3, 1))), 1)


@tagged("post_install", "-at_install")
@freeze_time("2027-01-01 12:00:00")
class TestAgreementCompanies(AgreementCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.other = cls.env["res.company"].create(
            {"name": "Other", "country_id": cls.home.id}
        )
        cls.env["account.chart.template"].try_loading(
            "generic_coa", company=cls.other, install_demo=False
        )

    def test_each_company_bills_its_own_in_one_run(self):
        self._create_agreement()
        self.env["crm.billing.agreement"].with_company(self.other).create(
            {
                "company_id": self.other.id,
                "partner_id": self.account.id,
                "start_date": date(2027, 1, 1),
                "line_ids": [
                    (0, 0, {"product_id": self.product.id, "plan_id": self.monthly.id})
                ],
            }
        ).action_start()
        self.env.flush_all()
        invoices = self._run(date(2027, 1, 1))
        self.assertEqual(invoices.mapped("company_id"), self.company | self.other)
        for invoice in invoices:
            self.assertEqual(invoice.journal_id.company_id, invoice.company_id)
            self.assertEqual(
                invoice.invoice_line_ids.account_id.company_ids, invoice.company_id
            )

    def test_clerk_sees_agreements_of_own_companies_only(self):
        agreement = self._create_agreement(start=False)
        agreement.company_id = self.other
        self.env.flush_all()
        found = self.env["crm.billing.agreement"].with_user(self.clerk).search([])
        self.assertNotIn(agreement, found)
