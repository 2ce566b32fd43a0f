from odoo import api, models
from odoo.tools import SQL

from ..report_rules.aging import BUCKETS, NOT_DUE, RETENTION, UNAPPLIED


class CrmBillingAgingReport(models.Model):
    """The SQL of the aging: what is open now, with what was matched later put back.

    It starts from the open items, which an index of core finds, and from the matchings
    after the day, for which there is an index: never from the whole ledger.
    """

    _inherit = "crm.billing.aging.report"

    @property
    def _table_query(self):
        return self._select_aging(self._get_as_of())

    @api.model
    def _select_aging(self, as_of):
        """Return a row for each open instalment as of ``as_of``, in its column.

        :param as_of: date; entries and matchings count by their own dates
        """
        return SQL(
            "SELECT aged.*, %s FROM (%s) aged",
            self._select_columns(),
            self._select_items(as_of),
        )

    def _select_columns(self):
        """Return the columns of amounts, one for each bucket, and what is overdue."""
        columns = {
            "not_due": [NOT_DUE],
            "unapplied": [UNAPPLIED],
            "retention": [RETENTION],
            "overdue": [bucket.key for bucket in BUCKETS],
            **{f"bucket_{bucket.key}": [bucket.key] for bucket in BUCKETS},
        }
        return SQL(", ").join(
            SQL(
                "CASE WHEN aged.bucket = ANY(%s) THEN aged.total ELSE 0 END AS %s",
                keys,
                SQL.identifier(name),
            )
            for name, keys in columns.items()
        )

    def _select_items(self, as_of):
        """Return what is open of each item, whose it is, and how late it is.

        Joins of one row by key cost nothing where their columns are not asked for.
        """
        return SQL(
            """
            WITH later AS (%(later)s)
            SELECT item.id,
                   item.id AS line_id,
                   item.move_id,
                   item.account_id,
                   item.company_id,
                   payer.commercial_partner_id AS partner_id,
                   COALESCE(move.invoice_user_id, account.user_id) AS user_id,
                   move.team_id,
                   account.service_tier_id,
                   item.currency_id,
                   item.company_currency_id,
                   %(as_of)s::date AS as_of,
                   item.date,
                   due.date_due,
                   %(as_of)s::date - due.date_due AS days,
                   %(kind)s AS kind,
                   item.total,
                   item.amount_currency,
                   item.amount_original,
                   %(bucket)s AS bucket,
                   %(flags)s
              FROM (%(open)s) item
         LEFT JOIN account_move move ON move.id = item.move_id
         LEFT JOIN res_partner payer ON payer.id = item.partner_id
         LEFT JOIN res_partner account ON account.id = payer.commercial_partner_id
         LEFT JOIN crm_billing_retention_release release
                ON release.id = item.billing_release_id
     CROSS JOIN LATERAL (
                   SELECT item.billing_is_retention IS TRUE
                          OR COALESCE(release.date > %(as_of)s, FALSE) AS is_retained
                   ) held
     CROSS JOIN LATERAL (
                   SELECT CASE WHEN NOT held.is_retained
                               THEN COALESCE(item.date_maturity, item.date)
                           END AS date_due) due
             WHERE item.total != 0 OR item.amount_currency != 0
            """,
            later=self._select_later(as_of),
            as_of=as_of,
            kind=self._get_kind(),
            bucket=self._get_bucket(as_of),
            flags=self._select_flags(as_of),
            open=self._select_open(as_of),
        )

    def _select_later(self, as_of):
        """Return what was taken off each item after ``as_of``, to put it back."""
        return SQL(
            """
            SELECT line_id, SUM(amount) AS amount,
                   SUM(amount_currency) AS amount_currency
              FROM (SELECT debit_move_id AS line_id, amount,
                           debit_amount_currency AS amount_currency
                      FROM account_partial_reconcile WHERE max_date > %(as_of)s
                 UNION ALL
                    SELECT credit_move_id, -amount, -credit_amount_currency
                      FROM account_partial_reconcile WHERE max_date > %(as_of)s) part
          GROUP BY line_id
            """,
            as_of=as_of,
        )

    def _select_open(self, as_of):
        """Return the items that are open now, and those that were closed later."""
        columns = SQL(
            """
            line.id, line.move_id, line.account_id, line.company_id, line.partner_id,
            line.currency_id, line.company_currency_id, line.date, line.date_maturity,
            line.billing_is_retention, line.billing_release_id, line.no_followup,
            line.amount_currency AS amount_original
            """
        )
        return SQL(
            """
            SELECT %(columns)s,
                   line.amount_residual + COALESCE(later.amount, 0) AS total,
                   line.amount_residual_currency
                       + COALESCE(later.amount_currency, 0) AS amount_currency
              FROM account_move_line line
         LEFT JOIN later ON later.line_id = line.id
             WHERE line.reconciled IS NOT TRUE AND %(population)s
         UNION ALL
            SELECT %(columns)s, line.amount_residual + later.amount,
                   line.amount_residual_currency + later.amount_currency
              FROM later
              JOIN account_move_line line ON line.id = later.line_id
             WHERE line.reconciled IS TRUE AND %(population)s
            """,
            columns=columns,
            population=self._get_population(as_of),
        )

    @api.model
    def _get_population(self, as_of):
        """Return in SQL which journal items (``line``) count (billing rules, 8.1)."""
        return SQL(
            "line.parent_state = 'posted' AND line.date <= %s"
            " AND line.account_id = ANY(ARRAY("
            "SELECT id FROM account_account WHERE account_type = 'asset_receivable'))",
            as_of,
        )

    def _get_kind(self):
        return SQL(
            """
            CASE WHEN move.move_type IN ('out_invoice', 'out_receipt') THEN 'invoice'
                 WHEN move.move_type = 'out_refund' THEN 'credit_note'
                 WHEN move.origin_payment_id IS NOT NULL
                      OR move.statement_line_id IS NOT NULL THEN 'payment'
                 ELSE 'entry' END
            """
        )

    def _get_bucket(self, as_of):
        """Return the key of the column in SQL, as :func:`aging.get_column` does.

        Where rounding has left an amount in one of two currencies, that one decides.
        """
        ranges = [bucket.get_due_dates(as_of) for bucket in BUCKETS]
        late = SQL(" ").join(
            SQL("WHEN due.date_due >= %s THEN %s", first, bucket.key)
            for bucket, (first, _last) in zip(BUCKETS, ranges, strict=True)
            if first
        )
        return SQL(
            """
            CASE WHEN COALESCE(NULLIF(item.total, 0), item.amount_currency) < 0
                 THEN %(unapplied)s
                 WHEN held.is_retained THEN %(retention)s
                 WHEN due.date_due > %(last)s THEN %(not_due)s
                 %(late)s
                 ELSE %(oldest)s END
            """,
            unapplied=UNAPPLIED,
            retention=RETENTION,
            not_due=NOT_DUE,
            last=ranges[0][1],
            late=late,
            oldest=BUCKETS[-1].key,
        )

    def _select_flags(self, as_of):
        """Return what stands in the way of collecting it, as it is known now."""
        return SQL(
            """
            COALESCE(move.dunning_dispute_state = 'open', FALSE)
                OR EXISTS (SELECT FROM crm_dunning_case
                            WHERE move_id = item.move_id AND state = 'dispute')
                AS is_disputed,
            COALESCE((account.dunning_hold_until ->> item.company_id::text)::date
                     >= %(as_of)s, FALSE)
                OR EXISTS (SELECT FROM crm_dunning_case
                            WHERE move_id = item.move_id AND state = 'hold')
                AS is_held,
            COALESCE(item.no_followup, FALSE) OR COALESCE(account.billing_hold, FALSE)
                OR COALESCE(move.payment_state = 'blocked', FALSE) AS is_blocked,
            (SELECT id FROM crm_dunning_case
              WHERE move_id = item.move_id AND state != 'closed') AS case_id
            """,
            as_of=as_of,
        )
