from odoo import api, fields, models
from odoo.fields import Domain

# Account field → field of the draft that follows it.
FOLLOWED_FIELDS = {
    "property_payment_term_id": "invoice_payment_term_id",
    "property_account_position_id": "fiscal_position_id",
    "billing_contact_id": "partner_id",
    "bill_to_id": "partner_id",
    "po_number": "ref",
}

# Account field → field of an agreement that holds its own value instead.
OWN_FIELDS = {
    "property_payment_term_id": "payment_term_id",
    "property_account_position_id": "fiscal_position_id",
    "bill_to_id": "bill_to_id",
    "po_number": "po_number",
}
# Agreements read the account for each invoice: these reach all of them.
AGREEMENT_FIELDS = (*FOLLOWED_FIELDS, "tax_exempt", "tax_exempt_expiry")

# What posting counts on a partner says nothing about its billing data.
COUNTERS = {"customer_rank", "supplier_rank"}


class ResPartner(models.Model):
    """What a change of an account reaches: drafts, agreements, handoffs (A4).

    Name, address and tax number are read live by a draft and need nothing. A value that
    a draft holds follows the account as long as it equals the account's old one. An
    agreement reads the account for each invoice, unless it has a value of its own.
    """

    _inherit = "res.partner"

    billing_impact = fields.Json(
        compute="_compute_billing_impact",
        help="Drafts and agreements that the unsaved change reaches, and those that "
        "keep their own value.",
    )

    @api.depends(*AGREEMENT_FIELDS)
    def _compute_billing_impact(self):
        for partner in self:
            origin = partner._origin
            changed = [
                name for name in FOLLOWED_FIELDS if partner[name] != origin[name]
            ]
            impact = []
            if origin and changed:
                for move in origin._get_billing_drafts():
                    for name in changed:
                        impact.append(partner._describe_impact(move, name, origin))
            impact += partner._describe_agreements(origin)
            partner.billing_impact = impact

    def _describe_agreements(self, origin):
        """Return a row for each live agreement and changed value: follows, or keeps."""
        changed = [name for name in AGREEMENT_FIELDS if self[name] != origin[name]]
        if not origin or not changed:
            return []
        rows = []
        for agreement in origin._get_live_agreements():
            for name in changed:
                if name in OWN_FIELDS and agreement.partner_id != origin:
                    continue  # of a payer, only who receives the invoice counts
                own = agreement[OWN_FIELDS[name]] if name in OWN_FIELDS else False
                rows.append(
                    self._prepare_impact(
                        agreement, name, not own, own, agreement.lead_id.name
                    )
                )
        return rows

    def _get_live_agreements(self):
        """Return the agreements that these accounts buy or pay."""
        accounts = self.commercial_partner_id
        # A change reaches them whoever changes the account.
        agreements = self.env["crm.billing.agreement"].sudo()
        return agreements.search(
            Domain("state", "in", ("draft", "running", "paused"))
            & (
                Domain("partner_id", "in", accounts.ids)
                | Domain("payer_id", "in", accounts.ids)
            )
        )

    def _describe_impact(self, move, name, origin):
        return self._prepare_impact(
            move,
            name,
            origin._is_followed(move, name),
            move[FOLLOWED_FIELDS[name]],
            move.billing_deal_names,
        )

    def _prepare_impact(self, record, name, follows, kept, deal):
        label = self._fields[name].get_description(self.env, ["string"])["string"]
        return {
            "code": f"{name}_{record._name}_{record.id}",
            "name": record.display_name,
            "why": self.env._("%(field)s: follows the account", field=label)
            if follows
            else self.env._(
                "%(field)s: keeps its own (%(value)s)",
                field=label,
                value=kept if isinstance(kept, str) else kept.display_name,
            ),
            "level": "info" if follows else "warn",
            "model": record._name,
            "res_id": record.id,
            "record": deal or "",
        }

    # === CRUD METHODS === #

    @api.model_create_multi
    def create(self, vals_list):
        partners = super().create(vals_list)
        self.env["crm.billing.handoff"]._wake_later("partner", partners.ids)
        return partners

    def write(self, vals):
        followed = [name for name in FOLLOWED_FIELDS if name in vals]
        drafts = self._get_following_drafts(followed) if followed else {}
        result = super().write(vals)
        self._update_billing_drafts(drafts)
        if not set(vals) <= COUNTERS:
            self.env["crm.billing.handoff"]._wake_later("partner", self.ids)
        return result

    # === BUSINESS METHODS === #

    def _get_billing_drafts(self):
        """Return the open drafts of deals that these accounts buy or pay."""
        accounts = self.commercial_partner_id
        return (
            # A draft follows its account whoever changes the account.
            self.env["account.move"]
            .sudo()
            .search(
                Domain("state", "=", "draft")
                & Domain("is_billing_review", "=", True)
                & (
                    Domain("commercial_partner_id", "in", accounts.ids)
                    | Domain("agreement_ids.partner_id", "in", accounts.ids)
                    | Domain(
                        "opportunity_ids.partner_id.commercial_partner_id",
                        "in",
                        accounts.ids,
                    )
                )
            )
        )

    def _is_followed(self, move, name):
        """Return whether the draft's value is the account's, so that it follows it."""
        account = self.commercial_partner_id.with_company(move.company_id)
        if name == "billing_contact_id":
            return move.partner_id == account._get_billing_address()
        if move._get_billing_account() != account:
            return False
        if name in OWN_FIELDS and move._get_reviewed_agreement()[OWN_FIELDS[name]]:
            return False
        if name == "bill_to_id":
            return move.commercial_partner_id == account._get_payer()
        if name == "property_account_position_id":
            return move.fiscal_position_id == self._get_draft_position(move, account)
        value = account[name]
        return (move[FOLLOWED_FIELDS[name]] or False) == (value or False) or (
            name == "po_number"
            and not value
            and move.ref == move.line_ids.sale_line_ids.order_id[:1].name
        )

    @api.model
    def _get_draft_position(self, move, account):
        position = self.env["account.fiscal.position"].sudo()
        return position.with_company(move.company_id)._get_fiscal_position(
            account, move.partner_shipping_id
        )

    def _get_following_drafts(self, names):
        """Return ``{draft: names}`` of what will follow a change of ``names``."""
        following = {}
        for account in self.filtered(
            lambda partner: partner.commercial_partner_id == partner
        ):
            for move in account._get_billing_drafts():
                names_of_move = [
                    name for name in names if account._is_followed(move, name)
                ]
                if names_of_move:
                    following[move] = (account, names_of_move)
        return following

    @api.model
    def _update_billing_drafts(self, drafts):
        """Let drafts follow; each change of a draft is noted on it."""
        bodies = {}
        for move, (account, names) in drafts.items():
            vals = account._prepare_draft_update(move, names)
            vals = {
                name: value
                for name, value in vals.items()
                if (move[name].id if name != "ref" else move.ref or False) != value
            }
            if not vals:
                continue
            move.write(vals)
            if "fiscal_position_id" in vals:
                move.action_update_fpos_values()
                move._restore_agreed_taxes()
            labels = [
                move._fields[name].get_description(self.env, ["string"])["string"]
                for name in vals
            ]
            bodies[move.id] = self.env._(
                "%(fields)s followed a change of the account %(account)s.",
                fields=", ".join(labels),
                account=account.display_name,
            )
        if bodies:
            self.env["account.move"].sudo().browse(bodies)._message_log_batch(
                bodies=bodies
            )

    def _prepare_draft_update(self, move, names):
        """Return the draft's new values after the account changed."""
        account = self.sudo().with_company(move.company_id)
        vals = {}
        if "property_payment_term_id" in names:
            vals["invoice_payment_term_id"] = account.property_payment_term_id.id
        if "property_account_position_id" in names:
            vals["fiscal_position_id"] = self._get_draft_position(move, account).id
        if "po_number" in names:
            order = move.line_ids.sale_line_ids.order_id[:1]
            vals["ref"] = account.po_number or order.name or False
        if "billing_contact_id" in names and move.commercial_partner_id == account:
            vals["partner_id"] = account._get_billing_address().id
        if "bill_to_id" in names:
            vals["partner_id"] = account._get_payer()._get_billing_address().id
        return vals
