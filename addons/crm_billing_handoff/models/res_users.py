from odoo import api, fields, models
from odoo.fields import Domain


class ResUsers(models.Model):
    _inherit = "res.users"

    billing_lacks_two_factor = fields.Boolean(
        string="Billing without Two-factor",
        compute="_compute_billing_lacks_two_factor",
        search="_search_billing_lacks_two_factor",
        help="Belongs to Billing and signs in without a second factor.",
    )

    def _compute_billing_lacks_two_factor(self):
        for user in self:
            user.billing_lacks_two_factor = not user.totp_enabled and user.has_group(
                "crm_billing_handoff.group_billing_user"
            )

    @api.model
    def _search_billing_lacks_two_factor(self, operator, value):
        if operator != "in":
            return NotImplemented
        # Asked the other way round, core's search finds those who have it.
        secured = self.sudo().search([("totp_enabled", "=", True)])
        group = self.env.ref("crm_billing_handoff.group_billing_user")
        lacking = (
            Domain("all_group_ids", "in", group.ids)
            & Domain("share", "=", False)
            & Domain("id", "not in", secured.ids)
        )
        return lacking if True in value else ~lacking
