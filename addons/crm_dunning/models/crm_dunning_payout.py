from odoo import api, fields, models

LINE_KINDS = [
    ("charge", "Payment"),
    ("refund", "Refund"),
    ("dispute", "Dispute"),
    ("fee", "Fee"),
    ("other", "Other"),
]


class CrmDunningPayout(models.Model):
    """Money that the provider sent to the bank, and what it consists of.

    Its lines are matched with our payments; the accountant gets a draft entry that
    clears them against bank and fees. What is not matched stays red and goes to the
    suspense account, so that nothing disappears.
    """

    _name = "crm.dunning.payout"
    _description = "Provider Payout"
    _inherit = ["mail.thread", "mail.activity.mixin"]
    _order = "date desc, id desc"
    _rec_name = "payout_ref"
    _check_company_auto = True

    payout_ref = fields.Char(string="Payout", required=True, readonly=True)
    provider_id = fields.Many2one("payment.provider", readonly=True)
    company_id = fields.Many2one(
        "res.company", required=True, index=True, readonly=True
    )
    company_currency_id = fields.Many2one(
        related="company_id.currency_id", string="Company Currency"
    )
    date = fields.Date(required=True, readonly=True, help="When it arrives.")
    state = fields.Selection(
        [
            ("pending", "Announced"),
            ("in_transit", "On its way"),
            ("paid", "Paid"),
            ("failed", "Failed"),
            ("canceled", "Cancelled"),
        ],
        required=True,
        readonly=True,
        tracking=True,
    )
    source = fields.Selection(
        [("provider", "Provider"), ("file", "File")], required=True, readonly=True
    )
    currency_id = fields.Many2one("res.currency", required=True, readonly=True)
    amount = fields.Monetary(
        string="Paid Out", required=True, readonly=True, help="What the bank gets."
    )
    amount_company = fields.Monetary(
        string="In Company Currency",
        currency_field="company_currency_id",
        compute="_compute_amount_company",
        store=True,
        help="At the rate of the day of arrival.",
    )
    gross = fields.Monetary(compute="_compute_amounts", store=True)
    fee = fields.Monetary(string="Fees", compute="_compute_amounts", store=True)
    refund = fields.Monetary(string="Refunds", compute="_compute_amounts", store=True)
    dispute = fields.Monetary(string="Disputes", compute="_compute_amounts", store=True)
    other = fields.Monetary(compute="_compute_amounts", store=True)
    net = fields.Monetary(compute="_compute_amounts", store=True)
    difference = fields.Monetary(
        compute="_compute_amounts",
        store=True,
        help="Paid out, less what its lines explain.",
    )
    line_ids = fields.One2many("crm.dunning.payout.line", "payout_id", readonly=True)
    unmatched_count = fields.Integer(
        string="Not Matched", compute="_compute_unmatched_count", store=True
    )
    entry_id = fields.Many2one(
        "account.move", string="Journal Entry", compute="_compute_entry_id"
    )
    entry_state = fields.Selection(
        selection=lambda self: self.env["account.move"]._fields["state"].selection,
        string="Entry",
        compute="_compute_entry_id",
    )

    _payout_uniq = models.UniqueIndex(
        "(company_id, payout_ref)", "This payout is known already."
    )

    # === COMPUTE METHODS === #

    @api.depends("amount", "currency_id", "date", "company_id")
    def _compute_amount_company(self):
        for payout in self:
            payout.amount_company = payout.currency_id._convert(
                payout.amount,
                payout.company_id.currency_id,
                payout.company_id,
                payout.date or fields.Date.today(),
            )

    @api.depends("amount", "line_ids.kind", "line_ids.gross", "line_ids.fee")
    def _compute_amounts(self):
        for payout in self:
            total = dict.fromkeys(dict(LINE_KINDS), 0.0)
            for line in payout.line_ids:
                total[line.kind] += line.gross
            payout.gross = total["charge"]
            payout.refund = total["refund"]
            payout.dispute = total["dispute"]
            payout.other = total["other"]
            # A fee of its own is a line that takes money, other fees stand beside one.
            payout.fee = sum(payout.line_ids.mapped("fee")) - total["fee"]
            payout.net = sum(payout.line_ids.mapped("net"))
            payout.difference = payout.amount - payout.net

    @api.depends("line_ids.is_matched")
    def _compute_unmatched_count(self):
        for payout in self:
            payout.unmatched_count = len(
                payout.line_ids.filtered(lambda line: not line.is_matched)
            )

    def _compute_entry_id(self):
        entries = self.env["account.move"].search(
            [("dunning_payout_id", "in", self.ids), ("state", "!=", "cancel")]
        )
        found = entries.grouped("dunning_payout_id")
        for payout in self:
            payout.entry_id = found.get(payout, entries.browse())[:1]
            payout.entry_state = payout.entry_id.state


class CrmDunningPayoutLine(models.Model):
    """One movement in a payout, with the payment of ours that it belongs to."""

    _name = "crm.dunning.payout.line"
    _description = "Payout Line"
    _order = "id"
    _rec_name = "movement_ref"
    _check_company_auto = True

    payout_id = fields.Many2one(
        "crm.dunning.payout",
        required=True,
        index=True,
        readonly=True,
        ondelete="cascade",
    )
    company_id = fields.Many2one(
        related="payout_id.company_id", store=True, index=True, precompute=True
    )
    provider_id = fields.Many2one(related="payout_id.provider_id", store=True)
    date = fields.Date(related="payout_id.date", store=True)
    currency_id = fields.Many2one(
        related="payout_id.currency_id", store=True, precompute=True
    )
    movement_ref = fields.Char(string="Movement", required=True, readonly=True)
    kind = fields.Selection(LINE_KINDS, required=True, readonly=True)
    description = fields.Char(readonly=True)
    gross = fields.Monetary(readonly=True)
    fee = fields.Monetary(readonly=True)
    net = fields.Monetary(readonly=True)
    source_ref = fields.Char(
        string="Charge or Refund", readonly=True, help="Of the provider."
    )
    payment_ref = fields.Char(string="Provider Payment", readonly=True)
    paid_amount = fields.Monetary(
        string="Customer Paid",
        currency_field="paid_currency_id",
        readonly=True,
        help="In the customer's currency, if it is not that of the payout.",
    )
    paid_currency_id = fields.Many2one("res.currency", readonly=True)
    transaction_id = fields.Many2one(
        "payment.transaction", readonly=True, index="btree_not_null"
    )
    payment_id = fields.Many2one(
        "account.payment", readonly=True, index="btree_not_null", check_company=True
    )
    partner_id = fields.Many2one("res.partner", string="Account", readonly=True)
    is_matched = fields.Boolean(string="Matched", readonly=True)
    problem = fields.Char(readonly=True, help="Why it is not matched.")

    _movement_uniq = models.UniqueIndex(
        "(payout_id, movement_ref)", "This movement is in the payout already."
    )
