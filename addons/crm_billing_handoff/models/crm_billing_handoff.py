import logging

from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.fields import Domain
from odoo.tools import unique

from .crm_billing_readiness_rule import blocking

_logger = logging.getLogger(__name__)

ACTIVITY_BLOCKED = "crm_billing_handoff.mail_activity_type_blocked"
ACTIVITY_BILLING = "crm_billing_handoff.mail_activity_type_billing"


class CrmBillingHandoff(models.Model):
    """A won opportunity on its way to an invoice: the queue, the log and the proof.

    The main flow starts in :meth:`_cron_process` (`crm_billing_handoff_job.py`) or at a
    button (:meth:`action_process`) and goes through :meth:`_process`: ready? → draft.
    What is missing is asked from `crm.billing.readiness.rule`, the draft is made in
    `crm_billing_handoff_draft.py`; how a win is queued and what wakes a blocked row is
    in `crm_billing_handoff_queue.py`. A deal has one live row: the unique index, not a
    search, keeps it from being billed twice.
    """

    _name = "crm.billing.handoff"
    _description = "Billing Handoff"
    _inherit = ["mail.thread", "mail.activity.mixin", "crm.billing.lock"]
    _order = "id desc"
    _check_company_auto = True

    lead_id = fields.Many2one(
        "crm.lead",
        string="Opportunity",
        required=True,
        readonly=True,
        ondelete="restrict",
        check_company=True,
    )
    company_id = fields.Many2one("res.company", required=True, index=True)
    state = fields.Selection(
        [
            ("pending", "Waiting"),
            ("blocked", "Blocked"),
            ("done", "Done"),
            ("cancelled", "Cancelled"),
        ],
        default="pending",
        required=True,
        readonly=True,
        index=True,
    )
    # Computed and given at once by the queue, so that winning computes nothing.
    user_id = fields.Many2one(
        "res.users",
        string="Salesperson",
        compute="_compute_from_lead",
        store=True,
        precompute=True,
        readonly=False,
        index=True,
    )
    team_id = fields.Many2one(
        "crm.team",
        string="Sales Team",
        compute="_compute_from_lead",
        store=True,
        precompute=True,
        readonly=False,
    )
    account_id = fields.Many2one(
        "res.partner",
        compute="_compute_from_lead",
        store=True,
        precompute=True,
        readonly=False,
        index="btree_not_null",
    )
    bill_to_id = fields.Many2one(
        "res.partner",
        string="Paid By",
        index="btree_not_null",
        ondelete="restrict",
        check_company=True,
        tracking=True,
        domain="[('parent_id', '=', False)]",
        help="Pays this deal. Comes before the invoice address of the quotation, which "
        "comes before the payer of the account, which comes before the account itself.",
    )
    payer_id = fields.Many2one(
        "res.partner",
        compute="_compute_payer_id",
        store=True,
        precompute=True,
        readonly=False,
        index="btree_not_null",
        help="The account that pays, by the order of precedence.",
    )
    payer_source = fields.Selection(
        [
            ("handoff", "Chosen here"),
            ("quotation", "Quotation"),
            ("account", "Account"),
            ("buyer", "The account itself"),
        ],
        compute="_compute_payer_id",
        store=True,
        precompute=True,
        readonly=False,
    )
    order_id = fields.Many2one(
        "sale.order",
        string="Quotation",
        index="btree_not_null",
        check_company=True,
        domain="[('opportunity_id', '=', lead_id), ('state', '!=', 'cancel')]",
        help="What the draft is made from. Choose it here if the deal has several.",
    )
    order_ids = fields.One2many(related="lead_id.order_ids", string="All Quotations")
    move_ids = fields.Many2many(related="lead_id.billing_move_ids", string="Invoices")
    missing = fields.Json(
        readonly=True, copy=False, help="The readiness list when it was last looked at."
    )
    billing_error = fields.Text(readonly=True, copy=False)
    to_recheck = fields.Boolean(readonly=True, copy=False)
    is_held = fields.Boolean(
        readonly=True, copy=False, help="Won in bulk: waits until a person releases it."
    )
    currency_id = fields.Many2one(related="company_id.currency_id")
    won_date = fields.Datetime(related="lead_id.date_closed", string="Won On")
    expected_revenue = fields.Monetary(
        related="lead_id.expected_revenue", tracking=False
    )
    billing_state = fields.Selection(related="lead_id.billing_state")
    readiness = fields.Json(compute="_compute_readiness")

    _live_lead_uniq = models.UniqueIndex(
        "(lead_id) WHERE state != 'cancelled'",
        "This opportunity already has a handoff: open it instead of making another.",
    )
    _queue_idx = models.Index("(id) WHERE state = 'pending' OR to_recheck IS TRUE")

    # === COMPUTE METHODS === #

    @api.depends("lead_id.name")
    def _compute_display_name(self):
        for handoff in self:
            # The accountant, who cannot open deals, knows it by the deal's name.
            handoff.display_name = handoff.lead_id.sudo().name or ""

    @api.depends(
        "lead_id.user_id",
        "lead_id.team_id",
        "lead_id.partner_id.commercial_partner_id",
    )
    def _compute_from_lead(self):
        for handoff in self:
            lead = handoff.lead_id
            handoff.user_id = lead.user_id
            handoff.team_id = lead.team_id
            handoff.account_id = lead.partner_id.commercial_partner_id

    @api.depends(
        "bill_to_id",
        "account_id.bill_to_id",
        "order_id.partner_invoice_id.commercial_partner_id",
        "lead_id.order_ids.partner_invoice_id.commercial_partner_id",
        "lead_id.order_ids.state",
    )
    def _compute_payer_id(self):
        for handoff in self:
            orders = handoff.lead_id._get_billing_orders(handoff.order_id)
            source, payer = handoff._get_payer_and_source(orders)
            handoff.payer_id = payer
            handoff.payer_source = source or "buyer"

    @api.depends("state", "missing", "bill_to_id", "order_id", "write_date")
    def _compute_readiness(self):
        live = self.filtered(lambda handoff: handoff.state in ("pending", "blocked"))
        gaps = live.lead_id._get_billing_gaps()
        for handoff in self:
            handoff.readiness = gaps.get(handoff.lead_id, []) if handoff in live else []

    def _get_payer_and_source(self, orders):
        """Return ``(source, payer)`` by precedence: here, quotation, account, buyer.

        Of several orders the first one that names another payer counts.
        """
        # Iterating keeps the prefetch of a whole chunk, slicing would lose it.
        order = next(iter(orders), orders)
        account = self.account_id
        invoiced = order.partner_invoice_id.commercial_partner_id
        # What a quotation proposes by itself, buyer or payer, is no choice of another.
        proposed = account | account.bill_to_id.commercial_partner_id
        return account._get_payer_and_source(
            ("handoff", self.bill_to_id.commercial_partner_id),
            ("quotation", invoiced - proposed),
        )

    # === CONSTRAINT METHODS === #

    @api.constrains("order_id")
    def _check_order(self):
        for handoff in self:
            if handoff.order_id.opportunity_id not in (
                handoff.lead_id,
                handoff.lead_id.browse(),
            ):
                raise ValidationError(
                    self.env._(
                        "%(order)s belongs to another deal than %(deal)s.",
                        order=handoff.order_id.name,
                        deal=handoff.display_name,
                    )
                )

    # === CRUD METHODS === #

    def write(self, vals):
        result = super().write(vals)
        if {"bill_to_id", "order_id"} & set(vals):
            blocked = self.filtered(lambda handoff: handoff.state == "blocked")
            if blocked:
                self._wake(Domain("id", "in", blocked.ids))
        if "order_id" in vals and not self.env.context.get("tracking_disable"):
            # Not tracked: the job fills it for each deal, without a message.
            order = self.env["sale.order"].browse(vals["order_id"])
            body = self.env._("To be billed: %(order)s", order=order.name or "")
            self._message_log_batch(bodies={handoff.id: body for handoff in self})
        return result

    @api.ondelete(at_uninstall=False)
    def _unlink_except_cancelled(self):
        if any(handoff.state != "cancelled" for handoff in self):
            raise UserError(
                self.env._(
                    "A handoff is the proof of what was billed: it is cancelled by "
                    "taking the deal out of won, not deleted."
                )
            )

    # === ACTION METHODS === #

    def action_process(self):
        """Process the handoffs now instead of waiting for the job.

        Safe to call again: what is done stays as it is.

        :return: an action to the one draft that came out, else ``True``
        :raise AccessError: a salesperson calls it on the deal of somebody else
        """
        self._check_can_process()
        # Drafts are made as superuser: Sales has no right to write invoices.
        handoffs = self.sudo()
        handoffs._lock_and_wait()
        handoffs.filtered("is_held").write({"is_held": False})
        handoffs._process_or_bisect()
        if (
            len(self) == 1
            and self.state == "done"
            and self.env.user.has_group("account.group_account_invoice")
        ):
            return self.action_view_moves()
        return True

    def action_view_moves(self):
        """Open the invoices of the deal."""
        return self.env["account.move"]._get_billing_action(self.move_ids)

    def action_view_lead(self):
        """Open the deal."""
        self.ensure_one()
        return {
            "type": "ir.actions.act_window",
            "res_model": "crm.lead",
            "res_id": self.lead_id.id,
            "view_mode": "form",
        }

    def _check_can_process(self):
        """Let Billing process everything, Sales the deals that are its own."""
        if self.env.su or self.env.user.has_group(
            "crm_billing_handoff.group_billing_user"
        ):
            return
        try:
            self.lead_id.check_access("write")
        except AccessError as error:
            raise AccessError(
                self.env._(
                    "You can hand off your own deals only. Ask the owner of the deal "
                    "or a billing clerk."
                )
            ) from error

    def _filtered_live(self):
        """Return the handoffs that count: a cancelled one is history."""
        return self.filtered(lambda handoff: handoff.state != "cancelled")

    # === BUSINESS METHODS - PROCESS === #

    def _process(self):
        """Block what is not ready, make drafts of the rest."""
        todo = self.filtered(lambda handoff: handoff.state in ("pending", "blocked"))
        later = todo._filtered_later()
        todo -= later
        lost = todo.filtered(lambda handoff: handoff.lead_id.won_status != "won")
        lost._cancel_or_keep()
        todo -= lost
        leads = todo.lead_id.filtered(lambda lead: lead.type == "lead")
        leads.type = "opportunity"  # quotations and reports know opportunities only
        todo._follow_orders()
        gaps_by_lead = todo.lead_id._get_billing_gaps()
        ready = todo.filtered(
            lambda handoff: not blocking(gaps_by_lead[handoff.lead_id])
        )
        for handoff in todo - ready:
            gaps = gaps_by_lead[handoff.lead_id]
            if {gap["code"] for gap in blocking(gaps)} == {"undelivered"}:
                # Only a confirmed order can be delivered.
                orders = handoff.lead_id._get_billing_orders(handoff.order_id)
                orders._confirm_for_billing()
            handoff._set_blocked(gaps)
        if ready:
            recurring = ready._filtered_for_agreement()
            drafts = recurring._make_agreements().move_ids
            drafts |= (ready - recurring)._make_drafts()
            billed = ready.filtered(
                lambda handoff: handoff.move_ids or handoff.agreement_id
            )
            billed._set_done(drafts)
            for handoff in ready - billed:
                handoff._set_error(handoff._get_nothing_billed_error())
        if later:
            later._process()

    def _filtered_later(self):
        """Return what waits for another deal on the same PO, whose limit it shares."""
        seen, later = set(), self.browse()
        for handoff in self:
            if not handoff.account_id.po_amount_limit:
                continue
            if handoff.account_id in seen:
                later |= handoff
            seen.add(handoff.account_id)
        return later

    def _get_nothing_billed_error(self):
        """Return why a handoff is not done although nothing seems to be missing."""
        return UserError(
            self.env._(
                "%(deal)s leaves nothing to invoice: %(orders)s. Check quantities and "
                "the invoicing policy of the products, then press “Process now”.",
                deal=self.display_name,
                orders=", ".join(self.lead_id.order_ids.mapped("name"))
                or self.env._("there is no quotation"),
            )
        )

    def _follow_orders(self):
        """Take company and payer from deal and quotations, as they are by now."""
        self.lead_id._prefetch_for_billing()
        for handoff in self:
            orders = handoff.lead_id._get_billing_orders(handoff.order_id)
            company = handoff.lead_id.company_id or orders.company_id
            if len(company) == 1 and company != handoff.company_id:
                handoff.company_id = company
        self._compute_payer_id()

    def _set_state(self, state, **vals):
        values = {"state": state, "to_recheck": False, "is_held": False, **vals}
        self.with_context(tracking_disable=True).write(values)

    def _set_done(self, drafts):
        """Close the handoffs; the log tells new ``drafts`` from what was billed."""
        released = self.filtered(lambda handoff: handoff.state == "blocked")
        self._set_state("done", missing=False, billing_error=False)
        if released:
            released.lead_id._close_billing_activity(ACTIVITY_BLOCKED)
            released.activity_feedback([ACTIVITY_BILLING])
        self.env["crm.billing.event"]._log(
            [handoff._prepare_event("released") for handoff in released]
            + [
                handoff._prepare_event(
                    "drafted" if handoff.move_ids & drafts else "already_billed"
                )
                for handoff in self
                if handoff.move_ids
            ]
        )

    def _set_blocked(self, gaps):
        """Keep the list of what is missing and ask the deal's owner once."""
        self.ensure_one()
        known = self.missing or []
        was_blocked = self.state == "blocked"
        self._set_state("blocked", missing=gaps, billing_error=False)
        self.lead_id._ask_for_billing_data(gaps)
        if not was_blocked or known != gaps:
            note = ", ".join(unique(gap["name"] for gap in blocking(gaps)))
            self.env["crm.billing.event"]._log(
                [{**self._prepare_event("blocked"), "note": note}]
            )

    def _set_error(self, error):
        """Keep why the handoff failed, in words, and ask Billing once."""
        if isinstance(error, UserError):
            reason = str(error.args[0]) if error.args else str(error)
        else:
            _logger.exception("Handoff %s failed", self.id)
            reason = self.env._(
                "The draft could not be made: %(error)s. Tell your administrator.",
                error=error,
            )
        is_known = self.state == "blocked" and self.billing_error == reason
        self._set_state("blocked", billing_error=reason, missing=False)
        self._ask_billing(self.env._("The draft could not be made"), reason)
        if not is_known:
            self.env["crm.billing.event"]._log(
                [{**self._prepare_event("blocked"), "note": reason}]
            )

    def _ask_billing(self, summary, note):
        """Leave one task for Billing on the handoff; an open one is renewed."""
        self.ensure_one()
        activity = self.activity_search([ACTIVITY_BILLING])[:1]
        if activity:
            activity.write({"summary": summary, "note": note})
            return
        self.activity_schedule(
            ACTIVITY_BILLING,
            summary=summary,
            note=note,
            user_id=self.company_id._get_billing_responsible().id,
        )

    def _prepare_event(self, action):
        return {
            "action": action,
            "handoff_id": self.id,
            "lead_id": self.lead_id.id,
            "partner_id": self.account_id.id,
            "company_id": self.company_id.id,
            "move_id": self.move_ids[:1].id,
        }
