from odoo import fields
from odoo.exceptions import AccessError
from odoo.tests import tagged
from odoo.tools import mute_logger

from ..controllers.crm_dunning_webhook import LARGEST_BODY
from .stripe_double import signature_header
from .webhook_common import WebhookCommon

CONTROLLER = "odoo.addons.crm_dunning.controllers.crm_dunning_webhook"
CORE_ROUTE = "/payment/stripe/webhook"


@tagged("post_install", "-at_install")
class TestWebhook(WebhookCommon):
    """What a request from anywhere can do: nothing, unless Stripe has signed it."""

    def test_signed_event_is_noted_once(self):
        event = self._event()
        self.assertEqual([self._send(event) for _copy in range(3)], [200] * 3)
        row = self.inbox.search([("provider_id", "=", self.provider.id)])
        self.assertRecordValues(
            row,
            [
                {
                    "event_id": "evt_1",
                    "type": "payment_intent.succeeded",
                    "object_id": "pi_unknown",
                    "source": "webhook",
                    "state": "new",
                }
            ],
        )

    def test_job_is_woken(self):
        cron = self.env.ref("crm_dunning.ir_cron_process_provider_events")
        triggers = self.env["ir.cron.trigger"]
        before = triggers.search_count([("cron_id", "=", cron.id)])
        self._send(self._event())
        after = triggers.search_count([("cron_id", "=", cron.id)])
        self.assertEqual(after, before + 1)
        self._send(self._event())
        self.assertEqual(triggers.search_count([("cron_id", "=", cron.id)]), after)

    def test_forged_event_is_refused_and_not_kept(self):
        event = self._event()
        other = signature_header("{}", [self.secret])
        statuses = [
            self._send(event, secrets=["whsec_guess"]),
            self._send(event, header=""),
            self._send(event, header="rubbish"),
            self._send(event, header="t=,v1="),
            self._send(event, header="t=abc,v1=def"),
            self._send(event, header=other),
            self._send(event, header="v1=only"),
            self._send(event, header="t=1,v1=\xe9\xe9".encode("latin-1")),
        ]
        self.assertEqual(set(statuses), {400})
        self.assertFalse(self.inbox.search([("provider_id", "=", self.provider.id)]))

    def test_tolerance_is_ten_minutes_both_ways(self):
        ages = {590: 200, 610: 400, -590: 200, -610: 400, 86400: 400}
        for age, status in ages.items():
            event = self._event(id=f"evt_{abs(age)}_{age > 0}")
            self.assertEqual(self._send(event, age=age), status, age)

    def test_changed_body_is_refused(self):
        header = signature_header('{"id": "evt_1"}', [self.secret])
        self.assertEqual(self._send(self._event(), header=header), 400)

    def test_several_secrets_hold_while_one_is_replaced(self):
        self.provider.dunning_webhook_secrets = "whsec_old\nwhsec_new\n"
        for number, secret in enumerate(["whsec_old", "whsec_new", self.secret]):
            event = self._event(id=f"evt_{number}")
            self.assertEqual(self._send(event, secrets=[secret]), 200)
        self.provider.dunning_webhook_secrets = "whsec_new"
        event = self._event(id="evt_late")
        self.assertEqual(self._send(event, secrets=["whsec_old"]), 400)

    def test_header_with_two_signatures_is_accepted(self):
        """Stripe signs with both secrets while one is replaced."""
        for number, secrets in enumerate(
            [["whsec_other", self.secret], [self.secret, "whsec_other"]]
        ):
            event = self._event(id=f"evt_{number}")
            self.assertEqual(self._send(event, secrets=secrets), 200)

    def test_oversized_body_is_refused_before_it_is_looked_at(self):
        body = b'{"id": "' + b"x" * LARGEST_BODY + b'"}'
        self.assertEqual(self._send(body), 413)
        self.assertEqual(self._send(body, route=CORE_ROUTE), 413)
        self.assertFalse(self.inbox.search([("provider_id", "=", self.provider.id)]))

    def test_signed_rubbish_is_refused_and_not_kept(self):
        event = self._event()
        deep = b"[" * 100_000
        contents = [
            b" ",
            b"no json",
            b"\xff\xfe",
            b"null",
            b"[]",
            b'"text"',
            deep,
            {},
            {**event, "object": "charge"},
            {**event, "id": None},
            {**event, "id": "evt 1; drop"},
            {**event, "id": "x" * 300},
            {**event, "id": ["evt_1"]},
            {**event, "type": 7},
            {**event, "created": "yesterday"},
            {**event, "created": True},
            {**event, "created": -1},
            {**event, "created": 10**30},
            {**event, "data": None},
            {**event, "data": {"object": "pi_1"}},
            {**event, "data": {"object": {"id": {"a": 1}}}},
            {**event, "data": {"object": {"id": "../customers"}}},
        ]
        for content in contents:
            self.assertEqual(self._send(content), 400, str(content)[:60])
        self.assertFalse(self.inbox.search([("provider_id", "=", self.provider.id)]))

    def test_unknown_and_disabled_providers_answer_alike(self):
        event = self._event()
        for provider in (0, 999_999_999, 10**12, 10**25):
            self.assertEqual(self._send(event, route=self._route(provider)), 400)
        other = self.env["payment.provider"].search([("code", "=", "none")], limit=1)
        self.assertEqual(self._send(event, route=self._route(other.id)), 400)
        self.provider.state = "disabled"
        self.assertEqual(self._send(event), 400)
        self.assertFalse(self.inbox.search([]))

    def test_provider_without_secret_believes_nobody(self):
        self.provider.stripe_webhook_secret = False
        self.assertEqual(self._send(self._event(), header=""), 400)
        self.assertEqual(self._send(self._event(), secrets=[""]), 400)
        self.assertFalse(self.inbox.search([]))

    def test_types_without_meaning_are_acknowledged_and_not_kept(self):
        event = self._event("customer.created")
        self.assertEqual(self._send(event), 200)
        balance = self._event("balance.available", data={"object": {"available": []}})
        self.assertEqual(self._send(balance), 200)
        self.assertFalse(self.inbox.search([]))

    def test_only_posts_are_answered(self):
        self.assertEqual(self.url_open(self._route()).status_code, 405)

    def test_no_secret_and_no_body_in_the_log(self):
        event = self._event()
        event["data"]["object"]["receipt_email"] = "ada@example.com"
        with self.assertLogs("odoo", level="DEBUG") as logs:
            for route in (None, CORE_ROUTE):
                self._send(event, route=route)
                self._send(event, route=route, secrets=["whsec_guess"])
        self.assertTrue(any("Refused" in line for line in logs.output))
        text = "\n".join(logs.output)
        self.assertNotIn("whsec", text)
        self.assertNotIn("ada@example.com", text)

    # === WHO SEES WHAT === #

    def test_manager_sees_providers_and_no_secret(self):
        provider = self.provider.with_user(self.manager)
        self.assertIn("/billing/stripe/webhook/", provider.dunning_webhook_url)
        self.assertIn("charge.dispute.created", provider.dunning_webhook_types)
        for name in ("dunning_webhook_secrets", "stripe_secret_key"):
            with self.assertRaises(AccessError):
                provider.read([name])
        with self.assertRaises(AccessError):
            provider.write({"name": "Mine"})
        with self.assertRaises(AccessError):
            self.provider.with_user(self.clerk).read(["name"])

    def test_missing_secret_is_shown_before_switching_on(self):
        self.assertFalse(self.provider.dunning_charge_problems)
        self.provider.stripe_webhook_secret = False
        self.assertIn("signing secret", self.provider.dunning_charge_problems)

    def test_missing_secret_alarms(self):
        watches = self.env["crm.billing.watch"]
        now = fields.Datetime.now()
        self.assertEqual(
            {found.state for found in watches._check_webhook_secret(now)}, {"ok"}
        )
        self.provider.stripe_webhook_secret = False
        found = watches._check_webhook_secret(now)
        states = {one.company_id: one.state for one in found}
        self.assertEqual(states[self.company.id], "off")
        self.provider.dunning_webhook_secrets = "whsec_x"
        self.assertEqual(
            {found.state for found in watches._check_webhook_secret(now)}, {"ok"}
        )

    # === CORE'S ROUTE === #

    def _invoice_event(self):
        """Return a forged event that says an invoice was paid, and its transaction."""
        invoice = self._create_invoice(amount=50.0)
        transaction = self.env["payment.transaction"].create(
            {
                "provider_id": self.provider.id,
                "payment_method_id": self.token.payment_method_id.id,
                "operation": "online_direct",
                "reference": invoice.name,
                "amount": 50.0,
                "currency_id": invoice.currency_id.id,
                "partner_id": self.account.id,
                "invoice_ids": invoice.ids,
            }
        )
        event = self._event()
        event["data"]["object"].update(
            id="pi_forged",
            description=invoice.name,
            status="succeeded",
            amount=5000,
            currency=invoice.currency_id.name.lower(),
            payment_method={"type": "card", "card": {"brand": "visa"}},
        )
        return event, transaction

    @mute_logger(CONTROLLER)
    def test_core_route_believes_no_unsigned_event_about_an_invoice(self):
        event, transaction = self._invoice_event()
        self.provider.stripe_webhook_secret = False
        self.assertEqual(self._send(event, route=CORE_ROUTE, header=""), 403)
        self.assertEqual(transaction.state, "draft")
        self.assertFalse(self.inbox.search([]))

    @mute_logger(CONTROLLER)
    def test_core_route_believes_no_bad_signature(self):
        event, transaction = self._invoice_event()
        for how in ({"secrets": ["whsec_guess"]}, {"age": -700}, {"age": 700}):
            self.assertEqual(self._send(event, route=CORE_ROUTE, **how), 403)
        self.assertEqual(self._send(event, route=CORE_ROUTE, header=""), 403)
        self.assertEqual(self._send(event, route=CORE_ROUTE, header="t=1"), 403)
        self.assertEqual(transaction.state, "draft")

    def test_core_route_only_notes_what_concerns_an_invoice(self):
        """Even a signed body is not believed: what it says is read at Stripe."""
        event, transaction = self._invoice_event()
        status = self._send(
            event, route=CORE_ROUTE, secrets=["whsec_other", self.secret]
        )
        self.assertEqual(status, 200)
        self.assertEqual(transaction.state, "draft")
        row = self.inbox.search([("event_id", "=", "evt_1")])
        self.assertEqual(row.source, "core")
        self._work()
        self.assertEqual(transaction.state, "draft")
        self.assertEqual(row.state, "ignored")

    def test_companies_that_share_an_account_get_their_own_events(self):
        event, transaction = self._invoice_event()
        twin = self.provider.copy(
            {
                "name": "Twin",
                "sequence": -1,
                "stripe_secret_key": "sk_test_local",
                "stripe_publishable_key": "pk_test_local",
                "stripe_webhook_secret": self.secret,
            }
        )
        twin.write({"state": "test"})
        self.assertEqual(self._send(event, route=CORE_ROUTE), 200)
        row = self.inbox.search([("event_id", "=", "evt_1")])
        self.assertEqual(row.provider_id, transaction.provider_id)

    def test_chunked_body_is_no_way_around_the_limit(self):
        def chunks():
            for _number in range(LARGEST_BODY // 65536 + 2):
                yield b"x" * 65536

        answer = self.opener.post(
            self.base_url() + self._route(), data=chunks(), timeout=20
        )
        self.assertIn(answer.status_code, (400, 411, 413))
        self.assertFalse(self.inbox.search([("provider_id", "=", self.provider.id)]))

    def test_core_keeps_what_is_no_invoice(self):
        event, transaction = self._invoice_event()
        transaction.invoice_ids = False
        with mute_logger("odoo.addons.payment_stripe.controllers.main", CONTROLLER):
            for how in ({"age": -700}, {"header": ""}, {"secrets": ["whsec_guess"]}):
                self.assertEqual(self._send(event, route=CORE_ROUTE, **how), 403)
            self.assertEqual(transaction.state, "draft")
            self.assertEqual(self._send(event, route=CORE_ROUTE), 200)
        self.assertEqual(transaction.state, "done")

    @mute_logger(CONTROLLER)
    def test_core_route_survives_rubbish(self):
        for content in (b"no json", b"[]", b" ", b"\xff"):
            self.assertEqual(self._send(content, route=CORE_ROUTE), 400)
        self.assertEqual(self._send({}, route=CORE_ROUTE), 400)
        self.assertEqual(self._send({"data": []}, route=CORE_ROUTE), 403)
        event = self._event(data={"object": {"id": 7, "description": ["x"]}})
        self.assertEqual(self._send(event, route=CORE_ROUTE), 403)
