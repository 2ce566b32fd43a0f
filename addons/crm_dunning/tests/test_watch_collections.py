from datetime import timedelta
from unittest.mock import patch

from odoo.fields import Command
from odoo.tests import tagged
from odoo.tools import mute_logger

from odoo.addons.crm_billing_handoff.tests.watch_common import (
    DAY,
    HOUR,
    MINUTE,
    WatchMixin,
)

from .charge_common import ChargeCommon
from .common import DunningCommon

CANARY_LOGGER = "odoo.addons.crm_dunning.models.crm_dunning_canary"


@tagged("post_install", "-at_install")
class TestWatchProvider(WatchMixin, ChargeCommon):
    """Each path to the provider broken on purpose, and seen to be well again."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.provider.dunning_polled_at = cls.now
        cls.company.alias_domain_id = cls.env["mail.alias.domain"].create(
            {"name": "collections.example.com"}
        )

    def setUp(self):
        super().setUp()
        self.now = type(self).now
        self.env["crm.billing.watch"]._seen("canary", self.company, self.now)

    def _receive(self, source, created_at, event_id="evt_1"):
        return self.env["crm.dunning.provider.event"].create(
            {
                "provider_id": self.provider.id,
                "event_id": event_id,
                "type": "payment_intent.succeeded",
                "object_id": "pi_1",
                "source": source,
                "created_at": created_at,
                "received_at": created_at,
                "state": "done",
            }
        )

    def test_all_is_well(self):
        self._watch()
        companies = (False, self.company.id)
        bad = self.env["crm.billing.watch"].search(
            [("is_alarm", "=", True), ("company_id", "in", companies)]
        )
        self.assertEqual(bad.mapped("key"), [])

    def test_the_jobs_of_collections_are_watched(self):
        self._watch()
        for name in ("ir_cron_follow_up", "ir_cron_charge", "ir_cron_reconcile"):
            self._assert_clear(f"job:crm_dunning.{name}")

    def test_the_job_that_books_payments(self):
        key = "job:payment.cron_post_process_payment_tx"
        job = self.env.ref(key.removeprefix("job:"))
        job.active = False
        self._watch()
        self._assert_alarm(key, "off")
        job.active = True
        self._watch()
        self._assert_clear(key)

    def test_a_silent_webhook_after_a_charge(self):
        attempt = self._charge(self._create_invoice())
        self.assertEqual(attempt.state, "succeeded")
        attempt.sent_at = self.now - 30 * MINUTE
        self._watch()
        self._assert_clear("webhook", self.company)
        attempt.sent_at = self.now - 2 * HOUR
        self._watch()
        self._assert_alarm("webhook", "late", self.company)
        self._receive("webhook", self.now - HOUR)
        self._watch()
        watch = self._assert_clear("webhook", self.company)
        self.assertEqual(watch.last_seen_at, self.now - HOUR)

    def test_a_silent_webhook_found_by_asking(self):
        self._receive("webhook", self.now - 3 * DAY)
        self._receive("poll", self.now - 2 * HOUR, "evt_2")
        self._watch()
        self._assert_alarm("webhook", "late", self.company)
        self._receive("core", self.now - MINUTE, "evt_3")
        self._watch()
        self._assert_clear("webhook", self.company)

    def test_asking_that_does_not_work(self):
        self.provider.dunning_polled_at = self.now - 2 * HOUR
        self._watch()
        self._assert_alarm("poll", "late", self.company)
        self.provider.dunning_polled_at = self.now - MINUTE
        self._watch()
        self._assert_clear("poll", self.company)

    def test_events_that_nobody_works_off(self):
        event = self._receive("webhook", self.now - 2 * HOUR)
        event.state = "failed"
        self._watch()
        self._assert_alarm("events", "failed", self.company)
        event.state = "done"
        self._watch()
        self._assert_clear("events", self.company)

    def test_charging_without_a_webhook_secret(self):
        self.provider.write(
            {"stripe_webhook_secret": False, "dunning_webhook_secrets": False}
        )
        self._watch()
        watch = self._assert_alarm("charging", "off", self.company)
        self.assertIn("secret", watch.message)
        self.provider.stripe_webhook_secret = "whsec_local"
        self._watch()
        self._assert_clear("charging", self.company)

    def test_a_copied_database_with_a_live_key(self):
        fingerprint = self.provider.dunning_database
        with patch.object(type(self.provider), "_is_live", lambda provider: True):
            self.provider.dunning_database = "another"
            self._watch()
            watch = self._assert_alarm("charging", "off", self.company)
            self.assertIn("copy", watch.message)
            self.provider.dunning_database = fingerprint
            self._watch()
            self._assert_clear("charging", self.company)

    def test_a_payment_that_is_not_booked(self):
        invoice = self._create_invoice()
        transaction = self.env["payment.transaction"].create(
            {
                "provider_id": self.provider.id,
                "payment_method_id": self.token.payment_method_id.id,
                "operation": "online_direct",
                "reference": invoice.name,
                "amount": invoice.amount_residual,
                "currency_id": invoice.currency_id.id,
                "partner_id": self.account.id,
                "invoice_ids": [Command.set(invoice.ids)],
            }
        )
        transaction._set_done()
        self._set_time(transaction, last_state_change=self.now - 10 * MINUTE)
        self._watch()
        self._assert_clear("booking", self.company)
        self._set_time(transaction, last_state_change=self.now - 9 * DAY)
        self._watch()
        watch = self._assert_alarm("booking", "late", self.company)
        self.assertEqual(watch.link["ids"], transaction.ids)
        transaction._post_process()
        self._watch()
        self._assert_clear("booking", self.company)
        self.assertPaid(invoice)

    def test_an_outcome_that_nobody_knows(self):
        self.stripe.fault("drop_after", "payment_intents/*/confirm")
        self.stripe.fault("drop_before", "payment_intents/*", method="GET", times=9)
        attempt = self._charge(self._create_invoice())
        self.assertEqual(attempt.state, "verifying")
        self._set_time(attempt, create_date=self.now - HOUR)
        self._watch()
        self._assert_clear("outcomes", self.company)
        self._set_time(attempt, create_date=self.now - 3 * HOUR)
        self._watch()
        self._assert_alarm("outcomes", "failed", self.company)
        self.stripe.clear_faults()
        attempt._send(self.now)
        self._watch()
        self._assert_clear("outcomes", self.company)

    def test_a_debit_that_does_not_end(self):
        attempt = self._charge(self._create_invoice())
        attempt.state = "processing"
        self._set_time(attempt, create_date=self.now - 30 * DAY)
        self._watch()
        self._assert_alarm("debits", "late", self.company)
        attempt.state = "succeeded"
        self._watch()
        self._assert_clear("debits", self.company)

    def test_money_that_differs(self):
        attempt = self._charge(self._create_invoice(amount=100.0))
        self._watch()
        self._assert_clear("money", self.company)
        self.assertTrue(attempt.transaction_id.payment_id)
        attempt.amount = 90.0
        self._watch()
        watch = self._assert_alarm("money", "failed", self.company)
        self.assertEqual(watch.link["ids"], attempt.ids)
        attempt.amount = 100.0
        self._watch()
        self._assert_clear("money", self.company)

    def test_a_decline_that_was_paid_all_the_same(self):
        attempt = self._charge(self._create_invoice())
        attempt.state = "declined"
        self._watch()
        self._assert_alarm("money", "failed", self.company)
        attempt.state = "succeeded"
        self._watch()
        self._assert_clear("money", self.company)

    def test_an_amount_that_the_provider_reports(self):
        invoice = self._create_invoice()
        case = self.env["crm.dunning.case"]._open_for(invoice)
        case._take_over("mismatch", "90 instead of 100")
        self._watch()
        self._assert_alarm("money", "failed", self.company)
        case._close("settled")
        self._watch()
        self._assert_clear("money", self.company)

    def test_a_reminder_that_does_not_leave(self):
        notice = self.env["crm.dunning.notice"].create(
            {
                "partner_id": self.account.id,
                "company_id": self.company.id,
                "currency_id": self.currency.id,
                "date": self.now.date(),
            }
        )
        self._watch()
        self._assert_clear("reminders", self.company)
        self._set_time(notice, create_date=self.now - 3 * HOUR)
        self._watch()
        self._assert_alarm("reminders", "late", self.company)
        notice.state = "sent"
        self._watch()
        self._assert_clear("reminders", self.company)

    def test_a_reminder_that_is_to_leave_later(self):
        """Written at night for the morning: nothing is wrong with it."""
        message = self.env["mail.message"].create({"body": "x"})
        mail = self.env["mail.mail"].create(
            {
                "mail_message_id": message.id,
                "scheduled_date": self.now + 5 * HOUR,
            }
        )
        notice = self.env["crm.dunning.notice"].create(
            {
                "partner_id": self.account.id,
                "company_id": self.company.id,
                "currency_id": self.currency.id,
                "date": self.now.date(),
                "message_id": message.id,
            }
        )
        self._set_time(notice, create_date=self.now - 3 * HOUR)
        self._watch()
        self._assert_clear("reminders", self.company)
        mail.scheduled_date = self.now - 3 * HOUR
        self._watch()
        self._assert_alarm("reminders", "late", self.company)

    def test_replies_that_cannot_come_back(self):
        domain = self.company.alias_domain_id
        self.company.alias_domain_id = False
        self._watch()
        self._assert_alarm("replies", "off", self.company)
        self.company.alias_domain_id = domain
        self._watch()
        self._assert_clear("replies", self.company)


@tagged("post_install", "-at_install")
class TestCanary(WatchMixin, DunningCommon):
    """Idea 6: a trial through the real code that leaves nothing but its heartbeat."""

    def _sing(self, now=None):
        self.env.flush_all()
        with self.enter_registry_test_mode(), self.registry.cursor() as cr:
            self.env(cr=cr)["crm.dunning.canary"]._cron_canary(now or self.now)
        self.env.invalidate_all()

    def _count(self):
        models = (
            "account.move",
            "crm.dunning.attempt",
            "crm.dunning.case",
            "crm.dunning.notice",
            "crm.dunning.policy",
            "ir.cron.trigger",
            "mail.mail",
            "payment.token",
            "payment.transaction",
            "res.partner",
        )
        return {model: self.env[model].search_count([]) for model in models}

    def test_it_leaves_nothing_but_a_heartbeat(self):
        before = self._count()
        last = self._create_invoice(post=False)
        last.unlink()
        self._sing()
        self.assertEqual(self._count(), before)
        watch = self._get_watch("canary", self.company)
        self.assertEqual(watch.last_seen_at, self.now)

    def _assert_silent(self):
        with mute_logger(CANARY_LOGGER):
            self._sing(self.now + DAY)
        self._watch(self.now + DAY + 3 * HOUR)
        self._assert_alarm("canary", "late", self.company)

    def test_reminders_that_stopped(self):
        self._sing()
        self._watch(self.now + HOUR)
        self._assert_clear("canary", self.company)
        cases = type(self.env["crm.dunning.case"])
        nothing = self.env["crm.dunning.notice"]
        with patch.object(cases, "_apply_follow_up", lambda *args: nothing):
            self._assert_silent()
        self._sing(self.now + DAY)
        self._watch(self.now + DAY + 3 * HOUR)
        self._assert_clear("canary", self.company)

    def test_declines_that_nobody_follows(self):
        self._sing()
        attempts = type(self.env["crm.dunning.attempt"])
        with patch.object(attempts, "_follow_decline", lambda *args: None):
            self._assert_silent()

    def test_code_that_commits_is_stopped(self):
        self._sing()
        cases = type(self.env["crm.dunning.case"])
        before = self._count()
        with patch.object(
            cases, "_apply_follow_up", lambda case, *args: case.env.cr.commit()
        ):
            self._assert_silent()
        self.assertEqual(self._count() | {"mail.mail": 0}, before | {"mail.mail": 0})

    def test_without_an_armed_policy_nothing_is_expected(self):
        self._sing()
        policies = self.env["crm.dunning.policy"].search([("state", "=", "armed")])
        policies.write({"state": "dry_run"})
        self._watch(self.now + timedelta(days=9))
        self.assertFalse(self._get_watch("canary", self.company))
