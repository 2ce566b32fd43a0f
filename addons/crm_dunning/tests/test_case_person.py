from datetime import timedelta

from odoo.exceptions import AccessError, UserError
from odoo.fields import Command
from odoo.tests import new_test_user, tagged

from .test_case_life import CaseCommon


@tagged("post_install", "-at_install")
class TestCasePerson(CaseCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.colleague = new_test_user(
            cls.env,
            login="dunning_colleague",
            name="Colleague",
            groups="base.group_user,crm_billing_handoff.group_billing_user",
        )
        cls.policy.deputy_id = cls.colleague

    def test_a_hand_over_names_owner_deputy_and_deadline(self):
        self.case.next_try_at = self._later(1)
        self.case._take_over("overdue", note="Nobody answers")
        self.assertEqual(self.case.state, "person")
        self.assertEqual(self.case.owner_id, self.clerk)
        self.assertEqual(self.case.deputy_id, self.colleague)
        self.assertEqual(self.case.deadline, self.today + timedelta(days=3))
        self.assertEqual(self.case.reason, "overdue")
        self.assertFalse(self.case.next_try_at, "no try any more")
        self.assertTrue(self.case.taken_over_at)
        task = self.case.activity_ids
        self.assertEqual(len(task), 1)
        self.assertEqual(task.user_id, self.clerk)
        self.assertEqual(task.date_deadline, self.case.deadline)
        self.assertIn("Nobody answers", task.note)

    def test_the_same_hand_over_twice_changes_nothing(self):
        self.case._take_over("overdue")
        taken = self.case.taken_over_at
        self.case.deadline = self.today + timedelta(days=9)
        self.case._take_over("overdue")
        self.assertEqual(self.case.deadline, self.today + timedelta(days=9))
        self.assertEqual(self.case.taken_over_at, taken)
        self.assertEqual(len(self.case.activity_ids), 1)
        self.assertEqual(self._get_actions(self.case).count("taken_over"), 1)

    def test_what_else_happens_is_added_to_the_thread(self):
        self.case._take_over("overdue")
        self.case._take_over("reply", note="We paid last week")
        self.assertEqual(self.case.reason, "overdue")
        self.assertIn("We paid last week", self.case.message_ids[:1].body)

    def test_a_job_that_finds_the_same_each_time_says_it_once(self):
        self.case._take_over("overdue")
        before = len(self.case.message_ids)
        for _round in range(3):
            self.case._take_over("unknown", note="Did <b>4 & 5</b> move?\nLook there.")
        self.assertEqual(len(self.case.message_ids), before + 1)
        self.case._take_over("unknown", note="And now another one")
        self.assertEqual(len(self.case.message_ids), before + 2)

    def test_what_happens_during_a_hold_goes_back_to_the_person(self):
        self.case._take_over("overdue", user=self.colleague)
        self.case.action_hold(self.today + timedelta(days=5))
        self.case._take_over("chargeback", note="The bank took it back")
        self.assertEqual(self.case.state, "person")
        self.assertEqual(self.case.reason, "chargeback")
        self.assertEqual(self.case.owner_id, self.colleague)
        self.assertEqual(self.case.activity_ids.user_id, self.colleague)

    def test_a_clerk_takes_over(self):
        self.case.with_user(self.colleague).action_take_over()
        self.assertEqual(self.case.owner_id, self.colleague)
        self.assertFalse(self.case.deputy_id)
        for role in ("seller", "accountant"):
            with self.assertRaises(AccessError):
                self.case.with_user(self.users[role]).action_take_over()

    def test_a_rule_hands_over_to_the_owner_of_the_policy(self):
        self.case.with_user(self.env.ref("base.user_root")).action_take_over()
        self.assertEqual(self.case.owner_id, self.clerk)

    def test_the_person_of_the_step_comes_first(self):
        step = self.policy.step_ids[-1:]
        step.user_id = self.colleague
        self.case.step_id = step
        self.case._take_over("overdue")
        self.assertEqual(self.case.owner_id, self.colleague)

    def test_who_has_left_is_passed_over(self):
        self.clerk.active = False
        self.case._take_over("overdue")
        self.assertEqual(self.case.owner_id, self.colleague)

    def test_who_left_later_is_replaced_by_the_deputy(self):
        self.case._take_over("overdue")
        deadline = self.case.deadline
        self.clerk.active = False
        self._run_days(0)
        self.assertEqual(self.case.owner_id, self.colleague)
        self.assertEqual(self.case.deadline, deadline)
        self.assertEqual(self.case.activity_ids.user_id, self.colleague)

    def test_who_may_not_work_cases_any_more_is_replaced(self):
        self.case._take_over("overdue")
        group = self.env.ref("crm_billing_handoff.group_billing_user")
        self.clerk.group_ids = [Command.unlink(group.id)]
        self._run_days(0)
        self.assertEqual(self.case.owner_id, self.colleague)

    def test_a_new_owner_gets_the_task(self):
        self.case._take_over("overdue")
        self.case.with_user(self.clerk).owner_id = self.colleague
        self.assertEqual(len(self.case.activity_ids), 1)
        self.assertEqual(self.case.activity_ids.user_id, self.colleague)

    def test_an_unanswered_hand_over_escalates_once(self):
        self.case._take_over("overdue")
        self._run_days(5)
        self.assertFalse(self.case.escalated_at, "two days of grace")
        self._run_days(6)
        self.assertTrue(self.case.escalated_at)
        self._run_days(7)
        asked = self.case.activity_ids.filtered(
            lambda task: task.user_id != self.case.owner_id
        )
        self.assertEqual(len(asked), 1)
        self.assertTrue(
            asked.user_id.has_group("crm_billing_handoff.group_billing_manager")
        )
        self.assertEqual(self._get_actions(self.case).count("escalated"), 1)
        self.case.with_user(self.manager).deadline = self.today + timedelta(days=20)
        self.assertFalse(self.case.escalated_at)
        self.assertEqual(self.case.activity_ids.user_id, self.clerk)

    def test_given_back_at_a_step(self):
        self.case._take_over("overdue")
        self.case.with_user(self.clerk).action_release(9)
        self.assertEqual(self.case.state, "automatic")
        self.assertEqual(self.case.resume_days, 9)
        self.assertFalse(self.case.taken_over_at or self.case.deadline)
        self.assertFalse(self.case.activity_ids)
        self.assertEqual(self.case.next_action, "mail +9")
        self.assertIn("given_back", self._get_actions(self.case))

    def test_given_back_at_a_step_that_is_none(self):
        with self.assertRaisesRegex(UserError, "-5, 2, 9, 18"):
            self.case.with_user(self.clerk).action_release(4)
        dialog = self.case.with_user(self.clerk).action_release()
        self.assertEqual(dialog["res_model"], "crm.dunning.case.wizard")

    def test_the_dialog_proposes_the_next_step(self):
        self.case.write({"stage": 2})
        self.case._take_over("overdue")
        action = self.case.with_user(self.clerk).action_release()
        wizard = (
            self.env["crm.dunning.case.wizard"]
            .with_user(self.clerk)
            .with_context(**action["context"])
            .create({})
        )
        self.assertEqual(wizard.step_id.days, 9)
        wizard.action_apply()
        self.assertEqual((self.case.state, self.case.resume_days), ("automatic", 9))

    def test_a_case_that_breaks_does_not_stop_the_others(self):
        other = self.cases._open_for(self._create_invoice())
        (self.case | other)._take_over("overdue")
        broken = self.case

        def fail(cases, now):
            if broken in cases:
                raise ValueError("broken")
            return origin(cases, now)

        origin = type(self.cases)._escalate_late
        self.patch(type(self.cases), "_escalate_late", fail)
        with self.assertLogs("odoo.addons.crm_dunning", "ERROR"):
            self._run_days(6)
        self.assertTrue(other.escalated_at)
        self.assertFalse(broken.escalated_at)
