"""In the second of sending, and after it: stopped, sent, not delivered, sent again."""

import datetime

from odoo import api, fields, models

from .crm_dunning_notice import IN_MESSAGE, SAID

RETRY_AFTER = datetime.timedelta(minutes=15)  # the mail server was not reachable
# These speak of a charge: a person who took over and automatic payment stop reminders,
# not them.
CHARGE_KINDS = ("failed", "announcement", "expiry")
# Our own server or sender, not the address of the customer.
SERVER_FAULTS = ("mail_smtp", "mail_from_invalid", "mail_from_missing", "mail_spam")


class CrmDunningNotice(models.Model):
    _inherit = "crm.dunning.notice"

    # === BUSINESS METHODS - BEFORE IT LEAVES === #

    def _check_before_sending(self, mail):
        """Return whether the message may leave now; else it is cancelled (G2).

        Whatever has changed since it was written, it does not leave as it is: the next
        run decides anew, with the amounts of that second.
        """
        self.ensure_one()
        if self.state == "stopped":
            reason = self.reason
        else:
            reason = self._get_reason_to_stop(mail._get_dunning_now())
        if not reason:
            return True
        mail.sudo().cancel()
        self._stop(reason)
        self.env["crm.dunning.case"].sudo()._trigger_follow_up()
        return False

    def _get_reason_to_stop(self, now):
        """Return in words what is in the way of this message, or nothing."""
        reason = self._get_hours_reason(now)
        if reason:
            return reason
        # What is named as due soon may have been paid, too.
        named = (*IN_MESSAGE, "upcoming")
        lines = self.line_ids.filtered(lambda line: line.kind in named)
        moves = lines.move_id
        labels = moves._get_dunning_block_labels()
        purpose = "person" if self.kind in CHARGE_KINDS else "mail"
        for move, block in moves._get_dunning_blocks(now, purpose).items():
            return self.env._(
                "%(invoice)s: %(reason)s", invoice=move.name, reason=labels[block]
            )
        return self._get_amount_reason(lines)

    def _get_hours_reason(self, now):
        policy = self.policy_id
        if not policy or self.kind == "expiry":
            return None
        if policy.state != "armed" or not policy.active:
            return self.env._("the policy is not armed any more")
        window = policy._get_window(self.partner_id._get_dunning_tz(self.company_id))
        if window.local_date(now) != self.date or not window.is_open(now):
            return self.env._("it could not leave in the hours of its day")
        return None

    def _get_amount_reason(self, lines):
        """Return a reason if other amounts are open than the message says."""
        instalments = self.env["account.move.line"]._get_open_instalments(
            lines.move_id.ids
        )
        residuals = {
            row.line_id: float(row.residual)
            for rows in instalments.values()
            for row in rows
        }
        for line in lines:
            residual = residuals.get(line.line_id.id, 0.0)
            if line.currency_id.compare_amounts(residual, line.amount):
                return self.env._(
                    "%(invoice)s: another amount is open now",
                    invoice=line.move_id.name,
                )
        return None

    # === BUSINESS METHODS - IT DID NOT ARRIVE === #

    def _on_not_delivered(self, people, reason, failure_type=None):
        """Try the next address, and make a task of the one that failed (9.5, M7).

        A mail server that cannot be reached, or takes no mail from us, is no fault of
        the address: the same mail is tried again a little later.

        :param people: who was not reached
        :param failure_type: as in `mail.mail`
        """
        self.ensure_one()
        if failure_type in SERVER_FAULTS:
            self._retry_mail(reason)
            return
        for person in people:
            person.sudo().dunning_bounced_email = person.email_normalized
        self._ask_to_fix(people, reason)
        if self.recipient_id in people:
            self._go_to_next_recipient(reason)

    def _retry_mail(self, reason):
        mails = self.env["mail.mail"].sudo()
        mails.search([("mail_message_id", "=", self.message_id.id)]).write(
            {
                "state": "outgoing",
                "scheduled_date": fields.Datetime.now() + RETRY_AFTER,
            }
        )
        self.reason = reason

    def _ask_to_fix(self, people, reason):
        for person in people:
            self.move_id._ask_collections(
                self.env._("Correct the e-mail of %(name)s", name=person.display_name),
                self.env._(
                    "%(address)s did not take the message: %(reason)s. Correct the "
                    "address, then it is sent again.",
                    address=person.email or self.env._("An empty address"),
                    reason=reason,
                ),
                user=self.move_id.company_id._get_billing_responsible(),
            )

    def _go_to_next_recipient(self, reason):
        """Send the same message to the next in the list; a person calls if none is."""
        self.write({"state": "bounced", "reason": reason})
        payer = self.partner_id.with_context(active_test=False)
        left = payer._get_dunning_chain()[payer.id] - self.recipient_ids
        if left:
            self.recipient_id = left[0]
            self.recipient_ids |= left[0]
            self._mail_again(left[0])
            return
        cases = self.line_ids.case_id.filtered(lambda case: case.state != "closed")
        if cases:
            cases._take_over("bounce", note=reason)

    def _mail_again(self, person):
        """Queue the message once more, to one person."""
        message = self.message_id
        self.env["mail.mail"].sudo().create(
            {
                "mail_message_id": message.id,
                "body_html": message.body,
                "recipient_ids": person.ids,
                "is_notification": True,
                "auto_delete": True,
            }
        )

    @api.model
    def _send_again_to(self, people):
        """The address was corrected: what did not arrive is said again (M7)."""
        accounts = people.commercial_partner_id
        notices = self.sudo().search(
            [("partner_id", "in", accounts.ids), ("state", "=", "bounced")]
        )
        notices._stop(self.env._("sent again to the corrected address"))
        cases = (
            self.env["crm.dunning.case"]
            .sudo()
            .search(
                [
                    ("partner_id", "in", accounts.ids),
                    ("state", "=", "person"),
                    ("reason", "=", "bounce"),
                ]
            )
        )
        for days, found in cases.grouped("stage").items():
            found._release(days)
        if notices or cases:
            self.env["crm.dunning.case"].sudo()._trigger_follow_up()


class ResPartner(models.Model):
    _inherit = "res.partner"

    def write(self, vals):
        """Override of `base` to send again what a wrong address did not take."""
        bounced = self.browse()
        if "email" in vals:
            bounced = self.sudo().filtered("dunning_bounced_email")
        result = super().write(vals)
        fixed = bounced.filtered(lambda person: person._is_reachable())
        if fixed:
            fixed.dunning_bounced_email = False
            self.env["crm.dunning.notice"]._send_again_to(fixed)
        return result


class AccountMove(models.Model):
    _inherit = "account.move"

    def _message_receive_bounce(self, email, partner):
        """Override of `mail` to follow up a message that came back."""
        result = super()._message_receive_bounce(email, partner)
        people = partner or self.env["res.partner"].sudo().search(
            [("email_normalized", "=", email)]
        )
        for move in self:
            move._on_bounce(people, email)
        return result

    def _on_bounce(self, people, email):
        """A reminder that came back goes to the next address.

        :return: whether it was a reminder
        """
        reason = self.env._("%(address)s returned it", address=email)
        notice = (
            self.env["crm.dunning.notice"]
            .sudo()
            .search(
                [
                    ("move_id", "=", self.id),
                    ("recipient_ids", "in", people.ids),
                    ("state", "in", SAID),
                ],
                limit=1,
            )
        )
        if notice:
            notice._on_not_delivered(people & notice.recipient_ids, reason)
        return bool(notice)
