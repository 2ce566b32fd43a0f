from odoo import api, fields, models
from odoo.tools import SQL

from odoo.addons.crm_billing_handoff.billing_rules.mrr import PER_MONTH
from odoo.addons.crm_billing_handoff.billing_rules.schedule import DAYS, MONTHS

# Digits of a monthly amount, a fraction: sums of them are rounded like exact ones.
PRECISION = 60


class CrmBillingRevenueMixin(models.AbstractModel):
    """What recurs each month, and how it moves: the SQL that the reports share.

    Everything is computed from the lines of agreements and their dates, never from
    invoices: what recurred on a day that has passed is what the lines that ran then say
    now. An account is the commercial entity that buys, in one company.
    """

    _name = "crm.billing.revenue.mixin"
    _description = "Recurring Revenue"
    _inherit = "crm.billing.report.mixin"
    _parameter_fields = ("as_of",)
    _depends = {
        "crm.billing.agreement": [
            "company_id",
            "currency_id",
            "end_date",
            "partner_id",
            "start_date",
            "state",
            "team_id",
            "user_id",
        ],
        "crm.billing.agreement.line": [
            "agreement_id",
            "billing_method",
            "discount",
            "discount_last_day",
            "end_date",
            "end_reason",
            "interval_count",
            "interval_unit",
            "minimum",
            "price_plan_count",
            "price_plan_unit",
            "price_unit",
            "quantity",
            "start_date",
        ],
        "crm.billing.change": [
            "agreement_id",
            "change_type",
            "date",
            "discount",
            "state",
        ],
        "res.company": ["currency_id", "parent_path"],
        "res.currency": ["rounding"],
        "res.currency.rate": ["company_id", "currency_id", "name", "rate"],
        "res.partner": ["commercial_partner_id", "service_tier_id", "user_id"],
    }

    as_of = fields.Date(
        readonly=True,
        help="The last day that is looked at: today, unless another one is asked for. "
        "Of days to come it is what has been agreed by now.",
    )

    @api.model
    def _get_as_of(self):
        """Return the last day of the report, a local date."""
        day = self._get_parameter("billing_as_of")
        return day or fields.Date.context_today(self)

    def _get_agreement_action(self):
        """Return the list of what the account of the row has agreed."""
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Agreements of %(name)s", name=self.partner_id.name),
            "res_model": "crm.billing.agreement",
            "views": [(False, "list"), (False, "form")],
            "domain": [
                ("partner_id", "child_of", self.partner_id.id),
                ("company_id", "=", self.company_id.id),
            ],
            "context": {"active_test": False},
        }

    # === QUERY - WHAT RECURS === #

    @api.model
    def _select_versions(self, is_foreign=False):
        """Return each recurring line with its exact monthly amount and its days (7.1).

        ``stop`` is the first day without service, ``change_day`` that on which a
        discount ends as scheduled, from which on ``full`` counts.

        :param is_foreign: of other currencies than the company's only
        """
        return SQL(
            """
            SELECT line.id, agreement.id AS agreement_id, agreement.company_id,
                   buyer.commercial_partner_id AS partner_id, agreement.currency_id,
                   line.start_date AS start, ending.stop,
                   amount.monthly, amount.full, discount_end.day AS change_day
              FROM crm_billing_agreement_line line
              JOIN crm_billing_agreement agreement ON agreement.id = line.agreement_id
              JOIN res_partner buyer ON buyer.id = agreement.partner_id
              JOIN (VALUES %(units)s) unit (name, per_month, divisor, length)
                ON unit.name = line.interval_unit
         LEFT JOIN (VALUES %(units)s) priced (name, per_month, divisor, length)
                ON priced.name = line.price_plan_unit AND line.billing_method = 'flat'
        CROSS JOIN LATERAL (
                   SELECT LEAST(line.end_date, agreement.end_date) + 1 AS stop) ending
         LEFT JOIN (SELECT DISTINCT agreement_id, date AS day
                      FROM crm_billing_change
                     WHERE state = 'scheduled' AND change_type = 'discount'
                       AND COALESCE(discount, 0) = 0) discount_end
                ON discount_end.agreement_id = agreement.id
               AND discount_end.day = line.discount_last_day + 1
               AND discount_end.day > line.start_date
               AND discount_end.day < COALESCE(ending.stop, 'infinity')
               AND line.discount != 0
        CROSS JOIN LATERAL (
                   SELECT ROUND(%(price)s * unit.per_month * unit.length, %(precision)s)
                          / (100 * unit.divisor * COALESCE(
                              priced.length * line.price_plan_count,
                              unit.length * line.interval_count)) AS percent) one
        CROSS JOIN LATERAL (
                   SELECT one.percent * (100 - COALESCE(line.discount, 0)) AS monthly,
                          one.percent * 100 AS full) amount
             WHERE agreement.state != 'draft'
               AND line.billing_method IN ('flat', 'usage')
               AND line.start_date IS NOT NULL
               AND COALESCE(line.end_reason, '') != 'rebill'
               AND (ending.stop IS NULL OR ending.stop > line.start_date)
               %(foreign)s
            """,
            units=self._get_units(),
            price=SQL(
                "CASE line.billing_method WHEN 'usage' THEN COALESCE(line.minimum, 0)"
                " ELSE COALESCE(line.price_unit * line.quantity, 0) END"
            ),
            precision=PRECISION,
            foreign=SQL(
                "AND agreement.currency_id != (SELECT currency_id FROM res_company"
                " WHERE id = agreement.company_id)"
            )
            if is_foreign
            else SQL(),
        )

    def _get_units(self):
        """Return units as SQL values: periods in a month as a fraction, and lengths.

        Lengths compare months with years, and days with weeks, only.
        """
        return SQL(", ").join(
            SQL(
                "(%s, %s, %s, %s)",
                unit,
                share.numerator,
                share.denominator,
                (MONTHS | DAYS)[unit],
            )
            for unit, share in PER_MONTH.items()
        )

    # === QUERY - WHOSE IT IS === #

    @api.model
    def _select_owners(self):
        """Return salesperson and team of each account: of its newest agreement."""
        return SQL(
            """
            SELECT DISTINCT ON (agreement.company_id, buyer.commercial_partner_id)
                   agreement.company_id, buyer.commercial_partner_id AS partner_id,
                   agreement.user_id, agreement.team_id
              FROM crm_billing_agreement agreement
              JOIN res_partner buyer ON buyer.id = agreement.partner_id
             WHERE agreement.state != 'draft'
          ORDER BY agreement.company_id, buyer.commercial_partner_id,
                   agreement.start_date DESC, agreement.id DESC
            """
        )

    @api.model
    def _join_owners(self, rows):
        """Return ``rows`` with the columns that all reports have.

        Joins of one row by key cost nothing where their columns are not asked for.
        """
        return SQL(
            """
            SELECT found.*, %(as_of)s::date AS as_of,
                   home.currency_id AS company_currency_id,
                   COALESCE(owner.user_id, account.user_id) AS user_id,
                   owner.team_id, account.service_tier_id
              FROM (%(rows)s) found
              JOIN res_company home ON home.id = found.company_id
         LEFT JOIN res_partner account ON account.id = found.partner_id
         LEFT JOIN (%(owners)s) owner ON owner.company_id = found.company_id
               AND owner.partner_id = found.partner_id
            """,
            as_of=self._get_as_of(),
            rows=rows,
            owners=self._select_owners(),
        )
