from datetime import date

from freezegun import freeze_time

from odoo.fields import Command
from odoo.tests import tagged
from odoo.tools import SQL

from .aging_common import AgingCommon

DAY = "2027-10-31"


@tagged("post_install", "-at_install")
@freeze_time("2027-10-31 12:00:00")
class TestAgingMoney(AgingCommon):
    """Retention, currencies, and the proof against the ledger."""

    def test_a_credit_makes_no_account_late(self):
        self._create_dated("2027-10-01", 500.0, due="2027-10-16")
        self._create_dated("2027-08-01", -95.0)
        self.env.flush_all()
        [(days, overdue, unapplied)] = self.env["crm.billing.aging.report"]._read_group(
            [("as_of", "=", DAY), ("partner_id", "=", self.account.id)],
            [],
            ["days:max", "overdue:sum", "unapplied:sum"],
        )
        self.assertEqual((days, overdue, unapplied), (15, 500.0, -95.0))

    # === RETENTION === #

    def test_retention_is_not_due(self):
        self._create_retaining("2027-06-01", 1000, invoice_date_due="2027-07-01")
        self.assertEqual(self._columns(DAY), {"over_120": 900, "retention": 100})
        row = self._read(DAY).filtered("retention")
        self.assertRecordValues(row, [{"date_due": False, "days": 0, "overdue": 0}])
        self._assert_ties(DAY)

    def test_a_release_counts_from_its_day(self):
        move = self._create_retaining("2027-06-01", 1000, invoice_date_due="2027-07-01")
        move.with_user(self.clerk).action_release_retention(60, "2027-09-15")
        self.assertEqual(self._columns("2027-09-14"), {"61_90": 900, "retention": 100})
        self.assertEqual(
            self._columns("2027-09-15"),
            {"61_90": 900, "retention": 40, "0_not_due": 60},
        )
        self.assertEqual(
            self._columns(DAY), {"over_120": 900, "retention": 40, "31_60": 60}
        )
        self._assert_ties("2027-09-14")

    def test_a_later_release_changes_no_past_day(self):
        move = self._create_retaining("2027-06-01", 1000, invoice_date_due="2027-07-01")
        before = self._columns("2027-09-14")
        with freeze_time("2027-12-15"):
            move.with_user(self.clerk).action_release_retention(date="2027-12-15")
            self._pay_on(move, "2027-12-20")
        self.assertEqual(self._columns("2027-09-14"), before)

    # === CURRENCIES === #

    def _open_foreign(self):
        money = self.env.ref("base.EUR")
        if money == self.company.currency_id:
            money = self.env.ref("base.GBP")
        money.active = True
        for day, rate in [("2027-01-01", 1.1), ("2027-10-01", 1.08)]:
            self._set_rate(money, day, rate)
        return money

    def _set_rate(self, money, day, rate):
        """Let one unit of ``money`` be ``rate`` of the company's from ``day`` on."""
        self.env["res.currency.rate"].create(
            {
                "name": day,
                "currency_id": money.id,
                "company_id": self.company.id,
                "inverse_company_rate": rate,
            }
        )

    def test_booked_amounts_and_those_of_the_document(self):
        money = self._open_foreign()
        self._create_dated("2027-09-01", 100, currency_id=money.id)
        self.assertRecordValues(
            self._read(DAY),
            [{"amount_currency": 100, "currency_id": money.id, "total": 110}],
        )

    def test_an_exchange_difference_leaves_nothing(self):
        money = self._open_foreign()
        move = self._create_dated("2027-09-01", 100, currency_id=money.id)
        self._pay_on(move, "2027-10-10", 40)
        row = self._read(DAY)
        self.assertRecordValues(row, [{"amount_currency": 60, "total": 66}])
        self.assertEqual(self._columns("2027-10-09"), {"31_60": 110})
        self._pay_on(move, "2027-10-20")
        self.assertFalse(self._read(DAY))
        # The difference of the first payment is booked at the end of the month.
        self.assertEqual(self._columns("2027-10-19"), {"31_60": 66.8})
        for day in ("2027-10-09", "2027-10-19", DAY):
            self._assert_ties(day)

    def test_a_revaluation_entry_belongs_to_its_month(self):
        """Booked at the end of a month, taken back the day after: the total moves."""
        money = self._open_foreign()
        self._create_dated("2027-09-01", 100, currency_id=money.id)
        other = self.company.expense_currency_exchange_account_id
        home = self.company.currency_id
        entries = self.env["account.move"]
        for day, amount in (("2027-09-30", -2), ("2027-10-01", 2)):
            entries += self.env["account.move"].create(
                {
                    "move_type": "entry",
                    "date": day,
                    "line_ids": [
                        Command.create(
                            {
                                "account_id": account.id,
                                "partner_id": self.account.id,
                                "currency_id": (money if sign > 0 else home).id,
                                "amount_currency": 0 if sign > 0 else -amount,
                                "balance": sign * amount,
                            }
                        )
                        for account, sign in (
                            (self.account.property_account_receivable_id, 1),
                            (other, -1),
                        )
                    ],
                }
            )
        entries.action_post()
        totals = {day: sum(self._columns(day).values()) for day in ("2027-09-29", DAY)}
        self.assertEqual(totals, {"2027-09-29": 110, DAY: 110})
        self.assertEqual(sum(self._columns("2027-09-30").values()), 108)
        for day in ("2027-09-30", DAY):
            self._assert_ties(day)

    def test_currencies_are_never_added_up(self):
        money = self._open_foreign()
        self._create_dated("2027-10-01", 100, currency_id=money.id)
        self._create_dated("2027-10-01", 50)
        domain = [("partner_id", "=", self.account.id)]
        report = self._report(DAY)
        names = ["amount_currency:sum", "amount_currency:sum_currency", "total:sum"]
        [mixed] = report._read_group(domain, [], names)
        self.assertEqual(mixed, (False, False, 158))
        each = report._read_group(domain, ["currency_id"], names[:1])
        self.assertEqual(dict(each), {money: 100, self.company.currency_id: 50})

    # === PROOF === #

    def _prove(self, domain=(), as_of=DAY):
        report = self._report(as_of, self.accountant)
        return report.get_tie_outs(list(domain))

    @property
    def accountant(self):
        return self.users["accountant"]

    def test_the_total_is_the_balance_of_the_accounts(self):
        self._create_dated("2027-10-01", 500)
        self._create_payment("2027-10-02", 80)
        [proof] = self._prove()
        balance = self.env["account.move.line"]._read_group(
            [
                ("account_id.account_type", "=", "asset_receivable"),
                ("parent_state", "=", "posted"),
                ("date", "<=", DAY),
                ("company_id", "=", self.company.id),
            ],
            [],
            ["balance:sum"],
        )[0][0]
        self.assertEqual(
            (proof["amount"], proof["ledger_amount"], proof["difference"]),
            (balance, balance, 0),
        )

    def test_the_proof_follows_account_and_company(self):
        self._create_dated("2027-10-01", 500)
        other = self._create_account("Other")
        self._create_dated("2027-10-01", 70, account=other)
        domain = [("partner_id", "child_of", other.id)]
        [proof] = self._prove(domain)
        self.assertEqual((proof["amount"], proof["ledger_amount"]), (70, 70))
        self.assertEqual(proof["label"], "Total")

    def test_what_the_ledger_does_not_know_is_left_out_and_said(self):
        self._create_dated("2027-10-01", 500)
        [proof] = self._prove([("user_id", "=", self.seller.id)])
        [whole] = self._prove()
        self.assertEqual(proof["amount"], whole["amount"])
        self.assertNotEqual(proof["label"], whole["label"])

    def test_a_broken_residual_is_shown_with_its_document(self):
        move = self._create_dated("2027-10-01", 500)
        self.env.flush_all()
        self.env.cr.execute(
            SQL(
                "UPDATE account_move_line SET amount_residual = 450 WHERE id = %s",
                self._receivable(move).id,
            )
        )
        [proof] = self._prove()
        self.assertEqual(proof["difference"], -50)
        self.assertEqual(proof["documents"], ("account.move", move.ids))

    def test_a_matching_of_one_side_is_shown_with_both_documents(self):
        move = self._create_dated("2027-10-01", 500)
        payment = self._pay_on(move, "2027-10-10").move_id
        self.env.flush_all()
        self.env.cr.execute(
            SQL(
                "UPDATE account_move_line SET parent_state = 'draft'"
                " WHERE move_id = %s",
                payment.id,
            )
        )
        [proof] = self._prove()
        self.assertEqual(proof["difference"], -500)
        self.assertEqual(proof["documents"], ("account.move", (move + payment).ids))

    def test_nothing_open_ties_as_well(self):
        """Zero is a figure: it is printed, and agrees."""
        account = self._create_account("Owes Nothing")
        [proof] = self._report(DAY, self.accountant).get_tie_outs(
            [("partner_id", "=", account.id)]
        )
        self.assertEqual((proof["amount"], proof["ledger_amount"]), (0.0, 0.0))
        self.assertTrue(proof["ties"])

    def test_branches_tie_with_their_root(self):
        branch = self.env["res.company"].create(
            {"name": "Branch", "parent_id": self.company.id}
        )
        self.accountant.company_ids |= branch
        move = self._create_dated("2027-10-01", 500)
        payment = self._create_payment("2027-10-05", 200)
        self._match(move, payment.move_id)
        report = self._report(DAY, self.accountant).with_context(
            allowed_company_ids=(self.company | branch).ids
        )
        [proof] = report.get_tie_outs([])
        self.assertEqual(proof["difference"], 0)

    def test_instalments_of_a_day_that_has_no_end(self):
        self._create_dated("2027-10-01", 500, due=date(9999, 12, 31))
        self.assertEqual(self._columns(DAY), {"0_not_due": 500})
