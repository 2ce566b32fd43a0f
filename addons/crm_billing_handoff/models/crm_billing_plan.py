from odoo import fields, models


class CrmBillingPlan(models.Model):
    """A cadence: how often an account is billed, and at which end of the period."""

    _name = "crm.billing.plan"
    _description = "Billing Plan"
    _order = "sequence, id"
    _check_company_auto = True

    name = fields.Char(required=True, translate=True)
    sequence = fields.Integer(default=10)
    active = fields.Boolean(default=True)
    company_id = fields.Many2one("res.company")
    interval_count = fields.Integer(string="Every", default=1, required=True)
    interval_unit = fields.Selection(
        [("day", "Days"), ("week", "Weeks"), ("month", "Months"), ("year", "Years")],
        default="month",
        required=True,
    )
    timing = fields.Selection(
        [("advance", "In advance"), ("arrears", "In arrears")],
        default="advance",
        required=True,
        help="In advance bills on the first day of a period, in arrears on the day "
        "after its last day.",
    )

    _interval_positive = models.Constraint(
        "CHECK (interval_count > 0)",
        "A billing plan repeats every 1 or more days, weeks, months or years.",
    )
