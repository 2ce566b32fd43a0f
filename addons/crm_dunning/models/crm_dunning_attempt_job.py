"""The jobs: charge what is due, find out what is not known."""

import contextlib
import logging
import traceback
from datetime import timedelta

import psycopg2

from odoo import api, fields, models
from odoo.fields import Domain
from odoo.tools import SQL, split_every

from .crm_dunning_attempt import LIVE_STATES

# Rows of ir.cron on the same method: one row never runs twice at once.
JOBS = {
    "charge": ("ir_cron_charge", "ir_cron_charge_2"),
    "reconcile": ("ir_cron_reconcile",),
}
# What fell due longer ago is reminded of, not charged out of the blue.
CHARGED_DAYS = 60
BATCH = 200  # questions in one run
CHUNK = 500
POSTPONED = timedelta(days=3)  # by a limit of the card; longer, a person is asked
PATIENCE = timedelta(minutes=2)  # until an attempt that somebody sends is looked at
PERSON_AFTER = timedelta(hours=2)  # with an unknown outcome
DEBIT_ENDS = timedelta(days=21)
LATER = timedelta(minutes=30)  # between two questions, once a person was asked
DEBIT_PATIENCE = timedelta(hours=6)  # between two questions about a debit

_logger = logging.getLogger(__name__)


