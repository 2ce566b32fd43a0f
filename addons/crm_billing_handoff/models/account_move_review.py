import hashlib
import json

from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError

# Verdicts of the checklist that a person has to look at.
RED = ("differs", "zero", "unusual", "missing", "limit", "duplicate")
# Of these, the ones that ask for a reason: the amount is not what was agreed.
NEEDS_REASON = ("amount", "discount", "duplicate")


class AccountMove(models.Model):
    """The review of a draft: what is red, who looked, and the gate before posting.

    What is compared is in `account_move_checklist.py`, sending in
    `account_move_post_and_send.py`.
    """

    _inherit = "account.move"

    is_billing_review = fields.Boolean(
        string="Goes Through Billing Review",
        compute="_compute_is_billing_review",
        store=True,
        readonly=False,
        copy=False,
    )
    billing_reviewed_uid = fields.Many2one(
        "res.users", string="Reviewed By", copy=False, readonly=True
    )
    billing_reviewed_at = fields.Datetime(
        string="Reviewed On", copy=False, readonly=True
    )
    billing_review_digest = fields.Char(copy=False, readonly=True)
    billing_review_note = fields.Char(
        string="Reason",
        copy=False,
        help="Why the draft is right although it differs from what was agreed.",
    )
    billing_is_reviewed = fields.Boolean(
        string="Review Done", compute="_compute_billing_checklist"
    )
    billing_checklist = fields.Json(compute="_compute_billing_checklist")
    billing_difference_count = fields.Integer(
        string="Differences", compute="_compute_billing_checklist"
    )

    # === COMPUTE METHODS === #

    @api.depends("opportunity_ids", "agreement_ids", "move_type")
    def _compute_is_billing_review(self):
        for move in self:
            move.is_billing_review = move.is_billing_review or (
                move.move_type == "out_invoice"
                and bool(move.opportunity_ids or move.agreement_ids)
            )

    @api.depends(
        "state",
        "partner_id",
        "ref",
        "invoice_payment_term_id",
        "fiscal_position_id",
        "amount_untaxed",
        "amount_total",
        "invoice_line_ids.tax_ids",
        "invoice_line_ids.discount",
        "billing_review_digest",
    )
    def _compute_billing_checklist(self):
        reviewable = self.filtered(
            lambda move: move.state == "draft" and move.is_billing_review
        )
        reviewable._prefetch_for_review()
        usual = reviewable._get_usual_amounts()
        twins = reviewable._get_twins()
        positions = {}
        for move in self:
            items = []
            if move in reviewable:
                judged = move.with_context(billing_positions=positions)
                items = judged._get_checklist(
                    usual.get((move.commercial_partner_id, move.company_id)),
                    twins.get(move),
                )
            move.billing_checklist = items
            move.billing_difference_count = sum(item["status"] in RED for item in items)
            move.billing_is_reviewed = bool(move.billing_reviewed_uid) and (
                move.state != "draft"
                or move.billing_review_digest == move._get_review_digest()
            )

    # === BUSINESS METHODS - REVIEW === #

    def _get_review_digest(self):
        """Return a fingerprint of what was reviewed: a change needs a new review."""
        self.ensure_one()
        content = [
            self.partner_id.id,
            self.ref or "",
            self.invoice_payment_term_id.id,
            self.fiscal_position_id.id,
            self.currency_id.id,
            str(self.invoice_date or ""),
            self.partner_bank_id.id,
            self.partner_shipping_id.id,
            # With terms, the due date follows from them.
            str(not self.invoice_payment_term_id and self.invoice_date_due or ""),
            [
                [
                    line.product_id.id,
                    line.name or "",
                    line.quantity,
                    line.price_unit,
                    line.discount,
                    line.tax_ids.ids,
                ]
                for line in self.invoice_line_ids
            ],
        ]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()

    def _check_is_biller(self):
        """Let only Billing review and send, whatever the road."""
        if not self.env.su and not self.env.user.has_group(
            "crm_billing_handoff.group_billing_user"
        ):
            raise AccessError(
                self.env._(
                    "Only a billing clerk can review, post and send the invoice."
                )
            )

    def action_billing_review(self):
        """Record that a person looked at the drafts.

        :raise UserError: a draft is off what was agreed and carries no reason
        """
        self._check_is_biller()
        drafts = self.filtered(lambda move: move.state == "draft")
        for move in drafts:
            odd = move._get_to_explain()
            if odd and not move.billing_review_note:
                raise UserError(
                    self.env._(
                        "%(draft)s (%(account)s) is not what was agreed: %(what)s. "
                        "Correct it, or write the reason into the field Reason.",
                        draft=move.display_name,
                        account=move.commercial_partner_id.display_name,
                        what=", ".join(odd),
                    )
                )
        drafts._set_reviewed()
        return True

    def _get_to_explain(self):
        """Return the names of what is off what was agreed, and asks for a reason."""
        self.ensure_one()
        return [
            item["name"]
            for item in self.billing_checklist or ()
            if item["code"] in NEEDS_REASON and item["status"] in RED
        ]

    def _set_reviewed(self):
        now = fields.Datetime.now()
        for move in self:
            move.write(
                {
                    "billing_reviewed_uid": self.env.uid,
                    "billing_reviewed_at": now,
                    "billing_review_digest": move._get_review_digest(),
                }
            )
            # Core's flag is shown to accountants only; it says nothing once posted.
            move.sudo().checked = True
        self.env["crm.billing.event"]._log(
            [
                {
                    **move._prepare_billing_event("reviewed"),
                    "note": move.billing_review_note,
                }
                for move in self
            ]
        )

    def _prepare_billing_event(self, action):
        lead = self.sudo().opportunity_ids[:1]
        return {
            "action": action,
            "agreement_id": self.sudo().agreement_ids[:1].id,
            "move_id": self.id,
            "lead_id": lead.id,
            "handoff_id": lead.billing_handoff_id.id,
            "partner_id": self.commercial_partner_id.id,
            "company_id": self.company_id.id,
        }

    def _needs_billing_review(self):
        """Return whether a person has to look before the draft is posted.

        What differs always needs it; by setting drafts of deals and the first invoice
        of an agreement do, by another one its later invoices, too.
        """
        self.ensure_one()
        if self.billing_difference_count:
            return True
        company = self.company_id
        is_wanted = company.billing_review_later or not self.billing_is_later
        return company.billing_review_required and is_wanted

    def _check_billing_review(self):
        """Refuse to post what differs, or what the company wants reviewed, unreviewed.

        A draft that the customer paid online is posted: the money is there.
        """
        for move in self.filtered(
            lambda move: move.state == "draft" and move.is_billing_review
        ):
            if not move._needs_billing_review() or move.billing_is_reviewed:
                continue
            # Core posts what was paid online as superuser; a person who typed a
            # transaction in still has to review.
            if self.env.su and move.transaction_ids.filtered(
                lambda tx: tx.state == "done"
            ):
                self.env["crm.billing.event"]._log(
                    [
                        {
                            **move._prepare_billing_event("overridden"),
                            "source": "payment",
                            "note": self.env._("Paid online before the review."),
                        }
                    ]
                )
                continue
            changed = bool(move.billing_reviewed_uid)
            raise UserError(
                self.env._(
                    "%(draft)s (%(account)s) %(why)s. Open it in To Review, check the "
                    "red lines and press Reviewed.",
                    draft=move.display_name,
                    account=move.commercial_partner_id.display_name,
                    why=self.env._("was changed after its review")
                    if changed
                    else self.env._("has not been reviewed"),
                )
            )

    def _post(self, soft=True):
        """Override of `account` so that nothing differing is posted unreviewed."""
        self._check_billing_review()
        reviewed = self.filtered("is_billing_review")
        posted = super()._post(soft)
        self.env["crm.billing.event"]._log(
            [move._prepare_billing_event("posted") for move in posted & reviewed]
        )
        return posted
