from odoo import fields, models
from odoo.exceptions import UserError

from odoo.addons.crm_billing_handoff.models.uploaded import read_upload

from ..report_rules.evidence import BadPack, open_pack, verify

LARGEST_UPLOAD = 256  # MB


class CrmBillingEvidenceImport(models.TransientModel):
    """Read a pack back: check it, find its records, and keep it beside them."""

    _name = "crm.billing.evidence.import"
    _description = "Read an Evidence Pack"

    company_id = fields.Many2one(
        "res.company", required=True, default=lambda self: self.env.company
    )
    file = fields.Binary(attachment=False, required=True)
    file_name = fields.Char()

    # === ACTION METHODS === #

    def action_import(self):
        """Check the pack and show what was found; the same pack again is the same.

        :return: the action that shows the pack
        :raise UserError: it is no pack, or one that cannot be trusted
        """
        self.ensure_one()
        packs = self.env["crm.billing.evidence"].with_company(self.company_id)
        data = self._read()
        try:
            archive, manifest, checksum = open_pack(data)
            findings = verify(archive, manifest)
        except BadPack as error:
            raise UserError(packs._explain_bad_pack(error)) from error
        pack = packs.search(
            [
                ("checksum", "=", checksum),
                ("company_id", "=", self.company_id.id),
                ("state", "=", "imported"),
            ],
            limit=1,
        )
        if not pack:
            pack = packs.create(self._prepare_pack(manifest))
            pack._check_can_build()
            pack._keep(data, checksum, self._get_files(manifest), "imported")
        pack.sudo().fault_count = pack._note_findings(findings)
        pack._check_can_build()
        pack._log_pack("evidence_read", self.file_name)
        return pack._get_records_action(context={})

    # === BUSINESS METHODS === #

    def _read(self):
        return read_upload(self, LARGEST_UPLOAD)

    def _prepare_pack(self, manifest):
        """Return the values of the pack, with the account that it is about here.

        :raise UserError: that account is not here, or the manifest names no period
        """
        account = manifest.get("account")
        account = account if isinstance(account, dict) else {}
        partner = self._find_account(account)
        if not partner:
            raise UserError(
                self.env._(
                    "The account of this pack is not found here: %(name)s.",
                    name=account.get("name") or "–",
                )
            )
        try:
            first = fields.Date.to_date(manifest.get("date_from"))
            last = fields.Date.to_date(manifest.get("date_to"))
        except (ValueError, TypeError, AttributeError):
            first = last = None
        if not first or not last or last < first:
            raise UserError(self.env._("The manifest of this pack names no period."))
        return {
            "company_id": self.company_id.id,
            "partner_id": partner.id,
            "date_from": first,
            "date_to": last,
        }

    def _find_account(self, account):
        """Return the account: by external id, else by number and name together."""
        partners = self.env["res.partner"]
        external_id = account.get("external_id")
        if isinstance(external_id, str) and external_id.count(".") == 1:
            found = self.env.ref(external_id, raise_if_not_found=False)
            if found is not None and found._name == partners._name:
                return found.exists()
        number = account.get("id")
        if not isinstance(number, int) or not 0 < number < 2**31:
            return partners
        return partners.search(
            [("id", "=", number), ("name", "=", str(account.get("name")))]
        )

    def _get_files(self, manifest):
        """Return the list of files with values that the fields can hold."""
        return [
            {
                "path": row["path"][:512],
                "sha256": row["sha256"][:64],
                "size": self._to_number(row.get("size")),
                "model": row["model"] if row.get("model") in self.env else False,
                "res_id": self._to_number(row.get("res_id")),
                "note": str(row.get("note") or "")[:256],
            }
            for row in manifest["files"]
        ]

    def _to_number(self, value):
        is_number = isinstance(value, int) and not isinstance(value, bool)
        return value if is_number and 0 <= value < 2**31 else 0
