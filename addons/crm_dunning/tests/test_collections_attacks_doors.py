from datetime import timedelta

from odoo import fields
from odoo.exceptions import AccessError, UserError
from odoo.fields import Command
from odoo.tests import new_test_user, tagged

from .test_collections_attacks import REFUSED, AttackCommon


@tagged("post_install", "-at_install")
class TestMachineFieldDoors(AttackCommon):
    """The same wall for a call, a default of the context and a default of one's own."""

    def test_leases_disputes_and_links_of_an_invoice(self):
        values = {
            "dunning_collector": "person",
            "dunning_collector_until": "2099-01-01 00:00:00",
            "dunning_outcome": "paid",
            "dunning_dispute_state": "won",
            "dunning_dispute_amount": 1.0,
            "dunning_evidence_due_at": "2099-01-01 00:00:00",
            "dunning_undelivered": "x@example.com",
            "dunning_attempt_ids": [Command.clear()],
            "is_dunning_fee": True,
        }
        for user in (self.clerk, self.manager, self.accountant):
            for name, value in values.items():
                with self.subTest(f"{user.login} {name}"):
                    with self.assertRaises(AccessError):
                        self._call(user, self.move, "write", {name: value})

    def test_defaults_of_the_context(self):
        line = {
            "product_id": self.product.id,
            "price_unit": 5.0,
            "tax_ids": [Command.clear()],
        }
        values = {
            "move_type": "out_invoice",
            "partner_id": self.account.id,
            "invoice_line_ids": [Command.create(line)],
        }
        context = {
            "default_dunning_collector": "person",
            "default_dunning_collector_until": "2099-01-01 00:00:00",
            "default_dunning_dispute_state": "open",
        }
        try:
            ids = self._call(
                self.accountant,
                self.env["account.move"],
                "create",
                [values],
                context=context,
            )
        except REFUSED:
            ids = []
        moves = self.env["account.move"].browse(ids)
        self.assertFalse(any(moves.mapped("dunning_collector")))
        self.assertFalse(any(moves.mapped("dunning_dispute_state")))

    def test_defaults_of_ones_own(self):
        defaults = self.env["ir.default"].with_user(self.accountant)
        for name, value in (
            ("dunning_collector", "person"),
            ("dunning_dispute_state", "open"),
        ):
            defaults.set("account.move", name, value, user_id=self.accountant.id)
        self.env["ir.default"].with_user(self.manager).set(
            "payment.transaction", "outcome_unknown", True, user_id=self.manager.id
        )
        move = self._create_invoice(post=False).with_user(self.accountant)
        copied = move.copy()
        made = self.env["account.move"].with_user(self.accountant)
        made = made.create({"move_type": "out_invoice", "partner_id": self.account.id})
        for one in (copied, made):
            self.assertFalse(one.dunning_collector or one.dunning_dispute_state)
        self.assertFalse(self._create_transaction(self.manager).outcome_unknown)

    def test_a_default_invents_no_unknown_payment(self):
        """It would keep an invoice from being charged for as long as it is asked."""
        try:
            made = self._create_transaction(self.manager, default_outcome_unknown=True)
        except REFUSED:
            return
        self.assertFalse(made.outcome_unknown)

    def _create_transaction(self, user, **context):
        methods = self.env["payment.method"].with_context(active_test=False)
        transactions = self.env["payment.transaction"].with_user(user)
        return transactions.with_context(**context).create(
            {
                "provider_id": self.provider.id,
                "payment_method_id": methods.search([], limit=1).id,
                "reference": f"typed {len(context)}",
                "amount": 1.0,
                "currency_id": self.currency.id,
                "partner_id": self.account.id,
            }
        )

    def test_a_saved_method_is_not_typed(self):
        token = self._create_token()
        values = {
            "dunning_blocked_class": False,
            "dunning_blocked_at": False,
            "card_changed_at": "2099-01-01 00:00:00",
            "exp_year": 2099,
            "partner_id": self.foreign.id,
        }
        for user in (self.seller, self.clerk, self.manager, self.accountant):
            for name, value in values.items():
                with self.subTest(f"{user.login} {name}"):
                    with self.assertRaises(AccessError):
                        self._call(user, token, "write", {name: value})


