from datetime import timedelta

from odoo.tests import HttpCase, tagged
from odoo.tools import mute_logger

from .dunning_run_common import FollowUpCommon
from .portal_common import PortalCommon, PortalMixin

HTTP = "odoo.http"
EVIL = "<script>alert(1)</script><img src=x onerror=alert(2)>"


@tagged("post_install", "-at_install")
class TestPortalAnswers(PortalCommon):
    """Three answers of a customer, each with the link of a mail or signed in."""

    def test_a_promise_by_link(self):
        day = self.today + timedelta(days=5)
        answer = self._post("promise", date=day.isoformat(), amount="60")
        self.assertEqual(answer.status_code, 200)
        self.assertIn("You will pay", answer.text)
        case = self._get_case(self.invoice)
        self.assertRecordValues(
            case,
            [{"state": "promise", "promise_date": day, "promise_amount": 60.0}],
        )
        said = self._get_answers()
        self.assertRecordValues(
            said,
            [{"kind": "promise", "by_link": True, "case_id": case.id}],
        )
        self.assertEqual(said.partner_id, self.invoice.partner_id)
        _answer, page = self._page()
        self.assertIn(
            "Thank you! Until then you get no reminders", self._get_words(page)
        )
        self.assertFalse(
            page.xpath("//form[contains(@class, 'o_dunning_form_promise')]")
        )

    def test_already_paid_signed_in(self):
        self.authenticate("dunning_customer", "dunning_customer")
        day = self.today - timedelta(days=1)
        answer = self._post(
            "paid", token=None, date=day.isoformat(), reference="Transfer 4711"
        )
        self.assertEqual(answer.status_code, 200)
        self.assertIn("We are looking for the payment", answer.text)
        case = self._get_case(self.invoice)
        self.assertEqual(case.state, "person")
        self.assertEqual(case.reason, "reply")
        self.assertIn("Transfer 4711", case.reason_note)
        self.assertTrue(case.owner_id)
        self.assertTrue(case.activity_ids)
        said = self._get_answers()
        self.assertFalse(said.by_link)
        self.assertEqual(said.partner_id, self.customer.partner_id)
        _answer, page = self._page(token=None)
        self.assertFalse(page.xpath("//form[contains(@class, 'o_dunning_form_paid')]"))
        self.assertIn("Thank you for telling us", self._get_words(page))

    def test_a_problem(self):
        answer = self._post("problem", problem="order", text="PO 12 is missing")
        self.assertEqual(answer.status_code, 200)
        case = self._get_case(self.invoice)
        self.assertEqual(case.state, "dispute")
        self.assertIn("PO 12 is missing", case.dispute_note)
        _answer, page = self._page()
        self.assertIn("something is wrong", self._get_words(page))
        self.assertFalse(
            page.xpath("//form[contains(@class, 'o_dunning_form_problem')]")
        )
        self.assertFalse(
            page.xpath("//form[contains(@class, 'o_dunning_form_promise')]")
        )

    def test_answers_stop_reminders(self):
        for kind, form, reason in (
            ("promise", {"date": self.today.isoformat(), "amount": "100"}, "promised"),
            ("paid", {"date": self.today.isoformat()}, "with_person"),
            ("problem", {"problem": "amount"}, "disputed"),
        ):
            invoice = self._create_invoice(due=self.today - timedelta(days=4))
            answer = self._post(kind, invoice, **form)
            self.assertEqual(answer.status_code, 200)
            blocks = invoice._get_dunning_blocks(self.env.cr.now(), "mail")
            with self.subTest(kind):
                self.assertEqual(blocks.get(invoice), reason)

    def test_the_thread_and_the_owner_are_told(self):
        self._post("problem", problem="amount", text="It is 90")
        message = self.invoice.message_ids.filtered(
            lambda message: "It is 90" in (message.body or "")
        )
        self.assertEqual(len(message), 1)
        self.assertTrue(message.is_internal or message.subtype_id.internal)
        self.assertEqual(message.author_id, self.invoice.partner_id)
        owner = self._get_case(self.invoice).owner_id
        self.assertIn(owner.partner_id, message.notified_partner_ids)

    def test_the_owner_reads_it_in_the_owners_language(self):
        self.env["res.lang"]._activate_lang("fr_FR")
        self.invoice.partner_id.lang = "fr_FR"
        label = self.env["ir.model.fields.selection"].search(
            [("field_id.model", "=", "crm.dunning.answer"), ("value", "=", "amount")]
        )
        label.with_context(lang="fr_FR").name = "Le montant est faux"
        self.opener.cookies["frontend_lang"] = "fr_FR"
        answer, _page = self._page()
        self.assertIn("Le montant est faux", answer.text)
        self._post("problem", problem="amount", text="Trop")
        note = self._get_case(self.invoice).dispute_note
        self.assertIn("The amount is not right", note)
        self.assertIn("Trop", note)

    def test_the_same_form_twice_is_heard_once(self):
        form = {"date": self.today.isoformat(), "key": "same", "reference": "A"}
        first = self._post("paid", **form)
        again = self._post("paid", **form)
        self.assertEqual((first.status_code, again.status_code), (200, 200))
        self.assertEqual(len(self._get_answers()), 1)
        notes = self.invoice.message_ids.filtered(
            lambda message: "reference A" in (message.body or "")
        )
        self.assertEqual(len(notes), 1)

    def test_the_page_of_thanks_sends_nothing(self):
        self._post("problem", problem="amount", key="one")
        key = self._get_answers().key
        for _time in range(2):
            answer, _page = self._page(path="/answered", key=key)
            self.assertIn("Thank you", answer.text)
        self.assertEqual(len(self._get_answers()), 1)
        answer, _page = self._page(self.foreign, path="/answered", key=key)
        self.assertNotIn("Thank you", answer.text)

    def test_too_many_answers(self):
        for number in range(6):
            answer = self._post("problem", problem="amount", key=f"{number}")
            self.assertEqual(answer.status_code, 200)
        answer = self._post("problem", problem="amount", key="seven")
        self.assertEqual(answer.status_code, 400)
        self.assertIn("get in touch", answer.text)
        self.assertEqual(len(self._get_answers()), 6)

    def test_what_cannot_be_understood(self):
        future = (self.today + timedelta(days=1)).isoformat()
        far = (self.today + timedelta(days=15)).isoformat()
        past = (self.today - timedelta(days=1)).isoformat()
        today = self.today.isoformat()
        for kind, form in (
            ("paid", {"date": future}),
            ("paid", {"date": "yesterday"}),
            ("paid", {"date": ""}),
            ("problem", {"problem": "none of these"}),
            ("problem", {"problem": "other", "text": "  "}),
            ("promise", {"date": far, "amount": "10"}),
            ("promise", {"date": past, "amount": "10"}),
            ("promise", {"date": today, "amount": "100.01"}),
            ("promise", {"date": today, "amount": "-1"}),
            ("promise", {"date": today, "amount": "nan"}),
            ("promise", {"date": today, "amount": "1e999"}),
            ("promise", {"date": today, "amount": "ten"}),
        ):
            with self.subTest(f"{kind} {form}"):
                answer = self._post(kind, **form)
                self.assertEqual(answer.status_code, 400)
                self.assertIn("That did not work", answer.text)
        self.assertFalse(self._get_answers())
        self.assertFalse(self.invoice.dunning_case_ids)

    def test_promises_do_not_go_on_for_ever(self):
        day = self.today.isoformat()
        self.assertEqual(self._post("promise", date=day, amount="50").status_code, 200)
        later = (self.today + timedelta(days=9)).isoformat()
        answer = self._post("promise", date=later, amount="50", key="later")
        self.assertEqual(answer.status_code, 400)
        case = self._get_case(self.invoice)
        self.assertEqual(case.promise_date, self.today)
        self.env.flush_all()
        case._break_promises(self.env.cr.now() + timedelta(days=3))
        self.assertTrue(case.promise_broken_count)
        answer = self._post("promise", date=later, amount="50", key="broken")
        self.assertEqual(answer.status_code, 400)
        self.assertIn("call or write", answer.text)

    def test_a_policy_without_promises(self):
        self.policy.portal_promise_days = 0
        _answer, page = self._page()
        self.assertFalse(
            page.xpath("//form[contains(@class, 'o_dunning_form_promise')]")
        )
        day = self.today.isoformat()
        self.assertEqual(self._post("promise", date=day, amount="50").status_code, 400)

    def test_a_paid_invoice_is_answered_no_more(self):
        key = "open page"
        self._pay(self.invoice)
        self.env.flush_all()
        answer = self._post("problem", problem="amount", key=key)
        self.assertEqual(answer.status_code, 400)
        self.assertIn("Nothing is open", answer.text)
        _answer, page = self._page()
        self.assertFalse(page.xpath("//section[contains(@class, 'o_dunning_portal')]"))


