from odoo import api, fields, models
from odoo.tools import SQL

from ..report_rules import exceptions
from .crm_billing_ratio import Ratio


class CrmBillingExceptionReport(models.Model):
    """Touches beside the invoices they belong to: exceptions per 100 invoices.

    A row is a month, an account, a salesperson. A touch counts in the month of the
    invoice that was touched, so that both sides of the ratio are about the same
    invoices. The rate of any group is that of its sums; without invoices it is
    undefined and left empty. The single touches are in `crm.billing.touch.report`.
    """

    _name = "crm.billing.exception.report"
    _description = "Exceptions per 100 Invoices"
    _inherit = "crm.billing.exception.proof"
    _auto = False
    _order = "date desc, id desc"
    _rec_name = "partner_id"
    _depends = {
        "account.move": [
            "commercial_partner_id",
            "company_id",
            "invoice_date",
            "invoice_user_id",
            "state",
        ],
        "res.partner": ["commercial_partner_id", "service_tier_id", "user_id"],
        "crm.billing.touch.report": [],
    }

    date = fields.Date(string="Month", readonly=True, help="The first day of it.")
    invoice_count = fields.Integer(string="Invoices", readonly=True)
    exception_count = fields.Integer(string="Exceptions", readonly=True)
    hours = fields.Float(
        string="Clean-Up Hours", readonly=True, help="By the minutes in Touch Costs."
    )
    rate = Ratio(
        string="Per 100 Invoices",
        readonly=True,
        aggregator="avg",
        help="Exceptions per 100 posted invoices, of the sums of the group.",
    )

    # === ACTION METHODS === #

    def action_view_touches(self):
        """Open the touches of the rows, one by one."""
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "crm_billing_reports.crm_billing_touch_report_action"
        )
        action["context"] = {}
        action["domain"] = [("id", "in", self._get_touches().ids)]
        return action

    def _get_touches(self):
        touches = self.env["crm.billing.touch.report"]
        for row in self:
            touches |= touches.search(
                [
                    ("partner_id", "=", row.partner_id.id),
                    ("user_id", "=", row.user_id.id),
                    ("team_id", "=", row.team_id.id),
                    ("company_id", "=", row.company_id.id),
                    ("month_date", ">=", row.date),
                    (
                        "month_date",
                        "<=",
                        fields.Date.end_of(row.date, "month"),
                    ),
                ]
            )
        return touches

    # === QUERY === #

    @property
    def _table_query(self):
        """Return a row for each group of touches and invoices, added up."""
        return SQL(
            """
            SELECT MIN(item.id) AS id,
                   item.month AS date,
                   item.company_id, item.partner_id, item.user_id, item.team_id,
                   item.service_tier_id,
                   item.company_currency_id AS currency_id,
                   item.company_currency_id,
                   SUM(item.invoices)::int AS invoice_count,
                   SUM(item.touches)::int AS exception_count,
                   SUM(item.hours)::float AS hours,
                   100.0 * SUM(item.touches) / NULLIF(SUM(item.invoices), 0) AS rate
              FROM (%s) item
          GROUP BY item.month, item.company_id, item.partner_id, item.user_id,
                   item.team_id, item.service_tier_id, item.company_currency_id
            """,
            self._select_items(),
        )

    @api.model
    def _select_items(self):
        """Return touches and posted invoices, each with the month that it counts in."""
        return SQL(
            """
            SELECT touch.id * 2 AS id, touch.month_date AS day,
                   DATE_TRUNC('month', touch.month_date)::date AS month,
                   touch.company_id, touch.partner_id, touch.user_id, touch.team_id,
                   touch.service_tier_id, touch.company_currency_id,
                   0 AS invoices, 1 AS touches, touch.hours
              FROM (%s) touch
         UNION ALL
            SELECT move.id * 2 + 1, move.invoice_date,
                   DATE_TRUNC('month', move.invoice_date)::date,
                   move.company_id, account.id,
                   COALESCE(move.invoice_user_id, account.user_id), move.team_id,
                   account.service_tier_id, company.currency_id,
                   1, 0, 0
              FROM account_move move
              JOIN res_company company ON company.id = move.company_id
         LEFT JOIN res_partner payer ON payer.id = move.commercial_partner_id
         LEFT JOIN res_partner account ON account.id = payer.commercial_partner_id
             WHERE move.move_type = 'out_invoice' AND move.state = 'posted'
            """,
            self.env["crm.billing.touch.report"]._table_query,
        )

    def _read_group_select(self, aggregate_spec, query):
        """Override of `base`: the rate of a group is that of its sums."""
        if aggregate_spec == "rate:avg":
            return self._get_rate(self, query)
        return super()._read_group_select(aggregate_spec, query)

    @api.model
    def _get_rate(self, rows, query):
        """Return in SQL the rate of a group of ``rows`` that have both counts."""
        return SQL(
            "100.0 * SUM(%s) / NULLIF(SUM(%s), 0)",
            rows._field_to_sql(rows._table, "exception_count", query),
            rows._field_to_sql(rows._table, "invoice_count", query),
        )

    @api.model
    def _get_raised(self, before, after):
        """Return in SQL whether a rate is raised, as :func:`exceptions.is_raised` says.

        :param before: SQL of exceptions and of invoices before
        :param after: the same after
        """
        return SQL(
            """
            COALESCE(
                %(after)s * %(before_of)s * %(bottom)s
                    > %(before)s * %(after_of)s * %(top)s
                AND %(before_of)s > 0 AND %(after_of)s > 0
                AND %(after)s - %(before)s::numeric * %(after_of)s
                    / NULLIF(%(before_of)s, 0) >= %(least)s,
                FALSE)
            """,
            before=before[0],
            before_of=before[1],
            after=after[0],
            after_of=after[1],
            top=exceptions.FACTOR.numerator,
            bottom=exceptions.FACTOR.denominator,
            least=exceptions.LEAST,
        )
