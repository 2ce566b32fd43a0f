from odoo import fields, models

KINDS = [
    ("blocked", "Handoff blocked"),
    ("edit", "Account corrected after the handoff"),
    ("cancelled_draft", "Draft cancelled"),
    ("overridden", "Differs, approved with a reason"),
    ("correction", "Invoice corrected"),
    ("not_sent", "Invoice not sent"),
    ("resend", "Invoice sent again"),
    ("credit", "Invoice credited"),
    ("match", "Matched by hand"),
    ("not_billed", "Agreement not billed"),
    ("held", "Catching up held"),
    ("not_won", "Billed, not won"),
    ("waived", "Waived"),
    ("disputed", "Disputed"),
]


class CrmBillingTouchCost(models.Model):
    """How many minutes a touch of a kind costs: the price list of clean-up hours.

    The shipped minutes are an estimate that holds for all companies; a row of a company
    comes before it.
    """

    _name = "crm.billing.touch.cost"
    _description = "Cost of a Touch"
    _order = "kind, company_id"
    _rec_name = "kind"

    kind = fields.Selection(KINDS, required=True)
    minutes = fields.Integer(required=True)
    company_id = fields.Many2one(
        "res.company", index="btree_not_null", help="Empty: all companies."
    )

    _kind_uniq = models.UniqueIndex(
        "(kind, COALESCE(company_id, 0))",
        "There is a cost of this kind already: change its minutes.",
    )
    _minutes_not_negative = models.Constraint(
        "CHECK (minutes >= 0)", "Minutes of a touch are 0 or more."
    )
