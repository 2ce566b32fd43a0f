from datetime import datetime, timedelta

from odoo import fields
from odoo.exceptions import AccessError, UserError
from odoo.fields import Command
from odoo.tests import tagged

from .common import DunningCommon


class FeeCommon(DunningCommon):
    """An invoice of 2,400.00, 50 days late, that a mail has named today."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.today = fields.Date.today()
        cls.now = fields.Datetime.now()
        cls.fees = cls.env["crm.dunning.fee"]
        cls.policy.write(
            {"interest_mode": "rate", "interest_rate": 9.0, "interest_basis": "365"}
        )
        cls.step = cls.policy.step_ids.filtered(lambda step: step.days == 9)
        cls.move = cls._create_invoice(
            amount=2400.0, due=cls.today - timedelta(days=50)
        )
        cls.case = cls.env["crm.dunning.case"]._open_for(cls.move)
        cls.notice = cls._notice(cls.move, cls.today, cls.step)

    @classmethod
    def _notice(cls, move, day, step, state="sent"):
        line = move.line_ids.filtered(lambda line: line.date_maturity)[:1]
        return cls.env["crm.dunning.notice"].create(
            {
                "partner_id": move.commercial_partner_id.id,
                "company_id": move.company_id.id,
                "currency_id": move.currency_id.id,
                "policy_id": cls.policy.id,
                "step_id": step.id,
                "date": day,
                "state": state,
                "move_id": move.id,
                "line_ids": [
                    Command.create(
                        {
                            "company_id": move.company_id.id,
                            "line_id": line.id,
                            "move_id": move.id,
                            "step_id": step.id,
                            "days": step.days,
                            "kind": "listed",
                            "date": day,
                            "date_due": line.date_maturity,
                            "currency_id": move.currency_id.id,
                        }
                    )
                ],
            }
        )

    def _run_fees(self, now=None):
        """Run the job as it runs itself; return the rows that are new."""
        known = self.fees.search([]).ids
        self.env.flush_all()
        with self.enter_registry_test_mode(), self.env.registry.cursor() as cr:
            self.env(cr=cr)["crm.dunning.fee"]._cron_fees(now or self.now)
        self.env.invalidate_all()
        return self.fees.search([("id", "not in", known)], order="id")


@tagged("post_install", "-at_install")
class TestInterest(FeeCommon):
    def test_the_example_of_the_rules(self):
        fee = self._run_fees()
        self.assertEqual(fee.kind, "interest")
        self.assertEqual(fee.amount, 29.59)
        self.assertEqual(fee.date_to, self.today)
        self.assertIn("9 % on", fee.explanation)
        self.assertIn("50 days", fee.explanation)

    def test_a_draft_of_its_own_that_nobody_posted(self):
        fee = self._run_fees()
        draft = fee.move_id
        self.assertEqual((draft.state, fee.state), ("draft", "draft"))
        self.assertNotEqual(draft, self.move)
        self.assertEqual(draft.amount_total, 29.59, "no tax on interest")
        self.assertFalse(draft.invoice_line_ids.tax_ids)
        self.assertTrue(draft.is_dunning_fee and draft.is_billing_review)
        self.assertEqual(self.move.amount_residual, 2400)

    def test_the_taxes_are_those_of_the_product(self):
        product = self._create_product(name="Taxed interest")
        self.company.dunning_interest_product_id = product
        draft = self._run_fees().move_id
        self.assertEqual(draft.invoice_line_ids.tax_ids, self.tax)
        self.assertEqual(draft.amount_untaxed, 29.59)

    def test_twice_is_once(self):
        self._run_fees()
        self.assertFalse(self._run_fees())

    def test_the_next_notice_goes_on_where_the_last_one_ended(self):
        self._run_fees()
        later = self.today + timedelta(days=10)
        self._notice(self.move, later, self.policy.step_ids[-1:])
        fee = self._run_fees(self.now + timedelta(days=10))
        self.assertEqual(fee.date_from, self.today + timedelta(days=1))
        self.assertEqual(fee.amount, round(2400 * 0.09 * 10 / 365, 2))

    def test_off_by_default(self):
        policy = self.env["crm.dunning.policy"].create({"name": "New"})
        self.assertEqual(policy.interest_mode, "none")
        self.policy.interest_mode = "none"
        self.assertFalse(self._run_fees())

    def test_a_dry_run_and_what_was_stopped_ask_for_nothing(self):
        for state in ("dry_run", "stopped", "queued"):
            self.notice.state = state
            self.assertFalse(self._run_fees())

    def test_old_notices_are_left_alone(self):
        self.notice.line_ids.date = self.today - timedelta(days=8)
        self.assertFalse(self._run_fees())

    def test_a_part_payment_lowers_it_from_the_next_day_on(self):
        payment = (
            self.env["account.payment.register"]
            .with_context(active_model="account.move", active_ids=self.move.ids)
            .create({"amount": 1400, "payment_date": self.today - timedelta(days=20)})
        )
        payment._create_payments()
        fee = self._run_fees()
        expected = (2400 * 30 + 1000 * 20) * 0.09 / 365
        self.assertEqual(fee.amount, round(expected, 2))

    def test_a_dispute_bears_none(self):
        self.case.action_dispute("Wrong quantity")
        self.assertFalse(self._run_fees())
        self.case.action_resolve_dispute()
        fee = self._run_fees()
        self.assertEqual(fee.amount, round(2400 * 0.09 * 49 / 365, 2))

    def test_statutory_rates(self):
        self.policy.interest_mode = "statutory"
        self.account.country_id = self.env.ref("base.aq")
        change = self.today - timedelta(days=30)
        for first, last, percent in (
            (change - timedelta(days=100), change, 9),
            (change + timedelta(days=1), self.today + timedelta(days=100), 10),
        ):
            self.env["crm.dunning.interest.rate"].create(
                {
                    "country_ids": [Command.set(self.account.country_id.ids)],
                    "date_from": first,
                    "date_to": last,
                    "percent": percent,
                    "reference": f"{percent} percent",
                    "source": "Law of the ice",
                }
            )
        fee = self._run_fees()
        self.assertEqual(fee.amount, 31.56, "20 days at 9 %, then 30 at 10 %")

    def test_without_a_rate_a_person_is_asked_once(self):
        self.policy.interest_mode = "statutory"
        self.account.country_id = self.env.ref("base.aq")
        self.assertFalse(self._run_fees())
        self._run_fees()
        task = self.move.activity_ids
        self.assertEqual(len(task), 1)
        self.assertIn("statutory interest", task.note)

    def test_paid_after_the_notice_it_runs_to_the_payment(self):
        self._run_fees()
        self.notice.line_ids.date = self.today - timedelta(days=4)
        self.fees.search([]).write({"date_to": self.today - timedelta(days=4)})
        self._pay(self.move)
        self._wake()
        fee = self._run_fees()
        self.assertEqual(fee.date_to, self.today)
        self.assertEqual(fee.amount, round(2400 * 0.09 * 4 / 365, 2))
        self.assertFalse(self._run_fees())

    def test_paid_it_is_waived_if_the_policy_says_so(self):
        self.policy.interest_if_paid = "waive"
        fee = self._run_fees()
        draft = fee.move_id
        self._pay(self.move)
        self._wake()
        self.assertEqual(fee.state, "waived")
        self.assertFalse(draft.exists())
        self.assertFalse(self._run_fees())


@tagged("post_install", "-at_install")
class TestLateFee(FeeCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.policy.interest_mode = "none"
        cls.step.fee_amount = 15.0

    def test_once_an_instalment_and_step(self):
        fee = self._run_fees()
        self.assertEqual((fee.kind, fee.amount, fee.days), ("fee", 15.0, 9))
        self.notice.line_ids.kind = "void"
        self.env.flush_all()
        self._notice(self.move, self.today + timedelta(days=1), self.step)
        self.assertFalse(self._run_fees(self.now + timedelta(days=1)))

    def test_one_draft_an_account(self):
        other = self._create_invoice(due=self.today - timedelta(days=20))
        self._notice(other, self.today, self.step)
        fees = self._run_fees()
        self.assertEqual(len(fees), 2)
        self.assertEqual(len(fees.move_id), 1)
        self.assertEqual(fees.move_id.amount_untaxed, 30)
        for fee in fees:
            self.assertEqual(fee.move_line_id.name, fee.explanation)

    def test_no_fee_on_a_fee(self):
        move = self._run_fees().move_id
        move.billing_reviewed_at = fields.Datetime.now()
        move.is_billing_review = False
        move.invoice_date = self.today - timedelta(days=60)
        move.invoice_date_due = self.today - timedelta(days=30)
        move.action_post()
        self._notice(move, self.today, self.step)
        self.assertFalse(self._run_fees())

    def test_it_is_not_charged_by_itself(self):
        move = self._run_fees().move_id
        move.is_billing_review = False
        move.action_post()
        self.assertEqual(move._get_dunning_blocks(self.now, "charge"), {move: "fee"})
        self.assertFalse(move._get_dunning_blocks(self.now, "mail"))
        self.assertIn("fee", move._get_dunning_block_labels())

    def test_a_manager_waives_it_with_a_reason(self):
        fee = self._run_fees()
        draft = fee.move_id
        for role in ("clerk", "accountant", "seller"):
            with self.assertRaises(AccessError):
                fee.with_user(self.users[role]).action_waive("Please")
        dialog = fee.with_user(self.manager).action_waive()
        self.assertEqual(dialog["res_model"], "crm.dunning.fee.wizard")
        fee.with_user(self.manager).action_waive("First time late")
        self.assertEqual(fee.state, "waived")
        self.assertEqual(fee.waived_uid, self.manager)
        self.assertFalse(draft.exists(), "nothing else was on it")
        self.assertFalse(self._run_fees(), "it is not asked for again")
        self.assertIn("fee_waived", self.case.billing_event_ids.mapped("action"))

    def test_one_of_two_is_waived(self):
        other = self._create_invoice(due=self.today - timedelta(days=20))
        self._notice(other, self.today, self.step)
        fees = self._run_fees()
        draft = fees.move_id
        fees[0].with_user(self.manager).action_waive("First time late")
        self.assertEqual(draft.amount_untaxed, 15)

    def test_a_draft_that_is_deleted_is_not_made_again(self):
        fee = self._run_fees()
        fee.move_id.unlink()
        self.env.invalidate_all()
        self.assertEqual(fee.state, "waived")
        self.assertFalse(self._run_fees())

    def test_what_is_posted_is_credited(self):
        fee = self._run_fees()
        fee.move_id.is_billing_review = False
        fee.move_id.action_post()
        self.assertEqual(fee.state, "posted")
        with self.assertRaisesRegex(UserError, "credit it"):
            fee.with_user(self.manager).action_waive("Too late")

    def test_a_due_date_in_the_future_bears_no_fee(self):
        move = self._create_invoice(due=self.today + timedelta(days=5))
        self._notice(move, self.today, self.step)
        fees = self._run_fees()
        self.assertEqual(fees.origin_move_id, self.move)

    def test_one_broken_invoice_does_not_stop_the_others(self):
        other = self._create_invoice(due=self.today - timedelta(days=20))
        self._notice(other, self.today, self.step)
        broken = self.move.id
        model = type(self.fees)
        origin = model._charge

        def fail(fees, rows):
            lines = fees.env["account.move.line"].browse([row[0] for row in rows])
            if broken in lines.move_id.ids:
                message = "broken"
                raise UserError(message)
            return origin(fees, rows)

        self.patch(model, "_charge", fail)
        fees = self._run_fees()
        self.assertEqual(fees.origin_move_id, other)
        self.assertIn("broken", self.move.activity_ids.note)


@tagged("post_install", "-at_install")
class TestFeeDays(FeeCommon):
    def test_the_day_is_the_notices_not_the_jobs(self):
        fee = self._run_fees(datetime.combine(self.today, self.now.time()))
        self.assertEqual(fee.date_to, self.notice.date)
        late = self.now + timedelta(days=3)
        self.assertFalse(self._run_fees(late))

    def test_noticed_and_paid_on_one_day(self):
        """Interest up to the notice and up to the payment are the same day: once."""
        self._pay(self.move)
        self._wake()
        fee = self._run_fees()
        self.assertEqual(fee.date_to, self.today)
        self.assertEqual(fee.amount, 29.59)
        self.assertFalse(self._run_fees())

    def test_no_day_bears_interest_twice(self):
        """Two notices and the payment in one run: each goes on after the other."""
        for days, step in ((6, self.policy.step_ids[1]), (3, self.policy.step_ids[0])):
            self._notice(self.move, self.today - timedelta(days=days), step)
        self._pay(self.move)
        self._wake()
        fees = self._run_fees().sorted("date_to")
        self.assertEqual(
            fees.mapped("date_to"),
            [self.today - timedelta(days=days) for days in (6, 3, 0)],
        )
        for before, after in zip(fees, fees[1:], strict=False):
            self.assertEqual(after.date_from, before.date_to + timedelta(days=1))
        self.assertAlmostEqual(sum(fees.mapped("amount")), 29.59, delta=0.015)

    def test_a_pause_ends_with_the_case_or_when_it_is_given_back(self):
        """A promise that is paid or taken back pauses nothing afterwards."""
        self.case._promise(self.today + timedelta(days=5))
        self.case._release(18)
        fee = self._run_fees()
        self.assertEqual(fee.amount, round(2400 * 0.09 * 49 / 365, 2))
        self.case._promise(self.today + timedelta(days=5))
        self._pay(self.move)
        self._wake()
        self.move.line_ids.remove_move_reconcile()
        self._wake()
        self.assertEqual(self.case.state, "automatic")
        later = self.today + timedelta(days=10)
        self._notice(self.move, later, self.policy.step_ids[-1:])
        fee = self._run_fees(self.now + timedelta(days=10))
        self.assertEqual(fee.amount, round(2400 * 0.09 * 10 / 365, 2))
