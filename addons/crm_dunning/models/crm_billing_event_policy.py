from odoo import fields, models


class CrmBillingEvent(models.Model):
    _inherit = "crm.billing.event"

    action = fields.Selection(
        selection_add=[
            ("armed", "Collections armed"),
            ("disarmed", "Collections disarmed"),
        ],
        ondelete={"armed": "cascade", "disarmed": "cascade"},
    )
