from datetime import date

from freezegun import freeze_time

from odoo.exceptions import AccessError, UserError
from odoo.tests import tagged

from odoo.addons.crm_billing_handoff.tests.agreement_common import AgreementCommon

from .leak_common import LeakCommon

TODAY = "2027-06-15"


@tagged("post_install", "-at_install")
@freeze_time(f"{TODAY} 12:00:00")
class TestLeakWaivers(LeakCommon, AgreementCommon):
    """What a manager accepts is not at risk, on record, and can be taken back."""

    def test_a_waiver_needs_a_manager_and_a_reason(self):
        self._create_dated("2027-06-01", 100.0)
        leak = self._find(kind="unsent")
        with self.assertRaises(AccessError):
            leak.waive("Goodwill")
        with self.assertRaises(UserError):
            leak.with_user(self.manager).waive("  ")
        leak.with_user(self.manager).waive("Goodwill")
        self.assertRecordValues(
            self._find(kind="unsent"),
            [{"amount": 0.0, "amount_waived": 100.0, "is_waived": True}],
        )
        event = self.env["crm.billing.event"].search([("action", "=", "leak_waived")])
        self.assertEqual(event.user_id, self.manager)
        self.assertIn("Goodwill", event.note)

    def test_what_comes_on_top_of_a_waiver_is_at_risk_again(self):
        agreement = self._create_agreement(
            start_date=date(2027, 5, 20), price_unit=50.0
        )
        self._find(user=self.manager, kind="agreement").waive("Free month")
        self.assertEqual(self._find(kind="agreement").amount, 0.0)
        with freeze_time("2027-06-25 12:00:00"):
            leak = self._find(kind="agreement")
            self.assertEqual(
                (leak.amount, leak.amount_waived, leak.is_waived), (50.0, 50.0, False)
            )
        agreement.generate_invoices()
        self.assertFalse(self._find(kind="agreement"))

    def test_a_waiver_taken_back_is_at_risk_and_stays_on_record(self):
        self._create_dated("2027-06-01", 100.0)
        waiver = self._find(user=self.manager, kind="unsent").waive("Goodwill")
        waiver.action_take_back()
        self.assertEqual(self._find(kind="unsent").amount, 100.0)
        self.assertEqual(waiver.revoked_uid, self.manager)
        with self.assertRaises(UserError):
            waiver.sudo().unlink()
