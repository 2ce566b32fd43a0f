"""What only the flow writes, and what somebody hostile does about it."""

import base64

import psycopg2

from odoo.exceptions import AccessError, UserError
from odoo.tests import tagged
from odoo.tools import mute_logger

from .access_common import LEDGER, NO_DAYS, AttackCommon

PROOFS = (
    "crm_billing_certificate",
    "crm_billing_crosswalk",
    "crm_billing_evidence",
    "crm_billing_export_batch",
    "crm_billing_forecast",
    "crm_billing_leak_waiver",
    "crm_billing_match_note",
    "crm_billing_outside_document",
    "crm_billing_system",
)


@tagged("post_install", "-at_install")
class TestReportsMachine(AttackCommon):
    """What only the flow writes, nobody writes by RPC."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.pack = cls.env["crm.billing.evidence"].create(
            {"partner_id": cls.account.id}
        )
        cls.certificate = cls.env["crm.billing.certificate"].create(
            {"system_id": cls.system.id, "date_from": "2026-01-01"}
        )

    def test_machine_fields(self):
        self.env.flush_all()
        for record, names in (
            (self.crosswalk[0], "checksum known_version state drift company_id"),
            (self.crosswalk[0], "partner_id handed_out_at last_seen_at"),
            (self.batch, "state checksum files columns name handed_out_uid"),
            (self.pack, "state checksum built_uid attachment_id name fault_count"),
            (self.certificate, "state checksum content date_to certified_uid name"),
            (self.certificate, "company_id is_drifted attachment_id"),
        ):
            for name in names.split():
                with self.subTest(f"{record._name}.{name}"):
                    own = record.with_user(self.manager)
                    with self.assertRaises(AccessError):
                        self._rpc(own, "write", record.ids, {name: False})
                    with self.assertRaises(AccessError):
                        context = {"billing_flow": "flow"}
                        values = {name: False}
                        self._rpc(own, "write", record.ids, values, context=context)

    def test_defaults_do_not_get_around_it(self):
        for model, values, name in (
            ("crm.billing.evidence", {"partner_id": self.account.id}, "state"),
            ("crm.billing.certificate", {"system_id": self.system.id}, "checksum"),
            ("crm.billing.certificate", {"system_id": self.system.id}, "date_to"),
            ("crm.billing.export.batch", {"system_id": self.system.id}, "state"),
        ):
            texts = {"state": "built", "checksum": "0", "date_to": "2026-01-01"}
            with self.subTest(f"{model}.{name}"), self.assertRaises(AccessError):
                context = {f"default_{name}": texts[name]}
                records = self.env[model].with_user(self.manager)
                self._rpc(records, "create", [values], context=context)

    def test_proofs_are_neither_changed_nor_deleted(self):
        attachments = self.env["ir.attachment"]
        kept = []
        for record in (self.pack, self.certificate):
            kept.append(self._attach(record, "proof.zip"))
            record.attachment_id = kept[-1]
        self.batch.files = {"invoices-1.csv": "0"}
        kept.append(self._attach(self.batch, "invoices-1.csv"))
        self.env.flush_all()
        for one in kept:
            own = attachments.with_user(self.manager)
            data = base64.b64encode(b"other").decode()
            for values in (
                {"raw": data},
                {"datas": data},
                {"name": "x"},
                {"res_id": 0},
            ):
                with self.subTest(f"{one.res_model} {values}"):
                    with self.assertRaisesRegex(UserError, "neither changed"):
                        self._rpc(own, "write", one.ids, values)
            with self.assertRaisesRegex(UserError, "neither changed"):
                self._rpc(own, "unlink", one.ids)
            self._rpc(own, "write", one.ids, {"description": "For the auditor"})
        # What people attach in the chatter stays theirs.
        note = self._attach(self.pack, "note.txt")
        self._rpc(attachments.with_user(self.accountant), "unlink", note.ids)

    def _attach(self, record, name):
        return self.env["ir.attachment"].create(
            {"name": name, "raw": b"x", "res_model": record._name, "res_id": record.id}
        )

    def test_a_day_to_forecast_is_a_day(self):
        forecasts = self.env["crm.billing.forecast"].with_user(self.clerk)
        for day in NO_DAYS:
            with self.subTest(day), self.assertRaisesRegex(UserError, "no date"):
                self._rpc(forecasts, "forecast_past", day)

    def test_no_token_leaves_to_other_books(self):
        columns = self.env["crm.billing.system.field"].with_user(self.manager)
        values = {"system_id": self.system.id, "entity": "invoice", "name": "Note"}
        for path in ("move_id.access_token", "partner_id.signup_type"):
            with self.subTest(path), self.assertRaisesRegex(UserError, "written to"):
                self._rpc(columns, "create", [{**values, "field_path": path}])
        self._rpc(columns, "create", [{**values, "field_path": "move_id.ref"}])

    def test_evidence_needs_the_right_to_export(self):
        self.env.flush_all()
        for user in (self.clerk, self.accountant):
            own = self.pack.with_user(user)
            for name in ("action_build", "action_download", "action_verify"):
                with self.subTest(f"{user.name} {name}"):
                    with self.assertRaises(AccessError):
                        self._rpc(own, name, self.pack.ids)

    def test_an_archive_has_no_address_for_others(self):
        own = self.pack.with_user(self.manager)
        own.write({"date_from": self._ago(90)})
        own.action_build()
        self.env.flush_all()
        archive = own.attachment_id
        search = [[("id", "=", archive.id)], ["raw"]]
        attachments = self.env["ir.attachment"]
        self.assertTrue(
            self._rpc(attachments.with_user(self.manager), "search_read", *search)
        )
        for user in (self.clerk, self.accountant, self.seller, self.portal):
            theirs = attachments.with_user(user)
            with self.subTest(user.name):
                self.assertFalse(self._rpc(theirs, "search_count", search[0]))
                with self.assertRaises(AccessError):
                    self._rpc(theirs, "read", archive.ids, ["raw"])

    def test_names_stay_with_their_company(self):
        other = self.env["res.company"].create({"name": "Other"})
        column = self.system.field_ids[0].with_user(self.manager)
        with self.assertRaises(AccessError):
            self._rpc(column, "write", column.ids, {"company_id": other.id})

    def test_evidence_of_a_foreign_company(self):
        self._move_to_another_company(self.manager)
        records = self.env["crm.billing.evidence"].with_user(self.manager)
        with self.assertRaises(AccessError):
            values = {"partner_id": self.account.id, "company_id": self.company.id}
            self._rpc(records, "create", [values])
        with self.assertRaises(AccessError):
            self._rpc(records, "action_build", self.pack.ids)
        mine = records.create(
            {"partner_id": self.account.id, "date_from": self._ago(90)}
        )
        with self.assertRaisesRegex(UserError, "Nothing was billed"):
            self._rpc(mine, "action_build", mine.ids)

    @mute_logger("odoo.sql_db")
    def test_buttons_do_nothing_for_who_may_not(self):
        """Of each model, each button, on a record of another or of nobody's account."""
        tables = (*LEDGER, *PROOFS)
        before = self._hash_tables(tables)
        for user in (self.portal, self.seller):
            for model in self._get_ours():
                record = self._get_sample(model, self.foreign)
                buttons = self._get_buttons(type(record))
                for name in buttons:
                    arguments = [record.ids]
                    arguments += ["Why"] if name == "waive" else []
                    if name == "forecast_past":
                        arguments = ["2026-01-01"]
                    with self.subTest(f"{user.name}: {model}.{name}"):
                        self._press(record.with_user(user), name, arguments)
        self.assertEqual(self._hash_tables(tables), before)

    def _get_buttons(self, model):
        """Return the names of what our model offers to be called."""
        return [
            name
            for name in sorted(dir(model))
            if (name.startswith("action_") or name in ("waive", "forecast_past"))
            and ".crm_billing_reports." in getattr(model, name).__module__
        ]

    def _press(self, record, name, arguments):
        """Press a button; it is refused, or but opens a view."""
        try:
            result = self._rpc(record.browse(), name, *arguments)
        except (AccessError, UserError, ValueError):
            return
        except psycopg2.Error as error:
            self.fail(error)
        kind = result.get("type") if isinstance(result, dict) else result
        self.assertIn(kind, ("ir.actions.act_window", None, True, False))
