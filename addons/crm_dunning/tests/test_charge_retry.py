from datetime import timedelta

from odoo.exceptions import AccessError, UserError
from odoo.tests import tagged

from .charge_common import ChargeCommon


@tagged("post_install", "-at_install")
class TestRetryNow(ChargeCommon):
    """The clerk's “Retry now” takes the same road as the job."""

    def _get_failed_case(self, account=None, token=None):
        token = token or self.token
        self.stripe.decline_with(
            token.stripe_payment_method, "insufficient_funds", times=1
        )
        invoice = self._create_invoice(account)
        self._run_charges()
        return self._get_case(invoice)

    def test_a_clerk_retries_and_it_is_paid(self):
        case = self._get_failed_case()
        case.with_user(self.clerk).action_retry()
        self.assertPaid(case.move_id)
        self.assertEqual(case.state, "closed")
        self.assertEqual(self._get_attempts(case.move_id)[-1].source, "person")

    def test_nobody_else_retries(self):
        case = self._get_failed_case()
        for role in ("seller", "accountant"):
            with self.subTest(role), self.assertRaises(AccessError):
                case.with_user(self.users[role]).action_retry()

    def test_a_case_with_a_person_is_retried_too(self):
        case = self._get_failed_case()
        case.with_user(self.clerk).action_take_over()
        case.with_user(self.clerk).action_retry()
        self.assertPaid(case.move_id)

    def test_what_is_in_the_way_is_said(self):
        case = self._get_failed_case()
        tomorrow = self.today + timedelta(days=1)
        case.with_user(self.clerk).action_promise(date=tomorrow)
        with self.assertRaisesRegex(UserError, "promised to pay"):
            case.with_user(self.clerk).action_retry()
        self.assertEqual(self._count_charges(), 0)

    def test_without_a_method_it_says_so(self):
        invoice = self._create_invoice(self._create_account("Cashwind"))
        case = self.env["crm.dunning.case"]._open_for(invoice)
        with self.assertRaisesRegex(UserError, "no saved method"):
            case.with_user(self.clerk).action_retry()

    def test_two_clicks_charge_once(self):
        case = self._get_failed_case()
        attempts = self.attempts._start(case.move_id, "person", self.now)
        with self.assertRaisesRegex(UserError, "under way"):
            case.with_user(self.clerk).action_retry()
        attempts._send(self.now)
        self.assertEqual(self._count_charges(), 1)

    def test_a_closed_case_is_not_charged(self):
        case = self._get_failed_case()
        case.with_user(self.clerk).action_retry()
        with self.assertRaises(UserError):
            case.with_user(self.clerk).action_retry()
        self.assertEqual(self._count_charges(), 1)

    def test_of_many_those_are_charged_that_can_be(self):
        cases = self._get_failed_case()
        other = self._create_account("Cashwind")
        cases |= self.env["crm.dunning.case"]._open_for(self._create_invoice(other))
        for number in range(4):
            account = self._create_account(f"Account {number}")
            token = self._create_token(account)
            cases |= self._get_failed_case(account, token)
        cases.with_user(self.clerk).action_retry()
        self._reconcile(self.now + timedelta(minutes=3))
        self.assertEqual(self._count_charges(), 5)
        open_cases = cases.filtered(lambda case: case.state != "closed")
        self.assertEqual(open_cases.partner_id, other)

    def test_the_attempt_is_nobodys_to_write(self):
        case = self._get_failed_case()
        attempt = self._get_attempts(case.move_id)
        for role in ("seller", "clerk", "manager"):
            with self.assertRaises(AccessError):
                attempt.with_user(self.users[role]).write({"state": "cancelled"})

    def test_a_charge_that_was_not_made_leaves_the_plan(self):
        """Lost, then found never sent: the case does not stay in verifying."""
        case = self._get_failed_case()
        attempt = self.attempts._start(case.move_id, "person", self.now)
        self.stripe.fault("drop_before", "*", times=50)
        attempt._send(self.now)
        self.stripe.clear_faults()
        self.assertRecordValues(case, [{"state": "verifying", "next_try_at": False}])
        self.token.active = False
        self._reconcile(self.now + timedelta(minutes=5))
        self.assertEqual(attempt.state, "cancelled")
        self.assertEqual(case.state, "retrying")
        self.assertTrue(case.next_try_at)
        self.token.active = True
        self._run_charges(case.next_try_at)
        self.assertPaid(case.move_id)
