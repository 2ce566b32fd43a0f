import hashlib
import json

from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError

from ..billing_rules.allocation import exact
from ..billing_rules.proration import price_multiplier
from .crm_billing_plan import PRORATION_TIMINGS, UNITS

TYPES = [
    ("product", "Upgrade or downgrade"),
    ("quantity", "Quantity"),
    ("price", "Price"),
    ("discount", "Discount"),
    ("interval", "Billing interval"),
    ("add", "Add a line"),
    ("pause", "Pause"),
    ("resume", "Resume"),
    ("cancel", "Cancel"),
    ("renew", "Renew"),
]
POLICIES = [
    ("end_of_period", "At the end of the period"),
    ("none", "Now, no credit"),
    ("credit", "Now, with credit"),
    ("refund", "Now, with refund"),
]
# Written by the flow alone; everything else is typed, and only in a draft.
MACHINE = {
    "state",
    "problem",
    "applied_preview",
    "applied_at",
    "applied_uid",
    "origin_id",
    "is_announced",
    "refund_state",
    "refund_amount",
}
# A draft, or what a person saw of it, may still change these.
FREE = {"seen_digest", "note"}
OPEN = ("draft", "scheduled")


class CrmBillingChange(models.Model):
    """A change of an agreement: seen with its money first, then applied on its day.

    Three steps: `crm_billing_change_plan.py` works out what the change does and writes
    nothing, `crm_billing_change_preview.py` shows it with taxes, next date and MRR,
    `crm_billing_change_apply.py` writes it. Applying plans anew; what a person saw is
    kept as a digest, and a change that would do something else by now is refused.
    """

    _name = "crm.billing.change"
    _description = "Agreement Change"
    _order = "date desc, id desc"
    _rec_name = "change_type"
    _check_company_auto = True

    agreement_id = fields.Many2one(
        "crm.billing.agreement", required=True, index=True, ondelete="cascade"
    )
    company_id = fields.Many2one(
        related="agreement_id.company_id", store=True, precompute=True, index=True
    )
    currency_id = fields.Many2one(related="agreement_id.currency_id")
    partner_id = fields.Many2one(related="agreement_id.partner_id")
    change_type = fields.Selection(
        TYPES, string="What Changes", required=True, default="product"
    )
    line_ids = fields.Many2many(
        "crm.billing.agreement.line",
        string="Lines",
        domain="[('agreement_id', '=', agreement_id), ('successor_id', '=', False), "
        "('billing_method', 'in', ('flat', 'usage'))]",
        help="Empty changes all recurring lines that run on the day.",
    )
    date = fields.Date(
        string="From",
        required=True,
        compute="_compute_date",
        store=True,
        precompute=True,
        readonly=False,
        help="The first day at the new terms. A cancellation: the last day of service.",
    )
    effective_at = fields.Datetime(
        string="At",
        help="Instant of the change, where parts of a period are measured by the "
        "second; empty is the start of the day.",
    )
    proration_timing = fields.Selection(
        PRORATION_TIMINGS,
        string="Credit and Charge",
        help="When they are invoiced; empty follows the line.",
    )
    product_id = fields.Many2one(
        "product.product", check_company=True, domain="[('sale_ok', '=', True)]"
    )
    quantity = fields.Float(
        digits=(16, 6),
        compute="_compute_from_line",
        store=True,
        precompute=True,
        readonly=False,
    )
    price_unit = fields.Float(
        string="New Price",
        digits=(16, 6),
        compute="_compute_price_unit",
        store=True,
        precompute=True,
        readonly=False,
        help="Of one unit, per billing period or the interval that the line names.",
    )
    discount_mode = fields.Selection(
        [("percent", "Percent"), ("amount", "Amount per period")],
        default="percent",
        required=True,
    )
    discount = fields.Float(string="Discount (%)", digits=(16, 6))
    discount_amount = fields.Monetary()
    discount_until = fields.Selection(
        [
            ("forever", "Until it is changed"),
            ("periods", "For some periods"),
            ("date", "Until a day"),
        ],
        default="forever",
        required=True,
    )
    discount_periods = fields.Integer(default=3)
    discount_last_day = fields.Date(help="The last discounted day, included.")
    plan_id = fields.Many2one(
        "crm.billing.plan", string="New Billing Cycle", check_company=True
    )
    has_own_anchor = fields.Boolean(
        string="Own Rhythm", help="The new line renews by its own start."
    )
    usage_on_date = fields.Boolean(
        string="Usage in Mid-Period",
        help="New usage prices count from the day, not from the next period on.",
    )
    resume_date = fields.Date(
        string="Resumes On",
        help="The first day that is billed again. Empty pauses until it is resumed.",
    )
    pause_credit = fields.Boolean(
        string="Credit the Paused Days",
        default=True,
        help="Days of the pause that are billed already are given back.",
    )
    shift_end = fields.Boolean(
        string="Move the End",
        help="The last day of the agreement moves by the paused days.",
    )
    policy = fields.Selection(POLICIES, default="end_of_period", required=True)
    renewal_count = fields.Integer(
        string="Next Term",
        compute="_compute_renewal",
        store=True,
        precompute=True,
        readonly=False,
    )
    renewal_unit = fields.Selection(
        UNITS,
        compute="_compute_renewal",
        store=True,
        precompute=True,
        readonly=False,
    )
    uplift = fields.Float(
        string="Price Rise (%)", help="All prices of the next term, in percent."
    )
    note = fields.Text(string="Reason")
    state = fields.Selection(
        [
            ("draft", "Draft"),
            ("scheduled", "Scheduled"),
            ("applied", "Applied"),
            ("refused", "Refused"),
            ("cancelled", "Withdrawn"),
        ],
        default="draft",
        required=True,
        readonly=True,
        copy=False,
        index=True,
    )
    problem = fields.Text(readonly=True, copy=False, help="Why it was refused.")
    seen_digest = fields.Char(
        copy=False, help="Fingerprint of the preview that a person looked at."
    )
    applied_preview = fields.Json(readonly=True, copy=False)
    applied_at = fields.Datetime(readonly=True, copy=False)
    applied_uid = fields.Many2one(
        "res.users", string="Applied By", readonly=True, copy=False
    )
    origin_id = fields.Many2one(
        "crm.billing.change",
        string="Follows From",
        readonly=True,
        copy=False,
        index="btree_not_null",
        ondelete="cascade",
        help="The change that scheduled this one: a discount its end, a pause its end.",
    )
    is_announced = fields.Boolean(readonly=True, copy=False)
    new_line_ids = fields.One2many(
        "crm.billing.agreement.line", "change_id", string="New Lines", readonly=True
    )
    period_ids = fields.One2many(
        "crm.billing.period", "change_id", string="Ledger Rows", readonly=True
    )

    _scheduled_idx = models.Index("(date) WHERE state = 'scheduled'")
    _numbers_in_range = models.Constraint(
        "CHECK (discount_periods >= 0 AND renewal_count > 0)",
        "A discount lasts 0 or more periods, a term 1 or more.",
    )

    # === COMPUTE METHODS === #

    @api.depends("change_type", "agreement_id", "date")
    def _compute_display_name(self):
        labels = dict(self._fields["change_type"]._description_selection(self.env))
        for change in self:
            change.display_name = (
                f"{change.agreement_id.name}: {labels.get(change.change_type)}, "
                f"{change.date}"
            )

    @api.depends("agreement_id")
    def _compute_date(self):
        for change in self:
            if not change.date:
                agreement = change.agreement_id
                change.date = (
                    agreement._get_today()
                    if agreement
                    else fields.Date.context_today(change)
                )

    @api.depends("line_ids", "change_type")
    def _compute_from_line(self):
        for change in self:
            line = change.line_ids[:1] or change._get_default_lines()[:1]
            change.quantity = (
                line.quantity if line and change.change_type != "add" else 1.0
            )

    @api.depends("product_id", "plan_id", "line_ids", "change_type")
    def _compute_price_unit(self):
        """Suggest a price: the product's, or what is paid now for the interval."""
        for change in self:
            line = change.line_ids[:1] or change._get_default_lines()[:1]
            if change.product_id and change.change_type in ("product", "add"):
                product = change.product_id.with_company(change.company_id)
                change.price_unit = product.lst_price
            else:
                change.price_unit = change._convert_price(line)

    def _convert_price(self, line):
        if self.change_type != "interval" or not self.plan_id or not line:
            return line.price_unit
        if line.price_plan_unit:
            return line.price_unit
        try:
            times = price_multiplier(
                self.plan_id.interval_unit,
                self.plan_id.interval_count,
                line.interval_unit,
                line.interval_count,
            )
        except ValueError:
            return line.price_unit
        return float(exact(line.price_unit) * times.numerator / times.denominator)

    @api.depends("agreement_id")
    def _compute_renewal(self):
        for change in self:
            agreement = change.agreement_id
            change.renewal_count = agreement.renewal_count or 12
            change.renewal_unit = agreement.renewal_unit or "month"

    # === CRUD METHODS === #

    def write(self, vals):
        """Keep what the flow writes to the flow, and what was typed as it was seen."""
        if not self.env.su:
            if MACHINE & vals.keys():
                raise AccessError(
                    self.env._(
                        "A change is applied, scheduled or withdrawn with its buttons."
                    )
                )
            self._check_editable(vals)
        return super().write(vals)

    @api.model_create_multi
    def create(self, vals_list):
        if not self.env.su:
            # Said, not left out: a default of the caller would count otherwise.
            machine = {**dict.fromkeys(MACHINE, False), "state": "draft"}
            vals_list = [{**vals, **machine} for vals in vals_list]
        return super().create(vals_list)

    def _check_editable(self, vals):
        typed = vals.keys() - FREE
        done = self.filtered(lambda change: change.state != "draft")
        if typed and done:
            raise UserError(
                self.env._(
                    "%(change)s is no draft any more. Withdraw it if it is scheduled, "
                    "and make a new change.",
                    change=done[0].display_name,
                )
            )

    @api.ondelete(at_uninstall=False)
    def _unlink_except_open(self):
        if any(change.state in ("applied", "scheduled") for change in self):
            raise UserError(
                self.env._(
                    "A change that was applied stays as the proof of who did it; "
                    "withdraw a scheduled one."
                )
            )

    # === ACTION METHODS === #

    def action_preview(self):
        """Work out what the change would do, and remember that it was looked at.

        :return: the preview of a single change, as shown on its form
        """
        self.check_access("read")
        for change in self.filtered(lambda change: change.state in OPEN):
            change.seen_digest = change._get_digest(change._get_preview())
        return self[:1]._get_preview() if len(self) == 1 else True

    def action_look_again(self):
        """Show the preview as it is now; the button of the form."""
        self.action_preview()
        return {
            "type": "ir.actions.act_window",
            "res_model": self._name,
            "res_id": self.id,
            "view_mode": "form",
            "target": "new",
        }

    def action_apply(self):
        """Apply what is due, schedule what lies in the future. Safe to call again.

        :raise AccessError: no billing clerk; with a refund: no billing manager
        :raise UserError: the change is refused, or no longer does what was seen
        """
        self._check_may_apply()
        # The flow writes the ledger and its lines, for the clerk who asks for it.
        changes = self.sudo().sorted(lambda change: (change.date, change.id))
        changes.agreement_id._lock_and_wait()
        changes.invalidate_recordset(["state"])
        for change in changes.filtered(lambda change: change.state in OPEN):
            change._apply_or_schedule()
        return {"type": "ir.actions.act_window_close"}

    def action_withdraw(self):
        """Take back drafts and scheduled changes."""
        self._check_may_apply()
        for change in self.sudo().filtered(lambda change: change.state in OPEN):
            change.state = "cancelled"
            change.agreement_id._log_event(
                "amended",
                note=self.env._("Withdrawn: %(what)s", what=change.display_name),
            )
        return True

    # === BUSINESS METHODS === #

    def _check_may_apply(self):
        self.agreement_id._check_is_biller()
        self.check_access("write")
        refunds = self.filtered(
            lambda change: change.change_type == "cancel" and change.policy == "refund"
        )
        is_manager = self.env.user.has_group(
            "crm_billing_handoff.group_billing_manager"
        )
        if refunds and not self.env.su and not is_manager:
            raise AccessError(
                self.env._(
                    "Money goes back only with a billing manager. Ask one to apply it, "
                    "or choose credit instead of refund."
                )
            )

    def _get_default_lines(self):
        """Return the recurring lines that the day meets."""
        self.ensure_one()
        agreement = self.agreement_id._origin
        day = self.date or fields.Date.context_today(self)
        return agreement.line_ids.filtered(
            lambda line: line._is_recurring() and line._is_in_service(day)
        )

    @api.model
    def _get_digest(self, preview):
        """Return a fingerprint of what a person sees."""
        text = json.dumps(preview, sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()

    def _is_future(self):
        """Return whether the day of the change is still to come (2.8).

        Ends are dates, so a cancellation or renewal needs no waiting.
        """
        self.ensure_one()
        waits = self.change_type not in ("cancel", "renew")
        return waits and self.date > self.agreement_id._get_today()

    def _refuse(self, reason):
        """Refuse a scheduled change on its day, and tell Billing why."""
        self.ensure_one()
        self.write({"state": "refused", "problem": reason})
        self.agreement_id._ask_billing(
            self.env._("A scheduled change was refused"),
            f"{self.display_name}: {reason}",
        )
