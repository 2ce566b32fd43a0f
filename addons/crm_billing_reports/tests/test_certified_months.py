from odoo.exceptions import UserError
from odoo.tests import tagged

from .books_common import BooksCommon
from .match_common import MatchCommon


@tagged("post_install", "-at_install")
class TestCertifiedMonths(MatchCommon):
    """A certified month is watched, and what is printed of it says what it is."""

    def setUp(self):
        super().setUp()
        self._read_complete(self._invoice_row(), self._payment_row())
        self.env.flush_all()
        self.env.invalidate_all()
        self.certificate = (
            self.env["crm.billing.certificate"]
            .with_user(self.manager)
            .create({"system_id": self.system.id, "date_from": "2026-03-01"})
        )

    def _run_job(self):
        self.env.flush_all()
        self.env.invalidate_all()
        with self.enter_registry_test_mode():
            job = self.env.ref("crm_billing_reports.ir_cron_verify_certificates")
            job.method_direct_trigger()
        self.env.invalidate_all()

    def _find(self):
        """Return what the watchdog says of our company."""
        watch = self.env["crm.billing.watch"]
        found = watch._check_certified(self.env.cr.now())
        return next(one for one in found if one.company_id == self.company.id)

    def _print(self):
        report = self.env["ir.actions.report"].with_context(tz="America/Los_Angeles")
        html, _kind = report._render_qweb_html(
            "crm_billing_reports.crm_billing_certificate_report", self.certificate.ids
        )
        return html.decode()

    def test_a_month_that_no_longer_agrees_is_told_once(self):
        self.certificate.action_certify()
        self._run_job()
        self.assertFalse(self.certificate.is_drifted)
        self.assertEqual(self._find().state, "ok")
        before = len(self.certificate.message_ids)
        self._read(self._invoice_row(amount="110.00"))
        self._run_job()
        self.assertTrue(self.certificate.is_drifted)
        self.assertEqual(len(self.certificate.activity_ids), 1)
        finding = self._find()
        self.assertEqual((finding.state, finding.backlog), ("failed", 1))
        told = len(self.certificate.message_ids)
        self.assertGreater(told, before)
        self._run_job()
        self.assertEqual(len(self.certificate.message_ids), told, "said each day")
        self.assertEqual(len(self.certificate.activity_ids), 1)
        self._read(self._invoice_row())
        self._run_job()
        self.assertFalse(self.certificate.is_drifted)
        self.assertFalse(self.certificate.activity_ids)
        self.assertEqual(self._find().state, "ok")

    def test_a_draft_on_paper_certifies_nothing(self):
        page = self._print()
        self.assertIn("Not certified yet", page)
        self.assertNotIn("Certified by", page)

    def test_the_hour_on_paper_is_that_of_the_zone_it_names(self):
        self.certificate.action_certify()
        self.certificate.sudo().certified_at = "2026-04-02 03:04:05"
        self.assertIn("04/02/2026 03:04:05", self._print())

    def test_what_was_certified_is_downloaded(self):
        with self.assertRaisesRegex(UserError, "not certified"):
            self.certificate.action_download()
        self.certificate.action_certify()
        url = self.certificate.action_download()["url"]
        self.assertIn(f"/{self.certificate.attachment_id.id}?", url)

    def test_a_workbook_is_refused_in_words_that_help(self):
        wizard = self._create_wizard(b"PK\x03\x04 a workbook")
        with self.assertRaisesRegex(UserError, r"\.xlsx.*CSV \(UTF-8\)"):
            wizard.action_check()

    def test_payments_are_taken_over_where_the_books_are_kept_there(self):
        self.assertTrue(self._get_row().is_booked_there)
        self.company.billing_books = "here"
        self.env.invalidate_all()
        self.assertFalse(self._get_row().is_booked_there)


@tagged("post_install", "-at_install")
class TestOpenBatch(BooksCommon):
    """The way from what is missing there to the batch that takes it along."""

    def test_what_is_missing_there_leads_to_the_batch_that_waits(self):
        move = self._create_dated("2026-03-01", 100.0)
        self.env.flush_all()
        row = self.env["crm.billing.match.report"].search(
            [("system_id", "=", self.system.id), ("move_id", "=", move.id)]
        )
        row = row.with_user(self.manager)
        self.assertFalse(row.action_hand_out().get("res_id"))
        batch = self._collect()
        self.assertEqual(row.action_hand_out()["res_id"], batch.id)
        self._hand_out(batch)
        self.assertFalse(row.action_hand_out().get("res_id"))

    def test_a_customer_who_stays_here_is_one_fault(self):
        move = self._create_dated("2026-03-01", 100.0)
        self.env["crm.billing.system.name"].create(
            {"system_id": self.system.id, "kind": "vendor", "name": self.account.name}
        )
        line = self._get_line(self._collect(), move)
        self.assertEqual(line.reason, "customer_refused")
        self.assertNotIn("\n", line.issue)

    def test_causes_stand_above_what_they_hold_up(self):
        self._create_taxed("2026-03-01", [(1, 100.0, self.tax)], "out_refund")
        self.env["crm.billing.system.name"].create(
            {"system_id": self.system.id, "kind": "vendor", "name": self.account.name}
        )
        batch = self._collect()
        batch.invalidate_recordset()
        self.assertEqual(batch.line_ids.mapped("entity"), ["customer", "credit"])
