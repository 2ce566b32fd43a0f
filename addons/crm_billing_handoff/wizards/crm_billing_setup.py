from odoo import api, fields, models


class CrmBillingSetup(models.TransientModel):
    """The set-up page: what core already knows is read, only the rest is asked."""

    _name = "crm.billing.setup"
    _description = "Billing Set-up"

    company_id = fields.Many2one(
        "res.company", required=True, default=lambda self: self.env.company
    )
    billing_responsible_id = fields.Many2one(
        related="company_id.billing_responsible_id", readonly=False
    )
    billing_tz = fields.Selection(related="company_id.billing_tz", readonly=False)
    billing_product_id = fields.Many2one(
        related="company_id.billing_product_id", readonly=False
    )
    billing_review_required = fields.Boolean(
        related="company_id.billing_review_required", readonly=False
    )
    checklist = fields.Json(compute="_compute_checklist")

    @api.depends("company_id", "billing_responsible_id", "billing_tz")
    def _compute_checklist(self):
        for setup in self:
            setup.checklist = [
                {
                    "code": code,
                    "name": name,
                    "why": text,
                    "level": "ok" if good else level,
                    "action": action,
                }
                for code, name, good, level, text, action in setup._get_checks()
            ]

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
        journal = self.env["account.journal"].sudo().search(
            [("type", "=", "sale"), ("company_id", "=", company.id)], limit=1
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
        terms = self.env["account.payment.term"].sudo().search_count(
            [("company_id", "in", (False, company.id))]
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
        provider = self.env["payment.provider"].sudo().search(
            [("state", "!=", "disabled"), ("company_id", "=", company.id)], limit=1
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
        unsafe = users.search(users._get_billing_without_two_factor_domain())
        yield (
            "two_factor",
            _("Two-factor authentication"),
            not unsafe,
            "warn",
            ", ".join(unsafe[:5].mapped("name")) or _("Everybody in Billing has it."),
            "crm_billing_handoff.res_users_action_no_two_factor",
        )

    @api.model
    def action_view_no_two_factor(self):
        """List the people of Billing who sign in without a second factor."""
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "crm_billing_handoff.res_users_action_no_two_factor"
        )
        action["domain"] = list(
            self.env["res.users"]._get_billing_without_two_factor_domain()
        )
        return action

    def action_done(self):
        """Close the page; its values are kept as they were typed."""
        return self.env["ir.actions.act_window"]._for_xml_id(
            "crm_billing_handoff.crm_billing_handoff_action"
        )
