from odoo import api, models
from odoo.tools import SQL

from ..report_rules.movement import (
    CHURN,
    CONTRACTION,
    EXPANSION,
    MOVEMENTS,
    NEW,
    RATE_DIGITS,
    REACTIVATION,
)
from .crm_billing_report_currency import get_core_rate

# Digits at which sums are cut before they are rounded: nearer to a tie than this is no
# sum of fractions of prices, unless it is one. A quotient of rates has fewer of them.
DIGITS, QUOTIENT_DIGITS = 40, 30
# The company that keeps the rates, of which ``company`` is a branch.
ROOT = SQL("SPLIT_PART(company.parent_path, '/', 1)::int")


class CrmBillingRevenueMixin(models.AbstractModel):
    """The SQL of movements: each line begins and ends, each account is rounded once."""

    _inherit = "crm.billing.revenue.mixin"

    @api.model
    def _select_changes(self):
        """Return a row for each account, currency and day on which its value changes.

        ``before`` and ``value`` are in the currency, rounded once an account (7.2);
        ``amount`` is the change in company currency at the rate of its day. ``kind``
        and ``net`` are those of the whole account, all its currencies together (7.3).
        """
        return SQL(
            """
            WITH event AS (%(events)s),
            valued AS (%(valued)s),
            changed AS (
                SELECT stepped.*, %(amount)s AS amount,
                       (value != 0)::int - (before != 0)::int AS appeared
                  FROM (%(stepped)s) stepped
                 WHERE value != before)
            SELECT counted.*, %(kind)s AS kind
              FROM (SELECT changed.*,
                           SUM(appeared) OVER until_day AS paying,
                           SUM(appeared) OVER that_day AS appearing,
                           COUNT(*) OVER until_day = COUNT(*) OVER that_day
                               AS is_first,
                           COUNT(*) OVER that_day AS day_count,
                           MIN(event_id) OVER that_day AS day_event_id,
                           SUM(amount) OVER that_day AS net,
                           SUM(%(worth)s) OVER that_day AS day_worth
                      FROM changed
                    WINDOW that_day AS (PARTITION BY company_id, partner_id, day),
                           until_day AS (
                               PARTITION BY company_id, partner_id ORDER BY day)
                   ) counted
            """,
            events=self._select_events(),
            valued=self._select_valued(),
            stepped=self._select_stepped(),
            amount=self._convert(SQL("value - before")),
            worth=self._convert(SQL("value")),
            kind=self._get_kind(),
        )

    @api.model
    def _select_revaluations(self):
        """Return what rates did to each account and day, in company currency (7.4).

        Where nothing but a rate changes it is the whole difference; where the value
        changes as well, what its movement at the rate of the day leaves.
        """
        return SQL(
            """
            WITH event AS (%(events)s),
            valued AS (%(valued)s)
            SELECT company_id, partner_id, day,
                   CASE WHEN MIN(currency_id) = MAX(currency_id) THEN MIN(currency_id)
                        ELSE MIN(home_id) END AS currency_id,
                   CASE WHEN MIN(currency_id) = MAX(currency_id) THEN SUM(value)
                        ELSE SUM(worth) END AS value,
                   SUM(worth - worth_before - amount) AS amount
              FROM (SELECT stepped.*, %(worth)s AS worth,
                           %(worth_before)s AS worth_before, %(amount)s AS amount
                      FROM (SELECT stepped.*, LAG(rate, 1, rate) OVER history
                                       AS rate_before
                              FROM (%(stepped)s) stepped
                            WINDOW history AS (
                                   PARTITION BY company_id, partner_id, currency_id
                                       ORDER BY day)) stepped) step
          GROUP BY company_id, partner_id, day
            HAVING SUM(worth - worth_before - amount) != 0
            """,
            events=self._select_events(is_foreign=True),
            valued=self._select_valued(),
            stepped=self._select_stepped(),
            worth=self._convert(SQL("value")),
            worth_before=self._convert(SQL("before"), SQL("rate_before")),
            amount=self._convert(SQL("value - before")),
        )

    @staticmethod
    def _select_stepped():
        """Return the values with those of the event day before."""
        return SQL(
            """
            SELECT valued.*, LAG(value, 1, 0.0) OVER history AS before
              FROM valued
            WINDOW history AS (
                   PARTITION BY company_id, partner_id, currency_id ORDER BY day)
            """
        )

    @staticmethod
    def _get_kind():
        """Return what the change of an account is (S19), as in `report_rules`."""
        return SQL(
            """
            CASE WHEN paying = appearing
                 THEN CASE WHEN is_first THEN %(new)s ELSE %(reactivation)s END
                 WHEN paying = 0 THEN %(churn)s
                 WHEN net < 0 THEN %(contraction)s
                 ELSE %(expansion)s END
            """,
            new=NEW,
            reactivation=REACTIVATION,
            churn=CHURN,
            contraction=CONTRACTION,
            expansion=EXPANSION,
        )

    # === QUERY - EVENTS === #

    def _select_events(self, is_foreign=False):
        """Return what begins and ends each day, an account and currency.

        ``event_id`` is unique among the lines and their three events. OFFSET 0 keeps
        PostgreSQL from computing the amount of a line once an event.

        :param is_foreign: of other currencies than the company's only, with the days
            on which their rates change
        """
        return SQL(
            """
            WITH line_event AS (
                SELECT version.company_id, version.partner_id, version.currency_id,
                       event.day, event.delta, version.id * 4 + event.tag AS event_id,
                       version.agreement_id, NULL::numeric AS rate
                  FROM (%(versions)s OFFSET 0) version
            CROSS JOIN LATERAL (VALUES
                       (0, version.start, version.monthly),
                       (1, version.stop, CASE WHEN version.change_day IS NULL
                                              THEN -version.monthly
                                              ELSE -version.full END),
                       (2, version.change_day, version.full - version.monthly)
                       ) event (tag, day, delta)
                 WHERE event.day <= %(as_of)s)
            SELECT company_id, partner_id, currency_id, day, SUM(delta) AS delta,
                   MIN(event_id) AS event_id, MIN(agreement_id) AS agreement_id,
                   MIN(rate) AS rate
              FROM (%(events)s) one
          GROUP BY company_id, partner_id, currency_id, day
            """,
            versions=self._select_versions(is_foreign),
            as_of=self._get_as_of(),
            events=self._add_rate_days()
            if is_foreign
            else SQL("SELECT * FROM line_event"),
        )

    def _add_rate_days(self):
        """Return the events of lines, and the days on which their rates change.

        The rate of such a day is looked up once, not once an account.
        """
        return SQL(
            """
            SELECT * FROM line_event
         UNION ALL
            SELECT life.company_id, life.partner_id, life.currency_id, step.day,
                   0, NULL, NULL, step.rate
              FROM (SELECT company_id, partner_id, currency_id, MIN(day) AS day
                      FROM line_event
                  GROUP BY company_id, partner_id, currency_id) life
              JOIN (SELECT pair.*, %(rate)s AS rate
                      FROM (SELECT DISTINCT used.company_id, used.currency_id,
                                   company.currency_id AS home_id, %(root)s AS root_id,
                                   rate.name AS day
                              FROM (SELECT DISTINCT company_id, currency_id
                                      FROM line_event) used
                              JOIN res_company company ON company.id = used.company_id
                              JOIN res_currency_rate rate
                                ON rate.currency_id
                                   IN (used.currency_id, company.currency_id)
                               AND (rate.company_id IS NULL
                                    OR rate.company_id = %(root)s)
                             WHERE rate.name <= %(as_of)s) pair) step
                ON step.company_id = life.company_id
               AND step.currency_id = life.currency_id AND step.day > life.day
            """,
            root=ROOT,
            rate=self._get_rate(
                SQL("pair.currency_id"),
                SQL("pair.home_id"),
                SQL("pair.root_id"),
                SQL("pair.day"),
            ),
            as_of=self._get_as_of(),
        )

    # === QUERY - VALUES === #

    def _select_valued(self):
        """Return the value of each account and currency at the end of each event day.

        What begins and ends is the same number: what has ended leaves nothing.
        """
        return SQL(
            """
            SELECT event.company_id, event.partner_id, event.currency_id, event.day,
                   event.event_id, event.agreement_id,
                   home.id AS home_id, home.rounding AS home_step,
                   %(root)s AS root_id,
                   CASE WHEN home.id != money.id
                        THEN COALESCE(event.rate, %(rate)s) END AS rate,
                   %(value)s AS value
              FROM event
              JOIN res_company company ON company.id = event.company_id
              JOIN res_currency home ON home.id = company.currency_id
              JOIN res_currency money ON money.id = event.currency_id
            WINDOW history AS (
                   PARTITION BY event.company_id, event.partner_id, event.currency_id
                       ORDER BY event.day)
            """,
            root=ROOT,
            rate=self._get_rate(
                SQL("money.id"), SQL("home.id"), ROOT, SQL("event.day")
            ),
            value=self._round(
                SQL("SUM(event.delta) OVER history"), SQL("money.rounding"), DIGITS
            ),
        )

    # === QUERY - MONTHS === #

    @api.model
    def _select_spans(self):
        """Return the months in which something moves, each until the next of them.

        ``start`` and ``after`` are the values before and at the end of ``month``, in
        the currency, ``total`` what moved in company currency. Months are counted since
        the year 0. It reads the changes as ``change``.
        """
        return SQL(
            """
            SELECT summed.*, after - delta AS start,
                   COALESCE(next_month - 1, %(last)s) AS until
              FROM (SELECT moved.*,
                           SUM(delta) OVER history AS after,
                           LEAD(month) OVER history AS next_month
                      FROM (SELECT company_id, partner_id, currency_id,
                                   %(month)s AS month, MIN(day) AS day,
                                   MIN(home_id) AS home_id,
                                   MIN(home_step) AS home_step,
                                   MIN(root_id) AS root_id,
                                   SUM(value - before) AS delta,
                                   SUM(amount) AS total, %(sums)s
                              FROM change
                          GROUP BY company_id, partner_id, currency_id, 4) moved
                    WINDOW history AS (
                           PARTITION BY company_id, partner_id, currency_id
                               ORDER BY month)
                   ) summed
            """,
            last=self._get_month_number(self._get_as_of()),
            month=self._count_months(SQL("day")),
            sums=SQL(", ").join(
                SQL(
                    "COALESCE(SUM(amount) FILTER (WHERE kind = %s), 0.0) AS %s",
                    kind,
                    SQL.identifier(kind),
                )
                for kind in MOVEMENTS
            ),
        )

    @staticmethod
    def _get_month_number(day):
        return day.year * 12 + day.month - 1

    @staticmethod
    def _count_months(day):
        """Return the same number of a day in SQL."""
        return SQL(
            "(EXTRACT(YEAR FROM %(day)s)::int * 12"
            " + EXTRACT(MONTH FROM %(day)s)::int - 1)",
            day=day,
        )

    @staticmethod
    def _get_month_date(number):
        """Return the first day of a month that is counted since the year 0."""
        return SQL("MAKE_DATE(%(n)s / 12, %(n)s %% 12 + 1, 1)", n=number)

    # === QUERY - MONEY === #

    @staticmethod
    def _round(amount, step, digits):
        """Round half away from zero, as `round_money` does."""
        return SQL(
            "ROUND(ROUND(%(amount)s, %(digits)s) / %(step)s) * %(step)s",
            amount=amount,
            digits=digits,
            step=step,
        )

    def _convert(self, amount, rate=None):
        """Return an amount in company currency; without a rate it is in it already."""
        rate = rate or SQL("rate")
        converted = SQL("(%s) * %s", amount, rate)
        return SQL(
            "CASE WHEN %(rate)s IS NULL THEN %(amount)s ELSE %(converted)s END",
            rate=rate,
            amount=amount,
            converted=self._round(converted, SQL("home_step"), RATE_DIGITS),
        )

    def _get_rate(self, money, home, root, day):
        """Return ``home`` for one unit of ``money`` on a day, as core converts.

        :param root: the company that keeps the rates
        """
        return SQL(
            "ROUND(%s, %s) / %s",
            get_core_rate(home, root, day),
            QUOTIENT_DIGITS,
            get_core_rate(money, root, day),
        )
