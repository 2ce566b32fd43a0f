"""Which fees and interest are due: read, decide in the rules, write once."""

import logging
from datetime import timedelta

import psycopg2

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.tools import SQL, format_date, split_every

from ..dunning_rules.fees import (
    Pause,
    Payment,
    Rate,
    get_interest,
    get_stretches,
    keep_or_waive,
)

_logger = logging.getLogger(__name__)

CHUNK_SIZE = 100
# Switched on today, fees begin with what is sent from now on, not with last year.
WINDOW = timedelta(days=7)
PAUSE_BEGINS = {"disputed": "dispute_ended", "promised": "promise_broken"}
PAUSES_END = ("given_back", "case_closed")


class CrmDunningFee(models.Model):
    _inherit = "crm.dunning.fee"

    # === BUSINESS METHODS - THE JOB === #

    @api.model
    def _cron_fees(self, now=None):
        """Write what is due for the notices of the last days, and make the drafts.

        Running twice changes nothing: each row is unique. One commit a chunk.

        :param now: instant (naive UTC), the clock by default
        """
        # Whichever user an administrator lets the job run as: it is the flow itself.
        self = self.sudo()
        now = now or fields.Datetime.now()
        commit_progress = self.env["ir.cron"]._commit_progress
        rows = self._read_noticed(now) + self._read_paid(now)
        commit_progress(remaining=len(rows))
        try:
            for chunk in split_every(CHUNK_SIZE, rows, list):
                self._charge_or_bisect(chunk)
                if not commit_progress(len(chunk)):
                    return
        except (psycopg2.OperationalError, psycopg2.errors.UniqueViolation):
            _logger.info("Fees changed while they were made, trying again later")
            self.env.cr.rollback()

    def _charge_or_bisect(self, rows):
        """Make the fees of the chunk; if that fails, halve it down to the culprit."""
        if not rows:
            return
        try:
            with self.env.cr.savepoint():
                self._charge(rows)
            return
        except (psycopg2.OperationalError, psycopg2.errors.UniqueViolation):
            raise
        except Exception as error:
            # Whatever one invoice breaks must not stop the others.
            self.env.invalidate_all()
            if len(rows) == 1:
                self._ask_about(rows[0], error)
                return
        half = len(rows) // 2
        self._charge_or_bisect(rows[:half])
        self._charge_or_bisect(rows[half:])

    def _ask_about(self, row, error):
        """Tell Billing once why there is no fee or interest."""
        if not isinstance(error, UserError):
            _logger.exception("Late fee of line %s failed", row[0], exc_info=error)
        line = self.env["account.move.line"].browse(row[0])
        line.move_id._ask_collections(self.env._("No late fee or interest"), str(error))

    def _charge(self, rows):
        """Write the rows of the ledger, and one draft an account.

        :param rows: ``(instalment id, day, notice id, step id, days)``
        """
        charged = self._has_charged_until(rows)
        vals_list = []
        for line_id, day, notice_id, step_id, days in rows:
            facts = _Facts(self.env, line_id, day, notice_id, step_id, days)
            if facts.is_spared:
                continue
            if step_id:
                vals_list += facts.prepare_fee()
            interest = facts.prepare_interest(charged.get(line_id))
            if interest:
                charged[line_id] = day  # the next row goes on after it
            vals_list += interest
        fees = self.create(vals_list)
        fees._log_events("fee_proposed")
        return fees._create_drafts()

    # === BUSINESS METHODS - READING === #

    def _read_noticed(self, now):
        """Return the instalments that mails of the last days named, not yet charged."""
        self.env.flush_all()
        return self.env.execute_query(
            SQL(
                """
                SELECT DISTINCT listed.line_id, listed.date, notice.id,
                       CASE WHEN step.fee_amount > 0 AND fee.id IS NULL
                            THEN step.id END,
                       listed.days
                  FROM crm_dunning_notice_line listed
                  JOIN crm_dunning_notice notice ON notice.id = listed.notice_id
                   AND notice.state IN ('sent', 'bounced')
                   AND notice.kind = 'reminder'
                  JOIN crm_dunning_policy policy ON policy.id = notice.policy_id
                  JOIN account_move move ON move.id = listed.move_id
                   AND move.is_dunning_fee IS NOT TRUE
                   AND move.dunning_outcome IN ('open', 'paid')
             LEFT JOIN crm_dunning_step step ON step.id = listed.step_id
             LEFT JOIN crm_dunning_fee fee ON fee.kind = 'fee'
                   AND fee.line_id = listed.line_id AND fee.days = listed.days
             LEFT JOIN crm_dunning_fee interest ON interest.kind = 'interest'
                   AND interest.line_id = listed.line_id
                   AND interest.date_to >= listed.date
                 WHERE listed.kind = 'listed' AND listed.date >= %(first)s
                   AND listed.date > listed.date_due
                   AND (step.fee_amount > 0 AND fee.id IS NULL
                        OR policy.interest_mode != 'none' AND interest.id IS NULL)
              ORDER BY listed.line_id, listed.date
                """,
                first=(now - WINDOW).date(),
            )
        )

    def _read_paid(self, now):
        """Return noticed instalments paid in the last days: interest up to that day."""
        rows = self.env.execute_query(
            SQL(
                """
                SELECT DISTINCT ON (line.id) line.id, paid.day, notice.id
                  FROM account_move_line line
                  JOIN account_move move ON move.id = line.move_id
                   AND move.is_dunning_fee IS NOT TRUE
                   AND move.dunning_outcome = 'paid'
                  JOIN crm_dunning_notice_line listed ON listed.line_id = line.id
                   AND listed.kind = 'listed'
                  JOIN crm_dunning_notice notice ON notice.id = listed.notice_id
                   AND notice.state IN ('sent', 'bounced')
                   AND notice.kind = 'reminder'
                  JOIN crm_dunning_policy policy ON policy.id = notice.policy_id
                   AND policy.interest_mode != 'none'
                   AND policy.interest_if_paid = 'keep'
                  JOIN LATERAL (
                       SELECT max(max_date) AS day FROM account_partial_reconcile
                        WHERE debit_move_id = line.id) paid ON TRUE
                 WHERE line.reconciled AND paid.day >= %(first)s
                   AND paid.day > line.date_maturity
                   AND NOT EXISTS (
                       SELECT FROM crm_dunning_fee known
                        WHERE known.line_id = line.id AND known.kind = 'interest'
                          AND known.date_to >= paid.day)
              ORDER BY line.id, notice.id DESC
                """,
                first=(now - WINDOW).date(),
            )
        )
        return [(line_id, day, notice, None, None) for line_id, day, notice in rows]


