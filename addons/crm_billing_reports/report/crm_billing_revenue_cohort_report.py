from odoo import fields, models
from odoo.tools import SQL

from ..report_rules.movement import NEW
from .crm_billing_ratio import Ratio

RATIOS = {
    "retention": ("mrr", "mrr_first"),
    "account_retention": ("paying_count", "account_count"),
}


class CrmBillingRevenueCohortReport(models.Model):
    """What is left of the accounts that began in a month: one row an account and month.

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
    retention = Ratio(
        string="MRR Retained",
        readonly=True,
        aggregator="avg",
        help="MRR then, divided by the first MRR.",
    )
    account_count = fields.Integer(string="Accounts", readonly=True)
    paying_count = fields.Integer(string="Accounts Then", readonly=True)
    account_retention = Ratio(
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
        """Return the months of each account from its first one on."""
        return SQL(
            """
            WITH change AS (%(changes)s),
            span AS (%(spans)s),
            life AS (%(lives)s)
            SELECT (ROW_NUMBER() OVER (
                        ORDER BY month.company_id, month.partner_id, month.number))::int
                       AS id,
                   month.company_id, month.partner_id, life.currency_id,
                   MAKE_DATE(life.number / 12, life.number %% 12 + 1, 1) AS cohort,
                   month.number - life.number AS age,
                   MAKE_DATE(month.number / 12, month.number %% 12 + 1, 1) AS date,
                   life.mrr_first, month.mrr,
                   1 AS account_count, month.paying_count, %(ratios)s
              FROM (SELECT span.company_id, span.partner_id, series.number,
                           SUM(%(value)s) AS mrr,
                           MAX((span.after != 0)::int) AS paying_count
                      FROM span
                      JOIN (%(rates)s) first_rate
                        ON first_rate.company_id = span.company_id
                       AND first_rate.partner_id = span.partner_id
                       AND first_rate.currency_id = span.currency_id
                CROSS JOIN GENERATE_SERIES(span.number, span.until) series (number)
                  GROUP BY span.company_id, span.partner_id, series.number) month
              JOIN life ON life.company_id = month.company_id
               AND life.partner_id = month.partner_id
            """,
            changes=self._select_changes(),
            spans=self._select_spans(),
            lives=self._select_lives(),
            rates=self._select_first_rates(),
            value=self._convert(SQL("span.after")),
            ratios=SQL(", ").join(
                SQL(
                    "CASE WHEN %(whole)s > 0 THEN %(part)s / %(whole)s END AS %(name)s",
                    part=SQL("month.%s::numeric", SQL.identifier(part)),
                    whole=SQL("1")
                    if whole == "account_count"
                    else SQL("life.mrr_first"),
                    name=SQL.identifier(name),
                )
                for name, (part, whole) in RATIOS.items()
            ),
        )

    def _select_lives(self):
        """Return when each account began, and with what."""
        return SQL(
            """
            SELECT company_id, partner_id, day,
                   EXTRACT(YEAR FROM day)::int * 12 + EXTRACT(MONTH FROM day)::int - 1
                       AS number,
                   SUM(amount) AS mrr_first,
                   CASE WHEN MIN(currency_id) = MAX(currency_id)
                        THEN MIN(currency_id) ELSE MIN(home_id) END AS currency_id
              FROM change
             WHERE kind = %s
          GROUP BY company_id, partner_id, day
            """,
            NEW,
        )

    def _select_first_rates(self):
        """Return the rate of the first day for each currency of an account."""
        return SQL(
            """
            SELECT used.company_id, used.partner_id, used.currency_id,
                   home.rounding AS home_step,
                   CASE WHEN home.id = money.id THEN NULL ELSE %s END AS rate
              FROM (SELECT DISTINCT company_id, partner_id, currency_id FROM span) used
              JOIN life ON life.company_id = used.company_id
               AND life.partner_id = used.partner_id
              JOIN res_company company ON company.id = used.company_id
              JOIN res_currency home ON home.id = company.currency_id
              JOIN res_currency money ON money.id = used.currency_id
            """,
            self._get_rate(SQL("life.day")),
        )

    def _read_group_select(self, aggregate_spec, query):
        """Override of `base`: retention of a group is a ratio of its sums."""
        name, _colon, function = aggregate_spec.partition(":")
        if aggregate_spec == "account_count:sum":
            account = self._field_to_sql(self._table, "partner_id", query)
            return SQL("COUNT(DISTINCT %s)", account)
        if name not in RATIOS or function != "avg":
            return super()._read_group_select(aggregate_spec, query)
        part, whole = (
            self._field_to_sql(self._table, field_name, query)
            for field_name in RATIOS[name]
        )
        return SQL(
            "CASE WHEN SUM(%(whole)s) > 0 THEN SUM(%(part)s)::numeric / SUM(%(whole)s)"
            " END",
            part=part,
            whole=whole,
        )
