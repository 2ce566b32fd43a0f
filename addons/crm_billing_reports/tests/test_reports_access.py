"""Who may do what with each model of ours, whatever way it is called (I1)."""

import csv
import io
import json

from odoo.exceptions import AccessError
from odoo.fields import Command
from odoo.service.model import call_kw
from odoo.tests import HttpCase, tagged

from ..models.crm_billing_report_export import ExportOptions
from .access_common import AccessCommon

OPERATIONS = ("read", "write", "create", "unlink")
ROLES = ("seller own", "seller foreign", "clerk", "manager", "accountant", "portal")

# Rights by role, in the order of ROLES, as letters: r w c u.
OWN_ROWS = ("r", "", "r", "r", "r", "")  # a salesperson sees own accounts
WHOLE_BOOK = ("", "", "r", "r", "r", "")  # and nothing of the whole ledger
SNAPSHOTS = ("r", "r", "r", "r", "r", "")  # no account is named
SET_BY_MANAGERS = ("", "", "r", "rwcu", "r", "")
OF_ACCOUNTING = ("", "", "rwcu", "rwcu", "rwcu", "")
OF_MANAGERS = ("", "", "", "rwcu", "", "")
MATRIX = {
    "crm.billing.aging.report": OWN_ROWS,
    "crm.billing.collection.report": OWN_ROWS,
    "crm.billing.exception.report": OWN_ROWS,
    "crm.billing.forecast.report": OWN_ROWS,
    "crm.billing.history.report": OWN_ROWS,
    "crm.billing.leak.report": OWN_ROWS,
    "crm.billing.leak.waiver": OWN_ROWS,
    "crm.billing.overdue.report": OWN_ROWS,
    "crm.billing.receivable.report": OWN_ROWS,
    "crm.billing.revenue.cohort.report": OWN_ROWS,
    "crm.billing.revenue.month.report": OWN_ROWS,
    "crm.billing.revenue.report": OWN_ROWS,
    "crm.billing.status.report": OWN_ROWS,
    "crm.billing.touch.report": OWN_ROWS,
    "crm.billing.certificate.line": WHOLE_BOOK,
    "crm.billing.evidence.file": WHOLE_BOOK,
    "crm.billing.due.change": WHOLE_BOOK,
    "crm.billing.exception.change.report": WHOLE_BOOK,
    "crm.billing.exception.month.report": WHOLE_BOOK,
    "crm.billing.forecast.line": WHOLE_BOOK,
    "crm.billing.match.note": WHOLE_BOOK,
    "crm.billing.match.report": WHOLE_BOOK,
    "crm.billing.outside.allocation": WHOLE_BOOK,
    "crm.billing.outside.document": WHOLE_BOOK,
    "crm.billing.outside.import": WHOLE_BOOK,
    "crm.billing.forecast": SNAPSHOTS,
    "crm.billing.crosswalk": SET_BY_MANAGERS,
    "crm.billing.export.batch": SET_BY_MANAGERS,
    "crm.billing.export.line": ("", "", "r", "rw", "r", ""),
    "crm.billing.system": SET_BY_MANAGERS,
    "crm.billing.system.field": SET_BY_MANAGERS,
    "crm.billing.system.map": SET_BY_MANAGERS,
    "crm.billing.system.name": SET_BY_MANAGERS,
    "crm.billing.touch.cost": SET_BY_MANAGERS,
    "crm.billing.certificate": OF_ACCOUNTING,
    "crm.billing.evidence": OF_ACCOUNTING,
    "crm.billing.books.import": OF_ACCOUNTING,
    "crm.billing.books.import.line": OF_ACCOUNTING,
    "crm.billing.evidence.import": OF_ACCOUNTING,
    "crm.billing.match.explain": OF_ACCOUNTING,
    "crm.billing.match.link": OF_ACCOUNTING,
    "crm.billing.leak.wizard": OF_MANAGERS,
    "crm.billing.name.import": OF_MANAGERS,
}
NOBODYS = 2**30  # an id that no record has


