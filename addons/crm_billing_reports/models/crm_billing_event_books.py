from odoo import fields, models

BOOKS_ACTIONS = [
    ("mapped", "Mapped to external books"),
    ("handed_out", "Handed out to external books"),
    ("taken_back", "Batch for external books cancelled"),
]


class CrmBillingEvent(models.Model):
    _inherit = "crm.billing.event"

    action = fields.Selection(
        selection_add=BOOKS_ACTIONS,
        ondelete={action: "cascade" for action, _label in BOOKS_ACTIONS},
    )
