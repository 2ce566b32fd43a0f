from odoo.exceptions import AccessError, UserError
from odoo.tests import tagged

from .match_common import MatchCommon


@tagged("post_install", "-at_install")
class TestBooksImport(MatchCommon):
    """L3 in: lists of the other books are read whole or not at all, and once."""

    # === READING === #

    def test_a_list_finds_its_invoice_by_number(self):
        self._read(self._invoice_row())
        document = self._get_document(f"I{self.invoice.id}")
        self.assertEqual(document.move_id, self.invoice)
        self.assertEqual(document.partner_id, self.account)
        row = self.env["crm.billing.crosswalk"].search(
            [("res_id", "=", self.invoice.id), ("model", "=", "account.move")]
        )
        self.assertEqual(row.external_id, f"I{self.invoice.id}")
        self.assertEqual(row.state, "confirmed")

    def test_the_crosswalk_goes_before_the_number(self):
        other = self._create_dated("2026-03-06", 120.0)
        self.env["crm.billing.crosswalk"].create(
            {
                "system_id": self.system.id,
                "model": "account.move",
                "res_id": other.id,
                "external_id": "I-77",
            }
        )
        self._read(self._invoice_row(id="I-77"))
        self.assertEqual(self._get_document("I-77").move_id, other)

    def test_what_was_handed_out_by_number_gets_its_id(self):
        self.env["crm.billing.crosswalk"]._note_handed_out(
            self.system,
            "account.move",
            {self.invoice.id: {"external_name": self.invoice.name, "checksum": "x"}},
            self.env.cr.now(),
        )
        self._read(self._invoice_row(id="4711", customer="Somebody", amount="1.00"))
        document = self._get_document("4711")
        self.assertEqual(document.move_id, self.invoice)
        self.assertEqual(document.linked_by, "crosswalk")
        row = self.env["crm.billing.crosswalk"].search(
            [("res_id", "=", self.invoice.id), ("model", "=", "account.move")]
        )
        self.assertEqual(row.external_id, "4711")

    def test_a_number_alone_is_no_proof(self):
        self._read(self._invoice_row(customer="Somebody", amount="1.00"))
        self.assertFalse(self._get_document(f"I{self.invoice.id}").move_id)

    def test_a_list_without_ids_is_known_by_its_numbers(self):
        row = self._invoice_row()
        del row["Id"]
        self._read(row)
        self._read(row)
        self.assertEqual(self._get_document(self.invoice.name).move_id, self.invoice)

    def test_the_same_list_again_changes_nothing(self):
        rows = (self._invoice_row(status="Paid"), self._payment_row())
        self._read(*rows)
        payments = self.env["account.payment"].search_count([])
        rows_before = self._get_document(f"I{self.invoice.id}")._get_said()
        again = self._read(*rows)
        self.assertEqual((again.new_count, again.changed_count), (0, 0))
        self.assertEqual(self.env["account.payment"].search_count([]), payments)
        document = self._get_document(f"I{self.invoice.id}")
        self.assertEqual(document._get_said(), rows_before)

    def test_checking_writes_nothing(self):
        wizard = self._create_wizard(self._write(self._invoice_row()))
        wizard.action_check()
        self.assertEqual((wizard.new_count, wizard.error_count), (1, 0))
        self.assertFalse(self._get_document(f"I{self.invoice.id}"))
        wizard.action_import()
        self.assertTrue(self._get_document(f"I{self.invoice.id}"))
        wizard.action_check()
        self.assertEqual((wizard.new_count, wizard.same_count), (0, 1))

    def test_one_wrong_row_stops_all_and_is_named(self):
        rows = (self._invoice_row(), self._invoice_row(id="2", date="31.31.2026"))
        wizard = self._create_wizard(self._write(*rows))
        wizard.action_check()
        self.assertRecordValues(
            wizard.line_ids, [{"row": 3, "column": "date", "value": "31.31.2026"}]
        )
        with self.assertRaisesRegex(UserError, "Row 3, date"):
            wizard.action_import()
        self.assertFalse(self._get_document(f"I{self.invoice.id}"))

    def test_a_renamed_column_is_named(self):
        data = self._write(self._invoice_row()).replace(b"Amount", b"Summe", 1)
        with self.assertRaisesRegex(UserError, "amount .*Was one renamed"):
            self._create_wizard(data).action_import()

    def test_an_older_version_is_refused(self):
        newer = {**self._invoice_row(), "Version": "7"}
        self._read(newer)
        with self.assertRaisesRegex(UserError, "older version"):
            self._read({**newer, "Version": "6", "Amount": "1.00"})
        self.assertEqual(self._get_document(f"I{self.invoice.id}").amount, 120.0)

    def test_a_complete_list_tells_what_is_gone(self):
        other = self._create_dated("2026-03-06", 10.0)
        late = self._create_dated("2026-04-06", 10.0)
        self._read(*map(self._invoice_row, (self.invoice, other, late)))
        record = self._read_complete(self._invoice_row())
        self.assertEqual(record.gone_count, 1)
        self.assertTrue(self._get_document(f"I{other.id}").is_gone)
        self.assertFalse(self._get_document(f"I{late.id}").is_gone)
        self._read(self._invoice_row(other))
        self.assertFalse(self._get_document(f"I{other.id}").is_gone)

    def test_a_document_written_again_there_takes_the_place_of_the_lost_one(self):
        self._read(self._invoice_row(id="old"))
        self._read_complete(self._invoice_row(id="new"))
        self.assertEqual(self._get_document("new").move_id, self.invoice)
        self.assertFalse(self._get_document("old").move_id)

    def test_foreign_currencies_keep_their_amounts(self):
        usd = self.env.ref("base.USD")
        usd.active = True
        move = self._create_dated("2026-03-07", 50.0, currency_id=usd.id)
        self._read({**self._invoice_row(move), "Currency": "USD"})
        document = self._get_document(f"I{move.id}")
        self.assertEqual((document.currency_id, document.amount), (usd, 50.0))
        with self.assertRaisesRegex(UserError, "does not know.*QQQ"):
            self._read({**self._invoice_row(move), "Currency": "QQQ"})

    # === HOSTILE FILES === #

    def test_hostile_files_are_refused_in_words(self):
        good = self._write(self._invoice_row())
        for data, words in (
            (b"\n\n", "no table"),
            (b"PK\x03\x04" + good, "workbook"),
            (b"\xff\xfe\x00\xd8\x00\xd8", "no table|No heading"),
            (b"\x00" * 100, "no table"),
            (b"a,b\n1,2", "No heading"),
            (good.replace(b"Amount", b"Total,Amount", 1), "mean the same"),
            (good + b'"open quote,' + b"x" * 200_000, "no table|too long"),
        ):
            with self.subTest(data[:30]), self.assertRaisesRegex(UserError, words):
                self._create_wizard(data).action_import()
        self.assertFalse(self.env["crm.billing.outside.document"].search([]))

    def test_a_name_that_is_a_formula_stays_a_name(self):
        self._read(self._invoice_row(customer='=HYPERLINK("x")'))
        document = self._get_document(f"I{self.invoice.id}")
        self.assertEqual(document.customer_name, '=HYPERLINK("x")')
        self.assertFalse(document.partner_id)

    # === RIGHTS === #

    def test_who_reads_lists(self):
        for role in ("accountant", "clerk", "manager"):
            with self.subTest(role=role):
                self._read(self._invoice_row(), user=self.users[role])
        with self.assertRaises(AccessError):
            self._create_wizard(self._write(self._invoice_row()), self.seller)

    def test_nobody_writes_what_the_other_side_says(self):
        self._read(self._invoice_row())
        document = self._get_document(f"I{self.invoice.id}")
        for role in ("accountant", "clerk", "manager"):
            with self.subTest(role=role), self.assertRaises(AccessError):
                document.with_user(self.users[role]).amount = 1.0

    def test_books_of_another_company_are_refused(self):
        company = self.env["res.company"].create({"name": "Elsewhere"})
        system = self.env["crm.billing.system"].create(
            {"name": "Not Ours", "kind": "generic_csv", "company_id": company.id}
        )
        wizard = self._create_wizard(self._write(self._invoice_row()))
        wizard.sudo().system_id = system
        with self.assertRaises(AccessError):
            wizard.action_import()

    def test_each_list_is_kept_and_logged(self):
        record = self._read(self._invoice_row())
        self.assertEqual(record.attachment_id.raw, self._write(self._invoice_row()))
        event = self.env["crm.billing.event"].search(
            [("action", "=", "outside_read")], limit=1
        )
        self.assertEqual(event.user_id, self.accountant)
        self.assertEqual(event.new_value, record.checksum)


