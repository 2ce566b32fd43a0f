from unittest.mock import patch

from odoo.tests import tagged
from odoo.tools import SQL

from .aging_common import AgingCommon
from .match_common import MatchCommon


@tagged("post_install", "-at_install")
class TestLedgerEdges(AgingCommon):
    """Figures and their proofs where the ledger is not as it usually is."""

    def _prove(self, name, domain=()):
        report = self.env[f"crm.billing.{name}.report"].with_company(self.company)
        return report.get_tie_outs(list(domain))

    def _assert_all_tie(self, name, domain=()):
        proofs = self._prove(name, domain)
        self.assertTrue(proofs)
        for proof in proofs:
            self.assertTrue(proof["ties"], proof)

    # === RECEIPTS === #

    def test_sales_receipt_is_a_sale_and_is_collected(self):
        receipt = self._create_dated(
            "2027-03-01", 500, move_type="out_receipt", due="2027-03-01"
        )
        self._pay_on(receipt, "2027-03-11", 200)
        period = [("date", ">=", "2027-03-01"), ("date", "<=", "2027-03-31")]
        self._assert_all_tie("receivable", period)
        self._assert_all_tie("collection", period)
        rows = self.env["crm.billing.collection.report"].search(
            [("move_id", "=", receipt.id)]
        )
        self.assertEqual((rows.amount, rows.days_late), (200, 10))
        sold = self.env["crm.billing.receivable.report"].search(
            [("partner_id", "=", self.account.id), *period]
        )
        self.assertEqual(sold.sales, 500)
        opened = sold.action_view_invoices()
        found = self.env[opened["res_model"]].search(opened["domain"])
        self.assertEqual(found, receipt)

    # === HOLDINGS === #

    def test_a_holding_ties_with_its_subsidiaries(self):
        """As the search bar asks for an account: it and what belongs to it."""
        daughter = self._create_account("Daughter", parent_id=self.account.id)
        self.assertEqual(daughter.commercial_partner_id, daughter)
        self._create_dated("2020-03-01", 700, account=daughter)
        invoice = self._create_dated("2020-03-01", 300)
        self._pay_on(invoice, "2020-03-11", 100)
        march = [("date", ">=", "2020-03-01"), ("date", "<=", "2020-03-31")]
        for name, period, totals in (
            ("aging", [("as_of", "=", "2020-03-31")], [900]),
            ("receivable", march, [900, 0, 1000]),
            ("status", march, [1000, 1000]),
            ("collection", march, [100]),
            ("history", [], [900]),
            ("exception", march, [2, 0]),
            ("leak", [], [900]),
        ):
            for holding in (self.account.ids, self.account.name):
                with self.subTest(report=name, holding=holding):
                    domain = [("partner_id", "child_of", holding), *period]
                    self._assert_all_tie(name, domain)
                    proved = [proof["amount"] for proof in self._prove(name, domain)]
                    self.assertEqual(proved[: len(totals)], totals)

    def test_parent_pays_the_invoice_of_a_child(self):
        daughter = self._create_account("Daughter", parent_id=self.account.id)
        invoice = self._create_dated("2020-03-01", 700, account=daughter)
        payment = self._create_payment("2020-03-11", 300)
        self._match(invoice, payment.move_id)
        for day, totals in (
            ("2020-03-10", {daughter: 700, self.account: 0}),
            ("2020-03-31", {daughter: 400, self.account: 0}),
        ):
            for account, total in totals.items():
                with self.subTest(day=day, account=account.name):
                    domain = [("as_of", "=", day), ("partner_id", "=", account.id)]
                    self._assert_all_tie("aging", domain)
                    [proof] = self._prove("aging", domain)
                    self.assertEqual(proof["amount"], total)
            holding = [("as_of", "=", day), ("partner_id", "child_of", self.account.id)]
            self._assert_all_tie("aging", holding)
            [proof] = self._prove("aging", holding)
            self.assertEqual(proof["amount"], sum(totals.values()))

    def test_documents_asked_for_by_their_number_tie(self):
        invoice = self._create_dated("2020-03-01", 300)
        self._create_dated("2020-03-02", 45)
        for operator, totals in (("ilike", [300, 300]), ("not ilike", [45, 45])):
            with self.subTest(operator=operator):
                domain = [
                    ("move_id", operator, invoice.name),
                    ("partner_id", "=", self.account.id),
                    ("date", "<=", "2020-03-31"),
                ]
                self._assert_all_tie("status", domain)
                proved = [proof["amount"] for proof in self._prove("status", domain)]
                self.assertEqual(proved[:2], totals)

    # === ACCOUNTS THAT CHANGE === #

    def test_account_that_became_part_of_another(self):
        daughter = self._create_account("Daughter", parent_id=self.account.id)
        invoice = self._create_dated("2027-03-01", 700, account=daughter)
        daughter.is_company = False
        self.assertEqual(daughter.commercial_partner_id, self.account)
        self.assertEqual(invoice.commercial_partner_id, daughter, "core moves it now")
        own = [("partner_id", "=", self.account.id)]
        self._assert_all_tie("aging", [*own, ("as_of", "=", "2027-03-31")])
        period = [("date", ">=", "2027-03-01"), ("date", "<=", "2027-03-31")]
        self._assert_all_tie("receivable", [*own, *period])
        (owed, _not_due, sales) = self._prove("receivable", [*own, *period])
        self.assertEqual((owed["amount"], sales["amount"]), (700, 700))


