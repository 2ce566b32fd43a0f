from odoo import fields, models


class ResCompany(models.Model):
    _inherit = "res.company"

    dunning_policy_id = fields.Many2one(
        "crm.dunning.policy",
        string="Collections Policy",
        domain="[('company_id', 'in', [id, False])]",
        help="Followed by every account for which there is no other. Empty: the first "
        "policy of the list without tiers and tags.",
    )
