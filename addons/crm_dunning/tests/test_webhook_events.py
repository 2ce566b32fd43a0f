from datetime import timedelta

from odoo import fields
from odoo.tests import tagged

from .webhook_common import WebhookCommon


@tagged("post_install", "-at_install")
class TestWebhookEvents(WebhookCommon):
    """Payments, refunds, disputes: what an event makes us look at, and what follows."""

    def setUp(self):
        super().setUp()
        self._subscribe()
        self.invoice = self._create_invoice(amount=80.0)

    def _get_payments(self):
        return self.env["account.payment"].search(
            [("payment_transaction_id.invoice_ids", "in", self.invoice.ids)]
        )

    def _pay(self, method="pm_card_visa"):
        """Pay on the portal and let the webhook tell; return transaction and intent."""
        transaction, intent = self._pay_on_portal(self.invoice, method)
        self._bring()
        self._work()
        return transaction, intent

    # === PAYMENTS OF THE PORTAL === #

    def test_payment_of_the_portal_is_booked_once(self):
        transaction, intent = self._pay_on_portal(self.invoice)
        self.assertEqual(transaction.state, "draft")
        self._bring(copies=3)
        self._work()
        self.assertEqual(transaction.state, "done")
        self.assertEqual(transaction.provider_reference, intent)
        self.assertIn(self.invoice.payment_state, ("paid", "in_payment"))
        self._bring(copies=2)
        self._work()
        self.assertEqual(len(self._get_payments()), 1)

    def test_declined_payment_of_the_portal_stays_open(self):
        transaction, _intent = self._pay("pm_card_visa_chargeDeclined")
        self.assertEqual(transaction.state, "error")
        self.assertEqual(self.invoice.payment_state, "not_paid")

    def test_late_failure_after_success_changes_nothing(self):
        """The body says it failed; at Stripe the payment stands."""
        transaction, intent = self._pay()
        late = self._event(
            "payment_intent.payment_failed",
            id="evt_late",
            data={
                "object": {
                    "id": intent,
                    "object": "payment_intent",
                    "status": "requires_payment_method",
                    "description": transaction.reference,
                }
            },
        )
        self._send(late)
        self._work()
        self.assertEqual(transaction.state, "done")
        self.assertEqual(transaction.provider_reference, intent)
        self.assertIn(self.invoice.payment_state, ("paid", "in_payment"))

    def test_another_payment_never_takes_the_place_of_the_first(self):
        transaction, intent = self._pay()
        again = self._create_intent(description=transaction.reference)
        self.stripe.pay(again["id"], "pm_card_visa_chargeDeclined")
        self._bring()
        self._work()
        self.assertEqual(transaction.provider_reference, intent)
        self.stripe.pay(again["id"], "pm_card_visa")
        self._bring()
        self._work()
        self.assertEqual(transaction.provider_reference, intent)
        self.assertEqual(len(self._get_payments()), 1)
        self.assertEqual(self._get_case(self.invoice).reason, "mismatch")

    def test_order_means_nothing(self):
        transaction, _intent = self._pay_on_portal(self.invoice)
        events = self.stripe.signed_events()[::-1]
        for event in events:
            self.url_open(
                self._route(), data=event["body"].encode(), headers=event["headers"]
            )
        self._work()
        self.assertEqual(transaction.state, "done")
        self.assertEqual(len(self._get_payments()), 1)

    def test_foreign_payment_is_ignored(self):
        intent = self._create_intent(description="Order 7 of a web shop")
        self.stripe.pay(intent["id"])
        self._bring()
        self._work()
        rows = self.inbox.search([("provider_id", "=", self.provider.id)])
        self.assertEqual(set(rows.mapped("state")), {"ignored"})

    def _create_intent(self, **values):
        client = self.provider._get_stripe_client()
        ways = {"enabled": True, "allow_redirects": "never"}
        return client.v1.payment_intents.create(
            {
                "amount": 8000,
                "currency": self.invoice.currency_id.name.lower(),
                "automatic_payment_methods": ways,
                **values,
            }
        )

    # === SEPA === #

    def test_sepa_debit_settles_days_later_and_is_taken_back(self):
        transaction, intent = self._pay_sepa()
        self.assertEqual(transaction.state, "pending")
        self.stripe.settle(intent, "")
        self._bring()
        self._work()
        self.assertEqual(transaction.state, "done")
        self.assertIn(self.invoice.payment_state, ("paid", "in_payment"))
        self.stripe.open_dispute(intent, "debit_not_authorized")
        self._bring()
        self._work()
        # A debit that was taken back is not contested: it is lost at once.
        self.assertEqual(self.invoice.dunning_dispute_state, "lost")
        case = self._get_case(self.invoice)
        self.assertEqual((case.state, case.reason), ("person", "chargeback"))

    def test_sepa_debit_that_fails_late(self):
        transaction, intent = self._pay_sepa()
        self.stripe.settle(intent, "insufficient_funds")
        self._bring()
        self._work()
        self.assertEqual(transaction.state, "error")
        self.assertEqual(self.invoice.payment_state, "not_paid")

    def _pay_sepa(self):
        euro = self.env.ref("base.EUR")
        euro.active = True
        self.invoice = self._create_invoice(amount=80.0, currency_id=euro.id)
        transaction = self.env["payment.transaction"].create(
            {
                "provider_id": self.provider.id,
                "payment_method_id": self.env.ref(
                    "payment.payment_method_sepa_direct_debit"
                ).id,
                "operation": "online_direct",
                "reference": self.invoice.name,
                "amount": 80.0,
                "currency_id": euro.id,
                "partner_id": self.account.id,
                "invoice_ids": self.invoice.ids,
            }
        )
        intent = transaction._stripe_create_intent()
        self.stripe.pay(intent["id"], "pm_success_de")
        self._bring()
        self._work()
        return transaction, intent["id"]

    # === DISPUTES === #

    def test_dispute_stops_everything_and_asks_a_person(self):
        _transaction, intent = self._pay()
        dispute = self.stripe.open_dispute(intent, "product_not_received")
        self._bring(copies=2)
        self._work()
        row = self.env["crm.dunning.dispute"].search(
            [("move_ids", "=", self.invoice.id)]
        )
        due = dispute["evidence_details"]["due_by"]
        self.assertRecordValues(
            row,
            [
                {
                    "dispute_ref": dispute["id"],
                    "amount": 80.0,
                    "reason": "product_not_received",
                    "status": "needs_response",
                    "funds": "withdrawn",
                    "is_open": True,
                    "evidence_due_at": fields.Datetime.to_datetime("1970-01-01")
                    + timedelta(seconds=due),
                }
            ],
        )
        self.assertEqual(self.invoice.dunning_dispute_state, "open")
        self.assertEqual(self.invoice.dunning_dispute_amount, 80.0)
        self.assertEqual(self.invoice.dunning_evidence_due_at, row.evidence_due_at)
        case = self._get_case(self.invoice)
        self.assertEqual((case.state, case.reason), ("person", "chargeback"))
        self.assertEqual(case.owner_id, self.clerk)
        # The ledger still says paid: only the dispute tells that the money is gone.
        self.assertIn(self.invoice.payment_state, ("paid", "in_payment"))
        notes = self.invoice.message_ids.filtered(lambda one: "disputed" in one.body)
        self.assertEqual(len(notes), 1)

    def test_dispute_that_is_won(self):
        _transaction, intent = self._pay()
        dispute = self.stripe.open_dispute(intent)
        self.stripe.close_dispute(dispute["id"], "won")
        self._bring()
        self._work()
        row = self.env["crm.dunning.dispute"].search(
            [("move_ids", "=", self.invoice.id)]
        )
        self.assertEqual((row.status, row.funds), ("won", "reinstated"))
        self.assertEqual(self.invoice.dunning_dispute_state, "won")
        self.assertFalse(self._get_case(self.invoice))

    def test_case_of_a_dispute_that_is_won_closes_by_itself(self):
        _transaction, intent = self._pay()
        dispute = self.stripe.open_dispute(intent)
        self._bring()
        self._work()
        case = self._get_case(self.invoice)
        self.stripe.close_dispute(dispute["id"], "won")
        self._bring()
        self._work()
        self.assertEqual((case.state, case.close_reason), ("closed", "paid"))
        self.assertFalse(case.activity_ids)
        self.assertTrue(case.message_ids.filtered(lambda one: "is won" in one.body))

    def test_dispute_that_is_lost_needs_a_decision(self):
        _transaction, intent = self._pay()
        dispute = self.stripe.open_dispute(intent)
        self._bring()
        self._work()
        self.stripe.close_dispute(dispute["id"], "lost")
        self._bring()
        self._work()
        row = self.env["crm.dunning.dispute"].search(
            [("move_ids", "=", self.invoice.id)]
        )
        self.assertEqual((row.status, row.funds), ("lost", "withdrawn"))
        self.assertEqual(self.invoice.dunning_dispute_state, "lost")
        self.assertTrue(row.closed_at)
        self.assertEqual(self._get_case(self.invoice).reason, "chargeback")

    def test_fraud_warning_asks_a_person(self):
        _transaction, intent = self._pay()
        self.stripe.warn_of_fraud(intent)
        self._bring()
        self._work()
        case = self._get_case(self.invoice)
        self.assertEqual((case.state, case.reason), ("person", "fraud"))

    # === REFUNDS === #

    def _refund_at_stripe(self, intent, amount=None):
        refund = self.stripe.refund(intent, amount)
        self._bring()
        self._work(fields.Datetime.now() + timedelta(minutes=5))
        return refund

    def test_refund_at_stripe_is_seen_once(self):
        transaction, intent = self._pay()
        refund = self._refund_at_stripe(intent, 3000)
        self._bring(copies=3)
        self._work(fields.Datetime.now() + timedelta(minutes=10))
        child = transaction.child_transaction_ids
        self.assertRecordValues(
            child,
            [
                {
                    "operation": "refund",
                    "amount": -30.0,
                    "provider_reference": refund["id"],
                    "state": "done",
                }
            ],
        )
        self.assertRecordValues(
            child.payment_id,
            [{"payment_type": "outbound", "amount": 30.0}],
        )
        case = self._get_case(self.invoice)
        self.assertEqual((case.state, case.reason), ("person", "refund"))
        self.assertTrue(
            self.invoice.message_ids.filtered(lambda one: "refunded" in one.body)
        )

    def test_two_refunds_of_one_payment(self):
        transaction, intent = self._pay()
        self._refund_at_stripe(intent, 3000)
        self._refund_at_stripe(intent, 5000)
        amounts = transaction.child_transaction_ids.mapped("amount")
        self.assertEqual(sorted(amounts), [-50.0, -30.0])

    def test_young_refund_may_be_our_own(self):
        """Stripe tells of a refund before whoever made it in Odoo has committed."""
        transaction, intent = self._pay()
        self.stripe.refund(intent)
        self._bring()
        self._work()
        self.assertFalse(transaction.child_transaction_ids)
        waiting = self.inbox.search([("state", "=", "new")])
        self.assertTrue(waiting)
        self.assertEqual(set(waiting.mapped("tries")), {0})
        self._work(fields.Datetime.now() + timedelta(minutes=5))
        self.assertEqual(len(transaction.child_transaction_ids), 1)

    def test_refund_of_core_is_not_noted_again(self):
        transaction, _intent = self._pay()
        child = transaction._refund(25.0)
        self.assertEqual(child.state, "done")
        self._bring()
        self._work(fields.Datetime.now() + timedelta(minutes=5))
        self.assertEqual(transaction.child_transaction_ids, child)
        self.assertFalse(self._get_case(self.invoice))

    def test_refund_that_fails_later(self):
        transaction, intent = self._pay()
        refund = self._refund_at_stripe(intent)
        self.stripe.fail_refund(refund["id"])
        self._bring()
        self._work(fields.Datetime.now() + timedelta(minutes=5))
        self.assertEqual(transaction.child_transaction_ids.state, "error")

    # === FAILURES OF THE INBOX ITSELF === #

    def test_outage_keeps_the_event_and_tries_again(self):
        transaction, _intent = self._pay_on_portal(self.invoice)
        self._bring(types=["payment_intent.succeeded"])
        self.stripe.fault("error_before", "payment_intents/*", method="GET", times=1)
        self._work()
        row = self.inbox.search([("type", "=", "payment_intent.succeeded")])
        self.assertEqual((row.state, row.tries), ("failed", 1))
        self.assertIn("500", row.error)
        self._work()
        self.assertEqual(row.state, "failed")  # not before its time
        self._work(row.next_try_at)
        self.assertEqual(row.state, "done")
        self.assertEqual(transaction.state, "done")

    def test_person_is_asked_after_many_failures(self):
        self._pay_on_portal(self.invoice)
        self._bring(types=["payment_intent.succeeded"])
        row = self.inbox.search([("type", "=", "payment_intent.succeeded")])
        self.stripe.fault("error_before", "payment_intents/*", method="GET", times=20)
        tries = 0
        while row.next_try_at:
            self._work(row.next_try_at)
            tries += 1
            self.assertLess(tries, 20)
        self.assertEqual(tries, 9)
        self.assertEqual(row.activity_ids.user_id, self.clerk)
        self.stripe.clear_faults()
        row.with_user(self.clerk).action_process()
        self._work()
        self.assertEqual(row.state, "done")
        self.assertFalse(row.activity_ids)

    def test_one_failure_does_not_hold_up_the_others(self):
        self._send(self._event(id="evt_bad"))
        row = self.inbox.search([("event_id", "=", "evt_bad")])
        row.type = "customer.created"  # a type of an older version
        transaction, _intent = self._pay()
        self.assertEqual(row.state, "failed")
        self.assertEqual(transaction.state, "done")
