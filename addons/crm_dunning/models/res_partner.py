from odoo import fields, models


class ResPartner(models.Model):
    _inherit = "res.partner"

    dunning_policy_id = fields.Many2one(
        "crm.dunning.policy",
        string="Collections Policy",
        company_dependent=True,
        help="Empty: the policy of its tier, of its tags, else of the company.",
    )
    dunning_hold_until = fields.Date(
        string="No Reminders Until",
        company_dependent=True,
        help="Reminders and charges of this account wait until this day is over.",
    )
