from odoo import api, models

from .res_partner_move import MOVING_FIELDS
from .res_partner_wall import SET_ONCE_FIELDS, WALLED_FIELDS

# What leaves a line in the audit log, creation values included.
AUDITED_FIELDS = (
    *WALLED_FIELDS,
    *SET_ONCE_FIELDS,
    "billing_contact_id",
    "billing_approver_id",
    "po_number",
    "po_expiry",
    "private_customer",
    "billing_tz",
)


class ResPartner(models.Model):
    """The log of what passes the wall: values at creation, changes, moves.

    Accounts are logged, not the contacts that mirror them.
    """

    _inherit = "res.partner"

    # === CRUD METHODS === #

    @api.model_create_multi
    def create(self, vals_list):
        partners = super().create(vals_list)
        partners._log_billing_values(vals_list)
        return partners

    def write(self, vals):
        names = [name for name in self._get_audited_fields() if name in vals]
        before = self._get_audit_values(names)
        accounts = self._get_accounts_before_move(vals)
        result = super().write(vals)
        self._log_billing_changes(before)
        self._log_moves(accounts)
        return result

    # === BUSINESS METHODS === #

    @api.model
    def _get_audited_fields(self):
        """Return what leaves a line in the audit log, creation values included."""
        return AUDITED_FIELDS

    def _get_audit_values(self, names):
        """Return ``{partner: {name: text}}`` of the accounts among the records."""
        if not names:
            return {}
        return {
            partner: {name: partner._format_audit_value(name) for name in names}
            for partner in self.sudo()
            if partner.commercial_partner_id == partner
        }

    def _format_audit_value(self, name):
        field = self._fields[name]
        value = self[name]
        if not value:
            return False
        if field.type == "binary":
            return self.env._("a file")
        return str(field.convert_to_export(value, self))

    def _log_billing_changes(self, before):
        """Log what differs from ``before``, as :meth:`_get_audit_values` gave it."""
        names = next(iter(before.values()), {})
        after = self._get_audit_values(list(names))
        self.env["crm.billing.event"]._log(
            [
                partner._prepare_billing_value("changed", name, value, old[name])
                for partner, old in before.items()
                for name, value in after.get(partner, {}).items()
                if value != old[name]
            ]
        )

    def _log_billing_values(self, vals_list):
        """Log the audited values that accounts are born with, defaults included."""
        self.env["crm.billing.event"]._log(
            [
                partner._prepare_billing_value(
                    "created", name, partner._format_audit_value(name)
                )
                for partner, vals in zip(self.sudo(), vals_list, strict=True)
                if partner.commercial_partner_id == partner
                for name in self._get_audited_fields()
                # A file is read only if there is one.
                if (name in vals or self._fields[name].type != "binary")
                and partner._has_own_value(name)
            ]
        )

    def _prepare_billing_value(self, action, name, value, old=False):
        shared = not self._fields[name].company_dependent
        company = self.company_id if shared else self.env.company
        return {
            "action": action,
            "partner_id": self.id,
            "company_id": company.id,
            "field_name": name,
            "old_value": old,
            "new_value": value,
        }

    def _get_accounts_before_move(self, vals):
        """Return ``{partner: (account, name)}`` if ``vals`` may move the records."""
        if not set(MOVING_FIELDS) & set(vals):
            return {}
        return {
            partner: (partner.commercial_partner_id, partner.display_name)
            for partner in self.sudo()
        }

    def _log_moves(self, account_by_partner):
        """Log accounts that became a contact of another one, and the reverse."""
        self.env["crm.billing.event"]._log(
            [
                {
                    "action": "moved",
                    "partner_id": partner.id,
                    "company_id": partner.company_id.id,
                    "field_name": "commercial_partner_id",
                    "old_value": name,
                    "new_value": partner.display_name,
                }
                for partner, (old, name) in account_by_partner.items()
                if partner.commercial_partner_id != old
                and partner in (old, partner.commercial_partner_id)
            ]
        )
