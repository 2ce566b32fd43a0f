from odoo import api, fields, models
from odoo.fields import Domain


class ResPartner(models.Model):
    """What hangs on an account: handoffs, payments, balance, and what is missing."""

    _inherit = "res.partner"

    # === FIELDS - WHAT HANGS ON THE ACCOUNT === #

    billing_handoff_ids = fields.One2many("crm.billing.handoff", "account_id")
    billing_handoff_count = fields.Integer(compute="_compute_billing_counts")
    billing_payment_count = fields.Integer(compute="_compute_billing_counts")
    billing_agreement_ids = fields.One2many("crm.billing.agreement", "partner_id")
    billing_agreement_count = fields.Integer(compute="_compute_billing_counts")
    billing_open_balance = fields.Monetary(
        currency_field="billing_currency_id",
        compute="_compute_billing_open_balance",
        help="Open receivables of the account in the company's currency, its contacts "
        "included, its subsidiaries not.",
    )
    billing_site_ids = fields.One2many(
        "res.partner",
        "parent_id",
        string="Subsidiaries and Sites",
        domain=[("is_company", "=", True)],
    )
    billing_readiness = fields.Json(compute="_compute_billing_readiness")
    billing_address_note = fields.Char(compute="_compute_billing_address_note")
    is_billing_locked = fields.Boolean(compute="_compute_is_billing_locked")

    # === COMPUTE METHODS === #

    def _compute_billing_counts(self):
        accounts = self.commercial_partner_id
        handoffs = dict(
            self.env["crm.billing.handoff"]._read_group(
                [("account_id", "in", accounts.ids)], ["account_id"], ["__count"]
            )
        )
        agreements = dict(
            self.env["crm.billing.agreement"]._read_group(
                [("partner_id", "in", accounts.ids)], ["partner_id"], ["__count"]
            )
        )
        payments = {}
        if self.env["account.payment"].has_access("read"):
            payments = dict(
                self.env["account.payment"]._read_group(
                    [
                        ("partner_id", "in", accounts.ids),
                        ("partner_type", "=", "customer"),
                    ],
                    ["partner_id"],
                    ["__count"],
                )
            )
        for partner in self:
            account = partner.commercial_partner_id
            partner.billing_handoff_count = handoffs.get(account, 0)
            partner.billing_agreement_count = agreements.get(account, 0)
            partner.billing_payment_count = payments.get(account, 0)

    @api.depends_context("company")
    def _compute_billing_open_balance(self):
        """Sum the open receivable items of each account, in one query."""
        accounts = self.commercial_partner_id
        # The figure is shown to the account's salesperson, who cannot read the ledger.
        balances = dict(
            self.env["account.move.line"]
            .sudo()
            ._read_group(
                [
                    ("partner_id", "in", accounts.ids),
                    ("account_type", "=", "asset_receivable"),
                    ("parent_state", "=", "posted"),
                    ("reconciled", "=", False),
                    ("company_id", "=", self.env.company.id),
                ],
                ["partner_id"],
                ["amount_residual:sum"],
            )
        )
        for partner in self:
            partner.billing_open_balance = balances.get(
                partner.commercial_partner_id, 0.0
            )

    @api.depends_context("company", "lang")
    @api.depends(
        "name",
        "legal_name",
        "vat",
        "street",
        "city",
        "country_id",
        "email",
        "billing_contact_id.email",
        "bill_to_id",
        "po_required",
        "po_number",
        "po_expiry",
        "tax_exempt",
        "tax_exempt_expiry",
        "private_customer",
        "billing_hold",
        "property_payment_term_id",
        "property_account_position_id",
        "invoice_sending_method",
    )
    def _compute_billing_readiness(self):
        gaps = self.env["crm.billing.readiness.rule"]._get_account_gaps(self)
        for partner in self:
            partner.billing_readiness = gaps.get(partner, [])

    @api.depends("billing_contact_id", "bill_to_id", "commercial_partner_id")
    def _compute_billing_address_note(self):
        for partner in self:
            account = partner._get_live_account()
            payer = account.bill_to_id.commercial_partner_id or account
            if payer.billing_contact_id:
                partner.billing_address_note = False
                continue
            address = payer._origin._get_billing_address()
            partner.billing_address_note = self.env._(
                "No accounts payable contact: invoices go to %(address)s.",
                address=address.display_name or payer.display_name or "",
            )

    @api.depends_context("uid")
    def _compute_is_billing_locked(self):
        """Tell the form which walled values the user can only propose to change."""
        self.is_billing_locked = not self._can_write_billing_data()

    def _get_live_account(self):
        """Return the account; the form's own record with its unsaved values."""
        account = self.commercial_partner_id
        return self if self._origin == account._origin else account

    # === ACTION METHODS === #

    def action_view_billing_handoffs(self):
        """Open the handoffs of the account."""
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "crm_billing_handoff.crm_billing_handoff_action"
        )
        action["domain"] = [("account_id", "=", self.commercial_partner_id.id)]
        action["context"] = {}
        return action

    def action_view_billing_agreements(self):
        """Open the agreements that the account buys."""
        return self.commercial_partner_id.billing_agreement_ids._get_open_action()

    def action_view_billing_events(self):
        """Open what happened to the billing of the account, newest first."""
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "crm_billing_handoff.crm_billing_event_action"
        )
        action["domain"] = [("partner_id", "=", self.commercial_partner_id.id)]
        return action

    def action_view_billing_payments(self):
        """Open the customer payments of the account."""
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "account.action_account_payments"
        )
        action["domain"] = Domain(
            "partner_id", "child_of", self.commercial_partner_id.id
        ) & Domain("partner_type", "=", "customer")
        return action

    def action_new_billing_invoice(self):
        """Open a one-off invoice of the account, prefilled from it (C1)."""
        self.ensure_one()
        account = self.commercial_partner_id
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("One-off Invoice"),
            "res_model": "account.move",
            "views": [(self.env.ref("account.view_move_form").id, "form")],
            "context": {
                "default_move_type": "out_invoice",
                "default_partner_id": account._get_payer()._get_billing_address().id,
                "default_partner_shipping_id": account.address_get(["delivery"])[
                    "delivery"
                ],
                "default_invoice_payment_term_id": account.property_payment_term_id.id,
                "default_ref": account.po_number,
                "default_is_billing_review": True,
            },
        }
