from odoo import fields, models
from odoo.tools import SQL

from ..report_rules.movement import CONTRACTION, CURRENCY, EXPANSION

KINDS = [
    ("new", "New"),
    ("expansion", "Expansion"),
    ("reactivation", "Reactivation"),
    ("contraction", "Contraction"),
    ("churn", "Churn"),
    ("currency", "Currency"),
]


class CrmBillingRevenueReport(models.Model):
    """Movements of recurring revenue: one row an account and day (7.3).

    ``amount`` is monthly, before tax, in company currency at the rate of its day;
    contraction and churn are negative. What rates do to revenue that stays is a row of
    its own, of kind ``currency``, on the day of the rate. Dates are local dates of the
    account. Salesperson and team are those of its newest agreement.
    """

    _name = "crm.billing.revenue.report"
    _description = "Revenue Movements"
    _inherit = "crm.billing.revenue.mixin"
    _auto = False
    _order = "date desc, id desc"
    _rec_name = "partner_id"

    date = fields.Date(readonly=True, help="The day from which the new value counts.")
    kind = fields.Selection(KINDS, readonly=True, string="Movement")
    amount = fields.Monetary(
        string="MRR Change", currency_field="company_currency_id", readonly=True
    )
    arr = fields.Monetary(
        string="ARR Change",
        currency_field="company_currency_id",
        readonly=True,
        help="Twelve times the monthly amount.",
    )
    amount_currency = fields.Monetary(
        string="Change in Currency",
        readonly=True,
        help="In the currency of the agreements; in that of the company if several "
        "currencies moved at once.",
    )
    mrr_currency = fields.Monetary(
        string="MRR in Currency",
        readonly=True,
        aggregator=None,
        help="What the account pays at the end of the day in the currency that moved; "
        "if several did, in that of the company.",
    )
    agreement_id = fields.Many2one(
        "crm.billing.agreement",
        readonly=True,
        help="The one that changed; the first of them if there were several.",
    )

    # === ACTION METHODS === #

    def action_view_agreements(self):
        """Open the agreement that changed, or all that the account has."""
        self.ensure_one()
        if self.agreement_id:
            return self.agreement_id._get_records_action(context={})
        return self._get_agreement_action()

    # === QUERY === #

    @property
    def _table_query(self):
        """A change between currencies that nets to nothing is none.

        No event is before the first one of its day: compared so, PostgreSQL expects
        many rows and joins them as such.
        """
        rows = SQL(
            """
            SELECT event_id AS id, company_id, partner_id, day AS date, kind,
                   net AS amount, net * 12 AS arr,
                   CASE WHEN day_count = 1 THEN value - before ELSE net
                    END AS amount_currency,
                   CASE WHEN day_count = 1 THEN value ELSE day_worth
                    END AS mrr_currency,
                   CASE WHEN day_count = 1 THEN currency_id ELSE home_id
                    END AS currency_id,
                   agreement_id
              FROM (%(changes)s) change
             WHERE event_id <= day_event_id AND (net != 0 OR kind NOT IN %(inner)s)
         UNION ALL
            SELECT (ROW_NUMBER() OVER (
                        ORDER BY company_id, partner_id, day) * 4 + 3)::int,
                   company_id, partner_id, day, %(currency)s, amount, amount * 12,
                   0.0, value, currency_id, NULL
              FROM (%(revaluations)s) revaluation
            """,
            changes=self._select_changes(),
            inner=(EXPANSION, CONTRACTION),
            currency=CURRENCY,
            revaluations=self._select_revaluations(),
        )
        return self._join_owners(rows)
