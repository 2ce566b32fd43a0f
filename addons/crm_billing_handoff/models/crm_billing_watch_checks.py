from datetime import timedelta
from functools import partial

from odoo import api, models
from odoo.fields import Domain

from .crm_billing_watch import Finding

# Jobs of other addons that the flow waits for.
CORE_JOBS = ("mail.ir_cron_mail_scheduler_action", "account.ir_cron_account_move_send")
SHORTEST_GRACE = timedelta(minutes=15)
LONGEST_GRACE = timedelta(hours=2)
FAILURES = 2  # in a row, of a job that runs within the hour; of others the first
MAIL_PATIENCE = timedelta(hours=2)
MAIL_DAYS = 7
# The server's faults; a wrong address is a task of the invoice.
MAIL_FAULTS = ("unknown", "mail_smtp", "mail_from_invalid", "mail_from_missing")
HANDOFF_PATIENCE = timedelta(hours=1)
AGREEMENT_PATIENCE = timedelta(hours=3)
LISTED = 200  # records behind a link


class CrmBillingWatch(models.Model):
    """What the handoff watches: its jobs, its mails, its queues."""

    _inherit = "crm.billing.watch"

    @api.model
    def _get_watches(self):
        _ = self.env._
        return {
            **super()._get_watches(),
            **self._get_job_watches(),
            "mail_queue": (_("Mails leave"), 120, self._check_mail_queue),
            "mail_failed": (_("The mail server accepts"), 60, self._check_mail_failed),
            "handoffs": (_("Won deals are handed off"), 60, self._check_handoffs),
            "agreements": (_("Agreements are billed"), 180, self._check_agreements),
        }

    # === BUSINESS METHODS - JOBS === #

    @api.model
    def _get_job_modules(self):
        """Return the addons whose jobs are watched; addons above add theirs."""
        return ["crm_billing_handoff"]

    @api.model
    def _get_jobs(self):
        """Return ``{external id: job}`` of all that is watched, switched off or not."""
        references = self.env["ir.model.data"].search(
            [("model", "=", "ir.cron"), ("module", "in", self._get_job_modules())]
        )
        names = [*references.mapped("complete_name"), *self._get_core_jobs()]
        jobs = {
            name: self.env.ref(name, raise_if_not_found=False) for name in sorted(names)
        }
        return {name: job for name, job in jobs.items() if job}

    @api.model
    def _get_core_jobs(self):
        return list(CORE_JOBS)

    @api.model
    def _get_job_watches(self):
        return {
            f"job:{name}": (
                job.name,
                int((_get_interval(job) + _get_grace(job)).total_seconds() // 60),
                partial(self._check_job, job),
            )
            for name, job in self._get_jobs().items()
        }

    @api.model
    def _check_job(self, job, now):
        """Find a job that is switched off, that fails, or that was not started.

        One that works for hours commits its progress: that is life enough.
        """
        progress = self.env["ir.cron.progress"].search(
            [("cron_id", "=", job.id)], order="id desc", limit=1
        )
        state, message = self._judge_job(job, progress, now)
        ran = progress.write_date and progress.write_date - progress.create_date
        return [
            Finding(
                state,
                message,
                last_seen_at=job.lastcall or progress.write_date or None,
                duration=ran.total_seconds() if ran else 0.0,
                backlog=progress.remaining,
                failures=job.failure_count,
                link=("ir.cron", job.ids),
            )
        ]

    @api.model
    def _judge_job(self, job, progress, now):
        """Return ``(state, what to do)`` of a job."""
        _ = self.env._
        if not job.active:
            copy = self.env["ir.config_parameter"].get_param("database.is_neutralized")
            if copy:
                return "ok", _("Switched off: this is a copy.")
            return "off", _("Switch the job on in Settings, Scheduled Actions.")
        interval, grace = _get_interval(job), _get_grace(job)
        if job.failure_count >= (FAILURES if interval < timedelta(hours=1) else 1):
            return "failed", _("It stops with an error; the server log says which.")
        since = now - grace
        if job.nextcall < since and not (progress.write_date or since) > since:
            return "late", _(
                "It was due and did not start. If all jobs are late, the server has "
                "no worker for them."
            )
        return "ok", ""

    # === BUSINESS METHODS - MAILS === #

    @api.model
    def _get_mail_models(self):
        """Return the models whose mails are watched; addons above add theirs."""
        return ["account.move", "crm.billing.agreement", "crm.lead"]

    @api.model
    def _check_mail_queue(self, now):
        """Find mails that should have left."""
        since = now - MAIL_PATIENCE
        stuck = self._find_mails(
            Domain("state", "=", "outgoing")
            & Domain("create_date", "<", since)
            & (
                Domain("scheduled_date", "=", False)
                | Domain("scheduled_date", "<", since)
            )
        )
        message = self.env._("Mails wait for hours: check the mail queue and its job.")
        return [self._prepare_mails(stuck, "late", message)]

    @api.model
    def _check_mail_failed(self, now):
        """Find mails that the server did not take, until sent again or cancelled."""
        failed = self._find_mails(
            Domain("state", "=", "exception")
            & Domain("failure_type", "in", (*MAIL_FAULTS, False))
            & Domain("create_date", ">=", now - timedelta(days=MAIL_DAYS))
        )
        message = self.env._(
            "Correct the outgoing mail server, then send these mails again or cancel "
            "them."
        )
        return [self._prepare_mails(failed, "failed", message)]

    @api.model
    def _find_mails(self, domain):
        models = Domain("model", "in", self._get_mail_models())
        return self.env["mail.mail"].search(domain & models, limit=LISTED)

    @api.model
    def _prepare_mails(self, mails, state, message):
        if not mails:
            return Finding()
        return Finding(
            state, message, backlog=len(mails), link=("mail.mail", mails.ids)
        )

    # === BUSINESS METHODS - QUEUES === #

    @api.model
    def _check_handoffs(self, now):
        """Find won deals that nobody holds and no job has looked at."""
        handoffs = self.env["crm.billing.handoff"]
        return self._find_by_company(
            handoffs,
            handoffs._get_due_domain()
            & Domain("write_date", "<", now - HANDOFF_PATIENCE),
            self.env._("They wait for the job “Billing: process handoffs”."),
        )

    @api.model
    def _check_agreements(self, now):
        """Find agreements that are due and wait for no person."""
        agreements = self.env["crm.billing.agreement"]
        return self._find_by_company(
            agreements,
            agreements._get_due_domain(now - AGREEMENT_PATIENCE),
            self.env._("They wait for the job “Billing: invoice agreements”."),
        )

    @api.model
    def _find_by_company(self, records, domain, message, state="late"):
        """Return a finding for each company: bad where ``domain`` matches."""
        found = records.search(domain, limit=LISTED).grouped("company_id")
        return [
            Finding(
                state,
                message,
                company.id,
                backlog=len(found[company]),
                link=(records._name, found[company].ids),
            )
            if company in found
            else Finding(company_id=company.id)
            for company in self.env["res.company"].search([])
        ]


def _get_interval(job):
    """Return how often a job runs; a month is taken for thirty days."""
    unit, count = job.interval_type, job.interval_number
    if unit == "months":
        unit, count = "days", 30 * count
    return timedelta(**{unit: count})


def _get_grace(job):
    return min(max(_get_interval(job), SHORTEST_GRACE), LONGEST_GRACE)
