from datetime import date

from odoo.fields import Command
from odoo.tests import tagged

from odoo.addons.crm_billing_handoff.billing_rules.mrr import monthly

from .revenue_common import RevenueCommon


@tagged("post_install", "-at_install")
class TestRevenueMovements(RevenueCommon):
    """What is a movement of an account, of which kind, and on which day."""

    # === THE LIFE OF AN ACCOUNT === #

    def test_the_life_of_an_account(self):
        agreement = self._agree("2027-01-10")
        self._change(agreement, "price", date(2027, 3, 1), price_unit=150.0)
        self._change(agreement, "quantity", date(2027, 5, 20), quantity=0.8)
        self._change(
            agreement,
            "cancel",
            date(2027, 7, 31),
            today=date(2027, 7, 5),
            policy="none",
        )
        self._agree("2027-11-01", price=80.0)
        self.assertEqual(
            self._read_movements(),
            [
                ("2027-01-10", "new", 100.0),
                ("2027-03-01", "expansion", 50.0),
                ("2027-05-20", "contraction", -30.0),
                ("2027-08-01", "churn", -120.0),
                ("2027-11-01", "reactivation", 80.0),
            ],
        )
        self._assert_ties()
        self._assert_ties(("date", ">=", "2027-04-01"), ("date", "<=", "2027-11-15"))

    def test_it_is_the_rule_of_agreements(self):
        agreement = self._agree("2027-01-10")
        self._change(agreement, "price", date(2027, 3, 1), price_unit=33.335)
        self._change(agreement, "price", date(2027, 4, 1), price_unit=33.334)
        self.assertEqual(
            self._read_movements(), self._replay(self.account, date(2029, 12, 31))
        )

    def test_a_cancelled_but_paid_term_churns_after_its_last_day(self):
        agreement = self._agree("2027-01-01", price=1200.0, plan_id=self.yearly.id)
        self._bill(date(2027, 1, 1))
        self._change(agreement, "cancel", date(2027, 4, 5), policy="end_of_period")
        self.assertEqual(
            self._read_movements(),
            [("2027-01-01", "new", 100.0), ("2028-01-01", "churn", -100.0)],
        )

    def test_one_of_two_lines_that_ends_is_a_contraction(self):
        self._agree("2027-01-01", price=60.0)
        self._agree("2027-01-01", price=40.0, end="2027-01-31")
        self.assertEqual(
            self._read_movements(),
            [("2027-01-01", "new", 100.0), ("2027-02-01", "contraction", -40.0)],
        )

    def test_a_day_has_one_movement(self):
        self._agree("2027-01-01", price=70.0, end="2027-03-14")
        self._agree("2027-03-15", price=45.0)
        self._agree("2027-03-15", price=35.0)
        self.assertEqual(
            self._read_movements(),
            [("2027-01-01", "new", 70.0), ("2027-03-15", "expansion", 10.0)],
        )

    def test_renewal_at_the_same_price_is_no_movement(self):
        agreement = self._agree("2027-01-01", end="2027-12-31")
        with self._on(date(2027, 12, 1)):
            agreement._renew()
        self.assertEqual(
            self._read_movements(as_of="2028-06-30"), [("2027-01-01", "new", 100.0)]
        )

    def test_a_pause_is_worth_nothing(self):
        agreement = self._agree("2027-01-01")
        self._change(agreement, "pause", date(2027, 3, 1))
        self._change(agreement, "resume", date(2027, 5, 1))
        self.assertEqual(
            self._read_movements(),
            [
                ("2027-01-01", "new", 100.0),
                ("2027-03-01", "churn", -100.0),
                ("2027-05-01", "reactivation", 100.0),
            ],
        )

    def test_a_trial_is_worth_nothing(self):
        self._agree("2027-01-01", trial_days=30)
        self.assertEqual(self._read_movements(), [("2027-01-31", "new", 100.0)])

    def test_a_draft_is_worth_nothing(self):
        self._agree("2027-01-01", start=False)
        self.assertEqual(self._read_movements(), [])

    # === DISCOUNTS === #

    def test_a_discount_that_ends_is_an_expansion(self):
        with self._on(date(2027, 1, 1)):
            agreement = self._agree(
                "2027-01-01", discount=25.0, discount_last_day=date(2027, 3, 31)
            )
        expected = [
            ("2027-01-01", "new", 75.0),
            ("2027-04-01", "expansion", 25.0),
        ]
        self.assertEqual(self._read_movements(), expected)
        self._assert_ties(as_of="2027-03-31")
        self._assert_ties(as_of="2027-04-01")
        self._apply_due(date(2027, 4, 1))
        self.assertEqual(
            len(agreement.line_ids), 2, "the job has not ended the discount"
        )
        self.assertEqual(self._read_movements(), expected)

    def test_a_discount_whose_end_was_withdrawn_goes_on(self):
        with self._on(date(2027, 1, 1)):
            agreement = self._agree(
                "2027-01-01", discount=25.0, discount_last_day=date(2027, 3, 31)
            )
            agreement.change_ids.with_user(self.clerk).action_withdraw()
        self.assertEqual(self._read_movements(), [("2027-01-01", "new", 75.0)])

    # === WHAT COUNTS === #

    def test_amounts_are_of_a_month(self):
        for unit, count, price, discount, expected in [
            ("month", 5, 450.0, 0.0, 90.0),
            ("week", 1, 18.0, 0.0, 78.0),
            ("day", 1, 3.0, 0.0, 91.25),
            ("year", 1, 1980.0, 10.0, 148.5),
        ]:
            with self.subTest(unit=unit):
                account = self._create_account(f"By the {unit}")
                plan = self._create_plan(interval_unit=unit, interval_count=count)
                self._agree(
                    "2027-01-01",
                    price,
                    account=account,
                    plan_id=plan.id,
                    discount=discount,
                )
                self.assertEqual(
                    self._read_movements(account), [("2027-01-01", "new", expected)]
                )

    def test_accounts_are_rounded_once(self):
        for _number in range(3):
            self._agree("2027-01-01", price=1000.0, plan_id=self.yearly.id)
        self.assertEqual(self._read_movements(), [("2027-01-01", "new", 250.0)])

    def test_a_price_may_be_stated_by_another_interval(self):
        quarterly = self._create_plan(interval_count=3)
        self._agree("2027-01-01", 40.0, plan_id=quarterly.id, price_plan_unit="month")
        self.assertEqual(self._read_movements(), [("2027-01-01", "new", 40.0)])

    def test_of_usage_the_minimum_counts_after_discount(self):
        self._create_usage_agreement(minimum=200.0, discount=10.0)
        self._record(self._event("one", 5000))
        self.assertEqual(self._read_movements(), [("2027-01-01", "new", 180.0)])

    def test_what_is_billed_once_does_not_count(self):
        self._agree(
            "2027-01-01",
            lines=[
                {"billing_method": "one_off", "price_unit": 500.0},
                {
                    "billing_method": "milestone",
                    "price_unit": 9000.0,
                    "milestone_ids": [
                        Command.create({"name": "Done", "weight": 100.0})
                    ],
                },
                {"billing_method": "flat", "price_unit": 20.0},
            ],
        )
        self.assertEqual(self._read_movements(), [("2027-01-01", "new", 20.0)])

    def test_days_that_are_billed_again_are_no_second_revenue(self):
        agreement = self._create_billed(date(2027, 1, 1), price=100.0)
        with self._on(date(2027, 1, 1)):
            agreement.move_ids._reverse_moves(cancel=True)
            debit = agreement.period_ids.filtered(lambda row: row.kind == "recurring")
            debit.with_user(self.clerk).action_bill_again()
        self.assertIn("rebill", agreement.line_ids.mapped("end_reason"))
        self.assertEqual(self._read_movements(), [("2027-01-01", "new", 100.0)])

    # === WHOSE IT IS === #

    def test_the_account_is_the_buyer_not_the_payer(self):
        payer = self._create_account("Holding")
        self._agree("2027-01-01", bill_to_id=payer.id)
        self.assertEqual(self._read_movements(payer), [])
        self.assertEqual(self._read_movements(), [("2027-01-01", "new", 100.0)])

    def test_a_merge_is_no_movement(self):
        other = self._create_account("The same, twice")
        self._agree("2027-01-01")
        self._agree("2027-04-01", price=30.0, account=other)
        before = sum(amount for _day, _kind, amount in self._read_movements())
        before += sum(amount for _day, _kind, amount in self._read_movements(other))
        with self._on(date(2027, 9, 9)):
            self.env["base.partner.merge.automatic.wizard"].sudo()._merge(
                (self.account | other).ids, self.account, extra_checks=False
            )
            self.env.invalidate_all()
        self.assertEqual(
            self._read_movements(),
            [("2027-01-01", "new", 100.0), ("2027-04-01", "expansion", 30.0)],
        )
        self.assertEqual(before, 130.0)

    def test_imported_history_counts(self):
        """What ran elsewhere began when it began; going live is no movement."""
        with self._on(date(2027, 6, 1)):
            self._agree("2025-02-15", end="2026-03-31", billed_until=date(2026, 3, 31))
            self._agree("2027-01-01", price=60.0, billed_until=date(2027, 5, 31))
        self.assertEqual(
            self._read_movements(),
            [
                ("2025-02-15", "new", 100.0),
                ("2026-04-01", "churn", -100.0),
                ("2027-01-01", "reactivation", 60.0),
            ],
        )

    def test_a_row_leads_to_its_agreement(self):
        agreement = self._agree("2027-01-01")
        row = self.movements.search(
            [("partner_id", "=", self.account.id), ("as_of", "=", "2027-01-01")]
        )
        action = row.action_view_agreements()
        self.assertEqual(action["res_model"], "crm.billing.agreement")
        self.assertEqual(action["res_id"], agreement.id)
        self.assertEqual(row.user_id, self.seller)

    # === CURRENCIES === #

    def test_a_rate_is_no_movement(self):
        money = self._create_money("CHF", d2027_01_01=1.10, d2027_02_10=1.08)
        self._agree("2027-01-01", price=250.0, currency_id=money.id)
        self.assertEqual(
            self._read_movements(),
            [("2027-01-01", "new", 275.0), ("2027-02-10", "currency", -5.0)],
        )
        rows = self.movements.search(
            [("partner_id", "=", self.account.id), ("as_of", "=", "2027-03-01")]
        )
        self.assertEqual(rows.mapped("mrr_currency"), [250.0, 250.0])
        self.assertEqual(set(rows.mapped("amount_currency")), {0.0, 250.0})
        self._assert_ties()
        self._assert_ties(("date", ">=", "2027-02-01"), ("date", "<=", "2027-02-28"))

    def test_movements_are_at_the_rate_of_their_day(self):
        money = self._create_money(
            "CHF", d2026_05_01=2.0, d2027_02_01=1.5, d2027_03_01=1.25
        )
        agreement = self._agree("2027-01-01", price=100.0, currency_id=money.id)
        self._change(agreement, "price", date(2027, 2, 1), price_unit=140.0)
        self._change(
            agreement,
            "cancel",
            date(2027, 3, 31),
            today=date(2027, 3, 2),
            policy="none",
        )
        self.assertEqual(
            self._read_movements(),
            [
                ("2027-01-01", "new", 200.0),
                ("2027-02-01", "expansion", 60.0),
                ("2027-02-01", "currency", -50.0),
                ("2027-03-01", "currency", -35.0),
                ("2027-04-01", "churn", -175.0),
            ],
        )
        self.assertEqual(
            self._read_movements(), self._replay(self.account, date(2029, 12, 31))
        )
        self._assert_ties()

    def test_two_currencies_make_one_movement(self):
        money = self._create_money("CHF", d2026_05_01=2.0)
        self._agree("2027-01-01", price=100.0, end="2027-02-28")
        self._agree("2027-03-01", price=70.0, currency_id=money.id)
        self._agree("2027-03-01", price=10.0)
        self.assertEqual(
            self._read_movements(),
            [("2027-01-01", "new", 100.0), ("2027-03-01", "expansion", 50.0)],
        )
        row = self.movements.search(
            [("partner_id", "=", self.account.id), ("kind", "=", "expansion")]
            + [("as_of", "=", "2029-12-31")]
        )
        self.assertEqual(row.currency_id, self.company.currency_id)
        self.assertEqual(row.amount_currency, 50.0)
        self.assertEqual(row.mrr_currency, 150.0)
        self._assert_ties()

    def test_rates_are_those_of_core(self):
        money = self._create_money("CHF", d2027_02_01=1.237, d2027_06_01=1.171)
        for number, day in enumerate(("2026-12-01", "2027-02-01", "2027-09-30")):
            account = self._create_account(f"Of {day}")
            self._agree(day, 99.99 + number, account=account, currency_id=money.id)
            amount = self._read_movements(account)[0][2]
            self.assertEqual(
                amount,
                money._convert(
                    99.99 + number,
                    self.company.currency_id,
                    self.company,
                    date.fromisoformat(day),
                ),
            )

    # === DAYS TO COME === #

    def test_days_to_come_are_not_told_unless_asked_for(self):
        self._agree("2027-01-01", end="2027-12-31")
        with self._on(date(2027, 6, 1)):
            found = self.movements.search([("partner_id", "=", self.account.id)])
            self.assertEqual(found.mapped("kind"), ["new"])
        self.assertEqual(
            self._read_movements(as_of="2028-01-01")[-1],
            ("2028-01-01", "churn", -100.0),
        )
        self.assertEqual(len(self._read_movements(as_of="2027-12-31")), 1)

    def test_units_of_the_rule_are_those_of_the_query(self):
        """Each unit of a cadence is priced as the plain rule prices it."""
        plans = dict(self.env["crm.billing.plan"]._fields["interval_unit"].selection)
        for unit in plans:
            account = self._create_account(f"Unit {unit}")
            plan = self._create_plan(interval_unit=unit, interval_count=7)
            self._agree("2027-01-01", 777.77, account=account, plan_id=plan.id)
            [(_day, _kind, amount)] = self._read_movements(account)
            self.assertAlmostEqual(amount, float(monthly(unit, 7, 77777)) / 100, 2)
