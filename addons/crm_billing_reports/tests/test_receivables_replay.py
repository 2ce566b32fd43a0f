import random
from datetime import date, timedelta
from decimal import Decimal

from freezegun import freeze_time

from odoo.tests import tagged

from ..report_rules import aging
from ..report_rules.collections import Receivables, count_back, cut
from . import test_aging_replay

YEAR = (date(2027, 1, 1), date(2027, 12, 31))
FIGURES = ("opening", "sales", "closing", "not_due")
RATIOS = ("dso", "best_dso", "add", "cei")


@tagged("post_install", "-at_install")
@freeze_time("2027-12-31 12:00:00")
class TestReceivablesReplay(test_aging_replay.TestAgingReplay):
    """Of any ledger, each month says what replaying it entry by entry says."""

    def test_random_ledgers(self):
        """Override: the same ledgers, looked at month by month."""
        chance = random.Random(88)
        accounts = [self._create_account(f"Account {number}") for number in range(2)]
        for _number in range(test_aging_replay.ACTS):
            self._act(chance, chance.choice(accounts))
        self._match_across(*accounts)
        for unit in ("month", "quarter", None):
            for account in accounts:
                self._compare_unit(account, unit)
        proofs = self.env["crm.billing.receivable.report"].get_tie_outs(
            [("date", ">=", YEAR[0]), ("date", "<=", YEAR[1])]
        )
        self.assertEqual([proof["difference"] for proof in proofs], [0, 0, 0])

    def _match_across(self, one, other):
        """Let one account pay what the other owes."""
        money = self.company.currency_id
        debit = self._lines(one).filtered(
            lambda line: line.amount_residual > 0 and line.currency_id == money
        )[:1]
        self.assertTrue(debit)
        payment = self._create_payment(
            debit.date + timedelta(days=40), debit.amount_residual, other
        )
        (debit | self._receivable(payment.move_id)).reconcile()

    def _compare_unit(self, account, unit):
        names = [f"{name}:sum" for name in FIGURES]
        names += [f"{name}:avg" for name in (*RATIOS, "countback", "countback_over")]
        rows = self.env["crm.billing.receivable.report"]._read_group(
            [("partner_id", "=", account.id), ("date", ">=", YEAR[0])],
            [f"date:{unit}"] if unit else [],
            names,
        )
        found = {row[0] if unit else YEAR[0]: row[1 if unit else 0 :] for row in rows}
        checked = 0
        for one in cut(*YEAR, unit):
            wanted = self._replay_slice(account, one)
            if one.first not in found:
                self.assertFalse(any(wanted), one)
                continue
            checked += 1
            for name, ours, theirs in zip(names, found[one.first], wanted, strict=True):
                if theirs is None:
                    self.assertIs(ours, False, (one, name))
                else:
                    self.assertAlmostEqual(float(ours), float(theirs), 6, (one, name))
        self.assertTrue(checked)

    def _replay_slice(self, account, one):
        before = self._add_up(account, one.first - timedelta(days=1))
        after = self._add_up(account, one.last)
        owed = Receivables(
            one,
            opening=before["total"],
            sales=self._get_sales(account, one.first, one.last),
            closing=after["total"],
            not_due=after[aging.NOT_DUE] + after[aging.RETENTION],
        )
        back = owed.sales > 0 and count_back(
            owed.closing, self._get_months(account, one.last)
        )
        return [
            *(getattr(owed, name) for name in (*FIGURES, *RATIOS)),
            back.days if back and not back.is_more else None,
            back.days if back and back.is_more else None,
        ]

    def _add_up(self, account, as_of):
        lines = self._lines(account)
        parts = lines.matched_debit_ids | lines.matched_credit_ids
        everything = lines | parts.debit_move_id | parts.credit_move_id
        rows = aging.replay(
            [self._to_item(line, line.balance) for line in everything],
            [self._to_matching(part, part.amount) for part in parts],
            as_of,
        )
        own = set(lines.ids)
        return aging.add_up(row for row in rows if row.key in own)

    def _get_sales(self, account, first, last):
        moves = self._lines(account).move_id.filtered(
            lambda move: (
                move.move_type in ("out_invoice", "out_refund")
                and first <= move.date <= last
            )
        )
        amounts = moves.mapped("amount_total_signed")
        return sum((Decimal(str(amount)) for amount in amounts), Decimal(0))

    def _get_months(self, account, last):
        moves = self._lines(account).move_id.filtered(
            lambda move: move.move_type in ("out_invoice", "out_refund")
        )
        first = min(moves.mapped("date")).replace(day=1)
        return [
            (self._get_sales(account, one.first, one.last), one.days)
            for one in reversed(cut(first, last, "month"))
        ]
