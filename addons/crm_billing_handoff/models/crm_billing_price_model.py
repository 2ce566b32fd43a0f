from decimal import Decimal

from markupsafe import Markup

from odoo import api, fields, models
from odoo.exceptions import ValidationError

from ..billing_rules.allocation import exact
from ..billing_rules.rating import (
    BY_EVENT,
    TIERED,
    PriceModel,
    Tier,
    check_model,
    rate,
    to_text,
)

PRICE_MODELS = [
    ("per_unit", "Per unit"),
    ("graduated", "Graduated: each unit at the price of its tier"),
    ("volume", "Volume: all units at the price of the tier reached"),
    ("package", "Package: started packages"),
    ("percentage", "Percentage of the amount of each event"),
    ("graduated_percentage", "Graduated percentage"),
]
# Under the context key ``price_table``: whoever writes the tiers checks them all at the
# end. A call from outside can name the key, but cannot carry this very object.
CHECKED_LATER = object()
# What a line copies from its meter, and a successor line from its predecessor.
PRICE_FIELDS = (
    "price_model",
    "unit_price",
    "package_size",
    "percent",
    "fixed_per_event",
    "free_amount",
    "free_events",
    "event_minimum",
    "event_maximum",
    "allowance",
    "allowance_prorated",
    "minimum",
    "cap",
    "flat_at_zero",
)


