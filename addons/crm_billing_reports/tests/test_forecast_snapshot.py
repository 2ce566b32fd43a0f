from datetime import date
from unittest.mock import patch

from freezegun import freeze_time

from odoo import fields
from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.fields import Command
from odoo.tests import tagged

from .forecast_common import TODAY, ForecastCommon


@tagged("post_install", "-at_install")
@freeze_time(f"{TODAY} 12:00:00")
class TestForecastSnapshot(ForecastCommon):
    """What will be invoiced, and when its money comes."""

    def test_an_agreement_is_expected_month_by_month(self):
        agreement = self._create_agreement(
            start_date=date(2027, 6, 20), price_unit=100.0
        )
        self._forecast()
        self.assertEqual(
            self._by_day("invoiced"),
            {
                date(2027, 6, 20): 100.0,
                date(2027, 7, 20): 100.0,
                date(2027, 8, 20): 100.0,
            },
        )
        self.assertEqual(self._by_day("cash", source="agreement"), self._by_day("cash"))
        self.assertFalse(agreement.period_ids)
        self.assertFalse(agreement.move_ids)

    def test_what_is_overdue_is_expected_today_and_on_hold_not_in_the_worst_case(self):
        self._create_agreement(
            start_date=date(2027, 5, 10), end_date=date(2027, 7, 9), price_unit=100.0
        )
        self._forecast()
        self.assertEqual(self._by_day("invoiced_low"), {date(2027, 6, 15): 200.0})
        self.account.billing_hold = True
        self._forecast()
        self.assertEqual(
            self._sum("invoiced_low", "invoiced", "invoiced_high"),
            (0.0, 200.0, 200.0),
        )

    def test_money_comes_with_tax_and_by_instalments(self):
        terms = self.env["account.payment.term"].create(
            {
                "name": "Half and half",
                "line_ids": [
                    Command.create(
                        {"value": "percent", "value_amount": 50.0, "nb_days": days}
                    )
                    for days in (0, 30)
                ],
            }
        )
        self.product.taxes_id = self.tax
        self._create_agreement(
            start_date=date(2027, 6, 20),
            end_date=date(2027, 7, 19),
            price_unit=100.0,
            payment_term_id=terms.id,
            lines=[{"tax_ids": [Command.set(self.tax.ids)]}],
        )
        self._forecast()
        self.assertEqual(self._sum("invoiced", "cash"), (100.0, 110.0))
        self.assertEqual(
            self._by_day("cash"), {date(2027, 6, 20): 55.0, date(2027, 7, 20): 55.0}
        )

    def test_money_comes_with_all_taxes_of_a_group(self):
        """As where a central and a state tax are one choice on the invoice."""
        group = self.tax.copy(
            {
                "name": "Central and state",
                "amount_type": "group",
                "children_tax_ids": [
                    Command.set(
                        [self.tax.copy({"name": name}).id for name in ("C", "S")]
                    )
                ],
            }
        )
        agreement = self._create_agreement(
            start_date=date(2027, 6, 20),
            end_date=date(2027, 7, 19),
            price_unit=100.0,
            lines=[{"tax_ids": [Command.set(group.ids)]}],
        )
        self._forecast()
        self.assertEqual(self._sum("invoiced", "cash"), (100.0, 120.0))
        with freeze_time("2027-06-20 12:00:00"):
            [move] = agreement.generate_invoices()
        self.assertEqual(move.amount_total, 120.0)

    def test_a_renewal_that_is_agreed_is_expected_one_to_be_decided_is_possible(self):
        values = {
            "start_date": date(2026, 7, 1),
            "end_date": date(2027, 6, 30),
            "billed_until": date(2027, 6, 30),
            "price_unit": 100.0,
        }
        agreement = self._create_agreement(renewal_policy="auto", **values)
        self._forecast()
        self.assertEqual(
            self._sum("invoiced_low", "invoiced", "invoiced_high", source="renewal"),
            (0.0, 300.0, 300.0),
        )
        agreement.renewal_policy = "ask"
        self._forecast()
        self.assertEqual(
            self._sum("invoiced", "invoiced_high", source="renewal"), (0.0, 300.0)
        )

    def test_a_renewal_is_worth_what_the_term_ends_with(self):
        """Not what runs today: lines may not have begun yet, or end before it."""
        self._create_agreement(
            start_date=date(2027, 7, 1),
            end_date=date(2027, 7, 31),
            renewal_policy="auto",
            price_unit=100.0,
        )
        self._create_agreement(
            start_date=date(2027, 6, 1),
            end_date=date(2027, 7, 31),
            billed_until=date(2027, 7, 31),
            renewal_policy="auto",
            lines=[
                {"price_unit": 7.0},
                {"price_unit": 40.0, "end_date": date(2027, 6, 30)},
            ],
        )
        self._forecast()
        self.assertEqual(
            self._sum("invoiced", "invoiced_high", source="renewal"), (214.0, 214.0)
        )

    def test_a_milestone_is_expected_on_its_day(self):
        phase = {"name": "Design", "kind": "percent", "weight": 100.0}
        agreement = self._create_agreement(
            lines=[
                {
                    "billing_method": "milestone",
                    "price_unit": 900.0,
                    "milestone_ids": [Command.create(phase)],
                }
            ],
            start_date=date(2027, 5, 1),
        )
        agreement.line_ids.milestone_ids.expected_date = date(2027, 7, 7)
        self._forecast()
        self.assertEqual(self._by_day("invoiced"), {date(2027, 7, 7): 900.0})
        self.assertEqual(self._sum("invoiced_low"), (0.0,))

    def test_coming_usage_is_the_average_of_the_last_three_periods(self):
        meter = self.env["crm.billing.meter"].create(
            {"name": "Calls", "code": "calls", "unit_price": 1.0}
        )
        agreement = self._create_agreement(
            lines=[{"billing_method": "usage", "meter_id": meter.id}],
            start_date=date(2027, 3, 1),
        )
        meter.record_usage(
            [
                {
                    "id": str(month),
                    "account": self.account.id,
                    "at": f"2027-0{month}-10",
                    "value": value,
                }
                for month, value in ((3, 60), (4, 90), (5, 120))
            ]
        )
        agreement.generate_invoices()
        self._forecast()
        self.assertEqual(
            self._sum("invoiced_low", "invoiced", "invoiced_high", source="usage"),
            # June, July and August are billed by the last day, 14 September; nothing
            # of them is measured yet.
            (0.0, 270.0, 360.0),
        )

    def test_a_draft_is_expected_today(self):
        self._create_invoice(amount=70.0, post=False, due="2027-07-01")
        self._forecast()
        self.assertEqual(self._by_day("invoiced"), {date(2027, 6, 15): 70.0})
        self.assertEqual(self._by_day("cash"), {date(2027, 7, 1): 70.0})
        self.assertEqual(self._sum("invoiced_low"), (0.0,))

    # === MONEY === #

    def test_open_items_come_as_late_as_the_payer_usually_pays(self):
        self._make_habit(0, 10, 20)
        self._create_dated("2027-06-01", 500.0, due="2027-06-20")
        self._forecast()
        self.assertEqual(self._by_day("cash_high"), {date(2027, 6, 20): 500.0})
        self.assertEqual(self._by_day("cash"), {date(2027, 6, 30): 500.0})
        self.assertEqual(self._by_day("cash_low"), {date(2027, 7, 10): 500.0})

    def test_the_habit_is_the_one_that_a_case_shows(self):
        self._make_habit(3, 8, 22, 0)
        self.env.flush_all()
        habits = self.env["crm.dunning.case"]._read_habits_of(self.account)
        expected = habits[self.account.id, self.company.id]
        forecast = self._forecast().sudo()
        delays = forecast._read_delays(self.account)[self.account.id]
        self.assertEqual(delays.count, expected.count)
        self.assertEqual(delays.usual, round(expected.days_late))
        self.assertEqual((delays.early, delays.late), (0, 22))

    def test_money_that_is_not_matched_pays_the_oldest_first(self):
        self._create_dated("2027-06-01", 100.0, due="2027-06-20")
        self._create_dated("2027-06-02", 100.0, due="2027-07-20")
        self._create_dated("2027-06-03", -130.0)
        self._forecast()
        self.assertEqual(self._sum("cash", "amount_open"), (70.0, 70.0))
        self.assertEqual([*self._by_day("cash")][0].month, 7)

    def test_a_dispute_is_in_the_best_case_only(self):
        move = self._create_dated("2027-06-01", 100.0, due="2027-06-20")
        move.action_start_dunning()
        self._get_case(move).action_dispute("Wrong quantity")
        self._forecast()
        self.assertEqual(self._sum("cash_low", "cash", "cash_high"), (0.0, 0.0, 100.0))

    # === WHAT HAPPENED === #

    def test_a_past_day_is_forecast_by_what_was_known_then(self):
        """Habits and payments of later do not count, nor does what opened later."""
        self._make_habit(10, 10, 10)
        early = self._create_dated("2027-03-01", 100.0, due="2027-03-20")
        self._create_dated("2027-03-10", 40.0, due="2027-03-20")
        self._pay_on(early, "2027-04-02")
        for number in range(3):
            later = self._create_dated(date(2027, 4, 1 + number), 10.0)
            self._pay_on(later, date(2027, 6, 1 + number))
        self.env.flush_all()
        past = self.forecasts.forecast_past("2027-03-05")
        self.assertEqual(past, self.forecasts.forecast_past("2027-03-05"))
        domain = [("partner_id", "=", self.account.id), ("as_of", "=", "2027-03-05")]
        rows = self.report.search([*domain, ("source", "=", "open")], order="date, id")
        self.assertEqual(
            [(row.date, row.cash, row.cash_actual) for row in rows if row.cash],
            [(date(2027, 3, 30), 100.0, 0.0)],
        )
        self.assertEqual(
            [(row.date, row.cash_actual) for row in rows if row.cash_actual],
            [(date(2027, 4, 2), 100.0)],
        )
        for proof in self.report.get_tie_outs(domain):
            self.assertEqual(proof["difference"], 0.0, proof["ledger_label"])
        action = self.forecasts.action_check_past()
        self.assertIn(("as_of", "=", date(2027, 5, 1)), action["domain"])
        with self.assertRaises(UserError):
            self.forecasts.forecast_past(TODAY)
        with self.assertRaises(AccessError):
            self.forecasts.with_user(self.seller).forecast_past("2027-03-05")

    # === THE JOB === #

    def test_the_job_makes_one_forecast_a_day_in_chunks_and_goes_on_where_it_was(self):
        for _number in range(3):
            self._create_agreement(start_date=date(2027, 6, 20), price_unit=100.0)
        self.env.flush_all()
        now = fields.Datetime.to_datetime("2027-06-15 02:00:00")
        with patch.object(
            type(self.env["ir.cron"]), "_commit_progress", side_effect=[9, 0]
        ):
            # Out of time after the first chunk.
            self.env["crm.billing.forecast"]._cron_forecast(now=now, chunk_size=1)
        first = self.forecasts.sudo().search([("company_id", "=", self.company.id)])
        self.assertEqual(first.state, "running")
        self.assertFalse(self._sum("invoiced")[0])
        with patch.object(
            type(self.env["ir.cron"]), "_commit_progress", return_value=9
        ):
            for _run in range(2):
                self.env["crm.billing.forecast"]._cron_forecast(now=now, chunk_size=1)
        self.assertEqual(
            self.forecasts.sudo().search([("company_id", "=", self.company.id)]), first
        )
        self.assertEqual(first.state, "done")
        self.assertEqual(self._sum("invoiced"), (900.0,))

    def test_a_broken_agreement_does_not_stop_the_others(self):
        good = self._create_agreement(
            start_date=date(2027, 6, 20), end_date=date(2027, 7, 19), price_unit=100.0
        )
        bad = self._create_agreement(start_date=date(2027, 6, 20))
        plan = type(self.env["crm.billing.agreement"])._plan_documents

        def fail(agreement, *args):
            if agreement.id == bad.id:
                raise ZeroDivisionError
            return plan(agreement, *args)

        with patch.object(
            type(self.env["crm.billing.agreement"]), "_plan_documents", fail
        ):
            forecast = self._forecast()
        self.assertGreaterEqual(forecast.broken_count, 1)
        self.assertEqual(forecast.state, "done")
        lines = self.env["crm.billing.forecast.line"].search(
            [("forecast_id", "=", forecast.id), ("invoiced", "!=", 0)]
        )
        self.assertIn(good, lines.agreement_id)
        self.assertNotIn(bad, lines.agreement_id)

    def test_old_forecasts_go_but_the_first_of_each_month(self):
        days = ["2027-02-01", "2027-02-02", "2027-03-05", "2027-06-10", "2024-01-01"]
        flow = self.forecasts.sudo()
        flow.search([]).unlink()
        flow.create(
            [
                {
                    "company_id": self.company.id,
                    "date": day,
                    "date_until": day,
                    "state": "done",
                }
                for day in days
            ]
        )
        flow._gc_forecasts()
        self.assertEqual(
            flow.search([], order="date").mapped(lambda one: str(one.date)),
            ["2027-02-01", "2027-03-05", "2027-06-10"],
        )

    # === RIGHTS === #

    def test_only_billing_makes_one_and_sales_sees_own_accounts(self):
        self._create_agreement(start_date=date(2027, 6, 20), price_unit=100.0)
        other = self._create_account("Southwind", user_id=self.users["other_seller"].id)
        self._create_agreement(
            start_date=date(2027, 6, 20),
            partner_id=other.id,
            user_id=self.users["other_seller"].id,
        )
        self._forecast()
        with self.assertRaises(AccessError):
            self.forecasts.with_user(self.seller).action_forecast_now()
        mine = self.report.with_user(self.seller).search([])
        self.assertEqual(mine.partner_id, self.account)
        self.assertEqual(self.report.with_user(self.seller).get_tie_outs([]), [])
        for model in ("crm.billing.forecast", "crm.billing.forecast.line"):
            with self.assertRaises(AccessError):
                self.env[model].with_user(self.manager).create({})

    def test_a_horizon_of_nothing_is_refused(self):
        with self.assertRaises(ValidationError):
            self.company.billing_forecast_months = 0
