from odoo import models
from odoo.tools import SQL

# Core would convert at today's rate, which no report of a past day means.
IN_ONE_CURRENCY = ("sum", "sum_currency", "avg", "min", "max")


class CrmBillingReportMixin(models.AbstractModel):
    """Amounts of different currencies are never added up (billing rules, 8.3)."""

    _inherit = "crm.billing.report.mixin"

    def _read_group_select(self, aggregate_spec, query):
        """Override of `base` to leave an amount empty where currencies are mixed."""
        name, _colon, function = aggregate_spec.partition(":")
        field = self._fields.get(name)
        if not field or field.type != "monetary" or function not in IN_ONE_CURRENCY:
            return super()._read_group_select(aggregate_spec, query)
        currency_field = field.get_currency_field(self)
        if not self._fields[currency_field].store:
            return super()._read_group_select(aggregate_spec, query)
        if function == "sum_currency":
            aggregate_spec = f"{name}:sum"
        currency = self._field_to_sql(self._table, currency_field, query)
        return SQL(
            "CASE WHEN MIN(%(currency)s) = MAX(%(currency)s) THEN %(amount)s END",
            currency=currency,
            amount=super()._read_group_select(aggregate_spec, query),
        )
