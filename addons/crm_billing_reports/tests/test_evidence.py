import base64
import io
import json
import zipfile
from unittest.mock import patch

from odoo import fields
from odoo.exceptions import AccessError, UserError
from odoo.fields import Command
from odoo.tests import new_test_user, tagged

from .common import ReportsCommon


@tagged("post_install", "-at_install")
class TestEvidence(ReportsCommon):
    """Idea 19: one archive per account and period that proves what it holds."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.export = cls.env.ref("base.group_allow_export")
        for role in ("accountant", "clerk", "manager"):
            cls.users[role].group_ids = [Command.link(cls.export.id)]
        cls.accountant = cls.users["accountant"]
        cls.invoice = cls._create_dated("2026-03-05", 120.0)
        cls.payment = cls._pay_on(cls.invoice, "2026-03-20")
        cls.pdf = cls.env["ir.attachment"].create(
            {
                "name": "INV as sent.pdf",
                "raw": b"%PDF as sent",
                "res_model": "account.move",
                "res_field": "invoice_pdf_report_file",
                "res_id": cls.invoice.id,
            }
        )

    def _create_pack(self, user=None, **values):
        return (
            self.env["crm.billing.evidence"]
            .with_user(user or self.accountant)
            .create(
                {
                    "partner_id": self.account.id,
                    "date_from": "2026-01-01",
                    "date_to": "2026-06-30",
                    **values,
                }
            )
        )

    def _build(self, user=None, **values):
        pack = self._create_pack(user, **values)
        pack.action_build()
        return pack

    def _open(self, pack):
        return zipfile.ZipFile(io.BytesIO(pack.sudo().attachment_id.raw))

    def _read_back(self, data, user=None):
        wizard = (
            self.env["crm.billing.evidence.import"]
            .with_user(user or self.accountant)
            .create({"file": base64.b64encode(data), "file_name": "pack.zip"})
        )
        action = wizard.action_import()
        return wizard.env[action["res_model"]].browse(action["res_id"])

    # === WHAT IS IN IT === #

    def test_invoice_is_packed_as_it_was_sent(self):
        archive = self._open(self._build())
        self.assertEqual(archive.read("invoices/INV as sent.pdf"), b"%PDF as sent")

    def test_invoice_never_sent_is_printed_and_said_to_be(self):
        other = self._create_dated("2026-04-05", 60.0)
        pack = self._build()
        row = pack.file_ids.filtered(
            lambda row: row.model == "account.move" and row.res_id == other.id
        )
        self.assertIn("Printed", row.note)
        self.assertTrue(self._open(pack).read(row.path))
        self.assertFalse(other.invoice_pdf_report_id)

    def test_an_empty_print_is_no_proof(self):
        """Core takes a printer that fails for one that printed nothing."""
        self._create_dated("2026-04-05", 60.0)
        reports = type(self.env["ir.actions.report"])
        with (
            patch.object(reports, "_render_qweb_pdf", return_value=(b"", "pdf")),
            self.assertRaisesRegex(UserError, "could not be printed"),
        ):
            self._build()

    def test_receipt_log_ledger_and_history_are_packed(self):
        archive = self._open(self._build())
        names = archive.namelist()
        self.assertTrue([name for name in names if name.startswith("receipts/")])
        items = archive.read("ledger/items.csv").decode("utf-8-sig")
        self.assertIn(self.invoice.name, items)
        matchings = archive.read("ledger/matchings.csv").decode("utf-8-sig")
        self.assertIn(self.payment.move_id.name, matchings)
        self.assertIn("log/audit_log.csv", names)
        self.assertIn("ledger/crosswalk.csv", names)

    def test_signed_agreement_is_packed(self):
        agreement = self.env["crm.billing.agreement"].create(
            {
                "partner_id": self.account.id,
                "start_date": "2026-02-01",
                "line_ids": [
                    Command.create(
                        {"product_id": self.product.id, "billing_method": "one_off"}
                    )
                ],
            }
        )
        signed = self.env["ir.attachment"].create(
            {
                "name": "signed.pdf",
                "raw": b"signed by both",
                "res_model": agreement._name,
                "res_id": agreement.id,
            }
        )
        agreement.signed_attachment_ids = signed
        archive = self._open(self._build())
        (name,) = [name for name in archive.namelist() if name.endswith("signed.pdf")]
        self.assertEqual(archive.read(name), b"signed by both")

    def test_what_pays_a_packed_invoice_later_is_packed(self):
        """The receipt proves the invoice, whatever day the money came."""
        move = self._create_dated("2026-06-20", 80.0)
        payment = self._pay_on(move, "2026-07-10")
        other = self._pay_on(self._create_dated("2026-07-01", 5.0), "2026-07-11")
        pack = self._build()
        packed = pack.file_ids.filtered(lambda row: row.model == "account.payment")
        self.assertIn(payment.id, packed.mapped("res_id"))
        self.assertNotIn(other.id, packed.mapped("res_id"))

    def test_what_was_said_in_collections_is_packed(self):
        today = fields.Date.today()
        move = self._create_dated(today, 10.0)
        case = self.env["crm.dunning.case"].create({"move_id": move.id})
        case.message_post(
            body="Paid on Friday",
            message_type="comment",
            subtype_xmlid="mail.mt_comment",
        )
        pack = self._build(date_from=today, date_to=today)
        table = self._open(pack).read("messages/messages.csv").decode("utf-8-sig")
        self.assertIn("Paid on Friday", table)

    def test_messages_to_the_customer_are_packed_and_notes_are_not(self):
        """Also of invoices of earlier periods: it is the day of the message."""
        for body, subtype in (
            ("Please pay soon", "mail.mt_comment"),
            ("Difficult people", "mail.mt_note"),
        ):
            self.invoice.message_post(
                body=body, subtype_xmlid=subtype, message_type="comment"
            )
        today = fields.Date.today()
        self._create_dated(today, 10.0)
        pack = self._build(date_from=today, date_to=today)
        table = self._open(pack).read("messages/messages.csv").decode("utf-8-sig")
        self.assertIn("Please pay soon", table)
        self.assertNotIn("Difficult people", table)
        table = self._open(self._build()).read("messages/messages.csv").decode()
        self.assertNotIn("Please pay soon", table)

    def test_no_cell_is_a_formula(self):
        self.env["crm.billing.event"]._log(
            [
                {
                    "action": "changed",
                    "partner_id": self.account.id,
                    "company_id": self.company.id,
                    "new_value": '=HYPERLINK("http://evil")',
                }
            ]
        )
        pack = self._build(date_to=fields.Date.today())
        table = self._open(pack).read("log/audit_log.csv").decode("utf-8-sig")
        self.assertIn("'=HYPERLINK", table)

    def test_other_accounts_are_not_in_it(self):
        stranger = self._create_account("Stranger")
        other = self._create_dated("2026-03-06", 77.0, account=stranger)
        pack = self._build()
        self.assertNotIn(other.id, pack.file_ids.mapped("res_id"))
        for name in self._open(pack).namelist():
            if name.endswith(".csv"):
                self.assertNotIn(other.name, self._open(pack).read(name).decode())

    def _create_paid_by_another(self):
        payer = self._create_account("Parent Holding")
        agreement = self.env["crm.billing.agreement"].create(
            {
                "partner_id": self.account.id,
                "start_date": "2026-03-01",
                "line_ids": [Command.create({"product_id": self.product.id})],
            }
        )
        move = self._create_dated("2026-03-06", 77.0, account=payer)
        move.sudo().agreement_ids = agreement
        return payer, agreement, move

    def test_what_another_account_pays_is_in_the_packs_of_both(self):
        payer, agreement, move = self._create_paid_by_another()
        for account in (self.account, payer):
            pack = self._build(partner_id=account.id)
            ids = pack.file_ids.filtered(lambda row: row.model == "account.move")
            self.assertIn(move.id, ids.mapped("res_id"), account.name)
            self.assertIn(agreement, pack._get_agreements())
            table = self._open(pack).read("agreements/agreements.csv").decode()
            self.assertIn(agreement.name, table)
            files = pack.file_ids.filtered(lambda row: row.res_id == move.id)
            self.assertIn(account, files._get_accounts(move))
        self.assertNotIn(self.invoice, pack._get_moves(), "the payer did not pay it")

    def test_messages_of_what_another_account_pays_are_in_both(self):
        payer, _agreement, move = self._create_paid_by_another()
        move.message_post(
            body="Whose cost centre is it?",
            message_type="comment",
            subtype_xmlid="mail.mt_comment",
        ).date = "2026-03-07"
        self.env.flush_all()
        for account in (self.account, payer):
            pack = self._build(partner_id=account.id)
            table = self._open(pack).read("messages/messages.csv").decode()
            self.assertIn("Whose cost centre", table, account.name)

    def test_period_is_that_of_the_account_zone(self):
        self.account.billing_tz = "America/New_York"
        first, last = self._create_pack()._get_instants()
        self.assertEqual(str(first), "2026-01-01 05:00:00")
        self.assertEqual(str(last), "2026-07-01 04:00:00")

    def test_nothing_billed_is_said(self):
        with self.assertRaisesRegex(UserError, "Nothing was billed"):
            self._build(date_from="2020-01-01", date_to="2020-12-31")

    # === PROOF === #

    def test_verifying_finds_all_files(self):
        pack = self._build()
        self.assertEqual(pack.action_verify()["params"]["type"], "success")
        self.assertEqual(set(pack.file_ids.mapped("state")), {"equal"})
        self.assertEqual(pack.fault_count, 0)
        self.assertIn("Verified", pack.message_ids[0].body)

    def test_a_forged_archive_is_red(self):
        pack = self._build()
        data = io.BytesIO()
        with self._open(pack) as old, zipfile.ZipFile(data, "w") as new:
            for name in old.namelist():
                body = old.read(name)
                new.writestr(name, b"paid" if name.endswith("sent.pdf") else body)
        pack.sudo().attachment_id.raw = data.getvalue()
        self.assertEqual(pack.action_verify()["params"]["type"], "warning")
        self.assertEqual(pack.fault_count, 1)
        (row,) = pack.file_ids.filtered(lambda row: row.state == "changed")
        self.assertEqual(row.path, "invoices/INV as sent.pdf")

    def test_a_forged_manifest_is_red(self):
        pack = self._build()
        data = io.BytesIO()
        with self._open(pack) as old, zipfile.ZipFile(data, "w") as new:
            for name in old.namelist():
                body = old.read(name)
                if name == "manifest.json":
                    manifest = json.loads(body)
                    manifest["account"]["name"] = "Somebody else"
                    body = json.dumps(manifest)
                new.writestr(name, body)
        pack.sudo().attachment_id.raw = data.getvalue()
        pack.action_verify()
        self.assertEqual(pack.fault_count, 1)
        self.assertIn("not the one that was built", pack.message_ids[0].body)

    def test_a_built_pack_is_neither_changed_nor_deleted(self):
        pack = self._build()
        with self.assertRaises(UserError):
            pack.date_to = "2026-12-31"
        with self.assertRaises(UserError):
            pack.unlink()
        with self.assertRaises(AccessError):
            pack.checksum = "forged"
        before = pack.checksum
        pack.action_build()
        self.assertEqual(pack.checksum, before)

    # === READING BACK === #

    def test_reading_back_finds_the_same_records(self):
        data = self._build().sudo().attachment_id.raw
        pack = self._read_back(data)
        self.assertEqual(pack.state, "imported")
        self.assertEqual(pack.partner_id, self.account)
        self.assertEqual(pack.fault_count, 0)
        found = pack.file_ids.filtered(lambda row: row.model == "account.move")
        self.assertEqual(found.res_id, self.invoice.id)
        self.assertEqual(found.record_state, "found")

    def test_reading_back_twice_is_reading_once(self):
        data = self._build().sudo().attachment_id.raw
        self.assertEqual(self._read_back(data), self._read_back(data))

    def test_a_lost_document_is_put_back_once(self):
        pack = self._build()
        row = pack.file_ids.filtered(lambda row: row.res_id == self.invoice.id)
        self.assertEqual(row.action_restore(), 0)  # it is there
        self.pdf.unlink()
        self.assertEqual(row.action_restore(), 1)
        self.assertEqual(row.action_restore(), 0)
        attachment = self.env["ir.attachment"].search(
            [("res_model", "=", "account.move"), ("res_id", "=", self.invoice.id)]
        )
        self.assertEqual(attachment.raw, b"%PDF as sent")

    def test_a_pack_puts_nothing_on_documents_of_others(self):
        stranger = self._create_account("Stranger")
        other = self._create_dated("2026-03-06", 77.0, account=stranger)
        pack = self._build()
        row = pack.file_ids.filtered(lambda row: row.res_id == self.invoice.id)
        row.sudo().res_id = other.id
        with self.assertRaisesRegex(UserError, "another account"):
            row.action_restore()

    def test_hostile_uploads_are_refused_in_words(self):
        climbing = io.BytesIO()
        with zipfile.ZipFile(climbing, "w") as archive:
            archive.writestr("../../evil.py", "print()")
        for data, words in (
            (b"no zip", "no ZIP archive"),
            (climbing.getvalue(), "leads out of it"),
        ):
            with self.assertRaisesRegex(UserError, words):
                self._read_back(data)
        self.assertFalse(
            self.env["crm.billing.evidence"].search_count([("state", "=", "imported")])
        )

    def test_a_pack_of_an_unknown_account_is_refused(self):
        data = io.BytesIO()
        manifest = {
            "format": "crm-billing-evidence/1",
            "account": {"id": self.account.id, "name": "Somebody else"},
            "files": [],
        }
        with zipfile.ZipFile(data, "w") as archive:
            archive.writestr("manifest.json", json.dumps(manifest))
        with self.assertRaisesRegex(UserError, "not found here"):
            self._read_back(data.getvalue())

    # === RIGHTS === #

    def test_who_may_build(self):
        for role in ("accountant", "clerk", "manager"):
            with self.subTest(role=role):
                self.assertEqual(self._build(self.users[role]).state, "built")
        with self.assertRaises(AccessError):
            self._create_pack(self.seller)

    def test_it_needs_the_right_to_export(self):
        self.accountant.group_ids = [Command.unlink(self.export.id)]
        pack = self._create_pack()
        with self.assertRaisesRegex(AccessError, "right to export"):
            pack.action_build()
        self.assertEqual(pack.state, "draft")

    def test_each_building_is_logged(self):
        pack = self._build()
        event = self.env["crm.billing.event"].search(
            [("action", "=", "evidence_built"), ("partner_id", "=", self.account.id)]
        )
        self.assertEqual(event.user_id, self.accountant)
        self.assertEqual(event.new_value, pack.checksum)

    def test_packs_of_other_companies_are_out_of_sight(self):
        pack = self._build()
        company = self.env["res.company"].create({"name": "Elsewhere"})
        stranger = new_test_user(
            self.env,
            "evidence_stranger",
            groups="base.group_user,account.group_account_invoice",
            company_id=company.id,
            company_ids=[Command.set(company.ids)],
        )
        packs = self.env["crm.billing.evidence"].with_user(stranger)
        self.assertNotIn(pack.id, packs.search([]).ids)
        with self.assertRaises(AccessError):
            packs.browse(pack.id).action_download()
