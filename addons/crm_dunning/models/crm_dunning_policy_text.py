"""Whether the texts of a policy can be rendered."""

from odoo import models


class CrmDunningPolicy(models.Model):
    _inherit = "crm.dunning.policy"

    def _get_text_problems(self):
        """Return which texts of the mail steps cannot be rendered, and why.

        They are rendered for a message that is made up and taken back.
        """
        self.ensure_one()
        # Texts are rendered as the run does it, whoever may edit them.
        policy = self.sudo()
        mails = policy.step_ids.filtered(
            lambda step: step.active and step.action == "mail" and step.template_id
        )
        if not mails:
            return []
        company = policy.company_id or self.env.company
        problems = []
        with self.env.cr.savepoint() as savepoint:
            notice = policy.env["crm.dunning.notice"].create(
                {
                    "partner_id": company.partner_id.id,
                    "company_id": company.id,
                    "currency_id": company.currency_id.id,
                    "policy_id": policy.id,
                    "date": "2000-01-01",
                    "state": "recorded",
                }
            )
            for step in mails:
                if problem := step._get_text_problem(notice):
                    problems.append(problem)
            savepoint.rollback()
        self.env.invalidate_all()
        return problems


class CrmDunningStep(models.Model):
    _inherit = "crm.dunning.step"

    def _get_text_problem(self, notice):
        """Return why the text of the step cannot be rendered for ``notice``, if so."""
        self.ensure_one()
        template = self.template_id
        if not template.active or template.model != "crm.dunning.notice":
            reason = self.env._("it is archived or not made for reminders")
        else:
            try:
                for name in ("subject", "body_html"):
                    template._render_field(name, notice.ids)
            except Exception as error:
                # Whatever the text breaks, its author is told in its own words.
                reason = str(error.__cause__ or error)
            else:
                return None
        return self.env._(
            "the text “%(template)s” of step “%(step)s” cannot be used: %(reason)s",
            template=template.name,
            step=self.name,
            reason=reason,
        )
