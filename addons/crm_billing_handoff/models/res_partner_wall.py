from odoo import api, models
from odoo.exceptions import AccessError

# What Sales reads and proposes, but does not change (design: roles).
WALLED_FIELDS = (
    "property_payment_term_id",
    "property_account_position_id",
    "tax_exempt",
    "tax_exempt_reason",
    "tax_exempt_certificate",
    "tax_exempt_expiry",
    "bill_to_id",
    "billing_plan_id",
    "po_required",
    "po_amount_limit",
    "billing_hold",
    "service_tier_id",
    "invoice_sending_method",
    "credit_limit",
    "use_partner_credit_limit",
    "property_inbound_payment_method_line_id",
)
# What Sales fills while it is empty.
SET_ONCE_FIELDS = ("legal_name", "vat")
# What a clerk leaves to a manager once documents are open.
MANAGED_FIELDS = (
    "property_payment_term_id",
    "property_account_position_id",
    "tax_exempt",
    "tax_exempt_expiry",
    "bill_to_id",
    "vat",
)
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
_MOVING_FIELDS = ("parent_id", "is_company")


class ResPartner(models.Model):
    """The wall around terms, tax and payment data, and the log of what passes it."""

    _inherit = "res.partner"

    # === CRUD METHODS === #

    @api.model_create_multi
    def create(self, vals_list):
        partners = super().create(vals_list)
        partners._log_billing_values(vals_list)
        return partners

    def write(self, vals):
        self._check_billing_wall(vals)
        audited = [name for name in AUDITED_FIELDS if name in vals]
        before = self._get_audit_values(audited)
        commercial = self._get_walled_accounts(vals)
        result = super().write(vals)
        self._check_not_moved(commercial)
        self._log_billing_changes(audited, before)
        return result

    # === BUSINESS METHODS - THE WALL === #

    @api.model
    def _can_write_billing_data(self):
        """Return whether the user may change walled values.

        The superuser may: automation rules and *update record* actions are the
        administrator's tool, and leave their name in the log.
        """
        return self.env.su or self.env.user.has_group(
            "crm_billing_handoff.group_billing_user"
        )

    @api.model
    def _has_field_access(self, field, operation):
        """Override of `base` to make walled fields readable, not writable, for Sales."""
        if (
            operation == "write"
            and field.name in WALLED_FIELDS
            and not self._can_write_billing_data()
        ):
            return False
        return super()._has_field_access(field, operation)

    @api.model
    def _check_field_access(self, field, operation):
        """Override of `base` to say who can change a walled field."""
        if (
            operation == "write"
            and field.name in WALLED_FIELDS
            and not self._has_field_access(field, operation)
        ):
            raise self._get_wall_error([field.name])
        return super()._check_field_access(field, operation)

    def _get_wall_error(self, names, accounts=None, who=None):
        """Return the error that says what is walled and who can change it."""
        labels = [
            self.env["ir.model.fields"]._get(self._name, name).field_description
            for name in names
        ]
        group = who or "crm_billing_handoff.group_billing_user"
        return AccessError(
            self.env._(
                "%(fields)s of %(account)s is billing data: only a %(role)s can change "
                "it. Ask one of them: %(people)s.",
                fields=", ".join(labels),
                account=(accounts or self).mapped("display_name")
                and ", ".join((accounts or self).mapped("display_name"))
                or self.env._("an account"),
                role=self.env.ref(group).sudo().name,
                people=self._get_people_of_group(group),
            )
        )

    @api.model
    def _get_people_of_group(self, group):
        """Return the names of who is in ``group`` in this company, three at most."""
        users = self.env.ref(group).sudo().all_user_ids.filtered(
            lambda user: user.active
            and not user.share
            and self.env.company in user.company_ids
            and user._is_internal()
            and not user._is_superuser()
        )
        return ", ".join(users[:3].mapped("name")) or self.env._("an administrator")

    def _check_billing_wall(self, vals):
        """Refuse what depends on the record: values set once, and open documents."""
        if self.env.su or not self:
            return
        if not self._can_write_billing_data():
            for name in SET_ONCE_FIELDS:
                if name in vals and (kept := self._filtered_changing(name, vals[name])):
                    raise self._get_wall_error([name], kept)
            return
        if self.env.user.has_group("crm_billing_handoff.group_billing_manager"):
            return
        for name in MANAGED_FIELDS:
            if name not in vals:
                continue
            changing = self._filtered_changing(name, vals[name])
            if changing and (open_accounts := changing._filtered_open_documents()):
                raise self._get_wall_error(
                    [name], open_accounts, "crm_billing_handoff.group_billing_manager"
                )

    def _filtered_changing(self, name, value):
        """Return the records whose value is set and would become another one."""
        field = self._fields[name]
        return self.filtered(
            lambda partner: partner[name]
            and field.convert_to_write(partner[name], partner) != (value or False)
        )

    def _filtered_open_documents(self):
        """Return the records whose account has a draft or an unpaid invoice."""
        accounts = self.commercial_partner_id
        groups = (
            self.env["account.move"]
            .sudo()
            ._read_group(
                [
                    ("commercial_partner_id", "in", accounts.ids),
                    ("move_type", "in", ("out_invoice", "out_refund")),
                    "|",
                    ("state", "=", "draft"),
                    "&",
                    ("state", "=", "posted"),
                    ("payment_state", "in", ("not_paid", "partial", "blocked")),
                ],
                ["commercial_partner_id"],
            )
        )
        busy = self.browse(account.id for (account,) in groups)
        return self.filtered(lambda partner: partner.commercial_partner_id in busy)

    def _get_walled_accounts(self, vals):
        """Return the account of each record that Sales must not move (5.7 b)."""
        if self._can_write_billing_data() or not any(
            name in vals for name in _MOVING_FIELDS
        ):
            return {}
        return {
            partner: partner.commercial_partner_id
            for partner in self._filtered_billing_substance()
        }

    def _filtered_billing_substance(self):
        """Return the records with walled values, documents, methods or banks of theirs."""
        accounts = self.sudo()
        busy = set(accounts.filtered(lambda partner: partner._has_walled_values()).ids)
        for model, domain in (
            ("account.move", [("move_type", "!=", "entry")]),
            ("crm.billing.handoff", []),
            ("payment.token", []),
            ("res.partner.bank", []),
        ):
            field = "account_id" if model == "crm.billing.handoff" else "partner_id"
            groups = (
                self.env[model]
                .sudo()
                ._read_group([(field, "in", self.ids), *domain], [field])
            )
            busy.update(partner.id for (partner,) in groups)
        return self.filtered(lambda partner: partner.id in busy)

    def _has_walled_values(self):
        """Return whether a walled value was set here, not just by company default."""
        for name in (*WALLED_FIELDS, "legal_name"):
            field, value = self._fields[name], self[name]
            if value and not (
                field.company_dependent
                and value == field.get_company_dependent_fallback(self)
            ):
                return True
        return False

    def _check_not_moved(self, account_by_partner):
        """Refuse Sales to put a billed account under another, or to take it out."""
        moved = self.browse(
            partner.id
            for partner, account in account_by_partner.items()
            if partner.commercial_partner_id != account
        )
        if moved:
            raise AccessError(
                self.env._(
                    "%(accounts)s has billing data or documents and would take over the "
                    "terms of another account. Only a billing clerk can move it. Ask "
                    "one of them: %(people)s.",
                    accounts=", ".join(moved.mapped("display_name")),
                    people=self._get_people_of_group(
                        "crm_billing_handoff.group_billing_user"
                    ),
                )
            )

    # === BUSINESS METHODS - THE LOG === #

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
        return field.convert_to_export(value, self) or str(value)

    def _log_billing_changes(self, names, before):
        after = self._get_audit_values(names)
        self.env["crm.billing.event"]._log(
            [
                {
                    "action": "changed",
                    "partner_id": partner.id,
                    "company_id": self.env.company.id,
                    "field_name": name,
                    "old_value": before[partner][name],
                    "new_value": value,
                }
                for partner, values in after.items()
                for name, value in values.items()
                if partner in before and value != before[partner][name]
            ]
        )

    def _log_billing_values(self, vals_list):
        """Log the audited values that accounts are born with."""
        self.env["crm.billing.event"]._log(
            [
                {
                    "action": "created",
                    "partner_id": partner.id,
                    "company_id": self.env.company.id,
                    "field_name": name,
                    "new_value": partner.sudo()._format_audit_value(name),
                }
                for partner, vals in zip(self, vals_list, strict=True)
                if partner.commercial_partner_id == partner
                for name in AUDITED_FIELDS
                if vals.get(name)
            ]
        )
