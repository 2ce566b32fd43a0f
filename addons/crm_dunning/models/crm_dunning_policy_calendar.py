"""What a policy would do to one invoice, seen on a calendar before it does it."""

from datetime import timedelta

from odoo import api, fields, models
from odoo.exceptions import ValidationError
from odoo.tools import format_amount, format_date

from ..dunning_rules import ladder, retries
from ..dunning_rules.declines import CLASSES

SAMPLE_AMOUNT = 1000.0
POSTED_BEFORE = 30  # days between the sample invoice and its due date


class CrmDunningPolicy(models.Model):
    _inherit = "crm.dunning.policy"

    steps_summary = fields.Char(compute="_compute_steps_summary", string="Steps")
    # Never stored: they follow what is typed, also before it is saved.
    sample_amount = fields.Monetary(
        compute="_compute_sample_amount",
        readonly=False,
        currency_field="sample_currency_id",
        string="Amount",
    )
    sample_currency_id = fields.Many2one(
        "res.currency", compute="_compute_sample_currency_id"
    )
    sample_due = fields.Date(
        compute="_compute_sample_due", readonly=False, string="Due Date"
    )
    sample_decline = fields.Selection(
        [
            ("generic", "Declined without a reason"),
            ("wait_funds", "Not enough money"),
            ("try_later", "Bank not available"),
        ],
        compute="_compute_sample_decline",
        readonly=False,
        string="If the Charge Fails",
    )
    sample_plan = fields.Json(compute="_compute_sample_plan")

    # === COMPUTE METHODS === #

    @api.depends("step_ids.active", "step_ids.days", "step_ids.action")
    @api.depends_context("lang")
    def _compute_steps_summary(self):
        """Tell the ladder in one line, for lists: “−5 Mail · +2 Mail · …”."""
        names = dict(
            self.env["crm.dunning.step"]
            ._fields["action"]
            ._description_selection(self.env)
        )
        for policy in self:
            policy.steps_summary = " · ".join(
                f"{step.offset:+d} {names[step.action]}" for step in policy._to_steps()
            )

    # One method each: to compute one of them must not undo what is typed in another.

    def _compute_sample_amount(self):
        self.sample_amount = SAMPLE_AMOUNT

    @api.depends_context("company")
    def _compute_sample_currency_id(self):
        for policy in self:
            company = policy.company_id or self.env.company
            policy.sample_currency_id = company.currency_id

    def _compute_sample_due(self):
        self.sample_due = fields.Date.context_today(self)

    def _compute_sample_decline(self):
        self.sample_decline = "generic"

    @api.depends(
        "sample_amount",
        "sample_due",
        "sample_decline",
        "step_ids.active",
        "step_ids.name",
        "step_ids.trigger",
        "step_ids.days",
        "step_ids.action",
        "step_ids.tone",
        "threshold_ids.amount",
        "threshold_ids.currency_id",
        "hour_from",
        "hour_to",
        "weekdays_only",
        "calendar_id",
        "charge_mode",
        "announce_days",
        "retry_timing",
        "retry_days",
        "max_tries",
        "hard_patience_days",
    )
    @api.depends_context("lang", "company")
    def _compute_sample_plan(self):
        """Lay the steps out on dates, or say what keeps them from being read."""
        for policy in self:
            try:
                tracks = policy._plan_sample() if policy.sample_due else []
                note = policy._get_sample_note()
            except (ValidationError, ValueError) as error:
                tracks, note = [], policy._explain_plan(error)
            policy.sample_plan = {"tracks": tracks, "note": note}

    # === BUSINESS METHODS === #

    def _explain_plan(self, error):
        if isinstance(error, ValidationError):
            return str(error)
        return self.env._("The hours are not from an earlier to a later one of a day.")

    def _plan_sample(self):
        """Return what happens to an invoice that nobody pays, on dates and in order.

        Two tracks: without a saved payment method, and with one whose charge fails.
        """
        window = self._get_window("UTC")
        due = self._prepare_row(self.sample_due, "due", self.env._("Due date"))
        tracks = [
            {
                "key": "reminders",
                "title": self.env._("Reminders"),
                "rows": [due, *self._plan_reminders(window)],
            }
        ]
        if self.charge_mode != "none":
            tracks.append(
                {
                    "key": "charges",
                    "title": self.env._("With a saved method that fails"),
                    "rows": [due, *self._plan_charges(window)],
                }
            )
        for track in tracks:
            track["rows"].sort(key=lambda row: row["date"])
        return tracks

    def _plan_reminders(self, window):
        """Return the rows of the steps that are counted from the due date."""
        due = self.sample_due
        steps = {step.id: step for step in self.step_ids}
        plan = ladder.calendar(
            self._to_steps(), due, closed=lambda day: not window.is_open_day(day)
        )
        return [self._prepare_step_row(steps[rung.key], day, due) for day, rung in plan]

    def _plan_charges(self, window):
        """Return the rows of a charge that fails, and of what follows it."""
        charged = self.sample_due
        if self.charge_mode == "posting":
            charged -= timedelta(days=POSTED_BEFORE)
        day = window.first_open_day(charged) or charged
        rows = []
        if self.announce_days:
            told = day - timedelta(days=self.announce_days)
            told = window.first_open_day(told) or told
            rows.append(
                self._prepare_row(min(told, day), "mail", self.env._("Announce charge"))
            )
        rows.append(self._prepare_row(day, "charge", self.env._("Charge, which fails")))
        plan = retries.plan(day, self._to_retry_policy(), CLASSES[self.sample_decline])
        tries = [window.first_open_day(again) or again for again in plan.tries]
        rows += [
            self._prepare_row(
                again, "retry", self.env._("Try %(number)s", number=number)
            )
            for number, again in enumerate(dict.fromkeys(tries), start=1)
        ]
        if plan.person:
            last = max([plan.person, *tries])
            rows.append(
                self._prepare_row(last, "person", self.env._("Hand over to a person"))
            )
        steps = {step.id: step for step in self.step_ids}
        rows += [
            self._prepare_step_row(steps[rung.key], at, day)
            for at, rung in ladder.calendar(
                self._to_steps("failure"),
                day,
                closed=lambda one: not window.is_open_day(one),
            )
        ]
        return rows

    def _prepare_step_row(self, step, day, start):
        tones = dict(step._fields["tone"]._description_selection(self.env))
        row = self._prepare_row(day, step.action, step.name)
        if step.action == "mail":
            row["tone"] = tones.get(step.tone)
        row["is_moved"] = (day - start).days != step.days
        row["days"] = f"{step.days:+d}"
        return row

    def _prepare_row(self, day, kind, name):
        return {
            "date": fields.Date.to_string(day),
            "day": format_date(self.env, day, date_format="EEE d MMM yyyy"),
            "kind": kind,
            "name": name or "",
            "tone": False,
            "is_moved": False,
            "days": False,
        }

    def _get_sample_note(self):
        """Return what keeps everything back, empty if nothing does."""
        threshold = self._get_threshold(self.sample_currency_id)
        if self.sample_amount >= threshold:
            return ""
        return self.env._(
            "Below %(amount)s nobody is reminded: nothing of this would happen.",
            amount=format_amount(self.env, float(threshold), self.sample_currency_id),
        )