class _Facts:
    """What one instalment and one day are charged for."""

    def __init__(self, env, line_id, day, notice_id, step_id, days):
        self.env, self.day, self.days = env, day, days
        self.line = env["account.move.line"].browse(line_id)
        self.move = self.line.move_id
        self.notice = env["crm.dunning.notice"].browse(notice_id)
        self.policy = self.notice.policy_id
        self.step = env["crm.dunning.step"].browse(step_id)
        self.case = self.move.dunning_case_ids.sorted("id")[-1:]
        self.exact = env["crm.dunning.fee"]._exact

    @property
    def is_spared(self):
        """Whether nothing is asked for while the customer disputes the invoice."""
        return self.case.state == "dispute"

    def prepare_fee(self):
        amount = keep_or_waive(
            self.exact(self.step.fee_amount),
            self.exact(self.line.amount_residual_currency),
            self.policy.interest_if_paid,
        )
        if amount <= 0:
            return []
        words = self.env._(
            "Late fee: %(invoice)s, %(step)s",
            invoice=self.move.name,
            step=self.step.name,
        )
        currency = self.step.currency_id or self.move.currency_id
        return [self._prepare("fee", amount, words, currency)]

    def prepare_interest(self, since):
        """Return the row of interest up to the day, none where nothing is due.

        :param since: last day that was charged before, if any
        :raise UserError: no rate is known for a day
        """
        due = self.line.date_maturity
        if self.policy.interest_mode == "none" or self.day <= max(due, since or due):
            return []
        stretches = get_stretches(
            due,
            self.day,
            self.exact(self.line.amount_currency),
            self._get_rates(due),
            self._get_payments(),
            self._get_pauses(),
            since=since,
        )
        currency = self.line.currency_id
        step = self.exact(currency.rounding).normalize()
        found = get_interest(stretches, step, int(self.policy.interest_basis))
        amount = keep_or_waive(
            found.amount,
            self.exact(self.line.amount_residual_currency),
            self.policy.interest_if_paid,
        )
        if amount <= 0:
            return []
        words = self._explain(stretches, currency)
        row = self._prepare("interest", amount, words, currency)
        return [row | {"date_from": stretches[0].first}]

    def _prepare(self, kind, amount, words, currency):
        return {
            "kind": kind,
            "line_id": self.line.id,
            "origin_move_id": self.move.id,
            "case_id": self.case.id,
            "notice_id": self.notice.id,
            "step_id": self.step.id,
            "days": self.days or 0,
            "currency_id": currency.id,
            "amount": float(amount),
            "date_to": self.day,
            "explanation": words,
        }

    def _get_rates(self, due):
        """Return the yearly rates, the policy's own or those of the law."""
        first = due + timedelta(days=1)
        if self.policy.interest_mode == "rate":
            return [Rate(first, self.exact(self.policy.interest_rate))]
        payer = self.move.commercial_partner_id
        is_business = payer.is_company and not payer.private_customer
        rows = self.env["crm.dunning.interest.rate"]._get_rates(
            payer.country_id, first, self.day, is_business
        )
        return [Rate(start, percent) for start, _end, percent in rows]

    def _get_payments(self):
        return [
            Payment(match.max_date, self.exact(match.debit_amount_currency))
            for match in self.line.matched_credit_ids
        ]

    def _get_pauses(self):
        """Return the local days of disputes and promises, from the log of the case."""
        pauses, begun = [], {}
        for event in self.move.dunning_case_ids.billing_event_ids.sorted("id"):
            day = self.case._get_today(event.create_date)
            if event.action in PAUSE_BEGINS:
                begun.setdefault(PAUSE_BEGINS[event.action], day)
            elif event.action in PAUSES_END:
                pauses += [Pause(start, day) for start in begun.values()]
                begun = {}
            elif event.action in begun:
                pauses.append(Pause(begun.pop(event.action), day))
            elif event.action == "promise_kept" and "promise_broken" in begun:
                pauses.append(Pause(begun.pop("promise_broken"), day))
        return [*pauses, *(Pause(day) for day in begun.values())]

    def _explain(self, stretches, currency):
        """Return the sum in words: each stretch with residual, rate and days."""
        parts = [
            self.env._(
                "%(percent)s %% on %(residual)s for %(days)s days",
                percent=f"{stretch.percent.normalize():f}",
                residual=currency.format(float(stretch.residual)),
                days=stretch.days,
            )
            for stretch in stretches
            if stretch.percent is not None
        ]
        return self.env._(
            "Interest on %(invoice)s until %(day)s: %(parts)s",
            invoice=self.move.name,
            day=format_date(self.env, self.day),
            parts=", ".join(parts),
        )


class CrmDunningCase(models.Model):
    _inherit = "crm.dunning.case"

    dunning_fee_ids = fields.One2many("crm.dunning.fee", "case_id", readonly=True)
    fee_count = fields.Integer(compute="_compute_fee_count")

    @api.depends("dunning_fee_ids")
    def _compute_fee_count(self):
        for case in self:
            case.fee_count = len(case.sudo().dunning_fee_ids)

    def action_view_fees(self):
        """Open the late fees and interest of the invoice."""
        return self._open_list(
            self.env._("Fees and Interest"), "crm.dunning.fee", "case_id"
        )

    def _close(self, reason):
        """Override to waive what accrued, where the policy says so."""
        closing = self.sudo().filtered(lambda case: case.state != "closed")
        result = super()._close(reason)
        waiving = closing.filtered(
            lambda case: reason == "paid" and case.policy_id.interest_if_paid == "waive"
        )
        interest = waiving.dunning_fee_ids.filtered(
            lambda fee: fee.kind == "interest" and fee.state in ("proposed", "draft")
        )
        if interest:
            interest._waive(self.env._("The policy waives it once the debt is paid."))
        return result
