from datetime import date

from freezegun import freeze_time

from odoo.exceptions import UserError
from odoo.tests import tagged

from .common import ReportsCommon


@tagged("post_install", "-at_install")
@freeze_time("2027-06-15 12:00:00")
class TestReportParameters(ReportsCommon):
    """The day a report is made for comes from the domain, whoever asks."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.invoice = cls._create_dated("2027-01-10", 100.0, due=date(2027, 2, 1))
        cls._pay_on(cls.invoice, date(2027, 3, 5))
        cls.env.flush_all()
        cls.aging = cls.env["crm.billing.aging.report"].with_user(cls.clerk)

    def _search(self, *leaves, **context):
        domain = [("move_id", "=", self.invoice.id), *leaves]
        return self.aging.with_context(**context).search(domain)

    # === WHICH DAY === #

    def test_without_a_day_it_is_today(self):
        self.assertFalse(self._search())

    def test_each_comparison_says_which_day(self):
        for operator, value, day in [
            ("=", "2027-02-05", "2027-02-05"),
            ("in", ["2027-02-05"], "2027-02-05"),
            ("<=", "2027-02-05", "2027-02-05"),
            ("<", "2027-02-05", "2027-02-04"),
            ("=", date(2027, 2, 5), "2027-02-05"),
            ("=", "=2d =2m =2027y", "2027-02-02"),
        ]:
            with self.subTest(operator=operator, value=value):
                row = self._search(("as_of", operator, value))
                self.assertEqual(str(row.as_of), day)

    def test_a_period_is_as_of_its_last_day(self):
        row = self._search(("as_of", ">=", "2027-02-01"), ("as_of", "<", "2027-03-01"))
        self.assertEqual(row.as_of, date(2027, 2, 28))

    def test_a_period_that_is_not_over_is_as_of_today(self):
        for first, last, day in [
            ("2027-06-01", "2027-06-30", "2027-06-15"),
            ("2027-07-01", "2027-07-31", "2027-07-31"),
            ("2027-07-31", "2027-07-31", "2027-07-31"),
        ]:
            with self.subTest(first=first):
                period = [("as_of", ">=", first), ("as_of", "<=", last)]
                model, _domain = self.aging._with_parameters(period)
                self.assertEqual(model.env.context["billing_as_of"], day)

    def test_a_first_day_alone_reaches_to_today(self):
        model, domain = self.aging._with_parameters([("as_of", ">", "2027-02-01")])
        self.assertTrue(domain.is_true())
        self.assertEqual(
            [
                model.env.context[key]
                for key in ("billing_as_of", "billing_date_from", "billing_date_to")
            ],
            ["2027-06-15", "2027-02-02", None],
        )

    def test_the_domain_wins_over_the_context(self):
        self.assertTrue(self._search(billing_as_of="2027-02-05"))
        day = ("as_of", "=", "2027-03-05")
        self.assertFalse(self._search(day, billing_as_of="2027-02-05"))

    def test_other_comparisons_filter_the_rows(self):
        """What names no day leaves the report as of today, and still holds."""
        self.assertFalse(self._search(("as_of", "=", False)))
        different = ("as_of", "!=", "2027-02-05")
        self.assertFalse(self._search(different, billing_as_of="2027-02-05"))
        self.assertTrue(self._search(different, billing_as_of="2027-02-06"))

    # === ONE DAY === #

    def test_two_days_are_refused(self):
        first, second = ("as_of", "=", "2027-02-05"), ("as_of", "=", "2027-02-06")
        for domain in (
            [first, second],
            ["|", first, second],
            ["|", first, ("is_held", "=", True)],
            ["!", ("as_of", "<", "2027-02-05")],
            [("as_of", "in", ["2027-02-05", "2027-02-06"])],
        ):
            with (
                self.subTest(domain=domain),
                self.assertRaisesRegex(UserError, "one day or period at a time"),
            ):
                self.aging.search(domain)

    def test_what_is_no_date_is_refused(self):
        with self.assertRaisesRegex(UserError, "no date"):
            self.aging.search([("as_of", "=", "the 5th")])

    # === WHOEVER ASKS === #

    def test_rows_of_two_days_stay_apart(self):
        early = self._search(("as_of", "=", "2027-01-15"))
        late = self._search(("as_of", "=", "2027-02-20"))
        self.assertEqual(early.id, late.id)
        self.assertEqual((early.days, late.days), (-17, 19))
        early.invalidate_recordset()
        self.assertEqual((late.days, early.days), (19, -17))

    def test_groups_and_their_open_records_are_of_the_day(self):
        domain = [("move_id", "=", self.invoice.id), ("as_of", "=", "2027-02-20")]
        result = self.aging.web_read_group(
            domain,
            ["partner_id"],
            ["total:sum"],
            auto_unfold=True,
            unfold_read_specification={"as_of": {}, "days": {}},
        )
        [group] = result["groups"]
        self.assertEqual(group["total:sum"], 100.0)
        [record] = group["__records"]
        self.assertEqual((str(record["as_of"]), record["days"]), ("2027-02-20", 19))

    def test_every_way_of_reading_sees_the_day(self):
        domain = [("move_id", "=", self.invoice.id), ("as_of", "=", "2027-02-20")]
        self.assertEqual(self.aging.search_count(domain), 1)
        rows = self.aging.web_search_read(domain, {"as_of": {}})["records"]
        self.assertEqual([str(row["as_of"]) for row in rows], ["2027-02-20"])
        [groups] = self.aging.formatted_read_grouping_sets(
            domain, [["as_of:month"]], ["total:sum"]
        )
        self.assertEqual([group["total:sum"] for group in groups], [100.0])
        again = domain + groups[0]["__extra_domain"]
        self.assertEqual(self.aging.search_count(again), 1)
        self.assertEqual(self.aging.search_read(domain, ["days"])[0]["days"], 19)

    # === THE BANNER === #

    def test_the_banner_says_the_day_and_the_proof(self):
        facts = self.aging.get_report_facts([("as_of", "<=", "2027-02-20")])
        self.assertEqual(
            facts["dates"],
            {
                "names": ("as_of",),
                "kind": "day",
                "as_of": "2027-02-20",
                "date_from": False,
                "date_to": "2027-02-20",
                "is_default": False,
            },
        )
        self.assertTrue(facts["tie_outs"])
        self.assertTrue(all(proof["ties"] for proof in facts["tie_outs"]))
        today = self.aging.get_report_facts([])["dates"]
        self.assertEqual((today["as_of"], today["is_default"]), ("2027-06-15", True))

    def test_a_report_without_parameter_has_no_dates(self):
        model = self.env["crm.billing.history.report"].with_user(self.clerk)
        self.assertFalse(model.get_report_facts([])["dates"])

    def test_sales_sees_no_proof_of_the_whole_ledger(self):
        facts = self.aging.with_user(self.seller).get_report_facts([])
        self.assertEqual(facts["tie_outs"], [])
