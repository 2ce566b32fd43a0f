from odoo import api, fields, models


class ResConfigSettings(models.TransientModel):
    _inherit = "res.config.settings"

    billing_tz = fields.Selection(related="company_id.billing_tz", readonly=False)
    billing_confirm_quotation = fields.Boolean(
        related="company_id.billing_confirm_quotation", readonly=False
    )
    billing_refuse_win = fields.Boolean(
        related="company_id.billing_refuse_win", readonly=False
    )
    billing_review_required = fields.Boolean(
        related="company_id.billing_review_required", readonly=False
    )
    billing_review_later = fields.Boolean(
        related="company_id.billing_review_later", readonly=False
    )
    billing_plan_id = fields.Many2one(
        related="company_id.billing_plan_id", readonly=False
    )
    billing_discount_limit = fields.Float(
        related="company_id.billing_discount_limit", readonly=False
    )
    billing_bulk_win_limit = fields.Integer(
        related="company_id.billing_bulk_win_limit", readonly=False
    )
    billing_responsible_id = fields.Many2one(
        related="company_id.billing_responsible_id", readonly=False
    )
    billing_product_id = fields.Many2one(
        related="company_id.billing_product_id", readonly=False
    )
    billing_recurring_product_id = fields.Many2one(
        related="company_id.billing_recurring_product_id", readonly=False
    )
    billing_sales_mark_done = fields.Boolean(
        related="company_id.billing_sales_mark_done", readonly=False
    )
    billing_exempt_position_id = fields.Many2one(
        related="company_id.billing_exempt_position_id", readonly=False
    )
    billing_no_two_factor_count = fields.Integer(
        compute="_compute_billing_no_two_factor_count"
    )

    @api.depends("company_id")
    def _compute_billing_no_two_factor_count(self):
        users = self.env["res.users"].sudo()
        self.billing_no_two_factor_count = users.search_count(
            [("billing_lacks_two_factor", "=", True)]
        )

    def action_view_billing_no_two_factor(self):
        """List the people of Billing who sign in without a second factor."""
        return self.env["ir.actions.act_window"]._for_xml_id(
            "crm_billing_handoff.res_users_action_no_two_factor"
        )
