"""What the pure rules are told of a policy; nothing here decides."""

import re
from datetime import timedelta
from decimal import Decimal

import pytz

from odoo import fields, models
from odoo.exceptions import ValidationError

from ..dunning_rules import declines
from ..dunning_rules.caps import HARD
from ..dunning_rules.ladder import Step
from ..dunning_rules.retries import RetryPolicy
from ..dunning_rules.window import ALL_DAYS, Window

MONDAY_TO_FRIDAY = frozenset(range(5))


class CrmDunningPolicy(models.Model):
    _inherit = "crm.dunning.policy"

    def _to_steps(self, trigger="due"):
        """Return the steps of one trigger, in order, as the rules read them.

        :param trigger: ``due`` (due date) or ``failure`` (first failed charge)
        :return: list of :class:`ladder.Step`, ``key`` is the id of the step
        """
        self.ensure_one()
        steps = self.step_ids.filtered(
            lambda step: step.active and step.trigger == trigger
        )
        return [
            Step(
                offset=step.days,
                action=step.action,
                tone=step.tone or "neutral",
                key=step.id,
            )
            for step in steps.sorted(lambda step: (step.days, step.id))
        ]

    def _get_threshold(self, currency):
        """Return the overdue amount in ``currency`` below which nobody is reminded.

        :return: Decimal, 0 where the policy names none (billing rules, 9.3)
        """
        self.ensure_one()
        rows = self.threshold_ids.filtered(lambda row: row.currency_id == currency)
        return Decimal(str(rows.amount)) if rows else Decimal(0)

    def _get_window(self, tz):
        """Return when messages and charges may leave, in the zone of the account.

        :param tz: name of a time zone, empty for UTC
        """
        self.ensure_one()
        return Window(
            hour_from=self.hour_from,
            hour_to=self.hour_to,
            weekdays=MONDAY_TO_FRIDAY if self.weekdays_only else ALL_DAYS,
            holidays=self._get_holidays(),
            tz=tz or "UTC",
        )

    def _get_holidays(self):
        """Return the local dates on which nothing leaves, as the calendar has them."""
        self.ensure_one()
        days = set()
        # Public holidays hold for whoever runs the policy.
        calendar = self.sudo().calendar_id
        zone = pytz.timezone(calendar.tz or "UTC")
        for leave in calendar.leave_ids:
            if leave.resource_id or leave.time_type != "leave":
                continue
            first, last = (
                pytz.utc.localize(moment).astimezone(zone).date()
                for moment in (
                    leave.date_from,
                    # Ends of holidays are written as the first second of the next day.
                    max(
                        leave.date_from,
                        fields.Datetime.subtract(leave.date_to, seconds=1),
                    ),
                )
            )
            days.update(
                first + timedelta(days=number)
                for number in range((last - first).days + 1)
            )
        return frozenset(days)

    def _to_retry_policy(self):
        """Return what the rules read about trying a failed charge again.

        :raise ValidationError: the retry days are no ascending list
        """
        self.ensure_one()
        try:
            return RetryPolicy(
                days=self._parse_retry_days(),
                timing=self.retry_timing,
                max_tries=self.max_tries,
                hard_patience_days=self.hard_patience_days,
            )
        except ValueError as error:
            raise ValidationError(self._explain_retries()) from error

    def _explain_retries(self):
        return self.env._(
            "%(policy)s: write the retry days in ascending order, each at least 1 and "
            "none twice, such as 1, 3, 5, 7. Timing “up to 8 tries in 14 days” takes "
            "8 days at most, none after the 14th. One invoice is charged at most "
            "%(most)s times, its first charge included; a policy can only lower that.",
            policy=self.name,
            most=HARD.per_invoice,
        )

    def _restrict_decline(self, found, code):
        """Return the decline class with the stricter rule of this policy, if any.

        One code may belong to several classes, by the kind of method; a rule never
        allows more than the one at hand (features, F4).

        :param found: :class:`declines.DeclineClass` of the decline
        :param code: decline code, or the general code where there is none
        """
        self.ensure_one()
        rule = self.decline_rule_ids.filtered(lambda one: one.decline_code == code)[:1]
        if not rule:
            return found
        return declines.restrict(found, rule._to_override(found))

    def _parse_retry_days(self):
        """Return the days of "1, 3, 5, 7" as a tuple of whole numbers.

        :raise ValidationError: something in the field is not a whole number
        """
        self.ensure_one()
        words = [word for word in re.split(r"[,;\s]+", self.retry_days or "") if word]
        if not all(re.fullmatch(r"[0-9]{1,3}", word) for word in words):
            raise ValidationError(
                self.env._(
                    "%(policy)s: “%(text)s” is not a list of days. Write whole numbers "
                    "with commas, such as 1, 3, 5, 7.",
                    policy=self.name,
                    text=self.retry_days,
                )
            )
        return tuple(int(word) for word in words)
