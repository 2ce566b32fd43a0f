import logging

import psycopg2

from odoo import api, models
from odoo.exceptions import LockError
from odoo.fields import Domain
from odoo.tools import SQL

_logger = logging.getLogger(__name__)

CHUNK_SIZE = 100
LOCK_PATIENCE = "2s"  # how long the job waits for a row that somebody else changes


class CrmBillingHandoff(models.Model):
    """How the job works through the queue, beside people and other jobs."""

    _inherit = "crm.billing.handoff"

    # === BUSINESS METHODS - THE JOB === #

    @api.model
    def _get_due_domain(self):
        return (
            Domain("state", "=", "pending")
            | (Domain("state", "=", "blocked") & Domain("to_recheck", "=", True))
        ) & Domain("is_held", "=", False)

    @api.model
    def _cron_process(self, chunk_size=CHUNK_SIZE):
        """Process what is queued or woken, in chunks, one commit a chunk.

        Two workers share the queue: each locks its own chunk. What somebody else holds
        stays in the queue for the next run. A lost race (a serialization failure) is
        nobody's fault either: roll back, leave it to the next run.
        """
        # Whichever user an administrator lets the job run as: it is the flow itself.
        self = self.sudo()
        commit_progress = self.env["ir.cron"]._commit_progress
        commit_progress(remaining=self.search_count(self._get_due_domain()))
        busy = self.browse()
        try:
            while locked := self._lock_due(chunk_size, busy):
                free = locked._filtered_free()
                left = free._process_or_bisect()
                busy |= locked - free | left
                if not commit_progress(len(free - left)):
                    break
        except psycopg2.OperationalError:
            _logger.info("Handoffs changed while processed, trying again later")
            self.env.cr.rollback()
            self._trigger_job()

    @api.model
    def _cron_recheck(self):
        """Look once a night at what is blocked, in case nothing woke it."""
        self = self.sudo()
        stale = self.search([("state", "in", ("pending", "blocked"))]).filtered(
            lambda handoff: handoff.lead_id.won_status != "won"
        )
        stale._cancel_or_keep()
        self._wake_all_blocked()
        self._ask_for_rest()

    def _process_or_bisect(self):
        """Process the chunk at once; on failure halve it until the culprit is alone.

        :return: handoffs that wait because somebody else holds what they need
        """
        nobody = self.browse()
        try:
            with self.env.cr.savepoint():
                self._process()
            return nobody
        except (psycopg2.errors.LockNotAvailable, LockError):
            if len(self) == 1:
                return self
        except psycopg2.OperationalError:
            raise
        except Exception as error:
            # Whatever one deal breaks must not stop the others: it keeps its reason.
            if len(self) == 1:
                self._set_error(error)
                return nobody
        half = len(self) // 2
        return self[:half]._process_or_bisect() | self[half:]._process_or_bisect()

    # === BUSINESS METHODS - LOCKS === #

    @api.model
    def _lock_due(self, limit, busy):
        """Lock the next handoffs that are due, for a transaction that waits for nobody.

        :param busy: handoffs that this run has found in use, and leaves alone
        """
        self.env.cr.execute(
            SQL("SELECT set_config('lock_timeout', %s, true)", LOCK_PATIENCE)
        )
        domain = self._get_due_domain() & Domain("id", "not in", busy.ids)
        return self.search(domain, limit=20 * limit, order="id").try_lock_for_update(
            allow_referencing=True, limit=limit
        )

    def _filtered_free(self):
        """Lock deals and quotations, too; return the handoffs where nobody has them.

        A salesperson who is saving a deal would otherwise hold up the whole chunk, or
        make it fail.
        """
        leads = self.lead_id.try_lock_for_update(allow_referencing=True)
        free = self.filtered(lambda handoff: handoff.lead_id in leads)
        orders = free.lead_id.order_ids
        locked = orders.try_lock_for_update(allow_referencing=True)
        return free.filtered(lambda handoff: handoff.lead_id.order_ids <= locked)
