from datetime import timedelta

from odoo import fields
from odoo.exceptions import AccessError, UserError
from odoo.tests import tagged

from .common import DunningCommon


class SalesBlockCommon(DunningCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.today = fields.Date.today()
        cls.policy.sales_block = "block"
        cls.deal = cls._create_deal()
        cls.order = cls._create_quotation(cls.deal)
        cls.late = cls._create_invoice(amount=250.0, due=cls.today - timedelta(days=12))
        cls.case = cls.env["crm.dunning.case"]._open_for(cls.late)

    def _confirm(self, user=None):
        self.order.with_user(user or self.seller).action_confirm()


@tagged("post_install", "-at_install")
class TestSalesBlock(SalesBlockCommon):
    def test_deal_and_quotation_show_amount_age_and_case(self):
        order = self.order.with_user(self.seller)
        self.assertEqual(order.dunning_overdue_level, "block")
        self.assertEqual(order.dunning_case_ids, self.case)
        deal = self.deal.with_user(self.seller)
        self.assertEqual(deal.dunning_overdue_case_ids, self.case)
        self.assertEqual(deal.action_view_overdue_cases()["res_id"], self.case.id)
        for note in (
            order.dunning_overdue_note,
            self.deal.with_user(self.seller).dunning_overdue_note,
        ):
            self.assertIn("250.00", note)
            self.assertIn("12 days", note)
        self._pay(self.late)
        self._wake()
        self.env.invalidate_all()
        self.assertFalse(order.dunning_overdue_note or order.dunning_overdue_level)
        self.assertFalse(self.deal.with_user(self.seller).dunning_overdue_note)

    def test_a_colleague_does_not_see_the_case(self):
        order = self.order.sudo().with_user(self.users["other_seller"])
        self.assertFalse(order.sudo(False).dunning_case_ids)

    def test_blocked_for_every_way_of_confirming(self):
        for confirm in (
            self._confirm,
            lambda: self.order.with_user(self.seller).write({"state": "sale"}),
            lambda: self.order.copy({"state": "sale"}),
            self.order.action_confirm,
            self.order.with_context(dunning_acceptance="acceptance").action_confirm,
        ):
            with self.assertRaisesRegex(UserError, "cannot be confirmed"):
                confirm()
        self.assertEqual(self.order.state, "draft")

    def test_paid_it_can_be_confirmed(self):
        self._pay(self.late)
        self._wake()
        self._confirm()
        self.assertEqual(self.order.state, "sale")

    def test_a_manager_allows_it_with_a_reason(self):
        for user in (self.seller, self.clerk):
            with self.assertRaises(AccessError):
                self.order.with_user(user).action_allow_overdue("Prepaid")
        dialog = self.order.with_user(self.manager).action_allow_overdue()
        self.assertEqual(dialog["res_model"], "crm.dunning.order.wizard")
        self.order.with_user(self.manager).action_allow_overdue("Prepaid")
        self.assertEqual(self.order.dunning_allowed_uid, self.manager)
        self._confirm()
        self.assertEqual(self.order.state, "sale")
        events = self.env["crm.billing.event"].search(
            [("action", "in", ("order_allowed", "order_overdue"))], order="id"
        )
        self.assertEqual(events.user_id, self.manager | self.seller)
        self.assertIn("Prepaid", events[0].note)

    def test_nobody_allows_it_by_hand(self):
        for user in (self.seller, self.clerk, self.manager):
            with self.assertRaises(AccessError):
                self.order.with_user(user).write(
                    {"dunning_allowed_at": fields.Datetime.now()}
                )

    def test_a_copy_is_not_allowed(self):
        self.order.with_user(self.manager).action_allow_overdue("Prepaid")
        self.assertFalse(self.order.copy().dunning_allowed_at)

    def test_to_warn_is_not_to_block(self):
        self.policy.sales_block = "warn"
        self.assertEqual(self.order.dunning_overdue_level, "warn")
        self._confirm()
        self.assertEqual(self.order.state, "sale")
        self.assertIn("250.00", self.order.message_ids[:1].body)

    def test_a_dry_run_only_warns(self):
        self.policy.sudo().write({"state": "dry_run"})
        self.assertEqual(self.order.dunning_overdue_level, "warn")
        self._confirm()

    def test_a_policy_that_says_nothing(self):
        self.policy.sales_block = "none"
        self.assertFalse(self.order.dunning_overdue_level)
        self._confirm()

    def test_only_from_so_many_days_on(self):
        self.policy.sales_block_days = 13
        self._confirm()
        self.assertEqual(self.order.state, "sale")

    def test_due_today_is_not_overdue(self):
        self.late.invoice_date_due = self.today
        self.env.flush_all()
        self._confirm()

    def test_what_is_disputed_does_not_block(self):
        self.case.action_dispute("Wrong quantity")
        self._confirm()

    def test_the_payer_counts(self):
        payer = self._create_account("Payer")
        buyer = self._create_account("Buyer", bill_to_id=payer.id)
        self._create_invoice(account=payer, due=self.today - timedelta(days=20))
        deal = self._create_deal(account=buyer)
        order = self._create_quotation(deal)
        self.assertEqual(order.partner_invoice_id.commercial_partner_id, payer)
        self.assertIn("Payer", deal.dunning_overdue_note)
        with self.assertRaisesRegex(UserError, "Payer"):
            order.action_confirm()

    def test_what_the_customer_accepts_online_is_kept(self):
        self.order._validate_order()
        self.assertEqual(self.order.state, "sale")
        task = self.order.activity_ids
        self.assertEqual(task.user_id, self.seller)
        self.assertIn("250.00", task.note)

    def test_what_the_customer_pays_online_is_kept(self):
        provider = self.env["payment.provider"].create(
            {"name": "Test", "code": "none", "state": "test"}
        )
        method = self.env["payment.method"].with_context(active_test=False)
        transaction = self.env["payment.transaction"].create(
            {
                "provider_id": provider.id,
                "payment_method_id": method.search([], limit=1).id,
                "amount": self.order.amount_total,
                "currency_id": self.order.currency_id.id,
                "partner_id": self.account.id,
                "state": "done",
                "sale_order_ids": [fields.Command.set(self.order.ids)],
            }
        )
        transaction._check_amount_and_confirm_order()
        self.assertEqual(self.order.state, "sale")
        self.assertEqual(self.order.activity_ids.user_id, self.seller)

    def test_many_quotations_cost_few_queries(self):
        orders = self.order
        for number in range(12):
            account = self._create_account(f"Account {number}")
            self._create_invoice(account=account, due=self.today - timedelta(days=20))
            orders |= self._create_quotation(self._create_deal(account=account))

        def count(some):
            self.env.flush_all()
            self.env.invalidate_all()
            some.mapped("partner_invoice_id.commercial_partner_id.billing_tz")
            start = self.env.cr.sql_log_count
            some.mapped("dunning_overdue_level")
            return self.env.cr.sql_log_count - start

        one, twelve = count(orders[:1]), count(orders[1:])
        self.assertLess(twelve, one + 12)


@tagged("post_install", "-at_install")
class TestBlockedHandoff(SalesBlockCommon):
    def test_a_won_deal_waits_and_goes_on_when_paid(self):
        gaps = self.deal._get_billing_gaps()[self.deal]
        self.assertIn("overdue", [gap["code"] for gap in gaps])
        handoff = self._win_and_process(self.deal)
        self.assertEqual(handoff.state, "blocked")
        self.assertEqual(self.order.state, "draft")
        [gap] = [gap for gap in handoff.missing if gap["code"] == "overdue"]
        self.assertIn("250.00", gap["why"])
        self._pay(self.late)
        self._wake()
        self.assertTrue(handoff.to_recheck)
        self._run_job()
        self.assertEqual(handoff.state, "done")
        self.assertEqual(self.order.state, "sale")

    def test_a_won_deal_goes_on_when_it_is_allowed(self):
        handoff = self._win_and_process(self.deal)
        self.order.with_user(self.manager).action_allow_overdue("Prepaid")
        self._wake()
        self.assertTrue(handoff.to_recheck)
        self._run_job()
        self.assertEqual(handoff.state, "done")

    def test_what_was_confirmed_before_is_billed(self):
        self.policy.sales_block = "none"
        self._confirm()
        self.policy.sales_block = "block"
        handoff = self._win_and_process(self.deal)
        self.assertEqual(handoff.state, "done")


@tagged("post_install", "-at_install")
class TestCreditHold(SalesBlockCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.policy.sales_block = "none"
        cls.plan = cls.env["crm.billing.plan"].create({"name": "Monthly"})
        cls.agreement = cls._create_agreement()

    @classmethod
    def _create_agreement(cls):
        line = {"product_id": cls.product.id, "plan_id": cls.plan.id, "price_unit": 50}
        agreement = cls.env["crm.billing.agreement"].create(
            {
                "partner_id": cls.account.id,
                "start_date": cls.today,
                "line_ids": [fields.Command.create(line)],
            }
        )
        agreement.action_start()
        return agreement

    def _get_due(self):
        return self.agreement.search(
            self.agreement._get_due_domain(fields.Datetime.now() + timedelta(days=1))
        )

    def test_it_stops_agreements_and_orders_until_paid(self):
        self.assertIn(self.agreement, self._get_due())
        self.case._set_credit_hold()
        self.assertTrue(self.agreement.dunning_hold_at)
        self.assertNotIn(self.agreement, self._get_due())
        with self.assertRaisesRegex(UserError, "credit hold"):
            self._confirm()
        with self.assertRaisesRegex(UserError, "credit hold"):
            self.agreement._check_billable()
        self._pay(self.late)
        self._wake()
        self.assertFalse(self.case.credit_hold_at)
        self.assertFalse(self.agreement.dunning_hold_at)
        self.assertIn(self.agreement, self._get_due())
        self._confirm()
        log = self.env["crm.billing.event"].search(
            [("agreement_id", "=", self.agreement.id)], order="id"
        )
        self.assertEqual(log.mapped("action")[-2:], ["credit_hold", "credit_released"])

    def test_what_a_person_holds_stays_held(self):
        self.account.billing_hold = True
        self.case._set_credit_hold()
        self._pay(self.late)
        self._wake()
        self.assertTrue(self.account.billing_hold)
        with self.assertRaisesRegex(UserError, "billing hold"):
            self.agreement._check_billable()

    def test_another_case_keeps_the_account_on_hold(self):
        other = self.env["crm.dunning.case"]._open_for(
            self._create_invoice(due=self.today - timedelta(days=3))
        )
        (self.case | other)._set_credit_hold()
        self._pay(self.late)
        self._wake()
        self.assertTrue(self.agreement.dunning_hold_at)
        other.with_user(self.clerk).action_lift_credit_hold()
        self.assertFalse(self.agreement.dunning_hold_at)

    def test_an_agreement_that_starts_meanwhile_is_held(self):
        self.case._set_credit_hold()
        later = self._create_agreement()
        self.assertTrue(later.dunning_hold_at)

    def test_the_step_says_what_stops(self):
        step = self.env["crm.dunning.step"].create(
            {
                "policy_id": self.policy.id,
                "name": "Hold",
                "days": 12,
                "action": "hold",
                "hold_scope": "agreements",
            }
        )
        self.case._run_hold(step, fields.Datetime.now())
        self.assertTrue(self.agreement.dunning_hold_at)
        self._confirm()
        self.case._lift_credit_hold()
        step.hold_scope = "orders"
        self.case._run_hold(step, fields.Datetime.now())
        self.assertFalse(self.agreement.dunning_hold_at)
        order = self._create_quotation(self.deal)
        with self.assertRaisesRegex(UserError, "credit hold"):
            order.action_confirm()

    def test_twice_is_once(self):
        self.case._set_credit_hold()
        since = self.case.credit_hold_at
        self.case._set_credit_hold()
        self.assertEqual(self.case.credit_hold_at, since)
        events = self.case.billing_event_ids.filtered(
            lambda event: event.action == "credit_hold"
        )
        self.assertEqual(len(events), 1)

    def test_only_its_own_company(self):
        other = self.env["res.company"].create({"name": "Other"})
        self.case._set_credit_hold()
        self.env["crm.dunning.case"].flush_model()
        overdue = self.account._get_dunning_overdue(other, fields.Datetime.now())
        self.assertEqual(overdue, {})
