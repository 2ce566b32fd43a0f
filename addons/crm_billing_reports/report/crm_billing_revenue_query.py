from odoo import api, models
from odoo.tools import SQL

from ..report_rules.movement import (
    CHURN,
    CONTRACTION,
    EXPANSION,
    MOVEMENTS,
    NEW,
    REACTIVATION,
)

# Digits at which sums are cut before they are rounded. Nearer to a tie than this is no
# sum of fractions of prices, unless it is one; and no amount times a rate.
DIGITS, RATE_DIGITS = 40, 12


class CrmBillingRevenueMixin(models.AbstractModel):
    """The SQL of movements: each line begins and ends, each account is rounded once."""

    _inherit = "crm.billing.revenue.mixin"

    @api.model
    def _select_changes(self, with_rates=False):
        """Return a row for each account, currency and day on which its value changes.

        ``before`` and ``value`` are in the currency, rounded once an account (7.2);
        ``amount`` is the change in company currency at the rate of its day, ``kind``
        that of the whole account, all its currencies together (7.3).

        :param with_rates: also the days on which only rates change, and on each row
            ``revaluation``, what rates did since the row before, and ``worth_after``,
            of all currencies of the account at the end of the day
        """
        return SQL(
            """
            WITH event AS (%(events)s),
            valued AS (%(valued)s),
            stepped AS (
                SELECT valued.*,
                       LAG(value, 1, 0.0) OVER history AS before,
                       %(worth_before)s AS worth_before
                  FROM valued
                WINDOW history AS (
                       PARTITION BY company_id, partner_id, currency_id ORDER BY day)),
            changed AS (
                SELECT stepped.*, %(amount)s AS amount,
                       (value != 0)::int - (before != 0)::int AS appeared
                  FROM stepped
                 WHERE value != before OR worth != worth_before)
            SELECT counted.*, %(kind)s AS kind
              FROM (SELECT changed.*,
                           value != before AS is_change,
                           worth - worth_before - amount AS revaluation,
                           SUM(appeared) OVER until_day AS paying,
                           SUM(appeared) OVER that_day AS appearing,
                           SUM(amount) OVER that_day AS net,
                           SUM(worth - worth_before) OVER until_day AS worth_after,
                           day = MIN(day) OVER account AS is_first
                      FROM changed
                    WINDOW account AS (PARTITION BY company_id, partner_id),
                           that_day AS (PARTITION BY company_id, partner_id, day),
                           until_day AS (
                               PARTITION BY company_id, partner_id ORDER BY day)
                   ) counted
            """,
            events=self._select_events(with_rates),
            valued=self._select_valued(with_rates),
            worth_before=SQL("LAG(worth, 1, 0.0) OVER history")
            if with_rates
            else SQL("worth"),
            amount=self._convert(SQL("value - before")),
            kind=self._get_kind(),
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

    def _select_events(self, with_rates):
        """Return what begins and ends each day, an account and currency.

        ``event_id`` is unique among the lines and their three events.
        """
        lines = SQL(
            """
            SELECT version.company_id, version.partner_id, version.currency_id,
                   event.day, event.delta, version.id * 4 + event.tag AS event_id,
                   version.agreement_id
              FROM (%(versions)s) version
        CROSS JOIN LATERAL (VALUES
                   (0, version.start, version.monthly),
                   (1, version.stop, CASE WHEN version.change_day IS NULL
                                          THEN -version.monthly
                                          ELSE -version.full END),
                   (2, version.change_day, version.full - version.monthly)
                   ) event (tag, day, delta)
             WHERE event.day <= %(as_of)s
            """,
            versions=self._select_versions(),
            as_of=self._get_as_of(),
        )
        return SQL(
            """
            %(begin)s
            SELECT company_id, partner_id, currency_id, day, SUM(delta) AS delta,
                   MIN(event_id) AS event_id, MIN(agreement_id) AS agreement_id
              FROM (%(events)s) one
          GROUP BY company_id, partner_id, currency_id, day
            """,
            begin=SQL("WITH line_event AS (%s)", lines) if with_rates else SQL(),
            events=self._add_rate_days() if with_rates else lines,
        )

    def _add_rate_days(self):
        """Return the events of lines, and the days on which their currency moves."""
        return SQL(
            """
            SELECT * FROM line_event
         UNION ALL
            SELECT life.company_id, life.partner_id, life.currency_id, rate.name,
                   0, NULL, NULL
              FROM (SELECT company_id, partner_id, currency_id, MIN(day) AS day
                      FROM line_event
                  GROUP BY company_id, partner_id, currency_id) life
              JOIN res_company company ON company.id = life.company_id
              JOIN res_currency_rate rate
                ON rate.currency_id IN (life.currency_id, company.currency_id)
               AND (rate.company_id IS NULL OR rate.company_id = %(root)s)
             WHERE life.currency_id != company.currency_id
               AND rate.name > life.day
               AND rate.name <= %(as_of)s
            """,
            root=self._get_root(),
            as_of=self._get_as_of(),
        )

    # === QUERY - VALUES === #

    def _select_valued(self, with_rates):
        """Return the value of each account and currency at the end of each event day.

        Amounts that begin and end are the same number: what has ended leaves nothing.
        """
        return SQL(
            """
            SELECT running.*, %(worth)s AS worth
              FROM (SELECT event.company_id, event.partner_id, event.currency_id,
                           event.day, event.event_id, event.agreement_id,
                           home.id AS home_id, home.rounding AS home_step,
                           CASE WHEN home.id = money.id THEN NULL
                                ELSE %(rate)s END AS rate,
                           %(value)s AS value
                      FROM event
                      JOIN res_company company ON company.id = event.company_id
                      JOIN res_currency home ON home.id = company.currency_id
                      JOIN res_currency money ON money.id = event.currency_id
                    WINDOW history AS (
                           PARTITION BY event.company_id, event.partner_id,
                                        event.currency_id
                               ORDER BY event.day)
                   ) running
            """,
            worth=self._convert(SQL("value")) if with_rates else SQL("0.0"),
            rate=self._get_rate(SQL("event.day")),
            value=self._round(
                SQL("SUM(event.delta) OVER history"), SQL("money.rounding"), DIGITS
            ),
        )

    # === QUERY - MONTHS === #

    @api.model
    def _select_spans(self):
        """Return the months in which something moves, each until the next of them.

        Months are counted since the year 0. It reads the changes as ``change``.
        """
        return SQL(
            """
            SELECT summed.*, after - delta AS before,
                   COALESCE(next - 1, %(last)s) AS until
              FROM (SELECT moved.*,
                           SUM(delta) OVER history AS after,
                           LEAD(number) OVER history AS next
                      FROM (SELECT company_id, partner_id, currency_id,
                                   %(number)s AS number,
                                   SUM(value - before) AS delta,
                                   SUM(amount) AS net, %(sums)s
                              FROM change
                          GROUP BY company_id, partner_id, currency_id, 4) moved
                    WINDOW history AS (
                           PARTITION BY company_id, partner_id, currency_id
                               ORDER BY number)
                   ) summed
            """,
            last=self._get_month_number(self._get_as_of()),
            number=SQL(
                "EXTRACT(YEAR FROM day)::int * 12 + EXTRACT(MONTH FROM day)::int - 1"
            ),
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

    def _get_rate(self, day):
        """Return company currency for one unit on a day, as core converts.

        Joined before: ``home`` and ``money``, the currencies, and ``company``.
        """
        return SQL(
            "%s / %s",
            self._get_core_rate(SQL("home.id"), day),
            self._get_core_rate(SQL("money.id"), day),
        )

    def _get_core_rate(self, currency, day):
        """Return the last rate until the day, else the first one, else 1."""
        rates = SQL(
            """
            SELECT rate.rate FROM res_currency_rate rate
             WHERE rate.currency_id = %s
               AND (rate.company_id IS NULL OR rate.company_id = %s)
            """,
            currency,
            self._get_root(),
        )
        return SQL(
            """
            COALESCE(
                (%(rates)s AND rate.name <= %(day)s
                 ORDER BY rate.company_id, rate.name DESC LIMIT 1),
                (%(rates)s ORDER BY rate.company_id, rate.name LIMIT 1),
                1.0)
            """,
            rates=rates,
            day=day,
        )

    @staticmethod
    def _get_root():
        """Return the company that keeps the rates, of which ``company`` is a branch."""
        return SQL("SPLIT_PART(company.parent_path, '/', 1)::int")
