from collections import defaultdict
from datetime import timedelta

import pytz

from odoo import api, fields, models
from odoo.tools import SQL

from ..billing_rules.allocation import exact
from ..billing_rules.mrr import monthly
from ..billing_rules.period import Period
from ..billing_rules.proration import midnight
from ..billing_rules.schedule import next_billing_date
from .crm_billing_agreement_line import RECURRING
from .crm_billing_period import COVERING

# Rows that no invoice carries yet.
PENDING = [("move_line_id", "=", False), ("is_covered", "=", False)]


class CrmBillingAgreement(models.Model):
    """What comes next: computed from the ledger, never pushed forward by hand."""

    _inherit = "crm.billing.agreement"

    next_invoice_date = fields.Date(
        compute="_compute_next_invoice",
        store=True,
        help="Local billing date of the oldest part that is not billed yet.",
    )
    next_run_at = fields.Datetime(
        compute="_compute_next_invoice",
        store=True,
        help="The instant (UTC) from which the run looks at the agreement.",
    )
    mrr = fields.Monetary(
        string="MRR",
        compute="_compute_mrr",
        store=True,
        help="Monthly recurring revenue of the lines that run today, before tax.",
    )

    _due_idx = models.Index(
        "(next_run_at) WHERE state IN ('running', 'paused') "
        "AND next_run_at IS NOT NULL AND billing_error IS NULL "
        "AND is_catch_up_held IS NOT TRUE"
    )

    _failed_idx = models.Index("(id) WHERE billing_error IS NOT NULL")

    # === COMPUTE METHODS === #

    @api.depends(
        "state",
        "end_date",
        "billing_tz",
        "line_ids.billing_method",
        "line_ids.start_date",
        "line_ids.end_date",
        "line_ids.anchor_date",
        "line_ids.anchor_day",
        "line_ids.interval_unit",
        "line_ids.interval_count",
        "line_ids.timing",
        "line_ids.settling_days",
        "line_ids.lead_days",
        "line_ids.successor_id",
        "period_ids.date_from",
        "period_ids.date_to",
        "period_ids.kind",
        "period_ids.move_line_id",
        "period_ids.is_covered",
        "period_ids.needs_rating",
    )
    def _compute_next_invoice(self):
        # A pause ends lines: what they leave to bill is billed all the same.
        live = self.filtered(lambda one: one.state in ("running", "paused"))
        (self - live).next_invoice_date = False
        (self - live).next_run_at = False
        facts = live.line_ids._read_coverage()
        steps_by_agreement = {
            agreement: [
                (day - timedelta(days=line.lead_days), day)
                for line in agreement.line_ids
                if (day := line._get_next_date(facts))
            ]
            for agreement in live
        }
        ending = live.filtered(lambda agreement: not steps_by_agreement[agreement])
        waiting = ending._get_waiting_dates()
        for agreement, steps in steps_by_agreement.items():
            if agreement.id in waiting:
                # Nothing else will come: what waits gets a document of its own.
                steps = [(waiting[agreement.id], waiting[agreement.id])]
            agreement.next_invoice_date = min(
                (day for _run, day in steps), default=None
            )
            run_on = min((run for run, _day in steps), default=None)
            agreement.next_run_at = run_on and midnight(
                run_on, agreement.billing_tz
            ).replace(tzinfo=None)

    @api.depends(
        "state",
        "line_ids.start_date",
        "line_ids.end_date",
        "line_ids.quantity",
        "line_ids.price_unit",
        "line_ids.discount",
        "line_ids.interval_unit",
        "line_ids.interval_count",
        "end_date",
    )
    def _compute_mrr(self):
        for agreement in self:
            today = agreement._get_today()
            total = sum(
                line._get_mrr()
                for line in agreement.line_ids
                if agreement.state == "running" and line._counts_on(today)
            )
            agreement.mrr = agreement.currency_id.round(float(total))

    # === BUSINESS METHODS === #

    def _get_today(self, now=None):
        """Return the local date of the account at ``now`` (UTC, default: the clock)."""
        self.ensure_one()
        instant = pytz.utc.localize(now or fields.Datetime.now())
        return instant.astimezone(pytz.timezone(self.billing_tz or "UTC")).date()

    def _get_waiting_dates(self):
        """Return ``{agreement id: date}`` of the oldest row without a document."""
        if not self.ids:
            return {}
        ledger = self.env["crm.billing.period"].sudo()
        ledger.flush_model()
        rows = self.env.execute_query(
            SQL(
                """
                SELECT agreement_id, min(date_from) FROM crm_billing_period
                 WHERE agreement_id IN %s AND (needs_rating IS TRUE
                       OR (move_line_id IS NULL AND is_covered IS NOT TRUE))
              GROUP BY agreement_id
                """,
                tuple(self.ids),
            )
        )
        return dict(rows)

    def _refresh_next_dates(self):
        """Compute anew what depends on the day: MRR and the next date."""
        self.env.add_to_compute(self._fields["next_invoice_date"], self)
        self.env.add_to_compute(self._fields["next_run_at"], self)
        self.env.add_to_compute(self._fields["mrr"], self)


