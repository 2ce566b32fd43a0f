from decimal import Decimal

from odoo import api, fields, models
from odoo.fields import Domain
from odoo.tools import SQL

from ..billing_rules.allocation import split
from ..billing_rules.status import ATTENTION, deal_state

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
    """What the ledger says of a deal, in the transaction that changes it (H1)."""

    _inherit = "crm.lead"

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

    @api.depends(
        "billing_handoff_ids.state",
        "billing_move_ids.state",
        "billing_move_ids.payment_state",
        "billing_move_ids.amount_residual_signed",
        "billing_move_ids.amount_total_signed",
        "billing_move_ids.transaction_ids.state",
        "billing_agreement_ids.state",
        "billing_agreement_ids.billing_error",
        "billing_agreement_ids.is_catch_up_held",
    )
    def _compute_billing_state(self):
        """Read the status from the ledger, in the transaction that changes it.

        The state is the one that needs attention first; money is what is posted.
        """
        now = fields.Datetime.now()
        for lead in self:
            handoff = lead.billing_handoff_ids._filtered_live()[:1]
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
                lead._get_agreement_states(),
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
        names += (
            "billing_currency_id",
            "billing_amount_invoiced",
            "billing_amount_due",
        )
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
        overdue = self.with_context(active_test=False).search(
            Domain("id", "in", self.ids) & self._get_overdue_domain()
        )
        for lead in self:
            lead.billing_overdue = lead in overdue

    def _search_billing_overdue(self, operator, value):
        if operator != "in":
            return NotImplemented
        return (
            self._get_overdue_domain() if True in value else ~self._get_overdue_domain()
        )

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
                ]
            )
        )
        leads = SQL(
            "(SELECT lead_id FROM account_move_crm_lead_rel WHERE move_id IN %s)",
            lines.subselect(SQL.identifier(lines.table, "move_id")),
        )
        return Domain("id", "in", leads)

    @api.depends("won_status", "billing_state")
    def _compute_billing_not_won(self):
        for lead in self:
            billing = lead.sudo()
            lead.billing_not_won = lead.won_status != "won" and bool(
                billing.billing_move_ids._filtered_standing()
                or billing.billing_agreement_ids._filtered_live()
            )
