from odoo import api, fields, models

from odoo.addons.payment import utils as payment_utils
from odoo.addons.payment_stripe import const

STATUSES = [
    ("warning_needs_response", "Inquiry: answer it"),
    ("warning_under_review", "Inquiry: being looked at"),
    ("warning_closed", "Inquiry closed"),
    ("needs_response", "Answer it"),
    ("under_review", "Being looked at"),
    ("won", "Won"),
    ("lost", "Lost"),
    ("prevented", "Prevented"),
    ("other", "Other"),
]
ENDED = ("warning_closed", "won", "lost", "prevented")


def to_major(amount, currency):
    """Return an amount of Stripe's minor units in units of the currency.

    :param amount: integer; some currencies have other decimals at Stripe than in ISO
    """
    return payment_utils.to_major_currency_units(
        amount,
        currency,
        arbitrary_decimal_number=const.CURRENCY_DECIMALS.get(currency.name),
    )


class CrmDunningDispute(models.Model):
    """A payer or a bank takes a payment back: a chargeback or a returned debit.

    The invoice stays paid in the ledger, the money is gone. While it is open nothing
    is mailed or charged for the invoice; what becomes of it a person decides.
    """

    _name = "crm.dunning.dispute"
    _description = "Disputed Payment"
    _order = "id desc"
    _rec_name = "dispute_ref"

    provider_id = fields.Many2one(
        "payment.provider", required=True, readonly=True, ondelete="restrict"
    )
    company_id = fields.Many2one(
        related="provider_id.company_id", store=True, index=True, precompute=True
    )
    dispute_ref = fields.Char(string="Dispute", required=True, readonly=True)
    transaction_id = fields.Many2one(
        "payment.transaction", readonly=True, index=True, ondelete="restrict"
    )
    attempt_id = fields.Many2one(
        "crm.dunning.attempt", readonly=True, index="btree_not_null"
    )
    partner_id = fields.Many2one(
        "res.partner", string="Account", readonly=True, index=True
    )
    move_ids = fields.Many2many(
        "account.move",
        "account_move_dunning_dispute_rel",
        "dispute_id",
        "move_id",
        string="Invoices",
        readonly=True,
    )
    currency_id = fields.Many2one("res.currency", required=True, readonly=True)
    amount = fields.Monetary(readonly=True)
    reason = fields.Char(readonly=True, help="As the provider names it.")
    status = fields.Selection(STATUSES, required=True, readonly=True, index=True)
    is_open = fields.Boolean(compute="_compute_is_open", store=True)
    funds = fields.Selection(
        [
            ("kept", "Not taken back"),
            ("withdrawn", "Taken back"),
            ("reinstated", "Given back"),
        ],
        string="Money",
        required=True,
        readonly=True,
    )
    opened_at = fields.Datetime(readonly=True)
    evidence_due_at = fields.Datetime(
        string="Answer Until",
        readonly=True,
        help="After this instant (UTC) the provider takes no evidence any more.",
    )
    closed_at = fields.Datetime(readonly=True)

    _dispute_uniq = models.UniqueIndex(
        "(provider_id, dispute_ref)", "This dispute is known already."
    )

    @api.depends("status")
    def _compute_is_open(self):
        for dispute in self:
            dispute.is_open = dispute.status not in ENDED