@tagged("post_install", "-at_install")
class TestSalesDoors(AttackCommon):
    """What Sales sees and decides of how an account is collected."""

    def test_terms_of_collections_are_walled(self):
        values = {
            "dunning_policy_id": self.policy.id,
            "dunning_hold_until": "2099-01-01",
            "dunning_token_id": False,
            "dunning_bounced_email": "x@example.com",
        }
        for name, value in values.items():
            for context in ({}, {"default_" + name: value}):
                with self.subTest(f"{name} {context}"):
                    with self.assertRaises(AccessError):
                        self._call(
                            self.seller,
                            self.account,
                            "write",
                            {name: value},
                            context=context,
                        )
            partners = self.env["res.partner"]
            with self.subTest(f"new {name}"):
                try:
                    made = self._call(
                        self.seller,
                        partners,
                        "create",
                        [{"name": "New"}],
                        context={"default_" + name: value},
                    )
                except REFUSED:
                    continue
                self.assertFalse(partners.browse(made)[name])

    def test_other_sellers_see_nothing_of_an_account(self):
        self._get_samples("crm.dunning.notice")
        attempts = self._get_samples("crm.dunning.attempt")
        attempts.write({"state": "declined", "decline_code": "stolen_card"})
        self.env["crm.billing.event"]._log(
            [
                {
                    "action": "disputed",
                    "partner_id": self.foreign.id,
                    "move_id": self.foreign_move.id,
                    "company_id": self.company.id,
                    "note": "secret",
                }
            ]
        )
        self.env.flush_all()
        for model, name in {
            "crm.billing.timeline": "partner_id",
            "crm.dunning.recovery.report": "partner_id",
            "crm.dunning.case": "partner_id",
            "crm.dunning.attempt": "partner_id",
            "crm.dunning.notice": "partner_id",
            "crm.dunning.fee": "partner_id",
        }.items():
            records = self.env[model].with_user(self.seller)
            with self.subTest(model):
                self.assertFalse(records.search([(name, "=", self.foreign.id)]))
                groups = records.formatted_read_group([], [name], ["__count"])
                names = {group[name] and group[name][0] for group in groups}
                self.assertNotIn(self.foreign.id, names)

    def test_a_domain_tells_nothing_of_foreign_cases(self):
        self.foreign_case.decline_class = "lost_stolen"
        deal = self._create_deal(user_id=self.seller.id)
        self.foreign_move.opportunity_ids = deal
        self.env.flush_all()
        secret = ("decline_class", "=", "lost_stolen")
        for model, domain in (
            ("crm.lead", [("dunning_case_ids", "any", [secret])]),
            ("res.partner", [("dunning_case_ids", "any", [secret])]),
            ("res.partner", [("dunning_case_ids.decline_class", "=", "lost_stolen")]),
        ):
            with self.subTest(f"{model} {domain}"):
                self.assertFalse(self.env[model].with_user(self.seller).search(domain))

    def test_an_allowance_is_for_one_account(self):
        """What a manager allows for one account does not pass for another."""
        self.policy.write({"sales_block": "block", "sales_block_days": 1})
        for account in (self.account, self.foreign):
            due = fields.Date.today() - timedelta(days=9)
            self._create_invoice(account=account, due=due)
        order = self._create_quotation(self._create_deal())
        self._call(self.manager, order, "action_allow_overdue", "They pay on Monday")
        address = self.foreign.id
        values = {
            "partner_id": address,
            "partner_invoice_id": address,
            "partner_shipping_id": address,
        }
        self._call(self.seller, order, "write", values)
        with self.assertRaises(UserError):
            self._call(self.seller, order, "action_confirm")

    def test_a_confirmed_order_does_not_move_to_an_account_that_owes(self):
        self.policy.write({"sales_block": "block", "sales_block_days": 1})
        due = fields.Date.today() - timedelta(days=9)
        self._create_invoice(account=self.foreign, due=due)
        order = self._create_quotation(self._create_deal())
        self._call(self.seller, order, "action_confirm")
        for name in ("partner_id", "partner_invoice_id"):
            with self.subTest(name), self.assertRaises(UserError):
                self._call(self.seller, order, "write", {name: self.foreign.id})

    def test_the_news_of_others_are_theirs(self):
        with self.assertRaises(AccessError):
            self._call(
                self.seller, self.other_seller, "write", {"dunning_news_failed": False}
            )
        self._call(self.seller, self.seller, "write", {"dunning_news_failed": False})
        self.assertFalse(self.seller.dunning_news_failed)
        self.assertTrue(self.other_seller.dunning_news_failed)


