from odoo import api, models


class IrAttachment(models.Model):
    _inherit = "ir.attachment"

    @api.model
    def _has_field_access(self, field, operation):
        """Override of `base` to ask the account about a file in a field of it.

        Core asks the attachment, which knows the groups of the field only: the file of
        an exemption certificate could be replaced behind the wall.
        """
        if field.model_name == "res.partner":
            return self.env["res.partner"]._has_field_access(field, operation)
        return super()._has_field_access(field, operation)
