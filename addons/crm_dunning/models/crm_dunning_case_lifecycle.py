import psycopg2

from odoo import api, fields, models
from odoo.exceptions import AccessError, ConcurrencyError
from odoo.tools import groupby

from .crm_dunning_attempt import LIVE_STATES
from .crm_dunning_case import CASE_STATES

ACTIVITY_CASE = "crm_dunning.mail_activity_type_case"
ACTIVITY_ESCALATION = "crm_dunning.mail_activity_type_escalation"
ACTIVITIES = [ACTIVITY_CASE, ACTIVITY_ESCALATION]
ACTIVITY_DEAL = "crm_dunning.mail_activity_type_deal"
# What ends with the case, or with the state that it belongs to.
NO_PROMISE = {"promise_date": False, "promise_amount": 0.0, "promise_residual": 0.0}
NO_ACTION = {"next_action_at": False, "next_action": False}


class OpenedMeanwhile(ConcurrencyError, psycopg2.OperationalError):
    """Another transaction opened the case; repeated, this one finds it."""


class CrmDunningCase(models.Model):
    """From the first sign to the money: opened once, closed by what the ledger says."""

    _inherit = "crm.dunning.case"

    closed_state = fields.Selection(
        CASE_STATES, readonly=True, help="What the case was in when it closed."
    )
    move_outcome = fields.Selection(related="move_id.dunning_outcome")
    billing_event_ids = fields.One2many(
        "crm.billing.event", "dunning_case_id", readonly=True
    )

    # === CRUD METHODS === #

    @api.model_create_multi
    def create(self, vals_list):
        cases = super().create(vals_list)
        cases.filtered("first_failure_at")._on_first_failure()
        return cases

    def write(self, vals):
        """Override to follow a first failure, a new owner and a new deadline."""
        failing = self.filtered(
            lambda case: vals.get("first_failure_at") and not case.first_failure_at
        )
        if vals.get("deadline") and "escalated_at" not in vals:
            # Whoever may move the deadline starts the clock anew.
            late = self.sudo().filtered("escalated_at")
            super(CrmDunningCase, late).write({"escalated_at": False})
            late.activity_feedback([ACTIVITY_ESCALATION])
        result = super().write(vals)
        failing._on_first_failure()
        if {"owner_id", "deadline", "reason"} & vals.keys():
            self._renew_owner_activity()
        return result

    # === BUSINESS METHODS - RIGHTS === #

    @api.model
    def _check_is_collector(self):
        """Refuse whoever does not work cases.

        :raise AccessError: the user is no billing clerk
        """
        if not self.env.su and not self.env.user.has_group(
            "crm_billing_handoff.group_billing_user"
        ):
            raise AccessError(
                self.env._("Cases are worked by Billing. Ask a billing clerk to do it.")
            )

    def _check_can_work(self):
        """Let Billing work the cases of its own companies."""
        self._check_is_collector()
        self.check_access("write")

    # === BUSINESS METHODS - OPEN === #

    @api.model
    def _open_for(self, moves, **values):
        """Return the open cases of these invoices, one each; made where there is none.

        Idempotent; a case that is there stays as it is. Another transaction that opens
        one at the same moment wins: this one is then repeated by whoever retries lost
        races, and finds it.

        :param moves: customer invoices
        :param values: of new cases, such as ``reason`` or ``first_failure_at``
        :raise ConcurrencyError: the race was lost
        """
        # Cases belong to the flow: nobody types one.
        cases, moves = self.sudo(), moves.sudo()
        found = cases._search_open(moves)
        missing = moves - found.move_id
        if not missing:
            return found.with_env(self.env)
        try:
            with self.env.cr.savepoint():
                made = cases.with_context(
                    tracking_disable=True, mail_create_nosubscribe=True
                ).create(cases._prepare_cases(missing, values))
                made.flush_recordset()
        except psycopg2.errors.UniqueViolation as error:
            raise OpenedMeanwhile("case opened meanwhile") from error
        made._log_events("case_opened")
        return (found | made).with_env(self.env)

    @api.model
    def _search_open(self, moves):
        return self.search([("move_id", "in", moves.ids), ("state", "!=", "closed")])

    @api.model
    def _prepare_cases(self, moves, values):
        """Return the values of a case an invoice, in a constant number of queries."""
        instalments = self.env["account.move.line"]._get_open_instalments(
            move_ids=moves.ids
        )
        policies = {
            company: company_moves.commercial_partner_id._get_dunning_policies(company)
            for company, company_moves in moves.grouped("company_id").items()
        }
        return [
            {
                "move_id": move.id,
                "policy_id": policies[move.company_id][
                    move.commercial_partner_id.id
                ].id,
                "date_due": self._get_first_due(move, instalments),
                **values,
            }
            for move in moves
        ]

    @api.model
    def _get_first_due(self, move, instalments):
        """Return the due date of the oldest open instalment that is to be paid."""
        due = [row.due for row in instalments.get(move.id, ()) if not row.is_retention]
        return min(due, default=move.invoice_date_due)

    # === BUSINESS METHODS - WHAT THE LEDGER SAYS === #

    @api.model
    def _follow_moves(self, moves, owed_again):
        """Close what is paid, open again what is owed again, look at promises.

        :param moves: invoices of which a payment, credit or state has changed
        :param owed_again: those of them that were settled before
        """
        if not moves:
            return
        cases = self.search([("move_id", "in", moves.ids)])
        live = cases.filtered(lambda case: case.state != "closed")
        for outcome, ended in live.grouped("move_outcome").items():
            if outcome and outcome != "open":
                ended._close(outcome)
        live.filtered(lambda case: case.state != "closed")._follow_part_payments()
        closed = (cases - live).filtered(lambda case: case.move_id not in live.move_id)
        owed = closed.filtered(lambda case: case.move_id in owed_again)
        (owed | closed._filtered_due_again())._reopen_latest()

    def _filtered_due_again(self):
        """Return cases that left a retention, of which more than that is open now."""
        settled = self.filtered(
            lambda case: case.close_reason == "settled" and case.move_outcome == "open"
        )
        rows = self.env["account.move.line"]._get_open_instalments(
            move_ids=settled.move_id.ids
        )
        return settled.filtered(
            lambda case: not all(row.is_retention for row in rows[case.move_id.id])
        )

    def _follow_part_payments(self):
        """After a part payment: another oldest instalment, perhaps a kept promise.

        Where nothing but a retention is left that nobody has released, there is nothing
        to collect.
        """
        instalments = self.env["account.move.line"]._get_open_instalments(
            move_ids=self.move_id.ids
        )
        for case in self:
            rows = instalments.get(case.move_id.id, ())
            if rows and all(row.is_retention for row in rows):
                case._close("settled")
                continue
            due = case._get_first_due(case.move_id, instalments)
            if case.date_due != due:
                case.date_due = due
                if due > case._get_today():
                    case._cure()
        self._settle_kept_promises()

    def _reopen_latest(self):
        """Open the last case of each invoice again: what ended it was undone."""
        latest = self.browse(
            max(cases.ids) for _move, cases in self.grouped("move_id").items()
        )
        for case in latest:
            state = case._get_reopened_state()
            # Whose deadline has passed meanwhile gets another one.
            owner = {} if state == "automatic" else case._prepare_owner(case.owner_id)
            case.write(
                {
                    "state": state,
                    "closed_at": False,
                    "close_reason": False,
                    "closed_state": False,
                    **owner,
                }
            )
        latest._log_events("case_reopened")
        latest._refresh_next_action(fields.Datetime.now())

    def _get_reopened_state(self):
        """Return the state of a case that was closed; a person's stays a person's.

        The provider's answers, promises and holds are the past: they are over.
        """
        self.ensure_one()
        if self.closed_state in ("person", "dispute"):
            return self.closed_state
        return "person" if self.taken_over_at else "automatic"

    # === BUSINESS METHODS - CLOSE === #

    def _close(self, reason):
        """End the cases: nothing is tried, sent or asked of anybody any more.

        :param reason: key of `CLOSE_REASONS`
        """
        todo = self.sudo().filtered(lambda case: case.state != "closed")
        if not todo:
            return
        now = fields.Datetime.now()
        for state, cases in todo.grouped("state").items():
            cases.write(
                {
                    "state": "closed",
                    "closed_state": state,
                    "closed_at": now,
                    "close_reason": reason,
                    "next_try_at": False,
                    "hold_until": False,
                    **NO_PROMISE,
                    **NO_ACTION,
                }
            )
        label = dict(self._fields["close_reason"]._description_selection(self.env))
        todo._end_tasks(label[reason])
        todo._end_deal_tasks(label[reason])
        todo._log_events("case_closed", note=label[reason])
        todo._lift_credit_hold()

    # === BUSINESS METHODS - STATE === #

    def _get_working_state(self):
        """Return what the case is in when no promise, hold or dispute is on it."""
        self.ensure_one()
        if any(attempt.state in LIVE_STATES for attempt in self.attempt_ids):
            return "verifying"
        if self.taken_over_at:
            return "person"
        return "retrying" if self.next_try_at else "automatic"

    def _log_events(self, action, note=False):
        """Write one row a case into the audit log."""
        self.env["crm.billing.event"]._log(
            [
                {
                    "action": action,
                    "dunning_case_id": case.id,
                    "move_id": case.move_id.id,
                    "partner_id": case.partner_id.id,
                    "company_id": case.company_id.id,
                    "note": note,
                }
                for case in self
            ]
        )

    def _get_case_action(self):
        """Return the action that shows the cases: one as a form."""
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "crm_dunning.crm_dunning_case_action"
        )
        action |= {"domain": [("id", "in", self.ids)], "context": {}}
        if len(self) == 1:
            action |= {
                "view_mode": "form",
                "views": [(False, "form")],
                "res_id": self.id,
            }
        return action

    def _get_today(self, now=None):
        """Return the local date of the payer at ``now`` (UTC, default: the clock)."""
        self.ensure_one()
        return self.partner_id._get_dunning_today(
            self.company_id, now or fields.Datetime.now()
        )

    def _grouped_by(self, key):
        """Return ``(key, cases)`` pairs: one write for all that get the same."""
        return [
            (value, self.browse().concat(*cases))
            for value, cases in groupby(self, key=key)
        ]
