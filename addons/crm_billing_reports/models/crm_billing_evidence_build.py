import tempfile

from odoo import fields, models
from odoo.fields import Domain

from ..report_rules.evidence import PackWriter
from .crm_billing_evidence_tables import LINE_FIELDS, MESSAGE_FIELDS
from .printed import print_document

SPOOLED = 16 * 1024 * 1024  # bytes kept in memory before a pack goes to disk
INVOICE_REPORT = "account.account_invoices"
RECEIPT_REPORT = "account.action_report_payment_receipt"
# Written by or to the customer; notes of colleagues among themselves are not.
TALK = ("email", "comment", "email_outgoing", "auto_comment")


class CrmBillingEvidence(models.Model):
    _inherit = "crm.billing.evidence"

    # === BUSINESS METHODS - BUILDING === #

    def _build(self):
        """Write the archive with the rights of the user, and keep it."""
        moves, payments = self._get_moves(), self._get_payments()
        agreements = self._get_agreements()
        self._check_size(moves, payments, agreements)
        with tempfile.SpooledTemporaryFile(SPOOLED) as target:
            pack = PackWriter(target)
            self._add_invoices(pack, moves)
            self._add_receipts(pack, payments)
            self._add_agreements(pack, agreements)
            if self.with_messages:
                self._add_messages(pack)
            self._add_tables(pack, moves, payments)
            checksum = pack.close(self._prepare_header())
            target.seek(0)
            data = target.read()
        self._keep(data, checksum, pack.files, "built")
        self._log_pack("evidence_built")

    def _prepare_header(self):
        """Return what the manifest says of the pack as a whole."""
        return {
            "account": {
                "id": self.partner_id.id,
                "name": self.partner_id.name,
                "legal_name": self.partner_id.legal_name or "",
                "vat": self.partner_id.vat or "",
                "external_id": self._get_xmlids(self.partner_id)[self.partner_id.id],
            },
            "company": {"id": self.company_id.id, "name": self.company_id.name},
            "date_from": fields.Date.to_string(self.date_from),
            "date_to": fields.Date.to_string(self.date_to),
            "built_at": fields.Datetime.to_string(fields.Datetime.now()),
            "built_by": self.env.user.name,
        }

    def _keep(self, data, checksum, files, state):
        """Store the archive and the list of its files; users only read them."""
        pack = self.sudo()
        pack.attachment_id = pack.env["ir.attachment"].create(
            {
                "name": f"evidence-{checksum[:12]}.zip",
                "raw": data,
                "mimetype": "application/zip",
                "res_model": self._name,
                "res_field": "attachment_id",
                "res_id": self.id,
            }
        )
        pack.file_ids = [
            fields.Command.create(
                {
                    "path": row["path"],
                    "size": row.get("size", 0),
                    "checksum": row["sha256"],
                    "model": row.get("model"),
                    "res_id": row.get("res_id"),
                    "note": row.get("note"),
                }
            )
            for row in files
        ]
        pack.write(
            {
                "state": state,
                "built_at": fields.Datetime.now(),
                "built_uid": self.env.uid,
                "checksum": checksum,
                "size": len(data),
                "file_count": len(files),
            }
        )

    def _log_pack(self, action, note=""):
        self.env["crm.billing.event"]._log(
            [
                {
                    "action": action,
                    "company_id": self.company_id.id,
                    "partner_id": self.partner_id.id,
                    "new_value": self.checksum,
                    "note": note or f"{self.date_from} – {self.date_to}",
                }
            ]
        )

    # === BUSINESS METHODS - CONTENTS === #

    def _add_invoices(self, pack, moves):
        """Add each invoice as it was sent; else print it, and say so."""
        numbers = self._get_xmlids(moves)
        for move in moves:
            about = {
                "model": move._name,
                "res_id": move.id,
                "key": move.name,
                "external_id": numbers[move.id],
            }
            for attachment in move.invoice_pdf_report_id | self._get_e_invoices(move):
                pack.add("invoices", attachment.name, attachment.raw or b"", **about)
            if not move.invoice_pdf_report_id and self.with_rendered:
                note = self.env._("Printed for this pack: no PDF was kept.")
                about["note"] = note
                pack.add("invoices", *self._print(INVOICE_REPORT, move), **about)

    def _get_e_invoices(self, move):
        """Return the structured files that went with an invoice."""
        extra = self.env["account.move.send"]._get_invoice_extra_attachments(move)
        return extra - move.invoice_pdf_report_id

    def _add_receipts(self, pack, payments):
        numbers = self._get_xmlids(payments)
        for payment in payments:
            name, data = self._print(RECEIPT_REPORT, payment)
            pack.add(
                "receipts",
                name,
                data,
                model=payment._name,
                res_id=payment.id,
                key=payment.name or "",
                external_id=numbers[payment.id],
            )

    def _print(self, report, record):
        """Return name and content of a printed record."""
        kind, data = print_document(record, report)
        return f"{record.display_name}.{kind}", data

    def _add_agreements(self, pack, agreements):
        """Add the signed documents, and one table of what was agreed."""
        for agreement in agreements:
            for attachment in agreement.signed_attachment_ids:
                pack.add(
                    "agreements",
                    f"{agreement.name} {attachment.name}",
                    attachment.raw or b"",
                    model=agreement._name,
                    res_id=agreement.id,
                    key=agreement.name,
                )
        lines = agreements.line_ids
        self._add_table(pack, "agreements", "agreements.csv", lines, LINE_FIELDS)

    def _get_threads(self):
        """Return whose messages count: also those of documents of earlier days."""
        own = Domain("company_id", "=", self.company_id.id)
        account = Domain("partner_id", "child_of", self.partner_id.id)
        return (
            self.env["account.move"].search(self._get_moves_domain()),
            self.env["crm.billing.agreement"].search(own & account),
            self.env["crm.dunning.case"].search(own & account),
            self.partner_id.search([("id", "child_of", self.partner_id.id)]),
        )

    def _add_messages(self, pack):
        """Add what was written to and by the customer, with what was attached."""
        first, last = self._get_instants()
        threads = self._get_threads()
        where = Domain.OR(
            Domain("model", "=", records._name) & Domain("res_id", "in", records.ids)
            for records in threads
        )
        messages = self.env["mail.message"].search(
            where
            & Domain("message_type", "in", TALK)
            & Domain("is_internal", "=", False)
            & Domain("date", ">=", first)
            & Domain("date", "<", last),
            order="date, id",
        )
        messages = messages.filtered(lambda row: not row.subtype_id.internal)
        self._add_table(pack, "messages", "messages.csv", messages, MESSAGE_FIELDS)
        sent = threads[0].invoice_pdf_report_id
        for message in messages:
            for attachment in message.attachment_ids - sent:
                pack.add(
                    "messages",
                    f"{message.id} {attachment.name}",
                    attachment.raw or b"",
                    model=message.model,
                    res_id=message.res_id,
                )

    def _get_xmlids(self, records):
        """Return the external id of each record, empty where it has none."""
        return records.get_external_id()
