from psycopg2 import IntegrityError

from odoo.exceptions import AccessError, UserError
from odoo.tests import tagged
from odoo.tools import SQL, mute_logger

from .match_common import MatchCommon


@tagged("post_install", "-at_install")
class TestCertificate(MatchCommon):
    """A month is certified when nothing is unexplained, and then never changed."""

    def _create(self, user=None, **values):
        return (
            self.env["crm.billing.certificate"]
            .with_user(user or self.manager)
            .create({"system_id": self.system.id, "date_from": "2026-03-17", **values})
        )

    def _agree(self):
        self._read_complete(self._invoice_row(), self._payment_row())
        self.env.flush_all()
        self.env.invalidate_all()

    def _certify(self):
        self._agree()
        certificate = self._create()
        certificate.action_certify()
        return certificate

    def test_another_customer_or_currency_is_no_longer_as_certified(self):
        certificate = self._certify()
        stranger = self._create_account("Somebody Else")
        euro = self.env.ref("base.EUR")
        document = self._get_document(f"I{self.invoice.id}")
        for record, name, other in (
            (document, "partner_id", stranger.id),
            (document, "currency_id", euro.id),
            (self.invoice, "commercial_partner_id", stranger.id),
            (self.invoice, "currency_id", euro.id),
        ):
            with self.subTest(record=record._name, name=name):
                before = record[name].id
                for value, is_drifted in ((other, True), (before, False)):
                    self.env.flush_all()
                    self.env.cr.execute(
                        SQL(
                            "UPDATE %s SET %s = %s WHERE id = %s",
                            SQL.identifier(record._table),
                            SQL.identifier(name),
                            value,
                            record.id,
                        )
                    )
                    self.env.invalidate_all()
                    certificate.action_verify()
                    self.assertEqual(certificate.is_drifted, is_drifted)

    def test_a_month_that_agrees_is_certified(self):
        certificate = self._certify()
        self.assertEqual(certificate.state, "certified")
        self.assertEqual(str(certificate.date_from), "2026-03-01")
        self.assertEqual(str(certificate.date_to), "2026-03-31")
        self.assertEqual(certificate.certified_uid, self.manager)
        self.assertEqual(len(certificate.checksum), 64)
        self.assertRecordValues(
            certificate.line_ids,
            [
                {"kind": "invoice", "agreed_count": 1, "total_here": 120.0},
                {"kind": "payment", "agreed_count": 1, "total_here": -120.0},
            ],
        )
        self.assertTrue(certificate.attachment_id.raw)
        self.assertIn(certificate.checksum.encode(), certificate.attachment_id.raw)

    def test_an_unexplained_difference_refuses(self):
        self._read_complete(self._invoice_row(amount="100.00"))
        certificate = self._create()
        self.assertEqual(certificate.open_count, 1)
        with self.assertRaisesRegex(UserError, self.invoice.name):
            certificate.action_certify()
        self.assertEqual(certificate.state, "draft")
        self.env["crm.billing.match.note"].with_user(self.accountant)._explain(
            self._get_row(), "Corrected there in April"
        )
        self.env.invalidate_all()
        certificate.action_certify()
        explained = certificate._get_content()["explained"]
        self.assertEqual(explained[0]["text"], "Corrected there in April")

    def test_a_month_that_was_not_read_as_a_whole_is_refused(self):
        self._read(self._invoice_row())
        with self.assertRaisesRegex(UserError, "No complete list"):
            self._create().action_certify()
        self._read_complete(self._invoice_row(), last="2026-03-30")
        with self.assertRaisesRegex(UserError, "No complete list"):
            self._create().action_certify()
        self._read_complete(self._invoice_row(), first="2026-03-31")
        self._create().action_certify()

    def test_a_list_read_within_the_month_does_not_count(self):
        self._agree()
        lists = self.env["crm.billing.outside.import"].search([])
        self.env.cr.execute(
            "UPDATE crm_billing_outside_import SET create_date = '2026-03-31 12:00'"
            " WHERE id = ANY(%s)",
            (lists.ids,),
        )
        lists.invalidate_recordset()
        with self.assertRaisesRegex(UserError, "No complete list"):
            self._create().action_certify()

    def test_a_month_that_is_not_over_is_refused(self):
        with self.assertRaisesRegex(UserError, "not over"):
            self._create(date_from=self.env.cr.now().date()).action_certify()

    def test_what_was_certified_is_locked(self):
        certificate = self._certify()
        for values in ({"date_from": "2026-02-01"}, {"system_id": self.system.id}):
            with self.assertRaises(UserError):
                certificate.write(values)
        with self.assertRaises(AccessError):
            certificate.content = "{}"
        with self.assertRaises(AccessError):
            certificate.line_ids[0].total_here = 1.0
        with self.assertRaises(UserError):
            certificate.unlink()
        before = certificate.checksum
        certificate.action_certify()
        self.assertEqual(certificate.checksum, before)

    def test_a_month_is_certified_once_until_replaced(self):
        first = self._certify()
        with self.assertRaises(IntegrityError), mute_logger("odoo.sql_db"):
            self._create().action_certify()
        first.action_replace()
        self.assertEqual(first.state, "replaced")
        second = self._create()
        second.action_certify()
        self.assertEqual(second.state, "certified")

    def test_verifying_finds_what_changed_since(self):
        certificate = self._certify()
        self.assertEqual(certificate.action_verify()["params"]["type"], "success")
        self.assertFalse(certificate.is_drifted)
        self._read(self._invoice_row(amount="110.00"))
        self.env.invalidate_all()
        shown = certificate.action_verify()["params"]["message"]
        self.assertIn(certificate.name, shown)
        self.assertTrue(certificate.is_drifted)
        self._read(self._invoice_row())
        self.env.invalidate_all()
        certificate.action_verify()
        self.assertFalse(certificate.is_drifted)

    def test_a_payment_that_comes_later_changes_nothing(self):
        self._read_complete(self._invoice_row())
        self.env.invalidate_all()
        certificate = self._create()
        certificate.action_certify()
        self._read(self._payment_row(date="2026-04-20"))
        self.env.invalidate_all()
        certificate.action_verify()
        self.assertFalse(certificate.is_drifted)

    def test_forged_content_is_found(self):
        certificate = self._certify()
        certificate.sudo().content = certificate.content.replace("120", "999")
        certificate.action_verify()
        self.assertTrue(certificate.is_drifted)

    def test_who_certifies(self):
        self._agree()
        for role in ("clerk", "accountant"):
            with self.subTest(role=role):
                certificate = self._create(self.users[role])
                with self.assertRaises(AccessError):
                    certificate.action_certify()
        with self.assertRaises(AccessError):
            self._create(self.seller)

    def test_it_is_logged(self):
        certificate = self._certify()
        event = self.env["crm.billing.event"].search([("action", "=", "certified")])
        self.assertEqual(event.new_value, certificate.checksum)
