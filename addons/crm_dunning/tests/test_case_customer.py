from datetime import timedelta

from odoo.exceptions import AccessError, UserError
from odoo.tests import tagged

from .test_case_life import CaseCommon


@tagged("post_install", "-at_install")
class TestPromise(CaseCommon):
    def _promise(self, days=5, amount=None):
        case = self.case.with_user(self.clerk)
        return case.action_promise(self.today + timedelta(days=days), amount)

    def test_a_promise_that_is_kept_closes(self):
        self._promise()
        self.assertEqual(self.case.state, "promise")
        self.assertEqual(self.case.promise_amount, 100)
        self._pay(self.move)
        self._wake()
        self.assertEqual(self.case.close_reason, "paid")
        self.assertNotIn("promise_broken", self._get_actions(self.case))

    def test_a_part_that_is_paid_as_promised_goes_on(self):
        self._promise(amount=40)
        self._pay(self.move, 30)
        self._wake()
        self.assertEqual(self.case.state, "promise", "not all of it yet")
        self._pay(self.move, 10)
        self._wake()
        self.assertEqual(self.case.state, "automatic")
        self.assertFalse(self.case.promise_date or self.case.promise_amount)
        self.assertIn("promise_kept", self._get_actions(self.case))

    def test_the_promised_day_itself_is_in_time(self):
        self._promise(5)
        self._run_days(5)
        self.assertEqual(self.case.state, "promise")

    def test_a_broken_promise_goes_to_the_next_step(self):
        self._promise(5)
        self._run_days(6)
        self.assertEqual(self.case.state, "automatic")
        self.assertEqual(self.case.promise_broken_count, 1)
        self.assertFalse(self.case.promise_date)
        self._run_days(7)
        self.assertEqual(self.case.promise_broken_count, 1)

    def test_a_second_broken_promise_is_for_a_person(self):
        for days in (5, 9):
            self._promise(days)
            self._run_days(days + 1)
        self.assertEqual(self.case.state, "person")
        self.assertEqual(self.case.reason, "promise")
        self.assertEqual(self.case.activity_ids.user_id, self.clerk)

    def test_what_a_person_had_goes_back_to_that_person(self):
        self.case._take_over("overdue", user=self.manager)
        self._promise(5)
        self.assertFalse(self.case.activity_ids, "nothing to do until then")
        self._run_days(6)
        self.assertEqual(self.case.state, "person")
        self.assertEqual(self.case.owner_id, self.manager)
        self.assertEqual(self.case.reason, "promise")
        self.assertEqual(len(self.case.activity_ids), 1)

    def test_money_on_its_way_is_waited_for(self):
        self._promise(5)
        self.patch(
            type(self.move),
            "_get_dunning_blocks",
            lambda moves, now, **kwargs: dict.fromkeys(moves, "in_flight"),
        )
        self._run_days(6)
        self.assertEqual(self.case.state, "promise")

    def test_a_promise_must_make_sense(self):
        with self.assertRaisesRegex(UserError, "has passed"):
            self._promise(-1)
        for amount in (0, -5, 100.01):
            with self.assertRaisesRegex(UserError, "all or part"):
                self._promise(3, amount)
        self._pay(self.move)
        self._wake()
        with self.assertRaisesRegex(UserError, "closed"):
            self._promise()

    def test_the_same_promise_twice_is_one(self):
        self._promise()
        self._promise()
        self.assertEqual(self._get_actions(self.case).count("promised"), 1)

    def test_the_dialog_promises(self):
        action = self.case.with_user(self.clerk).action_promise()
        wizard = (
            self.env["crm.dunning.case.wizard"]
            .with_user(self.clerk)
            .with_context(**action["context"])
            .create({"date": self.today + timedelta(days=2)})
        )
        self.assertEqual(wizard.amount, 100)
        wizard.write({"is_partial": True, "amount": 25})
        wizard.action_apply()
        self.assertEqual(self.case.promise_amount, 25)


@tagged("post_install", "-at_install")
class TestDisputeAndHold(CaseCommon):
    def test_a_dispute_stops_everything_and_asks_a_person(self):
        self.case.next_try_at = self._later(1)
        self.case.with_user(self.clerk).action_dispute("Wrong quantity")
        self.assertEqual(self.case.state, "dispute")
        self.assertFalse(self.case.next_try_at)
        self.assertEqual(self.case.owner_id, self.clerk)
        self.assertIn("Wrong quantity", self.case.activity_ids.note)
        blocks = self.move._get_dunning_blocks(self._later(0))
        self.assertEqual(blocks, {self.move: "disputed"})
        news = self.env["crm.dunning.news"].search([("move_id", "=", self.move.id)])
        self.assertEqual((news.kind, news.user_id), ("disputed", self.seller))

    def test_resolved_the_machine_goes_on(self):
        self.case.action_dispute("Wrong quantity")
        self.case.with_user(self.clerk).action_resolve_dispute()
        self.assertEqual(self.case.state, "automatic")
        self.assertFalse(self.case.dispute_note or self.case.activity_ids)

    def test_resolved_the_person_goes_on(self):
        self.case._take_over("overdue")
        self.case.action_dispute("Wrong quantity")
        self.case.action_resolve_dispute()
        self.assertEqual(self.case.state, "person")
        self.assertTrue(self.case.activity_ids)

    def test_a_dispute_needs_words(self):
        for note in (None, "", "  "):
            dialog = self.case.with_user(self.clerk).action_dispute(note)
            self.assertEqual(dialog["context"]["default_kind"], "dispute")
        self.assertEqual(self.case.state, "automatic")

    def test_a_hold_ends_by_itself(self):
        until = self.today + timedelta(days=5)
        self.case.with_user(self.clerk).action_hold(until)
        self.assertEqual(self.case.state, "hold")
        self._run_days(5)
        self.assertEqual(self.case.state, "hold")
        self._run_days(6)
        self.assertEqual(self.case.state, "automatic")
        self.assertFalse(self.case.hold_until)

    def test_a_hold_of_a_persons_case_goes_back_to_the_person(self):
        self.case._take_over("overdue")
        self.case.action_hold(self.today)
        self._run_days(1)
        self.assertEqual(self.case.state, "person")

    def test_no_hold_on_a_dispute(self):
        self.case.action_dispute("Wrong quantity")
        with self.assertRaisesRegex(UserError, "disputed"):
            self.case.action_hold(self.today + timedelta(days=5))

    def test_who_may(self):
        day = self.today + timedelta(days=1)
        for role in ("seller", "accountant"):
            case = self.case.with_user(self.users[role])
            for call in (
                lambda case=case: case.action_promise(day),
                lambda case=case: case.action_dispute("No"),
                lambda case=case: case.action_hold(day),
                lambda case=case: case.action_resolve_dispute(),
                lambda case=case: case.action_release(9),
                lambda case=case: case.action_close(),
                lambda case=case: case.action_lift_credit_hold(),
            ):
                with self.assertRaises(AccessError):
                    call()
