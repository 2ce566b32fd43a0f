from datetime import date, timedelta
from unittest.mock import patch

from odoo.fields import Datetime
from odoo.tests import tagged

from ..dunning_rules import caps, declines
from .charge_common import ChargeCommon

at = Datetime.to_datetime


@tagged("post_install", "-at_install")
class TestDeclines(ChargeCommon):
    """What a decline allows, and what follows by itself."""

    def _decline(self, code, times=0, **more):
        self.stripe.decline_with(
            self.token.stripe_payment_method, code, times=times, **more
        )

    def _fail(self, code, **more):
        """Let a due charge fail; return its invoice, case and attempt."""
        self._decline(code, **more)
        invoice = self._create_invoice()
        self._run_charges()
        return invoice, self._get_case(invoice), self._get_attempts(invoice)

    # === WHAT IS KEPT === #

    def test_all_that_the_bank_said_is_kept(self):
        _invoice, case, attempt = self._fail(
            "do_not_honor",
            network_decline_code="05",
            network_advice_code="02",
            advice_code="try_again_later",
        )
        self.assertRecordValues(
            attempt,
            [
                {
                    "state": "declined",
                    "code": "card_declined",
                    "decline_code": "do_not_honor",
                    "advice_code": "try_again_later",
                    "network_decline_code": "05",
                    "network_advice_code": "02",
                    "outcome_type": "issuer_declined",
                    "outcome_reason": "do_not_honor",
                    "http_status": 402,
                    "card_brand": "visa",
                    "decline_class": "generic",
                }
            ],
        )
        self.assertTrue(attempt.charge.startswith("ch_"))
        self.assertTrue(attempt.sudo().card_fingerprint)
        self.assertEqual(case.first_failure_at, attempt.settled_at)
        self.assertEqual(case.decline_class, "generic")

    def test_our_payment_is_cancelled_after_a_decline(self):
        _invoice, _case, attempt = self._fail("generic_decline")
        self.assertEqual(self.stripe.get(attempt.payment_intent)["status"], "canceled")
        self.assertRecordValues(
            attempt.transaction_id,
            [{"state": "error", "provider_reference": attempt.payment_intent}],
        )

    # === SOFT === #

    def test_tries_follow_on_days_1_3_5_7_then_a_person(self):
        """Soft decline on 3 November: 4, 6, 8, 10 November, then the person."""
        first = at("2026-11-03 09:00:00")
        self._decline("insufficient_funds")
        invoice = self._create_invoice(due=first.date())
        self.policy.armed_at = at("2026-10-01 00:00:00")
        moment = first
        while moment < first + timedelta(days=9):
            self._run_charges(moment)
            moment += timedelta(hours=6)
        attempts = self._get_attempts(invoice)
        days = [attempt.settled_at.date() for attempt in attempts]
        self.assertEqual(days, [date(2026, 11, day) for day in (3, 4, 6, 8, 10)])
        case = self._get_case(invoice)
        self.assertRecordValues(
            case, [{"state": "person", "reason": "retries", "next_try_at": False}]
        )
        self.assertEqual(case.owner_id, self.clerk)
        self.assertEqual(self._count_charges(), 0)

    def test_a_retry_that_pays_closes_the_case(self):
        invoice, case, attempt = self._fail("insufficient_funds", times=1)
        self.assertEqual(case.state, "retrying")
        self._run_charges(attempt.settled_at + timedelta(days=1, minutes=1))
        self.assertPaid(invoice)
        self.assertEqual(case.state, "closed")
        self.assertEqual(self._get_attempts(invoice).mapped("source"), ["due", "retry"])

    def test_any_other_payment_ends_the_tries(self):
        invoice, case, attempt = self._fail("insufficient_funds")
        self.env["account.payment.register"].with_context(
            active_model="account.move", active_ids=invoice.ids
        ).create({})._create_payments()
        self.env.cr.flush()
        self.assertFalse(case.next_try_at)
        self._run_charges(attempt.settled_at + timedelta(days=1, minutes=1))
        self.assertEqual(self._get_attempts(invoice), attempt)

    def test_a_part_payment_lowers_the_next_try(self):
        invoice, _case, attempt = self._fail("insufficient_funds", times=1)
        self.env["account.payment.register"].with_context(
            active_model="account.move", active_ids=invoice.ids
        ).create({"amount": 60.0})._create_payments()
        self._run_charges(attempt.settled_at + timedelta(days=1, minutes=1))
        self.assertEqual(self._get_attempts(invoice)[-1].amount, 40.0)
        self.assertPaid(invoice)

    def test_an_unknown_code_gets_two_tries(self):
        self.policy.armed_at = at("2026-10-01 00:00:00")
        first = at("2026-11-03 09:00:00")
        self._decline("something_new")
        invoice = self._create_invoice(due=first.date())
        for day in range(10):
            self._run_charges(first + timedelta(days=day))
        self.assertEqual(len(self._get_attempts(invoice)), 3)
        self.assertEqual(self._get_case(invoice).reason, "retries")

    # === HARD === #

    def test_a_hard_decline_is_never_tried_again(self):
        """Every class that forbids it: no second charge of that card, whoever asks."""
        for code in (
            "expired_card",
            "lost_card",
            "fraudulent",
            "stop_payment_order",
            "do_not_try_again",
            "authentication_required",
        ):
            with self.subTest(code):
                account = self._create_account(f"Account {code}")
                token = self._create_token(account)
                self.stripe.decline_with(token.stripe_payment_method, code, times=1)
                invoice = self._create_invoice(account)
                for day in (0, 1, 2, 9):
                    self._run_charges(self.now + timedelta(days=day))
                self.assertEqual(len(self._get_attempts(invoice)), 1)
                with self.assertRaisesRegex(Exception, "Nothing was charged"):
                    self._get_case(invoice).with_user(self.clerk).action_retry()
                found = declines.classify(declines.Decline(decline_code=code))
                self.assertEqual(bool(token.dunning_blocked_class), found.blocks_token)

    def test_fraud_goes_to_a_person_at_once_and_tells_nobody(self):
        invoice, case, _attempt = self._fail("fraudulent")
        self.assertRecordValues(case, [{"state": "person", "reason": "fraud"}])
        self.assertFalse(
            self.env["crm.dunning.notice"].search([("move_id", "=", invoice.id)])
        )

    def test_a_hard_decline_goes_to_a_person_the_same_day(self):
        _invoice, case, _attempt = self._fail("expired_card")
        self.assertRecordValues(case, [{"state": "person", "reason": "declined"}])

    def test_the_policy_may_leave_the_customer_some_days(self):
        self.policy.hard_patience_days = 3
        _invoice, case, attempt = self._fail("expired_card")
        self.assertEqual(case.state, "automatic")
        self._run_charges(attempt.settled_at + timedelta(days=2))
        self.assertEqual(case.state, "automatic")
        self._run_charges(attempt.settled_at + timedelta(days=3))
        self.assertRecordValues(case, [{"state": "person", "reason": "declined"}])

    def test_a_locked_card_is_locked_wherever_it_is_saved(self):
        number = "4000056655665556"
        account = self._create_account("Eastwind")
        twin = self._create_token(account, number=number)
        attempt = self._charge(self._create_invoice(account))
        self.assertEqual(attempt.state, "succeeded")
        again = self._create_token(account, number=number)
        again.card_fingerprint = twin.card_fingerprint
        self.stripe.decline_with(again.stripe_payment_method, "lost_card")
        self._charge(self._create_invoice(account))
        self.assertTrue(twin.dunning_blocked_class)

    def test_a_new_method_is_tried_by_itself(self):
        self.policy.hard_patience_days = 5
        invoice, case, _attempt = self._fail("lost_card")
        self.assertFalse(case.next_try_at)
        self._create_token(self.account, number="4000056655665556")
        self.assertTrue(case.next_try_at)
        self._run_charges(self.now + timedelta(hours=1))
        self.assertPaid(invoice)

    def test_a_renewed_card_is_tried_once_more(self):
        self.policy.hard_patience_days = 5
        invoice, case, attempt = self._fail("expired_card", times=1)
        self.token.card_changed_at = attempt.settled_at + timedelta(hours=1)
        case.next_try_at = attempt.settled_at + timedelta(hours=1)
        self._run_charges(attempt.settled_at + timedelta(days=1))
        self.assertPaid(invoice)

    def test_without_a_method_a_planned_try_goes_to_a_person(self):
        _invoice, case, attempt = self._fail("insufficient_funds")
        self.token.active = False
        self._run_charges(attempt.settled_at + timedelta(days=1, minutes=1))
        self.assertRecordValues(
            case,
            [{"state": "person", "reason": "no_method", "next_try_at": False}],
        )

    def test_what_the_limits_forbid_waits_or_goes_to_a_person(self):
        self._decline("generic_decline")
        for _number in range(caps.HARD.per_card):
            self._charge(self._create_invoice(amount=1.0))
        for days, state in ((0, "person"), (28, "retrying")):
            now = self.now + timedelta(days=days)
            invoice = self._create_invoice(due=now.date())
            self._run_charges(now)
            self.assertFalse(self._get_attempts(invoice))
            case = self._get_case(invoice)
            self.assertEqual(case.state, state)
        self.assertGreater(case.next_try_at, self.now + timedelta(days=29))

    def test_one_broken_invoice_stops_nobody(self):
        """Whatever breaks: it is logged, and the others are charged."""
        good, bad, other = (self._create_invoice() for _number in range(3))
        token_of = type(bad)._get_dunning_token

        def break_one(move):
            if move == bad:
                raise ZeroDivisionError
            return token_of(move)

        with (
            patch.object(type(bad), "_get_dunning_token", break_one),
            self.assertLogs("odoo.addons.crm_dunning", "ERROR"),
        ):
            self._run_charges()
        self.assertPaid(good)
        self.assertPaid(other)
        self.assertFalse(self._get_attempts(bad))

    # === LIMITS === #

    def test_no_card_is_charged_more_than_the_networks_allow(self):
        """15 tries of one card in 30 days, whatever the policy, over all invoices."""
        self.policy.write({"retry_days": "1, 2, 3, 4, 5, 6, 7", "max_tries": 8})
        self.policy.armed_at = at("2026-09-01 00:00:00")
        self._decline("insufficient_funds")
        first = at("2026-10-05 09:00:00")
        for shift in range(4):
            self._create_invoice(due=first.date() + timedelta(days=shift))
        for day in range(30):
            self._run_charges(first + timedelta(days=day))
        sent = [
            attempt.settled_at
            for attempt in self.attempts.search([("token_id", "=", self.token.id)])
        ]
        for moment in sent:
            within = [
                one for one in sent if moment - caps.HARD.card_span <= one <= moment
            ]
            self.assertLessEqual(len(within), caps.HARD.per_card)
        self.assertEqual(len(self._get_failures()), len(sent))

    def test_no_invoice_is_charged_more_than_eight_times(self):
        invoice = self._create_invoice()
        self._decline("generic_decline")
        for day in range(caps.HARD.per_invoice + 3):
            moment = self.now + timedelta(days=2 * day)
            self._charge(invoice, "person", moment)
        self.assertEqual(len(self._get_attempts(invoice)), caps.HARD.per_invoice)

    def test_failures_on_the_pay_page_count(self):
        invoice = self._create_invoice()
        for number in range(8):
            self.env["payment.transaction"].create(
                {
                    "provider_id": self.provider.id,
                    "payment_method_id": self.token.payment_method_id.id,
                    "operation": "online_token",
                    "token_id": self.token.id,
                    "reference": f"{invoice.name}-{number}",
                    "amount": 100.0,
                    "currency_id": invoice.currency_id.id,
                    "partner_id": self.account.id,
                    "invoice_ids": invoice.ids,
                    "state": "error",
                }
            )
        self.assertFalse(self._charge(invoice, "person"))

    # === DEBITS === #

    def test_a_debit_that_never_ends_is_a_persons_in_the_end(self):
        """The account at the provider is closed: nobody will ever answer."""
        invoice, attempt = self._debit("pm_success_de")
        self.stripe.fault("error_before", "*", method="GET", status=401, times=50)
        self._reconcile(self.now + timedelta(days=20))
        self.assertFalse(attempt.asked_at)
        self._reconcile(self.now + timedelta(days=22))
        self.assertRecordValues(
            self._get_case(invoice), [{"state": "person", "reason": "unknown"}]
        )
        attempt.with_user(self.manager)._give_up()
        self.assertEqual(attempt.state, "cancelled")
        self.assertFalse(invoice._get_busy())

    def test_a_debit_is_under_way_for_days_and_then_pays(self):
        invoice, attempt = self._debit("pm_success_de")
        self.assertEqual(attempt.state, "processing")
        self.assertEqual(attempt.transaction_id.state, "pending")
        self._run_charges(self.now + timedelta(days=2))
        self.assertEqual(self._get_attempts(invoice), attempt)
        self.stripe.settle(attempt.payment_intent)
        self._reconcile(self.now + timedelta(days=6))
        self.assertPaid(invoice)

    def test_a_debit_that_fails_late_is_presented_once_more(self):
        invoice, attempt = self._debit("pm_insufficientFunds_de")
        self.stripe.settle(attempt.payment_intent)
        later = self.now + timedelta(days=5)
        self._reconcile(later)
        self.assertRecordValues(
            attempt, [{"state": "declined", "decline_class": "sepa_funds"}]
        )
        case = self._get_case(invoice)
        self.assertGreaterEqual((case.next_try_at - later).days, 5)

    def test_a_dead_mandate_is_never_used_again(self):
        invoice, attempt = self._debit("pm_debitNotAuthorized_de")
        self.stripe.settle(attempt.payment_intent)
        self._reconcile(self.now + timedelta(days=5))
        self.assertEqual(attempt.decline_class, "sepa_dead")
        self.assertFalse(attempt.token_id.active)
        self.assertEqual(self._get_case(invoice).state, "person")

    def _debit(self, method):
        euro = self.env.ref("base.EUR")
        euro.active = True
        account = self._create_account("Westwind")
        self._create_token(account, method)
        invoice = self._create_invoice(account, currency_id=euro.id)
        self._run_charges()
        return invoice, self._get_attempts(invoice)

    def test_given_back_by_a_person_it_stays_given_back(self):
        _invoice, case, attempt = self._fail("expired_card")
        case.with_user(self.clerk).action_release(9)
        for minutes in (15, 24 * 60):
            self._run_charges(attempt.settled_at + timedelta(minutes=minutes))
            self.assertEqual(case.state, "automatic")

    def test_what_is_left_of_the_plan_follows_a_dispute_and_a_person(self):
        _invoice, case, attempt = self._fail("insufficient_funds")
        planned = case.next_try_at
        case.with_user(self.clerk).action_dispute("Wrong price")
        self.assertFalse(case.next_try_at)
        case.with_user(self.clerk).action_resolve_dispute()
        self.assertRecordValues(case, [{"state": "retrying", "next_try_at": planned}])
        case.with_user(self.clerk).action_take_over()
        case.with_user(self.clerk).action_release(9)
        self.assertRecordValues(case, [{"state": "retrying", "next_try_at": planned}])

    def test_given_back_after_the_last_try_nothing_is_tried(self):
        self.policy.retry_days = "1"
        _invoice, case, attempt = self._fail("insufficient_funds")
        self._run_charges(attempt.settled_at + timedelta(days=1, minutes=1))
        self.assertRecordValues(case, [{"state": "person", "reason": "retries"}])
        case.with_user(self.clerk).action_release(9)
        self.assertRecordValues(case, [{"state": "automatic", "next_try_at": False}])
