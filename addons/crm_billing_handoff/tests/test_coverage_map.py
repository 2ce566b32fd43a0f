from datetime import date

from odoo.exceptions import AccessError, UserError
from odoo.fields import Command
from odoo.tests import freeze_time, tagged

from .agreement_common import AgreementCommon

NOW = "2027-05-12 12:00:00"
TODAY = date(2027, 5, 12)


@tagged("post_install", "-at_install")
class TestCoverageMap(AgreementCommon):
    """The strip of each line: what is billed, missing, credited, to come."""

    def setUp(self):
        super().setUp()
        self.startClassPatcher(freeze_time(NOW))

    def _get_strip(self, agreement, number=0, **options):
        return agreement.get_coverage_map(**options)["strips"][number]

    def _get_statuses(self, agreement, number=0):
        cells = self._get_strip(agreement, number)["cells"]
        return [cell["status"] for cell in cells]

    def _get_segments(self, agreement, number=0):
        return [
            (segment["status"], segment["date_from"], segment["date_to"])
            for cell in self._get_strip(agreement, number)["cells"]
            for segment in cell["segments"]
        ]

    # === WHAT A CELL SAYS === #

    def test_after_an_outage_each_missed_period_shows(self):
        agreement = self._create_agreement(price_unit=31.0)
        self._post(self._run(date(2027, 1, 1)))
        self._run(date(2027, 2, 1))

        found = agreement.get_coverage_map()

        self.assertEqual(
            [cell["status"] for cell in found["strips"][0]["cells"]],
            ["billed", "draft", "missing", "missing", "missing"] + ["upcoming"] * 6,
        )
        self.assertEqual(found["missing"], 3)
        self.assertEqual(found["strips"][0]["missing"], 3)

    def test_due_today_is_not_missing(self):
        agreement = self._create_agreement(start_date=TODAY)
        self.assertEqual(self._get_statuses(agreement)[0], "due")

    def test_a_cell_names_its_document_and_amount(self):
        agreement = self._create_agreement(price_unit=31.0)
        move = self._post(self._run(date(2027, 1, 1)))

        cell = self._get_strip(agreement)["cells"][0]

        [segment] = cell["segments"]
        [row] = segment["rows"]
        self.assertEqual(row["move_id"], move.id)
        self.assertEqual(row["document"], move.name)
        self.assertEqual(row["amount"], agreement.currency_id.format(31.0))
        self.assertEqual((cell["label"], cell["year"]), ("Jan", "2027"))

    def test_a_draft_agreement_shows_what_it_would_bill(self):
        agreement = self._create_agreement(start=False, start_date=date(2027, 6, 1))
        cells = self._get_strip(agreement)["cells"]
        self.assertEqual({cell["status"] for cell in cells}, {"upcoming"})
        self.assertEqual(cells[0]["date_from"], "2027-06-01")
        self.assertFalse(cells[0]["segments"][0]["can_bill"])

    def test_a_trial_stands_before_the_first_paid_day(self):
        agreement = self._create_agreement(start_date=date(2027, 5, 1), trial_days=14)
        self.assertEqual(
            self._get_segments(agreement)[0], ("trial", "2027-05-01", "2027-05-15")
        )

    def test_a_prorated_first_part_is_as_long_as_it_is(self):
        first_of_month = self._create_plan(anchor_mode="fixed_day", anchor_day=1)
        agreement = self._create_agreement(
            start_date=date(2027, 4, 12), plan_id=first_of_month.id
        )
        [segment] = self._get_strip(agreement)["cells"][0]["segments"]
        self.assertEqual(segment["days"], 19)
        self.assertEqual(segment["status"], "missing")

    def test_only_the_window_is_read_and_earlier_ones_are_counted(self):
        agreement = self._create_agreement(start_date=date(2022, 1, 1))
        strip = self._get_strip(agreement)
        self.assertEqual(len(strip["cells"]), 24 + 1 + 6)
        self.assertEqual(strip["earlier"], 5 * 12 + 4 - 24)
        whole = self._get_strip(agreement, past=96)
        self.assertEqual(whole["earlier"], 0)
        self.assertEqual(whole["cells"][0]["date_from"], "2022-01-01")

    def test_the_window_is_bounded_whatever_is_asked(self):
        plan = self._create_plan(interval_unit="day")
        agreement = self._create_agreement(start_date=date(2015, 1, 1), plan_id=plan.id)
        cells = self._get_strip(agreement, past=10**9)["cells"]
        self.assertEqual(len(cells), 1500 + 1 + 6)

    def test_one_off_lines_are_one_cell(self):
        agreement = self._create_agreement(
            lines=[{}, {"billing_method": "one_off", "price_unit": 50.0}],
            start_date=TODAY,
        )
        self.assertEqual(self._get_statuses(agreement, 1), ["due"])
        self._run(TODAY)
        self.assertEqual(self._get_statuses(agreement, 1), ["draft"])

    def test_each_account_has_its_own_today(self):
        self.account.billing_tz = "Pacific/Kiritimati"  # UTC+14: already the 13th
        agreement = self._create_agreement(start_date=date(2027, 5, 13))
        self.assertEqual(self._get_statuses(agreement)[0], "due")

    def _change(self, agreement, day, **values):
        change = self.env["crm.billing.change"].create(
            {"agreement_id": agreement.id, "date": day, **values}
        )
        change.action_apply()
        return change

    def test_a_change_cuts_its_cell_in_one_strip(self):
        agreement = self._create_agreement(start_date=date(2027, 5, 1), price_unit=31)
        self._post(agreement.generate_invoices())
        self._change(agreement, date(2027, 5, 11), change_type="quantity", quantity=2)

        self.assertEqual(len(agreement.get_coverage_map()["strips"]), 1)
        self.assertEqual(
            self._get_segments(agreement)[:2],
            [
                ("part_credited", "2027-05-01", "2027-05-11"),
                ("pending", "2027-05-11", "2027-06-01"),
            ],
        )
        self.assertEqual(self._get_statuses(agreement)[0], "pending")

    def test_a_pause_shows_until_it_ends(self):
        agreement = self._create_agreement(start_date=date(2027, 4, 1), price_unit=30)
        self._post(agreement.generate_invoices(date(2027, 4, 1)))
        self._change(agreement, date(2027, 4, 16), change_type="pause")
        self.assertEqual(agreement.state, "paused")
        self.assertEqual(
            self._get_segments(agreement)[:2],
            [
                ("part_credited", "2027-04-01", "2027-04-16"),
                ("paused", "2027-04-16", "2027-05-01"),
            ],
        )
        self.assertEqual(self._get_statuses(agreement)[-1], "paused")
        self.assertFalse(agreement.get_coverage_map()["missing"])

    def test_a_reversed_period_is_credited_and_billed_again(self):
        agreement = self._create_agreement(start_date=date(2027, 5, 1), price_unit=31)
        move = self._post(agreement.generate_invoices())
        self._post(move._reverse_moves([{"date": TODAY, "invoice_date": TODAY}]))
        self.assertEqual(self._get_statuses(agreement)[0], "credited")

        debit = agreement.period_ids.filtered(lambda row: row.kind == "recurring")
        debit.with_user(self.clerk).action_bill_again()
        segments = self._get_segments(agreement)[:2]
        self.assertEqual(
            [status for status, *_days in segments], ["credited", "missing"]
        )
        self.assertEqual(len(agreement.get_coverage_map()["strips"]), 1)

    def test_milestones_are_cells_by_name(self):
        agreement = self._create_agreement(
            start=False,
            start_date=date(2027, 4, 1),
            lines=[
                {
                    "billing_method": "milestone",
                    "price_unit": 1000.0,
                    "deposit_percent": 10.0,
                    "milestone_ids": [
                        Command.create(
                            {"name": name, "weight": 50.0, "user_id": self.seller.id}
                        )
                        for name in ("Design", "Build")
                    ],
                }
            ],
        )
        agreement.action_start()
        agreement.generate_invoices()
        agreement.milestone_ids[0].action_mark_done()

        cells = self._get_strip(agreement)["cells"]
        self.assertEqual(
            [(cell["label"], cell["status"]) for cell in cells],
            [("Deposit", "draft"), ("Design", "draft"), ("Build", "upcoming")],
        )

    def test_gaps_before_the_window_are_counted(self):
        agreement = self._create_agreement(start_date=date(2024, 1, 1))
        strip = self._get_strip(agreement)
        self.assertEqual(strip["missing"], 41)
        self.assertEqual(strip["hidden_missing"], strip["earlier"])

    # === WHAT CAN BE DONE === #

    def test_bill_now_makes_all_drafts_up_to_the_cell(self):
        agreement = self._create_agreement(price_unit=31.0)
        clerk = agreement.with_user(self.clerk)
        clerk.bill_missing("2027-03-01")
        self.assertEqual(
            self._get_statuses(agreement)[:5],
            ["draft", "draft", "draft", "missing", "missing"],
        )
        self.assertEqual(len(agreement.move_ids), 3)

    def test_a_waived_period_is_covered_for_good(self):
        agreement = self._create_agreement(price_unit=31.0)
        line = agreement.line_ids
        agreement.with_user(self.manager).waive_period(
            line.id, "2027-02-01", "2027-03-01", "Our outage"
        )

        self.assertEqual(
            self._get_statuses(agreement)[:3], ["missing", "covered", "missing"]
        )
        moves = agreement.generate_invoices(TODAY)
        self.assertEqual(len(moves), 4)
        self.assertNotIn(
            date(2027, 2, 1), moves.invoice_line_ids.mapped("billing_date_from")
        )
        event = self.env["crm.billing.event"].search(
            [("agreement_id", "=", agreement.id), ("action", "=", "waived")]
        )
        self.assertIn("Our outage", event.note)
        self.assertEqual(event.user_id, self.manager)

    def test_waiving_is_a_managers(self):
        agreement = self._create_agreement()
        arguments = (agreement.line_ids.id, "2027-02-01", "2027-03-01", "nice")
        for user in (self.clerk, self.seller, self.users["accountant"]):
            with self.subTest(user.name), self.assertRaises(AccessError):
                agreement.with_user(user).waive_period(*arguments)
        rights = agreement.with_user(self.clerk).get_coverage_map()["rights"]
        self.assertEqual(rights, {"bill": True, "waive": False})

    def test_what_cannot_be_waived(self):
        agreement = self._create_agreement(end_date=date(2027, 6, 30))
        other = self._create_agreement()
        agreement.generate_invoices(date(2027, 1, 1))
        line, waive = agreement.line_ids, agreement.with_user(self.manager).waive_period
        for arguments, words in (
            ((line.id, "2027-02-01", "2027-03-01", "  "), "Say why"),
            ((line.id, "2027-01-15", "2027-02-01", "why"), "billed already"),
            ((line.id, "2026-12-01", "2027-01-01", "why"), "does not serve"),
            ((line.id, "2027-06-01", "2027-07-02", "why"), "does not serve"),
            ((line.id, "2027-03-01", "2027-03-01", "why"), "does not serve"),
            ((other.line_ids.id, "2027-02-01", "2027-03-01", "why"), "Only periods"),
        ):
            with self.subTest(arguments), self.assertRaisesRegex(UserError, words):
                waive(*arguments)

    def test_salespeople_read_the_map_of_their_own(self):
        agreement = self._create_agreement()
        self._run(date(2027, 1, 1))
        seen = agreement.with_user(self.seller).get_coverage_map()
        self.assertEqual(seen["strips"][0]["cells"][0]["status"], "draft")
        self.assertFalse(seen["rights"]["bill"])
        with self.assertRaises(AccessError):
            agreement.with_user(self.users["other_seller"]).get_coverage_map()

    def test_the_map_writes_nothing_and_asks_little(self):
        agreement = self._create_agreement(start_date=date(2025, 6, 1))
        agreement.generate_invoices(TODAY)
        self.env.flush_all()
        agreement.get_coverage_map()
        self.env.invalidate_all()
        with self.assertQueryCount(45):
            agreement.get_coverage_map()
        self.assertFalse(self.env.cr.precommit.data.get("tracking"))