@tagged("post_install", "-at_install")
class TestPortalRights(PortalCommon):
    """Only one's own, only with a form of ours, and nothing of it is ever code."""

    def _assert_nothing(self):
        self.assertFalse(self.env["crm.dunning.answer"].search([]))
        self.assertFalse((self.invoice | self.foreign).dunning_case_ids)

    def test_the_invoice_of_another_customer(self):
        self.authenticate("dunning_customer", "dunning_customer")
        answer, page = self._page(self.foreign, token=None)
        self.assertFalse(page.xpath("//section[contains(@class, 'o_dunning_portal')]"))
        self.assertNotIn(self.foreign.name, answer.text)
        for kind, form in (
            ("problem", {"problem": "amount"}),
            ("paid", {"date": self.today.isoformat()}),
            ("promise", {"date": self.today.isoformat(), "amount": "1"}),
        ):
            self._post(kind, self.foreign, token=None, **form)
        answer, _page = self._page(self.foreign, token=None, path="/pay", amount=1)
        self.assertNotIn("payment_token", answer.url)
        self._assert_nothing()

    def test_a_wrong_token(self):
        token = self.invoice._portal_ensure_token()
        for wrong in ("x", token[:-1], self.foreign._portal_ensure_token()):
            answer, page = self._page(token=wrong)
            self.assertFalse(
                page.xpath("//section[contains(@class, 'o_dunning_portal')]")
            )
            self.assertNotIn(self.invoice.name, answer.text)
            self._post("problem", token=wrong, problem="amount")
        self._post("problem", token=None, problem="amount")
        self._assert_nothing()

    def test_an_invoice_that_does_not_exist_looks_the_same(self):
        answer = self.url_open("/my/invoices/999999999?access_token=x")
        other = self.url_open(f"/my/invoices/{self.foreign.id}?access_token=x")
        self.assertEqual(answer.status_code, other.status_code)
        self.assertEqual(answer.url, other.url)

    def test_only_a_form_of_ours(self):
        with mute_logger(HTTP):
            answer = self._post("problem", csrf="forged", problem="amount")
            self.assertEqual(answer.status_code, 400)
            answer = self.url_open(
                f"/my/invoices/{self.invoice.id}/answer/problem",
                params={
                    "access_token": self.invoice._portal_ensure_token(),
                    "problem": "amount",
                    "key": "k",
                },
            )
        self.assertEqual(answer.status_code, 405, "a link in a mail answers nothing")
        self._assert_nothing()

    def test_an_employee_does_not_speak_for_the_customer(self):
        self.seller.password = self.seller.login
        self.authenticate(self.seller.login, self.seller.login)
        answer = self._post("problem", token=None, problem="amount")
        self.assertEqual(answer.status_code, 400)
        self.assertIn("the customer", answer.text)
        self._assert_nothing()

    def test_another_kind(self):
        self._post("close", problem="amount")
        self._assert_nothing()

    def test_a_vendor_bill_is_not_answered(self):
        bill = self.env["account.move"].create(
            {
                "move_type": "in_invoice",
                "partner_id": self.account.id,
                "invoice_date": self.today,
                "invoice_line_ids": [
                    (0, 0, {"name": "Paper", "price_unit": 5.0, "tax_ids": []})
                ],
            }
        )
        bill.action_post()
        _answer, page = self._page(bill)
        self.assertFalse(page.xpath("//section[contains(@class, 'o_dunning_portal')]"))
        self._post("problem", bill, problem="amount")
        self._assert_nothing()

    def test_texts_are_texts(self):
        self._post("problem", problem="amount", text=EVIL)
        self._post("paid", date=self.today.isoformat(), reference=EVIL)
        bodies = "".join(self.invoice.message_ids.mapped("body"))
        case = self._get_case(self.invoice)
        bodies += "".join(case.message_ids.mapped("body"))
        bodies += "".join(str(note) for note in case.activity_ids.mapped("note"))
        self.assertIn("&lt;script&gt;", bodies)
        self.assertNotIn("<script", bodies)
        self.assertNotIn("<img", bodies)
        answer, _page = self._page()
        self.assertNotIn("<script>alert", answer.text)

    def test_long_texts_are_cut(self):
        self._post("problem", problem="amount", text="x" * 9000)
        self.assertEqual(len(self._get_answers().text), 2000)


