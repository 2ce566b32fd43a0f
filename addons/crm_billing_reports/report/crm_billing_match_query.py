from odoo import models
from odoo.tools import SQL

# An id of the board is the id of what the row is about, times four, plus where it is
# from; one of a document that is only here also says which of the books miss it.
from ..models.crm_billing_system import MOST as BOOKS
from .crm_billing_report_currency import get_core_rate


class CrmBillingMatchReport(models.Model):
    """Rows of the board: what is there, what is only here, what is only a deal."""

    _inherit = "crm.billing.match.report"

    @property
    def _table_query(self):
        return SQL(
            """
            WITH books AS (%(books)s),
                 covered AS (%(covered)s),
                 side AS (%(there)s UNION ALL %(moves)s
                          UNION ALL %(payments)s UNION ALL %(deals)s),
                 judged AS (%(judged)s),
                 marked AS (
                     SELECT judged.*,
                            md5(ROW(reason, number_here, number_there, date_here,
                                    date_there, amount_here, amount_there,
                                    currency_id, currency_there_id, partner_id,
                                    account_there_id,
                                    CASE WHEN reason = 'payment'
                                         THEN open_here END,
                                    CASE WHEN reason = 'payment'
                                         THEN open_there END)::text) AS fingerprint
                       FROM judged)
            SELECT marked.*,
                   note.id AS note_id,
                   note.id IS NOT NULL AS is_explained,
                   marked.reason <> 'ok' AND note.id IS NULL AS is_open
              FROM marked
         LEFT JOIN crm_billing_match_note note
                ON note.row_id = marked.id
               AND note.fingerprint = marked.fingerprint
               AND note.revoked_at IS NULL
            """,
            books=self._select_books(),
            covered=self._select_covered(),
            there=self._select_there(),
            moves=self._select_moves(),
            payments=self._select_payments(),
            deals=self._select_deals(),
            judged=self._select_judged(),
        )

    def _select_books(self):
        """Return the books that are compared, numbered within their company."""
        return SQL(
            """
            SELECT * FROM (
                SELECT system.id, system.company_id, system.start_date,
                       system.closed_until, system.with_payments, system.active,
                       ROW_NUMBER() OVER (PARTITION BY system.company_id
                                          ORDER BY system.id) - 1 AS place,
                       ROW_NUMBER() OVER (PARTITION BY system.company_id, system.active
                                          ORDER BY system.id) = 1 AS is_first,
                       company.currency_id AS company_currency_id,
                       SPLIT_PART(company.parent_path, '/', 1)::int AS root_id,
                       GREATEST(company.fiscalyear_lock_date, company.sale_lock_date,
                                company.hard_lock_date) AS closed_here
                  FROM crm_billing_system system
                  JOIN res_company company ON company.id = system.company_id
            ) numbered
             WHERE active
            """
        )

    def _select_covered(self):
        """Return which company keeps the books of which, branches in those above."""
        homes = self.env["crm.billing.system"]._get_homes()
        return SQL(
            "SELECT * FROM unnest(%s::int[], %s::int[]) AS home (company_id, home_id)",
            list(homes),
            list(homes.values()),
        )

    def _select_there(self):
        """What lists of the other books have, with its counterpart here."""
        return SQL(
            """
            SELECT document.id * 4 AS id, books.id AS system_id, document.kind,
                   document.id AS document_id, move.id AS move_id,
                   payment.id AS payment_id,
                   NULL::integer AS handoff_id, NULL::integer AS lead_id,
                   CASE WHEN document.kind = 'payment'
                        THEN payment.id IS NOT NULL
                         AND payment.state IN ('in_process', 'paid')
                          OR bank_move.state = 'posted'
                        ELSE move.state = 'posted' END AS is_here,
                   document.is_gone IS NOT TRUE
                   AND COALESCE(document.status, '') NOT IN ('void', 'draft')
                       AS is_there,
                   COALESCE(move.name, payment.name, bank_move.name) AS number_here,
                   COALESCE(move.invoice_date, payment.date, bank_move.date)
                       AS date_here,
                   COALESCE(move.amount_total, payment.amount, bank.amount)
                       AS amount_here,
                   move.amount_residual AS open_here,
                   COALESCE(move.currency_id, payment.currency_id,
                            bank_move.currency_id) AS currency_here_id,
                   COALESCE(account.commercial_partner_id, payer.commercial_partner_id,
                            bank_payer.commercial_partner_id) AS account_here_id,
                   move.invoice_user_id, move.team_id,
                   ABS(move.amount_total_signed) / NULLIF(move.amount_total, 0) AS rate,
                   document.number AS number_there, document.date AS date_there,
                   document.amount AS amount_there,
                   CASE WHEN document.has_open THEN document.amount_open END
                       AS open_there,
                   document.currency_id AS currency_there_id,
                   mapped.commercial_partner_id AS account_there_id,
                   document.customer_name AS customer_there,
                   EXISTS (SELECT FROM account_move clash
                            WHERE document.move_id IS NULL
                              AND document.kind <> 'payment'
                              AND clash.company_id IN (
                                  SELECT covered.company_id FROM covered
                                   WHERE covered.home_id = books.company_id)
                              AND clash.name = document.number
                              AND clash.name <> '/'
                              AND clash.state = 'posted') AS is_clash,
                   COALESCE(document.is_balance, FALSE) AS is_balance
              FROM crm_billing_outside_document document
              JOIN books ON books.id = document.system_id
         LEFT JOIN account_move move ON move.id = document.move_id
         LEFT JOIN res_partner account ON account.id = move.commercial_partner_id
         LEFT JOIN account_payment payment ON payment.id = document.payment_id
         LEFT JOIN res_partner payer ON payer.id = payment.partner_id
         LEFT JOIN account_bank_statement_line bank
                ON bank.id = document.statement_line_id
         LEFT JOIN account_move bank_move ON bank_move.id = bank.move_id
         LEFT JOIN res_partner bank_payer ON bank_payer.id = bank.partner_id
         LEFT JOIN res_partner mapped ON mapped.id = document.partner_id
             WHERE document.date >= books.start_date OR move.id IS NOT NULL
            """
        )

    def _select_moves(self):
        """Posted invoices and credit notes that no list has."""
        return SQL(
            """
            SELECT (move.id * %(books)s + books.place) * 4 + 1, books.id,
                   CASE move.move_type WHEN 'out_refund' THEN 'credit'
                                       ELSE 'invoice' END,
                   NULL, move.id, NULL, NULL, NULL, TRUE, FALSE,
                   move.name, move.invoice_date, move.amount_total,
                   move.amount_residual, move.currency_id,
                   account.commercial_partner_id,
                   move.invoice_user_id, move.team_id,
                   ABS(move.amount_total_signed) / NULLIF(move.amount_total, 0),
                   NULL, NULL::date, NULL::numeric, NULL::numeric, NULL, NULL, NULL,
                   EXISTS (SELECT FROM crm_billing_outside_document other
                            WHERE other.system_id = books.id
                              AND other.number = move.name
                              AND other.kind <> 'payment'
                              AND other.is_gone IS NOT TRUE),
                   FALSE
              FROM account_move move
              JOIN covered ON covered.company_id = move.company_id
              JOIN books ON books.company_id = covered.home_id
         LEFT JOIN res_partner account ON account.id = move.commercial_partner_id
             WHERE move.move_type IN ('out_invoice', 'out_refund')
               AND move.state = 'posted'
               AND move.invoice_date >= books.start_date
               AND NOT EXISTS (
                   SELECT FROM crm_billing_outside_document document
                    WHERE document.system_id = books.id
                      AND document.move_id = move.id)
            """,
            books=BOOKS,
        )

    def _select_payments(self):
        """Payments of customers that no list has, where payments are handed out."""
        return SQL(
            """
            SELECT (payment.id * %(books)s + books.place) * 4 + 2, books.id, 'payment',
                   NULL, NULL, payment.id, NULL, NULL, TRUE, FALSE,
                   payment.name, payment.date, payment.amount, NULL,
                   payment.currency_id, payer.commercial_partner_id,
                   NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
                   FALSE, FALSE
              FROM account_payment payment
              JOIN covered ON covered.company_id = payment.company_id
              JOIN books ON books.company_id = covered.home_id
              JOIN res_partner payer ON payer.id = payment.partner_id
             WHERE books.with_payments
               AND payment.partner_type = 'customer'
               AND payment.payment_type = 'inbound'
               AND payment.state IN ('in_process', 'paid')
               AND payment.date >= books.start_date
               AND NOT EXISTS (
                   SELECT FROM crm_billing_outside_document document
                    WHERE document.system_id = books.id
                      AND document.payment_id = payment.id)
            """,
            books=BOOKS,
        )

    def _select_deals(self):
        """Deals that are won and have no document yet, once: beside the first books."""
        return SQL(
            """
            SELECT handoff.id * 4 + 3, books.id, 'deal',
                   NULL, NULL, NULL, handoff.id, handoff.lead_id, FALSE, FALSE,
                   NULL, won.day, NULL, NULL, books.company_currency_id,
                   account.commercial_partner_id, lead.user_id, lead.team_id,
                   NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, FALSE, FALSE
              FROM crm_billing_handoff handoff
              JOIN crm_lead lead ON lead.id = handoff.lead_id
              JOIN covered ON covered.company_id = handoff.company_id
              JOIN books ON books.company_id = covered.home_id AND books.is_first
              JOIN res_company home ON home.id = handoff.company_id
         LEFT JOIN res_partner account ON account.id = handoff.account_id
        CROSS JOIN LATERAL (
                   SELECT (COALESCE(lead.date_closed, handoff.create_date)
                           AT TIME ZONE 'UTC' AT TIME ZONE COALESCE(
                               account.billing_tz, home.billing_tz, 'UTC'))::date AS day
                   ) won
             WHERE handoff.state IN ('pending', 'blocked')
               AND won.day >= books.start_date
            """
        )

    def _select_judged(self):
        """Return each row with the first reason that applies, and its amounts.

        A payment or an unknown document in another currency takes the rate of its day.
        """
        return SQL(
            """
            SELECT side.id, side.system_id, side.kind, side.document_id, side.move_id,
                   side.payment_id, side.handoff_id,
                   COALESCE(side.lead_id, deal.lead_id) AS lead_id,
                   lead.billing_state AS deal_state,
                   books.company_id, books.company_currency_id,
                   COALESCE(side.account_here_id, side.account_there_id) AS partner_id,
                   COALESCE(side.invoice_user_id, account.user_id) AS user_id,
                   side.team_id, account.service_tier_id,
                   COALESCE(side.currency_here_id, side.currency_there_id)
                       AS currency_id,
                   side.currency_there_id, side.account_there_id, side.customer_there,
                   COALESCE(side.number_here, side.number_there, lead.name) AS number,
                   side.number_here,
                   CASE WHEN side.is_there THEN side.number_there END AS number_there,
                   COALESCE(side.date_here, side.date_there) AS date,
                   side.date_here, side.date_there,
                   sign.value * side.amount_here AS amount_here,
                   sign.value * side.amount_there AS amount_there,
                   sign.value * side.open_here AS open_here,
                   sign.value * side.open_there AS open_there,
                   money.balance_here, money.balance_there,
                   money.balance_there - money.balance_here AS difference,
                   %(reason)s AS reason
              FROM side
              JOIN books ON books.id = side.system_id
         LEFT JOIN LATERAL (
                   SELECT MIN(link.lead_id) AS lead_id
                     FROM account_move_crm_lead_rel link
                    WHERE link.move_id = side.move_id) deal ON TRUE
         LEFT JOIN crm_lead lead ON lead.id = COALESCE(side.lead_id, deal.lead_id)
         LEFT JOIN res_partner account
                ON account.id = COALESCE(side.account_here_id, side.account_there_id)
         LEFT JOIN res_currency currency ON currency.id = side.currency_there_id
         LEFT JOIN res_currency home ON home.id = books.company_currency_id
        CROSS JOIN LATERAL (
                   SELECT CASE WHEN side.kind IN ('credit', 'payment')
                               THEN -1 ELSE 1 END AS value) sign
        CROSS JOIN LATERAL (
                   SELECT ROUND((
                              CASE WHEN side.is_here THEN sign.value
                                   * side.amount_here * (%(rate_here)s) ELSE 0 END
                          )::numeric, home.decimal_places) AS balance_here,
                          ROUND((
                              CASE WHEN side.is_there THEN sign.value
                                   * side.amount_there * (%(rate_there)s) ELSE 0 END
                          )::numeric, home.decimal_places) AS balance_there
                   ) money
             WHERE side.is_here OR side.is_there OR side.kind = 'deal'
            """,
            reason=self._get_reason(),
            rate_here=self._get_rate(
                SQL("side.currency_here_id"), SQL("side.date_here")
            ),
            rate_there=self._get_rate(
                SQL("side.currency_there_id"), SQL("side.date_there")
            ),
        )

    def _get_rate(self, currency, day):
        """Return the SQL of a rate to the company's currency: of invoice or day."""
        root = SQL("books.root_id")
        return SQL(
            """
            CASE WHEN %(currency)s = books.company_currency_id THEN 1
                 WHEN %(currency)s = side.currency_here_id AND side.rate IS NOT NULL
                 THEN side.rate
                 ELSE %(home)s / %(foreign)s END
            """,
            currency=currency,
            home=get_core_rate(SQL("books.company_currency_id"), root, day),
            foreign=get_core_rate(currency, root, day),
        )

    def _get_reason(self):
        return SQL(
            """
            CASE
                WHEN side.kind = 'deal' THEN 'missing_here'
                WHEN side.is_balance THEN 'ok'
                WHEN NOT side.is_there THEN
                    CASE WHEN side.is_clash THEN 'number'
                         WHEN side.date_here <= books.closed_until
                         THEN 'closed_period'
                         ELSE 'missing_there' END
                WHEN side.is_here IS NOT TRUE THEN
                    CASE WHEN side.is_clash THEN 'number'
                         WHEN side.date_there <= books.closed_here
                         THEN 'closed_period'
                         ELSE 'missing_here' END
                WHEN side.currency_here_id <> side.currency_there_id THEN 'currency'
                WHEN ROUND(side.amount_here::numeric, currency.decimal_places)
                     <> ROUND(side.amount_there::numeric, currency.decimal_places)
                THEN 'amount'
                WHEN side.account_here_id IS DISTINCT FROM side.account_there_id
                THEN 'customer'
                WHEN side.kind <> 'payment' AND side.number_here <> side.number_there
                THEN 'number'
                WHEN side.date_here <> side.date_there THEN 'date'
                WHEN ROUND(side.open_here::numeric, currency.decimal_places)
                     <> ROUND(side.open_there::numeric, currency.decimal_places)
                THEN 'payment'
                ELSE 'ok'
            END
            """
        )
