from odoo import api, fields, models
from odoo.exceptions import ValidationError

from .crm_billing_agreement_line_milestone import RECOVERIES


class SaleOrder(models.Model):
    """What is agreed about milestones, deposit and retention on the quotation (C8)."""

    _inherit = "sale.order"

    billing_milestone_ids = fields.One2many(
        "crm.billing.milestone", "order_id", string="Milestones"
    )
    billing_has_milestones = fields.Boolean(compute="_compute_billing_has_milestones")
    billing_retention_percent = fields.Float(
        string="Retention (%)",
        digits=(16, 6),
        help="The customer pays this part of each milestone only after its release.",
    )
    billing_retention_base = fields.Selection(
        [("net", "Value before tax"), ("gross", "Value with tax")],
        string="Retention Of",
        default="net",
        required=True,
    )

    @api.depends("order_line.billing_method", "billing_milestone_ids")
    def _compute_billing_has_milestones(self):
        for order in self:
            methods = order.order_line.mapped("billing_method")
            order.billing_has_milestones = "milestone" in methods or bool(
                order.billing_milestone_ids
            )

    @api.constrains("billing_retention_percent")
    def _check_billing_retention_percent(self):
        for order in self:
            if not 0 <= order.billing_retention_percent <= 100:
                raise ValidationError(
                    self.env._("A retention is between 0 and 100 percent.")
                )

    def _compute_fiscal_position_id(self):
        """Override of `sale` to quote an exempt account without tax (E2)."""
        result = super()._compute_fiscal_position_id()
        for order in self:
            account = order.partner_id.commercial_partner_id
            day = fields.Date.to_date(order.date_order) or fields.Date.context_today(
                order
            )
            if account and account._is_tax_exempt_on(day):
                order.fiscal_position_id = account._get_billing_fiscal_position(
                    order.company_id, order.partner_shipping_id, day
                )
        return result


class SaleOrderLine(models.Model):
    _inherit = "sale.order.line"

    billing_milestone_ids = fields.One2many(
        "crm.billing.milestone", "sale_line_id", string="Milestones", copy=True
    )
    billing_shares = fields.Boolean(
        string="Shares",
        help="The weights of the milestones are shares and need not sum to 100.",
    )
    billing_deposit_percent = fields.Float(string="Deposit (%)", digits=(16, 6))
    billing_deposit_amount = fields.Monetary(string="Deposit")
    billing_deposit_recovery = fields.Selection(
        RECOVERIES, string="Deposit Comes Back", default="pro_rata", required=True
    )

    def _prepare_milestone_terms(self):
        """Return the terms of the contract for its agreement line."""
        self.ensure_one()
        return {
            "shares": self.billing_shares,
            "deposit_percent": self.billing_deposit_percent,
            "deposit_amount": self.billing_deposit_amount,
            "deposit_recovery": self.billing_deposit_recovery,
        }


class CrmLead(models.Model):
    _inherit = "crm.lead"

    billing_milestone_ids = fields.One2many(
        "crm.billing.milestone", "lead_id", string="Milestones", copy=True
    )

    def _merge_get_fields_specific(self):
        """Override of `crm` to keep the milestones of merged deals."""
        return {
            **super()._merge_get_fields_specific(),
            "billing_milestone_ids": lambda _name, leads: [
                (4, milestone.id) for milestone in leads.billing_milestone_ids
            ],
        }


class CrmBillingHandoff(models.Model):
    _inherit = "crm.billing.handoff"

    def _has_recurring_amount(self):
        """Override: a deal without quotation may have milestones instead."""
        return super()._has_recurring_amount() or self._has_milestones_only()

    def _has_milestones_only(self):
        """Return whether the milestones of the deal divide its expected revenue."""
        self.ensure_one()
        lead = self.lead_id
        return bool(
            lead.expected_revenue
            and lead.billing_milestone_ids._filtered_of_deal()
            and not self._get_agreement_orders()
            and not self.move_ids._filtered_standing()
        )

    def _prepare_amount_lines(self):
        """Override to bill the expected revenue by the milestones of the deal."""
        lines = super()._prepare_amount_lines()
        if not self._has_milestones_only():
            return lines
        lead = self.lead_id
        recurring = lines if lead.recurring_revenue and lead.recurring_plan else []
        return [
            *(vals for vals in recurring if vals["billing_method"] == "flat"),
            {
                "billing_method": "milestone",
                "product_id": self.company_id.billing_product_id.id,
                "name": lead.name,
                "price_unit": lead.expected_revenue,
            },
        ]
