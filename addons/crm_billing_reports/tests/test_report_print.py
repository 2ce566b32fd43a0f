import io
from unittest.mock import patch

from freezegun import freeze_time
from PyPDF2 import PdfReader

from odoo.exceptions import AccessError, UserError
from odoo.tests import tagged

from ..models import crm_billing_report_export
from .test_report_export import REPORT, ExportCommon


@tagged("post_install", "-at_install")
@freeze_time("2027-06-15 12:00:00")
class TestReportPrint(ExportCommon):
    """A report on paper says what it shows, and that it ties."""

    def _prepare(self, user=None, **values):
        export = self._get_export(user)
        return export._prepare_print(
            export.env[REPORT], self._options(format="pdf", **values)
        )

    def _get_lines(self, values):
        return [
            (depth, [cell.text for cell in cells]) for depth, cells in values["lines"]
        ]

    def test_groups_are_indented_under_their_totals(self):
        values = self._prepare(
            detail="groups",
            groupby=("partner_id", "bucket"),
            columns=("overdue", "total", "__count"),
        )
        self.assertEqual(
            [cell.text for cell in values["labels"]],
            ["Account / Age", "Overdue", "Total", "Rows"],
        )
        money = "$\N{NO-BREAK SPACE}%s"
        self.assertEqual(
            self._get_lines(values),
            [
                (1, ["Northwind", money % "140.50", money % "140.50", "2"]),
                (2, ["1–30 days", money % "40.50", money % "40.50", "1"]),
                (2, ["61–90 days", money % "100.00", money % "100.00", "1"]),
                (0, ["Total", money % "140.50", money % "140.50", "2"]),
            ],
        )

    def test_mixed_currencies_are_no_total(self):
        self.env.ref("base.EUR").active = True
        self.moves += self._create_dated(
            "2027-01-10", 70.0, currency_id=self.env.ref("base.EUR").id
        )
        self.domain = [
            ("move_id", "in", self.moves.ids),
            ("as_of", "=", "2027-04-10"),
        ]
        self.env.flush_all()
        values = self._prepare(
            detail="groups", groupby=("currency_id",), columns=("amount_currency",)
        )
        self.assertEqual(
            self._get_lines(values),
            [
                (1, ["EUR", "70.00\N{NO-BREAK SPACE}€"]),
                (1, ["USD", "$\N{NO-BREAK SPACE}140.50"]),
                (0, ["Total", "–"]),
            ],
        )

    def test_rows_are_those_of_the_screen(self):
        values = self._prepare(columns=("move_id", "date_due", "is_held", "days"))
        self.assertEqual(
            self._get_lines(values),
            [
                (1, [self.invoice.display_name, "02/01/2027", "", "68"]),
                (1, [self.other.display_name, "03/31/2027", "", "10"]),
            ],
        )

    def test_figures_are_read_as_on_the_screen(self):
        """Days and rates have one decimal, shares are percentages, nothing is a dash"""
        export = self._get_export()
        months = self.env["crm.billing.revenue.month.report"]._fields
        days = self.env["crm.billing.receivable.report"]._fields["dso"]
        none = self.env["res.currency"]
        for field, value, text in (
            (days, 24.5333, "24.5"),
            (days, False, "–"),
            (months["net_retention"], 0.922, "92.2%"),
            (months["gross_retention"], False, "–"),
        ):
            with self.subTest(text=text):
                self.assertEqual(export._format_number(field, value, none), text)

    def test_zeros_step_back_on_paper(self):
        values = self._prepare(columns=("bucket_1_30", "retention"))
        self.assertEqual(
            [[cell.is_zero for cell in cells] for _depth, cells in values["lines"]],
            [[True, True], [False, True], [False, False]],
        )

    def test_rows_end_in_the_total_of_amounts(self):
        values = self._prepare(columns=("partner_id", "days", "total"))
        money = "$\N{NO-BREAK SPACE}%s"
        self.assertEqual(
            self._get_lines(values)[-1], (0, ["Total", "", money % "140.50"])
        )

    def test_the_pdf_shows_filters_day_and_proof(self):
        """Whoever reads the report may print it; that is logged, too."""
        export = self._get_export(self.manager).with_context(
            force_report_rendering=True
        )
        options = self._options(
            format="pdf",
            detail="groups",
            groupby=("partner_id",),
            columns=("total",),
            filters="Account: Northwind",
        )
        name, _type, chunks = export._export(REPORT, options)
        text = "".join(
            page.extract_text()
            for page in PdfReader(io.BytesIO(b"".join(chunks))).pages
        )
        self.assertEqual(name, "Aging Receivables.pdf")
        for part in ("As of 04/10/2027", "Account: Northwind", "140.50"):
            self.assertIn(part, text)
        self.assertIn("receivable accounts", text)
        event = self._get_events()
        self.assertEqual(event.note, "crm.billing.aging.report (pdf)")
        self.assertEqual(event.user_id, self.manager)

    def test_what_does_not_fit_on_paper_is_refused(self):
        self.patch(crm_billing_report_export, "MOST_PRINTED_ROWS", 1)
        with self.assertRaisesRegex(UserError, "More than 1 rows"):
            self._get_export()._export(
                REPORT, self._options(format="pdf", columns=("move_id",))
            )

    def test_a_pdf_without_content_is_an_error(self):
        """Odoo hands over an empty file where the program that prints is broken."""
        reports = type(self.env["ir.actions.report"])
        with (
            patch.object(reports, "_render_qweb_pdf", lambda *a, **k: (b"", "pdf")),
            self.assertRaisesRegex(UserError, "could not be made"),
        ):
            self._get_export()._export(
                REPORT, self._options(format="pdf", columns=("move_id",))
            )

    def test_who_cannot_read_the_report_prints_nothing(self):
        nobody = self.env["res.users"].create({"name": "Nobody", "login": "nobody8"})
        with self.assertRaises(AccessError):
            self._get_export(nobody)._export(REPORT, self._options(format="pdf"))
