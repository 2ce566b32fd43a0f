from odoo import fields, models

CHARGE_ACTIONS = [
    ("charging_armed", "Charging switched on"),
    ("charging_disarmed", "Charging switched off"),
    ("charge_given_up", "Charge declared as not made"),
    ("charge_asked", "Charge started by hand"),
]


class CrmBillingEvent(models.Model):
    _inherit = "crm.billing.event"

    action = fields.Selection(
        selection_add=CHARGE_ACTIONS,
        ondelete={action: "cascade" for action, _label in CHARGE_ACTIONS},
    )
