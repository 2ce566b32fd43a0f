from datetime import timedelta

from odoo import api, fields, models
from odoo.exceptions import UserError, ValidationError

from ..billing_rules.schedule import Anchor, Cadence, resolve_anchor
from .crm_billing_plan import BASES, PRORATION_TIMINGS, TIMINGS, UNITS

RECURRING = ("flat", "usage")


class CrmBillingAgreementLine(models.Model):
    """One thing that is owed: a price on a cadence, a meter, a contract or a one-off.

    A line never changes its price once it has billed: a change ends it and starts a
    successor with the same anchor, so that the ledger keeps what was billed at which
    terms.
    """

    _name = "crm.billing.agreement.line"
    _description = "Billing Agreement Line"
    _order = "agreement_id, sequence, start_date, id"
    _check_company_auto = True

    agreement_id = fields.Many2one(
        "crm.billing.agreement", required=True, index=True, ondelete="cascade"
    )
    sequence = fields.Integer(default=10)
    company_id = fields.Many2one(
        related="agreement_id.company_id", store=True, precompute=True, index=True
    )
    currency_id = fields.Many2one(
        related="agreement_id.currency_id", store=True, precompute=True
    )
    agreement_state = fields.Selection(
        related="agreement_id.state", string="Agreement State"
    )
    product_id = fields.Many2one(
        "product.product",
        required=True,
        ondelete="restrict",
        check_company=True,
        domain="[('sale_ok', '=', True)]",
    )
    name = fields.Text(
        string="Description",
        compute="_compute_from_product",
        store=True,
        precompute=True,
        readonly=False,
        required=True,
    )
    billing_method = fields.Selection(
        [
            ("flat", "Flat"),
            ("usage", "Usage"),
            ("milestone", "Milestones"),
            ("one_off", "One-off"),
        ],
        default="flat",
        required=True,
    )
    plan_id = fields.Many2one(
        "crm.billing.plan",
        string="Billing Cycle",
        check_company=True,
        compute="_compute_plan_id",
        store=True,
        precompute=True,
        readonly=False,
    )
    # Frozen from the plan: editing a plan never moves the periods of a running line.
    interval_unit = fields.Selection(
        UNITS,
        compute="_compute_from_plan",
        store=True,
        precompute=True,
        readonly=False,
    )
    interval_count = fields.Integer(
        compute="_compute_from_plan", store=True, precompute=True, readonly=False
    )
    timing = fields.Selection(
        TIMINGS,
        compute="_compute_from_plan",
        store=True,
        precompute=True,
        readonly=False,
    )
    proration_basis = fields.Selection(
        BASES,
        compute="_compute_from_plan",
        store=True,
        precompute=True,
        readonly=False,
    )
    proration_timing = fields.Selection(
        PRORATION_TIMINGS,
        compute="_compute_from_plan",
        store=True,
        precompute=True,
        readonly=False,
    )
    settling_days = fields.Integer(
        compute="_compute_from_plan", store=True, precompute=True, readonly=False
    )
    lead_days = fields.Integer(
        compute="_compute_from_plan", store=True, precompute=True, readonly=False
    )
    quantity = fields.Float(default=1.0, digits=(16, 6), required=True)
    price_unit = fields.Float(
        string="Unit Price",
        digits=(16, 6),
        compute="_compute_from_product",
        store=True,
        precompute=True,
        readonly=False,
        help="Of one billing period, unless another interval is given beside it.",
    )
    price_plan_count = fields.Integer(string="Price Is per", default=1)
    price_plan_unit = fields.Selection(
        UNITS,
        string="Price Interval",
        help="If the price is stated per month and billed per quarter, say month here.",
    )
    discount = fields.Float(string="Discount (%)", digits=(16, 6))
    tax_ids = fields.Many2many(
        "account.tax",
        string="Taxes",
        compute="_compute_from_product",
        store=True,
        precompute=True,
        readonly=False,
        check_company=True,
        domain="[('type_tax_use', '=', 'sale')]",
        context={"active_test": False},
        help="Before the fiscal position, which is looked up for each invoice.",
    )
    product_uom_id = fields.Many2one(
        "uom.uom",
        string="Unit",
        compute="_compute_from_product",
        store=True,
        precompute=True,
        readonly=False,
        ondelete="restrict",
    )
    analytic_distribution = fields.Json()
    analytic_precision = fields.Integer(
        default=lambda self: self.env["decimal.precision"].precision_get(
            "Percentage Analytic"
        ),
        store=False,
    )
    start_date = fields.Date(help="First day of service; empty takes the agreement's.")
    end_date = fields.Date(
        string="Last Day",
        copy=False,
        help="Last day of service, included; empty ends with the agreement.",
    )
    start_at = fields.Datetime(
        readonly=True, copy=False, help="The instant of a change measured in seconds."
    )
    end_at = fields.Datetime(
        readonly=True, copy=False, help="The instant of a change measured in seconds."
    )
    anchor_date = fields.Date(
        copy=False, help="The date from which periods are counted, for ever."
    )
    anchor_day = fields.Integer(
        copy=False, help="Day of the month on which periods start, up to 31."
    )
    has_own_anchor = fields.Boolean(
        string="Own Rhythm",
        help="A line that is added later renews by its own start, not with the others.",
    )
    predecessor_id = fields.Many2one(
        "crm.billing.agreement.line",
        string="Replaces",
        readonly=True,
        copy=False,
        index="btree_not_null",
    )
    successor_id = fields.Many2one(
        "crm.billing.agreement.line",
        string="Replaced By",
        readonly=True,
        copy=False,
        index="btree_not_null",
    )
    end_reason = fields.Selection(
        [
            ("change", "Changed"),
            ("pause", "Paused"),
            ("cancel", "Cancelled"),
            ("end", "Ended"),
            ("rebill", "Billed again"),
        ],
        readonly=True,
        copy=False,
    )
    sale_line_id = fields.Many2one(
        "sale.order.line",
        readonly=True,
        copy=False,
        index="btree_not_null",
        ondelete="restrict",
    )
    period_ids = fields.One2many("crm.billing.period", "line_id", readonly=True)

    _interval_positive = models.Constraint(
        "CHECK (billing_method NOT IN ('flat', 'usage') OR interval_count IS NULL "
        "OR interval_count > 0)",
        "A line is billed every 1 or more days, weeks, months or years.",
    )
    _price_interval_positive = models.Constraint(
        "CHECK (price_plan_unit IS NULL OR price_plan_count > 0)",
        "A price is stated per 1 or more days, weeks, months or years.",
    )

    # === COMPUTE METHODS === #

    @api.depends("product_id")
    def _compute_from_product(self):
        for line in self:
            product = line.product_id.with_company(line.company_id)
            line.name = product.with_context(
                lang=line.agreement_id.partner_id.lang
            ).get_product_multiline_description_sale()
            line.price_unit = product.lst_price
            line.product_uom_id = product.uom_id
            line.tax_ids = product.taxes_id._filter_taxes_by_company(line.company_id)

    @api.depends("billing_method")
    def _compute_plan_id(self):
        for line in self:
            if line.billing_method in RECURRING and not line.plan_id:
                line.plan_id = line.agreement_id.plan_id

    @api.depends("plan_id")
    def _compute_from_plan(self):
        for line in self:
            plan = line.plan_id
            company = line.company_id or line.agreement_id.company_id
            line.interval_unit = plan.interval_unit
            line.interval_count = plan.interval_count or 1
            line.timing = plan.timing
            line.settling_days = plan.settling_days
            line.lead_days = plan.lead_days
            line.proration_basis = (
                plan.proration_basis or company.billing_proration_basis
            )
            line.proration_timing = (
                plan.proration_timing or company.billing_proration_timing
            )

    # === CONSTRAINT METHODS === #

    @api.constrains("start_date", "end_date", "successor_id")
    def _check_dates(self):
        for line in self:
            start = line.start_date or line.agreement_id.start_date
            # A line that a change ends on its first day serves no day at all.
            has_ended = line.successor_id or line.end_reason
            earliest = start - timedelta(days=1) if has_ended else start
            if line.end_date and line.end_date < earliest:
                raise ValidationError(
                    self.env._(
                        "%(line)s would end on %(end)s, before it starts on %(start)s. "
                        "One day of service has the same first and last day.",
                        line=line.name,
                        end=line.end_date,
                        start=start,
                    )
                )

    # === CRUD METHODS === #

    @api.model_create_multi
    def create(self, vals_list):
        """Have lines of agreements that run already begin, too.

        :raise UserError: nobody said from which day, or the line cannot be billed
        """
        lines = super().create(vals_list)
        late = lines.filtered(
            lambda line: line.agreement_id.state in ("running", "paused")
        )
        late._begin_late()
        return lines

    @api.ondelete(at_uninstall=False)
    def _unlink_except_chained(self):
        for line in self:
            is_chained = line.predecessor_id or line.successor_id
            if is_chained and line.agreement_id.state != "draft":
                raise UserError(
                    self.env._(
                        "%(line)s goes on from a line that was changed, or was changed "
                        "itself: deleting it would leave days that nobody bills. Make "
                        "another change instead.",
                        line=line.name,
                    )
                )

    # === BUSINESS METHODS === #

    def _begin_late(self):
        # Milestones may be handed over after their line.
        for line in self.filtered(lambda line: line.billing_method != "milestone"):
            gaps = line._get_gaps()
            if not line.start_date:
                gaps.append(self.env._("say from which day it is billed"))
            if gaps:
                raise UserError(
                    self.env._(
                        "%(agreement)s runs already. %(line)s: %(problems)s",
                        agreement=line.agreement_id.name,
                        line=line.name,
                        problems=", ".join(gaps),
                    )
                )
        self._resolve_dates()
        self.agreement_id._trigger_run()

    def _get_gaps(self):
        """Return what the line lacks to be billed, in words."""
        self.ensure_one()
        gaps = []
        if self.billing_method in RECURRING and not self.interval_unit:
            gaps.append(self.env._("choose a billing cycle"))
        return gaps

    def _resolve_dates(self):
        """Fix first day and anchor once; what is fixed stays (billing rules, 1.3)."""
        for line in self:
            agreement = line.agreement_id
            if not line.start_date:
                trial = timedelta(days=agreement.trial_days)
                line.start_date = agreement.start_date + trial
            if line.anchor_date or line.billing_method not in RECURRING:
                continue
            sibling = self.browse()
            if not line.has_own_anchor and agreement.state != "draft":
                sibling = agreement.line_ids.filtered(line._shares_rhythm)[:1]
            if sibling:
                line.anchor_date = sibling.anchor_date
                line.anchor_day = sibling.anchor_day
            else:
                line._set_anchor(line._resolve_anchor())

    def _shares_rhythm(self, other):
        self.ensure_one()
        return (
            other != self
            and other.anchor_date
            and other.interval_unit == self.interval_unit
            and other.interval_count == self.interval_count
        )

    def _resolve_anchor(self):
        agreement, plan = self.agreement_id, self.plan_id
        start = self.start_date
        if agreement.state == "draft":
            start = agreement.start_date
            if agreement.trial_days and agreement.trial_anchor == "paid":
                start += timedelta(days=agreement.trial_days)
        return resolve_anchor(
            plan.anchor_mode or "start",
            start,
            self.interval_unit,
            self.interval_count,
            day=plan.anchor_day or None,
            month=int(plan.anchor_month) if plan.anchor_month else None,
            weekday=int(plan.anchor_weekday or 0),
        )

    def _set_anchor(self, anchor):
        for line in self:
            line.anchor_date = anchor.date
            line.anchor_day = anchor.day

    def _to_cadence(self):
        """Return the grid of the line's periods."""
        self.ensure_one()
        anchor = self.anchor_date
        return Cadence(
            self.interval_unit,
            self.interval_count,
            Anchor(anchor.year, anchor.month, self.anchor_day or anchor.day),
        )

    def _get_end(self):
        """Return the first day without service, ``None`` for an open end."""
        self.ensure_one()
        ends = [day for day in (self.end_date, self.agreement_id.end_date) if day]
        return min(ends) + timedelta(days=1) if ends else None

    def _is_in_service(self, day):
        """Return whether the line runs on a local ``day``."""
        self.ensure_one()
        end = self._get_end()
        return self.start_date <= day and (not end or day < end)


class AccountMoveLine(models.Model):
    """From a line of an invoice back to what it bills."""

    _inherit = "account.move.line"

    billing_line_id = fields.Many2one(
        "crm.billing.agreement.line",
        string="Agreement Line",
        copy=False,
        readonly=True,
        index="btree_not_null",
        ondelete="restrict",
    )
    billing_period_ids = fields.One2many(
        "crm.billing.period", "move_line_id", string="Ledger Rows", readonly=True
    )
    billing_date_from = fields.Date(string="Service From", copy=False, readonly=True)
    billing_date_to = fields.Date(
        string="Service Until",
        copy=False,
        readonly=True,
        help="The first day that is not covered.",
    )
    billing_kind = fields.Char(copy=False, readonly=True)