@tagged("post_install", "-at_install")
class TestBooksEdges(MatchCommon):
    """The board where it could miss something, or show it twice."""

    def _prove(self, domain=()):
        self.env.flush_all()
        self.env.invalidate_all()
        board = self.env["crm.billing.match.report"].with_user(self.accountant)
        return board.get_tie_outs(list(domain))

    def test_an_invoice_the_board_lacks_is_a_difference(self):
        (proof,) = self._prove()
        self.assertEqual((proof["amount"], proof["ties"]), (120, True))
        board = type(self.env["crm.billing.match.report"])
        select = board._select_moves
        without = patch.object(
            board, "_select_moves", lambda self: SQL("%s AND FALSE", select(self))
        )
        with without:
            (proof,) = self._prove()
        self.assertEqual((proof["amount"], proof["difference"]), (0, -120))
        self.assertEqual(proof["documents"], ("account.move", self.invoice.ids))

    def test_an_invoice_that_came_back_under_another_id(self):
        self._read_complete(self._invoice_row(id="OLD"))
        self._read_complete(self._invoice_row(id="NEW"))
        (proof,) = self._prove()
        self.assertTrue(proof["ties"], proof)
        self.assertEqual(self._get_row().mapped("reason"), ["ok"])

    def test_books_of_a_branch_take_the_rates_of_the_company(self):
        branch = self.env["res.company"].create(
            {"name": "Branch", "parent_id": self.company.id}
        )
        foreign = self.env["res.currency"].create({"name": "XRV", "symbol": "X"})
        self.env["res.currency.rate"].create(
            {
                "name": "2026-01-01",
                "currency_id": foreign.id,
                "company_id": self.company.id,
                "inverse_company_rate": 2,
            }
        )
        books = self.env["crm.billing.system"].create(
            {
                "name": "Branch Books",
                "kind": "generic_csv",
                "company_id": branch.id,
                "start_date": "2026-01-01",
            }
        )
        self.env["crm.billing.outside.document"].create(
            {
                "system_id": books.id,
                "kind": "invoice",
                "external_id": "I1",
                "number": "1",
                "customer_name": "Somebody",
                "date": "2026-03-01",
                "currency_id": foreign.id,
                "amount": 50,
            }
        )
        self.env.flush_all()
        row = self.env["crm.billing.match.report"].search(
            [("system_id", "=", books.id)]
        )
        self.assertEqual(row.balance_there, 100)
