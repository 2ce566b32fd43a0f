import json
from datetime import timedelta

from odoo import fields
from odoo.exceptions import AccessError
from odoo.tests import HttpCase, tagged

from .dunning_run_common import FollowUpCommon
from .portal_common import PortalCommon, PortalMixin
from .webhook_common import WebhookCommon

CORE_ROUTE = "/payment/stripe/webhook"


@tagged("post_install", "-at_install")
class TestWebhookAttacks(WebhookCommon):
    """Bodies that no database takes are refused like any other."""

    def test_letters_that_the_database_does_not_take(self):
        for letter in ("\\u0000", "\\ud800"):
            for name in ("description", "id"):
                body = json.dumps(
                    self._event(data={"object": {name: "LETTER", "object": "charge"}})
                )
                body = body.replace("LETTER", letter).encode()
                for header in ("", None):
                    for route in (None, CORE_ROUTE):
                        status = self._send(body, route=route, header=header)
                        with self.subTest(f"{letter} {name} {route} {header}"):
                            self.assertIn(status, (400, 403))

    def test_numbers_that_are_none(self):
        for number in ("NaN", "Infinity", "1e999", "9" * 5000):
            body = json.dumps(self._event(created="NUMBER"))
            body = body.replace('"NUMBER"', number).encode()
            for route in (None, CORE_ROUTE):
                with self.subTest(f"{number[:9]} {route}"):
                    self.assertIn(self._send(body, route=route), (400, 403))
        self.assertFalse(self.inbox.search([]))

    def test_a_signature_of_another_provider_is_none(self):
        other = self.provider.copy({"name": "Other", "state": "disabled"})
        other.write(
            {
                "stripe_publishable_key": "pk_test_other",
                "stripe_secret_key": "sk_test_other",
                "stripe_webhook_secret": "whsec_other",
                "state": "test",
            }
        )
        self.assertEqual(self._send(self._event(), secrets=["whsec_other"]), 400)
        self.assertFalse(self.inbox.search([]))


