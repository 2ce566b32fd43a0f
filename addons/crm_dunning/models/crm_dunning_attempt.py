from odoo import fields, models

ATTEMPT_STATES = [
    ("sending", "Sending"),
    ("verifying", "Verifying"),
    ("processing", "Processing"),
    ("succeeded", "Succeeded"),
    ("declined", "Declined"),
    ("cancelled", "Cancelled"),
    ("not_sent", "Not sent"),
]
LIVE_STATES = ("sending", "verifying", "processing")


class CrmDunningAttempt(models.Model):
    """The write-ahead log of one charge or refund: committed before anything is sent.

    A row in a live state owns the invoice: nobody else charges it. What the provider
    answered is kept for good, decline codes included, never a secret or card number.
    """

    _name = "crm.dunning.attempt"
    _description = "Payment Attempt"
    _order = "id desc"
    _rec_name = "reference"
    _check_company_auto = True

    key = fields.Char(required=True, readonly=True, copy=False)
    kind = fields.Selection(
        [("charge", "Charge"), ("refund", "Refund")],
        default="charge",
        required=True,
        readonly=True,
    )
    state = fields.Selection(
        ATTEMPT_STATES, default="sending", required=True, readonly=True, index=True
    )
    source = fields.Selection(
        [
            ("due", "Due date"),
            ("retry", "Planned retry"),
            ("person", "Retry now"),
            ("refund", "Refund"),
        ],
        required=True,
        readonly=True,
    )
    move_id = fields.Many2one(
        "account.move", required=True, index=True, readonly=True, check_company=True
    )
    case_id = fields.Many2one("crm.dunning.case", index=True, readonly=True)
    company_id = fields.Many2one(
        related="move_id.company_id", store=True, index=True, precompute=True
    )
    partner_id = fields.Many2one(
        related="move_id.commercial_partner_id", store=True, index=True, precompute=True
    )
    transaction_id = fields.Many2one(
        "payment.transaction", index=True, readonly=True, ondelete="restrict"
    )
    provider_id = fields.Many2one("payment.provider", required=True, readonly=True)
    token_id = fields.Many2one("payment.token", index=True, readonly=True)
    reference = fields.Char(related="transaction_id.reference", store=True)
    currency_id = fields.Many2one("res.currency", required=True, readonly=True)
    amount = fields.Monetary(required=True, readonly=True)
    payload = fields.Json(
        readonly=True,
        groups="base.group_system",
        help="What is sent, the same in each repetition.",
    )
    payment_intent = fields.Char(readonly=True, copy=False, index="btree_not_null")
    charge = fields.Char(readonly=True, copy=False, index="btree_not_null")
    sent_at = fields.Datetime(readonly=True, help="When the provider was first called.")
    settled_at = fields.Datetime(readonly=True, help="When the outcome was proven.")
    checked_at = fields.Datetime(
        readonly=True, help="When the provider was last asked."
    )

    # What the provider said of a decline.
    code = fields.Char(readonly=True)
    decline_code = fields.Char(readonly=True)
    advice_code = fields.Char(readonly=True)
    network_decline_code = fields.Char(readonly=True)
    network_advice_code = fields.Char(readonly=True)
    outcome_type = fields.Char(readonly=True)
    outcome_reason = fields.Char(readonly=True)
    message = fields.Char(readonly=True)
    http_status = fields.Integer(readonly=True)
    request_ref = fields.Char(readonly=True, help="Request id of the provider.")
    decline_class = fields.Char(readonly=True, index="btree_not_null")
    card_brand = fields.Char(readonly=True)
    card_fingerprint = fields.Char(
        readonly=True, index="btree_not_null", groups="base.group_system"
    )

    _key_uniq = models.UniqueIndex("(key)")
    _live_uniq = models.UniqueIndex(
        "(move_id) WHERE kind = 'charge' AND state IN "
        "('sending', 'verifying', 'processing')",
        "A charge of this invoice is under way.",
    )
