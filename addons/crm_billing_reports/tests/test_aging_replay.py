import random
from datetime import date, timedelta
from decimal import Decimal

from freezegun import freeze_time

from odoo.tests import tagged

from ..report_rules import aging
from .aging_common import AgingCommon

FIRST = date(2027, 1, 1)
ACTS = 45
SEEDS = (7, 1999, 20271031)


@tagged("post_install", "-at_install")
@freeze_time("2027-12-31 12:00:00")
class TestAgingReplay(AgingCommon):
    """Of any ledger, the report says what replaying it entry by entry says."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.foreign = cls.env.ref("base.EUR")
        if cls.foreign == cls.company.currency_id:
            cls.foreign = cls.env.ref("base.GBP")
        cls.foreign.active = True
        cls.env["res.currency.rate"].create(
            [
                {
                    "name": FIRST + timedelta(days=30 * month),
                    "currency_id": cls.foreign.id,
                    "company_id": cls.company.id,
                    "inverse_company_rate": 1.1 + month * 0.013,
                }
                for month in range(12)
            ]
        )

    def test_random_ledgers(self):
        seen = set()
        for seed in SEEDS:
            with self.subTest(seed=seed):
                chance = random.Random(seed)
                account = self._create_account(f"Seed {seed}")
                for _number in range(ACTS):
                    self._act(chance, account)
                for _number in range(4):
                    as_of = FIRST + timedelta(days=chance.randrange(365))
                    seen |= self._compare(account, as_of)
                    self._assert_ties(as_of)
                    self._assert_overdue_ties(as_of)
        self.assertEqual(seen, set(aging.COLUMNS), "the ledgers say nothing of some")

    def _assert_overdue_ties(self, as_of):
        report = self._report(as_of, name="overdue").with_company(self.company)
        for proof in report.get_tie_outs([]):
            self.assertEqual(proof["difference"], 0, proof)

    # === AN ACT === #

    def _act(self, chance, account):
        """Post, pay, credit, match, unmatch or release something, on any day."""
        day = FIRST + timedelta(days=chance.randrange(300))
        act = chance.choices(
            [self._bill, self._pay, self._credit, self._apply, self._undo, self._free],
            [6, 3, 2, 4, 1, 1],
        )[0]
        act(chance, account, day)

    def _bill(self, chance, account, day):
        if chance.random() < 0.2:
            amount = chance.randint(1000, 90000) / 100
            due = day + timedelta(days=chance.randrange(90))
            self._create_retaining(day, amount, account=account, invoice_date_due=due)
            return
        money = chance.choice([self.foreign, self.company.currency_id])
        dues = sorted(
            (day + timedelta(days=chance.randrange(140))).isoformat()
            for _number in range(chance.randint(1, 3))
        )
        amounts = [chance.randint(100, 90000) / 100 for _due in dues]
        self._create_in(
            list(zip(dues, amounts, strict=True)),
            day.isoformat(),
            account=account,
            currency_id=money.id,
        )

    def _pay(self, chance, account, day):
        move = self._choose(chance, account, "out_invoice", is_open=True)
        if move and chance.random() < 0.7:
            amount = round(move.amount_residual * chance.uniform(0.1, 1), 2)
            self._pay_on(move, day, amount)
        else:
            self._create_payment(day, chance.randint(100, 9000) / 100, account)

    def _credit(self, chance, account, day):
        money = chance.choice([self.foreign, self.company.currency_id])
        amount = -chance.randint(100, 20000) / 100
        self._create_dated(day, amount, account=account, currency_id=money.id)

    def _apply(self, chance, account, _day):
        lines = self._lines(account).filtered(lambda line: not line.reconciled)
        debits = lines.filtered(lambda line: line.amount_residual > 0)
        credits = lines.filtered(lambda line: line.amount_residual < 0)
        if debits and credits:
            pair = chance.choice(debits) | chance.choice(credits)
            pair.reconcile()

    def _undo(self, chance, account, _day):
        lines = self._lines(account)
        lines = lines.filtered("matched_debit_ids")
        if lines:
            chance.choice(lines).remove_move_reconcile()

    def _free(self, chance, account, day):
        move = self._choose(chance, account, "out_invoice")
        if move and move.billing_retention_open:
            amount = round(move.billing_retention_open * chance.choice([0.5, 1]), 2)
            move.with_user(self.clerk).action_release_retention(amount, day)

    def _choose(self, chance, account, kind, is_open=False):
        moves = self._lines(account).move_id.filtered(
            lambda move: (
                move.move_type == kind and (not is_open or move.amount_residual > 1)
            )
        )
        return moves and chance.choice(moves.sorted("id"))

    def _lines(self, account):
        return self.env["account.move.line"].search(
            [
                ("partner_id", "child_of", account.id),
                ("account_id.account_type", "=", "asset_receivable"),
                ("parent_state", "=", "posted"),
            ],
            order="id",
        )

    # === COMPARE === #

    def _compare(self, account, as_of):
        lines = self._lines(account)
        parts = lines.matched_debit_ids | lines.matched_credit_ids
        replayed = {
            row.key: row
            for row in aging.replay(
                [self._to_item(line, line.balance) for line in lines],
                [self._to_matching(part, part.amount) for part in parts],
                as_of,
            )
        }
        # The same once more in the currency of each document.
        in_currency = {
            line.id: self._replay_currency(line, parts, as_of) for line in lines
        }
        rows = self._read(as_of, account)
        found = {
            row.id: (Decimal(str(row.total)), row.bucket, row.date_due and row.days)
            for row in rows
            if row.total
        }
        wanted = {
            key: (row.residual, row.column, False if row.days is None else row.days)
            for key, row in replayed.items()
        }
        self.assertEqual(found, wanted, as_of)
        for row in rows:
            self.assertEqual(Decimal(str(row.amount_currency)), in_currency[row.id])
        self._compare_sums(account, as_of, replayed.values())
        return {row.column for row in replayed.values()}

    def _compare_sums(self, account, as_of, replayed):
        sums = aging.add_up(replayed)
        columns = {column: amount for column, amount in sums.items() if amount}
        found = self._columns(as_of, account)
        for column in aging.COLUMNS:
            self.assertAlmostEqual(
                found.get(column, 0), float(columns.get(column, 0)), 2
            )

    def _to_item(self, line, amount):
        release = line.billing_release_id
        return aging.Item(
            line.id,
            line.date,
            line.date_maturity or None,
            Decimal(str(amount)),
            line.billing_is_retention or bool(release),
            release.date or None,
        )

    def _to_matching(self, part, amount):
        return aging.Matching(
            part.debit_move_id.id, part.credit_move_id.id, Decimal(str(amount))
        )

    def _replay_currency(self, line, parts, as_of):
        """Return what is open of one item in its own currency."""
        left = Decimal(str(line.amount_currency))
        for part in parts:
            if max(part.debit_move_id.date, part.credit_move_id.date) > as_of:
                continue
            if part.debit_move_id == line:
                left -= Decimal(str(part.debit_amount_currency))
            if part.credit_move_id == line:
                left += Decimal(str(part.credit_amount_currency))
        return left
