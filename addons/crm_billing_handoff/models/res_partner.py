from odoo import api, fields, models
from odoo.exceptions import ValidationError
from odoo.fields import Domain

from odoo.addons.base.models.res_partner import _tz_get

from ..billing_rules.review import first_given


class ResPartner(models.Model):
    """The billing account: the commercial entity, its people and its terms.

    Read billing values on ``commercial_partner_id``; contacts only mirror them. Who may
    change what is in `res_partner_wall.py`, what a change reaches in
    `res_partner_impact.py`, what hangs on the account in
    `res_partner_overview.py`.
    """

    _inherit = "res.partner"
    _rec_names_search = [
        "complete_name",
        "email",
        "ref",
        "vat",
        "company_registry",
        "legal_name",
    ]

    # === FIELDS - WHO PAYS, WHO READS === #

    legal_name = fields.Char(
        tracking=True,
        copy=False,
        index="trigram",
        help="The legal entity's name, printed on invoices. Empty: the account's.",
    )
    billing_contact_id = fields.Many2one(
        "res.partner",
        string="Accounts Payable",
        tracking=True,
        copy=False,
        index="btree_not_null",
        ondelete="set null",
        domain="['|', ('id', 'child_of', commercial_partner_id), "
        "('id', 'child_of', bill_to_id)]",
        help="Receives the invoices. Empty: the invoice address of the account.",
    )
    billing_approver_id = fields.Many2one(
        "res.partner",
        string="Approver",
        tracking=True,
        copy=False,
        index="btree_not_null",
        ondelete="set null",
        domain="['|', ('id', 'child_of', commercial_partner_id), "
        "('id', 'child_of', bill_to_id)]",
        help="The customer's person who approves what is bought.",
    )
    bill_to_id = fields.Many2one(
        "res.partner",
        string="Paid By",
        tracking=True,
        copy=False,
        index="btree_not_null",
        ondelete="restrict",
        domain="[('is_company', '=', True), ('id', '!=', commercial_partner_id)]",
        help="Another account that pays, such as the parent company. A handoff, and a "
        "quotation with another invoice address, take precedence over it.",
    )
    private_customer = fields.Boolean(
        tracking=True,
        copy=False,
        help="A person who is billed as such, without a company.",
    )

    # === FIELDS - TERMS === #

    billing_plan_id = fields.Many2one(
        "crm.billing.plan", string="Billing Cycle", tracking=True, copy=False
    )
    service_tier_id = fields.Many2one(
        "crm.billing.service.tier", tracking=True, copy=False
    )
    po_required = fields.Boolean(string="PO Required", tracking=True, copy=False)
    po_number = fields.Char(string="PO Number", tracking=True, copy=False)
    po_expiry = fields.Date(
        string="PO Expiry", tracking=True, copy=False, help="Last day, included."
    )
    po_amount_limit = fields.Monetary(
        string="PO Limit",
        currency_field="billing_currency_id",
        tracking=True,
        copy=False,
        help="What may be billed on this PO number in all, before tax, in the "
        "company's currency; 0 for no limit.",
    )
    tax_exempt = fields.Boolean(tracking=True, copy=False)
    tax_exempt_reason = fields.Char(tracking=True, copy=False)
    tax_exempt_certificate = fields.Binary(attachment=True, copy=False)
    tax_exempt_expiry = fields.Date(
        tracking=True, copy=False, help="Last day of the exemption, included."
    )
    billing_consolidate = fields.Selection(
        [("yes", "One invoice a day"), ("no", "One invoice an agreement")],
        string="Agreements Share Invoices",
        help="Empty follows the company.",
    )
    billing_tz = fields.Selection(
        _tz_get,
        string="Billing Time Zone",
        tracking=True,
        copy=False,
        help="Decides the billing day. Empty: the zone of the company.",
    )
    billing_hold = fields.Boolean(
        tracking=True, copy=False, help="Nothing is billed to this account."
    )
    billing_mail_note = fields.Text(
        string="Note in Invoice Mails",
        copy=False,
        help="A friendly line that every invoice mail to this account carries.",
    )
    billing_currency_id = fields.Many2one(
        "res.currency", compute="_compute_billing_currency_id"
    )

    # Terms and tax data of core that decide money leave a trace too.
    property_payment_term_id = fields.Many2one(tracking=True)
    property_account_position_id = fields.Many2one(tracking=True)
    invoice_sending_method = fields.Selection(tracking=True)
    credit_limit = fields.Float(tracking=True)

    # === COMPUTE METHODS === #

    @api.depends_context("company")
    def _compute_billing_currency_id(self):
        self.billing_currency_id = self.env.company.currency_id

    # === CONSTRAINT METHODS === #

    @api.constrains(
        "billing_contact_id", "billing_approver_id", "bill_to_id", "parent_id"
    )
    def _check_billing_people(self):
        """A2: the people of an account belong to it or to who pays for it."""
        for account in self:
            if account.commercial_partner_id != account:
                continue
            houses = account | account.bill_to_id.commercial_partner_id
            for person in account.billing_contact_id | account.billing_approver_id:
                if person.commercial_partner_id not in houses:
                    raise ValidationError(
                        self.env._(
                            "%(person)s is not a contact of %(account)s nor of who "
                            "pays for it. Add the person to the account, or name "
                            "somebody else there.",
                            person=person.display_name,
                            account=account.display_name,
                        )
                    )

    @api.constrains("bill_to_id", "active", "company_id", "parent_id")
    def _check_bill_to(self):
        """A3: the payer is another, active account that this company can bill."""
        for account in self:
            # Contacts mirror the payer of their account.
            if account.commercial_partner_id != account or not account.bill_to_id:
                continue
            if problem := account._find_payer_problem():
                raise ValidationError(
                    self.env._(
                        "%(account)s cannot be paid by %(payer)s: %(problem)s. Choose "
                        "the account that really pays.",
                        account=account.display_name,
                        payer=account.bill_to_id.display_name,
                        problem=problem,
                    )
                )

    def _get_accounts_naming(self, *names):
        """Return the accounts that name one of the records in a field of ``names``."""
        # Also those of other companies: they would be left with a wrong value.
        return self.sudo().search(
            Domain.OR(Domain(name, "in", self.ids) for name in names)
        )

    def _find_payer_problem(self):
        """Return in words why ``bill_to_id`` cannot pay for the account, or nothing."""
        _ = self.env._
        payer = self.bill_to_id
        if payer.commercial_partner_id == self:
            return _("an account does not pay for itself")
        if payer.commercial_partner_id != payer:
            return _(
                "%(payer)s is a contact of %(account)s, not an account",
                payer=payer.display_name,
                account=payer.commercial_partner_id.display_name,
            )
        if payer.bill_to_id:
            return _(
                "%(payer)s is itself paid by %(other)s",
                payer=payer.display_name,
                other=payer.bill_to_id.display_name,
            )
        if paid := self._get_accounts_naming("bill_to_id").filtered(
            lambda account: account.commercial_partner_id == account
        ):
            return _(
                "%(account)s pays for %(others)s itself",
                account=self.display_name,
                others=", ".join(paid[:3].mapped("display_name")),
            )
        if not payer.active:
            return _("%(payer)s is archived", payer=payer.display_name)
        if payer.company_id and payer.company_id != self.company_id:
            return _(
                "%(payer)s belongs to %(company)s only",
                payer=payer.display_name,
                company=payer.company_id.name,
            )
        return None

    # === CRUD METHODS === #

    def write(self, vals):
        """Override of `base` to check also who names the records.

        In a constraint, each new contact would search for accounts that name it.
        """
        result = super().write(vals)
        if {"bill_to_id", "parent_id"} & set(vals):
            naming = ("billing_contact_id", "billing_approver_id")
            self._get_accounts_naming(*naming)._check_billing_people()
        if {"bill_to_id", "active", "company_id", "parent_id"} & set(vals):
            self._get_accounts_naming("bill_to_id")._check_bill_to()
        return result

    @api.model
    def _commercial_fields(self):
        return [
            *super()._commercial_fields(),
            "legal_name",
            "billing_contact_id",
            "billing_approver_id",
            "bill_to_id",
            "private_customer",
            "billing_plan_id",
            "service_tier_id",
            "po_required",
            "po_number",
            "po_expiry",
            "po_amount_limit",
            "tax_exempt",
            "tax_exempt_reason",
            "tax_exempt_expiry",
            "billing_tz",
            "billing_consolidate",
            "billing_hold",
            "billing_mail_note",
        ]

    # === BUSINESS METHODS - WHO PAYS === #

    def _get_payer(self, *overrides):
        """Return the account that pays for this one.

        :param overrides: ``(source, partner)`` pairs that come before the account's own
            ``bill_to_id``, the strongest first; an address counts as its account
        """
        return self._get_payer_and_source(*overrides)[1]

    def _get_payer_and_source(self, *overrides):
        account = self.commercial_partner_id
        source, payer = first_given(
            [*overrides, ("account", account.bill_to_id), ("buyer", account)]
        )
        return source, (payer or account).commercial_partner_id

    def _get_billing_address(self):
        """Return who receives the invoices: accounts payable, else core's address."""
        account = self.commercial_partner_id
        if not account:
            return account
        if account.billing_contact_id and account.billing_contact_id.active:
            return account.billing_contact_id
        return self.browse(account.address_get(["invoice"])["invoice"])

    def _get_complete_name(self):
        """Override of `base` to print the legal name on documents (A6).

        Only under the context key that the invoice report sets: everywhere else the
        trading name stays.
        """
        name = super()._get_complete_name()
        if not self.env.context.get("billing_legal_name"):
            return name
        account = self.commercial_partner_id
        if not account.legal_name or not account.name:
            return name
        return name.replace(account.name, account.legal_name, 1)

    @api.depends_context("billing_legal_name")
    def _compute_display_name(self):
        return super()._compute_display_name()
