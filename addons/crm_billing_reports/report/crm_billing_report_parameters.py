from datetime import date, timedelta

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.fields import Domain
from odoo.tools import unique

from .crm_billing_report_mixin import PARAMETER_KEYS

# Whose today it is, where no day is asked for: that of the reader's time zone.
READER_KEYS = ("tz", "uid")
ONE_DAY = timedelta(days=1)
# Ledgers have no others: a slip of the pen makes no report of two thousand years.
FIRST_DAY, LAST_DAY = date(1900, 1, 1), date(2199, 12, 31)
# What a comparison with a day says about the first and the last day of a report.
BOUNDS = {
    "in": lambda day: (day, day),
    ">=": lambda day: (day, None),
    ">": lambda day: (day + ONE_DAY, None),
    "<=": lambda day: (None, day),
    "<": lambda day: (None, day - ONE_DAY),
}


class CrmBillingReportMixin(models.AbstractModel):
    """The day or the period that a report is made for, taken from the domain.

    A report lists in ``_parameter_fields`` date columns that are no property of its
    rows but what the reader asks for ("as of"). Comparing one with a day sets the
    parameter, whoever asks: search bar, favourite, dashboard, export, RPC. Without
    such a comparison the context decides, and then today, as the clock of the reader
    says; a day that is asked for is the same day for all.
    """

    _inherit = "crm.billing.report.mixin"

    @api.model
    def _post_model_setup__(self):
        """Override of `base` to keep the figures of each day apart in the cache."""
        keys = (*PARAMETER_KEYS, *READER_KEYS)
        super()._post_model_setup__()
        if not self._parameter_fields:
            return
        for name, field in self._fields.items():
            if name != "id" and field.store:
                known = field._depends_context or ()
                field._depends_context = tuple(unique((*known, *keys)))

    # === CRUD METHODS === #

    @api.model
    def _search(self, domain, *args, **kwargs):
        """Override of `base` to make the report for what the domain asks for."""
        model, domain = self._with_parameters(domain)
        return super(CrmBillingReportMixin, model)._search(domain, *args, **kwargs)

    @api.model
    @api.private
    @api.readonly
    def search_fetch(self, domain, *args, **kwargs):
        """Override of `base`, so that the records found stay with their day."""
        model, domain = self._with_parameters(domain)
        return super(CrmBillingReportMixin, model).search_fetch(domain, *args, **kwargs)

    @api.model
    def _read_group(self, domain, *args, **kwargs):
        """Override of `base`, so that aggregates see what the report is made for."""
        model, domain = self._with_parameters(domain)
        return super(CrmBillingReportMixin, model)._read_group(domain, *args, **kwargs)

    @api.model
    def _read_grouping_sets(self, domain, *args, **kwargs):
        """Override of `base`, so that aggregates see what the report is made for."""
        model, domain = self._with_parameters(domain)
        return super(CrmBillingReportMixin, model)._read_grouping_sets(
            domain, *args, **kwargs
        )

    @api.model
    @api.readonly
    def web_read_group(self, domain, *args, **kwargs):
        """Override of `web`, so that records of open groups stay with their day."""
        model, domain = self._with_parameters(domain)
        return super(CrmBillingReportMixin, model).web_read_group(
            domain, *args, **kwargs
        )

    # === BUSINESS METHODS - PARAMETERS === #

    @api.model
    def _with_parameters(self, domain):
        """Return the model made for what ``domain`` asks for, and the other leaves.

        :return: ``(model, domain)``: ``billing_as_of`` of the model's context is the
            last day asked for (local date, ISO), ``billing_date_from`` and
            ``billing_date_to`` are the bounds or False
        :raise UserError: no or more than one day or period is left by the leaves
        """
        domain = Domain(domain)
        # By identity: a condition on a list of days has no hash.
        bounds = {
            id(leaf): bound
            for leaf in domain.iter_conditions()
            if leaf.field_expr in self._parameter_fields
            and (bound := self._get_bounds(leaf))
        }
        if not bounds:
            return self, domain
        for leaf in domain.iter_conditions():
            if id(leaf) in bounds:
                self._check_applies_to_all(leaf, domain)
        model = self.with_context(**self._prepare_parameters(bounds.values()))
        return model, domain.map_conditions(
            lambda leaf: Domain.TRUE if id(leaf) in bounds else leaf
        )

    @api.model
    def _get_bounds(self, leaf):
        """Return the first and last day that the condition leaves, or nothing.

        :raise UserError: it leaves several days apart, or its value is no date
        """
        try:
            leaf = leaf.optimize_full(self)
        except (TypeError, ValueError) as error:
            raise self._make_date_error(leaf.value) from error
        if leaf.is_true() or leaf.is_false() or leaf.operator not in BOUNDS:
            return None
        days = leaf.value if leaf.operator == "in" else [leaf.value]
        if len(days) > 1:
            self._raise_one_at_a_time()
        day = next(iter(days))
        return BOUNDS[leaf.operator](self._check_day(day)) if day else None

    @api.model
    def _get_parameter(self, key):
        """Return the day that the context asks for, None if it asks for none.

        :param key: one of ``PARAMETER_KEYS``
        :raise UserError: what it says is no day of a ledger
        """
        value = self.env.context.get(key)
        if not value:
            return None
        try:
            return self._check_day(fields.Date.to_date(value))
        except (TypeError, ValueError) as error:
            raise self._make_date_error(value) from error

    @api.model
    def _check_day(self, day):
        """Return ``day``.

        :raise UserError: it is no day of a ledger
        """
        if not FIRST_DAY <= day <= LAST_DAY:
            raise self._make_date_error(day)
        return day

    @api.model
    def _make_date_error(self, value):
        return UserError(
            self.env._(
                "%(value)s is no date: write one like 2026-12-31, from 1900 to 2199.",
                value=value,
            )
        )

    @api.model
    def _check_applies_to_all(self, leaf, domain):
        """Refuse a condition that is but one alternative: a report has one day.

        :raise UserError: the rest of the domain could hold without it
        """
        without = domain.map_conditions(
            lambda other: Domain.FALSE if other is leaf else other
        )
        if not without.is_false():
            self._raise_one_at_a_time()

    @api.model
    def _prepare_parameters(self, bounds):
        """Return the context keys of a report made for what all ``bounds`` leave."""
        first = max((day for day, _last in bounds if day), default=None)
        last = min((day for _first, day in bounds if day), default=None)
        if first and last and first > last:
            self._raise_one_at_a_time()
        today = fields.Date.context_today(self)
        as_of = last or max(first, today)
        if first and first <= today < as_of:
            as_of = today  # of a month or year that is not over yet
        days = (as_of, first, last)
        return {
            key: day and fields.Date.to_string(day)
            for key, day in zip(PARAMETER_KEYS, days, strict=True)
        }

    @api.model
    def _raise_one_at_a_time(self):
        raise UserError(
            self.env._(
                "A report is made for one day or period at a time: remove the other "
                "date from the search."
            )
        )
