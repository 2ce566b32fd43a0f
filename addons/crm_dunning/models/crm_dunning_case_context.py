"""What a collector wants to know: the story, the habits, the suggested next step."""

from collections import defaultdict
from datetime import timedelta

from markupsafe import Markup

from odoo import api, fields, models
from odoo.tools import SQL, babel_locale_parse, format_datetime

from ..dunning_rules.habits import CaseFacts, PaidInvoice, get_habits, suggest

HABIT_DAYS = 730  # what was paid longer ago says little


class CrmDunningCase(models.Model):
    """The context of a case, read when its form is opened."""

    _inherit = "crm.dunning.case"

    days_overdue = fields.Integer(
        compute="_compute_days_overdue",
        search="_search_days_overdue",
        aggregator="max",
        help="Since the due date of the oldest open instalment, where the payer is.",
    )
    age_bucket = fields.Selection(
        [
            ("0", "Not due"),
            ("1", "1–30 days"),
            ("2", "31–60 days"),
            ("3", "61–90 days"),
            ("4", "91–120 days"),
            ("5", "Over 120 days"),
        ],
        string="Age",
        compute="_compute_days_overdue",
    )
    service_tier_id = fields.Many2one(related="partner_id.service_tier_id", store=True)
    can_retry = fields.Boolean(compute="_compute_can_retry")
    timeline = fields.Html(compute="_compute_timeline", sanitize=False)
    habits_note = fields.Char(string="Usually Pays", compute="_compute_suggestion")
    suggestion = fields.Char(
        string="Suggested Next Step", compute="_compute_suggestion"
    )
    charger_note = fields.Char(
        string="Who May Charge Now", compute="_compute_charger_note"
    )
    attempt_count = fields.Integer(compute="_compute_counts")
    notice_count = fields.Integer(compute="_compute_counts")
    lead_count = fields.Integer(compute="_compute_counts")
    ap_contact_id = fields.Many2one("res.partner", compute="_compute_ap_contact_id")
    ap_phone = fields.Char(string="Phone", compute="_compute_ap_contact_id")
    ap_email = fields.Char(string="Email", compute="_compute_ap_contact_id")

    # === COMPUTE METHODS === #

    @api.depends("date_due", "state")
    def _compute_days_overdue(self):
        limits = (0, 30, 60, 90, 120)
        for case in self:
            days = (case._get_today() - case.date_due).days if case.date_due else 0
            case.days_overdue = max(days, 0) if case.state != "closed" else 0
            case.age_bucket = str(sum(case.days_overdue > limit for limit in limits))

    @api.model
    def _search_days_overdue(self, operator, value):
        """Search by due date; who searches lives about where the payers do."""
        turned = {">": "<", ">=": "<=", "<": ">", "<=": ">="}
        if operator not in turned:
            return NotImplemented
        day = fields.Date.context_today(self) - timedelta(days=value)
        return [("state", "!=", "closed"), ("date_due", turned[operator], day)]

    @api.depends("attempt_ids", "notice_line_ids")
    @api.depends_context("uid")
    def _compute_counts(self):
        for case in self:
            # The case is what one may see; its story goes with it.
            sudo = case.sudo()
            case.attempt_count = len(sudo.attempt_ids)
            case.notice_count = len(sudo.notice_line_ids.notice_id)
            leads = sudo.move_id.opportunity_ids.sudo(self.env.su)
            case.lead_count = len(leads._filtered_access("read"))

    @api.depends("partner_id", "state")
    def _compute_can_retry(self):
        """Show the button where something is saved that can be charged."""
        for case in self:
            move = case.sudo().move_id
            case.can_retry = case.state != "closed" and bool(
                move._filtered_with_method()
            )

    @api.depends("partner_id", "move_id")
    def _compute_ap_contact_id(self):
        for case in self:
            contact = case.partner_id.billing_contact_id or case.move_id.partner_id
            case.ap_contact_id = contact
            case.ap_phone, case.ap_email = contact.phone, contact.email

    @api.depends("state", "next_try_at", "collector", "collector_until", "can_retry")
    @api.depends_context("lang", "tz")
    def _compute_charger_note(self):
        """Say who may take money for the invoice now: one at a time (idea 8)."""
        _ = self.env._
        for case in self:
            if case.state == "closed":
                case.charger_note = _("Nobody: the case is closed")
            elif case.collector:
                labels = case._fields["collector"]._description_selection(self.env)
                case.charger_note = dict(labels)[case.collector]
                if case.collector_until:
                    case.charger_note = _(
                        "%(who)s, until %(time)s",
                        who=case.charger_note,
                        time=format_datetime(self.env, case.collector_until),
                    )
            elif case.state in ("promise", "hold", "dispute"):
                case.charger_note = _("Nobody: everything waits")
            elif case.state == "person" and case.can_retry:
                case.charger_note = _("Billing, with “Retry now”; the customer, online")
            elif case.next_try_at:
                case.charger_note = _("The machine, as planned; the customer, online")
            else:
                case.charger_note = _("The customer, online")

    @api.depends("state", "reason", "attempt_ids", "notice_line_ids")
    @api.depends_context("lang")
    def _compute_suggestion(self):
        habits = self._read_habits_of(self.partner_id)
        for case in self:
            known = habits[case.partner_id.id, case.company_id.id]
            case.habits_note = case._describe_habits(known)
            if case.state == "closed":
                case.suggestion = False
                continue
            found = suggest(case._to_facts(known))
            case.suggestion = case._describe_suggestion(found)

    @api.depends("state", "attempt_ids.state", "notice_line_ids", "amount_residual")
    @api.depends_context("lang", "tz")
    def _compute_timeline(self):
        for case in self:
            rows = sorted(case.sudo()._get_timeline(), reverse=True)
            case.timeline = Markup("<table class='table table-sm'>%s</table>") % (
                Markup("").join(
                    Markup("<tr><td class='text-nowrap text-muted'>%s</td><td>%s</td>")
                    % (format_datetime(self.env, at, dt_format="short"), text)
                    + Markup("</tr>")
                    for at, text in rows
                )
            )

    # === BUSINESS METHODS - TIMELINE === #

    def _get_timeline(self):
        """Return ``(instant, words)`` of all that happened, in no order."""
        self.ensure_one()
        return [
            *self._get_event_rows(),
            *self._get_notice_rows(),
            *self._get_attempt_rows(),
            *self._get_payment_rows(),
            *self._get_reply_rows(),
        ]

    def _get_event_rows(self):
        labels = dict(
            self.env["crm.billing.event"]
            ._fields["action"]
            ._description_selection(self.env)
        )
        for event in self.billing_event_ids:
            words = [labels[event.action], event.note, event.user_id.name]
            yield event.create_date, " · ".join(word for word in words if word)

    def _get_notice_rows(self):
        for notice in self.notice_line_ids.notice_id:
            if notice.kind == "record":
                continue
            state = dict(notice._fields["state"]._description_selection(self.env))
            to = ", ".join(notice.recipient_ids.mapped("display_name"))
            words = [notice.subject, state[notice.state], to, notice.reason]
            yield notice.create_date, " · ".join(word for word in words if word)

    def _get_attempt_rows(self):
        for attempt in self.attempt_ids:
            state = dict(attempt._fields["state"]._description_selection(self.env))
            words = [
                self.env._(
                    "Charge of %(amount)s",
                    amount=attempt.currency_id.format(attempt.amount),
                ),
                state[attempt.state],
                attempt.message,
            ]
            yield (
                attempt.settled_at or attempt.create_date,
                " · ".join(word for word in words if word),
            )

    def _get_payment_rows(self):
        for match in self.move_id.line_ids.matched_credit_ids:
            yield (
                match.create_date,
                self.env._(
                    "Paid or credited: %(amount)s (%(name)s)",
                    amount=match.debit_currency_id.format(match.debit_amount_currency),
                    name=match.credit_move_id.move_name or "",
                ),
            )

    def _get_reply_rows(self):
        """What people outside wrote in the thread of the invoice."""
        messages = self.move_id.message_ids.filtered(
            lambda message: (
                message.message_type in ("email", "comment")
                and message.author_id
                and not message.author_id.user_ids.filtered(lambda user: not user.share)
            )
        )
        for message in messages:
            yield (
                message.date,
                self.env._(
                    "%(author)s wrote: %(text)s",
                    author=message.author_id.display_name,
                    text=(message.preview or message.subject or "")[:200],
                ),
            )

    # === BUSINESS METHODS - HABITS === #

    @api.model
    def _read_habits_of(self, payers):
        """Return ``{(payer id, company id): Habits}`` from what was paid, one query."""
        self.env.flush_all()
        rows = self.env.execute_query(
            SQL(
                """
                SELECT move.commercial_partner_id, move.company_id,
                       line.date_maturity, paid.paid_on, said.mails
                  FROM account_move_line line
                  JOIN account_move move ON move.id = line.move_id
                  JOIN LATERAL (
                       SELECT max(match.max_date) AS paid_on,
                              bool_or(credit.move_type = 'out_refund') AS is_credited
                         FROM account_partial_reconcile match
                         JOIN account_move_line other ON other.id = match.credit_move_id
                         JOIN account_move credit ON credit.id = other.move_id
                        WHERE match.debit_move_id = line.id) paid ON TRUE
                  JOIN LATERAL (
                       SELECT count(*) AS mails FROM crm_dunning_notice_line listed
                         JOIN crm_dunning_notice notice
                           ON notice.id = listed.notice_id AND notice.state = 'sent'
                        WHERE listed.line_id = line.id AND listed.kind = 'listed'
                          AND listed.date <= paid.paid_on) said ON TRUE
                 WHERE move.move_type = 'out_invoice' AND line.reconciled
                   AND line.display_type = 'payment_term'
                   AND line.parent_state = 'posted'
                   AND line.date_maturity >= %(first)s
                   AND paid.paid_on IS NOT NULL AND NOT paid.is_credited
                   AND move.commercial_partner_id = ANY(%(payers)s)
                """,
                first=fields.Date.today() - timedelta(days=HABIT_DAYS),
                payers=payers.ids,
            )
        )
        paid = defaultdict(list)
        for payer_id, company_id, due, paid_on, mails in rows:
            paid[payer_id, company_id].append(PaidInvoice(due, paid_on, mails))
        return defaultdict(
            lambda: get_habits([]),
            {key: get_habits(found) for key, found in paid.items()},
        )

    def _describe_habits(self, habits):
        """Return the habits in one line, nothing for a payer that has paid nothing."""
        _ = self.env._
        if not habits.count:
            return _("No invoice paid yet")
        days = round(habits.days_late)
        if days > 0:
            words = [_("%(days)s days late on average", days=days)]
        elif days < 0:
            words = [_("%(days)s days early on average", days=-days)]
        else:
            words = [_("on time on average")]
        words[0] += " " + _("(%(count)s paid)", count=habits.count)
        if habits.weekday is not None:
            names = babel_locale_parse(self.env.lang).days["format"]["wide"]
            words.append(_("mostly on %(weekday)s", weekday=names[habits.weekday]))
        if habits.after_first_mail is not None:
            share = round(habits.after_first_mail * 100)
            words.append(_("%(share)s %% after the first reminder", share=share))
        return ", ".join(words)

    # === BUSINESS METHODS - NEXT STEP === #

    def _to_facts(self, habits):
        self.ensure_one()
        sudo = self.sudo()
        payer = sudo.partner_id
        return CaseFacts(
            reason=self.reason or "",
            days_late=self.days_overdue,
            habits=habits,
            unread_replies=int(self.reason == "reply" and self.state == "person"),
            is_reachable=bool(
                self.env["crm.dunning.notice"].sudo()._get_recipients(payer)
            ),
            has_method=bool(sudo.move_id._filtered_with_method()),
            broken_promises=self.promise_broken_count,
        )

    def _describe_suggestion(self, suggestion):
        _ = self.env._
        return {
            "read_reply": _("Read what the customer wrote, and answer"),
            "call": _("Call the customer"),
            "answer_dispute": _("Settle what is disputed"),
            "check_provider": _("Look at the payment at the provider"),
            "find_address": _("Find an address that takes mail"),
            "check_refund": _("Find out why the payment was returned"),
            "ask_method": _("Ask for another payment method"),
            "agree_instalments": _("Agree on instalments, in writing"),
            "wait": _("Wait: this payer is only as late as always"),
        }[suggestion.step]

    # === ACTION METHODS === #

    def action_view_pay_link(self):
        """Open core's dialog with the pay link of what is open, to be copied."""
        self.ensure_one()
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "account_payment.action_invoice_order_generate_link"
        )
        action["context"] = {
            "active_model": "account.move",
            "active_id": self.move_id.id,
        }
        return action

    def action_view_move(self):
        """Open the invoice."""
        self.ensure_one()
        return {
            "type": "ir.actions.act_window",
            "res_model": "account.move",
            "res_id": self.move_id.id,
            "view_mode": "form",
        }

    def action_view_account(self):
        """Open the account that pays."""
        self.ensure_one()
        return {
            "type": "ir.actions.act_window",
            "res_model": "res.partner",
            "res_id": self.partner_id.id,
            "view_mode": "form",
        }

    def action_view_attempts(self):
        """Open the charges of the invoice."""
        return self._open_list(self.env._("Charges"), "crm.dunning.attempt", "case_id")

    def action_view_notices(self):
        """Open the reminders that named the invoice."""
        return self._open_list(
            self.env._("Reminders"), "crm.dunning.notice", "line_ids.case_id"
        )

    def action_view_leads(self):
        """Open the deals behind the invoice."""
        return self.move_id.action_view_opportunities()

    def _open_list(self, name, model, link):
        return {
            "type": "ir.actions.act_window",
            "name": name,
            "res_model": model,
            "view_mode": "list,form",
            "domain": [(link, "in", self.ids)],
        }
