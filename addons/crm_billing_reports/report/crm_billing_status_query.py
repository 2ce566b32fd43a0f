from odoo import api, fields, models
from odoo.fields import Domain
from odoo.tools import SQL

BANKS = ("bank", "cash", "credit")  # types of journals that money goes through
# Columns that need the matchings or instalments of each document.
HEAVY = {
    "amount_collected",
    "amount_credited",
    "amount_overdue",
    "date_due",
    "days_overdue",
    "status",
}


class CrmBillingStatusReport(models.Model):
    """The SQL of the invoice status, in two shapes of one meaning.

    A page of rows looks up the matchings and instalments of each document. Totals of
    many, and a search that sorts or filters by such amounts, add up all of them once
    (context key ``billing_in_bulk``). Neither costs anything where no column that
    needs it is asked for.
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

    # === CRUD METHODS === #

    @api.model
    def _search(self, domain, offset=0, limit=None, order=None, **kwargs):
        """Override of `base` to add up at once what is sorted or filtered by."""
        used = {one.field_expr for one in Domain(domain).iter_conditions()}
        used.update((order or "").replace(",", " ").split())
        model = self.with_context(billing_in_bulk=True) if used & HEAVY else self
        return super(CrmBillingStatusReport, model)._search(
            domain, offset=offset, limit=limit, order=order, **kwargs
        )

    @api.model
    def _read_group(self, domain, *args, **kwargs):
        """Override of `base` to add up totals at once."""
        model = self.with_context(billing_in_bulk=True)
        return super(CrmBillingStatusReport, model)._read_group(domain, *args, **kwargs)

    @api.model
    def _read_grouping_sets(self, domain, *args, **kwargs):
        """Override of `base` to add up totals at once."""
        model = self.with_context(billing_in_bulk=True)
        return super(CrmBillingStatusReport, model)._read_grouping_sets(
            domain, *args, **kwargs
        )

    # === QUERY === #

    @property
    def _table_query(self):
        today = fields.Date.context_today(self)
        in_bulk = self.env.context.get("billing_in_bulk")
        joins = self._join_facts(today) if in_bulk else SQL()
        facts = self._get_joined_facts() if in_bulk else self._get_facts(today)
        return SQL(
            """
            SELECT move.id,
                   move.id AS move_id,
                   move.move_type,
                   %(status)s AS status,
                   move.company_id,
                   account.id AS partner_id,
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
                   %(collected)s AS amount_collected,
                   %(credited)s AS amount_credited,
                   CASE WHEN move.state = 'posted' THEN move.amount_residual_signed
                        ELSE 0 END AS amount_open,
                   %(overdue)s AS amount_overdue
              FROM account_move move
              JOIN res_company company ON company.id = move.company_id
         LEFT JOIN res_partner payer ON payer.id = move.commercial_partner_id
         LEFT JOIN res_partner account ON account.id = payer.commercial_partner_id
                   %(joins)s
             WHERE move.move_type IN ('out_invoice', 'out_refund')
               AND move.state != 'cancel'
            """,
            status=self._get_status(facts),
            today=today,
            joins=joins,
            **facts,
        )

    def _get_status(self, facts):
        """Return the status in SQL; the first that fits names the document.

        What a credit note took off is no payment: such an invoice stays as it was.
        """
        return SQL(
            """
            CASE WHEN move.state = 'draft' THEN 'draft'
                 WHEN move.move_type = 'out_refund' THEN 'credit_note'
                 WHEN move.payment_state = 'reversed' THEN 'credited'
                 WHEN move.amount_residual_signed = 0 THEN 'paid'
                 WHEN (SELECT charge.state
                         FROM account_invoice_transaction_rel link
                         JOIN payment_transaction charge
                           ON charge.id = link.transaction_id
                        WHERE link.invoice_id = move.id
                     ORDER BY charge.id DESC LIMIT 1) = 'error' THEN 'failed'
                 WHEN %(overdue)s > 0 THEN 'overdue'
                 WHEN move.amount_residual_signed != move.amount_total_signed
                  AND (%(credited)s = 0 OR %(collected)s != 0)
                 THEN 'part'
                 WHEN move.is_move_sent THEN 'sent'
                 ELSE 'posted' END
            """,
            overdue=facts["overdue"],
            collected=facts["collected"],
            credited=facts["credited"],
        )

    # === LOOKED UP FOR EACH DOCUMENT === #

    def _get_facts(self, today):
        """Return the facts as subqueries on ``move``."""
        open_of_move = self._select_open(today, SQL("line.move_id = move.id"))
        matched_of_move = self._select_matched(
            SQL("line.move_id = move.id"), SQL("one.move_id = other.id")
        )

        def look_up(name, source, default):
            return SQL(
                "COALESCE((SELECT %s FROM (%s) fact), %s)",
                SQL.identifier(name),
                source,
                default,
            )

        return {
            "oldest": look_up("oldest", open_of_move, None),
            "overdue": look_up("overdue", open_of_move, 0),
            "collected": look_up("collected", matched_of_move, 0),
            "credited": look_up("credited", matched_of_move, 0),
        }

    # === ADDED UP AT ONCE === #

    def _get_joined_facts(self):
        """Return the facts as columns of :meth:`_join_facts`."""
        return {
            "oldest": SQL("instalment.oldest"),
            "overdue": SQL("COALESCE(instalment.overdue, 0)"),
            "collected": SQL("COALESCE(matched.collected, 0)"),
            "credited": SQL("COALESCE(matched.credited, 0)"),
        }

    def _join_facts(self, today):
        return SQL(
            """
            LEFT JOIN (%s) instalment ON instalment.move_id = move.id
            LEFT JOIN (%s) matched ON matched.move_id = move.id
            """,
            self._select_open(today, SQL("TRUE")),
            self._select_matched(SQL("TRUE"), SQL("TRUE")),
        )

    # === FACTS === #

    def _select_open(self, today, condition):
        """Return what is open of invoices: the oldest due date and what is overdue.

        Retention has no due date before it is released (billing rules, 8.2).
        """
        return SQL(
            """
            SELECT line.move_id,
                   MIN(term.date_due) AS oldest,
                   SUM(line.amount_residual) FILTER (
                       WHERE term.date_due < %(today)s AND line.date <= %(today)s)
                       AS overdue
              FROM account_move_line line
              JOIN account_move invoice ON invoice.id = line.move_id
               AND invoice.move_type = 'out_invoice'
        CROSS JOIN LATERAL (
                   SELECT CASE WHEN line.billing_is_retention IS NOT TRUE
                               THEN COALESCE(line.date_maturity, line.date)
                           END AS date_due) term
             WHERE line.parent_state = 'posted'
               AND line.amount_residual > 0
               AND line.account_id = ANY(ARRAY(%(receivable)s))
               AND %(condition)s
          GROUP BY line.move_id
            """,
            today=today,
            receivable=self._select_accounts("asset_receivable"),
            condition=condition,
        )

    def _select_matched(self, condition, of_other):
        """Return what money and what credit notes took off each document.

        :param condition: which items ``line`` are looked at
        :param of_other: which items ``one`` may be of the entry on the other side
        """
        return SQL(
            """
            SELECT line.move_id,
                   SUM(part.amount * COALESCE(paid.share, 1))
                       FILTER (WHERE journal.type IN %(banks)s) AS collected,
                   SUM(part.amount)
                       FILTER (WHERE other.move_type IN ('out_invoice', 'out_refund'))
                       AS credited
              FROM account_move_line line
              JOIN account_move document ON document.id = line.move_id
               AND document.move_type IN ('out_invoice', 'out_refund')
              JOIN (SELECT debit_move_id AS line_id, credit_move_id AS opposite_id,
                           amount
                      FROM account_partial_reconcile
                 UNION ALL
                    SELECT credit_move_id, debit_move_id, -amount
                      FROM account_partial_reconcile) part ON part.line_id = line.id
              JOIN account_move_line opposite ON opposite.id = part.opposite_id
              JOIN account_move other ON other.id = opposite.move_id
              JOIN account_journal journal ON journal.id = other.journal_id
         LEFT JOIN LATERAL (%(shares)s) paid ON paid.move_id = other.id
             WHERE line.parent_state = 'posted'
               AND line.account_id = ANY(ARRAY(%(receivable)s))
               AND %(condition)s
          GROUP BY line.move_id
            """,
            banks=BANKS,
            shares=self._select_shares(of_other),
            receivable=self._select_accounts("asset_receivable"),
            condition=condition,
        )

    def _select_shares(self, condition):
        """Return how much of a matched entry is money, 0 to 1: a payment's write-off is
        matched with it, but nobody paid it (billing rules, 8.6)."""
        return SQL(
            """
            SELECT one.move_id,
                   LEAST(1, ABS(SUM(one.balance) FILTER (WHERE
                             one.account_id = ANY(ARRAY(%(money)s))
                             OR one.account_id = payment.outstanding_account_id))
                       / NULLIF(ABS(SUM(one.balance) FILTER (WHERE
                             one.account_id = ANY(ARRAY(%(owed)s)))), 0)) AS share
              FROM account_move_line one
              JOIN account_move entry ON entry.id = one.move_id
              JOIN account_journal bank ON bank.id = entry.journal_id
               AND bank.type IN %(banks)s
         LEFT JOIN account_payment payment ON payment.id = entry.origin_payment_id
             WHERE %(condition)s
          GROUP BY one.move_id
            """,
            money=self._select_accounts("asset_cash", "liability_credit_card"),
            owed=self._select_accounts("asset_receivable", "liability_payable"),
            banks=BANKS,
            condition=condition,
        )

    def _select_accounts(self, *types):
        return SQL("SELECT id FROM account_account WHERE account_type IN %s", types)
