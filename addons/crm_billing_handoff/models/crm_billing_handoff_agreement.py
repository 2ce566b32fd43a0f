import pytz

from odoo import fields, models
from odoo.fields import Command
from odoo.tools import float_is_zero

from .product_template import RECURRING_METHODS


class CrmBillingHandoff(models.Model):
    """How a ready handoff becomes a running agreement (B2).

    One line that recurs is enough: the agreement then takes all lines of the deal, the
    one-off ones into its first invoice.
    """

    _inherit = "crm.billing.handoff"

    agreement_id = fields.Many2one(
        "crm.billing.agreement",
        readonly=True,
        copy=False,
        index="btree_not_null",
        ondelete="restrict",
    )

    # === ACTION METHODS === #

    def action_view_agreement(self):
        """Open the agreement of the deal."""
        return self.agreement_id._get_open_action()

    # === BUSINESS METHODS === #

    def _has_live_agreement(self):
        self.ensure_one()
        return bool(self.agreement_id._filtered_live())

    def _filtered_for_agreement(self):
        """Return the handoffs that an agreement bills, because something recurs.

        A deal without quotation has the recurring revenue that was typed on it.
        """
        return self.filtered(
            lambda handoff: (
                handoff._has_live_agreement()
                or handoff._get_agreement_lines()._filtered_for_agreement()
                or handoff._has_recurring_amount()
            )
        )

    def _get_agreement_orders(self):
        return self.lead_id._get_billing_orders(self.order_id)

    def _get_agreement_lines(self):
        """Return the order lines that still have to come into an agreement.

        What an agreement has billed is left to it. If it was cancelled and all of it
        credited, a deal that is won again is billed again.
        """
        lines = self._get_agreement_orders()._get_billable_lines()
        taken = lines._filtered_taken_over()
        if taken and self.agreement_id and not self.move_ids._filtered_standing():
            taken = taken.filtered(
                lambda line: line.billing_line_ids.agreement_id._filtered_live()
            )
        return lines - taken

    def _has_recurring_amount(self):
        """Return whether the deal recurs without any quotation."""
        lead = self.lead_id
        if not lead.recurring_revenue or not lead.recurring_plan:
            return False
        has_billed = self.move_ids._filtered_standing()
        return not self._get_agreement_orders() and not has_billed

    def _make_agreements(self):
        """Make and start the agreements of ready handoffs, all at once; idempotent.

        What is due is invoiced right away. An invoice that fails leaves the agreement
        as it is: it keeps the reason, and the run tries again.

        :return: the new agreements
        """
        todo = self.filtered(lambda handoff: not handoff._has_live_agreement())
        orders = [handoff._get_agreement_orders() for handoff in todo]
        self.env["sale.order"].union(*orders)._confirm_for_billing()
        silent = self.env["crm.billing.agreement"].with_context(
            mail_create_nolog=True, mail_create_nosubscribe=True
        )
        agreements = silent.create([handoff._prepare_agreement() for handoff in todo])
        for handoff, agreement, deal_orders in zip(
            todo, agreements, orders, strict=True
        ):
            vals = {"agreement_id": agreement.id}
            if len(deal_orders) == 1 and handoff.order_id != deal_orders:
                vals["order_id"] = deal_orders.id
            handoff.with_context(tracking_disable=True).write(vals)
        agreements.line_ids._link_sale_milestones()
        agreements._note_origin()
        agreements.action_start()
        agreements._bill_at_once()
        return agreements

    # === BUSINESS METHODS - VALUES === #

    def _prepare_agreement(self):
        """Return the values of the agreement and its lines.

        Payer, terms, fiscal position and PO stay empty where they are the account's:
        the agreement then follows it. What the quotation says otherwise is its own.
        """
        self.ensure_one()
        lead, orders = self.lead_id, self._get_agreement_orders()
        order = orders.filtered(
            lambda order: order.order_line._filtered_for_agreement()
        )[:1]
        order = order or orders[:1]
        return {
            "company_id": self.company_id.id,
            "currency_id": (order.currency_id or self.company_id.currency_id).id,
            "partner_id": self.account_id.id,
            "lead_id": lead.id,
            "order_id": order.id,
            "user_id": (order.user_id or self.user_id).id,
            "team_id": (order.team_id or self.team_id).id,
            "plan_id": self._get_default_plan().id,
            "start_date": order.billing_start_date or self._get_won_day(),
            "end_date": order.billing_end_date,
            "trial_days": order.billing_trial_days,
            **self._prepare_own_terms(order),
            "line_ids": [
                Command.create(vals)
                for vals in self._prepare_agreement_lines(self._get_agreement_lines())
            ],
        }

    def _prepare_own_terms(self, order):
        """Return what the deal says otherwise than its account."""
        account = self.account_id.with_company(self.company_id)
        vals = {}
        if self.payer_source in ("handoff", "quotation"):
            vals["bill_to_id"] = self.payer_id.id
        if not order:
            return vals
        if order.payment_term_id != account.property_payment_term_id:
            vals["payment_term_id"] = order.payment_term_id.id
        if order.fiscal_position_id not in self._get_given_positions(account, order):
            vals["fiscal_position_id"] = order.fiscal_position_id.id
        if (order.client_order_ref or account.po_number) != account.po_number:
            vals["po_number"] = order.client_order_ref
        if order.journal_id:
            vals["journal_id"] = order.journal_id.id
        return vals

    def _get_given_positions(self, account, order):
        """Return the fiscal positions that the account's data propose for the order."""
        delivery = order.partner_shipping_id
        position = self.env["account.fiscal.position"].with_company(self.company_id)
        core = position._get_fiscal_position(account, delivery)
        today = fields.Date.context_today(self)
        ours = account._get_billing_fiscal_position(self.company_id, delivery, today)
        return [core, ours]

    def _prepare_agreement_lines(self, order_lines):
        """Return the values of agreement lines: of order lines, else of the deal."""
        if not self._get_agreement_orders():
            return self._prepare_amount_lines()
        lines = [line._prepare_agreement_line() for line in order_lines]
        payments = order_lines.order_id.order_line.filtered("is_downpayment")
        payments -= payments._filtered_taken_over()
        lines += [line._prepare_agreement_line() for line in payments]
        return [vals for vals in lines if vals]

    def _prepare_amount_lines(self):
        """Return the lines of a deal without quotation, from the amounts on it.

        The recurring revenue is for all months of its recurring plan (as in core).
        """
        lead, company = self.lead_id, self.company_id
        lines = [
            {
                "billing_method": "flat",
                "product_id": company.billing_recurring_product_id.id,
                "name": lead.name,
                "plan_id": self._get_default_plan().id,
                "price_unit": lead.recurring_revenue,
                "price_plan_unit": "month",
                "price_plan_count": lead.recurring_plan.number_of_months or 1,
            }
        ]
        if lead.expected_revenue:
            lines.append(
                {
                    "billing_method": "one_off",
                    "product_id": company.billing_product_id.id,
                    "name": lead.name,
                    "price_unit": lead.expected_revenue,
                }
            )
        return lines

    def _get_default_plan(self):
        """Return the cadence of lines without one.

        The account's, else the company's; a deal without quotation takes the shortest
        plan that fits its recurring plan (monthly for a term of several years), else
        any monthly one.
        """
        company = self.company_id
        plan = self.account_id.billing_plan_id or company.billing_plan_id
        if plan or self._get_agreement_orders():
            return plan
        months = self.lead_id.recurring_plan.number_of_months or 1
        plans = self.env["crm.billing.plan"].search(
            self.env["crm.billing.plan"]._check_company_domain(company)
        )
        wanted = months if months <= 12 else 1
        fitting = plans.filtered(lambda plan: plan._get_months_of_interval() == wanted)
        monthly = plans.filtered(lambda plan: plan._get_months_of_interval() == 1)
        return (fitting or monthly)[:1]

    def _get_won_day(self):
        """Return the day the deal was won, where the account is."""
        zone = self.account_id.billing_tz or self.company_id.billing_tz or "UTC"
        won = self.lead_id.date_closed or fields.Datetime.now()
        return pytz.utc.localize(won).astimezone(pytz.timezone(zone)).date()


