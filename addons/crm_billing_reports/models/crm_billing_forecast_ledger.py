from collections import defaultdict
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction

from odoo import api, models
from odoo.fields import Domain
from odoo.tools import SQL

from odoo.addons.crm_dunning.models.crm_dunning_case_context import HABIT_DAYS

from ..report.crm_billing_forecast_report import SALES
from ..report.crm_billing_report_mixin import ACCOUNT
from ..report_rules.aging import RETENTION, UNAPPLIED
from ..report_rules.forecast import (
    ON_TIME,
    Delays,
    Instalment,
    Range,
    get_arrival,
    settle,
)
from .crm_billing_forecast import PAYER_CHUNK
from .crm_billing_forecast_line import MEASURES

CASES = ("low", "expected", "high")
INVOICED = ("invoiced_low", "invoiced", "invoiced_high")
CASH = ("cash_low", "cash", "cash_high")
DIMENSIONS = (
    "source",
    "partner_id",
    "user_id",
    "team_id",
    "currency_id",
    "agreement_id",
    "move_id",
    "date",
)
# The habit of a company that nobody has paid for long is that of few payments.
COMPANY_DAYS = 365


class CrmBillingForecast(models.Model):
    """What the ledger knows: documents, open items, and how late everybody pays."""

    _inherit = "crm.billing.forecast"

    # === BUSINESS METHODS - DOCUMENTS === #

    def _forecast_documents(self, chunk_size):
        """Forecast drafts, and what was posted for today already, one by one.

        Open items are those of the evening before: what is dated later is here.
        """
        moves = self.env["account.move"].search(
            Domain("company_id", "=", self.company_id.id)
            & Domain("move_type", "in", (*SALES, "out_refund"))
            & (
                Domain("state", "=", "draft")
                | (Domain("state", "=", "posted") & Domain("date", ">=", self.date))
            )
            & Domain("id", ">", self.last_id),
            order="id",
            limit=chunk_size,
        )
        sums = defaultdict(lambda: defaultdict(Decimal))
        delays = self._read_delays(moves.mapped(ACCOUNT))
        for move in moves:
            account = move.commercial_partner_id.commercial_partner_id
            self._plan_move(sums, move, delays[account.id])
        self._write_lines(sums)
        return moves[-1:].id, len(moves)

    def _plan_move(self, sums, move, delays):
        is_draft = move.state == "draft"
        make = Range.likely if is_draft else Range.certain
        key = {
            "source": "document",
            "partner_id": move.commercial_partner_id.commercial_partner_id.id,
            "user_id": move.invoice_user_id.id,
            "team_id": move.team_id.id,
            "currency_id": move.currency_id.id,
            "agreement_id": move.agreement_ids[:1].id,
            "move_id": move.id,
        }
        day = max(move.invoice_date or self.date, self.date)
        if day > self.date_until:
            return
        net = Decimal(str(move.amount_untaxed_signed))
        self._add_invoice(sums, key, day, make(net))
        for line in move.line_ids:
            if line.display_type != "payment_term":
                continue
            self._add_money(
                sums,
                key,
                line.date_maturity or day,
                delays,
                make(Decimal(str(line.balance))),
                is_stuck=line.billing_is_retention,
            )

    # === BUSINESS METHODS - OPEN ITEMS === #

    def _forecast_payers(self, chunk_size):
        """Forecast when the open items of the next payers come in."""
        self.env.flush_all()
        evening = self.date - timedelta(days=1)
        aged = self.env["crm.billing.aging.report"]._select_aging(evening)
        keys = self.env.execute_query(
            SQL(
                """
                SELECT DISTINCT COALESCE(partner_id, 0) + 1 FROM (%s) aged
                 WHERE company_id = %s AND COALESCE(partner_id, 0) + 1 > %s
              ORDER BY 1 LIMIT %s
                """,
                aged,
                self.company_id.id,
                self.last_id,
                PAYER_CHUNK,
            )
        )
        if not keys:
            return 0, 0
        keys = [key for [key] in keys]
        rows = self._read_open_items(aged, [key - 1 for key in keys])
        sums = defaultdict(lambda: defaultdict(Decimal))
        delays = self._read_delays(
            self.env["res.partner"].browse(key - 1 for key in keys if key > 1)
        )
        by_payer = defaultdict(list)
        for row in rows:
            by_payer[row["partner_id"], row["currency_id"]].append(row)
        for (payer_id, _currency_id), items in by_payer.items():
            self._plan_items(sums, items, delays[payer_id])
        self._write_lines(sums)
        return keys[-1], 0

    def _read_open_items(self, aged, payer_ids):
        # Of a past day nobody knows any more what was disputed or promised then.
        return self.env.execute_query_dict(
            SQL(
                """
                SELECT aged.line_id, aged.partner_id, aged.user_id, aged.team_id,
                       aged.currency_id, aged.move_id, aged.bucket, aged.total::text,
                       COALESCE(aged.date_due, aged.date) AS due,
                       (aged.bucket = %(retention)s
                        OR (%(is_now)s AND (aged.is_disputed OR aged.is_held)))
                           AS is_stuck,
                       promise.promise_date
                  FROM (%(aged)s) aged
             LEFT JOIN crm_dunning_case promise
                    ON promise.id = aged.case_id AND promise.state = 'promise'
                   AND %(is_now)s
                 WHERE aged.company_id = %(company)s
                   AND COALESCE(aged.partner_id, 0) = ANY(%(payers)s)
                """,
                aged=aged,
                retention=RETENTION,
                is_now=not self.is_money_only,
                company=self.company_id.id,
                payers=payer_ids,
            )
        )

    def _plan_items(self, sums, items, delays):
        """Add the items of one payer in one currency, less what is not matched yet."""
        credit = Decimal(0)
        instalments, by_line = [], {}
        for row in items:
            total = Decimal(row["total"])
            key = {name: row.get(name) for name in DIMENSIONS if name != "date"}
            key |= {"source": "open", "agreement_id": None}
            sums[self._freeze(key, self.date)]["amount_open"] += total
            by_line[row["line_id"]] = (row, key)
            if row["bucket"] == UNAPPLIED:
                credit -= total
            else:
                instalments.append(Instalment(row["line_id"], row["due"], total))
        for one in settle(instalments, credit):
            row, key = by_line[one.key]
            self._add_money(
                sums,
                key,
                one.due,
                delays,
                Range.certain(one.amount),
                is_stuck=row["is_stuck"],
                promised=row["promise_date"],
            )

    # === BUSINESS METHODS - HABITS === #

    def _read_delays(self, payers):
        """Return ``{payer id: Delays}``; who has no habit pays as all together do."""
        known = self.habits or {}
        usual = Delays(**known) if known else ON_TIME
        found = defaultdict(lambda: usual)
        if payers.ids:
            condition = SQL("account.commercial_partner_id = ANY(%s)", payers.ids)
            first = self.date - timedelta(days=HABIT_DAYS)
            rows = self._query_delays(self.company_id, first, self.date, condition)
            for payer_id, delays in rows:
                if delays.is_habit():
                    found[payer_id] = delays
        return found

    @api.model
    def _read_company_habits(self, company, today):
        """Return how late all payers of the company together pay, for JSON."""
        first = today - timedelta(days=COMPANY_DAYS)
        rows = self._query_delays(company, first, today, SQL("TRUE"), by_payer=False)
        for _payer, delays in rows:
            if delays.is_habit():
                return {
                    "count": delays.count,
                    "early": delays.early,
                    "usual": delays.usual,
                    "late": delays.late,
                }
        return False

    @api.model
    def _query_delays(self, company, first, today, condition, by_payer=True):
        """Yield ``(payer id, Delays)`` of instalments paid in full before ``today``.

        What counts as paid is what a case tells of a payer's habits: credit notes do
        not.
        """
        self.env.flush_all()
        payer = SQL("account.commercial_partner_id") if by_payer else SQL("NULL::int")
        rows = self.env.execute_query(
            SQL(
                """
                SELECT payer_id, count(*)::int,
                       percentile_disc(0.1) WITHIN GROUP (ORDER BY days),
                       sum(days)::int,
                       percentile_disc(0.9) WITHIN GROUP (ORDER BY days)
                  FROM (SELECT %(payer)s AS payer_id,
                               paid.paid_on - line.date_maturity AS days
                          FROM account_move_line line
                          JOIN account_move move ON move.id = line.move_id
                     LEFT JOIN res_partner account
                            ON account.id = move.commercial_partner_id
                          JOIN LATERAL (
                               SELECT max(match.max_date) AS paid_on,
                                      bool_or(credit.move_type = 'out_refund')
                                          AS is_credited
                                 FROM account_partial_reconcile match
                                 JOIN account_move_line other
                                   ON other.id = match.credit_move_id
                                 JOIN account_move credit ON credit.id = other.move_id
                                WHERE match.debit_move_id = line.id) paid ON TRUE
                         WHERE move.move_type = 'out_invoice' AND line.reconciled
                           AND line.display_type = 'payment_term'
                           AND line.parent_state = 'posted'
                           AND line.company_id = %(company)s
                           AND line.date_maturity >= %(first)s
                           AND paid.paid_on < %(today)s AND NOT paid.is_credited
                           AND %(condition)s) habit
              GROUP BY payer_id
                """,
                payer=payer,
                company=company.id,
                first=first,
                today=today,
                condition=condition,
            )
        )
        for payer_id, count, early, total, late in rows:
            yield payer_id, Delays.of(count, early, Fraction(total, count), late)

    # === BUSINESS METHODS - SUMS === #

    def _get_key(self, source, agreement):
        return {
            "source": source,
            "partner_id": agreement.payer_id.id,
            "user_id": agreement.user_id.id,
            "team_id": agreement.team_id.id,
            "currency_id": agreement.currency_id.id,
            "agreement_id": agreement.id,
            "move_id": None,
        }

    def _freeze(self, key, day):
        return tuple({**key, "date": day}[name] or None for name in DIMENSIONS)

    def _add_invoice(self, sums, key, day, amount):
        """Add an invoice before tax on its day; later than the last day is left out."""
        if day <= self.date_until:
            for case, measure in zip(CASES, INVOICED, strict=True):
                sums[self._freeze(key, day)][measure] += getattr(amount, case)

    def _add_money(self, sums, key, due, delays, amount, **facts):
        """Add an instalment on the days on which it comes in each case."""
        arrival = get_arrival(due, delays, self.date, **facts)
        for case, measure in zip(CASES, CASH, strict=True):
            day = getattr(arrival, case)
            if day and day <= self.date_until:
                sums[self._freeze(key, day)][measure] += getattr(amount, case)

    def _write_lines(self, sums):
        """Write the sums that are not zero."""
        self.env["crm.billing.forecast.line"].create(
            [
                {
                    "forecast_id": self.id,
                    "company_id": self.company_id.id,
                    **dict(zip(DIMENSIONS, key, strict=True)),
                    **{name: float(found[name]) for name in MEASURES if name in found},
                }
                for key, found in sums.items()
                if any(found.values())
            ]
        )
