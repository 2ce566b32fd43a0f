from datetime import timedelta

from odoo import api, models
from odoo.tools import SQL

from .crm_billing_leak_report import KIND_NUMBERS

# A deal that was won just now is on its way; what is blocked waits for a person.
QUEUE_PATIENCE = timedelta(hours=1)
PRICE_DAYS = 365  # of which the average price of a unit of usage is taken


class CrmBillingLeakReport(models.Model):
    """What counts as a leak: one SELECT a kind, nothing in two of them.

    Each gives the same columns; ``patience`` is the age in days from which on it is a
    leak, ``amount_company`` is given where the ledger has booked it.
    """

    _inherit = "crm.billing.leak.report"

    def _get_queries(self, now):
        """Return the SELECTs of all kinds; addons append theirs.

        :param now: instant, naive UTC
        """
        return [
            self._select_deals(now),
            self._select_drafted_agreements(),
            self._select_unbilled_agreements(now),
            self._select_milestones(),
            self._select_usage(now),
            self._select_moves(now),
        ]

    def _select_deals(self, now):
        """Won deals whose handoff is not done: blocked, waiting, or never queued.

        Worth what their quotations say and no invoice bills yet; without a quotation
        what the deal expects. Whoever bills it, none is left out: the company is that
        of deal, quotation, team, salesperson, or who made the deal.
        """
        return SQL(
            """
            SELECT lead.id AS source_id, %(number)s AS number, 'deal' AS kind,
                   lead.name AS subject,
                   COALESCE(handoff.billing_error, (
                       SELECT string_agg(DISTINCT gap->>'name', ', ')
                         FROM jsonb_array_elements(CASE
                              WHEN jsonb_typeof(handoff.missing) = 'array'
                              THEN handoff.missing ELSE '[]' END) gap
                        WHERE gap->>'level' = 'block')) AS reason,
                   place.company_id,
                   lead.partner_id,
                   lead.user_id, lead.team_id,
                   CASE WHEN handoff.missing @> '[{"who": "sales"}]'
                          OR handoff.id IS NULL THEN lead.user_id END AS owner_id,
                   COALESCE(sold.currency_id, home.currency_id) AS currency_id,
                   %(day)s AS since, %(day)s::text AS since_key,
                   -1 AS patience,
                   COALESCE(sold.amount, COALESCE(lead.expected_revenue, 0)
                                + COALESCE(lead.recurring_revenue, 0)
                            )::numeric AS amount_currency,
                   NULL::numeric AS amount_company,
                   sold.amount IS NULL AS is_estimated,
                   lead.id AS lead_id, handoff.id AS handoff_id,
                   NULL::int AS agreement_id, NULL::int AS milestone_id,
                   NULL::varchar AS meter_code, NULL::int AS move_id,
                   NULL::int AS event_count
              FROM crm_lead lead
         LEFT JOIN crm_billing_handoff handoff
                ON handoff.lead_id = lead.id AND handoff.state != 'cancelled'
         LEFT JOIN crm_team team ON team.id = lead.team_id
         LEFT JOIN res_users seller ON seller.id = lead.user_id
         LEFT JOIN res_users maker ON maker.id = lead.create_uid
         LEFT JOIN crm_billing_agreement agreement
                ON agreement.id = handoff.agreement_id
               AND agreement.state != 'cancelled'
        CROSS JOIN LATERAL (
                   SELECT COALESCE(
                       handoff.company_id, lead.company_id,
                       (SELECT MIN(quotation.company_id) FROM sale_order quotation
                         WHERE quotation.opportunity_id = lead.id
                           AND quotation.state != 'cancel'),
                       team.company_id, seller.company_id, maker.company_id,
                       (SELECT MIN(id) FROM res_company)) AS company_id
                   ) place
              JOIN res_company home ON home.id = place.company_id
         LEFT JOIN res_partner account ON account.id = lead.partner_id
         LEFT JOIN LATERAL (%(sold)s) sold ON TRUE
             WHERE lead.won_status = 'won' AND lead.active
               AND agreement.id IS NULL
               AND (handoff.state = 'blocked'
                    OR (handoff.state = 'pending'
                        AND COALESCE(lead.date_closed, lead.create_date) < %(since)s)
                    OR (handoff.id IS NULL
                        AND %(day)s >= COALESCE(home.billing_leak_since, '-infinity')
                        AND COALESCE(sold.amount, 1) > 0
                        AND NOT EXISTS (SELECT FROM account_move_crm_lead_rel billed
                                         WHERE billed.lead_id = lead.id)))
            """,
            number=KIND_NUMBERS["deal"],
            day=self._get_local_day(
                SQL("COALESCE(lead.date_closed, lead.create_date)")
            ),
            since=now - QUEUE_PATIENCE,
            sold=self._select_sold(),
        )

    @api.model
    def _get_local_day(self, instant):
        """Return the day of an instant where the ``account`` is, else ``home``."""
        return SQL(
            "(%s AT TIME ZONE 'UTC' AT TIME ZONE"
            " COALESCE(account.billing_tz, home.billing_tz, 'UTC'))::date",
            instant,
        )

    def _select_sold(self):
        """Return what the orders that a deal is billed from leave to invoice.

        The chosen one, else the confirmed ones, else the open ones, of which one will
        be chosen: the average. Orders in several currencies are told in the company's.
        """
        return SQL(
            """
            SELECT CASE WHEN count(DISTINCT picked.currency_id) = 1
                        THEN max(picked.currency_id) END AS currency_id,
                   CASE WHEN count(DISTINCT picked.currency_id) = 1
                        THEN sum(picked.amount)
                        ELSE sum(picked.amount
                                 / NULLIF(picked.currency_rate, 0)::numeric)
                   END / CASE WHEN bool_and(picked.is_open) THEN count(*) ELSE 1 END
                       AS amount
              FROM (SELECT sale.currency_id, sale.currency_rate,
                           sale.state != 'sale' AS is_open,
                           rank() OVER (ORDER BY sale.id = handoff.order_id DESC NULLS
                                        LAST, sale.state = 'sale' DESC) AS place,
                           sale.amount_untaxed - COALESCE((
                               SELECT sum(line.untaxed_amount_invoiced)
                                 FROM sale_order_line line
                                WHERE line.order_id = sale.id), 0) AS amount
                      FROM sale_order sale
                     WHERE sale.opportunity_id = lead.id AND sale.state != 'cancel'
                   ) picked
             WHERE picked.place = 1
            HAVING count(*) > 0
            """
        )

    def _select_drafted_agreements(self):
        """Agreements that nobody started although their first day has come."""
        return SQL(
            """
            SELECT agreement.id, %(number)s, 'start', agreement.name, NULL,
                   agreement.company_id, agreement.partner_id, agreement.user_id,
                   agreement.team_id, NULL::int, agreement.currency_id,
                   GREATEST(agreement.start_date, %(day)s) AS since,
                   GREATEST(agreement.start_date, %(day)s)::text,
                   0,
                   (SELECT sum(line.price_unit::numeric * line.quantity::numeric
                               * (1 - COALESCE(line.discount, 0)::numeric / 100))
                      FROM crm_billing_agreement_line line
                     WHERE line.agreement_id = agreement.id),
                   NULL::numeric, TRUE,
                   agreement.lead_id, NULL::int, agreement.id, NULL::int, NULL::varchar,
                   NULL::int, NULL::int
              FROM crm_billing_agreement agreement
              JOIN res_company home ON home.id = agreement.company_id
              JOIN res_partner account ON account.id = agreement.partner_id
             WHERE agreement.state = 'draft' AND agreement.active
            """,
            number=KIND_NUMBERS["start"],
            day=self._get_local_day(SQL("agreement.create_date")),
        )

    def _select_unbilled_agreements(self, now):
        """Running agreements whose billing date has passed, worth what is due."""
        amounts = self.env["crm.billing.agreement"]._get_unbilled_amounts(now)
        return SQL(
            """
            SELECT agreement.id, %(number)s, 'agreement', agreement.name,
                   agreement.billing_error, agreement.company_id,
                   agreement.partner_id, agreement.user_id, agreement.team_id,
                   NULL::int, agreement.currency_id, agreement.next_invoice_date,
                   agreement.next_invoice_date::text, 0, due.amount, NULL::numeric,
                   due.is_estimated, agreement.lead_id, NULL::int, agreement.id,
                   NULL::int, NULL::varchar, NULL::int, NULL::int
              FROM crm_billing_agreement agreement
              JOIN unnest(%(ids)s::int[], %(amounts)s::numeric[], %(flags)s::bool[])
                   AS due (id, amount, is_estimated) ON due.id = agreement.id
             WHERE due.amount > 0
            """,
            number=KIND_NUMBERS["agreement"],
            ids=list(amounts),
            amounts=[amount for amount, _is_estimated in amounts.values()],
            flags=[is_estimated for _amount, is_estimated in amounts.values()],
        )

    def _select_milestones(self):
        """Milestones that are done and on no invoice, handed over to an agreement."""
        return SQL(
            """
            SELECT milestone.id, %(number)s, 'milestone', milestone.name,
                   agreement.billing_error, milestone.company_id, milestone.partner_id,
                   milestone.seller_id, agreement.team_id, NULL::int,
                   milestone.currency_id, milestone.done_date,
                   milestone.done_date::text, 0, milestone.amount, NULL::numeric, FALSE,
                   COALESCE(milestone.lead_id, agreement.lead_id), NULL::int,
                   agreement.id, milestone.id, NULL::varchar, NULL::int, NULL::int
              FROM crm_billing_milestone milestone
              JOIN crm_billing_agreement agreement
                ON agreement.id = milestone.agreement_id
             WHERE milestone.state = 'done' AND milestone.active
               AND agreement.state != 'draft' AND milestone.amount > 0
            """,
            number=KIND_NUMBERS["milestone"],
        )

    def _select_usage(self, now):
        """Events without account, meter or line, or held as too late, by sender.

        Worth what a unit of the meter cost on average in the last year, else its list
        price; of a meter that nobody knows the amount is unknown.
        """
        return SQL(
            """
            SELECT usage.first_id, %(number)s, 'usage', usage.subject,
                   CASE WHEN usage.is_held THEN %(held)s
                        WHEN usage.meter_id IS NULL THEN %(no_meter)s
                        WHEN usage.partner_id IS NULL THEN %(no_account)s
                        ELSE %(no_line)s END,
                   usage.company_id, usage.partner_id,
                   account.user_id, NULL::int, NULL::int, home.currency_id,
                   usage.since, usage.last_id::text, 0,
                   ROUND(usage.value * COALESCE(price.unit_price,
                                                meter.unit_price::numeric), 2),
                   NULL::numeric, TRUE,
                   NULL::int, NULL::int, usage.agreement_id, NULL::int,
                   usage.meter_code, NULL::int, usage.event_count
              FROM (SELECT min(id) AS first_id, max(id) AS last_id, company_id,
                           meter_id, meter_code, partner_id, COALESCE(is_held, FALSE)
                               AND line_id IS NOT NULL AS is_held,
                           max(line_id) AS line_id, max(agreement_id) AS agreement_id,
                           concat_ws(': ', meter_code, account_ref) AS subject,
                           min(usage_date) AS since, sum(value::numeric) AS value,
                           count(*) AS event_count
                      FROM crm_billing_usage
                     WHERE is_void IS NOT TRUE
                       AND (line_id IS NULL
                            OR (line_id IS NOT NULL AND period_id IS NULL
                                AND is_held))
                  GROUP BY company_id, meter_id, meter_code, partner_id, account_ref,
                           COALESCE(is_held, FALSE) AND line_id IS NOT NULL) usage
              JOIN res_company home ON home.id = usage.company_id
         LEFT JOIN res_partner account ON account.id = usage.partner_id
         LEFT JOIN crm_billing_meter meter ON meter.id = usage.meter_id
         LEFT JOIN (%(prices)s) price ON price.meter_id = usage.meter_id
            """,
            number=KIND_NUMBERS["usage"],
            held=self.env._("Came later than the meter accepts"),
            no_meter=self.env._("No such meter"),
            no_account=self.env._("No such account"),
            no_line=self.env._("No agreement bills it on that day"),
            prices=self._select_prices(now),
        )

    def _select_prices(self, now):
        """Return the average price of a unit by meter, in the company's currency."""
        return SQL(
            """
            SELECT line.meter_id,
                   sum(period.amount * rate.rate)
                   / NULLIF(sum((period.explanation->'inputs'->>'quantity')::numeric),
                            0) AS unit_price
              FROM crm_billing_period period
              JOIN crm_billing_agreement_line line ON line.id = period.line_id
              JOIN (%(rates)s) rate ON rate.company_id = period.company_id
               AND rate.currency_id = period.currency_id
             WHERE period.kind = 'usage' AND period.date_to >= %(first)s
               AND line.meter_id IS NOT NULL
               AND period.explanation->'inputs'->>'quantity' ~ '^[0-9]+(\\.[0-9]+)?$'
          GROUP BY line.meter_id
            """,
            rates=self._select_rates(now.date()),
            first=now.date() - timedelta(days=PRICE_DAYS),
        )

    def _select_moves(self, now):
        """Invoices left as drafts, not sent, or returned; of posted the open part."""
        return SQL(
            """
            SELECT move.id, kind.number, kind.name,
                   COALESCE(NULLIF(move.name, '/'), %(draft)s),
                   move.dunning_undelivered, move.company_id,
                   move.commercial_partner_id, move.invoice_user_id, move.team_id,
                   NULL::int, move.currency_id,
                   kind.since, kind.since::text, kind.patience,
                   ROUND(move.amount_untaxed * kind.share, currency.decimal_places),
                   ROUND(move.amount_untaxed_signed * kind.share, main.decimal_places),
                   FALSE, NULL::int, NULL::int, NULL::int, NULL::int, NULL::varchar,
                   move.id, NULL::int
              FROM account_move move
              JOIN res_company home ON home.id = move.company_id
              JOIN res_currency main ON main.id = home.currency_id
              JOIN res_currency currency ON currency.id = move.currency_id
         LEFT JOIN res_partner account ON account.id = move.commercial_partner_id
        CROSS JOIN LATERAL (
                   SELECT 'draft' AS name, %(draft_number)s AS number,
                          GREATEST(move.invoice_date, %(day)s) AS since,
                          COALESCE(home.billing_leak_draft_days, 0) AS patience,
                          1::numeric AS share
                    WHERE move.state = 'draft'
                UNION ALL
                   SELECT CASE WHEN move.dunning_undelivered IS NULL THEN 'unsent'
                               ELSE 'bounced' END,
                          CASE WHEN move.dunning_undelivered IS NULL
                               THEN %(unsent_number)s ELSE %(bounced_number)s END,
                          move.invoice_date,
                          CASE WHEN move.dunning_undelivered IS NULL
                               THEN COALESCE(home.billing_leak_unsent_days, 0)
                               ELSE 0 END,
                          move.amount_residual / NULLIF(move.amount_total, 0)
                    WHERE move.state = 'posted') kind
             WHERE move.move_type = 'out_invoice'
               AND (move.state = 'draft'
                    OR (move.state = 'posted' AND move.is_move_sent IS NOT TRUE
                        AND move.payment_state IN ('not_paid', 'partial')
                        AND move.amount_residual > 0))
               AND NOT (move.state = 'draft' AND move.auto_post != 'no'
                        AND move.date > %(today)s)
            """,
            draft=self.env._("Draft"),
            draft_number=KIND_NUMBERS["draft"],
            day=self._get_local_day(SQL("move.create_date")),
            unsent_number=KIND_NUMBERS["unsent"],
            bounced_number=KIND_NUMBERS["bounced"],
            today=now.date(),
        )
