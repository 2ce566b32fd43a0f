from odoo import fields, models
from odoo.exceptions import UserError

from ..models.crm_billing_outside_document import MOVE_TYPES


class CrmBillingMatchExplain(models.TransientModel):
    """Explain why the two sides of some rows of the match board differ."""

    _name = "crm.billing.match.explain"
    _description = "Explain Differences"

    row_ids = fields.Many2many(
        "crm.billing.match.report", compute="_compute_row_ids", string="Differences"
    )
    text = fields.Char(
        string="Explanation",
        required=True,
        help="For the auditor: what differs, since when, and when it will be gone.",
    )

    def _compute_row_ids(self):
        for wizard in self:
            ids = self.env.context.get("default_row_ids") or ()
            wizard.row_ids = self.env["crm.billing.match.report"].browse(ids)

    def action_explain(self):
        """Note the explanation for each row that differs."""
        self.ensure_one()
        if len((self.text or "").strip()) < 3:
            raise UserError(self.env._("Say in a few words why the sides differ."))
        ids = self.env.context.get("default_row_ids") or ()
        # Read again: only what the user may see, and what still differs.
        rows = self.env["crm.billing.match.report"].search([("id", "in", ids)])
        self.env["crm.billing.match.note"]._explain(rows, self.text.strip())
        return {"type": "ir.actions.client", "tag": "soft_reload"}


class CrmBillingMatchLink(models.TransientModel):
    """Choose which record here is the counterpart of a document of the other books."""

    _name = "crm.billing.match.link"
    _description = "Choose a Counterpart"

    document_id = fields.Many2one(
        "crm.billing.outside.document", required=True, readonly=True
    )
    company_id = fields.Many2one(related="document_id.company_id")
    kind = fields.Selection(related="document_id.kind")
    move_type = fields.Char(compute="_compute_move_type")
    move_id = fields.Many2one(
        "account.move",
        string="Invoice Here",
        domain="[('company_id', 'child_of', company_id), "
        "('move_type', '=', move_type), ('state', '=', 'posted')]",
    )
    payment_id = fields.Many2one(
        "account.payment",
        string="Payment Here",
        domain="[('company_id', 'child_of', company_id), "
        "('partner_type', '=', 'customer'), ('state', 'in', ('in_process', 'paid'))]",
    )

    def _compute_move_type(self):
        for wizard in self:
            wizard.move_type = MOVE_TYPES.get(wizard.kind)

    def action_link(self):
        """Link the two."""
        self.ensure_one()
        record = self.payment_id if self.kind == "payment" else self.move_id
        if not record:
            raise UserError(self.env._("Choose the counterpart."))
        self.document_id._check_can_match()
        record.check_access("read")
        self.document_id._link_by_hand(record)
        return {"type": "ir.actions.client", "tag": "soft_reload"}
