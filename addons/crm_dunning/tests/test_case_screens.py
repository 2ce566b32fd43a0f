from datetime import timedelta

from lxml import etree

from odoo import fields
from odoo.exceptions import AccessError, UserError
from odoo.fields import Command
from odoo.tests import Form, tagged
from odoo.tools.safe_eval import safe_eval

from .test_case_life import CaseCommon

ACTIONS = ("crm_dunning_case_action", "crm_dunning_case_action_mine")


@tagged("post_install", "-at_install")
class TestCaseScreens(CaseCommon):
    """Each role opens what its menus offer, as the web client does it."""

    def _read(self, record, kind, user):
        seen = record.with_user(user)
        arch = seen.get_views([(False, kind)])["views"][kind]["arch"]
        names = {node.get("name") for node in etree.fromstring(arch).iter("field")}
        return seen.read([name for name in names if name in seen._fields])

    def test_each_role_opens_a_case(self):
        self.case._take_over("overdue", note="Nobody answers")
        for role in ("seller", "clerk", "manager", "accountant"):
            for kind in ("form", "list", "kanban"):
                with self.subTest(f"{role} {kind}"):
                    self.assertTrue(self._read(self.case, kind, self.users[role]))
        with self.assertRaises(AccessError):
            self._read(self.case, "form", self.users["other_seller"])

    def test_an_accountant_opens_the_case_of_a_deal(self):
        self.move.opportunity_ids = self._create_deal()
        self.env.flush_all()
        self.env.invalidate_all()
        for role in ("clerk", "accountant"):
            with (
                self.subTest(role),
                Form(self.case.with_user(self.users[role])) as form,
            ):
                self.assertEqual(form.lead_count, 1 if role == "clerk" else 0)

    def test_each_filter_and_group_works(self):
        for name in ACTIONS:
            action = self.env.ref(f"crm_dunning.{name}")
            arch = self.cases.get_views([(action.search_view_id.id, "search")])
            tree = etree.fromstring(arch["views"]["search"]["arch"])
            for node in tree.iter("filter"):
                with self.subTest(f"{name} {node.get('name')}"):
                    values = {"uid": self.clerk.id, "context_today": fields.Date.today}
                    domain = safe_eval(node.get("domain") or "[]", values)
                    self.cases.with_user(self.clerk).search(domain)
                    context = safe_eval(node.get("context") or "{}", values)
                    if group := context.get("group_by"):
                        self.cases.with_user(self.clerk).web_read_group(
                            domain, [group], ["amount_residual:sum"]
                        )

    def test_the_kanban_has_a_column_for_each_state(self):
        cases = self.cases.with_user(self.clerk).with_context(read_group_expand=True)
        found = cases.web_read_group(
            [("state", "!=", "closed")], ["state"], ["amount_residual:sum"]
        )
        states = [group["state"] for group in found["groups"]]
        for state in ("automatic", "promise", "dispute", "person"):
            self.assertIn(state, states)

    def test_age_is_searched_as_it_is_shown(self):
        for days in (0, 1, 30, 31, 90, 91, 121):
            due = self.today - timedelta(days=days)
            self.cases._open_for(self._create_invoice(due=due))
        cases = self.cases.search(
            [("move_id.commercial_partner_id", "=", self.account.id)]
        )
        for limit in (0, 30, 90):
            for operator, holds in (
                (">", lambda days, limit=limit: days > limit),
                (">=", lambda days, limit=limit: days >= limit),
            ):
                found = self.cases.search([("days_overdue", operator, limit)])
                expected = cases.filtered(
                    lambda case, holds=holds: holds(case.days_overdue)
                )
                with self.subTest(f"{operator} {limit}"):
                    self.assertEqual(found & cases, expected)
        buckets = {case.days_overdue: case.age_bucket for case in cases}
        self.assertEqual(
            [buckets[days] for days in (0, 1, 30, 31, 90, 91, 121)],
            ["0", "1", "1", "2", "3", "4", "5"],
        )

    def test_the_invoice_shows_its_case(self):
        self.case._refresh_next_action(self._later(0))
        move = self.move.with_user(self.seller)
        self.assertEqual(move.dunning_state, "automatic")
        self.assertIn("Reminders", move.dunning_note)
        self.assertFalse(
            self.move.with_user(self.users["other_seller"]).sudo(False).dunning_case_ids
            if self.move.with_user(self.users["other_seller"]).has_access("read")
            else False
        )
        action = move.action_view_dunning_cases()
        self.assertEqual(action["res_id"], self.case.id)
        self._pay(self.move)
        self._wake()
        self.assertEqual(move.dunning_state, "closed")
        self.assertFalse(move.dunning_note)

    def test_invoices_are_found_by_their_case(self):
        view = self.env.ref("crm_dunning.account_move_view_search")
        found = {}
        for node in etree.fromstring(view.arch).iter("filter"):
            domain = safe_eval(node.get("domain"))
            moves = self.env["account.move"].with_user(self.clerk).search(domain)
            found[node.get("name")] = self.move in moves
        self.assertEqual(
            found,
            {"dunning_open": True, "dunning_person": False, "dunning_none": False},
        )

    def test_the_account_shows_cases_and_habits(self):
        self.account.invalidate_recordset()
        account = self.account.with_user(self.clerk)
        self.assertEqual(account.dunning_case_count, 1)
        self.assertEqual(account.dunning_habits, "No invoice paid yet")
        found = self.cases.search(account.action_view_dunning_cases()["domain"])
        self.assertEqual(found, self.case)
        for role in ("seller", "clerk", "accountant"):
            self.assertTrue(self._read(self.account, "form", self.users[role]))

    def test_a_salesperson_sees_the_cases_of_own_deals(self):
        deal = self._create_deal()
        self.move.opportunity_ids = deal
        self.assertEqual(deal.with_user(self.seller).dunning_case_count, 1)
        self.assertEqual(
            deal.search([("dunning_case_ids.state", "=", "automatic")]), deal
        )
        self.assertTrue(self._read(deal, "form", self.seller))

    def test_news_are_chosen_in_the_preferences(self):
        view = self.env.ref("base.view_users_form_simple_modif")
        with Form(self.seller.with_user(self.seller), view) as form:
            form.dunning_news_paid = False
        self.assertFalse(self.seller.dunning_news_paid)
        self.assertTrue(self.seller.dunning_news_failed)

    def test_my_to_do_lists_what_waits_for_me(self):
        self.case._take_over("overdue")
        action = self.env.ref("crm_dunning.mail_activity_action_todo")
        for user, expected in ((self.clerk, self.case), (self.seller, None)):
            domain = safe_eval(action.domain, {"uid": user.id})
            tasks = self.env["mail.activity"].with_user(user).search(domain)
            cases = tasks.filtered(lambda task: task.res_id == self.case.id)
            self.assertEqual(bool(cases), bool(expected))

    def test_the_pay_link_is_that_of_the_invoice(self):
        action = self.case.with_user(self.clerk).action_view_pay_link()
        wizard = (
            self.env["payment.link.wizard"]
            .with_user(self.clerk)
            .with_context(**action["context"])
            .create({})
        )
        self.assertEqual(wizard.amount, 100)
        self.assertIn(f"/my/invoices/{self.move.id}", wizard.link)


