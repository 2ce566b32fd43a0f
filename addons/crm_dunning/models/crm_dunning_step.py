from odoo import api, fields, models
from odoo.exceptions import UserError, ValidationError

from .crm_dunning_policy import TONES

# Under the context key ``dunning_steps``: the policy checks its steps when all of them
# are written. A call from outside cannot carry this very object.
TOGETHER = object()
# Nothing is late before the due date: only words may go out.
EARLY_ACTIONS = ("mail", "activity")
FIRST_DAY, LAST_DAY = -365, 3650


class CrmDunningStep(models.Model):
    """A rung: so many days from the due date, or from the first failed charge."""

    _name = "crm.dunning.step"
    _description = "Collections Step"
    _order = "policy_id, trigger, days, id"
    _check_company_auto = True

    policy_id = fields.Many2one(
        "crm.dunning.policy", required=True, ondelete="cascade", index=True
    )
    company_id = fields.Many2one(related="policy_id.company_id", store=True)
    name = fields.Char(required=True, translate=True)
    active = fields.Boolean(default=True)
    trigger = fields.Selection(
        [("due", "Due date"), ("failure", "First failed charge")],
        default="due",
        required=True,
        help="What the days are counted from.",
    )
    days = fields.Integer(
        help="Days from the trigger; negative is before the due date."
    )
    action = fields.Selection(
        [
            ("mail", "Mail"),
            ("retry", "Try to charge"),
            ("activity", "Activity"),
            ("hold", "Credit hold"),
            ("letter", "Letter"),
            ("person", "Hand over to a person"),
        ],
        default="mail",
        required=True,
    )
    tone = fields.Selection(TONES, default="neutral")
    template_id = fields.Many2one(
        "mail.template",
        domain=[("model", "=", "crm.dunning.notice")],
        ondelete="restrict",
        help="Empty: the shipped text of the tone.",
    )
    user_id = fields.Many2one(
        "res.users",
        check_company=True,
        domain=[("share", "=", False)],
        help="Who gets the activity, letter or case; else the policy's.",
    )
    note = fields.Char(help="What the person is asked to do.")
    fee_amount = fields.Monetary(
        help="Late fee that this step adds to a draft for review; 0: none.",
    )
    currency_id = fields.Many2one(
        "res.currency", default=lambda self: self.env.company.currency_id
    )

    _days_uniq = models.UniqueIndex(
        "(policy_id, trigger, days, action) WHERE active",
        "There is such a step on that day already.",
    )
    _fee_not_negative = models.Constraint(
        "CHECK(COALESCE(fee_amount, 0) >= 0)", "A late fee cannot be negative."
    )

    # === CONSTRAINT METHODS === #

    @api.constrains("active", "trigger", "days", "action")
    def _check_days(self):
        """Refuse a step that makes no sense on its day."""
        for step in self.filtered("active"):
            if not FIRST_DAY <= step.days <= LAST_DAY:
                raise step._get_day_error(
                    self.env._(
                        "days lie between %(first)s and %(last)s",
                        first=FIRST_DAY,
                        last=LAST_DAY,
                    )
                )
            if step.days < 0 and step.trigger == "failure":
                raise step._get_day_error(
                    self.env._("nothing happens before the charge has failed")
                )
            if step.days < 0 and step.action not in EARLY_ACTIONS:
                raise step._get_day_error(
                    self.env._(
                        "before the due date nothing is late: only mails and "
                        "activities can come then"
                    )
                )
            if step.days == 0 and step.action == "hold":
                raise step._get_day_error(
                    self.env._("on the due date itself nothing is late yet")
                )

    @api.constrains("active", "trigger", "days", "action", "policy_id")
    def _check_order_alone(self):
        if self.env.context.get("dunning_steps") is not TOGETHER:
            self._check_order()

    def _check_order(self):
        """Refuse mails that would never go: automatic ones stop with the person."""
        for policy, trigger in {(step.policy_id, step.trigger) for step in self}:
            steps = policy.step_ids.filtered(
                lambda step, trigger=trigger: step.active and step.trigger == trigger
            )
            people = steps.filtered(lambda step: step.action == "person")
            first = min(people.mapped("days"), default=None)
            for step in steps if people else steps.browse():
                if step.action in ("mail", "retry") and step.days >= first:
                    raise step._get_day_error(
                        self.env._(
                            "a person takes over on day %(day)s, and from then on "
                            "nothing leaves by itself. Move the step before it, or the "
                            "person after it",
                            day=first,
                        )
                    )

    @api.constrains("template_id")
    def _check_template(self):
        for step in self:
            model = step.template_id.sudo().model
            if step.template_id and model != "crm.dunning.notice":
                raise ValidationError(
                    self.env._(
                        "%(template)s is not a text for reminders: its model is "
                        "%(model)s. Choose one for “Reminder”.",
                        template=step.template_id.display_name,
                        model=model,
                    )
                )

    def _get_day_error(self, why):
        return ValidationError(
            self.env._(
                "Step “%(step)s” on day %(day)s of %(policy)s: %(why)s.",
                step=self.name,
                day=self.days,
                policy=self.policy_id.name,
                why=why,
            )
        )

    # === CRUD METHODS === #

    @api.ondelete(at_uninstall=False)
    def _unlink_unused(self):
        """Keep what was sent explainable: a step with a history is switched off."""
        # A step counts as used wherever it was, in every company.
        lines = self.env["crm.dunning.notice.line"].sudo()
        used = lines._read_group([("step_id", "in", self.ids)], ["step_id"])
        for (step,) in used:
            raise UserError(
                self.env._(
                    "Step “%(step)s” was used in reminders. Switch it off instead of "
                    "deleting it, so that the history stays readable.",
                    step=step.name,
                )
            )

    # === BUSINESS METHODS === #

    def _describe(self):
        """Return the step in one line, for logs and for people."""
        self.ensure_one()
        labels = {
            name: dict(self._fields[name]._description_selection(self.env))
            for name in ("trigger", "action", "tone")
        }
        parts = [
            f"{labels['trigger'][self.trigger]} {self.days:+d}",
            labels["action"][self.action],
        ]
        if self.action == "mail" and self.tone:
            parts.append(labels["tone"][self.tone])
        if self.template_id:
            parts.append(self.template_id.sudo().name)
        if self.user_id:
            parts.append(self.user_id.sudo().name)
        if self.fee_amount:
            parts.append(self.currency_id.format(self.fee_amount))
        return f"{self.name}: {', '.join(parts)}"
