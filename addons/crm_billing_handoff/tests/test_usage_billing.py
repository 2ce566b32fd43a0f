from datetime import date

from freezegun import freeze_time

from odoo.tests import tagged

from .usage_common import UsageCommon

LADDER = ((40, 0.9, 4), (90, 0.7, 1.5), (0, 0.5, 0))


@tagged("post_install", "-at_install")
class TestUsageBilling(UsageCommon):
    """Events of a period become lines, and late ones a line of their own."""

    def _create_graduated(self, **values):
        return self._create_usage_agreement(
            price_model="graduated", tier_ids=self._tiers(*LADDER), **values
        )

    def test_a_period_is_billed_when_it_is_over(self):
        agreement = self._create_usage_agreement()
        self._use(60, "2027-01-01T00:00:00Z")
        self._use(40, "2027-01-31T23:59:59Z")
        self._use(7, "2027-02-01T00:00:00Z")
        self.assertFalse(self._bill("2027-01-31"))
        line = self._bill("2027-02-01")
        self.assertRecordValues(
            line,
            [
                {
                    "price_subtotal": 50.0,
                    "quantity": 1,
                    "billing_kind": "usage",
                    "billing_date_from": date(2027, 1, 1),
                    "billing_date_to": date(2027, 2, 1),
                }
            ],
        )
        self.assertIn("100", line.name)
        self.assertEqual(agreement.next_invoice_date, date(2027, 3, 1))
        self.assertEqual(self._find("auto-1").state, "billed")
        self.assertEqual(self._find("auto-3").state, "open")
        self.assertFalse(self._bill("2027-02-02"))

    def test_settling_days_wait_for_events(self):
        plan = self._create_plan(settling_days=3)
        self._create_usage_agreement(plan_id=plan.id)
        self._use(10)
        self.assertFalse(self._bill("2027-02-03"))
        self._use(10, "2027-01-31T10:00:00Z", now="2027-02-03 23:00:00")
        self.assertEqual(self._bill("2027-02-04").price_subtotal, 10.0)

    def test_ways_of_counting(self):
        values = (("2027-01-02", 5), ("2027-01-20", 3), ("2027-01-10", 5))
        expected = {"sum": 13, "count": 3, "max": 5, "last": 3, "distinct": 2}
        for way, quantity in expected.items():
            meter = self._create_meter(way, aggregation=way, unit_price=1)
            self._create_usage_agreement(meter)
            for day, value in values:
                self._use(value, f"{day}T10:00:00Z", meter=way)
            self.assertEqual(self._bill("2027-02-01").price_subtotal, quantity, way)

    def test_different_values_of_a_property(self):
        meter = self._create_meter(
            "users", aggregation="distinct", distinct_property="user", unit_price=1
        )
        self._create_usage_agreement(meter)
        for user in ("ann", "bob", "ann"):
            self._use(1, meter="users", properties={"user": user})
        self._use(1, meter="users")
        self.assertEqual(self._bill("2027-02-01").price_subtotal, 2)

    def test_last_is_by_time_then_by_arrival(self):
        meter = self._create_meter("level", aggregation="last", unit_price=1)
        self._create_usage_agreement(meter)
        self._use(
            9, "2027-01-05T10:00:00.500Z", meter="level", now="2027-01-06 00:00:00"
        )
        self._use(
            4, "2027-01-05T10:00:00.200Z", meter="level", now="2027-01-06 00:00:00"
        )
        self.assertEqual(self._bill("2027-02-01").price_subtotal, 9)

    def test_steps_are_explained(self):
        agreement = self._create_usage_agreement(
            price_model="graduated",
            tier_ids=self._tiers((1000, 0.05, 0), (0, 0.04, 0)),
            allowance=400,
            minimum=100,
            cap=125,
            discount=8,
        )
        self._use(3400)
        line = self._bill("2027-02-01")
        self.assertRecordValues(
            line, [{"price_subtotal": 115.0, "price_total": 126.5, "discount": 0}]
        )
        row = agreement.period_ids
        steps = row.explanation["inputs"]["steps"]
        self.assertEqual(
            [steps[name] for name in ("billable", "rated", "after_cap", "discount")],
            ["3000", "130", "125", "10"],
        )
        self.assertEqual(row._get_proof()["verdict"], "equal")
        self.assertIn("3,400", line.name)
        self.assertIn("400 included", line.name)

    def test_minimum_of_a_part_is_a_line_of_its_own(self):
        plan = self._create_plan(anchor_mode="fixed_day", anchor_day=1)
        agreement = self._create_usage_agreement(
            plan_id=plan.id,
            start_date=date(2027, 1, 20),
            unit_price=0.91,
            minimum=45,
        )
        self._use(10, "2027-01-25T10:00:00Z")
        lines = self._bill("2027-02-01")
        self.assertRecordValues(
            lines,
            [
                {"billing_kind": "usage", "price_subtotal": 9.10},
                {"billing_kind": "minimum", "price_subtotal": 8.32},
            ],
        )
        for row in agreement.period_ids:
            self.assertEqual(row._get_proof()["verdict"], "equal", row.kind)

    def test_percentage_of_events_in_their_order(self):
        agreement = self._create_usage_agreement(price_model="percentage")
        agreement.line_ids.write(
            {"percent": 2.5, "fixed_per_event": 0.3, "free_amount": 70}
        )
        for value, day in ((125, "03"), (60, "01"), (15, "02")):
            self._use(value, f"2027-01-{day}T10:00:00Z")
        self.assertEqual(self._bill("2027-02-01").price_subtotal, 3.85)
        self.assertEqual(agreement.period_ids._get_proof()["verdict"], "equal")

    def test_below_zero_counts_as_zero_and_says_so(self):
        agreement = self._create_usage_agreement(minimum=10)
        self._use(-5)
        usage, minimum = self._bill("2027-02-01")
        self.assertEqual((usage.price_subtotal, minimum.price_subtotal), (0.0, 10.0))
        self.assertIn("below 0", usage.name)
        self.assertTrue(agreement.period_ids[-1].explanation["inputs"]["floored"])

    def test_no_usage_is_noted_without_a_document(self):
        agreement = self._create_usage_agreement()
        self.assertFalse(self._bill("2027-02-01"))
        self.assertRecordValues(
            agreement.period_ids, [{"kind": "usage", "amount": 0, "status": "covered"}]
        )
        self._use(10, now="2027-02-05 10:00:00")
        self.assertEqual(self._bill("2027-03-01")[0].price_subtotal, 5.0)

    def test_periods_missed_are_billed_each_with_its_own_events(self):
        self._create_graduated()
        self._use(40, "2027-01-10T10:00:00Z")
        self._use(91, "2027-02-10T10:00:00Z")
        lines = self._bill("2027-03-01")
        self.assertEqual(lines.mapped("price_subtotal"), [40.0, 77.0])
        self.assertEqual(len(lines.move_id), 2)

    # === LATE === #

    def test_late_units_are_rated_with_their_own_period(self):
        agreement = self._create_graduated()
        self._use(40)
        self._bill("2027-02-01")
        line = agreement.line_ids
        line.unit_price = 99  # what was agreed then counts, not what is agreed now
        line.tier_ids.write({"price": 99})
        event = self._use(3, now="2027-02-05 10:00:00")
        self.assertRecordValues(event, [{"is_late": True, "state": "open"}])
        self.assertTrue(agreement.period_ids.needs_rating)
        self.assertFalse(self._bill("2027-02-10"), "it waits for the next invoice")
        line.tier_ids.write({"price": 0})
        lines = self._bill("2027-03-01")
        self.assertRecordValues(
            lines,
            [
                {
                    "billing_kind": "late_usage",
                    "price_subtotal": 3.60,
                    "billing_date_from": date(2027, 1, 1),
                    "billing_date_to": date(2027, 2, 1),
                },
                {
                    "billing_kind": "usage",
                    "price_subtotal": 4.0,
                    "billing_date_from": date(2027, 2, 1),
                    "billing_date_to": date(2027, 3, 1),
                },
            ],
        )
        self.assertIn("Late usage", lines[0].name)
        self.assertEqual(lines[0].billing_period_ids._get_proof()["verdict"], "equal")
        self.assertEqual(self._find(event.event_uid).state, "billed")
        self.assertFalse(any(agreement.period_ids.mapped("needs_rating")))
        self.assertEqual(self._bill("2027-04-01").mapped("billing_kind"), ["usage"])

    def test_late_twice_takes_off_what_was_billed_before(self):
        self._create_graduated()
        self._use(40)
        self._bill("2027-02-01")
        self._use(3, now="2027-02-05 10:00:00")
        self._bill("2027-03-01")
        self._use(10, now="2027-03-05 10:00:00")
        self.assertEqual(self._bill("2027-04-01")[0].price_subtotal, 7.0)

    def test_late_usage_below_the_minimum_makes_no_difference(self):
        agreement = self._create_usage_agreement(minimum=50)
        self._use(10)
        self.assertEqual(sum(self._bill("2027-02-01").mapped("price_subtotal")), 50)
        self._use(20, now="2027-02-05 10:00:00")
        lines = self._bill("2027-03-01")
        self.assertNotIn("late_usage", lines.mapped("billing_kind"))
        note = agreement.period_ids.filtered(lambda row: row.kind == "late_usage")
        self.assertRecordValues(note, [{"amount": 0, "status": "covered"}])
        self.assertIn("no difference", note.note)
        self.assertFalse(any(agreement.period_ids.mapped("needs_rating")))
        self._use(200, now="2027-03-05 10:00:00")
        self.assertEqual(self._bill("2027-04-01")[0].price_subtotal, 65.0)

    def test_less_is_a_credit_with_the_tax_of_the_original(self):
        agreement = self._create_usage_agreement()
        first = self._use(100)
        self._bill("2027-02-01")
        dearer = self.tax.copy({"amount": 25.0, "name": "Test 25%"})
        agreement.line_ids.tax_ids = dearer
        self._use(200, "2027-02-10T10:00:00Z")
        cancel = self._event("c1", None, cancels=first.event_uid)
        self._record(cancel, now="2027-02-12 10:00:00")
        lines = self._bill("2027-03-01")
        self.assertRecordValues(
            lines,
            [
                {"billing_kind": "credit", "price_subtotal": -50.0, "price_total": -55},
                {"billing_kind": "usage", "price_subtotal": 100.0, "price_total": 125},
            ],
        )
        credit = lines[0].billing_period_ids
        self.assertEqual(credit.debit_id.amount, 50)
        self.assertFalse(any(agreement.period_ids.mapped("needs_rating")))
        self.assertFalse(self._bill("2027-04-01"))

    def test_late_after_the_end_gets_a_document_of_its_own(self):
        agreement = self._create_usage_agreement(end_date=date(2027, 1, 31))
        self._use(100)
        self._bill("2027-02-01")
        self.env["crm.billing.agreement"]._cron_refresh()
        self.assertEqual(agreement.state, "closed")
        self._use(10, now="2027-02-05 10:00:00")
        self.assertEqual(agreement.state, "running")
        self.assertEqual(self._bill("2027-02-06").price_subtotal, 5.0)
        self.assertEqual(agreement.state, "closed")

    def test_too_late_waits_for_a_clerk(self):
        self.meter.late_days = 10
        agreement = self._create_usage_agreement()
        self._use(100)
        self._bill("2027-02-01")
        self._use(2, now="2027-02-11 10:00:00")
        late = [self._use(4, now="2027-02-12 10:00:00") for _number in range(2)]
        self.assertEqual([event.state for event in late], ["held", "held"])
        late[0].with_user(self.clerk).action_accept_late()
        late[1].with_user(self.clerk).action_dismiss_late()
        self.assertEqual(self._bill("2027-03-01")[0].price_subtotal, 3.0)
        self.assertEqual(late[1].state, "void")
        log = self.env["crm.billing.event"].search([("action", "=", "waived")], limit=1)
        self.assertIn(late[1].event_uid, log.note)
        self.assertEqual(log.user_id, self.clerk)
        self.assertFalse(any(agreement.period_ids.mapped("needs_rating")))

    def test_what_arrives_while_billing_is_found_later(self):
        agreement = self._create_usage_agreement()
        self._use(100)
        self._bill("2027-02-01")
        event = self._use(10, now="2027-02-01 12:00:00")
        # as if neither the run had seen the event nor the event the ledger row
        agreement.period_ids.needs_rating = False
        event.sudo().is_late = False
        lines = self._bill("2027-03-01")
        self.assertEqual(lines[0].billing_kind, "late_usage")
        self.assertEqual(lines[0].price_subtotal, 5.0)

    def test_deleted_draft_frees_events(self):
        agreement = self._create_usage_agreement()
        event = self._use(100)
        draft = self._run(date(2027, 2, 1))
        self.assertEqual(event.state, "billed")
        draft.unlink()
        self.assertFalse(agreement.period_ids)
        self.assertEqual(event.state, "open")
        self.assertEqual(self._run(date(2027, 2, 1)).amount_untaxed, 50.0)

    def test_preview_measures_and_writes_nothing(self):
        agreement = self._create_usage_agreement()
        self._use(100)
        preview = agreement.with_user(self.clerk).preview_invoices(date(2027, 2, 1))
        self.assertIn("50", str(preview))
        self.assertFalse(agreement.period_ids)
        self.assertFalse(self._find("auto-1").period_id)

    def test_successor_bills_the_events_of_its_own_days(self):
        agreement = self._create_usage_agreement()
        line = agreement.line_ids
        self._use(40, "2027-01-10T10:00:00Z")
        self._use(20, "2027-01-20T10:00:00Z")
        line.write({"end_date": date(2027, 1, 15), "end_reason": "pause"})
        line.copy(
            {
                "start_date": date(2027, 1, 16),
                "anchor_date": line.anchor_date,
                "anchor_day": line.anchor_day,
                "predecessor_id": line.id,
                "unit_price": 1.0,
            }
        )
        lines = self._bill("2027-02-01")
        self.assertEqual(sorted(lines.mapped("price_subtotal")), [20.0, 20.0])

    def test_so_far_this_period(self):
        agreement = self._create_usage_agreement()
        self._use(40, "2027-01-10T10:00:00Z")
        with freeze_time("2027-01-20 12:00:00"):
            line = agreement.with_user(self.clerk).line_ids
            line.invalidate_recordset(["usage_so_far", "usage_text"])
            self.assertEqual(line.usage_so_far["usage"], "20.00")
            self.assertIn("40", line.usage_text)

    def test_rating_queries_do_not_grow_with_events(self):
        agreement = self._create_usage_agreement()
        lines, until = agreement.line_ids, {agreement: date(2027, 2, 1)}

        def count():
            self.env.flush_all()
            before = self.cr.sql_log_count
            facts = lines._read_due_facts(until)
            lines._get_due_usage(date(2027, 2, 1), facts)
            return self.cr.sql_log_count - before

        self._use(1)
        few = (count(), count())[1]
        self._record(*[self._event(f"e{number}") for number in range(500)])
        count()
        self.assertEqual(count(), few)
        facts = lines._read_due_facts(until)
        due = lines._get_due_usage(date(2027, 2, 1), facts)
        self.assertEqual(str(due[0].amount), "250.50")
