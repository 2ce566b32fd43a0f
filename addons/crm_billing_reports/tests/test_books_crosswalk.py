from base64 import b64encode
from datetime import timedelta

import psycopg2

from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.fields import Datetime
from odoo.tests import tagged
from odoo.tools import mute_logger

from .books_common import BooksCommon

NOW = Datetime.to_datetime("2026-03-10 12:00:00")


@tagged("post_install", "-at_install")
class TestBooksCrosswalk(BooksCommon):
    """Which record is which one there, and whether both still agree."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.move = cls._create_dated("2026-03-01", 100.0)
        cls.crosswalk = cls.env["crm.billing.crosswalk"]

    def _create_row(self, record=None, external_id="12", user=None, **values):
        record = record or self.move
        return self.crosswalk.with_user(user or self.manager).create(
            {
                "system_id": self.system.id,
                "model": record._name,
                "res_id": record.id,
                "external_id": external_id,
                **values,
            }
        )

    def _see(self, record=None, **values):
        record = record or self.move
        rows = self.crosswalk._note_seen(
            self.system, record._name, {record.id: {"external_id": "12", **values}}, NOW
        )
        return rows

    # === UNIQUE BOTH WAYS === #

    @mute_logger("odoo.sql_db")
    def test_a_record_has_one_counterpart(self):
        self._create_row()
        with self.assertRaises(psycopg2.IntegrityError), self.env.cr.savepoint():
            self._create_row(external_id="13")

    @mute_logger("odoo.sql_db")
    def test_a_counterpart_has_one_record(self):
        self._create_row()
        other = self._create_dated("2026-03-02", 50.0)
        with self.assertRaises(psycopg2.IntegrityError), self.env.cr.savepoint():
            self._create_row(other)
        self._create_row(self.account)  # customer 12 is not invoice 12

    def test_two_books_have_their_own_map(self):
        self._create_row()
        other = self._create_system("Ledger")
        self._create_row(system_id=other.id)
        self.assertEqual(len(self.crosswalk.search([("res_id", "=", self.move.id)])), 2)

    def test_a_row_names_a_record_that_exists(self):
        with self.assertRaisesRegex(ValidationError, "does not exist"):
            self._create_row(res_id=10**8)

    def test_a_record_of_another_company(self):
        company = self.env["res.company"].create({"name": "Elsewhere"})
        stranger = self.env["res.partner"].create(
            {"name": "Stranger", "company_id": company.id}
        )
        with self.assertRaisesRegex(ValidationError, "another company"):
            self._create_row(stranger)

    def test_a_row_keeps_its_record(self):
        row = self._create_row()
        with self.assertRaisesRegex(UserError, "keeps its record"):
            row.res_id = self._create_dated("2026-03-02", 50.0).id
        row.write({"res_id": self.move.id, "external_id": "14"})
        self.assertEqual(row.external_id, "14")

    def test_what_a_person_maps_is_in_the_log(self):
        row = self._create_row()
        row.external_id = "15"
        row.unlink()
        events = self.env["crm.billing.event"].search(
            [("action", "=", "mapped")], order="id"
        )
        self.assertEqual(
            [(one.old_value, one.new_value) for one in events],
            [(False, "12"), ("12", "15"), ("15", False)],
        )
        self.assertEqual(events.user_id, self.manager)
        self.assertEqual(events.move_id, self.move)
        self.assertEqual(events.partner_id, self.account)

    def test_only_a_manager_maps(self):
        row = self._create_row()
        for user in (self.clerk, self.users["accountant"]):
            self.assertEqual(row.with_user(user).res_name, self.move.display_name)
            with self.assertRaises(AccessError):
                row.with_user(user).external_id = "1"
        with self.assertRaises(AccessError):
            row.with_user(self.seller).read(["external_id"])

    def test_a_map_outlives_everything_but_itself(self):
        self._create_row()
        with self.assertRaisesRegex(UserError, "Archive"):
            self.system.with_user(self.manager).unlink()
        self.system.active = False
        self.assertTrue(self._get_row(self.move))
        other = self.env["res.company"].create({"name": "Elsewhere"})
        with self.assertRaisesRegex(UserError, "stay with their company"):
            self.system.company_id = other

    def test_books_move_between_companies_of_their_manager_alone(self):
        other = self.env["res.company"].create({"name": "Elsewhere"})
        empty = self._create_system("New books").with_user(self.manager)
        with self.assertRaises(AccessError), self.env.cr.savepoint():
            empty.company_id = other
        empty.invalidate_recordset()
        self.assertEqual(empty.company_id, self.company)
        self.manager.company_ids += other
        empty.with_context(allowed_company_ids=(self.company + other).ids).write(
            {"company_id": other.id}
        )
        self.assertEqual(empty.sudo().company_id, other)

    # === FOUND AND SEEN === #

    def test_records_are_found_by_their_ids_there(self):
        self._create_row()
        found = self.crosswalk._find_records(self.system, "account.move", ["12", "99"])
        self.assertEqual(found, {"12": self.move})

    def test_seen_again_changes_nothing(self):
        first = self._see(version="1")
        second = self._see(version="1")
        self.assertEqual(first, second)
        self.assertRecordValues(
            second,
            [
                {
                    "state": "confirmed",
                    "version": "1",
                    "known_version": "1",
                    "first_seen_at": NOW,
                    "drift": False,
                }
            ],
        )

    def test_what_was_handed_out_gets_the_id_that_it_got_there(self):
        self._deliver()
        row = self._get_row(self.move)
        self.assertEqual(row.external_id, self.move.name)
        self._see(external_id="501")
        self.assertRecordValues(
            row,
            [
                {
                    "external_id": "501",
                    "external_name": self.move.name,
                    "state": "confirmed",
                }
            ],
        )

    # === DRIFT === #

    def test_what_is_not_confirmed_in_time_is_an_alarm(self):
        self._deliver()
        row = self._get_row(self.move)
        row._check_drift(row.handed_out_at + timedelta(days=7))
        self.assertFalse(row.drift)
        row._check_drift(row.handed_out_at + timedelta(days=7, seconds=1))
        self.assertEqual(row.drift, "late")
        found = self.env["crm.billing.watch"]._check_books_drift(NOW)
        alarm = next(one for one in found if one.company_id == self.company.id)
        self.assertEqual((alarm.state, alarm.backlog), ("failed", 1))
        self.assertEqual(alarm.link, ("crm.billing.crosswalk", row.ids))
        self._see()
        self.assertFalse(row.drift)

    def test_what_is_taken_back_here_is_an_alarm(self):
        self._deliver()
        self.move.button_draft()
        self._run_cron("ir_cron_check_drift")
        self.assertEqual(self._get_row(self.move).drift, "gone")
        self.move.action_post()
        self._run_cron("ir_cron_check_drift")
        self.assertFalse(self._get_row(self.move).drift)

    def test_a_payment_of_an_invoice_is_no_change_of_it(self):
        self._deliver()
        self._pay_on(self.move, "2026-03-05")
        self._run_cron("ir_cron_check_drift")
        self.assertFalse(self._get_row(self.move).drift)

    def test_a_new_name_of_an_account_is_a_change(self):
        self._deliver()
        self.account.name = "Southwind"
        self._run_cron("ir_cron_check_drift")
        self.assertEqual(self._get_row(self.account).drift, "changed")
        self.account.name = "Northwind"
        self._run_cron("ir_cron_check_drift")
        self.assertFalse(self._get_row(self.account).drift)

    def test_missing_there_is_an_alarm_until_it_is_seen(self):
        row = self._see()
        row.state = "missing"
        row._check_drift(NOW)
        self.assertEqual(row.drift, "missing")
        self._see()
        self.assertFalse(row.drift)

    def test_a_changed_object_there_is_compared_by_a_person(self):
        self._see(version="1")
        row = self._see(version="2")
        self.assertEqual(row.drift, "version")
        with self.assertRaises(AccessError):
            row.with_user(self.clerk).action_accept_version()
        row.with_user(self.manager).action_accept_version()
        self.assertRecordValues(row, [{"known_version": "2", "drift": False}])

    def test_the_job_looks_only_at_what_was_written(self):
        self._see()
        row = self._get_row(self.move)
        row.drift_checked_at = "2200-01-01"
        self.assertNotIn(row.id, self.crosswalk._find_to_check(NOW))
        row.drift_checked_at = "2000-01-01"
        self.assertIn(row.id, self.crosswalk._find_to_check(NOW))

    # === NAME LISTS === #

    def _import(self, text, kind="customer", user=None):
        wizard = (
            self.env["crm.billing.name.import"]
            .with_user(user or self.manager)
            .create(
                {
                    "system_id": self.system.id,
                    "kind": kind,
                    "file": b64encode(text.encode()),
                }
            )
        )
        wizard.action_import()
        rows = self.env["crm.billing.system.name"].search(
            [("system_id", "=", self.system.id), ("kind", "=", kind)]
        )
        return [(row.name, row.external_id or "", row.is_active) for row in rows]

    def test_a_name_list_is_taken_over_whole(self):
        text = "Id;Display name;Active\r\n7;Acme;yes\r\n8;Bolt;no\r\n"
        listed = [("Acme", "7", True), ("Bolt", "8", False)]
        self.assertEqual(self._import(text), listed)
        self.assertEqual(self._import(text), listed)
        self.assertEqual(
            self._import("Name,Id\nACME,9\nCoil,10\n"),
            [("Acme", "9", True), ("Coil", "10", True)],
        )

    def test_a_list_of_names_alone(self):
        self.assertEqual(
            self._import("Employee\nAda\n", "employee"), [("Ada", "", True)]
        )

    def test_a_name_in_two_lists(self):
        self._import("Name\nAcme\n", "vendor")
        with self.assertRaisesRegex(UserError, "another list: Acme"):
            self._import("Name\nacme\n", "customer")

    def test_a_file_without_names(self):
        with self.assertRaisesRegex(UserError, "No column"):
            self._import("Phone,Mail\n1,2\n")
        with self.assertRaisesRegex(UserError, "empty"):
            self._import("\n")

    def test_only_a_manager_reads_name_lists(self):
        with self.assertRaises(AccessError):
            self._import("Name\nAcme\n", user=self.clerk)

    # === SETTINGS AND SCREENS === #

    def test_books_elsewhere_are_named(self):
        with self.assertRaisesRegex(ValidationError, "Name the books"):
            self.company.billing_books = "elsewhere"
        self.company.write(
            {"billing_books": "elsewhere", "billing_system_id": self.system.id}
        )
        batch = self.env["crm.billing.export.batch"].with_user(self.manager).create({})
        self.assertEqual(batch.system_id, self.system)
        other = self.env["res.company"].create({"name": "Elsewhere"})
        with self.assertRaisesRegex(ValidationError, "not those of"):
            other.billing_system_id = self.system

    def test_an_invoice_shows_what_the_other_books_have(self):
        self._deliver()
        clerk = self.move.with_user(self.clerk)
        self.assertEqual(
            clerk.billing_books_state, f"QuickBooks {self.move.name}: Handed out"
        )
        self.assertEqual(
            clerk.env["crm.billing.crosswalk"].search(
                clerk.action_open_billing_crosswalk()["domain"]
            ),
            self._get_row(self.move),
        )
        self.assertFalse(self.move.with_user(self.seller).billing_books_state)

    def test_a_copy_has_the_columns_and_no_map(self):
        self._create_row()
        copy = self.system.copy()
        self.assertEqual(
            sorted(copy.field_ids.mapped("name")),
            sorted(self.system.field_ids.mapped("name")),
        )
        self.assertFalse(copy.crosswalk_ids)
        self.assertEqual(copy.name, "QuickBooks (copy)")
