import contextlib
from datetime import timedelta

from odoo import fields
from odoo.exceptions import AccessError, UserError
from odoo.fields import Command
from odoo.tests import new_test_user, tagged
from odoo.tools import mute_logger

from odoo.addons.crm_billing_handoff.tests.attack_common import ClientMixin

from .test_dunning_access import AccessCommon

REFUSED = UserError  # AccessError and ValidationError are such


class AttackCommon(ClientMixin, AccessCommon):
    """A saved method, and a company that nobody of ours works in."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.accountant = cls.users["accountant"]
        cls.employee = new_test_user(cls.env, login="nobody", groups="base.group_user")
        cls.elsewhere = cls.env["res.company"].create({"name": "Elsewhere"})

    def _create_token(self, **values):
        """Return a method that the account has saved."""
        methods = self.env["payment.method"].with_context(active_test=False)
        return self.env["payment.token"].create(
            {
                "provider_id": self.provider.id,
                "payment_method_id": methods.search([], limit=1).id,
                "partner_id": self.account.id,
                "provider_ref": "x",
                **values,
            }
        )

    def _create_elsewhere(self):
        """Return a clerk of the other company."""
        return new_test_user(
            self.env,
            login="clerk_elsewhere",
            groups="crm_billing_handoff.group_billing_user",
            company_id=self.elsewhere.id,
            company_ids=[Command.set(self.elsewhere.ids)],
        )


@tagged("post_install", "-at_install")
class TestCollectionsAttacks(AttackCommon):
    """What a role must not see or change, by whatever door it tries."""

    # === ANSWERS OF CUSTOMERS === #

    def test_nobody_speaks_for_the_customer_over_rpc(self):
        """The public method that the mail gateway calls is no door to a case."""
        self.env["crm.dunning.notice.line"].create(
            {
                "notice_id": self._get_samples("crm.dunning.notice")[0].id,
                "company_id": self.company.id,
                "line_id": self._get_line(self.move),
                "move_id": self.move.id,
                "days": 2,
                "kind": "listed",
                "date": fields.Date.today(),
                "currency_id": self.currency.id,
            }
        )
        answer = {
            "author_id": self.account.id,
            "subject": "Re: reminder",
            "body": "<p>This invoice is wrong, we dispute it.</p>",
        }
        headers = {"dunning_headers": {"Precedence": ""}}
        for user in (self.portal, self.employee, self.other_seller, self.clerk):
            for context in ({}, headers):
                self._call(user, self.move, "message_update", answer, context=context)
                with self.subTest(user.login):
                    self.assertEqual(self.case.state, "automatic")
                    self.assertFalse(self.case.replied_at)

    # === TEXTS === #

    def test_texts_of_reminders_are_the_managers(self):
        """They are rendered by the job, with the rights of the job."""
        template = self.env.ref("crm_dunning.mail_template_dunning_firm")
        spy = {"body_html": "<p t-out=\"object.env['res.users'].search_count([])\"/>"}
        for user in (self.employee, self.seller, self.clerk, self.accountant):
            with self.subTest(user.login):
                with self.assertRaises(AccessError):
                    self._call(user, template, "write", spy)
                with self.assertRaises(AccessError):
                    self._call(user, template, "unlink")
                with self.assertRaises(AccessError):
                    self._call(
                        user,
                        template,
                        "update_field_translations",
                        "subject",
                        {"en_US": "Spy"},
                    )
        self._call(self.manager, template, "write", {"subject": "Ours"})
        self.assertEqual(template.subject, "Ours")

    def test_no_text_becomes_one_of_reminders(self):
        model = self.env["ir.model"]._get_id("crm.dunning.notice")
        values = {"name": "Spy", "model_id": model, "subject": "x"}
        templates = self.env["mail.template"]
        for user in (self.seller, self.clerk):
            with self.subTest(user.login), self.assertRaises(AccessError):
                self._call(user, templates, "create", [values])
            other = self.env["ir.model"]._get_id("res.partner")
            [own] = self._call(
                user, templates, "create", [{**values, "model_id": other}]
            )
            with self.subTest(user.login), self.assertRaises(AccessError):
                self._call(user, templates.browse(own), "write", {"model_id": model})

    # === ORDERS OF ACCOUNTS THAT OWE === #

    def test_a_cancelled_order_does_not_slip_past_the_block(self):
        self.policy.write({"sales_block": "block", "sales_block_days": 1})
        today = fields.Date.today()
        self._create_invoice(due=today - timedelta(days=9))
        order = self._create_quotation(self._create_deal())
        order.order_line.price_unit = 5
        with self.assertRaises(UserError):
            self._call(self.seller, order, "action_confirm")
        self._call(self.seller, order, "write", {"state": "cancel"})
        with self.assertRaises(UserError):
            self._call(self.seller, order, "write", {"state": "sale"})

    # === MACHINE FIELDS === #

    def test_whether_money_may_have_moved_is_the_provider_s_to_say(self):
        transaction = self.env["payment.transaction"].create(
            {
                "provider_id": self.provider.id,
                "payment_method_id": self.env["payment.method"]
                .with_context(active_test=False)
                .search([], limit=1)
                .id,
                "reference": "unknown",
                "amount": 1.0,
                "currency_id": self.currency.id,
                "partner_id": self.account.id,
                "outcome_unknown": True,
            }
        )
        for values in ({"outcome_unknown": False}, {"decline_code": "x"}):
            with self.subTest(str(values)), self.assertRaises(AccessError):
                self._call(self.accountant, transaction, "write", values)
        self.assertTrue(transaction.outcome_unknown)

    def test_nobody_arms_a_provider_by_hand(self):
        """An administrator, too, switches charging on with the button."""
        admin = new_test_user(self.env, login="boss", groups="base.group_system")
        values = {
            "dunning_armed": True,
            "dunning_armed_uid": admin.id,
            "dunning_database": "x",
            "dunning_events_until": "2030-01-01 00:00:00",
        }
        for name, value in values.items():
            with self.subTest(name), self.assertRaises(AccessError):
                self._call(admin, self.provider, "write", {name: value})
        with self.assertRaises(AccessError):
            self._call(
                admin,
                self.env["payment.provider"],
                "create",
                [{"name": "Armed", "code": "none", "dunning_armed": True}],
            )
        for user in (self.manager, self.clerk, self.accountant):
            with self.assertRaises(AccessError):
                self._call(user, self.provider, "write", {"dunning_armed": True})

    def test_cases_cannot_be_written_through_their_neighbours(self):
        command = {"state": "closed"}
        doors = {
            "crm_dunning": (self.move, "dunning_case_ids"),
            "base": (self.account, "dunning_case_ids"),
            "crm": (self._create_deal(), "dunning_case_ids"),
        }
        for user in (self.seller, self.clerk, self.manager, self.accountant):
            for record, name in doors.values():
                for order in (
                    Command.update(self.case.id, command),
                    Command.delete(self.case.id),
                    Command.create({"move_id": self.move.id}),
                    Command.link(self.foreign_case.id),
                ):
                    with self.subTest(f"{user.login} {record._name} {order[0]}"):
                        with contextlib.suppress(REFUSED):
                            self._call(user, record, "write", {name: [order]})
                        self.assertEqual(self.case.exists().state, "automatic")
                        self.assertEqual(self.foreign_case.partner_id, self.foreign)

    def test_import_is_no_door(self):
        for user in (self.seller, self.clerk, self.manager):
            cases = self.env["crm.dunning.case"].with_user(user)
            result = cases.load([".id", "state"], [[str(self.case.id), "closed"]])
            with self.subTest(user.login):
                self.assertTrue(result["messages"])
                self.assertEqual(self.case.state, "automatic")
        policies = self.env["crm.dunning.policy"].with_user(self.manager)
        policy = self._create_policy(state="dry_run")
        policies.load([".id", "state"], [[str(policy.id), "armed"]])
        self.assertEqual(policy.state, "dry_run")

    # === WHO MAY ACT === #

    def test_sales_and_ledger_do_not_work_cases(self):
        calls = {
            "action_take_over": (),
            "action_release": (2,),
            "action_close": (),
            "action_promise": (str(fields.Date.today()),),
            "action_dispute": ("No",),
            "action_resolve_dispute": (),
            "action_hold": (str(fields.Date.today()),),
            "action_lift_credit_hold": (),
            "action_retry": (),
        }
        for user in (
            self.portal,
            self.employee,
            self.seller,
            self.other_seller,
            self.accountant,
            self._create_elsewhere(),
        ):
            for name, args in calls.items():
                with self.subTest(f"{user.login} {name}"):
                    with self.assertRaises(REFUSED):
                        self._call(user, self.case, name, *args)

    def test_actions_of_others(self):
        samples = {
            "crm.dunning.attempt": ("action_check", "action_give_up"),
            "crm.dunning.notice": ("action_try_again",),
            "crm.dunning.fee": ("action_waive",),
        }
        clerk = self._create_elsewhere()
        for model, names in samples.items():
            record = self._get_samples(model)[:1]
            for user in (self.portal, self.seller, self.accountant, clerk):
                for name in names:
                    with self.subTest(f"{user.login} {model} {name}"):
                        with self.assertRaises(REFUSED):
                            self._call(user, record, name)
        for user in (self.seller, self.clerk, self.accountant, clerk):
            for name in ("action_arm", "action_disarm", "action_backtest"):
                with self.subTest(f"{user.login} {name}"):
                    with self.assertRaises(REFUSED):
                        self._call(user, self.policy, name)
            for name in ("action_arm_charging", "action_disarm_charging"):
                with self.subTest(f"{user.login} {name}"):
                    with self.assertRaises(REFUSED):
                        self._call(user, self.provider, name)

    # === BAD INPUT === #

    def test_promises_of_nonsense(self):
        today = str(fields.Date.today())
        for amount in (float("nan"), float("inf"), -1.0, 0.0, 1e30):
            with self.subTest(amount), self.assertRaises(UserError):
                self._call(self.clerk, self.case, "action_promise", today, amount)
        for name in ("action_promise", "action_hold"):
            for day in ("9999-12-31", "1900-01-01"):
                with self.subTest(f"{name} {day}"), self.assertRaises(UserError):
                    self._call(self.clerk, self.case, name, day)
        self.assertEqual(self.case.state, "automatic")

    def test_html_of_a_dispute_stays_text(self):
        note = "<img src=x onerror=alert(1)>"
        self._call(self.clerk, self.case, "action_dispute", note)
        self.assertNotIn("<img", self.case.timeline)
        self.assertNotIn("<img", self.case.activity_ids.note or "")

    # === OTHER COMPANIES === #

    def test_dialogs_tell_nothing_of_foreign_cases(self):
        clerk = self._create_elsewhere()
        wizards = self.env["crm.dunning.case.wizard"]
        values = {"kind": "promise", "case_ids": [Command.set(self.case.ids)]}
        with mute_logger("odoo.addons.base.models.ir_rule"):
            try:
                ids = self._call(clerk, wizards, "create", [values])
                [row] = self._call(
                    clerk, wizards.browse(ids), "read", ["amount", "step_id"]
                )
            except REFUSED:
                return
        self.assertFalse(row["amount"])
        self.assertFalse(row["step_id"])

    def test_timeline_of_an_account_of_another_company(self):
        self.foreign.company_id = self.company
        self.foreign.message_post(body="Secret plan", message_type="comment")
        rows = self.env["crm.billing.timeline"].search(
            [("partner_id", "=", self.foreign.id), ("title", "ilike", "Secret plan")]
        )
        self.assertTrue(rows)
        clerk = self._create_elsewhere()
        self.assertFalse(
            self.env["crm.billing.timeline"]
            .with_user(clerk)
            .search([("id", "in", rows.ids)])
        )

    # === SECRETS === #

    def test_secrets_cannot_be_searched_or_grouped(self):
        names = {
            "payment.provider": ("dunning_webhook_secrets", "dunning_database"),
            "payment.token": ("card_fingerprint",),
            "crm.dunning.attempt": ("payload", "card_fingerprint"),
        }
        for model, fields_ in names.items():
            for user in (self.seller, self.clerk, self.manager, self.accountant):
                for name in fields_:
                    records = self.env[model]
                    with self.subTest(f"{user.login} {model} {name}"):
                        with self.assertRaises(AccessError):
                            self._call(
                                user, records, "search_read", [(name, "!=", False)]
                            )
                        with self.assertRaises(AccessError):
                            self._call(
                                user,
                                records,
                                "formatted_read_group",
                                [],
                                [name],
                                ["__count"],
                            )
                        with self.assertRaises(AccessError):
                            self._call(
                                user, records, "search_read", [], ["id"], order=name
                            )

    def test_secrets_cannot_be_guessed_through_links(self):
        """A domain may go through a link; what it meets there stays hidden."""
        self.provider.dunning_webhook_secrets = "whsec_abc"
        attempts = self._get_samples("crm.dunning.attempt")
        self.env["crm.dunning.provider.event"].create(
            {
                "provider_id": self.provider.id,
                "event_id": "evt_1",
                "type": "charge.failed",
                "object_id": "ch_1",
                "source": "poll",
                "received_at": fields.Datetime.now(),
            }
        )
        secret = ("dunning_webhook_secrets", "=like", "whsec_a%")
        for user in (self.seller, self.clerk, self.manager, self.accountant):
            for model in ("crm.dunning.attempt", "crm.dunning.provider.event"):
                for domain in (
                    [("provider_id.dunning_webhook_secrets", "=like", "whsec_a%")],
                    [("provider_id", "any", [secret])],
                ):
                    with self.subTest(f"{user.login} {model} {domain}"):
                        with self.assertRaises(AccessError):
                            self._call(user, self.env[model], "search", domain)
                with self.subTest(f"{user.login} {model} grouped"):
                    with self.assertRaises(REFUSED):
                        self._call(
                            user,
                            self.env[model],
                            "formatted_read_group",
                            [],
                            ["provider_id.dunning_webhook_secrets"],
                            ["__count"],
                        )
        self.assertTrue(attempts)
