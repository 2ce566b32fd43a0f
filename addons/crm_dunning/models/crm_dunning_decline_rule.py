import re

from odoo import api, fields, models
from odoo.exceptions import ValidationError

from ..dunning_rules import declines


class CrmDunningDeclineRule(models.Model):
    """A stricter treatment of a decline than the shipped table (F4); never a looser."""

    _name = "crm.dunning.decline.rule"
    _description = "Collections Decline Rule"

    policy_id = fields.Many2one(
        "crm.dunning.policy", required=True, ondelete="cascade", index=True
    )
    company_id = fields.Many2one(related="policy_id.company_id", store=True)
    decline_code = fields.Char(required=True, help="As the provider names it.")
    max_tries = fields.Integer(help="0: never tried again with the same method.")
    to_person = fields.Boolean(string="To a person at once")

    _code_uniq = models.UniqueIndex(
        "(policy_id, decline_code)", "There is a rule for this code already."
    )
    _tries_not_negative = models.Constraint(
        "CHECK(max_tries >= 0)", "Tries are 0 or more; 0 means never again."
    )

    # === CONSTRAINT METHODS === #

    @api.constrains("decline_code")
    def _check_code(self):
        for rule in self:
            if not re.fullmatch(r"[a-z0-9_]+", rule.decline_code):
                raise ValidationError(
                    self.env._(
                        "“%(code)s” is no decline code. Write it as the provider does, "
                        "such as insufficient_funds.",
                        code=rule.decline_code,
                    )
                )

    @api.constrains("decline_code", "max_tries", "to_person")
    def _check_is_stricter(self):
        """Refuse what would allow more than the shipped table (features, F4)."""
        for rule in self:
            most = rule._get_table_tries()
            if not rule.to_person and rule.max_tries > most:
                raise ValidationError(
                    self.env._(
                        "A rule can only be stricter than the table: after %(code)s "
                        "the same method is tried again %(most)s times at most, not "
                        "%(tries)s.",
                        code=rule.decline_code,
                        most=most,
                        tries=rule.max_tries,
                    )
                )

    # === CRUD METHODS === #

    @api.model_create_multi
    def create(self, vals_list):
        return super().create([self._clean_code(vals) for vals in vals_list])

    def write(self, vals):
        return super().write(self._clean_code(vals))

    @staticmethod
    def _clean_code(vals):
        code = vals.get("decline_code")
        return {**vals, "decline_code": code.strip().lower()} if code else vals

    # === BUSINESS METHODS === #

    def _get_table_tries(self):
        """Return how often the shipped table lets a method be tried after this code."""
        self.ensure_one()
        return max(
            declines.classify(
                declines.Decline(decline_code=self.decline_code, method_type=kind)
            ).max_tries
            for kind in ("card", "sepa_debit")
        )

    def _to_override(self, found):
        """Return it as the rules read it, for a decline of the class ``found``."""
        self.ensure_one()
        return declines.Override(
            max_tries=min(self.max_tries, found.max_tries), to_person=self.to_person
        )

    def _describe(self):
        """Return the rule in one line, for logs and for people."""
        self.ensure_one()
        if self.to_person:
            return self.env._("After %(code)s: to a person", code=self.decline_code)
        return self.env._(
            "After %(code)s: %(tries)s tries",
            code=self.decline_code,
            tries=self.max_tries,
        )
