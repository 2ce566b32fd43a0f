from markupsafe import Markup

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.tools import float_compare

from .crm_billing_readiness_rule import Subject, blocking, list_blocking


def _saved(records):
    """Return what is in the database behind records of a form that is being edited.

    Records that are in the database are returned as they are, with their prefetch.
    """
    return records if all(records._ids) else records._origin or records


class CrmLead(models.Model):
    """What stands between a deal and its invoice, seen before and after winning."""

    _inherit = "crm.lead"

    billing_readiness = fields.Json(compute="_compute_billing_readiness")
    billing_gap_count = fields.Integer(compute="_compute_billing_readiness")
    billing_error = fields.Text(
        compute="_compute_billing_error", string="Why Billing Stopped"
    )

    @api.depends(
        "partner_id",
        "company_id",
        "expected_revenue",
        "order_ids.state",
        "order_ids.partner_invoice_id",
        "order_ids.client_order_ref",
        "order_ids.payment_term_id",
        "billing_handoff_ids.state",
    )
    def _compute_billing_readiness(self):
        billable = self.filtered(lambda lead: lead.type == "opportunity")
        gaps = billable._get_billing_gaps()
        for lead in self:
            handed_off = lead.billing_handoff_id.state == "done"
            open_gaps = [] if handed_off else gaps.get(lead, [])
            lead.billing_readiness = open_gaps
            lead.billing_gap_count = len(blocking(open_gaps))

    @api.depends(
        "billing_handoff_ids.billing_error", "billing_agreement_ids.billing_error"
    )
    def _compute_billing_error(self):
        for lead in self:
            # Sales may read why its deal is stuck, also on a handoff it cannot open.
            billing = lead.sudo()
            reasons = billing.billing_handoff_id.mapped("billing_error")
            live = billing.billing_agreement_ids._filtered_live()
            reasons += live.mapped("billing_error")
            lead.billing_error = "\n".join(filter(None, reasons)) or False

    def _check_billing_before_win(self):
        """Refuse winning while something blocks billing, where a company wants that."""
        strict = self.filtered(
            lambda lead: (
                (
                    lead.company_id or lead.team_id.company_id or self.env.company
                ).billing_refuse_win
            )
        )
        if not strict:
            return
        gaps_by_lead = strict._get_billing_gaps()
        for lead, gaps in gaps_by_lead.items():
            if blocking(gaps):
                raise UserError(
                    self.env._(
                        "%(deal)s cannot be won yet, billing data is missing:\n"
                        "%(missing)s",
                        deal=lead.name,
                        missing=list_blocking(gaps),
                    )
                )

    # === BUSINESS METHODS === #

    def _get_billing_company(self):
        """Return the company that bills: of deal, quotation, team, owner, user."""
        self.ensure_one()
        return (
            self.company_id
            or self._get_billing_orders(self.billing_handoff_id.order_id).company_id[:1]
            or self.team_id.company_id
            or self.user_id.company_id
            or self.env.company
        )

    def _get_billing_orders(self, chosen=None):
        """Return what the deal is billed from.

        The quotation that a person chose, unless it was cancelled or left the deal,
        else the confirmed orders, else the open quotations: one is billed, of several
        one has to be chosen.
        """
        if (
            chosen
            and chosen.state != "cancel"
            and chosen.opportunity_id == self._origin
        ):
            return chosen
        orders = self.order_ids
        return orders.filtered(lambda order: order.state == "sale") or orders.filtered(
            lambda order: order.state in ("draft", "sent")
        )

    def _get_billing_gaps(self):
        """Return ``{lead: gaps}``: what blocks or warns, for all deals at once.

        A gap is a dict of ``code, name, why, level, who, model, res_id, record``. The
        same list is shown on the deal before winning and on the blocked handoff.
        """
        if not self:
            return {}
        leads = self.sudo()
        leads._prefetch_for_billing()
        subjects = [lead._get_billing_subject() for lead in leads]
        for lead, subject in zip(leads, subjects, strict=True):
            lead._add_obstacles(subject)
        with_account = [subject for subject in subjects if subject.account]
        self.env["crm.billing.readiness.rule"]._evaluate(with_account)
        return {
            lead: sorted(subject.gaps, key=lambda gap: gap["level"] != "block")
            for lead, subject in zip(self, subjects, strict=True)
        }

    def _prefetch_for_billing(self):
        """Read for the whole chunk what each deal is going to look at by itself.

        A filtered recordset forgets with whom it was read: without this, each deal
        would read its own orders, lines and addresses.
        """
        orders = self.order_ids
        orders.partner_invoice_id.mapped("commercial_partner_id")
        orders.order_line.product_id.mapped("invoice_policy")

    def _get_billing_subject(self):
        handoff = self.billing_handoff_id
        orders = self._get_billing_orders(handoff.order_id)
        account = self.partner_id.commercial_partner_id
        payer = (handoff or handoff.new({"lead_id": self.id}))._get_payer_and_source(
            orders
        )[1]
        return Subject(
            company=self.company_id
            or handoff.company_id
            or self._get_billing_company(),
            lead=_saved(self),
            account=_saved(account),
            payer=_saved(payer),
            orders=_saved(orders),
        )

    # What no rule can express: the shape of the deal itself.

    def _add_obstacles(self, subject):
        obstacles = [*self._find_account_obstacles(subject)]
        if not obstacles:
            obstacles = [
                *self._find_company_obstacles(subject),
                *self._find_order_obstacles(subject),
                *self._find_tax_obstacles(subject),
            ]
        self._add_gaps(subject, obstacles)

    @api.model
    def _add_gaps(self, subject, obstacles):
        for code, record, level, who, name, why in obstacles:
            subject.gaps.append(
                {
                    "code": code,
                    "name": name,
                    "why": why,
                    "level": level,
                    "who": who,
                    "model": record._name,
                    "res_id": record._origin.id,
                    "record": record.display_name or "",
                }
            )

    def _find_account_obstacles(self, subject):
        _ = self.env._
        account, payer = subject.account, subject.payer
        if not account:
            yield (
                "no_account",
                subject.lead,
                "block",
                "sales",
                _("Customer"),
                _("Choose the company that buys, on the deal."),
            )
            return
        if not account.is_company and not account.private_customer:
            yield (
                "person",
                account,
                "block",
                "sales",
                _("Company"),
                _(
                    "This is a person without a company: choose the company, or "
                    "confirm a private customer in the Billing tab."
                ),
            )
        for partner in account | payer:
            if not partner.active:
                yield (
                    "archived",
                    partner,
                    "block",
                    "sales",
                    _("Archived account"),
                    _("The account is archived: choose the one that replaced it."),
                )
            if partner.billing_hold:
                yield (
                    "hold",
                    partner,
                    "block",
                    "billing",
                    _("Billing hold"),
                    _("Billing holds this account: nothing is billed to it."),
                )

    def _find_company_obstacles(self, subject):
        _ = self.env._
        companies = subject.orders.company_id | subject.lead.company_id
        companies |= subject.payer.company_id | subject.account.company_id
        if len(companies) > 1:
            yield (
                "companies",
                subject.lead,
                "block",
                "sales",
                _("Two companies"),
                _(
                    "Deal, quotation and account belong to different companies "
                    "(%(companies)s): make them the same.",
                    companies=", ".join(companies.mapped("name")),
                ),
            )

    def _find_order_obstacles(self, subject):
        _ = self.env._
        lead, orders, company = subject.lead, subject.orders, subject.company
        open_quotations = orders.filtered(lambda order: order.state != "sale")
        if not orders:
            if not lead.expected_revenue and not lead.recurring_revenue:
                yield (
                    "nothing",
                    lead,
                    "block",
                    "sales",
                    _("Something to bill"),
                    _("The deal has no quotation and no expected revenue."),
                )
            yield from self._find_product_obstacles(subject)
            yield from self._find_po_obstacles(subject)
            return
        if len(open_quotations) > 1:
            for quotation in open_quotations:
                yield (
                    "several",
                    quotation,
                    "block",
                    "sales",
                    _("Several quotations"),
                    _(
                        "Open the one that was won and press “Bill this one”, or "
                        "cancel the others."
                    ),
                )
            return
        if open_quotations and not company.billing_confirm_quotation:
            yield (
                "unconfirmed",
                orders,
                "block",
                "sales",
                _("Quotation not confirmed"),
                _("Confirm the quotation that was won."),
            )
        yield from self._find_agreement_obstacles(subject)
        if not orders._get_billable_lines():
            yield (
                "empty",
                orders[:1],
                "block",
                "sales",
                _("Something to bill"),
                _("The quotation has no line with a quantity: enter what was sold."),
            )
        if orders._is_waiting_for_delivery():
            yield (
                "undelivered",
                orders[:1],
                "block",
                "sales",
                _("Nothing delivered yet"),
                _(
                    "The products are invoiced on delivery: enter the delivered "
                    "quantity and the draft is made by itself."
                ),
            )
        yield from self._find_po_obstacles(subject)

    def _find_po_obstacles(self, subject):
        _ = self.env._
        account, orders = subject.account, subject.orders
        limit = account.po_amount_limit
        own_po = orders.filtered("client_order_ref")
        if not limit or not account.po_number or own_po:
            return
        billed = self.env["account.move"]._get_billed_on_po(account, subject.company)
        open_amount = sum(
            order.currency_id._convert(
                order._get_untaxed_to_invoice(),
                subject.company.currency_id,
                subject.company,
                order.date_order or fields.Date.context_today(self),
            )
            for order in orders
        ) or (0 if orders else subject.lead.expected_revenue)
        if open_amount and float_compare(billed + open_amount, limit, 2) > 0:
            yield (
                "po_limit",
                account,
                "block",
                "sales",
                _("PO limit"),
                _(
                    "%(amount)s is already billed on PO %(po)s; this deal would exceed "
                    "its limit. Ask the customer for a new PO.",
                    amount=subject.company.currency_id.format(billed),
                    po=account.po_number,
                ),
            )

    def _find_tax_obstacles(self, subject):
        """E1: a foreign country that no fiscal position maps is shown, not assumed.

        The country is that of the delivery, as for core's fiscal positions.
        """
        _ = self.env._
        account, company = subject.account, subject.company
        delivery = next(iter(subject.orders.partner_shipping_id), account)
        delivery = delivery if delivery.country_id else account
        home = company.account_fiscal_country_id or company.country_id
        if not delivery.country_id or delivery.country_id == home:
            return
        if subject.orders.fiscal_position_id:
            return
        position = self.env["account.fiscal.position"].with_company(company)
        if not position._get_fiscal_position(account.with_company(company), delivery):
            yield (
                "no_fiscal_position",
                account,
                "warn",
                "billing",
                _("Foreign taxes"),
                _(
                    "No fiscal position maps the taxes for %(country)s: domestic taxes "
                    "would be charged.",
                    country=delivery.country_id.name,
                ),
            )


class CrmBillingHandoff(models.Model):
    _inherit = "crm.billing.handoff"

    @api.model
    def _format_gaps(self, gaps):
        """Return the blocking gaps as a list for a task or a note."""
        who = {"sales": self.env._("Sales"), "billing": self.env._("Billing")}
        items = Markup().join(
            Markup("<li><b>%s</b> (%s): %s</li>")
            % (gap["name"], who[gap["who"]], gap["why"])
            for gap in blocking(gaps)
        )
        return Markup("<p>%s</p><ul>%s</ul>") % (
            self.env._("The deal is won, but it cannot be billed yet:"),
            items,
        )
