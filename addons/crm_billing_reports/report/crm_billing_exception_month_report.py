from odoo import fields, models
from odoo.tools import SQL

from .crm_billing_ratio import Ratio

TOP = 3
LONGEST = 60  # characters of a cause that are shown


class CrmBillingExceptionMonthReport(models.Model):
    """The exception budget: one row a company and month, with causes and culprits.

    The rate is compared with the budget of the company and with the three months
    before; the three causes that cost most touches are named, and the changes of that
    month that raised it (`crm.billing.exception.change.report`). A budget is that of a
    company: accounts and salespeople are in `crm.billing.exception.report`.
    """

    _name = "crm.billing.exception.month.report"
    _description = "Exception Budget"
    _inherit = "crm.billing.exception.proof"
    _auto = False
    _order = "date desc, company_id, id"
    _rec_name = "date"
    _depends = {
        "crm.billing.exception.change.report": [],
        "res.company": ["billing_exception_budget"],
    }

    date = fields.Date(string="Month", readonly=True, help="The first day of it.")
    invoice_count = fields.Integer(string="Invoices", readonly=True)
    exception_count = fields.Integer(string="Exceptions", readonly=True)
    rate = Ratio(string="Per 100 Invoices", readonly=True, aggregator="avg")
    rate_before = Ratio(string="Three Months Before", readonly=True, aggregator=None)
    budget = fields.Float(
        readonly=True,
        aggregator=None,
        help="Exceptions per 100 invoices that the company puts up with.",
    )
    hours = fields.Float(string="Clean-Up Hours", readonly=True)
    is_over_budget = fields.Boolean(string="Over Budget", readonly=True)
    is_raised = fields.Boolean(
        string="Raised",
        readonly=True,
        help="Up by a quarter at least on the three months before, and by three "
        "exceptions more than they let expect.",
    )
    top_causes = fields.Char(string="Top Three Causes", readonly=True)
    changes = fields.Char(string="Raised By", readonly=True)

    # === ACTION METHODS === #

    def action_view_touches(self):
        """Open the touches of the month."""
        self.ensure_one()
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "crm_billing_reports.crm_billing_touch_report_action"
        )
        action["context"] = {"search_default_group_kind": 1}
        action["domain"] = [
            ("company_id", "=", self.company_id.id),
            ("month_date", ">=", self.date),
            ("month_date", "<=", fields.Date.end_of(self.date, "month")),
        ]
        return action

    # === QUERY === #

    @property
    def _table_query(self):
        """Return the months; those before are compared by their sums."""
        report = self.env["crm.billing.exception.report"]
        return SQL(
            """
            WITH monthly AS (
                SELECT MIN(row.id) AS id, row.date, row.company_id,
                       SUM(row.invoice_count)::int AS invoice_count,
                       SUM(row.exception_count)::int AS exception_count,
                       SUM(row.hours) AS hours
                  FROM (%(rows)s) row
              GROUP BY row.date, row.company_id),
            compared AS (
                SELECT monthly.*,
                       COALESCE(SUM(exception_count) OVER before, 0)::int
                           AS exceptions_before,
                       COALESCE(SUM(invoice_count) OVER before, 0)::int
                           AS invoices_before
                  FROM monthly
                WINDOW before AS (
                       PARTITION BY company_id ORDER BY date
                       RANGE BETWEEN INTERVAL '3 months' PRECEDING
                                 AND INTERVAL '1 day' PRECEDING))
            SELECT compared.id, compared.date, compared.company_id,
                   NULL::int AS partner_id, NULL::int AS user_id, NULL::int AS team_id,
                   NULL::int AS service_tier_id, company.currency_id,
                   company.currency_id AS company_currency_id,
                   compared.invoice_count, compared.exception_count, compared.hours,
                   ratio.rate,
                   100.0 * compared.exceptions_before
                       / NULLIF(compared.invoices_before, 0) AS rate_before,
                   company.billing_exception_budget AS budget,
                   COALESCE(ratio.rate > company.billing_exception_budget, FALSE)
                       AS is_over_budget,
                   %(is_raised)s AS is_raised,
                   causes.text AS top_causes,
                   changes.text AS changes
              FROM compared
              JOIN res_company company ON company.id = compared.company_id
        CROSS JOIN LATERAL (
                   SELECT 100.0 * compared.exception_count
                          / NULLIF(compared.invoice_count, 0) AS rate) ratio
         LEFT JOIN (%(causes)s) causes ON causes.month = compared.date
               AND causes.company_id = compared.company_id
         LEFT JOIN (%(changes)s) changes ON changes.month = compared.date
               AND changes.company_id = compared.company_id
            """,
            rows=report._table_query,
            is_raised=report._get_raised(
                (SQL("compared.exceptions_before"), SQL("compared.invoices_before")),
                (SQL("compared.exception_count"), SQL("compared.invoice_count")),
            ),
            causes=self._select_causes(),
            changes=self._select_changes(),
        )

    def _select_causes(self):
        """Return the most frequent causes of each month, in words, counted."""
        kinds = SQL(", ").join(
            SQL("(%s, %s)", kind, label)
            for kind, label in self.env["crm.billing.touch.report"]
            ._fields["kind"]
            ._description_selection(self.env)
        )
        return SQL(
            """
            SELECT ranked.month, ranked.company_id,
                   STRING_AGG(ranked.text || ' (' || ranked.count || ')', ' · '
                              ORDER BY ranked.rank) AS text
              FROM (SELECT DATE_TRUNC('month', touch.month_date)::date AS month,
                           touch.company_id, COUNT(*) AS count,
                           CONCAT_WS(': ', kind.label, touch.cause) AS text,
                           ROW_NUMBER() OVER (
                               PARTITION BY DATE_TRUNC('month', touch.month_date),
                                            touch.company_id
                               ORDER BY COUNT(*) DESC, kind.label, touch.cause) AS rank
                      FROM (SELECT month_date, company_id, kind,
                                   CASE WHEN LENGTH(cause) > %(longest)s
                                        THEN LEFT(cause, %(longest)s) || '…'
                                        ELSE cause END AS cause
                              FROM (%(touches)s) every) touch
                      JOIN (VALUES %(kinds)s) kind (code, label)
                        ON kind.code = touch.kind
                  GROUP BY DATE_TRUNC('month', touch.month_date), touch.company_id,
                           kind.label, touch.cause) ranked
             WHERE ranked.rank <= %(top)s
          GROUP BY ranked.month, ranked.company_id
            """,
            touches=self.env["crm.billing.touch.report"]._table_query,
            kinds=kinds,
            top=TOP,
            longest=LONGEST,
        )

    def _select_changes(self):
        """Return the names of the changes that raised the rate, by their month."""
        return SQL(
            """
            SELECT DATE_TRUNC('month', change.date)::date AS month, change.company_id,
                   STRING_AGG(change.name, ' · ' ORDER BY change.date) AS text
              FROM (%s) change
             WHERE change.is_raised
          GROUP BY 1, 2
            """,
            self.env["crm.billing.exception.change.report"]._table_query,
        )

    def _read_group_select(self, aggregate_spec, query):
        """Override of `base`: the rate of a group is that of its sums."""
        if aggregate_spec == "rate:avg":
            return self.env["crm.billing.exception.report"]._get_rate(self, query)
        return super()._read_group_select(aggregate_spec, query)
