"""Who gets a message: accounts payable, else invoice address, else the account."""

from odoo import api, fields, models


class ResPartner(models.Model):
    _inherit = "res.partner"

    dunning_bounced_email = fields.Char(
        string="Bounced Address",
        readonly=True,
        copy=False,
        help="This address did not take a billing mail. Nothing is sent to it until "
        "the address is corrected or mail comes from it.",
    )

    # === BUSINESS METHODS - WHO CAN BE REACHED === #

    def _is_reachable(self):
        """Return whether a mail to this person has a chance to arrive."""
        self.ensure_one()
        address = self.email_normalized
        return bool(self.active and address and address != self.dunning_bounced_email)

    def _get_dunning_chain(self):
        """Return ``{payer id: people}``, the first that can be reached first (9.5).

        A person whose address bounced is left out until it is corrected.
        """
        found = {}
        for payer in self:
            account = payer.commercial_partner_id
            address = account.browse(account.address_get(["invoice"])["invoice"])
            people = account.billing_contact_id | address | account
            found[payer.id] = people.filtered(lambda person: person._is_reachable())
        return found

    def _message_receive_bounce(self, email, partner):
        """Override of `mail` to remember which address bounced."""
        result = super()._message_receive_bounce(email, partner)
        hit = self.sudo().filtered(lambda person: person.email_normalized == email)
        hit.dunning_bounced_email = email
        return result

    def _message_reset_bounce(self, email):
        """Override of `mail`: who writes can be reached."""
        result = super()._message_reset_bounce(email)
        back = self.sudo().filtered(lambda one: one.dunning_bounced_email == email)
        back.dunning_bounced_email = False
        return result


class CrmDunningNotice(models.Model):
    _inherit = "crm.dunning.notice"

    @api.model
    def _get_recipients(self, payer, policy=None):
        """Return who a message to ``payer`` goes to, the copy list of the policy last.

        :return: people; empty if nobody can be reached, whoever would get a copy
        """
        main = payer._get_dunning_chain()[payer.id][:1]
        return main | self._get_copies(payer, policy) if main else main

    @api.model
    def _get_copies(self, payer, policy):
        """Return who gets a copy by the policy (G3): salesperson, approver."""
        people = self.env["res.partner"]
        if not policy:
            return people
        if policy.copy_salesperson:
            people |= payer.user_id.partner_id
        if policy.copy_approver:
            people |= payer.billing_approver_id
        return people.filtered(lambda person: person._is_reachable())
