from odoo import api, fields, models
from odoo.exceptions import UserError

KINDS = [
    ("recurring", "Recurring"),
    ("charge", "Charge of a change"),
    ("credit", "Credit"),
    ("usage", "Usage"),
    ("late_usage", "Late usage"),
    ("minimum", "Minimum, true-up"),
    ("milestone", "Milestone"),
    ("one_off", "One-off"),
    ("deposit", "Deposit"),
    ("deposit_recovery", "Deposit recovered"),
]
# Debits that cover days of service: the database lets none of a line overlap.
COVERING = ("recurring", "charge", "usage")
# Rows that a change or an event made: they outlive the draft they were printed on.
LASTING = ("charge", "credit", "late_usage", "deposit")


class CrmBillingPeriod(models.Model):
    """The ledger: one slice of one line, billed once.

    What is due is what no row covers, so running twice changes nothing and running
    late catches up. Rows are written by the flow; amounts are in the agreement's
    currency, before tax (with tax-included prices: as on the invoice line), credits
    negative. Days are local dates of the account, ``date_to`` is not covered.
    """

    _name = "crm.billing.period"
    _description = "Billing Period"
    _order = "date_from desc, id desc"

    line_id = fields.Many2one(
        "crm.billing.agreement.line", required=True, index=True, ondelete="restrict"
    )
    # Not precomputed: that would leave phantom rows in the ledger of the agreement.
    agreement_id = fields.Many2one(
        related="line_id.agreement_id", store=True, index=True
    )
    company_id = fields.Many2one(
        related="line_id.company_id", store=True, precompute=True, index=True
    )
    currency_id = fields.Many2one(
        related="line_id.currency_id", store=True, precompute=True
    )
    date_from = fields.Date(required=True)
    date_to = fields.Date(required=True, help="The first day that is not covered.")
    instant_from = fields.Datetime(help="UTC, where a change is measured in seconds.")
    instant_to = fields.Datetime(help="UTC, where a change is measured in seconds.")
    kind = fields.Selection(KINDS, required=True)
    amount = fields.Monetary(required=True)
    factor = fields.Char(help="Exact share of the whole period, such as 19/31.")
    move_line_id = fields.Many2one(
        "account.move.line",
        string="Invoice Line",
        index="btree_not_null",
        ondelete="set null",
    )
    move_id = fields.Many2one(
        related="move_line_id.move_id", string="Invoice", store=True, precompute=True
    )
    debit_id = fields.Many2one(
        "crm.billing.period",
        string="Credits",
        index="btree_not_null",
        ondelete="restrict",
    )
    credit_ids = fields.One2many("crm.billing.period", "debit_id")
    is_covered = fields.Boolean(
        help="Needs no document: imported, waived, or nothing to print."
    )
    is_reversal = fields.Boolean(help="Written by the reversal of an invoice.")
    needs_rating = fields.Boolean(help="Usage arrived after the period was billed.")
    note = fields.Char()
    explanation = fields.Json(help="Formula and inputs of the amount.")
    status = fields.Selection(
        [
            ("pending", "Waits for the next invoice"),
            ("draft", "Draft"),
            ("posted", "Posted"),
            ("covered", "No document"),
        ],
        compute="_compute_status",
        search="_search_status",
    )

    _no_overlap = models.Constraint(
        "EXCLUDE USING gist (int8range(line_id, line_id, '[]') WITH &&, "
        "daterange(date_from, date_to) WITH &&) "
        "WHERE (kind IN ('recurring', 'charge', 'usage'))",
        "These days of the line are billed already.",
    )
    _days_in_order = models.Constraint(
        "CHECK (date_to > date_from)", "A period has at least one day."
    )
    _one_off_uniq = models.UniqueIndex(
        "(line_id) WHERE kind = 'one_off'", "This one-off is billed already."
    )
    _pending_idx = models.Index(
        "(agreement_id) WHERE move_line_id IS NULL AND is_covered IS NOT TRUE"
    )
    _rating_idx = models.Index("(line_id) WHERE needs_rating")

    # === COMPUTE METHODS === #

    @api.depends("date_from", "date_to", "kind")
    def _compute_display_name(self):
        for period in self:
            period.display_name = (
                f"{period.date_from} – {period._get_last_day()}"
                if period.date_from
                else ""
            )

    @api.depends("move_line_id.parent_state", "is_covered")
    def _compute_status(self):
        for period in self:
            state = period.sudo().move_line_id.parent_state
            if period.is_covered:
                period.status = "covered"
            elif not state:
                period.status = "pending"
            else:
                period.status = "posted" if state == "posted" else "draft"

    @api.model
    def _search_status(self, operator, values):
        if operator != "in":
            return NotImplemented
        domains = {
            "covered": [("is_covered", "=", True)],
            "pending": [("is_covered", "=", False), ("move_line_id", "=", False)],
            "draft": [("move_line_id.parent_state", "in", ("draft", "cancel"))],
            "posted": [("move_line_id.parent_state", "=", "posted")],
        }
        return fields.Domain.OR(domains[value] for value in values if value in domains)

    # === CRUD METHODS === #

    @api.ondelete(at_uninstall=False)
    def _unlink_except_free(self):
        if any(period.status == "posted" for period in self):
            raise UserError(
                self.env._(
                    "A posted invoice bills these days. Credit the invoice instead of "
                    "deleting what proves it."
                )
            )

    # === BUSINESS METHODS === #

    def _get_last_day(self):
        self.ensure_one()
        return fields.Date.subtract(self.date_to, days=1)
