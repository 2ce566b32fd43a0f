from odoo import api, fields, models
from odoo.tools import SQL

from ..report_rules.movement import GROSS, MOVEMENTS, NET
from .crm_billing_ratio import Share
from .crm_billing_revenue_query import ROOT

# What stands on a day: over several months the first one opens, the last one closes.
OPENINGS = ("opening", "opening_count")
CLOSINGS = ("closing", "arr", "closing_count")
RATIOS = {"net_retention": NET, "gross_retention": GROSS}
# Of the context: whether each group is of one month, which opens and closes it.
ONE_MONTH_KEY, ONE_MONTH = "billing_one_month", {"date:month"}


class CrmBillingRevenueMonthReport(models.Model):
    """From opening to closing MRR: one row a month, account and currency (7.4, 7.5).

    Amounts are in company currency: movements at the rate of their day, opening at that
    of the day before the month, closing at that of its last day, or of the day of the
    report in the month that is not over. All columns add up to the closing: contraction
    and churn are negative. Over several months or accounts the opening is that of the
    first month, the closing that of the last one, and retention a ratio of the sums.
    """

    _name = "crm.billing.revenue.month.report"
    _description = "Recurring Revenue by Month"
    _inherit = "crm.billing.revenue.mixin"
    _auto = False
    _order = "date desc, closing desc, id"
    _rec_name = "partner_id"

    date = fields.Date(string="Month", readonly=True, help="The first day of it.")
    opening = fields.Monetary(
        string="Opening MRR", currency_field="company_currency_id", readonly=True
    )
    new = fields.Monetary(
        currency_field="company_currency_id",
        readonly=True,
        help="Of accounts that never paid anything recurring before.",
    )
    expansion = fields.Monetary(currency_field="company_currency_id", readonly=True)
    reactivation = fields.Monetary(
        currency_field="company_currency_id",
        readonly=True,
        help="Of accounts that had left, and came back.",
    )
    contraction = fields.Monetary(currency_field="company_currency_id", readonly=True)
    churn = fields.Monetary(
        currency_field="company_currency_id",
        readonly=True,
        help="Of accounts whose last running line ended.",
    )
    currency = fields.Monetary(
        string="Currency Effect",
        currency_field="company_currency_id",
        readonly=True,
        help="What rates did: closing less opening less movements.",
    )
    closing = fields.Monetary(
        string="Closing MRR", currency_field="company_currency_id", readonly=True
    )
    arr = fields.Monetary(
        string="ARR",
        currency_field="company_currency_id",
        readonly=True,
        help="Twelve times the closing MRR.",
    )
    closing_currency = fields.Monetary(
        string="Closing in Currency",
        readonly=True,
        aggregator=None,
        help="In the currency of the agreements.",
    )
    net_retention = Share(
        readonly=True,
        aggregator="avg",
        help="Opening with expansion, contraction and churn, divided by opening.",
    )
    gross_retention = Share(
        readonly=True,
        aggregator="avg",
        help="Opening with contraction and churn, divided by opening.",
    )
    opening_count = fields.Integer(
        string="Paying Before", readonly=True, help="Accounts."
    )
    closing_count = fields.Integer(string="Paying", readonly=True, help="Accounts.")

    # === ACTION METHODS === #

    def action_view_movements(self):
        """Open what moved the account in the month."""
        self.ensure_one()
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "crm_billing_reports.crm_billing_revenue_report_action"
        )
        action["context"] = {}
        action["domain"] = [
            ("company_id", "=", self.company_id.id),
            ("partner_id", "=", self.partner_id.id),
            ("date", ">=", self.date),
            ("date", "<=", fields.Date.end_of(self.date, "month")),
            ("as_of", "=", self.as_of),
        ]
        return action

    def action_view_agreements(self):
        """Open what the account has agreed."""
        self.ensure_one()
        return self._get_agreement_action()

    # === QUERY === #

    @property
    def _table_query(self):
        return self._join_owners(self._select_months())

    @api.model
    def _select_months(self):
        """Return the months of each account and currency, from its first to its last.

        A month in which nothing moves repeats the value, as long as there is one: what
        has gone to 0 is not repeated.
        """
        return SQL(
            """
            WITH change AS (%(changes)s),
            span AS (%(spans)s)
            SELECT (ROW_NUMBER() OVER (
                        ORDER BY company_id, partner_id, currency_id, number))::int
                       AS id,
                   company_id, partner_id, currency_id, %(date)s AS date,
                   %(names)s, opening, closing, closing * 12 AS arr,
                   after AS closing_currency,
                   closing - opening - total AS currency,
                   (before != 0)::int AS opening_count,
                   (after != 0)::int AS closing_count,
                   %(ratios)s
              FROM (SELECT company_id, partner_id, currency_id, number, before, after,
                           %(flows)s, %(opening)s AS opening, %(closing)s AS closing
                      FROM (SELECT span.*, series.number,
                                   series.number = span.month AS is_first,
                                   CASE WHEN series.number = span.month
                                        THEN span.start ELSE span.after
                                    END AS before,
                                   rate.rates, series.number - rate.month + 1 AS place
                              FROM span
                         LEFT JOIN (%(rates)s) rate
                                ON rate.company_id = span.company_id
                               AND rate.currency_id = span.currency_id
                        CROSS JOIN LATERAL GENERATE_SERIES(
                                   span.month,
                                   CASE WHEN span.after = 0 THEN span.month
                                        ELSE span.until END) series (number)
                           ) step
                   ) month
            """,
            changes=self._select_changes(),
            spans=self._select_spans(),
            rates=self._select_month_rates(),
            date=self._get_month_date(SQL("number")),
            names=SQL(", ").join(map(SQL.identifier, MOVEMENTS)),
            ratios=SQL(", ").join(
                SQL("%s AS %s", self._get_ratio(kinds), SQL.identifier(name))
                for name, kinds in RATIOS.items()
            ),
            flows=SQL(", ").join(
                SQL(
                    "CASE WHEN is_first THEN %(name)s ELSE 0.0 END AS %(name)s",
                    name=SQL.identifier(name),
                )
                for name in (*MOVEMENTS, "total")
            ),
            opening=self._convert(SQL("before"), SQL("rates[place]")),
            closing=self._convert(SQL("after"), SQL("rates[place + 1]")),
        )

    def _select_month_rates(self):
        """Return the rates of foreign money at the ends of months, as an array.

        The first one is that of the day before ``month``. A join of rates by month
        would compare each row with each of them.
        """
        day = SQL(
            "LEAST(%s - 1, %s)",
            self._get_month_date(SQL("number")),
            self._get_as_of(),
        )
        return SQL(
            """
            SELECT used.company_id, used.currency_id, used.month,
                   ARRAY_AGG(%(rate)s ORDER BY number) AS rates
              FROM (SELECT company_id, currency_id, %(month)s AS month
                      FROM crm_billing_agreement_line
                     WHERE start_date IS NOT NULL
                  GROUP BY company_id, currency_id) used
              JOIN res_company company ON company.id = used.company_id
               AND company.currency_id != used.currency_id
        CROSS JOIN LATERAL GENERATE_SERIES(used.month, %(last)s + 1) number
          GROUP BY used.company_id, used.currency_id, used.month
            """,
            rate=self._get_rate(
                SQL("used.currency_id"), SQL("company.currency_id"), ROOT, day
            ),
            month=self._count_months(SQL("MIN(start_date)")),
            last=self._get_month_number(self._get_as_of()),
        )

    # === QUERY - GROUPS === #

    @api.model
    def _read_group(self, domain, groupby=(), *args, **kwargs):
        """Override of `base` to tell the columns whether a group is of one month."""
        model = self.with_context(**{ONE_MONTH_KEY: not ONE_MONTH.isdisjoint(groupby)})
        return super(CrmBillingRevenueMonthReport, model)._read_group(
            domain, groupby, *args, **kwargs
        )

    @api.model
    def _read_grouping_sets(self, domain, grouping_sets, *args, **kwargs):
        """Override of `base` to tell the columns whether groups are of one month."""
        is_one = not any(ONE_MONTH.isdisjoint(groupby) for groupby in grouping_sets)
        model = self.with_context(**{ONE_MONTH_KEY: is_one})
        return super(CrmBillingRevenueMonthReport, model)._read_grouping_sets(
            domain, grouping_sets, *args, **kwargs
        )

    @staticmethod
    def _get_ratio(kinds, opening=None, total=None):
        """Return the retention of a row or a group, nothing where nothing opened."""
        opening = opening or SQL("opening")
        parts = (SQL.identifier(kind) for kind in kinds)
        return SQL(
            "CASE WHEN %(opening)s > 0 THEN 1 + (%(moved)s) / %(opening)s END",
            opening=opening,
            moved=SQL(" + ").join(total(part) if total else part for part in parts),
        )

    def _read_group_select(self, aggregate_spec, query):
        """Override of `base`: what stands on a day is no sum over days (7.5)."""
        name, _colon, function = aggregate_spec.partition(":")
        if name in RATIOS and function == "avg":
            return self._get_group_ratio(RATIOS[name], query)
        if function not in ("sum", "sum_currency"):
            return super()._read_group_select(aggregate_spec, query)
        if name in OPENINGS:
            return self._get_standing(name, SQL("MIN"), query)
        if name in CLOSINGS:
            return self._get_standing(name, SQL("MAX"), query)
        return super()._read_group_select(aggregate_spec, query)

    def _get_group_ratio(self, kinds, query):
        """Return what is left of the opening of a group, in one currency."""

        def total(part):
            return SQL("SUM(%s.%s)", SQL.identifier(self._table), part)

        opening = self._get_standing("opening", SQL("MIN"), query)
        return self._get_ratio(kinds, opening, total)

    def _get_standing(self, name, extreme, query):
        """Return the sum over the rows of the first or the last month of a group."""
        column, date, company_currency = (
            self._field_to_sql(self._table, field_name, query)
            for field_name in (name, "date", "company_currency_id")
        )
        is_money = self._fields[name].type == "monetary"
        if is_money and self.env.context.get(ONE_MONTH_KEY):
            return SQL(
                "CASE WHEN MIN(%(currency)s) = MAX(%(currency)s)"
                " THEN SUM(%(column)s) END",
                currency=company_currency,
                column=column,
            )
        if is_money:
            return SQL(
                """
                CASE WHEN MIN(%(currency)s) = MAX(%(currency)s) THEN (
                    SELECT SUM(standing.amount)
                      FROM UNNEST(ARRAY_AGG(%(date)s), ARRAY_AGG(%(column)s))
                           standing (date, amount)
                     WHERE standing.date = %(extreme)s(%(date)s)) END
                """,
                currency=company_currency,
                date=date,
                column=column,
                extreme=extreme,
            )
        return SQL(
            """
            (SELECT COUNT(DISTINCT standing.account)
               FROM UNNEST(ARRAY_AGG(%(date)s), ARRAY_AGG(%(column)s),
                           ARRAY_AGG(%(account)s))
                    standing (date, is_paying, account)
              WHERE standing.date = %(extreme)s(%(date)s) AND standing.is_paying = 1)
            """,
            date=date,
            column=column,
            account=self._field_to_sql(self._table, "partner_id", query),
            extreme=extreme,
        )
