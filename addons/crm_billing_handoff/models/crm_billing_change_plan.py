from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

from odoo import models
from odoo.exceptions import UserError

from ..billing_rules.allocation import exact
from ..billing_rules.amendment import credit
from ..billing_rules.period import Period
from ..billing_rules.schedule import Part
from .crm_billing_agreement_due import Due

# Debits that a change gives back: usage is measured, never prorated.
PRORATED = ("recurring", "charge")
# Terms of one line, which are hardly meant for all of them.
FOR_ONE = ("product", "quantity", "price")
DAY = timedelta(days=1)


@dataclass
class Cut:
    """What becomes of one line: its last day, and the line that goes on.

    :param line: the line that ends
    :param day: first day that it does not serve any more
    :param reason: change, pause, cancel or end
    :param successor: a virtual line at the new terms, ``None`` if nothing goes on
    :param vals: values of the successor, to create it
    :param last: end of the chain, which the successor is linked to
    """

    line: models.Model
    day: date
    reason: str
    successor: models.Model | None = None
    vals: dict | None = None
    instant: datetime | None = None
    last: models.Model | None = None


@dataclass
class Piece:
    """Days of a debit that nothing has given back yet."""

    debit: models.Model
    part: Part
    start_at: datetime | None = None
    end_at: datetime | None = None


@dataclass
class Plan:
    """All that a change does; made without writing, applied as it is.

    :param rows: ledger rows to write, credits and charges
    :param standins: rows that say that a debit of another line pays for these days
    :param dropped: ledger rows that no invoice carries and that are replaced
    :param created: ``(virtual line, values)`` of lines that replace none
    :param last_day: of the agreement, where the change sets it
    """

    cuts: list[Cut] = field(default_factory=list)
    rows: list[Due] = field(default_factory=list)
    standins: list[Due] = field(default_factory=list)
    dropped: models.Model | None = None
    created: list[tuple] = field(default_factory=list)
    last_day: date | None = None
    timings: set = field(default_factory=set)
    notes: list[str] = field(default_factory=list)

    @property
    def credits(self):
        return [row for row in self.rows if row.vals["kind"] == "credit"]


