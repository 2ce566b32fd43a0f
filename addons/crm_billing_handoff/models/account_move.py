from decimal import Decimal

from markupsafe import Markup

from odoo import api, fields, models
from odoo.fields import Command

from ..billing_rules.status import Document


class AccountMove(models.Model):
    """The invoice of a deal: linked both ways, its status read by the deal.

    The review and *Post and send* are in `account_move_review.py`.
    """

    _inherit = "account.move"

    opportunity_ids = fields.Many2many(
        "crm.lead",
        "account_move_crm_lead_rel",
        "move_id",
        "lead_id",
        string="Opportunities",
        copy=False,
        readonly=True,
        # An archived deal keeps its invoices, its share of them and its credit notes.
        context={"active_test": False},
    )
    billing_handoff_ids = fields.Many2many(
        "crm.billing.handoff",
        compute="_compute_billing_handoff_ids",
        compute_sudo=True,
    )
    billing_deal_names = fields.Char(
        string="Deal", compute="_compute_billing_handoff_ids", compute_sudo=True
    )
    billing_courier = fields.Char(
        string="Courier", copy=False, help="Who carried the paper invoice."
    )
    billing_tracking_ref = fields.Char(string="Courier Reference", copy=False)

    @api.depends("opportunity_ids.billing_handoff_ids.state")
    def _compute_billing_handoff_ids(self):
        for move in self:
            leads = move.opportunity_ids
            move.billing_handoff_ids = leads.billing_handoff_id
            move.billing_deal_names = ", ".join(leads.mapped("name"))

    # === CRUD METHODS === #

    def write(self, vals):
        result = super().write(vals)
        if vals.get("state") == "cancel":
            self._get_invoiced_deals()._reopen_without_document()
        return result

    def unlink(self):
        leads = self._get_invoiced_deals()
        result = super().unlink()
        leads._reopen_without_document()
        return result

    def _get_invoiced_deals(self):
        # Whoever deletes a draft may not be able to read the deal.
        invoices = self.sudo().filtered(lambda move: move.move_type == "out_invoice")
        return invoices.opportunity_ids

    def _reverse_moves(self, default_values_list=None, cancel=False):
        """Override of `account` to keep the deal on the credit note."""
        values_list = default_values_list or [{} for _move in self]
        for move, values in zip(self, values_list, strict=True):
            values.setdefault(
                "opportunity_ids", [Command.set(move.sudo().opportunity_ids.ids)]
            )
        return super()._reverse_moves(values_list, cancel=cancel)

    def message_post_with_source(self, source_ref, **kwargs):
        """Override of `mail` to write one note a batch instead of one a draft.

        Core posts the link to the order on each invoice; drafts of a handoff get a note
        that names order and deal from `_note_origin`, all in one query.
        """
        if (
            self.env.context.get("billing_from_handoff")
            and source_ref == "mail.message_origin_link"
        ):
            return None
        return super().message_post_with_source(source_ref, **kwargs)

    def _message_auto_subscribe(self, updated_values, followers_existing_policy="skip"):
        """Override of `mail` to subscribe salespeople of a batch in `_note_origin`."""
        if self.env.context.get("billing_from_handoff"):
            return True
        return super()._message_auto_subscribe(
            updated_values, followers_existing_policy=followers_existing_policy
        )

    # === ACTION METHODS === #

    @api.model
    def _get_billing_action(self, moves):
        """Return the action that shows ``moves``: one as a form, several as a list."""
        xmlid = "crm_billing_handoff.account_move_action_billing"
        action = self.env["ir.actions.act_window"]._for_xml_id(xmlid)
        action["domain"] = [("id", "in", moves.ids)]
        if len(moves) == 1:
            action.update(view_mode="form", res_id=moves.id)
            action["views"] = [
                (view_id, kind) for view_id, kind in action["views"] if kind == "form"
            ]
        return action

    def action_view_opportunities(self):
        """Open the deals behind the invoice."""
        leads = self.opportunity_ids
        action = {
            "type": "ir.actions.act_window",
            "name": self.env._("Opportunities"),
            "res_model": "crm.lead",
            "view_mode": "list,form",
            "domain": [("id", "in", leads.ids)],
        }
        if len(leads) == 1:
            action |= {"view_mode": "form", "res_id": leads.id}
        return action

    # === BUSINESS METHODS === #

    def _get_billing_account(self):
        """Return the account that buys: of agreement or deal, else who is billed."""
        self.ensure_one()
        move = self.sudo()
        partner = (
            move.agreement_ids[:1].partner_id or move.opportunity_ids[:1].partner_id
        )
        partner = partner or move.partner_id
        return partner.commercial_partner_id.with_company(self.company_id)

    def _filtered_standing(self):
        """Return the invoices that bill something: not cancelled, not credited."""
        return self.filtered(
            lambda move: (
                move.move_type == "out_invoice"
                and move.state != "cancel"
                and move.payment_state != "reversed"
            )
        )

    def _to_document(self):
        """Return the facts that the deal's status is decided from."""
        self.ensure_one()
        charge = self.transaction_ids.sorted("id")[-1:]
        return Document(
            state=self.state,
            payment_state=self.payment_state,
            total=Decimal(str(self.amount_total)),
            residual=Decimal(str(self.amount_residual)),
            last_charge=charge.state or None,
        )

    def _get_opportunity_weights(self):
        """Return ``{lead: Decimal}``: the untaxed part of each deal in the invoice.

        Lines that no order or agreement ties to a deal belong to none of them and are
        left out; an invoice without such ties is shared evenly.
        """
        self.ensure_one()
        leads = self.opportunity_ids.sorted("id")
        weights = dict.fromkeys(leads, Decimal(0))
        if len(leads) > 1:
            for line in self.invoice_line_ids:
                lead = line.billing_line_id.agreement_id.lead_id
                lead = lead or line.sale_line_ids.order_id.opportunity_id[:1]
                if lead in weights:
                    weights[lead] += Decimal(str(line.price_subtotal))
        return weights

    def _note_origin(self):
        """Write where the drafts came from, and subscribe their salespeople, in batch.

        Salespeople follow the invoice as in core, but get no mail for each draft.
        """
        if not self:
            return
        silent = self.with_context(mail_auto_subscribe_no_notify=True)
        groups = silent.grouped(lambda move: (move.invoice_user_id, move.team_id))
        for (user, team), moves in groups.items():
            moves._message_auto_subscribe(
                {"invoice_user_id": user.id, "team_id": team.id}
            )
        bodies = {}
        for move in self:
            links = Markup(", ").join(
                record._get_html_link()
                for record in [
                    *move.opportunity_ids,
                    *move.line_ids.sale_line_ids.order_id,
                ]
            )
            bodies[move.id] = Markup("%s %s") % (
                self.env._("Draft made from the won deal:"),
                links,
            )
        self._message_log_batch(bodies=bodies)

    def _get_mail_template(self):
        """Override of `account` to send invoices of deals with their own mail."""
        if self and all(
            move.is_billing_review and move.move_type == "out_invoice" for move in self
        ):
            template = self.env.ref(
                "crm_billing_handoff.mail_template_invoice", raise_if_not_found=False
            )
            if template:
                return template
        return super()._get_mail_template()

    def _is_ref_a_po(self):
        """Return whether the reference is the customer's PO, not our order number."""
        self.ensure_one()
        orders = self.sudo().line_ids.sale_line_ids.order_id
        return self.is_billing_review and self.ref not in [
            False,
            *orders.mapped("name"),
        ]

    def _get_billing_pay_link(self):
        """Return the pay link of what is open now, or ``False`` if nobody can pay so.

        It binds the amount, so it is made when a mail is sent, never kept (F1).
        """
        self.ensure_one()
        if self.state != "posted" or not self._has_to_be_paid():
            return False
        provider = (
            self.env["payment.provider"]
            .sudo()
            .search_count(
                [
                    ("state", "!=", "disabled"),
                    ("company_id", "parent_of", self.company_id.id),
                ],
                limit=1,
            )
        )
        return self._get_portal_payment_link() if provider else False

    @api.model
    def _get_billed_on_po(self, account, company):
        """Return what is billed on the account's PO, before tax, company currency.

        Whoever pays: an invoice of a deal counts for the account that bought.
        """
        [(total,)] = self.sudo()._read_group(
            [
                "|",
                "|",
                ("commercial_partner_id", "=", account.id),
                ("agreement_ids.partner_id", "=", account.id),
                ("opportunity_ids.partner_id.commercial_partner_id", "=", account.id),
                ("company_id", "=", company.id),
                ("move_type", "in", ("out_invoice", "out_refund")),
                ("state", "!=", "cancel"),
                ("ref", "=", account.po_number),
            ],
            aggregates=["amount_untaxed_signed:sum"],
        )
        return total or 0.0


class CrmLead(models.Model):
    _inherit = "crm.lead"

    def _reopen_without_document(self):
        """Put a handoff back into the queue of a person when its last invoice is gone.

        It is held: a person decides whether and when another one is made.
        """
        for lead in self.exists():
            handoff = lead.billing_handoff_ids.filtered(
                lambda handoff: handoff.state == "done"
            )
            if not handoff or lead.billing_move_ids._filtered_standing():
                continue
            if handoff._has_live_agreement():
                continue  # the agreement knows what is due, and bills it
            reason = self.env._(
                "%(user)s deleted or cancelled the last invoice of this deal. Press "
                "“Process now” to make another draft, or take the deal out of won.",
                user=self.env.user.name,
            )
            handoff._set_state("blocked", billing_error=reason, is_held=True)
            handoff._ask_billing(self.env._("No invoice any more"), reason)
            self.env["crm.billing.event"]._log(
                [{**handoff._prepare_event("blocked"), "note": reason}]
            )
