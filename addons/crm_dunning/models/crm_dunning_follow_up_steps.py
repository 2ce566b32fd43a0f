"""Steps besides the mail: activities, letters, holds; and the wave that waits."""

from collections import defaultdict

from odoo import api, models
from odoo.fields import Domain

from odoo.addons.crm_billing_handoff.models.crm_billing_handoff import ACTIVITY_BILLING


class CrmDunningCase(models.Model):
    _inherit = "crm.dunning.case"

    # === BUSINESS METHODS - STEPS THAT ARE NO MAIL === #

    @api.model
    def _run_side_steps(self, conversations, cases, now):
        """Do what is due besides: each step once for all cases that reached it."""
        by_step = defaultdict(set)
        for one in conversations:
            for step, key in one.decision.also:
                case = cases.get(one.rows[key].move_id)
                if case:
                    by_step[step.key].add(case.id)
        for step in self.env["crm.dunning.step"].browse(by_step):
            run = getattr(self.browse(sorted(by_step[step.id])), f"_run_{step.action}")
            run(step, now)

    def _run_activity(self, step, now):
        """Leave a task on each case for the step's person."""
        self._schedule_step(step, step.name, step.note)

    def _run_letter(self, step, now):
        """Make one letter an account, ready to print, and a task to send it."""
        self._schedule_step(
            step,
            step.name,
            step.note or self.env._("Print the letter from the case and send it."),
        )
        self.env["crm.dunning.notice"]._create_letters(self, step, now)

    def _schedule_step(self, step, summary, note):
        model_id = self.env["ir.model"]._get_id(self._name)
        activity_type = self.env.ref(ACTIVITY_BILLING)
        self.env["mail.activity"].create(
            [
                {
                    "res_model_id": model_id,
                    "res_id": case.id,
                    "activity_type_id": activity_type.id,
                    "summary": summary,
                    "note": note,
                    "user_id": case._get_step_user(step).id,
                    "automated": True,
                }
                for case in self
            ]
        )

    def _get_step_user(self, step):
        """Return who does a step: named there, else in the policy, else Billing."""
        self.ensure_one()
        return (
            step.user_id
            or self.owner_id
            or step.policy_id.owner_id
            or self.company_id._get_billing_responsible()
        )

    # === BUSINESS METHODS - THE WAVE WAITS === #

    @api.model
    def _tell_bank_data(self, conversations):
        """Tell the owner of a policy once that reminders wait for bank data (9.3)."""
        stale, fresh = {}, set()
        for one in conversations:
            key = (one.policy, one.company)
            if one.decision.reason == "bank_data":
                stale[key] = one.situation.bank_data_age
            elif not one.policy._is_bank_data_stale(one.situation.bank_data_age):
                fresh.add(key)
        for (policy, company), age in stale.items():
            policy._hold_wave(company, age)
        for policy, company in fresh - set(stale):
            policy._release_wave(company)

    @api.model
    def _release_waves(self, now):
        """End the tasks of waves that wait no more, also where nobody is due now.

        :param now: instant, naive UTC
        """
        policies = self.env["crm.dunning.policy"].search(
            [("activity_ids", "!=", False)]
        )
        for company in self.env["res.company"].search(Domain.TRUE) if policies else ():
            age = company._get_bank_data_age(now)
            for policy in policies:
                if not policy._is_bank_data_stale(age):
                    policy._release_wave(company)


class CrmDunningPolicy(models.Model):
    _inherit = "crm.dunning.policy"

    def _get_wave_activity(self, company):
        summary = self._get_wave_summary(company)
        # The run looks at archived records, too; a task that is done is one of them.
        return self.activity_ids.filtered(
            lambda one: one.active and one.summary == summary
        )

    def _get_wave_summary(self, company):
        return self.env._("Reminders of %(company)s wait", company=company.name)

    def _hold_wave(self, company, age):
        """Leave one task while the bank data are too old.

        :param age: days since bank data came in
        """
        self.ensure_one()
        if self._get_wave_activity(company):
            return
        self.activity_schedule(
            ACTIVITY_BILLING,
            summary=self._get_wave_summary(company),
            note=self.env._(
                "The last bank data came in %(age)s days ago, the policy allows "
                "%(limit)s. Import statements: reminders go on by themselves then.",
                age=age,
                limit=self.bank_data_limit_days,
            ),
            user_id=(self.owner_id or company._get_billing_responsible()).id,
        )

    def _release_wave(self, company):
        """The bank data are fresh again: the task clears itself."""
        self.ensure_one()
        self._get_wave_activity(company).action_feedback(
            feedback=self.env._("Bank data came in.")
        )
