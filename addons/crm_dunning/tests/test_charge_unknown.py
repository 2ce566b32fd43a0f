from datetime import timedelta

import stripe

from odoo.tests import tagged

from ..models import stripe_client
from .charge_common import ChargeCommon

CONFIRM = "payment_intents/*/confirm"


@tagged("post_install", "-at_install")
class TestUnknownOutcome(ChargeCommon):
    """A lost answer is no failure: verifying, until it is proven."""

    def _lose(self, path=CONFIRM, kind="drop_after", **more):
        """Charge an invoice whose answer is lost; later questions, too."""
        self.stripe.fault(kind, path, **more)
        self.stripe.fault("drop_before", "payment_intents/*", method="GET", times=2)
        invoice = self._create_invoice()
        self._run_charges()
        self.stripe.clear_faults()
        return invoice, self._get_attempts(invoice)

    def test_verifying_says_nothing_of_a_failure(self):
        invoice, attempt = self._lose()
        case = self._get_case(invoice)
        self.assertEqual(attempt.state, "verifying")
        self.assertRecordValues(
            case,
            [{"state": "verifying", "first_failure_at": False, "next_try_at": False}],
        )
        self.assertEqual(attempt.transaction_id.state, "draft")
        self.assertIn(invoice, invoice._get_dunning_blocks(self.now, "mail"))
        self.assertFalse(
            self.env["crm.dunning.notice"].search([("move_id", "=", invoice.id)])
        )

    def test_no_second_charge_while_it_is_not_known(self):
        invoice, attempt = self._lose()
        for hours in (1, 5, 30):
            moment = self.now + timedelta(hours=hours)
            self.stripe.fault("drop_before", "*", method="GET", times=20)
            self._run_charges(moment)
            self._reconcile(moment)
            self.stripe.clear_faults()
        with self.assertRaisesRegex(Exception, "under way"):
            self._get_case(invoice).with_user(self.clerk).action_retry()
        self.assertEqual(self._get_attempts(invoice), attempt)
        self.assertEqual(self._count_charges(), 1)

    def test_it_resolves_itself(self):
        invoice, attempt = self._lose()
        self._reconcile(self.now + timedelta(minutes=5))
        self.assertEqual(attempt.state, "succeeded")
        self.assertPaid(invoice)
        self.assertEqual(self._count_charges(), 1)
        self.assertFalse(self._get_case(invoice))

    def test_it_resolves_itself_after_the_clock_was_set_back(self):
        invoice, attempt = self._lose()
        self._reconcile(self.now - timedelta(days=2))
        self.assertEqual(attempt.state, "succeeded")
        self.assertPaid(invoice)

    def test_it_resolves_itself_as_a_decline(self):
        self.stripe.decline_with(
            self.token.stripe_payment_method, "insufficient_funds", times=1
        )
        invoice, attempt = self._lose()
        self._reconcile(self.now + timedelta(minutes=5))
        self.assertRecordValues(
            attempt, [{"state": "declined", "decline_code": "insufficient_funds"}]
        )
        self.assertEqual(self._get_case(invoice).state, "retrying")

    def test_after_two_hours_a_person_is_asked_and_asking_goes_on(self):
        invoice, attempt = self._lose()
        self.stripe.fault("drop_before", "*", method="GET", times=50)
        self._reconcile(self.now + timedelta(hours=1))
        case = self._get_case(invoice)
        self.assertEqual(case.state, "verifying")
        self._reconcile(self.now + timedelta(hours=2, minutes=5))
        self.assertRecordValues(case, [{"state": "person", "reason": "unknown"}])
        self.assertEqual(attempt.state, "verifying")
        self.stripe.clear_faults()
        self._reconcile(self.now + timedelta(hours=3))
        self.assertPaid(invoice)
        self.assertEqual(case.state, "closed")

    def test_the_webhook_may_be_faster_than_the_answer(self):
        invoice, attempt = self._lose()
        intent = stripe_client.read_intent(
            self.provider._get_stripe_client(), attempt.payment_intent
        )
        for _copy in range(3):
            attempt._apply(intent)
        self.assertPaid(invoice)
        self.assertEqual(len(invoice.matched_payment_ids), 1)

    def test_a_late_failure_changes_nothing_after_success(self):
        attempt = self._charge(self._create_invoice())
        intent = self.stripe.get(attempt.payment_intent)
        late = {
            **intent,
            "status": "requires_payment_method",
            "last_payment_error": {"code": "card_declined"},
        }
        attempt._apply(late)
        other = {**late, "id": "pi_other"}
        attempt._apply(other)
        attempt.transaction_id._process(
            "stripe", {"reference": attempt.reference, "payment_intent": other}
        )
        self.assertEqual(attempt.state, "succeeded")
        self.assertRecordValues(
            attempt.transaction_id,
            [{"state": "done", "provider_reference": attempt.payment_intent}],
        )

    def test_a_decline_seen_by_webhook_is_cancelled_before_it_is_final(self):
        self.stripe.decline_with(
            self.token.stripe_payment_method, "insufficient_funds", times=1
        )
        invoice = self._create_invoice()
        attempt = self.attempts._start(invoice, "due", self.now)
        client = self.provider._get_stripe_client()
        made = client.v1.payment_intents.create(attempt.payload["create"])
        attempt._keep_intent(made["id"])
        with self.assertRaises(stripe.CardError):
            client.v1.payment_intents.confirm(made["id"], {"off_session": True})
        attempt._apply(stripe_client.read_intent(client, made["id"]))
        self.assertEqual(attempt.state, "sending")
        self._reconcile()
        self.assertEqual(attempt.state, "declined")
        self.assertEqual(self.stripe.get(made["id"])["status"], "canceled")

    def test_another_amount_is_never_booked_silently(self):
        for change in ({"amount_received": 9999}, {"currency": "gbp"}):
            with self.subTest(change):
                invoice, attempt = self._lose()
                intent = stripe_client.read_intent(
                    self.provider._get_stripe_client(), attempt.payment_intent
                )
                attempt._apply({**intent, **change})
                self.assertEqual(attempt.state, "verifying")
                self.assertEqual(attempt.transaction_id.state, "draft")
                self.assertEqual(invoice.amount_residual, 100.0)
                self.assertRecordValues(
                    self._get_case(invoice), [{"state": "person", "reason": "mismatch"}]
                )

    def _pay_unknown(self, invoice):
        """Charged by core, then the process died before its commit."""
        client = self.provider._get_stripe_client()
        made = client.v1.payment_intents.create(
            {
                "amount": 10000,
                "currency": invoice.currency_id.name.lower(),
                "customer": self.token.provider_ref,
                "payment_method": self.token.stripe_payment_method,
                "allowed_payment_method_types": ["card"],
                "description": invoice.name,
                "confirm": True,
                "off_session": True,
            }
        )
        return made["id"]

    def test_money_that_went_back_stops_nothing(self):
        invoice = self._create_invoice()
        intent = self._pay_unknown(invoice)
        self._run_charges()
        case = self._get_case(invoice)
        self.assertRecordValues(case, [{"state": "person", "reason": "mismatch"}])
        self.stripe.refund(intent, 4000)
        case.with_user(self.clerk).action_retry()
        self.assertEqual(self._get_attempts(invoice)[-1].state, "not_sent")
        self.stripe.refund(intent)
        case.with_user(self.clerk).action_retry()
        self.assertPaid(invoice)

    def test_money_that_odoo_does_not_know_stops_the_charge(self):
        invoice = self._create_invoice()
        self._pay_unknown(invoice)
        self._run_charges()
        self.assertEqual(self._count_charges(), 1)
        self.assertEqual(self._get_attempts(invoice).state, "not_sent")
        self.assertRecordValues(
            self._get_case(invoice), [{"state": "person", "reason": "mismatch"}]
        )

    def test_money_that_odoo_does_not_know_stops_core_too(self):
        invoice = self._create_invoice()
        self._pay_unknown(invoice)
        transaction = self.env["payment.transaction"].create(
            {
                "provider_id": self.provider.id,
                "payment_method_id": self.token.payment_method_id.id,
                "operation": "online_token",
                "token_id": self.token.id,
                "reference": f"{invoice.name}-1",
                "amount": 100.0,
                "currency_id": invoice.currency_id.id,
                "partner_id": self.account.id,
                "invoice_ids": invoice.ids,
            }
        )
        transaction._charge_with_token()
        self.assertEqual(transaction.state, "error")
        self.assertEqual(self._count_charges(), 1)
        self.assertEqual(self._get_case(invoice).reason, "mismatch")

    def test_what_the_provider_does_not_accept_goes_to_a_person(self):
        self.token.stripe_payment_method = "pm_gone"
        invoice = self._create_invoice()
        self._run_charges()
        attempt = self._get_attempts(invoice)
        self.assertRecordValues(
            attempt, [{"state": "not_sent", "code": "resource_missing"}]
        )
        self.assertEqual(self._get_case(invoice).state, "person")

    def test_a_wrong_key_is_no_customers_fault(self):
        invoice = self._create_invoice()
        self.provider.with_context(mail_notrack=True).stripe_secret_key = "sk_test_"
        self.provider.dunning_armed = True
        self.stripe.fault("error_before", "payment_intents", status=401, stored=False)
        self._run_charges()
        case = self._get_case(invoice)
        self.assertFalse(case.first_failure_at)
        self.assertNotEqual(case.state, "person")

    def test_a_manager_may_say_that_nothing_was_charged(self):
        self.stripe.fault("drop_before", "payment_intents")
        self.stripe.fault("drop_before", "*", method="GET", times=50)
        invoice = self._create_invoice()
        self._run_charges()
        attempt = self._get_attempts(invoice)
        with self.assertRaisesRegex(Exception, "not in question"):
            attempt.with_user(self.manager)._give_up()
        self._reconcile(self.now + timedelta(hours=3))
        with self.assertRaisesRegex(Exception, "billing manager"):
            attempt.with_user(self.clerk)._give_up()
        attempt.with_user(self.manager)._give_up()
        self.assertEqual(attempt.state, "cancelled")
        self.assertEqual(attempt.transaction_id.state, "cancel")
