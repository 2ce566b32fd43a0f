"""What somebody hostile with a login and RPC tries, and what comes of it."""

import csv
import io
import json
import re
import zipfile
from datetime import date

from odoo.exceptions import UserError
from odoo.fields import Command
from odoo.tests import HttpCase, tagged

from ..models.crm_billing_report_export import ExportOptions
from .access_common import NO_DAYS, AttackCommon

INJECTED = (
    "id; DROP TABLE res_users",
    'id" FROM res_users --',
    "id:day) FROM res_users --",
    "date:month'; SELECT 1 --",
    "(SELECT 1)",
    "id desc, (SELECT 1)",
    "partner_id.user_ids.password",
    "company_id:array_agg) FROM res_users --",
)
SECRETS = re.compile(r"token|secret|password|(api|access)_key|cookie|digest")


@tagged("post_install", "-at_install")
class TestReportsParameters(AttackCommon):
    """A day, a group, an order and a format are words, never SQL."""

    def _get_dated(self):
        return [
            self.env[name].with_user(self.accountant)
            for name in self._get_reports()
            if self.env[name]._parameter_fields
        ]

    def test_a_day_in_the_context_is_a_day(self):
        for report in self._get_dated():
            for day in NO_DAYS:
                for name in ("search_count", "get_report_facts"):
                    with self.subTest(f"{report._name}.{name}: {day}"):
                        with self.assertRaisesRegex(UserError, "no date"):
                            context = {"billing_as_of": day}
                            self._rpc(report, name, [], context=context)

    def test_a_day_in_the_domain_is_a_day(self):
        for report in self._get_dated():
            [name] = report._parameter_fields
            for operator in ("=", "<", ">="):
                for day in (*NO_DAYS[3:], "1899-12-31", "2200-01-01"):
                    domain = [(name, operator, day)]
                    for method in ("search_count", "get_tie_outs"):
                        with self.subTest(f"{report._name}.{method}: {domain}"):
                            with self.assertRaisesRegex(UserError, "no date"):
                                self._rpc(report, method, domain)

    def test_the_first_and_the_last_day_are_days(self):
        for report in self._get_dated():
            [name] = report._parameter_fields
            for day in ("1900-01-01", "2199-12-31"):
                self._rpc(report, "search_count", [(name, "<=", day)])

    def test_a_unit_in_the_context_is_a_unit(self):
        report = self.env["crm.billing.receivable.report"].with_user(self.accountant)
        for unit in ("day", ["month"], {"a": 1}, "month'; SELECT 1 --"):
            with self.subTest(unit), self.assertRaisesRegex(UserError, "by month"):
                context = {"billing_slice_unit": unit}
                self._rpc(report, "search_read", [], ["id"], context=context)

    def test_deals_in_the_context_are_deals(self):
        """What is none of them is passed over, before the database sees it."""
        report = self.env["crm.billing.touch.report"].with_user(self.accountant)
        for deals in ("junk", ["junk"], [["x"]], {"a": 1}, 5, [None], [2**40], [2**30]):
            with self.subTest(deals):
                context = {"billing_touch_handoffs": deals}
                self._rpc(report, "search_count", [], context=context)

    def test_no_word_becomes_sql(self):
        """Refused by name, before the database sees it."""
        for model in self._get_reports():
            report = self.env[model].with_user(self.accountant)
            for word in INJECTED:
                calls = (
                    ("formatted_read_group", [], [word], ["__count"]),
                    ("formatted_read_group", [], [], [word]),
                    ("web_read_group", [], [word], ["__count"]),
                    ("search_read", [], ["id"], 0, 1, word),
                    ("search_count", [(word, "=", 1)]),
                    ("search_read", [], [word]),
                )
                for call in calls:
                    with self.subTest(f"{model}.{call}"):
                        self._assert_refused(self._rpc, report, *call)

    def test_an_export_of_nonsense_is_refused(self):
        export = self.env["crm.billing.report.export"].with_user(self.manager)
        for word in INJECTED:
            for values in ({"format": word}, {"detail": word}, {"groupby": (word,)}):
                options = ExportOptions(domain=[], **{"detail": "groups"} | values)
                with self.subTest(values):
                    self._assert_refused(
                        export._export, "crm.billing.aging.report", options
                    )

    def test_options_of_wrong_types_are_none(self):
        for values in (
            {"domain": 5},
            {"domain": "[('id', '=', 1)]"},
            {"domain": {"id": 1}},
            {"domain": [], "format": ["csv"]},
            {"domain": [], "groupby": ([1],)},
            {"domain": [], "columns": (None,)},
            {"domain": [], "filters": {"a": 1}},
        ):
            with self.subTest(values):
                self._assert_refused(ExportOptions, **values)

    def test_what_is_no_report_is_not_exported(self):
        export = self.env["crm.billing.report.export"].with_user(self.manager)
        for name in (
            "res.users",
            "ir.config_parameter",
            "crm.billing.evidence",
            "crm.billing.report.export",
            "crm.billing.report.mixin",
            "crm.billing.revenue.mixin",
            "no.such.model",
            "__class__",
        ):
            with self.subTest(name):
                self._assert_refused(export._export, name, ExportOptions(domain=[]))


