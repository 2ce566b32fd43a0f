from datetime import date
from unittest.mock import patch

from odoo.exceptions import AccessError
from odoo.fields import Command
from odoo.tests import tagged
from odoo.tools import SQL

from .revenue_common import RevenueCommon

FLOWS = ("new", "expansion", "reactivation", "contraction", "churn", "currency")


@tagged("post_install", "-at_install")
class TestRevenueMonths(RevenueCommon):
    """From opening to closing, what is retained of it, and cohorts (7.4, 7.5)."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.names = ("opening", *FLOWS, "closing")

    @classmethod
    def _create_example(cls):
        """Create the example of the rules: what moves, moves in March."""
        accounts = {
            name: cls._create_account(name)
            for name in ("Stays", "Grows", "Shrinks", "Leaves", "Comes", "Returns")
        }
        cls._agree("2027-01-01", 1000.0, account=accounts["Stays"])
        cls._agree("2027-01-01", 600.0, account=accounts["Grows"])
        cls._agree("2027-03-09", 120.0, account=accounts["Grows"])
        cls._agree("2027-01-01", 585.0, account=accounts["Shrinks"])
        cls._agree("2027-01-01", 75.0, end="2027-03-20", account=accounts["Shrinks"])
        cls._agree("2027-01-01", 240.0, end="2027-03-14", account=accounts["Leaves"])
        cls._agree("2027-03-01", 310.0, account=accounts["Comes"])
        cls._agree("2027-01-01", 60.0, end="2027-01-31", account=accounts["Returns"])
        cls._agree("2027-03-31", 60.0, account=accounts["Returns"])
        return accounts

    def _read_group(self, groupby, aggregates, *domain, user=None):
        self.env.flush_all()
        report = self.months.with_user(user or self.clerk)
        return report._read_group(
            [("as_of", "=", "2027-12-31"), *domain], groupby, aggregates
        )

    def _read_sums(self, *domain, user=None):
        [sums] = self._read_group(
            [], [f"{name}:sum" for name in self.names], *domain, user=user
        )
        return dict(zip(self.names, sums, strict=True))

    # === HOW IT IS READ === #

    def test_queries_do_not_grow(self):
        """One query reads a report, however many accounts and months it has."""
        self._create_example()
        domain = [("as_of", "=", "2027-12-31")]
        months = ["opening:sum", "closing:sum", "net_retention:avg"]
        questions = [
            (self.months, ["date:month"], months),
            (self.months, ["date:quarter", "partner_id"], months),
            (self.movements, ["date:month", "kind"], ["amount:sum"]),
            (self.cohorts, ["cohort:month", "age"], ["retention:avg"]),
        ]
        self.env.flush_all()
        for report, groupby, aggregates in questions:
            report._read_group(domain, groupby, aggregates)
            with self.assertQueryCount(1):
                rows = report._read_group(domain, groupby, aggregates)
            self.assertGreater(len(rows), 1)

    def test_a_month_alone_and_among_others_say_the_same(self):
        """Groups of one month are plain sums, others look for their first and last."""
        self._create_example()
        sums = [f"{name}:sum" for name in self.names]
        domain = [("as_of", "=", "2027-12-31")]
        self.env.flush_all()
        alone = self.months._read_group(domain, ["date:month"], sums)
        _total, among = self.months._read_grouping_sets(
            domain, [[], ["date:month"]], sums
        )
        self.assertEqual(alone, among)
        self.assertGreater(len(alone), 1)

    # === THE EXAMPLE OF THE RULES === #

    def test_the_example_of_the_rules(self):
        accounts = self._create_example()
        mine = ("partner_id", "in", [account.id for account in accounts.values()])
        march = ("date", "=", "2027-03-01")
        self.assertEqual(
            self._read_sums(mine, march),
            {
                "opening": 2500.0,
                "new": 310.0,
                "expansion": 120.0,
                "reactivation": 60.0,
                "contraction": -75.0,
                "churn": -240.0,
                "currency": 0.0,
                "closing": 2675.0,
            },
        )
        [(net, gross, before, after)] = self._read_group(
            [],
            ["net_retention:avg", "gross_retention:avg"]
            + ["opening_count:sum", "closing_count:sum"],
            mine,
            march,
        )
        self.assertAlmostEqual(float(net), 0.922)
        self.assertAlmostEqual(float(gross), 0.874)
        self.assertEqual((before, after), (4, 5))
        self._assert_ties(mine, as_of="2027-03-31")

    def test_the_accounts_behind_a_number(self):
        accounts = self._create_example()
        mine = ("partner_id", "in", [account.id for account in accounts.values()])
        march = ("date", "=", "2027-03-01")
        self.env.flush_all()
        for kind, name in {
            "new": "Comes",
            "expansion": "Grows",
            "reactivation": "Returns",
            "contraction": "Shrinks",
            "churn": "Leaves",
        }.items():
            rows = self.months.search(
                [mine, march, (kind, "!=", 0), ("as_of", "=", "2027-12-31")]
            )
            self.assertEqual(rows.partner_id, accounts[name], kind)
            action = rows.action_view_movements()
            moves = self.env[action["res_model"]].search(action["domain"])
            self.assertEqual(moves.mapped("kind"), [kind])

    def test_over_several_months_the_first_opens_and_the_last_closes(self):
        accounts = self._create_example()
        mine = ("partner_id", "in", [account.id for account in accounts.values()])
        year = self._read_sums(mine, ("date", ">=", "2027-03-01"))
        self.assertEqual(year["opening"], 2500.0)
        self.assertEqual(year["closing"], 2675.0)
        self.assertEqual(year["churn"], -240.0)
        [(arr, net)] = self._read_group(
            [], ["arr:sum", "net_retention:avg"], mine, ("date", ">=", "2027-03-01")
        )
        self.assertEqual(arr, 2675.0 * 12)
        self.assertAlmostEqual(float(net), 0.922)
        rows = dict(self._read_group(["partner_id"], ["closing:sum"], mine))
        self.assertEqual(rows[accounts["Leaves"]], 0.0)
        self.assertEqual(sum(rows.values()), 2675.0)

    def test_a_pivot_has_the_same_totals(self):
        accounts = self._create_example()
        mine = ("partner_id", "in", [account.id for account in accounts.values()])
        self.env.flush_all()
        sets = self.months.formatted_read_grouping_sets(
            [mine, ("as_of", "=", "2027-12-31")],
            [[], ["date:month"]],
            ["opening:sum", "closing:sum", "closing_count:sum", "net_retention:avg"],
        )
        [[total], months] = sets
        self.assertEqual(total["opening:sum"], 0.0)
        self.assertEqual(total["closing:sum"], 2675.0)
        self.assertEqual(total["closing_count:sum"], 5)
        self.assertFalse(total["net_retention:avg"], "nothing was there to retain")
        self.assertEqual(len(months), 12)
        self.assertEqual(months[-1]["closing:sum"], 2675.0)

    # === MONTHS === #

    def test_a_month_without_movement_repeats_the_value(self):
        self._agree("2027-01-10", end="2027-04-30")
        found = self._read_months(("opening", "new", "churn", "closing"))
        self.assertEqual(
            found,
            {
                "2027-01": (0.0, 100.0, 0.0, 100.0),
                "2027-02": (100.0, 0.0, 0.0, 100.0),
                "2027-03": (100.0, 0.0, 0.0, 100.0),
                "2027-04": (100.0, 0.0, 0.0, 100.0),
                "2027-05": (100.0, 0.0, -100.0, 0.0),
            },
        )

    def test_retention_of_nothing_is_undefined(self):
        self._agree("2027-01-10", end="2027-02-10")
        found = self._read_months(("net_retention", "gross_retention"))
        self.assertEqual(found["2027-01"], (False, False))
        self.assertEqual(found["2027-02"], (0.0, 0.0))

    def test_what_came_and_went_within_a_month_is_told(self):
        self._agree("2027-01-10", end="2027-01-20")
        found = self._read_months(("opening", "new", "churn", "closing"))
        self.assertEqual(found, {"2027-01": (0.0, 100.0, -100.0, 0.0)})

    def test_the_month_that_is_not_over_closes_on_the_day(self):
        self._agree("2027-01-10", end="2027-02-20")
        found = self._read_months(("closing",), as_of="2027-02-20")
        self.assertEqual(found["2027-02"], (100.0,))
        found = self._read_months(("closing",), as_of="2027-02-21")
        self.assertEqual(found["2027-02"], (0.0,))

    def test_the_currency_column_is_what_rates_did(self):
        money = self._create_money("CHF", d2026_12_01=1.10, d2027_02_28=1.08)
        self._agree("2027-01-01", price=250.0, currency_id=money.id)
        found = self._read_months(
            ("opening", "new", "currency", "closing", "closing_currency"),
            as_of="2027-03-31",
        )
        self.assertEqual(
            found,
            {
                "2027-01": (0.0, 275.0, 0.0, 275.0, 250.0),
                "2027-02": (275.0, 0.0, -5.0, 270.0, 250.0),
                "2027-03": (270.0, 0.0, 0.0, 270.0, 250.0),
            },
        )
        self._assert_ties(("date", ">=", "2027-02-01"), as_of="2027-03-31")

    def test_an_account_in_two_currencies_counts_once(self):
        money = self._create_money("CHF", d2026_12_01=2.0)
        self._agree("2027-01-01", price=100.0)
        self._agree("2027-02-01", price=50.0, currency_id=money.id)
        [(closing, count)] = self._read_group(
            [],
            ["closing:sum", "closing_count:sum"],
            ("partner_id", "=", self.account.id),
        )
        self.assertEqual((closing, count), (200.0, 1))

    # === COHORTS === #

    def test_cohorts_keep_those_who_left(self):
        stays = self._create_account("Stays")
        leaves = self._create_account("Leaves")
        self._agree("2027-01-10", 100.0, account=stays)
        self._agree("2027-03-05", 20.0, account=stays)
        self._agree("2027-01-25", 300.0, end="2027-02-09", account=leaves)
        self.env.flush_all()
        mine = ("partner_id", "in", (stays + leaves).ids)
        groups = self.cohorts._read_group(
            [mine, ("as_of", "=", "2027-04-30")],
            ["cohort:month", "age"],
            ["retention:avg", "account_retention:avg", "account_count:sum"],
        )
        self.assertEqual(
            [
                (age, float(kept), float(left), size)
                for _on, age, kept, left, size in groups
            ],
            [(0, 1.0, 1.0, 2), (1, 0.25, 0.5, 2), (2, 0.3, 0.5, 2), (3, 0.3, 0.5, 2)],
        )
        rows = self.cohorts.search([mine, ("as_of", "=", "2027-04-30")])
        self.assertEqual(set(rows.mapped("cohort")), {date(2027, 1, 1)})
        self.assertEqual(len(rows), 8)
        self._assert_ties(mine, as_of="2027-04-30")

    def test_rates_are_no_retention(self):
        money = self._create_money("CHF", d2026_12_01=1.0, d2027_02_01=3.0)
        self._agree("2027-01-01", price=100.0, currency_id=money.id)
        self.env.flush_all()
        rows = self.cohorts.search(
            [("partner_id", "=", self.account.id), ("as_of", "=", "2027-04-30")]
        )
        self.assertEqual(rows.mapped("retention"), [1.0] * 4)
        self._assert_ties(as_of="2027-04-30")

    def test_an_account_begins_once(self):
        """Coming back is no new cohort."""
        self._agree("2027-01-01", end="2027-01-31")
        self._agree("2027-03-01", price=150.0)
        self.env.flush_all()
        rows = self.cohorts.search(
            [("partner_id", "=", self.account.id), ("as_of", "=", "2027-03-31")],
            order="age",
        )
        self.assertEqual(rows.mapped("retention"), [1.0, 0.0, 1.5])

    # === PROOF === #

    def test_a_lost_event_is_red_and_named(self):
        kept = self._create_account("Kept")
        self._agree("2027-01-10", account=kept)
        lost = self._agree("2027-01-10", price=70.0)
        self.env.flush_all()
        mixin = self.env.registry["crm.billing.revenue.mixin"]
        select = mixin._select_events

        def forget(model, *args, **kwargs):
            return SQL(
                "SELECT * FROM (%s) event WHERE partner_id != %s",
                select(model, *args, **kwargs),
                self.account.id,
            )

        domain = [("partner_id", "in", (kept + self.account).ids)]
        domain.append(("as_of", "=", "2027-06-30"))
        for report in (self.movements, self.months):
            with patch.object(mixin, "_select_events", forget):
                # Filters choose accounts of the report, which lost one.
                [proof] = [
                    proof
                    for proof in report.get_tie_outs(domain[1:])
                    if not proof["ties"]
                ]
            self.assertEqual(proof["difference"], -70.0)
            model, ids = proof["documents"]
            self.assertEqual(self.env[model].browse(ids), lost)
            self.assertTrue(all(one["ties"] for one in report.get_tie_outs(domain)))

    def test_filters_that_choose_no_accounts_are_left_out_of_the_proof(self):
        self._agree("2027-01-10")
        self.env.flush_all()
        as_of = ("as_of", "=", "2027-06-30")
        for leaf in (
            ("kind", "=", "churn"),
            ("date", "in", ["2027-01-10", "2027-02-01"]),
        ):
            for proof in self.movements.get_tie_outs([as_of, leaf]):
                self.assertIn("without these filters", proof["label"])
                self.assertTrue(proof["ties"])
        for proof in self.movements.get_tie_outs([as_of, ("user_id", "!=", False)]):
            self.assertNotIn("without these filters", proof["label"])

    # === WHO SEES WHAT === #

    def test_salespeople_see_their_own_accounts(self):
        other = self._create_account(
            "Of another", user_id=self.users["other_seller"].id
        )
        self._agree("2027-01-10")
        self._agree("2027-01-10", account=other, user_id=self.users["other_seller"].id)
        self.env.flush_all()
        mine = ("partner_id", "in", (self.account + other).ids)
        as_of = ("as_of", "=", "2027-02-28")
        for name in ("report", "month.report", "cohort.report"):
            report = self.env[f"crm.billing.revenue.{name}"]
            for user, accounts in (
                (self.seller, self.account),
                (self.users["other_seller"], other),
                (self.clerk, self.account + other),
                (self.users["accountant"], self.account + other),
            ):
                found = report.with_user(user).search([mine, as_of])
                self.assertEqual(found.partner_id, accounts, (name, user.name))
            self.assertFalse(report.with_user(self.seller).get_tie_outs([as_of]))
            with self.assertRaises(AccessError):
                report.with_user(self.clerk).create({})

    def test_nobody_else_sees_anything(self):
        stranger = self.env["res.users"].create(
            {
                "name": "Stranger",
                "login": "revenue_stranger",
                "group_ids": [(6, 0, [self.env.ref("base.group_user").id])],
            }
        )
        for name in ("report", "month.report", "cohort.report"):
            with self.assertRaises(AccessError):
                self.env[f"crm.billing.revenue.{name}"].with_user(stranger).search([])

    def test_companies_are_apart(self):
        branch = self.env["res.company"].create({"name": "Elsewhere"})
        self._agree("2027-01-10")
        self.env["crm.billing.agreement"].create(
            {
                "partner_id": self.account.id,
                "company_id": branch.id,
                "start_date": date(2027, 1, 10),
                "line_ids": [
                    Command.create(
                        {
                            "product_id": self.product.id,
                            "price_unit": 7.0,
                            "plan_id": self.monthly.id,
                        }
                    )
                ],
            }
        ).action_start()
        self.assertEqual(self._read_movements(), [("2027-01-10", "new", 100.0)])

    # === SCREENS === #

    def test_each_screen_opens_with_its_filters(self):
        """What the search views offer is a domain that the report can answer."""
        self._agree("2027-01-10")
        self.env.flush_all()
        for name in ("report", "month.report", "cohort.report"):
            model = self.env[f"crm.billing.revenue.{name}"].with_user(self.clerk)
            views = model.get_views(
                [(False, kind) for kind in ("list", "pivot", "graph", "search")]
            )
            self.assertEqual(len(views["views"]), 4)
            facts = model.get_report_facts([("as_of", "=", "2027-06-30")])
            self.assertEqual(facts["dates"]["kind"], "day")
            self.assertTrue(facts["tie_outs"])
