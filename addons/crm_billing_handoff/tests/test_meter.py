from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.tests import Form, tagged

from .usage_common import UsageCommon

LADDER = ((40, 0.9, 4), (90, 0.7, 1.5), (0, 0.5, 0))


@tagged("post_install", "-at_install")
class TestMeter(UsageCommon):
    """Meters, their price tables and the calculator."""

    def _create_tiered(self, *rows, **values):
        return self._create_meter(
            "tiered",
            **{"price_model": "graduated", "tier_ids": self._tiers(*rows), **values},
        )

    def test_calculator_shows_each_step(self):
        meter = self._create_tiered(*LADDER, allowance=10, minimum=50)
        steps = meter.with_user(self.clerk).calculate_price(50.5)
        self.assertEqual(steps["billable"], "40.5")
        self.assertEqual(steps["rated"], "41.85")
        self.assertEqual(
            (steps["usage"], steps["true_up"], steps["total"]),
            ("41.85", "8.15", "50.00"),
        )

    def test_calculator_works_in_the_form_before_it_is_saved(self):
        with Form(self.env["crm.billing.meter"].with_user(self.manager)) as form:
            form.name, form.code = "Storage", "storage"
            form.price_model = "volume"
            self.assertIn("no tiers", form.sample_result)
            for up_to, price, flat in LADDER:
                with form.tier_ids.new() as tier:
                    tier.up_to, tier.price, tier.flat = up_to, price, flat
            form.sample_quantity = 91
            self.assertIn("45.50", form.sample_result)

    def test_tables_that_do_not_work_are_refused(self):
        for rows, why in (
            ((), "no tiers"),
            (((40, 1, 0), (90, 1, 0)), "last"),
            (((40, 1, 0), (40, 1, 0), (0, 1, 0)), "ascending"),
            (((90, 1, 0), (40, 1, 0), (0, 1, 0)), "ascending"),
            (((0, 1, 0), (40, 1, 0), (0, 1, 0)), "only the last"),
            (((-5, 1, 0), (0, 1, 0)), "0 or below"),
        ):
            with self.assertRaisesRegex(ValidationError, why):
                with self.cr.savepoint():
                    self._create_tiered(*rows)

    def test_a_tier_edited_or_deleted_alone_keeps_the_table_working(self):
        meter = self._create_tiered(*LADDER)
        first, second, last = meter.tier_ids
        with self.assertRaisesRegex(ValidationError, "ascending"), self.cr.savepoint():
            second.up_to = 30
        with self.assertRaisesRegex(ValidationError, "last"), self.cr.savepoint():
            last.unlink()
        # Both at once through the meter are looked at when they are done.
        commands = [(1, first.id, {"up_to": 95}), (1, second.id, {"up_to": 99})]
        meter.write({"tier_ids": commands})
        self.assertEqual(meter.tier_ids.mapped("up_to"), [95, 99, 0])

    def test_minimum_above_the_cap_is_refused(self):
        with self.assertRaisesRegex(ValidationError, "above the cap"):
            self._create_meter("odd", minimum=10, cap=5)

    def test_percentage_sums_amounts_of_money(self):
        with self.assertRaisesRegex(ValidationError, "sums the values"):
            self._create_meter("odd", price_model="percentage", aggregation="max")

    def test_code_is_unique_in_its_company_and_stays_once_used(self):
        self._use(1)
        with self.assertRaisesRegex(UserError, "events of Calls"):
            self.meter.code = "other"
        self.meter.code = "calls"
        with self.assertRaises(UserError):
            self.meter.unlink()
        self.meter.name = "Telephone calls"

    def test_line_takes_the_price_of_the_meter_and_keeps_it(self):
        meter = self._create_tiered(*LADDER, allowance=10)
        agreement = self._create_usage_agreement(meter, minimum=45)
        line = agreement.line_ids
        self.assertRecordValues(
            line, [{"price_model": "graduated", "allowance": 10, "minimum": 45}]
        )
        self.assertEqual(line.tier_ids.mapped("price"), [0.9, 0.7, 0.5])
        meter.tier_ids[0].price = 9
        self.assertEqual(line.tier_ids[0].price, 0.9)
        copy = line.copy()
        self.assertEqual(copy.tier_ids.mapped("price"), [0.9, 0.7, 0.5])
        self.assertFalse(copy.tier_ids & line.tier_ids)

    def test_line_takes_meter_from_product_and_price_from_quotation(self):
        self.product.billing_meter_id = self.meter
        agreement = self._create_agreement(
            start=False, lines=[{"billing_method": "usage", "price_unit": 0.25}]
        )
        self.assertRecordValues(
            agreement.line_ids,
            [{"meter_id": self.meter.id, "unit_price": 0.25, "timing": "arrears"}],
        )

    def test_line_typed_in_the_form_has_the_price_of_the_meter(self):
        self.product.billing_meter_id = self.meter
        agreement = self._create_agreement(start=False)
        lines = self.env["crm.billing.agreement.line"].with_user(self.clerk)
        with Form(lines.with_context(default_agreement_id=agreement.id)) as form:
            form.product_id = self.product
            form.billing_method = "usage"
        line = form.record
        self.assertRecordValues(
            line, [{"meter_id": self.meter.id, "unit_price": 0.5, "usage_text": False}]
        )

    def test_usage_line_without_meter_cannot_start(self):
        with self.assertRaisesRegex(UserError, "choose the meter"):
            self._create_agreement(lines=[{"billing_method": "usage"}])

    def test_committed_minimum_recurs(self):
        agreement = self._create_usage_agreement(minimum=45, discount=10)
        self.assertEqual(float(agreement.line_ids._get_mrr()), 40.5)

    def test_managers_set_prices_clerks_and_sales_read(self):
        meter = self._create_tiered(*LADDER)
        meter.with_user(self.manager).tier_ids[0].price = 1
        for user in (self.clerk, self.seller):
            mine = meter.with_user(user)
            self.assertEqual(mine.tier_ids[0].price, 1)
            with self.assertRaises(AccessError):
                mine.unit_price = 2
            with self.assertRaises(AccessError):
                mine.tier_ids[0].price = 2
        line = self._create_usage_agreement(meter, start=False).line_ids
        line.with_user(self.clerk).tier_ids[0].price = 3
        self.assertEqual(line.tier_ids[0].price, 3)
