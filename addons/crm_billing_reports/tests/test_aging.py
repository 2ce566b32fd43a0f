from datetime import date

from freezegun import freeze_time

from odoo.exceptions import AccessError
from odoo.fields import Command
from odoo.tests import new_test_user, tagged

from ..report.crm_billing_aging_report import COLUMNS
from ..report_rules import aging
from .aging_common import AgingCommon

DAY = "2027-10-31"


@tagged("post_install", "-at_install")
@freeze_time("2027-10-31 12:00:00")
class TestAging(AgingCommon):
    """What is open on a day, and where it stands (billing rules, 8.1 and 8.2)."""

    # === COLUMNS === #

    def test_the_example_of_the_rules(self):
        for due, amount in [
            ("2027-11-20", 1),
            ("2027-10-31", 2),
            ("2027-10-01", 4),
            ("2027-09-30", 8),
            ("2027-07-02", 16),
        ]:
            self._create_dated("2027-06-01", amount, due=due)
        self.assertEqual(
            self._columns(DAY),
            {"0_not_due": 3, "1_30": 4, "31_60": 8, "over_120": 16},
        )
        self._assert_ties(DAY)

    def test_the_edges_of_the_buckets(self):
        dues = ["09-01", "08-31", "08-02", "08-01", "07-03"]
        for due in dues:
            self._create_dated("2027-06-01", 10, due=f"2027-{due}")
        rows = self._read(DAY).sorted("date_due", reverse=True)
        self.assertEqual(rows.mapped("days"), [60, 61, 90, 91, 120])
        self.assertEqual(
            rows.mapped("bucket"), ["31_60", "61_90", "61_90", "91_120", "91_120"]
        )

    def test_the_report_has_the_columns_of_the_rule(self):
        self.assertEqual({key for key, _label in COLUMNS}, set(aging.COLUMNS))
        fields = self.env["crm.billing.aging.report"]._fields
        for bucket in aging.BUCKETS:
            self.assertIn(f"bucket_{bucket.key}", fields)
        keys = [bucket.key for bucket in aging.BUCKETS]
        self.assertEqual(["0_not_due", *keys], sorted(["0_not_due", *keys]))

    def test_columns_add_up_to_the_total(self):
        self._create_dated("2027-06-01", 70, due="2027-06-15")
        self._create_dated("2027-10-01", 30, due="2027-11-15")
        self._create_payment("2027-10-10", 45)
        names = ["not_due", "unapplied", "retention"]
        names += [f"bucket_{bucket.key}" for bucket in aging.BUCKETS]
        [sums] = self._report(DAY)._read_group(
            [("partner_id", "=", self.account.id)],
            [],
            [f"{name}:sum" for name in [*names, "total", "overdue"]],
        )
        self.assertEqual(sum(sums[:-2]), sums[-2])
        self.assertEqual(sums[-2:], (55, 70))

    def test_each_instalment_by_its_own_due_date(self):
        move = self._create_in(
            [("2027-09-15", 400), ("2027-10-15", 350), ("2027-11-15", 250)],
            "2027-09-01",
        )
        self._pay_on(move, "2027-10-20", 500)
        self.assertEqual(
            [(row.date_due, row.days, row.total) for row in self._read("2027-10-19")],
            [
                (date(2027, 9, 15), 34, 400),
                (date(2027, 10, 15), 4, 350),
                (date(2027, 11, 15), -27, 250),
            ],
        )
        self.assertEqual(self._columns(DAY), {"1_30": 250, "0_not_due": 250})
        self._assert_ties(DAY)

    def test_without_a_due_date_the_entry_counts(self):
        entry = self._create_entry("2027-10-01", 80)
        self._receivable(entry).date_maturity = False
        row = self._read(DAY)
        self.assertRecordValues(
            row, [{"days": 30, "bucket": "1_30", "kind": "entry", "total": 80}]
        )

    def _create_entry(self, day, amount, currency_amount=None, **values):
        """Return a posted entry that debits the account's receivable."""
        other = self.company.income_currency_exchange_account_id
        receivable = self.account.property_account_receivable_id
        entry = self.env["account.move"].create(
            {
                "move_type": "entry",
                "date": day,
                "line_ids": [
                    Command.create(
                        {
                            "account_id": receivable.id,
                            "partner_id": self.account.id,
                            "balance": amount,
                            **values,
                        }
                    ),
                    Command.create({"account_id": other.id, "balance": -amount}),
                ],
            }
        )
        entry.action_post()
        return entry

    # === CREDITS === #

    def test_what_is_not_applied_stands_apart(self):
        self._create_dated("2027-09-01", 500)
        self._create_dated("2027-09-02", -120)
        self._create_payment("2027-09-03", 80)
        self.assertEqual(self._columns(DAY), {"31_60": 500, "unapplied": -200})
        kinds = self._read(DAY).filtered(lambda row: row.total < 0).mapped("kind")
        self.assertEqual(sorted(kinds), ["credit_note", "payment"])
        self._assert_ties(DAY)

    def test_a_credit_note_applies_from_its_own_date(self):
        move = self._create_dated("2027-09-01", 500)
        credit = self._create_dated("2027-10-05", -120)
        self._match(move, credit)
        self.assertEqual(self._columns("2027-10-04"), {"31_60": 500})
        self.assertEqual(self._columns("2027-10-05"), {"31_60": 380})

    def test_an_advance_applies_from_the_date_of_the_invoice(self):
        payment = self._create_payment("2027-09-01", 100)
        move = self._create_dated("2027-10-10", 300)
        self._match(move, payment.move_id)
        self.assertEqual(self._columns("2027-10-09"), {"unapplied": -100})
        self.assertEqual(self._columns("2027-10-10"), {"0_not_due": 200})

    def test_a_refund_that_is_not_matched_is_owed_to_us(self):
        self._create_payment("2027-10-01", 60, payment_type="outbound")
        self.assertEqual(self._columns(DAY), {"1_30": 60})

    def test_a_write_off(self):
        move = self._create_dated("2027-09-01", 500)
        entry = self._create_entry("2027-10-20", -500)
        self._match(move, entry)
        self.assertEqual(self._columns("2027-10-19"), {"31_60": 500})
        self.assertFalse(self._read(DAY))
        self._assert_ties("2027-10-19")

    # === ANY DAY === #

    def test_a_past_day_stays_as_it_is(self):
        move = self._create_dated("2027-08-01", 500, due="2027-09-01")
        before = self._columns("2027-09-30")
        with freeze_time("2027-12-15"):
            self._pay_on(move, "2027-12-15")
            self._create_dated("2027-12-01", 70)
            credit = self._create_dated("2027-11-01", -30)
            self.assertEqual(self._columns("2027-09-30"), before)
            self.assertNotIn(credit, self._read("2027-09-30").move_id)
            self._assert_ties("2027-09-30")
        self.assertEqual(before, {"1_30": 500})

    def test_a_backdated_payment_counts_by_its_date(self):
        move = self._create_dated("2027-08-01", 500, due="2027-09-01")
        with freeze_time("2027-12-15"):
            self._pay_on(move, "2027-09-10", 200)
        self.assertEqual(self._columns("2027-09-09"), {"1_30": 500})
        self.assertEqual(self._columns("2027-09-10"), {"1_30": 300})

    def test_unmatching_changes_no_earlier_day(self):
        move = self._create_dated("2027-08-01", 500, due="2027-09-01")
        self._pay_on(move, "2027-10-10")
        days = ("2027-09-15", "2027-10-09")
        before = [self._columns(day) for day in days]
        self._receivable(move).remove_move_reconcile()
        self.assertEqual([self._columns(day) for day in days], before)
        self.assertEqual(self._columns(DAY), {"31_60": 500, "unapplied": -500})
        self._assert_ties(DAY)

    def test_a_closed_period_keeps_its_figures(self):
        move = self._create_dated("2027-08-01", 500, due="2027-09-01")
        before = self._columns("2027-09-30")
        self.company.fiscalyear_lock_date = "2027-09-30"
        late = self._create_dated("2027-09-20", 90)
        credit = self._create_dated("2027-09-21", -40)
        self._match(move, credit)
        self.assertGreater(min((late | credit).mapped("date")), date(2027, 9, 30))
        self.assertEqual(self._columns("2027-09-30"), before)
        self._assert_ties("2027-09-30")

    def test_a_day_to_come(self):
        self._create_dated("2027-10-01", 100, due="2027-11-30")
        self._create_dated("2027-12-01", 10)
        self.assertEqual(self._columns("2027-11-30"), {"0_not_due": 100})
        self.assertEqual(self._columns("2027-12-01"), {"1_30": 100, "0_not_due": 10})

    def test_drafts_and_cancelled_documents_count_nowhere(self):
        move = self._create_dated("2027-09-01", 500)
        move.button_draft()
        self.assertFalse(self._read(DAY))
        move.button_cancel()
        self.assertFalse(self._read(DAY))

    def test_today_is_the_day_where_none_is_asked_for(self):
        self._create_dated("2027-10-01", 100)
        report = self.env["crm.billing.aging.report"]
        row = report.search([("partner_id", "=", self.account.id)])
        self.assertEqual((row.as_of, row.days), (date(2027, 10, 31), 30))

    def test_the_domain_asks_for_a_day(self):
        self._create_dated("2027-10-01", 100)
        report = self.env["crm.billing.aging.report"]
        domain = [("partner_id", "=", self.account.id)]
        row = report.search([("as_of", "=", "2027-10-11"), *domain])
        self.assertEqual(row.days, 10)
        groups = report.formatted_read_group(
            [("as_of", "=", "2027-12-11"), *domain], ["bucket"], ["total:sum"]
        )
        self.assertEqual([group["bucket"] for group in groups], ["61_90"])

    # === FLAGS === #

    def test_a_disputed_invoice_is_flagged_and_counts(self):
        move = self._create_dated("2027-09-01", 500)
        self.assertFalse(self._read(DAY).is_disputed)
        move.action_start_dunning()
        self._get_case(move).action_dispute("Not what we ordered")
        row = self._read(DAY)
        self.assertTrue(row.is_disputed)
        self.assertEqual((row.total, row.case_id), (500, self._get_case(move)))
        self._get_case(move).action_resolve_dispute()
        self.env.flush_all()
        self.assertFalse(self._read(DAY).is_disputed)

    def test_a_disputed_payment_flags_its_invoice(self):
        move = self._create_dated("2027-09-01", 500)
        move.sudo().dunning_dispute_state = "open"
        self.assertTrue(self._read(DAY).is_disputed)

    def test_what_is_on_hold(self):
        move = self._create_dated("2027-09-01", 500)
        move.action_start_dunning()
        self._get_case(move).action_hold("2027-11-15")
        self.assertTrue(self._read(DAY).is_held)
        self.assertFalse(self._read(DAY).is_disputed)

    def test_an_account_that_waits(self):
        self._create_dated("2027-09-01", 500)
        self.account.dunning_hold_until = "2027-11-15"
        self.assertTrue(self._read(DAY).is_held)
        self.assertFalse(self._read("2027-11-16").is_held)

    def test_what_is_blocked(self):
        move = self._create_dated("2027-09-01", 500)
        self.assertFalse(self._read(DAY).is_blocked)
        move.no_followup = True
        self.env.flush_all()
        self.assertTrue(self._read(DAY).is_blocked)
        move.no_followup = False
        self.account.billing_hold = True
        self.assertTrue(self._read(DAY).is_blocked)

    # === WHOSE === #

    def test_contacts_stand_under_their_company(self):
        contact = self.account.billing_contact_id
        self._create_dated("2027-10-01", 100, account=contact)
        self._create_entry("2027-10-01", 50, partner_id=contact.id)
        self.assertEqual(self._columns(DAY), {"1_30": 150})

    def test_the_salesperson(self):
        self._create_dated("2027-10-01", 100)
        self._create_payment("2027-10-02", 10)
        self.assertEqual(self._read(DAY).user_id, self.seller)

    def test_sales_sees_its_own(self):
        other = self._create_account("Other", user_id=self.users["other_seller"].id)
        own = self._create_dated("2027-10-01", 100)
        theirs = self._create_dated(
            "2027-10-01", 100, account=other, invoice_user_id=other.user_id.id
        )
        domain = [("move_id", "in", (own | theirs).ids)]

        def see(user):
            return self._report(DAY, user).search(domain).move_id

        self.assertEqual(see(self.seller), own)
        self.assertEqual(see(self.users["other_seller"]), theirs)
        for role in ("clerk", "manager", "accountant"):
            self.assertEqual(see(self.users[role]), own | theirs)
        self.assertFalse(self._report(DAY, self.seller).get_tie_outs([]))

    def test_others_see_nothing(self):
        nobody = new_test_user(self.env, "aging_nobody", groups="base.group_user")
        with self.assertRaises(AccessError):
            self._report(DAY, nobody).search([])
        with self.assertRaises(AccessError):
            self._report(DAY, self.manager).create({})

    def test_other_companies_stay_apart(self):
        self._create_dated("2027-10-01", 100)
        other = self.env["res.company"].create({"name": "Elsewhere"})
        self.manager.company_ids |= other
        report = self._report(DAY, self.manager).with_context(
            allowed_company_ids=other.ids
        )
        self.assertFalse(report.search([]))

    def test_a_row_opens_its_document(self):
        move = self._create_dated("2027-10-01", 100)
        action = self._read(DAY).action_view_document()
        self.assertEqual((action["res_model"], action["res_id"]), (move._name, move.id))
        move.action_start_dunning()
        action = self._read(DAY).action_view_case()
        self.assertEqual(action["res_id"], self._get_case(move).id)

    # === SPEED === #

    def test_queries_do_not_grow(self):
        for number in range(12):
            account = self._create_account(f"Account {number}")
            move = self._create_dated("2027-09-01", 100, account=account)
            if number % 2:
                self._pay_on(move, "2027-10-15")
        self.env.flush_all()
        self.env.invalidate_all()
        report = self._report("2027-10-01", self.manager)
        names = [f"bucket_{bucket.key}:sum" for bucket in aging.BUCKETS]
        with self.assertQueryCount(8):
            groups = report.formatted_read_group(
                [], ["partner_id"], [*names, "not_due:sum", "total:sum"]
            )
        self.assertGreaterEqual(len(groups), 12)
