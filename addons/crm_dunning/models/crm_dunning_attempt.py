import functools
import logging

from odoo import api, fields, models, modules
from odoo.modules.registry import Registry

_logger = logging.getLogger(__name__)

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
        "account.move",
        string="Invoice",
        index=True,
        readonly=True,
        ondelete="restrict",
        check_company=True,
        help="Empty only for the refund of a payment that had no invoice.",
    )
    case_id = fields.Many2one("crm.dunning.case", index=True, readonly=True)
    company_id = fields.Many2one(
        "res.company",
        compute="_compute_company_id",
        store=True,
        index=True,
        precompute=True,
    )
    partner_id = fields.Many2one(
        "res.partner",
        string="Account",
        compute="_compute_partner_id",
        store=True,
        index=True,
        precompute=True,
    )
    transaction_id = fields.Many2one(
        "payment.transaction", index=True, readonly=True, ondelete="restrict"
    )
    source_transaction_id = fields.Many2one(
        "payment.transaction",
        string="Refunded Payment",
        index="btree_not_null",
        readonly=True,
        ondelete="restrict",
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
    asked_at = fields.Datetime(
        readonly=True, help="When a person was asked about an unknown outcome."
    )
    refused_count = fields.Integer(
        readonly=True,
        help="Times the provider failed itself and then knew nothing of a refund: the "
        "next request is a new one.",
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
    _live_refund_uniq = models.UniqueIndex(
        "(source_transaction_id) WHERE kind = 'refund' AND state IN "
        "('sending', 'verifying', 'processing')",
        "A refund of this payment is under way.",
    )
    _live_idx = models.Index(
        "(checked_at) WHERE state IN ('sending', 'verifying', 'processing')"
    )
    _charge_has_invoice = models.Constraint(
        "CHECK(kind = 'refund' OR move_id IS NOT NULL)", "A charge is of an invoice."
    )

    # === COMPUTE METHODS === #

    @api.depends("move_id.company_id", "provider_id.company_id")
    def _compute_company_id(self):
        for attempt in self:
            company = attempt.move_id.company_id or attempt.provider_id.company_id
            attempt.company_id = company

    @api.depends("move_id.commercial_partner_id", "source_transaction_id.partner_id")
    def _compute_partner_id(self):
        for attempt in self:
            payer = attempt.source_transaction_id.partner_id.commercial_partner_id
            attempt.partner_id = attempt.move_id.commercial_partner_id or payer

    # === BUSINESS METHODS - TRANSACTIONS === #

    def _commit(self):
        """Commit, so that what is lost after it can be found again.

        Inside a test nothing is committed; what hangs on a commit is still done.
        """
        if modules.module.current_test:
            self.env.cr.flush()
        else:
            # What is sent next must be found again after a power cut.
            self.env.cr.commit()  # pylint: disable=invalid-commit

    def _rollback(self):
        """Leave the transaction: another one was faster, or something broke."""
        if modules.module.current_test:
            self.env.invalidate_all()
        else:
            self.env.cr.rollback()

    def _send_after_commit(self):
        """Send when the caller's transaction has been committed, in one of our own.

        So no button, import or automation rule sends anything that is rolled back
        later, and none keeps its transaction open while the provider is called. If the
        process ends before, the job finds the attempts.
        """
        if not self:
            return
        if modules.module.current_test:
            self._send_all()
            return
        send = functools.partial(
            _send_in_new_transaction, self.env.cr.dbname, self.env.uid, self.ids
        )
        self.env.cr.postcommit.add(send)

    def _send_all(self):
        for attempt in self:
            attempt._send()


def _send_in_new_transaction(dbname, uid, attempt_ids):
    """Send attempts that are committed; whatever goes wrong, the job takes over."""
    try:
        with Registry(dbname).cursor() as cr:
            env = api.Environment(cr, uid, {}, su=True)
            env["crm.dunning.attempt"].browse(attempt_ids)._send_all()
    except Exception as error:
        _logger.error("Attempts left to the job: %s", type(error).__name__)
