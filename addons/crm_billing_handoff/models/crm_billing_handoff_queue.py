from collections import defaultdict

import psycopg2

from odoo import api, models
from odoo.exceptions import ConcurrencyError
from odoo.fields import Domain
from odoo.tools import SQL

from .crm_billing_handoff import ACTIVITY_BILLING, ACTIVITY_BLOCKED

WAKE_KEY = "crm.billing.handoff.wake"


class CrmBillingHandoff(models.Model):
    """How deals come into the queue, leave it, and wake up in it."""

    _inherit = "crm.billing.handoff"

    # === BUSINESS METHODS - THE QUEUE === #

    @api.model
    def _queue(self, leads, won_now=False):
        """Queue won ``leads``: one live row each, the work is the job's.

        Winning waits for this, so it reads what it needs in one query.

        :param won_now: the deals were won just now, perhaps not for the first time
        :return: the new rows
        """
        facts = self._get_queue_facts(leads)
        live = self.browse(fact["handoff_id"] for fact in facts if fact["handoff_id"])
        if won_now:
            live._welcome_back()
        new = [fact for fact in facts if not fact["handoff_id"]]
        if not new:
            return self.browse()
        limit = self.env.company.billing_bulk_win_limit
        held = bool(limit) and len(new) > limit
        queued = leads.browse(fact["lead_id"] for fact in new)
        plain = queued._filtered_without_billing()
        plain._show_queued("blocked" if held else "waiting")
        silent = self.with_context(
            tracking_disable=True, mail_create_nolog=True, mail_create_nosubscribe=True
        )
        vals_list = [self._prepare_handoff(fact, held) for fact in new]
        try:
            with plain._protecting_billing_state():
                handoffs = silent.create(vals_list)
        except psycopg2.errors.UniqueViolation as error:
            # Somebody else queued a deal just now: Odoo repeats the call and finds it.
            raise ConcurrencyError(str(error)) from error
        if held:
            handoffs._ask_to_release()
        self._forget_waking(queued)
        self._trigger_job()
        return handoffs

    @api.model
    def _get_queue_facts(self, leads):
        """Return a dict a lead: its live handoff, company, owner, account and payer.

        A deal without company takes the team's, else its owner's (B3). The payer is the
        account's; what a quotation says is looked at when the handoff is processed.
        """
        leads.flush_recordset()
        self.flush_model(["lead_id", "state"])
        self.env["res.partner"].flush_model(["commercial_partner_id", "bill_to_id"])
        self.env["crm.team"].flush_model(["company_id"])
        self.env["res.users"].flush_model(["company_id"])
        return self.env.execute_query_dict(
            SQL(
                """
                SELECT lead.id AS lead_id, handoff.id AS handoff_id,
                       COALESCE(lead.company_id, team.company_id, owner.company_id)
                           AS company_id,
                       lead.user_id, lead.team_id,
                       partner.commercial_partner_id AS account_id,
                       payer.commercial_partner_id AS payer_id
                  FROM crm_lead lead
             LEFT JOIN crm_team team ON team.id = lead.team_id
             LEFT JOIN res_users owner ON owner.id = lead.user_id
             LEFT JOIN res_partner partner ON partner.id = lead.partner_id
             LEFT JOIN res_partner account
                    ON account.id = partner.commercial_partner_id
             LEFT JOIN res_partner payer ON payer.id = account.bill_to_id
             LEFT JOIN crm_billing_handoff handoff
                    ON handoff.lead_id = lead.id AND handoff.state != 'cancelled'
                 WHERE lead.id IN %s
              ORDER BY lead.id
                """,
                tuple(leads.ids),
            )
        )

    @api.model
    def _prepare_handoff(self, fact, held):
        vals = {
            "lead_id": fact["lead_id"],
            "company_id": fact["company_id"] or self.env.company.id,
            "user_id": fact["user_id"],
            "team_id": fact["team_id"],
            "account_id": fact["account_id"],
            "payer_id": fact["payer_id"] or fact["account_id"],
            "payer_source": "account" if fact["payer_id"] else "buyer",
        }
        if held:
            vals |= {
                "state": "blocked",
                "is_held": True,
                "billing_error": self.env._(
                    "This deal was won together with many others by one action. "
                    "Nothing is billed before a person presses “Process now”."
                ),
            }
        return vals

    def _ask_to_release(self):
        """Leave one task a company for deals that were won in bulk, on the first."""
        for handoffs in self.grouped("company_id").values():
            first = handoffs[:1]
            first._ask_billing(
                self.env._("%(count)s deals were won at once", count=len(handoffs)),
                first.billing_error,
            )

    @api.model
    def _trigger_job(self):
        """Wake the job right after this transaction."""
        data = self.env["ir.model.data"]
        cron_id = data._xmlid_to_res_id("crm_billing_handoff.ir_cron_process_handoffs")
        # Everybody who wins a deal may wake the job, nobody may write it. One query
        # tells whether it is there and active; a deleted job must not stop a win.
        cron = (
            self.env["ir.cron"].sudo().search_fetch([("id", "=", cron_id)], ["active"])
        )
        if cron:
            cron._trigger()

    def _cancel_or_keep(self):
        """Follow deals that are no longer won.

        What has billed nothing is cancelled; what has billed stays, and a clerk is
        asked once what should happen to the invoice.
        """
        live = self._filtered_live()
        billed = live.filtered(
            lambda handoff: (
                handoff.move_ids._filtered_standing() or handoff._has_live_agreement()
            )
        )
        unbilled = live - billed
        unbilled._set_state("cancelled")
        # Written now: who counts the queries of a later read should not meet it there.
        unbilled.flush_recordset()
        unbilled.lead_id._close_billing_activity(ACTIVITY_BLOCKED)
        for handoff in billed:
            handoff._ask_billing(
                self.env._("Billed, not won"), handoff._get_unwound_note()
            )
        self.env["crm.billing.event"]._log(
            [handoff._prepare_event("cancelled") for handoff in unbilled]
            + [handoff._prepare_event("not_won") for handoff in billed]
        )

    def _get_unwound_note(self):
        """Return what a clerk has to decide about a deal that is won no more."""
        self.ensure_one()
        if self._has_live_agreement():
            return self.env._(
                "The deal %(deal)s was taken out of won, but its agreement "
                "%(agreement)s goes on billing. Cancel the agreement and credit what "
                "it billed, or win the deal again.",
                deal=self.display_name,
                agreement=self.agreement_id.name,
            )
        return self.env._(
            "The deal %(deal)s was taken out of won, but it has invoices. Credit them, "
            "or win the deal again.",
            deal=self.display_name,
        )

    def _welcome_back(self):
        """Go on with the handoffs of deals that were won again.

        What was credited meanwhile is billed again, the rest stays as it is.
        """
        for handoff in self:
            handoff.activity_feedback(
                [ACTIVITY_BILLING], feedback=self.env._("The deal was won again.")
            )
        credited = self.filtered(
            lambda handoff: (
                handoff.state == "done"
                and not handoff.move_ids._filtered_standing()
                and not handoff._has_live_agreement()
            )
        )
        if credited:
            credited._set_state("pending")
            self._trigger_job()

    # === BUSINESS METHODS - WAKE === #

    @api.model
    def _wake_later(self, field, ids):
        """Look before the commit whether blocked handoffs hang on ``ids``.

        Any write on a partner, order or deal comes here, so that it costs one query
        (more only where savepoints cut the transaction), whatever the number of writes.

        :param field: ``partner``, ``order`` or ``lead``; ``queued`` for deals to spare
        """
        data = self.env.cr.precommit.data.setdefault(WAKE_KEY, defaultdict(set))
        if not data:
            self.env.cr.precommit.add(self.sudo()._wake_collected)
        data[field].update(ids)

    @api.model
    def _forget_waking(self, leads):
        """Spare the deals that were queued just now: nothing of them is blocked."""
        self._wake_later("queued", leads.ids)

    @api.model
    def _wake_collected(self):
        data = self.env.cr.precommit.data.pop(WAKE_KEY, {})
        lead_ids = data.get("lead", set()) - data.get("queued", set())
        if not (lead_ids or data.get("partner") or data.get("order")):
            return
        partners = self.env["res.partner"].browse(data.get("partner", ())).exists()
        accounts = partners.commercial_partner_id.ids
        orders = self.env["sale.order"].browse(data.get("order", ())).exists()
        leads = [*lead_ids, *orders.opportunity_id.ids]
        self._wake(
            Domain("account_id", "in", accounts)
            | Domain("payer_id", "in", accounts)
            | Domain("lead_id", "in", leads)
        )

    @api.model
    def _wake(self, domain):
        blocked = self.sudo().search(
            Domain("state", "=", "blocked")
            & Domain("is_held", "=", False)
            & Domain("to_recheck", "=", False)
            & domain
        )
        if blocked:
            blocked.with_context(tracking_disable=True).write({"to_recheck": True})
            self._trigger_job()

    @api.model
    def _wake_all_blocked(self):
        """Have the job look again at everything that is blocked."""
        self._wake(Domain.TRUE)