class CrmBillingPlan(models.Model):
    _inherit = "crm.billing.plan"

    def _get_months_of_interval(self):
        """Return the length of a period in months, ``None`` for weeks and days."""
        self.ensure_one()
        factor = {"month": 1, "year": 12}.get(self.interval_unit)
        return factor and factor * self.interval_count


class SaleOrderLine(models.Model):
    _inherit = "sale.order.line"

    def _prepare_agreement_line(self):
        """Return the values of the agreement line, ``None`` where nothing is left.

        A one-off line brings what no invoice has billed yet, a down payment what was
        invoiced of it, as a deduction.
        """
        self.ensure_one()
        method = self.billing_method or "one_off"
        quantity, price = self.product_uom_qty, self.price_unit
        if self.is_downpayment:
            method, quantity, price = "one_off", -1, self._get_downpayment_amount()
        elif method == "one_off":
            quantity = self._get_quantity_left()
        digits = self.env["decimal.precision"].precision_get("Product Unit")
        if not price and self.is_downpayment:
            return None
        if method == "one_off" and float_is_zero(quantity, precision_digits=digits):
            return None
        # Core's down payments have no product, a line of an agreement needs one.
        product = self.product_id or self.order_id.order_line.product_id[:1]
        vals = {
            "sale_line_id": self.id,
            "sequence": self.sequence,
            "product_id": product.id,
            "name": self.name,
            "billing_method": method,
            "quantity": quantity,
            "price_unit": price,
            "discount": 0 if self.is_downpayment else self.discount,
            "tax_ids": [Command.set(self._get_unmapped_taxes().ids)],
            "product_uom_id": (self.product_uom_id or product.uom_id).id,
            "analytic_distribution": self.analytic_distribution,
            "start_date": self.billing_start_date,
        }
        if method in RECURRING_METHODS:
            vals["plan_id"] = self._get_billing_plan().id
        if method == "usage":
            # The quantity of a quotation is an estimate: what is measured is billed.
            vals |= {"quantity": 1, "meter_id": self.billing_meter_id.id}
        return vals

    def _get_downpayment_amount(self):
        """Return what was invoiced of a down payment, before tax, credits deducted."""
        return sum(
            -line.amount_currency
            for line in self.invoice_lines
            if line.parent_state != "cancel"
        )

    def _get_unmapped_taxes(self):
        """Return the taxes before the fiscal position, which each invoice looks up.

        Taxes that a person chose on the quotation are taken as they are.
        """
        if self.is_downpayment or not self.product_id:
            return self.tax_ids
        taxes = self.product_id.taxes_id._filter_taxes_by_company(self.company_id)
        mapped = self.order_id.fiscal_position_id.map_tax(taxes)
        return taxes if mapped == self.tax_ids else self.tax_ids


class CrmBillingAgreement(models.Model):
    _inherit = "crm.billing.agreement"

    def _get_delivery(self, cache):
        """Override to deliver where the quotation says: it decides the taxes (E1)."""
        return self.order_id.partner_shipping_id.id or super()._get_delivery(cache)

    def _make_papers(self, papers):
        """Override to log each invoice, with the job, rule or person that made it."""
        moves = super()._make_papers(papers)
        vals_list = []
        for move in moves:
            # Iterating keeps the prefetch of the whole chunk, slicing would lose it.
            agreement = next(iter(move.agreement_ids), self.browse())
            vals_list.append({**agreement._prepare_event("billed"), "move_id": move.id})
        self.env["crm.billing.event"]._log(vals_list)
        return moves

    def _note_origin(self):
        """Write where the agreements came from, in batch."""
        self._message_log_batch(
            bodies={
                agreement.id: self.env._(
                    "Made from the won deal %(deal)s.",
                    deal=agreement.lead_id._get_html_link(),
                )
                for agreement in self
            }
        )

    def _bill_at_once(self):
        """Invoice what is due; a failure is kept on the agreement it belongs to."""
        if self:
            self._invoice_due_or_bisect(fields.Datetime.now())
