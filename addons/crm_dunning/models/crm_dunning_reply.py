"""Answers to reminders land on the invoice and are understood there (idea 25, L1)."""

import contextlib

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.tools import html2plaintext, plaintext2html

from ..dunning_rules.replies import Reply, read
from .crm_dunning_notice import IN_MESSAGE

HEADERS = ("Auto-Submitted", "X-Autoreply", "X-Autorespond", "Precedence")


class Headers(dict):
    """Headers of a mail, under a context key that only the mail gateway fills."""


class MailThread(models.AbstractModel):
    _inherit = "mail.thread"

    @api.model
    def _message_route_process(self, message, message_dict, routes):
        """Override of `mail` to hand on the headers by which a machine is known."""
        headers = Headers(
            {name: message[name] for name in HEADERS if message[name] is not None}
        )
        return super(
            MailThread, self.with_context(dunning_headers=headers)
        )._message_route_process(message, message_dict, routes)


class AccountMove(models.Model):
    _inherit = "account.move"

    def message_update(self, msg_dict, update_vals=None):
        """Override of `mail` to act on what a customer answers to a reminder."""
        result = super().message_update(msg_dict, update_vals=update_vals)
        # The method is public: who calls it from outside has read no mail.
        if not isinstance(self.env.context.get("dunning_headers"), Headers):
            return result
        for move in self:
            if move._is_dunning_reply(msg_dict):
                move._on_reply(msg_dict)
        return result

    def _is_dunning_reply(self, msg_dict):
        """Return whether a customer answers on an invoice that we wrote about."""
        author = self.env["res.partner"].sudo().browse(msg_dict.get("author_id") or ())
        if author.user_ids.filtered(lambda user: not user.share):
            return False
        lines = self.env["crm.dunning.notice.line"].sudo()
        return bool(
            lines.search_count(
                [("move_id", "=", self.id), ("kind", "in", IN_MESSAGE)], limit=1
            )
        )

    def _on_reply(self, msg_dict, now=None):
        """Read the answer, and stop or hand over what it is about.

        :param msg_dict: as the mail gateway parsed it
        :param now: instant, naive UTC, the clock by default
        """
        self.ensure_one()
        now = now or fields.Datetime.now()
        move = self.sudo()
        text = html2plaintext(msg_dict.get("body") or "")
        headers = self.env.context.get("dunning_headers")
        payer = move.commercial_partner_id
        reply = read(
            text,
            subject=msg_dict.get("subject") or "",
            headers=headers if isinstance(headers, Headers) else {},
            rules=self.env["crm.dunning.reply.rule"]._get_rules(),
            today=payer._get_dunning_today(move.company_id, now),
        )
        if reply.kind == "auto_reply":
            return
        if not move._is_customer(msg_dict):
            move._ask_about_stranger(msg_dict)
            return
        move._hear_reply()
        if reply.kind != "other":
            move._act_on_reply(reply, text.strip()[:500], now)

    def _is_customer(self, msg_dict):
        """Return whether the payer's own people write, or whom we have written to."""
        author = self.env["res.partner"].browse(msg_dict.get("author_id") or ())
        if not author:
            return False
        if author.commercial_partner_id == self.commercial_partner_id:
            return True
        notices = self.env["crm.dunning.notice.line"].search(
            [("move_id", "=", self.id)]
        )
        return author in notices.notice_id.recipient_ids

    def _ask_about_stranger(self, msg_dict):
        """Have a person read what somebody unknown writes; it stops nothing."""
        self._ask_collections(
            self.env._("Somebody unknown answers for the customer"),
            plaintext2html(
                self.env._(
                    "%(sender)s is no contact of the account, so nothing was stopped. "
                    "Read the answer in the thread of the invoice; if it is the "
                    "customer's, add the contact and work the case.",
                    sender=msg_dict.get("email_from") or self.env._("Somebody"),
                )
            ),
        )

    def _hear_reply(self):
        """Let salesperson and owner get the answer that is posted in a moment."""
        cases = self.dunning_case_ids.filtered(lambda case: case.state != "closed")
        cases.write({"replied_at": fields.Datetime.now()})
        users = self.invoice_user_id | cases.owner_id
        people = users.filtered(lambda user: user.active and not user.share)
        self.message_subscribe(partner_ids=people.partner_id.ids)

    def _act_on_reply(self, reply, text, now):
        """Pause what the answer is about and leave it to the right person.

        The case of a paid invoice is not opened: there is nothing to stop.
        """
        if not self.env["account.move.line"]._get_open_instalments(self.ids):
            return
        cases = self.env["crm.dunning.case"]
        if reply.kind == "dispute" and (named := self._get_disputed(text)):
            cases._open_for(named)._dispute(text)
            return
        case = cases._open_for(self)
        if reply.kind == "promise" and reply.promised:
            last = self._get_last_promise_day(case, now)
            # A promise that cannot be noted, or for too late, is read by a person.
            with contextlib.suppress(UserError):
                if case.promise_date == reply.promised:
                    return
                if last and reply.promised <= last:
                    case._promise(reply.promised)
                    return
        if reply.kind == "wrong_address":
            self._ask_collections(
                self.env._("Send invoices to somebody else"),
                self._describe_address(reply),
            )
        case._take_over(
            "dispute" if reply.kind == "dispute" else "reply",
            note=self.env._(
                "%(kind)s: %(text)s", kind=self._describe_reply(reply), text=text
            ),
        )

    def _get_disputed(self, text):
        """Return which listed invoices the answer disputes: those it names, if any.

        An answer to a message about one invoice means that one; about several without
        naming any, a person has to find out.
        """
        notice = (
            self.env["crm.dunning.notice"]
            .sudo()
            .search(
                [
                    ("line_ids.move_id", "=", self.id),
                    ("state", "in", ("sent", "queued")),
                ],
                limit=1,
            )
        )
        lines = notice.line_ids.filtered(lambda line: line.kind in IN_MESSAGE)
        listed = lines.move_id or self
        named = listed.filtered(lambda move: move.name and move.name in text)
        return named or (self if len(listed) == 1 else self.browse())

    @api.model
    def _describe_reply(self, reply: Reply):
        kinds = self.env["crm.dunning.reply.rule"]._fields["kind"]
        return dict(kinds._description_selection(self.env))[reply.kind]

    def _describe_address(self, reply):
        if reply.email:
            return self.env._(
                "The customer names %(email)s. Make it the accounts payable contact "
                "of the account if that is right.",
                email=reply.email,
            )
        return self.env._("Read the answer in the thread of the invoice.")