@tagged("post_install", "-at_install")
class TestReportsFiles(AttackCommon):
    """A file runs nothing, opens nothing and tells no secret."""

    def test_no_cell_is_a_formula(self):
        evil = '=HYPERLINK("http://evil.example","Aging")'
        self.account.name = evil
        self.manager.name = "@SUM(1+1)*cmd|' /C calc'!A0"
        self.company.name = "+1+1"
        self.env.flush_all()
        export = self.env["crm.billing.report.export"].with_user(self.manager)
        for model in self._get_reports():
            for detail in ("rows", "groups"):
                options = ExportOptions(
                    domain=[],
                    detail=detail,
                    groupby=("company_id",),
                    filters="-2+3+cmd|' /C calc'!A0",
                )
                data = b"".join(export._write_csv(export.env[model], options))
                for line in csv.reader(io.StringIO(data.decode("utf-8-sig"))):
                    for cell in line:
                        is_run = re.match(r"[=@\t\r]|[+-][^\d]|\+1\+1", cell)
                        self.assertFalse(is_run and len(cell) > 1, cell)

    def test_no_cell_of_a_workbook_is_a_formula(self):
        self.account.name = "=1+1"
        self.env.flush_all()
        export = self.env["crm.billing.report.export"].with_user(self.manager)
        options = ExportOptions(domain=[], format="xlsx", filters="{=1+1}")
        _name, _type, chunks = export._export("crm.billing.aging.report", options)
        with zipfile.ZipFile(io.BytesIO(b"".join(chunks))) as book:
            sheet = book.read("xl/worksheets/sheet1.xml").decode()
        self.assertIn("=1+1", sheet)
        self.assertNotIn("<f>", sheet)

    def test_no_report_has_a_secret(self):
        for model in self._get_reports():
            found = [name for name in self.env[model]._fields if SECRETS.search(name)]
            self.assertFalse(found, model)

    def test_evidence_opens_no_portal(self):
        """Links of mails are keys: the pack goes to strangers."""
        self.manager.group_ids = [Command.link(self.right.id)]
        move = self.moves[0]
        secret = move._portal_ensure_token()
        move.message_post(
            body=f"Pay at https://x.example/my/invoices/1?access_token={secret}&a=b",
            message_type="email_outgoing",
            subtype_xmlid="mail.mt_comment",
        )
        self.env.flush_all()
        evidence = self.env["crm.billing.evidence"].with_user(self.manager)
        pack = evidence.create(
            {
                "partner_id": self.account.id,
                "date_from": self._ago(90),
                "date_to": self.today,
            }
        )
        pack.action_build()
        with zipfile.ZipFile(io.BytesIO(pack.sudo().attachment_id.raw)) as archive:
            texts = {name: archive.read(name) for name in archive.namelist()}
        self.assertIn(b"access_token=\xe2\x80\xa6", texts["messages/messages.csv"])
        for name, text in texts.items():
            self.assertNotIn(secret.encode(), text, name)

    def test_an_export_is_logged_under_the_name_of_who_exports(self):
        export = self.env["crm.billing.report.export"].with_user(self.manager)
        forged = {"default_user_id": self.clerk.id, "default_row_count": 0}
        forged |= {"default_action": "certified", "default_create_date": date.min}
        options = ExportOptions(domain=[])
        export.with_context(**forged)._export("crm.billing.aging.report", options)
        event = self.env["crm.billing.event"].search([], order="id desc", limit=1)
        self.assertEqual(event.user_id, self.manager)
        self.assertEqual(event.action, "exported")
        self.assertTrue(event.row_count)


@tagged("post_install", "-at_install")
class TestReportsAttackRoute(HttpCase, AttackCommon):
    def test_the_route_takes_reports_and_options_only(self):
        self.authenticate(self.manager.login, self.manager.login)
        token = self.url_open("/odoo").text.split('csrf_token: "')[1].split('"')[0]
        report = "crm.billing.aging.report"
        for model, values in (
            ("res.users", {"domain": []}),
            ("crm.billing.report.mixin", {"domain": []}),
            (report, {"domain": "[]; DROP"}),
            (report, {"domain": [], "format": "../../etc/passwd"}),
            (report, {"domain": [], "groupby": [["company_id"]]}),
            (report, {"domain": [], "evil": 1}),
            (report, {"domain": [], "context": [1, 2]}),
            (report, {"domain": [], "context": {"billing_as_of": [1]}}),
            (report, [1]),
        ):
            with self.subTest(f"{model} {values}"):
                response = self.url_open(
                    f"/billing/report/{model}/export",
                    data={"data": json.dumps(values), "csrf_token": token},
                )
                self.assertIn(response.status_code, (400, 403, 404, 422))
        response = self.url_open(
            f"/billing/report/{report}/export", data={"data": '{"domain": []}'}
        )
        self.assertEqual(response.status_code, 400, "without the token of the session")
