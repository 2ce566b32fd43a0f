from odoo import models
from odoo.tools import SQL

from .crm_billing_status_query import BANKS

# Each part of the way from service to money: from which day to which one.
PARTS = {
    "to_post": ("service", "posted"),
    "to_send": ("posted", "sent"),
    "ours": ("service", "sent"),
    "terms": ("sent", "due"),
    "customer": ("due", "paid"),
    "processing": ("paid", "settled"),
    "whole": ("service", "settled"),
}
EPOCH = SQL("DATE '2000-01-01'")


class CrmBillingCollectionReport(models.Model):
    """The SQL of the lag: the matchings of invoices with money.

    What only some columns need (who posted and sent it when, its parts, the bank) is
    joined grouped by its key, so that it costs nothing where it is not asked for.
    """

    _inherit = "crm.billing.collection.report"
    _depends = {
        "account.partial.reconcile": [
            "amount",
            "credit_move_id",
            "debit_move_id",
            "max_date",
        ],
        "account.move": [
            "date",
            "invoice_date",
            "invoice_user_id",
            "origin_payment_id",
            "team_id",
        ],
        "account.move.line": [
            "account_id",
            "balance",
            "billing_is_retention",
            "company_id",
            "currency_id",
            "date",
            "date_maturity",
            "display_type",
            "journal_id",
            "move_id",
            "parent_state",
            "partner_id",
            "payment_id",
            "reconciled",
            "statement_line_id",
        ],
        "account.account": ["account_type"],
        "account.bank.statement.line": ["amount", "currency_id"],
        "account.journal": ["type"],
        "account.payment": [
            "amount_company_currency_signed",
            "move_id",
            "outstanding_account_id",
        ],
        "crm.billing.agreement.line": ["settling_days", "timing"],
        "crm.billing.due.change": ["date", "due_before", "line_id"],
        "crm.billing.event": ["action", "move_id"],
        "crm.billing.period": ["amount", "date_from", "date_to", "kind", "move_id"],
        "res.company": ["billing_tz"],
        "res.partner": ["billing_tz", "commercial_partner_id", "service_tier_id"],
    }

    @property
    def _table_query(self):
        days = self._get_days()
        return SQL(
            """
            SELECT paid.id, paid.date, paid.line_id, paid.move_id,
                   paid.payment_move_id, paid.company_id, paid.currency_id,
                   paid.company_currency_id,
                   payer.commercial_partner_id AS partner_id,
                   COALESCE(move.invoice_user_id, account.user_id) AS user_id,
                   move.team_id,
                   account.service_tier_id,
                   paid.amount,
                   paid.matched - paid.amount AS amount_written_off,
                   CASE WHEN paid.date_due IS NOT NULL THEN paid.amount END AS weight,
                   %(epoch)s + ROUND(%(service)s)::int AS date_service,
                   %(epoch)s + %(posted)s AS date_posted,
                   %(epoch)s + %(sent)s AS date_sent,
                   paid.date_due,
                   %(epoch)s + %(settled)s AS date_settled,
                   COALESCE(paid.date_bank, bank.date) IS NOT NULL AS is_settled,
                   paid.date - paid.date_due AS days,
                   CASE WHEN paid.date_due IS NOT NULL
                        THEN GREATEST(paid.date - paid.date_due, 0) END AS days_late,
                   paid.date - paid.date_due AS days_to_terms,
                   %(parts)s
              FROM (%(paid)s) paid
         LEFT JOIN res_partner payer ON payer.id = paid.partner_id
         LEFT JOIN res_partner account ON account.id = payer.commercial_partner_id
         LEFT JOIN res_company company ON company.id = paid.company_id
         LEFT JOIN account_move move ON move.id = paid.move_id
         LEFT JOIN (%(parts_billed)s) part ON part.move_id = paid.move_id
         LEFT JOIN (%(steps)s) step ON step.move_id = paid.move_id
         LEFT JOIN (%(bank)s) bank ON bank.move_id = paid.payment_move_id
            """,
            epoch=EPOCH,
            **{name: days[name] for name in ("service", "posted", "sent", "settled")},
            parts=SQL(", ").join(
                SQL(
                    "%s AS %s",
                    self._get_distance(days[first], days[last]),
                    SQL.identifier(f"days_{name}"),
                )
                for name, (first, last) in PARTS.items()
            ),
            paid=self._select_paid(),
            parts_billed=self._select_parts(),
            steps=self._select_steps(),
            bank=self._select_bank(),
        )

    def _get_ratio(self, name):
        """Override: the mean of a column of days, weighted by amount (8.6)."""
        return SQL(
            "CASE WHEN %(weight)s > 0 THEN SUM(%(weights)s * %(column)s) / %(weight)s"
            " END",
            weight=self._sum("weight"),
            weights=SQL.identifier(self._table, "weight"),
            column=SQL.identifier(self._table, name),
        )

    # === QUERY - DAYS === #

    def _get_days(self):
        """Return the days of the way in SQL, as numbers of days since ``EPOCH``: the
        mean of several billing dates may lie between two days."""

        def to_local(moment):
            return SQL(
                "(%s AT TIME ZONE 'UTC' AT TIME ZONE"
                " COALESCE(account.billing_tz, company.billing_tz, 'UTC'))::date",
                moment,
            )

        posted_at = to_local(SQL("step.posted_at"))
        sent_at = to_local(SQL("step.sent_at"))
        # Recorded after its money had come, it is history that was typed in later.
        is_history = SQL("%s > paid.date", posted_at)
        posted = SQL(
            "COALESCE(CASE WHEN NOT (%s) THEN %s END, move.invoice_date, move.date)",
            is_history,
            posted_at,
        )
        sent = SQL(
            "COALESCE(CASE WHEN (%s) IS NOT TRUE THEN %s END, %s)",
            is_history,
            sent_at,
            posted,
        )
        days = {
            "posted": posted,
            "sent": sent,
            "due": SQL("paid.date_due"),
            "paid": SQL("paid.date"),
            "settled": SQL("COALESCE(paid.date_bank, bank.date, paid.date)"),
        }
        return {
            "service": SQL("COALESCE(part.service, move.invoice_date - %s)", EPOCH),
            **{name: SQL("(%s - %s)", day, EPOCH) for name, day in days.items()},
        }

    @staticmethod
    def _get_distance(first, last):
        """Return the days between two days in SQL.

        What is retained has no due date, so that its days have no owner.
        """
        return SQL("CASE WHEN paid.date_due IS NOT NULL THEN %s - %s END", last, first)

    # === QUERY - ALLOCATIONS === #

    def _select_paid(self):
        """Return the matchings of an instalment with money, and how much is money.

        Items of this kind stand on invoices and credit notes only. An entry whose money
        is all that it was matched with has no write-off; only the others are looked at.
        """
        return SQL(
            """
            SELECT match.id,
                   match.max_date AS date,
                   match.amount AS matched,
                   CASE WHEN payment.amount_company_currency_signed = -credit.balance
                          OR (bank_line.amount = -credit.balance
                              AND bank_line.currency_id = credit.company_currency_id)
                        THEN match.amount
                        ELSE match.amount * COALESCE((%(share)s), 1)
                        END AS amount,
                   debit.id AS line_id,
                   debit.move_id,
                   debit.company_id,
                   debit.partner_id,
                   debit.currency_id,
                   debit.company_currency_id,
                   CASE WHEN debit.billing_is_retention IS NOT TRUE
                        THEN COALESCE(
                            CASE WHEN moved.line_id IS NOT NULL
                                 THEN (%(due)s) END,
                            debit.date_maturity, debit.date)
                        END AS date_due,
                   credit.move_id AS payment_move_id,
                   CASE WHEN credit.statement_line_id IS NOT NULL
                        THEN credit.date END AS date_bank
              FROM account_partial_reconcile match
              JOIN account_move_line debit ON debit.id = match.debit_move_id
              JOIN account_move_line credit ON credit.id = match.credit_move_id
         LEFT JOIN (SELECT DISTINCT line_id FROM crm_billing_due_change) moved
                ON moved.line_id = debit.id
         LEFT JOIN account_payment payment ON payment.id = credit.payment_id
         LEFT JOIN account_bank_statement_line bank_line
                ON bank_line.id = credit.statement_line_id
             WHERE debit.display_type = 'payment_term'
               AND debit.parent_state = 'posted'
               AND debit.account_id = ANY(ARRAY(
                   SELECT id FROM account_account
                    WHERE account_type = 'asset_receivable'))
               AND credit.parent_state = 'posted'
               AND credit.journal_id = ANY(ARRAY(
                   SELECT id FROM account_journal WHERE type IN %(banks)s))
            """,
            due=self.env["crm.billing.due.change"]._select_first(
                SQL("debit.id"), SQL("match.max_date")
            ),
            share=self._select_share(),
            banks=BANKS,
        )

    def _select_share(self):
        """Return how much of a matched entry is money, 0 to 1, as the invoice status
        does: a write-off is matched with the payment, but nobody paid it (8.6).

        A fee that a bank keeps of a payment stands in its entry just as a write-off
        does, and nothing in the ledger tells them apart: money is what was received.
        What a provider keeps is booked with its payout, an entry of its own, so that
        such payments are collected in full.
        """
        return SQL(
            """
            SELECT LEAST(1, ABS(SUM(one.balance) FILTER (WHERE
                          term.account_type IN ('asset_cash', 'liability_credit_card')
                          OR one.account_id = payment.outstanding_account_id))
                      / NULLIF(ABS(SUM(one.balance) FILTER (WHERE
                          term.account_type
                              IN ('asset_receivable', 'liability_payable'))), 0))
              FROM account_move_line one
              JOIN account_account term ON term.id = one.account_id
             WHERE one.move_id = credit.move_id
            """
        )

    # === QUERY - THE WAY TO MONEY === #

    def _select_parts(self):
        """Return the mean billing date of what each invoice debits (8.7).

        In advance a part is billed on its first day, in arrears on the day after its
        last one and the days that usage is given to arrive; milestones when done.
        """
        return SQL(
            """
            SELECT period.move_id,
                   SUM(period.amount * (
                       CASE WHEN line.timing = 'arrears'
                                 AND period.kind IN ('recurring', 'charge', 'usage',
                                                     'late_usage', 'minimum')
                            THEN period.date_to + COALESCE(line.settling_days, 0)
                            ELSE period.date_from END - %(epoch)s))
                       / SUM(period.amount) AS service
              FROM crm_billing_period period
              JOIN crm_billing_agreement_line line ON line.id = period.line_id
             WHERE period.move_id IS NOT NULL AND period.amount > 0
          GROUP BY period.move_id
            """,
            epoch=EPOCH,
        )

    def _select_steps(self):
        """Return when each invoice was first posted and first sent (UTC)."""
        return SQL(
            """
            SELECT move_id,
                   MIN(create_date) FILTER (WHERE action = 'posted') AS posted_at,
                   MIN(create_date) FILTER (WHERE action = 'sent') AS sent_at
              FROM crm_billing_event
             WHERE move_id IS NOT NULL AND action IN ('posted', 'sent')
          GROUP BY move_id
            """
        )

    def _select_bank(self):
        """Return when the bank had the money of each payment, as far as it is known.

        What a payment books on the bank itself is there at once; else it waits on its
        outstanding account for the bank's entry, or for the payout of the provider.
        """
        return SQL(
            """
            SELECT held.move_id,
                   MAX(CASE WHEN term.account_type = 'asset_cash' THEN held.date
                            ELSE match.max_date END) AS date
              FROM account_payment payment
              JOIN account_move_line held ON held.move_id = payment.move_id
               AND held.account_id = payment.outstanding_account_id
              JOIN account_account term ON term.id = held.account_id
         LEFT JOIN account_partial_reconcile match ON match.debit_move_id = held.id
             WHERE held.reconciled OR term.account_type = 'asset_cash'
          GROUP BY held.move_id
            """
        )