class CrmDunningAttempt(models.Model):
    """One commit an attempt, several lanes; the provider is called outside of them."""

    _inherit = "crm.dunning.attempt"

    @api.model
    def _trigger_job(self, job, at=None):
        """Wake a job, at an instant (naive UTC) or now."""
        for name in JOBS[job][:1]:
            cron = self.env.ref(f"crm_dunning.{name}", raise_if_not_found=False)
            if cron:
                cron.sudo()._trigger(at)

    # === BUSINESS METHODS - CHARGING === #

    @api.model
    def _cron_charge(self, now=None):
        """Charge what is due for the first time, and the retries that are due.

        :param now: instant (naive UTC), the clock by default
        """
        # Whichever user an administrator lets the job run as: it is the flow itself.
        self = self.sudo()
        is_given = now is not None
        now = now or fields.Datetime.now()
        commit_progress = self.env["ir.cron"]._commit_progress
        todo = self._find_to_charge(now)
        commit_progress(remaining=len(todo))
        for source, move_id in todo:
            moment = now if is_given else fields.Datetime.now()
            self._charge_one(self.env["account.move"].browse(move_id), source, moment)
            if not commit_progress(1):
                return
        self._hand_over_hard_declines(now)
        commit_progress()

    @contextlib.contextmanager
    def _isolated(self, record):
        """Let nothing that breaks at one record stop the others.

        A lost race is nobody's fault: another worker, the customer or a clerk was
        faster, and the record is looked at again next time.
        """
        try:
            yield
        except psycopg2.Error:
            _logger.info("%s changed meanwhile", record)
            self._rollback()
        except Exception as error:
            # The trace without the message, which may quote what a customer wrote.
            trace = "".join(traceback.format_tb(error.__traceback__))
            name = type(error).__name__
            self._rollback()
            _logger.error("%s could not be followed, %s:\n%s", record, name, trace)

    @api.model
    def _charge_one(self, move, source, now):
        """Prove what is open of one invoice, then charge it; one at a time."""
        attempts = self.browse()
        with self._isolated(move):
            self._commit()
            move._prove_transactions(now)
            attempts = self._start(move, source, now)
            if not attempts:
                self._plan_obstructed(move, source, now)
            self._commit()
        for attempt in attempts:
            attempt._send(now)

    def _plan_obstructed(self, move, source, now):
        """Plan anew, or hand over, what cannot be charged for long or for ever."""
        if self._get_blocks(move, source, now):
            return
        case = move.dunning_case_ids.filtered(lambda case: case.state != "closed")
        amount = move._get_charge_amounts(source, now)[move]
        if not amount > 0:
            case._cure()
            return
        if move._is_charged_before(amount):
            self._hand_over_charged_before(move)
            return
        policy = move._get_charge_policies()[move]
        if policy.charge_mode == "none":
            case._drop_try()
            return
        token = move._get_dunning_token()
        if not token or self._is_refused_for_good(move, token):
            if source == "retry":
                case._drop_try()
                case._judge_hard_declines(now) if token else case._take_over(
                    "no_method"
                )
            return
        verdict = self._get_cap_verdict(move, token, policy, now)
        if verdict.allowed:
            return
        case = self.env["crm.dunning.case"]._open_for(move)
        if verdict.not_before and verdict.not_before <= now + POSTPONED:
            case.write({"next_try_at": verdict.not_before, "state": "retrying"})
        else:
            case._take_over("retries")

    @api.model
    def _find_to_charge(self, now):
        """Return ``[(source, id of the invoice)]``, planned tries first.

        What the pre-flight stops is left out here, for all at once: what is blocked
        for weeks never stands in the way of the others.
        """
        retries = self._find_retries(now)
        planned = set(retries)
        due = [one for one in self._find_due(now) if one not in planned]
        moves = self.env["account.move"].browse([*retries, *due])
        blocked = set()
        for chunk in split_every(CHUNK, moves.ids, moves.browse):
            blocked.update(one.id for one in chunk._get_dunning_blocks(now, "charge"))
        return [
            (source, move_id)
            for source, ids in (("retry", retries), ("due", due))
            for move_id in ids
            if move_id not in blocked
        ]

    @api.model
    def _find_retries(self, now):
        """Return ids of invoices with a try that is due; costs what is due, no more."""
        self.env["crm.dunning.case"].flush_model()
        rows = self.env.execute_query(
            SQL(
                """
                SELECT one.move_id
                  FROM crm_dunning_case one
                 WHERE one.next_try_at <= %s
                   AND one.state IN ('automatic', 'retrying')
              ORDER BY one.next_try_at, one.id
                """,
                now,
            )
        )
        return [move_id for [move_id] in rows]

    @api.model
    def _find_due(self, now):
        """Return ids of invoices with an instalment that is charged for the first time.

        Of payers with a saved method, due since charging was switched on, at most
        `CHARGED_DAYS` ago, and not failed since. A policy that charges at posting looks
        at invoices made since it was armed, whenever they are due.
        """
        found = []
        for mode in ("due", "posting"):
            policies = self.env["crm.dunning.policy"].search(
                [("state", "=", "armed"), ("charge_mode", "=", mode)]
            )
            if policies:
                found += self._find_due_lines(policies, mode, now)
        return list(dict.fromkeys(found))

    def _find_due_lines(self, policies, mode, now):
        """Return the ids for policies of one mode.

        :param mode: ``due`` or ``posting``
        """
        armed = min(policy._get_armed_at() for policy in policies)
        first = max(armed.date(), now.date()) - timedelta(days=CHARGED_DAYS)
        ahead = timedelta(days=1 if mode == "due" else 3650)
        self.env["account.move.line"].flush_model()
        self.env["crm.dunning.case"].flush_model()
        self.env["payment.token"].flush_model()
        rows = self.env.execute_query(
            SQL(
                """
                SELECT line.move_id
                  FROM account_move_line line
                  JOIN account_move move ON move.id = line.move_id
             LEFT JOIN crm_dunning_case one
                    ON one.move_id = line.move_id AND one.state != 'closed'
                 WHERE line.display_type = 'payment_term'
                   AND line.parent_state = 'posted'
                   AND line.reconciled IS NOT TRUE
                   AND line.amount_residual_currency > 0
                   AND line.date_maturity BETWEEN %(first)s AND %(last)s
                   AND line.billing_is_retention IS NOT TRUE
                   AND line.no_followup IS NOT TRUE
                   AND move.move_type = 'out_invoice'
                   AND (%(at_due)s OR move.create_date >= %(armed)s)
                   AND one.first_failure_at IS NULL AND one.next_try_at IS NULL
                   AND COALESCE(one.state, 'automatic') = 'automatic'
                   AND EXISTS (
                       SELECT FROM payment_token token
                         JOIN payment_provider provider
                           ON provider.id = token.provider_id AND provider.dunning_armed
                         JOIN res_partner contact ON contact.id = token.partner_id
                        WHERE contact.commercial_partner_id = move.commercial_partner_id
                          AND token.active AND token.dunning_blocked_class IS NULL)
              ORDER BY line.date_maturity, line.id
                """,
                first=first,
                last=now.date() + ahead,  # east of Greenwich it is later
                at_due=mode == "due",
                armed=armed,
            )
        )
        moves = self.env["account.move"].browse(
            dict.fromkeys(move_id for [move_id] in rows)
        )
        return moves._filtered_to_charge(policies, now).ids

    @api.model
    def _hand_over_hard_declines(self, now):
        """Look at failed cases that nothing is tried for: has their time come?

        Not where what failed is paid, nor what a person has given back since.
        """
        cases = self.env["crm.dunning.case"].search(
            [
                ("first_failure_at", "!=", False),
                ("next_try_at", "=", False),
                ("state", "in", ("automatic", "retrying")),
            ]
        )
        amounts = cases.move_id._get_charge_amounts("due", now)
        for case in cases.filtered(lambda case: amounts[case.move_id] > 0):
            with self._isolated(case):
                if case._is_given_back():
                    continue
                case._judge_hard_declines(now)
                self._commit()

    # === BUSINESS METHODS - FINDING OUT === #

    @api.model
    def _cron_reconcile(self, now=None):
        """Ask the provider about everything whose outcome is not known.

        An attempt that somebody sends in this moment is left alone for a while.

        :param now: instant (naive UTC), the clock by default
        """
        self = self.sudo()
        now = now or fields.Datetime.now()
        commit_progress = self.env["ir.cron"]._commit_progress
        attempts = self._find_unknown(now)
        transactions = self.env["payment.transaction"]._find_unknown(now)
        commit_progress(remaining=len(attempts) + len(transactions))
        for attempt in attempts:
            attempt._send(now)
            with self._isolated(attempt):
                attempt._ask_person(now)
            if not commit_progress(1):
                return
        for transaction in transactions:
            with self._isolated(transaction):
                if not transaction._prove(now):
                    transaction._ask_person(now - PERSON_AFTER)
            if not commit_progress(1):
                return

    @api.model
    def _find_unknown(self, now):
        """Return the live attempts that it is time to ask about, longest unasked first.

        A debit takes days, and where a person was asked there is no hurry either.
        """
        lost = Domain("state", "in", ("sending", "verifying"))
        waits = (
            (lost & Domain("asked_at", "=", False), PATIENCE),
            (lost & Domain("asked_at", "!=", False), LATER),
            (Domain("state", "=", "processing"), DEBIT_PATIENCE),
        )
        due = Domain("state", "in", LIVE_STATES) & Domain("checked_at", "=", False)
        for domain, patience in waits:
            due |= domain & Domain("checked_at", "<=", now - patience)
        due |= lost & Domain("checked_at", ">", now + LATER)  # the clock was set back
        return self.search(due, order="checked_at nulls first, id", limit=BATCH)

    def _ask_person(self, now):
        """After two hours without an answer a person is asked; asking goes on (9).

        Of a debit after fifteen bank days, the longest that one takes.
        """
        self.invalidate_recordset()
        patience = DEBIT_ENDS if self.state == "processing" else PERSON_AFTER
        is_late = (self.sent_at or self.create_date) <= now - patience
        if self.asked_at or not is_late or self.state not in LIVE_STATES:
            return
        self.asked_at = now
        if self.move_id.move_type == "out_invoice":
            note = self.env._(
                "Whether %(amount)s of %(reference)s moved is not known. The provider "
                "is asked on and on; nothing else is charged meanwhile. Look there.",
                amount=self.currency_id.format(abs(self.amount)),
                reference=self.reference,
            )
            self._get_case()._take_over("unknown", note)
        self._commit()

    def _show_verifying(self):
        """Let the case say that the outcome of its charge is not known."""
        if self.kind != "charge":
            return
        case = self._get_case()
        if case.state in ("automatic", "retrying"):
            case.write({"state": "verifying", "next_try_at": False})
            case._refresh_next_action(fields.Datetime.now())


