from odoo import models
from odoo.tools import SQL

from .crm_billing_ratio import Ratio


class CrmBillingLagMixin(models.AbstractModel):
    """A report whose ratios over many rows are ratios of sums, in one currency."""

    _name = "crm.billing.lag.mixin"
    _inherit = "crm.billing.report.mixin"
    _description = "Billing Report with Ratios of Sums"

    def _read_group_select(self, aggregate_spec, query):
        """Override of `base`: no ratio is added up or averaged (billing rules, 8.8)."""
        name, _colon, function = aggregate_spec.partition(":")
        if not isinstance(self._fields.get(name), Ratio) or function.startswith(
            "array"
        ):
            return super()._read_group_select(aggregate_spec, query)
        currency = self._field_to_sql(self._table, "company_currency_id", query)
        return SQL(
            "CASE WHEN MIN(%(currency)s) = MAX(%(currency)s) THEN %(ratio)s END",
            currency=currency,
            ratio=self._get_ratio(name),
        )

    def _get_ratio(self, name):
        """Return in SQL the ratio of a field over the rows of a group; a hook."""
        raise NotImplementedError(name)

    def _sum(self, name):
        return SQL("SUM(%s)", SQL.identifier(self._table, name))
