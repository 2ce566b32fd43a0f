"""Messages about charges: one that failed, one that is announced."""

from odoo import api, fields, models
from odoo.fields import Domain

from ..dunning_rules.declines import CLASSES, UNKNOWN
from .crm_dunning_notice import IN_MESSAGE, SAID

# The text by what the class of the decline asks for; "none" tells nothing.
FAILED_TEMPLATES = {
    "neutral": "crm_dunning.mail_template_dunning_failed",
    "declined": "crm_dunning.mail_template_dunning_declined",
    "confirm": "crm_dunning.mail_template_dunning_confirm",
    "new_method": "crm_dunning.mail_template_dunning_new_method",
    "revoked": "crm_dunning.mail_template_dunning_revoked",
}


class CrmDunningNotice(models.Model):
    _inherit = "crm.dunning.notice"

    attempt_id = fields.Many2one(
        "crm.dunning.attempt",
        readonly=True,
        ondelete="restrict",
        index="btree_not_null",
        help="The failed charge that it tells of.",
    )
    failed_text = fields.Char(readonly=True, help="Which text tells of the failure.")

    _attempt_uniq = models.UniqueIndex(
        "(attempt_id) WHERE state != 'stopped'",
        "The customer was told of this failed charge already.",
    )

    # === BUSINESS METHODS - TEXT === #

    def _get_template_key(self):
        """Override to take the texts of charges for messages about charges."""
        self.ensure_one()
        if self.kind == "failed" and not self.step_id.template_id:
            return FAILED_TEMPLATES[self.failed_text]
        if self.kind == "announcement":
            return "crm_dunning.mail_template_dunning_announcement"
        return super()._get_template_key()

    # === BUSINESS METHODS - WHEN === #

    @api.model
    def _find_slot(self, payer, company, currency, policy, now):
        """Return when the next message to this payer may leave, by its local day.

        One message a day, company and currency (G11): on a day that has one, and
        outside the policy's hours, it waits.

        :param now: instant, naive UTC
        :return: ``(instant, local date)``
        """
        window = policy._get_window(payer._get_dunning_tz(company))
        taken = set(
            self.search(
                Domain("partner_id", "=", payer.id)
                & Domain("company_id", "=", company.id)
                & Domain("currency_id", "=", currency.id)
                & Domain("state", "in", SAID)
                & Domain("date", ">=", window.local_date(now))
            ).mapped("date")
        )
        at = window.next_open(now)
        while at and window.local_date(at) in taken:
            tomorrow = fields.Date.add(window.local_date(at), days=1)
            start = window.start_of(tomorrow).replace(tzinfo=None)
            at = window.next_open(start)
        return (at, window.local_date(at)) if at else (None, None)

    @api.model
    def _prepare_charge_notice(self, move, policy, now):
        """Return values of a message about a charge of ``move``, or why there is none.

        :return: ``(values, instant at which it leaves)``; no values without a reader
        """
        payer = move.commercial_partner_id
        main = payer._get_dunning_chain()[payer.id][:1]
        at, day = self._find_slot(payer, move.company_id, move.currency_id, policy, now)
        if not main or not at:
            return None, None
        values = {
            "partner_id": payer.id,
            "company_id": move.company_id.id,
            "currency_id": move.currency_id.id,
            "policy_id": policy.id,
            "move_id": move.id,
            "date": day,
            "amount": move.amount_residual,
            "state": "queued",
            "recipient_id": main.id,
            "recipient_ids": (main | self._get_copies(payer, policy)).ids,
            "lang": main.lang or payer.lang,
        }
        return values, at

    def _name_instalments(self, rows, kind):
        """Write the instalments that a message about a charge names."""
        self.ensure_one()
        case = self.env["crm.dunning.case"].search(
            [("move_id", "=", self.move_id.id), ("state", "!=", "closed")], limit=1
        )
        self.env["crm.dunning.notice.line"].create(
            [
                {
                    "notice_id": self.id,
                    "company_id": row.company_id,
                    "line_id": row.line_id,
                    "move_id": row.move_id,
                    "case_id": case.id,
                    "days": (self.date - row.due).days,
                    "kind": kind,
                    "date": self.date,
                    "date_due": row.due,
                    "currency_id": row.currency_id,
                    "amount": float(row.residual),
                }
                for row in rows
                if not row.is_retention
            ]
        )

    def _queue_at(self, at, now):
        scheduled = {self: at} if at > now else None
        self._queue_mails(scheduled=scheduled)


class CrmDunningCase(models.Model):
    _inherit = "crm.dunning.case"

    replied_at = fields.Datetime(readonly=True, help="When the customer last answered.")

    # === BUSINESS METHODS - A CHARGE FAILED === #

    def _send_failed_notice(self, attempt, now=None):
        """Tell the customer of a failed charge, by the class of the decline.

        Once an attempt; never quotes the bank nor says why; with the pay link. Which
        classes tell nothing is in the rules of declines (suspected fraud, for one).

        :param attempt: the declined attempt
        :param now: instant, naive UTC, the clock by default
        :return: the notice, empty if nothing is said
        """
        self.ensure_one()
        case, now = self.sudo(), now or fields.Datetime.now()
        notices = self.env["crm.dunning.notice"].sudo()
        text = CLASSES.get(attempt.sudo().decline_class, UNKNOWN).mail
        told = notices.search(
            [("attempt_id", "=", attempt.id), ("state", "!=", "stopped")], limit=1
        )
        policy = case.policy_id
        if text not in FAILED_TEMPLATES or told or policy.state != "armed":
            return told
        blocks = case.move_id._get_dunning_blocks(now, "person", own_attempts=attempt)
        if blocks:
            return notices
        values, at = notices._prepare_charge_notice(case.move_id, policy, now)
        if not values:
            case._take_over("bounce", note=self.env._("No address takes mail."))
            return notices
        notice = notices.create(
            {
                **values,
                "kind": "failed",
                "attempt_id": attempt.id,
                "failed_text": text,
                "next_try_on": case.next_try_at
                and case.partner_id._get_dunning_today(
                    case.company_id, case.next_try_at
                ),
            }
        )
        rows = self.env["account.move.line"]._get_open_instalments(case.move_id.ids)
        notice._name_instalments(rows[case.move_id.id], "named")
        notice._queue_at(at, now)
        return notice

    def _count_unanswered(self):
        """Return how many messages named the invoice since its charge failed.

        Counted from the first failure or the customer's last answer, whichever is
        later; what is still queued has not been answered nor read, and does not count.

        :return: ``{case: number}``
        """
        lines = self.env["crm.dunning.notice.line"].sudo()
        found = dict.fromkeys(self, 0)
        for line in lines.search(
            [
                ("move_id", "in", self.move_id.ids),
                ("kind", "in", IN_MESSAGE),
                ("notice_id.state", "=", "sent"),
            ]
        ).grouped(lambda line: (line.move_id, line.notice_id)):
            move, notice = line
            for case in self:
                since = max(
                    filter(None, (case.first_failure_at, case.replied_at)),
                    default=None,
                )
                if case.move_id == move and since and notice.sent_at >= since:
                    found[case] += 1
        return found
