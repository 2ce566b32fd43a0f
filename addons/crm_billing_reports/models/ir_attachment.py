from odoo import models
from odoo.exceptions import UserError

# Whose file proves something, by the field that holds it.
PROOFS = {
    "crm.billing.certificate": "attachment_id",
    "crm.billing.evidence": "attachment_id",
    "crm.billing.outside.import": "attachment_id",
}
BATCH = "crm.billing.export.batch"
# What else of an attachment may change, such as its description.
CONTENT = {"name", "raw", "datas", "db_datas", "store_fname", "checksum", "url", "type"}
CONTENT |= {"mimetype", "res_model", "res_field", "res_id", "company_id"}
CONTENT |= {"public"}  # else it is read by everybody who has the address


class IrAttachment(models.Model):
    """Files that were certified, packed, read or handed out stay as they are.

    Core lets whoever may write a record change its attachments.
    """

    _inherit = "ir.attachment"

    # === CRUD METHODS === #

    def write(self, vals):
        """Override of `base` to refuse another content under the same name."""
        if not CONTENT.isdisjoint(vals):
            self._check_proves_nothing()
        return super().write(vals)

    def unlink(self):
        """Override of `base` to keep what proves something."""
        self._check_proves_nothing()
        return super().unlink()

    def _delete_and_notify(self, message=None):
        """Override of `mail`, whose route deletes as superuser what one may write."""
        self.sudo(False)._check_proves_nothing()
        return super()._delete_and_notify(message)

    # === BUSINESS METHODS === #

    def _check_proves_nothing(self):
        """Let only the flow touch a proof.

        :raise UserError: one of the files is a proof, and a person acts
        """
        if self.env.su:
            return
        for attachment in self.sudo():
            if attachment._is_billing_proof():
                raise UserError(
                    self.env._(
                        "%(file)s proves what was billed or handed out: it is neither "
                        "changed nor deleted.",
                        file=attachment.name,
                    )
                )

    def _is_billing_proof(self):
        if self.res_model not in PROOFS and self.res_model != BATCH:
            return False
        owner = self.env[self.res_model].browse(self.res_id).exists()
        if self.res_model == BATCH:
            return self.name in (owner.files or {})
        return owner[PROOFS[self.res_model]] == self
