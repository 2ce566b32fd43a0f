from odoo import fields, models

DISPUTE_FIELDS = (
    "dunning_dispute_ids",
    "dunning_dispute_state",
    "dunning_dispute_amount",
    "dunning_evidence_due_at",
)


class AccountMove(models.Model):
    """What an invoice shows of disputed payments."""

    _inherit = "account.move"

    dunning_dispute_ids = fields.Many2many(
        "crm.dunning.dispute",
        "account_move_dunning_dispute_rel",
        "move_id",
        "dispute_id",
        string="Disputed Payments",
        readonly=True,
        copy=False,
        groups="account.group_account_invoice",
    )
    dunning_dispute_state = fields.Selection(
        [
            ("open", "Payment disputed"),
            ("lost", "Dispute lost"),
            ("won", "Dispute won"),
        ],
        string="Dispute",
        readonly=True,
        copy=False,
        index="btree_not_null",
        help="Of several disputes the one that needs attention first.",
    )
    dunning_dispute_amount = fields.Monetary(
        string="Disputed Amount", readonly=True, copy=False
    )
    dunning_evidence_due_at = fields.Datetime(
        string="Answer Dispute Until", readonly=True, copy=False
    )

    def _get_machine_fields(self):
        """Override to leave what the provider says to the flow."""
        return (*super()._get_machine_fields(), *DISPUTE_FIELDS)

    def _refresh_dispute(self):
        """Show the disputes of the invoices: an open one first, then a lost one."""
        for move in self:
            disputes = move.dunning_dispute_ids
            opened = disputes.filtered("is_open")
            lost = disputes.filtered(lambda one: one.status == "lost")
            state = "open" if opened else "lost" if lost else "won"
            shown = (opened or lost or disputes)[:1]
            due = opened.filtered("evidence_due_at").mapped("evidence_due_at")
            move.write(
                {
                    "dunning_dispute_state": bool(disputes) and state,
                    "dunning_dispute_amount": shown.amount
                    if shown.currency_id == move.currency_id
                    else 0.0,
                    "dunning_evidence_due_at": min(due, default=False),
                }
            )

    # === ACTION METHODS === #

    def action_view_dunning_attempts(self):
        """Show the charges of the invoice, with the reader's own rights."""
        self.ensure_one()
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "crm_dunning.crm_dunning_attempt_action"
        )
        return {**action, "domain": [("move_id", "=", self.id)], "context": {}}

    def action_view_dunning_disputes(self):
        """Show the disputed payments of the invoice."""
        self.ensure_one()
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "crm_dunning.crm_dunning_dispute_action"
        )
        domain = [("move_ids", "in", self.ids)]
        return {**action, "domain": domain, "context": {}}


class CrmDunningCase(models.Model):
    _inherit = "crm.dunning.case"

    payment_dispute_state = fields.Selection(
        related="move_id.dunning_dispute_state", string="Payment Dispute"
    )
    payment_dispute_amount = fields.Monetary(
        related="move_id.dunning_dispute_amount", string="Disputed Amount"
    )
    evidence_due_at = fields.Datetime(
        related="move_id.dunning_evidence_due_at", string="Answer Dispute Until"
    )
