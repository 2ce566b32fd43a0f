from odoo import fields, models

from .crm_dunning_policy import TONES


class CrmDunningStep(models.Model):
    """A rung: so many days from the due date, or from the first failed charge."""

    _name = "crm.dunning.step"
    _description = "Collections Step"
    _order = "policy_id, trigger, days, id"

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
        "res.users", help="Who gets the activity, letter or case; else the policy's."
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
