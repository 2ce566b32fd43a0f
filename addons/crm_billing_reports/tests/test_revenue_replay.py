import random
from datetime import date, timedelta

from odoo.fields import Command
from odoo.tests import tagged

from ..report_rules.movement import KINDS
from .revenue_common import RevenueCommon

FIRST = date(2026, 1, 1)
LAST = date(2028, 6, 30)
ACCOUNTS = 24
SEEDS = (11, 2027)
UNITS = ("day", "week", "month", "year")
# What a tie between two cents is made of, and what no decimal fraction is.
PRICES = (0.005, 0.06, 1.0, 7.77, 10.01, 33.333333, 99.995, 1000.0, 1234.567891)
QUANTITIES = (1, 1, 1, 2, 3, 0.5, 7.25, 0.333333)
DISCOUNTS = (0, 0, 0, 10, 12.5, 33.333333, 100)


@tagged("post_install", "-at_install")
class TestRevenueReplay(RevenueCommon):
    """Of any agreements, SQL says to the cent what the plain rule says in fractions."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.plans = {
            (unit, count): cls._create_plan(interval_unit=unit, interval_count=count)
            for unit in UNITS
            for count in (1, 2, 3, 7)
        }
        rates = {
            f"d{FIRST + timedelta(days=61 * number):%Y_%m_%d}": 0.9 + number * 0.0137
            for number in range(14)
        }
        cls.foreign = [cls._create_money("CHF", **rates)]
        cls.foreign.append(cls._create_money("JPY", d2026_03_01=0.0063))
        cls.accounts = [
            cls._create_account(f"Replayed {number}") for number in range(ACCOUNTS)
        ]

    def test_random_agreements(self):
        seen = set()
        for seed in SEEDS:
            chance = random.Random(seed)
            for account in self.accounts:
                self._create_random(chance, account)
        self.env.flush_all()
        for account in self.accounts:
            expected = self._replay(account, LAST)
            found = self._read_movements(account, as_of=str(LAST))
            self.assertEqual(found, expected, account.name)
            seen |= {kind for _day, kind, _amount in found}
        self.assertEqual(seen, set(KINDS), "the agreements say nothing of some")
        for day in ("2026-07-15", "2027-12-31", str(LAST)):
            self._assert_ties(as_of=day)
        self._assert_ties(("date", ">=", "2026-09-10"), ("date", "<=", "2027-08-20"))
        self._assert_ties(("partner_id", "in", [one.id for one in self.accounts[:5]]))
        self._assert_months_add_up()

    def _create_random(self, chance, account):
        """Create one or two agreements with lines that begin and end on any day."""
        for _number in range(chance.randint(1, 2)):
            lines = []
            for _line in range(chance.randint(1, 4)):
                start = FIRST + timedelta(days=chance.randrange(600))
                end = start + timedelta(days=chance.choice([0, 20, 90, 400]))
                plan = self.plans[chance.choice(UNITS), chance.choice([1, 1, 2, 3, 7])]
                lines.append(
                    {
                        "product_id": self.product.id,
                        "plan_id": plan.id,
                        "price_unit": chance.choice(PRICES),
                        "quantity": chance.choice(QUANTITIES),
                        "discount": chance.choice(DISCOUNTS),
                        "start_date": start,
                        "end_date": chance.choice([False, end, end]),
                    }
                )
            money = chance.choice([*self.foreign, *[self.company.currency_id] * 3])
            agreement = self.env["crm.billing.agreement"].create(
                {
                    "partner_id": account.id,
                    "start_date": FIRST,
                    "currency_id": money.id,
                    "line_ids": [Command.create(line) for line in lines],
                }
            )
            agreement.action_start()

    def _assert_months_add_up(self):
        """Each month opens with what the one before closed with, account by account."""
        names = ("opening", "closing", *KINDS)
        for account in self.accounts:
            rows = self.months.search(
                [("partner_id", "=", account.id), ("as_of", "=", str(LAST))],
                order="currency_id, date",
            )
            closings = {}
            for row in rows:
                values = {name: row[name] for name in names}
                total = values["opening"] + sum(values[kind] for kind in KINDS)
                self.assertAlmostEqual(total, values["closing"], 2)
                before = closings.get(row.currency_id, 0.0)
                self.assertAlmostEqual(values["opening"], before, 2)
                closings[row.currency_id] = values["closing"]
