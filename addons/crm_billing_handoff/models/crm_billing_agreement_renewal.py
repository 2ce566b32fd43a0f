import logging
from datetime import timedelta
from fractions import Fraction

import psycopg2

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.fields import Command, Domain

from ..billing_rules.allocation import exact
from ..billing_rules.schedule import Anchor, Cadence

_logger = logging.getLogger(__name__)

DAY = timedelta(days=1)
# Kept by the next term as it is agreed now.
RENEWED_METHODS = ("flat", "usage")
# Why a line ended that the next term does not take up.
ENDED = ("cancel", "pause", "rebill")


class CrmBillingAgreement(models.Model):
    """The end of a term: notice, a deal about the next one, and the next one itself."""

    _inherit = "crm.billing.agreement"

    renewal_lead_days = fields.Integer(
        string="Ask Before Notice",
        default=30,
        help="Days before the notice date on which the salesperson gets an activity "
        "and an opportunity for the renewal.",
    )
    renewal_lead_id = fields.Many2one(
        "crm.lead",
        string="Renewal Opportunity",
        readonly=True,
        copy=False,
        index="btree_not_null",
    )
    missed_notice = fields.Selection(
        [("end", "It ends"), ("renew", "It renews")],
        string="If Nobody Decides",
        default="end",
        required=True,
        tracking=True,
        help="What was agreed for the case that the notice date passes undecided.",
    )
    notice_date = fields.Date(
        compute="_compute_notice_date",
        store=True,
        help="Last day on which notice can be given.",
    )
    is_notice_missed = fields.Boolean(
        readonly=True, copy=False, help="The notice date passed without a decision."
    )

    _notice_idx = models.Index(
        "(notice_date) WHERE notice_date IS NOT NULL AND state IN ('running', 'paused')"
    )

    # === COMPUTE METHODS === #

    @api.depends("end_date", "notice_days")
    def _compute_notice_date(self):
        for agreement in self:
            agreement.notice_date = agreement.end_date and (
                agreement.end_date - timedelta(days=agreement.notice_days)
            )

    # === CRUD METHODS === #

    @api.model_create_multi
    def create(self, vals_list):
        """Override to link what a won renewal deal brings to the term before."""
        agreements = super().create(vals_list)
        if leads := agreements.lead_id:
            renewed = self.sudo().search([("renewal_lead_id", "in", leads.ids)])
            by_lead = {agreement.renewal_lead_id: agreement for agreement in renewed}
            for agreement in agreements:
                earlier = by_lead.get(agreement.lead_id)
                if earlier and not agreement.predecessor_id:
                    agreement.predecessor_id = earlier
        return agreements

    def write(self, vals):
        """Override: a term that was moved gets a notice of its own."""
        result = super().write(vals)
        if "end_date" in vals:
            missed = self.sudo().filtered("is_notice_missed")
            missed.filtered(lambda one: one._may_give_notice())._forget_notice()
        return result

    # === ACTION METHODS === #

    def action_renew(self):
        """Make and start the next term of each agreement; safe to call again.

        :return: the next agreements, new and known
        :raise AccessError: the user is no billing clerk
        """
        self._check_is_biller()
        # The flow makes and starts the next term for the clerk who asks for it.
        agreements = self.sudo()
        agreements._lock_and_wait()
        for agreement in agreements:
            if not agreement._get_live_successor():
                agreement._renew()
        return agreements.mapped(lambda one: one._get_live_successor()).with_env(
            self.env
        )

    # === BUSINESS METHODS === #

    def _get_live_successor(self):
        self.ensure_one()
        return self.successor_ids.filtered(lambda next_: next_.state != "cancelled")[:1]

    def _has_open_work(self):
        """Override: a term lasts until it is decided whether there is a next one."""
        self.ensure_one()
        is_decided = (
            self.renewal_policy == "none"
            or not self.end_date
            or self.cancel_date
            or self.successor_ids
            or self.is_notice_missed
        )
        return not is_decided or super()._has_open_work()

    def _may_give_notice(self):
        return not self.notice_date or self.notice_date >= self._get_today()

    def _forget_notice(self):
        """Ask about the end anew; a deal that is still open goes on asking."""
        for agreement in self:
            lead = agreement.renewal_lead_id
            is_open = lead.won_status == "pending"
            agreement.is_notice_missed = False
            if not is_open:
                agreement.renewal_lead_id = False

    def _get_missed_notice_label(self):
        """Return what happens if nobody decides, in words."""
        self.ensure_one()
        if self.renewal_policy == "auto":
            return self.env._("It renews")
        options = self._fields["missed_notice"]._description_selection(self.env)
        return dict(options)[self.missed_notice]

    def _renew(self, uplift=0.0, count=None, unit=None):
        """Return the next term, made and started; nothing moves in this one.

        :param uplift: percent on all prices
        :param count: length of the term in units, default: as agreed
        """
        self.ensure_one()
        successor = self.copy(self._prepare_renewal(uplift, count, unit))
        successor.sudo().action_start()
        self.message_post(body=self.env._("Renewed by %(next)s.", next=successor.name))
        self._log_event("amended", note=self.env._("Renewed by %s", successor.name))
        self._close_renewal_lead(successor)
        return successor

    def _prepare_renewal(self, uplift=0.0, count=None, unit=None):
        if not self.end_date:
            raise UserError(
                self.env._(
                    "%(agreement)s has no end: there is nothing to renew.",
                    agreement=self.name,
                )
            )
        start = self.end_date + DAY
        count, unit = count or self.renewal_count, unit or self.renewal_unit
        term = Cadence(unit, count, Anchor.of(start))
        return {
            "name": False,
            "start_date": start,
            "end_date": term.grid(1) - DAY,
            "trial_days": 0,
            "predecessor_id": self.id,
            "renewal_count": count,
            "renewal_unit": unit,
            "line_ids": [
                Command.create(vals) for vals in self._prepare_renewal_lines(uplift)
            ],
        }

    def _prepare_renewal_lines(self, uplift=0.0):
        """Return the values of the lines that serve the last day, on the same grid."""
        start, vals_list = self.end_date + DAY, []
        for line in self.line_ids:
            last = line._get_end() and line._get_end() - DAY
            if line.billing_method not in RENEWED_METHODS or last != self.end_date:
                continue
            if not line._has_service() or line.end_reason in ENDED:
                continue
            vals = line.copy_data()[0]
            vals.pop("agreement_id", None)
            vals |= {
                "start_date": start,
                "end_date": False,
                "anchor_date": line.anchor_date,
                "anchor_day": line.anchor_day,
                "sale_line_id": line.sale_line_id.id,
            }
            if line.discount_last_day and line.discount_last_day < start:
                vals |= {"discount": 0.0, "discount_last_day": False}
            if uplift:
                name = line._get_price_field()
                rise = 1 + Fraction(exact(uplift)) / 100
                vals[name] = round(float(Fraction(exact(line[name])) * rise), 6)
            vals_list.append(vals)
        return vals_list

    def _close_renewal_lead(self, successor):
        lead = self.renewal_lead_id
        if lead and lead.won_status == "pending":
            lead.message_post(
                body=self.env._("Renewed by %(next)s.", next=successor.name)
            )

    # === BUSINESS METHODS - THE JOB === #

    @api.model
    def _renew_due(self, now):
        """Ask about terms that end, and follow what was agreed where nobody answers."""
        latest = now.date() + DAY
        domain = (
            Domain("state", "in", ("running", "paused"))
            & Domain("notice_date", "!=", False)
            & Domain("renewal_policy", "!=", "none")
            & Domain("cancel_date", "=", False)
            & Domain("successor_ids", "=", False)
            & Domain("is_notice_missed", "=", False)
        )
        commit_progress = self.env["ir.cron"]._commit_progress
        longest = self.search(domain, order="renewal_lead_days desc", limit=1)
        horizon = latest + timedelta(days=longest.renewal_lead_days)
        for agreement in self.search(domain & Domain("notice_date", "<=", horizon)):
            if agreement.try_lock_for_update(allow_referencing=True):
                agreement._follow_or_ask(agreement._get_today(now))
            if not commit_progress(1):
                return

    def _follow_or_ask(self, today):
        """Follow what was agreed; what fails stops no other agreement."""
        try:
            with self.env.cr.savepoint():
                self._follow_renewal(today)
        except psycopg2.OperationalError:
            raise
        except Exception as error:
            _logger.exception("Renewal of agreement %s failed", self.id)
            self._ask_billing(
                self.env._("The agreement could not be renewed"), str(error)
            )

    def _follow_renewal(self, today):
        """Ask in time; after the notice date do what was agreed for it."""
        self.ensure_one()
        asks_from = self.notice_date - timedelta(days=self.renewal_lead_days)
        if today >= asks_from and not self.renewal_lead_id:
            self._ask_about_renewal()
        if today <= self.notice_date:
            return
        self.is_notice_missed = True
        renews = self.renewal_policy == "auto" or self.missed_notice == "renew"
        text = self.env._(
            "The notice date %(day)s passed without a decision. As agreed: %(option)s.",
            day=self.notice_date,
            option=self._get_missed_notice_label(),
        )
        self.message_post(body=text)
        self._log_event("amended", note=text)
        if renews:
            try:
                with self.env.cr.savepoint():
                    self._renew()
            except UserError as error:
                self._ask_billing(
                    self.env._("The agreement could not be renewed"),
                    str(error.args[0]),
                )

    def _ask_about_renewal(self):
        """Give the salesperson an activity and a prefilled opportunity."""
        lead = self.env["crm.lead"].create(self._prepare_renewal_lead())
        self.renewal_lead_id = lead
        owner = self.user_id or self.company_id._get_billing_responsible()
        lead.activity_schedule(
            "mail.mail_activity_data_todo",
            date_deadline=self.notice_date,
            summary=self.env._("Renew %(agreement)s", agreement=self.name),
            note=self.env._(
                "It ends on %(end)s, notice is due by %(notice)s. If nobody decides: "
                "%(option)s.",
                end=self.end_date,
                notice=self.notice_date,
                option=self._get_missed_notice_label(),
            ),
            user_id=owner.id,
        )

    def _prepare_renewal_lead(self):
        yearly = self.currency_id._convert(
            self.mrr * 12,
            self.company_id.currency_id,
            self.company_id,
            fields.Date.context_today(self),
        )
        plan = self.env["crm.recurring.plan"].search(
            [("number_of_months", "=", 12)], limit=1
        )
        return {
            "name": self.env._("Renewal of %(agreement)s", agreement=self.name),
            "type": "opportunity",
            "partner_id": self.partner_id.id,
            "user_id": self.user_id.id,
            "team_id": self.team_id.id,
            "company_id": self.company_id.id,
            "date_deadline": self.notice_date,
            "recurring_revenue": yearly,
            "recurring_plan": plan.id,
        }
