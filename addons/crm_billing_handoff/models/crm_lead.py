from datetime import timedelta

from odoo import api, fields, models
from odoo.exceptions import UserError

from .crm_billing_handoff import ACTIVITY_BLOCKED


class CrmLead(models.Model):
    """The deal: winning it queues a handoff, and its billing is read on it.

    The way in is :meth:`_handle_won_lost`; what stands between the deal and an invoice
    is in `crm_lead_readiness.py`, what the ledger says of it in `crm_lead_status.py`.
    """

    _inherit = "crm.lead"

    billing_handoff_ids = fields.One2many(
        "crm.billing.handoff", "lead_id", string="Handoffs", copy=False
    )
    billing_handoff_id = fields.Many2one(
        "crm.billing.handoff", compute="_compute_billing_handoff_id", string="Handoff"
    )
    billing_move_ids = fields.Many2many(
        "account.move",
        "account_move_crm_lead_rel",
        "lead_id",
        "move_id",
        string="Billing Documents",
        copy=False,
        readonly=True,
    )

    # === COMPUTE METHODS === #

    @api.depends("billing_handoff_ids.state")
    def _compute_billing_handoff_id(self):
        for lead in self:
            lead.billing_handoff_id = lead.billing_handoff_ids._filtered_live()[:1]

    # === CRUD METHODS === #

    def _handle_won_lost(self, old_status_by_lead, new_status_by_lead):
        """Override of `crm` to queue what was won and to follow what is won no more.

        Winning never fails because of billing: nothing is looked up or billed here. The
        deals are flushed first, so that two people who win one deal meet at its row,
        where the second one is retried, and not at the unique index.
        """

        def is_won(status_by_lead, lead):
            return status_by_lead.get(lead.id, {}).get("is_won", False)

        won = self.filtered(
            lambda lead: (
                is_won(new_status_by_lead, lead)
                and not is_won(old_status_by_lead, lead)
            )
        )
        left = self.filtered(
            lambda lead: (
                is_won(old_status_by_lead, lead)
                and not is_won(new_status_by_lead, lead)
            )
        )
        won._check_billing_before_win()
        # Shown before core writes the win, so that it rides on the same update.
        won._filtered_without_billing()._show_queued("waiting")
        result = super()._handle_won_lost(old_status_by_lead, new_status_by_lead)
        # The queue belongs to nobody: whoever may win a deal may fill it.
        if won:
            won.flush_recordset()
            self.env["crm.billing.handoff"].sudo()._queue(won.sudo(), won_now=True)
        if left:
            left.sudo().billing_handoff_ids._cancel_or_keep()
        return result

    def write(self, vals):
        result = super().write(vals)
        if any(self._fields[name].store for name in vals):
            self.env["crm.billing.handoff"]._wake_later("lead", self.ids)
        return result

    @api.ondelete(at_uninstall=False)
    def _unlink_except_billed(self):
        """Keep deals with documents; a handoff that billed nothing goes along."""
        # Whoever may delete a deal may not need to read its invoices.
        billed = self.sudo().filtered(
            lambda lead: lead.billing_move_ids or lead.billing_agreement_ids
        )
        if billed:
            raise UserError(
                self.env._(
                    "%(deals)s has invoices or an agreement: archive it instead of "
                    "deleting it.",
                    deals=", ".join(billed.mapped("name")),
                )
            )
        handoffs = self.sudo().billing_handoff_ids
        handoffs._set_state("cancelled")
        handoffs.unlink()

    # === BUSINESS METHODS - MERGE === #

    def _merge_get_fields_specific(self):
        """Override of `crm` to keep the invoices of all merged deals."""
        return super()._merge_get_fields_specific() | {
            "billing_move_ids": lambda _name, leads: [
                fields.Command.link(move.id) for move in leads.sudo().billing_move_ids
            ],
        }

    def _merge_dependences(self, opportunities):
        """Override of `crm` to leave the merged deal with one live handoff.

        The one that has billed stays. What it does not bill any more, an open quotation
        of the other deal, becomes a task for Billing; a deal that is not won loses a
        handoff that has billed nothing when the handoff is processed.
        """
        result = super()._merge_dependences(opportunities)
        everything = (self | opportunities).sudo().billing_handoff_ids
        live = everything._filtered_live()
        billed = live.filtered(
            lambda handoff: handoff._has_live_agreement() or handoff.move_ids
        )
        kept = (
            billed.sorted(
                lambda handoff: (
                    not handoff._has_live_agreement(),
                    handoff.lead_id != self,
                )
            )
            or live.sorted(lambda handoff: handoff.lead_id != self)
        )[:1]
        (live - kept)._set_state("cancelled")
        # The head is linked to all invoices by the merged values; the rest is deleted.
        opportunities.sudo().billing_move_ids = False
        everything.with_context(tracking_disable=True).write({"lead_id": self.id})
        # Agreements of both go on: each bills what its own order says.
        opportunities.sudo().billing_agreement_ids.lead_id = self
        self.env["crm.billing.event"]._log(
            [handoff._prepare_event("merged") for handoff in live - kept]
        )
        quotations = (
            (self | opportunities)
            .sudo()
            .order_ids.filtered(lambda order: order.state in ("draft", "sent"))
        )
        if kept.state == "done" and quotations:
            kept._ask_billing(
                self.env._("Merged deal with an open quotation"),
                self.env._(
                    "%(orders)s came to %(deal)s, which is billed already. If it was "
                    "won, confirm it and press “Bill the rest”; else cancel it.",
                    orders=", ".join(quotations.mapped("name")),
                    deal=kept.display_name,
                ),
            )
        return result

    # === ACTION METHODS === #

    def action_hand_off(self):
        """Hand won deals off to Billing now: queue them if need be, and process them.

        Idempotent: a deal that is handed off already stays as it is. Works the same
        from a button, over RPC, and as a server action.

        :return: an action to the draft of one deal, else ``True``
        :raise AccessError: the user may not write one of the deals
        :raise UserError: a deal is not won
        """
        if not self.env.user.has_group("crm_billing_handoff.group_billing_user"):
            self.check_access("write")
        if open_deals := self.filtered(lambda lead: lead.won_status != "won"):
            raise UserError(
                self.env._(
                    "%(deals)s is not won yet. Mark the deal won: that hands it off.",
                    deals=", ".join(open_deals.mapped("name")),
                )
            )
        handoffs = self.env["crm.billing.handoff"]
        # As in the win itself: the queue is filled for whoever may win the deal.
        handoffs.sudo()._queue(self.sudo())
        self.invalidate_recordset(["billing_handoff_ids"])
        live = self.sudo().billing_handoff_ids._filtered_live()
        return live.sudo(self.env.su).action_process()

    def action_view_billing_handoff(self):
        """Open the live handoff of the deal."""
        self.ensure_one()
        return {
            "type": "ir.actions.act_window",
            "res_model": "crm.billing.handoff",
            "res_id": self.billing_handoff_id.id,
            "view_mode": "form",
        }

    def action_view_billing_moves(self):
        """Open the invoices of the deal."""
        return self.env["account.move"]._get_billing_action(self.billing_move_ids)

    # === BUSINESS METHODS - TASKS === #

    def _ask_for_billing_data(self, gaps):
        """Leave one task for the deal's owner that lists what blocks billing."""
        self.ensure_one()
        activity = self.activity_search([ACTIVITY_BLOCKED])[:1]
        # Nobody sees the task of a person who has left.
        owner = (self.user_id | self.team_id.user_id).filtered("active")[:1]
        owner = owner or self._get_billing_company()._get_billing_responsible()
        reader = activity.user_id or owner
        lead = self.with_context(lang=reader.lang)
        if reader.lang and reader.lang != self.env.lang:
            gaps = lead._get_billing_gaps()[lead]
        note = lead.billing_handoff_id._format_gaps(gaps)
        if activity:
            if activity.note != note:
                activity.note = note
            return
        self.activity_schedule(
            ACTIVITY_BLOCKED,
            date_deadline=fields.Date.context_today(self) + timedelta(days=1),
            note=note,
            user_id=owner.id,
        )

    def _close_billing_activity(self, type_xmlid):
        if self:
            self.activity_feedback(
                [type_xmlid], feedback=self.env._("Billing goes on by itself.")
            )
