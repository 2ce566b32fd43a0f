"""What the screens of messages show and do."""

from odoo import api, fields, models
from odoo.exceptions import AccessError


class CrmDunningNotice(models.Model):
    _inherit = "crm.dunning.notice"

    invoice_count = fields.Integer(compute="_compute_invoice_count")
    can_try_again = fields.Boolean(compute="_compute_can_try_again")
    message_body = fields.Html(related="message_id.body", string="Text")

    # === COMPUTE METHODS === #

    @api.depends("line_ids.move_id")
    def _compute_invoice_count(self):
        for notice in self:
            notice.invoice_count = len(notice.line_ids.move_id)

    @api.depends("state", "message_id")
    def _compute_can_try_again(self):
        """Say whether it was not possible, not delivered, or has lost its mail."""
        for notice in self:
            # The mail queue is the administrator's.
            mails = notice.sudo().message_id.mail_ids
            is_leaving = "outgoing" in mails.mapped("state")
            notice.can_try_again = notice.state in ("failed", "bounced") or (
                notice.state == "queued" and not is_leaving
            )

    # === ACTION METHODS === #

    def action_view_invoices(self):
        """Open the invoices that the message is about."""
        self.ensure_one()
        return self.env["account.move"]._get_billing_action(self.line_ids.move_id)

    def action_try_again(self):
        """Put payers who could not be reminded, or reached, back into the run.

        :raise AccessError: the user is no billing clerk
        """
        if not self.env.user.has_group("crm_billing_handoff.group_billing_user"):
            raise AccessError(
                self.env._("Reminders are sent by Billing. Ask a billing clerk.")
            )
        self.check_access("read")
        # The ledger belongs to the flow.
        todo = self.sudo().filtered("can_try_again")
        todo.recipient_id.dunning_bounced_email = False
        todo._stop(self.env._("Tried again by %(user)s", user=self.env.user.name))
        self.env["crm.dunning.case"].sudo()._trigger_follow_up()
        return True
