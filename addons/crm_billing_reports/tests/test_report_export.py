import csv
import io
import json
from datetime import date
from decimal import Decimal

from freezegun import freeze_time

from odoo.exceptions import AccessError, UserError
from odoo.tests import HttpCase, tagged

from ..models.crm_billing_report_export import ALERT_ROWS, ExportOptions
from .common import ReportsCommon

REPORT = "crm.billing.aging.report"


class ExportCommon(ReportsCommon):
    """An open invoice of 100.00 and one of 40.50, and somebody who may export."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.invoice = cls._create_dated("2027-01-10", 100.0, due=date(2027, 2, 1))
        cls.other = cls._create_dated("2027-03-10", 40.5, due=date(2027, 3, 31))
        cls.moves = cls.invoice + cls.other
        cls.right = cls.env.ref("base.group_allow_export")
        cls.accountant = cls.users["accountant"]
        for user in cls.clerk + cls.seller + cls.accountant:
            user.group_ids -= cls.right
        cls.clerk.group_ids += cls.right
        cls.domain = [("move_id", "in", cls.moves.ids), ("as_of", "=", "2027-04-10")]
        cls.env.flush_all()

    def _options(self, **values):
        return ExportOptions(domain=self.domain, **values)

    def _get_export(self, user=None):
        return self.env["crm.billing.report.export"].with_user(user or self.clerk)

    def _read_csv(self, user=None, **values):
        """Return the lines of the CSV that is streamed, of this transaction."""
        export, options = self._get_export(user), self._options(**values)
        export._export(REPORT, options)
        portions = export._write_csv(export.env[REPORT], options)
        text = b"".join(portions).decode("utf-8-sig")
        return list(csv.reader(io.StringIO(text)))

    def _get_events(self):
        return self.env["crm.billing.event"].search([("action", "=", "exported")])


@tagged("post_install", "-at_install")
@freeze_time("2027-06-15 12:00:00")
class TestReportExport(ExportCommon):
    """A report leaves the screen: complete, identified, by right, and logged."""

    # === WHAT LEAVES === #

    def test_data_has_number_and_ids_of_each_document(self):
        head, *rows = self._read_csv(format="data")
        table = {
            row["move_id"]: row
            for row in (dict(zip(head, r, strict=True)) for r in rows)
        }
        self.assertEqual(set(table), {self.invoice.name, self.other.name})
        row = table[self.other.name]
        self.assertEqual(row["move_id/.id"], str(self.other.id))
        self.assertEqual(self.env.ref(row["move_id/id"]), self.other)
        self.assertEqual(self.env.ref(row["partner_id/id"]), self.account)
        self.assertEqual(row["total"], "40.50")
        self.assertEqual(row["date_due"], "2027-03-31")
        self.assertEqual(row["as_of"], "2027-04-10")
        self.assertEqual(row["is_held"], "False")

    def test_an_external_id_stays(self):
        self.env["ir.model.data"].create(
            {
                "module": "old_system",
                "name": "invoice_7",
                "model": "account.move",
                "res_id": self.invoice.id,
            }
        )
        first, again = self._read_csv(format="data"), self._read_csv(format="data")
        self.assertEqual(first, again)
        column = first[0].index("move_id/id")
        names = {row[column] for row in first[1:]}
        self.assertIn("old_system.invoice_7", names)
        self.assertEqual(
            self.env["ir.model.data"].search_count(
                [("model", "=", "account.move"), ("res_id", "in", self.moves.ids)]
            ),
            2,
        )

    def test_a_name_that_is_taken_stops_nothing(self):
        """Core names its exports alike; a name may stand for another record."""
        self.env["ir.model.data"].create(
            {
                "module": "__export__",
                "name": f"account_move_{self.other.id}",
                "model": "account.move",
                "res_id": self.invoice.id,
            }
        )
        head, *rows = self._read_csv(format="data")
        name, external = head.index("move_id"), head.index("move_id/id")
        self.assertEqual(
            {row[name]: row[external] for row in rows},
            {
                self.invoice.name: f"__export__.account_move_{self.other.id}",
                self.other.name: "",
            },
        )

    def test_the_columns_are_those_of_the_report_not_of_the_screen(self):
        [head, *_rows] = self._read_csv(format="data", columns=("total",))
        self.assertEqual(head, self._read_csv(format="data")[0])
        self.assertLess({"move_id", "move_id/id", "bucket", "retention"}, set(head))

    def test_people_get_head_and_tie_outs(self):
        lines = self._read_csv(format="csv", filters="Account: Acme")
        self.assertEqual(lines[0], ["Aging Receivables"])
        self.assertEqual(lines[1], ["As of 04/10/2027"])
        self.assertIn(["Filters", "Account: Acme"], lines)
        self.assertEqual(lines[4][:2], ["Exported by", self.clerk.name])
        head = lines.index([]) + 1
        self.assertIn("Document External ID", lines[head])
        foot = [line for line in lines if "=" in line or "≠" in line]
        self.assertTrue(foot)
        self.assertEqual(foot[0][-1], "ties")

    def test_groups_have_their_totals(self):
        lines = self._read_csv(
            format="csv",
            detail="groups",
            groupby=("partner_id", "bucket"),
            columns=("total", "__count"),
        )
        head = lines.index([]) + 1
        self.assertEqual(lines[head], ["Account", "Age", "Total", "Rows"])
        self.assertEqual(
            lines[head + 1 : head + 5],
            [
                [self.account.display_name, "", "140.50", "2"],
                [self.account.display_name, "1–30 days", "40.50", "1"],
                [self.account.display_name, "61–90 days", "100.00", "1"],
                ["Total", "", "140.50", "2"],
            ],
        )

    def test_a_text_is_no_formula(self):
        self.account.name = "=HYPERLINK(1)"
        self.env.flush_all()
        head, row, *_rows = self._read_csv(format="data")
        self.assertEqual(row[head.index("partner_id")], "'=HYPERLINK(1)")

    def test_cells_are_quoted_as_the_csv_module_does(self):
        """The file is joined by us, so that it must be what the module would write."""
        self.account.name = 'Two, "three"\nand\r four'
        self.env.flush_all()
        export, options = self._get_export(), self._options(format="data")
        export._export(REPORT, options)
        text = b"".join(export._write_csv(export.env[REPORT], options)).decode()
        lines = list(csv.reader(io.StringIO(text, newline="")))
        self.assertEqual(lines[1][lines[0].index("partner_id")], self.account.name)
        expected = io.StringIO()
        csv.writer(expected).writerows(lines)
        self.assertEqual(text, expected.getvalue())

    def test_amounts_are_written_to_the_cent(self):
        """By the database in rows, by us in groups: both say the same."""
        columns = {"not_due": "0.00", "total": "140.50", "overdue": "140.50"}
        head, *rows = self._read_csv(format="data")
        sums = {
            name: f"{sum(Decimal(row[head.index(name)]) for row in rows):.2f}"
            for name in columns
        }
        self.assertEqual(sums, columns)
        texts = {row[head.index("not_due")] for row in rows}
        self.assertEqual(texts, {"0.00"})
        head, total = self._read_csv(
            format="data", detail="groups", columns=tuple(columns)
        )
        self.assertEqual(
            dict(zip(head, total, strict=True)),
            {f"{name}:sum": text for name, text in columns.items()},
        )

    def test_every_report_leaves_in_every_shape(self):
        """Rows and totals of each report, whoever wrote it, make a file."""
        export = self._get_export()
        reports = [
            name
            for name, model in self.env.registry.items()
            if getattr(model, "_is_billing_report", False) and not model._abstract
        ]
        self.assertGreater(len(reports), 8)
        for name in reports:
            for detail in ("rows", "groups"):
                with self.subTest(report=name, detail=detail), self.cr.savepoint():
                    options = ExportOptions(
                        domain=[],
                        format="csv",
                        detail=detail,
                        groupby=("company_id",) if detail == "groups" else (),
                    )
                    export._export(name, options)
                    portions = export._write_csv(export.env[name], options)
                    self.assertIn(b"Filters", b"".join(portions))

    # === BY RIGHT === #

    def test_exporting_needs_the_right(self):
        for export_format in ("csv", "data", "xlsx"):
            with self.assertRaisesRegex(UserError, "may not export"):
                self._get_export(self.accountant)._export(
                    REPORT, self._options(format=export_format)
                )
        self.assertFalse(self._get_events())

    def test_billing_managers_have_the_right(self):
        self.assertTrue(self.manager.has_group("base.group_allow_export"))

    def test_sales_takes_along_own_accounts_only(self):
        self.seller.group_ids += self.right
        stranger = self.account.copy({"name": "Other", "user_id": self.manager.id})
        foreign = self._create_dated(
            "2027-01-10", 70.0, account=stranger, invoice_user_id=self.manager.id
        )
        self.moves += foreign
        self.domain = [
            ("move_id", "in", self.moves.ids),
            ("as_of", "=", "2027-04-10"),
        ]
        self.env.flush_all()
        head, *rows = self._read_csv(self.seller, format="data")
        numbers = {row[head.index("move_id")] for row in rows}
        self.assertEqual(numbers, {self.invoice.name, self.other.name})
        self.assertEqual(len(self._read_csv(format="data")), 4)

    def test_who_cannot_read_the_report_gets_nothing(self):
        nobody = self.env["res.users"].create({"name": "Nobody", "login": "nobody7"})
        nobody.group_ids += self.right
        with self.assertRaises(AccessError):
            self._get_export(nobody)._export(REPORT, self._options())

    def test_what_is_no_report_is_refused(self):
        export = self._get_export()
        for name in ("res.users", "no.model", "crm.billing.event"):
            with self.assertRaisesRegex(UserError, "no billing report"):
                export._export(name, self._options())
        for values, message in [
            ({"format": "doc"}, "Export as one of"),
            ({"groupby": ("password",)}, "no column password"),
        ]:
            with self.assertRaisesRegex(UserError, message):
                export._export(REPORT, self._options(**values))

    # === LOGGED === #

    def test_each_export_is_logged_before_it_leaves(self):
        _name, _type, chunks = self._get_export()._export(REPORT, self._options())
        event = self._get_events()
        self.assertRecordValues(
            event,
            [
                {
                    "user_id": self.clerk.id,
                    "source": "person",
                    "company_id": self.company.id,
                    "note": "crm.billing.aging.report (csv)",
                    "new_value": str(self.domain),
                    "row_count": 2,
                }
            ],
        )
        chunks.close()

    def test_cores_own_export_is_logged(self):
        self.moves.with_user(self.clerk).export_data(["name"])
        event = self._get_events()
        self.assertEqual(event.note, "account.move (list)")
        self.assertEqual(event.row_count, 2)
        self.env["res.country"].with_user(self.clerk).search([], limit=1).export_data(
            ["name"]
        )
        self.assertEqual(self._get_events(), event)

    def test_a_manager_hears_of_much(self):
        """Two small exports count together, and are told once."""
        self.env["ir.config_parameter"].set_param(ALERT_ROWS, "5")
        mine = [("user_id", "=", self.manager.id), ("res_model", "=", False)]
        tasks = self.env["mail.activity"]
        self.manager.group_ids += self.env.ref(
            "crm_billing_handoff.group_billing_manager"
        )
        before = tasks.search(mine)
        export = self._get_export()
        export._export(REPORT, self._options(format="data"))
        export._export(REPORT, self._options(format="data"))
        self.assertEqual(tasks.search(mine), before)
        export._export(REPORT, self._options(format="data"))
        export._export(REPORT, self._options(format="data"))
        told = self.env["mail.activity"].search(
            [("summary", "like", "rows of billing data")]
        )
        self.assertEqual(len(told), 1)
        self.assertIn("6 rows", told.summary)
        self.assertNotEqual(told.user_id, self.clerk)


@tagged("post_install", "-at_install")
class TestReportExportRoute(HttpCase, ExportCommon):
    """The files as a browser gets them."""

    def _post(self, login, options, model=REPORT):
        self.authenticate(login, login)
        response = self.url_open(
            f"/billing/report/{model}/export",
            data={
                "data": json.dumps(options),
                "csrf_token": self._get_token(),
            },
        )
        return response

    def _get_token(self):
        page = self.url_open("/odoo").text
        return page.split('csrf_token: "')[1].split('"')[0]

    def test_csv_is_streamed(self):
        options = {"domain": self.domain, "format": "data"}
        response = self._post(self.clerk.login, options)
        response.raise_for_status()
        self.assertIn(
            "Aging%20Receivables.csv", response.headers["Content-Disposition"]
        )
        rows = list(csv.reader(io.StringIO(response.text)))
        self.assertEqual(len(rows), 3)

    def test_xlsx_opens(self):
        import openpyxl

        options = {"domain": self.domain, "format": "xlsx"}
        response = self._post(self.clerk.login, options)
        response.raise_for_status()
        sheet = openpyxl.load_workbook(io.BytesIO(response.content)).active
        lines = [list(line) for line in sheet.iter_rows(values_only=True)]
        self.assertEqual(lines[0][0], "Aging Receivables")
        head = next(line for line in lines if "Document External ID" in line)
        first = lines[lines.index(head) + 1]
        self.assertEqual(first[head.index("Document")], self.invoice.name)
        self.assertEqual(first[head.index("Total")], 100.0)
        self.assertEqual(first[head.index("Due Date")].date(), date(2027, 2, 1))

    def test_core_s_own_export_is_logged_with_its_filter(self):
        self.authenticate(self.clerk.login, self.clerk.login)
        domain = [["id", "in", self.invoice.ids]]
        for ids in (False, self.invoice.ids):
            asked = {
                "model": "account.move",
                "fields": [{"name": "name", "label": "Number"}],
                "ids": ids,
                "domain": [*domain, ["id", ">", 0]],
                "import_compat": False,
            }
            response = self.url_open(
                "/web/export/csv",
                data={"data": json.dumps(asked), "csrf_token": self._get_token()},
            )
            response.raise_for_status()
            self.assertIn(self.invoice.name, response.text)
        by_ids, by_filter = self._get_events()[:2]
        self.assertEqual(by_filter.new_value, str([*domain, ["id", ">", 0]]))
        self.assertEqual(by_ids.new_value, str([("id", "in", self.invoice.ids)]))
        self.assertEqual((by_filter.row_count, by_ids.row_count), (1, 1))

    def test_nonsense_is_refused(self):
        for data in ('"x"', '{"domain": [], "colour": 1}'):
            self.authenticate(self.clerk.login, self.clerk.login)
            response = self.url_open(
                f"/billing/report/{REPORT}/export",
                data={"data": data, "csrf_token": self._get_token()},
            )
            self.assertFalse(response.ok)
        self.assertFalse(self._get_events())
