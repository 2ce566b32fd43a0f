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
    mrr = fields.Monetary(
        string="MRR Then",
        currency_field="company_currency_id",
        readonly=True,
        aggregator=None,
        help="Of the account at the end of the day, at its rate.",
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
            return {
                "type": "ir.actions.act_window",
                "res_model": "crm.billing.agreement",
                "res_id": self.agreement_id.id,
                "views": [(False, "form")],
            }
        return self._get_agreement_action()

    # === QUERY === #

    @property
    def _table_query(self):
        rows = SQL(
            """
            WITH change AS (%(changes)s)
            %(movements)s
         UNION ALL
            %(revaluations)s
            """,
            changes=self._select_changes(with_rates=True),
            movements=self._select_movements(),
            revaluations=self._select_revaluations(),
        )
        return self._join_owners(rows)

    def _select_movements(self):
        """Return the net change of each account and day.

        A change between currencies that nets to nothing is none.
        """
        return SQL(
            """
            SELECT MIN(event_id)::int AS id, company_id, partner_id, day AS date, kind,
                   SUM(amount) AS amount, SUM(amount) * 12 AS arr,
                   CASE WHEN MIN(currency_id) = MAX(currency_id)
                        THEN SUM(value - before) ELSE SUM(amount)
                    END AS amount_currency,
                   CASE WHEN MIN(currency_id) = MAX(currency_id)
                        THEN MIN(currency_id) ELSE MIN(home_id)
                    END AS currency_id,
                   MIN(worth_after) AS mrr, MIN(agreement_id) AS agreement_id
              FROM change
             WHERE is_change
          GROUP BY company_id, partner_id, day, kind
            HAVING SUM(amount) != 0 OR kind NOT IN %(inner)s
            """,
            inner=(EXPANSION, CONTRACTION),
        )

    def _select_revaluations(self):
        """Return what rates did to each account and day, with ids of their own."""
        return SQL(
            """
            SELECT (ROW_NUMBER() OVER (
                        ORDER BY company_id, partner_id, day) * 4 + 3)::int,
                   company_id, partner_id, day, %(kind)s,
                   SUM(revaluation), SUM(revaluation) * 12, 0.0,
                   CASE WHEN MIN(currency_id) = MAX(currency_id)
                        THEN MIN(currency_id) ELSE MIN(home_id) END,
                   MIN(worth_after), NULL
              FROM change
          GROUP BY company_id, partner_id, day
            HAVING SUM(revaluation) != 0
            """,
            kind=CURRENCY,
        )
