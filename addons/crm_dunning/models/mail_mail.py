from odoo import api, fields, models


class MailMail(models.Model):
    """In the second of sending: what was paid or disputed meanwhile does not leave."""

    _inherit = "mail.mail"

    def _send(self, *args, **kwargs):
        """Override of `mail` to look again at each reminder right before it leaves."""
        notices = self._get_dunning_notices()
        if not notices:
            return super()._send(*args, **kwargs)
        super(MailMail, self.filtered(lambda mail: mail not in notices))._send(
            *args, **kwargs
        )
        for mail in self.filtered(lambda mail: mail in notices):
            if notices[mail]._check_before_sending(mail):
                super(MailMail, mail)._send(*args, **kwargs)
        return True

    @api.model
    def _get_dunning_now(self):
        return fields.Datetime.now()

    def _get_dunning_notices(self):
        """Return ``{mail: notice}`` of those that are reminders, also stopped ones."""
        found = (
            self.env["crm.dunning.notice"]
            .sudo()
            .search(
                [
                    ("message_id", "in", self.sudo().mail_message_id.ids),
                    ("state", "in", ("queued", "bounced", "stopped")),
                ]
            )
        )
        by_message = {notice.message_id: notice for notice in found}
        return {
            mail: by_message[mail.sudo().mail_message_id]
            for mail in self
            if mail.sudo().mail_message_id in by_message
        }

    def _postprocess_sent_message(
        self, success_pids, success_emails, failure_reason=False, failure_type=None
    ):
        """Override of `mail` to keep in the ledger what left and what did not (M7)."""
        for mail, notice in self._get_dunning_notices().items():
            missed = mail.recipient_ids.browse()
            if failure_type or failure_reason:
                reached = {getattr(one, "id", one) for one in success_pids}
                missed = mail.recipient_ids.filtered(
                    lambda person, reached=reached: person.id not in reached
                )
            # Who gets a copy may be missed, the customer was reached.
            if mail.state == "sent" and notice.recipient_id not in missed:
                notice._mark_sent()
            if missed:
                notice._on_not_delivered(
                    missed, str(failure_reason or failure_type), failure_type
                )
        return super()._postprocess_sent_message(
            success_pids,
            success_emails,
            failure_reason=failure_reason,
            failure_type=failure_type,
        )
