from datetime import timedelta
from unittest.mock import patch

from odoo import fields
from odoo.exceptions import AccessError
from odoo.service.model import call_kw
from odoo.tests import HttpCase, new_test_user, tagged
from odoo.tools import mute_logger

from .common import BillingHandoffCommon
from .watch_common import DAY, HOUR, MINUTE, WatchMixin

PROCESS = "job:crm_billing_handoff.ir_cron_process_handoffs"
LOGGER = "odoo.addons.crm_billing_handoff.models.crm_billing_watch"


class WatchCommon(WatchMixin, BillingHandoffCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.job = cls.env.ref(PROCESS.removeprefix("job:"))


@tagged("post_install", "-at_install")
class TestWatchJobs(WatchCommon):
    """Each job is seen to be late, switched off or failing, and to be well again."""

    def test_all_is_well(self):
        self._watch()
        watches = self.env["crm.billing.watch"].search([])
        self.assertFalse(watches.filtered("is_alarm"), "nothing is broken")
        self.assertFalse(watches.activity_ids)

    def test_every_job_of_the_addon_is_watched(self):
        self._watch()
        jobs = (
            self.env["ir.cron"].search([]).filtered(lambda job: "Billing" in job.name)
        )
        names = [f"job:{name}" for name in jobs.get_external_id().values()]
        ours = [name for name in names if name.startswith("job:crm_billing_handoff.")]
        self.assertIn(PROCESS, ours)
        for name in ours:
            self.assertTrue(self._get_watch(name), name)

    def test_a_job_that_does_not_start(self):
        self.job.nextcall = self.now - 10 * MINUTE
        self._watch()
        self._assert_clear(PROCESS)
        self.job.nextcall = self.now - 16 * MINUTE
        self._watch()
        self._assert_alarm(PROCESS, "late")
        self._watch()
        watch = self._assert_alarm(PROCESS, "late")
        self.job.nextcall = self.now + 10 * MINUTE
        self._watch()
        self._assert_clear(PROCESS)
        done = watch.with_context(active_test=False).activity_ids
        self.assertEqual(len(done), 1, "one activity an incident, kept as done")

    def test_a_job_that_works_for_long_is_alive(self):
        self.job.nextcall = self.now - 3 * HOUR
        progress = self.env["ir.cron.progress"].create(
            {"cron_id": self.job.id, "done": 300, "remaining": 700}
        )
        self._set_time(
            progress, create_date=self.now - HOUR, write_date=self.now - MINUTE
        )
        self._watch()
        watch = self._assert_clear(PROCESS)
        self.assertRecordValues(watch, [{"backlog": 700, "duration": 3540.0}])
        self._set_time(progress, write_date=self.now - 30 * MINUTE)
        self._watch()
        self._assert_alarm(PROCESS, "late")

    def test_a_job_switched_off(self):
        self.job.active = False
        self._watch()
        self._assert_alarm(PROCESS, "off")
        self.job.active = True
        self._watch()
        self._assert_clear(PROCESS)

    def test_jobs_of_a_copy_are_off_without_alarm(self):
        self.env["ir.config_parameter"].set_param("database.is_neutralized", True)
        self.job.active = False
        self._watch()
        self.assertEqual(self._get_watch(PROCESS).state, "ok")
        self.assertIn("copy", self._get_watch(PROCESS).message)

    def test_a_job_that_fails(self):
        self.job.failure_count = 1
        nightly = self.env.ref("crm_billing_handoff.ir_cron_recheck_handoffs")
        nightly.failure_count = 1
        self._watch()
        self._assert_clear(PROCESS)
        self._assert_alarm("job:crm_billing_handoff.ir_cron_recheck_handoffs", "failed")
        self.job.failure_count = 2
        self._watch()
        self.assertEqual(self._assert_alarm(PROCESS, "failed").failures, 2)
        self.job.failure_count = nightly.failure_count = 0
        self._watch()
        self._assert_clear(PROCESS)
        self._assert_clear("job:crm_billing_handoff.ir_cron_recheck_handoffs")

    def test_a_job_that_is_gone_is_watched_no_longer(self):
        self._watch()
        self.assertTrue(self._get_watch(PROCESS))
        self.env["ir.model.data"].search(
            [("model", "=", "ir.cron"), ("res_id", "=", self.job.id)]
        ).unlink()
        self._watch()
        self.assertFalse(self._get_watch(PROCESS))


@tagged("post_install", "-at_install")
class TestWatchQueues(WatchCommon):
    def _create_mail(self, **values):
        return self.env["mail.mail"].create(
            {
                "subject": "Invoice",
                "email_to": "ap@example.com",
                "model": "account.move",
                "auto_delete": False,
                **values,
            }
        )

    def test_mails_that_wait(self):
        mail = self._create_mail(state="outgoing")
        other = self._create_mail(state="outgoing", model="res.partner")
        later = self._create_mail(
            state="outgoing", scheduled_date=self.now + DAY, subject="Tomorrow"
        )
        self._set_time(mail | other | later, create_date=self.now - HOUR)
        self._watch()
        self._assert_clear("mail_queue")
        self._set_time(mail | other | later, create_date=self.now - 3 * HOUR)
        self._watch()
        watch = self._assert_alarm("mail_queue", "late")
        self.assertEqual(watch.link, {"model": "mail.mail", "ids": mail.ids})
        mail.state = "sent"
        self._watch()
        self._assert_clear("mail_queue")

    def test_mails_the_server_refuses(self):
        wrong_address = self._create_mail(
            state="exception", failure_type="mail_email_invalid"
        )
        self._watch()
        self._assert_clear("mail_failed")
        mail = self._create_mail(state="exception", failure_type="mail_smtp")
        self._watch()
        watch = self._assert_alarm("mail_failed", "failed")
        self.assertEqual(watch.backlog, 1)
        self.assertNotIn(wrong_address.id, watch.link["ids"])
        mail.cancel()
        self._watch()
        self._assert_clear("mail_failed")

    def test_handoffs_that_nobody_takes(self):
        deal = self._create_deal()
        self._create_quotation(deal)
        handoff = self._win(deal)
        self.assertEqual(handoff.state, "pending")
        self._set_time(handoff, write_date=self.now - 30 * MINUTE)
        self._watch()
        self._assert_clear("handoffs", self.company)
        self._set_time(handoff, write_date=self.now - 2 * HOUR)
        self._watch()
        self._assert_alarm("handoffs", "late", self.company)
        handoff._process_or_bisect()
        self._watch()
        self._assert_clear("handoffs", self.company)

    def test_agreements_that_nobody_bills(self):
        agreement = self.env["crm.billing.agreement"].create(
            {
                "partner_id": self.account.id,
                "plan_id": self.env.ref("crm_billing_handoff.plan_monthly").id,
                "line_ids": [
                    fields.Command.create(
                        {"product_id": self.product.id, "price_unit": 50.0}
                    )
                ],
            }
        )
        agreement.action_start()
        due = agreement.next_run_at
        self._watch(due + 2 * HOUR)
        self._assert_clear("agreements", self.company)
        self._watch(due + 4 * HOUR)
        self._assert_alarm("agreements", "late", self.company)
        agreement.generate_invoices()
        self._watch(due + 4 * HOUR)
        self._assert_clear("agreements", self.company)


@tagged("post_install", "-at_install")
class TestWatch(WatchCommon):
    def test_the_watchdog_itself_is_watched(self):
        """M4: with all jobs dead the page and the menu still say so."""
        self._watch(self.now - 20 * MINUTE)
        self._assert_clear("heartbeat")
        watches = self.env["crm.billing.watch"].with_user(self.manager)
        self.assertIn(
            "The watchdog itself", [name for name, _text in watches.get_alarms()]
        )
        self._assert_alarm("heartbeat", "late")
        self._watch()
        self._assert_clear("heartbeat")
        self.assertFalse(watches.get_alarms())

    def test_opening_the_page_looks_anew(self):
        self._watch(self.now - HOUR)
        self.job.active = False
        for model in ("list", "again"):
            found = call_kw(
                self.env["crm.billing.watch"].with_user(self.clerk),
                "web_search_read",
                [[("key", "=", PROCESS)], {"state": {}}],
                {},
            )
            with self.subTest(model):
                self.assertEqual(found["records"][0]["state"], "off")

    def test_others_are_not_told(self):
        self.job.active = False
        watches = self.env["crm.billing.watch"]
        self.assertEqual(watches.with_user(self.clerk).get_alarms(), [])
        self.assertTrue(watches.with_user(self.manager).get_alarms())

    def test_signs_of_life(self):
        watches = self.env["crm.billing.watch"].with_user(self.seller)
        watches._seen("webhook", now=self.now - 2 * HOUR)
        watches._seen("webhook", now=self.now - HOUR)
        watch = self._get_watch("webhook")
        self.assertEqual(watch.last_seen_at, self.now - HOUR)
        watches._seen("webhook", now=self.now - HOUR + timedelta(seconds=20))
        watch.invalidate_recordset()
        self.assertEqual(watch.last_seen_at, self.now - HOUR, "one a minute is enough")
        watches._seen("webhook", now=self.now - 5 * HOUR)
        watch.invalidate_recordset()
        self.assertEqual(
            watch.last_seen_at, self.now - 5 * HOUR, "the clock was set back"
        )

    def test_signs_of_life_by_company(self):
        other = self.env["res.company"].create({"name": "Other"})
        watches = self.env["crm.billing.watch"]
        watches._seen("webhook", self.company, self.now)
        watches._seen("webhook", other, self.now - HOUR)
        self.assertEqual(
            self._get_watch("webhook", other).last_seen_at, self.now - HOUR
        )
        self.assertEqual(
            self._get_watch("webhook", self.company).last_seen_at, self.now
        )
        seen = watches.with_user(self.manager).search([("key", "=", "webhook")])
        self.assertEqual(seen.company_id, self.company)

    def test_a_check_that_breaks_hides_no_other(self):
        self.job.active = False
        model = type(self.env["crm.billing.watch"])
        with (
            patch.object(model, "_check_handoffs", side_effect=ZeroDivisionError),
            mute_logger(LOGGER),
        ):
            self._watch()
        self._assert_alarm(PROCESS, "off")
        self.assertIn(
            "ZeroDivisionError", self._assert_alarm("handoffs", "failed").message
        )
        self._watch()
        self.assertFalse(self._get_watch("handoffs"), "it is looked at by company")
        self._assert_clear("handoffs", self.company)

    def test_what_is_archived_alarms_nobody(self):
        self._watch()
        watch = self._get_watch(PROCESS)
        watch.with_user(self.manager).action_archive()
        self.job.active = False
        self._watch()
        self.assertRecordValues(watch, [{"state": "off", "is_alarm": False}])
        self.assertFalse(watch.activity_ids)
        watch.with_user(self.manager).action_unarchive()
        self._watch()
        self._assert_alarm(PROCESS, "off")
        watch.with_user(self.manager).action_archive()
        self._watch()
        self.assertFalse(watch.activity_ids, "the task ends with the alarm")

    def test_nobody_writes_what_was_found(self):
        self._watch()
        watch = self._get_watch(PROCESS)
        for values in ({"state": "failed"}, {"last_seen_at": self.now}):
            with self.assertRaises(AccessError):
                watch.with_user(self.manager).write(values)
        with self.assertRaises(AccessError):
            watch.with_user(self.clerk).action_archive()
        with self.assertRaises(AccessError):
            watch.with_user(self.seller).read(["state"])

    def test_the_link_opens_only_what_one_may_read(self):
        self.job.active = False
        self._watch()
        watch = self._get_watch(PROCESS)
        self.assertFalse(watch.with_user(self.manager).can_open)
        admin = watch.with_user(self.env.ref("base.user_admin"))
        self.assertTrue(admin.can_open)
        action = admin.action_open()
        found = self.env[action["res_model"]].search(
            [*action["domain"], ("active", "=", False)]
        )
        self.assertEqual(found, self.job)

    def test_the_task_goes_to_a_manager(self):
        self.company.billing_responsible_id = self.clerk
        self.job.active = False
        self._watch()
        user = self._get_watch(PROCESS).activity_ids.user_id
        self.assertTrue(user.has_group("crm_billing_handoff.group_billing_manager"))


@tagged("post_install", "-at_install")
class TestHealthAddress(WatchMixin, BillingHandoffCommon, HttpCase):
    """What a monitor outside is told, without any job."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.job = cls.env.ref(PROCESS.removeprefix("job:"))
        cls.env["crm.billing.watch"]._cron_watch(cls.now)
        wizard = cls.env["crm.billing.health.address"].with_user(cls.manager).create({})
        wizard.action_renew()
        cls.wizard = wizard

    def _ask(self, token=None, **kwargs):
        token = self.company.billing_health_token if token is None else token
        return self.url_open(f"/billing/health?token={token}", **kwargs)

    def test_all_is_well(self):
        answer = self._ask()
        self.assertEqual(answer.status_code, 200)
        health = answer.json()
        self.assertEqual(health["status"], "ok")
        self.assertIn(PROCESS, [watch["key"] for watch in health["watches"]])
        self.assertIn(self.company.billing_health_token, self.wizard.url)

    def test_an_alarm_is_seen_at_once_and_ends(self):
        self.job.active = False
        answer = self._ask()
        self.assertEqual(answer.status_code, 503)
        (bad,) = [w for w in answer.json()["watches"] if w["state"] != "ok"]
        self.assertEqual((bad["key"], bad["state"]), (PROCESS, "off"))
        self.assertEqual(self._get_watch(PROCESS).state, "ok", "nothing is written")
        self.job.active = True
        self.assertEqual(self._ask().status_code, 200)

    def test_all_jobs_are_dead(self):
        self._set_time(self._get_watch("heartbeat"), last_seen_at=self.now - HOUR)
        health = self._ask()
        self.assertEqual(health.status_code, 503)
        states = {watch["key"]: watch["state"] for watch in health.json()["watches"]}
        self.assertEqual(states["heartbeat"], "late")

    def test_what_is_archived_alarms_no_monitor(self):
        self._get_watch(PROCESS).active = False
        self.job.active = False
        self.assertEqual(self._ask().status_code, 200)

    def test_only_with_the_token(self):
        token = self.company.billing_health_token
        for wrong in ("", "x", token[:-1], token + "x", "é"):
            answer = self._ask(wrong)
            self.assertEqual(answer.status_code, 404)
            self.assertNotIn("watches", answer.text)
        header = {"Authorization": f"Bearer {token}"}
        self.assertEqual(self._ask("", headers=header).status_code, 200)
        self.wizard.with_user(self.manager).action_renew()
        self.assertNotEqual(self.company.billing_health_token, token)
        self.assertEqual(self._ask(token).status_code, 404, "replaced")

    def test_without_a_token_nobody_reads(self):
        self.company.billing_health_token = False
        for token in ("", "False", "None"):
            self.assertEqual(self._ask(token).status_code, 404)

    def test_each_company_has_its_own(self):
        other = self.env["res.company"].create({"name": "Other"})
        other._renew_health_token()
        deal = self._create_deal()
        self._create_quotation(deal)
        handoff = self._win(deal)
        self._set_time(handoff, write_date=self.now - 2 * HOUR)
        self.assertEqual(self._ask().status_code, 503)
        self.assertEqual(self._ask(other.billing_health_token).status_code, 200)

    def test_a_manager_makes_the_address(self):
        outsider = new_test_user(
            self.env,
            login="health_outsider",
            groups="base.group_user,crm_billing_handoff.group_billing_manager",
            company_id=self.company.id,
        )
        other = self.env["res.company"].create({"name": "Other"})
        wizards = self.env["crm.billing.health.address"]
        with self.assertRaises(AccessError):
            wizards.with_user(self.clerk).create({})
        with self.assertRaises(AccessError):
            wizards.with_user(outsider).create({"company_id": other.id}).action_renew()
        self.assertFalse(other.billing_health_token)
        with self.assertRaises(AccessError):
            self.company.with_user(self.clerk).read(["billing_health_token"])


@tagged("post_install", "-at_install")
class TestWatchTour(WatchMixin, BillingHandoffCommon, HttpCase):
    def test_the_menu_tells_of_silence(self):
        """Idea 6: every opening of the menu looks, whatever runs or does not."""
        self.env.ref(PROCESS.removeprefix("job:")).active = False
        self.env.flush_all()

        self.start_tour(
            "/odoo/billing-accounts",
            "billing_manager_hears_of_silence",
            login=self.manager.login,
        )

        self.env.invalidate_all()
        self._assert_alarm(PROCESS, "off")
        self.assertTrue(self.company.billing_health_token)
