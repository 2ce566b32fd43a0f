from odoo.tests import tagged

from .common import BillingHandoffCommon


@tagged("post_install", "-at_install")
class TestTwoFactor(BillingHandoffCommon):
    """People of Billing who sign in without a second factor are shown (I4)."""

    def test_who_lacks_it(self):
        users = self.env["res.users"]
        lacking = users.search([("billing_lacks_two_factor", "=", True)])
        self.assertLessEqual(self.clerk | self.manager, lacking)
        self.assertNotIn(self.seller, lacking)
        self.assertTrue(self.clerk.billing_lacks_two_factor)

        self.clerk.sudo().totp_secret = "secret"
        self.env.flush_all()
        self.env.invalidate_all()
        lacking = users.search([("billing_lacks_two_factor", "=", True)])
        self.assertNotIn(self.clerk, lacking)
        self.assertIn(
            self.clerk, users.search([("billing_lacks_two_factor", "=", False)])
        )
        self.assertFalse(self.clerk.billing_lacks_two_factor)

    def test_core_s_policy_is_offered_and_the_count_shown(self):
        settings = self.env["res.config.settings"].create({"auth_totp_enforce": True})
        settings.auth_totp_policy = "employee_required"
        settings.execute()
        policy = self.env["ir.config_parameter"].sudo().get_param("auth_totp.policy")
        self.assertEqual(policy, "employee_required")
        self.assertGreaterEqual(settings.billing_no_two_factor_count, 2)
