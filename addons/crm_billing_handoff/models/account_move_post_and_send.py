import logging

import psycopg2

from odoo import models
from odoo.exceptions import UserError
from odoo.fields import Domain

_logger = logging.getLogger(__name__)


class AccountMove(models.Model):
    """Post and send: one click for a draft, one for many, the next one at hand."""

    _inherit = "account.move"

    # === ACTION METHODS === #

    def action_billing_post_and_send(self):
        """Post the drafts and send them the way each account wants.

        One draft is sent at once; several are posted and queued for core's sending job.
        What cannot be sent, or still has to be reviewed, stays a draft and is named.

        :return: the next draft to review (one draft), or a summary (several)
        :raise UserError: the only draft cannot be posted and sent as it is
        """
        self._check_is_biller()
        drafts = self.filtered(lambda move: move.state == "draft")
        problems = drafts._get_sending_problems()
        if len(drafts) == 1 and problems:
            raise UserError(problems[drafts])
        good = drafts.filtered(lambda move: move not in problems)
        good.filtered(lambda move: not move.billing_is_reviewed)._set_reviewed()
        good._post(soft=False)
        if len(good) == 1:
            good._send_now()
        elif good:
            good._generate_and_send(force_synchronous=False)
        return self._get_after_sending_action(good, problems)

    def _post_and_queue(self, to_send):
        """Post drafts without a person, and queue ``to_send`` for core's sending job.

        What differs from what was agreed, or cannot be sent, stays a draft to review.
        """
        problems = to_send._get_sending_problems()
        good = self.filtered(
            lambda move: move not in problems and not move._needs_billing_review()
        )
        # The event log has who posted what; one note a batch instead of one each.
        good.with_context(mail_notrack=True)._post(soft=False)
        sent = good & to_send
        sent._queue_sending()
        bodies = dict.fromkeys((good - sent).ids, self.env._("Posted by agreement."))
        bodies |= dict.fromkeys(
            sent.ids, self.env._("Posted and queued for sending by agreement.")
        )
        good._message_log_batch(bodies=bodies)
        return good

    def _queue_sending(self):
        """Hand posted invoices to core's sending job, as its batch wizard does.

        The wizard would write every mail first, only to show warnings to a person, and
        a single invoice it would send at once, in the middle of the run.

        :raise UserError: the sending job is switched off
        """
        if not self:
            return
        cron = self.env.ref("account.ir_cron_account_move_send").sudo()
        if not cron.active:
            raise UserError(
                self.env._(
                    "Invoices cannot be sent: the scheduled action “%(job)s” is "
                    "switched off. Ask an administrator to activate it.",
                    job=cron.name,
                )
            )
        self.sending_data = {
            "author_user_id": self.env.user.id,
            "author_partner_id": self.env.user.partner_id.id,
        }
        cron._trigger()

    def _get_sending_problems(self):
        """Return ``{draft: why}`` for drafts that must not be posted and sent yet."""
        problems = {}
        for company, moves in self.grouped("company_id").items():
            accounts = moves.commercial_partner_id.with_company(company)
            accounts.mapped("invoice_sending_method")
        for move in self:
            account = move.commercial_partner_id.with_company(move.company_id)
            method = account.invoice_sending_method or "email"
            if move.billing_difference_count and not move.billing_is_reviewed:
                problems[move] = self.env._(
                    "%(draft)s (%(account)s) has differences: check the red lines and "
                    "press Reviewed first.",
                    draft=move.display_name,
                    account=account.display_name,
                )
            elif method == "email" and not move.partner_id.email:
                problems[move] = self.env._(
                    "%(contact)s has no e-mail address: enter it, or name another "
                    "accounts payable contact for %(account)s.",
                    contact=move.partner_id.display_name,
                    account=account.display_name,
                )
        return problems

    def _send_now(self):
        """Send one posted invoice; what goes wrong is a task, not a lost click."""
        self.ensure_one()
        sender = self.env["account.move.send"]
        try:
            sender._generate_and_send_invoices(
                self, allow_raising=False, allow_fallback_pdf=False
            )
        except psycopg2.Error:
            raise
        except Exception as error:
            # Core lets a failed PDF escape. The invoice is posted all the same; no
            # savepoint can guard the call, since core commits inside it.
            _logger.exception("Invoice %s was not sent", self.id)
            sender._log_not_sent({self: str(error)})

    def _get_after_sending_action(self, sent, problems):
        _ = self.env._
        names = ", ".join(sent.mapped("name"))
        failed = sent.filtered(lambda move: len(sent) == 1 and not move.is_move_sent)
        if problems:
            message = _(
                "%(count)s posted and queued for sending; left as drafts: %(left)s",
                count=len(sent),
                left=" ".join(problems.values()),
            )
        elif failed:
            message = _(
                "%(names)s is posted, but was not sent: see the task on it.",
                names=names,
            )
        elif len(sent) == 1:
            message = _(
                "%(names)s is posted and on its way to %(who)s.",
                names=names,
                who=sent.partner_id.display_name,
            )
        else:
            message = _(
                "%(count)s invoices are posted and queued for sending.", count=len(sent)
            )
        following = self._get_next_to_review() if len(self) == 1 else self.browse()
        return {
            "type": "ir.actions.client",
            "tag": "crm_billing_handoff.next_draft",
            "params": {
                "message": message,
                "type": "warning" if problems or failed else "success",
                "res_id": following.id or False,
                "reload": len(self) != 1,
            },
        }

    def _get_next_to_review(self):
        """Return the next draft of the review list, after this one, else the first."""
        drafts = self.search(
            Domain("is_billing_review", "=", True)
            & Domain("state", "=", "draft")
            & Domain("move_type", "=", "out_invoice")
            & Domain("id", "not in", self.ids),
            order="id",
        )
        return drafts.filtered(lambda move: move.id > max(self.ids))[:1] or drafts[:1]

    def action_billing_edit(self):
        """Open the draft in core's invoice form, to correct it."""
        self.ensure_one()
        return {
            "type": "ir.actions.act_window",
            "res_model": "account.move",
            "res_id": self.id,
            "views": [(self.env.ref("account.view_move_form").id, "form")],
        }
