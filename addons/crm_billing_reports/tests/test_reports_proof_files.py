"""Files that prove something stay, whichever door somebody takes."""

from odoo.exceptions import AccessError, UserError
from odoo.fields import Command
from odoo.tests import HttpCase, tagged
from odoo.tools import mute_logger

from .access_common import AttackCommon


@tagged("post_install", "-at_install")
class TestReportsProofFiles(HttpCase, AttackCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        evidence = cls.env["crm.billing.evidence"].create(
            {"partner_id": cls.account.id, "date_from": cls._ago(90), "state": "built"}
        )
        certificate = cls.env["crm.billing.certificate"].create(
            {"system_id": cls.system.id, "state": "certified"}
        )
        for record, field in ((evidence, "attachment_id"), (certificate, False)):
            record.attachment_id = cls.env["ir.attachment"].create(
                {
                    "name": "proof.bin",
                    "raw": b"what was proved",
                    "res_model": record._name,
                    "res_id": record.id,
                    "res_field": field,
                }
            )
        cls.proofs = evidence.attachment_id | certificate.attachment_id
        cls.records = (evidence, certificate)

    def test_the_thread_deletes_no_proof(self):
        """Its route deletes as superuser what somebody may write."""
        for user in (self.clerk, self.manager, self.accountant):
            self.authenticate(user.login, user.login)
            for proof in self.proofs:
                with mute_logger("odoo.http"):
                    self.url_open(
                        "/mail/attachment/delete",
                        json={"params": {"attachment_id": proof.id}},
                    )
        self.env.invalidate_all()
        self.assertEqual(self.proofs.exists(), self.proofs)
        for record in self.records:
            self.assertIn(record.attachment_id, self.proofs)

    def test_the_thread_deletes_other_files(self):
        """What proves nothing is deleted as ever."""
        other = self.env["ir.attachment"].create(
            {
                "name": "note.txt",
                "raw": b"note",
                "res_model": self.records[1]._name,
                "res_id": self.records[1].id,
            }
        )
        self.authenticate(self.clerk.login, self.clerk.login)
        self.url_open(
            "/mail/attachment/delete", json={"params": {"attachment_id": other.id}}
        )
        self.env.invalidate_all()
        self.assertFalse(other.exists())

    def test_no_proof_is_made_public(self):
        for user in (self.clerk, self.manager):
            for proof in self.proofs:
                with self.subTest(f"{user.login} {proof.res_model}"):
                    with self.assertRaises(UserError):
                        proof.with_user(user).write({"public": True})

    def test_a_proof_is_read_by_address_as_its_record_is(self):
        evidence, certificate = self.proofs
        self.clerk.group_ids = [Command.unlink(self.right.id)]
        for user, readable in (
            (self.portal, ()),
            (self.seller, ()),
            (self.clerk, (certificate,)),
            (self.manager, (certificate, evidence)),
        ):
            self.authenticate(user.login, user.login)
            for proof in self.proofs:
                with self.subTest(f"{user.login} {proof.res_model}"):
                    with mute_logger("odoo.http"):
                        response = self.url_open(f"/web/content/{proof.id}")
                    is_read = b"what was proved" in response.content
                    self.assertEqual(is_read, proof in readable)

    def test_files_for_other_books_are_read_with_the_right_to_export(self):
        self.batch._store_files({"invoices-1.csv": b"what was handed out"})
        self.env.flush_all()
        file = self.batch.attachment_ids
        self.assertEqual(len(file), 1)
        for user, readable in (
            (self.seller, False),
            (self.clerk, False),
            (self.accountant, False),
            (self.manager, True),
        ):
            with self.subTest(user.login):
                self.authenticate(user.login, user.login)
                with mute_logger("odoo.http"):
                    response = self.url_open(f"/web/content/{file.id}")
                is_read = b"what was handed out" in response.content
                self.assertEqual(is_read, readable)
                batch = self.batch.with_user(user)
                if readable:
                    self.assertEqual(batch.attachment_ids, file)
                    continue
                with self.assertRaises(AccessError):
                    batch.read(["attachment_ids"])
                with self.assertRaises(AccessError):
                    file.with_user(user).read(["raw"])

    def test_a_thread_is_read_as_its_record_is(self):
        records = (*self.records, self.batch, self.system)
        for record in records:
            record.message_post(body="Between us", message_type="comment")
        stranger = self.users["accountant"]
        self._move_to_another_company(stranger)
        for user in (self.portal, self.seller, stranger):
            for record in records:
                with self.subTest(f"{user.login} {record._name}"):
                    messages = self.env["mail.message"].with_user(user)
                    domain = [("model", "=", record._name), ("res_id", "=", record.id)]
                    self.assertFalse(messages.search(domain))
        domain = [("body", "like", "Between us")]
        found = self.env["mail.message"].with_user(self.clerk).search(domain)
        self.assertEqual(len(found), len(records))
