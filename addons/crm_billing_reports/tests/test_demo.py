from datetime import timedelta

from odoo import fields
from odoo.modules.module import Manifest
from odoo.tests import TransactionCase, tagged
from odoo.tools import convert_file

DEMOS = (
    ("crm_billing_handoff", "res_users_sam"),
    ("crm_dunning", "res_partner_drayton"),
    ("crm_billing_reports", "res_partner_arbor"),
)


@tagged("post_install", "-at_install")
class TestDemo(TransactionCase):
    """Eighteen months of ledger, in which each report has something to say."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        for module, mark in DEMOS:
            if not cls.env.ref(f"{module}.{mark}", raise_if_not_found=False):
                for path in Manifest.for_addon(module)["demo"]:
                    convert_file(cls.env, module, path, {}, mode="init", noupdate=True)
                    cls._analyze()
                cls.env.flush_all()
                cls.env.cr.precommit.run()
        cls.reader = cls.env.ref("crm_billing_handoff.res_users_anna")
        cls.today = fields.Date.today()

    @classmethod
    def _analyze(cls):
        """Let Odoo's queries be planned for a ledger that grew in one transaction.

        Planned for empty tables, or among the dead rows of other tests, one of them
        takes minutes.
        """
        cls.env.flush_all()
        cls.env.cr.execute(
            "ANALYZE account_move, account_move_line, account_payment,"
            " account_partial_reconcile"
        )

    def _report(self, name, login=None):
        user = self.env.ref(f"crm_billing_handoff.res_users_{login or 'anna'}")
        return self.env[f"crm.billing.{name}"].with_user(user)

    def _account(self, name):
        return self.env.ref(f"crm_billing_reports.res_partner_{name}")

    def test_the_ledger_is_eighteen_months_long(self):
        months = self._report("status.report")._read_group(
            [("partner_id", "=", self._account("bayline").id)], ["date:month"]
        )
        self.assertGreaterEqual(len(months), 18)

    def test_customers_pay_at_their_own_pace(self):
        aging = self._report("aging.report")
        day = self.today - timedelta(days=60)
        late = {
            name: sum(
                aging.search(
                    [
                        ("partner_id", "=", self._account(name).id),
                        ("as_of", "=", day),
                    ]
                ).mapped("overdue")
            )
            for name in ("arbor", "gilded", "delphine")
        }
        self.assertFalse(late["arbor"], "punctual")
        self.assertGreater(late["gilded"], 0, "gone, and owes")

    def test_each_part_of_the_way_to_money_takes_time(self):
        """Nobody waits for months, and no part is always nothing."""
        first = self.today - timedelta(days=365)
        [[*days, whole]] = self._report("collection.report")._read_group(
            [("date", ">=", first)],
            [],
            [
                f"days_{part}:avg"
                for part in ("ours", "terms", "customer", "processing", "whole")
            ],
        )
        for part in days:
            self.assertGreater(part, 0)
        self.assertLess(whole, 60)

    def test_days_of_sales_are_those_of_a_sound_business(self):
        last = self.today.replace(day=1) - timedelta(days=1)
        months = self._report("receivable.report")._read_group(
            [("date", ">", last - timedelta(days=360)), ("date", "<=", last)],
            ["date:month"],
            ["dso:avg"],
        )[1:]  # the first is not whole
        self.assertGreaterEqual(len(months), 11)
        for month, dso in months:
            with self.subTest(month=month):
                self.assertTrue(10 < dso < 90, dso)

    def test_repairs_happen_in_more_than_one_month(self):
        months = self._report("exception.report")._read_group(
            [("exception_count", ">", 0)], ["date:month"]
        )
        self.assertGreater(len(months), 8)

    def test_revenue_leaks_in_several_ways(self):
        leaks = self._report("leak.report")
        kinds = {kind for [kind] in leaks._read_group([], ["kind"])}
        self.assertLessEqual(
            {"deal", "agreement", "milestone", "unsent", "bounced", "usage"}, kinds
        )
        self.assertTrue(leaks.search([("is_waived", "=", True)], limit=1))
        old = leaks.search_count([("kind", "=", "unsent"), ("age", ">", 60)])
        self.assertFalse(old, "a company that forgets invoices for months")

    def test_accounting_takes_reports_along_and_the_clerk_does_not(self):
        for login, expected in (("anna", True), ("max", True), ("clara", False)):
            with self.subTest(login=login):
                facts = self._report("aging.report", login).get_report_facts([])
                self.assertEqual(facts["can_export"], expected)

    def test_recurring_revenue_moves_in_every_way(self):
        accounts = [
            self._account(name).id
            for name in ("arbor", "corvus", "jubilee", "fairmont", "gilded")
        ]
        kinds = self._report("revenue.report")._read_group(
            [("partner_id", "in", accounts)], ["kind"]
        )
        self.assertEqual(
            {kind for [kind] in kinds},
            {
                "new",
                "expansion",
                "contraction",
                "churn",
                "reactivation",
                "currency",
            },
        )

    def test_each_report_shows_something_to_each_role(self):
        for name in (
            "aging.report",
            "overdue.report",
            "receivable.report",
            "collection.report",
            "status.report",
            "revenue.report",
            "revenue.month.report",
            "revenue.cohort.report",
            "leak.report",
            "touch.report",
            "exception.report",
            "forecast.report",
        ):
            for login in ("anna", "clara", "max", "sam"):
                with self.subTest(report=name, login=login):
                    self.assertTrue(self._report(name, login).search([], limit=1))

    def test_what_is_printed_ties(self):
        for name in ("aging.report", "status.report", "receivable.report"):
            with self.subTest(report=name):
                proofs = self._report(name).get_tie_outs([])
                self.assertTrue(proofs)
                for proof in proofs:
                    self.assertAlmostEqual(proof["difference"], 0.0, 2, proof["label"])

    def test_an_old_forecast_is_held_against_what_came(self):
        past = self.env["crm.billing.forecast"].search([("date", "<", self.today)])
        self.assertTrue(past)
        day = min(past.mapped("date"))
        rows = self._report("forecast.report").search([("as_of", "=", day)])
        self.assertTrue(sum(rows.mapped("cash_actual")))

    def test_the_match_board_has_each_reason_and_what_agrees(self):
        board = self._report("match.report")
        counts = dict(board._read_group([], ["reason"], ["__count"]))
        self.assertLessEqual(
            {
                "missing_there",
                "missing_here",
                "amount",
                "currency",
                "customer",
                "number",
                "date",
                "payment",
                "closed_period",
            },
            counts.keys(),
        )
        self.assertGreater(counts["ok"], 50)

    def test_two_batches_left_and_one_waits_for_fixes(self):
        batches = self._report("export.batch", "max").search([], order="id")
        self.assertEqual(
            batches.mapped("state"), ["handed_out", "handed_out", "checked"]
        )
        refused = batches[-1].line_ids.filtered(lambda line: line.state == "refused")
        self.assertLessEqual(
            {"name_taken", "name_known", "period_closed", "changed"},
            set(refused.mapped("reason")),
        )
        self.assertTrue(all(line.issue for line in refused))
        self.assertTrue(refused.filtered(lambda line: "no item" in line.issue))

    def test_a_month_is_certified_and_the_next_waits(self):
        first, second = self._report("certificate").search([], order="date_from")
        self.assertEqual((first.state, second.state), ("certified", "draft"))
        self.assertFalse(any(first.line_ids.mapped("difference")))
        self.assertGreater(second.open_count, 0)
        first.action_verify()
        self.assertFalse(first.is_drifted)

    def test_an_evidence_pack_is_whole(self):
        pack = self._report("evidence").search([])
        self.assertEqual(pack.state, "built")
        pack.action_verify()
        self.assertFalse(pack.fault_count)

    def test_other_books_book_nothing_here(self):
        """What their lists say is compared: the figures of the others stay."""
        lists = self._report("outside.document").search([])
        self.assertFalse(lists.filtered("is_taken_over"))
