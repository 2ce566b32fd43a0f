from odoo import fields, models


class ResCompany(models.Model):
    """From when on something that is not billed counts as a leak."""

    _inherit = "res.company"

    billing_leak_since = fields.Date(
        string="Watch Deals Won Since",
        default=fields.Date.context_today,
        help="Deals won before this day were billed elsewhere: the leak radar does not "
        "ask for their handoff. By default the day of installation.",
    )
    billing_leak_draft_days = fields.Integer(
        string="Days for a Draft",
        default=3,
        help="A draft invoice older than this is in the leak radar.",
    )
    billing_leak_unsent_days = fields.Integer(
        string="Days to Send",
        default=1,
        help="A posted invoice that was not sent for longer is in the leak radar.",
    )

    _leak_days_not_negative = models.Constraint(
        "CHECK (COALESCE(billing_leak_draft_days, 0) >= 0 "
        "AND COALESCE(billing_leak_unsent_days, 0) >= 0)",
        "The days after which something is in the leak radar are 0 or more.",
    )
