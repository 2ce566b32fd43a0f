import datetime
import logging

import psycopg2

from odoo import api, fields, models
from odoo.exceptions import LockError, UserError
from odoo.fields import Domain
from odoo.tools import SQL, split_every

from .crm_billing_handoff_job import LOCK_PATIENCE

_logger = logging.getLogger(__name__)

CHUNK_SIZE = 100
ONE_DAY = datetime.timedelta(days=1)
# After it, what another lane or a person held is looked at again.
HELD_PATIENCE = datetime.timedelta(minutes=1)
# Rows of ir.cron on the same method: one row never runs twice at once.
LANES = ("ir_cron_invoice_agreements", "ir_cron_invoice_agreements_2")


class Rehearsed(Exception):
    """An invoice can be made: undo it, it is made with others."""


class CrmBillingAgreement(models.Model):
    """The run: claim what is due in chunks, one commit each, beside other workers."""

    _inherit = "crm.billing.agreement"

    # === BUSINESS METHODS - THE RUN === #

    @api.model
    def _get_due_domain(self, now):
        """Return what is due at ``now`` (UTC).

        ``next_run_at`` is the instant at which the account's local day begins, so that
        one comparison finds exactly what is due in every zone.
        """
        return (
            Domain("state", "in", ("running", "paused"))
            & Domain("next_run_at", "!=", False)
            & Domain("next_run_at", "<=", now)
            & Domain("billing_error", "=", False)
            & Domain("is_catch_up_held", "=", False)
        )

    @api.model
    def _cron_invoice_due(self, now=None, chunk_size=CHUNK_SIZE):
        """Invoice what is due at ``now``, each account on its own date.

        One commit a chunk. Several lanes share the work: each claims whole payers that
        nobody else holds. What somebody holds is looked at again in a minute. A lost
        race (a serialization failure) is nobody's fault: roll back, and try again.

        :param now: instant (naive UTC), the clock by default
        """
        # Whichever user an administrator lets the job run as: it is the flow itself.
        self = self.sudo().with_context(active_test=False)
        now = now or fields.Datetime.now()
        domain = self._get_due_domain(now)
        commit_progress = self.env["ir.cron"]._commit_progress
        commit_progress(remaining=self.search_count(domain))
        busy = billed = self.browse()
        try:
            while True:
                chunk, held = self._claim_due(domain, chunk_size, busy | billed)
                if not chunk | held:
                    break
                left = chunk._invoice_due_or_bisect(now)
                busy |= held | left
                # What is still due after it was billed waits for the next run.
                billed |= (chunk - left).filtered_domain(domain)
                if not commit_progress(len(chunk)):
                    return
            if self.search_count(domain & Domain("id", "not in", billed.ids), limit=1):
                self._trigger_run(at=fields.Datetime.now() + HELD_PATIENCE)
            commit_progress(remaining=0)
        except psycopg2.OperationalError:
            _logger.info("Agreements changed while invoiced, trying again later")
            self.env.cr.rollback()
            self._trigger_run()

    @api.model
    def _claim_due(self, domain, limit, busy):
        """Lock the next due agreements, whole payers at a time, waiting for nobody.

        Two lanes never split a payer: consolidated invoices stay whole.

        :return: ``(ours, what a person holds)``
        """
        free = domain & Domain("id", "not in", busy.ids)
        while groups := self._read_group(
            free, ["payer_id"], ["__count"], limit=10 * limit, order="id:min"
        ):
            # What the other lane billed by now is seen: the locks begin a transaction.
            self.env["ir.cron"]._commit_progress()
            payer_ids = self._claim_payers(groups, limit)
            found = self.search(
                free & Domain("payer_id", "in", payer_ids),
                order="next_run_at, id",
            )
            if found or not payer_ids:
                ours = found.try_lock_for_update(allow_referencing=True)
                return ours, found - ours
        return self.browse(), self.browse()

    @api.model
    def _claim_payers(self, groups, limit):
        """Lock payers that no other lane holds, until ``limit`` agreements are claimed.

        :param groups: ``[(payer, number of agreements)]``, oldest agreement first
        :return: ids of the payers
        """
        claimed, room = [], limit
        groups = {payer.id: count for payer, count in groups}
        while groups and room > 0:
            batch, size = [], 0
            for payer_id, count in groups.items():
                size += count
                if size > room and (claimed or batch):
                    break
                batch.append(payer_id)
            if not batch:
                break
            free = self._lock_payers(batch)
            claimed += free
            room -= sum(groups[payer_id] for payer_id in free)
            groups = {key: groups[key] for key in groups if key not in batch}
        return claimed

    @api.model
    def _lock_payers(self, payer_ids):
        """Return those payers that are ours until the end of the transaction.

        In which nobody is waited for any longer than `LOCK_PATIENCE`.
        """
        rows = self.env.execute_query(
            SQL(
                "SELECT id FROM unnest(%s) id, set_config('lock_timeout', %s, true)"
                " WHERE pg_try_advisory_xact_lock(%s, id)",
                payer_ids,
                LOCK_PATIENCE,
                20261,
            )
        )
        return [payer_id for [payer_id] in rows]

    def _invoice_due_or_bisect(self, now, is_broken=False):
        """Invoice the chunk at once; on failure halve it until the culprit is alone.

        Payers stay whole, so that what shares an invoice still does.

        :param is_broken: it is known that not all of them can be billed at once
        :return: agreements that wait because somebody else holds what they need
        """
        if not is_broken or len(self) == 1:
            left, is_settled = self._try_to_invoice(now)
            if is_settled:
                return left
        payers = [*self.grouped("payer_id").values()]
        if len(payers) == 1:
            return self._invoice_around_broken(now)
        half = len(payers) // 2
        first = self.browse().union(*payers[:half])
        left, is_settled = first._try_to_invoice(now)
        if not is_settled:
            left = first._invoice_due_or_bisect(now, is_broken=True)
        # What fails as a whole but not in its first half, fails in its second.
        is_fine = is_settled and not left and not first.filtered("billing_error")
        return left | (self - first)._invoice_due_or_bisect(now, is_broken=is_fine)

    def _try_to_invoice(self, now):
        """Invoice all at once or nothing.

        :return: ``(agreements that somebody holds, whether there is nothing to halve)``
        """
        nobody = self.browse()
        try:
            with self.env.cr.savepoint():
                moves, errors = self._invoice_due(now)
                moves._follow_invoice_mode()
            for agreement, error in errors.items():
                agreement._set_billing_error(error)
            return nobody, True
        except (psycopg2.errors.LockNotAvailable, LockError):
            return self, len(self) == 1
        except psycopg2.OperationalError:
            raise
        except Exception as error:
            # Whatever one agreement breaks must not stop the others.
            if len(self) == 1:
                self._set_billing_error(error)
            return nobody, len(self) == 1

    def _invoice_around_broken(self, now):
        """Find who breaks the invoice of a payer; the others still share one (C14).

        :return: agreements that wait because somebody else holds what they need
        """
        good = left = self.browse()
        for agreement in self:
            try:
                with self.env.cr.savepoint():
                    moves, errors = agreement._invoice_due(now)
                    moves._follow_invoice_mode()
                    raise errors.get(agreement) or Rehearsed
            except Rehearsed:
                good |= agreement
            except (psycopg2.errors.LockNotAvailable, LockError):
                left |= agreement
            except psycopg2.OperationalError:
                raise
            except Exception as error:
                agreement._set_billing_error(error)
        if good != self:
            return left | good._invoice_due_or_bisect(now)
        # Each can be billed, all of them together cannot.
        return left.union(*(one._invoice_due_or_bisect(now) for one in good))

    # === BUSINESS METHODS - FAILURES === #

    def _set_billing_error(self, error):
        """Keep why the agreement was not billed, in words, and ask Billing once.

        It leaves the queue until it, its account or what it bills is changed.
        """
        self.ensure_one()
        if isinstance(error, UserError | ValueError):
            reason = str(error.args[0]) if error.args else str(error)
        else:
            _logger.exception("Agreement %s failed", self.id, exc_info=error)
            reason = self.env._(
                "The invoice could not be made: %(error)s. Tell your administrator.",
                error=error,
            )
        is_known = self.billing_error == reason
        self.with_context(
            tracking_disable=True, billing_run=True
        ).billing_error = reason
        self._ask_billing(self.env._("The agreement could not be billed"), reason)
        if not is_known:
            self._log_event("not_billed", note=reason)

    @api.model
    def _retry(self, domain):
        """Put agreements that failed back into the queue: their cause may be gone."""
        failed = self.sudo().search(Domain("billing_error", "!=", False) & domain)
        failed._retry_changed()

    @api.model
    def _trigger_run(self, at=None):
        """Wake the run in all its lanes, right after this transaction or ``at`` UTC."""
        for lane in LANES:
            cron = self.env.ref(f"crm_billing_handoff.{lane}", raise_if_not_found=False)
            if cron:
                cron.sudo()._trigger(at=at)

    @api.model
    def _cron_refresh(self, now=None):
        """Once a night: MRR of the day, ended agreements, another try of failures.

        :param now: instant (naive UTC), the clock by default
        """
        self = self.sudo().with_context(active_test=False)
        found = self.search(self._get_refresh_domain(now or fields.Datetime.now()))
        for agreements in split_every(CHUNK_SIZE, found.ids, self.browse):
            agreements._refresh_next_dates()
            agreements.flush_recordset()
            agreements._close_ended()
            self.env.flush_all()
            self.env.invalidate_all()
        self._retry(Domain.TRUE)

    @api.model
    def _get_refresh_domain(self, now):
        """Return what starts or ends since the job ran last; all when it never did.

        One day more on each side: each account has its own local date.
        """
        live = Domain("state", "in", ("running", "paused"))
        last = self.env.context.get("lastcall")
        if not last:
            return live
        first, until = last.date() - ONE_DAY, now.date() + ONE_DAY
        turns = Domain("state", "=", "running") & Domain("next_run_at", "=", False)
        for name in ("end_date", "line_ids.start_date", "line_ids.end_date"):
            turns |= Domain(name, ">=", first - ONE_DAY) & Domain(name, "<=", until)
        return live & turns

    # === BUSINESS METHODS - CATCH-UP === #

    def _must_hold(self, documents):
        """Return whether so much is due that a person has to confirm it (C15).

        What was due when a person confirmed is confirmed; what is only looked at needs
        no confirmation.
        """
        self.ensure_one()
        if self.env.context.get("billing_look_ahead"):
            return False
        limit = self.catch_up_limit
        if limit < 0:
            limit = self.company_id.billing_catch_up_limit
        known = self.catch_up_confirmed_until or datetime.date.min
        count = sum(document.billing_date > known for document in documents)
        return bool(limit) and count > limit

    def _hold_catch_up(self, count):
        """Leave what is due to a person, who is asked once."""
        self.ensure_one()
        self.with_context(tracking_disable=True, billing_run=True).write(
            {"is_catch_up_held": True, "catch_up_count": count}
        )
        reason = self.env._(
            "%(count)s periods of %(agreement)s are due at once. Look at them and "
            "press “Confirm catching up”, or mark as billed what is billed elsewhere.",
            count=count,
            agreement=self.name,
        )
        self._ask_billing(self.env._("Catching up to be confirmed"), reason)
        self._log_event("held", note=reason)

    def action_confirm_catch_up(self):
        """Let the run bill what was held because much is due at once.

        :raise AccessError: the user is no billing clerk
        """
        self._check_is_biller()
        for agreement in self.sudo().filtered("is_catch_up_held"):
            agreement.write(
                {
                    "is_catch_up_held": False,
                    "catch_up_confirmed_until": agreement._get_today(),
                }
            )
            agreement._log_event("confirmed")
        self._trigger_run()
        return True


class AccountMove(models.Model):
    _inherit = "account.move"

    def _follow_invoice_mode(self):
        """Post, or post and send, the drafts of agreements that say so."""
        modes = {
            move: {agreement.invoice_mode for agreement in move.agreement_ids}
            for move in self
        }
        ready = self.filtered(lambda move: modes[move] <= {"post", "send"})
        if ready:
            ready._post_and_queue(ready.filtered(lambda move: modes[move] == {"send"}))
