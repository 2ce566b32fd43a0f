from odoo import fields, models

from .crm_dunning_case_lifecycle import ACTIVITY_DEAL


class CrmDunningCase(models.Model):
    """What the deal's side sees of a case: a task where a charge failed, and news."""

    _inherit = "crm.dunning.case"

    # === BUSINESS METHODS - THE DEAL === #

    def _tell_seller(self, kind, key=None, note=None):
        """Keep news for the salespeople of the deals; sent grouped, once a day (H3).

        :param kind: ``paid``, ``overdue``, ``failed``, ``disputed``, ``credited``
        :param key: what makes it the same news; by default the day
        :param note: a few words more
        """
        key = key or fields.Date.today().isoformat()
        self.sudo().move_id._tell_sellers(kind, key, note=note)

    def _on_first_failure(self):
        """A charge failed: a visible task on the deal at once, and news (G6)."""
        for case in self.sudo().with_context(active_test=True):
            at = fields.Datetime.to_string(case.first_failure_at)
            case._tell_seller("failed", key=at)
            for lead in case.move_id.opportunity_ids:
                case._add_deal_task(lead)

    def _add_deal_task(self, lead):
        if self._get_deal_tasks(lead):
            return
        owner = (lead.user_id | lead.team_id.user_id).filtered("active")[:1]
        lead.activity_schedule(
            ACTIVITY_DEAL,
            date_deadline=self._get_today(),
            user_id=(owner or self.company_id._get_billing_responsible()).id,
            summary=self.env._(
                "Payment failed: %(invoice)s", invoice=self.move_id.name
            ),
            note=self.env._(
                "A charge of %(amount)s failed. Billing follows it up; a word to the "
                "customer may help.",
                amount=self.currency_id.format(self.amount_residual),
            ),
        )

    def _get_deal_tasks(self, leads):
        """Return the open tasks of this case, whatever language they were left in."""
        self.ensure_one()
        tasks = leads.with_context(active_test=True).activity_search([ACTIVITY_DEAL])
        name = self.move_id.name
        return tasks.filtered(lambda task: name in (task.summary or "").split())

    def _end_deal_tasks(self, feedback):
        """Close the tasks on the deals of cases that have ended."""
        for case in self.filtered("move_id.opportunity_ids"):
            leads = case.move_id.opportunity_ids
            case._get_deal_tasks(leads).action_feedback(feedback=feedback)
