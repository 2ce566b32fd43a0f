import random
from datetime import date, timedelta

from odoo.exceptions import AccessError, UserError
from odoo.tests import tagged

from .change_common import CHANGE_DAY, NOVEMBER, ChangeCommon
from .usage_common import UsageCommon

MONTH = date(2027, 11, 1)  # 30 days, so that a day of 30.00 costs 1.00


@tagged("post_install", "-at_install")
class TestChangeWalks(ChangeCommon):
    """Whatever is changed in whatever order, each day costs what it was agreed for."""

    def _walk(self, seed):
        """Change quantities at random, backwards too; return what each day costs."""
        rng = random.Random(seed)
        agreement = self._create_billed(MONTH, price=30.0)
        expected = dict.fromkeys(range(1, 31), 1)
        for _step in range(6):
            day, quantity = rng.randint(1, 30), rng.randint(1, 9)
            try:
                self._change(
                    agreement,
                    "quantity",
                    date(2027, 11, day),
                    date(2027, 11, 30),
                    quantity=quantity,
                    proration_timing=rng.choice(["next", "now"]),
                )
            except UserError:
                continue  # it has this quantity already
            self._post(agreement.move_ids)
            expected |= dict.fromkeys(range(day, 31), quantity)
        return agreement, expected

    def test_days_add_up_after_any_changes(self):
        for seed in range(8):
            with self.subTest(seed=seed):
                agreement, expected = self._walk(seed)
                rows = agreement.period_ids
                self.assertEqual(
                    round(sum(rows.mapped("amount")), 2), sum(expected.values())
                )
                for debit in rows.filtered(lambda row: row.kind != "credit"):
                    credited = sum(debit.credit_ids.mapped("amount"))
                    self.assertGreaterEqual(round(debit.amount + credited, 2), 0)
                with self._on(date(2027, 12, 1)):
                    moves = self._run(date(2027, 12, 1)) | agreement.move_ids
                    self.assertTrue(all(move.amount_total >= 0 for move in moves))
                    untaxed = sum(moves.mapped("amount_untaxed_signed"))
                self.assertEqual(
                    round(untaxed, 2), sum(expected.values()) + 30 * expected[30]
                )

    def test_everything_credited_returns_every_cent(self):
        for seed in range(8, 12):
            with self.subTest(seed=seed):
                agreement, _expected = self._walk(seed)
                before = date(2027, 10, 31)
                self._change(
                    agreement,
                    "cancel",
                    before,
                    date(2027, 11, 30),
                    policy="credit",
                    line_ids=agreement.line_ids.ids,
                )
                total = sum(agreement.period_ids.mapped("amount"))
                self.assertEqual(round(total, 2), 0.0)

    def test_lines_tile_the_service(self):
        agreement, expected = self._walk(99)
        for day, quantity in expected.items():
            running = agreement.line_ids.filtered(
                lambda line, day=day: line._is_in_service(date(2027, 11, day))
            )
            self.assertEqual(running.mapped("quantity"), [quantity])

    def test_the_line_is_chosen_where_there_are_several(self):
        agreement = self._create_billed(NOVEMBER, lines=[{}, {"price_unit": 5.0}])
        change = self._create_change(agreement, "price", CHANGE_DAY, price_unit=9.0)
        self.assertIn("choose the one", change.preview_problem)
        self._change(
            agreement,
            "price",
            CHANGE_DAY,
            price_unit=9.0,
            line_ids=agreement.line_ids[1].ids,
        )
        self.assertEqual(self._get_rows(agreement, "charge"), [("charge", 4.80)])

    def test_draft_made_ahead_has_the_new_price(self):
        plan = self._create_plan(lead_days=5)
        agreement = self._create_billed(NOVEMBER, plan_id=plan.id)
        self._change(agreement, "price", date(2027, 12, 5), NOVEMBER, price_unit=99.0)
        draft = self._bill(date(2027, 11, 30))
        self.assertEqual(self._get_printed(draft), [("recurring", 99.0)])

    def test_days_covered_by_import_are_not_charged(self):
        with self._on(NOVEMBER):
            agreement = self._create_agreement(start_date=NOVEMBER, price_unit=84.0)
        self.env["crm.billing.period"].create(
            {
                "line_id": agreement.line_ids.id,
                "kind": "recurring",
                "date_from": NOVEMBER,
                "date_to": date(2027, 12, 5),
                "amount": 0.0,
                "is_covered": True,
            }
        )
        change = self._change(agreement, "price", CHANGE_DAY, price_unit=126.0)
        self.assertIn("covered without an invoice", change.preview["notes"][0])
        self.assertFalse(self._get_rows(agreement, "charge", "credit"))
        self.assertEqual(agreement.next_invoice_date, date(2027, 12, 5))

    def test_other_companies_change_their_own_agreements(self):
        agreement = self._create_billed(NOVEMBER)
        change = self._create_change(agreement, "price", CHANGE_DAY, price_unit=1.0)
        other = self.env["res.company"].create({"name": "Elsewhere"})
        self.clerk.write({"company_ids": [(4, other.id)]})
        elsewhere = change.with_user(self.clerk).with_context(
            allowed_company_ids=other.ids
        )
        with self.assertRaises(AccessError):
            elsewhere.action_apply()

    def test_agreed_discount_stays_in_a_later_change(self):
        agreement = self._create_billed(NOVEMBER, price=100.0, discount=10.0)
        self._change(agreement, "quantity", date(2027, 12, 5), quantity=2.0)
        later = self._bill(date(2027, 12, 5))
        self.assertEqual(self._get_printed(later), [("recurring", 180.0)])

    def test_change_in_another_zone_starts_on_the_local_day(self):
        self.account.billing_tz = "Pacific/Auckland"
        agreement = self._create_billed(NOVEMBER)
        change = self._change(
            agreement, "price", CHANGE_DAY, NOVEMBER, price_unit=126.0
        )
        with self._on(CHANGE_DAY - timedelta(days=1), hour=10):
            self._apply_due_at(CHANGE_DAY - timedelta(days=1), 10)
            self.assertEqual(change.state, "scheduled", "23:00 of the day before")
            self._apply_due_at(CHANGE_DAY - timedelta(days=1), 12)
        self.assertEqual(change.state, "applied", "01:00 in Auckland")


