from odoo import api, models
from odoo.fields import Domain


class ResUsers(models.Model):
    _inherit = "res.users"

    @api.model
    def _get_billing_without_two_factor_domain(self):
        """Return billing people who sign in without a second factor (I4)."""
        group = self.env.ref("crm_billing_handoff.group_billing_user")
        return (
            Domain("all_group_ids", "in", group.ids)
            & Domain("share", "=", False)
            & Domain("totp_enabled", "=", False)
        )
