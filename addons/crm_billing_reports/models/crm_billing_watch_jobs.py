from odoo import api, models


class CrmBillingWatch(models.Model):
    """The jobs of the reports are watched as the others are (M4)."""

    _inherit = "crm.billing.watch"

    @api.model
    def _get_job_modules(self):
        return [*super()._get_job_modules(), "crm_billing_reports"]