@tagged("post_install", "-at_install")
class TestCaseContext(CaseCommon):
    def _pay_on(self, move, day):
        self.env["account.payment.register"].with_context(
            active_model="account.move", active_ids=move.ids
        ).create({"payment_date": day})._create_payments()

    def _create_history(self, *days_late):
        for late in days_late:
            due = self.today - timedelta(days=100)
            move = self._create_invoice(due=due)
            self._pay_on(move, due + timedelta(days=late))
        self.env.invalidate_all()

    def test_the_story_of_a_case(self):
        self.case.action_promise(self.today + timedelta(days=3), 40)
        self._pay(self.move, 40)
        self._wake()
        self.case._take_over("overdue", note="Nobody answers")
        self.move.message_post(
            body="We will pay soon",
            author_id=self.account.billing_contact_id.id,
            message_type="email",
        )
        self.env.invalidate_all()
        story = self.case.with_user(self.clerk).timeline
        for words in (
            "Case opened",
            "Payment promised",
            "Promise kept",
            "Paid or credited",
            "Taken over by a person",
            "Still overdue after the last reminder",
            "We will pay soon",
        ):
            self.assertIn(words, story)

    def test_what_others_write_is_text(self):
        self.case.action_dispute("<script>alert(1)</script>")
        self.assertNotIn("<script>", self.case.timeline)

    def test_habits(self):
        self._create_history(10, 20, 30)
        self.assertIn("20 days late", self.case.habits_note)
        self.assertIn("3 paid", self.case.habits_note)

    def test_habits_leave_out_credit_notes(self):
        self._create_history(10)
        credited = self._create_invoice(due=self.today - timedelta(days=60))
        self._credit(credited)
        self.env.invalidate_all()
        self.assertIn("1 paid", self.case.habits_note)

    def test_the_next_step_follows_the_reason(self):
        for reason, words in (
            ("overdue", "Call the customer"),
            ("chargeback", "Settle what is disputed"),
            ("no_method", "another payment method"),
            ("unknown", "at the provider"),
            ("reply", "Read what the customer wrote"),
        ):
            case = self.cases._open_for(self._create_invoice())
            case._take_over(reason)
            with self.subTest(reason):
                self.assertIn(words, case.suggestion)

    def test_as_late_as_always_is_waited_for(self):
        self._create_history(30, 30, 30)
        self.case._take_over("overdue")
        self.assertIn("as late as always", self.case.suggestion)

    def test_who_may_charge_now(self):
        self.assertEqual(self.case.charger_note, "The customer, online")
        self.case.next_try_at = self._later(1)
        self.assertIn("The machine", self.case.charger_note)
        self.case.action_dispute("No")
        self.assertIn("Nobody", self.case.charger_note)
        self._pay(self.move)
        self._wake()
        self.assertIn("closed", self.case.charger_note)


