from datetime import date

from freezegun import freeze_time

from odoo.exceptions import AccessError, UserError
from odoo.tests import new_test_user, tagged

from .aging_common import AgingCommon

QUARTER = ("2027-08-01", "2027-10-31")
FIGURES = ("opening", "sales", "closing", "not_due")
RATIOS = ("dso", "best_dso", "add", "cei", "countback", "countback_over")


class ReceivablesCommon(AgingCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.receivables = cls.env["crm.billing.receivable.report"]

    def _ask(self, first=None, last=None, account=None):
        domain = [("partner_id", "=", (account or self.account).id)]
        if first:
            domain.append(("date", ">=", first))
        if last:
            domain.append(("date", "<=", last))
        return domain

    def _read_figures(self, first, last, names=FIGURES, groupby=(), **options):
        """Return a list of the figures of each group, after its own values."""
        return self.receivables._read_group(
            self._ask(first, last, **options),
            groupby,
            [f"{name}:{'sum' if name in FIGURES else 'avg'}" for name in names],
        )

    def _read_rows(self, first, last, names):
        # Another transaction would not remember what it read before.
        self.receivables.invalidate_model()
        rows = self.receivables.search_read(
            self._ask(first, last), ["date", *names], order="date"
        )
        return {str(row["date"]): [row[name] for name in names] for row in rows}

    def _create_example(self):
        """Owed 84,000 before August; then the quarter of the rules."""
        old = self._create_dated("2027-07-01", 84000, due="2027-07-31")
        self._pay_on(old, "2027-08-15")
        paid = self._create_dated("2027-08-05", 264000, due="2027-09-04")
        self._pay_on(paid, "2027-10-01")
        self._create_dated("2027-09-20", 30000, due="2027-10-20")
        self._create_dated("2027-10-10", 66000, due="2027-11-09")


@tagged("post_install", "-at_install")
@freeze_time("2027-12-31 12:00:00")
class TestReceivables(ReceivablesCommon):
    """DSO, best possible, ADD, CEI and count-back (billing rules, 8.4, 8.5, 8.8)."""

    # === THE EXAMPLE === #

    def test_the_example_of_the_rules(self):
        self._create_example()
        [figures] = self._read_figures(*QUARTER)
        self.assertEqual(figures, (84000, 360000, 96000, 66000))
        [ratios] = self._read_figures(*QUARTER, names=RATIOS[:4])
        self.assertEqual(
            [round(float(one), 1) for one in ratios[:3]], [24.5, 16.9, 7.7]
        )
        self.assertAlmostEqual(float(ratios[3]), 100 * 108 / 138, 8)

    def test_a_century_is_cut_from_where_the_ledger_begins(self):
        self._create_example()
        self._create_dated("2019-05-05", 10, due="2019-05-31")
        self.env.flush_all()
        century = self.receivables.with_context(
            billing_date_from="1900-01-01", billing_as_of="2027-12-31"
        )
        first = self.env["account.move"].sudo().search([], order="date", limit=1).date
        self.assertLessEqual(first, date(2019, 5, 5))
        for unit, step in (("month", 12), ("quarter", 4), ("year", 1)):
            slices = century._get_slices(unit)
            self.assertEqual(slices[0].first, date(first.year, 1, 1))
            self.assertEqual(len(slices), step * (2028 - first.year))
        names = [*FIGURES, "dso"]
        self.assertEqual(
            self._read_rows("1900-01-01", "2027-12-31", names),
            self._read_rows(f"{first.year}-01-01", "2027-12-31", names),
        )
        [figures] = self._read_figures("1900-01-01", "1950-12-31")
        self.assertEqual([one or 0 for one in figures], [0, 0, 0, 0])

    def test_count_back_of_the_rules(self):
        self._create_dated("2027-10-01", 40000, due="2027-12-31")
        november = self._create_dated("2027-11-10", 52000, due="2027-12-31")
        self._create_dated("2027-12-10", 70000, due="2028-01-31")
        october = self.env["account.move"].search(
            [("partner_id", "=", self.account.id), ("date", "=", "2027-10-01")]
        )
        self._pay_on(october, "2027-12-20")
        self._pay_on(november, "2027-12-21", 26000)
        december = ("2027-12-01", "2027-12-31")
        [found] = self._read_figures(*december, names=["closing", *RATIOS[4:]])
        self.assertEqual(found, (96000, 46, None or False))
        rows = self._read_rows(*december, RATIOS[4:])
        self.assertEqual(rows, {"2027-12-31": [46, False]})

    def test_the_month_of_the_day_counts_its_days_up_to_it(self):
        self._create_dated("2027-10-01", 300)
        self._create_dated("2027-11-02", 60)
        found = self._read_figures(
            "2027-11-01", "2027-11-20", names=["countback", "dso"]
        )
        # 20 days of November, then all of October's 300 of 300.
        self.assertEqual(found, [(51, 120)])

    def test_count_back_says_more_than(self):
        self._create_dated("2027-09-05", 100)
        self._create_dated("2027-10-05", 50)
        # Owed is more than was ever sold: what came before is not in the books.
        self._create_opening("2027-08-31", 500)
        found = self._read_figures(*QUARTER, names=RATIOS[4:])
        self.assertEqual(found, [(False, 61)])
        rows = self._read_rows("2027-09-01", "2027-10-31", RATIOS[4:])
        self.assertEqual(rows, {"2027-09-30": [False, 30], "2027-10-31": [False, 61]})

    def test_count_back_walks_through_months_without_sales(self):
        self._create_dated("2027-07-10", 310)
        self._create_dated("2027-09-10", -100)
        self._create_dated("2027-10-10", 31)
        # 241 owed; October 31, September -100, August nothing, July 310 of 310.
        [found] = self._read_figures("2027-10-01", "2027-10-31", names=["countback"])
        self.assertEqual(found, (31 + 30 + 31 + 31,))

    def _create_opening(self, day, amount):
        entry = self.env["account.move"].create(
            {
                "move_type": "entry",
                "date": day,
                "line_ids": [
                    (0, 0, {"account_id": account.id, "balance": balance, **who})
                    for account, balance, who in (
                        (
                            self.account.property_account_receivable_id,
                            amount,
                            {"partner_id": self.account.id},
                        ),
                        (self.company.income_currency_exchange_account_id, -amount, {}),
                    )
                ],
            }
        )
        entry.action_post()

    # === UNDEFINED === #

    def test_without_sales_nothing_is_shown(self):
        self._create_dated("2027-07-01", 500, due="2027-07-31")
        [found] = self._read_figures(*QUARTER, names=["closing", *RATIOS])
        self.assertEqual(found, (500, *[False] * 6))
        rows = self.receivables.search(self._ask(*QUARTER))
        self.assertEqual(len(rows), 3)
        for row in rows.web_read({name: {} for name in RATIOS}):
            for name in RATIOS:
                self.assertIs(row[name], False, name)

    def test_more_credited_than_sold(self):
        self._create_dated("2027-09-01", 100)
        self._create_dated("2027-09-02", -150)
        [found] = self._read_figures(*QUARTER, names=["sales", *RATIOS])
        self.assertEqual(found, (-50, *[False] * 6))

    def test_nothing_to_collect_has_no_effectiveness(self):
        self._create_dated("2027-10-05", 90, due="2027-12-05")
        found = self._read_figures(
            "2027-10-01", "2027-10-31", names=["dso", "add", "cei"]
        )
        self.assertEqual(found, [(31, 0, False)])

    def test_a_credit_balance_counts_no_day(self):
        self._create_dated("2027-10-05", 50)
        self._create_payment("2027-10-06", 80)
        found = self._read_figures(*QUARTER, names=["closing", "countback", "not_due"])
        self.assertEqual(found, [(-30, 0, 0)])

    # === PERIODS === #

    def test_groups_are_cut_as_they_ask(self):
        self._create_example()
        first, last = "2027-07-01", "2027-12-31"
        by_quarter = self._read_figures(first, last, groupby=["date:quarter"])
        self.assertEqual(
            by_quarter,
            [
                (date(2027, 7, 1), 0, 378000, 294000, 30000),
                (date(2027, 10, 1), 294000, 66000, 96000, 0),
            ],
        )
        by_month = self._read_figures(
            first, last, groupby=["date:month"], names=["closing", "not_due", "dso"]
        )
        self.assertEqual(
            [(str(day), *rest) for day, *rest in by_month],
            [
                ("2027-07-01", 84000, 84000, 31),
                ("2027-08-01", 264000, 264000, 31),
                ("2027-09-01", 294000, 30000, 294),
                ("2027-10-01", 96000, 66000, 96000 * 31 / 66000),
                ("2027-11-01", 96000, 0, False),
                ("2027-12-01", 96000, 0, False),
            ],
        )
        self.assertEqual(self._read_figures(first, last), [(0, 444000, 96000, 0)])

    def test_a_page_says_what_all_rows_say(self):
        """A page reads the past of its accounts only, and a count reads no figures."""
        self._create_example()
        domain = self._ask(*QUARTER)
        names = ["closing", "dso", "countback", "countback_over"]
        whole = self.receivables.search(domain, order="countback, id")
        expected = {row.id: [row[name] for name in names] for row in whole}
        self.assertTrue(any(row.countback for row in whole))
        found = {}
        for offset in range(0, len(whole), 2):
            self.env.invalidate_all()
            page = self.receivables.search_fetch(
                domain, names, offset=offset, limit=2, order="id"
            )
            found |= {row.id: [row[name] for name in names] for row in page}
        self.assertEqual(found, expected)
        for leaf in ("partner_id", "closing", "id"):
            some = [*domain, (leaf, "!=", 0)]
            self.assertEqual(
                self.receivables.search_count(some), len(self.receivables.search(some))
            )

    def test_all_ways_to_read_agree(self):
        self._create_example()
        sets = [[], ["date:month"], ["partner_id"], ["date:year", "partner_id"]]
        domain, sums = self._ask(*QUARTER), ["closing:sum", "dso:avg", "__count"]
        together = self.receivables._read_grouping_sets(
            domain, sets, sums, order="date:month DESC, partner_id"
        )
        alone = [
            self.receivables._read_group(
                domain, groupby, sums, order="date:month DESC" if place == 1 else None
            )
            for place, groupby in enumerate(sets)
        ]
        self.assertEqual(together, alone)
        self.assertEqual([row[-1] for row in together[1]], [1, 1, 1])
        self.assertEqual(together[2][0][-1], 3, "an account's rows are its months")
        self.assertEqual(self.receivables.search_count(domain), 3)

    def test_rows_keep_their_ids_in_any_period(self):
        self._create_example()
        august = self.receivables.search(self._ask("2027-08-01", "2027-08-31"))
        row = self.receivables.search(self._ask(*QUARTER), order="date", limit=1)
        self.assertEqual(row.id, august.id)
        self.assertLess(row.id, 2**31)
        self.assertEqual((row.closing, august.closing), (264000, 264000))

    def test_part_of_a_month(self):
        self._create_example()
        rows = self._read_rows("2027-09-11", "2027-10-05", ["days", "opening", "cei"])
        self.assertEqual(list(rows), ["2027-09-30", "2027-10-05"])
        self.assertEqual(
            [row[:2] for row in rows.values()], [[20, 264000], [5, 294000]]
        )
        [(cei,)] = self._read_figures("2027-09-11", "2027-10-05", names=["cei"])
        # Opening 264,000, sales 30,000 in 25 days, closing 30,000, nothing late.
        self.assertAlmostEqual(float(cei), 100, 8)
        [(cei,)] = self._read_figures("2027-09-11", "2027-10-25", names=["cei"])
        months = 45 * 12 / 365
        owed = 264000 + 96000 / months
        self.assertAlmostEqual(float(cei), 100 * (owed - 96000) / (owed - 66000), 6)

    @freeze_time("2027-10-20 12:00:00")
    def test_without_a_question_it_is_the_last_twelve_months(self):
        self._create_example()
        rows = self._read_rows(None, None, ["closing", "days"])
        self.assertEqual(list(rows)[-1], "2027-10-20")
        self.assertEqual(rows["2027-10-20"], [96000, 20])
        dates = self.receivables.get_report_facts([])["dates"]
        self.assertEqual(
            (dates["date_from"], dates["date_to"]), ("2026-11-01", "2027-10-20")
        )
        # A month that is not over is as of today.
        whole = self._read_rows("2027-10-01", "2027-10-31", ["days"])
        self.assertEqual(whole, {"2027-10-20": [20]})

    def test_days_and_weeks_are_refused(self):
        for spec in ("date:week", "date:day", "date:month_number"):
            with self.assertRaises(UserError):
                self._read_figures(*QUARTER, groupby=[spec])

    # === WHAT IS OWED === #

    def test_backdated_payments_change_the_past(self):
        move = self._create_dated("2027-08-10", 100, due="2027-08-20")
        before = self._read_rows(*QUARTER, ["closing"])
        self.assertEqual([row[0] for row in before.values()], [100, 100, 100])
        self._pay_on(move, "2027-09-15")
        after = self._read_rows(*QUARTER, ["closing"])
        self.assertEqual([row[0] for row in after.values()], [100, 0, 0])

    def test_paid_before_it_was_due(self):
        move = self._create_dated("2027-08-10", 100, due="2027-10-20")
        self._pay_on(move, "2027-09-15", 40)
        rows = self._read_rows(*QUARTER, ["closing", "not_due"])
        self.assertEqual(list(rows.values()), [[100, 100], [60, 60], [60, 0]])

    def test_one_account_pays_for_another(self):
        friend = self._create_account("Friend")
        move = self._create_dated("2027-08-10", 100)
        payment = self._create_payment("2027-09-05", 100, friend)
        self._match(move, payment.move_id)
        for account, owed in ((self.account, [100, 0, 0]), (friend, [0, 0])):
            rows = self.receivables.search(
                self._ask(*QUARTER, account=account), order="date"
            )
            self.assertEqual(rows.mapped("closing"), owed)
        self._assert_all_tie(*QUARTER)

    def test_retention_is_not_due_before_its_release(self):
        move = self._create_retaining("2027-08-01", 1000, invoice_date_due="2027-08-31")
        names = ["closing", "not_due"]
        rows = self._read_rows(*QUARTER, names)
        self.assertEqual(list(rows.values()), [[1000, 1000], [1000, 100], [1000, 100]])
        move.with_user(self.clerk).action_release_retention(60, date(2027, 9, 30))
        rows = self._read_rows(*QUARTER, names)
        self.assertEqual(list(rows.values()), [[1000, 1000], [1000, 100], [1000, 40]])
        self._assert_all_tie(*QUARTER)

    def _assert_all_tie(self, first, last):
        proofs = self.receivables.get_tie_outs(
            [("date", ">=", first), ("date", "<=", last)]
        )
        self.assertEqual(len(proofs), 3)
        for proof in proofs:
            self.assertTrue(proof["ties"], proof)

    # === PROOF === #

    def test_proofs(self):
        self._create_example()
        self._create_dated("2027-10-12", -10)
        domain = self._ask(*QUARTER)
        closing, not_due, sales = self.receivables.get_tie_outs(domain)
        for proof, amount in ((closing, 95990), (not_due, 66000), (sales, 359990)):
            self.assertTrue(proof["ties"])
            self.assertEqual(proof["amount"], amount)
            self.assertEqual(proof["ledger_amount"], amount)
        [loose, *_rest] = self.receivables.get_tie_outs(
            [*domain, ("user_id", "=", self.seller.id)]
        )
        self.assertIn("without these filters", loose["label"])

    def test_a_difference_names_its_documents(self):
        move = self._create_dated("2027-09-01", 100)
        self.env.cr.execute(
            "UPDATE account_move_line SET amount_residual = 90 WHERE move_id = %s"
            " AND display_type = 'payment_term'",
            [move.id],
        )
        self.env.cr.execute(
            "UPDATE account_move SET amount_total_signed = 70 WHERE id = %s", [move.id]
        )
        self.env.invalidate_all()
        closing, _not_due, sales = self.receivables.get_tie_outs(self._ask(*QUARTER))
        self.assertEqual((closing["difference"], sales["difference"]), (10, 30))
        for proof in (closing, sales):
            model, ids = proof["documents"]
            self.assertEqual(model, "account.move")
            self.assertIn(move.id, ids)

    # === RIGHTS AND SPEED === #

    def test_a_salesperson_sees_own_accounts(self):
        foreign = self._create_account(
            "Not mine", user_id=self.users["other_seller"].id
        )
        self._create_dated("2027-09-01", 100)
        self._create_dated("2027-09-01", 50, account=foreign)
        mine = self.receivables.with_user(self.seller)
        domain = [("date", ">=", QUARTER[0]), ("date", "<=", QUARTER[1])]
        accounts = mine.search(domain).partner_id
        self.assertIn(self.account, accounts)
        self.assertNotIn(foreign, accounts)
        self.assertEqual(mine.get_tie_outs(domain), [])
        self.assertIn(
            foreign, self.receivables.with_user(self.clerk).search(domain).partner_id
        )

    def test_who_has_no_role_reads_nothing(self):
        nobody = new_test_user(self.env, login="nobody", groups="base.group_user")
        with self.assertRaises(AccessError):
            self.receivables.with_user(nobody).search([])

    def test_queries_do_not_grow(self):
        for number in range(3):
            account = self._create_account(f"Account {number}")
            self._create_dated("2027-09-01", 100, account=account)
        domain = [("date", ">=", "2026-01-01"), ("date", "<=", "2027-12-31")]
        sums = ["closing:sum", "dso:avg", "cei:avg", "countback:avg"]
        self.env.flush_all()
        self.receivables._read_group(domain, ["date:month"], sums)
        with self.assertQueryCount(1):
            self.receivables._read_group(domain, ["date:month", "partner_id"], sums)

    def test_buttons_open_what_the_row_is_made_of(self):
        self._create_example()
        row = self.receivables.search(self._ask("2027-10-01", "2027-10-31"))
        action = row.action_view_open()
        items = self.env[action["res_model"]].search(action["domain"])
        self.assertEqual(sum(items.mapped("total")), row.closing)
        action = row.action_view_invoices()
        moves = self.env[action["res_model"]].search(action["domain"])
        self.assertEqual(sum(moves.mapped("amount_total_signed")), row.sales)
        action = row.action_view_collections()
        paid = self.env[action["res_model"]].search(action["domain"])
        self.assertEqual(paid.mapped("amount"), [264000])
