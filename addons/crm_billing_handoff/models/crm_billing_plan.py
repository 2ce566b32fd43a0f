from odoo import api, fields, models
from odoo.exceptions import ValidationError

UNITS = [("day", "Days"), ("week", "Weeks"), ("month", "Months"), ("year", "Years")]
TIMINGS = [("advance", "In advance"), ("arrears", "In arrears")]
BASES = [
    ("day", "By the day"),
    ("second", "By the second"),
    ("actual_30", "30-day months"),
]
PRORATION_TIMINGS = [
    ("next", "On the next invoice"),
    ("now", "At once"),
    ("none", "Not at all"),
]


class CrmBillingPlan(models.Model):
    """A cadence: how often an account is billed, and at which end of the period.

    Agreement lines copy what they need when they take a plan, so that a later edit of
    the plan never moves the periods of what is already running.
    """

    _name = "crm.billing.plan"
    _description = "Billing Plan"
    _order = "sequence, id"
    _check_company_auto = True

    name = fields.Char(required=True, translate=True)
    sequence = fields.Integer(default=10)
    active = fields.Boolean(default=True)
    company_id = fields.Many2one("res.company")
    interval_count = fields.Integer(string="Every", default=1, required=True)
    interval_unit = fields.Selection(UNITS, default="month", required=True)
    timing = fields.Selection(
        TIMINGS,
        default="advance",
        required=True,
        help="In advance bills on the first day of a period, in arrears on the day "
        "after its last day.",
    )
    anchor_mode = fields.Selection(
        [
            ("start", "Start date"),
            ("fixed_day", "Fixed day of the month"),
            ("end_of_month", "Last day of the month"),
            ("weekday", "Weekday"),
        ],
        string="Periods Start On",
        default="start",
        required=True,
        help="The day on which periods start. With the start date, each agreement has "
        "its own; a month that is too short takes its last day, the next one does not.",
    )
    anchor_day = fields.Integer(
        string="Day of the Month", default=1, help="From 1 to 31."
    )
    anchor_month = fields.Selection(
        "_get_months",
        string="First Month",
        help="Matters for periods of several months; empty means January, so that "
        "quarters start in January, April, July and October.",
    )
    anchor_weekday = fields.Selection(
        [
            ("0", "Monday"),
            ("1", "Tuesday"),
            ("2", "Wednesday"),
            ("3", "Thursday"),
            ("4", "Friday"),
            ("5", "Saturday"),
            ("6", "Sunday"),
        ],
        string="Weekday",
        default="0",
    )
    proration_basis = fields.Selection(
        BASES, help="How a part of a period is measured; empty follows the company."
    )
    proration_timing = fields.Selection(
        PRORATION_TIMINGS,
        string="Changes Are Billed",
        help="When credit and charge of a change in mid-period are invoiced; empty "
        "follows the company.",
    )
    settling_days = fields.Integer(
        help="Days that usage is waited for after the end of a period."
    )
    lead_days = fields.Integer(
        string="Drafts Ahead",
        help="Days before the billing date on which the draft is made.",
    )
    invoice_date_mode = fields.Selection(
        [
            ("today", "The day it is made, if later"),
            ("billing_date", "Always the billing date"),
        ],
        string="Invoice Date",
        default="today",
        required=True,
    )

    _interval_positive = models.Constraint(
        "CHECK (interval_count > 0)",
        "A billing plan repeats every 1 or more days, weeks, months or years.",
    )
    _days_not_negative = models.Constraint(
        "CHECK (COALESCE(settling_days, 0) >= 0 AND COALESCE(lead_days, 0) >= 0)",
        "Settling days and days ahead are 0 or more.",
    )

    @api.model
    def _get_months(self):
        return [
            ("1", self.env._("January")),
            ("2", self.env._("February")),
            ("3", self.env._("March")),
            ("4", self.env._("April")),
            ("5", self.env._("May")),
            ("6", self.env._("June")),
            ("7", self.env._("July")),
            ("8", self.env._("August")),
            ("9", self.env._("September")),
            ("10", self.env._("October")),
            ("11", self.env._("November")),
            ("12", self.env._("December")),
        ]

    @api.constrains("anchor_mode", "anchor_day", "interval_unit")
    def _check_anchor(self):
        for plan in self:
            months = plan.interval_unit in ("month", "year")
            if plan.anchor_mode == "fixed_day" and not 1 <= plan.anchor_day <= 31:
                raise ValidationError(
                    self.env._("%(plan)s: the day is 1 to 31.", plan=plan.name)
                )
            if plan.anchor_mode in ("fixed_day", "end_of_month") and not months:
                raise ValidationError(
                    self.env._(
                        "%(plan)s: only periods of months or years start on a day of "
                        "the month. Choose the start date or a weekday.",
                        plan=plan.name,
                    )
                )
            if plan.anchor_mode == "weekday" and plan.interval_unit != "week":
                raise ValidationError(
                    self.env._(
                        "%(plan)s: only periods of weeks start on a weekday.",
                        plan=plan.name,
                    )
                )
