from datetime import date

from odoo.fields import Command

from odoo.addons.crm_billing_handoff.tests.agreement_common import AgreementCommon

from .common import ReportsCommon

TODAY = "2027-06-15"


class ForecastCommon(ReportsCommon, AgreementCommon):
    """Forecasts of one account, from one day."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.product.taxes_id = [Command.clear()]
        cls.company.billing_forecast_months = 3
        cls.account.property_payment_term_id = cls.env.ref(
            "account.account_payment_term_immediate"
        )
        cls.forecasts = cls.env["crm.billing.forecast"].with_user(cls.clerk)
        cls.report = cls.env["crm.billing.forecast.report"].with_user(cls.clerk)

    def _forecast(self):
        self.env.flush_all()
        self.forecasts.action_forecast_now()
        self.env.invalidate_all()
        return self.forecasts.search(
            [("date", "=", TODAY), ("company_id", "=", self.company.id)]
        )

    def _sum(self, *measures, **values):
        """Return the sums of the account, from the newest forecast."""
        domain = [("partner_id", "=", self.account.id)]
        domain += [(name, "=", value) for name, value in values.items()]
        aggregates = [f"{measure}:sum" for measure in measures]
        [row] = self.report._read_group(domain, [], aggregates)
        return tuple(amount or 0.0 for amount in row)

    def _by_day(self, measure, **values):
        domain = [("partner_id", "=", self.account.id), (measure, "!=", 0)]
        domain += [(name, "=", value) for name, value in values.items()]
        rows = self.report.search(domain, order="date")
        return {row.date: row[measure] for row in rows}

    def _make_habit(self, *delays):
        """Have the account pay an instalment so many days late for each delay."""
        for number, days in enumerate(delays):
            due = date(2027, 1, 1 + number)
            move = self._create_dated(due, 10.0)
            self._pay_on(move, date.fromordinal(due.toordinal() + days))

    # === INVOICES === #
