from decimal import Decimal
from fractions import Fraction

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.tools import format_date, formatLang

from ..billing_rules.allocation import exact
from ..billing_rules.mrr import monthly
from ..billing_rules.period import Period
from ..billing_rules.rating import PriceModel, rate, to_text
from ..billing_rules.schedule import Part
from .crm_billing_agreement_due import Due
from .crm_billing_price_model import PRICE_FIELDS

# Changes of a line after which events may belong to another one.
ASSIGNING = {"meter_id", "billing_method", "start_date", "end_date", "agreement_id"}
# Prices that a quotation states as the price of one unit.
UNIT_PRICED = ("per_unit", "package")
USAGE_RULE, LATE_RULE = "S14", "S16"


class CrmBillingAgreementLine(models.Model):
    """Usage lines: events of a period become a quantity, the quantity an amount.

    The terms are frozen in the explanation of the ledger row: what comes late is rated
    together with the rest of its period, at the terms of that period (4.8), in
    `crm_billing_usage_late.py`.
    """

    _name = "crm.billing.agreement.line"
    _inherit = ["crm.billing.agreement.line", "crm.billing.price.model"]

    meter_id = fields.Many2one(
        "crm.billing.meter",
        compute="_compute_meter_id",
        store=True,
        precompute=True,
        readonly=False,
        check_company=True,
        index="btree_not_null",
        ondelete="restrict",
        help="What is measured. Its price is copied and can then be changed here.",
    )
    tier_ids = fields.One2many("crm.billing.price.tier", "line_id", copy=True)
    usage_so_far = fields.Json(
        compute="_compute_usage_so_far",
        help="What the running period has used, and what that costs by now.",
    )
    usage_text = fields.Char(string="So Far", compute="_compute_usage_so_far")

    # === COMPUTE METHODS === #

    @api.depends("product_id", "billing_method")
    def _compute_meter_id(self):
        for line in self:
            if line.billing_method != "usage":
                line.meter_id = False
            else:
                product = line.product_id.with_company(line.company_id)
                line.meter_id = line.meter_id or product.billing_meter_id

    @api.depends("plan_id", "billing_method")
    def _compute_from_plan(self):
        """Override: usage is billed when it is known, whatever the plan says (1.6)."""
        result = super()._compute_from_plan()
        for line in self:
            if line.billing_method == "usage":
                line.timing = "arrears"
        return result

    @api.onchange("meter_id")
    def _onchange_meter_id(self):
        """Show the price of the meter, also where a list shows the unit price alone."""
        if self.meter_id:
            values = self._merge_price({}, self.meter_id, self.product_id)
            self.update({**values, "price_unit": values["unit_price"]})

    def _compute_usage_so_far(self):
        spans, today = {}, {}
        for line in self:
            line.usage_so_far, line.usage_text = False, False
            if not line.id or not line.agreement_id:
                continue  # not saved yet, so nothing is measured for it
            day = today[line] = line.agreement_id._get_today()
            if part := line._get_running_part(day):
                spans[line] = line._to_span(part.period)
        measures = self._read_usage(spans.values())
        for line, span in spans.items():
            line._tell_usage_so_far(measures[span], today[line])

    # === CONSTRAINT METHODS === #

    @api.constrains(*PRICE_FIELDS, "tier_ids", "meter_id", "billing_method")
    def _check_price_model(self):
        """Override: the price of a line that measures nothing does not matter."""
        measuring = self.filtered(
            lambda line: line.billing_method == "usage" and line.meter_id
        )
        return super(CrmBillingAgreementLine, measuring)._check_price_model()

    # === CRUD METHODS === #

    @api.model_create_multi
    def create(self, vals_list):
        """Override to take the price from the meter, and the events that wait."""
        lines = super().create([self._with_price(vals) for vals in vals_list])
        self.env["crm.billing.usage"].sudo()._reassign(lines)
        return lines

    def write(self, vals):
        """Override: usage that is measured is billed in arrears, at a known price."""
        if vals.get("meter_id") and "price_model" not in vals:
            meter = self.env["crm.billing.meter"].browse(vals["meter_id"])
            vals = self._merge_price(vals, meter)
        result = super().write(vals)
        if vals.get("timing", "arrears") != "arrears":
            usage = self.filtered(lambda line: line.billing_method == "usage")
            super(CrmBillingAgreementLine, usage).write({"timing": "arrears"})
        if ASSIGNING & vals.keys():
            # Whoever may change the line moves its events, which the flow writes.
            self.env["crm.billing.usage"].sudo()._reassign(self)
        return result

    @api.model
    def _with_price(self, vals):
        if vals.get("billing_method") != "usage":
            return vals
        vals = {**vals, "timing": "arrears"}
        agreement = self.env["crm.billing.agreement"].browse(vals.get("agreement_id"))
        product = self.env["product.product"].browse(vals.get("product_id"))
        product = product.with_company(agreement.company_id or self.env.company)
        if "meter_id" in vals:
            meter = self.env["crm.billing.meter"].browse(vals["meter_id"])
        else:
            meter = product.billing_meter_id
        if not meter or "price_model" in vals:
            return vals
        return self._merge_price({**vals, "meter_id": meter.id}, meter, product)

    @api.model
    def _merge_price(self, vals, meter, product=None):
        """Return the values with the price of the meter where they say none.

        The price of a quotation is the price of one unit.
        """
        price = meter._prepare_price()
        if meter.price_model in UNIT_PRICED:
            stated = vals.get("price_unit")
            if not stated and not meter.unit_price and product:
                stated = product.lst_price
            price["unit_price"] = stated or meter.unit_price
        return {**price, **vals}

    # === BUSINESS METHODS === #

    def _get_gaps(self):
        """Override to say what a usage line lacks."""
        gaps = super()._get_gaps()
        if self.billing_method == "usage" and not self.meter_id:
            gaps.append(self.env._("choose the meter whose usage is billed"))
        return gaps

    def _get_mrr(self):
        """Override: of usage the committed minimum recurs, after discount (S18)."""
        if self.billing_method != "usage":
            return super()._get_mrr()
        return monthly(
            self.interval_unit,
            self.interval_count,
            exact(self.minimum),
            Decimal(1),
            exact(self.discount),
        )

    # === BUSINESS METHODS - WHAT IS DUE === #

    def _read_due_facts(self, until_by_agreement):
        """Override to measure all due periods of all lines, in one query a way."""
        facts = super()._read_due_facts(until_by_agreement)
        usage = self.filtered(lambda line: line.billing_method == "usage")
        spans = [
            line._to_span(part.period)
            for line in usage
            for part in line._get_due_parts(
                until_by_agreement[line.agreement_id], facts
            )
        ]
        facts["usage"] = self._read_usage(spans)
        facts["late_usage"] = usage._read_late_usage()
        return facts

    def _get_due_usage(self, until, facts):
        """Return usage and minimum of each period that is over (4.4 to 4.6)."""
        dues = []
        for part in self._get_due_parts(until, facts):
            measure = facts["usage"][self._to_span(part.period)]
            dues += self._to_due_usage(part, measure)
        return dues

    def _to_due_usage(self, part, measure):
        share = self._get_factor(part)
        terms = self._freeze_terms(part, share)
        rating = self._rate(terms, measure)
        common = {
            "line_id": self.id,
            "date_from": part.period.start,
            "date_to": part.period.end,
            "factor": str(share),
        }
        amounts = {"usage": rating.usage}
        if rating.true_up:
            amounts["minimum"] = rating.true_up
        story = self._explain_usage(USAGE_RULE, terms, measure, rating)
        return [
            Due(
                self,
                self._get_billing_date(part),
                {
                    **common,
                    "kind": kind,
                    "amount": amount,
                    "explanation": {**story, "amount": str(amount)},
                },
            )
            for kind, amount in amounts.items()
        ]

    def _freeze_terms(self, part, share):
        """Return what a later rating of the same period needs, as JSON."""
        model = self._to_price_model(discount=exact(self.discount))
        return {
            "model": model.to_dict(),
            "counted": self._get_counted(),
            "distinct_property": self.meter_id.distinct_property or "",
            "minimum_factor": str(share),
            "allowance_factor": str(share if self.allowance_prorated else Fraction(1)),
            "step": str(self._get_step()),
            "days": part.period.days,
            "of_days": part.anchored.days,
        }

    @api.model
    def _rate(self, terms, measure):
        """Rate what was measured at frozen terms."""
        model = PriceModel.from_dict(terms["model"])
        return rate(
            model,
            step=Decimal(terms["step"]),
            minimum_factor=Fraction(terms["minimum_factor"]),
            allowance_factor=Fraction(terms["allowance_factor"]),
            **measure.to_arguments(model),
        )

    def _explain_usage(self, rule, terms, measure, rating):
        """Return quantity, terms and each step of an amount, to be replayed (C6)."""
        return {
            "rule": rule,
            "formula": "allowance → price model → minimum → cap → discount",
            "inputs": {
                **terms,
                "quantity": to_text(rating.quantity),
                "events": measure.count,
                "steps": rating.to_steps(),
                **({"floored": True} if rating.floored else {}),
            },
            "amount": str(rating.total),
        }

    def _describe_row(self, row):
        """Override to tell how much was used, and what of it is free."""
        words = super()._describe_row(row)
        inputs = (row.vals.get("explanation") or {}).get("inputs") or {}
        if "model" not in inputs or row.vals["kind"] == "minimum":
            return words
        _ = self.env._
        unit = self.meter_id.uom_id.name or ""
        steps = inputs["steps"]
        parts = [words, f"{self._format_number(steps['quantity'])} {unit}".strip()]
        if steps["allowance"] != "0":
            parts.append(
                _("%(units)s included", units=self._format_number(steps["allowance"]))
            )
        if inputs.get("floored"):
            parts.append(_("below 0, counted as 0"))
        return ", ".join(part for part in parts if part)

    def _format_number(self, text):
        number = Decimal(text) if "/" not in text else Decimal(float(Fraction(text)))
        digits = max(0, -number.normalize().as_tuple().exponent)
        return formatLang(self.env, float(number), digits=min(digits, 6))

    # === BUSINESS METHODS - SO FAR THIS PERIOD === #

    def _get_running_part(self, day):
        """Return the part of the period that holds ``day``, if the line serves then."""
        self.ensure_one()
        if self.billing_method != "usage" or not self.meter_id:
            return None
        if not self.anchor_date or not self.start_date or not self._is_in_service(day):
            return None
        anchored = self._to_cadence().holding(day)
        end = self._get_end()
        period = Period(
            max(anchored.start, self.start_date),
            min(anchored.end, end) if end else anchored.end,
        )
        return Part(period, anchored)

    def _tell_usage_so_far(self, measure, today):
        part = self._get_running_part(today)
        terms = self._freeze_terms(part, self._get_factor(part))
        rating = self._rate(terms, measure)
        self.usage_so_far = {
            "from": str(part.period.start),
            "last_day": str(part.period.last_day),
            "events": measure.count,
            **rating.to_steps(),
        }
        self.usage_text = self.env._(
            "%(quantity)s %(unit)s since %(day)s: %(amount)s",
            quantity=self._format_number(to_text(rating.quantity)),
            unit=self.meter_id.uom_id.name or "",
            day=format_date(self.env, part.period.start),
            amount=self.currency_id.format(float(rating.usage)),
        )


