from datetime import timedelta
from decimal import Decimal

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.fields import Domain

from ..billing_rules.allocation import split
from ..billing_rules.status import ATTENTION, deal_state
from .crm_billing_handoff import ACTIVITY_BLOCKED

STATES = {
    "none": "Nothing to bill",
    "waiting": "Waiting",
    "blocked": "Blocked",
    "draft": "Draft",
    "invoiced": "Invoiced",
    "partial": "Partly paid",
    "paid": "Paid",
    "credited": "Credited",
    "failed": "Payment failed",
}


class CrmLead(models.Model):
    """The deal: winning it queues a handoff, and its billing is read on it.

    The way in is :meth:`_handle_won_lost`; what stands between the deal and an invoice
    is in `crm_lead_readiness.py`.
    """

    _inherit = "crm.lead"

    billing_handoff_ids = fields.One2many(
        "crm.billing.handoff", "lead_id", string="Handoffs", copy=False
    )
    billing_handoff_id = fields.Many2one(
        "crm.billing.handoff", compute="_compute_billing_handoff_id", string="Handoff"
    )
    billing_move_ids = fields.Many2many(
        "account.move",
        "account_move_crm_lead_rel",
        "lead_id",
        "move_id",
        string="Billing Documents",
        copy=False,
        readonly=True,
    )
    billing_state = fields.Selection(
        [(state, STATES[state]) for state in ("none", *sorted(ATTENTION))],
        string="Billing",
        compute="_compute_billing_state",
        store=True,
        copy=False,
        default="none",
    )
    billing_payment_blocked = fields.Boolean(
        string="Payment Blocked",
        compute="_compute_billing_state",
        store=True,
        copy=False,
        help="An invoice of the deal is blocked for payment.",
    )
    billing_currency_id = fields.Many2one(
        "res.currency", compute="_compute_billing_state", store=True, copy=False
    )
    billing_amount_invoiced = fields.Monetary(
        string="Invoiced",
        currency_field="billing_currency_id",
        compute="_compute_billing_state",
        store=True,
        copy=False,
        help="Posted invoices less credit notes, tax included, in the currency of the "
        "company. Of an invoice for several deals, the share of this one.",
    )
    billing_amount_due = fields.Monetary(
        string="Due",
        currency_field="billing_currency_id",
        compute="_compute_billing_state",
        store=True,
        copy=False,
        help="What is still open of it, payments shared in proportion.",
    )
    billing_as_of = fields.Datetime(
        string="Billing As Of",
        compute="_compute_billing_state",
        store=True,
        copy=False,
        help="When the billing status was last computed from the ledger.",
    )
    billing_overdue = fields.Boolean(
        string="Overdue",
        compute="_compute_billing_overdue",
        search="_search_billing_overdue",
        help="An instalment is past its due date and still open.",
    )
    billing_not_won = fields.Boolean(
        string="Billed, Not Won", compute="_compute_billing_not_won"
    )

    # === COMPUTE METHODS === #

    @api.depends("billing_handoff_ids.state")
    def _compute_billing_handoff_id(self):
        for lead in self:
            lead.billing_handoff_id = lead.billing_handoff_ids.filtered(
                lambda handoff: handoff.state != "cancelled"
            )[:1]

    @api.depends(
        "billing_handoff_ids.state",
        "billing_move_ids.state",
        "billing_move_ids.payment_state",
        "billing_move_ids.amount_residual_signed",
        "billing_move_ids.amount_total_signed",
        "billing_move_ids.transaction_ids.state",
    )
    def _compute_billing_state(self):
        """Read the status from the ledger, in the transaction that changes it.

        The state is the one that needs attention first; money is what is posted.
        """
        now = fields.Datetime.now()
        for lead in self:
            handoff = lead.billing_handoff_ids.filtered(
                lambda handoff: handoff.state != "cancelled"
            )[:1]
            moves = lead.billing_move_ids
            posted = moves.filtered(lambda move: move.state == "posted")
            company = handoff.company_id or posted.company_id[:1]
            company = company or lead.company_id or self.env.company
            lead.billing_currency_id = company.currency_id
            lead.billing_state = deal_state(
                handoff.state,
                [
                    move._to_document()
                    for move in moves
                    if move.move_type == "out_invoice"
                ],
            )
            lead.billing_payment_blocked = any(
                move.payment_state == "blocked" and move.amount_residual
                for move in posted
            )
            shares = [lead._get_share(move, company.currency_id) for move in posted]
            lead.billing_amount_invoiced = sum(float(total) for total, _due in shares)
            lead.billing_amount_due = sum(float(due) for _total, due in shares)
            lead.billing_as_of = now

    def _protecting_billing_state(self):
        """Return a context manager that keeps the status of the deals as it is."""
        names = ("billing_state", "billing_as_of", "billing_payment_blocked")
        names += ("billing_currency_id", "billing_amount_invoiced", "billing_amount_due")
        return self.env.protecting([self._fields[name] for name in names], self)

    def _filtered_without_billing(self):
        """Return the deals that show no billing, or nothing but the queue."""
        return self.filtered(lambda lead: lead.billing_state in ("none", "waiting"))

    def _show_queued(self, state):
        """Show that deals without any billing are queued, without computing it.

        Called before core flushes the win, so that it rides on the same update.
        """
        with self._protecting_billing_state():
            for lead in self:
                lead.billing_state = state
                lead.billing_as_of = fields.Datetime.now()

    def _get_share(self, move, currency):
        """Return the deal's ``(total, residual)`` of an invoice, in ``currency``."""
        step = Decimal(str(move.company_currency_id.rounding)).normalize()
        weights = move._get_opportunity_weights()
        position = list(weights).index(self._origin) if self._origin in weights else 0
        amounts = []
        for amount in (move.amount_total_signed, move.amount_residual_signed):
            exact = Decimal(str(move.company_currency_id.round(amount)))
            part = split(exact, list(weights.values()), step)[position]
            if move.company_currency_id != currency:
                part = move.company_currency_id._convert(
                    float(part), currency, move.company_id, move.date
                )
            amounts.append(Decimal(str(part)))
        return amounts

    def _compute_billing_overdue(self):
        overdue = self.search(
            Domain("id", "in", self.ids) & self._get_overdue_domain()
        )
        for lead in self:
            lead.billing_overdue = lead in overdue

    def _search_billing_overdue(self, operator, value):
        if operator != "in":
            return NotImplemented
        return self._get_overdue_domain() if True in value else ~self._get_overdue_domain()

    @api.model
    def _get_overdue_domain(self):
        """Return deals with an instalment past due: by due date, read today."""
        today = fields.Date.context_today(self)
        lines = (
            # Salespeople see that a deal is overdue, not the journal items.
            self.env["account.move.line"]
            .sudo()
            ._search(
                [
                    ("account_type", "=", "asset_receivable"),
                    ("parent_state", "=", "posted"),
                    ("reconciled", "=", False),
                    ("balance", ">", 0),
                    ("date_maturity", "<", today),
                    ("move_id.opportunity_ids", "!=", False),
                ]
            )
        )
        moves = self.env["account.move"].sudo()._search([("line_ids", "in", lines)])
        return Domain("billing_move_ids", "any!", [("id", "in", moves)])

    @api.depends("won_status", "billing_state")
    def _compute_billing_not_won(self):
        for lead in self:
            lead.billing_not_won = lead.won_status != "won" and bool(
                lead.sudo().billing_move_ids.filtered(
                    lambda move: move.state != "cancel"
                    and move.payment_state != "reversed"
                )
            )

    # === CRUD METHODS === #

    def _handle_won_lost(self, old_status_by_lead, new_status_by_lead):
        """Override of `crm` to queue what was won and to follow what is won no more.

        Winning never fails because of billing: nothing is looked up or billed here. The
        deals are flushed first, so that two people who win one deal meet at its row,
        where the second one is retried, and not at the unique index.
        """

        def is_won(status_by_lead, lead):
            return status_by_lead.get(lead.id, {}).get("is_won", False)

        won = self.filtered(
            lambda lead: is_won(new_status_by_lead, lead)
            and not is_won(old_status_by_lead, lead)
        )
        left = self.filtered(
            lambda lead: is_won(old_status_by_lead, lead)
            and not is_won(new_status_by_lead, lead)
        )
        won._check_billing_before_win()
        won.filtered(lambda lead: lead.type == "lead").type = "opportunity"
        # Shown before core writes the win, so that it rides on the same update.
        won._filtered_without_billing()._show_queued("waiting")
        result = super()._handle_won_lost(old_status_by_lead, new_status_by_lead)
        # The queue belongs to nobody: whoever may win a deal may fill it.
        if won:
            won.flush_recordset()
            self.env["crm.billing.handoff"].sudo()._queue(won.sudo())
        if left:
            left.sudo().billing_handoff_ids._cancel_or_keep()
        return result

    def write(self, vals):
        result = super().write(vals)
        self.env["crm.billing.handoff"]._wake_later("lead", self.ids)
        return result

    @api.ondelete(at_uninstall=False)
    def _unlink_except_handed_off(self):
        kept = self.sudo().billing_handoff_ids.filtered(
            lambda handoff: handoff.state != "cancelled" or handoff.move_ids
        )
        if kept or self.sudo().billing_move_ids:
            raise UserError(
                self.env._(
                    "%(deals)s is handed off to Billing or has invoices: archive it "
                    "instead of deleting it.",
                    deals=", ".join(
                        (kept.lead_id | self.filtered("billing_move_ids")).mapped("name")
                    ),
                )
            )
        self.sudo().billing_handoff_ids.unlink()

    # === BUSINESS METHODS - MERGE === #

    def _merge_get_fields_specific(self):
        """Override of `crm` to keep the invoices of all merged deals."""
        return super()._merge_get_fields_specific() | {
            "billing_move_ids": lambda _name, leads: [
                fields.Command.link(move.id) for move in leads.sudo().billing_move_ids
            ],
        }

    def _merge_dependences(self, opportunities):
        """Override of `crm` to leave the merged deal with one live handoff.

        The one that has billed stays; a deal that is not won keeps none unless it has
        billed.
        """
        result = super()._merge_dependences(opportunities)
        everything = (self | opportunities).sudo().billing_handoff_ids
        live = everything.filtered(lambda handoff: handoff.state != "cancelled")
        kept = (
            live.filtered("move_ids").sorted(lambda handoff: handoff.lead_id != self)
            or live.sorted(lambda handoff: handoff.lead_id != self)
        )[:1]
        (live - kept)._set_state("cancelled")
        # The head is linked to all invoices by the merged values; the rest is deleted.
        opportunities.sudo().billing_move_ids = False
        everything.with_context(tracking_disable=True).write({"lead_id": self.id})
        self.env["crm.billing.event"]._log(
            [handoff._prepare_event("merged") for handoff in live - kept]
        )
        return result

    # === ACTION METHODS === #

    def action_hand_off(self):
        """Hand won deals off to Billing now: queue them if need be, and process them.

        Idempotent: a deal that is handed off already stays as it is. Works the same
        from a button, over RPC, and as a server action.

        :return: an action to the draft of one deal, or nothing
        :raise AccessError: the user may not write one of the deals
        :raise UserError: a deal is not won
        """
        if not self.env.user.has_group("crm_billing_handoff.group_billing_user"):
            self.check_access("write")
        if open_deals := self.filtered(lambda lead: lead.won_status != "won"):
            raise UserError(
                self.env._(
                    "%(deals)s is not won yet. Mark the deal won: that hands it off.",
                    deals=", ".join(open_deals.mapped("name")),
                )
            )
        handoffs = self.env["crm.billing.handoff"]
        # As in the win itself: the queue is filled for whoever may win the deal.
        handoffs.sudo()._queue(self.sudo())
        self.invalidate_recordset(["billing_handoff_ids"])
        live = self.sudo().billing_handoff_ids.filtered(
            lambda handoff: handoff.state != "cancelled"
        )
        return live.sudo(self.env.su).action_process()

    def action_view_billing_handoff(self):
        """Open the live handoff of the deal."""
        self.ensure_one()
        return {
            "type": "ir.actions.act_window",
            "res_model": "crm.billing.handoff",
            "res_id": self.billing_handoff_id.id,
            "view_mode": "form",
        }

    def action_view_billing_moves(self):
        """Open the invoices of the deal."""
        return self.env["account.move"]._get_billing_action(self.billing_move_ids)

    # === BUSINESS METHODS - TASKS === #

    def _ask_for_billing_data(self, gaps):
        """Leave one task for the deal's owner that lists what blocks billing."""
        self.ensure_one()
        note = self.env["crm.billing.handoff"]._format_gaps(gaps)
        activity = self.activity_search([ACTIVITY_BLOCKED])[:1]
        if activity:
            if activity.note != note:
                activity.note = note
            return
        owner = self.user_id or self.team_id.user_id
        owner = owner or self._get_billing_company()._get_billing_responsible()
        self.activity_schedule(
            ACTIVITY_BLOCKED,
            date_deadline=fields.Date.context_today(self) + timedelta(days=1),
            note=note,
            user_id=owner.id,
        )

    def _close_billing_activity(self, type_xmlid):
        if self:
            self.activity_feedback(
                [type_xmlid], feedback=self.env._("Billing goes on by itself.")
            )
