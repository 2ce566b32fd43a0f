from datetime import timedelta
from fractions import Fraction

from odoo import fields, models
from odoo.exceptions import UserError

from ..billing_rules.allocation import exact
from ..billing_rules.amendment import discount_end, last_day, resume_shift
from ..billing_rules.period import Period
from ..billing_rules.schedule import Anchor, resolve_anchor
from .crm_billing_change_plan import DAY, Cut


class CrmBillingChange(models.Model):
    """What each type of change asks for: its new terms, and the refusals it knows."""

    _inherit = "crm.billing.change"

    # === BUSINESS METHODS === #

    def _check_chosen(self):
        """Refuse lines of somebody else, and an instant of another day (2.2)."""
        agreement = self.agreement_id
        if self.line_ids._origin.agreement_id - agreement._origin:
            raise UserError(
                self.env._(
                    "Some of the chosen lines are not of %(agreement)s: choose its "
                    "own.",
                    agreement=agreement.name,
                )
            )
        if self.effective_at and agreement._get_today(self.effective_at) != self.date:
            raise UserError(
                self.env._(
                    "The instant of the change is not on %(day)s, where the account "
                    "is (%(zone)s). Correct one of them.",
                    day=self.date,
                    zone=agreement.billing_tz or "UTC",
                )
            )

    # === BUSINESS METHODS - TERMS === #

    def _get_new_terms(self, line):
        """Return the values that the change gives a line.

        :raise UserError: nothing would change, or a value is missing
        """
        terms = getattr(self, f"_get_terms_{self.change_type}")(line)
        same = all(
            (line[name].id if line._fields[name].relational else line[name]) == value
            for name, value in terms.items()
        )
        if same and self.change_type != "interval":
            raise UserError(
                self.env._(
                    "%(line)s has these terms already: nothing would change.",
                    line=line.name,
                )
            )
        return terms

    def _get_terms_product(self, line):
        terms = self._get_terms_price(line)
        if self.product_id and self.product_id != line.product_id:
            terms["product_id"] = self.product_id.id
        return terms

    def _get_terms_quantity(self, line):
        if self.quantity < 0:
            raise UserError(self.env._("A quantity is 0 or more."))
        return {"quantity": self.quantity}

    def _get_terms_price(self, line):
        return {line._get_price_field(): self.price_unit}

    def _get_terms_discount(self, line):
        percent = self.discount
        if self.discount_mode == "amount":
            full = line._get_price() * Fraction(exact(line.quantity))
            if not full:
                raise UserError(
                    self.env._(
                        "%(line)s costs nothing: there is no amount to take off.",
                        line=line.name,
                    )
                )
            share = Fraction(exact(self.discount_amount)) * 100 / full
            percent = round(float(share), 6)
        if not 0 <= percent <= 100:
            raise UserError(self.env._("A discount is between 0 and 100 percent."))
        return {
            "discount": percent,
            "discount_last_day": self._get_discount_last_day(line) or False,
        }

    def _get_discount_last_day(self, line):
        """Return the last discounted day of a line, ``None`` without end (2.11)."""
        if self.discount_until == "periods":
            start = self._get_effective_day(line)
            end = discount_end(line._to_cadence(), start, self.discount_periods)
            return end - DAY
        if self.discount_until == "date":
            if not self.discount_last_day or self.discount_last_day < self.date:
                raise UserError(
                    self.env._("Say until which day the discount is given.")
                )
            return self.discount_last_day
        return None

    def _get_terms_interval(self, line):
        """A new interval starts its grid on the day, or on the plan's own day (S9)."""
        plan = self.plan_id
        if not plan:
            raise UserError(self.env._("Choose the new billing cycle."))
        day = self._get_effective_day(line)
        anchor = Anchor.of(day)
        if plan.anchor_mode != "start":
            anchor = resolve_anchor(
                plan.anchor_mode,
                day,
                plan.interval_unit,
                plan.interval_count,
                day=plan.anchor_day or None,
                month=int(plan.anchor_month) if plan.anchor_month else None,
                weekday=int(plan.anchor_weekday or 0),
            )
        return {
            "plan_id": plan.id,
            "anchor_date": anchor.date,
            "anchor_day": anchor.day,
            **self._get_terms_price(line),
        }

    # === BUSINESS METHODS - ADD === #

    def _plan_add(self, plan):
        """A line more; what is left of its first period is billed by the run (1.6)."""
        agreement = self.agreement_id._origin
        if not self.product_id:
            raise UserError(self.env._("Choose the product to add."))
        if agreement.end_date and self.date > agreement.end_date:
            raise UserError(
                self.env._(
                    "%(agreement)s ends on %(day)s: choose an earlier day.",
                    agreement=agreement.name,
                    day=agreement.end_date,
                )
            )
        if self.date < agreement.start_date:
            raise UserError(
                self.env._(
                    "%(agreement)s starts on %(day)s: choose a later day.",
                    agreement=agreement.name,
                    day=agreement.start_date,
                )
            )
        running = agreement.line_ids.filtered("plan_id").plan_id
        cycle = self.plan_id or agreement.plan_id or running[:1]
        if not cycle:
            raise UserError(self.env._("Choose the billing cycle of the new line."))
        vals = {
            "agreement_id": agreement.id,
            "product_id": self.product_id.id,
            "billing_method": "flat",
            "plan_id": cycle.id,
            "quantity": self.quantity,
            "price_unit": self.price_unit,
            "discount": self.discount,
            "start_date": self.date,
            "has_own_anchor": self.has_own_anchor,
            "change_id": self._origin.id or False,
        }
        line = agreement.line_ids.new(vals)
        line._resolve_dates()
        vals |= {"anchor_date": line.anchor_date, "anchor_day": line.anchor_day}
        plan.created.append((line, vals))

    # === BUSINESS METHODS - PAUSE === #

    def _plan_pause(self, plan):
        """Days from the day to the one before it resumes are not billed (2.12)."""
        if self.resume_date and self.resume_date <= self.date:
            raise UserError(
                self.env._("A pause has at least one day: resume after it starts.")
            )
        for line in self._get_chosen_lines():
            tail = [line, *line._get_successors()]
            if len(tail) > 1:
                raise UserError(
                    self.env._(
                        "%(line)s changes again later. Choose a day after its last "
                        "change.",
                        line=line.name,
                    )
                )
            self._plan_pause_of(plan, line)

    def _plan_pause_of(self, plan, line):
        day, back = self.date, self.resume_date
        instant = self._get_instant(line, day)
        if back and (not line._get_end() or back < line._get_end()):
            cut = self._make_cut(
                line, day, "pause", {}, start_date=back, start_at=False
            )
            self._plan_shift(plan, cut)
        else:
            cut = Cut(line, day, "pause", instant=instant)
        plan.cuts.append(cut)
        if self.pause_credit:
            rows = [
                self._to_credit(plan, piece)
                for piece in self._get_pieces(plan, line, day, instant, back)
                if not self._is_free(piece.debit)
            ]
            plan.rows += rows
            if rows:
                plan.timings.add(self.proration_timing or line.proration_timing)
        if cut.successor:
            self._plan_paid_ahead(plan, line, cut.successor)

    def _plan_paid_ahead(self, plan, line, successor):
        """Days after the pause that are debited already are not billed again."""
        for piece in self._get_pieces(plan, line, successor.start_date):
            end = successor._get_end()
            service = Period(successor.start_date, end or piece.part.period.end)
            if days := piece.part.period.overlap(service):
                plan.standins.append(self._to_standin(successor, days, piece.debit))

    def _plan_shift(self, plan, cut):
        """Move the end by the paused days, if wanted."""
        agreement = self.agreement_id._origin
        if not self.shift_end:
            return
        moved = resume_shift(
            self.date, cut.vals["start_date"], agreement.end_date or None
        )
        plan.last_day = moved
        if cut.line.end_date:
            cut.vals["end_date"] = resume_shift(
                self.date, cut.vals["start_date"], cut.line.end_date
            )

    # === BUSINESS METHODS - RESUME === #

    def _plan_resume(self, plan):
        """Paused lines go on from the day, on their old grid."""
        chosen = self.line_ids._origin or self.agreement_id._origin.line_ids
        paused = chosen.filtered(
            lambda line: line.end_reason == "pause" and not line.successor_id
        )
        if not paused and self.origin_id:
            return  # the pause named its end, the lines go on by themselves
        if not paused:
            raise UserError(
                self.env._(
                    "Nothing of %(agreement)s is paused.",
                    agreement=self.agreement_id.name,
                )
            )
        for line in paused:
            if line.end_date >= self.date:
                raise UserError(
                    self.env._(
                        "%(line)s is paused from %(day)s: resume after that.",
                        line=line.name,
                        day=line.end_date + DAY,
                    )
                )
            cut = self._make_cut(line, line.end_date + DAY, "pause", {})
            agreed = line.paused_end_date
            cut.vals |= {
                "start_date": self.date,
                "start_at": self._get_instant(line, self.date) or False,
                "end_date": agreed,
                "end_reason": False,
            }
            if self.shift_end and agreed:
                cut.vals["end_date"] = resume_shift(
                    line.end_date + DAY, self.date, agreed
                )
            if self.shift_end:
                plan.last_day = resume_shift(
                    line.end_date + DAY,
                    self.date,
                    self.agreement_id._origin.end_date or None,
                )
            cut.successor = line.new(cut.vals)
            plan.cuts.append(cut)
            self._plan_paid_ahead(plan, line, cut.successor)

    # === BUSINESS METHODS - CANCEL === #

    def _plan_cancel(self, plan):
        """The service ends; what was debited after its last day may be given back."""
        agreement = self.agreement_id._origin
        lines = self.line_ids._origin or agreement.line_ids
        chains = {line._get_chain()[-1] for line in lines}
        last_days = [agreement.start_date]
        for line in sorted(chains, key=lambda line: line.id):
            last_days.append(self._plan_cancel_of(plan, line))
        renews = agreement.renewal_policy != "none" and not agreement.cancel_date
        if not plan.cuts and not plan.rows and not (renews and not self.line_ids):
            raise UserError(
                self.env._(
                    "%(agreement)s ends by then anyway, and everything after its last "
                    "day was credited already: nothing is left to cancel.",
                    agreement=agreement.name,
                )
            )
        if not self.line_ids:
            plan.last_day = max(last_days)
        self._note_missed_notice(plan)

    def _plan_cancel_of(self, plan, line):
        """Cut one chain, newest line first, and return its last day of service."""
        last = self._get_last_day(line)
        day = last + timedelta(days=1)
        chain = line._get_chain()
        for segment in chain:
            end = segment._get_end()
            start = segment.start_date
            if (end and end <= day) or not segment._has_service():
                continue
            plan.cuts.append(Cut(segment, max(day, start), "cancel"))
        if self.policy in ("credit", "refund") and line._is_recurring():
            plan.rows += [
                self._to_credit(plan, piece)
                for piece in self._get_pieces(plan, line, day)
                if not self._is_free(piece.debit)
            ]
        ends = [segment._get_end() for segment in chain]
        if all(ends):
            last = min(last, max(ends) - DAY)
        return last

    def _get_last_day(self, line):
        """Return the last day of service of a line, by the policy (S10)."""
        cadence = line._to_cadence() if line.anchor_date else None
        return last_day(self.policy, self.date, cadence, line.start_date or None)

    def _note_missed_notice(self, plan):
        agreement = self.agreement_id._origin
        if agreement.is_notice_missed:
            plan.notes.append(
                self.env._(
                    "Notice was due by %(day)s: what was agreed for a missed notice is "
                    "“%(option)s”.",
                    day=agreement.notice_date,
                    option=agreement._get_missed_notice_label(),
                )
            )

    # === BUSINESS METHODS - RENEW === #

    def _plan_renew(self, plan):
        """A next term in an agreement of its own, linked to this one (C12)."""
        agreement = self.agreement_id._origin
        if not agreement.end_date:
            raise UserError(
                self.env._(
                    "%(agreement)s has no end: there is nothing to renew.",
                    agreement=agreement.name,
                )
            )
        if agreement._get_live_successor():
            raise UserError(
                self.env._(
                    "%(agreement)s is renewed already by %(next)s.",
                    agreement=agreement.name,
                    next=agreement._get_live_successor().name,
                )
            )
        for vals in agreement._prepare_renewal_lines(self.uplift):
            line = agreement.line_ids.new({**vals, "agreement_id": agreement.id})
            plan.created.append((line, vals))


class CrmBillingAgreementLine(models.Model):
    _inherit = "crm.billing.agreement.line"

    paused_end_date = fields.Date(
        readonly=True,
        copy=False,
        help="The last day that was agreed before the line was paused.",
    )

    def _get_price_field(self):
        """Return the field that holds the price: a usage line has it in its model."""
        if self.billing_method == "usage" and "unit_price" in self._fields:
            return (
                "percent" if "percentage" in (self.price_model or "") else "unit_price"
            )
        return "price_unit"
