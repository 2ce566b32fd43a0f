from collections import defaultdict
from datetime import timedelta
from decimal import Decimal

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.fields import Domain
from odoo.tools import SQL, format_date

from ..report_rules.movement import KINDS, NEW
from .crm_billing_report_mixin import TieOut
from .crm_billing_revenue_query import DIGITS, ROOT

ONE_DAY = timedelta(days=1)
# Filters that choose whole accounts: what is left ties, too.
ACCOUNT_FIELDS = {
    "company_id",
    "partner_id",
    "service_tier_id",
    "team_id",
    "user_id",
}
MOST_DOCUMENTS = 200


class CrmBillingRevenueMixin(models.AbstractModel):
    """The proof of movements: they lead from one day's revenue to another's.

    The other side is asked of the lines that run on that very day, without any history.
    """

    _inherit = "crm.billing.revenue.mixin"

    @api.model
    def _prove(self, mine, theirs, label, ledger_label, is_known):
        """Return a proof for each company, with documents where it does not tie.

        :param mine: function of ``is_detailed``, that returns ``{(company id, account
            id): Decimal}`` of the report; account 0 stands for all of them
        :param theirs: the same of what it is compared with
        """
        if not is_known:
            label = self.env._("%(total)s, without these filters", total=label)
        totals, others = mine(False), theirs(False)
        proofs = []
        found = {company_id for company_id, _all in (*totals, *others)}
        for company in self._get_proved(self.env["res.company"].browse(found)):
            name = f"{company.name}: {label}" if len(self.env.companies) > 1 else label
            proof = TieOut(
                label=name,
                amount=totals[company.id, 0],
                ledger_label=ledger_label,
                ledger_amount=others[company.id, 0],
                currency_id=company.currency_id.id,
            )
            if not company.currency_id.is_zero(float(proof.difference)):
                proof.documents = self._get_culprits(company, mine(True), theirs(True))
            proofs.append(proof)
        return proofs

    @api.model
    def _get_culprits(self, company, mine, theirs):
        """Return the agreements of accounts that do not tie, as documents."""
        accounts = [
            account_id
            for company_id, account_id in {*mine, *theirs}
            if company_id == company.id
            and mine[company_id, account_id] != theirs[company_id, account_id]
        ]
        # Whoever reads the report may know which agreements it is about.
        agreements = self.env["crm.billing.agreement"].sudo()
        found = agreements.with_context(active_test=False).search(
            [
                ("company_id", "=", company.id),
                ("state", "!=", "draft"),
                ("partner_id", "child_of", accounts),
            ],
            limit=MOST_DOCUMENTS,
        )
        return "crm.billing.agreement", found.ids

    # === BUSINESS METHODS - BOTH SIDES === #

    @api.model
    def _read_recurring(self, day, accounts, is_detailed):
        """Return ``{(company id, account id): Decimal}`` of what runs on a day.

        :param accounts: domain of the report that chooses accounts
        """
        rows = self.env.execute_query(
            SQL(
                """
                SELECT company_id, %(account)s, SUM(%(amount)s)
                  FROM (%(values)s) worth
                 WHERE company_id = ANY(%(companies)s) AND %(chosen)s
              GROUP BY 1, 2
                """,
                account=SQL("partner_id") if is_detailed else SQL("0"),
                amount=self._convert(SQL("value")),
                values=self._select_values_on(day),
                companies=self.env.companies.ids,
                chosen=self._get_chosen(accounts),
            )
        )
        return self._add_up(rows)

    @staticmethod
    def _add_up(rows):
        """Return Decimals of rows ``(company id, account id, *amounts)``, by both."""
        found = defaultdict(Decimal)
        for company_id, account_id, *amounts in rows:
            for amount in amounts:
                found[company_id, account_id] += Decimal(str(amount or 0))
        return found

    def _select_values_on(self, day):
        return SQL(
            """
            SELECT running.company_id, running.partner_id, home.rounding AS home_step,
                   CASE WHEN home.id != money.id THEN %(rate)s END AS rate,
                   %(value)s AS value
              FROM (SELECT version.company_id, version.partner_id, version.currency_id,
                           SUM(CASE WHEN version.change_day <= %(day)s
                                    THEN version.full ELSE version.monthly END) AS exact
                      FROM (%(versions)s) version
                     WHERE version.start <= %(day)s
                       AND (version.stop IS NULL OR version.stop > %(day)s)
                  GROUP BY version.company_id, version.partner_id,
                           version.currency_id) running
              JOIN res_company company ON company.id = running.company_id
              JOIN res_currency home ON home.id = company.currency_id
              JOIN res_currency money ON money.id = running.currency_id
            """,
            rate=self._get_rate(
                SQL("money.id"), SQL("home.id"), ROOT, SQL("%s::date", day)
            ),
            value=self._round(SQL("running.exact"), SQL("money.rounding"), DIGITS),
            day=day,
            versions=self._select_versions(),
        )

    def _get_chosen(self, accounts):
        """Return the condition that an account is among those of the report."""
        if accounts.is_true():
            return SQL("TRUE")
        query = self._search(accounts)
        rows = query.select(
            self._field_to_sql(query.table, "company_id", query),
            self._field_to_sql(query.table, "partner_id", query),
        )
        return SQL("(company_id, partner_id) IN (%s)", rows)

    @api.model
    def _read_measures(self, domain, names, is_detailed):
        """Return ``{(company id, account id): Decimal}``, the sum of the measures."""
        names = [f"{name}:sum" for name in names]
        if is_detailed:
            groups = self._read_group(domain, ["company_id", "partner_id"], names)
            return self._add_up(
                (company.id, account.id, *amounts)
                for company, account, *amounts in groups
            )
        groups = self._read_group(domain, ["company_id"], names)
        return self._add_up((company.id, 0, *amounts) for company, *amounts in groups)

    # === BUSINESS METHODS - FILTERS === #

    @api.model
    def _split_domain(self, domain, date_field):
        """Return ``(accounts, first, last, is_known)`` of a domain.

        :return: the part that chooses accounts as a domain; the bounds of
            ``date_field``, None where open; whether that is all that it asks for
        """
        domain = Domain(domain)
        bounds, other = [], domain
        try:
            for leaf in domain.iter_conditions():
                if leaf.field_expr == date_field and (bound := self._get_bounds(leaf)):
                    self._check_applies_to_all(leaf, domain)
                    bounds.append(bound)
        except UserError:  # several periods: not one opening, not one closing
            return Domain.TRUE, None, None, False
        other = domain.map_conditions(
            lambda leaf: Domain.TRUE if leaf.field_expr == date_field else leaf
        )
        first = max((day for day, _last in bounds if day), default=None)
        last = min((day for _first, day in bounds if day), default=None)
        is_known = all(
            leaf.field_expr.partition(".")[0] in ACCOUNT_FIELDS
            for leaf in other.iter_conditions()
        )
        return (other if is_known else Domain.TRUE), first, last, is_known

    @api.model
    def _get_period_domain(self, date_field, first, last):
        bounds = [(date_field, ">=", first)] if first else []
        return Domain(bounds + ([(date_field, "<=", last)] if last else []))


