from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.fields import Command, Domain


class SaleOrder(models.Model):
    """The quotation: the one place where the lines of a deal are typed."""

    _inherit = "sale.order"

    billing_handoff_id = fields.Many2one(related="opportunity_id.billing_handoff_id")
    billing_can_be_chosen = fields.Boolean(compute="_compute_billing_can_be_chosen")
    billing_is_handed_off = fields.Boolean(
        compute="_compute_billing_is_handed_off",
        help="The user cannot invoice the order: Billing does, from the handoff.",
    )
    billing_start_date = fields.Date(
        string="Billing Starts On",
        copy=False,
        help="First day of service of what recurs. Empty: the day the deal is won.",
    )
    billing_end_date = fields.Date(
        string="Last Day of Service",
        copy=False,
        help="The agreement ends with this day, included. Empty: it goes on.",
    )
    billing_trial_days = fields.Integer(
        string="Trial Days", help="Days of service before anything recurring is billed."
    )
    billing_agreement_ids = fields.Many2many(
        "crm.billing.agreement",
        string="Agreements",
        compute="_compute_billing_agreement_ids",
    )

    _billing_days_in_order = models.Constraint(
        "CHECK (billing_end_date IS NULL OR billing_start_date IS NULL "
        "OR billing_end_date >= billing_start_date)",
        "The last day of service is not before the first: correct one of them.",
    )
    _billing_trial_days_not_negative = models.Constraint(
        "CHECK (COALESCE(billing_trial_days, 0) >= 0)", "Trial days are 0 or more."
    )

    # === COMPUTE METHODS === #

    @api.depends("partner_id")
    def _compute_partner_invoice_id(self):
        """Override of `sale` to propose who pays and receives by the account's data."""
        result = super()._compute_partner_invoice_id()
        for order in self:
            account = order.partner_id.commercial_partner_id
            payer = account._get_payer()
            if payer != account or account.billing_contact_id:
                order.partner_invoice_id = payer._get_billing_address()
        return result

    @api.depends("state", "opportunity_id.billing_handoff_ids.order_id")
    def _compute_billing_can_be_chosen(self):
        for order in self:
            handoff = order.opportunity_id.sudo().billing_handoff_id
            order.billing_can_be_chosen = (
                order.state in ("draft", "sent")
                and handoff.state in ("pending", "blocked")
                and handoff.order_id != order
            )

    @api.depends("opportunity_id.billing_handoff_ids.state")
    @api.depends_context("uid")
    def _compute_billing_is_handed_off(self):
        helps = self.env.user.has_group("crm_billing_handoff.group_billing_user")
        for order in self:
            order.billing_is_handed_off = not helps and bool(order.billing_handoff_id)

    @api.depends("order_line.is_billing_taken_over")
    def _compute_billing_agreement_ids(self):
        for order in self:
            # Who may read which agreement is the agreement's to say.
            order.billing_agreement_ids = (
                order.sudo().order_line.billing_line_ids.agreement_id
            )

    @api.depends("order_line.billing_line_ids.agreement_id.move_ids")
    def _get_invoiced(self):
        """Override of `sale` to list the invoices of the order's agreement, too.

        The customer sees the list: an invoice that is shared with other agreements is
        not this order's to show.
        """
        result = super()._get_invoiced()
        for order in self.filtered("billing_agreement_ids"):
            agreements = order.billing_agreement_ids.sudo()
            order.invoice_ids |= agreements.move_ids.filtered(
                lambda move, own=agreements: move.agreement_ids <= own
            )
            order.invoice_count = len(order.invoice_ids)
        return result

    # === CRUD METHODS === #

    def write(self, vals):
        result = super().write(vals)
        self.env["crm.billing.handoff"]._wake_later("order", self.ids)
        return result

    @api.model_create_multi
    def create(self, vals_list):
        orders = super().create(vals_list)
        self.env["crm.billing.handoff"]._wake_later("order", orders.ids)
        return orders

    def unlink(self):
        leads = self.sudo().opportunity_id
        result = super().unlink()
        self.env["crm.billing.handoff"]._wake_later("lead", leads.ids)
        return result

    # === ACTION METHODS === #

    def action_choose_for_billing(self):
        """Say that this quotation of a won deal is the one to be billed.

        For whoever may write the quotation: the salesperson of the deal, or Billing.

        :raise UserError: the deal has no handoff that still has to be billed
        """
        self.ensure_one()
        self.check_access("write")
        # Sales chooses among its own quotations; the handoff itself is Billing's.
        handoff = self.opportunity_id.sudo().billing_handoff_id
        if handoff.state not in ("pending", "blocked"):
            raise UserError(
                self.env._(
                    "%(order)s belongs to no won deal that waits to be billed.",
                    order=self.name,
                )
            )
        handoff.order_id = self
        return True

    def action_view_billing_handoff(self):
        """Open the handoff of the order's deal."""
        return self.opportunity_id.action_view_billing_handoff()

    def action_view_billing_agreements(self):
        """Open the agreements that bill the order."""
        return self.billing_agreement_ids._get_open_action()

    def _action_cancel(self):
        """Override of `sale` to keep orders that a running agreement bills."""
        live = self.sudo().billing_agreement_ids._filtered_live()
        if live:
            raise UserError(
                self.env._(
                    "%(agreements)s bills this order: it would go on billing. Ask "
                    "Billing to cancel the agreement first.",
                    agreements=", ".join(live.mapped("name")),
                )
            )
        return super()._action_cancel()

    # === BUSINESS METHODS - HANDOFF === #

    def _get_billable_lines(self):
        """Return the lines that ask for money, once they are delivered if need be.

        A combo is priced on its products; what was billed already counts as billable,
        and of usage nobody knows the quantity before it is measured.
        """
        return self.order_line.filtered(
            lambda line: (
                not line.display_type
                and not line.is_downpayment
                and line.product_type != "combo"
                and (
                    line.product_uom_qty
                    or line.qty_delivered
                    or line.qty_invoiced
                    or line.billing_method == "usage"
                )
            )
        )

    def _is_waiting_for_delivery(self):
        """Return whether nothing can be invoiced before something is delivered."""
        lines = self._get_billable_lines()
        if not lines or any(line.qty_invoiced for line in lines):
            return False
        if lines._filtered_for_agreement():
            return False  # an agreement bills what was ordered
        return all(
            line.product_id.invoice_policy == "delivery" and not line.qty_delivered
            for line in lines
        )

    def _get_untaxed_to_invoice(self):
        """Return what is left to invoice before tax, in the order's currency."""
        self.ensure_one()
        if self.state != "sale":
            return self.amount_untaxed
        return sum(self.order_line.mapped("untaxed_amount_to_invoice"))

    def _confirm_for_billing(self):
        """Confirm the quotations of won deals; what is confirmed stays as it is."""
        quotations = self.filtered(lambda order: order.state in ("draft", "sent"))
        if not quotations:
            return
        # One note an order instead of a tracking message each: it also says why.
        quotations.with_context(mail_notrack=True).action_confirm()
        body = self.env._("Confirmed: the deal was won and handed off to Billing.")
        quotations._message_log_batch(bodies={order.id: body for order in quotations})

    def _create_billing_drafts(self, grouped):
        """Make the drafts of won deals through core, without a mail thread each.

        Down payments are deducted and negative quantities counted, as in core's wizard.

        :param grouped: one invoice an order; else core's own grouping
        """
        self.order_line.invoice_lines.fetch(["is_downpayment"])
        moves = self.with_context(
            billing_from_handoff=self._get_draft_defaults(),
            raise_if_nothing_to_invoice=False,
            mail_create_nolog=True,
            mail_create_nosubscribe=True,
        )._create_invoices(grouped=grouped, final=True)
        return moves.with_context(billing_from_handoff=False)

    def _get_draft_defaults(self):
        """Return what core would look up once a draft or a line, looked up once.

        The sales journal of each company and currency, and whether there is any
        analytic distribution model that could apply to a line.
        """
        journals = {}
        for order in self:
            key = (order.company_id.id, order.currency_id.id)
            if key not in journals and not order.journal_id:
                journals[key] = order._get_draft_journal().id
        models = self.env["account.analytic.distribution.model"].sudo()
        return {
            "journals": journals,
            "has_analytic_models": bool(models.search_count([], limit=1)),
        }

    def _get_draft_journal(self):
        """Return the sales journal that core would choose for an invoice of the order.

        One of the order's currency comes first; none at all is left to core's error.
        """
        journals = self.env["account.journal"]
        domain = Domain("type", "=", "sale") & Domain(
            journals._check_company_domain(self.company_id)
        )
        own = journals.browse()
        if self.currency_id != self.company_id.currency_id:
            of_currency = Domain("currency_id", "=", self.currency_id.id)
            own = journals.search(domain & of_currency, limit=1)
        return own or journals.search(domain, limit=1)

    def _create_invoices(self, grouped=False, final=False, date=None):
        """Override of `sale` to leave the billing of handed off deals to Billing."""
        self._check_not_handed_off()
        moves = super()._create_invoices(grouped=grouped, final=final, date=date)
        if not grouped and len(self) > 1:
            # Core merges the values of several orders and keeps the first deal only.
            for move in moves.sudo():
                move.opportunity_ids |= (
                    move.line_ids.sale_line_ids.order_id.opportunity_id
                )
        return moves

    def _get_invoice_grouping_keys(self):
        """Override of `sale` to keep orders of one deal with other terms apart."""
        keys = super()._get_invoice_grouping_keys()
        if self.env.context.get("billing_from_handoff"):
            keys.append("invoice_payment_term_id")
        return keys

    def _check_not_handed_off(self):
        """Refuse a second lane: the handoff bills the deal (billing roles may help)."""
        if self.env.su or self.env.user.has_group(
            "crm_billing_handoff.group_billing_user"
        ):
            return
        handoffs = self.opportunity_id.sudo().billing_handoff_ids._filtered_live()
        if handoffs:
            raise UserError(
                self.env._(
                    "%(deals)s is handed off to Billing: the invoice is made there. "
                    "Open the handoff from the deal: “Process now” or “Bill the rest”.",
                    deals=", ".join(handoffs.mapped("display_name")),
                )
            )

    def _check_no_agreement(self):
        """Refuse down payments on what an agreement bills already."""
        live = self.sudo().billing_agreement_ids._filtered_live()
        if live:
            raise UserError(
                self.env._(
                    "%(agreements)s bills this order: a down payment would not be "
                    "deducted. Make a one-off invoice from the deal instead.",
                    agreements=", ".join(live.mapped("name")),
                )
            )

    def _prepare_invoice(self):
        """Override of `sale` to link the invoice to the deal and follow the account."""
        vals = super()._prepare_invoice()
        lead = self.opportunity_id
        if not lead:
            return vals
        vals["opportunity_ids"] = [Command.link(lead.id)]
        handoff = lead.sudo().billing_handoff_id
        if handoff:
            vals |= handoff._prepare_draft_header(self)
        if defaults := self.env.context.get("billing_from_handoff"):
            key = (self.company_id.id, self.currency_id.id)
            if journal_id := defaults["journals"].get(key):
                vals.setdefault("journal_id", journal_id)
        return vals


class SaleOrderLine(models.Model):
    _inherit = "sale.order.line"

    def _prepare_invoice_line(self, **optional_values):
        """Override of `sale` to spare a search a line without analytic models."""
        vals = super()._prepare_invoice_line(**optional_values)
        defaults = self.env.context.get("billing_from_handoff")
        if defaults and not defaults["has_analytic_models"]:
            vals.setdefault("analytic_distribution", False)
        return vals

    def write(self, vals):
        result = super().write(vals)
        self.env["crm.billing.handoff"]._wake_later("order", self.order_id.ids)
        return result