class CrmBillingChange(models.Model):
    """What a change does to lines and ledger, worked out without writing anything."""

    _inherit = "crm.billing.change"

    def _plan(self):
        """Return the :class:`Plan` of the change as things are now.

        :raise UserError: the change is refused; the message says what to do
        """
        self.ensure_one()
        self._check_agreement()
        self._check_chosen()
        plan = Plan(dropped=self.env["crm.billing.period"])
        getattr(self, f"_plan_{self._get_family()}")(plan)
        return plan

    def _get_family(self):
        """Return which of the ``_plan_*`` methods works the type out."""
        terms = ("product", "quantity", "price", "discount", "interval")
        return "terms" if self.change_type in terms else self.change_type

    def _check_agreement(self):
        agreement = self.agreement_id
        if not agreement:
            raise UserError(self.env._("Choose the agreement that changes."))
        if agreement.state not in ("running", "paused"):
            raise UserError(
                self.env._(
                    "%(agreement)s does not run: only running and paused agreements "
                    "change. Start a draft first; after its end make a new agreement.",
                    agreement=agreement.name,
                )
            )

    # === BUSINESS METHODS - WHICH LINES === #

    def _get_chosen_lines(self):
        """Return the lines that hold the day of the change, one per chain.

        :raise UserError: the day is before a chosen line's start or after its end
        """
        chosen = self.line_ids._origin or self._get_default_lines()
        if len(chosen) > 1 and not self.line_ids and self.change_type in FOR_ONE:
            raise UserError(
                self.env._(
                    "%(agreement)s has %(count)s lines: choose the one that changes.",
                    agreement=self.agreement_id.name,
                    count=len(chosen),
                )
            )
        found = chosen.browse()
        for line in chosen:
            found |= self._get_line_on(line, self.date)
        if not found:
            raise UserError(
                self.env._(
                    "No recurring line of %(agreement)s runs on %(day)s. Choose "
                    "another day.",
                    agreement=self.agreement_id.name,
                    day=self.date,
                )
            )
        return found

    def _get_line_on(self, line, day):
        """Return the line of the chain of ``line`` that serves ``day``."""
        for candidate in line._get_chain():
            if candidate._is_in_service(day):
                return candidate
        raise UserError(
            self.env._(
                "%(line)s does not run on %(day)s: a change is dated from its first "
                "to its last day.",
                line=line.name,
                day=day,
            )
        )

    def _get_effective_day(self, line):
        """Return the first day of a line at new terms.

        Without proration, and for usage unless wanted, that is the next period (4.7).
        """
        timing = self.proration_timing or line.proration_timing
        usage = line.billing_method == "usage" and not self.usage_on_date
        if timing != "none" and not usage:
            return self.date
        anchored = line._to_cadence().holding(self.date)
        return self.date if anchored.start == self.date else anchored.end

    def _get_instant(self, line, day):
        """Return the instant of the change, where the line is measured in seconds."""
        if line.proration_basis == "second" and day == self.date:
            return self.effective_at or None
        return None

    # === BUSINESS METHODS - NEW TERMS === #

    def _plan_terms(self, plan):
        """New price, quantity, product, discount or interval from the day on (S7)."""
        for chosen in self._get_chosen_lines():
            day = self._get_effective_day(chosen)
            line = self._get_line_then(chosen, day)
            self._check_usage_unbilled(line, day)
            terms = self._get_new_terms(line)
            tail = [line, *line._get_successors()]
            if self.change_type == "interval" and len(tail) > 1:
                raise UserError(
                    self.env._(
                        "%(line)s changes again later. Choose a day after its last "
                        "change.",
                        line=line.name,
                    )
                )
            self._plan_successors(plan, tail, day, terms)

    def _get_line_then(self, chosen, day):
        """Return the line of a chain that serves the first day of the new terms.

        Where they wait for the next period, another change may have replaced it.
        """
        for line in chosen._get_chain():
            if line._is_in_service(day):
                return line
        raise UserError(
            self.env._(
                "%(line)s ends before its next period: nothing is left to change. "
                "Choose another day or credit at once.",
                line=chosen.name,
            )
        )

    def _check_usage_unbilled(self, line, day):
        """Usage that is billed keeps the price of its period (4.7, 4.8)."""
        billed = line._get_chain().period_ids.filtered(
            lambda row: row.kind == "usage" and row.date_to > day
        )
        if billed:
            raise UserError(
                self.env._(
                    "The usage of %(line)s is billed until %(day)s: choose a day after "
                    "that, or correct the usage itself.",
                    line=line.name,
                    day=max(billed.mapped("date_to")) - DAY,
                )
            )

    def _plan_successors(self, plan, tail, day, terms):
        instant = self._get_instant(tail[0], day)
        self._drop_same_day(plan, tail[0], day)
        cuts = []
        for segment in tail:
            start = max(day, segment.start_date)
            end = segment.end_date
            if end and end < start and segment is not tail[0]:
                continue  # served no day, replaced before
            at = instant if start == day else None
            cuts.append(self._make_cut(segment, start, "change", terms, at))
        plan.cuts += cuts
        self._plan_money(plan, tail[0], day, instant, cuts)

    def _make_cut(self, line, day, reason, terms, instant=None, **values):
        vals = line._prepare_successor(
            {
                "start_date": day,
                "start_at": instant or False,
                "change_id": self._origin.id or False,
                **terms,
                **values,
            }
        )
        last = line._get_chain()[-1]
        return Cut(line, day, reason, line.new(vals), vals, instant, last)

    def _drop_same_day(self, plan, line, day):
        """Replace what an earlier change of the same day wrote and nobody invoiced."""
        if line.start_date != day or line.predecessor_id.successor_id != line:
            return
        ledger = line._get_chain().period_ids
        plan.dropped |= ledger.filtered(
            lambda row: (
                row.change_id
                and row.change_id == line.change_id
                and not row.move_line_id
                and row.date_to > day
            )
        )

    # === BUSINESS METHODS - MONEY === #

    def _plan_money(self, plan, line, day, instant, cuts):
        """Credit what was debited from ``day`` on, charge it at the new terms (S7)."""
        rows = []
        self._plan_given_back(plan, line, day, cuts)
        for piece in self._get_pieces(plan, line, day, instant):
            standin = self._is_free(piece.debit)
            if not standin:
                rows.append(self._to_credit(plan, piece))
            if self.change_type == "interval":
                continue  # the new grid is billed by the run, on the day (S9)
            for cut in cuts:
                rows += self._to_charges(plan, piece, cut, standin)
        self._mark_net_zero(rows)
        plan.rows += rows
        if rows:
            plan.timings.add(self.proration_timing or line.proration_timing)

    def _plan_given_back(self, plan, line, day, cuts):
        """Days whose invoice was reversed stay given back on the new line, too."""
        if self.change_type == "interval":
            return
        reversals = line._get_chain().period_ids.filtered(
            lambda row: (
                row.kind == "credit"
                and not row.change_id
                and row.debit_id.kind in PRORATED
                and row.date_to > day
            )
        )
        for row in reversals:
            for cut in cuts:
                service = Period(
                    cut.successor.start_date, cut.successor._get_end() or date.max
                )
                if days := Period(row.date_from, row.date_to).overlap(service):
                    plan.standins.append(self._to_standin(cut.successor, days, row))

    def _get_pieces(self, plan, line, day, instant=None, until=None):
        """Yield what was debited from ``day`` to ``until`` and not given back."""
        chain = line._get_chain()
        ledger = chain.period_ids - plan.dropped
        debits = ledger.filtered(
            lambda row: row.kind in PRORATED and row.date_to > day and not row.debit_id
        )
        for debit in debits.sorted(lambda row: (row.date_from, row.id)):
            given_back = self._get_given_back(plan, debit)
            begin = max(debit.date_from, day)
            at = instant if begin == day else (debit.instant_from or None)
            yield from self._get_rest(debit, begin, at, until, given_back)

    def _get_given_back(self, plan, debit):
        """Return the credits of a debit that stay when the plan is applied."""
        credits = debit.credit_ids - plan.dropped
        return credits.filtered(lambda row: row.kind == "credit")

    def _get_rest(self, debit, begin, begin_at, until, given_back):
        """Yield the days of a debit that earlier credits left, within one period."""
        end = min(debit.date_to, until) if until else debit.date_to
        anchored = debit.line_id._to_cadence().holding(debit.date_from)
        end_at = debit.instant_to or None
        if end < debit.date_to:
            end_at = None
        for row in given_back.sorted("date_from"):
            if row.date_to <= begin or row.date_from >= end:
                continue
            if row.date_from > begin:
                part = Part(Period(begin, row.date_from), anchored)
                yield Piece(debit, part, begin_at, row.instant_from or None)
            begin, begin_at = max(begin, row.date_to), row.instant_to or None
        if begin < end:
            yield Piece(debit, Part(Period(begin, end), anchored), begin_at, end_at)

    def _is_free(self, debit):
        """Return whether days were covered without money: imported or waived."""
        return debit.is_covered and not debit.amount

    def _to_credit(self, plan, piece):
        """Return the ledger row that gives back a piece of a debit (S7, 3.2)."""
        debit, part = piece.debit, piece.part
        line = debit.line_id
        share = line._get_piece_factor(part, piece.start_at, piece.end_at)
        debited = line._get_debited_factor(debit)
        given_back = self._get_given_back(plan, debit)
        before = -sum((exact(row.amount) for row in given_back), Decimal(0))
        credited = sum((Fraction(row.factor or 0) for row in given_back), Fraction(0))
        total = exact(debit._get_billed())
        step = line._get_step()
        amount = -credit(total, debited, share, step, before, credited)
        vals = {
            "line_id": line.id,
            "kind": "credit",
            "debit_id": debit.id,
            "date_from": part.period.start,
            "date_to": part.period.end,
            "instant_from": piece.start_at or False,
            "instant_to": piece.end_at or False,
            "amount": amount,
            "factor": str(share),
            "explanation": {
                "rule": "S7",
                "formula": "−debit × factor ÷ debited factor",
                "inputs": {
                    "debit": str(total),
                    "debited_factor": str(debited),
                    "factor": str(share),
                    "credited_before": str(before),
                    "credited_factor": str(credited),
                    "step": str(step),
                    "days": part.period.days,
                    "of_days": part.anchored.days,
                    "period_from": str(part.anchored.start),
                    "period_to": str(part.anchored.end),
                    "basis": line.proration_basis,
                },
                "amount": str(amount),
            },
        }
        taxes = debit.move_line_id.tax_ids
        tax_ids = tuple(taxes.ids) if debit.move_line_id else None
        return Due(line, part.period.start, vals, tax_ids=tax_ids)

    def _to_charges(self, plan, piece, cut, standin):
        """Return the charge of a given-back piece at the terms of ``cut``'s successor.

        Days that cost nothing so far cost nothing until the next period.
        """
        line, whole = cut.successor, piece.part.anchored
        service = Period(line.start_date, line._get_end() or date.max)
        period = piece.part.period.overlap(service)
        if not period:
            return []
        if standin:
            plan.standins.append(self._to_standin(line, period, piece.debit))
            plan.notes.append(
                self.env._(
                    "%(line)s: days until %(day)s are covered without an invoice, the "
                    "new terms are billed from then on.",
                    line=line.name,
                    day=period.end,
                )
            )
            return []
        row = line._to_due_part(Part(period, whole), "charge")
        row.vals["explanation"]["rule"] = "S7"
        row.whole = False
        return [row]

    def _to_standin(self, line, period, debit):
        """Return the row that says: another row pays for these days of the line."""
        vals = {
            "line_id": line.id,
            "kind": "recurring",
            "debit_id": debit.id if not self._is_free(debit) else False,
            "date_from": period.start,
            "date_to": period.end,
            "amount": Decimal(0),
            "is_covered": True,
            "note": self.env._("Covered by %(row)s", row=debit.display_name),
        }
        return Due(line, period.start, vals)

    def _mark_net_zero(self, rows):
        """Credit and charge that cancel out, tax included, make no line (2.10)."""
        if not rows or sum((row.amount for row in rows), Decimal(0)):
            return
        positions = self.agreement_id._get_position_today()
        taxes = {
            row.tax_ids
            if row.tax_ids is not None
            # Lines that are only planned hold unsaved copies of their taxes.
            else tuple(positions.map_tax(row.line.tax_ids._origin).ids)
            for row in rows
        }
        if len({tuple(sorted(ids)) for ids in taxes}) == 1:
            for row in rows:
                row.vals["is_covered"] = True
                row.vals["note"] = self.env._("net zero, no line")
