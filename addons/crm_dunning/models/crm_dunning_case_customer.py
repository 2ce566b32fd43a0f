from datetime import timedelta
from math import isfinite

from odoo import fields, models
from odoo.exceptions import UserError
from odoo.tools import format_date

from .crm_dunning_case_lifecycle import NO_PROMISE
from .crm_dunning_policy_check import LONGEST_WAIT

# The second promise that is broken is a person's: words have been tried.
BROKEN_PROMISES = 2
# On the promised day the money may be on its way.
COMING = ("in_flight", "bank_match", "credit_match")


class CrmDunningCase(models.Model):
    """What the customer said: a promise, a dispute; and a hold that somebody set."""

    _inherit = "crm.dunning.case"

    promise_residual = fields.Monetary(
        readonly=True, help="What was open when the promise was made."
    )
    promise_broken_count = fields.Integer(string="Broken Promises", readonly=True)

    # === ACTION METHODS === #

    def action_promise(self, date=None, amount=None):
        """Note that the customer will pay ``amount`` (all of it) until ``date``.

        Until that day is over nothing is sent or charged. Called without a date, it
        asks for one.

        :param date: local date of the payer
        :param amount: in the currency of the invoice
        :raise UserError: the day has passed, or the amount is not part of what is open
        """
        self._check_can_work()
        if not date:
            return self._ask("promise")
        self._promise(fields.Date.to_date(date), amount)
        return True

    def action_dispute(self, note=None):
        """Stop everything because the customer disputes the invoice; a person decides.

        :param note: what the customer says; asked for where it is missing
        """
        self._check_can_work()
        if not (note or "").strip():
            return self._ask("dispute")
        self._dispute(note.strip())
        return True

    def action_resolve_dispute(self):
        """End the dispute: whoever had the case goes on, a person or the machine."""
        self._check_can_work()
        self._resolve_dispute()
        return True

    def action_hold(self, until=None):
        """Do nothing about the cases until the day ``until`` is over.

        :param until: local date of the payer; asked for where it is missing
        :raise UserError: the day has passed
        """
        self._check_can_work()
        if not until:
            return self._ask("hold")
        self._hold(fields.Date.to_date(until))
        return True

    # === BUSINESS METHODS - PROMISE === #

    def _promise(self, date, amount=None):
        """Note the promise; the same one twice changes nothing."""
        self._check_open()
        # The customer promises in the portal, where nobody may write a case.
        for case in self.sudo():
            residual = case.amount_residual
            promised = residual if amount is None else amount
            if (case.promise_date, case.promise_amount) == (date, promised):
                continue
            case._check_promise(date, promised)
            case.write(
                {
                    "state": "dispute" if case.state == "dispute" else "promise",
                    "promise_date": date,
                    "promise_amount": promised,
                    "promise_residual": residual,
                    "hold_until": False,
                }
            )
            case._end_tasks(self.env._("The customer promised to pay."))
            case._log_events(
                "promised",
                note=self.env._(
                    "%(amount)s until %(date)s",
                    amount=case.currency_id.format(promised),
                    date=format_date(self.env, date),
                ),
            )
        self.sudo()._refresh_next_action(fields.Datetime.now())

    def _check_promise(self, date, amount):
        self._check_day(date)
        if (
            not isfinite(amount)
            or self.currency_id.compare_amounts(amount, 0) <= 0
            or self.currency_id.compare_amounts(amount, self.amount_residual) > 0
        ):
            raise UserError(
                self.env._(
                    "%(residual)s is open on %(invoice)s: a promise is for all or part "
                    "of it.",
                    residual=self.currency_id.format(self.amount_residual),
                    invoice=self.move_id.display_name,
                )
            )

    def _check_day(self, date):
        today = self._get_today()
        if date > today + timedelta(days=LONGEST_WAIT):
            raise UserError(
                self.env._(
                    "%(date)s is too far away. Choose a day within %(days)s days.",
                    date=format_date(self.env, date),
                    days=LONGEST_WAIT,
                )
            )
        if date < today:
            raise UserError(
                self.env._(
                    "%(date)s has passed. Choose today or a later day.",
                    date=format_date(self.env, date),
                )
            )

    def _settle_kept_promises(self):
        """End promises that were kept; what is still open is followed up again."""
        kept = self.filtered(
            lambda case: (
                case.promise_date
                and case.state != "closed"
                and case.currency_id.compare_amounts(
                    case.promise_residual - case.amount_residual, case.promise_amount
                )
                >= 0
            )
        )
        kept._end_promise("promise_kept")

    def _break_promises(self, now):
        """Go on where a promised day has passed without the money (G8).

        A case that a person had goes back to that person, the others to the next step;
        a second broken promise is a person's. Money that is on its way is waited for.

        :param now: instant, naive UTC
        """
        late = self.filtered(
            lambda case: (
                case.promise_date
                and case.state != "closed"
                and case.promise_date < case._get_today(now)
            )
        )
        blocks = late.move_id._get_dunning_blocks(now, purpose="person")
        broken = late.filtered(lambda case: blocks.get(case.move_id) not in COMING)
        for case in broken:
            note = self.env._(
                "%(amount)s was promised until %(date)s.",
                amount=case.currency_id.format(case.promise_amount),
                date=format_date(self.env, case.promise_date),
            )
            had_person = case.taken_over_at and case.owner_id
            case.promise_broken_count += 1
            case._end_promise("promise_broken")
            if had_person:
                case._hand_to("promise", note, case.owner_id, now)
            elif case.promise_broken_count >= BROKEN_PROMISES:
                case._take_over("promise", note, now=now)

    def _end_promise(self, action):
        self._log_events(action)
        for case in self:
            state = case.state
            if state == "promise":
                state = case._get_working_state()
            case.write({"state": state, **NO_PROMISE})
        self._renew_owner_activity()
        self._refresh_next_action(fields.Datetime.now())

    # === BUSINESS METHODS - DISPUTE === #

    def _dispute(self, note):
        """Stop everything of the invoice, and ask a person."""
        self._check_open()
        # As for a promise: the portal may dispute for the customer.
        for case in self.sudo():
            if (case.state, case.dispute_note) == ("dispute", note):
                continue
            case.write(
                {
                    "state": "dispute",
                    "dispute_note": note,
                    "reason": "dispute",
                    "reason_note": note,
                    "next_try_at": False,
                    "hold_until": False,
                    **case._prepare_owner(case.owner_id),
                }
            )
            case._log_events("disputed", note=note)
            case._tell_seller("disputed")
        self.sudo()._refresh_next_action(fields.Datetime.now())

    def _resolve_dispute(self):
        disputed = self.sudo().filtered(lambda case: case.state == "dispute")
        for case in disputed:
            if not case.taken_over_at:
                case._end_tasks(self.env._("The dispute is resolved."))
            state = "promise" if case.promise_date else case._get_working_state()
            case.write({"state": state, "dispute_note": False})
        disputed._log_events("dispute_ended")
        now = fields.Datetime.now()
        disputed._plan_what_is_left(now)
        disputed._refresh_next_action(now)

    # === BUSINESS METHODS - HOLD === #

    def _hold(self, until):
        self._check_open()
        # Whoever may work the case has been checked, the machine writes its fields.
        for case in self.sudo():
            if case.state == "hold" and case.hold_until == until:
                continue
            case._check_day(until)
            if case.state == "dispute":
                raise UserError(
                    self.env._(
                        "%(invoice)s is disputed: nothing is sent before the dispute "
                        "is resolved.",
                        invoice=case.move_id.display_name,
                    )
                )
            case.write({"state": "hold", "hold_until": until})
            case._log_events("case_held", note=format_date(self.env, until))
        self.sudo()._refresh_next_action(fields.Datetime.now())

    def _end_holds(self, now):
        """Go on with cases whose hold is over."""
        over = self.filtered(
            lambda case: (
                case.state == "hold"
                and case.hold_until
                and case.hold_until < case._get_today(now)
            )
        )
        for case in over:
            state = "promise" if case.promise_date else case._get_working_state()
            case.write({"state": state, "hold_until": False})
        over._renew_owner_activity()
        over._log_events("case_resumed")
        over._refresh_next_action(now)
