"""The three answers of a customer: I have paid, there is a problem, I will pay."""

from datetime import date, timedelta

import psycopg2
from markupsafe import Markup

from odoo import api, fields, models
from odoo.exceptions import ConcurrencyError, UserError
from odoo.tools import format_date

from .crm_dunning_answer import PROBLEMS

MOST_ANSWERS = 6  # to one invoice within a day; more is no conversation
MOST_PROMISES = 2  # to one case: then somebody calls
LONGEST_TEXT = 2000
LONGEST_REFERENCE = 140
LONGEST_KEY = 64


class AccountMove(models.Model):
    _inherit = "account.move"

    # === BUSINESS METHODS - ANSWERS === #

    def _answer(self, kind, key, form, person, by_link=False, now=None):
        """Hear what the customer says, act on it, and tell who works the invoice.

        The caller has proven that this is the customer's invoice. The same form heard
        again changes nothing.

        :param kind: ``paid``, ``problem`` or ``promise``
        :param key: of the form
        :param form: texts as the browser sent them
        :param person: partner who speaks; the invoice's own if not signed in
        :param now: instant, naive UTC, the clock by default
        :return: the answer
        :raise UserError: it cannot be understood or comes too late; the text is the
            customer's
        """
        self.ensure_one()
        now = now or fields.Datetime.now()
        # Customers write nothing themselves: what they say is noted by the flow.
        move = self.sudo()
        key = self._read_key(key)
        answers = self.env["crm.dunning.answer"].sudo()
        known = answers.search([("move_id", "=", move.id), ("key", "=", key)])
        if known:
            return known
        move._check_can_answer(key, now)
        values = getattr(move, f"_read_{kind}")(form, now)
        case = self.env["crm.dunning.case"]._open_for(move).sudo()
        answer = answers._hear(
            {
                "key": key,
                "kind": kind,
                "move_id": move.id,
                "case_id": case.id,
                "partner_id": person.id,
                "by_link": by_link,
                **values,
            }
        )
        move._hear_reply()
        owner = move._get_answer_owner(case)
        # Written in the customer's language, read by whoever works the case.
        told = answer.with_context(lang=owner.lang)
        getattr(case.with_context(lang=owner.lang), f"_hear_{kind}")(told, now)
        move.with_context(lang=owner.lang)._tell_answer(told, owner)
        return answer

    def _check_can_answer(self, key, now):
        _ = self.env._
        if not key:
            raise UserError(_("Please open the page of the invoice again."))
        if self.dunning_outcome != "open":
            raise UserError(
                _("Nothing is open on this invoice any more: you need not do anything.")
            )
        since = now - timedelta(days=1)
        heard = self.env["crm.dunning.answer"].search_count(
            [("move_id", "=", self.id), ("create_date", ">=", since)]
        )
        if heard >= MOST_ANSWERS:
            raise UserError(
                _("We have received your messages and will get in touch with you.")
            )

    # === BUSINESS METHODS - READING A FORM === #

    @api.model
    def _read_key(self, key):
        """Return the key of a form, without what no database takes."""
        return _clean({"key": key}, "key", LONGEST_KEY) or ""

    def _read_paid(self, form, now):
        day = self._read_date(form)
        today = self._get_portal_today(now)
        if day > today or day < today - timedelta(days=366):
            raise UserError(
                self.env._("Please enter the day on which you paid, not a later one.")
            )
        return {"date": day, "reference": _clean(form, "reference", LONGEST_REFERENCE)}

    def _read_problem(self, form, now):
        problem, text = form.get("problem"), _clean(form, "text", LONGEST_TEXT)
        if problem not in dict(PROBLEMS):
            raise UserError(self.env._("Please choose what is wrong."))
        if problem == "other" and not text:
            raise UserError(self.env._("Please say in a few words what is wrong."))
        return {"problem": problem, "text": text}

    def _read_promise(self, form, now):
        """Read day and amount; how far ahead is the policy's.

        The amount is part of what is open; the case checks that.
        """
        case = self._get_portal_case()
        last = self._get_last_promise_day(case, now)
        if not last:
            raise UserError(
                self.env._(
                    "Please call or write to us, so that we find a solution together."
                )
            )
        day = self._read_date(form)
        if not self._get_portal_today(now) <= day <= last:
            raise UserError(
                self.env._(
                    "Please choose a day from today until %(date)s.",
                    date=format_date(self.env, last),
                )
            )
        return {"date": day, "amount": self._read_amount(form)}

    def _read_date(self, form):
        try:
            return date.fromisoformat((form.get("date") or "").strip())
        except ValueError:
            raise UserError(self.env._("Please enter a day.")) from None

    def _read_amount(self, form):
        """Return the amount of a form, at most what is open.

        :raise UserError: it is none
        """
        residual = self.amount_residual
        try:
            amount = self.currency_id.round(float(form.get("amount") or residual))
        except (ValueError, OverflowError):
            amount = 0.0
        # "nan" is a float, and no comparison with it is true.
        if not 0.0 < amount <= residual:
            raise UserError(
                self.env._(
                    "Please enter an amount of at most %(amount)s.",
                    amount=self.currency_id.format(residual),
                )
            )
        return amount

    def _get_last_promise_day(self, case, now):
        """Return until when the customer may promise to pay, or nothing.

        Not for ever: a promise stands until it is kept or broken, a broken one and the
        third are a person's.
        """
        policy = case.policy_id or self._get_charge_policies()[self]
        days = policy.portal_promise_days
        promises = self.env["crm.dunning.answer"].search_count(
            [("case_id", "in", case.ids), ("kind", "=", "promise")]
        )
        if (
            days <= 0
            or case.promise_date
            or case.promise_broken_count
            or promises >= MOST_PROMISES
            or case.state == "dispute"
        ):
            return None
        return self._get_portal_today(now) + timedelta(days=days)

    # === BUSINESS METHODS - TELLING === #

    def _get_answer_owner(self, case):
        """Return who hears of an answer: the case's owner, else the policy's."""
        owner = case.owner_id or case.policy_id.owner_id
        return owner if owner.active else self.company_id._get_billing_responsible()

    def _tell_answer(self, answer, owner):
        """Log the answer in the thread of the invoice, and mail it to who works it."""
        where = (
            self.env._("with the link of a mail")
            if answer.by_link
            else self.env._("in the customer portal")
        )
        self.message_post(
            body=Markup("<p>%s (%s, %s)</p>")
            % (answer._describe(), answer.partner_id.display_name, where),
            subject=self.env._(
                "%(invoice)s: answer of the customer", invoice=self.name
            ),
            message_type="comment",
            subtype_xmlid="mail.mt_note",
            author_id=answer.partner_id.id,
            partner_ids=owner.partner_id.ids,
        )


