from odoo import fields, models

BILLING_METHODS = [
    ("flat", "Flat"),
    ("usage", "Usage"),
    ("milestone", "Milestones"),
    ("one_off", "One-off"),
]
# What is billed on a cadence and therefore needs a billing plan.
RECURRING_METHODS = ("flat", "usage")
METHOD_HELP = (
    "Flat is billed every period, usage by what was measured in it, milestones by "
    "what is done. Empty or one-off is billed once."
)


class ProductTemplate(models.Model):
    """How a product is billed: what a quotation line proposes (C2)."""

    _inherit = "product.template"

    billing_method = fields.Selection(BILLING_METHODS, help=METHOD_HELP)
    billing_plan_id = fields.Many2one(
        "crm.billing.plan",
        check_company=True,
        ondelete="restrict",
        index="btree_not_null",
        help="How often it is billed; the price is for one such period. Empty: the "
        "cycle of the account, else the company's.",
    )
