from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.fields import Command

from .crm_billing_handoff import ACTIVITY_BILLING
from .crm_billing_readiness_rule import blocking, list_blocking


class CrmBillingHandoff(models.Model):
    """What came to a deal after it was handed over: more to bill, one-off invoices.

    An edited order makes no second bill by itself (B7): the deal says what is open, and
    a person bills it.
    """

    _inherit = "crm.billing.handoff"

    open_order_ids = fields.Many2many(
        "sale.order", compute="_compute_open_order_ids", string="Orders to Bill"
    )
    difference = fields.Char(compute="_compute_open_order_ids")

    @api.depends(
        "state",
        "lead_id.order_ids.invoice_status",
        "agreement_id.line_ids.sale_line_id.product_uom_qty",
        "agreement_id.line_ids.sale_line_id.price_unit",
        "agreement_id.line_ids.sale_line_id.discount",
    )
    def _compute_open_order_ids(self):
        for handoff in self:
            # The accountant, who cannot open deals, sees that something is open.
            orders = handoff.sudo().lead_id.order_ids.filtered(
                lambda order: order._has_more_than_credited()
            )
            # What was credited in full is not billed again while the deal stays won.
            standing = handoff.sudo().move_ids._filtered_standing()
            standing = standing or handoff.sudo()._has_live_agreement()
            if handoff.state != "done" or not standing:
                orders = orders.browse()
            handoff.open_order_ids = orders
            handoff.difference = handoff.sudo()._describe_difference(orders)

    def action_bill_rest(self):
        """Bill what is open on the orders of deals that are handed over.

        What comes to a deal with an agreement, or recurs, goes into the agreement; the
        rest gets a draft. Safe to call again: what has a draft is not open any more.

        :return: an action to the new draft, else ``True``
        :raise AccessError: a salesperson calls it on the deal of somebody else
        """
        self._check_can_process()
        moves = self.env["account.move"]
        # Drafts are made as superuser: Sales has no right to write invoices.
        for handoff in self.sudo():
            handoff._lock_and_wait()
            orders = handoff.open_order_ids
            if not orders:
                continue
            handoff._check_ready_for_rest()
            handoff._check_nothing_credited(orders)
            drafts = handoff._bill_orders(orders)
            if drafts:
                event = {**handoff._prepare_event("drafted"), "move_id": drafts[:1].id}
                self.env["crm.billing.event"]._log([event])
            handoff.activity_feedback([ACTIVITY_BILLING])
            moves |= drafts
        if moves and self.env.user.has_group("account.group_account_invoice"):
            return self.env["account.move"]._get_billing_action(moves)
        return True

    def _bill_orders(self, orders):
        """Return the new drafts of what is open on ``orders``."""
        self.ensure_one()
        lines = orders._get_billable_lines()
        lines -= lines._filtered_taken_over()
        if self._has_live_agreement():
            return self.agreement_id._take_over(lines)
        if lines._filtered_for_agreement():
            return self._make_agreements().move_ids
        drafts = orders._create_billing_drafts(grouped=False)
        drafts._note_origin()
        return drafts

    def _check_ready_for_rest(self):
        """Refuse what would block a hand-off, such as a billing hold."""
        gaps = self.lead_id._get_billing_gaps()[self.lead_id]
        if blocking(gaps):
            raise UserError(
                self.env._(
                    "%(deal)s cannot be billed yet:\n%(missing)s",
                    deal=self.display_name,
                    missing=list_blocking(gaps),
                )
            )

    def _check_nothing_credited(self, orders):
        """Refuse to bill again what was credited, along with what is new."""
        credited = orders.filtered(lambda order: any(order._get_credited().values()))
        if credited:
            raise UserError(
                self.env._(
                    "A part of %(orders)s was credited and would be billed again. "
                    "Make a one-off invoice of what is new, from the deal.",
                    orders=", ".join(credited.mapped("name")),
                )
            )

    @api.model
    def _ask_for_rest(self):
        """Leave a task where something came to a deal after its hand-off."""
        done = self.search(
            [
                ("state", "=", "done"),
                ("lead_id.order_ids.invoice_status", "=", "to invoice"),
            ]
        )
        for handoff in done.filtered("difference"):
            handoff._ask_billing(self.env._("More to bill"), handoff.difference)


class SaleOrder(models.Model):
    _inherit = "sale.order"

    def _get_credited(self):
        """Return ``{line: quantity}`` that posted credit notes took back."""
        return {
            line: sum(
                credit.product_uom_id._compute_quantity(
                    credit.quantity, line.product_uom_id
                )
                for credit in line.invoice_lines
                if credit.move_type == "out_refund" and credit.parent_state == "posted"
            )
            for line in self.order_line
        }

    def _has_more_than_credited(self):
        """Return whether there is to invoice what no credit note took back."""
        if self.invoice_status != "to invoice":
            return False
        return any(
            line.qty_to_invoice > credited
            for line, credited in self._get_credited().items()
        )


class CrmLead(models.Model):
    _inherit = "crm.lead"

    billing_difference = fields.Char(compute="_compute_billing_difference")

    @api.depends("billing_handoff_ids.state", "order_ids.invoice_status")
    def _compute_billing_difference(self):
        for lead in self:
            lead.billing_difference = lead.sudo().billing_handoff_id.difference

    def action_bill_rest(self):
        """Bill what came to the deal after it was handed over."""
        return self.billing_handoff_id.action_bill_rest()

    def action_new_billing_invoice(self):
        """Make an empty one-off draft of a won deal, prefilled from it (C1).

        :return: an action to the draft
        :raise AccessError: the user is no billing clerk
        :raise UserError: the deal is not won, or has no customer
        """
        self.ensure_one()
        self.env["account.move"]._check_is_biller()
        if self.won_status != "won" or not self.partner_id:
            raise UserError(
                self.env._(
                    "%(deal)s needs a customer and has to be won before it is billed.",
                    deal=self.name,
                )
            )
        # The link to the deal is the flow's to set; the lines are typed by the clerk.
        handoff = self.sudo().billing_handoff_id
        if not handoff:
            raise UserError(
                self.env._("Hand the deal off first: press “Hand off now” on it.")
            )
        vals = handoff._prepare_draft()
        vals["invoice_line_ids"] = [Command.clear()]
        draft = self.env["account.move"].sudo().create(vals)
        draft._note_origin()
        return {
            "type": "ir.actions.act_window",
            "res_model": "account.move",
            "res_id": draft.id,
            "views": [(self.env.ref("account.view_move_form").id, "form")],
        }
