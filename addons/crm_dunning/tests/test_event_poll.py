from odoo import fields
from odoo.tests import tagged
from odoo.tools import mute_logger

from ..models import payment_provider_events
from ..models.crm_dunning_provider_event import KINDS, to_datetime
from .webhook_common import ProviderCommon

MODULE = "odoo.addons.crm_dunning.models.payment_provider_events"


@tagged("post_install", "-at_install")
class TestEventPoll(ProviderCommon):
    """Asking for events: what no webhook has brought comes all the same."""

    def _poll(self, now=None):
        self._run("payment.provider", "_cron_poll_events", now or fields.Datetime.now())

    def _work(self):
        now = fields.Datetime.add(fields.Datetime.now(), minutes=5)
        self._run("crm.dunning.provider.event", "_cron_process_events", now)

    def test_lost_webhook_is_made_good(self):
        invoice = self._create_invoice(amount=80.0)
        transaction, _intent = self._pay_on_portal(invoice)
        self._poll()
        self._work()
        self.assertEqual(transaction.state, "done")
        self.assertIn(invoice.payment_state, ("paid", "in_payment"))
        rows = self.inbox.search([("provider_id", "=", self.provider.id)])
        self.assertEqual(set(rows.mapped("source")), {"poll"})

    def test_asking_again_changes_nothing(self):
        self._pay_on_portal(self._create_invoice(amount=80.0))
        self._poll()
        count = self.inbox.search_count([])
        self.assertTrue(count)
        self._poll()
        self._poll()
        self.assertEqual(self.inbox.search_count([]), count)

    def test_what_the_webhook_brought_is_known(self):
        self._subscribe()
        self._pay_on_portal(self._create_invoice(amount=80.0))
        [event] = self.stripe.signed_events(types=["payment_intent.succeeded"])
        self.inbox._receive(self.provider, [self.stripe.get(event["id"])], "webhook")
        self._poll()
        row = self.inbox.search([("event_id", "=", event["id"])])
        self.assertEqual(row.source, "webhook")

    def test_pages_are_read_to_the_end(self):
        for _number in range(4):
            self._pay_on_portal(self._create_invoice(amount=10.0))
        self.patch(payment_provider_events, "PAGE", 2)
        self._poll()
        succeeded = self.inbox.search([("type", "=", "payment_intent.succeeded")])
        self.assertEqual(len(succeeded), 4)
        self.assertGreaterEqual(len(self.stripe.journal("GET", "events")), 2)

    def test_it_goes_on_where_it_stopped_with_an_overlap(self):
        self._pay_on_portal(self._create_invoice(amount=80.0))
        self._poll()
        until = self.provider.dunning_events_until
        newest = max(
            event["created"]
            for event in self.stripe.find("event")
            if event["type"] == "payment_intent.succeeded"
        )
        self.assertEqual(until, to_datetime(newest))
        self.assertEqual(
            self.provider._get_poll_start(fields.Datetime.now()),
            fields.Datetime.subtract(until, hours=1),
        )

    def test_after_a_month_off_it_asks_for_what_stripe_still_lists(self):
        now = fields.Datetime.now()
        self.provider.dunning_events_until = fields.Datetime.subtract(now, days=90)
        self.assertEqual(
            self.provider._get_poll_start(now), fields.Datetime.subtract(now, days=29)
        )

    @mute_logger(MODULE)
    def test_interrupted_run_starts_over(self):
        """Stripe lists from new to old: what was not read is older than what was."""
        for _number in range(3):
            self._pay_on_portal(self._create_invoice(amount=10.0))
        self.stripe.fault("error_before", "events", method="GET", times=1)
        self._poll()
        self.assertFalse(self.provider.dunning_events_until)
        self.assertFalse(self.provider.dunning_polled_at)
        self._poll()
        succeeded = self.inbox.search([("type", "=", "payment_intent.succeeded")])
        self.assertEqual(len(succeeded), 3)
        self.assertTrue(self.provider.dunning_polled_at)

    @mute_logger(MODULE)
    def test_one_account_that_fails_does_not_stop_the_others(self):
        other = self.provider.copy({"stripe_secret_key": False})
        other.write({"stripe_publishable_key": "pk_test_x"})
        self.env.cr.execute(
            "UPDATE payment_provider SET state = 'test' WHERE id = %s", [other.id]
        )
        other.invalidate_recordset()
        invoice = self._create_invoice(amount=80.0)
        self._pay_on_portal(invoice)
        self._poll()
        self.assertTrue(self.provider.dunning_polled_at)
        self.assertFalse(other.dunning_polled_at)

    def test_missed_events_are_counted(self):
        """How the health page knows that the webhook is silent."""
        self._subscribe()
        self._pay_on_portal(self._create_invoice(amount=80.0))
        self._poll()
        self.assertEqual(self.provider.dunning_missed_count, 0)
        polled = self.inbox.search([("type", "=", "payment_intent.succeeded")])
        polled.received_at = fields.Datetime.add(polled.created_at, minutes=16)
        self.provider.invalidate_recordset(["dunning_missed_count"])
        self.assertEqual(self.provider.dunning_missed_count, 1)
        self.assertFalse(self.provider.dunning_last_webhook_at)

    def test_disabled_provider_is_not_asked(self):
        self.provider.state = "disabled"
        self.stripe.forget_journal()
        self._poll()
        self.assertFalse(self.stripe.journal(path="events"))

    def test_types_fit_one_request(self):
        """Stripe takes at most twenty types at a time."""
        self.assertLessEqual(len(KINDS), 20)
