from datetime import timedelta

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.tools import format_amount, format_date

from .crm_billing_change_plan import DAY

# Days before the first invoice at full price on which the end of a discount is told.
ANNOUNCE_DAYS = 14


class CrmBillingChange(models.Model):
    """Write what was planned: lines end and go on, credits and charges are rows."""

    _inherit = "crm.billing.change"

    # === BUSINESS METHODS === #

    def _apply_or_schedule(self):
        """Apply what a person saw, today or on its day.

        :raise UserError: the change is refused, or does something else by now
        """
        self.ensure_one()
        if self._is_future():
            if self.state == "draft":
                plan = self._plan()
                if self.seen_digest:
                    self._check_seen(self._describe(plan))
                self.state = "scheduled"
                self._log(self.env._("Scheduled: %(what)s", what=self.display_name))
            return
        self._apply(check_seen=self.state == "draft")

    def _check_seen(self, preview):
        """Refuse to do what nobody looked at (D7)."""
        seen = self.seen_digest
        if seen and seen != self._get_digest(preview):
            raise UserError(
                self.env._(
                    "Since you looked at it, something was billed, paid or changed: "
                    "%(change)s would do something else now. Look at the new preview, "
                    "then apply it.",
                    change=self.display_name,
                )
            )

    def _apply(self, check_seen=False):
        """Plan anew and write it, in one go.

        :raise UserError: the change is refused
        """
        self.ensure_one()
        plan = self._plan()
        preview = self._describe(plan)
        if check_seen:
            self._check_seen(preview)
        self.write(
            {
                "state": "applied",
                "applied_at": fields.Datetime.now(),
                "applied_uid": self.env.uid,
                "applied_preview": preview,
            }
        )
        agreement = self.agreement_id
        self._write_rows_away(plan)
        lines = self._write_lines(plan)
        rows = self._write_rows(plan, lines)
        if self.change_type == "renew":
            agreement._renew(self.uplift, self.renewal_count, self.renewal_unit)
        self._write_agreement(plan)
        self._schedule_followers(plan)
        self._log(self._summarise(preview))
        self._settle(plan, rows)
        agreement.with_context(billing_run=True).billing_error = False
        agreement._trigger_run()

    def _write_rows_away(self, plan):
        """Drop what an earlier change of the same day wrote, so that the last wins."""
        credits = plan.dropped.filtered(lambda row: row.kind == "credit")
        credits.unlink()
        (plan.dropped - credits).unlink()

    def _write_lines(self, plan):
        """End lines and create those that go on.

        :return: ``{virtual line: line}``
        """
        real = {}
        last_of = {}
        for cut in plan.cuts:
            line = cut.line
            ends = {
                "end_date": cut.day - DAY,
                "end_reason": cut.reason,
                "end_at": cut.instant or False,
            }
            if cut.reason == "pause" and not cut.successor:
                ends["paused_end_date"] = line.end_date
            if cut.successor:
                last = last_of.get(cut.last, cut.last)
                successor = line.create({**cut.vals, "predecessor_id": last.id})
                real[cut.successor] = last_of[cut.last] = successor
                if last == line:
                    line.write({**ends, "successor_id": successor.id})
                else:
                    last.successor_id = successor
                    line.write(ends)
            else:
                line.write(ends)
        if self.change_type != "renew":
            for virtual, vals in plan.created:
                real[virtual] = self.agreement_id.line_ids.create(vals)
        return real

    def _write_rows(self, plan, lines):
        """Write credits and charges, which wait for an invoice unless they net to 0."""
        ledger = self.env["crm.billing.period"]
        vals_list = [
            {
                **row.vals,
                "line_id": lines.get(row.line, row.line).id,
                "amount": float(row.amount),
                "change_id": self.id,
            }
            for row in [*plan.rows, *plan.standins]
        ]
        return ledger.create(vals_list)

    def _write_agreement(self, plan):
        agreement, vals = self.agreement_id, {}
        today = agreement._get_today()
        if plan.last_day:
            vals["end_date"] = plan.last_day
        if self.change_type == "cancel" and not self.line_ids:
            vals |= {"cancel_date": plan.last_day, "state": "running"}
            agreement._withdraw_changes_after(plan.last_day)
        elif self.change_type == "pause":
            lines = agreement.line_ids
            if not any(
                line._is_recurring() and line._is_in_service(max(today, self.date))
                for line in lines
            ):
                vals["state"] = "paused"
        elif self.change_type == "resume" and agreement.state == "paused":
            vals["state"] = "running"
        if vals:
            agreement.write(vals)

    def _schedule_followers(self, plan):
        """Schedule what the change itself ends: a discount, a pause (2.11, 2.12)."""
        vals_list = []
        for cut in plan.cuts:
            if self.change_type == "discount" and cut.vals:
                self._withdraw_discount_end(cut.line)
                vals_list += self._prepare_discount_end(cut)
        if self.change_type == "pause" and self.resume_date:
            if self.agreement_id.state == "paused":
                vals_list.append(
                    {
                        "agreement_id": self.agreement_id.id,
                        "change_type": "resume",
                        "date": self.resume_date,
                        "state": "scheduled",
                        "origin_id": self.id,
                    }
                )
        self.create(vals_list)
        due = self.search([("origin_id", "=", self.id), ("state", "=", "scheduled")])
        for follower in due.filtered(lambda follower: not follower._is_future()):
            follower._apply()

    def _prepare_discount_end(self, cut):
        last_day = cut.vals.get("discount_last_day")
        agreed = cut.vals["end_date"] or self.agreement_id.end_date
        if not last_day or (agreed and last_day >= agreed):
            return []
        successor = self.new_line_ids.filtered(
            lambda line: (
                line.start_date == cut.successor.start_date
                and line.product_id == cut.line.product_id
            )
        )[:1]
        return [
            {
                "agreement_id": self.agreement_id.id,
                "change_type": "discount",
                "line_ids": [fields.Command.set(successor.ids)],
                "date": last_day + DAY,
                "discount": 0.0,
                "proration_timing": self.proration_timing,
                "state": "scheduled",
                "origin_id": self.id,
            }
        ]

    def _withdraw_discount_end(self, line):
        """A new discount replaces the end of the one before."""
        if not line.discount_last_day:
            return
        ends = self.search(
            [
                ("agreement_id", "=", self.agreement_id.id),
                ("change_type", "=", "discount"),
                ("state", "=", "scheduled"),
                ("discount", "=", 0),
                ("date", "=", line.discount_last_day + DAY),
            ]
        )
        chain = line._get_chain()
        ends.filtered(lambda end: end.line_ids & chain).state = "cancelled"

    def _summarise(self, preview):
        labels = dict(self._fields["change_type"]._description_selection(self.env))
        currency = self.agreement_id.currency_id

        def money(name):
            return format_amount(self.env, float(preview[name]), currency)

        return self.env._(
            "%(what)s from %(day)s: credit %(credit)s, charge %(charge)s, MRR "
            "%(before)s → %(after)s.",
            what=labels[self.change_type],
            day=format_date(self.env, self.date),
            credit=money("credit"),
            charge=money("charge"),
            before=money("mrr_before"),
            after=money("mrr_after"),
        )

    def _log(self, text):
        agreement = self.agreement_id
        agreement.message_post(body=text)
        agreement._log_event("amended", note=text)

    # === BUSINESS METHODS - INVOICE === #

    def _settle(self, plan, rows):
        """Invoice the rows now where that was wanted; else the next invoice takes them.

        A cancellation with refund is settled by credit notes of its own; one with
        credit at once, unless a final invoice comes that the credit rides on (3.1).
        """
        agreement = self.agreement_id
        pending = rows.filtered(lambda row: not row.is_covered)
        if not pending:
            return
        if self.change_type == "cancel":
            if self.policy == "refund":
                self._refund(pending)
            elif not agreement._expects_any_invoice():
                # With what waits already: a charge that is credited may be in it.
                agreement._settle_now()
        elif plan.timings == {"now"}:
            agreement._settle_now(pending, self.date)
        elif "now" in plan.timings:
            now = pending.filtered(lambda row: row.line_id.proration_timing == "now")
            agreement._settle_now(now, self.date)

    # === BUSINESS METHODS - DISCOUNTS === #

    @api.model
    def _announce_discount_ends(self, now):
        """Tell the salesperson, before the first full price, that a discount ends."""
        horizon = now.date() + timedelta(days=ANNOUNCE_DAYS)
        ends = self.search(
            [
                ("state", "=", "scheduled"),
                ("change_type", "=", "discount"),
                ("discount", "=", 0),
                ("is_announced", "=", False),
                ("date", "<=", horizon),
            ]
        )
        for change in ends:
            agreement = change.agreement_id
            owner = agreement.user_id or agreement.company_id._get_billing_responsible()
            agreement.activity_schedule(
                "mail.mail_activity_data_todo",
                date_deadline=min(change.date, horizon),
                summary=self.env._("A discount ends"),
                note=self.env._(
                    "From %(day)s on %(lines)s cost the full price: MRR %(effect)s. "
                    "Tell the customer before the invoice does.",
                    day=change.date,
                    lines=", ".join(change.line_ids.mapped("name")),
                    effect=change.mrr_effect,
                ),
                user_id=owner.id,
            )
            change.is_announced = True
