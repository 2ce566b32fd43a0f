import logging
from datetime import timedelta
from typing import NamedTuple

import psycopg2

from odoo import api, fields, models
from odoo.fields import Domain
from odoo.tools import SQL

_logger = logging.getLogger(__name__)

ACTIVITY = "crm_billing_handoff.mail_activity_type_watch"
MANAGER = "crm_billing_handoff.group_billing_manager"
HEARTBEAT = "heartbeat"
FRESH = timedelta(seconds=30)  # opening the page again sooner shows what was found
ONE_SIGN = timedelta(minutes=1)  # more signs of life than one a minute are not noted
# Only one looks at a time; the number is an arbitrary one, used nowhere else.
REFRESH_LOCK = 1_817_450_219
# All but `active`, with which a manager silences an alarm.
WATCH_FIELDS = (
    "key",
    "company_id",
    "name",
    "state",
    "is_alarm",
    "message",
    "since",
    "last_seen_at",
    "expected_minutes",
    "duration",
    "backlog",
    "failures",
    "checked_at",
    "link",
)


class Finding(NamedTuple):
    """What a check found of one watched path, for all companies or for one.

    ``backlog`` and ``failures`` are counts, ``duration`` is in seconds, ``link`` is
    ``(model, ids)`` of what to look at.
    """

    state: str = "ok"
    message: str = ""
    company_id: int | bool = False
    last_seen_at: object = None
    backlog: int = 0
    failures: int = 0
    duration: float = 0.0
    link: tuple | None = None


