from datetime import date, timedelta
from decimal import Decimal

from odoo import api, fields, models
from odoo.tools import format_date

from ..billing_rules.coverage import (
    Cell,
    Entry,
    Segment,
    Slot,
    build_strip,
    judge_entries,
)
from ..billing_rules.schedule import Cadence, parts
from .crm_billing_agreement_line import RECURRING
from .crm_billing_period import COVERING

# Periods that a strip shows after today.
COMING = 6
# Rows printed beside the debit they belong to.
COMPANIONS = ("minimum", "late_usage")
GAPS = ("missing", "due")


class CrmBillingAgreementLine(models.Model):
    """A chain of lines, as one strip."""

    _inherit = "crm.billing.agreement.line"

    def _get_coverage_strip(self, today, past):
        """Return the strip of a chain, oldest line first.

        :param today: local date of the account
        """
        last = self[-1]
        strip = {
            "key": self[0].id,
            "name": last._get_short_name(),
            "cadence": last._get_cadence_text(),
            "earlier": 0,
            "ended": "",
        }
        if last.billing_method not in RECURRING:
            events = self._get_coverage_events(today)
        elif last._get_coverage_cadence():
            cells, strip["earlier"] = self._get_coverage_periods(today, past)
            events = [(cell, "") for cell in cells]
        else:
            events = []
        end = last._get_end()
        if end and end <= today and last.end_reason != "pause":
            day = format_date(self.env, end - timedelta(days=1))
            strip["ended"] = self.env._("ended on %(day)s", day=day)
        rows = self._get_coverage_rows()
        strip["cells"] = [
            self._prepare_cell(cell, name, rows, today) for cell, name in events
        ]
        first = strip["cells"][:1] if last.billing_method in RECURRING else []
        for cell in first:
            year = cell["date_from"][:4]
            cell["year"] = year if year != cell["label"] else ""
        shown = sum(
            segment["status"] == "missing"
            for cell in strip["cells"]
            for segment in cell["segments"]
        )
        strip["hidden_missing"] = 0
        if strip["earlier"]:
            strip["hidden_missing"] = self._count_missing(today) - shown
        strip["missing"] = shown + strip["hidden_missing"]
        return strip

    def _count_missing(self, today):
        """Return how many parts are due since before today, as the engine sees it."""
        facts = self._read_coverage()
        return sum(
            line._get_billing_date(part) < today
            for line in self
            for part in line._get_due_parts(today, facts)
        )

    def _get_short_name(self):
        """Return the first line of the description, without the product's code."""
        self.ensure_one()
        name, code = (self.name or "").split("\n")[0], self.product_id.default_code
        return name.removeprefix(f"[{code}] ") if code else name

    def _get_cadence_text(self):
        """Return how often and when the line is billed, in words."""
        self.ensure_one()
        names = dict(self._fields["billing_method"]._description_selection(self.env))
        if self.billing_method not in RECURRING or not self.interval_unit:
            return names[self.billing_method]
        plan = self.plan_id
        same = (plan.interval_unit, plan.interval_count) == (
            self.interval_unit,
            self.interval_count,
        )
        units = dict(self._fields["interval_unit"]._description_selection(self.env))
        cycle = (
            plan.name if same else f"{self.interval_count} {units[self.interval_unit]}"
        )
        timings = dict(self._fields["timing"]._description_selection(self.env))
        return ", ".join(filter(None, (cycle, timings.get(self.timing))))

    # === PERIODS === #

    def _get_coverage_cadence(self):
        """Return the grid of the line, of a draft the one it would get."""
        self.ensure_one()
        if not self.interval_unit:
            return None
        if self.anchor_date:
            return self._to_cadence()
        anchor = self._resolve_anchor()
        return Cadence(self.interval_unit, self.interval_count, anchor)

    def _get_coverage_start(self):
        self.ensure_one()
        agreement = self.agreement_id
        trial = timedelta(days=agreement.trial_days)
        return self.start_date or agreement.start_date + trial

    def _get_coverage_periods(self, today, past):
        """Return the cells of the window around today, and how many are before it."""
        last, start = self[-1], self[0]._get_coverage_start()
        cadence, end = last._get_coverage_cadence(), last._get_end()
        middle = max(start, min(today, end - timedelta(days=1)) if end else today)
        n = cadence.index(middle)
        first, after = cadence.grid(n - past), cadence.grid(n + COMING + 1)
        earlier, slots = 0, []
        for line in self:
            older, kept = line._get_coverage_slots(first, after)
            earlier += older
            slots += kept
        if not earlier:
            first = date.min
        gaps = [
            (max(gap_from, first), min(gap_to, after), status)
            for gap_from, gap_to, status in self._get_coverage_gaps(today, cadence)
            if max(gap_from, first) < min(gap_to, after)
        ]
        entries = [
            period._to_coverage_entry()
            for period in self.period_ids
            if period.kind in COVERING and period.date_to > first
        ]
        return build_strip(slots, entries, today, gaps), earlier

    def _get_coverage_slots(self, first, after):
        """Return how many parts end before ``first``, and the parts from there on."""
        self.ensure_one()
        cadence, start = self._get_coverage_cadence(), self._get_coverage_start()
        end = self._get_end()
        if not cadence or (end and end <= start):
            return 0, []
        older = 0
        if end and end <= first:
            return cadence.index(end - timedelta(days=1)) - cadence.index(start) + 1, []
        if start < first:
            begin = max(start, cadence.holding(first).start)
            older, start = cadence.index(begin) - cadence.index(start), begin
        slots = []
        for part in parts(cadence, start, end, after):
            slots.append(
                Slot(
                    self.id,
                    part.period.start,
                    part.period.end,
                    part.anchored.start,
                    part.anchored.end,
                    self._get_billing_date(part),
                )
            )
        return older, slots

    def _get_coverage_gaps(self, today, cadence):
        """Yield the days without service: a trial before, pauses between lines."""
        agreement, first = self.agreement_id, self[0]._get_coverage_start()
        if agreement.trial_days and agreement.start_date < first:
            yield agreement.start_date, first, "trial"
        for line, following in zip(self, self[1:], strict=False):
            end = line._get_end()
            if end and end < following.start_date:
                yield end, following.start_date, "paused"
        end = self[-1]._get_end()
        if agreement.state == "paused" and end and self[-1].end_reason == "pause":
            yield end, cadence.holding(max(today, end)).end, "paused"

    # === EVENTS === #

    def _get_coverage_events(self, today):
        """Return ``[(cell, name)]``: one per milestone, deposit or one-off charge."""
        events = []
        for line in self:
            if line.billing_method == "milestone":
                events += line._get_coverage_milestones(today)
            else:
                events += line._get_coverage_one_off(today)
        return events

    def _get_coverage_one_off(self, today):
        """Return the cell of a charge that rides on the next invoice (1.6)."""
        self.ensure_one()
        rows = self.period_ids.filtered(lambda row: row.kind == "one_off")
        if rows:
            return [(row._to_coverage_cell(), "") for row in rows]
        day = self._get_next_date(self.agreement_id.line_ids._read_coverage())
        return [(self._get_coverage_open(day, today), "")] if day else []

    def _get_coverage_milestones(self, today):
        """Return the cells of the deposit and of each milestone, in their order."""
        self.ensure_one()
        events = [
            (row._to_coverage_cell(), self.env._("Deposit"))
            for row in self.period_ids.filtered(lambda row: row.kind == "deposit")
        ]
        for milestone in self.milestone_ids.sorted(lambda one: (one.sequence, one.id)):
            rows = self.period_ids.filtered(
                lambda row, milestone=milestone: (
                    row.kind == "milestone" and row.milestone_id == milestone
                )
            )
            if rows:
                cell = rows._to_coverage_cell()
            else:
                day = milestone.done_date or milestone.expected_date or today
                is_done = milestone.state != "open"
                cell = self._get_coverage_open(day, today, is_done)
            events.append((cell, milestone.name))
        return events

    def _get_coverage_open(self, day, today, is_due=True):
        """Return the cell of something that is billed on ``day`` and is not yet."""
        self.ensure_one()
        status = "upcoming"
        if is_due and day <= today:
            status = "missing" if day < today else "due"
        after = day + timedelta(days=1)
        return Cell(day, after, [Segment(status, self.id, day, after, day)])

    # === WORDS === #

    def _get_coverage_rows(self):
        """Return ``{debit: rows that belong to it}``, itself first."""
        rows = {}
        periods = self.period_ids
        for period in periods.filtered(lambda row: row.kind not in COMPANIONS):
            rows[period.id] = period | period.credit_ids
        for companion in periods.filtered(lambda row: row.kind in COMPANIONS):
            for debit in periods.filtered(lambda row: row.kind in COVERING):
                if (
                    debit.line_id == companion.line_id
                    and debit.date_from <= companion.date_from < debit.date_to
                ):
                    rows[debit.id] |= companion | companion.credit_ids
        return rows

    def _prepare_cell(self, cell, name, rows, today):
        """Return what the strip shows of a cell, dates and amounts as text.

        :param name: of a milestone, which says more than its day
        """
        last = cell.date_to - timedelta(days=1)
        unit, count = self[-1].interval_unit, self[-1].interval_count
        if self[-1].billing_method not in RECURRING:
            unit, count = "day", 1
        formats = {"month": "MMM", "year": "yyyy"}
        start = cell.date_from
        dates = self._get_dates_text(start, cell.date_to)
        label = format_date(self.env, start, date_format=formats.get(unit, "d MMM"))
        return {
            "key": f"{cell.date_from} {cell.date_to} {name}",
            "date_from": fields.Date.to_string(cell.date_from),
            "dates": f"{name}, {dates}" if name else dates,
            "label": name or label,
            "year": start.strftime("%Y")
            if unit == "month" and start.month <= count
            else "",
            "is_today": cell.date_from <= today <= last,
            "status": cell.status,
            "segments": [
                self._prepare_segment(segment, rows) for segment in cell.segments
            ],
        }

    def _prepare_segment(self, segment, rows):
        periods = self.env["crm.billing.period"].browse()
        for key in segment.keys:
            periods |= rows.get(key, periods)
        agreement = self.agreement_id
        return {
            "status": segment.status,
            "line_id": segment.line or False,
            "days": segment.days,
            "date_from": fields.Date.to_string(segment.date_from),
            "date_to": fields.Date.to_string(segment.date_to),
            "dates": self._get_dates_text(segment.date_from, segment.date_to),
            "billing_date": fields.Date.to_string(segment.billing_date),
            "hint": self._get_coverage_hint(segment, periods),
            "can_bill": segment.status in GAPS and agreement.state == "running",
            "can_waive": segment.status in GAPS
            and self[-1].billing_method in RECURRING,
            "rows": [period._prepare_coverage_row() for period in periods],
        }

    def _get_coverage_hint(self, segment, periods):
        agreement = self.agreement_id
        day = segment.billing_date and format_date(self.env, segment.billing_date)
        if segment.status == "upcoming" and agreement.state in ("draft", "running"):
            return self.env._("Billed on %(day)s", day=day)
        if segment.status == "missing":
            reason = agreement.billing_error or (
                agreement.is_catch_up_held
                and self.env._("It waits for somebody to confirm the catch-up.")
            )
            since = self.env._("Due since %(day)s, nothing was billed.", day=day)
            return f"{since} {reason}" if reason else since
        if segment.status == "covered":
            return ", ".join(filter(None, periods.mapped("note")))
        return ""

    @api.model
    def _get_dates_text(self, date_from, date_to):
        """Return the days of ``[date_from, date_to)`` as people say them."""
        first = format_date(self.env, date_from)
        if date_to - date_from <= timedelta(days=1):
            return first
        last = format_date(self.env, date_to - timedelta(days=1))
        return f"{first} – {last}"


