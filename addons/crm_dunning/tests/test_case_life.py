from datetime import timedelta

from odoo import fields
from odoo.exceptions import AccessError, UserError
from odoo.tests import tagged

from .common import DunningCommon


class CaseCommon(DunningCommon):
    """An overdue invoice with a case."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.cases = cls.env["crm.dunning.case"]
        cls.today = fields.Date.today()
        cls.move = cls._create_invoice(due=cls.today - timedelta(days=10))
        cls.case = cls.cases._open_for(cls.move)

    def _later(self, days):
        """Return an instant at noon, UTC, some days from now."""
        noon = fields.Datetime.now().replace(hour=12, minute=0, second=0)
        return noon + timedelta(days=days)

    def _run_days(self, days):
        """Run the job of the cases at noon, some days from now, as it does itself."""
        self.env.flush_all()
        with self.enter_registry_test_mode(), self.env.registry.cursor() as cr:
            self.env(cr=cr)["crm.dunning.case"]._cron_cases(self._later(days))
        self.env.invalidate_all()

    def _get_actions(self, case):
        return (
            self.env["crm.billing.event"]
            .search([("dunning_case_id", "=", case.id)], order="id")
            .mapped("action")
        )

    def _undo_payment(self, move):
        lines = move.line_ids.filtered(
            lambda line: line.account_type == "asset_receivable"
        )
        lines.remove_move_reconcile()
        self._wake()

    def _credit(self, move):
        credit = move._reverse_moves([{"invoice_date": self.today}], cancel=True)
        self._wake()
        return credit


@tagged("post_install", "-at_install")
class TestCaseLife(CaseCommon):
    def test_one_open_case_an_invoice(self):
        again = self.cases._open_for(self.move, reason="manual")
        self.assertEqual(again, self.case)
        self.assertFalse(again.reason)
        other = self._create_invoice()
        both = self.cases._open_for(self.move | other)
        self.assertEqual(len(both), 2)
        self.assertEqual(both.move_id, self.move | other)

    def test_a_case_knows_policy_payer_and_due_date(self):
        self.assertEqual(self.case.policy_id, self.policy)
        self.assertEqual(self.case.partner_id, self.account)
        self.assertEqual(self.case.date_due, self.move.invoice_date_due)
        self.assertEqual(self.case.seller_id, self.seller)

    def test_paid_in_full_it_closes_by_itself(self):
        self.case.next_try_at = self._later(1)
        self._pay(self.move)
        self._wake()
        self.assertEqual((self.case.state, self.case.close_reason), ("closed", "paid"))
        self.assertTrue(self.case.closed_at)
        self.assertFalse(self.case.next_try_at, "the next try is cancelled")
        self.assertFalse(self.case.next_action_at)
        self.assertEqual(self._get_actions(self.case), ["case_opened", "case_closed"])

    def test_paid_in_part_it_stays_open(self):
        self._pay(self.move, 40)
        self._wake()
        self.assertEqual(self.case.state, "automatic")
        self.assertEqual(self.case.amount_residual, 60)

    def test_a_payment_that_is_undone_opens_it_again(self):
        self.case._take_over("manual", user=self.clerk)
        self._pay(self.move)
        self._wake()
        self.assertEqual(self.case.state, "closed")
        self._undo_payment(self.move)
        self.assertEqual(self.case.state, "person")
        self.assertFalse(self.case.closed_at or self.case.close_reason)
        self.assertEqual(self.case.activity_ids.user_id, self.clerk)
        self.assertIn("case_reopened", self._get_actions(self.case))
        self._pay(self.move)
        self._wake()
        self.assertEqual(self.case.state, "closed")

    def test_an_invoice_that_is_gone_does_not_stop_the_others(self):
        """As after the savepoint of a wrong row in an import was rolled back."""
        self._wake()
        gone = self._create_invoice(post=False)
        gone._collect_outcomes({self.move.id: "open"})
        gone.unlink()
        self._pay(self.move)
        self._wake()
        self.assertEqual((self.case.state, self.case.close_reason), ("closed", "paid"))

    def test_undone_and_paid_again_in_one_transaction_changes_nothing(self):
        lines = self.move.line_ids.filtered(
            lambda line: line.account_type == "asset_receivable"
        )
        self._pay(self.move)
        self._wake()
        partner_lines = lines.matched_credit_ids.credit_move_id
        lines.remove_move_reconcile()
        (lines | partner_lines).reconcile()
        self._wake()
        self.assertEqual(self.case.state, "closed")
        self.assertNotIn("case_reopened", self._get_actions(self.case))

    def test_a_credit_note_closes_it(self):
        self._credit(self.move)
        self.assertEqual(
            (self.case.state, self.case.close_reason), ("closed", "credited")
        )

    def test_reset_to_draft_closes_it_and_posting_opens_it_again(self):
        self.move.button_draft()
        self._wake()
        self.assertEqual(
            (self.case.state, self.case.close_reason), ("closed", "cancelled")
        )
        self.move.action_post()
        self._wake()
        self.assertEqual(self.case.state, "automatic")

    def test_a_blocked_invoice_that_is_paid_closes_it(self):
        self.move.action_toggle_block_payment()
        self._wake()
        self.assertEqual(self.case.state, "automatic")
        self._pay(self.move)
        self._wake()
        self.assertEqual(
            (self.case.state, self.case.close_reason), ("closed", "settled")
        )

    def test_a_case_of_a_paid_invoice_waits_for_a_person(self):
        paid = self._create_invoice()
        self._pay(paid)
        self._wake()
        case = self.cases._open_for(paid)
        case._take_over("chargeback")
        self._wake()
        self.assertEqual(case.state, "person")
        case.with_user(self.clerk).action_close()
        self.assertEqual(case.state, "closed")
        with self.assertRaisesRegex(UserError, "register the payment"):
            self.case.with_user(self.clerk).action_close()

    def test_instalments_move_the_due_date_on(self):
        terms = self.env["account.payment.term"].create(
            {
                "name": "Two halves",
                "line_ids": [
                    fields.Command.create(
                        {"value": "percent", "value_amount": 50, "nb_days": days}
                    )
                    for days in (0, 30)
                ],
            }
        )
        move = self._create_invoice(
            invoice_payment_term_id=terms.id,
            invoice_date=self.today - timedelta(days=20),
        )
        case = self.cases._open_for(move)
        self.assertEqual(case.date_due, self.today - timedelta(days=20))
        self._pay(move, 50)
        self._wake()
        self.assertEqual(case.state, "automatic")
        self.assertEqual(case.date_due, self.today + timedelta(days=10))

    def test_an_unreleased_retention_is_nothing_to_collect(self):
        terms = self.env["account.payment.term"].create(
            {
                "name": "Rest later",
                "line_ids": [
                    fields.Command.create(
                        {"value": "percent", "value_amount": part, "nb_days": days}
                    )
                    for part, days in ((90, 0), (10, 5))
                ],
            }
        )
        move = self._create_invoice(
            invoice_payment_term_id=terms.id,
            invoice_date=self.today - timedelta(days=20),
        )
        lines = move.line_ids.filtered("date_maturity").sorted("date_maturity")
        lines[-1].billing_is_retention = True
        case = self.cases._open_for(move)
        self._pay(move, 90)
        self._wake()
        self.assertEqual(move.amount_residual, 10)
        self.assertEqual((case.state, case.close_reason), ("closed", "settled"))

    def test_a_case_follows_the_policy_of_its_payer(self):
        other = self._create_policy(name="Other", sequence=50)
        self.account.dunning_policy_id = other
        self.case._refresh_next_action(self._later(0))
        self.assertEqual(self.case.policy_id, other)

    def test_handing_over_many_costs_few_queries(self):
        moves = self.env["account.move"].concat(
            *(self._create_invoice(due=self.today) for _number in range(13))
        )
        cases = self.cases._open_for(moves)

        def count(some):
            self.env.flush_all()
            self.env.invalidate_all()
            start = self.env.cr.sql_log_count
            some._take_over("overdue")
            self.env.flush_all()
            return self.env.cr.sql_log_count - start

        one, twelve = count(cases[:1]), count(cases[1:])
        # Core subscribes the owner of a task record by record.
        self.assertLess(twelve, one + 12 * 12)
        self.assertEqual(len(cases.activity_ids), 13)

    def test_start_dunning(self):
        late = self._create_invoice(due=self.today - timedelta(days=3))
        paid = self._create_invoice()
        self._pay(paid)
        moves = late | paid | self.move
        moves.with_user(self.clerk).action_start_dunning()
        self.assertTrue(self._get_case(late).next_action_at)
        self.assertFalse(paid.dunning_case_ids)
        self.assertEqual(self.move.dunning_case_ids, self.case)
        with self.assertRaisesRegex(UserError, "nothing to collect"):
            paid.with_user(self.clerk).action_start_dunning()
        with self.assertRaises(AccessError):
            late.with_user(self.seller).action_start_dunning()
        with self.assertRaises(AccessError):
            late.with_user(self.users["accountant"]).action_start_dunning()

    def test_opening_many_costs_few_queries(self):
        def count(moves):
            self.env.flush_all()
            self.env.invalidate_all()
            start = self.env.cr.sql_log_count
            self.cases._open_for(moves)
            self.env.flush_all()
            return self.env.cr.sql_log_count - start

        moves = self.env["account.move"].concat(
            *(self._create_invoice(due=self.today) for _number in range(13))
        )
        one, twelve = count(moves[:1]), count(moves[1:])
        self.assertLess(twelve, one + 12)


@tagged("post_install", "-at_install")
class TestNextAction(CaseCommon):
    def test_what_the_machine_does_next(self):
        move = self._create_invoice(due=self.today + timedelta(days=20))
        case = self.cases._open_for(move)
        case._refresh_next_action(self._later(0))
        self.assertEqual(case.next_action, "mail -5")
        self.assertEqual(case.next_action_at.date(), self.today + timedelta(days=15))

    def test_a_person_a_promise_a_hold_and_a_try(self):
        now = self._later(0)
        self.case._take_over("manual", user=self.clerk)
        self.case._refresh_next_action(now)
        self.assertEqual(self.case.next_action, "Clerk acts")
        self.assertEqual(self.case.next_action_at.date(), self.case.deadline)
        day = self.today + timedelta(days=4)
        self.case.action_promise(day)
        self.assertIn("Promised", self.case.next_action)
        self.assertEqual(self.case.next_action_at.date(), day + timedelta(days=1))
        other = self.cases._open_for(self._create_invoice())
        other.write({"state": "retrying", "next_try_at": now})
        other._refresh_next_action(now)
        self.assertEqual(
            (other.next_action, other.next_action_at), ("Try to charge", now)
        )

    def test_many_cases_cost_few_queries(self):
        moves = self.env["account.move"].concat(
            *(self._create_invoice(due=self.today) for _number in range(13))
        )
        cases = self.cases._open_for(moves)
        self.env.flush_all()

        def count(some):
            self.env.invalidate_all()
            start = self.env.cr.sql_log_count
            some._refresh_next_action(self._later(0))
            self.env.flush_all()
            return self.env.cr.sql_log_count - start

        one, twelve = count(cases[:1]), count(cases[1:])
        self.assertLess(twelve, one + 12)
        self.assertEqual(cases.mapped("next_action"), ["mail -5"] * 13)
