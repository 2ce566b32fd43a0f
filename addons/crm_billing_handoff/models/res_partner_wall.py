import re

from odoo import api, fields, models
from odoo.exceptions import AccessError
from odoo.fields import Domain

GROUP_CLERK = "crm_billing_handoff.group_billing_user"
GROUP_MANAGER = "crm_billing_handoff.group_billing_manager"
# Keeps the ledger itself, terms and fiscal positions included.
GROUP_LEDGER = "account.group_account_manager"

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
# What the customer's own people do not read: how we see and handle the account.
INTERNAL_FIELDS = (
    "billing_hold",
    "billing_impact",
    "billing_open_balance",
    "billing_readiness",
    "service_tier_id",
)


class ResPartner(models.Model):
    """The wall around terms, tax and payment data.

    Moving an account is in `res_partner_move.py`; what passes is logged in
    `res_partner_audit.py`.
    """

    _inherit = "res.partner"

    is_legal_name_locked = fields.Boolean(compute="_compute_set_once_locks")
    is_vat_locked = fields.Boolean(compute="_compute_set_once_locks")
    is_billing_visible = fields.Boolean(compute="_compute_is_billing_visible")

    # === COMPUTE METHODS === #

    @api.depends_context("uid")
    def _compute_set_once_locks(self):
        """Tell the form what is set already: what is stored, not what is typed."""
        walled = not self._can_write_billing_data()
        for partner in self:
            stored = partner._origin
            partner.is_legal_name_locked = walled and bool(stored.legal_name)
            partner.is_vat_locked = walled and bool(stored.vat)

    @api.depends_context("company", "uid")
    def _compute_billing_open_balance(self):
        """Override to show a salesperson what own accounts owe, not all of them."""
        visible = self._filtered_billing_visible()
        (self - visible).billing_open_balance = 0.0
        return super(ResPartner, visible)._compute_billing_open_balance()

    @api.depends_context("uid")
    def _compute_is_billing_visible(self):
        visible = self._filtered_billing_visible()
        for partner in self:
            partner.is_billing_visible = partner in visible

    # === CRUD METHODS === #

    @api.model_create_multi
    def create(self, vals_list):
        self._check_walled_names({name for vals in vals_list for name in vals})
        return super().create(vals_list)

    def write(self, vals):
        self._check_walled_names(vals)
        self._check_billing_wall(vals)
        return super().write(vals)

    # === BUSINESS METHODS - WHO SEES === #

    def _filtered_billing_visible(self):
        """Return the records whose balance the user may see.

        Billing, accounting and who sees all deals see all; a salesperson sees the own
        accounts and those of own deals.
        """
        if self.env.su or self.env.user.has_groups(
            "account.group_account_invoice,account.group_account_readonly,"
            "sales_team.group_sale_salesman_all_leads"
        ):
            return self
        own = self.filtered(
            lambda partner: (
                self.env.user
                in (partner.user_id | partner.commercial_partner_id.user_id)
            )
        )
        if own == self or not self.env["crm.lead"].has_access("read"):
            return own
        leads = self.env["crm.lead"].search(
            [
                ("user_id", "=", self.env.uid),
                (
                    "partner_id.commercial_partner_id",
                    "in",
                    self.commercial_partner_id.ids,
                ),
            ]
        )
        accounts = leads.partner_id.commercial_partner_id
        return own | self.filtered(
            lambda partner: partner.commercial_partner_id in accounts
        )

    # === BUSINESS METHODS - THE WALL === #

    @api.model
    def _get_walled_fields(self):
        """Return what Sales reads and proposes, but does not change."""
        return WALLED_FIELDS

    @api.model
    def _get_internal_fields(self):
        """Return what the customer's own people do not read."""
        return INTERNAL_FIELDS

    @api.model
    def _can_write_billing_data(self):
        """Return whether the user may change walled values.

        The superuser may: automation rules and *update record* actions are the
        administrator's tool, and leave their name in the log.
        """
        user = self.env.user
        return self.env.su or user.has_groups(f"{GROUP_CLERK},{GROUP_LEDGER}")

    @api.model
    def _has_field_access(self, field, operation):
        """Override of `base` to make walled fields readable, not writable, for Sales.

        Portal users read their own company; what is internal to us is not theirs.
        """
        if operation == "write":
            walled = self._get_walled_fields()
            if field.name in walled and not self._can_write_billing_data():
                return False
            # Follows from the parent; written by hand it would move the account.
            if field.name == "commercial_partner_id" and not self.env.su:
                return False
        elif field.name in self._get_internal_fields() and not self.env.su:
            if not self.env.user._is_internal():
                return False
        return super()._has_field_access(field, operation)

    @api.model
    def _check_field_access(self, field, operation):
        """Override of `base` to say who can change a walled field."""
        if operation == "write":
            self._check_walled_names([field.name])
        return super()._check_field_access(field, operation)

    def _check_walled_names(self, names):
        """Refuse walled fields among ``names`` in words, all of them at once."""
        walled = [name for name in self._get_walled_fields() if name in names]
        if walled and not self._can_write_billing_data():
            raise self._get_wall_error(walled)

    def _get_wall_error(self, names, who=GROUP_CLERK):
        """Return the error that says what is walled and who can change it."""
        labels = self.env["ir.model.fields"].sudo()
        return AccessError(
            self.env._(
                "%(fields)s of %(account)s is billing data: only a %(role)s can change "
                "it. Ask one of them: %(people)s.",
                fields=", ".join(
                    labels._get(self._name, name).field_description for name in names
                ),
                account=", ".join(self.mapped("display_name"))
                or self.env._("a new account"),
                role=self.env.ref(who).sudo().name,
                people=self._get_people_of_group(who),
            )
        )

    @api.model
    def _get_people_of_group(self, group):
        """Return the names of who is in ``group`` in this company, three at most."""
        people = (
            self.env.ref(group)
            .sudo()
            .all_user_ids.filtered(
                lambda user: (
                    user.active
                    and self.env.company in user.company_ids
                    and user._is_internal()
                    and not user._is_superuser()
                )
            )
        )
        return ", ".join(people[:3].mapped("name")) or self.env._("an administrator")

    def _check_billing_wall(self, vals):
        """Refuse what depends on the record: values set once, and open documents."""
        if self.env.su or not self:
            return
        if not self._can_write_billing_data():
            self._check_set_once(vals)
        elif not self.env.user.has_groups(f"{GROUP_MANAGER},{GROUP_LEDGER}"):
            self._check_open_documents(vals)

    def _check_set_once(self, vals):
        for name in SET_ONCE_FIELDS:
            if name in vals:
                changing = self._filtered_changing(name, vals[name])
                if kept := changing.filtered(name):
                    raise kept._get_wall_error([name])

    def _check_open_documents(self, vals):
        for name in MANAGED_FIELDS:
            if name not in vals:
                continue
            changing = self._filtered_changing(name, vals[name])
            if name in SET_ONCE_FIELDS:
                changing = changing.filtered(name)
            if busy := changing._filtered_open_documents():
                raise busy._get_wall_error([name], GROUP_MANAGER)

    def _filtered_changing(self, name, value):
        """Return the records that would get another value than they have."""
        field = self._fields[name]
        new = field.convert_to_cache(value, self, validate=False) or None
        if name == "vat":
            return self.filtered(
                lambda partner: bare_vat(partner.vat) != bare_vat(value or "")
            )
        return self.filtered(
            lambda partner: (
                (field.convert_to_cache(partner[name], partner, validate=False) or None)
                != new
            )
        )

    def _filtered_open_documents(self):
        """Return the records whose account has a draft or an unpaid invoice."""
        accounts = self.commercial_partner_id
        is_open = Domain("state", "=", "draft") | (
            Domain("state", "=", "posted")
            & Domain("payment_state", "in", ("not_paid", "partial", "blocked"))
        )
        groups = (
            # Whoever asks: an invoice of another company is open as well.
            self.env["account.move"]
            .sudo()
            ._read_group(
                Domain("commercial_partner_id", "in", accounts.ids)
                & Domain("move_type", "in", ("out_invoice", "out_refund"))
                & is_open,
                ["commercial_partner_id"],
            )
        )
        busy = self.browse(account.id for (account,) in groups)
        return self.filtered(lambda partner: partner.commercial_partner_id in busy)


def bare_vat(vat):
    """Return a tax number without blanks and dots, to compare it."""
    return re.sub(r"\W", "", vat or "").upper()
