from odoo import api, fields, models

DUNNING_FIELDS = ("dunning_policy_id", "dunning_hold_until")


class ResPartner(models.Model):
    _inherit = "res.partner"

    dunning_policy_id = fields.Many2one(
        "crm.dunning.policy",
        string="Collections Policy",
        company_dependent=True,
        check_company=True,
        help="Empty: the policy of its tier, of its tags, else of the company.",
    )
    dunning_hold_until = fields.Date(
        string="No Reminders Until",
        company_dependent=True,
        help="Reminders and charges of this account wait until this day is over.",
    )

    # === BUSINESS METHODS - THE WALL === #

    @api.model
    def _get_walled_fields(self):
        """Override of `crm_billing_handoff`: Sales does not decide how we collect."""
        return (*super()._get_walled_fields(), *DUNNING_FIELDS)

    @api.model
    def _get_internal_fields(self):
        """Override of `crm_billing_handoff`: how we collect is ours to know."""
        return (*super()._get_internal_fields(), *DUNNING_FIELDS)

    @api.model
    def _get_audited_fields(self):
        """Override of `crm_billing_handoff` to log who lets an account wait."""
        return (*super()._get_audited_fields(), *DUNNING_FIELDS)

    # === BUSINESS METHODS - COLLECTIONS === #

    def _get_dunning_policies(self, company):
        """Return the policy that each of these payers follows in ``company``.

        The account's own comes first, then one for its tier and tags, its tier, its
        tags, then the company's default; of two that fit alike the one of the company
        comes before one for all companies, then the order of the list decides. Archived
        policies are never followed. The number of queries does not depend on the number
        of payers.

        :return: ``{partner id: policy}``, an empty policy where none fits
        """
        # Who may see a policy does not decide which one an account follows.
        payers = self.sudo().with_company(company)
        # Of a hundred accounts, the rest of their rows would cost more than the search.
        payers.fetch(["commercial_partner_id"])
        accounts = payers.commercial_partner_id
        accounts.fetch(["dunning_policy_id", "service_tier_id", "billing_tz"])
        policies = self.env["crm.dunning.policy"].sudo()._get_candidates(company)
        default = policies._get_default(company)
        found = {}
        for payer in payers:
            account = payer.commercial_partner_id
            own = account.dunning_policy_id
            if own not in policies:
                own = policies._get_first_fitting(account) or default
            found[payer.id] = own.with_env(self.env)
        return found
