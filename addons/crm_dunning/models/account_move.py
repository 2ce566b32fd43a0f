from odoo import fields, models


class AccountMove(models.Model):
    _inherit = "account.move"

    dunning_case_ids = fields.One2many("crm.dunning.case", "move_id")
    dunning_attempt_ids = fields.One2many("crm.dunning.attempt", "move_id")
