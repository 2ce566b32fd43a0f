from odoo import models
from odoo.tools import SQL

# Core would convert at today's rate, which no report of a past day means.
IN_ONE_CURRENCY = ("sum", "sum_currency", "avg", "min", "max")


def get_core_rate(currency, root, day):
    """Return what `res.currency` does, in SQL: units of a currency for one of its base.

    It is the last rate until the day, else the first one after it, else 1.

    Rates of the company come before those of all companies. Each case is looked up
    by itself, so that an index finds it.
    """
    cases = [
        SQL(
            """
            (SELECT rate.rate FROM res_currency_rate rate
              WHERE rate.currency_id = %s AND %s AND %s
           ORDER BY rate.name %s LIMIT 1)
            """,
            currency,
            owner,
            time,
            order,
        )
        for time, order in (
            (SQL("rate.name <= %s", day), SQL("DESC")),
            (SQL("rate.name > %s", day), SQL("ASC")),
        )
        for owner in (
            SQL("rate.company_id = %s", root),
            SQL("rate.company_id IS NULL"),
        )
    ]
    return SQL("COALESCE(%s, 1.0)", SQL(", ").join(cases))


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
