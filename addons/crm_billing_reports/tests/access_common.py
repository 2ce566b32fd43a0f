from dateutil.relativedelta import relativedelta

from odoo import fields
from odoo.exceptions import AccessError, UserError
from odoo.fields import Command
from odoo.service.model import call_kw
from odoo.tests import new_test_user
from odoo.tools import SQL

from odoo.addons.crm_billing_handoff.tests.agreement_common import AgreementCommon

from .common import ReportsCommon

REFUSALS = (AccessError, KeyError, TypeError, UserError, ValueError)
NO_DAYS = (
    [1],
    5,
    True,
    {"a": 1},
    "junk",
    "x'; DROP TABLE res_users; --",
    "0001-01-01",
    "9999-12-31",
)
# What reports read, and must leave as it is.
LEDGER = (
    "account_move",
    "account_move_line",
    "account_payment",
    "account_partial_reconcile",
    "crm_billing_agreement",
    "crm_billing_agreement_line",
    "crm_billing_period",
    "crm_billing_handoff",
    "crm_dunning_case",
    "crm_lead",
    "res_partner",
)


class AccessCommon(ReportsCommon, AgreementCommon):
    """An account of the salesperson and one of another, with the same in each report"""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.portal = new_test_user(
            cls.env, login="reports_portal", groups="base.group_portal"
        )
        cls.accountant = cls.users["accountant"]
        cls.today = fields.Date.today()
        cls.right = cls.env.ref("base.group_allow_export")
        for user in cls.users.values():
            user.group_ids = [Command.unlink(cls.right.id)]
        cls.manager.group_ids = [Command.link(cls.right.id)]
        other_seller = cls.users["other_seller"]
        cls.foreign = cls._create_account("Contoso", user_id=other_seller.id)
        cls.accounts = (cls.account, cls.foreign)
        cls.system = cls.env["crm.billing.system"].create(
            {"name": "Their Books", "kind": "generic_csv", "start_date": "2020-01-01"}
        )
        cls.moves = cls._bill_all()
        cls.batch = cls.env["crm.billing.export.batch"].create(
            {"system_id": cls.system.id}
        )
        cls.crosswalk = cls.env["crm.billing.crosswalk"].create(
            [
                {
                    "system_id": cls.system.id,
                    "model": "account.move",
                    "res_id": move.id,
                    "external_id": f"I{move.id}",
                }
                for move in cls.moves
            ]
        )
        cls.env.flush_all()
        leaks = cls.env["crm.billing.leak.report"].with_user(cls.manager)
        cls.waivers = leaks.search([("move_id", "in", cls.moves.ids)]).waive("Known")
        forecasts = cls.env["crm.billing.forecast"].with_user(cls.clerk)
        forecasts.action_forecast_now()
        cls.env.flush_all()

    @classmethod
    def _bill_all(cls):
        """Return an overdue invoice of each account, partly paid, beside the rest."""
        moves = cls.env["account.move"]
        for account in cls.accounts:
            values = {"account": account, "invoice_user_id": account.user_id.id}
            move = cls._create_dated(cls._ago(60), 100.0, cls._ago(40), **values)
            cls._pay_on(move, cls._ago(20), 40.0)
            cls._create_dated(cls._ago(10), -5.0, reversed_entry_id=move.id, **values)
            cls._create_agreement(
                partner_id=account.id,
                user_id=account.user_id.id,
                start_date=cls.today - relativedelta(months=3, day=1),
            )
            moves |= move
        return moves

    @classmethod
    def _ago(cls, days):
        return cls.today - relativedelta(days=days)

    def _get_ours(self):
        """Return the names of all models that the addon adds."""
        return sorted(
            name
            for name, model in self.env.registry.items()
            if model._original_module == "crm_billing_reports" and not model._abstract
        )

    def _get_reports(self):
        return [
            name
            for name in self._get_ours()
            if getattr(self.env.registry[name], "_is_billing_report", False)
        ]

    def _get_sample(self, model, account):
        """Return a record about the account, empty where the model has none."""
        records = self.env[model]
        if records._transient:
            return records
        has_account = "partner_id" in records._fields
        domain = [("partner_id", "=", account.id)] if has_account else []
        return records.search(domain, limit=1)

    def _move_to_another_company(self, *users):
        other = self.env["res.company"].create({"name": "Other"})
        for user in users:
            user.write(
                {"company_ids": [Command.set(other.ids)], "company_id": other.id}
            )
        return other

    def _hash_tables(self, tables=LEDGER):
        """Return ``{table: hash of all its rows}``."""
        self.env.flush_all()
        return {
            table: self.env.execute_query(
                SQL(
                    "SELECT md5(string_agg(row::text, '|' ORDER BY row::text))"
                    " FROM %s row",
                    SQL.identifier(table),
                )
            )
            for table in tables
        }


class AttackCommon(AccessCommon):
    def _rpc(self, record, name, *args, context=None):
        """Call as a client does; what fails leaves no trace."""
        with self.env.cr.savepoint():
            kwargs = {"context": context} if context else {}
            return call_kw(record, name, [*args], kwargs)

    def _assert_refused(self, function, *args, **kwargs):
        """Check that it is refused by name, not by the database."""
        try:
            function(*args, **kwargs)
        except REFUSALS:
            return
        self.fail("not refused")
