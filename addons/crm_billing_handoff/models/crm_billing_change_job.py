from datetime import timedelta

import psycopg2

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.fields import Domain


class CrmBillingChange(models.Model):
    """What is scheduled: applied on its day, before anything of that day is billed."""

    _inherit = "crm.billing.change"

    # === BUSINESS METHODS - THE JOB === #

    @api.model
    def _cron_apply_due(self, now=None):
        """Apply what is scheduled for today, each account on its own date.

        Also renewals, refunds that wait for a payment to settle, and announcements.

        :param now: instant (naive UTC), the clock by default
        """
        self = self.sudo()
        now = now or fields.Datetime.now()
        latest = now.date() + timedelta(days=1)  # the world's earliest zone
        domain = Domain("state", "=", "scheduled") & Domain("date", "<=", latest)
        agreements = self.search(domain, order="date, id").agreement_id
        commit_progress = self.env["ir.cron"]._commit_progress
        commit_progress(remaining=len(agreements))
        for agreement in agreements:
            if agreement.try_lock_for_update(allow_referencing=True):
                agreement._apply_or_keep_reason(agreement._get_today(now))
            if not commit_progress(1):
                return
        self._settle_waiting_refunds(now)
        self._announce_discount_ends(now)
        self.env["crm.billing.agreement"]._renew_due(now)


class CrmBillingAgreement(models.Model):
    _inherit = "crm.billing.agreement"

    change_ids = fields.One2many("crm.billing.change", "agreement_id", string="Changes")
    change_count = fields.Integer(compute="_compute_change_count")

    @api.depends("change_ids.state")
    def _compute_change_count(self):
        """Count what was decided; drafts are thoughts."""
        for agreement in self:
            decided = agreement.change_ids.filtered(lambda one: one.state != "draft")
            agreement.change_count = len(decided)

    def action_view_changes(self):
        """Open the changes of the agreement."""
        self.ensure_one()
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Changes"),
            "res_model": "crm.billing.change",
            "view_mode": "list,form",
            "domain": [("agreement_id", "=", self.id)],
            "context": {"default_agreement_id": self.id},
        }

    def _apply_or_keep_reason(self, until):
        """Apply what is scheduled; what fails keeps the reason and stops no other.

        Nothing is billed at the old terms meanwhile.
        """
        try:
            with self.env.cr.savepoint():
                self._apply_scheduled_changes(until)
        except psycopg2.OperationalError:
            raise
        except Exception as error:
            self._set_billing_error(error)

    def _apply_scheduled_changes(self, until):
        """Apply, oldest first, what is scheduled by ``until`` (local date, included).

        A change that is refused on its day keeps the reason and stops nobody.
        """
        changes = self.sudo().change_ids.filtered(
            lambda change: change.state == "scheduled" and change.date <= until
        )
        for change in changes.sorted(lambda change: (change.date, change.id)):
            try:
                with self.env.cr.savepoint():
                    change._apply()
            except UserError as error:
                change._refuse(str(error.args[0]))

    def _close_ended(self):
        """Override: what is paused on its last day ends with it."""
        over = self.filtered(
            lambda one: (
                one.state == "paused"
                and one.end_date
                and one.end_date < one._get_today()
            )
        )
        over.state = "running"
        return super()._close_ended()

    def _invoice_due(self, now=None, until=None):
        """Override: new terms come first, so that no day is billed at the old ones."""
        scheduled = self.env["crm.billing.change"].sudo()
        domain = [("agreement_id", "in", self.ids), ("state", "=", "scheduled")]
        for agreement in scheduled.search(domain).agreement_id:
            day = until or agreement._get_today(now)
            ahead = max(agreement.line_ids.mapped("lead_days"), default=0)
            agreement._apply_scheduled_changes(day + timedelta(days=ahead))
        return super()._invoice_due(now=now, until=until)
