import json
import time

from odoo.exceptions import AccessError
from odoo.tests import HttpCase, tagged

from ..billing_rules.signature import sign
from ..controllers.crm_billing_usage import SIGNATURE
from .usage_common import UsageCommon


@tagged("post_install", "-at_install")
class TestUsageWebhook(HttpCase, UsageCommon):
    """A signed message is recorded, anything else learns nothing."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.endpoint = cls.env["crm.billing.usage.endpoint"].create({"name": "Cluster"})
        cls._create_usage_agreement()

    def _send(self, message, secret=None, age=0, header=None, key=None):
        body = message if isinstance(message, bytes) else json.dumps(message).encode()
        secret = self.endpoint.secret if secret is None else secret
        if header is None:
            header = sign(body, secret, int(time.time()) - age)
        answer = self.url_open(
            f"/billing/usage/{key or self.endpoint.key}",
            data=body,
            headers={SIGNATURE: header, "Content-Type": "application/json"},
        )
        return answer.status_code, answer.json()

    def _past(self, uid, value=1, **values):
        return self._event(uid, value, at="2026-01-10T10:00:00Z", **values)

    def test_signed_events_are_recorded_once(self):
        message = {"events": [self._past("w1"), self._past("w2", "x")]}
        status, answer = self._send(message)
        self.assertEqual(status, 200)
        self.assertEqual((answer["accepted"], answer["refused"]), (1, 1))
        self.assertEqual(answer["answers"][1]["code"], "bad_value")
        status, answer = self._send(message)
        self.assertEqual((status, answer["already_known"]), (200, 1))
        self.assertEqual(len(self._find("w1")), 1)
        self.assertEqual(self._find("w1").batch_id.source, "webhook")
        self.assertTrue(self.endpoint.last_seen_at)

    def test_who_does_not_know_the_secret_learns_nothing(self):
        message = {"events": [self._past("w1")]}
        old = sign(b"{}", self.endpoint.secret, int(time.time()))
        answers = [
            self._send(message, secret="guess"),
            self._send(message, age=301),
            self._send(message, age=-400),
            self._send(message, header=""),
            self._send(message, header=old),
            self._send(message, key="unknown"),
        ]
        self.endpoint.secret = False
        answers.append(self._send(message, secret=""))
        self.endpoint.active = False
        answers.append(self._send(message, secret=""))
        self.assertEqual({status for status, _answer in answers}, {401})
        self.assertEqual(len({str(answer) for _status, answer in answers}), 1)
        self.assertFalse(self._find("w1"))

    def test_old_secret_is_accepted_until_it_is_emptied(self):
        old = self.endpoint.secret
        self.endpoint.with_user(self.manager).action_new_secret()
        self.assertNotEqual(self.endpoint.secret, old)
        for secret in (old, self.endpoint.secret):
            self.assertEqual(self._send([self._past("w1")], secret=secret)[0], 200)
        self.endpoint.old_secret = False
        self.assertEqual(self._send([self._past("w1")], secret=old)[0], 401)

    def test_what_is_no_list_of_events_is_refused_as_a_whole(self):
        for message in (b"\xff\xfe", b"{", {"events": 5}, b"[" * 100_000, b"null"):
            status, answer = self._send(message)
            self.assertEqual((status, [*answer]), (400, ["error"]), message)
        many = {"events": [1] * 50_001}
        self.assertIn("at most 50000", self._send(many)[1]["error"])

    def test_meter_of_the_door_for_events_that_name_none(self):
        self.endpoint.meter_id = self.meter
        event = self._past("w1")
        del event["meter"]
        self._send([event])
        self.assertEqual(self._find("w1").meter_id, self.meter)

    def test_secrets_are_for_managers(self):
        self.endpoint.with_user(self.manager).read(["secret"])
        clerk = self.endpoint.with_user(self.clerk)
        self.assertTrue(clerk.url.endswith(clerk.key))
        with self.assertRaises(AccessError):
            clerk.read(["secret"])
        with self.assertRaises(AccessError):
            clerk.action_new_secret()

    def test_by_rpc_as_a_clerk(self):
        self.authenticate("billing_clerk", "billing_clerk")
        answer = self.url_open(
            "/web/dataset/call_kw/crm.billing.meter/record_usage",
            data=json.dumps(
                {
                    "params": {
                        "model": "crm.billing.meter",
                        "method": "record_usage",
                        "args": [[self._past("r1")]],
                        "kwargs": {},
                    }
                }
            ),
            headers={"Content-Type": "application/json"},
        ).json()
        self.assertEqual(answer["result"], [{"id": "r1", "status": "accepted"}])
