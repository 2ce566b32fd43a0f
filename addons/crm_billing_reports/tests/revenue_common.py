from datetime import date
from fractions import Fraction

from odoo import fields
from odoo.tools import SQL

from odoo.addons.crm_billing_handoff.billing_rules.allocation import exact, round_money
from odoo.addons.crm_billing_handoff.tests.change_common import ChangeCommon
from odoo.addons.crm_billing_handoff.tests.usage_common import UsageCommon

from ..report_rules.movement import replay


class RevenueCommon(ChangeCommon, UsageCommon):
    """Agreements of given days, and what the reports and the plain rule say of them."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.yearly = cls._create_plan(interval_unit="year")
        cls.movements = cls.env["crm.billing.revenue.report"].with_user(cls.clerk)
        cls.months = cls.env["crm.billing.revenue.month.report"].with_user(cls.clerk)
        cls.cohorts = cls.env["crm.billing.revenue.cohort.report"].with_user(cls.clerk)

    # === RECORDS === #

    @classmethod
    def _agree(cls, day, price=100.0, end=None, account=None, **values):
        """Return a running agreement from ``day`` on; line values may be given."""
        if account:
            values["partner_id"] = account.id
        return cls._create_agreement(
            start_date=fields.Date.to_date(day),
            end_date=fields.Date.to_date(end),
            price_unit=price,
            **values,
        )

    @classmethod
    def _create_money(cls, name, **rates):
        """Return another currency, with company amounts a unit: ``d2027_01_31=1.1``."""
        money = cls.env.ref(f"base.{name}")
        money.active = True
        money.rate_ids.unlink()
        cls.env["res.currency.rate"].create(
            [
                {
                    "name": date(*map(int, day[1:].split("_"))),
                    "currency_id": money.id,
                    "company_id": cls.company.id,
                    "inverse_company_rate": rate,
                }
                for day, rate in rates.items()
            ]
        )
        return money

    # === WHAT IS READ === #

    def _read_movements(self, account=None, as_of="2029-12-31"):
        """Return ``[(day, kind, amount)]`` of an account, what rates did last."""
        self.env.flush_all()
        rows = self.movements.search(
            [("partner_id", "=", (account or self.account).id), ("as_of", "=", as_of)],
        )
        self.assertEqual(len(set(rows.ids)), len(rows))
        found = [(str(row.date), row.kind, row.amount) for row in rows]
        return sorted(found, key=lambda row: (row[0], row[1] == "currency"))

    def _read_months(self, names, account=None, as_of="2029-12-31", domain=()):
        """Return ``{month: values}`` of an account, by ``2027-01``."""
        self.env.flush_all()
        account = account or self.account
        rows = self.months.search(
            [("partner_id", "=", account.id), ("as_of", "=", as_of), *domain],
            order="date, id",
        )
        return {f"{row.date:%Y-%m}": tuple(row[name] for name in names) for row in rows}

    def _assert_ties(self, *domain, as_of="2029-12-31"):
        self.env.flush_all()
        for report in (self.movements, self.months, self.cohorts):
            proofs = report.get_tie_outs([*domain, ("as_of", "=", as_of)])
            self.assertTrue(proofs, report._name)
            for proof in proofs:
                self.assertTrue(proof["ties"], proof)

    # === THE PLAIN RULE === #

    def _replay(self, account, until):
        """Return what the rule says of all lines of an account, as exact fractions."""
        lines = self.env["crm.billing.agreement.line"].search(
            [
                ("agreement_id.partner_id", "=", account.id),
                ("agreement_id.state", "!=", "draft"),
            ]
        )
        found = replay(
            [
                (day, self._get_values(lines, day))
                for day in self._get_days(lines)
                if day <= until
            ],
            self._get_rate,
            exact(self.company.currency_id.rounding),
        )
        return [(str(move.day), move.kind, float(move.amount)) for move in found]

    def _get_days(self, lines):
        """Return the days on which values or rates may change."""
        days = {line.start_date for line in lines if line.start_date}
        days |= {end for line in lines if line.start_date and (end := line._get_end())}
        rates = self.env["res.currency.rate"].search(
            [("currency_id", "in", lines.currency_id.ids)]
        )
        return sorted(days | {day for day in rates.mapped("name") if day > min(days)})

    def _get_values(self, lines, day):
        values = {}
        for line in lines:
            if line._counts_on(day):
                money = line.currency_id
                values[money] = values.get(money, Fraction(0)) + line._get_mrr()
        return {
            money: round_money(value, exact(money.rounding))
            for money, value in values.items()
        }

    def _get_rate(self, money, day):
        """Return company currency for one unit, from the rates as they are stored."""
        home = self.company.currency_id
        if money == home:
            return Fraction(1)
        return self._get_stored_rate(home, day) / self._get_stored_rate(money, day)

    def _get_stored_rate(self, money, day):
        """Return the last rate until the day, else the first one, else 1."""
        rates = self.env.execute_query(
            SQL(
                "SELECT name, rate::text FROM res_currency_rate"
                " WHERE currency_id = %s AND company_id = %s ORDER BY name",
                money.id,
                self.company.id,
            )
        )
        known = [rate for name, rate in rates if name <= day][-1:]
        known = known or [rate for _name, rate in rates[:1]]
        return Fraction(known[0]) if known else Fraction(1)
