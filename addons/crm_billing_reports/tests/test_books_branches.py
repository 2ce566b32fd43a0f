from odoo.exceptions import UserError, ValidationError
from odoo.fields import Command
from odoo.tests import tagged

from .match_common import MatchCommon


@tagged("post_install", "-at_install")
class TestBooksBranches(MatchCommon):
    """Branches are in the books of their company, unless they keep their own."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.branch, cls.own_branch = cls.env["res.company"].create(
            [
                {"name": name, "parent_id": cls.company.id}
                for name in ("Branch", "Branch with Books")
            ]
        )
        for role in ("accountant", "manager", "clerk"):
            cls.users[role].company_ids |= cls.branch | cls.own_branch
        cls.own_books = cls._create_system("Their Own", cls.own_branch)
        cls.of_branch = cls._create_in(cls.branch, 70.0)
        cls.of_own = cls._create_in(cls.own_branch, 30.0)

    @classmethod
    def _create_system(cls, name, company):
        return cls.env["crm.billing.system"].create(
            {"name": name, "company_id": company.id, "start_date": "2026-01-01"}
        )

    @classmethod
    def _create_in(cls, company, amount):
        lines = cls.invoice.line_ids
        due = lines.filtered(lambda line: line.account_type == "asset_receivable")
        account = cls.account.with_company(company)
        account.property_account_receivable_id = due.account_id
        move = (
            cls.env["account.move"]
            .with_company(company)
            .create(
                {
                    "move_type": "out_invoice",
                    "company_id": company.id,
                    "journal_id": cls.invoice.journal_id.id,
                    "partner_id": cls.account.id,
                    "invoice_date": "2026-03-09",
                    "invoice_payment_term_id": False,
                    "invoice_date_due": "2026-03-09",
                    "invoice_line_ids": [
                        Command.create(
                            {
                                "product_id": cls.product.id,
                                "price_unit": amount,
                                "account_id": (lines - due).account_id.id,
                                "tax_ids": [Command.clear()],
                            }
                        )
                    ],
                }
            )
        )
        move.action_post()
        return move

    def test_companies_of_books(self):
        self.assertEqual(self.system._get_companies(), self.company | self.branch)
        self.assertEqual(self.own_books._get_companies(), self.own_branch)
        self.own_books.active = False
        self.assertEqual(
            self.system._get_companies(), self.company | self.branch | self.own_branch
        )

    def test_documents_of_branches_are_handed_out(self):
        batch = self.env["crm.billing.export.batch"].create(
            {"system_id": self.system.id, "date_to": "2026-12-31"}
        )
        batch.action_collect()
        found = batch.line_ids.filtered(lambda line: line.model == "account.move")
        self.assertIn(self.of_branch.id, found.mapped("res_id"))
        self.assertNotIn(self.of_own.id, found.mapped("res_id"))

    def test_the_board_has_each_document_once_and_ties(self):
        rows = self.env["crm.billing.match.report"].search(
            [("move_id", "in", (self.of_branch | self.of_own).ids)]
        )
        self.assertEqual(
            {(row.move_id, row.system_id, row.reason) for row in rows},
            {
                (self.of_branch, self.system, "missing_there"),
                (self.of_own, self.own_books, "missing_there"),
            },
        )
        board = self.env["crm.billing.match.report"].with_user(self.accountant)
        for domain in ([], [("company_id", "=", self.company.id)]):
            proofs = board.with_context(
                allowed_company_ids=(self.company | self.own_branch).ids
            ).get_tie_outs(domain)
            self.assertTrue(all(proof["ties"] for proof in proofs))
            whole = next(one for one in proofs if "Their Books" in one["label"])
            self.assertEqual(whole["amount"], 190.0)

    def test_a_list_finds_and_pays_the_invoice_of_a_branch(self):
        self.env = self.env(
            context={"allowed_company_ids": (self.company | self.branch).ids}
        )
        self._read(self._invoice_row(self.of_branch), self._invoice_row(self.of_own))
        linked = self._get_document(f"I{self.of_branch.id}")
        self.assertEqual(linked.move_id, self.of_branch)
        self.assertFalse(self._get_document(f"I{self.of_own.id}").move_id)
        self._read(self._payment_row(self.of_branch, "70.00"))
        self.assertFalse(self._get_document("P1").booking_error)
        self.assertEqual(self.of_branch.amount_residual, 0.0)

    def test_a_month_with_a_branch_that_is_missing_there_is_not_certified(self):
        self._read_complete(self._invoice_row(), self._payment_row())
        certificate = (
            self.env["crm.billing.certificate"]
            .with_user(self.manager)
            .create({"system_id": self.system.id, "date_from": "2026-03-17"})
        )
        with self.assertRaisesRegex(UserError, self.of_branch.name):
            certificate.action_certify()

    def test_the_ninth_books_of_a_company_are_refused(self):
        present = self.env["crm.billing.system"].with_context(active_test=False)
        known = present.search_count([("company_id", "=", self.branch.id)])
        for number in range(8 - known):
            self._create_system(f"Books {number}", self.branch)
        with self.assertRaisesRegex(ValidationError, "has 8 books already"):
            self._create_system("One too many", self.branch)