@tagged("post_install", "-at_install")
class TestOutsidePayments(MatchCommon):
    """L2: payments come back, booked once by the machine and by nobody else."""

    def setUp(self):
        super().setUp()
        self._read(self._invoice_row())

    def _get_payment(self):
        return self._get_document("P1").payment_id

    def test_a_payment_there_pays_the_invoice_here(self):
        self._read(self._payment_row())
        payment = self._get_payment()
        self.assertEqual((payment.amount, str(payment.date)), (120.0, "2026-03-20"))
        self.assertEqual(payment.journal_id, self.journal)
        self.assertEqual(payment.state, "paid")
        self.assertEqual(self.invoice.payment_state, "paid")

    def test_the_deal_says_paid(self):
        deal = self._create_deal()
        move = self._create_dated("2026-03-08", 80.0)
        move.sudo().opportunity_ids = deal
        self._read(self._invoice_row(move))
        self._read(self._payment_row(move, "80.00"))
        self.env.flush_all()
        self.assertEqual(deal.billing_state, "paid")
        self.assertEqual(deal.billing_amount_due, 0.0)

    def test_it_is_never_handed_out(self):
        self._read(self._payment_row())
        row = self.env["crm.billing.crosswalk"].search(
            [("model", "=", "account.payment")]
        )
        self.assertEqual(row.res_id, self._get_payment().id)
        self.assertEqual((row.external_id, row.state), ("P1", "confirmed"))

    def test_one_payment_pays_several_invoices_exactly(self):
        other = self._create_dated("2026-03-06", 100.0)
        self._read(self._invoice_row(other))
        # Less than the first owes, all of the second, and a rest for later.
        self._read(
            {**self._payment_row(amount="200.00"), "Applied amount": "50.00"},
            {**self._payment_row(other, "200.00"), "Applied amount": "100.00"},
        )
        self.assertEqual(self.invoice.amount_residual, 70.0)
        self.assertEqual(other.amount_residual, 0.0)
        credits_ = self._get_payment().move_id.line_ids.filtered(
            lambda line: line.account_id.account_type == "asset_receivable"
        )
        self.assertEqual(sorted(credits_.mapped("balance")), [-100.0, -50.0, -50.0])
        self.assertEqual(sum(credits_.mapped("amount_residual")), -50.0)

    def test_a_changed_payment_is_withdrawn_and_booked_again(self):
        self._read(self._payment_row())
        first = self._get_payment()
        self._read(self._payment_row(amount="100.00"))
        self.assertEqual(first.state, "canceled")
        self.assertEqual(self._get_payment().amount, 100.0)
        self.assertEqual(self.invoice.amount_residual, 20.0)
        mapped = self.env["crm.billing.crosswalk"].search(
            [("model", "=", "account.payment"), ("state", "=", "confirmed")]
        )
        self.assertEqual(mapped.res_id, self._get_payment().id)

    def test_a_void_payment_opens_the_invoice_again(self):
        self._read({**self._payment_row(), "Status": "Closed"})
        self.assertEqual(self.invoice.amount_residual, 0.0)
        self._read({**self._payment_row(), "Status": "Void"})
        self.assertFalse(self._get_payment())
        self.assertEqual(self.invoice.amount_residual, 120.0)

    def test_a_payment_gone_from_a_complete_list_is_withdrawn(self):
        self._read(self._payment_row())
        other = self._create_dated("2026-03-06", 10.0)
        rows = (
            self._invoice_row(),
            self._invoice_row(other),
            {**self._payment_row(other, "10.00"), "Id": "P2", "Number": "902"},
        )
        complete = {"has_documents": True, "has_payments": True}
        days = {"date_from": "2026-03-01", "date_to": "2026-03-31"}
        wizard = self._create_wizard(self._write(*rows), **complete, **days)
        wizard.action_check()
        self.assertEqual((wizard.gone_count, wizard.withdrawn_count), (1, 1))
        self.assertEqual(self.invoice.amount_residual, 0.0, "only checked")
        self._read_complete(*rows)
        self.assertEqual(self.invoice.amount_residual, 120.0)
        self._read_complete(*rows, self._payment_row())
        self.assertEqual(self.invoice.amount_residual, 0.0)

    def test_a_list_without_payments_is_no_complete_one_of_them(self):
        self._read(self._payment_row())
        wizard = self._create_wizard(
            self._write(self._invoice_row()),
            has_payments=True,
            date_from="2026-03-01",
            date_to="2026-03-31",
        )
        for action in (wizard.action_check, wizard.action_import):
            with self.assertRaisesRegex(UserError, "no payment at all, and 1"):
                action()
        wizard.write({"has_payments": False, "has_documents": True})
        wizard.action_import()
        self.assertEqual(self.invoice.amount_residual, 0.0)
        with self.assertRaisesRegex(UserError, "no invoice and no credit note"):
            self._read_complete(self._payment_row())

    def test_a_withdrawn_payment_is_not_handed_out_when_posted_again(self):
        self._read(self._payment_row())
        payment = self._get_payment()
        self._read({**self._payment_row(), "Status": "Void"})
        self.assertEqual(payment.state, "canceled")
        row = self.env["crm.billing.crosswalk"].search(
            [("model", "=", "account.payment"), ("res_id", "=", payment.id)]
        )
        self.assertEqual((row.state, row.drift), ("withdrawn", False))
        payment.action_draft()
        payment.action_post()
        row._check_drift(self.env.cr.now())
        self.assertEqual(row.drift, "missing", "a person looks at it")
        batch = self.env["crm.billing.export.batch"].create(
            {"system_id": self.system.id, "date_to": "2026-12-31"}
        )
        batch.action_collect()
        self.assertNotIn("account.payment", batch.line_ids.mapped("model"))
        self._read({**self._payment_row(), "Status": "Closed"})
        self.assertNotEqual(self._get_payment(), payment)
        self.assertEqual(self.invoice.amount_residual, 0.0)
        self.assertEqual(row.drift, "missing")

    def test_of_several_payments_those_that_can_be_are_booked(self):
        other = self._create_dated("2026-03-06", 10.0)
        self._read(self._invoice_row(other))
        self.system.payment_journal_id = False
        self._read(
            self._payment_row(), {**self._payment_row(other, "99.00"), "Id": "P2"}
        )
        self.system.payment_journal_id = self.journal
        documents = self._get_document("P1") | self._get_document("P2")
        notice = documents.with_user(self.accountant).action_take_over()
        self.assertEqual(notice["params"]["title"], "1 booked, 1 not")
        self.assertIn("less open here", notice["params"]["message"])
        self.assertEqual(self.invoice.payment_state, "paid")
        self.assertIn("less open here", self._get_document("P2").booking_error)
        with self.assertRaisesRegex(UserError, "less open here"):
            self._get_document("P2").with_user(self.accountant).action_take_over()

    def test_a_payment_without_a_number_is_known_by_its_id(self):
        self._read({**self._payment_row(), "Number": ""})
        self.assertEqual(self._get_document("P1").number, "P1")
        self.assertEqual(self.invoice.payment_state, "paid")

    def test_a_payment_for_an_invoice_that_is_not_here_waits(self):
        self._read(self._payment_row(applied_to="unknown"))
        document = self._get_document("P1")
        self.assertFalse(document.payment_id)
        self.assertIn("unknown", document.booking_error)
        late = self._create_dated("2026-03-06", 120.0)
        self._read(self._invoice_row(late, id="unknown"))
        self.assertTrue(document.payment_id)
        self.assertFalse(document.booking_error)
        self.assertEqual(late.payment_state, "paid")

    def test_money_that_is_here_is_not_booked_twice(self):
        self._pay_on(self.invoice, "2026-03-19")
        self._read(self._payment_row())
        self.assertFalse(self._get_payment())
        self.assertIn("may be here already", self._get_document("P1").booking_error)

    def test_a_payment_handed_out_is_known_when_it_comes_back(self):
        payment = self._pay_on(self.invoice, "2026-03-19")
        self.env["crm.billing.crosswalk"]._note_handed_out(
            self.system,
            "account.payment",
            {payment.id: {"external_name": "901", "checksum": "x"}},
            self.env.cr.now(),
        )
        self._read(self._payment_row())
        self.assertEqual(self._get_payment(), payment)
        self.assertFalse(self._get_document("P1").is_taken_over)

    def test_a_closed_period_is_said_and_nothing_is_booked(self):
        self.company.fiscalyear_lock_date = "2026-03-31"
        self._read(self._payment_row())
        self.assertFalse(self._get_payment())
        self.assertIn("closed period", self._get_document("P1").booking_error)
        self.assertEqual(
            self._get_board(("document_id.external_id", "=", "P1")).reason,
            "closed_period",
        )
        self.company.fiscalyear_lock_date = False
        self._get_document("P1").with_user(self.accountant).action_take_over()
        self.assertEqual(self.invoice.payment_state, "paid")

    def test_without_a_journal_it_says_where_to_choose_one(self):
        self.system.payment_journal_id = False
        self._read(self._payment_row())
        self.assertIn("Choose on Their Books", self._get_document("P1").booking_error)

    def test_books_here_are_only_compared(self):
        self.company.billing_books = "here"
        self._read(self._payment_row())
        self.assertFalse(self._get_payment())
        with self.assertRaisesRegex(UserError, "only compared"):
            self._get_document("P1").with_user(self.accountant).action_take_over()

    def test_an_open_amount_there_is_taken_over_until_the_payment_comes(self):
        self._read(self._invoice_row(balance="20.00"))
        row = self._get_row()
        self.assertEqual(row.reason, "payment")
        row.action_take_open_amount()
        self.assertEqual(self.invoice.amount_residual, 20.0)
        self.assertEqual(self._get_row().reason, "ok")
        with self.assertRaisesRegex(UserError, "no more is paid there"):
            self._get_document(f"I{self.invoice.id}").with_user(
                self.accountant
            ).action_take_open_amount()
        self._read(self._payment_row(amount="100.00"))
        self.assertEqual(self.invoice.amount_residual, 20.0)
        self.assertEqual(self._get_payment().state, "paid")
        live = self.env["account.payment"].search(
            [("journal_id", "=", self.journal.id), ("state", "=", "paid")]
        )
        self.assertEqual(live, self._get_payment())

    def test_a_salesperson_takes_nothing_over(self):
        self.system.payment_journal_id = False
        self._read(self._payment_row())
        with self.assertRaises(AccessError):
            self._get_document("P1").with_user(self.seller).action_take_over()
