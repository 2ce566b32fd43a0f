from odoo import models
from odoo.exceptions import UserError

from .crm_billing_period import COVERING

# Changes that give days back and charge nothing in their place.
GIVING_BACK = ("cancel", "pause")


class CrmBillingPeriod(models.Model):
    """Days that were given back are billed once more when a clerk says so."""

    _inherit = "crm.billing.period"

    # === ACTION METHODS === #

    def action_bill_again(self):
        """Bill credited days once more, on a line that repeats them.

        What has ended runs once more for it.

        :raise AccessError: no billing clerk, or the days are of another company
        :raise UserError: the days are not credited in full, or were repeated already
        """
        self.env["account.move"]._check_is_biller()
        self.check_access("read")
        # The flow writes the line, for the clerk who asks for it.
        periods = self.sudo()
        periods.agreement_id._lock_and_wait()
        for period in periods:
            period._check_given_back()
            period._check_not_repeated()
            period.line_id.copy(period._prepare_repetition())
        periods.agreement_id._reopen()
        periods.agreement_id._trigger_run()
        return True

    # === BUSINESS METHODS === #

    def _check_given_back(self):
        """Refuse what posted credit notes do not give back as a whole.

        Days that a change credits are charged at its new terms already.
        """
        self.ensure_one()
        credits = self.credit_ids.filtered(
            lambda row: row.status == "posted" and row.kind == "credit"
        )
        left = self._get_billed() + sum(credits.mapped("amount"))
        types = set(credits.change_id.mapped("change_type"))
        if (
            self.kind not in COVERING
            or not credits
            or self.currency_id.compare_amounts(left, 0) > 0
            or types - set(GIVING_BACK)
        ):
            raise UserError(
                self.env._(
                    "%(period)s is not credited in full by posted credit notes: only "
                    "what was taken back is billed again.",
                    period=self.display_name,
                )
            )

    def _check_not_repeated(self):
        repetitions = self.env["crm.billing.agreement.line"].search(
            [
                ("predecessor_id", "=", self.line_id.id),
                ("id", "!=", self.line_id.successor_id.id),
                ("start_date", "=", self.date_from),
                ("end_date", "=", self._get_last_day()),
            ]
        )
        if repetitions:
            raise UserError(
                self.env._(
                    "%(period)s is billed again already. If that was credited, too, "
                    "bill its own row again.",
                    period=self.display_name,
                )
            )

    def _prepare_repetition(self):
        """Return what the line that repeats the days has otherwise than the line."""
        line = self.line_id
        vals = {
            "agreement_id": line.agreement_id.id,
            "start_date": self.date_from,
            "end_date": self._get_last_day(),
            "anchor_date": line.anchor_date,
            "anchor_day": line.anchor_day,
            "predecessor_id": line.id,
            "end_reason": "rebill",
            "sale_line_id": line.sale_line_id.id,
        }
        if self.kind == "usage":
            vals |= self._prepare_repeated_usage()
        return vals

    def _prepare_repeated_usage(self):
        """Return the terms that bill measured usage once more, as it was credited.

        The events belong to the line that measured them, so the repetition bills the
        amount: usage, minimum and what came late together.
        """
        rows = self.line_id.period_ids.filtered(
            lambda row: (row.date_from, row.date_to) == (self.date_from, self.date_to)
        )
        credits = rows.credit_ids.filtered(
            lambda row: row.is_reversal and row.status == "posted"
        )
        return {
            "billing_method": "flat",
            "meter_id": False,
            "timing": "arrears",
            "settling_days": 0,
            "interval_unit": "day",
            "interval_count": (self.date_to - self.date_from).days,
            "anchor_date": self.date_from,
            "anchor_day": self.date_from.day,
            "quantity": 1.0,
            "discount": 0.0,
            "price_unit": -sum(credits.mapped("amount")),
            "price_plan_unit": False,
        }

    def unlink(self):
        """Override: what is free again is due again, also where all had ended."""
        agreements = self.agreement_id
        result = super().unlink()
        agreements._reopen()
        return result


class CrmBillingAgreement(models.Model):
    _inherit = "crm.billing.agreement"

    def _reopen(self):
        """Run what has ended once more: something of it is to be billed again."""
        ended = self.sudo().filtered(
            lambda agreement: agreement.state in ("closed", "cancelled")
        )
        if ended:
            ended.state = "running"
            ended._trigger_run()


class CrmBillingAgreementLine(models.Model):
    _inherit = "crm.billing.agreement.line"

    def _counts_on(self, day):
        """Override: days that are billed again are no second revenue."""
        return self.end_reason != "rebill" and super()._counts_on(day)
