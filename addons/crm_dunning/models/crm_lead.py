from odoo import api, fields, models


class CrmLead(models.Model):
    """The deal and its collections: what is overdue, the cases, when it was paid."""

    _name = "crm.lead"
    _inherit = ["crm.lead", "crm.dunning.overdue.mixin"]

    billing_paid_at = fields.Datetime(
        string="Paid At",
        compute="_compute_billing_paid_at",
        store=True,
        copy=False,
        help="When the last payment of what the deal billed was matched.",
    )
    dunning_case_ids = fields.Many2many(
        "crm.dunning.case",
        string="Cases",
        compute="_compute_dunning_case_ids",
        search="_search_dunning_case_ids",
    )
    dunning_case_count = fields.Integer(compute="_compute_dunning_case_ids")
    dunning_overdue_note = fields.Char(compute="_compute_dunning_overdue")
    dunning_overdue_case_ids = fields.Many2many(
        "crm.dunning.case", compute="_compute_dunning_overdue"
    )

    # === COMPUTE METHODS === #

    @api.depends("billing_state")
    def _compute_billing_paid_at(self):
        for lead in self:
            if lead.billing_state != "paid":
                lead.billing_paid_at = False
                continue
            lines = lead.billing_move_ids.line_ids.matched_credit_ids
            lead.billing_paid_at = max(
                lines.mapped("create_date"), default=fields.Datetime.now()
            )

    @api.depends("billing_move_ids.dunning_case_ids.state")
    @api.depends_context("uid")
    def _compute_dunning_case_ids(self):
        for lead in self:
            # Who may read which case is the case's to say.
            cases = lead.sudo().billing_move_ids.dunning_case_ids
            lead.dunning_case_ids = cases.sudo(self.env.su)._filtered_access("read")
            lead.dunning_case_count = len(lead.dunning_case_ids)

    @api.model
    def _search_dunning_case_ids(self, operator, value):
        return [("billing_move_ids.dunning_case_ids", operator, value)]

    @api.depends("partner_id", "company_id", "won_status")
    @api.depends_context("uid")
    def _compute_dunning_overdue(self):
        """Say what the account owes while there is something to sell."""
        opportunities = self.filtered(
            lambda lead: lead.partner_id and lead.won_status != "lost"
        )
        found = opportunities._get_overdue(fields.Datetime.now())
        for lead in self:
            rows = found.get(lead, [])
            company = lead.company_id or lead._get_billing_company()
            lead.dunning_overdue_note = (
                lead._describe_all_overdue(rows, company) if rows else False
            )
            lead.dunning_overdue_case_ids = lead._get_readable_cases(rows)

    def _get_overdue_accounts(self):
        found = {}
        for lead in self:
            account = lead.partner_id.commercial_partner_id._origin
            payer = account.sudo()._get_payer() if account else account
            company = lead.company_id or lead._get_billing_company()
            found[lead] = (company, account | payer.sudo(self.env.su))
        return found

    # === ACTION METHODS === #

    def action_view_dunning_cases(self):
        """Open the cases of the deal's invoices."""
        return self.dunning_case_ids._get_case_action()

    def action_view_overdue_cases(self):
        """Open the cases of the account that the user may see."""
        return self.dunning_overdue_case_ids._get_case_action()

    # === BUSINESS METHODS - READINESS === #

    def _get_billing_gaps(self):
        """Override to say before winning that the quotation would be refused."""
        gaps = super()._get_billing_gaps()
        orders = {
            lead: lead.sudo()
            ._get_billing_orders(lead.sudo().billing_handoff_id.order_id)
            .filtered(
                lambda order: (
                    order.state in ("draft", "sent") and not order.dunning_allowed_at
                )
            )
            for lead in self
        }
        quotations = self.env["sale.order"].sudo().union(*orders.values())
        overdue = quotations._get_overdue(fields.Datetime.now())
        for lead, own in orders.items():
            blocked = [
                (order, overdue[order])
                for order in own
                if any(one.level == "block" for _a, one in overdue.get(order, ()))
            ]
            for order, rows in blocked:
                gaps[lead].insert(0, lead._prepare_overdue_gap(order, rows))
        return gaps

    def _prepare_overdue_gap(self, order, rows):
        note = order._describe_all_overdue(rows, order.company_id)
        return {
            "code": "overdue",
            "name": self.env._("Overdue"),
            "why": order._get_block_reason(note),
            "level": "block",
            "who": "billing",
            "model": order._name,
            "res_id": order.id,
            "record": order.display_name,
        }