@tagged("post_install", "-at_install")
class TestActionDoors(AttackCommon):
    """Verbs called by the wrong role, or on what is not theirs."""

    def test_server_actions_are_billing_s(self):
        for name, record in (
            ("account_move_action_start_dunning", self.move),
            ("crm_dunning_case_action_take_over", self.case),
            ("crm_dunning_case_action_retry", self.case),
        ):
            action = self.env.ref(f"crm_dunning.{name}")
            context = {
                "active_model": record._name,
                "active_id": record.id,
                "active_ids": record.ids,
            }
            for user in (self.employee, self.seller, self.accountant):
                with self.subTest(f"{user.login} {name}"):
                    with self.assertRaises(AccessError):
                        self._call(user, action, "run", context=context)
        self.assertEqual(self.case.state, "automatic")

    def test_dunning_is_started_by_billing(self):
        for user in (self.portal, self.employee, self.seller, self.accountant):
            with self.subTest(user.login), self.assertRaises(AccessError):
                self._call(user, self.move, "action_start_dunning")
        with self.assertRaises(AccessError):
            self._call(self._create_elsewhere(), self.move, "action_start_dunning")

    def test_methods_of_the_flow_are_not_called(self):
        for model, names in {
            "crm.dunning.case": ("_take_over", "_close", "_open_for", "_cron_cases"),
            "crm.dunning.attempt": ("_start", "_send", "_apply", "_give_up"),
            "account.move": ("_answer", "_on_reply", "_write_lease"),
            "payment.provider": ("_arm_charging", "_get_webhook_secrets"),
            "crm.dunning.policy": ("_set_state", "_arm_with_identity"),
        }.items():
            for name in names:
                with self.subTest(f"{model} {name}"), self.assertRaises(AccessError):
                    self._call(self.manager, self.env[model], name)

    def test_previews_are_sent_by_billing_of_the_company(self):
        previews = self.env["crm.dunning.notice.preview"]
        for user in (self.portal, self.employee, self.seller, self.accountant):
            with self.subTest(user.login), self.assertRaises(AccessError):
                self._call(user, previews, "action_open")
        clerk = self._create_elsewhere()
        line = {
            "partner_id": self.account.id,
            "company_id": self.company.id,
            "currency_id": self.currency.id,
            "action": "mail",
        }
        [made] = self._call(
            clerk, previews, "create", [{"line_ids": [Command.create(line)]}]
        )
        preview = previews.browse(made)
        [row] = self._call(clerk, preview.line_ids, "read", ["body", "recipients"])
        self.assertFalse(row["body"] or row["recipients"])
        last = self.env["crm.dunning.notice"].search([], order="id desc", limit=1)
        self._call(clerk, preview, "action_send")
        self.assertFalse(
            self.env["crm.dunning.notice"].search([("id", ">", last.id or 0)])
        )

    def test_an_auditor_opens_an_invoice(self):
        """Who reads the ledger, but no cases, sees none instead of an error."""
        auditor = new_test_user(
            self.env, login="auditor", groups="account.group_account_readonly"
        )
        [row] = self._call(
            auditor, self.move, "read", ["name", "dunning_state", "dunning_note"]
        )
        self.assertEqual(row["name"], self.move.name)
        self.assertFalse(row["dunning_state"] or row["dunning_note"])

    def test_a_salesperson_opens_an_account_with_a_saved_method(self):
        """Which one is charged is hidden from whoever may not read saved methods."""
        token = self._create_token()
        self.account.dunning_token_id = token
        self.env.flush_all()
        self.env.invalidate_all()
        spec = {"name": {}, "dunning_token_id": {"fields": {"display_name": {}}}}
        for user in (self.seller, self.clerk, self.manager, self.accountant):
            with self.subTest(user.login):
                [row] = self._call(user, self.account, "web_read", spec)
                self.assertEqual(row["name"], self.account.name)
                self.assertNotIn("provider_ref", str(row))

    def test_saved_methods_of_another_company(self):
        token = self._create_token(payment_details="4242")
        self.provider.state = "test"
        self.assertIn("4242", token.display_name)
        self.assertIn("4242", self.account.with_user(self.clerk).dunning_methods)
        clerk = self._create_elsewhere()
        self.env.invalidate_all()
        self.assertFalse(self.account.with_user(clerk).dunning_methods)

    def test_the_customer_reads_no_reasons_of_ours_on_an_order(self):
        order = self._create_quotation(self._create_deal())
        self._call(self.manager, order, "action_allow_overdue", "The boss insists")
        self.portal.partner_id.parent_id = self.account
        order.message_subscribe(self.portal.partner_id.ids)
        [row] = self._call(self.portal, order, "read", ["name"])
        self.assertEqual(row["name"], order.name)
        for name in (
            "dunning_allow_reason",
            "dunning_allowed_uid",
            "dunning_allowed_at",
            "dunning_overdue_note",
            "dunning_overdue_level",
            "dunning_case_ids",
        ):
            with self.subTest(name), self.assertRaises(AccessError):
                self._call(self.portal, order, "read", [name])

    def test_letters_are_printed_by_who_reads_them(self):
        own, foreign = self._get_samples("crm.dunning.notice")
        (own | foreign).write({"kind": "letter", "state": "recorded"})
        reports = self.env["ir.actions.report"]
        name = "crm_dunning.letter"
        clerk = self._create_elsewhere()
        for user in (self.portal, self.employee, self.seller, clerk):
            with self.subTest(user.login), self.assertRaises(AccessError):
                reports.with_user(user)._render_qweb_html(name, foreign.ids)
        html, _kind = reports.with_user(self.clerk)._render_qweb_html(name, foreign.ids)
        self.assertIn(self.foreign.name, html.decode())
