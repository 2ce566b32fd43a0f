"""Mails of many messages at once, posted on invoices so that replies land there."""

from collections import defaultdict

from markupsafe import Markup

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.tools.mail import generate_tracking_message_id

from .bulk_insert import insert_rows

TEMPLATES = {
    "gentle": "crm_dunning.mail_template_dunning_gentle",
    "neutral": "crm_dunning.mail_template_dunning_neutral",
    "firm": "crm_dunning.mail_template_dunning_firm",
    "upcoming": "crm_dunning.mail_template_dunning_upcoming",
}


class CrmDunningNotice(models.Model):
    _inherit = "crm.dunning.notice"

    # === BUSINESS METHODS - RENDERING === #

    def _get_template_key(self):
        """Return which text: id of the step's own, else name of a shipped one (G7)."""
        self.ensure_one()
        if self.step_id.template_id:
            return self.step_id.template_id.id
        is_overdue = any(
            line.kind in ("listed", "known") and line.date_due < self.date
            for line in self.line_ids
        )
        return TEMPLATES[(self.tone or "neutral") if is_overdue else "upcoming"]

    @api.model
    def _get_template_of(self, key):
        if isinstance(key, int):
            return self.env["mail.template"].browse(key)
        return self._get_shipped_template(key)

    @api.model
    def _get_shipped_template(self, xmlid):
        template = self.env.ref(xmlid, raise_if_not_found=False)
        if not template:
            raise UserError(
                self.env._(
                    "The shipped mail text %(name)s was deleted. Choose a template in "
                    "the step of the policy, or update the addon.",
                    name=xmlid,
                )
            )
        return template

    def _render_mails(self):
        """Return ``{notice: {subject, body, email_from}}`` in the reader's language.

        Batched by template and language; amounts are those of this second.
        """
        contents = self._read_contents()
        templates, groups = {}, defaultdict(list)
        for notice in self:
            key = notice._get_template_key()
            groups[key, notice.lang or False].append(notice.id)
        for key, _lang in groups:
            templates[key] = self._get_template_of(key)
        found = {}
        for (key, lang), ids in groups.items():
            # Managers write the text; whoever runs the job reads what it names.
            text = (
                templates[key].sudo().with_context(lang=lang, dunning_contents=contents)
            )
            subjects = text._render_field("subject", ids)
            senders = text._render_field("email_from", ids)
            bodies = text._render_dunning_bodies(ids)
            for notice in self.browse(ids):
                found[notice] = {
                    "subject": subjects[notice.id],
                    "email_from": senders[notice.id],
                    "body": bodies[notice.id],
                }
        return found

    # === BUSINESS METHODS - QUEUEING === #

    def _queue_mails(self, scheduled=None):
        """Queue one mail a notice in the thread of its oldest invoice.

        The bulk recipe: one create for all; each message stays in the chatter after its
        mail is gone, and answers to it land on the invoice. Other listed invoices get a
        note that names it.

        :param scheduled: ``{notice: instant before which it does not leave}``
        """
        if not self:
            return
        rendered = self._render_mails()
        reply_to = self.move_id._notify_get_reply_to_batch()
        subtype_id = self.env["ir.model.data"]._xmlid_to_res_id("mail.mt_comment")
        mails = self.env["mail.mail"].create(
            [
                {
                    "model": "account.move",
                    "res_id": notice.move_id.id,
                    "record_name": notice.move_id.name,
                    "subject": rendered[notice]["subject"],
                    "body": rendered[notice]["body"],
                    "body_html": rendered[notice]["body"],
                    "email_from": rendered[notice]["email_from"]
                    or notice.company_id.email_formatted,
                    "author_id": notice._get_author().id,
                    "reply_to": reply_to[notice.move_id.id]
                    or notice.company_id.email_formatted,
                    "recipient_ids": notice.recipient_ids.ids,
                    "subtype_id": subtype_id,
                    "message_type": "comment",
                    "is_notification": True,
                    # The page of an invoice shows its thread to whoever has its link:
                    # that is no way to the links of other invoices.
                    "is_internal": len(notice.line_ids.move_id) > 1,
                    "auto_delete": True,
                    "scheduled_date": (scheduled or {}).get(notice, False),
                }
                for notice in self
            ]
        )
        for notice, mail in zip(self, mails, strict=True):
            notice.message_id = mail.mail_message_id
            notice.subject = rendered[notice]["subject"]
        self._log_on_other_invoices()

    def _get_author(self):
        """Return an internal author: answers do not go to an outside address."""
        self.ensure_one()
        user = self.move_id.invoice_user_id
        if not user.active or user.share:
            user = self.env.user
        return user.partner_id

    def _log_on_other_invoices(self):
        """Make the message visible from the other invoices that it lists.

        A note as `_message_log_batch` writes it, in one statement: three notes a mail
        would cost more than the mail.
        """
        author = self.env.user.partner_id
        values = {
            "model": "account.move",
            "message_type": "notification",
            "subtype_id": self.env["ir.model.data"]._xmlid_to_res_id("mail.mt_note"),
            "author_id": author.id,
            "email_from": author.email_formatted,
            "reply_to": author.email_formatted,
            "date": fields.Datetime.now(),
            "is_internal": True,
        }
        text = self.env._("Listed in the message on")
        rows, moves = [], self.env["account.move"]
        for notice in self:
            others = notice.line_ids.move_id - notice.move_id
            body = Markup("<p>%s %s: %s</p>") % (
                text,
                notice.move_id._get_html_link(),
                notice.subject or "",
            )
            moves |= others
            rows += [
                {
                    **values,
                    "res_id": move.id,
                    "body": body,
                    "message_id": generate_tracking_message_id("message-notify"),
                }
                for move in others
            ]
        insert_rows(self.env["mail.message"], rows)
        moves.invalidate_recordset(["message_ids"], flush=False)
