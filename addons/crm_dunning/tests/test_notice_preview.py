from odoo.exceptions import AccessError
from odoo.tests import tagged

from .dunning_run_common import FollowUpCommon, to_instant

NOON = to_instant("2027-02-12 12:00:00")


@tagged("post_install", "-at_install")
class TestNoticePreview(FollowUpCommon):
    """The preview of a wave: what would leave, why not, and leaving somebody out."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.move = cls._create_invoice(due="2027-02-10", amount=100)
        cls.other = cls._create_account("Other")
        cls.other_move = cls._create_invoice(cls.other, due="2027-02-10", amount=30)
        cls.late = cls._create_account("Late")
        cls._create_invoice(cls.late, due="2027-01-10", amount=70)
        cls.held = cls._create_account("Held", dunning_hold_until="2027-03-01")
        cls._create_invoice(cls.held, due="2027-02-10", amount=20)

    def _open(self, user=None):
        previews = self.env["crm.dunning.notice.preview"].with_user(
            user or self.manager
        )
        preview = previews.create({"at": NOON})
        preview._fill()
        return preview

    def _get_line(self, preview, account):
        return preview.line_ids.filtered(lambda line: line.partner_id == account)

    def _send(self, preview):
        self.patch(
            type(self.env["crm.dunning.notice.preview"]), "_get_now", lambda self: NOON
        )
        preview.action_send()

    def test_shows_what_would_leave(self):
        notices = self.Notice.search_count([])
        preview = self._open(self.clerk)
        actions = {
            line.partner_id: (line.action, line.amount) for line in preview.line_ids
        }
        self.assertEqual(
            actions,
            {
                self.account: ("mail", 100),
                self.other: ("mail", 30),
                self.late: ("person", 70),
                self.held: ("wait", 0),
            },
        )
        self.assertEqual(self._get_line(preview, self.held).reason, "it is on hold")
        self.assertEqual(
            (preview.mail_count, preview.person_count, preview.waiting_count), (2, 1, 1)
        )
        line = self._get_line(preview, self.account)
        self.assertIn(self.move.name, line.body)
        self.assertIn("100.00", line.body)
        self.assertIn(self.account.billing_contact_id.email, line.recipients)
        self.assertEqual(
            self.Notice.search_count([]), notices, "looking writes nothing"
        )
        self.assertFalse(self._get_case(self.move))

    def test_sends_the_same(self):
        preview = self._open(self.clerk)
        line = self._get_line(preview, self.account)
        body, subject = line.body, line.subject
        self._send(preview)
        notice = self.Notice.search([("partner_id", "=", self.account.id)])
        self.assertEqual(notice.subject, subject)
        self.assertEqual(notice.amount, 100)
        self.assertTrue(body)
        self.assertFalse(self._run("2027-02-12"), "the job has nothing left to say")

    def test_leaving_out(self):
        """Who is left out does not hear of this step, but of the next."""
        preview = self._open()
        self._get_line(preview, self.other).is_excluded = True
        self._send(preview)
        self.assertFalse(self._run("2027-02-12"))
        notices = self.Notice.search([("partner_id", "=", self.other.id)])
        self.assertEqual(notices.mapped("state"), ["stopped"])
        [notice] = self._run("2027-02-19").filtered(
            lambda one: one.partner_id == self.other
        )
        self.assertEqual(notice.stage, 9)

    def test_rights(self):
        with self.assertRaises(AccessError):
            self.env["crm.dunning.notice.preview"].with_user(self.seller).action_open()
        preview = self._open(self.clerk)
        preview.sudo().line_ids[0].is_excluded = True
        with self.assertRaises(AccessError):
            preview.action_send()

    def test_other_company_s_mail_is_not_rendered(self):
        company = self.env["res.company"].create({"name": "Elsewhere"})
        preview = self._open(self.clerk)
        line = self._get_line(preview, self.account)
        line.company_id = company
        self.assertFalse(line.body)
