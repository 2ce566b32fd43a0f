from datetime import date
from unittest.mock import patch

from freezegun import freeze_time

from odoo.tests import tagged
from odoo.tools import SQL

from .aging_common import AgingCommon

DAY = "2027-10-31"


@tagged("post_install", "-at_install")
@freeze_time("2027-10-31 12:00:00")
class TestOverdueAccounts(AgingCommon):
    """Who is late, since when, and what is being done about it (J4)."""

    def _find(self, as_of=DAY, user=None):
        report = self._report(as_of, user, "overdue")
        report.invalidate_model()
        return report.search([("partner_id", "=", self.account.id)], order="id")

    def _follow_up(self, move):
        move.action_start_dunning()
        return self._get_case(move)

    def test_one_row_an_account(self):
        self._create_dated("2027-08-01", 500, due="2027-09-01")
        self._create_dated("2027-08-01", 70, due="2027-10-01")
        self._create_dated("2027-08-01", 30, due="2027-11-30")
        self._create_payment("2027-10-02", 25)
        self.assertRecordValues(
            self._find(),
            [
                {
                    "amount": 570,
                    "amount_company": 570,
                    "unapplied": -25,
                    "date_due": date(2027, 9, 1),
                    "days": 60,
                    "instalment_count": 2,
                    "user_id": self.seller.id,
                    "case_count": 0,
                    "last_contact": False,
                }
            ],
        )

    def test_each_currency_by_itself(self):
        money = self.env.ref("base.GBP")
        money.active = True
        self.env["res.currency.rate"].create(
            {
                "name": "2027-01-01",
                "currency_id": money.id,
                "company_id": self.company.id,
                "inverse_company_rate": 1.25,
            }
        )
        self._create_dated("2027-09-01", 100)
        self._create_dated("2027-09-01", 40, currency_id=money.id)
        self.assertRecordValues(
            self._find(),
            [
                {"amount": 100, "amount_company": 100},
                {"amount": 40, "amount_company": 50},
            ],
        )

    def test_who_is_not_late_is_no_row(self):
        self._create_dated("2027-09-01", 100, due=DAY)
        self.assertFalse(self._find())
        self.assertTrue(self._find("2027-11-01"))

    def test_a_past_day(self):
        move = self._create_dated("2027-08-01", 500, due="2027-09-01")
        self._pay_on(move, "2027-10-10")
        self.assertFalse(self._find())
        self.assertEqual(self._find("2027-10-09").amount, 500)

    def test_what_is_being_done(self):
        first = self._create_dated("2027-08-01", 500, due="2027-09-01")
        second = self._create_dated("2027-08-01", 70, due="2027-10-01")
        self._follow_up(first).action_promise("2027-11-15", 300)
        case = self._follow_up(second)
        case.action_take_over()
        case.owner_id = self.clerk
        self.env.flush_all()
        row = self._find()
        self.assertRecordValues(
            row,
            [
                {
                    "case_count": 2,
                    "owner_id": self.clerk.id,
                    "promise_date": date(2027, 11, 15),
                    "promise_amount": 300,
                    "is_disputed": False,
                }
            ],
        )
        action = row.action_view_cases()
        cases = self.env["crm.dunning.case"].search(action["domain"])
        self.assertEqual(cases, first.dunning_case_ids | second.dunning_case_ids)

    def test_one_case_opens_at_once(self):
        move = self._create_dated("2027-08-01", 500, due="2027-09-01")
        case = self._follow_up(move)
        action = self._find().action_view_cases()
        self.assertEqual(
            (action["res_id"], action["views"]), (case.id, [(False, "form")])
        )

    def test_a_dispute_shows(self):
        move = self._create_dated("2027-08-01", 500, due="2027-09-01")
        self._follow_up(move).action_dispute("Not ours")
        self.assertTrue(self._find().is_disputed)

    def test_the_last_contact(self):
        move = self._create_dated("2027-08-01", 500, due="2027-09-01")
        case = self._follow_up(move)
        with freeze_time("2027-10-20 12:00:00"):
            case.message_post(body="Called, they will look", message_type="comment")
            self.env.flush_all()
        self.assertEqual(self._find().last_contact, date(2027, 10, 20))
        self.assertFalse(self._find("2027-10-19").last_contact)
        case.sudo().replied_at = "2027-10-25 23:30:00"
        self.account.billing_tz = "Asia/Tokyo"
        self.assertEqual(self._find().last_contact, date(2027, 10, 26))
        self._create_notice("2027-10-28")
        self.assertEqual(self._find().last_contact, date(2027, 10, 28))
        self._create_notice("2027-10-30", state="dry_run")
        self.assertEqual(self._find().last_contact, date(2027, 10, 28))

    def _create_notice(self, day, state="sent"):
        self.env["crm.dunning.notice"].sudo().create(
            {
                "partner_id": self.account.id,
                "company_id": self.company.id,
                "currency_id": self.company.currency_id.id,
                "date": day,
                "state": state,
            }
        )

    def test_from_the_account_to_its_instalments(self):
        move = self._create_dated("2027-08-01", 500, due="2027-09-01")
        self._create_dated("2027-08-01", 30, due="2027-12-01")
        action = self._find("2027-10-01").action_view_instalments()
        rows = self.env[action["res_model"]].search(action["domain"])
        self.assertEqual((rows.move_id, rows.days), (move, 30))

    def test_accounts_add_up_to_the_aging(self):
        for number in range(3):
            account = self._create_account(f"Account {number}")
            self._create_dated("2027-08-01", 100 + number, account=account)
        report = self._report(DAY, self.users["accountant"], "overdue")
        [proof] = report.get_tie_outs([])
        aging = self._report(DAY)._read_group([], [], ["overdue:sum"])[0][0]
        self.assertEqual((proof["difference"], proof["amount"]), (0, aging))

    def test_what_the_aging_lacks_is_a_difference(self):
        move = self._create_dated("2027-08-01", 500)
        self._pay_on(move, "2027-10-20", 100)
        aging = type(self.env["crm.billing.aging.report"])
        select = aging._select_items
        for day, owed in ((DAY, 400), ("2027-10-19", 500)):
            report = self._report(day, self.users["accountant"], "overdue")
            [proof] = report.get_tie_outs([])
            self.assertEqual(proof["difference"], 0, day)
            without = patch.object(
                aging,
                "_select_items",
                lambda self, as_of: SQL(
                    "SELECT * FROM (%s) item WHERE move_id != %s",
                    select(self, as_of),
                    move.id,
                ),
            )
            report.invalidate_model()
            with without:
                [proof] = report.get_tie_outs([])
            self.assertEqual(proof["difference"], -owed, day)
            self.assertEqual(proof["documents"], ("account.move", [move.id]))

    def test_sales_sees_its_own_accounts(self):
        self._create_dated("2027-08-01", 500)
        self.assertTrue(self._find(user=self.seller))
        self.assertFalse(self._find(user=self.users["other_seller"]))
        self.assertTrue(self._find(user=self.users["accountant"]))

    def test_the_screens_open(self):
        for name in ("aging", "overdue"):
            action = self.env.ref(
                f"crm_billing_reports.crm_billing_{name}_report_action"
            )
            views = [(False, kind) for kind in action.view_mode.split(",")]
            found = (
                self.env[action.res_model]
                .with_user(self.seller)
                .get_views([*views, (action.search_view_id.id, "search")])
            )
            self.assertEqual({"list", "pivot", "graph", "search"}, {*found["views"]})
