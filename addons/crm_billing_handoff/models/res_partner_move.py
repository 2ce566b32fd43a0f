from odoo import api, models
from odoo.exceptions import AccessError
from odoo.fields import Domain

from .res_partner_wall import GROUP_CLERK, WALLED_FIELDS

# What a contact mirrors of its account and leaves behind when it leaves.
MIRRORED_FIELDS = (
    *WALLED_FIELDS,
    "legal_name",
    "billing_contact_id",
    "billing_approver_id",
    "billing_mail_note",
    "billing_tz",
    "po_expiry",
    "po_number",
    "private_customer",
)
MOVING_FIELDS = ("parent_id", "is_company", "company_type")


class ResPartner(models.Model):
    """Moving an account under another one, or out of it: a way around the wall.

    It would take over the terms, tax data and payer of the other account. Sales moves
    plain contacts; what is billed, Billing moves.
    """

    _inherit = "res.partner"

    # === CRUD METHODS === #

    def write(self, vals):
        self._leave_mirrored_values(vals)
        kept = self._get_accounts_to_keep(vals)
        result = super().write(vals)
        moved = self.filtered(
            lambda partner: (
                partner.commercial_partner_id != kept.get(partner, partner)
                and partner in kept
            )
        )
        if moved:
            raise moved._get_move_error()
        return result

    @api.ondelete(at_uninstall=False)
    def _unlink_except_billing_substance(self):
        if not self._can_write_billing_data():
            if kept := self._filtered_billing_substance():
                raise kept._get_move_error()

    # === BUSINESS METHODS === #

    def _get_accounts_to_keep(self, vals):
        """Return ``{record: account}`` of what Sales must leave where it is.

        An account with billing data would take over the terms of another one; a contact
        with documents would take them along. A plain contact may move.
        """
        if self._can_write_billing_data() or not set(MOVING_FIELDS) & set(vals):
            return {}
        own = self.filtered(lambda partner: partner.commercial_partner_id == partner)
        billed = own._filtered_billing_substance()
        billed |= (self - own)._filtered_billing_records()
        return {partner: partner.commercial_partner_id for partner in billed}

    def _get_move_error(self):
        return AccessError(
            self.env._(
                "%(accounts)s has billing data or documents: only a %(role)s can move "
                "it under another account, take it out of one, or delete it. Ask one "
                "of them: %(people)s.",
                accounts=", ".join(self.mapped("name")),
                role=self.env.ref(GROUP_CLERK).sudo().name,
                people=self._get_people_of_group(GROUP_CLERK),
            )
        )

    def _leave_mirrored_values(self, vals):
        """Empty what contacts mirror when they become accounts of their own.

        Core keeps it: whoever creates a contact and takes it out of its company would
        have an account with the terms, the exemption and the payer of that company.
        """
        if not set(MOVING_FIELDS) & set(vals):
            return
        leaving = self.filtered(
            lambda partner: (
                partner.commercial_partner_id != partner
                and (
                    vals.get("is_company", partner.is_company)
                    or not vals.get("parent_id", partner.parent_id)
                )
            )
        )
        if not leaving:
            return
        mirrored = set(MIRRORED_FIELDS) & set(self._commercial_fields())
        values = dict.fromkeys(mirrored, False)
        for company in self.env["res.company"].sudo().search(Domain.TRUE):
            # Sales may not write them, and they are not the contact's own.
            leaving.sudo().with_company(company).write(values)

    def _convert_fields_to_values(self, field_names):
        """Override of `base` to mirror an account's values whoever creates a contact.

        Sales may not read the credit limit, so importing a contact of a company fails
        in core; the values go to the contact, not to the user.
        """
        return super(ResPartner, self.sudo())._convert_fields_to_values(field_names)

    def _filtered_billing_substance(self):
        """Return the records with walled values, documents, methods or banks."""
        valued = self.sudo()._filtered_walled_values().ids
        return self.filtered(lambda partner: partner.id in valued) | (
            self._filtered_billing_records()
        )

    def _filtered_billing_records(self):
        """Return the records that documents, methods, banks or accounts refer to."""
        busy = set()
        for model, field_names, domain in (
            (
                "account.move",
                ("partner_id", "commercial_partner_id"),
                Domain("move_type", "!=", "entry"),
            ),
            ("crm.billing.handoff", ("account_id", "payer_id"), Domain.TRUE),
            ("crm.billing.agreement", ("partner_id", "payer_id"), Domain.TRUE),
            ("payment.token", ("partner_id",), Domain.TRUE),
            ("res.partner.bank", ("partner_id",), Domain.TRUE),
            (
                "res.partner",
                ("billing_contact_id", "billing_approver_id", "bill_to_id"),
                Domain.TRUE,
            ),
        ):
            # Whoever asks, and in whatever company: the record is in use.
            records = self.env[model].sudo().with_context(active_test=False)
            for name in field_names:
                groups = records._read_group(
                    Domain(name, "in", self.ids) & domain, [name]
                )
                busy.update(partner.id for (partner,) in groups)
        return self.filtered(lambda partner: partner.id in busy)

    def _filtered_walled_values(self):
        """Return the records that have a walled value of their own in any company."""
        valued = self.browse()
        for company in self.env["res.company"].sudo().search(Domain.TRUE):
            valued |= (
                (self - valued)
                .with_company(company)
                .filtered(
                    lambda partner: any(
                        partner._has_own_value(name)
                        for name in (*self._get_walled_fields(), "legal_name")
                    )
                )
            )
        return self.filtered(lambda partner: partner in valued)

    def _has_own_value(self, name):
        """Return whether a value was set here, not just the company's default."""
        field, value = self._fields[name], self[name]
        return bool(value) and not (
            field.company_dependent
            and value == field.get_company_dependent_fallback(self)
        )
