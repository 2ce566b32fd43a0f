from datetime import timedelta

import pytz

from odoo import api, fields, models
from odoo.fields import Domain

ACTIVITY_BILLING = "crm_billing_handoff.mail_activity_type_billing"
WARN_DAYS = 30


class ResPartner(models.Model):
    """Which taxes an account owes on which day (E1, E2, E4)."""

    _inherit = "res.partner"

    tax_exempt_warned_expiry = fields.Date(
        readonly=True,
        copy=False,
        help="The expiry of the exemption that Billing was warned of.",
    )

    # === BUSINESS METHODS === #

    def _is_tax_exempt_on(self, day):
        """Return whether the account is exempt on a local ``day``, expiry included.

        Rule: billing rules, 10.4.
        """
        # A form that names no account yet asks, too.
        account = self.commercial_partner_id
        expiry = account.tax_exempt_expiry
        return account.tax_exempt and (not expiry or day <= expiry)

    def _get_billing_fiscal_position(self, company, delivery, day, cache=None):
        """Return the fiscal position of an invoice dated ``day``.

        An exemption that is valid on that day comes first, then core's choice: the
        account's own position, else the one that the delivery country calls for.

        :param delivery: the delivery address, may be empty
        :param day: the invoice date, a local date of the account
        :param cache: a dict that one run hands from call to call
        """
        account = self.commercial_partner_id
        if account._is_tax_exempt_on(day):
            return company._get_billing_exempt_position()
        if cache is None:
            cache = self.env.context.get("billing_positions", {})
        key = (account.id, company.id, delivery.id)
        positions = self.env["account.fiscal.position"]
        if key not in cache:
            # The position decides taxes for people who do not keep the ledger.
            found = (
                positions.sudo()
                .with_company(company)
                .with_context(billing_positions=cache)
                ._get_fiscal_position(account.with_company(company), delivery)
            )
            cache[key] = found.id
        return positions.browse(cache[key]).sudo(False)

    # === BUSINESS METHODS - WARNING === #

    @api.model
    def _cron_warn_exemptions(self, now=None):
        """Leave Billing a task for each exemption that ends within 30 days.

        Once per expiry date; a date that was moved is warned of again.

        :param now: the instant (UTC) to look from, default: the clock
        """
        now = now or fields.Datetime.now()
        accounts = self.search(self._get_expiring_domain(now))
        for account in accounts.filtered(lambda account: account._is_to_warn(now)):
            account._warn_of_expiry()

    @api.model
    def _get_expiring_domain(self, now):
        # One day more on each side: each account has its own local date.
        first = now.date() - timedelta(days=1)
        return (
            Domain("tax_exempt", "=", True)
            & Domain("parent_id", "=", False)
            & Domain("tax_exempt_expiry", ">=", first)
            & Domain("tax_exempt_expiry", "<=", first + timedelta(days=WARN_DAYS + 2))
        )

    def _is_to_warn(self, now):
        expiry = self.tax_exempt_expiry
        if self.tax_exempt_warned_expiry == expiry:
            return False
        company = self.company_id or self.env.company
        zone = pytz.timezone(self.billing_tz or company.billing_tz or "UTC")
        today = pytz.utc.localize(now).astimezone(zone).date()
        return today <= expiry <= today + timedelta(days=WARN_DAYS)

    def _warn_of_expiry(self):
        company = self.company_id or self.env.company
        self.activity_schedule(
            ACTIVITY_BILLING,
            date_deadline=self.tax_exempt_expiry,
            summary=self.env._("Tax exemption ends"),
            note=self.env._(
                "The tax exemption of %(account)s ends on %(day)s, that day included. "
                "Ask for a new certificate; invoices dated later carry normal tax.",
                account=self.display_name,
                day=self.tax_exempt_expiry,
            ),
            user_id=company._get_billing_responsible().id,
        )
        self.tax_exempt_warned_expiry = self.tax_exempt_expiry


class ResCompany(models.Model):
    _inherit = "res.company"

    billing_exempt_position_id = fields.Many2one(
        "account.fiscal.position",
        string="Exempt Fiscal Position",
        check_company=True,
        ondelete="restrict",
        help="Used for accounts with a valid tax exemption. One that maps no tax "
        "removes them all; empty: one is made when it is needed.",
    )

    def _get_billing_exempt_position(self):
        """Return the fiscal position of exempt accounts, made when it is needed."""
        self.ensure_one()
        # A salesperson's quotation may be the first one that needs it.
        company = self.sudo()
        if not company.billing_exempt_position_id:
            company.billing_exempt_position_id = self.env[
                "account.fiscal.position"
            ]._create_billing_exempt(company)
        return company.billing_exempt_position_id.sudo(False)


class AccountFiscalPosition(models.Model):
    _inherit = "account.fiscal.position"

    @api.model
    def search(self, domain, *args, **kwargs):
        """Override of `base`: one run looks for the same positions once.

        Core searches those of a company for each account anew, and then chooses.
        """
        cache = self.env.context.get("billing_positions")
        if cache is None:
            return super().search(domain, *args, **kwargs)
        key = (self.env.company.id, repr(domain), repr(args), repr(kwargs))
        if key not in cache:
            cache[key] = super().search(domain, *args, **kwargs).ids
        return self.browse(cache[key])

    def _create_billing_exempt(self, company):
        """Make the position that removes every tax: core's meaning of an empty one."""
        return self.sudo().create(
            {
                "name": self.env._("Tax exempt"),
                "company_id": company.id,
                "auto_apply": False,
            }
        )
