from datetime import date
from decimal import Decimal

from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError

from .crm_dunning_case_person import GROUP_MANAGER


class CrmDunningFee(models.Model):
    """The ledger of late fees and interest: what was asked for, once each (G9).

    A fee is asked for at most once an instalment and step, interest once an instalment
    and day, waived or not: the unique indexes keep it so. Each row becomes a line of a
    draft that a person posts; it is never added to what a card is charged.
    """

    _name = "crm.dunning.fee"
    _description = "Late Fee or Interest"
    _order = "id desc"
    _rec_name = "explanation"

    kind = fields.Selection(
        [("fee", "Late fee"), ("interest", "Interest")], required=True, readonly=True
    )
    state = fields.Selection(
        [
            ("proposed", "Proposed"),
            ("draft", "On a draft"),
            ("posted", "Posted"),
            ("waived", "Waived"),
        ],
        compute="_compute_state",
        help="Taken off the draft by hand is waived, too.",
    )
    line_id = fields.Many2one(
        "account.move.line",
        string="Instalment",
        required=True,
        readonly=True,
        ondelete="cascade",
    )
    origin_move_id = fields.Many2one(
        "account.move",
        string="Late Invoice",
        required=True,
        readonly=True,
        index=True,
        ondelete="cascade",
    )
    company_id = fields.Many2one(
        related="origin_move_id.company_id", store=True, index=True, precompute=True
    )
    partner_id = fields.Many2one(
        related="origin_move_id.commercial_partner_id",
        store=True,
        index=True,
        precompute=True,
        string="Account",
    )
    seller_id = fields.Many2one(
        related="origin_move_id.invoice_user_id", store=True, precompute=True
    )
    case_id = fields.Many2one("crm.dunning.case", readonly=True, index=True)
    notice_id = fields.Many2one("crm.dunning.notice", readonly=True)
    step_id = fields.Many2one("crm.dunning.step", readonly=True)
    days = fields.Integer(readonly=True, help="Offset of the step in days.")
    currency_id = fields.Many2one("res.currency", required=True, readonly=True)
    amount = fields.Monetary(required=True, readonly=True)
    date_from = fields.Date(readonly=True, help="First day that bears interest.")
    date_to = fields.Date(required=True, readonly=True, help="Last day, included.")
    explanation = fields.Char(readonly=True)
    drafted_at = fields.Datetime(readonly=True)
    move_line_id = fields.Many2one(
        "account.move.line",
        string="Billed On",
        readonly=True,
        index="btree_not_null",
        ondelete="set null",
    )
    move_id = fields.Many2one(related="move_line_id.move_id", string="Fee Invoice")
    waived_at = fields.Datetime(readonly=True)
    waived_uid = fields.Many2one("res.users", string="Waived By", readonly=True)
    waive_reason = fields.Char(readonly=True)

    _fee_uniq = models.UniqueIndex("(line_id, days) WHERE kind = 'fee'")
    _interest_uniq = models.UniqueIndex("(line_id, date_to) WHERE kind = 'interest'")

    # === COMPUTE METHODS === #

    @api.depends("waived_at", "drafted_at", "move_line_id.parent_state")
    def _compute_state(self):
        for fee in self:
            line = fee.sudo().move_line_id
            if fee.waived_at or (fee.drafted_at and not line):
                fee.state = "waived"
            elif line.parent_state == "posted":
                fee.state = "posted"
            elif line.parent_state == "cancel":
                fee.state = "waived"
            else:
                fee.state = "draft" if line else "proposed"

    # === ACTION METHODS === #

    def action_waive(self, reason=None):
        """Do not ask for these; lines that are on a draft are taken off it.

        :param reason: why; asked for where it is missing
        :raise AccessError: the user is no billing manager
        :raise UserError: one is posted: it is credited instead
        """
        if not self.env.su and not self.env.user.has_group(GROUP_MANAGER):
            raise AccessError(
                self.env._("Ask a billing manager to waive late fees and interest.")
            )
        self.check_access("read")
        if not (reason or "").strip():
            return self._ask_why_waived()
        posted = self.filtered(lambda fee: fee.state == "posted")
        if posted:
            raise UserError(
                self.env._(
                    "%(invoices)s is posted: credit it instead of waiving.",
                    invoices=", ".join(posted.move_id.mapped("name")),
                )
            )
        self._waive(reason.strip())
        return True

    def _ask_why_waived(self):
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Waive"),
            "res_model": "crm.dunning.fee.wizard",
            "view_mode": "form",
            "target": "new",
            "context": {"default_fee_ids": self.ids},
        }

    def action_view_move(self):
        """Open the draft or invoice that asks for it."""
        self.ensure_one()
        return self.env["account.move"]._get_billing_action(self.move_id)

    # === BUSINESS METHODS === #

    def _waive(self, reason):
        # The manager who waives need not have typed the draft.
        todo = self.sudo().filtered(lambda fee: fee.state in ("proposed", "draft"))
        lines = todo.move_line_id
        todo.write(
            {
                "waived_at": fields.Datetime.now(),
                "waived_uid": self.env.uid,
                "waive_reason": reason,
                "move_line_id": False,
            }
        )
        drafts = lines.move_id
        lines.unlink()
        drafts.filtered(lambda move: not move.invoice_line_ids).unlink()
        todo._log_events("fee_waived", reason)

    def _log_events(self, action, note=None):
        self.env["crm.billing.event"]._log(
            [
                {
                    "action": action,
                    "dunning_case_id": fee.case_id.id,
                    "move_id": fee.origin_move_id.id,
                    "partner_id": fee.partner_id.id,
                    "company_id": fee.company_id.id,
                    "note": " · ".join(filter(None, (fee.explanation, note))),
                }
                for fee in self
            ]
        )

    # === BUSINESS METHODS - DRAFTS === #

    def _create_drafts(self):
        """Make one draft an account, company and currency, for a person to review."""
        moves = self.env["account.move"]
        groups = self.grouped(
            lambda fee: (fee.company_id, fee.partner_id, fee.currency_id)
        )
        for (company, payer, currency), fees in groups.items():
            drafts = moves.with_company(company).with_context(
                mail_create_nosubscribe=True
            )
            move = drafts.create(fees._prepare_draft(company, payer, currency))
            lines = move.invoice_line_ids
            for fee, line in zip(fees, lines, strict=True):
                fee.move_line_id = line
            fees.drafted_at = fields.Datetime.now()
            moves |= move
        return moves

    def _prepare_draft(self, company, payer, currency):
        return {
            "move_type": "out_invoice",
            "company_id": company.id,
            "partner_id": payer._get_billing_address().id,
            "currency_id": currency.id,
            "invoice_user_id": self.seller_id[:1].id or payer.user_id.id,
            "invoice_origin": ", ".join(self.origin_move_id.mapped("name")),
            "is_dunning_fee": True,
            "is_billing_review": True,
            "invoice_line_ids": [
                fields.Command.create(fee._prepare_line()) for fee in self
            ],
        }

    def _prepare_line(self):
        """Return the line; its taxes are those of the product, mapped by core."""
        self.ensure_one()
        return {
            "product_id": self.company_id._get_late_product(self.kind).id,
            "name": self.explanation,
            "quantity": 1.0,
            "price_unit": self.amount,
        }

    @api.model
    def _exact(self, value):
        return Decimal(str(value))

    @api.model
    def _has_charged_until(self, rows):
        """Return ``{instalment id: last day}`` of interest, waived days included."""
        found: dict[int, date] = {}
        groups = self._read_group(
            [("kind", "=", "interest"), ("line_id", "in", [row[0] for row in rows])],
            ["line_id"],
            ["date_to:max"],
        )
        for line, last in groups:
            found[line.id] = last
        return found


