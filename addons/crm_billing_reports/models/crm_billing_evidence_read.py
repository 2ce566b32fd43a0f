from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.fields import Domain

from ..report_rules.evidence import BadPack, open_pack, verify

# What a file can be put back to.
HOMES = ("account.move", "account.payment", "crm.billing.agreement")


class CrmBillingEvidence(models.Model):
    _inherit = "crm.billing.evidence"

    # === BUSINESS METHODS - READING BACK === #

    def _open_archive(self):
        """Return archive, manifest and checksum of what is kept.

        :raise UserError: what is kept is no pack any more
        """
        try:
            return open_pack(self.sudo().attachment_id.raw or b"")
        except BadPack as error:
            raise UserError(self._explain_bad_pack(error)) from error

    def _verify(self):
        """Compare what is kept with its manifest, and the manifest with the record."""
        archive, manifest, checksum = self._open_archive()
        try:
            findings = verify(archive, manifest)
        except BadPack as error:
            raise UserError(self._explain_bad_pack(error)) from error
        faults = self._note_findings(findings)
        if checksum != self.checksum:
            body = self.env._("The manifest is not the one that was built.")
            faults += 1
        elif faults:
            body = self.env._("%(count)s files are not what was built.", count=faults)
        else:
            body = self.env._("Verified: all %(count)s files.", count=len(findings))
        self.sudo().fault_count = faults
        self.message_post(body=body)

    def _note_findings(self, findings):
        """Write what was found beside each file; return how many are at fault."""
        rows = {row.path: row for row in self.sudo().file_ids}
        extra = []
        for finding in findings:
            row = rows.get(finding.path)
            if row:
                row.state = finding.state
            else:
                extra.append({"path": finding.path, "state": finding.state})
        self.sudo().file_ids = [fields.Command.create(vals) for vals in extra]
        return sum(finding.state != "equal" for finding in findings)

    def _explain_bad_pack(self, error):
        """Return in words why a pack cannot be read."""
        _ = self.env._
        name = error.about
        words = {
            "no_zip": _("This is no ZIP archive, or it is damaged."),
            "no_manifest": _("This archive has no manifest: it is no evidence pack."),
            "manifest": _("The manifest of this pack is damaged."),
            "format": _("The manifest is of another format."),
            "path": _("A name in this archive leads out of it: %(name)s", name=name),
            "link": _("A file in this archive is a link: %(name)s", name=name),
            "twice": _("A name stands in this archive twice: %(name)s", name=name),
            "cipher": _("A file in this archive is encrypted: %(name)s", name=name),
            "large": _("This archive unpacks to far too much. %(name)s", name=name),
            "many": _("This archive has far too many files."),
            "broken": _("A file in this archive is damaged: %(name)s", name=name),
        }
        return words[error.reason]


class CrmBillingEvidenceFile(models.Model):
    _inherit = "crm.billing.evidence.file"

    # === BUSINESS METHODS - READING BACK === #

    def _restore(self):
        """Attach what is equal to its manifest to its record; return how many."""
        count = 0
        for pack, rows in self.grouped("evidence_id").items():
            archive, _manifest, _checksum = pack._open_archive()
            for row in rows:
                count += row._restore_from(archive)
        return count

    def _restore_from(self, archive):
        if self.state != "equal" or self.model not in HOMES:
            raise UserError(
                self.env._(
                    "%(path)s cannot be put back: it is not what was packed, or it "
                    "belongs to no invoice, payment or agreement.",
                    path=self.path,
                )
            )
        record = self.env[self.model].browse(self.res_id).exists()
        if not record or record.company_id != self.company_id:
            raise UserError(self.env._("%(path)s: its record is gone.", path=self.path))
        record.check_access("write")
        if self.evidence_id.partner_id not in self._get_accounts(record):
            raise UserError(
                self.env._("%(path)s is of another account.", path=self.path)
            )
        return self._attach(record, archive.read(self.path))

    @api.model
    def _get_accounts(self, record):
        """Return whose record it is: who pays, and whose agreement it is about."""
        accounts = record.partner_id.commercial_partner_id
        if record._name == "account.payment":
            moves = record.reconciled_invoice_ids
            accounts |= moves.commercial_partner_id
            return accounts | moves.agreement_ids.partner_id.commercial_partner_id
        if record._name == "account.move":
            return accounts | record.agreement_ids.partner_id.commercial_partner_id
        return accounts | self._get_payers(record)

    @api.model
    def _get_payers(self, agreement):
        """Return who was billed for an agreement."""
        return (
            self.env["account.move"]
            .search([("agreement_ids", "in", agreement.ids), ("state", "=", "posted")])
            .commercial_partner_id
        )

    def _attach(self, record, data):
        attachments = self.env["ir.attachment"]
        owned = Domain("res_model", "=", record._name) & Domain(
            "res_id", "=", record.id
        )
        digest = attachments._compute_checksum(data)
        # A field's attachment is found only when its field is named.
        any_field = Domain("res_field", "=", False) | Domain("res_field", "!=", False)
        if attachments.search_count(
            owned & any_field & Domain("checksum", "=", digest), limit=1
        ):
            return 0
        attachments.create(
            {
                "name": self.path.rpartition("/")[2],
                "raw": data,
                "res_model": record._name,
                "res_id": record.id,
            }
        )
        self.evidence_id._log_pack("evidence_restored", self.path)
        return 1
