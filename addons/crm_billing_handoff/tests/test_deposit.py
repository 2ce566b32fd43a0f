from datetime import date

from freezegun import freeze_time

from odoo.exceptions import UserError, ValidationError
from odoo.tests import tagged

from .milestone_common import MilestoneCommon


@tagged("post_install", "-at_install")
@freeze_time("2027-03-01 12:00:00")
class TestDeposit(MilestoneCommon):
    """A deposit is invoiced at the confirmation and comes back whole."""

    def _start_with_deposit(self, mode="pro_rata", **line):
        line = {"deposit_percent": 15.0, "deposit_recovery": mode, **line}
        agreement = self._start(line=line)
        agreement.with_user(self.clerk).generate_invoices()
        return agreement

    def _get_recovered(self, agreement):
        rows = agreement.period_ids.filtered(lambda row: row.kind == "deposit_recovery")
        return [-amount for amount in rows.sorted("id").mapped("amount")]

    def test_invoiced_at_the_confirmation_with_the_taxes_of_the_milestones(self):
        agreement = self._start_with_deposit()
        self.assertRecordValues(
            agreement.move_ids,
            [
                {
                    "amount_untaxed": 12000,
                    "amount_tax": 1200,
                    "invoice_date": date(2027, 3, 1),
                }
            ],
        )
        self.assertFalse(agreement.with_user(self.clerk).generate_invoices())

    def test_an_amount_takes_the_place_of_the_percentage(self):
        agreement = self._start_with_deposit(deposit_amount=500.0)
        self.assertEqual(agreement.move_ids.amount_untaxed, 500)

    def test_recovered_in_proportion(self):
        agreement = self._start_with_deposit()
        for milestone in agreement.milestone_ids:
            milestone.action_mark_done()
        self.assertEqual(self._get_recovered(agreement), [1200, 2700, 4860, 3240])
        self.assertAlmostEqual(sum(agreement.period_ids.mapped("amount")), 80000)
        design = agreement.milestone_ids[1].move_id
        self.assertRecordValues(
            design.invoice_line_ids.sorted("sequence"),
            [
                {"price_subtotal": 18000, "tax_ids": self.tax.ids},
                {"price_subtotal": -2700, "tax_ids": self.tax.ids},
            ],
        )

    def test_recovered_from_the_first(self):
        agreement = self._start_with_deposit("first")
        for milestone in agreement.milestone_ids:
            milestone.action_mark_done()
        self.assertEqual(self._get_recovered(agreement), [8000, 4000])
        self.assertEqual(agreement.milestone_ids[0].move_id.amount_total, 0)

    def test_recovered_from_the_last(self):
        agreement = self._start_with_deposit("last")
        for milestone in agreement.milestone_ids:
            milestone.action_mark_done()
        self.assertEqual(self._get_recovered(agreement), [12000])

    def test_two_on_one_day_recover_in_turn(self):
        agreement = self._start_with_deposit()
        agreement.milestone_ids[:2].action_mark_done()
        self.assertEqual(self._get_recovered(agreement), [1200, 2700])
        self.assertEqual(agreement.milestone_ids[:2].move_id.amount_untaxed, 22100)

    def test_deposit_and_milestone_on_one_day(self):
        agreement = self._start(line={"deposit_percent": 15.0})
        agreement.milestone_ids[0].action_mark_done()
        self.assertEqual(agreement.move_ids.amount_untaxed, 12000 + 8000 - 1200)
        self.assertEqual(self._get_recovered(agreement), [1200])

    def test_undone_gives_the_deposit_back(self):
        agreement = self._start_with_deposit()
        design = agreement.milestone_ids[1]
        design.action_mark_done()
        self.assertEqual(self._get_recovered(agreement), [2700])
        design.action_mark_undone()
        self.assertEqual(self._get_recovered(agreement), [])
        self.assertEqual(agreement.move_ids.mapped("amount_untaxed"), [12000])
        design.action_mark_done()
        self.assertEqual(self._get_recovered(agreement), [2700])

    def test_after_a_change_the_rest_is_spread_over_the_open_ones(self):
        agreement = self._start_with_deposit()
        agreement.milestone_ids[:2].action_mark_done()
        agreement.line_ids._change_contract(74000.0)
        for milestone in agreement.milestone_ids[2:]:
            milestone.action_mark_done()
        self.assertEqual(self._get_recovered(agreement), [1200, 2700, 4860, 3240])
        self.assertAlmostEqual(sum(agreement.period_ids.mapped("amount")), 74000)

    def test_the_open_deposit_is_invoiced_too(self):
        agreement = self._start_with_deposit()
        agreement.milestone_ids[:2].action_mark_done()
        with self.assertRaisesRegex(UserError, "credit note"):
            agreement.line_ids._change_contract(34000.0)

    def test_a_reversed_milestone_owes_its_part_again(self):
        agreement = self._start_with_deposit()
        self._post(agreement.move_ids)
        kickoff, design = agreement.milestone_ids[:2]
        design.action_mark_done()
        credit = self._post(design.move_id)._reverse_moves(
            [{"invoice_date": "2027-03-01"}]
        )
        credit.action_post()
        self.assertEqual(agreement.line_ids._get_open_deposit(), 12000)
        self.assertFalse(design.move_id.amount_residual)
        design.action_mark_undone()
        for milestone in agreement.milestone_ids:
            milestone.action_mark_done()
        self.assertAlmostEqual(sum(agreement.period_ids.mapped("amount")), 80000)
        self.assertEqual(kickoff.state, "invoiced")
        self.assertEqual(agreement.line_ids._get_open_deposit(), 0)

    def test_a_deposit_is_a_part_of_the_contract(self):
        agreement = self._create_contract(line={"deposit_amount": 80001.0})
        with self.assertRaisesRegex(UserError, "deposit is above"):
            agreement.action_start()
        with self.assertRaises(ValidationError):
            agreement.line_ids.deposit_percent = 101.0
