from odoo import fields, models

CASE_ACTIONS = [
    ("case_opened", "Case opened"),
    ("case_closed", "Case closed"),
    ("case_reopened", "Case opened again"),
    ("taken_over", "Taken over by a person"),
    ("given_back", "Given back to automation"),
    ("escalated", "Escalated"),
    ("promised", "Payment promised"),
    ("promise_kept", "Promise kept"),
    ("promise_broken", "Promise broken"),
    ("disputed", "Disputed"),
    ("dispute_ended", "Dispute resolved"),
    ("case_held", "Put on hold"),
    ("case_resumed", "Hold ended"),
    ("credit_hold", "Credit hold set"),
    ("credit_released", "Credit hold lifted"),
    ("fee_proposed", "Fee or interest proposed"),
    ("fee_waived", "Fee or interest waived"),
    ("order_allowed", "Order allowed although overdue"),
    ("order_overdue", "Order confirmed although overdue"),
]


class CrmBillingEvent(models.Model):
    _inherit = "crm.billing.event"

    action = fields.Selection(
        selection_add=CASE_ACTIONS,
        ondelete={action: "cascade" for action, _label in CASE_ACTIONS},
    )
    dunning_case_id = fields.Many2one(
        "crm.dunning.case", string="Case", index="btree_not_null"
    )
