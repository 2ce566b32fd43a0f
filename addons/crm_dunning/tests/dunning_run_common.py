from datetime import date, timedelta

from odoo import fields

from odoo.addons.mail.tests.common import MailCase

from .common import DunningCommon


class FollowUpCommon(DunningCommon):
    """Runs the reminders as the scheduler does, on any day."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.Notice = cls.env["crm.dunning.notice"]

    def _run(self, day, hour=12):
        """Run the job at noon UTC of ``day``, or at an instant; return the notices."""
        now = to_instant(day if len(str(day)) > 10 else f"{day} {hour:02}:00:00")
        last = self.Notice.search([], order="id desc", limit=1).id or 0
        self.env.flush_all()
        with self.enter_registry_test_mode(), self.env.registry.cursor() as cr:
            self.env(cr=cr)["crm.dunning.case"]._cron_follow_up(now=now)
        self.env.invalidate_all()
        return self.Notice.search([("id", ">", last)], order="id")

    def _run_days(self, first, last):
        """Run each day; return ``{day and month: notice}`` of what came."""
        found = {}
        day, last = _to_date(first), _to_date(last)
        while day <= last:
            for notice in self._run(day):
                found[day.strftime("%d.%m.")] = notice
            day += timedelta(days=1)
        return found

    def _get_lines(self, notices, kind="listed"):
        return notices.line_ids.filtered(lambda line: line.kind == kind)


def to_instant(text):
    """Return a naive instant, UTC."""
    return fields.Datetime.to_datetime(text)


def _to_date(day):
    return day if isinstance(day, date) else date.fromisoformat(day)


class MailRunCommon(MailCase, FollowUpCommon):
    """The mails of the run, as they leave."""

    def _send(self, day="2027-02-12 12:30:00"):
        """Let the mail queue run at an instant; return the mails that left."""
        now = to_instant(day)
        self.patch(type(self.env["mail.mail"]), "_get_dunning_now", lambda self: now)
        with self.mock_mail_gateway():
            self.env["mail.mail"].process_email_queue()
        # Colleagues get mails of tasks, too.
        return [one for one in self._mails if "assigned to" not in one["subject"]]
