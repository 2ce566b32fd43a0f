"""What happens to an armed policy leaves a trace, and a question to who armed it."""

from markupsafe import Markup

from odoo import api, models

KEY = "crm_dunning.terms"


class CrmDunningPolicy(models.Model):
    _inherit = "crm.dunning.policy"

    def _note_terms(self):
        """Remember how the armed policies are now, to tell at the end what changed."""
        seen = self.env.cr.precommit.data.setdefault(KEY, {})
        if not seen:
            self.env.cr.precommit.add(self.browse()._log_changed_terms)
        # Read as the log sees it, whatever company the user works in.
        for policy in self.sudo().exists():
            if policy.state == "armed" and policy.id not in seen:
                seen[policy.id] = policy._describe_terms()

    @api.model
    def _log_changed_terms(self):
        """Post which steps, thresholds and decline rules of armed policies changed."""
        seen = self.env.cr.precommit.data.pop(KEY, {})
        for policy in self.sudo().browse(seen).exists():
            before, now = seen[policy.id], policy._describe_terms()
            gone = [line for line in before if line not in now]
            new = [line for line in now if line not in before]
            if gone or new:
                policy._message_log(body=policy._format_change(gone, new))
                policy._ask_to_read_again()

    def _describe_terms(self):
        """Return what is counted, said and done, a line each."""
        self.ensure_one()
        policy = self.with_context(active_test=True)
        steps = policy.step_ids.filtered("active").sorted(
            lambda step: (step.trigger, step.days, step.id)
        )
        return [
            *(step._describe() for step in steps),
            *(
                self.env._(
                    "Not below %(amount)s", amount=row.currency_id.format(row.amount)
                )
                for row in policy.threshold_ids
            ),
            *(rule._describe() for rule in policy.decline_rule_ids),
        ]

    def _format_change(self, gone, new):
        rows = [
            *(Markup("<li><s>%s</s></li>") % line for line in gone),
            *(Markup("<li>%s</li>") % line for line in new),
        ]
        title = self.env._("Changed while armed:")
        return Markup("<p>%s</p><ul>%s</ul>") % (title, Markup("").join(rows))

    def _ask_to_read_again(self):
        """Ask who armed the policy to read the back-test of what it is now."""
        self.ensure_one()
        kind = "crm_dunning.mail_activity_type_policy"
        if not self.activity_search([kind]):
            self.activity_schedule(
                kind,
                user_id=self.armed_uid.id if self.armed_uid.active else self.env.uid,
                note=self.env._(
                    "The policy goes on with the changed rules. Run the back-test "
                    "again; disarm the policy if this is not what you want."
                ),
            )


class CrmDunningPolicyPart(models.AbstractModel):
    """Mixin of what belongs to a policy: changes are noted for its log."""

    _name = "crm.dunning.policy.part"
    _description = "Part of a Collections Policy"

    @api.model_create_multi
    def create(self, vals_list):
        policies = {vals["policy_id"] for vals in vals_list if vals.get("policy_id")}
        self.env["crm.dunning.policy"].browse(policies)._note_terms()
        return super().create(vals_list)

    def write(self, vals):
        self.policy_id._note_terms()
        if vals.get("policy_id"):
            self.policy_id.browse(vals["policy_id"])._note_terms()
        return super().write(vals)

    def unlink(self):
        self.policy_id._note_terms()
        return super().unlink()


class CrmDunningStep(models.Model):
    _name = "crm.dunning.step"
    _inherit = ["crm.dunning.step", "crm.dunning.policy.part"]


class CrmDunningThreshold(models.Model):
    _name = "crm.dunning.threshold"
    _inherit = ["crm.dunning.threshold", "crm.dunning.policy.part"]


class CrmDunningDeclineRule(models.Model):
    _name = "crm.dunning.decline.rule"
    _inherit = ["crm.dunning.decline.rule", "crm.dunning.policy.part"]
