"""The dashboards ask questions that the reports answer, for whoever looks at them."""

import json
from datetime import date

from freezegun import freeze_time

from odoo import fields
from odoo.tests import tagged

from .common import ReportsCommon

TODAY = "2027-06-15 12:00:00"


@tagged("post_install", "-at_install")
@freeze_time(TODAY)
class TestDashboard(ReportsCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.owner = cls.env.ref("crm_billing_reports.dashboard_billing")
        cls.rep = cls.env.ref("crm_billing_reports.dashboard_billing_rep")
        cls.readers = {cls.owner: cls.users["accountant"], cls.rep: cls.seller}
        cls._create_dated("2027-06-01", 100.0, due=date(2027, 6, 10))
        cls.other = cls._create_account(
            "Fabrikam", user_id=cls.users["other_seller"].id
        )
        cls._create_dated(
            "2027-06-01",
            700.0,
            due=date(2027, 6, 10),
            account=cls.other,
            invoice_user_id=cls.users["other_seller"].id,
        )
        cls.env.flush_all()

    def _read(self, dashboard):
        """Return the dashboard as the web client of its reader gets it."""
        dashboard = dashboard.with_user(self.readers[dashboard])
        return json.loads(dashboard._get_serialized_readonly_dashboard())["snapshot"]

    def _iter_sources(self, snapshot):
        """Yield ``(model, domain, group by, measures, matching)`` of pivots, charts."""
        for pivot in snapshot["pivots"].values():
            rows = [
                ":".join(filter(None, (row["fieldName"], row.get("granularity"))))
                for row in pivot["rows"]
            ]
            measures = [measure["fieldName"] for measure in pivot["measures"]]
            yield (
                pivot["model"],
                pivot["domain"],
                rows,
                measures,
                pivot["fieldMatching"],
            )
        for sheet in snapshot["sheets"]:
            for figure in sheet["figures"]:
                if (data := figure["data"])["type"].startswith("odoo_"):
                    meta = data["metaData"]
                    yield (
                        meta["resModel"],
                        data["searchParams"]["domain"],
                        meta["groupBy"],
                        [meta["measure"]],
                        data["fieldMatching"],
                    )

    def test_each_question_has_an_answer(self):
        for dashboard, user in self.readers.items():
            sources = list(self._iter_sources(self._read(dashboard)))
            self.assertGreater(len(sources), 8)
            for model, domain, group_by, measures, _matching in sources:
                with self.subTest(dashboard=dashboard.name, model=model):
                    report = self.env[model].with_user(user)
                    described = report.fields_get()
                    self.assertLessEqual(set(measures), set(described))
                    aggregates = [
                        f"{name}:{described[name]['aggregator']}" for name in measures
                    ]
                    self.assertIsInstance(
                        report.formatted_read_group(domain, group_by, aggregates), list
                    )

    def test_account_and_salesperson_filter_everything(self):
        for dashboard in (self.owner, self.rep):
            snapshot = self._read(dashboard)
            filters = {one["id"]: one for one in snapshot["globalFilters"]}
            relations = {
                key for key, one in filters.items() if one["type"] == "relation"
            }
            self.assertEqual(len(relations), 2)
            for model, _domain, _group_by, _measures, matching in self._iter_sources(
                snapshot
            ):
                with self.subTest(dashboard=dashboard.name, model=model):
                    self.assertLessEqual(relations, set(matching))
                    for key, match in matching.items():
                        field = self.env[model]._fields[match["chain"]]
                        wanted = filters[key].get("modelName")
                        self.assertEqual(field.comodel_name or None, wanted)

    def test_a_chosen_account_leaves_no_other(self):
        for dashboard, user in self.readers.items():
            snapshot = self._read(dashboard)
            for model, domain, _group_by, _measures, matching in self._iter_sources(
                snapshot
            ):
                [chain] = [
                    match["chain"]
                    for match in matching.values()
                    if match["chain"] == "partner_id"
                ]
                chosen = [*domain, (chain, "child_of", self.account.ids)]
                with self.subTest(dashboard=dashboard.name, model=model):
                    rows = self.env[model].with_user(user).search(chosen)
                    self.assertLessEqual(rows.partner_id, self.account)

    def test_a_chosen_period_makes_the_report_for_it(self):
        """As the web client puts it: both bounds of the field that matches."""
        accounts = [("partner_id", "in", (self.account | self.other).ids)]
        for model, field, measure in (
            ("aging", "as_of", "total"),
            ("status", "date", "amount_billed"),
            ("receivable", "date", "sales"),
        ):
            report = self.env[f"crm.billing.{model}.report"]
            report = report.with_user(self.users["accountant"])
            for last, expected in (("2027-05-31", 0.0), ("2027-06-15", 800.0)):
                period = [(field, ">=", "2027-01-01"), (field, "<=", last)]
                with self.subTest(report=model, last=last):
                    [[total]] = report._read_group(
                        [*accounts, *period], [], [f"{measure}:sum"]
                    )
                    self.assertEqual(total or 0.0, expected)

    def test_dates_filter_what_has_a_date(self):
        snapshot = self._read(self.owner)
        [period] = [one for one in snapshot["globalFilters"] if one["type"] == "date"]
        dated = {
            model
            for model, _domain, _group_by, _measures, matching in self._iter_sources(
                snapshot
            )
            if period["id"] in matching
        }
        now = {"crm.billing.leak.report", "crm.billing.forecast.report"}
        models = {model for model, *_rest in self._iter_sources(snapshot)}
        self.assertEqual(models - dated, now)

    def test_a_click_leads_to_the_report(self):
        for dashboard in (self.owner, self.rep):
            menus = self._read(dashboard)["chartOdooMenusReferences"]
            self.assertGreater(len(menus), 8)
            for menu in menus.values():
                self.assertTrue(self.env.ref(menu).action, menu)

    def test_an_empty_database_shows_an_example(self):
        moves = self.env["account.move"].search([("state", "=", "posted")])
        self.assertTrue(moves)
        self.assertFalse(self.rep.with_user(self.seller)._dashboard_is_empty())
        nobody = self.users["seller"].copy({"login": "nobody"})
        self.assertTrue(self.rep.with_user(nobody)._dashboard_is_empty())
        for dashboard in (self.owner, self.rep):
            sample = dashboard._get_sample_dashboard()
            self.assertFalse(list(self._iter_sources(sample)))
            figures = sample["sheets"][0]["figures"]
            live = self._read(dashboard)["sheets"][0]["figures"]
            self.assertEqual(
                [figure["data"]["title"] for figure in figures],
                [figure["data"]["title"] for figure in live],
            )

    def test_a_rep_sees_own_figures(self):
        [mine] = (
            self.env["crm.billing.aging.report"]
            .with_user(self.seller)
            .formatted_read_group(
                [("partner_id", "in", (self.account | self.other).ids)],
                [],
                ["overdue:sum"],
            )
        )
        self.assertEqual(mine["overdue:sum"], 100.0)

    def test_who_opens_which(self):
        groups = {
            self.owner: "account.group_account_invoice",
            self.rep: "sales_team.group_sale_salesman",
        }
        for dashboard, group in groups.items():
            self.assertEqual(dashboard.group_ids, self.env.ref(group))
        boards = self.env["spreadsheet.dashboard"].with_user(self.seller).search([])
        self.assertIn(self.rep, boards)
        self.assertNotIn(self.owner, boards)

    # === THE MAIL === #

    def _get_figures(self, role):
        digest = self.env.ref("crm_billing_reports.digest_billing")
        found = digest._compute_kpis(self.company, self.users[role])
        return {kpi["kpi_name"]: kpi for kpi in found}

    def test_the_mail_tells_each_reader_own_figures(self):
        digest = self.env.ref("crm_billing_reports.digest_billing")
        span = {
            "start_datetime": fields.Datetime.to_datetime("2027-05-16 12:00:00"),
            "end_datetime": fields.Datetime.now(),
        }
        values = {
            role: digest.with_context(**span)
            .with_user(self.users[role])
            .with_company(self.company)
            for role in ("seller", "other_seller", "accountant")
        }
        found = {
            role: (
                one.kpi_billing_billed_value,
                one.kpi_billing_overdue_value,
            )
            for role, one in values.items()
        }
        self.assertEqual(found["seller"], (100.0, 100.0))
        self.assertEqual(found["other_seller"], (700.0, 700.0))
        self.assertGreaterEqual(found["accountant"][0], 800.0)
        self.assertEqual(set(self._get_figures("seller")), set(self._get_kpis()))

    def _get_kpis(self):
        return [f"kpi_billing_{name}" for name in ("billed", "overdue", "mrr")]

    def test_more_overdue_is_not_praised(self):
        figures = self._get_figures("accountant")
        overdue = figures["kpi_billing_overdue"]["kpi_col3"]
        self.assertTrue(overdue["value"])
        self.assertFalse(overdue.get("margin"))
        self.assertIn("margin", figures["kpi_billing_billed"]["kpi_col3"])

    def test_who_reads_no_reports_gets_no_figures(self):
        reader = self.users["seller"].copy({"login": "plain"})
        reader.group_ids = self.env.ref("base.group_user")
        digest = self.env.ref("crm_billing_reports.digest_billing")
        self.assertFalse(digest._compute_kpis(self.company, reader))

    def test_a_digest_is_read_outside_of_a_mail(self):
        """By RPC or in an export all of its fields are read, without any days."""
        digest = self.env.ref("crm_billing_reports.digest_billing")
        figures = [name for name in digest._fields if name.startswith("kpi_billing_")]
        [values] = digest.with_user(self.env.ref("base.user_admin")).read(figures)
        amounts = {name: values[name] for name in figures if name.endswith("_value")}
        self.assertEqual(len(amounts), 3)
        self.assertEqual(set(amounts.values()), {0.0})

    def test_the_mail_is_sent_on_its_day_once(self):
        digest = self.env.ref("crm_billing_reports.digest_billing")
        digest.write({"user_ids": self.manager.ids, "next_run_date": date(2027, 6, 15)})
        before = self.env["mail.mail"].search([])
        digests = self.env["digest.digest"]
        digests._cron_send_digest_email()
        digests._cron_send_digest_email()
        mails = self.env["mail.mail"].search([]) - before
        mine = mails.filtered(lambda mail: digest.name in mail.subject)
        self.assertEqual(len(mine), 1)
        self.assertIn("Billed", mine.body_html)
