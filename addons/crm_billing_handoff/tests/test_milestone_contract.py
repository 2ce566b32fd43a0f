from freezegun import freeze_time

from odoo.exceptions import AccessError, UserError
from odoo.tests import tagged

from .milestone_common import MilestoneCommon


@tagged("post_install", "-at_install")
@freeze_time("2027-03-01 12:00:00")
class TestContractChanges(MilestoneCommon):
    """A contract changes while it runs, and every amount says why (C8)."""

    def test_a_lowered_contract(self):
        agreement = self._start()
        agreement.milestone_ids[:2].action_mark_done()
        agreement.line_ids._change_contract(74000.0)
        self.assertEqual(
            agreement.milestone_ids.mapped("amount"), [8000, 18000, 28800, 19200]
        )
        agreement.milestone_ids[2:].action_mark_done()
        self.assertAlmostEqual(sum(agreement.period_ids.mapped("amount")), 74000)

    def test_below_what_is_invoiced_is_refused(self):
        agreement = self._start()
        agreement.milestone_ids[:2].action_mark_done()
        with self.assertRaisesRegex(UserError, "credit note"):
            agreement.line_ids._change_contract(25999.99)
        agreement.line_ids._change_contract(26000.0)
        self.assertEqual(agreement.milestone_ids.mapped("amount"), [8000, 18000, 0, 0])

    def test_a_raise_without_open_milestone_is_a_new_one(self):
        agreement = self._start(100.0, [("All", "percent", 100.0)])
        agreement.milestone_ids.action_mark_done()
        added = agreement.line_ids._change_contract(130.0)
        self.assertRecordValues(
            added, [{"amount": 30.0, "kind": "fixed", "state": "open"}]
        )
        self.assertEqual(agreement.milestone_ids[0].amount, 100.0)

    def test_what_is_invoiced_as_edited_counts(self):
        agreement = self._start()
        agreement.milestone_ids[1].action_mark_done()
        agreement.move_ids.invoice_line_ids.price_unit = 17000.0
        self._post(agreement.move_ids)
        agreement.line_ids._change_contract(79000.0)
        self.assertEqual(
            agreement.milestone_ids.mapped("amount"), [8000, 17000, 32400, 21600]
        )

    def test_weights_of_what_is_invoiced_stay(self):
        agreement = self._start()
        agreement.milestone_ids[1].action_mark_done()
        with self.assertRaisesRegex(UserError, "invoiced"):
            agreement.milestone_ids[1].with_user(self.clerk).weight = 30.0
        with self.assertRaisesRegex(UserError, "invoiced"):
            agreement.milestone_ids[1].with_user(self.clerk).unlink()

    def test_a_clerk_changes_the_contract_in_a_dialog(self):
        agreement = self._start()
        agreement.milestone_ids[:2].action_mark_done()
        line = agreement.line_ids.with_user(self.clerk)
        action = line.action_open_contract_change()
        wizard = (
            self.env[action["res_model"]]
            .with_user(self.clerk)
            .with_context(**action["context"])
            .create({})
        )
        self.assertEqual(wizard.total, 80000)
        wizard.total = 74000
        self.assertIn("28,800.00", wizard.preview)
        wizard.action_apply()
        self.assertEqual(agreement.milestone_ids[2].amount, 28800)
        event = self.env["crm.billing.event"].search(
            [("action", "=", "amended"), ("agreement_id", "=", agreement.id)]
        )
        self.assertRecordValues(event, [{"user_id": self.clerk.id}])
        for user in (self.seller, self.users["accountant"]):
            with self.subTest(user.name), self.assertRaises(AccessError):
                agreement.line_ids.with_user(user).action_change_contract(75000)

    # === WHY === #

    def test_every_amount_is_explained_and_replayed(self):
        agreement = self._start(line={"deposit_percent": 15.0})
        for milestone in agreement.milestone_ids[:2]:
            milestone.action_mark_done()
        agreement.line_ids._change_contract(74000.0)
        for milestone in agreement.milestone_ids[2:]:
            milestone.action_mark_done()
        self.assertEqual(len(agreement.period_ids), 9)
        for period in agreement.period_ids:
            with self.subTest(period.note or period.kind):
                self.assertEqual(period.proof["verdict"], "equal")
                self.assertTrue(period.proof["why"])
