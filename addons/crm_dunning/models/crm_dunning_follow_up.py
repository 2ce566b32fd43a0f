import datetime
import logging

import psycopg2
import pytz

from odoo import api, fields, models
from odoo.exceptions import LockError, UserError
from odoo.tools import SQL, split_every

from odoo.addons.crm_billing_handoff.models.crm_billing_handoff import ACTIVITY_BILLING
from odoo.addons.crm_billing_handoff.models.crm_billing_handoff_job import LOCK_PATIENCE

_logger = logging.getLogger(__name__)

# Payers, one commit each. A chunk costs some fifty queries whatever its size, and a few
# seconds at this one.
CHUNK_SIZE = 500
PAYER_LOCK = 20262  # the class of the advisory locks, the other key is the payer
HELD_PATIENCE = datetime.timedelta(minutes=1)
# Rows of ir.cron on the same method: one row never runs twice at once.
LANES = ("ir_cron_follow_up", "ir_cron_follow_up_2")


class CrmDunningCase(models.Model):
    """The reminder run: claim payers in chunks, decide, write, one commit each."""

    _inherit = "crm.dunning.case"

    # === BUSINESS METHODS - THE RUN === #

    @api.model
    def _cron_follow_up(self, now=None, chunk_size=CHUNK_SIZE):
        """Remind, skip and hand over what is due at ``now``, each payer on its date.

        One commit a chunk. Lanes share the work: each claims payers that nobody else
        holds; what somebody holds is looked at again in a minute. A lost race is
        nobody's fault: roll back, and try again.

        :param now: instant, naive UTC, the clock by default
        """
        # Whichever user an administrator lets the job run as: it is the flow itself.
        self = self.sudo().with_context(active_test=False)
        now = now or fields.Datetime.now()
        commit_progress = self.env["ir.cron"]._commit_progress
        held = []
        try:
            payer_ids = self._find_follow_ups(now)
            commit_progress(remaining=len(payer_ids))
            for chunk in split_every(chunk_size, payer_ids, list):
                # What the other lane did by now is seen: the locks begin a transaction.
                commit_progress()
                ours = self._lock_payers(chunk)
                held += set(chunk) - set(ours)
                held += self._follow_up_or_bisect(now, ours)
                if not commit_progress(len(chunk)):
                    return
            self._follow_failures(now)
            self._announce_charges(now)
            self._release_waves(now)
            commit_progress(remaining=0)
        except self._get_lost_races():
            _logger.info("Payers changed while they were reminded, trying again later")
            self.env.cr.rollback()
            held = True
        if held:
            self._trigger_follow_up(at=fields.Datetime.now() + HELD_PATIENCE)

    @api.model
    def _trigger_follow_up(self, at=None):
        """Wake the run in all its lanes, right after this transaction or ``at`` UTC."""
        for lane in LANES:
            cron = self.env.ref(f"crm_dunning.{lane}", raise_if_not_found=False)
            if cron:
                cron.sudo()._trigger(at=at)

    @api.model
    def _get_lost_races(self):
        """Return what is nobody's bad record: somebody else was faster."""
        return (
            psycopg2.OperationalError,
            psycopg2.errors.UniqueViolation,
            LockError,
        )

    @api.model
    def _lock_payers(self, payer_ids):
        """Return those payers that are ours until the end of the transaction."""
        rows = self.env.execute_query(
            SQL(
                "SELECT id FROM unnest(%s) id, set_config('lock_timeout', %s, true)"
                " WHERE pg_try_advisory_xact_lock(%s, id)",
                list(payer_ids),
                LOCK_PATIENCE,
                PAYER_LOCK,
            )
        )
        return [payer_id for [payer_id] in rows]

    @api.model
    def _follow_up_or_bisect(self, now, payer_ids, **scope):
        """Follow up at once; on failure halve the payers until the culprit is alone.

        :param scope: further arguments of :meth:`_follow_up`
        :return: ids of payers of whom somebody else wrote the same; they wait
        """
        if not payer_ids:
            return []
        try:
            with self.env.cr.savepoint():
                self._follow_up(now, payer_ids, **scope)
            return []
        except psycopg2.errors.UniqueViolation:
            # A row that is there already must not stop the others either.
            self.env.invalidate_all()
            if len(payer_ids) == 1:
                return payer_ids
        except self._get_lost_races():
            raise
        except Exception as error:
            # Whatever one customer breaks must not stop the others.
            self.env.invalidate_all()
            if len(payer_ids) == 1:
                self._set_follow_up_error(now, payer_ids[0], error)
                return []
        half = len(payer_ids) // 2
        return [
            *self._follow_up_or_bisect(now, payer_ids[:half], **scope),
            *self._follow_up_or_bisect(now, payer_ids[half:], **scope),
        ]

    @api.model
    def _follow_up(self, now, payer_ids, company_ids=None, excluded=()):
        """Decide and write for these payers, whose locks the caller holds.

        :param now: instant, naive UTC
        :param excluded: ``(payer id, company id, currency id)`` that a person leaves
            out: their steps are recorded as skipped
        :return: the notices
        """
        todo = self._filter_open_hours(
            now, self._decide_follow_up(now, payer_ids, company_ids)
        )
        left_out = [one for one in todo if one.key in excluded]
        self._leave_out(left_out)
        return self._apply_follow_up(now, [one for one in todo if one not in left_out])

    @api.model
    def _filter_open_hours(self, now, conversations):
        """Return those to whom something may be said now by their policy's hours.

        The others are found again by the next run.
        """
        is_open = {}
        for one in conversations:
            key = (one.policy, one.payer._get_dunning_tz(one.company))
            if key not in is_open:
                is_open[key] = one.policy._get_window(key[1]).is_open(now)
        return [
            one
            for one in conversations
            if is_open[one.policy, one.payer._get_dunning_tz(one.company)]
        ]

    # === BUSINESS METHODS - FINDING === #

    @api.model
    def _find_follow_ups(self, now):
        """Return ids of payers with an instalment at a step that is not recorded yet.

        One query over what is open, whatever is closed; each payer by its local date.
        Who follows another policy than the one whose step was found is left out.

        :param now: instant, naive UTC
        """
        ladders = self._get_all_rungs()
        if not ladders:
            return []
        self.env.flush_all()
        payers = {}
        for payer_id, company_id, policy_ids in self._query_follow_ups(now, ladders):
            payers.setdefault(company_id, {})[payer_id] = set(policy_ids)
        found = set()
        for company_id, wanted in payers.items():
            company = self.env["res.company"].browse(company_id)
            followed = (
                self.env["res.partner"].browse(wanted)._get_dunning_policies(company)
            )
            found.update(
                payer_id
                for payer_id, policy in followed.items()
                if policy.id in wanted[payer_id]
            )
        return sorted(found)

    @api.model
    def _get_all_rungs(self):
        """Return ``[(policy id, days, is dry run)]`` of every step that there is."""
        policies = self.env["crm.dunning.policy"].search([("active", "=", True)])
        return [
            (policy.id, step.offset, policy.state != "armed")
            for policy in policies
            for step in policy._to_steps("due")
        ]

    @api.model
    def _query_follow_ups(self, now, rungs):
        zones = _get_local_dates(now)
        return self.env.execute_query(
            SQL(
                """
                WITH zone AS (
                    SELECT * FROM unnest(%(names)s, %(days)s::date[]) AS z (name, today)
                ), rung AS (
                    SELECT * FROM unnest(%(policies)s, %(offsets)s, %(dry)s)
                        AS r (policy_id, days, is_dry)
                )
                SELECT move.commercial_partner_id, move.company_id,
                       array_agg(DISTINCT rung.policy_id)
                  FROM account_move_line line
                  JOIN account_move move ON move.id = line.move_id
                  JOIN res_partner payer ON payer.id = move.commercial_partner_id
                  JOIN res_company company ON company.id = move.company_id
                  JOIN zone
                    ON zone.name = COALESCE(payer.billing_tz, company.billing_tz, 'UTC')
             LEFT JOIN crm_dunning_case one
                    ON one.move_id = move.id AND one.state != 'closed'
                  JOIN rung
                    ON line.date_maturity + rung.days
                       -- Given back by a person at a step: the steps move on with it.
                       + GREATEST(0, COALESCE(one.resumed_on - line.date_maturity
                                              - one.resume_days, 0)) <= zone.today
                   AND (rung.days >= 0
                        OR line.date_maturity + rung.days >= move.invoice_date)
                 WHERE %(is_open)s
                   AND line.date_maturity <= %(horizon)s
                   AND line.no_followup IS NOT TRUE
                   AND line.billing_is_retention IS NOT TRUE
                   AND move.payment_state != 'blocked'
                   AND payer.active
                   AND COALESCE(one.state, '') NOT IN ('dispute', 'verifying')
                   AND COALESCE(one.promise_date < zone.today, TRUE)
                   AND NOT EXISTS (
                       SELECT FROM crm_dunning_notice_line done
                        WHERE done.line_id = line.id AND done.days = rung.days
                          AND done.trigger = 'due'
                          AND (done.kind IN ('listed', 'skipped', 'done')
                               OR rung.is_dry AND done.kind = 'dry_run'))
                   AND NOT EXISTS (
                       SELECT FROM crm_dunning_case person
                        WHERE person.partner_id = payer.id AND person.state != 'closed'
                          AND person.taken_over_at IS NOT NULL
                          AND person.company_id = move.company_id)
                   AND NOT EXISTS (
                       SELECT FROM crm_dunning_notice failed
                        WHERE failed.partner_id = payer.id
                          AND failed.company_id = move.company_id
                          AND failed.state = 'failed' AND failed.date >= zone.today)
              GROUP BY move.commercial_partner_id, move.company_id
                """,
                names=list(zones),
                days=list(zones.values()),
                policies=[policy_id for policy_id, _days, _dry in rungs],
                offsets=[days for _policy_id, days, _dry in rungs],
                dry=[is_dry for _policy_id, _days, is_dry in rungs],
                is_open=self.env["account.move.line"]._get_dunning_open_condition(),
                horizon=max(zones.values())
                - datetime.timedelta(days=min(days for _p, days, _d in rungs)),
            )
        )

    # === BUSINESS METHODS - FAILURES === #

    @api.model
    def _set_follow_up_error(self, now, payer_id, error):
        """Keep why a payer was not reminded, in words, and ask Billing once.

        It is tried again on its next local day, or when somebody asks for it.
        """
        if isinstance(error, UserError | ValueError):
            reason = str(error.args[0]) if error.args else str(error)
        else:
            _logger.exception("Follow-up of payer %s failed", payer_id, exc_info=error)
            reason = self.env._(
                "The reminder could not be made: %(error)s. Tell your administrator.",
                error=error,
            )
        payer = self.env["res.partner"].browse(payer_id)
        instalments = self.env["account.move.line"]._get_open_instalments(
            partner_ids=[payer_id]
        )
        for rows in self._group_by_company(instalments).values():
            self.env["crm.dunning.notice"]._record_failure(payer, rows, now, reason)

    @api.model
    def _group_by_company(self, instalments):
        found = {}
        for rows in instalments.values():
            found.setdefault(rows[0].company_id, []).extend(rows)
        return found


class AccountMove(models.Model):
    _inherit = "account.move"

    def _ask_collections(self, summary, note, user=None):
        """Leave one task of collections on each invoice; an open one is renewed.

        Renewed only with the same summary: different tasks stand beside each other.
        """
        for move in self:
            activity = move.activity_search([ACTIVITY_BILLING]).filtered(
                lambda one: one.summary == summary
            )[:1]
            if activity:
                activity.note = note
                continue
            move.activity_schedule(
                ACTIVITY_BILLING,
                summary=summary,
                note=note,
                user_id=(user or move.company_id._get_billing_responsible()).id,
            )


def _get_local_dates(now):
    """Return ``{zone: local date}``; at any instant the world has three at most."""
    instant = pytz.utc.localize(now)
    return {
        name: instant.astimezone(pytz.timezone(name)).date()
        for name in pytz.all_timezones
    }
