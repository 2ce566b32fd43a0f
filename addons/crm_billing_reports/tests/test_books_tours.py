from odoo.tests import HttpCase, tagged

from .books_common import BooksCommon
from .match_common import MatchCommon


@tagged("post_install", "-at_install")
class TestBooksTours(HttpCase, BooksCommon):
    """A billing manager hands out to other books in a browser."""

    def test_a_manager_hands_out(self):
        self.company.write(
            {"billing_books": "elsewhere", "billing_system_id": self.system.id}
        )
        self.env["crm.billing.system.name"].create(
            {"system_id": self.system.id, "kind": "vendor", "name": "Northwind"}
        )
        self.system.start_date = self.env.cr.now().date()
        move = self._create_dated(self.env.cr.now().date(), 100.0)
        self.start_tour("/odoo", "books_hand_out", login=self.manager.login)
        self.env.invalidate_all()
        self.assertEqual(self._get_row(move).state, "handed_out")
        batch = (
            self.env["crm.billing.export.line"]
            .search([("model", "=", "account.move"), ("res_id", "=", move.id)])
            .batch_id
        )
        self.assertEqual(batch.handed_out_uid, self.manager)
        row = self._read_file(batch, "invoices")[0]
        self.assertEqual(row["*Customer"], "Northwind Customer")


@tagged("post_install", "-at_install")
class TestBooksReadTour(HttpCase, MatchCommon):
    """An accountant reads what the other books say in a browser."""

    def test_the_accountant_reads_a_list(self):
        self.invoice.name = "INV/TOUR/0001"
        self.env.flush_all()
        self.start_tour(
            "/odoo/billing-match",
            "books_read_a_list",
            login=self.accountant.login,
        )
        self.env.invalidate_all()
        document = self.env["crm.billing.outside.document"].search(
            [("system_id", "=", self.system.id)]
        )
        self.assertRecordValues(
            document,
            [{"number": "INV/TOUR/0001", "amount": 119.0, "move_id": self.invoice.id}],
        )
        self.assertEqual(document.import_id.create_uid, self.accountant)
        self.assertEqual(
            self._get_board(("move_id", "=", self.invoice.id)).reason, "amount"
        )
