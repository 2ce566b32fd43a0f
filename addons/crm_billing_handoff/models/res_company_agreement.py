from odoo import fields, models


class ResCompany(models.Model):
    """What the agreements of a company start from."""

    _inherit = "res.company"

    billing_plan_id = fields.Many2one(
        "crm.billing.plan",
        string="Default Billing Cycle",
        check_company=True,
        ondelete="restrict",
        help="Recurring and usage lines without a plan of their own follow the cycle "
        "of the account, else this one.",
    )
    billing_review_later = fields.Boolean(
        string="Later invoices of an agreement need a review, too",
        help="Otherwise only the first invoice of an agreement does, and those that "
        "differ from it.",
    )
