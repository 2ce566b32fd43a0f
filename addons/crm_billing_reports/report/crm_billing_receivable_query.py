from datetime import timedelta

from odoo import models
from odoo.tools import SQL

# A row is the account's number and its month: ids stay below 2^31.
MONTHS, FIRST_YEAR = 2000, 1990
# Of the context: whether the count-back is read, and whether figures are at all.
HISTORY_KEY, FIGURES_KEY = "billing_with_history", "billing_with_figures"
RECEIVABLE = SQL(
    "SELECT id FROM account_account WHERE account_type = %s", "asset_receivable"
)
NO_HISTORY = SQL(
    "SELECT NULL::int[] AS key, NULL::int AS first_month, NULL::numeric[] AS sales"
    " WHERE FALSE"
)


def get_month(day):
    """Return in SQL the number of the month of ``day``."""
    return SQL(
        "(EXTRACT(YEAR FROM %(day)s) * 12 + EXTRACT(MONTH FROM %(day)s))::int", day=day
    )


class CrmBillingReceivableReport(models.Model):
    """The SQL of the receivables: every slice of the period in one pass.

    What is owed is the running sum of items and matchings, each from its own date on
    (billing rules, 8.1). What is not due is a running sum as well: an item counts from
    its date on and no more from the day after its due date on, and what is matched with
    it is taken off for the days between. Only the few matchings whose two sides do not
    cancel out are added up at all. Sales of all months are read for the count-back
    alone, and left out where nobody asks for it.
    """

    _inherit = "crm.billing.receivable.report"
    _depends = {
        "account.move.line": [
            "account_id",
            "balance",
            "billing_is_retention",
            "billing_release_id",
            "company_id",
            "currency_id",
            "date",
            "date_maturity",
            "display_type",
            "parent_state",
            "partner_id",
        ],
        "account.partial.reconcile": [
            "amount",
            "credit_move_id",
            "debit_move_id",
            "max_date",
        ],
        "account.account": ["account_type"],
        "crm.billing.due.change": ["date", "due_before", "line_id"],
        "crm.billing.retention.release": ["date"],
        "res.company": ["currency_id"],
        "res.partner": ["commercial_partner_id", "service_tier_id", "user_id"],
        "res.users": ["sale_team_id"],
    }

    @property
    def _table_query(self):
        """Return the rows; ratios stand outside, so that a page computes its own."""
        names = ("opening", "sales", "closing", "not_due", "days", "months")
        ratios = self._get_ratios(
            **{name: SQL.identifier("figure", name) for name in names},
            last=SQL("figure.date"),
            histories=SQL("ARRAY[figure.history]"),
        )
        return SQL(
            "SELECT figure.*, %s FROM (%s) figure",
            SQL(", ").join(
                SQL("%s AS %s", ratio, SQL.identifier(name))
                for name, ratio in ratios.items()
            ),
            self._select_figures(self._get_slices()),
        )

    def _select_figures(self, slices):
        """Return the rows without their ratios, with what these are made of."""
        last_month = get_month(SQL("owed.last"))
        return SQL(
            """
            WITH booked AS (%(booked)s)
            SELECT owed.number * %(months)s + %(last_month)s - %(first_month)s AS id,
                   owed.company_id,
                   NULLIF(owed.partner_id, 0) AS partner_id,
                   account.user_id,
                   seller.sale_team_id AS team_id,
                   account.service_tier_id,
                   owed.currency_id,
                   company.currency_id AS company_currency_id,
                   owed.first AS date_from,
                   owed.last AS date,
                   owed.days,
                   owed.months,
                   owed.opening,
                   owed.sales,
                   owed.closing,
                   owed.not_due,
                   %(last_month)s - %(begun_month)s + 1 AS row_count,
                   NULLIF(history.sales[1:%(last_month)s - history.first_month + 1],
                          '{}') AS history
              FROM (%(owed)s) owed
         LEFT JOIN res_company company ON company.id = owed.company_id
         LEFT JOIN res_partner account ON account.id = owed.partner_id
         LEFT JOIN res_users seller ON seller.id = account.user_id
         LEFT JOIN (%(history)s) history
                ON history.key = ARRAY[
                   owed.company_id, owed.partner_id, owed.currency_id]
            """,
            booked=self._select_booked(slices),
            months=MONTHS,
            first_month=FIRST_YEAR * 12,
            last_month=last_month,
            begun_month=get_month(SQL("GREATEST(owed.first, owed.begun)")),
            owed=self._select_owed(slices)
            if self.env.context.get(FIGURES_KEY, True)
            else self._select_begun(slices),
            history=self._select_history(slices[-1].last)
            if self.env.context.get(HISTORY_KEY, True)
            else NO_HISTORY,
        )

    # === QUERY - WHAT IS OWED === #

    def _select_owed(self, slices):
        """Return a row of each account and slice, from its first item on.

        Each account has a step for each slice and one for the time before; joins that
        come later keep all rows, so that the planner does not take them for a few.
        """
        return SQL(
            """
            SELECT ran.*, ran.closing - ran.change AS opening,
                   CASE WHEN ran.whole > 0 THEN ran.whole
                        ELSE ran.days * 12 / 365.0 END AS months
              FROM (SELECT account.*, step.n, step.first, step.last, step.days,
                           step.whole,
                           COALESCE(booked.closing, 0) AS change,
                           COALESCE(booked.sales, 0) AS sales,
                           SUM(booked.closing) OVER up_to AS closing,
                           SUM(booked.not_due) OVER up_to AS not_due
                      FROM (SELECT company_id, partner_id, currency_id,
                                   MIN(begun) AS begun,
                                   ROW_NUMBER() OVER (ORDER BY MIN(line_id)) AS number
                              FROM booked
                          GROUP BY company_id, partner_id, currency_id) account
                CROSS JOIN UNNEST(%(n)s, %(first)s, %(last)s, %(days)s, %(whole)s)
                           step (n, first, last, days, whole)
                 LEFT JOIN booked
                        ON booked.company_id = account.company_id
                       AND booked.partner_id = account.partner_id
                       AND booked.currency_id = account.currency_id
                       AND booked.n = step.n
                    WINDOW up_to AS (PARTITION BY account.number ORDER BY step.n)) ran
             WHERE ran.closing IS NOT NULL AND ran.first IS NOT NULL
            """,
            n=list(range(len(slices) + 1)),
            first=[None, *(one.first for one in slices)],
            last=[None, *(one.last for one in slices)],
            days=[None, *(one.days for one in slices)],
            whole=[None, *(one.whole_months or 0 for one in slices)],
        )

    def _select_begun(self, slices):
        """Return the same rows without figures, to count them in a fraction of the
        time."""
        begun, _late = self._get_places(SQL("line"), SQL("account.begun"), slices)
        return SQL(
            """
            SELECT account.*, 0 AS number, step.*, NULL::numeric AS months,
                   NULL::numeric AS opening, NULL::numeric AS sales,
                   NULL::numeric AS closing, NULL::numeric AS not_due
              FROM (SELECT line.company_id,
                           COALESCE(payer.commercial_partner_id, 0) AS partner_id,
                           line.currency_id, MIN(line.begun) AS begun
                      FROM (SELECT line.company_id, line.partner_id, line.currency_id,
                                   MIN(line.date) AS begun
                              FROM account_move_line line
                             WHERE %(population)s
                          GROUP BY line.company_id, line.partner_id, line.currency_id
                           ) line
                 LEFT JOIN res_partner payer ON payer.id = line.partner_id
                  GROUP BY 1, 2, 3) account
              JOIN UNNEST(%(n)s, %(first)s, %(last)s, %(days)s)
                   step (n, first, last, days) ON step.n >= %(begun)s
            """,
            population=self._get_population(slices),
            begun=begun,
            n=list(range(1, len(slices) + 1)),
            first=[one.first for one in slices],
            last=[one.last for one in slices],
            days=[one.days for one in slices],
        )

    def _select_booked(self, slices):
        """Return what each account's figures change by in each slice, 0 is before.

        What is no more not due is taken off in the slice of the day after its due date.
        """
        return SQL(
            """
            WITH item AS (%(items)s)
            SELECT entry.company_id,
                   COALESCE(payer.commercial_partner_id, 0) AS partner_id,
                   entry.currency_id, entry.n,
                   SUM(entry.closing) AS closing,
                   SUM(entry.not_due) AS not_due,
                   SUM(entry.sales) AS sales,
                   MIN(entry.line_id) AS line_id,
                   MIN(entry.day) AS begun
              FROM (SELECT company_id, partner_id, currency_id, line_id, day,
                           booked AS n, closing, not_due, sales
                      FROM item
                 UNION ALL
                    SELECT company_id, partner_id, currency_id, line_id, day,
                           late, 0, -not_due, 0
                      FROM item
                     WHERE late <= %(count)s
                 UNION ALL %(matched)s
                 UNION ALL %(moved)s) entry
         LEFT JOIN res_partner payer ON payer.id = entry.partner_id
          GROUP BY entry.company_id, COALESCE(payer.commercial_partner_id, 0),
                   entry.currency_id, entry.n
            """,
            items=self._select_items(slices),
            count=len(slices),
            matched=self._select_matched(slices),
            moved=self._select_moved(slices),
        )

    def _select_items(self, slices):
        """Return the items of the receivable accounts, added up by their two slices:
        that of their date, and of debits not yet due then the one they are late from.

        Items of this kind stand on invoices and credit notes only, and add up to the
        total of their document.
        """
        booked, late = self._get_places(SQL("line"), SQL("line.date"), slices)
        return SQL(
            """
            SELECT line.company_id, line.partner_id, line.currency_id,
                   MIN(line.id) AS line_id, MIN(line.date) AS day,
                   %(booked)s AS booked,
                   CASE WHEN line.balance > 0 AND %(late)s > %(booked)s
                        THEN %(late)s END AS late,
                   SUM(line.balance) AS closing,
                   COALESCE(SUM(line.balance) FILTER (
                       WHERE line.balance > 0 AND %(late)s > %(booked)s), 0) AS not_due,
                   COALESCE(SUM(line.balance) FILTER (
                       WHERE line.display_type = 'payment_term'), 0) AS sales
              FROM account_move_line line
         LEFT JOIN crm_billing_retention_release release
                ON release.id = line.billing_release_id
             WHERE %(population)s
          GROUP BY line.company_id, line.partner_id, line.currency_id, 6, 7
            """,
            booked=booked,
            late=late,
            population=self._get_population(slices),
        )

    def _select_matched(self, slices):
        """Return the matchings that change a figure: those made before the due date,
        and those between accounts."""
        booked, late = self._get_places(SQL("debit"), SQL("part.max_date"), slices)
        return SQL(
            """
            SELECT side.company_id, side.partner_id, side.currency_id,
                   side.line_id, side.day, side.n, side.closing, side.not_due, 0
              FROM account_partial_reconcile part
              JOIN account_move_line debit ON debit.id = part.debit_move_id
              JOIN account_move_line credit ON credit.id = part.credit_move_id
         LEFT JOIN crm_billing_retention_release release
                ON release.id = debit.billing_release_id
        CROSS JOIN LATERAL (
                   VALUES (debit.account_id, debit.parent_state, debit.company_id,
                           debit.partner_id, debit.currency_id, debit.id, debit.date,
                           %(booked)s, -part.amount,
                           CASE WHEN %(late)s > %(booked)s
                                THEN -part.amount ELSE 0 END),
                          (debit.account_id, debit.parent_state, debit.company_id,
                           debit.partner_id, debit.currency_id, debit.id, debit.date,
                           %(late)s, 0,
                           CASE WHEN %(late)s > %(booked)s
                                THEN part.amount ELSE 0 END),
                          (credit.account_id, credit.parent_state, credit.company_id,
                           credit.partner_id, credit.currency_id, credit.id,
                           credit.date, %(booked)s, part.amount, 0)
                   ) side (account_id, parent_state, company_id, partner_id,
                           currency_id, line_id, day, n, closing, not_due)
             WHERE part.max_date <= %(last)s
               AND (%(late)s > %(booked)s
                    OR (debit.account_id, debit.parent_state, debit.company_id,
                        debit.partner_id, debit.currency_id)
                       IS DISTINCT FROM
                       (credit.account_id, credit.parent_state, credit.company_id,
                        credit.partner_id, credit.currency_id))
               AND side.account_id = ANY(ARRAY(%(receivable)s))
               AND side.parent_state = 'posted'
               AND side.n <= %(count)s
            """,
            booked=booked,
            late=late,
            last=slices[-1].last,
            receivable=RECEIVABLE,
            count=len(slices),
        )

    def _select_moved(self, slices):
        """Return what makes instalments not due by the due date that they had at the
        end of each slice, and not by the one that they were given since."""
        ends = [slices[0].first - timedelta(days=1), *(one.last for one in slices)]
        return SQL(
            """
            SELECT company_id, partner_id, currency_id, line_id, day, n, 0,
                   amount - COALESCE(
                       LAG(amount) OVER (PARTITION BY line_id ORDER BY n), 0), 0
              FROM (SELECT line.company_id, line.partner_id, line.currency_id,
                           line.id AS line_id, line.date AS day, step.n,
                           ((step.last < GREATEST(due.past + 1, release.date))::int
                            - (step.last < GREATEST(due.now + 1, release.date))::int)
                           * (line.balance - paid.amount) AS amount
                      FROM account_move_line line
                 LEFT JOIN crm_billing_retention_release release
                        ON release.id = line.billing_release_id
                      JOIN UNNEST(%(n)s, %(ends)s) step (n, last)
                        ON step.last >= line.date
        CROSS JOIN LATERAL (
                           SELECT COALESCE((%(past)s), line.date_maturity, line.date),
                                  COALESCE(line.date_maturity, line.date)
                           ) due (past, now)
        CROSS JOIN LATERAL (
                           SELECT COALESCE(SUM(part.amount), 0) AS amount
                             FROM account_partial_reconcile part
                            WHERE part.debit_move_id = line.id
                              AND part.max_date <= step.last) paid
                     WHERE line.id IN (
                           SELECT line_id FROM crm_billing_due_change
                            WHERE date > %(first)s)
                       AND line.billing_is_retention IS NOT TRUE
                       AND line.balance > 0 AND %(population)s) moved
            """,
            n=list(range(len(ends))),
            ends=ends,
            past=self.env["crm.billing.due.change"]._select_first(
                SQL("line.id"), SQL("step.last")
            ),
            first=ends[0],
            population=self._get_population(slices),
        )

    def _get_population(self, slices):
        """Return in SQL which items (``line``) count until the last day."""
        return SQL(
            "line.parent_state = 'posted' AND line.date <= %s"
            " AND line.account_id = ANY(ARRAY(%s))",
            slices[-1].last,
            RECEIVABLE,
        )

    def _get_places(self, line, day, slices):
        """Return in SQL in which slice ``day`` is, and from which on ``line`` is due.

        0 is before the first one; what comes after the last one has a number of its
        own. What is retained is not due before its ``release``.
        """
        bounds = [one.first for one in slices]
        bounds.append(slices[-1].last + timedelta(days=1))
        late = SQL(
            """
            CASE WHEN %(line)s.billing_is_retention THEN 'infinity'::date
                 ELSE GREATEST(%(day)s, COALESCE(
                     %(line)s.date_maturity, %(line)s.date) + 1, release.date) END
            """,
            line=line,
            day=day,
        )
        return (
            SQL("WIDTH_BUCKET(%s, %s::date[])", day, bounds),
            SQL("WIDTH_BUCKET(%s, %s::date[])", late, bounds),
        )
