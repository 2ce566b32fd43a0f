from datetime import date

from freezegun import freeze_time

from odoo.exceptions import AccessError
from odoo.tests import tagged

from .aging_common import AgingCommon


@tagged("post_install", "-at_install")
@freeze_time("2027-06-10 12:00:00")
class TestDueChanges(AgingCommon):
    """No report of a past day changes when a due date is moved (J1)."""

    def _move(self, move, due, on="2027-06-10", line=None):
        with freeze_time(f"{on} 12:00:00"):
            (line or self._receivable(move)).date_maturity = due
            self.env.flush_all()

    def _get_not_due(self, first, last):
        """Return ``{last day of the month: amount}`` of the account."""
        report = self.env["crm.billing.receivable.report"]
        report.invalidate_model()
        rows = report.search(
            [
                ("partner_id", "=", self.account.id),
                ("date", ">=", first),
                ("date", "<=", last),
            ]
        )
        return {row.date.isoformat(): row.not_due for row in rows}

    def test_past_day_keeps_the_due_date_it_had(self):
        move = self._create_dated("2027-03-01", 500, due="2027-04-01")
        before = self._columns("2027-06-09")
        self._move(move, "2027-07-31")
        self.assertEqual(before, {"61_90": 500})
        self.assertEqual(self._columns("2027-06-09"), before)
        self.assertEqual(self._read("2027-06-09").date_due, date(2027, 4, 1))
        for day in ("2027-06-10", "2027-06-11"):
            self.assertEqual(self._columns(day), {"0_not_due": 500}, day)
        self.assertEqual(self._columns("2027-08-01"), {"1_30": 500})

    def test_moved_twice(self):
        move = self._create_dated("2027-03-01", 500, due="2027-04-01")
        self._move(move, "2027-05-31", on="2027-05-02")
        self._move(move, "2027-07-31")
        found = {
            day: self._columns(day)
            for day in ("2027-05-01", "2027-05-02", "2027-06-09", "2027-06-10")
        }
        self.assertEqual(
            found,
            {
                "2027-05-01": {"1_30": 500},
                "2027-05-02": {"0_not_due": 500},
                "2027-06-09": {"1_30": 500},
                "2027-06-10": {"0_not_due": 500},
            },
        )

    def test_the_last_word_of_a_day_counts(self):
        move = self._create_dated("2027-03-01", 500, due="2027-04-01")
        self._move(move, "2027-07-31")
        self._move(move, "2027-05-31")
        self.assertEqual(self._columns("2027-06-09"), {"61_90": 500})
        self.assertEqual(self._columns("2027-06-10"), {"1_30": 500})

    def test_day_is_that_of_the_company(self):
        self.company.billing_tz = "Asia/Tokyo"
        move = self._create_dated("2027-03-01", 500, due="2027-04-01")
        with freeze_time("2027-06-09 23:00:00"):
            self._receivable(move).date_maturity = "2027-07-31"
        [change] = self.env["crm.billing.due.change"].search(
            [("move_id", "=", move.id)]
        )
        self.assertRecordValues(
            change,
            [
                {
                    "date": date(2027, 6, 10),
                    "due_before": date(2027, 4, 1),
                    "due_after": date(2027, 7, 31),
                    "user_id": self.env.uid,
                    "company_id": self.company.id,
                }
            ],
        )

    def test_due_date_of_the_document(self):
        move = self._create_dated("2027-03-01", 500, due="2027-04-01")
        move.invoice_date_due = "2027-07-31"
        self.assertEqual(self._receivable(move).date_maturity.isoformat(), "2027-07-31")
        self.assertEqual(self._columns("2027-06-09"), {"61_90": 500})
        self.assertEqual(self._columns("2027-06-10"), {"0_not_due": 500})

    def test_nothing_changed_is_not_recorded(self):
        move = self._create_dated("2027-03-01", 500, due="2027-04-01")
        self._receivable(move).date_maturity = "2027-04-01"
        draft = move.copy()
        draft.invoice_date_due = "2027-09-01"
        moves = move | draft
        self.assertFalse(
            self.env["crm.billing.due.change"].search([("move_id", "in", moves.ids)])
        )

    # === OTHER REPORTS === #

    def test_receivables_of_past_months(self):
        move = self._create_dated("2027-02-01", 500, due="2027-04-15")
        self._pay_on(move, "2027-03-20", 100)
        period = ("2027-02-01", "2027-06-10")
        before = self._get_not_due(*period)
        self._move(move, "2027-03-10", on="2027-04-02")
        self._move(move, "2027-07-31")
        after = self._get_not_due(*period)
        past = {"2027-02-28": 500, "2027-03-31": 400, "2027-04-30": 0, "2027-05-31": 0}
        self.assertEqual(before, {**past, "2027-06-10": 0})
        self.assertEqual(after, {**past, "2027-06-10": 400})
        # A period that begins between the two.
        self.assertEqual(
            self._get_not_due("2027-05-01", "2027-06-10"),
            {"2027-05-31": 0, "2027-06-10": 400},
        )
        for last in ("2027-03-31", "2027-04-30", "2027-06-10"):
            report = self.env["crm.billing.receivable.report"]
            proofs = report.with_company(self.company).get_tie_outs(
                [("date", ">=", "2027-03-01"), ("date", "<=", last)]
            )
            self.assertFalse([proof for proof in proofs if not proof["ties"]], last)

    def test_overdue_accounts_of_a_past_day(self):
        move = self._create_dated("2027-03-01", 500, due="2027-04-01")
        self._move(move, "2027-07-31")
        overdue = self._report("2027-06-09", name="overdue")
        mine = [("partner_id", "=", self.account.id)]
        self.assertEqual(overdue.search(mine).amount, 500)
        today = self._report("2027-06-10", name="overdue")
        today.invalidate_model()
        self.assertFalse(today.search(mine))

    def test_late_by_what_was_agreed_when_it_was_paid(self):
        move = self._create_dated("2027-03-01", 500, due="2027-04-01")
        self._pay_on(move, "2027-04-11", 100)
        self._move(move, "2027-07-31")
        self._pay_on(move, "2027-06-10", 400)
        rows = self.env["crm.billing.collection.report"].search(
            [("move_id", "=", move.id)], order="date"
        )
        self.assertEqual(rows.mapped("amount"), [100, 400])
        self.assertEqual(rows.mapped("days_late"), [10, 0])

    # === RIGHTS === #

    def test_nobody_writes_it_by_hand(self):
        move = self._create_dated("2027-03-01", 500, due="2027-04-01")
        self._move(move.with_user(self.clerk), "2027-07-31")
        change = self.env["crm.billing.due.change"].search([("move_id", "=", move.id)])
        self.assertEqual(change.user_id, self.clerk)
        for user in (self.clerk, self.users["accountant"], self.users["manager"]):
            own = change.with_user(user)
            self.assertEqual(own.due_before, date(2027, 4, 1))
            for forbidden in (
                own.unlink,
                lambda row=own: row.write({"date": "2020-01-01"}),
            ):
                with self.assertRaises(AccessError):
                    forbidden()
        with self.assertRaises(AccessError):
            change.with_user(self.seller).read(["due_before"])