@tagged("post_install", "-at_install")
class TestChangeUsage(ChangeCommon, UsageCommon):
    """Prices of usage change with the next period, or with the day if wanted (4.7)."""

    def test_new_usage_price_starts_with_the_next_period(self):
        agreement = self._create_usage_agreement(start_date=date(2027, 1, 1))
        self._use(10, "2027-01-10T10:00:00Z")
        change = self._change(agreement, "price", date(2027, 1, 15), price_unit=2.0)
        self.assertEqual(change.new_line_ids.start_date, date(2027, 2, 1))
        self.assertEqual(change.new_line_ids.unit_price, 2.0)
        self._use(10, "2027-02-10T10:00:00Z")
        january = self._bill(date(2027, 2, 1))
        february = self._bill(date(2027, 3, 1))
        self.assertEqual(january.amount_untaxed, 5.0)
        self.assertEqual(february.amount_untaxed, 20.0)

    def test_new_usage_price_on_the_day_rates_each_part_alone(self):
        agreement = self._create_usage_agreement(start_date=date(2027, 1, 1))
        self._use(10, "2027-01-10T10:00:00Z")
        self._change(
            agreement, "price", date(2027, 1, 15), price_unit=2.0, usage_on_date=True
        )
        self._use(10, "2027-01-20T10:00:00Z")
        january = self._bill(date(2027, 2, 1))
        self.assertEqual(january.amount_untaxed, 5.0 + 20.0)

    def test_billed_usage_keeps_its_price(self):
        agreement = self._create_usage_agreement(start_date=date(2027, 1, 1))
        self._use(10, "2027-01-10T10:00:00Z")
        self._bill(date(2027, 2, 1))
        change = self._create_change(
            agreement, "price", date(2027, 1, 1), price_unit=2.0
        )
        with self._on(date(2027, 2, 2)), self.assertRaisesRegex(UserError, "is billed"):
            change.action_apply()
