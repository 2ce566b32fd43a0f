from datetime import timedelta

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.fields import Domain
from odoo.tools import html2plaintext, plaintext2html

from .crm_dunning_case_lifecycle import (
    ACTIVITIES,
    ACTIVITY_CASE,
    ACTIVITY_ESCALATION,
    NO_PROMISE,
)

GROUP_CLERK = "crm_billing_handoff.group_billing_user"
GROUP_MANAGER = "crm_billing_handoff.group_billing_manager"
WITH_A_PERSON = ("person", "dispute")
DEADLINE_DAYS = 3  # of a case that no policy follows


class CrmDunningCase(models.Model):
    """The person at the clear point: owner, deputy, deadline, and the way back."""

    _inherit = "crm.dunning.case"

    # === ACTION METHODS === #

    def action_take_over(self):
        """Take the cases over from the machine; whoever calls it becomes the owner.

        A rule or job has no hands: its cases go to the owner that the policy names.
        Cases that are closed, or with this person already, stay as they are.

        :raise AccessError: the user is no billing clerk
        """
        self._check_can_work()
        user = self.env.user
        is_person = user.active and not user.share and user.has_group(GROUP_CLERK)
        is_person = is_person and user != self.env.ref("base.user_root")
        self._take_over("manual", user=user if is_person else None)
        return True

    def action_release(self, days=None):
        """Give the cases back to automation, at the step of ``days``.

        Later steps follow in their distance; earlier ones are not sent any more. Called
        without a step, it asks for one.

        :param days: offset of the step, in days from the due date
        :raise AccessError: the user is no billing clerk
        :raise UserError: the policy of a case has no such step, or a case is closed
        """
        self._check_can_work()
        if days is None:
            return self._ask("release")
        self._check_open()
        for case in self:
            case._check_step(days)
        self._release(days)
        return True

    def action_close(self):
        """Close cases of which nothing is open, such as a chargeback that was won.

        :raise UserError: something is open: it is collected, credited or written off
        """
        self._check_can_work()
        owed = self.filtered(lambda case: case.move_outcome == "open")
        if owed:
            raise UserError(
                self.env._(
                    "%(invoices)s is open: register the payment, credit it or write it "
                    "off, and the case closes by itself.",
                    invoices=", ".join(owed.move_id.mapped("display_name")),
                )
            )
        for outcome, cases in self.grouped("move_outcome").items():
            cases._close(outcome or "cancelled")
        return True

    # === BUSINESS METHODS - TAKE OVER === #

    def _take_over(self, reason, note="", user=None, now=None):
        """Give the cases to a person: mails and tries stop until they are given back.

        Idempotent: a case that a person has keeps owner and deadline, and what happened
        is added to its thread; another ``user`` becomes its owner.

        :param reason: key of `REASONS`
        :param user: the owner, by default the step's, the policy's, the company's
        :param now: instant (naive UTC), the clock by default
        """
        # The machine hands over, whoever made it run.
        todo = self.sudo().filtered(lambda case: case.state != "closed")
        known = todo.filtered(
            lambda case: (
                case.taken_over_at
                and case.state in WITH_A_PERSON
                and (not user or user == case.owner_id)
            )
        )
        known._note_reason(reason, note)
        (todo - known)._hand_to(reason, note, user, now)
        (todo - known)._log_events("taken_over", note=self._describe_reason(reason))

    def _hand_to(self, reason, note, user, now=None):
        """Write owner and deadline, once for all cases that get the same."""
        now = now or fields.Datetime.now()
        plans = {
            case: tuple(case._prepare_hand_over(user, now).items()) for case in self
        }
        for plan, cases in self._grouped_by(plans.get):
            cases.write(
                {
                    **dict(plan),
                    "reason": reason,
                    "reason_note": note or False,
                    "next_try_at": False,
                    "taken_over_at": now,
                    "escalated_at": False,
                }
            )

    def _prepare_hand_over(self, user, now):
        """Return what differs from case to case: state, people, deadline, what next."""
        self.ensure_one()
        values = self._prepare_owner(user, now)
        return {
            **values,
            **self._prepare_next_action(values),
            "state": "dispute" if self.state == "dispute" else "person",
        }

    def _note_reason(self, reason, note):
        """Tell the owner what else happened to a case that a person has."""
        for case in self:
            text = case._describe_reason(reason)
            if note:
                text = f"{text}: {note}"
            if (case.reason, case.reason_note or "") == (reason, note or ""):
                continue  # said already
            if case._has_said(text):
                continue
            case.message_post(body=text, partner_ids=case.owner_id.partner_id.ids)

    def _has_said(self, text):
        """Return whether the thread says this since the person has the case.

        A job that asks every few minutes finds the same each time.
        """
        said = self.message_ids.filtered(lambda one: one.date >= self.taken_over_at)
        bodies = {" ".join(html2plaintext(one.body).split()) for one in said}
        return " ".join(text.split()) in bodies

    def _describe_reason(self, reason):
        return dict(self._fields["reason"]._description_selection(self.env))[reason]

    def _prepare_owner(self, user=None, now=None):
        """Return owner, deputy and deadline; who is away is passed over.

        The deadline is a local date of the payer.
        """
        self.ensure_one()
        policy = self.policy_id
        deputy = policy.deputy_id.filtered(self._is_at_work)
        responsible = self.company_id._get_billing_responsible()
        # On hold or promised, a case that a person had stays that person's.
        user = user or (self.taken_over_at and self.owner_id)
        named = (user, self.step_id.user_id, policy.owner_id, deputy, responsible)
        owner = next(
            (one for one in named if one and self._is_at_work(one)), responsible
        )
        days = policy.deadline_days if policy else DEADLINE_DAYS
        return {
            "owner_id": owner.id,
            "deputy_id": (deputy - owner).id,
            "deadline": self._get_today(now) + timedelta(days=max(days, 0)),
        }

    def _is_at_work(self, user):
        """Return whether a user can work the case: here, active, and of Billing."""
        return (
            user.active
            and not user.share
            and self.company_id in user.company_ids
            and user.has_group(GROUP_CLERK)
        )

    # === BUSINESS METHODS - GIVE BACK === #

    def _release(self, days):
        """Let the machine go on at the step of ``days``, from today on."""
        todo = self.sudo().filtered(lambda case: case.state != "closed")
        todo.write(
            {
                "state": "automatic",
                "reason": False,
                "reason_note": False,
                "taken_over_at": False,
                "escalated_at": False,
                "deadline": False,
                "hold_until": False,
                "dispute_note": False,
                **NO_PROMISE,
            }
        )
        now = fields.Datetime.now()
        todo._resume_ladder(days, now)
        todo._end_tasks(self.env._("Given back to automation."))
        todo._log_events("given_back", note=self.env._("at day %(days)s", days=days))
        todo._plan_what_is_left(now)
        todo._refresh_next_action(now)

    def _check_step(self, days):
        steps = self.sudo().policy_id.step_ids
        offered = steps.filtered(lambda step: step.trigger == "due" and step.active)
        if days not in offered.mapped("days"):
            raise UserError(
                self.env._(
                    "%(policy)s has no step on day %(day)s. Choose one of: %(days)s.",
                    policy=self.policy_id.name or self.env._("No policy"),
                    day=days,
                    days=", ".join(str(step.days) for step in offered) or "–",
                )
            )

    def _check_open(self):
        closed = self.filtered(lambda case: case.state == "closed")
        if closed:
            raise UserError(
                self.env._(
                    "The case of %(invoices)s is closed: nothing is to be done.",
                    invoices=", ".join(closed.move_id.mapped("display_name")),
                )
            )

    # === BUSINESS METHODS - OWNER === #

    def _renew_owner_activity(self):
        """Leave the owner one task with the case's deadline; an open one is renewed."""
        # Who hands a case to a colleague may not write the colleague's task; and a job
        # that looks at archived records must not find old tasks.
        cases = self.sudo().with_context(active_test=True)
        cases = cases.filtered(lambda case: case.state in WITH_A_PERSON)
        cases = cases.filtered("owner_id")
        if not cases:
            return
        tasks = {task.res_id: task for task in cases.activity_search([ACTIVITY_CASE])}
        missing = []
        for case in cases:
            values = case._prepare_owner_activity()
            if task := tasks.get(case.id):
                task.write(values)
            else:
                missing.append({**values, "res_id": case.id})
        common = {
            "res_model_id": self.env["ir.model"]._get_id(self._name),
            "activity_type_id": self.env.ref(ACTIVITY_CASE).id,
            "automated": True,
        }
        activities = cases.env["mail.activity"]
        activities.create([{**values, **common} for values in missing])

    def _prepare_owner_activity(self):
        self.ensure_one()
        return {
            "user_id": self.owner_id.id,
            "date_deadline": self.deadline or self._get_today(),
            "summary": self._describe_reason(self.reason) if self.reason else "",
            "note": self.reason_note and plaintext2html(self.reason_note),
        }

    def _replace_absent_owners(self):
        """Hand cases whose owner has left, or may work them no more, to the deputy."""
        for case in self:
            if not case.owner_id or case._is_at_work(case.owner_id):
                continue
            left = case.owner_id.name
            deputy = case.deputy_id.filtered(case._is_at_work)
            values = case._prepare_owner(deputy or None)
            case.write(
                {"owner_id": values["owner_id"], "deputy_id": values["deputy_id"]}
            )
            case._log_events(
                "taken_over",
                note=self.env._(
                    "%(left)s cannot work the case any more; it goes to %(owner)s.",
                    left=left,
                    owner=case.owner_id.name,
                ),
            )

    def _end_tasks(self, feedback):
        """Close what was asked of people about these cases."""
        # A job that looks at archived records must not close old tasks anew.
        live = self.with_context(active_test=True)
        live.activity_feedback(ACTIVITIES, feedback=feedback)

    # === BUSINESS METHODS - ESCALATION === #

    def _escalate_late(self, now):
        """Tell a manager, once, of hand-overs that nobody answered (G5).

        :param now: instant, naive UTC
        """
        for case in self:
            days = max(case.policy_id.escalate_days, 0)
            if (
                case.state not in WITH_A_PERSON
                or case.escalated_at
                or not case.deadline
                or case._get_today(now) <= case.deadline + timedelta(days=days)
            ):
                continue
            manager = case._get_escalation_manager()
            case.escalated_at = now
            case.activity_schedule(
                ACTIVITY_ESCALATION,
                date_deadline=case._get_today(now),
                user_id=manager.id,
                summary=self.env._("Nobody has acted on this case"),
                note=self.env._(
                    "%(owner)s had until %(deadline)s. Give it to somebody else, or "
                    "set another deadline.",
                    owner=case.owner_id.name or self.env._("Nobody"),
                    deadline=fields.Date.to_string(case.deadline),
                ),
            )
            case._log_events("escalated", note=manager.name)

    def _get_escalation_manager(self):
        """Return a billing manager other than the owner, else who is responsible."""
        self.ensure_one()
        managers = self.env.ref(GROUP_MANAGER).all_user_ids.filtered(
            lambda user: (
                user.active
                and not user.share
                and self.company_id in user.company_ids
                and user not in (self.owner_id, self.env.ref("base.user_root"))
            )
        )
        return managers.sorted("id")[:1] or self.company_id._get_billing_responsible()

    @api.model
    def _get_unanswered_domain(self, today):
        """Return the hand-overs past their deadline on the earliest local date."""
        return (
            Domain("state", "in", WITH_A_PERSON)
            & Domain("escalated_at", "=", False)
            & Domain("deadline", "<", today)
        )
