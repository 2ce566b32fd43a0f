from unittest.mock import patch

from odoo.exceptions import AccessError, UserError
from odoo.tests import tagged

from ..models import stripe_client
from .charge_common import ChargeCommon

BASE = "crm_dunning.stripe_api_base"
CORE_URL = "https://api.stripe.com/v1/refunds"


@tagged("post_install", "-at_install")
class TestArming(ChargeCommon):
    """When a provider may charge by itself, and where its requests go."""

    def _set_base(self, base):
        self.env["ir.config_parameter"].set_param(BASE, base)

    def _get_addresses(self):
        client = self.provider._get_stripe_client()
        base = client._requestor._options.base_addresses["api"]
        return base, self.provider._build_request_url("refunds")

    # === THE ADDRESS === #

    def test_core_and_library_go_to_the_same_local_stripe(self):
        for base in (
            "http://127.0.0.1:9",
            "http://localhost:9/",
            "http://[::1]:9",
        ):
            self._set_base(base)
            base = base.rstrip("/")
            self.assertEqual(self._get_addresses(), (base, f"{base}/v1/refunds"))

    def test_any_other_address_is_ignored_and_logged(self):
        for base in (
            "http://stripe.example.com",
            "http://localhost.example.com",
            "http://localhost@example.com",
            "http://10.0.0.1",
            "ftp://localhost",
            "localhost:9",
            "http://[",
        ):
            with (
                self.subTest(base),
                self.assertLogs(stripe_client.__name__, "ERROR") as logs,
            ):
                self._set_base(base)
                self.assertEqual(
                    self._get_addresses(), ("https://api.stripe.com", CORE_URL)
                )
            self.assertNotIn("sk_test", "".join(logs.output))

    def test_live_keys_never_go_to_another_address(self):
        for values in (
            {"state": "enabled"},
            {"stripe_secret_key": "sk_live_x"},
            {"stripe_secret_key": "rk_live_x"},
            {"state": "enabled", "stripe_secret_key": "sk_live_x"},
        ):
            with (
                self.subTest(values),
                self.env.cr.savepoint() as undo,
                self.assertLogs(stripe_client.__name__, "ERROR"),
            ):
                self.provider.write(values)
                self.assertEqual(
                    self._get_addresses(), ("https://api.stripe.com", CORE_URL)
                )
                undo.rollback()

    def test_nothing_is_repeated_behind_our_back(self):
        self.assertEqual(
            self.provider._get_stripe_client()._requestor._options.max_network_retries,
            0,
        )

    # === MAY IT CHARGE === #

    def test_a_manager_arms_it(self):
        self.provider._disarm_charging("test")
        for role in ("seller", "clerk", "accountant"):
            with self.subTest(role), self.assertRaises(AccessError):
                self.provider.with_user(self.users[role])._arm_charging()
        self.provider.with_user(self.manager)._arm_charging()
        self.provider._check_can_charge()
        event = self.env["crm.billing.event"].search([], limit=1)
        self.assertRecordValues(
            event, [{"action": "charging_armed", "user_id": self.manager.id}]
        )
        self.assertNotIn(self.provider.dunning_database, str(event.read()))

    def test_arming_is_not_written_by_hand(self):
        self.provider._disarm_charging("test")
        with self.assertRaises(AccessError):
            self.provider.with_user(self.manager).write({"dunning_armed": True})

    def test_what_is_missing_is_said(self):
        debit = self.env.ref("payment.payment_method_sepa_direct_debit")
        self.provider.payment_method_ids -= debit
        for values, text in (
            (
                {"stripe_webhook_secret": False, "dunning_webhook_secrets": False},
                "no webhook signing secret",
            ),
            ({"state": "disabled"}, "it is disabled"),
            ({"stripe_secret_key": "sk_live_x"}, "does not fit its state"),
            ({"capture_manually": True}, "captures by hand"),
            ({"dunning_armed": False}, "does not charge saved methods yet"),
        ):
            with (
                self.subTest(text),
                self.env.cr.savepoint() as undo,
                self.assertRaisesRegex(UserError, text),
            ):
                try:
                    self.provider.write(values)
                    self.provider._check_can_charge()
                finally:
                    undo.rollback()

    def test_another_key_switches_it_off(self):
        self.provider.stripe_secret_key = "sk_test_another"
        self.assertFalse(self.provider.dunning_armed)
        self.provider._arm_charging()
        self.provider.name = "Stripe of ours"
        self.assertTrue(self.provider.dunning_armed)

    def test_a_live_key_on_a_copy_refuses(self):
        self.provider.write({"state": "enabled", "stripe_secret_key": "sk_live_x"})
        with patch.object(type(self.provider), "_test_connection"):
            self.provider._arm_charging()
        self.provider._check_can_charge()
        own = self.provider._get_database_fingerprint()
        with (
            patch.object(
                type(self.provider),
                "_get_database_fingerprint",
                lambda provider: "of another database",
            ),
            self.assertRaisesRegex(UserError, "another database"),
        ):
            self.provider._check_can_charge()
        uuid = "database.uuid"
        self.env["ir.config_parameter"].set_param(uuid, "restored elsewhere")
        self.assertNotEqual(self.provider._get_database_fingerprint(), own)
        with self.assertRaisesRegex(UserError, "another database"):
            self.provider._check_can_charge()

    def test_a_provider_that_does_not_answer_is_not_armed(self):
        self.provider._disarm_charging("test")
        self.stripe.fault("drop_before", "*", method="GET")
        with self.assertRaisesRegex(UserError, "cannot be reached"):
            self.provider._arm_charging()
        self.stripe.fault("error_before", "*", method="GET", status=401, stored=False)
        with self.assertRaisesRegex(UserError, "does not accept"):
            self.provider._arm_charging()
        self.assertFalse(self.provider.dunning_armed)
