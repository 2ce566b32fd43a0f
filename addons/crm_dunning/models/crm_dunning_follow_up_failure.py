"""Steps that are counted from the first failed charge, not from the due date."""

from odoo import api, fields, models
from odoo.tools import split_every

from ..dunning_rules.declines import CLASSES, UNKNOWN
from ..dunning_rules.ladder import decide
from ..dunning_rules.situation import Instalment, Situation
from .bulk_insert import insert_rows
from .crm_dunning_follow_up import CHUNK_SIZE
from .crm_dunning_notice_charge import FAILED_TEMPLATES


class CrmDunningNoticeLine(models.Model):
    _inherit = "crm.dunning.notice.line"

    trigger = fields.Selection(
        [("due", "Due date"), ("failure", "First failed charge")],
        default="due",
        required=True,
        readonly=True,
        help="What the days of the step are counted from.",
    )

    _step_uniq = models.UniqueIndex(
        "(line_id, trigger, days) WHERE kind IN ('listed', 'skipped', 'done')",
        "This step of the instalment is recorded already.",
    )


class CrmDunningNotice(models.Model):
    _inherit = "crm.dunning.notice"

    def _stop(self, reason):
        """Override to give back steps after a failure, which another row records."""
        result = super()._stop(reason)
        for notice in self.filtered(lambda one: one.kind == "failed" and one.step_id):
            self.env["crm.dunning.notice.line"].search(
                [
                    ("move_id", "=", notice.move_id.id),
                    ("trigger", "=", "failure"),
                    ("days", "=", notice.stage),
                    ("kind", "=", "done"),
                ]
            )._void()
        return result


