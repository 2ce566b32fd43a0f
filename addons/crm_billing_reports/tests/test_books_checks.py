from decimal import Decimal

from odoo.exceptions import UserError
from odoo.fields import Command
from odoo.tests import tagged

from .books_common import BooksCommon


@tagged("post_install", "-at_install")
class TestBooksChecks(BooksCommon):
    """What the other books would refuse is a row with its fix, before it leaves."""

    def _add_name(self, name, kind="customer", **values):
        return self.env["crm.billing.system.name"].create(
            {"system_id": self.system.id, "kind": kind, "name": name, **values}
        )

    def _get_reason(self, record):
        """Return the reason why a new batch refuses ``record``."""
        batch = self._collect()
        line = self._get_line(batch, record)
        if line.state == "refused":
            self.assertTrue(line.issue)
        reason = line.reason
        batch.unlink()
        return reason

    # === NAMES === #

    def test_a_vendor_of_that_name_holds_the_customer_and_its_invoice(self):
        move = self._create_dated("2026-03-01", 100.0)
        self._add_name("NORTHWIND", "vendor")
        batch = self._collect()
        customer = self._get_line(batch, self.account)
        self.assertEqual((customer.state, customer.reason), ("refused", "name_taken"))
        invoice = self._get_line(batch, move)
        self.assertEqual(invoice.reason, "customer_refused")
        shown = self.env["crm.billing.export.line"].search(
            invoice.action_fix()["domain"]
        )
        self.assertEqual(shown, customer + invoice)
        customer.external_name = "Northwind (customer)"
        batch.action_collect()
        self.assertEqual(set(batch.line_ids.mapped("state")), {"ready"})
        self._hand_out(batch)
        row = self._read_file(batch, "invoices")[0]
        self.assertEqual(row["*Customer"], "Northwind (customer)")
        self.assertEqual(
            self._get_row(self.account).external_name, "Northwind (customer)"
        )

    def test_the_same_customer_is_linked_and_not_handed_out(self):
        move = self._create_dated("2026-03-01", 100.0)
        self._add_name("Northwind", external_id="77")
        batch = self._collect()
        customer = self._get_line(batch, self.account)
        self.assertEqual(customer.reason, "name_known")
        customer.action_fix()
        self.assertFalse(self._get_line(batch, self.account))
        self.assertEqual(self._get_line(batch, move).state, "ready")
        self.assertEqual(self._get_row(self.account).external_id, "77")

    def test_only_a_customer_there_is_linked(self):
        self._create_dated("2026-03-01", 100.0)
        self._add_name("Northwind", "employee")
        customer = self._get_line(self._collect(), self.account)
        with self.assertRaisesRegex(UserError, "no customer"):
            customer.action_link()

    def test_two_accounts_of_one_name(self):
        twin = self._create_account("Northwind")
        self._create_dated("2026-03-01", 100.0)
        self._create_dated("2026-03-02", 100.0, account=twin)
        batch = self._collect()
        self.assertEqual(self._get_line(batch, self.account).state, "ready")
        self.assertEqual(self._get_line(batch, twin).reason, "name_twice")
        self._hand_out(batch)
        self.assertEqual(self._get_line(self._collect(), twin).reason, "name_twice")

    def test_a_name_that_other_books_cannot_hold(self):
        self._create_dated("2026-03-01", 100.0)
        for name, reason in (
            ("North: wind", "name_sign"),
            ("N" * 101, "name_long"),
            ("@Home", "name_formula"),
        ):
            self.account.name = name
            self.assertEqual(self._get_reason(self.account), reason)

    def test_an_inactive_customer_there(self):
        move = self._create_dated("2026-03-01", 100.0)
        self._deliver()
        self._add_name("Northwind", is_active=False)
        other = self._create_dated("2026-03-02", 100.0)
        self.assertEqual(self._get_reason(other), "inactive")
        self.assertTrue(self._get_row(move))

    # === DOCUMENTS === #

    def test_a_number_that_is_too_long_gets_another_one_there(self):
        move = self._create_dated(
            "2026-03-01", 100.0, name="INVOICE/BERLIN/2026/000001"
        )
        batch = self._collect()
        line = self._get_line(batch, move)
        self.assertEqual(line.reason, "number_long")
        line.external_name = "B-2026-000001"
        self._hand_out(batch)  # checks again, and shows that it changed
        self._hand_out(batch)
        self.assertEqual(
            self._read_file(batch, "invoices")[0]["*InvoiceNo"], "B-2026-000001"
        )
        self.assertEqual(self._get_row(move).external_id, "B-2026-000001")

    def test_a_number_in_use_there(self):
        old = self._create_dated("2025-03-01", 100.0)
        move = self._create_dated("2026-03-01", 100.0)
        self.env["crm.billing.crosswalk"].create(
            {
                "system_id": self.system.id,
                "model": "account.move",
                "res_id": old.id,
                "external_id": "12",
                "external_name": move.name.lower(),
            }
        )
        self.assertEqual(self._get_reason(move), "number_taken")

    def test_a_number_of_a_document_there_that_is_not_matched(self):
        move = self._create_dated("2026-03-01", 100.0)
        document = self.env["crm.billing.outside.document"].create(
            {
                "system_id": self.system.id,
                "kind": "invoice",
                "external_id": "77",
                "number": move.name,
                "customer_name": "Somebody else",
                "date": "2026-02-01",
                "currency_id": self.company.currency_id.id,
            }
        )
        batch = self._collect()
        line = self._get_line(batch, move)
        self.assertEqual(line.reason, "number_taken")
        self.assertIn("Somebody else", line.issue)
        document.is_gone = True
        batch.action_collect()
        self.assertEqual(self._get_line(batch, move).state, "ready")

    def test_a_number_that_is_an_id_there(self):
        old = self._create_dated("2025-03-01", -100.0)
        move = self._create_dated("2026-03-01", 100.0, name="1001")
        self.env["crm.billing.crosswalk"].create(
            {
                "system_id": self.system.id,
                "model": "account.move",
                "res_id": old.id,
                "external_id": "1001",
                "external_name": "CM-7",
            }
        )
        self.assertEqual(self._get_reason(move), "number_taken")

    def test_a_closed_period(self):
        move = self._create_dated("2026-03-31", 100.0)
        after = self._create_dated("2026-04-01", 100.0)
        self.system.closed_until = "2026-03-31"
        self.assertEqual(self._get_reason(move), "period_closed")
        self.assertFalse(self._get_reason(after))

    def test_what_has_no_name_there_waits(self):
        move = self._create_taxed("2026-03-01", [(1, 10.0, self.tax)])
        names = {row.model: row for row in self.system.map_ids}
        names["account.tax"].is_active = False
        self.assertEqual(self._get_reason(move), "inactive")
        names["account.tax"].unlink()
        self.assertEqual(self._get_reason(move), "no_tax")
        names["product.product"].unlink()
        self.assertEqual(self._get_reason(move), "no_item")
        self._map(self.system, self.tax, "TAX")
        self._map(self.system, move.invoice_line_ids.account_id, "Sales")
        self.assertFalse(self._get_reason(move))

    def test_a_line_without_tax_needs_a_code_for_it(self):
        move = self._create_dated("2026-03-01", 100.0)
        self.system.no_tax_code = False
        self.assertEqual(self._get_reason(move), "no_tax_code")

    def test_several_taxes_on_a_line(self):
        other = self.tax.copy({"name": "City 1%", "amount": 1.0})
        move = self._create_taxed("2026-03-01", [(1, 10.0, self.tax | other)])
        self.assertEqual(self._get_reason(move), "two_taxes")

    def test_a_column_that_must_be_filled(self):
        move = self._create_dated("2026-03-01", 100.0)
        self.system.field_ids.filtered(
            lambda one: one.entity == "invoice" and one.value == "memo"
        ).is_required = True
        self.assertEqual(self._get_reason(move), "column_empty")
        move.ref = "PO 7"
        self.assertFalse(self._get_reason(move))

    # === PAYMENTS === #

    def test_a_payment_waits_for_its_invoice(self):
        move = self._create_dated(
            "2026-03-01", 100.0, name="INVOICE/BERLIN/2026/000001"
        )
        payment = self._pay_on(move, "2026-03-05")
        self.assertEqual(self._get_reason(payment), "invoice_missing")

    def test_a_payment_of_an_invoice_before_the_start_names_our_number(self):
        move = self._create_dated("2025-11-01", 100.0)
        payment = self._pay_on(move, "2026-01-05")
        batch = self._deliver()
        self.assertTrue(self._get_line(batch, payment))
        self.assertEqual(self._read_file(batch, "payments")[0]["Invoice No"], move.name)

    def test_a_payment_that_writes_off_is_for_a_person(self):
        move = self._create_dated("2026-03-01", 100.0)
        account = self.env["account.account"].search(
            [("account_type", "=", "expense")], limit=1
        )
        payment = (
            self.env["account.payment.register"]
            .with_context(active_model="account.move", active_ids=move.ids)
            .create(
                {
                    "payment_date": "2026-03-05",
                    "amount": 98.0,
                    "payment_difference_handling": "reconcile",
                    "writeoff_account_id": account.id,
                }
            )
            ._create_payments()
        )
        self.assertEqual(self._get_reason(payment), "write_off")

    def test_money_paid_back_is_for_a_person(self):
        payment = self.env["account.payment"].create(
            {
                "payment_type": "outbound",
                "partner_type": "customer",
                "partner_id": self.account.id,
                "amount": 80.0,
                "date": "2026-03-10",
            }
        )
        payment.action_post()
        self.assertEqual(self._get_reason(payment), "outbound")

    def _pay_by_bank(self, move):
        """Return a bank line that pays ``move`` without a payment."""
        journal = self.env["account.journal"].search(
            [("type", "=", "bank"), ("company_id", "=", self.company.id)], limit=1
        )
        line = self.env["account.bank.statement.line"].create(
            {
                "journal_id": journal.id,
                "date": "2026-03-05",
                "payment_ref": "Northwind pays",
                "partner_id": self.account.id,
                "amount": 100.0,
            }
        )
        receivable = move.line_ids.filtered(
            lambda one: one.account_id.account_type == "asset_receivable"
        )
        suspense = line.move_id.line_ids.filtered(
            lambda one: one.account_id == journal.suspense_account_id
        )
        line.move_id.button_draft()
        suspense.account_id = receivable.account_id
        line.move_id.action_post()
        (suspense | receivable).reconcile()
        return line

    def test_a_bank_line_that_pays_an_invoice(self):
        move = self._create_dated("2026-03-01", 100.0)
        line = self._pay_by_bank(move)
        batch = self._deliver()
        self.assertTrue(self._get_line(batch, line))
        row = self._read_file(batch, "payments")[0]
        self.assertEqual((row["Invoice No"], row["Amount"]), (move.name, "100.00"))
        self.assertEqual(row["Memo"], "Northwind pays")

    def test_money_of_another_currency_is_for_a_person(self):
        line = self._pay_by_bank(self._create_dated("2026-03-01", 100.0))
        yen = self.env.ref("base.JPY")
        yen.active = True
        facts = self.system._prepare_money(line, line.move_id, Decimal(100), yen)
        self.assertEqual(facts.faults, [("currency", self.company.currency_id.name)])

    def test_payments_stay_when_they_are_not_wanted(self):
        self.system.with_payments = False
        payment = self._pay_on(self._create_dated("2026-03-01", 100.0), "2026-03-05")
        self.assertFalse(self._get_line(self._collect(), payment))

    # === CHANGES === #

    def test_a_change_is_not_sent_to_books_that_cannot_take_it(self):
        move = self._create_dated("2026-03-01", 100.0)
        self._deliver()
        self._drift(move)
        batch = self._collect()
        self.assertEqual(self._get_line(batch, move).reason, "changed")
        self._get_row(move).with_user(self.manager).action_accept_version()
        self.assertFalse(self._get_row(move).drift)
        self.assertFalse(self._collect().line_ids)

    def _drift(self, move, price=120.0):
        move.button_draft()
        move.invoice_line_ids.price_unit = price
        move.action_post()
        row = self._get_row(move)
        row._check_drift(self.env.cr.now())
        self.assertEqual(row.drift, "changed")
        return row

    def test_a_change_is_sent_to_books_that_take_it(self):
        system = self._create_system("Ledger", kind="generic_csv", accepts_updates=True)
        move = self._create_dated("2026-03-01", 100.0)
        first = self._read_file(self._deliver(system), "invoices")[0]
        move.button_draft()
        move.invoice_line_ids.price_unit = 120.0
        move.action_post()
        row = self._get_row(move, system)
        row._check_drift(self.env.cr.now())
        batch = self._deliver(system)
        second = self._read_file(batch, "invoices")[0]
        self.assertEqual((first["operation"], first["amount"]), ("new", "100.00"))
        self.assertEqual((second["operation"], second["amount"]), ("update", "120.00"))
        self.assertEqual(first["external_id"], second["external_id"])
        self.assertEqual(self.env.ref(second["external_id"]), move)
        self.assertFalse(row.drift)

    def test_a_change_onto_an_unknown_version_is_refused(self):
        system = self._create_system("Ledger", kind="generic_csv", accepts_updates=True)
        move = self._create_dated("2026-03-01", 100.0)
        self._deliver(system)
        crosswalk = self.env["crm.billing.crosswalk"]
        for version in ("1", "2"):
            crosswalk._note_seen(
                system,
                "account.move",
                {move.id: {"external_id": "5", "version": version}},
                "2026-03-06 10:00:00",
            )
        row = self._get_row(move, system)
        self.assertEqual(row.drift, "version")
        move.button_draft()
        move.invoice_line_ids.price_unit = 120.0
        move.action_post()
        row._check_drift(self.env.cr.now())
        line = self._get_line(self._collect(system), move)
        self.assertEqual(line.reason, "changed_there")

    def test_a_deposited_payment_does_not_change(self):
        system = self._create_system("Ledger", kind="generic_csv", accepts_updates=True)
        payment = self.env["account.payment"].create(
            {
                "payment_type": "inbound",
                "partner_type": "customer",
                "partner_id": self.account.id,
                "amount": 80.0,
                "date": "2026-03-10",
            }
        )
        payment.action_post()
        self._deliver(system)
        self.env["crm.billing.crosswalk"]._note_seen(
            system,
            "account.payment",
            {payment.id: {"external_id": "8", "is_deposited": True}},
            "2026-03-12 10:00:00",
        )
        payment.action_draft()
        payment.amount = 90.0
        payment.action_post()
        self._get_row(payment, system)._check_drift(self.env.cr.now())
        line = self._get_line(self._collect(system), payment)
        self.assertEqual(line.reason, "deposited")

    # === CURRENCIES === #

    def test_amounts_are_those_of_the_document(self):
        currency = self.env.ref("base.JPY")
        currency.active = True
        move = self._create_dated("2026-03-01", 1000.0, currency_id=currency.id)
        batch = self._deliver()
        row = self._read_file(batch, "invoices")[0]
        self.assertEqual((row["*ItemAmount"], row["Currency"]), ("1000.00", "JPY"))
        line = self._get_line(batch, move)
        self.assertEqual((line.amount, line.currency_id), (1000.0, currency))

    def test_notes_and_sections_are_no_rows(self):
        move = self._create_dated("2026-03-01", 100.0)
        move.button_draft()
        move.invoice_line_ids = [
            Command.create({"display_type": "line_note", "name": "Thank you"})
        ]
        move.action_post()
        self.assertEqual(len(self._read_file(self._deliver(), "invoices")), 1)