@tagged("post_install", "-at_install")
class TestPortalAttacks(PortalCommon):
    """A customer, somebody else's customer, anybody: pages, forms and RPC."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.case = cls.env["crm.dunning.case"]._open_for(cls.invoice)

    def test_a_key_that_the_database_does_not_take(self):
        for key in ("\x00", "a\x00b", "x" * 10_000):
            answer, _page = self._page(path="/answered", key=key)
            self.assertEqual(answer.status_code, 200)
        answer = self._post("problem", key="a\x00b", problem="other", text="a\x00b")
        self.assertLess(answer.status_code, 500)

    def test_an_amount_that_is_none(self):
        for amount in ("nan", "inf", "-1", "1e400", "٣", "\x00", "0x10", "9" * 400):
            answer, _page = self._page(path="/pay", amount=amount)
            with self.subTest(amount[:9]):
                self.assertLess(answer.status_code, 500)
                self.assertNotIn("#portal_pay", answer.url)

    def test_a_day_that_is_none(self):
        for day in ("9999-12-31", "0001-01-01", "2026-13-01", "\x00", "today"):
            for kind in ("promise", "paid"):
                answer = self._post(kind, date=day, amount="1")
                with self.subTest(f"{kind} {day}"):
                    self.assertEqual(answer.status_code, 400)
        self.assertFalse(self._get_answers())

    def test_a_page_that_is_not_his_is_not_found(self):
        self.authenticate("dunning_customer", "dunning_customer")
        for path in ("", "/pay", "/answered"):
            answer, page = self._page(self.foreign, token=False, path=path)
            self.assertNotIn(self.foreign.name, answer.text)
        own = self.invoice._portal_ensure_token()
        for kind in ("paid", "problem", "promise"):
            self._post(kind, self.foreign, token=own, problem="amount")
        self.assertFalse(self._get_answers(self.foreign))

    def test_the_customer_reads_none_of_our_tables(self):
        today = fields.Date.today()
        self.env["crm.dunning.notice"].create(
            {
                "partner_id": self.account.id,
                "company_id": self.company.id,
                "currency_id": self.currency.id,
                "date": today,
                "move_id": self.invoice.id,
            }
        )
        for name, model in self.env.registry.items():
            if model._original_module != "crm_dunning" or model._abstract:
                continue
            for user in (self.customer, self.env.ref("base.public_user")):
                with self.subTest(name), self.assertRaises(AccessError):
                    self.env[name].with_user(user).search_read([], ["id"])

    def test_what_the_customer_reads_of_an_invoice(self):
        """The invoice is the customer's to read; what we think of it is not."""
        self.case._take_over("fraud", "stolen_card: looks like a cheat")
        self.case.decline_class = "lost_stolen"
        move = self.invoice.with_user(self.customer)
        self.assertEqual(move.name, self.invoice.name)
        for name in ("dunning_case_ids", "dunning_attempt_ids"):
            with self.subTest(name), self.assertRaises(AccessError):
                move.read([name])
        self.assertFalse(move.dunning_note or move.dunning_state)
        account = self.account.with_user(self.customer)
        for name in (
            "dunning_case_ids",
            "dunning_policy_id",
            "dunning_hold_until",
            "dunning_token_id",
            "dunning_methods",
            "dunning_habits",
        ):
            with self.subTest(name), self.assertRaises(AccessError):
                account.read([name])

    def test_the_thread_hides_what_people_say_of_the_customer(self):
        """Neither notes of the case nor its reasons reach a customer who follows."""
        self.invoice.message_subscribe(self.customer.partner_id.ids)
        self.case.message_subscribe(self.customer.partner_id.ids)
        before = self.env["mail.notification"].search([]).ids
        self.case._take_over("fraud", "stolen_card")
        self.case._take_over("refund", "stolen_card again")
        self.case._dispute("stolen_card disputed")
        self.env.flush_all()
        told = self.env["mail.notification"].search([("id", "not in", before)])
        self.assertNotIn(self.customer.partner_id, told.res_partner_id)
        shown = self.env["mail.message"].with_user(self.customer)
        found = shown.search(
            [("model", "=", "account.move"), ("res_id", "=", self.invoice.id)]
        )
        self.assertNotIn("stolen_card", " ".join(found.mapped("body")))

    def test_answers_stay_between_us(self):
        """What one person of the customer says is told to us, not posted to all."""
        self.invoice.message_subscribe(self.stranger.partner_id.ids)
        day = self.today + timedelta(days=3)
        self._post("promise", date=str(day), amount="50")
        self.assertEqual(self.case.promise_date, day)
        message = self.invoice.message_ids.filtered(
            lambda one: "50" in (one.body or "")
        )
        self.assertTrue(message)
        self.assertTrue(all(message.subtype_id.mapped("internal")))
        self.assertNotIn(
            self.stranger.partner_id, message.notification_ids.res_partner_id
        )


@tagged("post_install", "-at_install")
class TestThreadAttacks(PortalMixin, HttpCase, FollowUpCommon):
    """The link of one invoice opens that one, and no other of the account."""

    def _remind(self):
        notices = self._run(self.today)
        return notices.filtered(lambda one: one.partner_id == self.account)

    def _read_thread(self, invoice):
        """Return what a visitor with the link of the invoice reads in its thread."""
        answer = self.make_jsonrpc_request(
            "/mail/chatter_fetch",
            {
                "thread_model": "account.move",
                "thread_id": invoice.id,
                "token": invoice._portal_ensure_token(),
            },
        )
        return json.dumps(answer)

    def test_a_reminder_of_several_invoices_is_no_way_to_the_others(self):
        other = self._create_invoice(due=self.invoice.invoice_date_due)
        notice = self._remind()
        self.assertEqual(notice.line_ids.move_id, self.invoice | other)
        first = notice.move_id
        read = self._read_thread(first)
        second = (self.invoice | other) - first
        self.assertNotIn(second._portal_ensure_token(), read)
        self.assertNotIn(second.name, read)
        self.assertIn(second.name, notice.message_id.body)

    def test_a_reminder_of_one_invoice_is_shown(self):
        notice = self._remind()
        self.assertIn(self.invoice.name, notice.subject + notice.message_id.body)
        self.assertIn(str(notice.message_id.id), self._read_thread(self.invoice))
