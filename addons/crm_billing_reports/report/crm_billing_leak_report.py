from decimal import Decimal

from odoo import api, fields, models
from odoo.fields import Domain
from odoo.tools import SQL

from ..models.crm_billing_leak_waiver import KINDS

BILLER = "crm_billing_handoff.group_billing_user"
SELLER = "sales_team.group_sale_salesman"
# Ids of different tables in one column: a row is ``source id * 8 + its number``.
KIND_NUMBERS = {kind: number for number, (kind, _label) in enumerate(KINDS)}


class CrmBillingLeakReport(models.Model):
    """What was earned and is not on its way to the customer: one row a leak (M5).

    Read live, so that what is fixed is gone. Amounts are before tax; ``amount`` is in
    the company's currency, of documents as booked, of all else at today's rate. The
    sum of ``amount`` is the revenue at risk: what a manager has waived is beside it.
    What is counted as a leak is in `crm_billing_leak_query.py`, the one-click fixes are
    in `crm_billing_leak_fix.py`.
    """

    _name = "crm.billing.leak.report"
    _description = "Revenue at Risk"
    _inherit = ["crm.billing.report.mixin"]
    _auto = False
    _order = "amount desc, since, id"
    _rec_name = "subject"
    _depends = {
        "crm.lead": ["won_status", "date_closed", "partner_id", "user_id", "team_id"],
        "crm.billing.handoff": ["state", "lead_id", "order_id", "agreement_id"],
        "sale.order": ["state", "amount_untaxed", "opportunity_id", "currency_id"],
        "sale.order.line": ["untaxed_amount_invoiced", "order_id"],
        "crm.billing.agreement": ["state", "start_date", "next_invoice_date", "active"],
        "crm.billing.agreement.line": ["price_unit", "quantity", "discount"],
        "crm.billing.period": ["amount", "kind", "line_id", "explanation"],
        "crm.billing.milestone": ["state", "amount", "done_date", "line_id", "active"],
        "crm.billing.usage": [
            "meter_id",
            "meter_code",
            "partner_id",
            "line_id",
            "is_void",
            "is_held",
            "value",
            "usage_date",
        ],
        "account.move": [
            "state",
            "move_type",
            "payment_state",
            "amount_untaxed",
            "amount_untaxed_signed",
            "amount_residual",
            "amount_total",
            "is_move_sent",
            "dunning_undelivered",
            "invoice_date",
            "auto_post",
        ],
        "crm.billing.leak.waiver": ["kind", "res_id", "since_key", "revoked_at"],
        "res.partner": ["commercial_partner_id", "billing_tz", "service_tier_id"],
        "res.company": [
            "billing_tz",
            "billing_responsible_id",
            "billing_leak_since",
            "billing_leak_draft_days",
            "billing_leak_unsent_days",
        ],
        "res.currency.rate": ["rate", "name"],
    }

    kind = fields.Selection(KINDS, string="Leak", readonly=True)
    subject = fields.Char(string="What", readonly=True)
    reason = fields.Char(string="Why", readonly=True, help="Why it did not go on.")
    res_id = fields.Integer(readonly=True, aggregator=None)
    since = fields.Date(readonly=True, help="Local day of the account.")
    since_key = fields.Char(readonly=True)
    age = fields.Integer(string="Days", readonly=True, aggregator="max")
    owner_id = fields.Many2one("res.users", readonly=True, help="Whose turn it is.")
    lead_id = fields.Many2one("crm.lead", string="Opportunity", readonly=True)
    handoff_id = fields.Many2one("crm.billing.handoff", readonly=True)
    agreement_id = fields.Many2one("crm.billing.agreement", readonly=True)
    milestone_id = fields.Many2one("crm.billing.milestone", readonly=True)
    meter_code = fields.Char(string="Meter", readonly=True)
    move_id = fields.Many2one("account.move", string="Invoice", readonly=True)
    event_count = fields.Integer(string="Events", readonly=True)
    amount_currency = fields.Monetary(
        string="In Document Currency",
        readonly=True,
        aggregator=None,
        help="Before tax; of a posted invoice the part that is open.",
    )
    amount = fields.Monetary(
        string="At Risk",
        currency_field="company_currency_id",
        readonly=True,
        help="Company currency, before tax: documents as booked, all else at today's "
        "rate. Without what is waived.",
    )
    amount_waived = fields.Monetary(
        string="Waived", currency_field="company_currency_id", readonly=True
    )
    is_estimated = fields.Boolean(
        string="Estimate",
        readonly=True,
        help="Nothing says the amount exactly: what the deal or the agreement expects, "
        "or what a unit of the meter cost on average in the last year.",
    )
    is_waived = fields.Boolean(readonly=True)
    waiver_id = fields.Many2one("crm.billing.leak.waiver", readonly=True)
    next_step = fields.Char(compute="_compute_next_step")
    can_fix = fields.Boolean(compute="_compute_next_step")

    # === COMPUTE METHODS === #

    @api.depends("kind")
    @api.depends_context("lang", "uid")
    def _compute_next_step(self):
        """Tell the step, and whether the reader may do it: Sales hands deals off."""
        steps = self._get_fix_labels()
        is_biller = self.env.user.has_group(BILLER)
        is_seller = is_biller or self.env.user.has_group(SELLER)
        for leak in self:
            leak.next_step = steps[leak.kind]
            leak.can_fix = is_seller if leak.kind == "deal" else is_biller

    # === QUERY === #

    @property
    def _table_query(self):
        """Return all leaks of all companies; the record rules narrow them."""
        now = fields.Datetime.now()
        return SQL(
            """
            SELECT leak.source_id * 8 + leak.number AS id,
                   leak.kind, leak.source_id AS res_id, leak.subject, leak.reason,
                   leak.company_id, leak.account_id AS partner_id,
                   leak.user_id, leak.team_id,
                   account.service_tier_id, leak.currency_id,
                   company.currency_id AS company_currency_id,
                   leak.since, leak.since_key,
                   GREATEST(leak.today - leak.since, 0) AS age,
                   COALESCE(leak.owner_id, company.billing_responsible_id) AS owner_id,
                   leak.lead_id, leak.handoff_id, leak.agreement_id, leak.milestone_id,
                   leak.meter_code, leak.move_id, leak.event_count,
                   leak.amount_currency, leak.is_estimated,
                   money.amount - money.waived AS amount,
                   money.waived AS amount_waived,
                   waiver.id AS waiver_id,
                   (waiver.id IS NOT NULL
                    AND COALESCE(money.amount <= money.waived, TRUE)) AS is_waived
              FROM (%(leaks)s) leak
              JOIN res_company company ON company.id = leak.company_id
              JOIN res_currency main ON main.id = company.currency_id
         LEFT JOIN res_partner account ON account.id = leak.account_id
         LEFT JOIN (%(rates)s) rate
                ON rate.company_id = leak.company_id
               AND rate.currency_id = leak.currency_id
         LEFT JOIN crm_billing_leak_waiver waiver
                ON waiver.kind = leak.kind AND waiver.res_id = leak.source_id
               AND waiver.since_key = leak.since_key AND waiver.revoked_at IS NULL
        CROSS JOIN LATERAL (
                   SELECT COALESCE(leak.amount_company,
                                   ROUND(leak.amount_currency * rate.rate,
                                         main.decimal_places)) AS booked) whole
        CROSS JOIN LATERAL (
                   SELECT whole.booked AS amount,
                          CASE WHEN waiver.id IS NULL THEN 0
                               WHEN waiver.amount >= leak.amount_currency
                               THEN whole.booked
                               ELSE ROUND(whole.booked * waiver.amount
                                          / NULLIF(leak.amount_currency, 0),
                                          main.decimal_places)
                          END AS waived) money
             WHERE leak.today - leak.since >= leak.patience
            """,
            leaks=self._select_leaks(now),
            rates=self._select_rates(now.date()),
        )

    def _select_leaks(self, now):
        """Return the leaks of all kinds with the local ``today`` of each account."""
        union = SQL(" UNION ALL ").join(
            SQL("(%s)", query) for query in self._get_queries(now)
        )
        return SQL(
            """
            SELECT found.*, account.id AS account_id,
                   (%(now)s::timestamp AT TIME ZONE 'UTC' AT TIME ZONE COALESCE(
                       account.billing_tz, owner.billing_tz, 'UTC'))::date AS today
              FROM (%(union)s) found
              JOIN res_company owner ON owner.id = found.company_id
         LEFT JOIN res_partner payer ON payer.id = found.partner_id
         LEFT JOIN res_partner account ON account.id = payer.commercial_partner_id
            """,
            now=now,
            union=union,
        )

    def _select_rates(self, today):
        """Return what one unit of a currency is worth to each company today."""
        currencies = self.env["res.currency"].with_context(active_test=False)
        currencies = currencies.search(Domain.TRUE)
        companies = self.env["res.company"].sudo().search(Domain.TRUE)
        rows = [
            (
                company.id,
                currency_id,
                Decimal(str(rates[company.currency_id.id] / rate)),
            )
            for company in companies
            for rates in [currencies._get_rates(company, today)]
            for currency_id, rate in rates.items()
            if rate
        ]
        return SQL(
            """
            SELECT * FROM unnest(%s::int[], %s::int[], %s::numeric[])
                  AS known (company_id, currency_id, rate)
            """,
            *map(list, zip(*rows, strict=True)),
        )
