from odoo import api, fields, models

ADDONS = ("crm_billing_handoff", "crm_dunning", "crm_billing_reports")


class ResCompany(models.Model):
    _inherit = "res.company"

    billing_exception_budget = fields.Float(
        string="Exception Budget",
        default=5.0,
        help="Exceptions per 100 invoices that the company puts up with. A month above "
        "it is red.",
    )

    _exception_budget_not_negative = models.Constraint(
        "CHECK (COALESCE(billing_exception_budget, 0) >= 0)",
        "The exception budget is 0 or more.",
    )


class CrmBillingEvent(models.Model):
    """Releases stand in the log, so that exceptions can be told by them."""

    _inherit = "crm.billing.event"

    action = fields.Selection(
        selection_add=[("updated", "New release")], ondelete={"updated": "cascade"}
    )

    @api.model
    def _log_release(self):
        """Log the installed versions if they differ from the last ones in the log.

        Called by the data files, whenever this addon is installed or updated.
        """
        modules = self.env["ir.module.module"].search([("name", "in", ADDONS)])
        versions = ", ".join(
            f"{module.name} {module.installed_version}"
            for module in modules.sorted("name")
        )
        last = self.search([("action", "=", "updated")], limit=1)
        if last.new_value != versions:
            self._log(
                [
                    {
                        "action": "updated",
                        "old_value": last.new_value,
                        "new_value": versions,
                    }
                ]
            )