class CrmBillingRevenueReport(models.Model):
    _inherit = "crm.billing.revenue.report"

    @api.model
    def _get_tie_outs(self, domain):
        """Override: opening and movements are what runs on the last day (7.5)."""
        accounts, first, last, is_known = self._split_domain(domain, "date")
        last = min(last or self._get_as_of(), self._get_as_of())
        period = self._get_period_domain("date", first, last)

        def lead_to_closing(is_detailed):
            amounts = self._read_measures(accounts & period, ["amount"], is_detailed)
            if first:
                opening = self._read_recurring(first - ONE_DAY, accounts, is_detailed)
                for key, amount in opening.items():
                    amounts[key] += amount
            return amounts

        return self._prove(
            lead_to_closing,
            lambda is_detailed: self._read_recurring(last, accounts, is_detailed),
            self.env._("Opening and movements") if first else self.env._("Movements"),
            self.env._("running on %(day)s", day=format_date(self.env, last)),
            is_known,
        )


class CrmBillingRevenueMonthReport(models.Model):
    _inherit = "crm.billing.revenue.month.report"

    @api.model
    def _get_tie_outs(self, domain):
        """Override: opening and all columns are what runs on the last day (7.5)."""
        accounts, first, last, is_known = self._split_domain(domain, "date")
        last = fields.Date.end_of(last or self._get_as_of(), "month")
        chosen = accounts & self._get_period_domain("date", first, last)
        last = min(last, self._get_as_of())
        return self._prove(
            lambda is_detailed: self._read_measures(
                chosen, ["opening", *KINDS], is_detailed
            ),
            lambda is_detailed: self._read_recurring(last, accounts, is_detailed),
            self.env._("Opening and all movements"),
            self.env._("running on %(day)s", day=format_date(self.env, last)),
            is_known,
        )


class CrmBillingRevenueCohortReport(models.Model):
    _inherit = "crm.billing.revenue.cohort.report"

    @api.model
    def _get_tie_outs(self, domain):
        """Override: what accounts began with is what was new in those months."""
        accounts, first, last, is_known = self._split_domain(domain, "cohort")
        began = (
            accounts
            & self._get_period_domain("cohort", first, last)
            & Domain("age", "=", 0)
        )
        first = first and self._get_first_of_month(first)
        last = last and fields.Date.end_of(last, "month")
        new = accounts & self._get_period_domain("date", first, last)
        new &= Domain("kind", "=", NEW)
        movements = self.env["crm.billing.revenue.report"]
        return self._prove(
            lambda is_detailed: self._read_measures(began, ["mrr_first"], is_detailed),
            lambda is_detailed: movements._read_measures(new, ["amount"], is_detailed),
            self.env._("First MRR"),
            self.env._("new in the movements"),
            is_known,
        )

    @staticmethod
    def _get_first_of_month(day):
        """Return the first day of the first month that begins on or after ``day``."""
        return day if day.day == 1 else fields.Date.end_of(day, "month") + ONE_DAY
