from odoo import api, models
from odoo.tools import SQL

from ..report_rules.aging import BUCKETS, COLUMNS, NOT_DUE, RETENTION, UNAPPLIED

AMOUNTS = {
    "not_due": NOT_DUE,
    "unapplied": UNAPPLIED,
    "retention": RETENTION,
    **{f"bucket_{bucket.key}": bucket.key for bucket in BUCKETS},
}


def get_place(key):
    """Return the number of a column, from 1: compared faster than its key."""
    return COLUMNS.index(key) + 1


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

        Joins of one row by key cost nothing where their columns are not asked for.

        :param as_of: date; entries and matchings count by their own dates
        """
        return SQL(
            """
            SELECT item.id, item.id AS line_id, item.move_id, item.account_id,
                   item.company_id, item.currency_id, item.company_currency_id,
                   %(as_of)s::date AS as_of, item.date, item.date_due,
                   %(as_of)s::date - item.date_due AS days,
                   item.total, item.amount_currency, item.amount_original,
                   payer.commercial_partner_id AS partner_id,
                   COALESCE(move.invoice_user_id, account.user_id) AS user_id,
                   move.team_id,
                   account.service_tier_id,
                   %(kind)s AS kind,
                   (%(keys)s::varchar[])[item.place] AS bucket,
                   %(columns)s,
                   %(flags)s
              FROM (%(items)s) item
         LEFT JOIN account_move move ON move.id = item.move_id
         LEFT JOIN res_partner payer ON payer.id = item.partner_id
         LEFT JOIN res_partner account ON account.id = payer.commercial_partner_id
            """,
            as_of=as_of,
            kind=self._get_kind(),
            keys=list(COLUMNS),
            columns=self._select_columns(),
            flags=self._select_flags(as_of),
            items=self._select_items(as_of),
        )

    def _select_columns(self):
        """Return the columns of amounts, one for each bucket, and what is overdue."""
        places = {name: [get_place(key)] for name, key in AMOUNTS.items()}
        places["overdue"] = [get_place(bucket.key) for bucket in BUCKETS]
        return SQL(", ").join(
            SQL(
                "CASE WHEN item.place BETWEEN %s AND %s THEN item.total ELSE 0 END"
                " AS %s",
                min(place),
                max(place),
                SQL.identifier(name),
            )
            for name, place in places.items()
        )

    def _select_items(self, as_of):
        """Return what is open of each item, and in which of ``COLUMNS`` it stands."""
        return SQL(
            """
            WITH later AS (%(later)s)
            SELECT open.*, due.date_due, %(place)s AS place
              FROM (%(open)s) open
         LEFT JOIN crm_billing_retention_release release
                ON release.id = open.billing_release_id
         LEFT JOIN (%(moved)s) moved ON moved.line_id = open.id
     CROSS JOIN LATERAL (
                   SELECT open.billing_is_retention IS TRUE
                          OR COALESCE(release.date > %(as_of)s, FALSE) AS is_retained
                   ) held
     CROSS JOIN LATERAL (
                   SELECT CASE WHEN NOT held.is_retained
                               THEN COALESCE(
                                   moved.due_before, open.date_maturity, open.date)
                           END AS date_due) due
            """,
            as_of=as_of,
            later=self._select_later(as_of),
            open=self._select_open(as_of),
            moved=self.env["crm.billing.due.change"]._select_before(as_of),
            place=self._get_place(as_of),
        )

    def _select_later(self, as_of):
        """Return what was taken off each item after ``as_of``, to put it back.

        Of such a matching at least one side is an entry of a later day.
        """
        return SQL(
            """
            SELECT line_id, SUM(amount) AS amount,
                   SUM(amount_currency) AS amount_currency
              FROM (SELECT line.id AS line_id, part.amount,
                           part.debit_amount_currency AS amount_currency
                      FROM account_partial_reconcile part
                      JOIN account_move_line line ON line.id = part.debit_move_id
                     WHERE part.max_date > %(as_of)s AND %(population)s
                 UNION ALL
                    SELECT line.id, -part.amount, -part.credit_amount_currency
                      FROM account_partial_reconcile part
                      JOIN account_move_line line ON line.id = part.credit_move_id
                     WHERE part.max_date > %(as_of)s AND %(population)s) part
          GROUP BY line_id
            """,
            as_of=as_of,
            population=self._get_population(as_of),
        )

    def _select_open(self, as_of):
        """Return what is open now and was then, and what was matched since."""
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
            SELECT %(columns)s, line.amount_residual AS total,
                   line.amount_residual_currency AS amount_currency
              FROM account_move_line line
             WHERE line.reconciled IS NOT TRUE AND %(population)s
               AND NOT EXISTS (SELECT FROM later WHERE later.line_id = line.id)
         UNION ALL
            SELECT %(columns)s, line.amount_residual + later.amount,
                   line.amount_residual_currency + later.amount_currency
              FROM later
              JOIN account_move_line line ON line.id = later.line_id
             WHERE line.amount_residual + later.amount != 0
                OR line.amount_residual_currency + later.amount_currency != 0
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

    def _get_place(self, as_of):
        """Return the number of the column in SQL, as :func:`aging.get_column` decides.

        Where rounding has left an amount in one of two currencies, that one decides.
        """
        ranges = [bucket.get_due_dates(as_of) for bucket in BUCKETS]
        late = SQL(" ").join(
            SQL("WHEN due.date_due >= %s THEN %s", first, get_place(bucket.key))
            for bucket, (first, _last) in zip(BUCKETS, ranges, strict=True)
            if first
        )
        return SQL(
            """
            CASE WHEN open.total < 0 OR open.total = 0 AND open.amount_currency < 0
                 THEN %(unapplied)s
                 WHEN held.is_retained THEN %(retention)s
                 WHEN due.date_due > %(last)s THEN %(not_due)s
                 %(late)s
                 ELSE %(oldest)s END
            """,
            unapplied=get_place(UNAPPLIED),
            retention=get_place(RETENTION),
            not_due=get_place(NOT_DUE),
            last=ranges[0][1],
            late=late,
            oldest=get_place(BUCKETS[-1].key),
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
