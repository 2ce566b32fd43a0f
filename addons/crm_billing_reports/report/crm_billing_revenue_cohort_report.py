from odoo import fields, models
from odoo.tools import SQL

from ..report_rules.movement import NEW
from .crm_billing_ratio import Share

MOST_MONTHS = 100_000  # more than any account is old


class CrmBillingRevenueCohortReport(models.Model):
    """What is left of the accounts that began in a month.

    One row an account, currency and month.

    An account belongs to the month in which it first paid something recurring; that
    first amount is what each later month is compared with. All amounts of an account
    are at the rate of its first day: what rates do is no retention. An account that
    left stays in its cohort, with nothing.
    """

    _name = "crm.billing.revenue.cohort.report"
    _description = "Revenue Cohorts"
    _inherit = "crm.billing.revenue.mixin"
    _auto = False
    _order = "cohort desc, partner_id, age"
    _rec_name = "partner_id"

    cohort = fields.Date(
        readonly=True, help="The first day of the month in which the account began."
    )
    age = fields.Integer(
        string="Months Later",
        readonly=True,
        aggregator=None,
        help="0 is the end of the first month itself.",
    )
    date = fields.Date(
        string="Month", readonly=True, help="The first day of the month looked at."
    )
    mrr_first = fields.Monetary(
        string="First MRR",
        currency_field="company_currency_id",
        readonly=True,
        aggregator=None,
    )
    mrr = fields.Monetary(
        string="MRR Then",
        currency_field="company_currency_id",
        readonly=True,
        help="At the end of the month, or on the day of the report.",
    )
    retention = Share(
        string="MRR Retained",
        readonly=True,
        aggregator="avg",
        help="MRR then, divided by the first MRR.",
    )
    account_count = fields.Integer(string="Accounts", readonly=True)
    paying_count = fields.Integer(string="Accounts Then", readonly=True)
    account_retention = Share(
        string="Accounts Retained",
        readonly=True,
        aggregator="avg",
        help="Accounts that pay then, divided by those that began.",
    )

    # === ACTION METHODS === #

    def action_view_agreements(self):
        """Open what the account has agreed."""
        self.ensure_one()
        return self._get_agreement_action()

    # === QUERY === #

    @property
    def _table_query(self):
        return self._join_owners(self._select_cohorts())

    def _select_cohorts(self):
        """Return the months of each account and currency from its first one on.

        What is new in an account is so once: all of it is its first amount.
        """
        first_rate = self._get_rate(
            SQL("currency_id"), SQL("home_id"), SQL("root_id"), SQL("first_day")
        )
        return SQL(
            """
            WITH change AS (%(changes)s),
            span AS (%(spans)s),
            life AS (
                SELECT span.*,
                       MIN(month) OVER account AS first_month,
                       SUM(%(new)s) OVER in_currency AS mrr_first,
                       CASE WHEN currency_id != home_id THEN %(rate)s END AS rate
                  FROM (SELECT span.*, MIN(day) OVER account AS first_day
                          FROM span
                        WINDOW account AS (PARTITION BY company_id, partner_id)) span
                WINDOW account AS (PARTITION BY company_id, partner_id),
                       in_currency AS (
                           PARTITION BY company_id, partner_id, currency_id))
            SELECT (ROW_NUMBER() OVER (
                        ORDER BY company_id, partner_id, currency_id, number))::int
                       AS id,
                   company_id, partner_id, currency_id,
                   %(cohort)s AS cohort, number - first_month AS age,
                   %(date)s AS date, mrr_first, mrr,
                   1 AS account_count, paying_count,
                   CASE WHEN mrr_first > 0 THEN mrr / mrr_first END AS retention,
                   paying_count::numeric AS account_retention
              FROM (SELECT valued.*, series.number
                      FROM (SELECT life.*, %(value)s AS mrr,
                                   (after != 0)::int AS paying_count
                              FROM life) valued
                CROSS JOIN LATERAL GENERATE_SERIES(
                           valued.month, valued.until) series (number)) month
            """,
            changes=self._select_changes(),
            spans=self._select_spans(),
            new=SQL.identifier(NEW),
            rate=first_rate,
            cohort=self._get_month_date(SQL("first_month")),
            date=self._get_month_date(SQL("number")),
            value=self._convert(SQL("after")),
        )

    # === QUERY - GROUPS === #

    def _read_group_select(self, aggregate_spec, query):
        """Override of `base`: retention of a group is a ratio of its sums, and each of
        its accounts counts once."""
        if aggregate_spec == "retention:avg":
            return SQL(
                "CASE WHEN SUM(%(first)s) > 0 THEN SUM(%(then)s) / SUM(%(first)s) END",
                first=self._field_to_sql(self._table, "mrr_first", query),
                then=self._field_to_sql(self._table, "mrr", query),
            )
        if aggregate_spec == "account_retention:avg":
            return SQL(
                "%s::numeric / NULLIF(COUNT(DISTINCT %s), 0)",
                self._count_paying(query, self._get_account_month(query)),
                self._get_account_month(query),
            )
        account = self._field_to_sql(self._table, "partner_id", query)
        if aggregate_spec == "account_count:sum":
            return SQL("COUNT(DISTINCT %s)", account)
        if aggregate_spec == "paying_count:sum":
            return self._count_paying(query, account)
        return super()._read_group_select(aggregate_spec, query)

    def _count_paying(self, query, key):
        paying = self._field_to_sql(self._table, "paying_count", query)
        return SQL("COUNT(DISTINCT %s) FILTER (WHERE %s = 1)", key, paying)

    def _get_account_month(self, query):
        """Return a number that an account in several currencies has once a month."""
        return SQL(
            "%s::bigint * %s + %s",
            self._field_to_sql(self._table, "partner_id", query),
            MOST_MONTHS,
            self._field_to_sql(self._table, "age", query),
        )
