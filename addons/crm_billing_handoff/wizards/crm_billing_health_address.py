from odoo import api, fields, models
from odoo.exceptions import AccessError


class CrmBillingHealthAddress(models.TransientModel):
    """Shows a billing manager the address that a monitor outside asks."""

    _name = "crm.billing.health.address"
    _description = "Address for a Monitor"

    company_id = fields.Many2one(
        "res.company", required=True, default=lambda self: self.env.company
    )
    url = fields.Char(string="Address", compute="_compute_url")

    @api.depends("company_id")
    def _compute_url(self):
        for wizard in self:
            token = wizard._get_company().billing_health_token
            base = wizard.get_base_url()
            wizard.url = token and f"{base}/billing/health?token={token}"

    def _get_company(self):
        """Return the company with the hand of the flow.

        A billing manager may not write companies; this is the manager's own secret.
        """
        if self.company_id not in self.env.companies:
            raise AccessError(
                self.env._(
                    "You do not work in %(company)s. Switch to it first.",
                    company=self.company_id.sudo().name,
                )
            )
        return self.company_id.sudo()

    def action_renew(self):
        """Make a new address; the one until now answers no longer."""
        self.ensure_one()
        self.check_access("write")
        self._get_company()._renew_health_token()
        return {
            **self.env["crm.billing.watch"].action_address(),
            "res_id": self.id,
        }