class CrmBillingPriceModel(models.AbstractModel):
    """Mixin: how a measured quantity is priced (billing rules, 4.4 to 4.6).

    What is 0 is not agreed: no cap, no free amount, no minimum of an event. Amounts are
    before tax, in the currency of the agreement. The model that inherits brings
    ``tier_ids`` and ``currency_id``.
    """

    _name = "crm.billing.price.model"
    _description = "Price Model"

    price_model = fields.Selection(PRICE_MODELS, default="per_unit", required=True)
    unit_price = fields.Float(
        string="Price per Unit", digits=(16, 6), help="Of one unit, or of one package."
    )
    package_size = fields.Float(digits=(16, 6), default=1.0)
    percent = fields.Float(string="Percentage", digits=(16, 6))
    fixed_per_event = fields.Float(string="Fee per Event", digits=(16, 6))
    free_amount = fields.Float(
        digits=(16, 6), help="Free until the sum of the events exceeds it; 0: none."
    )
    free_events = fields.Integer(help="This many events are free; 0: none.")
    event_minimum = fields.Float(
        string="Minimum per Event", digits=(16, 6), help="0: none."
    )
    event_maximum = fields.Float(
        string="Maximum per Event", digits=(16, 6), help="0: none."
    )
    allowance = fields.Float(
        string="Included Units",
        digits=(16, 6),
        help="Free in each period, taken off before the price.",
    )
    allowance_prorated = fields.Boolean(
        string="Fewer in a Part of a Period",
        help="Included units count by the days of service; else they stay whole.",
    )
    minimum = fields.Float(
        string="Minimum per Period",
        digits=(16, 6),
        help="At least this is billed for a whole period; a part counts by its days.",
    )
    cap = fields.Float(
        string="Cap per Period",
        digits=(16, 6),
        help="At most this is billed for a period, however short. 0: no cap.",
    )
    flat_at_zero = fields.Boolean(
        string="First Flat Fee without Usage",
        default=True,
        help="The flat fee of the first tier is due although nothing was used.",
    )
    has_tiers = fields.Boolean(compute="_compute_has_tiers")
    sample_quantity = fields.Float(
        string="Try a Quantity",
        digits=(16, 6),
        store=False,
        help="Try the price model.",
    )
    sample_result = fields.Html(
        string="Costs", compute="_compute_sample_result", sanitize=False
    )

    # === COMPUTE METHODS === #

    @api.depends("price_model")
    def _compute_has_tiers(self):
        for record in self:
            record.has_tiers = record.price_model in TIERED

    @api.depends(lambda self: self._get_sample_depends())
    def _compute_sample_result(self):
        for record in self:
            model = record._to_price_model()
            if problems := record._get_price_problems(model):
                record.sample_result = Markup("<p>%s</p>") % " ".join(problems)
                continue
            rating = rate(
                model, quantity=exact(record.sample_quantity), step=record._get_unit()
            )
            record.sample_result = record._render_steps(rating)

    @api.model
    def _get_sample_depends(self):
        names = (*PRICE_FIELDS, "sample_quantity", "currency_id")
        if "tier_ids" not in self._fields:
            return names
        tiers = ("sequence", "up_to", "price", "percent", "flat")
        return (*names, *(f"tier_ids.{name}" for name in tiers))

    # === CRUD METHODS === #

    def write(self, vals):
        """Override to look at a table once, not between two of its tiers."""
        if "tier_ids" in vals:
            self = self.with_context(price_table=CHECKED_LATER)
        return super().write(vals)

    # === CONSTRAINT METHODS === #

    @api.constrains(*PRICE_FIELDS)
    def _check_price_model(self):
        """C5: a table with gaps, overlaps or no open tier is refused at save."""
        for record in self:
            if problems := record._get_price_problems(record._to_price_model()):
                raise ValidationError(
                    self.env._(
                        "The price of %(record)s does not work:\n%(problems)s",
                        record=record.display_name,
                        problems="\n".join(problems),
                    )
                )

    # === BUSINESS METHODS === #

    def calculate_price(self, quantity):
        """Return what ``quantity`` costs: each step by name, amounts as text.

        :param quantity: units, or money where the price is a percentage
        :raise ValidationError: the price model has gaps
        """
        self.ensure_one()
        self._check_price_model()
        amount = exact(quantity)
        rating = rate(self._to_price_model(), quantity=amount, step=self._get_unit())
        return rating.to_steps()

    def _to_price_model(self, discount=Decimal(0)):
        """Return the price model as the rules know it.

        :param discount: percent
        """
        self.ensure_one()

        def agreed(value):
            return exact(value) if value else None

        return PriceModel(
            kind=self.price_model,
            price=exact(self.unit_price),
            package_size=exact(self.package_size),
            tiers=tuple(tier._to_rule() for tier in self._get_tiers()),
            percent=exact(self.percent),
            fixed_per_event=exact(self.fixed_per_event),
            free_amount=agreed(self.free_amount),
            free_events=self.free_events or None,
            event_minimum=agreed(self.event_minimum),
            event_maximum=agreed(self.event_maximum),
            allowance=exact(self.allowance),
            minimum=exact(self.minimum),
            cap=agreed(self.cap),
            discount=discount,
            flat_at_zero=self.flat_at_zero,
        )

    def _get_tiers(self):
        if self.price_model not in TIERED:
            return self.tier_ids.browse()
        return self.tier_ids.sorted("sequence")

    def _get_unit(self):
        """Return the smallest amount of the currency."""
        currency = self.currency_id or self.env.company.currency_id
        return exact(currency.rounding)

    def _get_price_problems(self, model):
        """Return in words what is wrong with a price model."""
        words = self._get_problem_words()
        return [
            words[problem] % {"number": number}
            for problem, number in check_model(model)
        ]

    @api.model
    def _get_problem_words(self):
        _ = self.env._
        return {
            "missing": _("There are no tiers: add one, its end left empty."),
            "not_positive": _("Tier %(number)s ends at 0 or below."),
            "not_ascending": _(
                "Tier %(number)s ends where the tier before it already ended: put the "
                "tiers in ascending order."
            ),
            "open_inside": _(
                "Tier %(number)s has no end, so that the tiers after it are never "
                "reached: only the last tier is open."
            ),
            "not_open": _(
                "Tier %(number)s is the last and has an end: what is above it has no "
                "price. Leave the end of the last tier empty."
            ),
            "package_size": _("A package holds more than 0 units."),
            "minimum_above_cap": _("The minimum is above the cap."),
            "event_minimum_above_maximum": _(
                "The minimum of an event is above its maximum."
            ),
            "negative": _("Included units, free parts, minimum and cap are 0 or more."),
        }

    # === BUSINESS METHODS - EXPLANATION === #

    def _render_steps(self, rating):
        row = Markup("<tr><td>%s</td><td class='text-end'>%s</td></tr>")
        rows = [row % step for step in self._get_steps(rating)]
        return Markup("<table class='table table-sm mb-0'>%s</table>") % (
            Markup("").join(rows)
        )

    def _get_steps(self, rating):
        """Return ``(what, how much)`` of each step, in the order of the rules."""
        _ = self.env._
        steps = [(_("Quantity"), to_text(rating.quantity))]
        if rating.floored:
            steps.append((_("Below 0, counted as 0"), "0"))
        if rating.allowance:
            steps.append((_("Included"), to_text(-rating.allowance)))
            steps.append((_("Billable"), to_text(rating.billable)))
        steps += [self._get_part_step(part) for part in rating.parts]
        steps.append((_("Price model"), to_text(rating.rated)))
        if rating.minimum:
            steps.append((_("Minimum"), to_text(rating.minimum)))
        if rating.after_cap != max(rating.rated, rating.minimum):
            steps.append((_("Capped"), to_text(rating.after_cap)))
        if rating.discount:
            steps.append((_("Discount"), to_text(-rating.discount)))
        steps.append((_("Usage"), str(rating.usage)))
        if rating.true_up:
            steps.append((_("Minimum, true-up"), str(rating.true_up)))
        return [*steps, (_("Total before tax"), str(rating.total))]

    def _get_part_step(self, part):
        words = f"{to_text(part.quantity)} × {to_text(part.price)}"
        if part.flat:
            words += f" + {to_text(part.flat)}"
        return words, to_text(part.amount)

    def _is_rated_by_event(self):
        """Return whether the price needs each event by itself."""
        return self.price_model in BY_EVENT


