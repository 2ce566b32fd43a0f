from datetime import timedelta
from fractions import Fraction

from odoo import fields, models

from ..billing_rules.period import Period
from ..billing_rules.proration import factor
from ..billing_rules.schedule import Part
from .crm_billing_agreement_line import RECURRING


class CrmBillingAgreementLine(models.Model):
    """Where a line comes from and goes to."""

    _inherit = "crm.billing.agreement.line"

    change_id = fields.Many2one(
        "crm.billing.change",
        string="Made by Change",
        readonly=True,
        copy=False,
        index="btree_not_null",
        ondelete="set null",
    )
    discount_last_day = fields.Date(
        string="Discount Ends On",
        help="The last discounted day; then the price is the full one again.",
    )

    def _has_discount_end(self):
        """Return whether days at full price follow the discount."""
        end, last_day = self._get_end(), self.discount_last_day
        return bool(last_day) and (not end or last_day + timedelta(days=1) < end)

    def _is_recurring(self):
        return self.billing_method in RECURRING

    def _get_predecessors(self):
        """Return the lines that this one replaced, newest first."""
        found, line = self.browse(), self
        while line.predecessor_id and line.predecessor_id.successor_id == line:
            line = line.predecessor_id
            found += line
        return found

    def _get_successors(self):
        """Return the lines that replaced this one, oldest first."""
        found, line = self.browse(), self
        while line.successor_id:
            line = line.successor_id
            found += line
        return found

    def _get_chain(self):
        """Return all lines of one service, oldest first."""
        self.ensure_one()
        return self._get_predecessors()[::-1] + self + self._get_successors()

    def _prepare_successor(self, values):
        """Return the values of a line that goes on at other terms, on the same grid.

        Values that the new ones decide (taxes of another product, the cadence of
        another plan) are left out, so that they are computed.
        """
        self.ensure_one()
        vals = {
            **self.copy_data()[0],
            "agreement_id": self.agreement_id.id,
            "end_date": self.end_date,
            "anchor_date": self.anchor_date,
            "anchor_day": self.anchor_day,
            "predecessor_id": self.id,
            "sale_line_id": self.sale_line_id.id,
            "end_reason": self.end_reason if self.end_date else False,
            "end_at": self.end_at,
            **values,
        }
        decided = []
        if values.get("product_id"):
            decided += ["name", "tax_ids", "product_uom_id"]
        if values.get("plan_id"):
            decided += ["interval_unit", "interval_count", "timing", "settling_days"]
            decided += ["lead_days", "proration_basis", "proration_timing"]
        return {
            name: value
            for name, value in vals.items()
            if name not in decided or name in values
        }

    def _get_service_start(self):
        """Return the first day or instant of the service on this grid.

        Changes keep it, what was paused or got another interval starts anew.
        """
        first = self
        while self._goes_on_from(first.predecessor_id, first):
            first = first.predecessor_id
        return first.start_at or first.start_date

    def _goes_on_from(self, earlier, later):
        return (
            earlier
            and earlier.end_reason not in ("pause", "cancel", "end")
            and (earlier.interval_unit, earlier.interval_count)
            == (later.interval_unit, later.interval_count)
        )

    def _get_piece_factor(self, part, start_at=None, end_at=None):
        """Return the share of the period that ``part`` is, cut at instants if given."""
        return factor(
            part,
            self._to_cadence(),
            self.proration_basis or "day",
            start_at=start_at,
            end_at=end_at,
            tz=self.agreement_id.billing_tz or "UTC",
            service_start=self._get_service_start(),
        )

    def _get_debited_factor(self, debit):
        """Return the share that a ledger row debited, frozen on it (S6)."""
        if debit.factor:
            return Fraction(debit.factor)
        period = Period(debit.date_from, debit.date_to)
        anchored = self._to_cadence().holding(debit.date_from)
        return self._get_piece_factor(
            Part(period, anchored), debit.instant_from or None, debit.instant_to or None
        )


class CrmBillingPeriod(models.Model):
    _inherit = "crm.billing.period"

    change_id = fields.Many2one(
        "crm.billing.change",
        string="Made by Change",
        readonly=True,
        index="btree_not_null",
        ondelete="set null",
    )
