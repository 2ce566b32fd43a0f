from odoo import models
from odoo.exceptions import AccessError, UserError
from odoo.fields import Domain

from ..models.res_partner_audit import AUDITED_FIELDS
from ..models.res_partner_wall import GROUP_MANAGER, bare_vat


class BasePartnerMergeAutomaticWizard(models.TransientModel):
    """Merging accounts moves documents, methods and banks by SQL, past all walls."""

    _inherit = "base.partner.merge.automatic.wizard"

    def _merge(self, partner_ids, dst_partner=None, extra_checks=True):
        """Override of `base` to leave billing accounts to a manager, and to log it."""
        partners = self.env["res.partner"].browse(partner_ids).exists()
        self._check_billing_merge(partners)
        names = {partner: partner.display_name for partner in partners}
        before = self._get_values_by_company(partners)
        result = super()._merge(
            partner_ids, dst_partner=dst_partner, extra_checks=extra_checks
        )
        survivor = partners.exists()
        if len(survivor) == 1 and len(partners) > 1:
            survivor._check_after_merge()
            self._log_billing_merge(survivor, names, before)
        return result

    def _check_billing_merge(self, partners):
        """Refuse what a merge must not decide: whose documents, which tax number.

        :raise AccessError: the partners carry billing data and the user is no manager
        :raise UserError: two tax numbers, or one of the partners pays for another
        """
        billed = partners._filtered_billing_substance()
        if billed and not self.env.su and not self.env.user.has_group(GROUP_MANAGER):
            raise AccessError(
                self.env._(
                    "%(accounts)s has billing data or documents: only a %(role)s can "
                    "merge it. Ask one of them: %(people)s.",
                    accounts=", ".join(billed.mapped("display_name")),
                    role=self.env.ref(GROUP_MANAGER).sudo().name,
                    people=partners._get_people_of_group(GROUP_MANAGER),
                )
            )
        accounts = partners.sudo().filtered(
            lambda partner: partner.commercial_partner_id == partner
        )
        if len({bare_vat(account.vat) for account in accounts} - {""}) > 1:
            raise UserError(
                self.env._(
                    "%(accounts)s have different tax numbers: they are two customers. "
                    "Correct the tax number first if one of them is wrong.",
                    accounts=", ".join(accounts.mapped("display_name")),
                )
            )
        payers = accounts.bill_to_id & accounts
        if payers:
            raise UserError(
                self.env._(
                    "%(payer)s pays for one of the others. Empty *Paid By* there "
                    "before you merge them.",
                    payer=", ".join(payers.mapped("display_name")),
                )
            )

    def _get_values_by_company(self, partners):
        """Return what merging fills by SQL, unseen by the log of changes."""
        names = [
            name for name in AUDITED_FIELDS if partners._fields[name].company_dependent
        ]
        return {
            company: partners.with_company(company)._get_audit_values(names)
            for company in self.env["res.company"].sudo().search(Domain.TRUE)
        }

    def _log_billing_merge(self, survivor, names, before):
        self.env["crm.billing.event"]._log(
            [
                {
                    "action": "moved",
                    "partner_id": survivor.id,
                    "company_id": survivor.company_id.id,
                    "old_value": f"{name} (ID {partner.id})",
                    "new_value": survivor.display_name,
                    "note": self.env._("Merged"),
                }
                for partner, name in names.items()
                if partner != survivor
            ]
        )
        for company, values in before.items():
            account = survivor.sudo().with_company(company)
            account._log_billing_changes(
                {account: values[account]} if account in values else {}
            )


class ResPartner(models.Model):
    _inherit = "res.partner"

    def _check_after_merge(self):
        """Check what merging repointed by SQL: payers and people must still fit."""
        referring = self.sudo().search(
            [
                "|",
                "|",
                ("bill_to_id", "in", self.ids),
                ("billing_contact_id", "in", self.ids),
                ("billing_approver_id", "in", self.ids),
            ]
        )
        (self | referring)._check_bill_to()
        (self | referring)._check_billing_people()
