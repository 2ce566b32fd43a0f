import logging
from collections import defaultdict
from datetime import timedelta

import psycopg2
import pytz
from markupsafe import Markup

from odoo import api, fields, models
from odoo.tools import SQL, formatLang

_logger = logging.getLogger(__name__)

KINDS = [
    ("paid", "Paid"),
    ("overdue", "Overdue"),
    ("failed", "Payment failed"),
    ("disputed", "Disputed"),
    ("credited", "Credited"),
]
FIRST_HOUR = 7  # of the salesperson's day: news of yesterday wait until then
LATE_NEWS = timedelta(days=7)  # what became overdue longer ago is no news
# A day has passed everywhere once it has in the last zone.
LAST_ZONE = timedelta(hours=12)


class CrmDunningNews(models.Model):
    """What a salesperson hears of the own customers: once each, grouped per day (H3).

    A row is one piece of news for one person; the unique index keeps it from being told
    twice, whoever reports it and how often.
    """

    _name = "crm.dunning.news"
    _description = "News for a Salesperson"
    _order = "id"

    user_id = fields.Many2one("res.users", required=True, ondelete="cascade")
    kind = fields.Selection(KINDS, required=True)
    move_id = fields.Many2one(
        "account.move", required=True, index=True, ondelete="cascade"
    )
    company_id = fields.Many2one("res.company", required=True)
    currency_id = fields.Many2one("res.currency", required=True)
    amount = fields.Monetary()
    key = fields.Char(required=True, help="What makes it the same news.")
    note = fields.Char()
    sent_at = fields.Datetime()

    _once_uniq = models.UniqueIndex("(user_id, kind, move_id, key)")
    _waiting_idx = models.Index("(user_id) WHERE sent_at IS NULL")

    # === BUSINESS METHODS - SENDING === #

    @api.model
    def _cron_tell_sellers(self, now=None):
        """Find what became overdue, and send each person one message a day.

        One commit a person. Whoever loses a race against another job rolls back: the
        other one has told it, or the next run does.

        :param now: instant (naive UTC), the clock by default
        """
        self = self.sudo()
        now = now or fields.Datetime.now()
        try:
            self._tell_waiting(now)
        except psycopg2.OperationalError:
            _logger.info("News changed while they were told, trying again later")
            self.env.cr.rollback()

    @api.model
    def _tell_waiting(self, now):
        commit_progress = self.env["ir.cron"]._commit_progress
        self._collect_overdue(now)
        groups = self._read_group([("sent_at", "=", False)], ["user_id"], [])
        commit_progress(remaining=len(groups))
        for [user] in groups:
            if self._is_time_for(user, now):
                self._send_to(user, now)
            if not commit_progress(1):
                return

    @api.model
    def _is_time_for(self, user, now):
        """Return whether it is morning, and nothing was sent on this local day."""
        zone = pytz.timezone(user.tz or "UTC")
        local = pytz.utc.localize(now).astimezone(zone)
        last = self.search(
            [("user_id", "=", user.id), ("sent_at", "!=", False)],
            order="sent_at desc",
            limit=1,
        )
        if not last:
            return local.hour >= FIRST_HOUR
        told = pytz.utc.localize(last.sent_at).astimezone(zone)
        return local.hour >= FIRST_HOUR and told.date() < local.date()

    @api.model
    def _send_to(self, user, now):
        """Send what waits; two jobs never take the same rows."""
        waiting = self.search([("user_id", "=", user.id), ("sent_at", "=", False)])
        rows = waiting.try_lock_for_update()
        if not rows:
            return
        rows.sent_at = now
        if not user.active or user.share:
            return  # who has left hears nothing any more
        rows = rows.with_context(lang=user.lang)
        user.partner_id.with_context(lang=user.lang).message_notify(
            partner_ids=user.partner_id.ids,
            subject=rows._get_subject(),
            body=rows._get_body(),
            email_layout_xmlid="mail.mail_notification_light",
        )

    def _get_subject(self):
        labels = dict(self._fields["kind"]._description_selection(self.env))
        counts = defaultdict(int)
        for row in self:
            counts[row.kind] += 1
        return ", ".join(
            f"{labels[kind]}: {counts[kind]}" for kind, _label in KINDS if counts[kind]
        )

    def _get_body(self):
        """Return the list: what, whose, how much, with links."""
        labels = dict(self._fields["kind"]._description_selection(self.env))
        parts = []
        for kind, _label in KINDS:
            rows = self.filtered(lambda row, kind=kind: row.kind == kind)
            if rows:
                items = Markup("").join(row._get_item() for row in rows)
                parts.append(
                    Markup("<p><b>%s</b></p><ul>%s</ul>") % (labels[kind], items)
                )
        return Markup("").join(parts)

    def _get_item(self):
        self.ensure_one()
        deals = Markup(", ").join(
            lead._get_html_link() for lead in self.move_id.opportunity_ids
        )
        amount = formatLang(self.env, self.amount, currency_obj=self.currency_id)
        words = [self.move_id.commercial_partner_id.name or "", amount, self.note or ""]
        return Markup("<li>%s %s (%s)</li>") % (
            self.move_id._get_html_link(),
            deals,
            ", ".join(word for word in words if word),
        )

    # === BUSINESS METHODS - OVERDUE === #

    @api.model
    def _collect_overdue(self, now):
        """Note what became overdue in the last days; nothing else says so.

        :param now: instant, naive UTC
        """
        self.env.flush_all()
        today = (now - LAST_ZONE).date()
        rows = self.env.execute_query(
            SQL(
                """
                SELECT DISTINCT move.id, line.date_maturity
                  FROM account_move_line line
                  JOIN account_move move ON move.id = line.move_id
                 WHERE line.date_maturity >= %(first)s
                   AND line.date_maturity < %(today)s
                   AND %(is_open)s
                   AND line.billing_is_retention IS NOT TRUE
                   AND NOT EXISTS (
                       SELECT FROM crm_dunning_news news
                        WHERE news.move_id = move.id AND news.kind = 'overdue'
                          AND news.key = line.date_maturity::text)
                """,
                first=today - LATE_NEWS,
                today=today,
                is_open=self.env["account.move.line"]._get_dunning_open_condition(),
            )
        )
        by_day = defaultdict(list)
        for move_id, day in rows:
            by_day[day].append(move_id)
        for day, move_ids in by_day.items():
            moves = self.env["account.move"].browse(move_ids)
            moves._tell_sellers("overdue", day.isoformat())


