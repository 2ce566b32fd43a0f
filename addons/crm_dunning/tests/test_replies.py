from datetime import timedelta

from odoo import fields
from odoo.exceptions import ValidationError
from odoo.tests import tagged

from odoo.addons.mail.tests.common import MailCase

from .dunning_run_common import FollowUpCommon, to_instant

ANSWER = """Return-Path: <{sender}>
From: {sender}
To: {to}
Subject: Re: reminder
Message-ID: <{number}@customer.example.com>
In-Reply-To: {reference}
References: {reference}
MIME-Version: 1.0
Content-Type: text/plain; charset="utf-8"
{headers}
{body}
"""


@tagged("post_install", "-at_install")
class TestReplies(MailCase, FollowUpCommon):
    """Answers to reminders: on the invoice, and understood (idea 25)."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls._init_mail_gateway()
        cls.contact = cls.account.billing_contact_id
        cls.move = cls._create_invoice(due="2027-02-10")

    def setUp(self):
        super().setUp()
        [self.notice] = self._run("2027-02-12")
        now = to_instant("2027-02-12 12:30:00")
        self.patch(type(self.env["mail.mail"]), "_get_dunning_now", lambda self: now)
        with self.mock_mail_gateway():
            self.env["mail.mail"].process_email_queue()
        self.number = 0

    def _answer(self, body, headers="", sender=None):
        self.number += 1
        mail = ANSWER.format(
            sender=sender or self.contact.email,
            to=self.notice.message_id.reply_to,
            reference=self.notice.message_id.message_id,
            number=self.number,
            headers=headers,
            body=body,
        )
        with self.mock_mail_gateway():
            self.env["mail.thread"].message_process(None, mail)
        return self._get_case(self.move)

    def test_lands_on_the_invoice(self):
        self._answer("What is this about?")
        message = self.move.message_ids[0]
        self.assertIn("What is this about?", message.body)
        self.assertIn(self.seller.partner_id, self.move.message_partner_ids)

    def test_paid(self):
        case = self._answer("We have already paid this on Monday.")
        self.assertEqual((case.state, case.reason), ("person", "reply"))
        self.assertIn("Monday", case.reason_note)
        self.assertFalse(self._run("2027-02-19"))

    def test_dispute(self):
        case = self._answer("This has the wrong PO, please correct it.")
        self.assertEqual(case.state, "dispute")
        self.assertIn("wrong PO", case.dispute_note)
        self.assertFalse(self._run("2027-02-19"))

    def test_dispute_names_one_of_several(self):
        """Of several listed invoices the one that the answer names is disputed."""
        other = self._create_invoice(due="2027-02-11")
        [self.notice] = self._run("2027-02-13")
        self._answer(f"{other.name} has the wrong amount")
        self.assertEqual(self._get_case(other).state, "dispute")
        self.assertEqual(self._get_case(self.move).state, "automatic")

    def test_dispute_of_nothing_named(self):
        """Several listed, none named: a person finds out which."""
        self._create_invoice(due="2027-02-11")
        [self.notice] = self._run("2027-02-13")
        case = self._answer("You charged the wrong amount")
        self.assertEqual((case.state, case.reason), ("person", "dispute"))

    def test_another_address(self):
        case = self._answer(
            "Please send this to billing@northwind.example.com instead."
        )
        self.assertEqual((case.state, case.reason), ("person", "reply"))
        tasks = self.move.activity_ids.filtered(lambda one: "somebody" in one.summary)
        self.assertIn("billing@northwind.example.com", tasks.note)

    def test_promise(self):
        day = fields.Date.today() + timedelta(days=10)
        case = self._answer(f"We will pay on {day}.")
        self.assertEqual(case.state, "promise")
        self.assertEqual(case.promise_date, day)
        case = self._answer(f"As I said: we will pay on {day}.")
        self.assertEqual(case.state, "promise")

    def test_promise_of_a_distant_day_is_read_by_a_person(self):
        """As in the portal, how far ahead a customer may promise is the policy's."""
        case = self._answer("We will pay on 2099-03-01.")
        self.assertEqual((case.state, case.reason), ("person", "reply"))
        self.assertFalse(case.promise_date)

    def test_strangers_do_not_speak_for_the_customer(self):
        """Whoever knows the address of a thread cannot stop what is in it."""
        stranger = self.env["res.partner"].create(
            {"name": "Mallory", "email": "mallory@example.org"}
        )
        for sender in (stranger.email, '"<b>x</b>" <nobody@example.org>'):
            for text in ("This has the wrong PO.", "We have paid.", "Hello?"):
                with self.subTest(f"{sender} {text}"):
                    case = self._answer(text, sender=sender)
                    self.assertEqual(case.state, "automatic")
                    self.assertFalse(case.replied_at)
        [task] = self.move.activity_ids.filtered(lambda one: "unknown" in one.summary)
        self.assertIn("nobody@example.org", task.note)
        self.assertNotIn("<b>", task.note)
        self.assertEqual(len(self._run("2027-02-19")), 1)

    def test_a_colleague_of_the_contact_is_the_customer(self):
        colleague = self.contact.create(
            {
                "name": "Colleague",
                "email": "colleague@example.org",
                "parent_id": self.account.id,
            }
        )
        case = self._answer("We have paid.", sender=colleague.email)
        self.assertEqual(case.reason, "reply")

    def test_absence_note_does_nothing(self):
        case = self._answer("I am out of office, we have paid the holidays.")
        self.assertEqual(case.state, "automatic")
        case = self._answer("Paid.", headers="Auto-Submitted: auto-replied\n")
        self.assertEqual(case.state, "automatic")
        self.assertFalse(case.replied_at)
        self.assertEqual(len(self._run("2027-02-19")), 1)

    def test_other_answers_are_only_told(self):
        case = self._answer("Could you tell me your opening hours?")
        self.assertEqual(case.state, "automatic")
        self.assertTrue(case.replied_at)

    def test_colleague_is_no_customer(self):
        case = self._answer("paid", sender=self.seller.email)
        self.assertEqual(case.state, "automatic")

    def test_words_are_the_manager_s(self):
        """A word that a manager adds is understood; too short ones are refused."""
        rules = self.env["crm.dunning.reply.rule"].with_user(self.manager)
        rule = rules.create({"lang": "other", "kind": "paid", "words": "zapłacone"})
        case = self._answer("zapłacone!")
        self.assertEqual(case.reason, "reply")
        with self.assertRaises(ValidationError):
            rule.words = "ok"

    def test_other_languages(self):
        for number, (text, state) in enumerate(
            (
                ("Die Rechnung ist bereits bezahlt.", "person"),
                ("Nous contestons cette facture.", "dispute"),
                ("Ya hemos pagado la factura.", "person"),
                ("Het bedrag klopt niet.", "dispute"),
            )
        ):
            with self.subTest(text=text):
                account = self._create_account(f"Customer {number}")
                self.move = self._create_invoice(account, due="2027-02-10")
                self.contact = account.billing_contact_id
                [self.notice] = self._run("2027-02-12", hour=13)
                self.assertEqual(self._answer(text).state, state)