@tagged("post_install", "-at_install")
class TestReportsAccess(AccessCommon):
    # === ROLES === #

    def test_every_model_of_ours_is_in_the_matrix(self):
        self.assertEqual(self._get_ours(), sorted(MATRIX))

    def test_rights_by_role_and_model(self):
        users = {**self.users, "portal": self.portal}
        for model, row in MATRIX.items():
            samples = [self._get_sample(model, account) for account in self.accounts]
            if row is OWN_ROWS:
                self.assertTrue(all(samples), f"{model} has nothing to hide")
            for role, rights in zip(ROLES, row, strict=True):
                user = users[role.split()[0]]
                with self.subTest(f"{model}: {role}"):
                    self._assert_rights(samples["foreign" in role], user, rights)

    def _assert_rights(self, record, user, rights):
        record = record.with_user(user)
        got = [name[0] for name in OPERATIONS if record.has_access(name)]
        self.assertEqual("".join(got), rights)
        for name in OPERATIONS:
            if name[0] not in rights:
                with self.assertRaises(AccessError):
                    self._call(record, name)

    def _call(self, record, operation):
        """Call as a client does, in a savepoint."""
        ids = record.ids or [NOBODYS]
        arguments = {
            "read": [ids, ["display_name"]],
            "write": [ids, {}],
            "create": [[{}]],
            "unlink": [ids],
        }
        with self.env.cr.savepoint():
            call_kw(record.browse(), operation, arguments[operation], {})

    def test_sales_finds_own_rows_whatever_way_it_asks(self):
        for model in self._get_reports():
            report = self.env[model].with_user(self.seller)
            if MATRIX[model] is not OWN_ROWS:
                continue
            foreign = [("partner_id", "=", self.foreign.id)]
            with self.subTest(model):
                for name, found in self._ask(report, foreign).items():
                    self.assertFalse(found, name)
                self.assertTrue(call_kw(report, "search_count", [[]], {}))
                self.assertEqual(call_kw(report, "get_tie_outs", [[]], {}), [])

    def _ask(self, report, domain):
        """Return what each way of reading finds, as RPC."""

        def call(name, *args, **kwargs):
            return call_kw(report, name, [*args], kwargs)

        groups = call("web_read_group", domain, ["company_id"], ["__count"])["groups"]
        return {
            "search_count": call("search_count", domain),
            "search_read": call("search_read", domain, ["id"]),
            "web_search_read": call("web_search_read", domain, {"id": {}})["records"],
            "name_search": call("name_search", "", domain),
            "web_read_group": groups,
            "formatted_read_group": call(
                "formatted_read_group", domain, ["company_id"], ["__count"]
            ),
            "read_group": call("read_group", domain, ["__count"], ["company_id"]),
        }

    def test_what_a_role_must_not_read_is_no_filter(self):
        """Neither of rows nor, whether it holds or not, of what proves them."""
        holds = [("partner_id.signup_type", "=", False)]
        never = [("partner_id.signup_type", "=", "none of them")]
        for model in self._get_reports():
            report = self.env[model].with_user(self.accountant)
            if "partner_id" not in report._fields:
                continue
            with self.subTest(model):
                with self.assertRaises(AccessError):
                    call_kw(report, "search_count", [holds], {})
                answers = [self._prove(report, domain) for domain in (holds, never)]
                self.assertEqual(*answers)

    def _prove(self, report, domain):
        try:
            return call_kw(report, "get_tie_outs", [domain], {})
        except AccessError:
            return "refused"

    # === COMPANIES === #

    def test_every_model_with_a_company_has_its_rule(self):
        rules = self.env["ir.rule"].search([("groups", "=", False)])
        for name in MATRIX:
            model = self.env[name]
            if model._transient or "company_id" not in model._fields:
                continue
            with self.subTest(name):
                own = rules.filtered(
                    lambda rule, name=name: rule.model_id.model == name
                )
                self.assertIn("company_ids", "".join(own.mapped("domain_force")))

    def test_another_company_reads_nothing(self):
        readers = (self.seller, self.accountant)
        self._move_to_another_company(*readers)
        for model in self._get_reports():
            rows = self.env[model].search([("company_id", "=", self.company.id)])
            for user in readers:
                report = self.env[model].with_user(user)
                if not report.has_access("read"):
                    continue
                with self.subTest(f"{model}: {user.name}"):
                    for name, found in self._ask(report, []).items():
                        self.assertFalse(found, name)
                    self._assert_no_figures(report)
                    if rows:
                        self._assert_unreadable(report, rows[:3].ids)

    def _assert_no_figures(self, report):
        facts = call_kw(report, "get_report_facts", [[]], {})
        for proof in facts["tie_outs"]:
            self.assertFalse(proof["amount"] or proof["ledger_amount"], proof)
            self.assertFalse([*proof["documents"]][1:], proof)

    def _assert_unreadable(self, report, ids):
        right = self.right
        report.env.user.sudo().group_ids = [Command.link(right.id)]
        with self.assertRaises(AccessError):
            call_kw(report, "read", [ids, ["company_id"]], {})
        with self.assertRaises(AccessError):
            call_kw(report, "export_data", [ids, ["company_id/id"]], {})

    def test_a_company_that_is_not_the_users_cannot_be_asked_for(self):
        self._move_to_another_company(self.manager)
        context = {"allowed_company_ids": self.company.ids}
        for model in self._get_reports():
            report = self.env[model].with_user(self.manager)
            with self.subTest(model):
                with self.assertRaises(AccessError):
                    call_kw(report, "search_count", [[]], {"context": context})
                try:
                    proofs = call_kw(report, "get_tie_outs", [[]], {"context": context})
                except AccessError:
                    proofs = []
                self.assertFalse(proofs)

    def test_another_company_exports_and_prints_nothing(self):
        names = {self.account.name, self.foreign.name, *self.moves.mapped("name")}
        self._move_to_another_company(self.manager)
        export = self.env["crm.billing.report.export"].with_user(self.manager)
        for model in self._get_reports():
            report, options = export.env[model], ExportOptions(domain=[])
            with self.subTest(model):
                text = b"".join(export._write_csv(report, options)).decode()
                self.assertFalse([name for name in names if name in text])
                columns = tuple(name for name in report._fields if name != "id")
                options = ExportOptions(domain=[], format="pdf", columns=columns)
                self.assertFalse(export._prepare_print(report, options)["lines"])

    def test_nothing_is_proved_as_well(self):
        """A company without a document, or a branch of its own, reads 0 = 0."""
        company = self._move_to_another_company(self.accountant)
        self.env["crm.billing.system"].create(
            {
                "name": "New Books",
                "kind": "generic_csv",
                "company_id": company.id,
                "start_date": "2020-01-01",
            }
        )
        branch = self.env["res.company"].create(
            {"name": "Branch", "parent_id": company.id}
        )
        for own in (company, branch):
            self.accountant.write(
                {"company_ids": [Command.set(own.ids)], "company_id": own.id}
            )
            self.env["crm.billing.forecast"].with_context(
                allowed_company_ids=own.ids
            ).action_forecast_now()
            for model in self._get_reports():
                if own == branch and model == "crm.billing.match.report":
                    continue  # its books are those of the company
                with self.subTest(f"{own.name} {model}"):
                    report = self.env[model].with_user(self.accountant)
                    proofs = call_kw(report, "get_tie_outs", [[]], {})
                    self.assertTrue(proofs)
                    for proof in proofs:
                        self.assertTrue(proof["ties"])
                        self.assertEqual(
                            (proof["amount"], proof["ledger_amount"]), (0.0, 0.0)
                        )

    def test_no_record_of_another_company_is_seen(self):
        stored = [
            name
            for name in MATRIX
            if self.env[name]._auto
            and not self.env[name]._transient
            and "company_id" in self.env[name]._fields
        ]
        own = [("company_id", "=", self.company.id)]
        known = [name for name in stored if self.env[name].search_count(own, limit=1)]
        self.assertIn("crm.billing.system", known)
        self.assertIn("crm.billing.leak.waiver", known)
        self.assertIn("crm.billing.forecast", known)
        self._move_to_another_company(self.manager)
        for name in known:
            with self.subTest(name):
                model = self.env[name].with_user(self.manager)
                self.assertFalse(call_kw(model, "search_count", [own], {}))

    # === THE LEDGER === #

    def test_reports_can_be_read_where_nothing_can_be_written(self):
        """The database refuses the first write; so reads may go to a replica."""
        self.env.flush_all()
        for model in self._get_reports():
            report = self.env[model].with_user(self.manager)
            with self.subTest(model), self.env.cr.savepoint() as savepoint:
                self.env.cr.execute("SET LOCAL transaction_read_only = on")
                self._ask(report, [])
                call_kw(report, "get_report_facts", [[]], {})
                savepoint.rollback()

    def test_exports_and_prints_leave_the_ledger_as_it_is(self):
        before = self._hash_tables()
        export = self.env["crm.billing.report.export"].with_user(self.manager)
        for model in self._get_reports():
            for shape in ("data", "xlsx"):
                options = ExportOptions(domain=[], format=shape)
                _name, _type, chunks = export._export(model, options)
                if shape == "data":
                    chunks = export._write_csv(export.env[model], options)
                self.assertTrue(b"".join(chunks), model)
            options = ExportOptions(domain=[], format="pdf", detail="groups")
            export._prepare_print(export.env[model], options)
        self.assertEqual(self._hash_tables(), before)


