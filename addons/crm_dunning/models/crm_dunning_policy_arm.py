"""From a dry run to the real thing, and back."""

import hashlib
import json

from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError

from odoo.addons.base.models.res_users import check_identity

MANAGER = "crm_billing_handoff.group_billing_manager"
# What decides who gets what and when: another value is another version of the policy.
TERMS = (
    "company_id",
    "tier_ids",
    "category_ids",
    "hour_from",
    "hour_to",
    "weekdays_only",
    "calendar_id",
    "min_gap_days",
    "upcoming_days",
    "bank_data_limit_days",
    "tone_mode",
    "charge_mode",
    "announce_days",
    "retry_timing",
    "retry_days",
    "max_tries",
    "hard_patience_days",
    "interest_mode",
    "interest_rate",
)
CHILDREN = {
    "step_ids": (
        "active",
        "trigger",
        "days",
        "action",
        "tone",
        "template_id",
        "fee_amount",
        "currency_id",
    ),
    "threshold_ids": ("currency_id", "amount"),
    "decline_rule_ids": ("decline_code", "max_tries", "to_person"),
}
PARTS = [f"{name}.{field}" for name, names in CHILDREN.items() for field in names]


def to_plain(record, names):
    """Return the stored values of ``record``, links as ids, for a fingerprint."""
    fields_ = (record._fields[name] for name in names)
    return [
        sorted(record[field.name].ids)
        if field.relational
        else field.convert_to_read(record[field.name], record)
        for field in fields_
    ]


class CrmDunningPolicy(models.Model):
    """Arming: only a billing manager, at the keyboard, with the back-test read."""

    _name = "crm.dunning.policy"
    _inherit = ["crm.dunning.policy", "crm.billing.machine.fields"]

    armed_digest = fields.Char(readonly=True, copy=False)
    is_changed = fields.Boolean(
        compute="_compute_is_changed",
        string="Changed since Armed",
        help="Steps or rules are not the ones that were armed.",
    )

    # === COMPUTE METHODS === #

    @api.depends("state", "armed_digest", *TERMS, *PARTS)
    def _compute_is_changed(self):
        for policy in self:
            policy.is_changed = (
                policy.state == "armed"
                and bool(policy.armed_digest)
                and policy.armed_digest != policy._get_digest()
            )

    @api.model
    def _get_machine_fields(self):
        return ("state", "armed_uid", "armed_at", "armed_digest")

    # === ACTION METHODS === #

    def action_arm(self):
        """Let the policies mail, charge and hand over, from the next run on.

        Asks for the identity of who does it: arming is a decision of a person, so no
        job and no automation rule can take it.

        :raise UserError: something is missing; the text says what
        """
        self._check_is_dunning_manager()
        self._check_can_arm()
        return self._arm_with_identity()

    def action_disarm(self):
        """Go back to the dry run at once; what is queued already is not called back."""
        self._check_is_dunning_manager()
        armed = self.filtered(lambda policy: policy.state == "armed")
        armed._set_state("dry_run")
        return True

    # === BUSINESS METHODS === #

    def _check_is_dunning_manager(self):
        """Let only a billing manager decide, in the user's own companies."""
        if not self.env.su and not self.env.user.has_group(MANAGER):
            raise AccessError(
                self.env._(
                    "Only a billing manager arms and disarms collections policies. Ask "
                    "one of them: %(people)s.",
                    people=self.env["res.partner"]._get_people_of_group(MANAGER),
                )
            )
        self.check_access("write")

    @check_identity
    def _arm_with_identity(self):
        self._check_is_dunning_manager()
        self._check_can_arm()
        self.filtered(lambda policy: policy.state != "armed")._set_state("armed")
        return {"type": "ir.actions.client", "tag": "soft_reload"}

    def _check_can_arm(self):
        for policy in self:
            if problems := policy._get_arming_problems():
                raise UserError(
                    self.env._(
                        "%(policy)s cannot be armed yet:\n%(problems)s",
                        policy=policy.name,
                        problems="\n".join(f"- {problem}" for problem in problems),
                    )
                )
        self._check_can_charge()

    def _get_arming_problems(self):
        """Return what is missing before this policy may act, in words."""
        self.ensure_one()
        problems = []
        if not self.active:
            problems.append(self.env._("it is archived"))
        if not self.step_ids.filtered("active"):
            problems.append(self.env._("it has no steps"))
        if not self._get_hand_over_user():
            problems.append(
                self.env._(
                    "nobody gets its cases: name a case owner, or the person "
                    "responsible for Billing in the settings"
                )
            )
        problems += self._get_text_problems()
        problems += self._get_backtest_problems()
        return problems

    def _get_hand_over_user(self):
        """Return who gets a case for which no step names anybody."""
        company = self.company_id or self.env.company
        users = (self.owner_id, company.sudo().billing_responsible_id)
        return next((user for user in users if user.sudo().active), self.owner_id[:0])

    def _check_can_charge(self):
        """Ask the payment providers whether one of them may charge saved methods."""
        charging = self.filtered(lambda policy: policy.charge_mode != "none")
        for company in {one.company_id or self.env.company for one in charging}:
            # Keys and secrets are looked at, not shown.
            providers = self.env["payment.provider"].sudo()
            providers = providers.search(
                [
                    ("state", "in", ("enabled", "test")),
                    ("company_id", "=", company.id),
                    ("allow_tokenization", "=", True),
                ]
            )
            self._check_one_can_charge(providers)

    def _check_one_can_charge(self, providers):
        """Refuse if none of ``providers`` may charge, for the reason of the first."""
        reasons = []
        for provider in providers:
            try:
                provider._check_can_charge()
                return
            except UserError as error:
                reasons.append(error)
        if reasons:
            raise reasons[0]
        raise UserError(
            self.env._(
                "No payment provider of this company saves payment methods, so there "
                "is nothing to charge. Set one up, or choose “Never” under “Charge "
                "Saved Methods”."
            )
        )

    def _set_state(self, state):
        """Arm or disarm, with a line in the chatter and in the audit log."""
        armed = state == "armed"
        for policy in self:
            # The flow writes these fields; who may was checked before.
            policy.sudo().write(
                {
                    "state": state,
                    "armed_uid": self.env.uid if armed else False,
                    "armed_at": fields.Datetime.now() if armed else False,
                    "armed_digest": policy._get_digest() if armed else False,
                }
            )
            policy._message_log(
                body=self.env._("Armed: it mails, charges and hands over from now on.")
                if armed
                else self.env._("Disarmed: it is a dry run again.")
            )
        self.env["crm.billing.event"]._log(
            [
                {
                    "action": "armed" if armed else "disarmed",
                    "company_id": policy.company_id.id,
                    "new_value": policy.name,
                    "note": self.env._(
                        "Collections policy %(policy)s", policy=policy.name
                    ),
                }
                for policy in self
            ]
        )

    def _get_digest(self):
        """Return a fingerprint of what decides who gets what and when."""
        self.ensure_one()
        # The same for everybody, whoever may see which record.
        policy = self.sudo().with_context(active_test=False)
        facts = {"terms": to_plain(policy, TERMS)}
        for name, names in CHILDREN.items():
            facts[name] = sorted(
                (to_plain(child, names) for child in policy[name]), key=str
            )
        text = json.dumps(facts, sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()
