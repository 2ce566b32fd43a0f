from odoo import models


class MailMail(models.Model):
    _inherit = "mail.mail"

    def _postprocess_sent_message(
        self, success_pids, success_emails, failure_reason=False, failure_type=None
    ):
        """Override of `mail` to make a task of an invoice mail that did not leave."""
        if failure_type or failure_reason:
            # The mail to the customer: a task's own notification must not make a task.
            mails = self.filtered(
                lambda mail: (
                    mail.model == "account.move"
                    and mail.mail_message_id.message_type == "comment"
                )
            )
            moves = self.env["account.move"].browse(mails.mapped("res_id")).exists()
            kinds = self._fields["failure_type"]._description_selection(self.env)
            reason = failure_reason or dict(kinds).get(failure_type) or failure_type
            self.env["account.move.send"]._log_not_sent(
                {move: str(reason) for move in moves if move.is_billing_review}
            )
        return super()._postprocess_sent_message(
            success_pids,
            success_emails,
            failure_reason=failure_reason,
            failure_type=failure_type,
        )