class CrmDunningAnswer(models.Model):
    _inherit = "crm.dunning.answer"

    def _hear(self, values):
        """Create the answer; of two equal forms at once the second is sent again.

        :raise ConcurrencyError: the other one is being heard; Odoo repeats the request
        """
        try:
            with self.env.cr.savepoint():
                return self.create(values)
        except psycopg2.errors.UniqueViolation as error:
            raise ConcurrencyError("answer heard meanwhile") from error


class CrmDunningCase(models.Model):
    """What follows from an answer; called as superuser, by the flow."""

    _inherit = "crm.dunning.case"

    def _hear_paid(self, answer, now):
        """Stop reminding and charging: a person looks for the payment."""
        self._take_over("reply", answer._describe(), now=now)

    def _hear_problem(self, answer, now):
        self._dispute(answer._describe())

    def _hear_promise(self, answer, now):
        self._promise(answer.date, answer.amount)


class CrmDunningPolicy(models.Model):
    _inherit = "crm.dunning.policy"

    portal_promise_days = fields.Integer(
        string="Promises in the Portal",
        default=14,
        tracking=True,
        help="How many days ahead a customer may promise to pay; 0: not at all.",
    )


def _clean(form, name, longest):
    """Return a text of a form without control characters, cut to a sane length."""
    text = "".join(
        letter
        for letter in form.get(name) or ""
        if letter.isprintable() or letter == "\n"
    )
    return text.strip()[:longest] or False
