from odoo import fields, models

TONES = [
    ("gentle", "Gentle"),
    ("neutral", "Neutral"),
    ("firm", "Firm"),
]


class CrmDunningPolicy(models.Model):
    """When to remind, charge, retry and hand over: a named list of steps.

    A new policy is a dry run: it decides and records nothing that leaves the house
    until a billing manager arms it. Which policy follows which account is decided in
    :meth:`res.partner._get_dunning_policies`.
    """

    _name = "crm.dunning.policy"
    _description = "Collections Policy"
    _inherit = ["mail.thread", "mail.activity.mixin"]
    _order = "sequence, id"
    _check_company_auto = True

    name = fields.Char(required=True, translate=True, tracking=True)
    active = fields.Boolean(default=True, tracking=True)
    sequence = fields.Integer(default=10)
    company_id = fields.Many2one(
        "res.company",
        index=True,
        help="Empty: policy for every company.",
        tracking=True,
    )
    state = fields.Selection(
        [("dry_run", "Dry run"), ("armed", "Armed")],
        default="dry_run",
        required=True,
        copy=False,
        readonly=True,
        tracking=True,
        help="In a dry run nothing is mailed, charged or handed over.",
    )
    armed_uid = fields.Many2one("res.users", readonly=True, copy=False)
    armed_at = fields.Datetime(readonly=True, copy=False)
    description = fields.Html(translate=True)

    # Whom it is for; all empty is the default of the company.
    tier_ids = fields.Many2many(
        "crm.billing.service.tier", string="Service Tiers", check_company=True
    )
    category_ids = fields.Many2many("res.partner.category", string="Account Tags")

    step_ids = fields.One2many("crm.dunning.step", "policy_id", copy=True)
    threshold_ids = fields.One2many("crm.dunning.threshold", "policy_id", copy=True)
    decline_rule_ids = fields.One2many(
        "crm.dunning.decline.rule", "policy_id", copy=True
    )

    # When messages and charges may leave, in the account's time zone.
    hour_from = fields.Float(
        default=8.0, help="Hour of the day, 8.5 is half past 8.", tracking=True
    )
    hour_to = fields.Float(
        default=18.0, help="The first hour that is too late.", tracking=True
    )
    weekdays_only = fields.Boolean(
        tracking=True,
        help="What is due on Saturday or Sunday waits for Monday.",
    )
    calendar_id = fields.Many2one(
        "resource.calendar",
        string="Holidays",
        check_company=True,
        help="No message and no charge leaves on the public holidays of this calendar.",
        tracking=True,
    )
    min_gap_days = fields.Integer(
        string="Between Two Messages",
        default=1,
        help="Days between two messages to one account in one currency.",
        tracking=True,
    )
    upcoming_days = fields.Integer(
        string="Also Name What Is Due",
        default=7,
        help="A reminder also lists what falls due within this many days.",
    )
    bank_data_limit_days = fields.Integer(
        string="Wait if Bank Data Are",
        help="If the last imported bank statement is older than this many days, "
        "reminders wait and their owner is told once; 0: not looked at.",
        tracking=True,
    )

    # How it is said, and to whom a copy goes.
    tone_mode = fields.Selection(
        [("step", "As the step says"), ("behaviour", "By the payer's behaviour")],
        default="step",
        required=True,
        string="Tone",
        help="By behaviour: first-ever overdue and punctual payers get the gentle "
        "text, serial late ones the firm one. The reason is shown on the message.",
        tracking=True,
    )
    copy_salesperson = fields.Boolean()
    copy_approver = fields.Boolean()

    # Charging saved methods.
    charge_mode = fields.Selection(
        [
            ("none", "Never"),
            ("due", "On the due date"),
            ("posting", "When the invoice is posted"),
        ],
        default="none",
        required=True,
        string="Charge Saved Methods",
        tracking=True,
    )
    announce_days = fields.Integer(
        string="Announce Charges",
        default=0,
        help="Days before a charge at which the customer is told amount, date and "
        "method; 0: not announced.",
        tracking=True,
    )
    retry_timing = fields.Selection(
        [
            ("days", "On fixed days"),
            ("class", "By the reason of the decline"),
            ("window", "Up to 8 tries in 14 days"),
        ],
        default="days",
        required=True,
        tracking=True,
    )
    retry_days = fields.Char(
        default="1, 3, 5, 7",
        help="Days after the first failure on which a soft decline is tried again.",
        tracking=True,
    )
    max_tries = fields.Integer(
        string="Charges at Most",
        default=8,
        help="Never more charges of one invoice than this; the limits of the card "
        "networks hold besides.",
        tracking=True,
    )
    hard_patience_days = fields.Integer(
        string="Time for a New Method",
        help="Days that a customer has to give a new method after a hard decline, "
        "before a person takes over; 0: the same day.",
        tracking=True,
    )

    # The person at the clear point.
    owner_id = fields.Many2one(
        "res.users", check_company=True, string="Case Owner", tracking=True
    )
    deputy_id = fields.Many2one("res.users", check_company=True, tracking=True)
    deadline_days = fields.Integer(
        default=3,
        help="Days that the owner has to act on a case.",
        tracking=True,
    )
    escalate_days = fields.Integer(
        default=2,
        help="Days past the deadline after which a manager is told.",
        tracking=True,
    )

    # New business with an account that owes.
    sales_block = fields.Selection(
        [("none", "Nothing"), ("warn", "Warn"), ("block", "Block confirmation")],
        default="warn",
        required=True,
        string="New Quotations",
        tracking=True,
    )
    sales_block_days = fields.Integer(
        default=1, help="From this many days overdue on.", tracking=True
    )

    # Fees and interest: off by default (billing rules, section 11).
    interest_mode = fields.Selection(
        [("none", "None"), ("rate", "Own rate"), ("statutory", "Statutory table")],
        default="none",
        required=True,
        string="Late Interest",
        tracking=True,
    )
    interest_rate = fields.Float(digits=(6, 4), help="Percent a year.", tracking=True)
    interest_basis = fields.Selection(
        [("365", "365 days"), ("360", "360 days")],
        default="365",
        required=True,
        tracking=True,
    )
    interest_if_paid = fields.Selection(
        [("keep", "Keep what accrued"), ("waive", "Waive it")],
        default="keep",
        required=True,
        tracking=True,
    )
