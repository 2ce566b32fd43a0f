from base64 import b64encode, encodebytes

from odoo.exceptions import UserError
from odoo.tests import tagged

from .books_common import BooksCommon


@tagged("post_install", "-at_install")
class TestUploads(BooksCommon):
    """A file that arrives broken is told as such, by each wizard that reads one."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.meter = cls.env["crm.billing.meter"].create(
            {"name": "Calls", "code": "upload.calls"}
        )

    def _get_wizards(self, file):
        of_books = {"file": file, "system_id": self.system.id}
        for model, vals in (
            ("crm.billing.books.import", of_books),
            ("crm.billing.name.import", of_books),
            ("crm.billing.evidence.import", {"file": file}),
            ("crm.billing.usage.import", {"file": file, "meter_id": self.meter.id}),
            ("crm.dunning.payout.import", {"file": file}),
        ):
            yield self.env[model].create(vals)

    def test_a_damaged_upload_is_told(self):
        for damaged in (b"abc", b"a", b"!!!!", b"YWJj\xff"):
            for wizard in self._get_wizards(damaged):
                with self.subTest(f"{wizard._name} {damaged}"):
                    with self.assertRaisesRegex(UserError, "The upload is damaged"):
                        wizard._read()

    def test_a_damaged_upload_is_told_before_usage_is_recorded(self):
        for wizard in self._get_wizards(b"abc"):
            if wizard._name == "crm.billing.usage.import":
                self.assertIn("The upload is damaged", wizard.problem)
                with self.assertRaisesRegex(UserError, "The upload is damaged"):
                    wizard.action_import()

    def test_a_file_of_any_size_is_read_while_it_is_saved(self):
        """The web client saves with ``bin_size``: the file reads as its size then."""
        wizards = self.env["crm.billing.usage.import"]
        for digits in range(1, 5):
            name = b"C" * 10**digits
            text = b"id;at;value;meter;account\nc-1;2026-11-01;4;calls;" + name
            wizard = wizards.create({"file": b64encode(text)})
            self.env.flush_all()
            self.env.invalidate_all()
            with self.subTest(len(text)):
                saved = wizard.with_context(bin_size=True)
                self.assertFalse(saved.problem)
                self.assertEqual(saved.row_count, 1)

    def test_broken_lines_are_joined(self):
        """Clients of XML-RPC send base64 in lines of 76 characters."""
        text = b"Name,Id\n" + b"".join(b"Account %d,%d\n" % (n, n) for n in range(30))
        wizard = self.env["crm.billing.name.import"]
        vals = {"system_id": self.system.id, "kind": "customer"}
        whole = wizard.create({**vals, "file": b64encode(text)})._read()
        self.assertEqual(len(whole), 30)
        broken = wizard.create({**vals, "file": encodebytes(text)})._read()
        self.assertEqual(broken, whole)
