from odoo import api, fields, models
from odoo.exceptions import AccessError

from odoo.addons.base.models.res_partner import _tz_get

# What is asked here and kept on the company.
ASKED_FIELDS = (
    "billing_responsible_id",
    "billing_tz",
    "billing_product_id",
    "billing_review_required",
)
TWO_FACTOR = "crm_billing_handoff.res_users_action_no_two_factor"
# Pages that not every billing manager may open.
LINK_GROUPS = {
    "base_setup.action_general_configuration": "base.group_system",
    "account.action_account_config": "base.group_system",
    "payment.action_payment_provider": "base.group_system",
    TWO_FACTOR: "base.group_erp_manager",
}


class CrmBillingSetup(models.TransientModel):
    """The set-up page: what core already knows is read, only the rest is asked."""

    _name = "crm.billing.setup"
    _description = "Billing Set-up"

    company_id = fields.Many2one(
        "res.company", required=True, default=lambda self: self.env.company
    )
    billing_responsible_id = fields.Many2one(
        "res.users",
        default=lambda self: self._default_asked("billing_responsible_id"),
        domain="[('share', '=', False), ('company_ids', 'in', company_id)]",
        help="Gets the tasks that only Billing can solve.",
    )
    billing_tz = fields.Selection(
        _tz_get,
        string="Billing Time Zone",
        default=lambda self: self._default_asked("billing_tz"),
        help="Decides the billing day of accounts that have no zone of their own.",
    )
    billing_product_id = fields.Many2one(
        "product.product",
        string="Product for Deals without Quotation",
        default=lambda self: self._default_asked("billing_product_id"),
        domain="[('company_id', 'in', (False, company_id))]",
    )
    billing_review_required = fields.Boolean(
        string="Every draft needs a review",
        default=lambda self: self._default_asked("billing_review_required"),
        help="Drafts that differ from quotation or account always need one.",
    )
    checklist = fields.Json(compute="_compute_checklist")

    # === COMPUTE METHODS === #

    def _compute_display_name(self):
        self.display_name = self.env._("Set-up")

    @api.depends("company_id")
    def _compute_checklist(self):
        for setup in self:
            setup.checklist = [
                setup._prepare_check(*check) for check in setup._get_checks()
            ]

    # === CRUD METHODS === #

    @api.model
    def _default_asked(self, name):
        return self.env.company.sudo()[name]

    @api.model_create_multi
    def create(self, vals_list):
        setups = super().create(vals_list)
        setups._keep_on_company()
        return setups

    def write(self, vals):
        result = super().write(vals)
        self._keep_on_company()
        return result

    # === BUSINESS METHODS === #

    def _keep_on_company(self):
        for setup in self:
            if setup.company_id not in self.env.companies:
                raise AccessError(
                    self.env._(
                        "You do not work in %(company)s. Switch to it first.",
                        company=setup.company_id.sudo().name,
                    )
                )
            # The page is the billing manager's, who may not write companies otherwise.
            setup.company_id.sudo().write(
                {
                    name: self._fields[name].convert_to_write(setup[name], setup)
                    for name in ASKED_FIELDS
                }
            )

    def _prepare_check(self, code, name, good, level, text, action):
        """Return one line of the list, with a link for those who may follow it."""
        groups = LINK_GROUPS.get(action, "base.group_user")
        return {
            "code": code,
            "name": name,
            "why": text,
            "level": "ok" if good else level,
            "who": "" if good else "admin" if action in LINK_GROUPS else "billing",
            "action": action if self.env.user.has_group(groups) else False,
        }

    def _get_checks(self):
        """Yield ``(code, name, good, level, text, action)``: what is read from core."""
        _ = self.env._
        company = self.company_id.sudo()
        settings = "base_setup.action_general_configuration"
        yield (
            "currency",
            _("Currency"),
            bool(company.currency_id),
            "block",
            company.currency_id.name or "",
            settings,
        )
        journal = (
            self.env["account.journal"]
            .sudo()
            .search([("type", "=", "sale"), ("company_id", "=", company.id)], limit=1)
        )
        yield (
            "ledger",
            _("Chart of accounts and sales journal"),
            bool(company.chart_template and journal),
            "block",
            journal.name or _("Install a fiscal localization in Invoicing settings."),
            "account.action_account_config",
        )
        tax = company.account_sale_tax_id
        yield (
            "tax",
            _("Default sales tax"),
            bool(tax),
            "warn",
            tax.name or _("Without it, lines of new products carry no tax."),
            "account.action_account_config",
        )
        terms = (
            self.env["account.payment.term"]
            .sudo()
            .search_count([("company_id", "in", (False, company.id))])
        )
        yield (
            "terms",
            _("Payment terms"),
            bool(terms),
            "warn",
            _("%(count)s to choose from", count=terms),
            "account.action_payment_term_form",
        )
        server = self.env["ir.mail_server"].sudo().search_count([])
        yield (
            "mail",
            _("Outgoing mail"),
            bool(server),
            "warn",
            _("A mail server sends the invoices.")
            if server
            else _("No mail server: invoices leave only if Odoo's host sends mail."),
            settings,
        )
        alias = company.alias_domain_id
        yield (
            "replies",
            _("Replies of customers"),
            bool(alias),
            "warn",
            alias.name
            or _("Without an alias domain, answers to invoices do not come back."),
            settings,
        )
        provider = (
            self.env["payment.provider"]
            .sudo()
            .search(
                [("state", "!=", "disabled"), ("company_id", "=", company.id)], limit=1
            )
        )
        yield (
            "provider",
            _("Online payment"),
            bool(provider),
            "warn",
            provider.name or _("Without a provider, invoice mails carry no pay link."),
            "payment.action_payment_provider",
        )
        users = self.env["res.users"].sudo()
        unsafe = users.search([("billing_lacks_two_factor", "=", True)])
        yield (
            "two_factor",
            _("Two-factor authentication"),
            not unsafe,
            "warn",
            ", ".join(unsafe[:5].mapped("name")) or _("Everybody in Billing has it."),
            TWO_FACTOR,
        )

    # === ACTION METHODS === #

    def action_done(self):
        """Close the page; its values are kept as they were typed."""
        return self.env["ir.actions.act_window"]._for_xml_id(
            "crm_billing_handoff.crm_billing_handoff_action"
        )
