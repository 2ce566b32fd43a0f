from datetime import timedelta

from odoo import fields
from odoo.tools import SQL

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


class WatchMixin:
    """Breaks a watched path, sees the alarm, repairs it, sees the alarm end."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.now = fields.Datetime.now()
        # A database of tests runs no job: as if each had run a moment ago.
        jobs = cls.env["crm.billing.watch"]._get_jobs().values()
        for job in jobs:
            job.write({"active": True, "nextcall": cls.now + DAY})
        cls.env["ir.cron.progress"].search([]).unlink()
        cls.env["mail.mail"].search([]).unlink()
        cls.company.billing_responsible_id = cls.manager

    def _watch(self, now=None):
        """Run the watchdog's job at ``now``."""
        self.env.flush_all()
        self.env["crm.billing.watch"]._cron_watch(now or self.now)
        self.env.invalidate_all()

    def _get_watch(self, key, company=None):
        return self.env["crm.billing.watch"].search(
            [
                ("key", "=", key),
                ("company_id", "=", company.id if company else False),
                ("active", "in", (True, False)),
            ]
        )

    def _assert_alarm(self, key, state, company=None):
        """Expect an alarm, with what to do and one activity of the manager."""
        watch = self._get_watch(key, company)
        self.assertRecordValues(watch, [{"state": state, "is_alarm": True}])
        self.assertTrue(watch.message)
        self.assertTrue(watch.since)
        self.assertEqual(watch.activity_ids.user_id, self.manager)
        self.assertEqual(len(watch.activity_ids), 1)
        return watch

    def _assert_clear(self, key, company=None):
        """Expect no alarm, and no activity left of one."""
        watch = self._get_watch(key, company)
        self.assertRecordValues(
            watch, [{"state": "ok", "is_alarm": False, "message": "", "since": False}]
        )
        self.assertFalse(watch.activity_ids)
        return watch

    def _set_time(self, records, **times):
        """Write instants that the ORM itself keeps, such as ``write_date``."""
        records.flush_recordset()
        for name, instant in times.items():
            self.env.cr.execute(
                SQL(
                    "UPDATE %s SET %s = %s WHERE id = ANY(%s)",
                    SQL.identifier(records._table),
                    SQL.identifier(name),
                    instant,
                    records.ids,
                )
            )
        records.invalidate_recordset()