@tagged("post_install", "-at_install")
class TestPortalPage(PortalCommon):
    """Where an invoice stands, in words a customer understands."""

    def _get_state(self):
        _answer, page = self._page()
        return self._get_words(page, "//p[contains(@class, 'o_dunning_state')]")

    def test_overdue(self):
        self.assertIn("was due on", self._get_state())

    def test_not_due(self):
        invoice = self._create_invoice(due=self.today + timedelta(days=9))
        _answer, page = self._page(invoice)
        self.assertIn("Nothing of this invoice is overdue", self._get_words(page))
        self.assertFalse(
            page.xpath("//form[contains(@class, 'o_dunning_form_promise')]")
        )
        self.assertTrue(
            page.xpath("//form[contains(@class, 'o_dunning_form_problem')]")
        )

    def test_on_hold(self):
        case = self.env["crm.dunning.case"]._open_for(self.invoice)
        case._hold(self.today + timedelta(days=3))
        self.assertIn("on hold until", self._get_state())

    def test_with_a_person(self):
        self.env["crm.dunning.case"]._open_for(self.invoice)._take_over("overdue")
        self.assertIn("A colleague looks after", self._get_state())

    def test_the_next_try_is_on_the_customers_date(self):
        self.invoice.commercial_partner_id.billing_tz = "Asia/Tokyo"
        case = self.env["crm.dunning.case"]._open_for(self.invoice)
        case.write(
            {
                "first_failure_at": self.env.cr.now(),
                "next_try_at": "2027-02-09 15:00:00",
                "state": "retrying",
            }
        )
        self.assertIn("02/10/2027", self._get_state())

    def test_a_failed_charge_says_no_code(self):
        case = self.env["crm.dunning.case"]._open_for(self.invoice)
        case.write(
            {
                "first_failure_at": self.env.cr.now(),
                "decline_class": "lost_stolen",
                "next_try_at": self.env.cr.now() + timedelta(days=3),
                "state": "retrying",
            }
        )
        text = self._get_state()
        self.assertIn("We try again on", text)
        for word in ("lost", "stolen", "declined", "code"):
            self.assertNotIn(word, text)
        case.next_try_at = False
        self.assertIn("save another payment method", self._get_state())
        _answer, page = self._page()
        self.assertIn("sign in", self._get_words(page))
        self.authenticate("dunning_customer", "dunning_customer")
        _answer, page = self._page(token=None)
        self.assertTrue(page.xpath("//a[@href='/my/payment_method']"))

    def test_each_field_has_a_label(self):
        _answer, page = self._page()
        section = page.xpath("//section[contains(@class, 'o_dunning_portal')]")[0]
        shown = section.xpath(".//input[@type != 'hidden'] | .//select | .//textarea")
        self.assertGreaterEqual(len(shown), 6)
        for field in shown:
            with self.subTest(field.get("name")):
                labels = section.xpath(f".//label[@for='{field.get('id')}']")
                self.assertEqual(len(labels), 1)
                self.assertTrue(labels[0].text_content().strip())

    def test_the_list_shows_what_is_overdue(self):
        self._create_invoice(due=self.today + timedelta(days=9))
        self.authenticate("dunning_customer", "dunning_customer")
        answer = self.url_open("/my/invoices")
        self.assertEqual(answer.text.count("o_dunning_overdue"), 1)


