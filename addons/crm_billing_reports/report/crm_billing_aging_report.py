from odoo import api, fields, models
from odoo.tools import SQL

from ..report_rules.aging import NOT_DUE, RETENTION, UNAPPLIED

COLUMNS = [
    (NOT_DUE, "Not due"),
    ("1_30", "1–30 days"),
    ("31_60", "31–60 days"),
    ("61_90", "61–90 days"),
    ("91_120", "91–120 days"),
    ("over_120", "Over 120 days"),
    (RETENTION, "Retention"),
    (UNAPPLIED, "Unapplied"),
]
# Rows of a page that are found by their ids at once.
WORTH_TWO_STEPS = 1000


class CrmBillingAgingReport(models.Model):
    """What is open as of a day, one row an instalment (billing rules, 8.1 to 8.3).

    The day is a local date, set by the leaf ``as_of`` of the domain or the context key
    ``billing_as_of``, today by default. What is dated later does not change a day that
    has passed. Columns are in company currency as booked; ``amount_currency`` is in
    that of the document and never added up across currencies. Flags, salesperson and
    team are those of now.
    """

    _name = "crm.billing.aging.report"
    _description = "Aging Receivables"
    _inherit = "crm.billing.report.mixin"
    _auto = False
    _order = "date_due, id"
    _rec_name = "move_id"
    _parameter_fields = ("as_of",)
    _depends = {
        "account.move": [
            "dunning_dispute_state",
            "invoice_user_id",
            "move_type",
            "origin_payment_id",
            "payment_state",
            "state",
            "statement_line_id",
            "team_id",
        ],
        "account.move.line": [
            "account_id",
            "amount_currency",
            "amount_residual",
            "amount_residual_currency",
            "balance",
            "billing_is_retention",
            "billing_release_id",
            "company_currency_id",
            "company_id",
            "currency_id",
            "date",
            "date_maturity",
            "move_id",
            "no_followup",
            "parent_state",
            "partner_id",
            "reconciled",
        ],
        "account.partial.reconcile": [
            "amount",
            "credit_amount_currency",
            "credit_move_id",
            "debit_amount_currency",
            "debit_move_id",
            "max_date",
        ],
        "account.account": ["account_type"],
        "crm.billing.due.change": ["date", "due_before", "line_id"],
        "crm.billing.retention.release": ["date"],
        "crm.dunning.case": ["move_id", "state"],
        "res.partner": [
            "billing_hold",
            "commercial_partner_id",
            "dunning_hold_until",
            "service_tier_id",
            "user_id",
        ],
    }

    as_of = fields.Date(readonly=True, help="The day for which the report is made.")
    line_id = fields.Many2one("account.move.line", string="Instalment", readonly=True)
    move_id = fields.Many2one("account.move", string="Document", readonly=True)
    account_id = fields.Many2one(
        "account.account", string="Receivable Account", readonly=True
    )
    kind = fields.Selection(
        [
            ("invoice", "Invoice"),
            ("credit_note", "Credit note"),
            ("payment", "Payment"),
            ("entry", "Other entry"),
        ],
        readonly=True,
    )
    date = fields.Date(readonly=True, string="Accounting Date")
    date_due = fields.Date(
        readonly=True,
        string="Due Date",
        help="Of the instalment. Empty while the customer retains it.",
    )
    days = fields.Integer(
        readonly=True,
        string="Days Overdue",
        aggregator="max",
        help="From the due date to the day of the report; on the due date it is 0. "
        "Of a group the oldest item that is owed.",
    )
    bucket = fields.Selection(COLUMNS, readonly=True, string="Age")

    # === FIELDS - AMOUNTS === #

    amount_original = fields.Monetary(
        readonly=True, string="Instalment Amount", aggregator=None
    )
    amount_currency = fields.Monetary(
        readonly=True,
        string="Open in Currency",
        help="In the currency of the document; never added up across currencies.",
    )
    not_due = fields.Monetary(currency_field="company_currency_id", readonly=True)
    bucket_1_30 = fields.Monetary(
        string="1–30", currency_field="company_currency_id", readonly=True
    )
    bucket_31_60 = fields.Monetary(
        string="31–60", currency_field="company_currency_id", readonly=True
    )
    bucket_61_90 = fields.Monetary(
        string="61–90", currency_field="company_currency_id", readonly=True
    )
    bucket_91_120 = fields.Monetary(
        string="91–120", currency_field="company_currency_id", readonly=True
    )
    bucket_over_120 = fields.Monetary(
        string="Over 120", currency_field="company_currency_id", readonly=True
    )
    unapplied = fields.Monetary(
        currency_field="company_currency_id",
        readonly=True,
        help="Credit notes, payments and advances that are not matched yet; negative.",
    )
    retention = fields.Monetary(
        currency_field="company_currency_id",
        readonly=True,
        help="Retained by the customer and not released; not due.",
    )
    overdue = fields.Monetary(
        currency_field="company_currency_id",
        readonly=True,
        help="Everything past its due date, without what is unapplied.",
    )
    total = fields.Monetary(
        currency_field="company_currency_id",
        readonly=True,
        help="The sum of all columns.",
    )

    # === FIELDS - FLAGS === #

    is_disputed = fields.Boolean(
        readonly=True, string="Disputed", help="The invoice or a payment of it, now."
    )
    is_held = fields.Boolean(
        readonly=True, string="On Hold", help="Reminders wait, now."
    )
    is_blocked = fields.Boolean(
        readonly=True,
        string="Blocked",
        help="Excluded from follow-ups, blocked for payment, or the account is on "
        "billing hold, now.",
    )
    case_id = fields.Many2one("crm.dunning.case", readonly=True)

    # === ACTION METHODS === #

    def action_view_document(self):
        """Open the invoice, credit note or entry of the row."""
        self.ensure_one()
        return self.move_id._get_records_action(context={})

    def action_view_case(self):
        """Open the collections case of the row's invoice."""
        self.ensure_one()
        return self.case_id._get_records_action(context={})

    # === CRUD METHODS === #

    @api.model
    @api.private
    @api.readonly
    def search_fetch(self, domain, field_names=None, offset=0, limit=None, order=None):
        """Override of `base` to find a page first, and then read just its rows.

        Whatever is only shown, and not searched or sorted by, is not worked out for
        all other rows.
        """
        if not limit or limit > WORTH_TWO_STEPS:
            return super().search_fetch(domain, field_names, offset, limit, order)
        page = super().search_fetch(domain, ["id"], offset, limit, order)
        page.fetch(field_names)
        return page

    def _read_group_select(self, aggregate_spec, query):
        """Override of `base`: of a group only what is owed is late, no credit is."""
        if aggregate_spec != "days:max":
            return super()._read_group_select(aggregate_spec, query)
        return SQL(
            "MAX(%s) FILTER (WHERE %s > 0)",
            self._field_to_sql(self._table, "days", query),
            self._field_to_sql(self._table, "total", query),
        )

    # === BUSINESS METHODS === #

    @api.model
    def _get_as_of(self):
        """Return the day of the report, a local date."""
        day = self._get_parameter("billing_as_of")
        return day or fields.Date.context_today(self)
