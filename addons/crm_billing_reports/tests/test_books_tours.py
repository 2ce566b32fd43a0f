from odoo.tests import HttpCase, tagged

from .books_common import BooksCommon


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
