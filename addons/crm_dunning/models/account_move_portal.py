"""What the customer sees about an unpaid invoice: where it stands, what is open."""

from urllib.parse import urlsplit

from odoo import fields, models
from odoo.tools import format_date


class AccountMove(models.Model):
    _inherit = "account.move"

    # === BUSINESS METHODS - WRITTEN ON THE PAGE === #

    def _message_post_after_hook(self, new_message, message_values):
        """Override of `mail`: what is written on the page is read as a reply is."""
        result = super()._message_post_after_hook(new_message, message_values)
        if self._is_written_on_page(new_message):
            content = {
                "author_id": new_message.author_id.id,
                "body": new_message.body,
                "subject": new_message.subject,
            }
            if self._is_dunning_reply(content):
                self._on_reply(content)
        return result

    def _is_written_on_page(self, message):
        """Return whether a customer typed it: no mail, no note of ours."""
        return (
            len(self) == 1
            and message.message_type == "comment"
            and not message.subtype_id.internal
            and self.env.user.share
        )

    # === BUSINESS METHODS - THE PAGE === #

    def _get_portal_today(self, now):
        """Return the local date of the payer at ``now`` (naive UTC)."""
        payer = self.commercial_partner_id
        return payer._get_dunning_today(self.company_id, now)

    def _get_portal_case(self):
        return self.dunning_case_ids.filtered(lambda case: case.state != "closed")[:1]

    def _get_portal_collections(self, now=None):
        """Return what the page of an invoice shows, or nothing where nothing is open.

        The page has proven whose invoice it is; it is read as superuser.

        :param now: instant, naive UTC, the clock by default
        """
        self.ensure_one()
        now = now or fields.Datetime.now()
        move = self.sudo()
        if move.dunning_outcome != "open":
            return None
        case = move._get_portal_case()
        today = move._get_portal_today(now)
        rows = self.env["account.move.line"].sudo()._get_open_instalments(move.ids)
        instalments = move._get_portal_instalments(rows.get(move.id, ()), today)
        overdue = [row for row in instalments if row["is_overdue"]]
        last = move._get_last_promise_day(case, now)
        can_pay = move._has_to_be_paid()
        level, text = move._describe_for_customer(case, overdue, now)
        paid = move._get_last_answer(case, "paid")
        return {
            "level": level,
            "text": text,
            "instalments": instalments,
            "can_pay": can_pay,
            "is_late": bool(overdue),
            "has_failed": bool(case.first_failure_at),
            "today": today,
            "paid": paid,
            "can_say_paid": not paid and not move._get_busy(),
            "can_complain": case.state != "dispute",
            "last_promise_day": (overdue or case.first_failure_at) and last,
            "overdue_amount": sum(row["amount"] for row in overdue),
            "problems": self.env["crm.dunning.answer"]._get_problem_labels(),
        }

    def _is_portal_overdue(self, values):
        """Return whether the list of invoices marks this one.

        :param values: of core for this invoice; it knows the state of instalments
        """
        self.ensure_one()
        move = self.sudo()
        due = move.invoice_date_due
        return (
            move.dunning_outcome == "open"
            and (
                values.get("installment_state") == "overdue"
                or bool(due)
                and due < move._get_portal_today(fields.Datetime.now())
            )
            and not move._get_busy()
        )

    def _get_portal_instalments(self, rows, today):
        """Return the open instalments; a retention is not asked for."""
        return [
            {
                "date": row.due,
                "amount": float(row.residual),
                "is_overdue": row.due < today,
            }
            for row in rows
            if not row.is_retention
        ]

    def _get_last_answer(self, case, kind):
        """Return the last answer of a kind to this case, while a person looks at it."""
        answers = self.env["crm.dunning.answer"].sudo()
        if case.state not in ("person", "dispute"):
            return answers
        return answers.search([("case_id", "=", case.id), ("kind", "=", kind)], limit=1)

    def _describe_for_customer(self, case, overdue, now):
        """Return ``(level, text)``: where the invoice stands, in plain words.

        It never says why a bank declined, nor what we think of the customer.
        """
        _ = self.env._
        if self._get_busy():
            return "info", _(
                "A payment of this invoice is under way. You need not do anything; "
                "please look again in a few minutes before you pay another way."
            )
        if case.state == "dispute" or self.dunning_dispute_state == "open":
            return "info", _(
                "You told us that something is wrong. We are looking into it, and you "
                "get no reminders until it is settled."
            )
        if case.promise_date:
            return "success", _(
                "You will pay %(amount)s until %(date)s. Thank you! Until then you get "
                "no reminders.",
                amount=case.currency_id.format(case.promise_amount),
                date=format_date(self.env, case.promise_date),
            )
        if self._get_last_answer(case, "paid"):
            return "info", _(
                "Thank you for telling us that you have paid. We are looking for the "
                "payment, and you get no reminders meanwhile."
            )
        if case.state == "hold":
            return "info", _(
                "This invoice is on hold until %(date)s. You need not do anything now.",
                date=format_date(self.env, case.hold_until),
            )
        return self._describe_open(case, overdue)

    def _describe_open(self, case, overdue):
        _ = self.env._
        if case.next_try_at:
            return "warning", _(
                "Your last payment did not go through. We try again on %(date)s with "
                "the payment method you have saved. You can also pay now, or save "
                "another one.",
                date=format_date(self.env, self._get_portal_today(case.next_try_at)),
            )
        if case.first_failure_at:
            return "warning", _(
                "Your last payment did not go through. Please pay now, or save another "
                "payment method."
            )
        if case.state == "person":
            return "warning", _(
                "A colleague looks after this invoice and will be in touch with you. "
                "You can pay at any time."
            )
        if overdue:
            return "warning", _(
                "%(amount)s was due on %(date)s. If you have paid in the last days, "
                "thank you, and there is nothing to do.",
                amount=self.currency_id.format(sum(row["amount"] for row in overdue)),
                date=format_date(self.env, overdue[0]["date"]),
            )
        return "info", _("Nothing of this invoice is overdue.")

    # === BUSINESS METHODS - PAY LINKS === #

    def _get_portal_pay_path(self, amount):
        """Return where ``amount`` of this invoice is paid, or nothing.

        The link binds the amount, so it is made in the moment it is used (F1).
        """
        self.ensure_one()
        link = self._get_dunning_pay_links({self.id: amount}).get(self.id)
        if not link:
            return None
        parts = urlsplit(link)
        return f"/{parts.path.lstrip('/')}?{parts.query}#{parts.fragment}"

    def _is_stale_pay_link(self, amount):
        """Return whether a link asks for more than is open by now."""
        self.ensure_one()
        return self.currency_id.compare_amounts(amount, self.amount_residual) > 0
