"""Which policy follows which account."""

from odoo import models
from odoo.fields import Domain


class CrmDunningPolicy(models.Model):
    _inherit = "crm.dunning.policy"

    def _get_candidates(self, company):
        """Return what accounts of ``company`` may follow, the most specific first."""
        # The run looks at archived accounts; an archived policy follows nobody.
        policies = self.with_context(active_test=True).search(
            Domain("company_id", "in", [company.id, False]), order="sequence, id"
        )
        policies.fetch(["company_id", "tier_ids", "category_ids"])
        return policies.sorted(
            lambda policy: (
                not (policy.tier_ids and policy.category_ids),
                not policy.tier_ids,
                not policy.category_ids,
                not policy.company_id,
            )
        )

    def _get_first_fitting(self, account):
        """Return the first policy made for accounts like this one, if there is any."""
        for policy in self:
            if not policy.tier_ids and not policy.category_ids:
                break
            if policy.tier_ids and account.service_tier_id not in policy.tier_ids:
                continue
            if policy.category_ids and not account.category_id & policy.category_ids:
                continue
            return policy
        return self.browse()

    def _get_default(self, company):
        """Return what accounts of ``company`` follow for which nothing else is made."""
        chosen = company.sudo().dunning_policy_id
        if chosen in self:
            return chosen
        return self.filtered(lambda one: not one.tier_ids and not one.category_ids)[:1]
