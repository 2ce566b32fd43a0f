from decimal import Decimal
from unittest.mock import patch

from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.fields import Command
from odoo.tests import new_test_user, tagged
from odoo.tools import mute_logger

from .books_common import BooksCommon


@tagged("post_install", "-at_install")
class TestBooksExport(BooksCommon):
    """What is posted leaves once, as the other books read it."""

    # === THE FILES === #

    def test_an_invoice_leaves_with_its_customer(self):
        move = self._create_taxed(
            "2026-03-02", [(2, 50.0, self.tax), (1, 30.0, self.tax.browse())]
        )
        batch = self._deliver()
        self.assertEqual(
            [row["Name"] for row in self._read_file(batch, "customers")], ["Northwind"]
        )
        rows = self._read_file(batch, "invoices")
        self.assertEqual(
            [
                (
                    row["*InvoiceNo"],
                    row["*Customer"],
                    row["*InvoiceDate"],
                    row["Item(Product/Service)"],
                    row["ItemQuantity"],
                    row["ItemRate"],
                    row["*ItemAmount"],
                    row["*ItemTaxCode"],
                    row["ItemTaxAmount"],
                )
                for row in rows
            ],
            [
                (move.name, "Northwind", "2026-03-02", "Consulting")
                + ("2.00", "50.00", "100.00", "TAX", "10.00"),
                (move.name, "Northwind", "2026-03-02", "Consulting")
                + ("1.00", "30.00", "30.00", "NON", "0.00"),
            ],
        )

    def test_taxes_rounded_per_document_add_up_per_line(self):
        self.company.tax_calculation_rounding_method = "round_globally"
        move = self._create_taxed("2026-03-02", [(1, 0.05, self.tax)] * 3)
        batch = self._deliver()
        rows = self._read_file(batch, "invoices")
        total = sum(
            Decimal(row["*ItemAmount"]) + Decimal(row["ItemTaxAmount"]) for row in rows
        )
        self.assertEqual(total, Decimal(str(move.amount_total)))

    def test_a_credit_note_goes_to_its_own_file(self):
        move = self._create_taxed("2026-03-02", [(1, 40.0, self.tax)], "out_refund")
        batch = self._deliver()
        rows = self._read_file(batch, "credit-notes")
        self.assertEqual(
            (rows[0]["*CreditNoteNo"], rows[0]["*ItemAmount"]), (move.name, "40.00")
        )
        self.assertFalse(self._read_file_names(batch, "invoices"))

    def _read_file_names(self, batch, kind):
        return [name for name in batch.files if kind in name]

    def test_a_payment_names_the_invoices_that_it_pays(self):
        first = self._create_dated("2026-03-01", 100.0)
        second = self._create_dated("2026-03-02", 50.0)
        self.env["account.payment.register"].with_context(
            active_model="account.move", active_ids=(first | second).ids
        ).create(
            {"payment_date": "2026-03-10", "group_payment": True}
        )._create_payments()
        rows = self._read_file(self._deliver(), "payments")
        self.assertEqual(
            sorted((row["Invoice No"], row["Amount"]) for row in rows),
            sorted([(first.name, "100.00"), (second.name, "50.00")]),
        )

    def test_what_a_payment_has_left_names_no_invoice(self):
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
        rows = self._read_file(self._deliver(), "payments")
        self.assertEqual(
            [(row["Invoice No"], row["Amount"]) for row in rows], [("", "80.00")]
        )

    def test_files_stay_below_the_limits(self):
        self.system.document_limit = 2
        for day in range(1, 6):
            self._create_dated(f"2026-03-0{day}", 10.0 * day)
        batch = self._deliver()
        self.assertEqual(len(self._read_file_names(batch, "invoices")), 3)
        self.assertEqual(len(self._read_file_names(batch, "customers")), 1)

    # === ONCE === #

    def test_nothing_leaves_twice(self):
        move = self._create_dated("2026-03-01", 100.0)
        self._deliver()
        again = self._collect()
        self.assertFalse(again.line_ids)
        row = self._get_row(move)
        self.assertRecordValues(
            row, [{"external_id": move.name, "state": "handed_out", "drift": False}]
        )

    def test_a_document_waits_in_one_batch_only(self):
        move = self._create_dated("2026-03-01", 100.0)
        first = self._collect()
        second = self._collect()
        self.assertTrue(self._get_line(first, move))
        self.assertFalse(second.line_ids)

    def test_no_address_book_leaves(self):
        self._create_account("Unbilled")
        self._create_dated("2026-03-01", 100.0)
        names = self._deliver().line_ids.filtered(lambda one: one.entity == "customer")
        self.assertEqual(names.mapped("name"), ["Northwind"])

    def test_documents_before_the_start_stay(self):
        self._create_dated("2025-12-31", 100.0)
        self.assertFalse(self._collect().line_ids)

    def test_what_was_mapped_by_import_stays(self):
        move = self._create_dated("2026-03-01", 100.0)
        self.env["crm.billing.crosswalk"].with_user(self.manager).create(
            {
                "system_id": self.system.id,
                "model": "account.move",
                "res_id": move.id,
                "external_id": "4711",
            }
        )
        self.assertFalse(self._collect().line_ids)

    def test_a_payment_that_came_from_there_never_goes_back(self):
        move = self._create_dated("2026-03-01", 100.0)
        payment = self._pay_on(move, "2026-03-05")
        self.env["crm.billing.crosswalk"]._note_seen(
            self.system,
            "account.payment",
            {payment.id: {"external_id": "P-1"}},
            "2026-03-06 10:00:00",
        )
        batch = self._collect()
        self.assertTrue(self._get_line(batch, move))
        self.assertFalse(self._get_line(batch, payment))

    def test_a_document_that_changes_after_the_check_stops_the_batch(self):
        move = self._create_dated("2026-03-01", 100.0)
        batch = self._collect()
        move.button_draft()
        move.invoice_line_ids.price_unit = 120.0
        move.action_post()
        shown = self._hand_out(batch)
        self.assertEqual(shown["params"]["type"], "warning")
        self.assertEqual(batch.state, "checked")
        self._hand_out(batch)
        self.assertEqual(self._read_file(batch, "invoices")[0]["*ItemAmount"], "120.00")

    def test_a_document_reset_to_draft_does_not_leave(self):
        move = self._create_dated("2026-03-01", 100.0)
        other = self._create_dated("2026-03-02", 50.0)
        batch = self._collect()
        move.button_draft()
        self._hand_out(batch)
        self._hand_out(batch)
        self.assertEqual(batch.state, "handed_out")
        self.assertFalse(self._get_row(move))
        self.assertTrue(self._get_row(other))

    # === THE PROOF === #

    def test_files_are_proved_and_put_back(self):
        self._create_dated("2026-03-01", 100.0)
        batch = self._deliver()
        before = {file.name: file.raw for file in batch.sudo().attachment_ids}
        self.assertEqual(batch.action_verify()["params"]["type"], "success")
        batch.sudo().attachment_ids[0].unlink()
        batch.sudo().attachment_ids[0].raw = b"something else"
        self.assertEqual(batch.action_verify()["params"]["type"], "warning")
        after = {file.name: file.raw for file in batch.sudo().attachment_ids}
        self.assertEqual(after, before)
        self.assertEqual(batch.action_verify()["params"]["type"], "success")

    def test_who_handed_out_is_in_the_log(self):
        self._create_dated("2026-03-01", 100.0)
        batch = self._deliver()
        event = self.env["crm.billing.event"].search([("action", "=", "handed_out")])
        self.assertEqual(event.user_id, self.manager)
        self.assertIn(batch.name, event.note)
        self.assertEqual(batch.handed_out_uid, self.manager)

    def test_a_batch_is_taken_back_only_while_nobody_read_it(self):
        move = self._create_dated("2026-03-01", 100.0)
        batch = self._deliver()
        with self.assertRaisesRegex(UserError, "why"):
            batch.action_cancel()
        batch.cancel_reason = "Wrong company file"
        batch.action_cancel()
        self.assertEqual(batch.state, "cancelled")
        self.assertFalse(self._get_row(move))
        again = self._deliver()
        self.assertTrue(self._get_line(again, move))
        self.env["crm.billing.crosswalk"]._note_seen(
            self.system,
            "account.move",
            {move.id: {"external_id": "99"}},
            "2026-03-06 10:00:00",
        )
        again.cancel_reason = "Changed my mind"
        with self.assertRaisesRegex(UserError, "already has"):
            again.action_cancel()

    def test_a_batch_that_left_stays(self):
        self._create_dated("2026-03-01", 100.0)
        batch = self._deliver()
        with self.assertRaisesRegex(UserError, "proves"):
            batch.unlink()
        with self.assertRaisesRegex(UserError, "closed"):
            batch.date_to = "2026-06-30"
        with self.assertRaisesRegex(UserError, "closed"):
            batch.action_collect()

    def test_nothing_ready_hands_out_nothing(self):
        self._create_taxed("2026-03-01", [(1, 10.0, self.tax)])
        self.system.map_ids.unlink()
        batch = self._collect()
        with self.assertRaisesRegex(UserError, "ready"):
            self._hand_out(batch)

    # === WHO === #

    def test_only_a_manager_who_may_export_hands_out(self):
        self._create_dated("2026-03-01", 100.0)
        batch = self._collect()
        exporter = new_test_user(
            self.env,
            login="books_exporter",
            groups="base.group_allow_export,account.group_account_invoice",
        )
        for user in (self.seller, self.clerk, self.users["accountant"], exporter):
            with self.subTest(user=user.login), self.assertRaises(AccessError):
                self._hand_out(batch.with_user(user))
            with self.subTest(user=user.login), self.assertRaises(AccessError):
                batch.with_user(user).action_collect()

    def test_the_identity_is_asked_for(self):
        self._create_dated("2026-03-01", 100.0)
        batch = self._collect()
        action = self._hand_out(batch, checked=False)
        self.assertEqual(action["res_model"], "res.users.identitycheck")
        self.assertEqual(batch.state, "checked")

    def test_readers(self):
        self._create_dated("2026-03-01", 100.0)
        batch = self._deliver()
        accountant = batch.with_user(self.users["accountant"])
        self.assertEqual(accountant.line_ids.mapped("state"), ["handed_out"] * 2)
        with self.assertRaises(AccessError):
            batch.with_user(self.seller).read(["name"])
        with self.assertRaises(AccessError):
            accountant.cancel_reason = "no"

    def test_states_and_rows_are_the_machines(self):
        self._create_dated("2026-03-01", 100.0)
        batch = self._collect()
        for values in ({"state": "handed_out"}, {"checksum": "1"}):
            with self.assertRaises(AccessError):
                batch.write(values)
        line = batch.line_ids[0]
        for command in (
            Command.update(line.id, {"rows": [["x"]]}),
            Command.create({"entity": "invoice", "model": "account.move"}),
            Command.delete(line.id),
        ):
            with self.assertRaises(AccessError):
                batch.line_ids = [command]
        batch.line_ids = [Command.update(line.id, {"external_name": "Other"})]
        self.assertTrue(line.is_name_typed)

    def test_another_company_sees_nothing(self):
        self._create_dated("2026-03-01", 100.0)
        self._deliver()
        company = self.env["res.company"].create({"name": "Elsewhere"})
        stranger = new_test_user(
            self.env,
            login="books_stranger",
            groups="crm_billing_handoff.group_billing_manager",
            company_id=company.id,
            company_ids=[(6, 0, company.ids)],
        )
        for name in ("system", "system.field", "system.map", "crosswalk"):
            model = self.env[f"crm.billing.{name}"].with_user(stranger)
            self.assertFalse(model.search([]), name)
        for name in ("export.batch", "export.line"):
            model = self.env[f"crm.billing.{name}"].with_user(stranger)
            self.assertFalse(model.search([]), name)

    # === COLUMNS === #

    def test_a_field_that_is_gone_stops_the_export_with_a_task(self):
        field = self.env["ir.model.fields"].create(
            {
                "name": "x_cost_center",
                "model_id": self.env.ref("account.model_account_move").id,
                "ttype": "char",
                "field_description": "Cost center",
            }
        )
        self.env["crm.billing.system.field"].with_user(self.manager).create(
            {
                "system_id": self.system.id,
                "entity": "invoice",
                "name": "Class",
                "value": "path",
                "field_path": "move_id.x_cost_center",
            }
        )
        move = self._create_dated("2026-03-01", 100.0)
        move.x_cost_center = "Berlin"
        batch = self._collect()
        line = self._get_line(batch, move)
        self.assertEqual(line.rows[0][-1], "Berlin")
        field.unlink()
        self.assertTrue(self._hand_out(batch)["params"]["sticky"])
        self.assertEqual(batch.state, "checked")
        self.assertIn("x_cost_center", batch.problem)
        task = self.system.activity_ids
        self.assertEqual(task.user_id, self.manager)
        self.assertIn("x_cost_center", task.note)
        found = self.env["crm.billing.watch"]._check_books_columns(None)
        self.assertEqual([one.state for one in found], ["failed"])
        self.system.field_ids.filtered(lambda one: one.name == "Class").unlink()
        self._hand_out(batch)
        self.assertEqual(batch.state, "checked")  # the row changed: look again
        self._hand_out(batch)
        self.assertEqual(batch.state, "handed_out")
        self.assertFalse(batch.problem)

    def test_a_needed_column_that_is_missing_stops_the_export(self):
        self._create_dated("2026-03-01", 100.0)
        columns = self.system.field_ids.filtered(
            lambda one: one.entity == "invoice" and one.value == "amount"
        )
        columns.unlink()
        batch = self._collect()
        self.assertIn("amount", batch.problem)
        self.assertEqual(batch.state, "draft")
        self.system.with_user(self.manager).action_restore_fields()
        batch.action_collect()
        self.assertEqual(batch.state, "checked")

    def test_a_path_to_nothing_is_refused_when_typed(self):
        for path in ("move_id.nothing", "x", "", "move_id.line_ids", "move_id."):
            with self.subTest(path=path), self.assertRaises(ValidationError):
                self.env["crm.billing.system.field"].create(
                    {
                        "system_id": self.system.id,
                        "entity": "invoice",
                        "name": "Mine",
                        "value": "path",
                        "field_path": path,
                    }
                )

    @mute_logger("odoo.sql_db")
    def test_a_heading_stands_once(self):
        with self.assertRaises(Exception), self.env.cr.savepoint():  # noqa: B017
            self.env["crm.billing.system.field"].create(
                {
                    "system_id": self.system.id,
                    "entity": "invoice",
                    "name": "*invoiceno",
                    "value": "document_number",
                }
            )
            self.env.flush_all()

    # === BY ITSELF === #

    def test_a_batch_is_prepared_daily_and_never_handed_out_by_itself(self):
        self.system.is_automatic = True
        batches = self.env["crm.billing.export.batch"]
        own = [("system_id", "=", self.system.id)]
        self._run_cron("ir_cron_prepare_batches")
        self.assertFalse(batches.search(own))
        self._create_dated("2026-03-01", 100.0)
        self._run_cron("ir_cron_prepare_batches")
        self._run_cron("ir_cron_prepare_batches")
        batch = batches.search(own)
        self.assertEqual(batch.state, "checked")
        self.assertEqual(len(batch.activity_ids), 1)
        self.assertEqual(batch.activity_ids.user_id, self.manager)
        self.assertFalse(self.system.crosswalk_ids)

    def test_books_that_fail_do_not_stop_the_others(self):
        other = self._create_system("Ledger", kind="generic_csv", is_automatic=True)
        self.system.is_automatic = True
        self._create_dated("2026-03-01", 100.0)
        prepare = type(self.system)._prepare_batch
        reason = "The file cannot be written"

        def fail(system, now):
            if system == self.system:
                raise UserError(reason)
            return prepare(system, now)

        with patch.object(type(self.system), "_prepare_batch", fail):
            self._run_cron("ir_cron_prepare_batches")
        self.assertIn("cannot be written", self.system.activity_ids.note)
        batches = self.env["crm.billing.export.batch"]
        self.assertEqual(batches.search([]).system_id, other)

    def test_a_customer_without_a_document_that_can_leave_stays(self):
        self._create_taxed("2026-03-01", [(1, 10.0, self.tax)])
        self.system.map_ids.unlink()
        line = self._get_line(self._collect(), self.account)
        self.assertEqual((line.state, line.reason), ("refused", "no_document"))
