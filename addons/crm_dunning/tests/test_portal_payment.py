from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

from lxml import html

from odoo.exceptions import UserError
from odoo.fields import Command
from odoo.http import Request
from odoo.tests import HttpCase, tagged
from odoo.tests.common import JsonRpcException
from odoo.tools import mute_logger

from .charge_common import ChargeCommon
from .portal_common import PortalMixin

SECTION = "//section[contains(@class, 'o_dunning_portal')]"


class PortalPaymentCommon(PortalMixin, HttpCase, ChargeCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.own_token = cls._create_token(cls.customer.partner_id)

    def _get_query(self, answer):
        return {
            name: values[0]
            for name, values in parse_qs(urlsplit(answer.url).query).items()
        }

    def _start_payment(self, invoice, token, amount=None):
        """Pay with a saved method, as the button of the page does."""
        return self.make_jsonrpc_request(
            f"/invoice/transaction/{invoice.id}",
            {
                "access_token": invoice._portal_ensure_token(),
                "provider_id": self.provider.id,
                "payment_method_id": token.payment_method_id.id,
                "token_id": token.id,
                "amount": amount or invoice.amount_residual,
                "flow": "token",
                "tokenization_requested": False,
                "landing_route": invoice.get_portal_url(),
            },
        )


@tagged("post_install", "-at_install")
class TestPayLinks(PortalPaymentCommon):
    """F1: a link binds its amount, and one that is out of date becomes a new one."""

    def _get_link(self, amount):
        path = self.invoice._get_portal_pay_path(amount)
        return f"{path.partition('#')[0]}"

    def test_a_link_asks_for_its_amount(self):
        answer = self.url_open(self._get_link(40.0))
        self.assertEqual(answer.status_code, 200)
        page = html.fromstring(answer.text)
        self.assertEqual(
            page.xpath("//form[@id='o_payment_form']/@data-invoice-next-amount-to-pay"),
            ["40.0"],
        )
        self.assertNotIn("out of date", self._get_words(page))

    def test_a_part_of_the_customers_choice(self):
        answer, page = self._page(path="/pay", amount="33.33")
        self.assertEqual(self._get_query(answer)["amount"], "33.33")
        self.assertIn("payment_token", self._get_query(answer))
        self.assertTrue(page.xpath("//form[@id='o_payment_form']"))

    def test_no_more_than_is_open(self):
        for amount in ("100.01", "0", "-5", "nan", "x"):
            answer, _page = self._page(path="/pay", amount=amount)
            with self.subTest(amount):
                self.assertEqual(answer.status_code, 400)
                self.assertIn("at most", answer.text)

    def test_an_altered_amount_becomes_a_new_link(self):
        link = self._get_link(40.0).replace("amount=40.0", "amount=4.0")
        answer = self.url_open(link)
        self.assertEqual(answer.status_code, 200)
        self.assertNotIn("amount", self._get_query(answer))
        page = html.fromstring(answer.text)
        self.assertIn("That link was out of date", self._get_words(page))
        self.assertTrue(page.xpath("//form[@id='o_payment_form']"))

    def test_an_altered_signature_becomes_a_new_link(self):
        link = self._get_link(40.0)
        token = parse_qs(urlsplit(link).query)["payment_token"][0]
        answer = self.url_open(link.replace(token, "0" * len(token)))
        page = html.fromstring(answer.text)
        self.assertIn("That link was out of date", self._get_words(page))

    def test_a_link_for_more_than_is_left(self):
        link = self._get_link(100.0)
        self._pay(self.invoice, 70.0)
        self.env.flush_all()
        page = html.fromstring(self.url_open(link).text)
        self.assertIn("That link was out of date", self._get_words(page))
        self.assertEqual(
            page.xpath("//form[@id='o_payment_form']/@data-invoice-amount-due"),
            ["30.0"],
        )

    def test_a_new_link_only_for_the_own_invoice(self):
        link = self._get_link(40.0).replace("amount=40.0", "amount=4.0")
        token = self.invoice.access_token
        answer = self.url_open(link.replace(token, "x" * len(token)))
        self.assertNotIn(self.invoice.name, answer.text)
        self.assertIn("/web/login", answer.url)

    def test_an_old_link_of_a_paid_invoice(self):
        link = self._get_link(100.0)
        self._pay(self.invoice)
        self.env.flush_all()
        answer = self.url_open(link)
        self.assertEqual(answer.status_code, 200)
        self.assertIn("already been paid", answer.text)


@tagged("post_install", "-at_install")
class TestPortalPayment(PortalPaymentCommon):
    def test_instalments_are_listed_and_paid_one_by_one(self):
        term = self.env["account.payment.term"].create(
            {
                "name": "Halves",
                "line_ids": [
                    Command.create(
                        {"value": "percent", "value_amount": 50, "nb_days": days}
                    )
                    for days in (0, 60)
                ],
            }
        )
        invoice = self._create_invoice(
            post=False, invoice_date=self.today - timedelta(days=5)
        )
        invoice.invoice_payment_term_id = term
        invoice.action_post()
        _answer, page = self._page(invoice)
        rows = page.xpath(f"{SECTION}//table//tbody/tr")
        self.assertEqual(len(rows), 2)
        self.assertIn("Overdue", rows[0].text_content())
        self.assertNotIn("Overdue", rows[1].text_content())
        amounts = [row.xpath(".//input[@name='amount']/@value")[0] for row in rows]
        self.assertEqual(amounts, ["50.0", "50.0"])
        answer, page = self._page(invoice, path="/pay", amount=amounts[0])
        self.assertEqual(self._get_query(answer)["amount"], "50.0")
        self._start_payment(invoice, self.token, 50.0)
        self.env.invalidate_all()
        invoice.transaction_ids._post_process()
        self.assertEqual(invoice.amount_residual, 50.0)
        _answer, page = self._page(invoice)
        self.assertFalse(page.xpath(f"{SECTION}//table"), "one is left: no list")
        self.assertIn("Nothing of this invoice is overdue", self._get_words(page))

    def test_a_saved_method_pays(self):
        self.authenticate("dunning_customer", "dunning_customer")
        _answer, page = self._page(token=None)
        shown = page.xpath(
            "//input[@name='o_payment_radio'][@data-payment-option-type='token']"
        )
        self.assertIn(
            str(self.own_token.id), [one.get("data-payment-option-id") for one in shown]
        )
        self._start_payment(self.invoice, self.own_token)
        self.env.invalidate_all()
        transaction = self.invoice.transaction_ids
        self.assertEqual(transaction.state, "done")
        self.assertEqual(self._count_charges(), 1)
        transaction._post_process()
        self.assertPaid(self.invoice)
        self.assertFalse(self._get_case(self.invoice))

    def test_while_we_charge_nobody_else_does(self):
        self.stripe.fault("drop_after", "payment_intents/*/confirm")
        self.stripe.fault("drop_before", "payment_intents/*", method="GET", times=9)
        attempt = self._charge(self.invoice)
        self.assertEqual(attempt.state, "verifying")
        self.env.flush_all()
        _answer, page = self._page()
        self.assertIn("under way", self._get_words(page))
        self.assertFalse(page.xpath("//form[@id='o_payment_form']"))
        self.assertFalse(page.xpath("//form[contains(@class, 'o_dunning_form_paid')]"))
        with (
            mute_logger("odoo.http"),
            self.assertRaisesRegex(JsonRpcException, "ValidationError"),
        ):
            self._start_payment(self.invoice, self.token)
        self.assertEqual(self._count_charges(), 1)

    def test_the_choice_of_an_amount_while_we_charge(self):
        self.stripe.fault("drop_after", "payment_intents/*/confirm")
        self.stripe.fault("drop_before", "payment_intents/*", method="GET", times=9)
        self._charge(self.invoice)
        self.env.flush_all()
        answer, page = self._page(path="/pay", amount="10")
        self.assertNotIn("payment_token", answer.url)
        self.assertIn("under way", self._get_words(page))


@tagged("post_install", "-at_install")
class TestPortalMethods(PortalPaymentCommon):
    """The page of saved methods: what has failed, and which method is charged."""

    def setUp(self):
        super().setUp()
        self.authenticate("dunning_customer", "dunning_customer")

    def _choose(self, token):
        return self.url_open(
            "/my/payment_method/automatic",
            data={"token_id": token.id, "csrf_token": Request.csrf_token(self)},
        )

    def test_failed_payments_are_offered(self):
        case = self.env["crm.dunning.case"]._open_for(self.invoice)
        case.first_failure_at = self.now
        foreign = self.env["crm.dunning.case"]._open_for(self.foreign)
        foreign.first_failure_at = self.now
        page = html.fromstring(self.url_open("/my/payment_method").text)
        words = self._get_words(page, "//div[contains(@class, 'o_dunning_failed')]")
        self.assertIn(self.invoice.name, words)
        self.assertNotIn(self.foreign.name, words)
        links = page.xpath("//div[contains(@class, 'o_dunning_failed')]//a/@href")
        self.assertIn("payment=True", links[0])
        self.assertEqual(self.url_open(links[0]).status_code, 200)

    def test_a_method_is_chosen(self):
        other = self._create_token(self.customer.partner_id, "pm_card_mastercard")
        page = html.fromstring(self.url_open("/my/payment_method").text)
        shown = page.xpath(
            "//div[contains(@class, 'o_dunning_automatic')]"
            "//input[@name='token_id']/@value"
        )
        self.assertEqual({int(one) for one in shown}, {self.own_token.id, other.id})
        answer = self._choose(self.own_token)
        self.assertEqual(answer.status_code, 200)
        self.assertIn("Used for automatic payments", answer.text)
        self.env.invalidate_all()
        self.assertEqual(self.account.dunning_token_id, self.own_token)
        self.assertEqual(self.invoice._get_dunning_token(), self.own_token)
        notes = self.account.message_ids.filtered(
            lambda message: "automatic payments" in (message.body or "")
        )
        self._choose(self.own_token)
        self.assertEqual(len(notes), 1)
        self.assertEqual(notes.author_id, self.customer.partner_id)

    def test_the_method_of_somebody_else(self):
        foreign = self._create_token(self.stranger.partner_id)
        for token in (foreign, self.token):
            self._choose(token)
            self.env.invalidate_all()
            self.assertFalse(self.account.dunning_token_id)
        with self.assertRaises(UserError):
            self.customer.partner_id._choose_portal_method(0)

    def test_only_with_a_form_of_ours(self):
        with mute_logger("odoo.http"):
            answer = self.url_open(
                "/my/payment_method/automatic",
                data={"token_id": self.own_token.id, "csrf_token": "forged"},
            )
        self.assertEqual(answer.status_code, 400)
        self.assertFalse(self.account.dunning_token_id)

    def test_without_charging_there_is_nothing_to_choose(self):
        self.provider._disarm_charging("test")
        page = html.fromstring(self.url_open("/my/payment_method").text)
        self.assertFalse(page.xpath("//div[contains(@class, 'o_dunning_automatic')]"))
