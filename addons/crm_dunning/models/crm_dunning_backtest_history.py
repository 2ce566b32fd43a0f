"""What a company's receivables were on each day of the past, read in few queries."""

from collections import defaultdict
from decimal import Decimal

import pytz

from odoo import models
from odoo.tools import SQL

from ..dunning_rules.backtest import PastLine, known_since

# What is logged of a case: what blocks it begins, and what ends it again.
BEGINS = {"disputed": "disputed", "promised": "promised", "case_held": "held"}
ENDS = {
    "dispute_ended": ("disputed",),
    "promise_kept": ("promised",),
    "promise_broken": ("promised",),
    "case_resumed": ("held",),
    "given_back": ("disputed", "promised", "held"),
    "case_closed": ("disputed", "promised", "held"),
}


class CrmDunningBacktest(models.Model):
    _inherit = "crm.dunning.backtest"

    def _get_payers(self, company, date_from, after=0, limit=None):
        """Return who owed something since ``date_from``, in the order of their ids.

        :param after: id of the last payer that was seen
        """
        self.env["account.move.line"].flush_model()
        self.env["account.partial.reconcile"].flush_model()
        rows = self.env.execute_query(
            SQL(
                """
                SELECT DISTINCT line.partner_id
                  FROM account_move_line line
                 WHERE %s AND line.partner_id > %s
                 ORDER BY line.partner_id
                 LIMIT %s
                """,
                self._get_line_condition(company, date_from),
                after,
                limit,
            )
        )
        return self.env["res.partner"].browse([row[0] for row in rows])

    def _get_line_condition(self, company, date_from):
        """Return in SQL which lines (``line``) were open at some time since a day."""
        return SQL(
            """
            line.company_id = %(company)s
            AND line.parent_state = 'posted'
            AND line.account_id IN (SELECT id FROM account_account
                                     WHERE account_type = 'asset_receivable')
            AND (line.reconciled IS NOT TRUE
                 OR line.date >= %(day)s
                 OR EXISTS (SELECT FROM account_partial_reconcile partial
                             WHERE partial.debit_move_id = line.id
                               AND GREATEST(partial.max_date, partial.create_date::date)
                                   >= %(day)s)
                 OR EXISTS (SELECT FROM account_partial_reconcile partial
                             WHERE partial.credit_move_id = line.id
                               AND GREATEST(partial.max_date, partial.create_date::date)
                                   >= %(day)s))
            """,
            company=company.id,
            day=date_from,
        )

    def _read_history(self, payers):
        """Return the lines of ``payers`` with what was known of them, and when.

        :return: ``{(partner id, currency id): [PastLine]}``
        """
        self.ensure_one()
        lines = {line.line_id: line for line in self._read_lines(payers)}
        self._read_matches(lines)
        self._read_cases(lines)
        found = defaultdict(list)
        for line in lines.values():
            found[line.partner_id, line.currency_id].append(line)
        return found

    def _read_lines(self, payers):
        rows = self.env.execute_query(
            SQL(
                """
                SELECT line.id, line.move_id, line.partner_id, line.currency_id,
                       COALESCE(line.date_maturity, line.date),
                       COALESCE(move.invoice_date, line.date),
                       (line.create_date AT TIME ZONE 'UTC' AT TIME ZONE %(tz)s)::date,
                       line.amount_currency, line.balance,
                       line.no_followup IS TRUE, line.billing_is_retention IS TRUE,
                       move.payment_state = 'blocked'
                  FROM account_move_line line
                  JOIN account_move move ON move.id = line.move_id
                 WHERE %(condition)s
                   AND line.partner_id = ANY(%(payers)s)
                   AND line.date <= %(until)s
                   AND line.amount_currency <> 0
                 ORDER BY line.id
                """,
                tz=self._get_tz(),
                condition=self._get_line_condition(self.company_id, self.date_from),
                payers=payers.ids,
                until=self.date_until,
            )
        )
        return [self._to_past_line(*row) for row in rows]

    def _to_past_line(
        self,
        line_id,
        move_id,
        partner_id,
        currency_id,
        due,
        invoice_date,
        created,
        amount,
        balance,
        no_followup,
        is_retention,
        is_blocked,
    ):
        amount, balance = Decimal(str(amount)), Decimal(str(balance))
        reasons = {
            "retention": is_retention,
            "no_followup": no_followup,
            "blocked": is_blocked,
        }
        blocks = [(name, None, None) for name, is_so in reasons.items() if is_so]
        return PastLine(
            line_id=line_id,
            move_id=move_id,
            partner_id=partner_id,
            currency_id=currency_id,
            due=due,
            known=known_since(invoice_date, created),
            amount=amount,
            rate=balance / amount,
            blocks=blocks,
        )

    def _read_matches(self, lines):
        """Add to each line what was matched with it, and on which days."""
        ids = list(lines)
        rows = self.env.execute_query(
            SQL(
                """
                SELECT debit_move_id, credit_move_id, max_date,
                       (create_date AT TIME ZONE 'UTC' AT TIME ZONE %(tz)s)::date,
                       debit_amount_currency, credit_amount_currency
                  FROM account_partial_reconcile
                 WHERE debit_move_id = ANY(%(ids)s) OR credit_move_id = ANY(%(ids)s)
                 ORDER BY id
                """,
                tz=self._get_tz(),
                ids=ids,
            )
        )
        for debit_id, credit_id, paid, created, debit, credit in rows:
            seen = known_since(paid, created)
            for line_id, amount in ((debit_id, debit), (credit_id, credit)):
                if line := lines.get(line_id):
                    line.matches.append((seen, paid, Decimal(str(amount))))

    def _get_tz(self):
        return self.company_id.billing_tz or "UTC"

    def _read_cases(self, lines):
        """Block what was disputed, promised or held, on the days it was so."""
        by_move = defaultdict(list)
        for line in lines.values():
            by_move[line.move_id].append(line)
        events = self.env["crm.billing.event"].search_fetch(
            [
                ("dunning_case_id.move_id", "in", list(by_move)),
                ("action", "in", [*BEGINS, *ENDS]),
            ],
            ["action", "create_date", "dunning_case_id"],
            order="id",
        )
        for case, logged in events.grouped("dunning_case_id").items():
            blocks = self._get_blocks(logged)
            for line in by_move[case.move_id.id]:
                line.blocks += blocks

    def _get_blocks(self, events):
        """Return ``(reason, first day, first free day)`` of the events of one case."""
        zone = pytz.timezone(self._get_tz())
        begun, blocks = {}, []
        for event in events:
            day = pytz.utc.localize(event.create_date).astimezone(zone).date()
            if event.action in BEGINS:
                begun.setdefault(BEGINS[event.action], day)
            for reason in ENDS.get(event.action, ()):
                if reason in begun:
                    blocks.append((reason, begun.pop(reason), day))
        return blocks + [(reason, day, None) for reason, day in begun.items()]

    def _read_tokens(self, payers):
        """Return from which day each payer had a saved method that can be charged."""
        # Tokens are looked at, not shown.
        rows = (
            self.env["payment.token"]
            .sudo()
            ._read_group(
                [
                    ("partner_id.commercial_partner_id", "in", payers.ids),
                    ("company_id", "=", self.company_id.id),
                ],
                ["partner_id"],
                ["create_date:min"],
            )
        )
        found = {}
        for partner, moment in rows:
            payer_id, day = partner.commercial_partner_id.id, moment.date()
            found[payer_id] = min(found.get(payer_id, day), day)
        return found
