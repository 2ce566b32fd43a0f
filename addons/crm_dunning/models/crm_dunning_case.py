from odoo import fields, models

CASE_STATES = [
    ("automatic", "Reminders"),
    ("retrying", "Retrying"),
    ("verifying", "Verifying"),
    ("promise", "Promised"),
    ("hold", "On hold"),
    ("dispute", "Disputed"),
    ("person", "With a person"),
    ("closed", "Closed"),
]
REASONS = [
    ("overdue", "Still overdue after the last reminder"),
    ("declined", "The charge was declined for good"),
    ("retries", "All retries failed"),
    ("no_method", "No usable payment method"),
    ("fraud", "The bank suspects fraud"),
    ("authentication", "The customer does not confirm the payment"),
    ("unknown", "Outcome of a charge not known"),
    ("mismatch", "The provider says another amount"),
    ("chargeback", "The customer disputes a charge"),
    ("refund", "A payment was refunded"),
    ("dispute", "The customer disputes the invoice"),
    ("promise", "Promise broken"),
    ("reply", "The customer replied"),
    ("bounce", "Nobody can be reached by mail"),
    ("manual", "Taken over by hand"),
    ("policy", "The policy says so"),
]
CLOSE_REASONS = [
    ("paid", "Paid"),
    ("credited", "Credited"),
    ("cancelled", "Invoice cancelled or reset to draft"),
    ("settled", "Nothing open any more"),
]


class CrmDunningCase(models.Model):
    """What is done about one unpaid invoice, from the first sign to the money.

    One open case an invoice. The machine works it (reminders, retries) until the point
    at which the policy gives it to a person; it closes by itself when nothing is open.
    """

    _name = "crm.dunning.case"
    _description = "Collections Case"
    _inherit = ["mail.thread", "mail.activity.mixin"]
    _order = "next_action_at, id"
    _rec_name = "move_id"
    _check_company_auto = True

    move_id = fields.Many2one(
        "account.move",
        string="Invoice",
        required=True,
        ondelete="cascade",
        index=True,
        readonly=True,
        check_company=True,
    )
    company_id = fields.Many2one(
        related="move_id.company_id", store=True, index=True, precompute=True
    )
    currency_id = fields.Many2one(
        related="move_id.currency_id", store=True, precompute=True
    )
    partner_id = fields.Many2one(
        related="move_id.commercial_partner_id",
        store=True,
        index=True,
        precompute=True,
        string="Account",
        help="The account that pays.",
    )
    seller_id = fields.Many2one(
        related="move_id.invoice_user_id",
        store=True,
        index=True,
        precompute=True,
        string="Salesperson",
    )
    policy_id = fields.Many2one("crm.dunning.policy", readonly=True)
    state = fields.Selection(
        CASE_STATES,
        default="automatic",
        required=True,
        index=True,
        tracking=True,
        readonly=True,
        group_expand=True,
    )
    reason = fields.Selection(REASONS, readonly=True, tracking=True)
    reason_note = fields.Text(readonly=True)
    opened_at = fields.Datetime(
        default=lambda self: fields.Datetime.now(), readonly=True, required=True
    )
    closed_at = fields.Datetime(readonly=True)
    close_reason = fields.Selection(CLOSE_REASONS, readonly=True)

    # What is open now (stored: read by lists, kanban and the jobs).
    amount_residual = fields.Monetary(
        related="move_id.amount_residual", store=True, string="Open"
    )
    date_due = fields.Date(
        readonly=True, index=True, help="Due date of the oldest open instalment."
    )

    # Where the machine is.
    stage = fields.Integer(readonly=True, help="Days of the last step.")
    step_id = fields.Many2one("crm.dunning.step", readonly=True, string="Last Step")
    next_action_at = fields.Datetime(readonly=True)
    next_action = fields.Char(readonly=True)
    resume_days = fields.Integer(
        readonly=True,
        help="Given back to automation at this step: earlier ones are not sent.",
    )

    # The person.
    owner_id = fields.Many2one("res.users", tracking=True, index=True)
    deputy_id = fields.Many2one("res.users", tracking=True)
    deadline = fields.Date(tracking=True)
    taken_over_at = fields.Datetime(readonly=True)
    escalated_at = fields.Datetime(readonly=True)

    # What the customer said.
    promise_date = fields.Date(readonly=True, tracking=True)
    promise_amount = fields.Monetary(readonly=True, tracking=True)
    dispute_note = fields.Text(readonly=True)
    hold_until = fields.Date(readonly=True, tracking=True)

    # Charging a saved method.
    first_failure_at = fields.Datetime(readonly=True)
    decline_class = fields.Char(readonly=True)
    next_try_at = fields.Datetime(readonly=True)
    attempt_ids = fields.One2many("crm.dunning.attempt", "case_id", readonly=True)
    notice_line_ids = fields.One2many(
        "crm.dunning.notice.line", "case_id", readonly=True
    )

    _open_uniq = models.UniqueIndex(
        "(move_id) WHERE state != 'closed'", "The invoice has an open case already."
    )
    _next_try_idx = models.Index("(next_try_at) WHERE next_try_at IS NOT NULL")
    _next_action_idx = models.Index("(next_action_at) WHERE state != 'closed'")
