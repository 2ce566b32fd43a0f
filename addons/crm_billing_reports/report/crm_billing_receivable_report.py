from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.fields import Domain
from odoo.tools import date_utils

from ..report_rules.collections import MONTHS_OF, cut
from .crm_billing_ratio import Ratio
from .crm_billing_report_mixin import ACCOUNT

DEFAULT_MONTHS = 12  # shown where nobody asks for a period
# Into what the period is cut: months for rows, else what they are grouped by.
UNIT_KEY = "billing_slice_unit"
WHOLE = "whole"
MANY_YEARS = 10  # more are cut from where the ledger begins: each slice costs


class CrmBillingReceivableReport(models.Model):
    """What each account owed month by month, and how fast it pays (J2).

    One row per account, currency and calendar month of the period asked for, the first
    and the last one as far as they are in it; amounts in company currency as booked.
    Groups are cut as they ask for: by quarter, by year, and without a date there is one
    slice, the whole period. So opening and closing may be summed up in any group, and
    ratios are those of the sums over the group's own period (billing rules, 8.4–8.8).
    The SQL is in `crm_billing_receivable_query.py`.
    """

    _name = "crm.billing.receivable.report"
    _description = "Receivables and DSO"
    _inherit = "crm.billing.lag.mixin"
    _auto = False
    _order = "date desc, closing desc, id"
    _rec_name = "partner_id"
    _parameter_fields = ("date",)

    date = fields.Date(string="Up To", readonly=True, help="The last day of the row.")
    date_from = fields.Date(string="From", readonly=True)
    days = fields.Integer(
        readonly=True, aggregator="max", help="Of the month, or of the period."
    )
    opening = fields.Monetary(
        currency_field="company_currency_id",
        readonly=True,
        help="Owed at the end of the day before.",
    )
    sales = fields.Monetary(
        currency_field="company_currency_id",
        readonly=True,
        help="Posted invoices less credit notes, with tax, by accounting date.",
    )
    closing = fields.Monetary(
        currency_field="company_currency_id",
        readonly=True,
        help="Owed at the end of the last day: the total of the aging.",
    )
    not_due = fields.Monetary(
        currency_field="company_currency_id",
        readonly=True,
        help="The part of it that is not due yet, with what customers retain.",
    )

    # === FIELDS - RATIOS === #

    dso = Ratio(
        string="DSO",
        digits=(16, 1),
        readonly=True,
        aggregator="avg",
        help="Days sales outstanding: closing × days ÷ sales.",
    )
    best_dso = Ratio(
        string="Best Possible DSO",
        digits=(16, 1),
        readonly=True,
        aggregator="avg",
        help="If everything had been paid when due: not due × days ÷ sales.",
    )
    add = Ratio(
        string="ADD",
        digits=(16, 1),
        readonly=True,
        aggregator="avg",
        help="Average days delinquent: DSO less the best possible one.",
    )
    cei = Ratio(
        string="CEI %",
        digits=(16, 2),
        readonly=True,
        aggregator="avg",
        help="Collection effectiveness index: of what was owed and due, the share that "
        "was collected. N months: (opening + sales ÷ N − closing) ÷ (opening + sales ÷ "
        "N − not due) × 100.",
    )
    countback = Ratio(
        string="Count-Back DSO",
        digits=(16, 1),
        readonly=True,
        aggregator="avg",
        help="The days over which the last sales make up what is owed, walking back "
        "month by month. Empty where even all sales since the first invoice do not.",
    )
    countback_over = Ratio(
        string="Count-Back Over",
        digits=(16, 1),
        readonly=True,
        aggregator="avg",
        help="Where all sales since the first invoice do not make up what is owed: the "
        "count-back DSO is more than this.",
    )

    # === CRUD METHODS === #

    @api.model
    def _read_group(self, domain, groupby=(), *args, **kwargs):
        """Override of `base` to cut the period as the groups are."""
        model = self._with_unit(groupby)
        return super(CrmBillingReceivableReport, model)._read_group(
            domain, groupby, *args, **kwargs
        )

    @api.model
    def _read_grouping_sets(self, domain, grouping_sets, aggregates=(), order=None):
        """Override of `base` to read each way of cutting the period by itself."""
        places = {}
        for place, groupby in enumerate(grouping_sets):
            places.setdefault(self._get_unit(groupby), []).append(place)
        results = [None] * len(grouping_sets)
        for chosen in places.values():
            sets = [grouping_sets[place] for place in chosen]
            model = self._with_unit(sets[0])
            part = super(CrmBillingReceivableReport, model)._read_grouping_sets(
                domain, sets, aggregates, self._keep_order(order, sets, grouping_sets)
            )
            for place, rows in zip(chosen, part, strict=True):
                results[place] = rows
        return results

    @staticmethod
    def _keep_order(order, sets, all_sets):
        """Return the order without what only other groups have."""
        known = {spec for groupby in sets for spec in groupby}
        unknown = {spec for groupby in all_sets for spec in groupby} - known
        terms = (term.strip() for term in (order or "").split(","))
        return ",".join(term for term in terms if term.split(" ")[0] not in unknown)

    # === ACTION METHODS === #

    def action_view_open(self):
        """Open what was open of the account at the end of the row."""
        return self._view(
            "crm_billing_aging_report_action",
            [
                ("as_of", "=", fields.Date.to_string(self.date)),
                ("currency_id", "=", self.currency_id.id),
            ],
        )

    def action_view_collections(self):
        """Open what the account paid in the days of the row."""
        return self._view(
            "crm_billing_collection_report_action",
            [
                ("date", ">=", fields.Date.to_string(self.date_from)),
                ("date", "<=", fields.Date.to_string(self.date)),
                ("currency_id", "=", self.currency_id.id),
            ],
        )

    def action_view_invoices(self):
        """Open the invoices and credit notes that are the row's sales."""
        self.ensure_one()
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Invoices of %s", self.partner_id.display_name),
            "res_model": "account.move",
            "view_mode": "list,form",
            "domain": [
                ("move_type", "in", ("out_invoice", "out_refund", "out_receipt")),
                ("state", "=", "posted"),
                (ACCOUNT, "=", self.partner_id.id),
                ("company_id", "=", self.company_id.id),
                ("currency_id", "=", self.currency_id.id),
                ("date", ">=", self.date_from),
                ("date", "<=", self.date),
            ],
        }

    def _view(self, name, domain):
        self.ensure_one()
        action = self.env["ir.actions.act_window"]._for_xml_id(
            f"crm_billing_reports.{name}"
        )
        own = [
            ("partner_id", "=", self.partner_id.id),
            ("company_id", "=", self.company_id.id),
        ]
        return {**action, "domain": own + domain, "context": {}}

    # === BUSINESS METHODS - PERIOD === #

    @api.model
    def _get_report_dates(self, domain):
        """Override: without a question it is the last twelve months."""
        model = self._with_parameters(domain)[0]
        first, last = model._get_period()
        dates = super()._get_report_dates(domain)
        return {
            **dates,
            "date_from": fields.Date.to_string(first),
            "date_to": fields.Date.to_string(last),
        }

    @api.model
    def _get_period(self):
        """Return the first and the last day of the report, local dates."""
        last = self._get_parameter("billing_as_of")
        last = last or fields.Date.context_today(self)
        first = self._get_parameter("billing_date_from")
        if not first:
            months = date_utils.get_timedelta(DEFAULT_MONTHS - 1, "month")
            first = last.replace(day=1) - months
        return min(first, last), last

    @api.model
    def _get_slices(self, unit=None):
        """Return the slices of the period, as the report is read."""
        unit = unit or self.env.context.get(UNIT_KEY, "month")
        if unit == WHOLE:
            return cut(*self._get_period(), None)
        first, last = self._get_period()
        if last.year - first.year > MANY_YEARS:
            first = max(first, min(last, self._get_ledger_start()))
        return cut(first, last, self._get_unit([f"date:{unit}"]))

    @api.model
    def _get_ledger_start(self):
        """Return New Year's Day of the first year with an entry in any company."""
        # Whoever reads the report learns a year, no entry.
        entries = self.env["account.move"].sudo()
        [(first,)] = entries._read_group(Domain.TRUE, aggregates=["date:min"])
        return date_utils.start_of(first or fields.Date.context_today(self), "year")

    @api.model
    def _with_unit(self, groupby):
        return self.with_context(**{UNIT_KEY: self._get_unit(groupby)})

    @api.model
    def _get_unit(self, groupby):
        """Return into what the period is cut for groups.

        :raise UserError: by days or weeks, or by a month of all years
        """
        units = {
            spec.partition(":")[2] or "month"
            for spec in groupby
            if spec.partition(":")[0] in ("date", "date_from")
        }
        if units - MONTHS_OF.keys():
            raise UserError(
                self.env._("Group what was owed by month, by quarter or by year.")
            )
        return min(units, key=MONTHS_OF.get, default=WHOLE)
