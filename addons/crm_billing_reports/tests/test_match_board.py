from odoo.exceptions import AccessError, UserError
from odoo.fields import Command
from odoo.tests import Form, new_test_user, tagged

from ..models.crm_billing_report_export import ExportOptions
from .match_common import MatchCommon


@tagged("post_install", "-at_install")
class TestMatchBoard(MatchCommon):
    """Idea 15: deal, Odoo and the other books, and one reason for each row."""

    def _explain(self, rows, text="Agreed with the accountant", user=None):
        wizard = (
            self.env["crm.billing.match.explain"]
            .with_user(user or self.accountant)
            .with_context(default_row_ids=rows.ids)
            .create({"text": text})
        )
        wizard.action_explain()

    # === REASONS === #

    def test_what_agrees_has_no_reason(self):
        self._read(self._invoice_row(balance="120.00"))
        row = self._get_row()
        self.assertEqual((row.reason, row.is_open, row.what), ("ok", False, False))
        self.assertEqual((row.balance_here, row.balance_there), (120.0, 120.0))
        self.assertEqual(row.difference, 0.0)

    def test_each_difference_has_its_reason(self):
        stranger = self._create_account("Stranger")
        for reason, cells in (
            ("amount", {"amount": "100.00"}),
            ("customer", {"customer": stranger.name}),
            ("date", {"date": "2026-03-06"}),
            ("payment", {"status": "Paid"}),
        ):
            with self.subTest(reason):
                self._read(self._invoice_row(**cells))
                row = self._get_row()
                self.assertEqual((row.reason, row.is_open), (reason, True))
        self.company.billing_books = "here"

    def test_a_number_that_differs_is_a_clash(self):
        self._read(self._invoice_row())
        self._read(self._invoice_row(number="INV/other"))
        row = self._get_row()
        self.assertEqual(row.reason, "number")
        self.assertIn("INV/other", row.what)

    def test_a_number_of_something_else_is_a_clash_on_both_sides(self):
        self._read(self._invoice_row(customer="Somebody", amount="7.00"))
        self.assertEqual(self._get_row().reason, "number")
        (there,) = self._get_board(("document_id", "!=", False))
        self.assertEqual((there.reason, there.balance_there), ("number", 7.0))

    def test_missing_there(self):
        row = self._get_row()
        self.assertEqual((row.reason, row.difference), ("missing_there", -120.0))

    def test_missing_here(self):
        self._read(self._invoice_row(id="9", number="Q-9"))
        (row,) = self._get_board(("number", "=", "Q-9"))
        self.assertEqual((row.reason, row.difference), ("missing_here", 120.0))
        self.assertEqual(row.partner_id, self.account)

    def test_void_draft_or_gone_there_is_missing_there(self):
        for status in ("Voided", "Draft"):
            with self.subTest(status):
                self._read(self._invoice_row())
                self._read(self._invoice_row(status=status))
                row = self._get_row()
                self.assertEqual(row.reason, "missing_there")
                self.assertEqual(row.balance_there, 0.0)
        self._read(self._invoice_row())
        self._read_complete(self._invoice_row(id="9", number="Q-9"))
        self.assertEqual(self._get_row().reason, "missing_there")

    def test_paper_leaves_a_side_that_is_missing_empty(self):
        self._read(self._invoice_row(id="9", number="Q-9"))
        money = self.company.currency_id.symbol
        columns = ("number", "balance_here", "balance_there", "amount_there")
        export = self.env["crm.billing.report.export"].with_user(self.accountant)
        options = ExportOptions(
            domain=[("number", "in", (self.invoice.name, "Q-9"))],
            columns=columns,
            format="pdf",
        )
        _labels, lines = export._get_print_table(
            export.env["crm.billing.match.report"], options
        )
        texts = {cells[0].text: [cell.text for cell in cells[1:]] for _, cells in lines}
        here, there, amount = texts[self.invoice.name]
        self.assertIn("120.00", here)
        self.assertEqual((there, amount), ("", ""))
        here, there, amount = texts["Q-9"]
        self.assertEqual(here, "")
        self.assertIn("120.00", there)
        self.assertIn(money, amount)

    def test_what_is_void_there_and_never_was_here_is_no_row(self):
        self._read(self._invoice_row(id="9", number="Q-9", status="Void"))
        self.assertFalse(self._get_board(("document_id", "!=", False)))

    def test_cancelled_here_is_missing_here(self):
        self._read(self._invoice_row())
        self.invoice.button_draft()
        self.assertEqual(self._get_row().reason, "missing_here")

    def test_closed_periods_on_either_side(self):
        self.system.closed_until = "2026-03-31"
        self.assertEqual(self._get_row().reason, "closed_period")
        self.company.fiscalyear_lock_date = "2026-01-31"
        self._read(self._invoice_row(id="9", number="Q-9", date="2026-01-15"))
        (row,) = self._get_board(("number", "=", "Q-9"))
        self.assertEqual(row.reason, "closed_period")

    def test_another_currency(self):
        self.env.ref("base.USD").active = True
        self.env.ref("base.EUR").active = True
        other = (
            self.env.ref("base.USD")
            if self.company.currency_id != self.env.ref("base.USD")
            else self.env.ref("base.EUR")
        )
        self._read({**self._invoice_row(), "Currency": other.name})
        self.assertEqual(self._get_row().reason, "currency")

    def test_totals_of_a_foreign_document_take_its_own_rate(self):
        other = self.env["res.currency"].search(
            [("id", "!=", self.company.currency_id.id)], limit=1
        ) or self.env["res.currency"].with_context(active_test=False).search(
            [("id", "!=", self.company.currency_id.id)], limit=1
        )
        other.active = True
        other.rate_ids.unlink()
        other.rate_ids = [Command.create({"name": "2026-01-01", "rate": 2.0})]
        move = self._create_dated("2026-03-07", 50.0, currency_id=other.id)
        self._read({**self._invoice_row(move), "Currency": other.name})
        self._read({**self._invoice_row(id="9", number="Q-9"), "Currency": other.name})
        row = self._get_row(move)
        self.assertEqual((row.amount_here, row.balance_here), (50.0, 25.0))
        self.assertEqual(row.balance_there, 25.0)
        (row,) = self._get_board(("number", "=", "Q-9"))
        self.assertEqual(row.balance_there, 60.0)

    def test_before_the_first_rate_that_one_counts(self):
        other = self.env["res.currency"].create({"name": "XTS", "symbol": "x"})
        other.rate_ids = [Command.create({"name": "2026-06-01", "rate": 4.0})]
        self._read({**self._invoice_row(id="9", number="Q-9"), "Currency": "XTS"})
        (row,) = self._get_board(("number", "=", "Q-9"))
        expected = other._convert(120, self.company.currency_id, self.company, row.date)
        self.assertEqual((row.balance_there, expected), (30.0, 30.0))

    def test_credit_notes_and_payments_are_negative(self):
        refund = self._create_dated("2026-03-09", -30.0)
        self._read(self._invoice_row(refund), self._invoice_row(), self._payment_row())
        rows = self._get_board()
        self.assertEqual(set(rows.mapped("reason")), {"ok"})
        self.assertEqual(sum(rows.mapped("balance_here")), 120.0 - 30.0 - 120.0)
        self.assertEqual(sum(rows.mapped("difference")), 0.0)

    def test_a_won_deal_without_a_document_is_a_row(self):
        deal = self._create_deal()
        self._create_quotation(deal)
        handoff = self._win(deal)
        (row,) = self._get_board(("kind", "=", "deal"))
        self.assertEqual((row.lead_id, row.reason), (deal, "missing_here"))
        self.assertEqual(row.action_open_here()["res_id"], handoff.id)
        self.assertEqual(row.action_open()["res_id"], handoff.id)
        self.assertIn("nothing is invoiced", row.what)
        handoff._process_or_bisect()
        self.assertFalse(self._get_board(("kind", "=", "deal")))

    def test_a_document_shows_its_deal_and_what_that_says(self):
        deal = self._create_deal()
        self.invoice.sudo().opportunity_ids = deal
        self._read(self._invoice_row(), self._payment_row())
        row = self._get_row()
        self.assertEqual((row.lead_id, row.deal_state), (deal, "paid"))

    def test_own_payments_are_missing_there_where_they_are_handed_out(self):
        payment = self._pay_on(self.invoice, "2026-03-19")
        (row,) = self._get_board(("payment_id", "=", payment.id))
        self.assertEqual((row.reason, row.balance_here), ("missing_there", -120.0))
        self.system.with_payments = False
        self.assertFalse(self._get_board(("payment_id", "=", payment.id)))

    def test_what_lies_before_the_first_day_is_not_compared(self):
        self.system.start_date = "2026-03-06"
        self.assertFalse(self._get_row())

    # === EXPLANATIONS === #

    def test_an_explanation_holds_until_the_difference_changes(self):
        self._read(self._invoice_row(amount="100.00"))
        self._explain(self._get_row())
        row = self._get_row()
        self.assertEqual((row.is_open, row.is_explained), (False, True))
        self.assertEqual(row.note_id.user_id, self.accountant)
        self._read(self._invoice_row(amount="90.00"))
        row = self._get_row()
        self.assertEqual((row.is_open, row.is_explained), (True, False))

    def test_an_explanation_can_be_taken_back_and_stays(self):
        self._explain(self._get_row())
        note = self._get_row().note_id
        note.with_user(self.accountant).action_take_back()
        self.assertTrue(self._get_row().is_open)
        self.assertTrue(note.exists())
        with self.assertRaises(UserError):
            note.sudo().unlink()
        self._explain(self._get_row(), "Once more")
        self.assertTrue(self._get_row().is_explained)

    def test_what_agrees_is_not_explained(self):
        self._read(self._invoice_row())
        self._explain(self._get_row())
        self.assertFalse(self.env["crm.billing.match.note"].search([]))

    def test_an_explanation_says_something(self):
        with self.assertRaises(UserError):
            self._explain(self._get_row(), " - ")

    # === FIXES === #

    def test_a_person_links_what_has_other_numbers(self):
        self._read(self._invoice_row(id="9", number="Q-9"))
        (row,) = self._get_board(("number", "=", "Q-9"))
        context = row.action_link()["context"]
        form = Form(
            self.env["crm.billing.match.link"]
            .with_user(self.accountant)
            .with_context(**context)
        )
        form.move_id = self.invoice
        form.save().action_link()
        row = self._get_row()
        self.assertEqual((row.reason, row.number_there), ("number", "Q-9"))
        self.assertFalse(self._get_board(("reason", "=", "missing_here")))
        row.action_unlink_record()
        self.assertEqual(self._get_row().reason, "missing_there")

    def test_a_record_of_another_kind_is_not_linked(self):
        self._read(self._invoice_row(id="9", number="Q-9"))
        refund = self._create_dated("2026-03-09", -120.0)
        document = self._get_document("9").with_user(self.accountant)
        with self.assertRaisesRegex(UserError, "another kind"):
            document._link_by_hand(refund)

    def test_a_customer_is_mapped_for_now_and_ever(self):
        self._read(self._invoice_row(customer="NW Trading (old name)"))
        row = self._get_row()
        self.assertEqual(row.reason, "customer")
        row.action_same_customer()
        self.assertEqual(self._get_row().reason, "ok")
        other = self._create_dated("2026-03-10", 20.0)
        self._read(self._invoice_row(other, customer="NW Trading (old name)"))
        self.assertEqual(self._get_row(other).reason, "ok")

    def test_what_is_missing_there_is_handed_out(self):
        action = self._get_row().action_hand_out()
        self.assertEqual(action["res_model"], "crm.billing.export.batch")
        self.assertEqual(action["context"]["default_system_id"], self.system.id)

    # === PROOF AND RIGHTS === #

    def test_the_board_ties_to_the_ledger(self):
        self._create_dated("2026-03-09", -30.0)
        self._read(self._invoice_row(amount="1.00"))
        board = self.env["crm.billing.match.report"].with_user(self.accountant)
        self.env.flush_all()
        (proof,) = board.get_tie_outs([("system_id", "=", self.system.id)])
        self.assertEqual((proof["amount"], proof["difference"]), (90.0, 0.0))

    def test_row_numbers_are_unique_and_small(self):
        second = self.system.copy({"name": "Second", "start_date": "2026-01-01"})
        self._pay_on(self.invoice, "2026-03-19")
        self.env.flush_all()
        rows = self.env["crm.billing.match.report"].search([])
        self.assertIn(second, rows.system_id)
        self.assertEqual(len(rows), len(set(rows.ids)))
        self.assertLess(max(rows.ids), 2**31)

    def test_salespeople_and_other_companies_see_nothing(self):
        board = self.env["crm.billing.match.report"]
        with self.assertRaises(AccessError):
            board.with_user(self.seller).search([])
        company = self.env["res.company"].create({"name": "Elsewhere"})
        stranger = new_test_user(
            self.env,
            "match_stranger",
            groups="base.group_user,account.group_account_invoice",
            company_id=company.id,
            company_ids=[Command.set(company.ids)],
        )
        self.assertFalse(board.with_user(stranger).search([]))
        with self.assertRaises(AccessError):
            self._get_row().with_user(stranger).read(["reason"])

    def test_a_row_out_of_sight_is_not_explained(self):
        rows = self._get_row()
        with self.assertRaises(AccessError):
            self._explain(rows, user=self.seller)