class CrmBillingWatch(models.Model):
    """One watched path: a job, a mailbox, a webhook, an amount that must agree.

    The same checks run by a job, when somebody opens the health page or the Billing
    menu, and for a monitor outside (:meth:`_get_health`), so that silence is heard
    even when no job runs at all. Each alarm is one activity of a billing manager, and
    ends by itself.
    """

    _name = "crm.billing.watch"
    _description = "Watchdog"
    _inherit = ["mail.thread", "mail.activity.mixin", "crm.billing.machine.fields"]
    _order = "is_alarm desc, name, id"

    active = fields.Boolean(
        default=True, help="What is archived is looked at, but alarms nobody."
    )
    key = fields.Char(required=True, readonly=True)
    company_id = fields.Many2one("res.company", index=True, readonly=True)
    name = fields.Char(string="What is Watched", required=True, readonly=True)
    state = fields.Selection(
        [
            ("ok", "Works"),
            ("late", "Late"),
            ("failed", "Fails"),
            ("off", "Off"),
        ],
        default="ok",
        required=True,
        readonly=True,
    )
    is_alarm = fields.Boolean(compute="_compute_is_alarm", store=True)
    message = fields.Char(string="What to Do", readonly=True)
    since = fields.Datetime(readonly=True, help="When the alarm began (UTC).")
    last_seen_at = fields.Datetime(string="Last Run", readonly=True)
    expected_minutes = fields.Integer(
        string="Expected Every (Minutes)",
        readonly=True,
        help="Silence longer than this is an alarm.",
    )
    duration = fields.Float(string="Seconds", readonly=True)
    backlog = fields.Integer(readonly=True, aggregator=None)
    failures = fields.Integer(readonly=True, aggregator=None)
    checked_at = fields.Datetime(readonly=True)
    link = fields.Json(readonly=True, help="Model and ids of what to look at.")
    can_open = fields.Boolean(compute="_compute_can_open")

    _key_uniq = models.UniqueIndex("(key, COALESCE(company_id, 0))")

    @api.depends("state", "active")
    def _compute_is_alarm(self):
        for watch in self:
            watch.is_alarm = watch.active and watch.state != "ok"

    @api.depends("link")
    @api.depends_context("uid")
    def _compute_can_open(self):
        for watch in self:
            model = (watch.link or {}).get("model")
            watch.can_open = model in self.env and self.env[model].has_access("read")

    @api.model
    def _get_machine_fields(self):
        return WATCH_FIELDS

    # === ACTION METHODS === #

    def action_open(self):
        """Show what the watchdog looks at, with the reader's own rights."""
        self.ensure_one()
        if not self.link:
            return False
        return {
            "type": "ir.actions.act_window",
            "name": self.name,
            "res_model": self.link["model"],
            "views": [(False, "list"), (False, "form")],
            "domain": [("id", "in", self.link["ids"])],
            "context": {"active_test": False},
        }

    def action_address(self):
        """Show the address that a monitor outside asks."""
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Address for a Monitor"),
            "res_model": "crm.billing.health.address",
            "view_mode": "form",
            "target": "new",
        }

    @api.model
    def get_alarms(self):
        """Return what a billing manager should know when the menu opens."""
        if not self.env.user.has_group(MANAGER):
            return []
        self._refresh_if_stale()
        alarms = self.search([("is_alarm", "=", True)], limit=5)
        return alarms.mapped(lambda watch: [watch.name, watch.message or ""])

    @api.model
    def web_search_read(self, *args, **kwargs):
        """Override of `web` to look anew when the page is opened."""
        self._refresh_if_stale()
        return super().web_search_read(*args, **kwargs)

    # What is found is noted: unlike that of `web` it needs a cursor that writes.
    web_search_read._readonly = False

    # === BUSINESS METHODS - SIGNS OF LIFE === #

    @api.model
    def _seen(self, key, company=None, now=None):
        """Note a sign of life. It is cheap, waits for nobody and never fails.

        :param key: of :meth:`_get_watches`
        :param now: instant (naive UTC), the clock by default
        """
        now = now or fields.Datetime.now()
        company_id = company.id if company else None
        place = SQL("key = %s AND COALESCE(company_id, 0) = %s", key, company_id or 0)
        # The sign comes from jobs, webhooks and people; nobody may write a watchdog.
        watches = self.sudo()
        try:
            with self.env.cr.savepoint(flush=False):
                known = self.env.execute_query(
                    SQL("SELECT id FROM crm_billing_watch WHERE %s", place)
                )
                if not known:
                    values = {"key": key, "name": key, "company_id": company_id}
                    watches.create({**values, "last_seen_at": now})
                    return
                sign = self._prepare_sign(known[0][0], now)
                self.env.cr.execute(sign, log_exceptions=False)
        except (psycopg2.OperationalError, psycopg2.IntegrityError):
            # Somebody else notes a sign in this very moment: one is enough.
            return
        watches.browse(known[0]).invalidate_recordset(["last_seen_at"], flush=False)

    @api.model
    def _prepare_sign(self, watch_id, now):
        """Return the statement that notes a sign, unless the row is taken or fresh.

        A time in the future is a clock that was set back: it is overwritten.
        """
        return SQL(
            "UPDATE crm_billing_watch SET last_seen_at = %(now)s WHERE id IN ("
            " SELECT id FROM crm_billing_watch WHERE id = %(id)s"
            "    AND (last_seen_at IS NULL"
            "     OR last_seen_at NOT BETWEEN %(since)s AND %(now)s)"
            "    FOR NO KEY UPDATE SKIP LOCKED)",
            id=watch_id,
            now=now,
            since=now - ONE_SIGN,
        )

    # === BUSINESS METHODS - CHECKS === #

    @api.model
    def _get_watches(self):
        """Return ``{key: (name, minutes, check)}``; addons above add theirs.

        ``check(now)`` returns :class:`Finding`s, one a company or one for all. Without
        a check the path itself calls :meth:`_seen`, at least once in ``minutes``.
        """
        return {HEARTBEAT: (self.env._("The watchdog itself"), 15, None)}

    @api.model
    def _collect(self, now):
        """Run all checks; writes nothing.

        :return: ``{(key, company id): (name, expected minutes, finding)}``
        """
        found = {}
        for key, (name, minutes, check) in self._get_watches().items():
            for finding in self._run_check(key, minutes, check, now):
                found[key, finding.company_id] = (name, minutes, finding)
        return found

    @api.model
    def _run_check(self, key, minutes, check, now):
        """Return what a check finds; one that breaks does not hide the others."""
        try:
            with self.env.cr.savepoint():
                found = check(now) if check else self._check_seen(key, minutes, now)
                return list(found)
        except psycopg2.OperationalError:
            raise
        except Exception as error:
            _logger.exception("Watchdog %s is broken itself", key)
            message = self.env._(
                "The check itself failed (%(error)s). The server log says more.",
                error=type(error).__name__,
            )
            return [Finding("failed", message)]

    @api.model
    def _check_seen(self, key, minutes, now):
        """Look at signs of life: of a path never seen the clock runs from its row."""
        watches = self.with_context(active_test=False).search([("key", "=", key)])
        if not watches:
            yield Finding()
        for watch in watches:
            seen = watch.last_seen_at or watch.create_date
            state, message = "ok", ""
            if now - seen > timedelta(minutes=minutes):
                state, message = "late", self._describe_silence(key)
            yield Finding(state, message, watch.company_id.id, watch.last_seen_at)

    @api.model
    def _describe_silence(self, key):
        """Return what to do when ``key`` was not seen for too long."""
        if key == HEARTBEAT:
            return self.env._(
                "No job runs. Check that the Odoo server has workers for scheduled "
                "jobs (max_cron_threads)."
            )
        return self.env._("No sign of life. The server log says more.")

    # === BUSINESS METHODS - WATCHING === #

    @api.model
    def _cron_watch(self, now=None):
        """Give a sign of life, look at everything, alarm and end alarms.

        :param now: instant (naive UTC), the clock by default
        """
        now = now or fields.Datetime.now()
        watches = self.sudo()
        try:
            watches._seen(HEARTBEAT, now=now)
            watches._refresh(now)
            self.env.flush_all()
        except psycopg2.OperationalError:
            # What is watched changed meanwhile: the next look is minutes away.
            _logger.info("The watchdog lost a race and looks again later")
            self.env.cr.rollback()

    @api.model
    def _refresh_if_stale(self):
        # Who may see the page sees it as it is now; what is found is the machine's.
        watches = self.sudo().with_context(active_test=False)
        now = fields.Datetime.now()
        latest = watches.search([("checked_at", "!=", False)], order="checked_at desc")
        if not latest or not now - FRESH < latest[0].checked_at <= now:
            watches._refresh(now)

    @api.model
    def _refresh(self, now):
        """Note what the checks find; whoever else is looking already does it for us."""
        locked = self.env.execute_query(
            SQL("SELECT pg_try_advisory_xact_lock(%s)", REFRESH_LOCK)
        )
        if not locked[0][0]:
            return
        manager = self._get_manager(self.env["res.company"])
        # All read the words: they are the manager's, whoever happens to look.
        watches = self.with_context(lang=manager.lang, active_test=False)
        found = watches._collect(now)
        everything = watches.search(Domain.TRUE)
        rows = {(row.key, row.company_id.id): row for row in everything}
        for place, result in found.items():
            row = rows.pop(place, None) or watches._create_row(place, result)
            row._note(result, now)
        self.union(*rows.values()).unlink()  # of addons or companies that are gone
        watches.search(Domain.TRUE).checked_at = now

    @api.model
    def _create_row(self, place, result):
        key, company_id = place
        return self.create({"key": key, "company_id": company_id, "name": result[0]})

    def _note(self, result, now):
        """Write what was found, and begin or end the alarm."""
        name, minutes, finding = result
        link = finding.link and {"model": finding.link[0], "ids": list(finding.link[1])}
        values = {
            "name": name,
            "expected_minutes": minutes,
            "state": finding.state,
            "message": finding.message,
            "last_seen_at": finding.last_seen_at or False,
            "backlog": finding.backlog,
            "failures": finding.failures,
            "duration": finding.duration,
            "link": link or False,
        }
        self.write({name: new for name, new in values.items() if self[name] != new})
        if self.is_alarm and not self.since:
            self._begin_alarm(now)
        elif self.since and not self.is_alarm:
            self._end_alarm()

    def _begin_alarm(self, now):
        """Tell a manager: one activity, and the mail that Odoo sends of it at once."""
        self.since = now
        self.activity_schedule(
            ACTIVITY,
            user_id=self._get_manager(self.company_id).id,
            summary=self.name,
            note=self.message,
        )

    def _end_alarm(self):
        self.since = False
        self.activity_feedback([ACTIVITY], feedback=self.env._("It works again."))

    @api.model
    def _get_manager(self, company):
        """Return who is told: the company's billing responsible if a manager."""
        company = company or self.env.ref("base.main_company")
        user = company.billing_responsible_id
        if user.active and user.has_group(MANAGER):
            return user
        managers = self.env.ref(MANAGER).all_user_ids.filtered(
            lambda user: user.active and not user.share and company in user.company_ids
        )
        return managers.sorted("id", reverse=True)[:1] or self.env.user

    # === BUSINESS METHODS - THE MONITOR OUTSIDE === #

    @api.model
    def _get_health(self, company, now):
        """Return what a monitor is told: looked at now, written nowhere.

        :return: ``(whether nothing is wrong, JSON)``; instants are UTC
        """
        muted = self.with_context(active_test=False).search([("active", "=", False)])
        muted = {(watch.key, watch.company_id.id) for watch in muted}
        watches = [
            self._prepare_health(key, *result, is_muted=(key, company_id) in muted)
            for (key, company_id), result in self._collect(now).items()
            if company_id in (False, company.id)
        ]
        good = all(watch["state"] == "ok" or watch["muted"] for watch in watches)
        return good, {
            "status": "ok" if good else "alarm",
            "checked_at": f"{now.isoformat(timespec='seconds')}Z",
            "watches": watches,
        }

    @api.model
    def _prepare_health(self, key, name, minutes, finding, *, is_muted):
        seen = finding.last_seen_at
        return {
            "key": key,
            "name": name,
            "state": finding.state,
            "message": finding.message,
            "muted": is_muted,
            "expected_minutes": minutes,
            "last_seen_at": seen and f"{seen.isoformat(timespec='seconds')}Z" or None,
            "duration": round(finding.duration, 1),
            "backlog": finding.backlog,
            "failures": finding.failures,
        }
