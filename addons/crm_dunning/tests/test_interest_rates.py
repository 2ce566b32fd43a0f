from datetime import date
from decimal import Decimal

from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.fields import Command
from odoo.tests import tagged

from odoo.addons.crm_billing_handoff.tests.refusal_common import RefusalCommon

from .common import DunningCommon


@tagged("post_install", "-at_install")
class TestInterestRates(RefusalCommon, DunningCommon):
    """The table of statutory interest: what it knows, and that it never guesses."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.rates = cls.env["crm.dunning.interest.rate"]
        cls.country = cls.env.ref("base.fj")
        cls.first = cls._create_rate("2025-01-01", "2025-06-30", 9.0)
        cls.second = cls._create_rate("2025-07-01", "2025-12-31", 10.0)

    @classmethod
    def _create_rate(cls, first, last, percent, **values):
        return cls.rates.create(
            {
                "country_ids": [Command.set(cls.country.ids)],
                "date_from": first,
                "date_to": last,
                "percent": percent,
                "reference": f"{percent} from {first}",
                "source": "A test",
                **values,
            }
        )

    def _get(self, first, last, b2b=True):
        return self.rates._get_rates(
            self.country, date.fromisoformat(first), date.fromisoformat(last), b2b
        )

    def test_a_late_time_is_cut_where_the_rate_changes(self):
        self.assertEqual(
            self._get("2025-06-11", "2025-07-30"),
            [
                (date(2025, 6, 11), date(2025, 6, 30), Decimal("9")),
                (date(2025, 7, 1), date(2025, 7, 30), Decimal("10")),
            ],
        )
        self.assertEqual(
            self._get("2025-03-01", "2025-03-01"),
            [(date(2025, 3, 1), date(2025, 3, 1), Decimal("9"))],
        )

    def test_a_day_without_a_rate_is_an_error_that_names_it(self):
        with self._assert_refused(
            r"businesses in Fiji on 01/01/2026.*Statutory Interest", UserError
        ):
            self._get("2025-12-01", "2026-01-15")
        with self._assert_refused("12/31/2024", UserError):
            self._get("2024-12-31", "2025-01-15")
        with self._assert_refused("consumers in Fiji", UserError):
            self._get("2025-03-01", "2025-03-02", b2b=False)
        self.second.date_from = "2025-07-02"
        with self._assert_refused("07/01/2025", UserError):
            self._get("2025-06-01", "2025-07-30")

    def test_a_customer_without_country_is_told(self):
        with self._assert_refused("customer without country", UserError):
            self.rates._get_rates(
                self.env["res.country"], date(2025, 1, 1), date(2025, 1, 2), True
            )

    def test_a_rate_that_is_fixed_at_the_start_stays(self):
        self.first.fixing = "start"
        self.assertEqual(
            self._get("2025-06-11", "2026-03-31"),
            [(date(2025, 6, 11), date(2026, 3, 31), Decimal("9"))],
        )

    def test_an_archived_rate_does_not_count(self):
        self.first.active = False
        with self._assert_refused("03/01/2025", UserError):
            self._get("2025-03-01", "2025-03-02")

    def test_two_rates_on_one_day_are_refused(self):
        with self._assert_refused("two rates from 06/30/2025 on", ValidationError):
            self._create_rate("2025-06-30", "2025-06-30", 8.0)
        consumer = self._create_rate("2025-01-01", "2025-12-31", 5.0, b2b=False)
        self.assertEqual(self._get("2025-03-01", "2025-03-01", False)[0][2], Decimal(5))
        with self._assert_refused("two rates", ValidationError):
            consumer.b2b = True

    def test_a_rate_names_countries_and_a_sane_percentage(self):
        with self._assert_refused("Name the countries", ValidationError):
            self._create_rate("2027-01-01", "2027-01-31", 8.0, country_ids=[])
        for percent in (0.0, -1.0, 101.0):
            with self.subTest(percent), self.assertRaises(Exception) as caught:
                self._create_rate("2027-01-01", "2027-01-31", percent)
            self.assertIn("percent", str(caught.exception))

    def test_only_a_manager_keeps_the_table(self):
        for role in ("seller", "clerk", "accountant"):
            with self.subTest(role), self.assertRaises(AccessError):
                self.first.with_user(self.users[role]).percent = 1.0
        self.first.with_user(self.manager).percent = 8.5
        self.assertEqual(self._get("2025-03-01", "2025-03-01")[0][2], Decimal("8.5"))

    def test_the_shipped_rates_cover_two_years_without_a_gap(self):
        """Published rates of two half-years each, as the authorities print them."""
        known = {
            "base.nl": {"2024-03-01": "12.5", "2025-03-01": "11.15"},
            "base.be": {"2024-09-01": "12.5", "2025-09-01": "10.5"},
            "base.de": {"2024-09-01": "12.37", "2025-09-01": "10.27"},
            "base.uk": {"2024-03-01": "13.25", "2025-09-01": "12.25"},
        }
        for xmlid, rates in known.items():
            country = self.env.ref(xmlid)
            for day, percent in rates.items():
                day = date.fromisoformat(day)
                found = self.rates._get_rates(country, day, day, True)
                self.assertEqual(found, [(day, day, Decimal(percent))])
            whole = self.rates._get_rates(
                country, date(2024, 1, 1), date(2025, 12, 31), True
            )
            self.assertEqual(whole[-1][1], date(2025, 12, 31))
            with self.assertRaises(UserError):
                self.rates._get_rates(country, date(2023, 12, 31), date(2024, 1, 1))
