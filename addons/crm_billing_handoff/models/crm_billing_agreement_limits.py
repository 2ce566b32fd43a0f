import math
from datetime import date

from odoo import api, models
from odoo.exceptions import ValidationError

# What no contract needs, and no invoice, calendar or column could carry.
LARGEST = 10.0**12
EARLIEST, LATEST = date(1900, 1, 1), date(2999, 12, 31)
MOST_DAYS = 3660
# Of an interval or a term: a hundred years in months.
MOST_STEPS = 1200


class CrmBillingLimits(models.AbstractModel):
    """Mixin: days and numbers that somebody or something got wrong are refused."""

    _name = "crm.billing.limits"
    _description = "Limits of Days and Numbers"

    def _check_limits(self, names, lowest, highest):
        """Refuse values of fields that are outside ``lowest`` to ``highest``.

        :raise ValidationError: one is; the message names field and limits
        """
        for record in self:
            for name in names:
                value = record[name]
                if value is False or value is None:
                    continue
                if lowest <= value <= highest and (
                    isinstance(value, date) or math.isfinite(value)
                ):
                    continue
                field = record._fields[name].get_description(self.env, ["string"])
                raise ValidationError(
                    self.env._(
                        "%(record)s: %(field)s is between %(lowest)s and %(highest)s.",
                        record=record.display_name,
                        field=field["string"],
                        lowest=f"{lowest:g}" if isinstance(lowest, float) else lowest,
                        highest=f"{highest:g}"
                        if isinstance(highest, float)
                        else highest,
                    )
                )


class CrmBillingAgreement(models.Model):
    _name = "crm.billing.agreement"
    _inherit = ["crm.billing.agreement", "crm.billing.limits"]

    @api.constrains("start_date", "end_date", "billed_until")
    def _check_days(self):
        """An open end is left empty, not the last day of the calendar."""
        self._check_limits(("start_date", "end_date", "billed_until"), EARLIEST, LATEST)

    @api.constrains("trial_days", "notice_days", "renewal_count", "renewal_lead_days")
    def _check_counts(self):
        self._check_limits(("trial_days", "notice_days"), 0, MOST_DAYS)
        self._check_limits(("renewal_lead_days",), 0, MOST_DAYS)
        self._check_limits(("renewal_count",), 1, MOST_STEPS)


class CrmBillingAgreementLine(models.Model):
    _name = "crm.billing.agreement.line"
    _inherit = ["crm.billing.agreement.line", "crm.billing.limits"]

    @api.constrains("start_date", "end_date", "anchor_date")
    def _check_days(self):
        self._check_limits(("start_date", "end_date", "anchor_date"), EARLIEST, LATEST)

    @api.constrains("quantity", "price_unit", "discount")
    def _check_numbers(self):
        """A credit is a negative price; only a down payment comes off by quantity."""
        typed = self.filtered(lambda line: not line.sale_line_id)
        typed._check_limits(("quantity",), 0.0, LARGEST)
        self._check_limits(("quantity",), -LARGEST, LARGEST)
        self._check_limits(("price_unit",), -LARGEST, LARGEST)
        self._check_limits(("discount",), 0.0, 100.0)

    @api.constrains("interval_count", "anchor_day", "settling_days", "lead_days")
    def _check_counts(self):
        self._check_limits(("interval_count",), 0, MOST_STEPS)
        self._check_limits(("anchor_day",), 0, 31)
        self._check_limits(("settling_days", "lead_days"), 0, MOST_DAYS)


class CrmBillingChange(models.Model):
    _name = "crm.billing.change"
    _inherit = ["crm.billing.change", "crm.billing.limits"]

    @api.constrains("date", "resume_date", "discount_last_day")
    def _check_days(self):
        self._check_limits(
            ("date", "resume_date", "discount_last_day"), EARLIEST, LATEST
        )

    @api.constrains("quantity", "price_unit", "discount", "discount_amount", "uplift")
    def _check_numbers(self):
        self._check_limits(("quantity",), 0.0, LARGEST)
        names = ("price_unit", "discount", "discount_amount")
        self._check_limits(names, -LARGEST, LARGEST)
        self._check_limits(("uplift",), -100.0, 1000.0)

    @api.constrains("discount_periods", "renewal_count")
    def _check_counts(self):
        self._check_limits(("discount_periods",), 0, MOST_STEPS)
        self._check_limits(("renewal_count",), 1, MOST_STEPS)
