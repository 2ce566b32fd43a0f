import base64
import contextlib
import random

from odoo.exceptions import AccessError
from odoo.fields import Command
from odoo.tests import tagged
from odoo.tools import mute_logger

from ..billing_rules.usage_table import disarm
from ..models.guarded_requests import is_public
from .attack_common import REFUSED, AttackCommon
from .change_common import NOVEMBER


@tagged("post_install", "-at_install")
class TestUsageAttacks(AttackCommon):
    """Events of strangers, secrets of sources."""

    def test_secrets_stay_secret(self):
        source = self.env["crm.billing.usage.source"].create(
            {"name": "S", "url": "https://example.com", "auth_secret": "swordfish"}
        )
        door = self.env["crm.billing.usage.endpoint"].create({"name": "D"})
        for record, name in (
            (source, "auth_secret"),
            (door, "secret"),
            (door, "old_secret"),
        ):
            for user in (self.clerk, self.accountant, self.seller):
                for method, args, kwargs in (
                    ("read", [[name]], {}),
                    ("export_data", [["name", name]], {}),
                    ("web_read", [{name: {}}], {}),
                    ("write", [{name: "mine"}], {}),
                    ("copy_data", [], {}),
                ):
                    with self.subTest(f"{user.name} {name} {method}"):
                        try:
                            got = self._call(user, record, method, *args, **kwargs)
                        except REFUSED:
                            continue
                        self.assertNotIn("swordfish", str(got))
                        self.assertNotIn(str(door.secret), str(got))
                empty = record.browse()
                for method, args, kwargs in (
                    ("search", [[(name, "ilike", "s")]], {}),
                    ("search_count", [[(name, "=like", "s%")]], {}),
                    ("search", [[]], {"order": name}),
                    ("search_read", [[]], {"fields": [name]}),
                    ("formatted_read_group", [[], [name], ["__count"]], {}),
                    ("read_group", [[], [name], [name]], {}),
                    ("name_search", ["", [(name, "ilike", "s")]], {}),
                ):
                    with self.subTest(f"{user.name} {name} {method}"):
                        with self.assertRaises(REFUSED):
                            self._call(user, empty, method, *args, **kwargs)
        with self.assertRaises(REFUSED):
            self._call(self.clerk, door, "action_new_secret")

    def test_only_an_administrator_opens_our_network(self):
        sources = self.env["crm.billing.usage.source"]
        values = {"name": "S", "url": "http://127.0.0.1:8069/"}
        with self.assertRaises(AccessError):
            self._call(
                self.manager,
                sources,
                "create",
                [{**values, "allow_private_host": True}],
            )
        made = []
        with contextlib.suppress(REFUSED):
            made = self._call(
                self.manager,
                sources,
                "create",
                [values],
                context={"default_allow_private_host": True},
            )
        self.assertFalse(any(sources.browse(made).mapped("allow_private_host")))
        for address in (
            "127.0.0.1",
            "10.1.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "::1",
            "::",
            "fe80::1%eth0",
            "fd00::1",
            "::ffff:127.0.0.1",
            "::ffff:0:127.0.0.1",
            "2002:7f00:1::",
            "::127.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b::a9fe:a9fe",
            "2001:0:7f00:1::",
            "224.0.0.1",
            "255.255.255.255",
            "192.0.0.1",
            "198.18.0.1",
            "fec0::1",
        ):
            with self.subTest(address):
                self.assertFalse(is_public(address))
        self.assertTrue(is_public("8.8.8.8"))
        self.assertTrue(is_public("2606:4700::1111"))

    def test_events_of_another_company(self):
        with self._on(NOVEMBER):
            foreign = self._create_foreign(price_unit=50)
        event = self._use(3)
        with self.assertRaises(REFUSED):
            self._call(self.clerk, event, "write", {"agreement_id": foreign.id})
        partner = self._create_account("Their customer")
        partner.company_id = self.elsewhere
        with self.assertRaises(REFUSED):
            self._call(self.clerk, event, "write", {"partner_id": partner.id})

    def test_a_file_for_another_company(self):
        text = b"id;meter;account;at;value\nx1;calls;C-100;2026-01-10;5\n"
        wizards = self.env["crm.billing.usage.import"]
        with self.assertRaises(REFUSED):
            made = self._call(
                self.clerk,
                wizards,
                "create",
                [
                    {
                        "company_id": self.elsewhere.id,
                        "file": base64.b64encode(text).decode(),
                    }
                ],
            )
            self._call(self.clerk, wizards.browse(made), "action_import")
        usage = self.env["crm.billing.usage"]
        self.assertFalse(usage.search([("company_id", "=", self.elsewhere.id)]))
        with self.assertRaises(REFUSED):
            entry = self._call(
                self.clerk,
                self.env["crm.billing.usage.entry"],
                "create",
                [
                    {
                        "company_id": self.elsewhere.id,
                        "meter_id": self.env["crm.billing.meter"]
                        .create(
                            {
                                "name": "T",
                                "code": "t",
                                "company_id": self.elsewhere.id,
                            }
                        )
                        .id,
                        "partner_id": self.account.id,
                        "value": 1,
                    }
                ],
            )
            self._call(
                self.clerk,
                self.env["crm.billing.usage.entry"].browse(entry),
                "action_record",
            )

    def test_one_odd_event_stops_no_other(self):
        noise = "".join(random.Random(1).choices("abcdefghij0123456789", k=20000))
        deep = {}
        for _level in range(900):
            deep = {"a": deep}
        odd = [
            self._event("o1", at="0001-01-01T00:00:00Z"),
            self._event("o2", at="0001-01-01"),
            self._event("o3", at="0001-01-01T00:00:00+14:00"),
            self._event("o4", at="9999-12-31T23:59:59-12:00"),
            self._event("o5", meter=noise),
            self._event("o6", cancels=noise, value=None),
            self._event("o7", account=10**30),
            self._event("o8", account=noise),
            self._event("o9", agreement=noise),
            self._event("o10", float("nan")),
            self._event("o11", float("inf")),
            self._event("o12", "1e400"),
            self._event("o13", 10**18),
            self._event("o14", "-0"),
            self._event("o15", properties=deep),
            self._event("o16", properties={"a": float("nan")}),
            self._event(["o17"], 1),
            self._event({"a": "\x00"}, 1),
            self._event("o18", [1]),
            self._event("o19", account=-1),
            self._event("o20", account=True),
            self._event("o21", account=999999999999),
            self._event("o22", agreement=999999999),
            self._event("\ud800", 1),
            "text",
            None,
            {},
            {1: 2},
        ]
        for event in odd:
            for tz in ("America/New_York", "Asia/Tokyo"):
                self.account.billing_tz = tz
                with self.subTest(str(event)[:60] + tz):
                    with self.env.cr.savepoint() as point, mute_logger("odoo.sql_db"):
                        answers = self._record(event, self._event("good"))
                        self.env.flush_all()
                        self.assertEqual(answers[1]["status"], "accepted")
                        point.rollback()
                    self.env.invalidate_all()

    def test_formulas_of_refused_rows(self):
        for text in (
            "=1+1",
            "+cmd|' /C calc'!A0",
            "-2+3+cmd|' /C calc'!A0",
            "+1+cmd|' /C calc'!A0",
            "@SUM(1)",
            "\t=1",
            "\r=1",
            "\n=1",
            "-1*HYPERLINK(1)",
        ):
            with self.subTest(text):
                self.assertTrue(disarm(text).startswith("'"))
        for text in ("-5", "+5.25", "-1 234,5", "abc", "-0.5", "2027-01-01"):
            self.assertEqual(disarm(text), text)

    def test_sales_records_nothing(self):
        for user in (self.seller, self.accountant):
            with self.assertRaises(AccessError):
                self._call(
                    user,
                    self.env["crm.billing.meter"],
                    "record_usage",
                    [self._event("s")],
                )
        event = self._use(3)
        for user in (self.seller, self.accountant, self.other_seller):
            for method in (
                "action_accept_late",
                "action_dismiss_late",
                "action_assign",
            ):
                with self.subTest(f"{user.name} {method}"):
                    with self.assertRaises(AccessError):
                        self._call(user, event, method)


