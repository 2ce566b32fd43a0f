from decimal import Decimal

from odoo import api, models

from ..billing_rules.allocation import exact, round_money
from ..billing_rules.milestones import Milestone, split_contract


class CrmBillingMilestone(models.Model):
    """What each milestone bills: its part of the contract (billing rules, 5.1)."""

    _inherit = "crm.billing.milestone"

    # === COMPUTE METHODS === #

    @api.depends(
        "active",
        "sequence",
        "kind",
        "weight",
        "fixed_amount",
        "line_id.price_unit",
        "line_id.quantity",
        "line_id.discount",
        "line_id.milestone_ids.active",
        "line_id.milestone_ids.sequence",
        "line_id.milestone_ids.kind",
        "line_id.milestone_ids.weight",
        "line_id.milestone_ids.fixed_amount",
        "sale_line_id.price_unit",
        "sale_line_id.product_uom_qty",
        "sale_line_id.discount",
        "sale_line_id.billing_milestone_ids.active",
        "sale_line_id.billing_milestone_ids.sequence",
        "sale_line_id.billing_milestone_ids.kind",
        "sale_line_id.billing_milestone_ids.weight",
        "sale_line_id.billing_milestone_ids.fixed_amount",
        "lead_id.expected_revenue",
        "lead_id.billing_milestone_ids.active",
        "lead_id.billing_milestone_ids.sequence",
        "lead_id.billing_milestone_ids.kind",
        "lead_id.billing_milestone_ids.weight",
        "lead_id.billing_milestone_ids.fixed_amount",
    )
    def _compute_amount(self):
        """Split the contract; invoicing alone moves no cent of the others.

        Only when the contract or a weight has changed since a milestone was invoiced,
        what is invoiced is settled and the rest is split anew (billing rules, 5.2).
        """
        seen = self.browse()
        for milestone in self:
            if milestone in seen:
                continue
            if not milestone.active:
                # Set aside: the others share the contract without it.
                milestone.is_settled, milestone.amount = False, milestone.amount
                continue
            group = milestone._get_siblings()
            seen |= group
            settled = group.filtered("is_settled")
            amounts = group._split(settled)
            if group._moves_what_is_invoiced(settled, amounts):
                settled |= group.filtered(lambda entry: entry.state == "invoiced")
                amounts = group._split(settled)
            for entry in group & self:
                entry.is_settled = entry in settled
                entry.amount = float(amounts[entry])

    # === BUSINESS METHODS === #

    def _get_siblings(self):
        """Return all milestones of the same contract, in order."""
        self.ensure_one()
        group = self.browse()
        if self.line_id:
            group = self.line_id.milestone_ids
        elif self.sale_line_id:
            group = self.sale_line_id.billing_milestone_ids
        elif self.lead_id:
            group = self.lead_id.billing_milestone_ids._filtered_of_deal()
        return (group | self).filtered("active").sorted("sequence") | self

    def _filtered_of_deal(self):
        """Return the milestones that no quotation or agreement has a line for."""
        return self.filtered(lambda entry: not entry.line_id and not entry.sale_line_id)

    def _get_contract(self):
        """Return what is split, before tax, in the currency of the milestones."""
        first = self[:1]
        line, sale_line = first.line_id, first.sale_line_id
        if line:
            price, quantity = line.price_unit, line.quantity
            discount = line.discount
        elif sale_line:
            price, quantity = sale_line.price_unit, sale_line.product_uom_qty
            discount = sale_line.discount
        else:
            price, quantity, discount = first.lead_id.expected_revenue, 1, 0
        total = exact(price) * exact(quantity) * (1 - exact(discount) / 100)
        return round_money(total, first._get_step())

    def _get_step(self):
        return exact(self.currency_id.rounding or 0.01)

    def _to_rule(self, settled=None):
        """Return the milestone for the rules.

        :param settled: milestones whose amount stays; the invoiced ones by default
        """
        self.ensure_one()
        is_kept = self.state == "invoiced" if settled is None else self in settled
        weight = exact(self.weight) if self.kind != "fixed" else None
        return Milestone(
            weight=weight,
            fixed=exact(self.fixed_amount) if weight is None else Decimal(0),
            invoiced=self._get_invoiced() if is_kept else None,
        )

    def _get_invoiced(self):
        """Return what the ledger says that the milestone was billed, less credits."""
        bill = self._get_bill()
        return sum((exact(row.amount) for row in bill | bill.credit_ids), Decimal(0))

    def _get_bill(self):
        """Return the ledger row that bills the milestone."""
        # Whoever is responsible may not read the ledger.
        return self.sudo().period_ids.filtered(lambda row: row.kind == "milestone")

    def _split(self, settled):
        """Return ``{milestone: Decimal}``: the split of the contract."""
        rules = [entry._to_rule(settled) for entry in self]
        total = self._get_contract()
        try:
            amounts, _left = split_contract(total, rules, self[:1]._get_step())
        except ValueError:
            # Typed so far it does not add up; the start of the agreement says so.
            amounts = [
                rule.fixed if rule.invoiced is None else rule.invoiced for rule in rules
            ]
        return dict(zip(self, amounts, strict=True))

    def _moves_what_is_invoiced(self, settled, amounts):
        return any(
            entry.state == "invoiced"
            and entry not in settled
            and entry.currency_id.compare_amounts(entry.amount, float(amounts[entry]))
            for entry in self
        )