@tagged("post_install", "-at_install")
class TestReportsAccessRoute(HttpCase, AccessCommon):
    """The export and print route, as each role calls it."""

    def _post(self, model, values):
        return self.url_open(
            f"/billing/report/{model}/export",
            data={"data": json.dumps(values), "csrf_token": self.token},
        )

    def _log_in(self, user, page="/odoo"):
        self.authenticate(user.login, user.login)
        self.token = self.url_open(page).text.split('csrf_token: "')[1].split('"')[0]

    def test_another_company_gets_empty_files(self):
        self._move_to_another_company(self.manager)
        self._log_in(self.manager)
        for shape in ("data", "csv", "pdf"):
            for model in ("crm.billing.aging.report", "crm.billing.status.report"):
                values = {"domain": [], "format": shape, "columns": ["partner_id"]}
                response = self._post(model, values)
                response.raise_for_status()
                self.assertNotIn(self.account.name, response.text)
                self.assertNotIn(self.foreign.name, response.text)
        values = {"domain": [], "context": {"allowed_company_ids": self.company.ids}}
        self.assertGreaterEqual(
            self._post("crm.billing.aging.report", values).status_code, 400
        )

    def test_sales_prints_own_rows_only(self):
        self._log_in(self.seller)
        values = {"domain": [], "format": "pdf", "columns": ["partner_id", "total"]}
        response = self._post("crm.billing.aging.report", values)
        response.raise_for_status()
        self.assertNotIn(self.foreign.name, response.text)
        for model in ("crm.billing.match.report", "crm.billing.evidence", "res.users"):
            self.assertGreaterEqual(self._post(model, values).status_code, 400, model)
        # Nor does a file leave without the right to export.
        values["format"] = "data"
        response = self._post("crm.billing.aging.report", values)
        self.assertGreaterEqual(response.status_code, 400)

    def test_sales_with_the_right_exports_own_rows(self):
        self.seller.group_ids = [Command.link(self.right.id)]
        self._log_in(self.seller)
        values = {"domain": [], "format": "data"}
        response = self._post("crm.billing.aging.report", values)
        rows = list(csv.DictReader(io.StringIO(response.text)))
        self.assertEqual({row["partner_id"] for row in rows}, {self.account.name})

    def test_a_customer_gets_nothing(self):
        self._log_in(self.portal, "/my")
        for shape in ("data", "pdf"):
            for model in self._get_reports():
                values = {"domain": [], "format": shape}
                response = self._post(model, values)
                self.assertGreaterEqual(response.status_code, 400, model)