class CrmDunningCase(models.Model):
    _inherit = "crm.dunning.case"

    # === BUSINESS METHODS - STEPS AFTER A FAILURE === #

    @api.model
    def _follow_failures(self, now):
        """Do the steps after a first failed charge that are due, a commit a chunk.

        :param now: instant, naive UTC
        """
        steps = self.env["crm.dunning.step"].search(
            [("trigger", "=", "failure"), ("policy_id.state", "=", "armed")]
        )
        if not steps:
            return
        cases = self.search(
            [
                ("state", "in", ("automatic", "retrying")),
                ("first_failure_at", "!=", False),
                ("policy_id", "in", steps.policy_id.ids),
            ]
        )
        for chunk in split_every(CHUNK_SIZE, cases.ids, self.browse):
            self.env["ir.cron"]._commit_progress()
            payers = self._lock_payers(chunk.partner_id.ids)
            for case in chunk.filtered_domain([("partner_id", "in", payers)]):
                case._try_to_follow_failure(now)

    def _try_to_follow_failure(self, now):
        """One broken case does not stop the others; its reason is kept."""
        self.ensure_one()
        try:
            with self.env.cr.savepoint():
                self._follow_failure(now)
        except self._get_lost_races():
            raise
        except Exception as error:
            # Whatever it is, it is this case's alone.
            self.env.invalidate_all()
            self._set_follow_up_error(now, self.partner_id.id, error)

    def _follow_failure(self, now):
        """Say, do or hand over what this case has reached since its charge failed."""
        self.ensure_one()
        rows = self.env["account.move.line"]._get_open_instalments(self.move_id.ids)
        due = [row for row in rows[self.move_id.id] if not row.is_retention]
        window = self.policy_id._get_window(
            self.partner_id._get_dunning_tz(self.company_id)
        )
        blocked = self.move_id._get_dunning_blocks(now, "charge")
        if not due or blocked or not window.is_open(now):
            return
        decision = decide(
            self.policy_id._to_steps("failure"), self._to_failure(due, now)
        )
        if not decision.action and not decision.also:
            return
        self._record_failure_steps(decision, due, now)
        if decision.action == "mail":
            self._mail_failure_step(decision.step, due, now)
        elif decision.takeover:
            step = self.env["crm.dunning.step"].browse(decision.step.key)
            self._take_over("retries", user=step.user_id)
        for step in {step.key for step, _key in decision.also}:
            step = self.env["crm.dunning.step"].browse(step)
            getattr(self, f"_run_{step.action}")(step, now)

    def _to_failure(self, rows, now):
        """Return the situation on a ladder that begins with the first failure."""
        first = self._get_today(self.first_failure_at)
        said = self.env["crm.dunning.notice.line"].search(
            [
                ("move_id", "=", self.move_id.id),
                ("trigger", "=", "failure"),
                ("kind", "in", ("listed", "skipped", "done")),
            ]
        )
        return Situation(
            today=self._get_today(now),
            currency=self.currency_id.name,
            instalments=tuple(
                Instalment(
                    key=row.line_id,
                    due=first,
                    residual=row.residual,
                    noticed=frozenset(
                        said.filtered(
                            lambda line, row=row: line.line_id.id == row.line_id
                        ).mapped("days")
                    ),
                )
                for row in rows
            ),
        )

    def _record_failure_steps(self, decision, rows, now):
        """Write down once what was reached, what is skipped included."""
        today = self._get_today(now)
        found = {
            (listed.key, listed.offset): "done"
            for listed in decision.listed
            if listed.is_new
        }
        found |= {(key, step.offset): "done" for step, key in decision.also}
        for key, days in decision.skipped:
            found.setdefault((key, days), "skipped")
        by_line = {row.line_id: row for row in rows}
        notice = self.env["crm.dunning.notice"].create(
            {
                "partner_id": self.partner_id.id,
                "company_id": self.company_id.id,
                "currency_id": self.currency_id.id,
                "policy_id": self.policy_id.id,
                "step_id": decision.step.key if decision.step else False,
                "move_id": self.move_id.id,
                "date": today,
                "stage": decision.stage or 0,
                "kind": "record",
                "state": "recorded",
                "reason": self.env._("Steps after a failed charge"),
            }
        )
        insert_rows(
            self.env["crm.dunning.notice.line"],
            [
                {
                    "notice_id": notice.id,
                    "company_id": self.company_id.id,
                    "line_id": key,
                    "move_id": self.move_id.id,
                    "case_id": self.id,
                    "trigger": "failure",
                    "days": days,
                    "kind": kind,
                    "date": today,
                    "date_due": by_line[key].due,
                    "currency_id": self.currency_id.id,
                    "amount": float(by_line[key].residual),
                }
                for (key, days), kind in found.items()
            ],
        )

    def _mail_failure_step(self, step, rows, now):
        """Tell of the failed charge once more; some classes are never told of."""
        notices = self.env["crm.dunning.notice"]
        text = CLASSES.get(self.decline_class, UNKNOWN).mail
        if text not in FAILED_TEMPLATES:
            return
        values, at = notices._prepare_charge_notice(self.move_id, self.policy_id, now)
        if not values:
            self._take_over("bounce", note=self.env._("No address takes mail."))
            return
        notice = notices.create(
            {
                **values,
                "kind": "failed",
                "failed_text": text,
                "step_id": step.key,
                "stage": step.offset,
                "tone": step.tone,
                "next_try_on": self.next_try_at and self._get_today(self.next_try_at),
            }
        )
        notice._name_instalments(rows, "named")
        notice._queue_at(at, now)

    # === BUSINESS METHODS - STEP RETRY === #

    def _run_retry(self, step, now):
        """Plan a charge of the saved method; its limits and rules hold as always."""
        cases = self.filtered(
            lambda case: (
                case.state in ("automatic", "retrying")
                and case.policy_id.charge_mode != "none"
                and CLASSES.get(case.decline_class, UNKNOWN).may_retry
            )
        )
        payable = cases.move_id._filtered_with_method()
        cases.filtered(lambda case: case.move_id in payable).write(
            {"next_try_at": now, "state": "retrying"}
        )
