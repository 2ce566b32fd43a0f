from datetime import datetime, time, timedelta

import pytz

from odoo import models
from odoo.tools import format_date

from ..dunning_rules.ladder import next_date
from ..dunning_rules.situation import Instalment, Situation


class CrmDunningCase(models.Model):
    """What happens next, and when: read by lists and the kanban."""

    _inherit = "crm.dunning.case"

    # === BUSINESS METHODS - NEXT ACTION === #

    def _refresh_next_action(self, now):
        """Write when something happens next and what; one write for all alike.

        :param now: instant, naive UTC
        """
        cases = self.sudo().filtered(lambda case: case.state != "closed")
        cases._follow_policies()
        steps = cases._get_next_steps(now)
        cases.move_id.mapped("display_name")  # read for all at once
        plans = {case: case._plan_next_action(steps.get(case), now) for case in cases}
        for (at, text), alike in cases._grouped_by(plans.get):
            changed = alike.filtered(
                lambda case, at=at, text=text: (
                    (case.next_action_at or False, case.next_action or False)
                    != (at or False, text or False)
                )
            )
            if changed:
                changed.write({"next_action_at": at, "next_action": text})

    def _follow_policies(self):
        """Keep on each case the policy that its payer follows now."""
        for company, cases in self.grouped("company_id").items():
            policies = cases.partner_id._get_dunning_policies(company)
            for policy, alike in cases._grouped_by(
                lambda case, known=policies: known[case.partner_id.id]
            ):
                alike.filtered(
                    lambda case, policy=policy: case.policy_id != policy
                ).policy_id = policy

    def _prepare_next_action(self, values):
        """Return the next action of a case that a person gets with ``values``."""
        self.ensure_one()
        owner = self.env["res.users"].browse(values["owner_id"])
        return {
            "next_action_at": self._to_instant(values["deadline"]),
            "next_action": self.env._("%(owner)s acts", owner=owner.name),
        }

    def _plan_next_action(self, step, now):
        """Return ``(instant, words)`` for one case.

        :param step: ``(local date, step)`` of the ladder, if any
        """
        self.ensure_one()
        _ = self.env._
        if self.state in ("person", "dispute"):
            who = self.owner_id.name or _("Somebody")
            return self._to_instant(self.deadline), _("%(owner)s acts", owner=who)
        if self.state == "promise" and self.promise_date:
            day = format_date(self.env, self.promise_date)
            after = self.promise_date + timedelta(days=1)
            return self._to_instant(after), _("Promised until %(date)s", date=day)
        if self.state == "hold" and self.hold_until:
            day = format_date(self.env, self.hold_until)
            after = self.hold_until + timedelta(days=1)
            return self._to_instant(after), _("On hold until %(date)s", date=day)
        if self.state == "verifying":
            return now, _("The provider is asked for the outcome")
        if self.next_try_at:
            return self.next_try_at, _("Try to charge")
        if step:
            day, rung = step
            return self._to_instant(day), rung.name
        return False, _("Nothing more by itself: take it over")

    def _to_instant(self, day):
        """Return when the payer's local ``day`` begins, naive UTC."""
        if not day:
            return False
        zone = pytz.timezone(self.partner_id._get_dunning_tz(self.company_id))
        local = zone.localize(datetime.combine(day, time.min))
        return local.astimezone(pytz.utc).replace(tzinfo=None)

    def _get_next_steps(self, now):
        """Return ``{case: (local date, step)}`` of the cases that the machine works.

        From the instalments and the ledger of reminders alone: what is in the way today
        may be gone tomorrow. A constant number of queries.
        """
        machine = self.filtered(
            lambda case: case.state in ("automatic", "retrying") and case.policy_id
        )
        if not machine:
            return {}
        rows = self.env["account.move.line"]._get_open_instalments(
            move_ids=machine.move_id.ids
        )
        said = self._read_ladder(machine.move_id.ids)
        ladders = {policy: policy._to_steps("due") for policy in machine.policy_id}
        found = {}
        for case in machine:
            situation = case._to_situation(rows.get(case.move_id.id, ()), said, now)
            ladder = ladders[case.policy_id]
            day = next_date(ladder, situation)
            rung = day and case._get_rung_on(ladder, situation, day)
            if rung:
                found[case] = day, self.env["crm.dunning.step"].browse(rung.key)
        return found

    def _to_situation(self, rows, said, now):
        """Return what this invoice alone owes, for a look at the ladder."""
        self.ensure_one()
        kinds = ("listed", "skipped", "done")
        delays = {
            row.line_id: max(
                0, (self.resumed_on - row.due).days - (self.resume_days or 0)
            )
            if self.resumed_on
            else 0
            for row in rows
        }
        return Situation(
            today=self._get_today(now),
            currency=self.currency_id.name,
            instalments=tuple(
                Instalment(
                    key=row.line_id,
                    due=row.due,
                    residual=row.residual,
                    noticed=frozenset(
                        days for days, kind in said[row.line_id] if kind in kinds
                    ),
                    blocked="retention" if row.is_retention else None,
                    since=row.invoice_date,
                    delay=delays[row.line_id],
                )
                for row in rows
            ),
        )

    def _get_rung_on(self, ladder, situation, day):
        """Return the step that is due on ``day``: the highest that is not said yet."""
        due = [
            step
            for item in situation.open_instalments
            for step in ladder
            if step.offset not in item.noticed and item.get_date(step.offset) <= day
        ]
        return max(due, key=lambda step: step.offset, default=None)