class CrmBillingPeriod(models.Model):
    _inherit = "crm.billing.period"

    def _to_coverage_entry(self):
        """Return the debit as a fact for the rules."""
        self.ensure_one()
        return Entry(
            self.id,
            self.line_id.id,
            self.date_from,
            self.date_to,
            Decimal(str(self.amount)),
            Decimal(str(self.credited)),
            self.status,
        )

    def _to_coverage_cell(self):
        """Return rows of one event, such as a milestone, as a cell."""
        entries = [period._to_coverage_entry() for period in self]
        first, keys = self[0], tuple(self.ids)
        segment = Segment(
            judge_entries(entries),
            first.line_id.id,
            first.date_from,
            first.date_to,
            first.date_from,
            keys,
        )
        return Cell(first.date_from, first.date_to, [segment])

    def _prepare_coverage_row(self):
        """Return what the strip tells about a row."""
        self.ensure_one()
        names = dict(self._fields["kind"]._description_selection(self.env))
        states = dict(self._fields["status"]._description_selection(self.env))
        move = self.move_id
        return {
            "id": self.id,
            "kind": names[self.kind],
            "dates": self.line_id._get_dates_text(self.date_from, self.date_to),
            "amount": self.currency_id.format(self.amount),
            "move_id": move.id or False,
            "document": (move.name if move.name and move.name != "/" else False)
            or (move and self.env._("Draft"))
            or states[self.status],
            "is_explained": bool(self.explanation),
        }
