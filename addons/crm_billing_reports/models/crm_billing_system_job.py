import psycopg2

from odoo import api, fields, models
from odoo.exceptions import UserError

ACTIVITY = "crm_billing_handoff.mail_activity_type_billing"


class CrmBillingSystem(models.Model):
    _inherit = "crm.billing.system"

    @api.model
    def _cron_prepare_batches(self, now=None):
        """Collect and check every day for the books that want it; hand out nothing.

        :param now: instant (naive UTC), the clock by default
        """
        now = now or fields.Datetime.now()
        systems = self.search([("is_automatic", "=", True)])
        commit_progress = self.env["ir.cron"]._commit_progress
        commit_progress(remaining=len(systems))
        for system in systems:
            system._prepare_batch_or_tell(now)
            if not commit_progress(1):
                break

    def _prepare_batch_or_tell(self, now):
        """Prepare a batch; what stops one system is a task, and stops no other."""
        try:
            with self.env.cr.savepoint():
                self._prepare_batch(now)
        except (UserError, psycopg2.IntegrityError) as error:
            self.activity_schedule(
                ACTIVITY,
                user_id=self._get_responsible().id,
                summary=self.env._("No batch was prepared"),
                note=str(error),
            )

    def _prepare_batch(self, now):
        """Collect into the open batch, or into a new one; an empty one is not kept."""
        self.ensure_one()
        batches = self.env["crm.billing.export.batch"]
        today = fields.Datetime.context_timestamp(
            self.with_context(tz=self.company_id.billing_tz or "UTC"), now
        ).date()
        batch = batches.search(
            [("system_id", "=", self.id), ("state", "in", ("draft", "checked"))],
            limit=1,
        ) or batches.create({"system_id": self.id, "date_to": today})
        batch.date_to = max(batch.date_to, today)
        if batch._collect(reader=self.env) and not batch.line_ids:
            batch.unlink()
        elif batch.line_ids and not batch.activity_search([ACTIVITY]):
            batch.activity_schedule(
                ACTIVITY,
                user_id=self._get_responsible().id,
                summary=self.env._("Hand out %(batch)s", batch=batch.name),
                note=self.env._(
                    "%(ready)s records are ready, %(refused)s must be fixed.",
                    ready=batch.ready_count,
                    refused=batch.refused_count,
                ),
            )
