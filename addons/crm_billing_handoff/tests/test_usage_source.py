import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from unittest.mock import patch

from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.tests import tagged
from odoo.tools import mute_logger

from ..models.guarded_requests import ForbiddenHost, GuardedSession, is_public
from .usage_common import UsageCommon

SESSION_SEND = "requests.sessions.Session.request"


class Platform(BaseHTTPRequestHandler):
    """A metering platform on this machine: answers what the test put into it."""

    answers, asked = {}, []

    def do_GET(self):
        path = self.path.split("?")[0]
        type(self).asked.append((self.path, dict(self.headers)))
        status, headers, body = self.answers.get(path, (404, {}, b""))
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args):
        pass


@tagged("post_install", "-at_install")
class TestUsageSource(UsageCommon):
    """Sources are asked on a schedule, safely, and counted once."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.server = HTTPServer(("127.0.0.1", 0), Platform)
        cls.addClassCleanup(cls.server.server_close)
        thread = threading.Thread(target=cls.server.serve_forever, daemon=True)
        thread.start()
        cls.addClassCleanup(cls.server.shutdown)
        cls.base = f"http://127.0.0.1:{cls.server.server_port}"

    def setUp(self):
        super().setUp()
        Platform.answers, Platform.asked = {}, []
        self.startPatcher(patch(SESSION_SEND, self._send_for_real))
        self._serve("/usage", [self._past("p1"), self._past("p2", 5)])
        self.source = self._create_source()

    # The test suite closes the network; this one talks to itself.
    @staticmethod
    def _send_for_real(session, method, url, **options):
        import requests

        prepared = session.prepare_request(
            requests.Request(
                method,
                url,
                params=options.pop("params", None),
                headers=options.pop("headers", None),
                auth=options.pop("auth", None),
            )
        )
        adapter = session.get_adapter(prepared.url)
        options.pop("allow_redirects", None)
        return adapter.send(prepared, **options)

    def _past(self, uid, value=1, **values):
        return self._event(uid, value, at="2026-01-10T10:00:00Z", **values)

    def _serve(self, path, content, status=200, **headers):
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        Platform.answers[path] = (status, headers, body)

    def _create_source(self, **values):
        return self.env["crm.billing.usage.source"].create(
            {
                "name": "Platform",
                "url": f"{self.base}/usage",
                "allow_private_host": True,
                "auth_secret": "s3cret",
                **values,
            }
        )

    def _run_cron(self):
        with self.enter_registry_test_mode():
            self.env.ref(
                "crm_billing_handoff.ir_cron_pull_usage"
            ).method_direct_trigger()
        self.env.invalidate_all()

    def test_pull_records_once_and_signs_in(self):
        self.source.with_user(self.manager).action_pull()
        self.assertEqual(self._find("p2").value, 5)
        self.assertRecordValues(
            self.source.batch_id, [{"accepted": 2, "source": "pull"}]
        )
        self.assertEqual(Platform.asked[0][1]["Authorization"], "Bearer s3cret")
        self.source.action_pull()
        self.assertEqual(self.source.batch_id.already_known, 2)

    def test_mapping_cursor_and_pages(self):
        row = {"uid": "m1", "who": {"code": "C-100"}, "ts": "2026-01-10", "n": "2.5"}
        self._serve("/usage", {"data": {"rows": [row]}, "next": "c2"})
        self.source.write(
            {
                "list_path": "data.rows",
                "map_id": "uid",
                "map_account": "who.code",
                "map_at": "ts",
                "map_value": "n",
                "meter_id": self.meter.id,
                "cursor_parameter": "after",
                "cursor_path": "next",
            }
        )
        self.source.action_pull()
        self.assertEqual(self._find("m1").partner_id, self.account)
        self.assertEqual(self.source.cursor, "c2")
        self.assertEqual(
            [path for path, _h in Platform.asked], ["/usage", "/usage?after=c2"]
        )

    def test_without_a_cursor_the_latest_time_is_one(self):
        self.source.cursor_parameter = "since"
        self.source.action_pull()
        self.assertEqual(self.source.cursor, "2026-01-10T10:00:00Z")

    def test_csv(self):
        self._serve(
            "/usage", b"id;at;account;value;meter\nv1;2026-01-10;C-100;3;calls\n"
        )
        self.source.content = "csv"
        self.source.action_pull()
        self.assertEqual(self._find("v1").value, 3)

    def test_job_keeps_errors_asks_once_and_goes_on(self):
        bad = self._create_source(name="Down", url=f"{self.base}/down")
        self._serve("/down", b"", status=503)
        self._run_cron()
        self.assertIn("error 503", bad.last_error)
        self.assertEqual(len(bad.activity_ids), 1)
        self.assertTrue(self._find("p1"))
        self.assertGreater(bad.next_pull_at, bad.create_date)
        asked = len(Platform.asked)
        self._run_cron()
        self.assertEqual(len(Platform.asked), asked, "not due yet")
        bad.next_pull_at = "2026-01-01 00:00:00"
        self._serve("/down", [self._past("d1")])
        self._run_cron()
        self.assertFalse(bad.last_error)

    def test_answers_that_cannot_be_read(self):
        for content, why in (
            (b"<html>", "no JSON"),
            ({"a": 1}, "no list of events"),
            ([1, 2], "no list of events"),
            (b"[" * 200_000, "no JSON"),
            (b"x" * (1024 * 1024 + 1), "larger than 1 MB"),
        ):
            self._serve("/usage", content)
            self.source.largest_size = 1
            with self.assertRaisesRegex(UserError, why):
                self.source.action_pull()
        self.assertFalse(self._find("p1"))

    def test_private_addresses_need_an_administrator(self):
        self.source.allow_private_host = False
        with self.assertRaisesRegex(UserError, "private network"):
            self.source.action_pull()
        self.assertFalse(Platform.asked)
        with self.assertRaisesRegex(AccessError, "administrator"):
            self.source.with_user(self.manager).allow_private_host = True
        self.source.allow_private_host = True
        self.source.with_user(self.manager).url = "http://169.254.169.254/latest"
        self.assertFalse(self.source.allow_private_host)
        with self.assertRaises(ValidationError):
            self.source.url = "file:///etc/passwd"

    def test_redirects_are_looked_at_and_secrets_stay_at_home(self):
        self._serve("/usage", b"", status=302, Location="/moved")
        self._serve("/moved", [self._past("r1")])
        self.source.action_pull()
        self.assertEqual(Platform.asked[-1][1]["Authorization"], "Bearer s3cret")
        # Another port is another host: nobody vouched for it.
        other = HTTPServer(("127.0.0.1", 0), Platform)
        self.addCleanup(other.server_close)
        target = f"http://127.0.0.1:{other.server_port}/moved"
        self._serve("/usage", b"", status=302, Location=target)
        with self.assertRaisesRegex(UserError, "private network"):
            self.source.action_pull()
        self._serve("/usage", b"", status=302, Location="file:///etc/passwd")
        with self.assertRaisesRegex(UserError, "https://"):
            self.source.action_pull()
        self._serve("/usage", b"", status=302, Location="/usage")
        with self.assertRaisesRegex(UserError, "too often"):
            self.source.action_pull()

    def test_a_name_that_changes_its_address_is_caught_when_connected(self):
        with GuardedSession() as session, patch.object(session, "_check_host"):
            with self.assertRaises(ForbiddenHost):
                session.get(f"{self.base}/usage", timeout=5)
        self.assertFalse(Platform.asked)

    def test_addresses(self):
        for address in ("127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "fe80::1%1"):
            self.assertFalse(is_public(address), address)
        for address in ("::ffff:127.0.0.1", "2002:7f00:1::", "0.0.0.0", "224.0.0.1"):
            self.assertFalse(is_public(address), address)
        for address in ("93.184.216.34", "2606:2800:220:1::1"):
            self.assertTrue(is_public(address), address)

    def test_secret_and_sources_are_for_managers(self):
        clerk = self.source.with_user(self.clerk)
        self.assertEqual(clerk.name, "Platform")
        for call in (
            lambda: clerk.read(["auth_secret"]),
            lambda: clerk.action_pull(),
            lambda: clerk.write({"name": "x"}),
            lambda: self.source.with_user(self.seller).read(["name"]),
        ):
            with self.assertRaises(AccessError):
                call()

    @mute_logger("odoo.addons.crm_billing_handoff.models.crm_billing_usage_source")
    def test_unknown_host(self):
        self.source.write(
            {"url": "http://nowhere.invalid/", "allow_private_host": False}
        )
        with self.assertRaisesRegex(UserError, "could not be reached"):
            self.source.action_pull()
