from odoo import api, fields, models
from odoo.tools import format_amount, format_date

KINDS = [
    ("deal", "Deal"),
    ("invoice", "Invoice"),
    ("credit", "Credit note"),
    ("payment", "Payment"),
]
REASONS = [
    ("ok", "Agree"),
    ("missing_there", "Missing there"),
    ("missing_here", "Missing here"),
    ("amount", "Amount"),
    ("currency", "Currency"),
    ("customer", "Customer"),
    ("number", "Number clash"),
    ("date", "Date"),
    ("payment", "Open amount"),
    ("closed_period", "Closed period"),
]


class CrmBillingMatchReport(models.Model):
    """Deal, Odoo and the other books side by side, with one reason for each row.

    A row is a document of either side since the day from which the books are compared,
    or a won deal that has none yet. The reason is the first that applies; all that
    differs stands in ``what``. A difference counts until it is gone or a person has
    explained it, and one that changes must be explained anew. The query is in
    `crm_billing_match_query.py`.

    Amounts are with tax; credit notes and payments are negative, so that the sum is
    what is owed. ``amount_*`` are in the currency of the document, ``balance_*`` in
    that of the company: documents here at their own rate, the other side's alike.
    """

    _name = "crm.billing.match.report"
    _description = "Match Board"
    _inherit = ["crm.billing.report.mixin"]
    _auto = False
    _order = "is_open desc, date desc, id"
    _rec_name = "number"
    _depends = {
        "crm.billing.system": ["start_date", "closed_until", "with_payments", "active"],
        "crm.billing.outside.document": [
            "system_id",
            "kind",
            "number",
            "partner_id",
            "date",
            "currency_id",
            "amount",
            "has_open",
            "amount_open",
            "status",
            "is_gone",
            "move_id",
            "payment_id",
            "statement_line_id",
            "is_balance",
        ],
        "crm.billing.match.note": ["row_id", "fingerprint", "revoked_at"],
        "account.move": [
            "name",
            "state",
            "move_type",
            "invoice_date",
            "date",
            "amount_total",
            "amount_total_signed",
            "amount_residual",
            "currency_id",
            "commercial_partner_id",
            "invoice_user_id",
            "team_id",
            "opportunity_ids",
        ],
        "account.payment": [
            "name",
            "state",
            "date",
            "amount",
            "currency_id",
            "partner_id",
            "payment_type",
            "partner_type",
        ],
        "account.bank.statement.line": ["amount", "partner_id"],
        "crm.billing.handoff": ["state", "lead_id", "account_id"],
        "crm.lead": ["billing_state", "user_id", "team_id", "date_closed"],
        "res.partner": ["commercial_partner_id", "service_tier_id", "user_id"],
        "res.company": [
            "currency_id",
            "fiscalyear_lock_date",
            "sale_lock_date",
            "hard_lock_date",
        ],
        "res.currency.rate": ["rate", "name"],
    }

    system_id = fields.Many2one("crm.billing.system", string="Books", readonly=True)
    kind = fields.Selection(KINDS, readonly=True)
    number = fields.Char(readonly=True)
    date = fields.Date(readonly=True, help="Here, else there.")
    reason = fields.Selection(REASONS, readonly=True)
    what = fields.Char(string="What Differs", compute="_compute_what")
    is_open = fields.Boolean(
        string="To Explain",
        readonly=True,
        help="The sides differ, and nobody has explained it.",
    )
    is_explained = fields.Boolean(string="Explained", readonly=True)
    is_booked_there = fields.Boolean(
        compute="_compute_is_booked_there",
        help="The books of the company are kept there: payments come from them.",
    )
    note_id = fields.Many2one(
        "crm.billing.match.note", string="Explanation", readonly=True
    )
    fingerprint = fields.Char(readonly=True, help="What was explained, as one text.")
    lead_id = fields.Many2one("crm.lead", string="Deal", readonly=True)
    deal_state = fields.Selection(
        selection="_get_deal_states", string="Deal Says", readonly=True
    )
    handoff_id = fields.Many2one("crm.billing.handoff", readonly=True)
    move_id = fields.Many2one("account.move", string="Invoice Here", readonly=True)
    payment_id = fields.Many2one(
        "account.payment", string="Payment Here", readonly=True
    )
    document_id = fields.Many2one(
        "crm.billing.outside.document", string="There", readonly=True
    )
    number_here = fields.Char(readonly=True)
    number_there = fields.Char(readonly=True)
    date_here = fields.Date(readonly=True)
    date_there = fields.Date(readonly=True)
    customer_there = fields.Char(readonly=True)
    account_there_id = fields.Many2one("res.partner", readonly=True)
    currency_there_id = fields.Many2one("res.currency", readonly=True)
    amount_here = fields.Monetary(string="Here", readonly=True, aggregator=None)
    amount_there = fields.Monetary(
        currency_field="currency_there_id",
        readonly=True,
        aggregator=None,
    )
    open_here = fields.Monetary(readonly=True, aggregator=None)
    open_there = fields.Monetary(
        currency_field="currency_there_id", readonly=True, aggregator=None
    )
    balance_here = fields.Monetary(
        string="Total Here", currency_field="company_currency_id", readonly=True
    )
    balance_there = fields.Monetary(
        string="Total There", currency_field="company_currency_id", readonly=True
    )
    difference = fields.Monetary(
        currency_field="company_currency_id",
        readonly=True,
        help="There less here, in the company's currency.",
    )

    @api.model
    def _get_deal_states(self):
        return (
            self.env["crm.lead"]
            ._fields["billing_state"]
            ._description_selection(self.env)
        )

    # === COMPUTE METHODS === #

    @api.depends_context("lang")
    @api.depends("reason", "fingerprint")
    def _compute_what(self):
        for row in self:
            row.what = "; ".join(row._describe()) or False

    @api.depends("system_id")
    def _compute_is_booked_there(self):
        for row in self:
            # Where the books are kept is no secret to who reads the row.
            row.is_booked_there = row.system_id.sudo()._has_our_books()

    def _describe(self):
        """Return all that differs, in words."""
        _ = self.env._
        if self.reason == "ok":
            return []
        if self.kind == "deal":
            return [_("The deal is won, and nothing is invoiced yet.")]
        if not self.document_id:
            return [self._describe_missing_there()]
        if not self.number_here:
            return [self._describe_missing_here()]
        if not self.number_there:
            return [_("It is void, draft or gone there.")]
        if self.reason == "missing_here":
            return [_("It is not posted here.")]
        pairs = [
            (_("amount"), self._show(self.amount_here), self._show_there()),
            (_("date"), self._show(self.date_here), self._show(self.date_there)),
            (_("number"), self.number_here, self.number_there),
        ]
        if self.account_there_id != self.partner_id:
            there = self.customer_there or self.account_there_id.name
            pairs.append((_("customer"), self.partner_id.name, there))
        if self.reason == "payment":
            open_there = self._show(self.open_there)
            pairs.append((_("open"), self._show(self.open_here), open_there))
        return [
            _("%(what)s: %(here)s here, %(there)s there", what=name, here=a, there=b)
            for name, a, b in pairs
            if a != b
        ]

    def _describe_missing_there(self):
        if self.reason == "closed_period":
            return self.env._("Its day lies in a period that is closed there.")
        if self.reason == "number":
            return self.env._(
                "Another document there has this number: account and amount differ."
            )
        return self.env._("No list of the other books has it.")

    def _describe_missing_here(self):
        if self.document_id.booking_error:
            return self.document_id.booking_error
        if self.reason == "closed_period":
            return self.env._("Its day lies in a period that is closed here.")
        if self.reason == "number":
            return self.env._(
                "Our document of this number has another account and amount."
            )
        return self.env._("Only the other books have it.")

    def _show(self, value):
        if isinstance(value, float):
            return format_amount(self.env, value, self.currency_id)
        return format_date(self.env, value)

    def _show_there(self):
        currency = self.currency_there_id or self.currency_id
        return format_amount(self.env, self.amount_there, currency)

    # === BUSINESS METHODS - PRINT === #

    def _is_blank(self, name):
        """Override: a side that has no such document has no amount."""
        amount, _, side = name.rpartition("_")
        is_of_side = amount in ("amount", "balance", "open")
        if is_of_side and side in ("here", "there"):
            return not self[f"number_{side}"]
        return name == "difference" and not self.difference

    # === ACTION METHODS === #

    def action_open(self):
        """Show the document here; what only the other books have is shown as there."""
        self.ensure_one()
        here = self.payment_id or self.move_id or self.handoff_id
        return self._open(here or self.document_id)

    def action_open_here(self):
        """Show the document here, or the deal that has none."""
        self.ensure_one()
        return self._open(self.payment_id or self.move_id or self.handoff_id)

    def action_open_there(self):
        """Show what the other books say."""
        self.ensure_one()
        return self._open(self.document_id)

    def action_explain(self):
        """Ask why the sides differ; several rows get one explanation."""
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Explain the Difference"),
            "res_model": "crm.billing.match.explain",
            "view_mode": "form",
            "target": "new",
            "context": {"default_row_ids": self.ids},
        }

    def action_link(self):
        """Choose the counterpart of what only the other books have."""
        self.ensure_one()
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Choose the Counterpart"),
            "res_model": "crm.billing.match.link",
            "view_mode": "form",
            "target": "new",
            "context": {"default_document_id": self.document_id.id},
        }

    def action_hand_out(self):
        """Open the batch that waits for these books, else prepare one."""
        self.ensure_one()
        batch = self.env["crm.billing.export.batch"].search(
            [
                ("system_id", "=", self.system_id.id),
                ("state", "in", ("draft", "checked")),
            ],
            limit=1,
        )
        if batch:
            return self._open(batch)
        return {
            "type": "ir.actions.act_window",
            "res_model": "crm.billing.export.batch",
            "view_mode": "form",
            "context": {"default_system_id": self.system_id.id},
        }

    def action_take_over(self):
        """Book the payments of these rows here."""
        payments = self.document_id.filtered(lambda row: row.kind == "payment")
        return payments.action_take_over()

    def action_take_open_amount(self):
        """Take over what is paid there of these invoices."""
        rows = self.filtered(lambda row: row.reason == "payment")
        return rows.document_id.action_take_open_amount()

    def action_unlink_record(self):
        """Undo the links of these rows."""
        self.document_id.action_unlink_record()

    def action_same_customer(self):
        """Note that the customer there is the account here."""
        for row in self.filtered(lambda row: row.document_id and row.partner_id):
            row.document_id._check_can_match()
            row.document_id._map_account(row.partner_id)

    def _open(self, record):
        return record._get_records_action(context={})