class CrmBillingAgreement(models.Model):
    _inherit = "crm.billing.agreement"

    def write(self, vals):
        """Override: a start, an end or another account moves events."""
        result = super().write(vals)
        if vals.keys() & {"state", "end_date", "partner_id"}:
            # Whoever may change the agreement moves events, which the flow writes.
            self.env["crm.billing.usage"].sudo()._reassign(self.line_ids)
        return result


class CrmBillingPriceTier(models.Model):
    _inherit = "crm.billing.price.tier"

    @api.model_create_multi
    def create(self, vals_list):
        """Override: the table of a line that has billed stays."""
        tiers = super().create(vals_list)
        tiers._check_not_billed()
        return tiers

    def write(self, vals):
        """Override: the table of a line that has billed stays."""
        self._check_not_billed()
        result = super().write(vals)
        self._check_not_billed()
        return result

    @api.ondelete(at_uninstall=False)
    def _unlink_except_billed(self):
        self._check_not_billed()

    def _check_not_billed(self):
        flow = self.env["crm.billing.agreement.line"]._is_billing_flow()
        billed = self.line_id.browse() if flow else self._get_billed_lines()
        if billed:
            raise UserError(
                self.env._(
                    "%(lines)s has been billed: its prices are not overwritten. Use "
                    "“Change”, which ends the line and starts one at new prices.",
                    lines=", ".join(billed.mapped("name")),
                )
            )

    def _get_billed_lines(self):
        return self.line_id.filtered("period_ids")