@tagged("post_install", "-at_install")
class TestCaseActions(CaseCommon):
    def _create_action(self, state, model):
        return self.env["ir.actions.server"].create(
            {
                "name": state,
                "state": state,
                "model_id": self.env["ir.model"]._get(model).id,
            }
        )

    def _run(self, action, records, user):
        return (
            action.with_user(user)
            .with_context(
                active_model=records._name,
                active_ids=records.ids,
                active_id=records[:1].id,
            )
            .run()
        )

    def test_start_dunning_from_the_menu(self):
        moves = self._create_invoice() | self._create_invoice()
        action = self.env.ref("crm_dunning.account_move_action_start_dunning")
        self._run(action, moves, self.clerk)
        self.assertEqual(len(moves.dunning_case_ids), 2)
        with self.assertRaises(AccessError):
            self._run(action, moves, self.seller)

    def test_take_over_from_the_menu(self):
        action = self.env.ref("crm_dunning.crm_dunning_case_action_take_over")
        self._run(action, self.case, self.clerk)
        self.assertEqual(self.case.owner_id, self.clerk)

    def test_a_verb_on_the_wrong_model_is_refused_in_words(self):
        action = self._create_action("dunning_take_over", "account.move")
        with self.assertRaisesRegex(UserError, "Collections Case"):
            self._run(action, self.move, self.env.user)

    def test_without_groups_the_verb_checks_its_own_rights(self):
        action = self._create_action("dunning_start", "account.move")
        move = self._create_invoice()
        with self.assertRaises(AccessError):
            self._run(action, move, self.seller)
        self.assertFalse(move.dunning_case_ids)

    def test_an_automation_rule_hands_over(self):
        self.env["base.automation"].create(
            {
                "name": "Disputes to a person",
                "model_id": self.env["ir.model"]._get("crm.dunning.case").id,
                "trigger": "on_create_or_write",
                "filter_domain": "[('state', '=', 'retrying')]",
                "action_server_ids": [
                    Command.link(
                        self._create_action("dunning_take_over", "crm.dunning.case").id
                    )
                ],
            }
        )
        self.case.state = "retrying"
        self.assertEqual(self.case.state, "person")
        self.assertEqual(self.case.owner_id, self.clerk)
