"""What a policy may say, and what keeps one that is in use from going away."""

from odoo import api, models
from odoo.exceptions import UserError, ValidationError
from odoo.fields import Domain

from ..dunning_rules.caps import HARD
from .crm_dunning_step import TOGETHER

LONGEST_WAIT = 365
LAST_RETRY_DAY = 60
# In whole days, from 0; what is named here has another least value.
DAY_FIELDS = {
    "min_gap_days": 1,
    "upcoming_days": 0,
    "bank_data_limit_days": 0,
    "announce_days": 0,
    "hard_patience_days": 0,
    "deadline_days": 0,
    "escalate_days": 0,
    "sales_block_days": 0,
}


class CrmDunningPolicy(models.Model):
    _inherit = "crm.dunning.policy"

    # === CONSTRAINT METHODS === #

    @api.constrains("hour_from", "hour_to")
    def _check_hours(self):
        for policy in self:
            first, last = policy.hour_from, policy.hour_to
            if not (0 <= first < 24 and 0 < last <= 24):
                raise ValidationError(
                    self.env._(
                        "%(policy)s: hours lie between 0:00 and 24:00.",
                        policy=policy.name,
                    )
                )
            if first >= last:
                raise ValidationError(
                    self.env._(
                        "%(policy)s: messages and charges leave from an earlier to a "
                        "later hour of one day. Hours that run past midnight are not "
                        "possible: nobody likes a reminder at night.",
                        policy=policy.name,
                    )
                )

    @api.constrains(*DAY_FIELDS)
    def _check_day_numbers(self):
        for policy in self:
            for name, least in DAY_FIELDS.items():
                if not least <= policy[name] <= LONGEST_WAIT:
                    raise ValidationError(
                        self.env._(
                            "%(policy)s: “%(field)s” is %(least)s to %(most)s days.",
                            policy=policy.name,
                            field=policy._get_label(name),
                            least=least,
                            most=LONGEST_WAIT,
                        )
                    )

    @api.constrains("retry_days", "retry_timing", "max_tries", "hard_patience_days")
    def _check_retries(self):
        for policy in self:
            days = policy._to_retry_policy().days
            if max(days, default=0) > LAST_RETRY_DAY or len(days) > HARD.per_invoice:
                raise ValidationError(policy._explain_retries())

    @api.constrains("interest_mode", "interest_rate")
    def _check_interest(self):
        for policy in self:
            rate = policy.interest_rate
            if not 0 <= rate <= 100 or (policy.interest_mode == "rate" and not rate):
                raise ValidationError(
                    self.env._(
                        "%(policy)s: give the interest in percent a year, above 0 and "
                        "at most 100.",
                        policy=policy.name,
                    )
                )

    @api.constrains("company_id")
    def _check_company_in_use(self):
        """Refuse to take a policy away from the companies that work by it."""
        for policy in self.filtered("company_id"):
            foreign = policy._get_using_companies() - policy.company_id
            if foreign:
                raise ValidationError(
                    self.env._(
                        "%(policy)s is used by %(companies)s. Copy it for "
                        "%(company)s instead.",
                        policy=policy.name,
                        companies=", ".join(foreign.mapped("name")),
                        company=policy.company_id.name,
                    )
                )

    @api.constrains("active")
    def _check_archive(self):
        """Refuse to switch off in silence what accounts are collected by."""
        for policy in self.filtered(lambda policy: not policy.active):
            if policy.state == "armed":
                raise UserError(
                    self.env._(
                        "%(policy)s is armed. Disarm it before you archive it.",
                        policy=policy.name,
                    )
                )
            if users := policy._get_users_of():
                raise UserError(
                    self.env._(
                        "%(policy)s is still chosen by %(users)s. Choose another "
                        "policy there first.",
                        policy=policy.name,
                        users=", ".join(users),
                    )
                )

    @api.constrains("step_ids")
    def _check_steps(self):
        self.step_ids._check_order()

    # === CRUD METHODS === #

    @api.model_create_multi
    def create(self, vals_list):
        """Override to look at the steps when all of them are there."""
        policies = self.with_context(dunning_steps=TOGETHER)
        made = super(CrmDunningPolicy, policies).create(vals_list)
        return made.with_env(self.env)

    def write(self, vals):
        """Override to look at the steps when all of them are changed."""
        policies = self.with_context(dunning_steps=TOGETHER)
        return super(CrmDunningPolicy, policies).write(vals)

    def copy_data(self, default=None):
        """Override to name the copy; state and arming are not copied: it is a dry run.

        A step that is switched off stays behind.
        """
        vals_list = super().copy_data(default)
        for policy, vals in zip(self, vals_list, strict=True):
            if not (default or {}).get("name"):
                vals["name"] = self.env._("%(policy)s (copy)", policy=policy.name)
        return vals_list

    @api.ondelete(at_uninstall=False)
    def _unlink_unused(self):
        for policy in self:
            # Used is used, in whichever company.
            used = policy._get_using_companies()
            if policy.state == "armed" or used or policy._get_users_of():
                raise UserError(
                    self.env._(
                        "%(policy)s is armed, chosen or has a history. Disarm and "
                        "archive it instead of deleting it.",
                        policy=policy.name,
                    )
                )

    # === BUSINESS METHODS === #

    def _get_label(self, name):
        return self._fields[name].get_description(self.env, ["string"])["string"]

    def _get_using_companies(self):
        """Return the companies with cases or messages by this policy."""
        companies = self.env["res.company"].sudo()
        for model in ("crm.dunning.case", "crm.dunning.notice"):
            rows = self.env[model].sudo()
            for (company,) in rows._read_group(
                [("policy_id", "in", self.ids)], ["company_id"]
            ):
                companies |= company
        return companies

    def _get_users_of(self):
        """Return the names of companies and accounts that chose this policy."""
        self.ensure_one()
        companies = self.env["res.company"].sudo().search(Domain.TRUE)
        names = companies.filtered(lambda one: one.dunning_policy_id == self)
        names = names.mapped("name")
        for company in companies:
            accounts = self.env["res.partner"].sudo().with_company(company)
            count = accounts.search_count([("dunning_policy_id", "=", self.id)])
            if count:
                names.append(
                    self.env._(
                        "%(count)s accounts of %(company)s",
                        count=count,
                        company=company.name,
                    )
                )
        return names