@tagged("post_install", "-at_install")
class TestHints(AgreementCommon):
    """Where each value comes from, and what waits, beside the value."""

    def test_a_value_is_its_own_or_the_accounts(self):
        agreement = self._create_agreement(start=False)
        self.assertIn("follows the account", agreement.payer_hint)
        self.assertIn(self.terms.name, agreement.payment_term_hint)
        self.assertEqual(agreement.po_hint, "None, follows the account")

        self.account.po_number = "PO-1"
        agreement.po_number = "PO-2"
        agreement.payment_term_id = self.env.ref("account.account_payment_term_15days")
        self.assertEqual(agreement.po_hint, "own value, the account has PO-1")
        self.assertIn(self.terms.name, agreement.payment_term_hint)
        self.assertTrue(agreement.payment_term_hint.startswith("own value"))

    def test_the_zone_shows_only_where_it_differs(self):
        self.clerk.tz = "Europe/Brussels"
        agreement = self._create_agreement()
        for zone, named in (
            ("Europe/Brussels", False),
            ("Europe/Paris", False),
            ("Pacific/Auckland", True),
        ):
            self.account.billing_tz = zone
            hint = (
                agreement.with_user(self.clerk).with_context(tz=self.clerk.tz).tz_hint
            )
            with self.subTest(zone):
                self.assertEqual(bool(hint), named)
                self.assertIn(zone if named else "", hint or "")

    def test_periods_that_were_caught_up_are_counted_until_posted(self):
        agreement = self._create_agreement(start_date=date(2026, 1, 1))
        with freeze_time("2026-04-10 12:00:00"):
            moves = agreement.generate_invoices()
        moves.sudo().write({"invoice_date": date(2026, 4, 10)})
        self.assertEqual(len(moves), 4)
        agreement.invalidate_recordset()
        self.assertEqual(agreement.caught_up_count, 4)
        self._post(moves)
        agreement.invalidate_recordset()
        self.assertEqual(agreement.caught_up_count, 0)