class CrmBillingPriceTier(models.Model):
    """One step of a price table, of a meter or of one agreement line."""

    _name = "crm.billing.price.tier"
    _description = "Price Tier"
    _order = "sequence, id"

    sequence = fields.Integer(default=10)
    meter_id = fields.Many2one(
        "crm.billing.meter", ondelete="cascade", index="btree_not_null"
    )
    line_id = fields.Many2one(
        "crm.billing.agreement.line", ondelete="cascade", index="btree_not_null"
    )
    up_to = fields.Float(
        digits=(16, 6),
        help="The last quantity of this tier, included; empty or 0: no end. Counts "
        "after the included units.",
    )
    price = fields.Float(string="Price per Unit", digits=(16, 6))
    percent = fields.Float(string="Percentage", digits=(16, 6))
    flat = fields.Float(
        string="Flat Fee",
        digits=(16, 6),
        help="Due once this tier is entered.",
    )

    _one_owner = models.Constraint(
        "CHECK (num_nonnulls(meter_id, line_id) = 1)",
        "A tier belongs to one meter or to one line of an agreement.",
    )

    @api.depends("up_to", "price", "percent", "flat")
    def _compute_display_name(self):
        for tier in self:
            end = to_text(exact(tier.up_to)) if tier.up_to else "∞"
            tier.display_name = f"≤ {end}: {tier.price:g}"

    @api.constrains("up_to", "sequence", "meter_id", "line_id")
    def _check_table(self):
        """A tier that is edited alone leaves a table that works."""
        if self.env.context.get("price_table") is not CHECKED_LATER:
            self.meter_id._check_price_model()
            self.line_id._check_price_model()

    def unlink(self):
        """Override to refuse a table that lost its end."""
        meters, lines = self.meter_id, self.line_id
        result = super().unlink()
        if self.env.context.get("price_table") is not CHECKED_LATER:
            meters._check_price_model()
            lines._check_price_model()
        return result

    def _to_rule(self):
        self.ensure_one()
        return Tier(
            up_to=exact(self.up_to) if self.up_to else None,
            price=exact(self.price),
            flat=exact(self.flat),
            percent=exact(self.percent),
        )
