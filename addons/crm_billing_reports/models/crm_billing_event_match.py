from odoo import fields, models

MATCH_ACTIONS = [
    ("evidence_built", "Evidence pack built"),
    ("evidence_read", "Evidence pack read back"),
    ("evidence_restored", "Document put back from evidence"),
    ("outside_read", "List of other books read"),
    ("outside_paid", "Payment taken over from other books"),
    ("outside_withdrawn", "Payment of other books withdrawn"),
    ("outside_linked", "Linked to a document of other books"),
    ("match_explained", "Difference to other books explained"),
    ("certified", "Month certified"),
]


class CrmBillingEvent(models.Model):
    _inherit = "crm.billing.event"

    action = fields.Selection(
        selection_add=MATCH_ACTIONS,
        ondelete={action: "cascade" for action, _label in MATCH_ACTIONS},
    )
