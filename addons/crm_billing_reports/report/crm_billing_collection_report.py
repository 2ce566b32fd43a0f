from odoo import fields, models

from .crm_billing_ratio import Ratio


class CrmBillingCollectionReport(models.Model):
    """How late money comes in, and whose delay it is: one row per allocation (J2).

    An allocation is a matching of an instalment of an invoice with a payment, on the
    later date of the two entries; credit notes and write-offs are no collections
    (billing rules, 8.6). Amounts are in company currency; means are weighted by them.
    The days from service to money are split where the next one has to act (8.7); the
    parts add up to the whole, also where one is negative. The SQL is in
    `crm_billing_collection_query.py`.
    """

    _name = "crm.billing.collection.report"
    _description = "Collections Lag"
    _inherit = "crm.billing.lag.mixin"
    _auto = False
    _order = "date desc, id desc"
    _rec_name = "move_id"

    date = fields.Date(
        string="Allocated On",
        readonly=True,
        help="The later date of the invoice and the payment.",
    )
    move_id = fields.Many2one("account.move", string="Invoice", readonly=True)
    line_id = fields.Many2one("account.move.line", string="Instalment", readonly=True)
    payment_move_id = fields.Many2one(
        "account.move", string="Payment Entry", readonly=True
    )
    amount = fields.Monetary(
        string="Collected",
        currency_field="company_currency_id",
        readonly=True,
        help="The money that was matched, without what was written off with it.",
    )
    amount_written_off = fields.Monetary(
        string="Written Off with It",
        currency_field="company_currency_id",
        readonly=True,
        help="Booked with the payment against the invoice, but never received: written "
        "off, or kept by a bank as its fee.",
    )

    # === FIELDS - DATES === #

    date_service = fields.Date(
        string="Service",
        readonly=True,
        help="When the parts of the invoice could be billed, milestones when they were "
        "done; their mean day by amount. Without parts it is the invoice date.",
    )
    date_posted = fields.Date(
        string="Posted",
        readonly=True,
        help="As the log says; the invoice date if it says nothing, or if the invoice "
        "was recorded only after it was paid.",
    )
    date_sent = fields.Date(
        string="Sent First",
        readonly=True,
        help="The day of posting if no sending was recorded.",
    )
    date_due = fields.Date(
        string="Due", readonly=True, help="Empty for what the customer retains."
    )
    date_settled = fields.Date(
        string="In the Bank",
        readonly=True,
        help="When the payment was matched with the bank or with a payout of the "
        "provider; the day of allocation as long as that is not known.",
    )
    is_settled = fields.Boolean(
        string="Settled", readonly=True, help="It is known when the bank had it."
    )

    # === FIELDS - DAYS === #

    days = fields.Integer(
        string="Days Past Due",
        readonly=True,
        aggregator=None,
        help="Negative for what came early.",
    )
    days_late = Ratio(
        digits=(16, 1),
        readonly=True,
        aggregator="avg",
        help="Mean days past due, weighted by amount; early money counts as in time.",
    )
    days_to_terms = Ratio(
        string="Days to Terms",
        digits=(16, 1),
        readonly=True,
        aggregator="avg",
        help="Mean days from due date to payment, weighted by amount; early is "
        "negative.",
    )
    days_to_post = Ratio(
        string="Ours: to Post",
        digits=(16, 1),
        readonly=True,
        aggregator="avg",
        help="From service to the posted invoice.",
    )
    days_to_send = Ratio(
        string="Ours: to Send",
        digits=(16, 1),
        readonly=True,
        aggregator="avg",
        help="From posting to sending.",
    )
    days_ours = Ratio(
        string="Our Delay",
        digits=(16, 1),
        readonly=True,
        aggregator="avg",
        help="From service to the invoice that is sent.",
    )
    days_terms = Ratio(
        string="Terms",
        digits=(16, 1),
        readonly=True,
        aggregator="avg",
        help="From sending to the due date: what was agreed.",
    )
    days_customer = Ratio(
        string="Customer's Delay",
        digits=(16, 1),
        readonly=True,
        aggregator="avg",
        help="From the due date to the payment; negative for early.",
    )
    days_processing = Ratio(
        string="Processing",
        digits=(16, 1),
        readonly=True,
        aggregator="avg",
        help="From the payment to the bank.",
    )
    days_whole = Ratio(
        string="Service to Money",
        digits=(16, 1),
        readonly=True,
        aggregator="avg",
        help="All of them: ours, terms, customer and processing.",
    )

    # === ACTION METHODS === #

    def action_view_invoice(self):
        """Open the invoice."""
        return self._view(self.move_id)

    def action_view_payment(self):
        """Open the payment, or the bank entry that stands for it."""
        payment = self.payment_move_id.origin_payment_id
        return self._view(payment or self.payment_move_id)

    def _view(self, record):
        self.ensure_one()
        return record._get_records_action(context={})
