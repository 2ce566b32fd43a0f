from odoo import api, models
from odoo.fields import Domain
from odoo.tools import SQL

from .crm_billing_receivable_query import (
    FIGURES_KEY,
    HISTORY_KEY,
    RECEIVABLE,
    get_month,
)

COUNTBACKS = {"countback", "countback_over"}
# What a count-back is made of, with the sales of the past.
COUNTED = {"company_id", "partner_id", "currency_id", "date", "sales", "closing"}
# What a row says of its account, whatever that owes.
WITHOUT_FIGURES = {
    "company_id",
    "currency_id",
    "partner_id",
    "service_tier_id",
    "team_id",
    "user_id",
}
PAGE_KEY = "billing_page"  # of the context: rows that are read already
PAGE = ("id", "company_id", "partner_id", "currency_id", "date", "sales", "closing")


class CrmBillingReceivableReport(models.Model):
    """The ratios, of a row and of a group alike, and the sales they look back on."""

    _inherit = "crm.billing.receivable.report"

    # === CRUD METHODS === #

    @api.model
    @api.private
    @api.readonly
    def search_fetch(self, domain, field_names=None, *args, **kwargs):
        """Override of `base` to read past sales of the accounts found only.

        All past sales are read if the question itself is about a count-back.
        """
        asked = set(self._fields if field_names is None else field_names)
        model = self._with_history(domain, args, kwargs)
        late = asked & COUNTBACKS if not model.env.context[HISTORY_KEY] else set()
        found = super(CrmBillingReceivableReport, model).search_fetch(
            domain, [*(asked - late | (COUNTED if late else set()))], *args, **kwargs
        )
        if late and found:
            found._with_page().fetch(late)
        return found.with_context(**{HISTORY_KEY: True})

    def _with_page(self):
        """Return the rows, read already, so that past sales are those of them."""
        rows = [
            (
                row.id,
                row.company_id.id,
                row.partner_id.id or 0,
                row.currency_id.id,
                row.date,
                row.sales,
                row.closing,
            )
            for row in self.sudo()
        ]
        columns = tuple(zip(*rows, strict=True))
        return self.sudo().with_context(**{PAGE_KEY: columns})

    @api.model
    @api.readonly
    def search_count(self, domain, *args, **kwargs):
        """Override of `base` to read past sales, or figures, only where they are asked
        for."""
        model = self._with_history(domain)
        asked = {
            one.field_expr.partition(".")[0] for one in Domain(domain).iter_conditions()
        }
        if asked <= WITHOUT_FIGURES | {*self._parameter_fields}:
            model = model.with_context(**{FIGURES_KEY: False})
        return super(CrmBillingReceivableReport, model).search_count(
            domain, *args, **kwargs
        )

    @api.model
    def _read_group(self, domain, *args, **kwargs):
        """Override of `base` to read past sales only where they are asked for."""
        model = self._with_history(domain, args, kwargs)
        return super(CrmBillingReceivableReport, model)._read_group(
            domain, *args, **kwargs
        )

    @api.model
    def _read_grouping_sets(self, domain, *args, **kwargs):
        """Override of `base` to read past sales only where they are asked for."""
        model = self._with_history(domain, args, kwargs)
        return super(CrmBillingReceivableReport, model)._read_grouping_sets(
            domain, *args, **kwargs
        )

    def _with_history(self, *question):
        """Return the model that reads past sales if the question names a count-back."""
        return self.with_context(**{HISTORY_KEY: "countback" in repr(question)})

    # === BUSINESS METHODS - PAGE === #

    @property
    def _table_query(self):
        """Override: of rows at hand the query is what they are still without."""
        page = self.env.su and self.env.context.get(PAGE_KEY)
        if page:
            return self._select_page(page)
        return super()._table_query

    def _select_page(self, page):
        """Return the count-backs of rows whose other figures are known.

        :param page: their columns, as :meth:`_with_page` makes them
        """
        names = ("closing", "sales")
        ratios = self._get_ratios(
            **{name: SQL.identifier("figure", name) for name in names},
            **dict.fromkeys(("opening", "not_due", "days", "months"), SQL("0")),
            last=SQL("figure.last"),
            histories=SQL("ARRAY[figure.history]"),
        )
        return SQL(
            """
            SELECT figure.id, %(ratios)s
              FROM (SELECT owed.*, NULLIF(
                               history.sales[1:%(month)s - history.first_month + 1],
                               '{}') AS history
                      FROM UNNEST(%(page)s) owed (id, company_id, partner_id,
                           currency_id, last, sales, closing)
                 LEFT JOIN (%(history)s) history
                        ON history.key = ARRAY[
                           owed.company_id, owed.partner_id, owed.currency_id]) figure
            """,
            ratios=SQL(", ").join(
                SQL("%s AS %s", ratios[name], SQL.identifier(name))
                for name in sorted(COUNTBACKS)
            ),
            month=get_month(SQL("owed.last")),
            page=SQL(", ").join(
                SQL("%s::numeric[]" if name in names else "%s", list(values))
                for name, values in zip(PAGE, page, strict=True)
            ),
            history=self._select_history(max(page[PAGE.index("date")]), page[2]),
        )

    # === BUSINESS METHODS - RATIOS === #

    def _read_group_select(self, aggregate_spec, query):
        """Override of `base`: a group counts its months, however it was cut."""
        if aggregate_spec == "__count":
            return SQL("COALESCE(%s, 0)::bigint", self._sum("row_count"))
        return super()._read_group_select(aggregate_spec, query)

    def _get_ratio(self, name):
        """Override: all rows of a group are of one slice."""
        table = SQL.identifier(self._table)
        amounts = {
            name: self._sum(name) for name in ("opening", "sales", "closing", "not_due")
        }
        ratios = self._get_ratios(
            **amounts,
            days=SQL("MAX(%s.days)", table),
            months=SQL("MAX(%s.months)", table),
            last=SQL("MAX(%s.date)", table),
            histories=SQL(
                "ARRAY_AGG(%(table)s.history) FILTER (WHERE %(table)s.history IS NOT"
                " NULL)",
                table=table,
            ),
        )
        return ratios[name]

    @classmethod
    def _get_ratios(
        cls, opening, sales, closing, not_due, days, months, last, histories
    ):
        """Return ``{field: ratio}`` in SQL (billing rules, 8.4 and 8.5).

        :param months: N of the rule of CEI
        :param last: the last day
        :param histories: sales of each month up to it, an array for each account
        """
        defined = SQL("%s > 0", sales)
        collectable = SQL("%s + %s / %s - %s", opening, sales, months, not_due)
        amounts = {
            "dso": closing,
            "best_dso": not_due,
            "add": SQL("(%s - %s)", closing, not_due),
        }
        walk = cls._walk_back(closing, last, histories)
        return {
            **{
                name: SQL(
                    "CASE WHEN %s THEN %s * %s / %s END", defined, amount, days, sales
                )
                for name, amount in amounts.items()
            },
            "cei": SQL(
                "CASE WHEN %(defined)s AND %(base)s > 0 THEN (%(opening)s"
                " + %(sales)s / %(months)s - %(closing)s) * 100 / (%(base)s) END",
                defined=defined,
                base=collectable,
                opening=opening,
                sales=sales,
                months=months,
                closing=closing,
            ),
            "countback": SQL(
                """
                CASE WHEN NOT %(defined)s THEN NULL WHEN %(closing)s <= 0 THEN 0
                     ELSE (SELECT walk.counted - walk.days + walk.days
                                  * (%(closing)s - walk.reached + walk.sales)
                                  / walk.sales
                             FROM %(walk)s walk
                            WHERE walk.reached >= %(closing)s
                         ORDER BY walk.back LIMIT 1) END
                """,
                defined=defined,
                closing=closing,
                walk=walk,
            ),
            "countback_over": SQL(
                """
                CASE WHEN %(defined)s AND %(closing)s > 0
                     THEN (SELECT MAX(walk.counted) FROM %(walk)s walk
                           HAVING MAX(walk.reached) < %(closing)s) END
                """,
                defined=defined,
                closing=closing,
                walk=walk,
            ),
        }

    @staticmethod
    def _walk_back(closing, last, histories):
        """Return the months down to the first invoice, with what they reach together.

        The arrays are of one length and end with the month of the last day, of which
        the days up to it count. Before the first invoice there are no sales.
        """
        return SQL(
            """
            (SELECT month.back, month.sales, month.days,
                    SUM(month.sales) OVER up_to AS reached,
                    SUM(month.days) OVER up_to AS counted
               FROM (SELECT place.back, place.sales,
                            CASE WHEN place.back = 0 THEN EXTRACT(DAY FROM %(last)s)
                                 ELSE EXTRACT(
                                     DAY FROM DATE_TRUNC('month', %(last)s::timestamp)
                                     - (place.back - 1) * INTERVAL '1 month'
                                     - INTERVAL '1 day') END AS days
                       FROM (SELECT size.months - 1 - (one.n - 1) %% size.months
                                        AS back,
                                    SUM(one.sales) AS sales
                               FROM (SELECT %(histories)s AS sales) given
                         CROSS JOIN LATERAL (SELECT ARRAY_LENGTH(given.sales, 2)) size
                                            (months)
                         CROSS JOIN LATERAL UNNEST(given.sales) WITH ORDINALITY
                                            one (sales, n)
                           GROUP BY 1) place
                      WHERE place.sales IS NOT NULL) month
             WINDOW up_to AS (ORDER BY month.back))
            """,
            last=last,
            histories=histories,
        )

    # === QUERY === #

    def _select_history(self, last, account_ids=None):
        """Return the sales of each account, month by month up to ``last``.

        :param account_ids: the accounts, 0 stands for none; all if it is None

        All arrays begin with the first month of the ledger; an account's months before
        its own first invoice are empty. It is joined by one key: by several of them
        the planner may take the one that all accounts share.
        """
        return SQL(
            """
            WITH sold AS (
                SELECT line.company_id,
                       COALESCE(payer.commercial_partner_id, 0) AS partner_id,
                       line.currency_id, %(month)s AS month, SUM(line.balance) AS sales
                  FROM account_move_line line
             LEFT JOIN res_partner payer ON payer.id = line.partner_id
                 WHERE line.parent_state = 'posted' AND line.date <= %(last)s
                   AND line.account_id = ANY(ARRAY(%(receivable)s))
                   AND line.display_type = 'payment_term' AND %(chosen)s
              GROUP BY 1, 2, 3, 4)
            SELECT ARRAY[sold.company_id, sold.partner_id, sold.currency_id] AS key,
                   (SELECT MIN(month) FROM sold) AS first_month,
                   ARRAY(SELECT CASE WHEN step.month >= MIN(sold.month)
                                     THEN COALESCE((ARRAY_AGG(sold.sales))[
                                         ARRAY_POSITION(ARRAY_AGG(sold.month),
                                                        step.month)], 0) END
                           FROM GENERATE_SERIES((SELECT MIN(month) FROM sold),
                                                %(last_month)s) step (month)
                       ORDER BY step.month) AS sales
              FROM sold
          GROUP BY sold.company_id, sold.partner_id, sold.currency_id
            """,
            month=get_month(SQL("line.date")),
            last=last,
            receivable=RECEIVABLE,
            last_month=get_month(SQL("%s::date", last)),
            chosen=SQL("TRUE")
            if account_ids is None
            else SQL(
                "(line.partner_id IN (SELECT id FROM res_partner"
                " WHERE commercial_partner_id = ANY(%s)) OR %s AND line.partner_id"
                " IS NULL)",
                list(account_ids),
                0 in account_ids,
            ),
        )
