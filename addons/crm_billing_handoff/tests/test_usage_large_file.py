import base64

from freezegun import freeze_time

from odoo.tests import tagged

from .usage_common import UsageCommon

ROWS = 200_000


@tagged("post_install", "-at_install")
@freeze_time("2027-01-20 12:00:00")
class TestUsageLargeFile(UsageCommon):
    """A file of 200,000 rows is recorded in the background, each row once."""

    def _import(self):
        rows = [f"e{number};C-100;2027-01-10;1" for number in range(ROWS)]
        rows[7] = "e7;C-100;not a day;1"
        rows[ROWS - 1] = f"e{ROWS - 1};C-100;2027-03-01;1"
        text = "\n".join(["id;account;at;value", *rows])
        wizard = (
            self.env["crm.billing.usage.import"]
            .with_user(self.clerk)
            .create(
                {
                    "file": base64.b64encode(text.encode()),
                    "file_name": "usage.csv",
                    "meter_id": self.meter.id,
                }
            )
        )
        batch = self.env["crm.billing.usage.batch"].browse(
            wizard.action_import()["res_id"]
        )
        self.assertEqual(batch.state, "queued")
        self.env.flush_all()
        with self.enter_registry_test_mode():
            cron = self.env.ref("crm_billing_handoff.ir_cron_import_usage")
            while batch.state == "queued":
                cron.method_direct_trigger()
                self.env.invalidate_all()
        return batch

    def test_each_row_is_recorded_once(self):
        self._create_usage_agreement()
        batch = self._import()
        self.assertEqual(batch.state, "done")
        self.assertEqual((batch.accepted, batch.refused), (ROWS - 2, 2))
        self.assertEqual(
            self.env["crm.billing.usage"].search_count([("batch_id", "=", batch.id)]),
            ROWS - 2,
        )
        self.assertIn("not a day", batch.refusal_text)
        again = self._import()
        self.assertEqual((again.accepted, again.already_known), (0, ROWS - 2))
