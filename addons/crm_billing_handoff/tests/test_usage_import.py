import base64
import io

import openpyxl

from odoo.exceptions import AccessError, UserError
from odoo.tests import tagged

from ..models import crm_billing_usage_import as batch_import
from ..wizards import crm_billing_usage_import as wizard_import
from .usage_common import UsageCommon

ROWS = "id;at;customer;quantity;Region\nf1;2026-01-10;C-100;1.234,5;EU\n"


@tagged("post_install", "-at_install")
class TestUsageImport(UsageCommon):
    """Files: looked at first, recorded as a whole, an answer for each row."""

    def _wizard(self, data, user=None, **values):
        if isinstance(data, str):
            data = data.encode()
        return (
            self.env["crm.billing.usage.import"]
            .with_user(user or self.clerk)
            .create(
                {
                    "file": base64.b64encode(data),
                    "file_name": "usage.csv",
                    "meter_id": self.meter.id,
                    "decimal_sign": ",",
                    **values,
                }
            )
        )

    def _import(self, data, **values):
        action = self._wizard(data, **values).action_import()
        return self.env[action["res_model"]].browse(action["res_id"])

    def test_preview_shows_what_is_read(self):
        wizard = self._wizard(ROWS)
        self.assertEqual(wizard.row_count, 1)
        self.assertEqual(wizard.preview[0]["value"], "1234.5")
        self.assertFalse(wizard.problem)
        self.assertFalse(self._find("f1"))

    def test_import_records_each_row_once(self):
        batch = self._import(ROWS)
        self.assertRecordValues(
            batch,
            [{"accepted": 1, "refused": 0, "source": "import", "state": "done"}],
        )
        event = self._find("f1")
        self.assertRecordValues(
            event, [{"value": 1234.5, "partner_id": self.account.id}]
        )
        self.assertEqual(event.properties, {"region": "EU"})
        self.assertEqual(self._import(ROWS).already_known, 1)

    def test_encodings_and_separators(self):
        for number, (encoding, separator) in enumerate(
            (("utf-8-sig", ";"), ("cp1252", "\t"), ("utf-16", ","), ("utf-8", "|"))
        ):
            text = f"id;at;account;value;who\ne{number};2026-01-10;C-100;1;Zoë\n"
            self._import(text.replace(";", separator).encode(encoding))
            self.assertEqual(self._find(f"e{number}").properties, {"who": "Zoë"})

    def test_bad_rows_are_refused_one_by_one(self):
        batch = self._import(
            "id;at;account;value\n"
            "g1;2026-01-10;C-100;1\n"
            "g2;10.01.2026;C-100;1\n"
            "g3;2026-01-10;C-100;1.5\n"
            "g4;2999-01-10;C-100;1\n"
            ";2026-01-10;C-100;1\n"
            "g6;2026-01-10;nobody;1\n"
        )
        self.assertRecordValues(batch, [{"accepted": 2, "refused": 4}])
        self.assertEqual([row["row"] for row in batch.refusals], [2, 3, 4, 5])
        self.assertEqual(self._find("g6").state, "unassigned")

    def test_bad_file_records_nothing(self):
        for data, why in (
            ("words", "No separator"),
            ("id;at;value\nx;2026-01-10;1\n", "account / agreement"),
            ("at;date;account;value\n", "Two columns"),
            (b"\x00\x01\x02", "no text"),
            (b"PK\x03\x04 broken", "broken"),
            ("", "Choose a file"),
        ):
            before = self.env["crm.billing.usage.batch"].search_count([])
            with self.assertRaisesRegex(UserError, why):
                self._wizard(data).action_import()
            after = self.env["crm.billing.usage.batch"].search_count([])
            self.assertEqual(before, after)

    def test_check_records_nothing_and_says_what_would(self):
        with self.assertRaisesRegex(UserError, "1 would be recorded"):
            self._wizard(ROWS).action_check()
        self.assertFalse(self._find("f1"))

    def test_sheets_with_dates_numbers_and_formulas(self):
        book = openpyxl.Workbook()
        sheet = book.active
        sheet.append(["id", "at", "account", "value"])
        sheet.append(
            ["s1", __import__("datetime").datetime(2026, 1, 10, 9), "C-100", 2.5]
        )
        sheet.append(["=1+1", "2026-01-10", "C-100", 1])
        data = io.BytesIO()
        book.save(data)
        batch = self._import(data.getvalue())
        self.assertEqual(self._find("s1").value, 2.5)
        # No value was ever worked out for the formula: an empty id is refused.
        self.assertRecordValues(batch, [{"accepted": 1, "refused": 1}])

    def test_formulas_are_disarmed_both_ways(self):
        text = 'id;at;account;value;note\n"=1+1";2026-01-10;C-100;x;"@evil"\n'
        batch = self._import(text)
        url = batch.with_user(self.clerk).action_download_refused()["url"]
        attachment = self.env["ir.attachment"].browse(
            int(url.split("/")[3].split("?")[0])
        )
        self.assertIn("'=1+1", attachment.raw.decode("utf-8-sig"))
        self._import(text.replace(";x;", ";1;"))
        self.assertEqual(self._find("'=1+1").properties, {"note": "'@evil"})

    def test_rows_without_id_count_once(self):
        text = "at;account;value\n2026-01-10;C-100;5\n2026-01-10;C-100;5\n"
        self.assertEqual(self._import(text).accepted, 2)
        self.assertEqual(self._import(text).already_known, 2)

    def test_long_file_is_recorded_in_chunks_and_goes_on(self):
        self.patch(batch_import, "CHUNK", 3)
        self.patch(wizard_import, "CHUNK", 3)
        rows = "".join(f"l{n};2026-01-10;C-100;{n}\n" for n in range(8))
        batch = self._import("id;at;account;value\n" + rows + "bad;x;C-100;1\n")
        self.assertRecordValues(batch, [{"state": "queued", "done_rows": 0}])
        # A worker that was killed after the first chunk.
        events = list(batch.sudo()._read_file_or_fail())[:3]
        batch.sudo()._record_chunk(events)
        self.assertRecordValues(batch, [{"state": "queued", "done_rows": 3}])
        self.assertAlmostEqual(batch.progress, 100 * 3 / 9)
        with self.enter_registry_test_mode():
            self.env.ref(
                "crm_billing_handoff.ir_cron_import_usage"
            ).method_direct_trigger()
        batch.invalidate_recordset()
        self.assertRecordValues(
            batch,
            [{"state": "done", "done_rows": 9, "accepted": 8, "refused": 1}],
        )
        self.assertEqual(batch.refusals[0]["row"], 9)
        self.assertEqual(self._find("l0").meter_id, self.meter)

    def test_only_billing_imports(self):
        for user in (self.seller, self.users["accountant"]):
            with self.assertRaises(AccessError):
                self._wizard(ROWS, user=user)

    def test_typed_entry_counts_once(self):
        self._create_usage_agreement()
        entry = (
            self.env["crm.billing.usage.entry"]
            .with_user(self.clerk)
            .create(
                {
                    "meter_id": self.meter.id,
                    "partner_id": self.account.id,
                    "day": "2026-01-10",
                    "value": 7.25,
                    "note": "read off the wall",
                }
            )
        )
        entry.action_record()
        action = entry.action_record_and_new()
        self.assertEqual(action["context"]["default_partner_id"], self.account.id)
        event = self._find(entry.event_uid)
        self.assertRecordValues(event, [{"value": 7.25, "is_whole_day": True}])
        late = entry.copy({"day": "2999-01-01", "event_uid": "typed-2"})
        with self.assertRaisesRegex(UserError, "in the future"):
            late.action_record()
