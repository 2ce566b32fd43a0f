from datetime import date

from odoo.tests import tagged

from .test_report_export import ExportCommon

HISTORY = "crm.billing.history.report"


@tagged("post_install", "-at_install")
class TestReportHistory(ExportCommon):
    """An invoice with all that happened to it, and its way back into the system."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.payments = cls._pay_on(cls.invoice, date(2027, 2, 10), 30.0)
        cls.note = cls._create_dated("2027-02-20", -20.0)
        (cls.invoice + cls.note).line_ids.filtered(
            lambda line: line.display_type == "payment_term"
        ).reconcile()
        cls.env["crm.billing.event"]._log(
            [{"action": "sent", "move_id": cls.invoice.id, "note": "ap@example.com"}]
        )
        cls.env.flush_all()

    def _search(self, move, user=None, **values):
        domain = [("move_id", "=", move.id)]
        domain += [(name, "=", value) for name, value in values.items()]
        return self.env[HISTORY].with_user(user or self.clerk).search(domain)

    def test_the_facts_of_an_invoice_add_up_to_what_is_open(self):
        facts = self._search(self.invoice)
        money = facts.filtered(lambda fact: fact.kind != "event").sorted("date")
        self.assertEqual(
            [
                (str(fact.date), fact.kind, fact.matched_move_id, fact.amount)
                for fact in money
            ],
            [
                ("2027-01-10", "document", self.env["account.move"], 100.0),
                ("2027-02-10", "matching", self.payments.move_id, -30.0),
                ("2027-02-20", "matching", self.note, -20.0),
            ],
        )
        self.assertEqual(money[1].payment_id, self.payments)
        self.assertEqual(sum(facts.mapped("amount")), self.invoice.amount_residual)
        [event] = facts - money
        self.assertEqual((event.action, event.note), ("sent", "ap@example.com"))
        self.assertEqual(event.actor_id, self.env.user)

    def test_paper_has_no_amount_of_what_was_logged(self):
        self.domain = [("move_id", "=", self.invoice.id)]
        options = self._options(columns=("kind", "amount"), format="pdf")
        _labels, lines = self._get_export()._get_print_table(self.env[HISTORY], options)
        empty = {cells[0].text for _depth, cells in lines if not cells[1].text}
        self.assertEqual(empty, {"Logged"})

    def test_a_credit_note_is_used_up_by_its_matching(self):
        amounts = self._search(self.note).mapped("amount")
        self.assertEqual([amount for amount in amounts if amount], [-20.0, 20.0])

    def test_the_history_ties_to_the_open_invoices(self):
        history = self.env[HISTORY].with_user(self.clerk)
        self.assertTrue(history.get_tie_outs([]))
        self.assertTrue(all(proof["ties"] for proof in history.get_tie_outs([])))
        self.env.cr.execute(
            "UPDATE account_move SET amount_residual_signed = 0 WHERE id = %s",
            [self.invoice.id],
        )
        self.env.invalidate_all()
        [proof] = [proof for proof in history.get_tie_outs([]) if not proof["ties"]]
        self.assertEqual(proof["difference"], 50.0)
        self.assertEqual(proof["documents"], ("account.move", [self.invoice.id]))
        self.assertFalse(history.with_user(self.seller).get_tie_outs([]))

    def test_the_proof_follows_the_filters_that_invoices_know(self):
        history = self.env[HISTORY].with_user(self.clerk)
        stranger = self._create_account("Somebody Else")
        self._create_dated("2027-01-10", 7.0, account=stranger)
        for domain, amount in (
            ([("partner_id", "=", stranger.id)], 7.0),
            ([("move_id", "=", self.invoice.id)], 50.0),
        ):
            [proof] = history.get_tie_outs(domain)
            self.assertEqual(
                (proof["amount"], proof["ledger_amount"]), (amount, amount)
            )
            self.assertEqual(proof["label"], "Issued less matched")
        [proof] = history.get_tie_outs([("kind", "=", "document")])
        self.assertIn("without these filters", proof["label"])
        self.assertTrue(proof["ties"])
        [proof] = history.get_tie_outs([("move_id", "=", 0)])
        self.assertEqual((proof["amount"], proof["ties"]), (0.0, True))

    def test_the_proofs_of_several_companies_are_told_apart(self):
        other = self.env["res.company"].create({"name": "Second Books"})
        self.clerk.company_ids |= other
        history = self.env[HISTORY].with_user(self.clerk)
        history = history.with_context(allowed_company_ids=(self.company | other).ids)
        for proof in history.get_tie_outs([]):
            self.assertIn(self.company.name, proof["label"])

    def test_sales_sees_own_accounts_only(self):
        self.assertTrue(self._search(self.invoice, self.seller))
        stranger = self.account.copy({"name": "Other", "user_id": self.manager.id})
        foreign = self._create_dated(
            "2027-01-10", 70.0, account=stranger, invoice_user_id=self.manager.id
        )
        self.env.flush_all()
        self.assertTrue(self._search(foreign))
        self.assertFalse(self._search(foreign, self.seller))

    def test_reimport_finds_the_same_invoices(self):
        """The saved export of core, taken out and read in again, changes no record."""
        saved = self.env.ref("crm_billing_reports.ir_exports_invoices")
        names = saved.export_fields.mapped("name")
        model = self.env["account.move"].with_context(import_compat=True)
        found = model.browse(self.invoice.id).export_data(names)["datas"]
        row = dict(zip(names, found[0], strict=True))
        self.assertEqual(row["name"], self.invoice.name)
        self.assertEqual(self.env.ref(row["matched_payment_ids/id"]), self.payments)
        result = model.load(["id", "narration"], [[row["id"], "<p>Read again</p>"]])
        self.assertEqual(result["ids"], self.invoice.ids)
        self.assertIn("Read again", self.invoice.narration)
