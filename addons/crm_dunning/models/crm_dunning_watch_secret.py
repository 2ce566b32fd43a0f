from odoo import api, models


class CrmBillingWatch(models.Model):
    _inherit = "crm.billing.watch"

    @api.model
    def _get_watches(self):
        name = self.env._("Stripe signs what it sends")
        watch = {"webhook_secret": (name, 0, self._check_webhook_secret)}
        return {**super()._get_watches(), **watch}

    @api.model
    def _check_webhook_secret(self, now):
        """Find active Stripe accounts without a secret: their webhooks are refused."""
        message = self.env._(
            "Enter the webhook signing secret at the payment provider. Until then what "
            "Stripe sends about invoices is refused, because anybody could have sent "
            "it; Stripe is asked every quarter of an hour instead."
        )

        def judge(provider):
            has_secret = bool(provider._get_webhook_secrets())
            return ("ok", "", None) if has_secret else ("off", message, None)

        stripes = self._find_providers([("code", "=", "stripe")])
        return self._judge_providers(stripes, judge)
