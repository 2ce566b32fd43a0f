"""What the run writes down of its decisions, in batch: the ledger, cases and mails."""

from dataclasses import dataclass, field

from odoo import api, models

from .crm_dunning_follow_up_facts import Conversation


@dataclass
class Plan:
    """One row of the ledger to be written, with its lines."""

    conversation: Conversation
    values: dict
    lines: list = field(default_factory=list)
    steps: dict = field(default_factory=dict)  # line id: step id newly reached

    def add(self, key, kind, days, step_id=False):
        row = self.conversation.rows[key]
        self.lines.append(
            {
                "company_id": row.company_id,
                "line_id": row.line_id,
                "move_id": row.move_id,
                "step_id": step_id,
                "trigger": "due",
                "days": days,
                "kind": kind,
                "date": self.conversation.today,
                "date_due": row.due,
                "currency_id": row.currency_id,
                "amount": float(row.residual),
            }
        )


class CrmDunningCase(models.Model):
    _inherit = "crm.dunning.case"

    # === BUSINESS METHODS - APPLY === #

    @api.model
    def _apply_follow_up(self, now, conversations):
        """Write what was decided, in a constant number of queries.

        :return: the notices
        """
        notices = self.env["crm.dunning.notice"]
        acting = [
            one for one in conversations if one.decision.action or one.decision.also
        ]
        self._note_waiting(conversations)
        self._tell_bank_data(conversations)
        if not acting:
            return notices
        self._choose_tones(acting)
        armed = [one for one in acting if not one.is_dry_run]
        plans = self._plan_notices(acting)
        cases = self._open_for_follow_up(now, armed, plans)
        notices = notices._create_from_plans(plans, cases)
        notices.filtered(lambda notice: notice.state == "queued")._queue_mails()
        self._take_overdue(armed, cases)
        self._run_side_steps(armed, cases, now)
        touched = self.browse(case.id for case in cases.values())
        # What happens next follows from the steps: a machine's note, not a change.
        touched.with_context(tracking_disable=True)._refresh_next_action(now)
        return notices

    @api.model
    def _plan_notices(self, conversations):
        chains = self._get_chains(conversations)
        plans = []
        for one in conversations:
            if one.is_dry_run:
                plans.append(self._plan_dry_run(one))
            elif one.decision.action == "mail":
                plans.append(self._plan_mail(one, chains[one.payer.id]))
            else:
                plans.append(self._plan_record(one))
        return plans

    @api.model
    def _get_chains(self, conversations):
        payers = self.env["res.partner"].union(*(one.payer for one in conversations))
        return payers._get_dunning_chain()

    @api.model
    def _prepare_notice(self, one, **values):
        step = one.decision.step
        moves = [one.rows[listed.key] for listed in one.decision.listed]
        oldest = min(moves, key=lambda row: (row.due, row.line_id), default=None)
        return {
            "partner_id": one.payer.id,
            "company_id": one.company.id,
            "currency_id": one.currency.id,
            "policy_id": one.policy.id,
            "step_id": step.key if step else False,
            "date": one.today,
            "stage": step.offset if step else one.decision.stage or 0,
            "tone": one.tone,
            "tone_reason": one.tone_reason,
            "amount": float(one.decision.amount),
            "move_id": oldest.move_id if oldest else False,
            **values,
        }

    @api.model
    def _plan_mail(self, one, chain):
        """One mail to whoever can be reached first; without anybody a person calls."""
        if not chain:
            one.unreachable = True
            return self._plan_record(
                one, reason=self.env._("Nobody can be reached by mail")
            )
        people = chain[:1] | self.env["crm.dunning.notice"]._get_copies(
            one.payer, one.policy
        )
        plan = Plan(
            one,
            self._prepare_notice(
                one,
                kind="reminder",
                state="queued",
                recipient_id=chain[0].id,
                recipient_ids=people.ids,
                lang=chain[:1].lang or one.payer.lang,
            ),
        )
        self._add_listed(plan, "listed", "known")
        for upcoming in one.decision.upcoming:
            plan.add(upcoming.key, "upcoming", upcoming.offset or 0)
        self._add_besides(plan, "skipped", "done")
        return plan

    @api.model
    def _plan_record(self, one, reason=False):
        """Steps that no mail tells of: handed over, or done by a person."""
        plan = Plan(
            one,
            self._prepare_notice(one, kind="record", state="recorded", reason=reason),
        )
        self._add_listed(plan, "done", None)
        self._add_besides(plan, "skipped", "done")
        return plan

    @api.model
    def _plan_dry_run(self, one):
        """What would have been done, once, with nothing that leaves the house."""
        action = one.decision.action
        plan = Plan(
            one,
            self._prepare_notice(
                one,
                kind="reminder" if action == "mail" else "record",
                state="dry_run",
                reason=False if action else self.env._("Steps for a person"),
            ),
        )
        self._add_listed(plan, "dry_run", None)
        self._add_besides(plan, "dry_run", "dry_run")
        return plan

    @api.model
    def _add_listed(self, plan, new_kind, known_kind):
        step_ids = self._get_step_ids(plan.conversation.policy)
        for listed in plan.conversation.decision.listed:
            kind = new_kind if listed.is_new else known_kind
            if kind:
                days = listed.offset or 0
                step_id = step_ids.get((days, plan.conversation.decision.action))
                plan.add(listed.key, kind, days, step_id)

    @api.model
    def _add_besides(self, plan, skipped_kind, done_kind):
        """Add steps that were missed, and those that are no mail, once an offset."""
        taken = {
            (line["line_id"], line["days"])
            for line in plan.lines
            if line["kind"] in ("listed", "done", "skipped", "dry_run")
        }
        decision = plan.conversation.decision
        besides = [
            (key, step.offset, done_kind, step.key) for step, key in decision.also
        ]
        besides += [(key, days, skipped_kind, False) for key, days in decision.skipped]
        for key, days, kind, step_id in besides:
            if (key, days) not in taken:
                taken.add((key, days))
                plan.add(key, kind, days, step_id)

    @api.model
    def _get_step_ids(self, policy):
        return {
            (step.offset, step.action): step.key for step in policy._to_steps("due")
        }

    @api.model
    def _leave_out(self, conversations):
        """Record that a person left these out: the steps are not said any more."""
        plans = []
        for one in conversations:
            if one.is_dry_run or not one.decision.action:
                continue
            plan = Plan(
                one,
                self._prepare_notice(
                    one,
                    kind="record",
                    state="stopped",
                    reason=self.env._("Left out by a person"),
                ),
            )
            self._add_listed(plan, "skipped", None)
            self._add_besides(plan, "skipped", "skipped")
            plans.append(plan)
        self.env["crm.dunning.notice"]._create_from_plans(plans, {})

    # === BUSINESS METHODS - BESIDES THE MAIL === #

    @api.model
    def _take_overdue(self, conversations, cases):
        """Hand over what reached the step of a person, or whom no mail reaches."""
        overdue, unreachable = self.browse(), self.browse()
        for one in conversations:
            new = [listed for listed in one.decision.listed if listed.is_new]
            found = self.browse(
                cases[one.rows[listed.key].move_id].id
                for listed in new
                if one.rows[listed.key].move_id in cases
            )
            if one.decision.takeover:
                overdue |= found
            elif one.unreachable:
                unreachable |= found
        for case_user, group in self._group_by_step_user(overdue, conversations):
            group._take_over("overdue", user=case_user)
        if unreachable:
            unreachable._take_over(
                "bounce", note=self.env._("No address of the account takes mail.")
            )

    @api.model
    def _group_by_step_user(self, cases, conversations):
        """Return ``[(user or nobody, cases)]`` by the step that hands them over."""
        users = {}
        for one in conversations:
            if one.decision.takeover:
                step = self.env["crm.dunning.step"].browse(one.decision.step.key)
                for listed in one.decision.listed:
                    users[one.rows[listed.key].move_id] = step.user_id
        return cases.grouped(lambda case: users[case.move_id.id]).items()

    @api.model
    def _note_waiting(self, conversations):
        """Keep on open cases why nothing was said that was due (G2)."""
        labels = self._get_waiting_labels()
        reasons = {}
        for one in conversations:
            if one.is_dry_run:
                continue
            whole = labels.get(one.decision.reason)
            for item in one.situation.instalments:
                reason = labels.get(item.blocked) or whole or False
                reasons[one.rows[item.key].move_id] = reason
        cases = self.search(
            [("move_id", "in", list(reasons)), ("state", "!=", "closed")]
        )
        changed = cases.filtered(
            lambda case: case.waiting_reason != reasons[case.move_id.id]
        )
        for reason, group in changed.grouped(
            lambda case: reasons[case.move_id.id]
        ).items():
            group.write({"waiting_reason": reason})

    @api.model
    def _get_waiting_labels(self):
        """Return in words why nothing is said, of an invoice or of a payer."""
        return self.env["account.move"]._get_dunning_block_labels() | {
            "threshold": self.env._("less is overdue than the policy's threshold"),
            "credit": self.env._("unapplied credits cover everything"),
            "gap": self.env._("a message left too short a time ago"),
            "blocked": self.env._("everything open is blocked"),
        }
