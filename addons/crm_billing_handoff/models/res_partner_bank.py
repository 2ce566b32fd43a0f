from odoo import api, models
from odoo.exceptions import AccessError

from .res_partner_wall import GROUP_CLERK


class ResPartnerBank(models.Model):
    """Bank accounts: walled against Sales, and every change of them is logged."""

    _inherit = "res.partner.bank"

    # === CRUD METHODS === #

    @api.model_create_multi
    def create(self, vals_list):
        banks = super().create(vals_list)
        banks._log_bank_changes({})
        return banks

    def write(self, vals):
        before = {bank: bank._get_bank_text() for bank in self.sudo()}
        owners = {bank: bank.partner_id for bank in self.sudo()}
        result = super().write(vals)
        self._log_bank_changes(before, owners)
        return result

    def unlink(self):
        events = [
            bank._prepare_bank_event(bank.partner_id, bank._get_bank_text(), False)
            for bank in self.sudo()
        ]
        result = super().unlink()
        self.env["crm.billing.event"]._log(events)
        return result

    # === BUSINESS METHODS === #

    def _check_access(self, operation):
        """Override of `base` to keep salespeople away from bank accounts.

        *Contact / Creation* lets its members write them; a salesperson who holds it
        must not, unless Billing or Invoicing is theirs too.
        """
        user = self.env.user
        if (
            operation != "read"
            and not self.env.su
            and user.has_group("sales_team.group_sale_salesman")
            and not user.has_group("account.group_account_invoice")
        ):
            return self, self._get_bank_wall_error
        return super()._check_access(operation)

    def _get_bank_wall_error(self):
        return AccessError(
            self.env._(
                "Bank accounts are billing data: only a %(role)s can change them. Ask "
                "one of them: %(people)s.",
                role=self.env.ref(GROUP_CLERK).sudo().name,
                people=self.env["res.partner"]._get_people_of_group(GROUP_CLERK),
            )
        )

    def _get_bank_text(self):
        """Return what the log shows of a bank account: the end of its number."""
        number = self.sanitized_acc_number or self.acc_number or ""
        holder = self.acc_holder_name or self.partner_id.name or ""
        trusted = self.env._("trusted") if self.allow_out_payment else ""
        parts = [f"…{number[-4:]}", holder, self.bank_id.name, trusted]
        return ", ".join(part for part in parts if part)

    def _log_bank_changes(self, before, owners=None):
        owners = owners or {}
        events = []
        for bank in self.sudo():
            owner, text = bank.partner_id, bank._get_bank_text()
            if (former := owners.get(bank, owner)) != owner:
                events.append(bank._prepare_bank_event(former, before[bank], False))
                events.append(bank._prepare_bank_event(owner, False, text))
            elif text != before.get(bank):
                events.append(
                    bank._prepare_bank_event(owner, before.get(bank, False), text)
                )
        self.env["crm.billing.event"]._log(events)

    def _prepare_bank_event(self, owner, old, new):
        return {
            "action": "changed" if old else "created",
            "partner_id": owner.commercial_partner_id.id,
            "company_id": owner.company_id.id,
            "field_name": "bank_ids",
            "old_value": old,
            "new_value": new,
        }
