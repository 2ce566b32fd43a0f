"""What the run reads of a chunk of payers, in a constant number of queries."""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

import pytz

from odoo import api, models
from odoo.tools import SQL

from ..dunning_rules.ladder import Decision, decide
from ..dunning_rules.situation import Instalment, Situation
from .crm_dunning_notice import SAID

# Reasons that hold a whole payer are decided with the payer, not per invoice.
PAYER_REASONS = ("with_person", "bank_data")


@dataclass
class Conversation:
    """One payer, company and currency on one local day, and what is decided of it."""

    payer: object
    company: object
    currency: object
    policy: object
    today: date
    situation: Situation
    rows: dict = field(default_factory=dict)  # line id: OpenInstalment
    decision: Decision | None = None
    tone: str | None = None
    tone_reason: str | None = None
    unreachable: bool = False  # no address of the payer takes mail

    @property
    def key(self):
        return self.payer.id, self.company.id, self.currency.id

    @property
    def is_dry_run(self):
        return self.policy.state != "armed"


class CrmDunningCase(models.Model):
    _inherit = "crm.dunning.case"

    # === BUSINESS METHODS - READ AND DECIDE === #

    @api.model
    def _decide_follow_up(self, now, payer_ids, company_ids=None):
        """Return what is to be done of these payers at ``now``, nothing written.

        :param now: instant, naive UTC
        :param payer_ids: ids of paying accounts (commercial entities)
        :return: list of :class:`Conversation` with their decisions, oldest debt first
        """
        conversations = self._read_conversations(now, payer_ids, company_ids)
        ladders = {}
        for one in conversations:
            if one.policy not in ladders:
                ladders[one.policy] = one.policy._to_steps("due")
            limit = one.policy.bank_data_limit_days
            one.decision = decide(
                ladders[one.policy],
                one.situation,
                threshold=one.policy._get_threshold(one.currency),
                gap_days=one.policy.min_gap_days,
                bank_data_limit=limit if limit > 0 else None,
                upcoming_days=one.policy.upcoming_days,
            )
        return conversations

    @api.model
    def _read_conversations(self, now, payer_ids, company_ids=None):
        instalments = self.env["account.move.line"]._get_open_instalments(
            partner_ids=payer_ids, company_ids=company_ids
        )
        groups = defaultdict(list)
        for rows in instalments.values():
            for row in rows:
                groups[row.partner_id, row.company_id, row.currency_id].append(row)
        moves = self.env["account.move"].browse(instalments)
        reader = _Reader(self, now, moves, list(groups))
        return [
            conversation
            for key, rows in groups.items()
            if (conversation := reader.read_conversation(key, rows))
        ]

    @api.model
    def _read_ladder(self, move_ids):
        """Return ``{line id: [(days, kind)]}`` of the ledger, what is void left out."""
        self.env["crm.dunning.notice.line"].flush_model()
        rows = self.env.execute_query(
            SQL(
                "SELECT line_id, days, kind FROM crm_dunning_notice_line"
                " WHERE move_id = ANY(%s) AND trigger = 'due'"
                " AND kind IN ('listed', 'skipped', 'done', 'dry_run')",
                list(move_ids),
            )
        )
        found = defaultdict(list)
        for line_id, days, kind in rows:
            found[line_id].append((days, kind))
        return found

    @api.model
    def _read_last_messages(self, keys):
        """Return ``{(payer, company, currency): {is dry run: local date}}``."""
        self.env["crm.dunning.notice"].flush_model()
        rows = self.env.execute_query(
            SQL(
                """
                SELECT partner_id, company_id, currency_id, state = 'dry_run',
                       max(date)
                  FROM crm_dunning_notice
                 WHERE partner_id = ANY(%s) AND kind != 'record'
                   AND state = ANY(%s)
              GROUP BY partner_id, company_id, currency_id, state = 'dry_run'
                """,
                list({payer_id for payer_id, _company, _currency in keys}),
                [*SAID, "dry_run"],
            )
        )
        found = defaultdict(dict)
        for payer_id, company_id, currency_id, is_dry, last in rows:
            found[payer_id, company_id, currency_id][is_dry] = last
        return found

    @api.model
    def _read_credits(self, keys):
        """Return ``{(payer, company, currency): Decimal}`` of what is not applied."""
        rows = self.env.execute_query(
            SQL(
                """
                SELECT payer.commercial_partner_id, line.company_id, line.currency_id,
                       -sum(line.amount_residual_currency)
                  FROM account_move_line line
                  JOIN res_partner payer ON payer.id = line.partner_id
                  JOIN account_account account ON account.id = line.account_id
                   AND account.account_type = 'asset_receivable'
                 WHERE line.reconciled IS NOT TRUE AND line.parent_state = 'posted'
                   AND line.amount_residual_currency < 0
                   AND payer.commercial_partner_id = ANY(%s)
              GROUP BY payer.commercial_partner_id, line.company_id, line.currency_id
                """,
                list({payer_id for payer_id, _company, _currency in keys}),
            )
        )
        return {tuple(key): Decimal(str(amount)) for *key, amount in rows}

    @api.model
    def _read_taken_over(self, keys):
        """Return the ``(payer, company)`` with whom a person has taken over (9.4)."""
        self.env["crm.dunning.case"].flush_model()
        rows = self.env.execute_query(
            SQL(
                "SELECT DISTINCT partner_id, company_id FROM crm_dunning_case"
                " WHERE state != 'closed' AND taken_over_at IS NOT NULL"
                " AND partner_id = ANY(%s)",
                list({payer_id for payer_id, _company, _currency in keys}),
            )
        )
        return {tuple(row) for row in rows}


