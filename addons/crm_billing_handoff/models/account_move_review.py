import hashlib
import json
import logging
from decimal import Decimal

import psycopg2

from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError
from odoo.fields import Domain
from odoo.tools import format_amount

from ..billing_rules.review import Amounts, Term, judge_amounts, judge_term, source_of

_logger = logging.getLogger(__name__)

# Verdicts of the checklist that a person has to look at.
RED = ("differs", "zero", "unusual", "missing", "limit", "duplicate")
# Of these, the ones that ask for a reason: the amount is not what was agreed.
NEEDS_REASON = ("amount", "discount", "duplicate")


class AccountMove(models.Model):
    """The review of a draft: what differs, who looked at it, post and send."""

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

    @api.depends("opportunity_ids", "move_type")
    def _compute_is_billing_review(self):
        for move in self:
            move.is_billing_review = move.is_billing_review or (
                move.move_type == "out_invoice" and bool(move.opportunity_ids)
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
        usual = reviewable._get_usual_amounts()
        twins = reviewable._get_twins()
        for move in self:
            items = []
            if move in reviewable:
                items = move._get_checklist(
                    usual.get(move.commercial_partner_id), twins.get(move)
                )
            move.billing_checklist = items
            move.billing_difference_count = sum(
                item["status"] in RED for item in items
            )
            move.billing_is_reviewed = bool(move.billing_reviewed_uid) and (
                move.state != "draft"
                or move.billing_review_digest == move._get_review_digest()
            )

    def _get_checklist(self, usual, twin):
        """Return the rows of the review: draft, quotation, account, verdict, source."""
        self.ensure_one()
        orders = self.sudo().invoice_line_ids.sale_line_ids.order_id
        return [
            *self._check_terms(orders),
            self._check_taxes(orders),
            *self._check_amounts(orders, usual),
            self._check_twin(twin),
        ]

    def _check_terms(self, orders):
        """Compare payer, recipient, terms, fiscal position and PO (B3, B4)."""
        _ = self.env._
        lead = self.sudo().opportunity_ids[:1]
        account = (lead.partner_id or self.partner_id).commercial_partner_id
        account = account.sudo().with_company(self.company_id)
        payer = self.commercial_partner_id
        order = orders[:1]
        position = self.env["account.fiscal.position"].with_company(self.company_id)
        rows = [
            (
                "payer",
                _("Paid by"),
                payer,
                order.partner_invoice_id.commercial_partner_id,
                account._get_payer(),
            ),
            (
                "recipient",
                _("Accounts payable"),
                self.partner_id,
                payer.browse(),
                payer._get_billing_address(),
            ),
            (
                "terms",
                _("Payment terms"),
                self.invoice_payment_term_id,
                order.payment_term_id,
                account.property_payment_term_id,
            ),
            (
                "fiscal_position",
                _("Fiscal position"),
                self.fiscal_position_id,
                order.fiscal_position_id,
                position.sudo()._get_fiscal_position(
                    account, self.partner_shipping_id
                ),
            ),
            (
                "po",
                _("PO"),
                self.ref or "",
                order.client_order_ref or "",
                account.po_number or "",
            ),
        ]
        for code, label, draft, quoted, given in rows:
            term = Term(code, draft, quoted, given)
            status = judge_term(term)
            if status == "missing" and not (code == "po" and account.po_required):
                status = "ok"
            if code == "po" and not quoted and not given and not account.po_required:
                status = "ok"
            yield {
                "code": code,
                "name": label,
                "status": status,
                "draft": self._format_term(draft),
                "quotation": self._format_term(quoted),
                "account": self._format_term(given),
                "source": self._format_source(source_of(term)),
            }

    def _check_taxes(self, orders):
        """Compare each line's taxes with the quotation and the fiscal position."""
        _ = self.env._
        account = self.sudo().partner_id.commercial_partner_id
        lines = self.sudo().invoice_line_ids.filtered(
            lambda line: line.display_type == "product"
        )
        status, note = "ok", ""
        for line in lines:
            agreed = line.sale_line_ids.tax_ids
            if line.sale_line_ids and line.tax_ids != agreed:
                status, note = "differs", ", ".join(agreed.mapped("name")) or _("none")
            elif not line.tax_ids and not account.tax_exempt:
                status, note = "missing", _("a line has no tax")
        return {
            "code": "tax",
            "name": _("Taxes"),
            "status": status,
            "draft": ", ".join(lines.tax_ids.mapped("name")) or _("none"),
            "quotation": note if status == "differs" else "",
            "account": (account.tax_exempt_reason or _("exempt"))
            if account.tax_exempt
            else (note if status == "missing" else ""),
            "source": self._format_source("quotation" if orders else "account"),
        }

    def _check_amounts(self, orders, usual):
        """Compare amount and discount with the quotation and the account's habit."""
        _ = self.env._
        lines = self.sudo().invoice_line_ids.filtered(
            lambda line: line.display_type == "product"
        )
        agreed_lines = lines.sale_line_ids
        agreed = self._get_agreed_amount(orders) if orders else None
        amounts = Amounts(
            draft=Decimal(str(self.amount_untaxed)),
            agreed=agreed,
            usual=usual,
            discount=Decimal(str(max(lines.mapped("discount"), default=0))),
            agreed_discount=Decimal(str(max(agreed_lines.mapped("discount"), default=0)))
            if agreed_lines
            else None,
            discount_limit=Decimal(str(self.company_id.billing_discount_limit)),
        )
        verdicts = judge_amounts(amounts)
        remarks = {
            "zero": _("nothing is charged"),
            "unusual": _("ten times the usual amount of this account"),
            "limit": _("above the limit of %(limit)s %%", limit=amounts.discount_limit),
            "missing": _("an agreed discount is missing"),
        }
        money = self.currency_id
        yield {
            "code": "amount",
            "name": _("Amount before tax"),
            "status": verdicts["amount"],
            "draft": format_amount(self.env, self.amount_untaxed, money),
            "quotation": ""
            if agreed is None
            else format_amount(self.env, float(agreed), money),
            "account": remarks.get(verdicts["amount"], ""),
            "source": self._format_source("quotation" if orders else "deal"),
        }
        yield {
            "code": "discount",
            "name": _("Discount"),
            "status": verdicts["discount"],
            "draft": f"{float(amounts.discount):g} %",
            "quotation": ""
            if amounts.agreed_discount is None
            else f"{float(amounts.agreed_discount):g} %",
            "account": remarks.get(verdicts["discount"], ""),
            "source": self._format_source("quotation" if orders else "deal"),
        }

    def _check_twin(self, twin):
        return {
            "code": "duplicate",
            "name": self.env._("Duplicate"),
            "status": "duplicate" if twin else "ok",
            "draft": self.env._("like %(invoice)s", invoice=twin.display_name)
            if twin
            else self.env._("none found"),
            "quotation": "",
            "account": "",
            "source": "",
        }

    def _get_agreed_amount(self, orders):
        """Return what the quotation leaves to this invoice, before tax.

        The order without what its other invoices bill, and without what is invoiced
        only once it is delivered.
        """
        total = Decimal(0)
        for line in orders.order_line.filtered(lambda line: not line.display_type):
            if line.is_downpayment:
                continue
            quantity = line.product_uom_qty
            if line.product_id.invoice_policy == "delivery":
                quantity = line.qty_delivered
            others = sum(
                invoiced.product_uom_id._compute_quantity(
                    invoiced.quantity, line.product_uom_id
                )
                * (-1 if invoiced.move_type == "out_refund" else 1)
                for invoiced in line.invoice_lines
                if invoiced.move_id != self._origin
                and invoiced.parent_state != "cancel"
            )
            if line.product_uom_qty:
                share = (quantity - others) / line.product_uom_qty
                amount = line.currency_id.round(line.price_subtotal * share)
                total += Decimal(str(amount))
        for line in self.invoice_line_ids.filtered("is_downpayment"):
            total += Decimal(str(line.price_subtotal))
        return total

    @api.model
    def _format_term(self, value):
        return value if isinstance(value, str) else (value.display_name or "")

    @api.model
    def _format_source(self, source):
        labels = {
            "quotation": self.env._("quotation"),
            "account": self.env._("account"),
            "manual": self.env._("by hand"),
            "deal": self.env._("deal"),
        }
        return labels.get(source, "")

    def _get_usual_amounts(self):
        """Return ``{account: Decimal}``: the average posted invoice, in one query."""
        groups = self.sudo()._read_group(
            [
                ("commercial_partner_id", "in", self.commercial_partner_id.ids),
                ("move_type", "=", "out_invoice"),
                ("state", "=", "posted"),
            ],
            ["commercial_partner_id"],
            ["amount_untaxed_signed:avg"],
        )
        return {account: Decimal(str(average)) for account, average in groups}

    def _get_twins(self):
        """Return ``{draft: invoice}`` with the same account and amount this month."""
        candidates = self.sudo().search(
            [
                ("commercial_partner_id", "in", self.commercial_partner_id.ids),
                ("amount_total", "in", self.mapped("amount_total")),
                ("move_type", "=", "out_invoice"),
                ("state", "!=", "cancel"),
                ("create_date", ">=", "today -31d"),
            ]
        )
        by_key = candidates.grouped(
            lambda move: (
                move.commercial_partner_id,
                move.currency_id,
                move.amount_total,
            )
        )
        twins = {}
        for move in self:
            key = (move.commercial_partner_id, move.currency_id, move.amount_total)
            others = by_key.get(key, self.browse()) - move._origin
            if others and move.amount_total:
                twins[move] = others[0]
        return twins

    # === BUSINESS METHODS - REVIEW === #

    def _get_review_digest(self):
        """Return a fingerprint of what was reviewed: a later change needs a new review."""
        self.ensure_one()
        content = [
            self.partner_id.id,
            self.ref or "",
            self.invoice_payment_term_id.id,
            self.fiscal_position_id.id,
            self.currency_id.id,
            str(self.invoice_date or ""),
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
                self.env._("Only a billing clerk can review, post and send the invoice.")
            )

    def action_billing_review(self):
        """Record that a person looked at the drafts.

        :raise UserError: a draft is off what was agreed and carries no reason
        """
        self._check_is_biller()
        drafts = self.filtered(lambda move: move.state == "draft")
        for move in drafts:
            odd = [
                item["name"]
                for item in move.billing_checklist or ()
                if item["code"] in NEEDS_REASON and item["status"] in RED
            ]
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
                {**move._prepare_billing_event("reviewed"), "note": move.billing_review_note}
                for move in self
            ]
        )

    def _prepare_billing_event(self, action):
        lead = self.sudo().opportunity_ids[:1]
        return {
            "action": action,
            "move_id": self.id,
            "lead_id": lead.id,
            "handoff_id": lead.billing_handoff_id.id,
            "partner_id": self.commercial_partner_id.id,
            "company_id": self.company_id.id,
        }

    def _check_billing_review(self):
        """Refuse to post what differs, or what the company wants reviewed, unreviewed.

        A draft that the customer paid online is posted all the same: the money is there.
        """
        for move in self.filtered(
            lambda move: move.state == "draft" and move.is_billing_review
        ):
            must = (
                move.company_id.billing_review_required or move.billing_difference_count
            )
            if not must or move.billing_is_reviewed:
                continue
            if move.sudo().transaction_ids.filtered(lambda tx: tx.state == "done"):
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

    # === BUSINESS METHODS - POST AND SEND === #

    def action_billing_post_and_send(self):
        """Post the drafts and send them the way each account wants.

        One draft is sent at once; several are posted and queued for core's sending job.
        What cannot be sent, or still has to be reviewed, stays a draft and is named.

        :return: the next draft to review (one draft), or a summary (several)
        :raise UserError: the only draft cannot be posted and sent as it is
        """
        self._check_is_biller()
        drafts = self.filtered(lambda move: move.state == "draft")
        problems = drafts._get_sending_problems()
        if len(drafts) == 1 and problems:
            raise UserError(problems[drafts])
        good = drafts.filtered(lambda move: move not in problems)
        good.filtered(lambda move: not move.billing_is_reviewed)._set_reviewed()
        good._post(soft=False)
        if len(good) == 1:
            good._send_now()
        elif good:
            good._generate_and_send(force_synchronous=False)
        return self._get_after_sending_action(good, problems)

    def _get_sending_problems(self):
        """Return ``{draft: why}`` for drafts that must not be posted and sent yet."""
        problems = {}
        for move in self:
            account = move.commercial_partner_id.with_company(move.company_id)
            method = account.invoice_sending_method or "email"
            if move.billing_difference_count and not move.billing_is_reviewed:
                problems[move] = self.env._(
                    "%(draft)s (%(account)s) has differences: check the red lines and "
                    "press Reviewed first.",
                    draft=move.display_name,
                    account=account.display_name,
                )
            elif method == "email" and not move.partner_id.email:
                problems[move] = self.env._(
                    "%(contact)s has no e-mail address: enter it, or name another "
                    "accounts payable contact for %(account)s.",
                    contact=move.partner_id.display_name,
                    account=account.display_name,
                )
        return problems

    def _send_now(self):
        """Send one posted invoice; what goes wrong is a task, not a lost click."""
        self.ensure_one()
        sender = self.env["account.move.send"]
        try:
            sender._generate_and_send_invoices(
                self, allow_raising=False, allow_fallback_pdf=False
            )
        except psycopg2.Error:
            raise
        except Exception as error:
            # Core lets a failed PDF escape. The invoice is posted all the same; no
            # savepoint can guard the call, since core commits inside it.
            _logger.exception("Invoice %s was not sent", self.id)
            sender._log_not_sent({self: str(error)})

    def _get_after_sending_action(self, sent, problems):
        _ = self.env._
        names = ", ".join(sent.mapped("name"))
        failed = sent.filtered(lambda move: len(sent) == 1 and not move.is_move_sent)
        if problems:
            message = _(
                "%(count)s posted and queued for sending; left as drafts: %(left)s",
                count=len(sent),
                left=" ".join(problems.values()),
            )
        elif failed:
            message = _("%(names)s is posted, but was not sent: see the task on it.",
                        names=names)
        elif len(sent) == 1:
            message = _("%(names)s is posted and sent to %(who)s.",
                        names=names, who=sent.partner_id.display_name)
        else:
            message = _("%(count)s invoices are posted and queued for sending.",
                        count=len(sent))
        following = self._get_next_to_review() if len(self) == 1 else self.browse()
        return {
            "type": "ir.actions.client",
            "tag": "crm_billing_handoff.next_draft",
            "params": {
                "message": message,
                "type": "warning" if problems or failed else "success",
                "res_id": following.id or False,
                "reload": len(self) != 1,
            },
        }

    def _get_next_to_review(self):
        """Return the next draft of the review list, after this one, else the first."""
        drafts = self.search(
            Domain("is_billing_review", "=", True)
            & Domain("state", "=", "draft")
            & Domain("move_type", "=", "out_invoice")
            & Domain("id", "not in", self.ids),
            order="id",
        )
        return drafts.filtered(lambda move: move.id > max(self.ids))[:1] or drafts[:1]

    def action_billing_edit(self):
        """Open the draft in core's invoice form, to correct it."""
        self.ensure_one()
        return {
            "type": "ir.actions.act_window",
            "res_model": "account.move",
            "res_id": self.id,
            "views": [(self.env.ref("account.view_move_form").id, "form")],
        }
