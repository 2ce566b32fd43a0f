from datetime import date

from freezegun import freeze_time

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
