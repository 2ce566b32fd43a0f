from odoo import fields, models
from odoo.tools import SQL


class CrmBillingStatusReport(models.Model):
    """The SQL of the invoice status.

    What is read of matchings and instalments stands in subqueries of the columns, so
    that it costs nothing where its column is not asked for.
    """

    _inherit = "crm.billing.status.report"
    _depends = {
        "account.move": [
            "amount_residual_signed",
            "amount_total_in_currency_signed",
            "amount_total_signed",
            "commercial_partner_id",
            "company_id",
            "currency_id",
            "date",
            "invoice_date",
            "invoice_user_id",
            "is_move_sent",
            "move_type",
            "origin_payment_id",
            "payment_state",
            "state",
            "team_id",
            "transaction_ids",
        ],
        "account.move.line": [
            "account_id",
            "amount_residual",
            "balance",
            "billing_is_retention",
            "billing_release_id",
            "date",
            "date_maturity",
            "move_id",
        ],
        "account.partial.reconcile": ["amount", "credit_move_id", "debit_move_id"],
        "account.account": ["account_type"],
        "account.journal": ["type"],
        "account.payment": ["outstanding_account_id"],
        "crm.billing.retention.release": ["date"],
        "payment.transaction": ["state"],
        "res.company": ["currency_id"],
        "res.partner": ["service_tier_id", "user_id"],
    }

    @property
    def _table_query(self):
        today = fields.Date.context_today(self)
        return SQL(
            """
            SELECT move.id,
                   move.id AS move_id,
                   move.move_type,
                   %(status)s AS status,
                   move.company_id,
                   move.commercial_partner_id AS partner_id,
                   COALESCE(move.invoice_user_id, account.user_id) AS user_id,
                   account.user_id AS account_manager_id,
                   move.team_id,
                   account.service_tier_id,
                   move.currency_id,
                   company.currency_id AS company_currency_id,
                   move.date,
                   move.invoice_date,
                   %(oldest)s AS date_due,
                   GREATEST(%(today)s - %(oldest)s, 0) AS days_overdue,
                   COALESCE(move.is_move_sent, FALSE) AS is_sent,
                   move.amount_total_in_currency_signed AS amount_currency,
                   move.amount_total_signed AS amount_total,
                   CASE WHEN move.state = 'posted' THEN move.amount_total_signed
                        ELSE 0 END AS amount_billed,
                   CASE WHEN move.state = 'posted' THEN %(collected)s
                        ELSE 0 END AS amount_collected,
                   CASE WHEN move.state = 'posted' THEN %(credited)s
                        ELSE 0 END AS amount_credited,
                   CASE WHEN move.state = 'posted' THEN move.amount_residual_signed
                        ELSE 0 END AS amount_open,
                   CASE WHEN move.state = 'posted' THEN %(overdue)s
                        ELSE 0 END AS amount_overdue
              FROM account_move move
              JOIN res_company company ON company.id = move.company_id
         LEFT JOIN res_partner account ON account.id = move.commercial_partner_id
             WHERE move.move_type IN ('out_invoice', 'out_refund')
               AND move.state != 'cancel'
            """,
            status=self._get_status(today),
            today=today,
            oldest=self._select_open(SQL("MIN(instalment.date_due)")),
            overdue=self._select_open(
                SQL("COALESCE(SUM(instalment.amount), 0)"),
                SQL("instalment.date_due < %s", today),
            ),
            collected=self._select_matched(self._get_money_share()),
            credited=self._select_matched(
                SQL("(other.move_type IN ('out_invoice', 'out_refund'))::int")
            ),
        )

    def _get_status(self, today):
        """Return the status in SQL; the first that fits names the document."""
        return SQL(
            """
            CASE WHEN move.state = 'draft' THEN 'draft'
                 WHEN move.move_type = 'out_refund' THEN 'credit_note'
                 WHEN move.payment_state = 'reversed' THEN 'credited'
                 WHEN move.amount_residual_signed = 0 THEN 'paid'
                 WHEN %(last_charge)s = 'error' THEN 'failed'
                 WHEN %(overdue)s > 0 THEN 'overdue'
                 WHEN move.amount_residual_signed != move.amount_total_signed
                 THEN 'part'
                 WHEN move.is_move_sent THEN 'sent'
                 ELSE 'posted' END
            """,
            last_charge=SQL(
                """
                (SELECT charge.state
                   FROM account_invoice_transaction_rel link
                   JOIN payment_transaction charge ON charge.id = link.transaction_id
                  WHERE link.invoice_id = move.id
               ORDER BY charge.id DESC LIMIT 1)
                """
            ),
            overdue=self._select_open(
                SQL("COUNT(*)"), SQL("instalment.date_due < %s", today)
            ),
        )

    def _select_open(self, what, condition=None):
        """Return in SQL ``what`` of the open instalments of an invoice.

        Retention has no due date before it is released (billing rules, 8.2).
        """
        return SQL(
            """
            (SELECT %(what)s
               FROM (SELECT line.amount_residual AS amount,
                            CASE WHEN line.billing_is_retention IS NOT TRUE
                                 THEN COALESCE(line.date_maturity, line.date)
                             END AS date_due
                       FROM account_move_line line
                       JOIN account_account term ON term.id = line.account_id
                        AND term.account_type = 'asset_receivable'
                      WHERE line.move_id = move.id
                        AND line.amount_residual > 0
                        AND move.state = 'posted'
                        AND move.move_type = 'out_invoice') instalment
              WHERE %(condition)s)
            """,
            what=what,
            condition=condition or SQL("TRUE"),
        )

    def _select_matched(self, share):
        """Return in SQL what matchings took off the document, times ``share``.

        :param share: 0 to 1, of the other side's entry (``other``, item ``opposite``)
        """
        return SQL(
            """
            (SELECT COALESCE(SUM(part.amount * %(share)s
                        * CASE WHEN line.id = part.debit_move_id THEN 1 ELSE -1 END), 0)
               FROM account_move_line line
               JOIN account_account term ON term.id = line.account_id
                AND term.account_type = 'asset_receivable'
               JOIN account_partial_reconcile part
                 ON part.debit_move_id = line.id OR part.credit_move_id = line.id
               JOIN account_move_line opposite
                 ON opposite.id = CASE WHEN line.id = part.debit_move_id
                    THEN part.credit_move_id ELSE part.debit_move_id END
               JOIN account_move other ON other.id = opposite.move_id
               JOIN account_journal journal ON journal.id = other.journal_id
              WHERE line.move_id = move.id)
            """,
            share=share,
        )

    def _get_money_share(self):
        """Return in SQL how much of a matched entry is money: a payment's write-off is
        matched with it, but nobody paid it (billing rules, 8.6)."""
        return SQL(
            """
            CASE WHEN journal.type NOT IN ('bank', 'cash', 'credit') THEN 0
                 ELSE (SELECT COALESCE(LEAST(1, ABS(
                              SUM(one.balance) FILTER (WHERE term.account_type
                                  IN ('asset_cash', 'liability_credit_card')
                                  OR one.account_id = payment.outstanding_account_id))
                            / NULLIF(ABS(SUM(one.balance) FILTER (WHERE
                              term.account_type
                                  IN ('asset_receivable', 'liability_payable'))), 0)),
                            1)
                         FROM account_move_line one
                         JOIN account_account term ON term.id = one.account_id
                    LEFT JOIN account_payment payment
                           ON payment.id = other.origin_payment_id
                        WHERE one.move_id = other.id) END
            """
        )
