from odoo import api, fields, models

from .product_template import RECURRING_METHODS


class CrmLead(models.Model):
    """The agreements that bill a deal, and when the next invoice comes."""

    _inherit = "crm.lead"

    billing_agreement_ids = fields.One2many(
        "crm.billing.agreement",
        "lead_id",
        string="Agreements",
        copy=False,
        readonly=True,
        context={"active_test": False},
    )
    billing_next_date = fields.Date(
        string="Next Invoice",
        compute="_compute_billing_next_date",
        store=True,
        copy=False,
        help="Billing date of the next invoice of the deal's agreements, where the "
        "account is.",
    )

    # === COMPUTE METHODS === #

    @api.depends("billing_agreement_ids.next_invoice_date")
    def _compute_billing_next_date(self):
        for lead in self:
            dates = lead.billing_agreement_ids.mapped("next_invoice_date")
            lead.billing_next_date = min(filter(None, dates), default=False)

    # === CRUD METHODS === #

    def write(self, vals):
        """Override of `crm` to hand agreements over along with their deal.

        One that somebody else was put in charge of stays with that person.
        """
        names = {"user_id", "team_id"} & vals.keys()
        owners = {lead: {name: lead[name] for name in names} for lead in self if names}
        result = super().write(vals)
        for lead, before in owners.items():
            lead._hand_over_agreements(before)
        return result

    def _hand_over_agreements(self, owners):
        # The salesperson who gives the deal away cannot write agreements.
        for agreement in self.sudo().billing_agreement_ids._filtered_live():
            for name, owner in owners.items():
                if agreement[name] == owner != self[name]:
                    agreement[name] = self[name]

    # === ACTION METHODS === #

    def action_view_billing_agreements(self):
        """Open the agreements of the deal."""
        return self.billing_agreement_ids._get_open_action()

    def action_generate_invoices(self):
        """Make the drafts of what the deals' agreements have due today.

        :raise AccessError: the user is no billing clerk
        """
        return self.billing_agreement_ids.action_generate_invoices()

    # === BUSINESS METHODS === #

    def _get_agreement_states(self):
        """Return what the agreements add to the state of the deal.

        One that cannot be billed needs attention; one that has billed nothing yet
        waits for its first day.
        """
        self.ensure_one()
        live = self.billing_agreement_ids._filtered_live()
        stuck = live.filtered(
            lambda agreement: agreement.billing_error or agreement.is_catch_up_held
        )
        if stuck:
            return {"blocked"}
        has_moves = self.billing_move_ids._filtered_standing()
        return {"waiting"} if live and not has_moves else set()

    # === BUSINESS METHODS - READINESS === #

    def _find_product_obstacles(self, subject):
        """An agreement without quotation needs the company's default products."""
        _ = self.env._
        lead, company = subject.lead, subject.company
        if not lead.recurring_revenue or not lead.recurring_plan:
            return
        if not company.billing_recurring_product_id or (
            lead.expected_revenue and not company.billing_product_id
        ):
            yield (
                "no_product",
                company,
                "block",
                "billing",
                _("Product"),
                _(
                    "Recurring revenue without a quotation is billed with the default "
                    "products of the company: choose them in the settings."
                ),
            )

    def _find_agreement_obstacles(self, subject):
        """B2: what one agreement for all orders of the deal needs."""
        _ = self.env._
        orders = subject.orders
        lines = orders._get_billable_lines()._filtered_for_agreement()
        if not lines:
            return
        for line in lines.filtered(
            lambda line: (
                line.billing_method in RECURRING_METHODS
                and not line._get_billing_plan()
            )
        ):
            yield (
                "no_plan",
                line.order_id,
                "block",
                "sales",
                _("Billing cycle"),
                _(
                    "%(line)s recurs, but nothing says how often: choose a billing "
                    "plan on the line, the product, the account or the company.",
                    line=line.product_id.display_name,
                ),
            )
        for line in lines.filtered(
            lambda line: line.billing_method == "usage" and not line.billing_meter_id
        ):
            yield (
                "no_meter",
                line.order_id,
                "block",
                "sales",
                _("Meter"),
                _(
                    "%(line)s is billed by usage, but nothing says what is measured: "
                    "choose a meter on the line or the product.",
                    line=line.product_id.display_name,
                ),
            )
        if len(orders.currency_id) > 1:
            yield (
                "currencies",
                orders[:1],
                "block",
                "sales",
                _("Two currencies"),
                _(
                    "The orders of this deal have different currencies (%(names)s), "
                    "but one agreement bills one currency: use a deal for each.",
                    names=", ".join(orders.currency_id.mapped("name")),
                ),
            )


class CrmBillingAgreement(models.Model):
    _inherit = "crm.billing.agreement"

    def _filtered_live(self):
        """Return the agreements that bill, now or later."""
        return self.filtered(
            lambda agreement: agreement.state in ("draft", "running", "paused")
        )

    def _get_open_action(self):
        """Return the action that shows the agreements: one as a form."""
        action = {
            "type": "ir.actions.act_window",
            "name": self.env._("Agreements"),
            "res_model": self._name,
            "view_mode": "list,form",
            "domain": [("id", "in", self.ids)],
        }
        if len(self) == 1:
            action |= {"view_mode": "form", "res_id": self.id}
        return action
