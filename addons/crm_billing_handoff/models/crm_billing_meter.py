from odoo import api, fields, models
from odoo.exceptions import UserError, ValidationError

from .crm_billing_price_model import PRICE_FIELDS

AGGREGATIONS = [
    ("sum", "Sum of the values"),
    ("count", "Number of events"),
    ("max", "Greatest value"),
    ("last", "Last value"),
    ("distinct", "Number of different values"),
]
TIER_FIELDS = ("sequence", "up_to", "price", "percent", "flat")


class CrmBillingMeter(models.Model):
    """What is measured, how events become a quantity, and what it costs by default.

    Events come in with :meth:`record_usage` (`crm_billing_meter_record.py`). A usage
    line of an agreement copies the price when the meter is chosen: from then on the
    price is the line's own.
    """

    _name = "crm.billing.meter"
    _description = "Usage Meter"
    _inherit = ["crm.billing.price.model"]
    _order = "name, id"
    _rec_names_search = ["name", "code"]
    _check_company_auto = True

    name = fields.Char(required=True, translate=True)
    code = fields.Char(
        required=True,
        copy=False,
        help="How senders of events name the meter. It never changes once there are "
        "events.",
    )
    active = fields.Boolean(default=True)
    company_id = fields.Many2one(
        "res.company", required=True, default=lambda self: self.env.company
    )
    currency_id = fields.Many2one(related="company_id.currency_id")
    aggregation = fields.Selection(AGGREGATIONS, default="sum", required=True)
    distinct_property = fields.Char(
        string="Property to Count",
        help="The property of an event whose different values are counted; empty: its "
        "value.",
    )
    uom_id = fields.Many2one("uom.uom", string="Unit", ondelete="restrict")
    late_days = fields.Integer(
        string="Late Usage Accepted for",
        help="Days after the end of a billed period in which its late events are "
        "billed by themselves; later ones wait for a decision. 0: for ever.",
    )
    tier_ids = fields.One2many("crm.billing.price.tier", "meter_id", copy=True)
    usage_ids = fields.One2many("crm.billing.usage", "meter_id", readonly=True)
    line_ids = fields.One2many("crm.billing.agreement.line", "meter_id", readonly=True)

    _code_uniq = models.UniqueIndex(
        "(company_id, code)", "Another meter of the company has this code already."
    )
    _late_days_not_negative = models.Constraint(
        "CHECK (late_days >= 0)", "Late usage is accepted for 0 or more days."
    )

    # === CONSTRAINT METHODS === #

    @api.constrains(*PRICE_FIELDS, "tier_ids")
    def _check_price_model(self):
        return super()._check_price_model()

    @api.constrains("price_model", "aggregation")
    def _check_percentage_sums(self):
        for meter in self:
            if meter._is_rated_by_event() and meter.aggregation != "sum":
                raise ValidationError(
                    self.env._(
                        "%(meter)s: a percentage is taken of amounts of money, so the "
                        "meter sums the values.",
                        meter=meter.name,
                    )
                )

    # === CRUD METHODS === #

    @api.model_create_multi
    def create(self, vals_list):
        """Override to give the meter the events that came before it."""
        for vals in vals_list:
            vals["code"] = (vals.get("code") or "").strip()
        meters = super().create(vals_list)
        meters._adopt_usage()
        return meters

    def write(self, vals):
        """Override to keep what identifies events for ever."""
        if fixed := {"code", "company_id", "aggregation"} & vals.keys():
            changed = self.filtered(
                lambda meter: any(
                    meter._fields[name].convert_to_write(meter[name], meter)
                    != vals[name]
                    for name in fixed
                )
            )
            changed._check_without_usage()
        return super().write(vals)

    @api.ondelete(at_uninstall=False)
    def _unlink_except_used(self):
        self._check_without_usage()

    def _check_without_usage(self):
        usage = self.env["crm.billing.usage"].sudo()
        if self and usage.search_count([("meter_id", "in", self.ids)], limit=1):
            raise UserError(
                self.env._(
                    "There are events of %(meters)s: code, company and aggregation "
                    "stay, so that nothing is counted twice or in another way. Archive "
                    "the meter and make a new one.",
                    meters=", ".join(self.mapped("name")),
                )
            )

    # === ACTION METHODS === #

    def action_view_usage(self):
        """Open the events of the meter."""
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "crm_billing_handoff.crm_billing_usage_action"
        )
        return {**action, "domain": [("meter_id", "in", self.ids)], "context": {}}

    # === BUSINESS METHODS === #

    def _prepare_price(self):
        """Return the price as values for an agreement line, its tiers included."""
        self.ensure_one()
        tiers = [
            fields.Command.create({name: tier[name] for name in TIER_FIELDS})
            for tier in self.tier_ids
        ]
        return {
            **{name: self[name] for name in PRICE_FIELDS},
            "tier_ids": [fields.Command.clear(), *tiers],
        }


class ProductTemplate(models.Model):
    _inherit = "product.template"

    billing_meter_id = fields.Many2one(
        "crm.billing.meter",
        string="Meter",
        company_dependent=True,
        help="What is measured where the product is billed by usage.",
    )
