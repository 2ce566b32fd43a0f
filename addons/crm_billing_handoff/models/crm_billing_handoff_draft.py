from odoo import models
from odoo.fields import Command


class CrmBillingHandoff(models.Model):
    """How a ready handoff becomes a draft invoice."""

    _inherit = "crm.billing.handoff"

    def _make_drafts(self):
        """Make the drafts of ready handoffs, all at once; idempotent.

        Orders that are already invoiced make none; invoices from before an order came
        to the deal are linked to it.
        """
        orders_by_handoff = {
            handoff: handoff.lead_id._get_billing_orders(handoff.order_id)
            for handoff in self
        }
        orders = self.env["sale.order"].union(*orders_by_handoff.values())
        orders._confirm_for_billing()
        singles = orders.browse()
        moves = self.env["account.move"]
        for handoff, deal_orders in orders_by_handoff.items():
            if any(line.qty_invoiced for line in deal_orders.order_line):
                invoices = deal_orders.invoice_ids - handoff.move_ids
                invoices.opportunity_ids |= handoff.lead_id
            open_orders = deal_orders.filtered(
                lambda order: order.invoice_status == "to invoice"
            )
            if len(deal_orders) == 1 and handoff.order_id != deal_orders:
                handoff.with_context(tracking_disable=True).order_id = deal_orders
            if len(open_orders) > 1:
                # The orders of one deal share an invoice where core lets them.
                moves |= open_orders._create_billing_drafts(grouped=False)
            else:
                singles |= open_orders
        if singles:
            moves |= singles._create_billing_drafts(grouped=True)
        moves |= self.filtered(
            lambda handoff: (
                not orders_by_handoff[handoff]
                and not handoff.move_ids._filtered_standing()
            )
        )._create_drafts_of_amounts()
        moves._apply_billing_exemption()
        moves._note_origin()
        return moves

    def _create_drafts_of_amounts(self):
        """Make drafts of deals without quotation, from the amounts on the deal."""
        if not self:
            return self.env["account.move"]
        drafts = self.env["account.move"].with_context(
            billing_from_handoff=True,
            default_move_type="out_invoice",
            mail_create_nolog=True,
            mail_create_nosubscribe=True,
        )
        moves = drafts.create([handoff._prepare_draft() for handoff in self])
        return moves.with_context(billing_from_handoff=False)

    def _prepare_draft(self):
        """Return the values of a draft from the deal's expected revenue."""
        self.ensure_one()
        lead, company = self.lead_id, self.company_id
        account = self.account_id.with_company(company)
        address = self.payer_id._get_billing_address()
        delivery = lead.partner_id.address_get(["delivery"])["delivery"]
        fiscal_position = self.env["account.fiscal.position"].with_company(company)
        return {
            "move_type": "out_invoice",
            "company_id": company.id,
            "partner_id": address.id,
            "partner_shipping_id": delivery,
            "currency_id": company.currency_id.id,
            "invoice_user_id": lead.user_id.id or self.env.uid,
            "team_id": lead.team_id.id,
            "campaign_id": lead.campaign_id.id,
            "medium_id": lead.medium_id.id,
            "source_id": lead.source_id.id,
            "invoice_origin": lead.name,
            "ref": account.po_number,
            "invoice_payment_term_id": account.property_payment_term_id.id,
            "fiscal_position_id": fiscal_position._get_fiscal_position(
                account, self.env["res.partner"].browse(delivery)
            ).id,
            "opportunity_ids": [Command.link(lead.id)],
            "invoice_line_ids": [
                Command.create(vals) for vals in self._prepare_lines()
            ],
        }

    def _prepare_lines(self):
        """Return the lines of a draft without quotation: one-off and recurring part."""
        lead, company = self.lead_id, self.company_id
        lines = []
        if lead.expected_revenue:
            lines.append(
                {
                    "name": lead.name,
                    "product_id": company.billing_product_id.id,
                    "quantity": 1,
                    "price_unit": lead.expected_revenue,
                }
            )
        if lead.recurring_revenue:
            lines.append(
                {
                    "name": self.env._(
                        "%(deal)s, %(plan)s",
                        deal=lead.name,
                        plan=lead.recurring_plan.name or self.env._("recurring"),
                    ),
                    "product_id": company.billing_recurring_product_id.id,
                    "quantity": 1,
                    "price_unit": lead.recurring_revenue,
                }
            )
        return lines

    def _prepare_draft_header(self, order):
        """Return what the handoff adds to the invoice values of ``order``.

        The quotation's own values win; what it leaves empty follows the account.
        """
        self.ensure_one()
        account = self.account_id.with_company(order.company_id)
        payer = self._get_payer_and_source(order)[1]
        vals = {"partner_id": self._get_draft_address(order, payer).id}
        if not order.payment_term_id:
            vals["invoice_payment_term_id"] = account.property_payment_term_id.id
        if not order.client_order_ref and account.po_number:
            vals["ref"] = account.po_number
        if not order.user_id:
            vals["invoice_user_id"] = self.user_id.id or self.env.uid
        if not order.team_id:
            vals["team_id"] = self.team_id.id
        return vals

    def _get_draft_address(self, order, payer):
        """Return the invoice address: one chosen on the quotation, else the payer's.

        The address that a quotation proposes by itself is no choice; who receives
        invoices then follows the account, also if it was named later.
        """
        chosen, receiver = order.partner_invoice_id, payer._get_billing_address()
        if chosen.commercial_partner_id != payer:
            return receiver
        if chosen in receiver | payer | order.partner_id:
            return receiver
        proposed = payer.browse(payer.address_get(["invoice"])["invoice"])
        return receiver if chosen == proposed else chosen
