import json
from contextlib import contextmanager
from types import SimpleNamespace
from unittest.mock import patch

from odoo.exceptions import AccessError, UserError
from odoo.fields import Command
from odoo.tests import HttpCase, new_test_user, tagged
from odoo.tests.common import JsonRpcException
from odoo.tools import SQL

from odoo.addons.base.models import res_users as base_users
from odoo.addons.crm_billing_handoff.tests.refusal_common import RefusalCommon

from .common import DunningCommon

FRESH = 10**12  # an identity that was checked, and stays so


@tagged("post_install", "-at_install")
class TestArming(RefusalCommon, DunningCommon):
    """From a dry run to the real thing: who, and after what."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.dry = cls._create_policy(state="dry_run", name="Dry", sequence=50)

    @contextmanager
    def _at_the_keyboard(self, checked=True):
        """Act in a browser session, with the identity checked a moment ago or not."""
        session = {"identity-check-last": FRESH if checked else 0}
        request = SimpleNamespace(session=session)
        with patch.object(base_users, "request", request):
            yield

    def _read_backtest(self, policy=None):
        policy = (policy or self.dry).with_user(self.manager)
        backtest = self.env["crm.dunning.backtest"].browse(
            policy.action_backtest()["res_id"]
        )
        backtest.with_user(self.manager).action_read()
        return backtest

    def _arm(self, user=None, checked=True):
        with self._at_the_keyboard(checked):
            return self.dry.with_user(user or self.manager).action_arm()

    # === WHO === #

    def test_a_manager_arms_after_reading_the_back_test(self):
        self._read_backtest()
        self._arm()
        self.assertRecordValues(
            self.dry, [{"state": "armed", "armed_uid": self.manager.id}]
        )
        self.assertTrue(self.dry.armed_at)
        self.assertIn("Armed", self.dry.message_ids[0].body)
        event = self.env["crm.billing.event"].search([("action", "=", "armed")])
        self.assertEqual(event.user_id, self.manager)
        self.assertEqual(event.new_value, "Dry")

    def test_nobody_else_arms_or_disarms(self):
        self._read_backtest()
        for role in ("seller", "clerk", "accountant"):
            with self.subTest(role):
                with self._assert_refused("Only a billing manager"):
                    self._arm(self.users[role])
                with self._assert_refused("Only a billing manager"):
                    self.policy.with_user(self.users[role]).action_disarm()
        self.assertEqual(self.dry.state, "dry_run")
        self.assertEqual(self.policy.state, "armed")

    def test_arming_asks_who_it_is(self):
        self._read_backtest()
        action = self._arm(checked=False)
        self.assertEqual(action["res_model"], "res.users.identitycheck")
        self.assertEqual(self.dry.state, "dry_run")

    def test_no_job_arms(self):
        self._read_backtest()
        with self._assert_refused("only be accessed over HTTP", UserError):
            self.dry.with_user(self.manager).action_arm()
        self.assertEqual(self.dry.state, "dry_run")

    def test_the_state_is_not_written_by_hand(self):
        dry = self.dry.with_user(self.manager)
        for values in (
            {"state": "armed"},
            {"armed_uid": self.manager.id},
            {"armed_digest": "x"},
        ):
            with self.subTest(values), self.assertRaises(AccessError):
                dry.write(values)
        with self.assertRaises(AccessError):
            dry.create({"name": "Born armed", "state": "armed"})
        with self.assertRaises(AccessError):
            dry.with_context(default_state="armed").create({"name": "Armed default"})
        defaults = self.env["ir.default"].with_user(self.manager)
        defaults.set("crm.dunning.policy", "state", "armed", user_id=True)
        self.assertEqual(dry.create({"name": "My default"}).state, "dry_run")
        result = dry.load(["name", "state"], [["Imported", "Armed"]])
        self.assertFalse(result["ids"])

    def test_a_policy_of_another_company_is_out_of_reach(self):
        other = self.env["res.company"].create({"name": "Elsewhere"})
        foreign = self._create_policy(
            name="Foreign", state="dry_run", company_id=other.id, owner_id=False
        )
        with self.assertRaises(AccessError):
            foreign.with_user(self.manager).action_backtest()
        with self.assertRaises(AccessError):
            foreign.with_user(self.manager).action_arm()

    # === AFTER WHAT === #

    def test_it_is_not_armed_unread(self):
        with self._assert_refused("nobody has read its back-test", UserError):
            self._arm()
        self.dry.with_user(self.manager).action_backtest()
        with self._assert_refused("nobody has read its back-test", UserError):
            self._arm()

    def test_another_version_must_be_read_anew(self):
        self._read_backtest()
        step = self.dry.step_ids.filtered(lambda step: step.days == 9)
        for change, undo in (
            (lambda: step.write({"days": 8}), lambda: step.write({"days": 9})),
            (
                lambda: step.write({"tone": "firm"}),
                lambda: step.write({"tone": "neutral"}),
            ),
            (
                lambda: self.dry.write({"min_gap_days": 2}),
                lambda: self.dry.write({"min_gap_days": 1}),
            ),
            (
                lambda: self.dry.write({"retry_days": "1, 2"}),
                lambda: self.dry.write({"retry_days": "1, 3, 5, 7"}),
            ),
        ):
            change()
            self.assertFalse(self.dry.is_backtest_read)
            with self._assert_refused("nobody has read its back-test", UserError):
                self._arm()
            undo()
        self.assertTrue(self.dry.is_backtest_read)
        self.dry.name = "Another name is the same policy"
        self._arm()
        self.assertEqual(self.dry.state, "armed")

    def test_it_needs_steps(self):
        self.dry.step_ids.active = False
        self._read_backtest()
        with self._assert_refused("it has no steps", UserError):
            self._arm()

    def test_it_needs_somebody_for_its_cases(self):
        self.dry.owner_id = False
        self.company.billing_responsible_id = False
        self._read_backtest()
        with self._assert_refused("nobody gets its cases", UserError):
            self._arm()
        self.company.billing_responsible_id = self.clerk
        self._arm()
        self.assertEqual(self.dry.state, "armed")

    def test_a_broken_text_is_named(self):
        template = self.env["mail.template"].create(
            {
                "name": "Kind words",
                "model_id": self.env["ir.model"]._get("crm.dunning.notice").id,
                "subject": "Hello",
                "body_html": "<p>Dear customer</p>",
            }
        )
        step = self.dry.step_ids.filtered(lambda step: step.days == 2)
        step.template_id = template
        self._read_backtest()
        self.assertEqual(self.dry._get_text_problems(), [])
        # As if a field had gone away after the text was written.
        self.env.cr.execute(
            SQL(
                "UPDATE mail_template SET body_html = %s WHERE id = %s",
                json.dumps({"en_US": '<p><t t-out="object.gone"/></p>'}),
                template.id,
            )
        )
        self.env.invalidate_all()
        with self._assert_refused("“Kind words” of step .* cannot be used", UserError):
            self._arm()
        self.assertFalse(
            self.env["crm.dunning.notice"].search([("policy_id", "=", self.dry.id)]),
            "the sample message is taken back",
        )

    def test_charging_asks_the_provider(self):
        self.dry.charge_mode = "due"
        self._read_backtest()
        self.env["payment.provider"].search([]).write({"state": "disabled"})
        with self._assert_refused("nothing to charge", UserError):
            self._arm()

    def test_one_provider_that_may_charge_is_enough(self):
        self.dry.charge_mode = "due"
        self._read_backtest()
        self.env["payment.provider"].search([]).write({"state": "disabled"})
        providers = self.env["payment.provider"].create(
            [
                {"name": name, "state": "test", "allow_tokenization": True}
                for name in ("One", "Other")
            ]
        )
        able = self.env["payment.provider"]

        def check(provider):
            if provider not in able:
                raise UserError(self.env._("It is not ready"))

        with patch.object(type(providers), "_check_can_charge", check):
            with self._assert_refused("It is not ready", UserError):
                self._arm()
            able = providers[-1]
            self._arm()
        self.assertEqual(self.dry.state, "armed")

    # === AFTERWARDS === #

    def test_disarming_is_a_dry_run_again(self):
        self.policy.with_user(self.manager).action_disarm()
        self.assertRecordValues(
            self.policy, [{"state": "dry_run", "armed_uid": False, "armed_at": False}]
        )
        event = self.env["crm.billing.event"].search([("action", "=", "disarmed")])
        self.assertEqual(event.user_id, self.manager)
        self.policy.with_user(self.manager).action_disarm()
        events = self.env["crm.billing.event"].search([("action", "=", "disarmed")])
        self.assertEqual(events, event, "disarming twice changes nothing")

    def test_changes_of_an_armed_policy_are_logged_and_asked_about(self):
        self._read_backtest()
        self._arm()
        self.assertFalse(self.dry.is_changed)
        step = self.dry.step_ids.filtered(lambda step: step.days == 9)
        self.dry.with_user(self.manager).write(
            {
                "step_ids": [Command.update(step.id, {"days": 7})],
                "threshold_ids": [
                    Command.create({"currency_id": self.currency.id, "amount": 12.0})
                ],
            }
        )
        self._wake()
        body = self.dry.message_ids[0].body
        self.assertIn("<s>mail +9: Due date +9, Mail, Neutral</s>", body)
        self.assertIn("<li>mail +9: Due date +7, Mail, Neutral</li>", body)
        self.assertIn("Not below", body)
        self.assertTrue(self.dry.is_changed)
        self.assertEqual(self.dry.activity_ids.user_id, self.manager)
        step.with_user(self.manager).unlink()
        self._wake()
        self.assertEqual(len(self.dry.activity_ids), 1, "asked once")
        self.assertEqual(self.dry.state, "armed")

    def test_a_dry_run_changes_in_silence(self):
        messages = self.dry.message_ids
        self.dry.with_user(self.manager).step_ids[:1].days = -3
        self._wake()
        self.assertEqual(self.dry.message_ids, messages)
        self.assertFalse(self.dry.activity_ids)

    def test_who_armed_it_is_not_copied_and_a_new_policy_is_dry(self):
        fresh = self.env["crm.dunning.policy"].with_user(self.manager)
        fresh = fresh.create({"name": "Fresh"})
        self.assertEqual(fresh.state, "dry_run")


@tagged("post_install", "-at_install")
class TestArmingInTheBrowser(HttpCase):
    """The password is asked for between the button and the arming."""

    def test_the_button_asks_for_the_password_first(self):
        user = new_test_user(
            self.env,
            "arming_manager",
            groups="crm_billing_handoff.group_billing_manager",
            email="arming@example.com",
        )
        self.env.company.billing_responsible_id = user
        policy = self.env.ref("crm_dunning.policy_default").copy(
            {"company_id": self.env.company.id}
        )
        as_user = policy.with_user(user)
        backtest = self.env["crm.dunning.backtest"].browse(
            as_user.action_backtest()["res_id"]
        )
        backtest.with_user(user).action_read()
        self.authenticate("arming_manager", "arming_manager")

        def call(model, ids, method, **context):
            return self.make_jsonrpc_request(
                f"/web/dataset/call_button/{model}/{method}",
                {
                    "model": model,
                    "method": method,
                    "args": [ids],
                    "kwargs": {"context": context},
                },
            )

        action = call("crm.dunning.policy", policy.ids, "action_arm")
        self.assertEqual(action["res_model"], "res.users.identitycheck")
        self.assertEqual(policy.state, "dry_run")
        wizard = [action["res_id"]]
        with self.assertRaises(JsonRpcException):
            call("res.users.identitycheck", wizard, "run_check", password="wrong")
        self.assertEqual(policy.state, "dry_run")
        call("res.users.identitycheck", wizard, "run_check", password="arming_manager")
        policy.invalidate_recordset()
        self.assertRecordValues(policy, [{"state": "armed", "armed_uid": user.id}])