class _Reader:
    """Reads once for many conversations, then puts each together."""

    def __init__(self, cases, now, moves, keys):
        self.env, self.now = cases.env, now
        self.blocks = {
            move.id: reason
            for move, reason in moves._get_dunning_blocks(now).items()
            if reason not in PAYER_REASONS
        }
        self.ladder = cases._read_ladder(moves.ids)
        self.last = cases._read_last_messages(keys)
        self.credits = cases._read_credits(keys)
        self.taken_over = cases._read_taken_over(keys)
        self.delays = cases._read_delays(moves.ids)
        self.policies, self.ages = {}, {}
        payers = self.env["res.partner"].browse({key[0] for key in keys})
        self.payers = {payer.id: payer for payer in payers}
        companies = self.env["res.company"].browse({key[1] for key in keys})
        for company in companies:
            self.ages[company.id] = company._get_bank_data_age(now)
            found = payers._get_dunning_policies(company)
            self.policies[company.id] = found

    def read_conversation(self, key, rows):
        """Return the conversation, or nothing for a payer whom no policy follows."""
        payer_id, company_id, currency_id = key
        policy = self.policies[company_id].get(payer_id)
        if not policy:
            return None
        payer = self.payers[payer_id]
        company = self.env["res.company"].browse(company_id)
        currency = self.env["res.currency"].browse(currency_id)
        today = payer._get_dunning_today(company, self.now)
        is_dry = policy.state != "armed"
        situation = Situation(
            today=today,
            currency=currency.name,
            instalments=tuple(self._to_instalment(row, is_dry) for row in rows),
            credits=self.credits.get(key, Decimal(0)),
            last_message=self.last[key].get(is_dry),
            bank_data_age=self.ages[company_id],
            is_with_person=(payer_id, company_id) in self.taken_over,
        )
        return Conversation(
            payer=payer,
            company=company,
            currency=currency,
            policy=policy,
            today=today,
            situation=situation,
            rows={row.line_id: row for row in rows},
        )

    def _to_instalment(self, row, is_dry):
        kinds = {"listed", "skipped", "done"} | ({"dry_run"} if is_dry else set())
        blocked = self.blocks.get(row.move_id)
        if row.is_retention:
            blocked = "retention"
        elif row.no_followup:
            blocked = blocked or "no_followup"
        return Instalment(
            key=row.line_id,
            due=row.due,
            residual=row.residual,
            noticed=frozenset(
                days for days, kind in self.ladder[row.line_id] if kind in kinds
            ),
            blocked=blocked,
            total=row.total,
            since=row.invoice_date,
            delay=self._get_delay(row),
        )

    def _get_delay(self, row):
        """Return by how many days a person moved the steps when giving it back."""
        resumed_on, days = self.delays.get(row.move_id, (None, 0))
        if not resumed_on:
            return 0
        return max(0, (resumed_on - row.due).days - days)


class ResPartner(models.Model):
    _inherit = "res.partner"

    def _get_dunning_tz(self, company):
        """Return the zone whose calendar counts for this payer."""
        return self.billing_tz or company.billing_tz or "UTC"

    def _get_dunning_today(self, company, now):
        """Return the local date of the payer at ``now`` (naive UTC)."""
        zone = pytz.timezone(self._get_dunning_tz(company))
        return pytz.utc.localize(now).astimezone(zone).date()