class AccountMove(models.Model):
    _inherit = "account.move"

    def _tell_sellers(self, kind, key, note=None):
        """Keep news of these invoices for the owners of their deals, who want it.

        Without a deal, the salesperson of the invoice hears it. The same news twice is
        kept once, also when two transactions report it.

        :param key: what makes it the same news
        """
        if not self:
            return
        wanted = self.env["res.users"]._get_news_field(kind)
        rows = [
            (user.id, kind, move.id, move.company_id.id, move.currency_id.id)
            + (move._get_news_amount(kind), key, note or None)
            for move in self.sudo()
            for user in move.opportunity_ids.user_id or move.invoice_user_id
            if user.active and not user.share and user[wanted]
        ]
        if not rows:
            return
        self.env.cr.execute(
            SQL(
                "INSERT INTO crm_dunning_news (user_id, kind, move_id, company_id,"
                " currency_id, amount, key, note, create_uid, write_uid, create_date,"
                " write_date) SELECT v.*, %(uid)s, %(uid)s, %(now)s, %(now)s"
                " FROM (VALUES %(rows)s) AS v ON CONFLICT DO NOTHING",
                uid=self.env.uid,
                now=fields.Datetime.now(),
                rows=SQL(", ").join(SQL("%s", row) for row in rows),
            )
        )
        self.env["crm.dunning.news"].invalidate_model()

    def _get_news_amount(self, kind):
        """Return the amount that the news is about, in the invoice's currency."""
        paid = kind in ("paid", "credited")
        return self.amount_total if paid else self.amount_residual