@tagged("post_install", "-at_install")
class TestPortalMessages(PortalMixin, HttpCase, FollowUpCommon):
    """Idea 25: what is written on the page is understood as an answered mail is."""

    def _write(self, text, **rights):
        self.make_jsonrpc_request(
            "/mail/message/post",
            {
                "thread_model": "account.move",
                "thread_id": self.invoice.id,
                "post_data": {
                    "body": text,
                    "message_type": "comment",
                    "subtype_xmlid": "mail.mt_comment",
                },
                **rights,
            },
        )
        self.env.invalidate_all()
        return self._get_case(self.invoice)

    def test_without_a_reminder_it_is_a_message(self):
        self.authenticate("dunning_customer", "dunning_customer")
        self.assertFalse(self._write("We have already paid this."))
        self.assertIn("already paid", self.invoice.message_ids[0].body)

    def test_signed_in(self):
        self.assertTrue(self._run(self.today))
        self.authenticate("dunning_customer", "dunning_customer")
        case = self._write("We have already paid this.")
        self.assertEqual((case.state, case.reason), ("person", "reply"))

    def test_by_link(self):
        self.assertTrue(self._run(self.today))
        token = self.invoice._portal_ensure_token()
        case = self._write("We have already paid this.", token=token)
        self.assertEqual((case.state, case.reason), ("person", "reply"))

    def test_a_colleague_writes(self):
        self.assertTrue(self._run(self.today))
        self.invoice.with_user(self.clerk).message_post(
            body="They have already paid this.",
            message_type="comment",
            subtype_xmlid="mail.mt_comment",
        )
        self.assertEqual(self._get_case(self.invoice).state, "automatic")
