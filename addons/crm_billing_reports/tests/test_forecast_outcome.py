from datetime import date
from unittest.mock import patch

from freezegun import freeze_time

from odoo.tests import tagged
from odoo.tools import SQL

from .forecast_common import TODAY, ForecastCommon


@tagged("post_install", "-at_install")
@freeze_time(f"{TODAY} 12:00:00")
class TestForecastOutcome(ForecastCommon):
    """What happened instead of what was expected, and its proof."""

    def test_an_older_forecast_is_compared_with_what_happened(self):
        agreement = self._create_agreement(
            start_date=date(2027, 6, 20), end_date=date(2027, 7, 19), price_unit=100.0
        )
        opened = self._create_dated("2027-06-01", 50.0, due="2027-06-18")
        self._forecast()
        with freeze_time("2027-06-25 12:00:00"):
            [move] = agreement.generate_invoices()
            move.invoice_line_ids.price_unit = 90.0
            move.billing_review_note = "Agreed by phone"
            move.action_billing_review()
            move.action_post()
            self._create_dated("2027-06-22", 30.0)
            self._pay_on(opened, "2027-06-24", 20.0)
            self.env.flush_all()
            domain = [("partner_id", "=", self.account.id), ("as_of", "=", TODAY)]
            groups = self.report._read_group(
                domain,
                ["source"],
                ["invoiced:sum", "invoiced_actual:sum", "cash:sum", "cash_actual:sum"],
            )
            self.assertEqual(
                {source: amounts for source, *amounts in groups},
                {
                    "agreement": [100.0, 90.0, 100.0, 0.0],
                    "open": [0.0, 0.0, 50.0, 20.0],
                    "new": [0.0, 30.0, 0.0, 0.0],
                },
            )
            past = [*domain, ("is_past", "=", True)]
            [(difference,)] = self.report._read_group(past, [], ["cash_difference:sum"])
            self.assertEqual(difference, 20.0 - 50.0 - 100.0)
            for proof in self.report.get_tie_outs(domain):
                self.assertEqual(proof["difference"], 0.0, proof["ledger_label"])

    def test_a_sales_receipt_is_invoiced_and_collected(self):
        """As in the other reports: what is owed for it is in the aging."""
        opened = self._create_dated(
            "2027-06-01", 50.0, due="2027-06-18", move_type="out_receipt"
        )
        drafted = self._create_dated("2027-06-16", 30.0, move_type="out_receipt")
        drafted.button_draft()
        self._forecast()
        with freeze_time("2027-06-25 12:00:00"):
            drafted.action_post()
            self._pay_on(opened, "2027-06-24", 50.0)
            self._assert_outcome(
                {"open": [0.0, 0.0, 50.0, 50.0], "document": [30.0, 30.0, 30.0, 0.0]}
            )

    def test_a_draft_of_an_earlier_day_that_is_posted_has_happened(self):
        """It is expected today, and keeps the date of the day that it is for."""
        drafted = self._create_dated("2027-06-10", 30.0, due="2027-06-20")
        drafted.button_draft()
        self._forecast()
        with freeze_time("2027-06-25 12:00:00"):
            drafted.action_post()
            self.assertEqual(drafted.invoice_date, date(2027, 6, 10))
            # By its date it was open the evening before, when nobody knew of it.
            self._assert_outcome({"document": [30.0, 30.0, 30.0, 0.0]}, late=30.0)
            today = date.fromisoformat(TODAY)
            for measure in ("invoiced", "invoiced_actual"):
                self.assertEqual(self._by_day(measure, as_of=TODAY), {today: 30.0})

    def _assert_outcome(self, expected, late=0.0):
        """Compare invoices and money of each source, expected and actual, and prove.

        :param late: what was dated back since, so that the evening before has changed
        """
        self.env.flush_all()
        domain = [("partner_id", "=", self.account.id), ("as_of", "=", TODAY)]
        names = ("invoiced", "invoiced_actual", "cash", "cash_actual")
        groups = self.report._read_group(
            domain, ["source"], [f"{name}:sum" for name in names]
        )
        found = {source: amounts for source, *amounts in groups}
        self.assertEqual(found, expected)
        proofs = self.report.get_tie_outs(domain)
        self.assertEqual([one["difference"] for one in proofs], [-late, 0.0, 0.0])

    def test_what_a_payment_writes_off_is_not_collected(self):
        move = self._create_dated("2027-06-01", 50.0, due="2027-06-18")
        self._forecast()
        with freeze_time("2027-06-25 12:00:00"):
            wizard = self.env["account.payment.register"].with_context(
                active_model="account.move", active_ids=move.ids
            )
            wizard.create(
                {
                    "payment_date": "2027-06-20",
                    "amount": 45.0,
                    "payment_difference_handling": "reconcile",
                    "writeoff_account_id": (
                        self.company.expense_currency_exchange_account_id.id
                    ),
                }
            ).action_create_payments()
            self.assertEqual(move.amount_residual, 0.0)
            self.env.flush_all()
            domain = [("partner_id", "=", self.account.id), ("as_of", "=", TODAY)]
            [(collected,)] = self.report._read_group(domain, [], ["cash_actual:sum"])
            self.assertEqual(collected, 45.0)
            for proof in self.report.get_tie_outs(domain):
                self.assertEqual(proof["difference"], 0.0, proof["ledger_label"])

    def test_the_ledger_of_a_past_day_that_changes_shows_as_a_difference(self):
        self._create_dated("2027-06-01", 50.0)
        self._forecast()
        domain = [("company_id", "=", self.company.id)]
        [opened] = [
            proof
            for proof in self.report.get_tie_outs(domain)
            if "aging" in proof["ledger_label"]
        ]
        self.assertEqual(opened["difference"], 0.0)
        late = self._create_dated("2027-06-10", 8.0)
        self.env.flush_all()
        self.env.cr.execute(
            "UPDATE account_move SET create_date = '2027-06-15 13:00' WHERE id = %s",
            [late.id],
        )
        [opened] = [
            proof
            for proof in self.report.get_tie_outs(domain)
            if "aging" in proof["ledger_label"]
        ]
        self.assertEqual(opened["difference"], -8.0)
        self.assertEqual(opened["documents"], ("account.move", (late.id,)))

    def test_a_difference_of_what_happened_names_the_invoices(self):
        with freeze_time(f"{TODAY} 12:00:00"):
            self._forecast()
        with freeze_time("2027-06-20 12:00:00"):
            move = self._create_dated("2027-06-18", 45.0)
            self._pay_on(move, "2027-06-19")
            domain = [("partner_id", "=", self.account.id), ("as_of", "=", TODAY)]
            for name, wrong in (("Invoiced", "invoices"), ("Collected", "money")):
                query = getattr(self.report, f"_select_{wrong}")

                def lose_all(_self, today, query=query):
                    return SQL("SELECT * FROM (%s) one WHERE FALSE", query(today))

                with patch.object(type(self.report), f"_select_{wrong}", lose_all):
                    proofs = self.report.get_tie_outs(domain)
                [red] = [proof for proof in proofs if not proof["ties"]]
                self.assertEqual((red["label"], red["difference"]), (name, -45.0))
                self.assertEqual(red["documents"], ("account.move", (move.id,)))

    def test_invoices_are_unknown_where_money_alone_was_forecast(self):
        self._create_dated("2027-03-01", 100.0)
        self.env["crm.billing.forecast"].with_user(self.clerk).forecast_past(
            "2027-03-10"
        )
        domain = [("as_of", "=", "2027-03-10"), ("company_id", "=", self.company.id)]
        measures = ["invoiced:sum", "invoiced_actual:sum", "amount_open:sum"]
        [(expected, actual, opened)] = self.report._read_group(domain, [], measures)
        self.assertEqual((expected, actual), (False, False), "not 0: unknown")
        self.assertTrue(opened)

    def test_a_forecast_without_rows_is_proved_as_well(self):
        """Nothing is 0 = 0; what only the ledger has is red, with its invoices."""
        old = self._create_dated("2027-05-01", 30.0)
        with freeze_time(f"{TODAY} 12:00:00"):
            self._forecast()
        stranger = self._create_account("Nobody Billed")
        with freeze_time("2027-06-20 12:00:00"):
            new = self._create_dated("2027-06-18", 45.0)
            self._pay_on(new, "2027-06-19")
            proofs = self._prove_account(stranger)
            self.assertEqual(len(proofs), 3)
            for proof in proofs:
                self.assertEqual((proof["amount"], proof["ledger_amount"]), (0.0, 0.0))
            query = self.report._table_query
            lost = SQL("SELECT * FROM (%s) one WHERE FALSE", query)
            with patch.object(type(self.report), "_table_query", lost):
                self.env.invalidate_all()
                proofs = self._prove_account(self.account)
        self.assertEqual(
            [(one["label"], one["difference"], one["documents"][1]) for one in proofs],
            [
                ("Open then", -30.0, (old.id,)),
                ("Invoiced", -45.0, (new.id,)),
                ("Collected", -45.0, (new.id,)),
            ],
        )

    def _prove_account(self, account):
        return self.report.get_tie_outs(
            [("partner_id", "=", account.id), ("as_of", "=", TODAY)]
        )

    def test_the_proofs_of_several_companies_are_told_apart(self):
        self._create_dated("2027-05-01", 30.0)
        self._forecast()
        other = self.env["res.company"].create({"name": "Second Books"})
        self.clerk.company_ids |= other
        report = self.report.with_user(self.clerk).with_context(
            allowed_company_ids=(self.company | other).ids
        )
        proofs = report.get_tie_outs([("as_of", "=", TODAY)])
        self.assertTrue(proofs)
        for proof in proofs:
            self.assertTrue(proof["label"].startswith(f"{self.company.name}: "))