class ResCompany(models.Model):
    _inherit = "res.company"

    dunning_fee_product_id = fields.Many2one(
        "product.product",
        string="Late Fee Product",
        domain="[('type', '=', 'service')]",
        help="Account and taxes of late fees. Empty: the shipped one, without tax.",
    )
    dunning_interest_product_id = fields.Many2one(
        "product.product",
        string="Late Interest Product",
        domain="[('type', '=', 'service')]",
        help="Account and taxes of interest. Empty: the shipped one, without tax.",
    )

    def _get_late_product(self, kind):
        """Return the product of a late fee or of interest."""
        self.ensure_one()
        own = self.dunning_fee_product_id
        if kind == "interest":
            own = self.dunning_interest_product_id
        return own or self.env.ref(f"crm_dunning.product_late_{kind}")


class AccountMove(models.Model):
    _inherit = "account.move"

    is_dunning_fee = fields.Boolean(
        string="Late Fees or Interest",
        readonly=True,
        copy=False,
        help="Never charged to a card by itself, and bears no fee or interest.",
    )

    def _get_dunning_blocks(self, now, purpose="mail", own_attempts=None):
        """Override: nothing charges fees and interest to a card by itself (11)."""
        blocks = super()._get_dunning_blocks(now, purpose, own_attempts)
        if purpose == "charge":
            for move in self.filtered("is_dunning_fee"):
                blocks.setdefault(move, "fee")
        return blocks

    @api.model
    def _get_dunning_block_labels(self):
        labels = super()._get_dunning_block_labels()
        labels["fee"] = self.env._("late fees and interest are not charged by itself")
        return labels
