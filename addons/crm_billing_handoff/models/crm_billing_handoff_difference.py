from odoo import fields, models
from odoo.exceptions import UserError
from odoo.fields import Command
from odoo.tools import float_compare

# Value of an order line → type and field of the change that brings it to a line.
CHANGES = {
    "product_uom_qty": ("quantity", "quantity"),
    "price_unit": ("price", "price_unit"),
    "discount": ("discount", "discount"),
}


class CrmBillingHandoff(models.Model):
    """An order that was edited after its agreement: what differs, what is proposed.

    Nothing is billed a second time by itself (B7): a clerk proposes the change of the
    agreement, sees its money, and applies it.
    """

    _inherit = "crm.billing.handoff"

    can_propose_change = fields.Boolean(compute="_compute_can_propose_change")

    def _compute_can_propose_change(self):
        for handoff in self:
            lines = handoff.sudo()._get_changed_lines()
            handoff.can_propose_change = bool(lines)

    # === ACTION METHODS === #

    def action_propose_change(self):
        """Prepare the changes that bring the agreement to its edited order.

        They are drafts: nothing changes before somebody applies them.

        :return: an action to the changes
        :raise AccessError: the user may not change agreements
        """
        changes = self.env["crm.billing.change"]
        for handoff in self:
            for order_line, line in handoff._get_changed_lines().items():
                changes |= order_line.sudo(False)._propose_changes(line)
        action = {
            "type": "ir.actions.act_window",
            "name": self.env._("Proposed Changes"),
            "res_model": "crm.billing.change",
            "view_mode": "list,form",
            "domain": [("id", "in", changes.ids)],
        }
        if len(changes) == 1:
            action |= {"view_mode": "form", "res_id": changes.id}
        return action

    # === BUSINESS METHODS === #

    def _get_changed_lines(self):
        """Return ``{order line: agreement line}`` of recurring lines that differ."""
        self.ensure_one()
        if not self._has_live_agreement():
            return {}
        lines = self.agreement_id.line_ids
        changed = {}
        for order_line in lines.sale_line_id._get_billing_changes():
            line = order_line._get_agreement_chain().filtered(
                lambda line: not line.successor_id
            )[-1:]
            if line.billing_method == "flat" and not line.end_reason:
                changed[order_line] = line
        return changed

    def _describe_difference(self, orders):
        """Return in words what is not billed yet, and what the agreement bills else."""
        parts = []
        if orders:
            parts.append(
                self.env._(
                    "Differs from what was handed over: %(amounts)s before tax is not "
                    "billed yet.",
                    amounts=", ".join(
                        f"{order.name} "
                        f"{order.currency_id.format(order._get_untaxed_to_invoice())}"
                        for order in orders
                    ),
                )
            )
        changed = {}
        if self._has_live_agreement():
            changed = self.agreement_id.line_ids.sale_line_id._get_billing_changes()
        if changed:
            parts.append(
                self.env._(
                    "The order was changed after its agreement %(agreement)s: "
                    "%(changes)s. If that is right, change the agreement as well.",
                    agreement=self.agreement_id.name,
                    changes="; ".join(changed.values()),
                )
            )
        return " ".join(parts) or False


class CrmBillingAgreement(models.Model):
    _inherit = "crm.billing.agreement"

    def _take_over(self, order_lines):
        """Bill more lines of the deal, from today or from the date on them.

        :return: the drafts of what is due at once
        :raise UserError: the lines are in another currency
        """
        self.ensure_one()
        if order_lines.currency_id - self.currency_id:
            raise UserError(
                self.env._(
                    "%(agreement)s bills in %(currency)s. Put an order of another "
                    "currency on a deal of its own.",
                    agreement=self.name,
                    currency=self.currency_id.name,
                )
            )
        today = max(self._get_today(), self.start_date)
        vals_list = [line._prepare_agreement_line() for line in order_lines]
        lines = self.line_ids.create(
            [
                {
                    **vals,
                    "agreement_id": self.id,
                    "start_date": vals["start_date"] or today,
                }
                for vals in vals_list
                if vals
            ]
        )
        lines._link_sale_milestones()
        lines._resolve_dates()
        self._log_event("amended", note=", ".join(lines.mapped("name")))
        before = self.move_ids
        self._bill_at_once()
        return self.move_ids - before


class SaleOrderLine(models.Model):
    _inherit = "sale.order.line"

    def _get_agreement_chain(self):
        """Return the agreement lines that bill the order line, changes included."""
        chain = self.billing_line_ids
        while more := chain.successor_id - chain:
            chain |= more
        return chain.sorted("id")

    def _get_billing_changes(self):
        """Return ``{line: text}`` of lines that differ from what was handed over.

        A change of the agreement is no difference of the order: any of the lines that
        ever billed it may agree with it.
        """
        changes = {}
        for line in self._filtered_taken_over():
            if line.is_downpayment or line.billing_method in ("milestone", "usage"):
                continue
            if not line._agrees_with(line._get_agreement_chain()):
                changes[line] = self.env._(
                    "%(product)s %(quantity)g × %(price)s less %(discount)g %%",
                    product=line.product_id.display_name,
                    quantity=line.product_uom_qty,
                    price=line.currency_id.format(line.price_unit),
                    discount=line.discount,
                )
        return changes

    def _agrees_with(self, chain):
        self.ensure_one()
        quantities = {*chain.mapped("quantity"), self.qty_invoiced}
        return self.product_uom_qty in quantities and any(
            one.price_unit == self.price_unit and one.discount == self.discount
            for one in chain
        )

    def _propose_changes(self, line):
        """Return draft changes, one a value in which ``line`` differs from the order.

        A proposal that is open already is taken along instead of making another.
        """
        self.ensure_one()
        proposals = self.env["crm.billing.change"]
        for name, (change_type, target) in CHANGES.items():
            current = line.quantity if target == "quantity" else line[target]
            if not float_compare(self[name], current, precision_digits=6):
                continue
            known = proposals.search(
                [
                    ("agreement_id", "=", line.agreement_id.id),
                    ("change_type", "=", change_type),
                    ("line_ids", "=", line.id),
                    ("state", "=", "draft"),
                ],
                limit=1,
            )
            if known:
                known[target] = self[name]
                proposals |= known
                continue
            proposals |= proposals.create(
                {
                    "agreement_id": line.agreement_id.id,
                    "change_type": change_type,
                    "line_ids": [Command.set(line.ids)],
                    target: self[name],
                    "note": self.env._(
                        "As on the order %(order)s", order=self.order_id.name
                    ),
                }
            )
        return proposals

    def write(self, vals):
        """Override of `sale` to ask Billing when an agreement's order is edited."""
        result = super().write(vals)
        if CHANGES.keys() & vals.keys():
            # Whoever edits the order need not read the agreement.
            taken = self.sudo()._filtered_taken_over()
            if taken._get_billing_changes():
                for handoff in taken.order_id.billing_handoff_id:
                    if handoff.difference:
                        handoff._ask_billing(
                            self.env._("The order was changed"), handoff.difference
                        )
        return result