class CrmBillingAgreementLine(models.Model):
    """What of a line is covered by the ledger."""

    _inherit = "crm.billing.agreement.line"

    def _read_coverage(self):
        """Return what the ledger covers: days of each line, one-offs that are billed.

        Lines whose rows follow each other without a gap are told by one aggregate.
        """
        covered = defaultdict(list)
        if self.ids:
            self.env["crm.billing.period"].flush_model()
            rows = self.env.execute_query(
                SQL(
                    """
                    SELECT line_id, min(date_from), max(date_to),
                           sum(date_to - date_from), count(*)
                      FROM crm_billing_period
                     WHERE line_id IN %s AND kind IN %s
                  GROUP BY line_id
                    """,
                    tuple(self.ids),
                    COVERING,
                )
            )
            broken = []
            for line_id, start, end, days, _count in rows:
                if (end - start).days == days:
                    covered[line_id].append(Period(start, end))
                else:
                    broken.append(line_id)
            if broken:
                self._read_broken_coverage(broken, covered)
        return {"covered": covered, "billed_once": self._read_billed_once()}

    def _read_billed_once(self):
        """Return the ids of one-off lines that are billed."""
        one_offs = self.filtered(lambda line: line.billing_method == "one_off")
        if not one_offs.ids:
            return set()
        rows = self.env.execute_query(
            SQL(
                """
                SELECT line_id FROM crm_billing_period
                 WHERE line_id IN %s AND kind = 'one_off'
                """,
                tuple(one_offs.ids),
            )
        )
        return {line_id for (line_id,) in rows}

    def _read_broken_coverage(self, line_ids, covered):
        rows = self.env.execute_query(
            SQL(
                """
                SELECT line_id, date_from, date_to FROM crm_billing_period
                 WHERE line_id IN %s AND kind IN %s ORDER BY date_from
                """,
                tuple(line_ids),
                COVERING,
            )
        )
        for line_id, start, end in rows:
            covered[line_id].append(Period(start, end))

    def _is_continued(self):
        """Return whether a successor goes on with the period: arrears then wait (2.9).

        What was paused or ended is billed the day after its last day.
        """
        self.ensure_one()
        return bool(self.successor_id) and self.end_reason == "change"

    def _get_next_date(self, facts):
        """Return the local billing date of the first uncovered part, or ``None``."""
        self.ensure_one()
        return getattr(self, f"_get_next_date_{self.billing_method}")(facts)

    def _get_next_date_recurring(self, facts):
        end = self._get_end()
        if not self.start_date or not self.anchor_date or end == self.start_date:
            return None
        return next_billing_date(
            self._to_cadence(),
            self.start_date,
            end,
            self.timing,
            facts["covered"].get(self.id, ()),
            settling_days=self.settling_days,
            continued=self._is_continued(),
        )

    def _get_next_date_flat(self, facts):
        return self._get_next_date_recurring(facts)

    def _get_next_date_usage(self, facts):
        return self._get_next_date_recurring(facts)

    def _get_next_date_milestone(self, facts):
        return None

    def _get_next_date_one_off(self, facts):
        """A one-off is billed with the first invoice on or after its date (1.6)."""
        if self.id in facts["billed_once"] or not self._has_service():
            return None
        dates = [
            day
            for line in self.agreement_id.line_ids
            if line.billing_method in RECURRING and (day := line._get_next_date(facts))
        ]
        later = [day for day in dates if day >= self.start_date]
        return min(later, default=self.start_date)

    def _has_service(self):
        """Return whether the line serves a day at all; a replaced one may not."""
        end = self._get_end()
        return bool(self.start_date) and not (end and end <= self.start_date)

    # === BUSINESS METHODS - MRR === #

    def _counts_on(self, day):
        """Return whether the line counts as recurring revenue on a local ``day``."""
        self.ensure_one()
        return (
            self.billing_method in RECURRING
            and bool(self.start_date)
            and bool(self.interval_unit)
            and self._is_in_service(day)
        )

    def _get_mrr(self):
        """Return the exact monthly revenue of the line while it runs (S18)."""
        self.ensure_one()
        price, quantity = self._get_price(), exact(self.quantity)
        return monthly(
            self.interval_unit,
            self.interval_count,
            price,
            quantity,
            exact(self.discount),
        )
