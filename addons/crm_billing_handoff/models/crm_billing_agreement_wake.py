from odoo import models
from odoo.fields import Domain

from .crm_billing_handoff_queue import WAKE_KEY


class CrmBillingAgreement(models.Model):
    """What puts an agreement that failed back into the queue: its cause may be gone."""

    _inherit = "crm.billing.agreement"

    def write(self, vals):
        result = super().write(vals)
        if not self.env.context.get("billing_run"):
            self._retry_changed()
        return result

    def action_retry(self):
        """Try again what could not be billed.

        :raise AccessError: the user is no billing clerk
        """
        self._check_is_biller()
        self._retry_changed()
        return True

    def _retry_changed(self):
        # Whoever may change the agreement may have repaired it.
        failed = self.sudo().filtered("billing_error")
        if failed:
            failed.with_context(
                tracking_disable=True, billing_run=True
            ).billing_error = False
            self._trigger_run()


class CrmBillingAgreementLine(models.Model):
    _inherit = "crm.billing.agreement.line"

    def write(self, vals):
        result = super().write(vals)
        if not self.env.context.get("billing_run"):
            self.agreement_id._retry_changed()
        return result


class CrmBillingHandoff(models.Model):
    _inherit = "crm.billing.handoff"

    def _wake_collected(self):
        """Override to look at agreements of the same accounts, too."""
        ids = self.env.cr.precommit.data.get(WAKE_KEY, {}).get("partner", ())
        accounts = self.env["res.partner"].browse(ids).exists().commercial_partner_id
        result = super()._wake_collected()
        if accounts:
            self.env["crm.billing.agreement"]._retry(
                Domain("partner_id", "in", accounts.ids)
                | Domain("payer_id", "in", accounts.ids)
            )
        return result


class ProductTemplate(models.Model):
    _inherit = "product.template"

    def write(self, vals):
        result = super().write(vals)
        if {"property_account_income_id", "categ_id", "active", "taxes_id"} & set(vals):
            self.env["crm.billing.agreement"]._retry(
                Domain("line_ids.product_id.product_tmpl_id", "in", self.ids)
            )
        return result