@tagged("post_install", "-at_install")
class TestMilestoneAttacks(AttackCommon):
    """A phase of one's own deal is no key to somebody else's agreement."""

    def test_a_phase_bills_no_other_agreement(self):
        agreement = self._create_agreement(user_id=self.other_seller.id)
        deal = self._create_deal(self.account, self.seller)
        milestones = self.env["crm.billing.milestone"]
        phase = milestones.with_user(self.seller).create(
            {"name": "Mine", "lead_id": deal.id, "weight": 100}
        )
        with self.assertRaises(REFUSED):
            self._call(self.seller, phase, "write", {"agreement_id": agreement.id})
            self._call(self.seller, phase, "action_mark_done")
        with self.assertRaises(REFUSED):
            self._call(
                self.seller,
                milestones,
                "create",
                [
                    {
                        "name": "x",
                        "lead_id": deal.id,
                        "weight": 1,
                        "agreement_id": agreement.id,
                    }
                ],
                context={"default_agreement_id": agreement.id},
            )
        self.assertFalse(agreement.period_ids)

    def test_a_phase_that_is_handed_over(self):
        agreement = self.env["crm.billing.agreement"].create(
            {
                "partner_id": self.account.id,
                "user_id": self.seller.id,
                "start_date": "2027-01-01",
                "line_ids": [
                    Command.create(
                        {
                            "product_id": self.product.id,
                            "billing_method": "milestone",
                            "price_unit": 1000,
                            "milestone_ids": [
                                Command.create(
                                    {
                                        "name": "A",
                                        "weight": 50,
                                        "user_id": self.clerk.id,
                                    }
                                ),
                                Command.create(
                                    {
                                        "name": "B",
                                        "weight": 50,
                                        "user_id": self.clerk.id,
                                    }
                                ),
                            ],
                        }
                    )
                ],
            }
        )
        self.company.billing_sales_mark_done = False
        agreement.action_start()
        phase = agreement.line_ids.milestone_ids[0]
        for values in (
            {"user_id": self.seller.id},
            {"active": False},
            {"weight": 99},
            {"sequence": 99},
            {"agreement_id": False},
            {"done_date": "2027-01-01"},
        ):
            with self.subTest(values), self.assertRaises(REFUSED):
                self._call(self.seller, phase, "write", values)
        with self.assertRaises(AccessError):
            self._call(self.seller, phase, "action_mark_done")
