from unittest.mock import patch

from odoo.exceptions import AccessError
from odoo.tests import tagged

from odoo.addons.mail.tests.common import MailCase

from .dunning_run_common import FollowUpCommon, to_instant


@tagged("post_install", "-at_install")
class TestBounces(MailCase, FollowUpCommon):
    """A message that does not arrive: the next address, a task, sent again (M7)."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls._init_mail_gateway()
        cls.contact = cls.account.billing_contact_id
        cls.move = cls._create_invoice(due="2027-02-10")

    def _send(self, day="2027-02-12 12:30:00", **kwargs):
        now = to_instant(day)
        self.patch(type(self.env["mail.mail"]), "_get_dunning_now", lambda self: now)
        with self.mock_mail_gateway(**kwargs):
            self.env["mail.mail"].process_email_queue()
        # Colleagues get mails of tasks, too.
        return [one for one in self._mails if "assigned to" not in one["subject"]]

    def _bounce(self, notice, address):
        move = self.move
        partner = self.env["res.partner"].search([("email_normalized", "=", address)])
        partner._message_receive_bounce(address, partner)
        move._message_receive_bounce(address, partner)

    def _get_tasks(self):
        return self.move.activity_ids.filtered(lambda one: "e-mail" in one.summary)

    def test_next_address(self):
        """AP bounces: the account gets the same message, Billing a task."""
        self.account.email = "house@example.com"
        [notice] = self._run("2027-02-12")
        self._send()
        self._bounce(notice, self.contact.email_normalized)
        self.assertEqual(notice.state, "bounced")
        [mail] = self._send()
        self.assertIn("house@example.com", mail["email_to"][0])
        self.assertEqual(notice.state, "sent")
        self.assertEqual(notice.recipient_id, self.account)
        [task] = self._get_tasks()
        self.assertIn(self.contact.email, task.note)
        self.assertEqual(task.user_id, self.clerk)
        # The next reminder goes to the address that works.
        [later] = self._run("2027-02-19")
        self.assertEqual(later.recipient_id, self.account)

    def test_nobody_left(self):
        """Nobody can be reached: a person calls; the reminder is not marked sent."""
        [notice] = self._run("2027-02-12")
        self._send()
        self._bounce(notice, self.contact.email_normalized)
        case = self._get_case(self.move)
        self.assertEqual((case.state, case.reason), ("person", "bounce"))
        self.assertEqual(notice.state, "bounced")

    def test_sent_again_after_the_fix(self):
        """The address is corrected: the same step is said again, once."""
        [notice] = self._run("2027-02-12")
        self._send()
        self._bounce(notice, self.contact.email_normalized)
        self.assertFalse(self._run("2027-02-13"))
        self.contact.email = "better@example.com"
        self.assertEqual(notice.state, "stopped")
        self.assertEqual(self._get_case(self.move).state, "automatic")
        again = self._run("2027-02-13")
        self.assertEqual(again.recipient_id, self.contact)
        self.assertEqual(again.stage, 2)
        self.assertFalse(self._run("2027-02-14"))

    def test_refused_by_the_mail_server(self):
        """The server refuses the address: the same as a bounce."""
        self.account.email = "house@example.com"
        [notice] = self._run("2027-02-12")

        def refuse(server, message, *args, **kwargs):
            raise AssertionError(server.NO_VALID_RECIPIENT)

        self._send_with(refuse)
        self.assertEqual(notice.state, "bounced")
        [mail] = self._send()
        self.assertIn("house@example.com", mail["email_to"][0])
        self.assertEqual(len(self._get_tasks()), 1)

    def test_mail_server_down(self):
        """No fault of the address: the same mail is tried again later."""
        [notice] = self._run("2027-02-12")
        mail = self.env["mail.mail"].search(
            [("mail_message_id", "=", notice.message_id.id)]
        )
        mail.write({"state": "exception"})
        mail._postprocess_sent_message([], [], failure_type="mail_smtp")
        self.assertEqual(mail.state, "outgoing")
        self.assertTrue(mail.scheduled_date)
        self.assertEqual(notice.state, "queued")
        self.assertFalse(self.contact.dunning_bounced_email)
        mail.scheduled_date = False
        self.assertEqual(len(self._send()), 1)
        self.assertEqual(notice.state, "sent")

    def test_mail_from_the_address_clears_it(self):
        self.contact.dunning_bounced_email = self.contact.email_normalized
        self.assertFalse(self.contact._is_reachable())
        self.contact._message_reset_bounce(self.contact.email_normalized)
        self.assertTrue(self.contact._is_reachable())

    # === THE INVOICE ITSELF === #

    def test_invoice_returned(self):
        """Not “sent” any more, a task, and sent again once the address is right."""
        self.move.is_move_sent = True
        address = self.contact.email_normalized
        self.contact._message_receive_bounce(address, self.contact)
        self.move._message_receive_bounce(address, self.contact)
        self.assertFalse(self.move.is_move_sent)
        self.assertEqual(self.move.dunning_undelivered, address)
        tasks = self.move.activity_ids.filtered(lambda one: "not sent" in one.summary)
        self.assertIn(address, tasks.note)
        self.contact.email = "better@example.com"
        self.assertFalse(self.move.dunning_undelivered)
        self.assertTrue(self.move.sending_data, "queued for sending")

    def test_bounce_is_not_typed(self):
        """Nobody silences reminders by marking an address as bounced."""
        with self.assertRaises(AccessError):
            self.contact.with_user(self.seller).dunning_bounced_email = "x@example.com"
        with self.assertRaises(AccessError):
            self.move.with_user(self.clerk).dunning_undelivered = "x@example.com"

    def _send_with(self, send):
        now = to_instant("2027-02-12 12:30:00")
        self.patch(type(self.env["mail.mail"]), "_get_dunning_now", lambda self: now)
        servers = type(self.env["ir.mail_server"])
        with self.mock_mail_gateway(), patch.object(servers, "send_email", send):
            self.env["mail.mail"].process_email_queue()
