from odoo import api, fields, models
from odoo.exceptions import AccessError, RedirectWarning, UserError

ACTIVITY_MILESTONE = "crm_billing_handoff.mail_activity_type_milestone"
GROUP_BILLING = "crm_billing_handoff.group_billing_user"


class CrmBillingMilestone(models.Model):
    """Done once, billed once (billing rules, 5.3)."""

    _inherit = "crm.billing.milestone"

    can_mark_done = fields.Boolean(compute="_compute_can_mark_done")

    # === COMPUTE METHODS === #

    @api.depends("user_id", "seller_id", "company_id")
    @api.depends_context("uid")
    def _compute_can_mark_done(self):
        for milestone in self:
            milestone.can_mark_done = milestone._may_mark_done()

    # === ACTION METHODS === #

    def action_mark_done(self, date=None):
        """Say that milestones are done; those of running agreements are billed at once.

        For the person responsible, Billing, and where the company allows it the
        salesperson. What is done already stays as it is.

        :param date: the local day of the account on which it was done, today by default
        :return: True, or a notice where a draft could not be made
        :raise AccessError: the user is none of them
        :raise UserError: the day has not come yet
        """
        self._check_can_mark_done()
        # The responsible person marks; the flow writes and bills.
        todo = self.sudo().filtered(lambda entry: entry.state == "open")
        for milestone in todo:
            today = milestone._get_today()
            day = fields.Date.to_date(date) or today
            if day > today:
                raise UserError(
                    self.env._(
                        "%(milestone)s cannot be done on %(day)s already. Mark it on "
                        "that day.",
                        milestone=milestone.name,
                        day=day,
                    )
                )
            milestone.write({"done_date": day, "done_uid": self.env.uid})
        todo._close_task()
        todo._log_event("milestone_done")
        # What is done is owed, also where the agreement had ended by then.
        todo.agreement_id._reopen()
        running = todo.agreement_id.filtered(
            lambda agreement: agreement.state == "running"
        )
        # Two people who tick at once: the second one waits and finds it billed.
        running._lock_and_wait()
        running._bill_at_once()
        stuck = todo.filtered(
            lambda entry: entry.state == "done" and entry.agreement_id in running
        )
        return stuck._tell_why_not_billed() if stuck else True

    def action_mark_undone(self):
        """Take *done* back, and the draft with it; a posted invoice stays.

        What is not done stays as it is.

        :raise AccessError: the user may not mark the milestone
        :raise RedirectWarning: it is on a posted invoice; a credit note is offered
        """
        self._check_can_mark_done()
        todo = self.sudo().filtered(lambda entry: entry.state != "open")
        for milestone in todo:
            milestone._check_not_posted()
        todo._take_back_bill()
        todo.write({"done_date": False, "done_uid": False})
        todo._plan_task()
        todo._log_event("milestone_undone")
        return True

    def action_view_move(self):
        """Open the invoice of the milestone."""
        self.check_access("read")
        return self.env["account.move"]._get_billing_action(self.move_id)

    # === BUSINESS METHODS === #

    def _may_mark_done(self):
        self.ensure_one()
        user = self.env.user
        if self.env.su or user.has_group(GROUP_BILLING) or self.user_id == user:
            return True
        if not self.company_id.sudo().billing_sales_mark_done:
            return False
        if user.has_group("sales_team.group_sale_salesman_all_leads"):
            return True
        is_seller = user.has_group("sales_team.group_sale_salesman")
        return is_seller and self.seller_id == user

    def _check_can_mark_done(self):
        self.check_access("read")
        for milestone in self:
            if not milestone._may_mark_done():
                raise AccessError(
                    self.env._(
                        "Only the person responsible (%(user)s) and Billing can say "
                        "whether %(milestone)s is done.",
                        user=milestone.sudo().user_id.name or self.env._("nobody yet"),
                        milestone=milestone.name,
                    )
                )

    def _tell_why_not_billed(self):
        """Return the notice that Billing has to look at what is done."""
        agreements = self.agreement_id
        reasons = [
            agreement.billing_error
            or self.env._("%(agreement)s waits for Billing.", agreement=agreement.name)
            for agreement in agreements
        ]
        return {
            "type": "ir.actions.client",
            "tag": "display_notification",
            "params": {
                "type": "warning",
                "sticky": True,
                "title": self.env._("Done, but not invoiced yet"),
                "message": " ".join(reasons),
                "next": {"type": "ir.actions.act_window_close"},
            },
        }

    def _get_today(self):
        """Return the local date of the account."""
        account = self.partner_id
        zone = account.billing_tz or self.company_id.billing_tz or "UTC"
        return fields.Date.context_today(self.with_context(tz=zone))

    def _check_not_posted(self):
        bill = self._get_bill()
        move = bill.move_id
        if move.state != "posted" or bill._is_taken_back():
            return
        raise RedirectWarning(
            self.env._(
                "%(milestone)s is on %(invoice)s, which is posted. Credit the invoice "
                "instead of taking the milestone back.",
                milestone=self.name,
                invoice=move.name,
            ),
            self.env.ref("account.action_view_account_move_reversal").id,
            self.env._("Make a credit note"),
            {"active_model": "account.move", "active_ids": move.ids},
        )

    def _take_back_bill(self):
        """Remove ledger rows and lines from drafts; an empty draft goes as a whole."""
        rows = self.period_ids.filtered(
            lambda row: row.kind in ("milestone", "deposit_recovery")
        )
        # What a credit note has taken back stays in the ledger, free of the milestone.
        credited = self._get_bill()._filtered_posted().move_id
        proof = rows.filtered(lambda row: row.move_id in credited)
        proof.milestone_id = False
        rows -= proof
        lines, moves = rows.move_line_id, rows.move_id
        rows.unlink()
        flow = lines.with_context(billing_milestone_undone=True)
        flow.unlink()
        empty = moves.filtered(
            lambda move: (
                not move.invoice_line_ids.filtered(
                    lambda line: line.display_type == "product"
                )
            )
        )
        (moves - empty)._drop_empty_sections()
        empty.unlink()

    def _log_event(self, action):
        self.env["crm.billing.event"]._log(
            [
                {
                    "action": action,
                    "agreement_id": milestone.agreement_id.id,
                    "lead_id": milestone._get_lead().id,
                    "partner_id": milestone.partner_id.id,
                    "company_id": milestone.company_id.id,
                    "note": milestone.name,
                }
                for milestone in self
            ]
        )

    def _get_lead(self):
        return self.lead_id or self.agreement_id.lead_id or self.order_id.opportunity_id

    # === BUSINESS METHODS - TASK === #

    def _plan_task(self):
        """Remind the person responsible on the expected day, once it is handed over."""
        for milestone in self.sudo():
            wanted = (
                milestone.active
                and milestone.state == "open"
                and milestone.line_id
                and milestone.expected_date
                and milestone.user_id
            )
            task = milestone.activity_search([ACTIVITY_MILESTONE])[:1]
            if not wanted:
                task.unlink()
            elif task:
                task.write(
                    {
                        "date_deadline": milestone.expected_date,
                        "user_id": milestone.user_id.id,
                    }
                )
            else:
                milestone.activity_schedule(
                    ACTIVITY_MILESTONE,
                    date_deadline=milestone.expected_date,
                    summary=self.env._("Is “%(name)s” done?", name=milestone.name),
                    user_id=milestone.user_id.id,
                )

    def _close_task(self):
        self.activity_feedback([ACTIVITY_MILESTONE])


class CrmBillingPeriod(models.Model):
    _inherit = "crm.billing.period"

    def _is_taken_back(self):
        """Return whether posted credit notes give the whole row back."""
        self.ensure_one()
        posted = self.credit_ids._filtered_posted()
        left = self.amount + sum(posted.mapped("amount"))
        return bool(posted) and self.currency_id.compare_amounts(left, 0) <= 0

    def _filtered_posted(self):
        return self.filtered(lambda row: row.move_id.state == "posted")


class ResCompany(models.Model):
    _inherit = "res.company"

    billing_sales_mark_done = fields.Boolean(
        string="Salespeople mark milestones as done",
        default=True,
        help="Those of their own deals. The person responsible and Billing always can.",
    )


class CrmBillingEvent(models.Model):
    _inherit = "crm.billing.event"

    action = fields.Selection(
        selection_add=[
            ("milestone_done", "Milestone done"),
            ("milestone_undone", "Milestone undone"),
        ],
        ondelete={"milestone_done": "cascade", "milestone_undone": "cascade"},
    )
