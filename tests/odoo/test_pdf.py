"""The stand-in for wkhtmltopdf prints what Odoo's reports need."""

import io
import shutil
import unittest
from pathlib import Path

from PyPDF2 import PdfReader

from odoo.tests.common import TransactionCase

SHIM = Path(__file__).resolve().parents[2] / "setup/bin/wkhtmltopdf"


def is_shim():
    found = shutil.which("wkhtmltopdf")
    return bool(found) and Path(found).samefile(SHIM)


@unittest.skipUnless(is_shim(), "a real wkhtmltopdf is installed")
class TestPdf(TransactionCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        # nothing listens here: styles are left out at once, not waited for
        cls.env["ir.config_parameter"].set_param("report.url", "http://127.0.0.1:9")
        cls.partner = cls.env["res.partner"].create({"name": "Customer"})

    def _create_invoice(self, line_count):
        line = {"name": "A line of text", "quantity": 1, "price_unit": 10}
        invoice = self.env["account.move"].create(
            {
                "move_type": "out_invoice",
                "partner_id": self.partner.id,
                "invoice_line_ids": [(0, 0, line)] * line_count,
            }
        )
        invoice.action_post()
        return invoice

    def _render(self, invoices):
        """Return ``{invoice: [text of each page]}``."""
        report = self.env["ir.actions.report"].with_context(force_report_rendering=True)
        streams = report._render_qweb_pdf_prepare_streams(
            "account.account_invoices", {}, res_ids=invoices.ids
        )
        return {
            invoice: [
                page.extract_text().replace(" ", "")
                for page in PdfReader(io.BytesIO(stream["stream"].getvalue())).pages
            ]
            for invoice in invoices
            if (stream := streams.get(invoice.id))
        }

    def test_one_invoice_with_header_and_footer(self):
        invoice = self._create_invoice(1)
        [page] = self._render(invoice)[invoice]
        self.assertIn(invoice.name, page)
        self.assertIn("Customer", page)
        self.assertIn(self.env.company.name.replace(" ", ""), page)
        self.assertIn("Page1/1", page)

    def test_a_batch_is_split_by_invoice(self):
        long, short = self._create_invoice(90), self._create_invoice(1)
        pages = self._render(long + short)
        self.assertGreater(len(pages[long]), 1)
        self.assertIn(long.name, pages[long][0])
        self.assertIn(f"Page2/{len(pages[long])}", pages[long][1])
        self.assertEqual(len(pages[short]), 1)
        self.assertIn(short.name, pages[short][0])
