import random
from datetime import date, timedelta
from decimal import Decimal

from freezegun import freeze_time

from odoo import fields
from odoo.exceptions import UserError
from odoo.fields import Command
from odoo.tests import tagged

from ..report_rules import aging
from . import test_aging_replay

FIRST = test_aging_replay.FIRST
LAST = date(2027, 12, 31)
ACTS = 50
SEEDS = (3, 20270229)
# The same day is read where it has begun, and where it has not yet.
ZONES = ("Pacific/Kiritimati", "Pacific/Pago_Pago", "UTC")


@tagged("post_install", "-at_install")
@freeze_time("2027-12-31 12:00:00")
class TestLedgerReplay(test_aging_replay.TestAgingReplay):
    """Branches, write-offs, revaluations, locked periods, accounts that are merged or
    moved, and readers elsewhere: all reports still say what replaying says."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        branches = [
            {"name": f"Branch {number}", "parent_id": cls.company.id}
            for number in range(2)
        ]
        cls.companies = cls.company | cls.env["res.company"].create(branches)
        cls.env.cr.precommit.run()  # gives branches the accounts of their company
        cls.accountant = cls.users["accountant"]
        for user in (cls.accountant, cls.clerk):
            user.company_ids |= cls.companies
        cls.env = cls.env(
            context=dict(cls.env.context, allowed_company_ids=cls.companies.ids)
        )
        cls.place = cls.company
        cls.zone = "UTC"

    def test_random_ledgers(self):
        """Override: with what the plain ledgers of the other test have not."""
        seen, done = set(), set()
        for seed in SEEDS:
            with self.subTest(seed=seed):
                chance = random.Random(seed)
                accounts = [
                    self._create_account(f"Seed {seed} {number}") for number in range(3)
                ]
                locked = {}
                for number in range(ACTS):
                    done.add(self._try(chance, chance.choice(accounts)))
                    if number % 10 == 9:
                        self._count_tables()
                        self._lock(accounts, FIRST + timedelta(days=4 * number), locked)
                self._assert_unchanged(locked)
                accounts = self._join(accounts)
                days = [FIRST + timedelta(days=chance.randrange(365)), LAST]
                for as_of, zone in zip(days, chance.sample(ZONES, 2), strict=True):
                    type(self).zone = zone
                    for account in accounts:
                        seen |= self._compare(account, as_of)
                        self._compare_reports(account, as_of)
                    self._assert_ties(as_of)
                self._assert_reports_tie(accounts)
                self.companies.fiscalyear_lock_date = False
        self.assertEqual(seen, set(aging.COLUMNS), "the ledgers say nothing of some")
        self.assertGreaterEqual(done, {act.__name__ for act, _weight in self._acts()})

    # === AN ACT === #

    def _acts(self):
        return [
            (self._bill, 6),
            (self._pay, 3),
            (self._credit, 2),
            (self._apply, 5),
            (self._undo, 1),
            (self._free, 1),
            (self._write_off, 3),
            (self._revalue, 2),
        ]

    def _try(self, chance, account):
        """Do something on any day, in any branch; return what the ledger let through"""
        day = FIRST + timedelta(days=chance.randrange(300))
        type(self).place = chance.choice(self.companies)
        acts, weights = zip(*self._acts(), strict=True)
        [act] = chance.choices(acts, weights)
        try:
            with self.env.cr.savepoint():
                act(chance, account, day)
        except UserError:  # the day is locked, or nothing is left to match
            return None
        return act.__name__

    @classmethod
    def _create_dated(cls, day, amount, due=None, account=None, **values):
        """Override: in the branch of the act."""
        values.setdefault("company_id", cls.place.id)
        return super()._create_dated(day, amount, due, account, **values)

    def _create_payment(self, day, amount, account=None, **values):
        """Override: in the branch of the act."""
        values.setdefault("company_id", self.place.id)
        return super()._create_payment(day, amount, account, **values)

    def _write_off(self, chance, account, day):
        """Let a payment close more than it brings."""
        move = self._choose(chance, account, "out_invoice", is_open=True)
        if not move or move.billing_retention_open:
            return
        wizard = (
            self.env["account.payment.register"]
            .with_context(active_model="account.move", active_ids=move.ids)
            .create({"payment_date": max(day, move.date), "group_payment": True})
        )
        wizard.amount = round(wizard.amount * chance.uniform(0.5, 0.95), 2)
        wizard.payment_difference_handling = "reconcile"
        wizard.writeoff_account_id = move.invoice_line_ids.account_id[:1]
        wizard._create_payments()

    def _revalue(self, chance, account, day):
        """Book what the open items have become worth, and take it back later."""
        amount = chance.randint(-5000, 5000) / 100
        back = day + timedelta(days=chance.randrange(1, 40))
        other = self.company.expense_currency_exchange_account_id
        for when, sign in ((day, 1), (back, -1)):
            self._book_revaluation(account, when, sign * amount, other)

    def _book_revaluation(self, account, day, amount, other):
        receivable = account.with_company(self.company).property_account_receivable_id
        home = self.company.currency_id
        entry = self.env["account.move"].create(
            {
                "move_type": "entry",
                "company_id": self.place.id,
                "date": day,
                "line_ids": [
                    Command.create(
                        {
                            "account_id": receivable.id,
                            "partner_id": account.id,
                            "currency_id": self.foreign.id,
                            "amount_currency": 0,
                            "balance": amount,
                        }
                    ),
                    Command.create(
                        {
                            "account_id": other.id,
                            "currency_id": home.id,
                            "amount_currency": -amount,
                            "balance": -amount,
                        }
                    ),
                ],
            }
        )
        entry.action_post()

    def _count_tables(self):
        """Tell the planner what is there, as the database does by itself in time."""
        self.env.flush_all()
        self.env.cr.execute(
            "ANALYZE account_move, account_move_line, account_partial_reconcile,"
            " account_payment"
        )

    # === WHAT HAPPENS TO PERIODS AND ACCOUNTS === #

    def _lock(self, accounts, day, locked):
        """Close a period; what was owed at its end is that from then on."""
        self.company.fiscalyear_lock_date = day
        for account in accounts:
            locked[account, day] = self._get_total(account, day)

    def _assert_unchanged(self, locked):
        self.assertTrue(any(locked.values()))
        for (account, day), total in locked.items():
            self.assertAlmostEqual(self._get_total(account, day), total, 2, day)

    def _get_total(self, account, as_of):
        self.env.flush_all()
        return float(sum(self._columns(as_of, account).values()))

    def _join(self, accounts):
        """Merge the first account into the second, put the third below a new one."""
        first, second, third = accounts
        wizard = self.env["base.partner.merge.automatic.wizard"].create({})
        wizard._merge((first | second).ids, second)
        self.assertFalse(first.exists())
        holding = self._create_account(f"Holding of {third.name}")
        third.write({"is_company": False, "parent_id": holding.id})
        self.assertFalse(self._read(LAST, third))
        return [second, holding]

    # === COMPARE === #

    def _report(self, as_of, user=None, name="aging"):
        """Override: for a reader of all branches, wherever that is."""
        report = super()._report(as_of, user or self.accountant, name)
        self.accountant.tz = self.zone
        return report.with_context(tz=self.zone, allowed_company_ids=self.companies.ids)

    def _compare_reports(self, account, as_of):
        """What other reports have of the account is what the replay says."""
        lines = self._lines(account)
        parts = lines.matched_debit_ids | lines.matched_credit_ids
        sums = aging.add_up(
            aging.replay(
                [self._to_item(line, line.balance) for line in lines],
                [self._to_matching(part, part.amount) for part in parts],
                as_of,
            )
        )
        overdue = sum((sums[one.key] for one in aging.BUCKETS), Decimal(0))
        own = [("partner_id", "=", account.id)]
        late = self._report(as_of, name="overdue")._read_group(
            own, [], ["amount_company:sum"]
        )
        self.assertAlmostEqual(late[0][0] or 0.0, float(overdue), 2)
        period = [("date", ">=", FIRST.isoformat()), ("date", "<=", as_of.isoformat())]
        owed = self._report(False, name="receivable")._read_group(
            own + period, ["company_id", "currency_id"], ["closing:sum", "not_due:sum"]
        )
        closing = sum(row[2] for row in owed)
        not_due = sum(row[3] for row in owed)
        self.assertAlmostEqual(closing, float(sums["total"]), 2)
        waiting = sums[aging.NOT_DUE] + sums[aging.RETENTION]
        self.assertAlmostEqual(not_due, float(waiting), 2)

    def _assert_reports_tie(self, accounts):
        """Every report proves itself, and is the sum of its accounts."""
        self.env.flush_all()
        self.env.invalidate_all()
        for name, amount in (
            ("aging", "total"),
            ("overdue", "amount_company"),
            ("status", "amount_billed"),
            ("status", "amount_overdue"),
            ("history", "amount"),
            ("collection", "amount"),
        ):
            report = self._report(False, name=name)
            for proof in report.get_tie_outs([]):
                self.assertTrue(proof["ties"], (name, proof))
            groups = report._read_group([], ["partner_id"], [f"{amount}:sum"])
            sums = {account.id: found for account, found in groups}
            for account in accounts:
                self.assertIn(account.id, sums, name)
            [(total,)] = report._read_group([], [], [f"{amount}:sum"])
            self.assertAlmostEqual(sum(sums.values()), total, 2, name)

    # === TODAY === #

    def test_today_is_that_of_the_reader_and_a_given_day_is_nobodys(self):
        """At one instant it is three days around the world."""
        self._create_dated("2027-12-30", 100, due=date(2027, 12, 30))
        with freeze_time("2027-12-31 10:30:00"):
            for zone, today in (
                ("Pacific/Kiritimati", date(2028, 1, 1)),
                ("UTC", date(2027, 12, 31)),
                ("Pacific/Pago_Pago", date(2027, 12, 30)),
            ):
                with self.subTest(zone=zone):
                    type(self).zone = zone
                    row = self._report(False).search(
                        [("partner_id", "=", self.account.id)]
                    )
                    self.assertEqual(row.as_of, today)
                    self.assertEqual(row.days, (today - date(2027, 12, 30)).days)
                    row = self._report(False).search(
                        [
                            ("partner_id", "=", self.account.id),
                            ("as_of", "=", fields.Date.to_string(LAST)),
                        ]
                    )
                    self.assertEqual((row.as_of, row.days), (LAST, 1))