class CrmDunningPolicy(models.Model):
    _inherit = "crm.dunning.policy"

    def _get_armed_at(self):
        """Return since when (naive UTC) this policy charges."""
        self.ensure_one()
        return self.armed_at or self.create_date


class AccountMove(models.Model):
    _inherit = "account.move"

    # === BUSINESS METHODS - AUTOMATIC CHARGES === #

    def _filtered_to_charge(self, policies, now):
        """Return the invoices that one of ``policies`` charges by itself at ``now``."""
        chosen = self._get_charge_policies()
        amounts = self._get_charge_amounts("due", now, chosen)
        hours = {}

        def is_open_hour(move):
            payer = move.commercial_partner_id
            key = chosen[move], payer._get_dunning_tz(move.company_id)
            if key not in hours:
                hours[key] = key[0]._get_window(key[1]).is_open(now)
            return hours[key]

        return self._filtered_charge_coming(now, chosen).filtered(
            lambda move: (
                chosen[move] in policies
                and amounts[move] > 0
                and is_open_hour(move)
                and move._is_announced(chosen[move], now)
            )
        )

    def _filtered_charge_coming(self, now, chosen=None):
        """Return the invoices with something that was charged or will be by itself.

        Only what fell due, on the payer's date, since the policy was armed: arming
        charges nobody for the past. Nor is charged, but reminded of, what has been due
        for `CHARGED_DAYS` and more.

        :param chosen: ``{move: policy}``, if it is known
        """
        chosen = chosen or self._get_charge_policies()
        rows = self.env["account.move.line"]._get_open_instalments(move_ids=self.ids)
        return self.filtered(
            lambda move: (
                (policy := chosen[move]).state == "armed"
                and policy.charge_mode != "none"
                and move._is_due_since(policy._get_armed_at(), rows, now)
            )
        )

    def _is_due_since(self, armed_at, rows, now):
        payer, company = self.commercial_partner_id, self.company_id
        today = payer._get_dunning_today(company, now)
        first = max(
            payer._get_dunning_today(company, armed_at),
            today - timedelta(days=CHARGED_DAYS),
        )
        return any(row.due >= first for row in rows.get(self.id, ()))

    def _is_announced(self, policy, now):
        """Return whether the customer was told of this charge, as the policy promises.

        Each instalment is announced for its own day; what counts is the latest.
        """
        if not policy.announce_days or policy.charge_mode != "due":
            return True
        today = self.commercial_partner_id._get_dunning_today(self.company_id, now)
        rows = self.env["account.move.line"]._get_open_instalments(move_ids=self.ids)
        due = [row.due for row in rows.get(self.id, ()) if row.due <= today]
        # What is said of an invoice is not everybody's to read.
        told = self.env["crm.dunning.notice"].sudo()
        return bool(
            due
            and told.search_count(
                [
                    ("move_id", "=", self.id),
                    ("kind", "=", "announcement"),
                    ("state", "=", "sent"),
                    ("charge_on", "=", max(due)),
                ],
                limit=1,
            )
        )

    def _filtered_automatic(self):
        """Override to remind of what no job will charge after all.

        A provider that is switched off, a method that is locked or does not fit, or
        what fell due before charging was switched on.
        """
        coming = (
            super()._filtered_automatic()._filtered_charge_coming(fields.Datetime.now())
        )
        tokens = coming._get_dunning_tokens()
        return coming.filtered(lambda move: tokens[move].provider_id.dunning_armed)
