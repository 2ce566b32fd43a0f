import logging

import psycopg2

from odoo import api, fields, models
from odoo.fields import Domain

from .crm_dunning_case_person import GROUP_CLERK, WITH_A_PERSON

_logger = logging.getLogger(__name__)

CHUNK_SIZE = 100


class CrmDunningCase(models.Model):
    """What the passing of days does to cases: promises, holds, deadlines, absences."""

    _inherit = "crm.dunning.case"

    @api.model
    def _cron_cases(self, now=None, chunk_size=CHUNK_SIZE):
        """Look at what a new day changes, each payer on its local date.

        One commit a chunk; what somebody else holds is left to the next run, and a case
        that fails never stops the others.

        :param now: instant (naive UTC), the clock by default
        """
        # Whichever user an administrator lets the job run as: it is the flow itself.
        self = self.sudo()
        now = now or fields.Datetime.now()
        commit_progress = self.env["ir.cron"]._commit_progress
        todo = self.search(self._get_turn_domain(now), order="id").ids
        commit_progress(remaining=len(todo))
        try:
            for start in range(0, len(todo), chunk_size):
                chunk = self.browse(todo[start : start + chunk_size]).exists()
                chunk = chunk.try_lock_for_update(allow_referencing=True)
                chunk._turn_or_bisect(now)
                if not commit_progress(len(todo[start : start + chunk_size])):
                    return
        except psycopg2.OperationalError:
            _logger.info("Cases changed while they were looked at, trying again later")
            self.env.cr.rollback()

    @api.model
    def _get_turn_domain(self, now):
        """Return the cases with a date that may have passed somewhere in the world."""
        # East of Greenwich the next day has begun already.
        tomorrow = fields.Date.add(now.date(), days=1)
        clerks = self.env.ref(GROUP_CLERK).all_user_ids.filtered("active")
        left = Domain("owner_id", "!=", False) & Domain(
            "owner_id", "not in", clerks.ids
        )
        return Domain("state", "!=", "closed") & (
            Domain("promise_date", "<", tomorrow)
            | (Domain("state", "=", "hold") & Domain("hold_until", "<", tomorrow))
            | self._get_unanswered_domain(tomorrow)
            | (Domain("state", "in", WITH_A_PERSON) & left)
        )

    def _turn_or_bisect(self, now):
        """Look at the chunk at once; on failure halve it until the culprit is alone."""
        if not self:
            return
        try:
            with self.env.cr.savepoint():
                self._turn(now)
            return
        except psycopg2.OperationalError:
            raise
        except Exception:
            # Whatever one case breaks must not stop the others.
            self.env.invalidate_all()
            if len(self) == 1:
                _logger.exception("Case %s could not be followed", self.id)
                return
        half = len(self) // 2
        self[:half]._turn_or_bisect(now)
        self[half:]._turn_or_bisect(now)

    def _turn(self, now):
        """Do what a new day asks for; done twice, nothing changes."""
        self._settle_kept_promises()
        self._break_promises(now)
        self._end_holds(now)
        self._replace_absent_owners()
        self._escalate_late(now)
