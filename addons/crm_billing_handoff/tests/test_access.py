from odoo.exceptions import AccessError, UserError
from odoo.fields import Command
from odoo.service.model import call_kw
from odoo.tests import new_test_user, tagged

from .refusal_common import AccessCommon
from .test_agreement_access import MATRIX as AGREEMENT_MATRIX
from .test_agreement_access import MODEL_RIGHTS

OPERATIONS = ("read", "write", "create", "unlink")

# Rights by role, as letters: r w c u. "own" is a deal, account or order of the
# salesperson, "foreign" one of a colleague.
MATRIX = {
    "crm.billing.handoff": {
        "seller own": "r",
        "seller foreign": "",
        "clerk": "rw",
        "manager": "rw",
        "accountant": "r",
        "portal": "",
        "public": "",
    },
    "crm.billing.event": {
        "seller own": "r",
        "seller foreign": "",
        "clerk": "r",
        "manager": "r",
        "accountant": "r",
        "portal": "",
        "public": "",
    },
    "crm.billing.readiness.rule": {
        "seller own": "r",
        "clerk": "r",
        "manager": "rwcu",
        "accountant": "r",
        "portal": "",
        "public": "",
    },
    "crm.billing.plan": {
        "seller own": "r",
        "clerk": "r",
        "manager": "rwcu",
        "accountant": "r",
        "portal": "",
        "public": "",
    },
    "crm.billing.service.tier": {
        "seller own": "r",
        "clerk": "r",
        "manager": "rwcu",
        "accountant": "r",
        "portal": "",
        "public": "",
    },
    "crm.billing.setup": {
        "seller own": "",
        "clerk": "",
        "manager": "rwcu",
        "accountant": "",
        "portal": "",
        "public": "",
    },
    "crm.lead": {
        "seller own": "rwc",
        "seller foreign": "",
        "clerk": "r",
        "manager": "r",
        "accountant": "",
        "portal": "",
        "public": "",
    },
    "sale.order": {
        "seller own": "rwc",
        "seller foreign": "",
        "clerk": "rw",
        "manager": "rw",
        "accountant": "rw",
        "portal": "",
        "public": "",
    },
    "account.move": {
        "seller own": "r",
        "seller foreign": "",
        "clerk": "rwcu",
        "manager": "rwcu",
        "accountant": "rwcu",
        "portal": "",
        "public": "",
    },
    "res.partner": {
        "seller own": "rwc",
        "seller foreign": "rwc",
        "clerk": "rwcu",
        "manager": "rwcu",
        "accountant": "r",
        "portal": "",
        "public": "",
    },
    "res.partner.bank": {
        "seller own": "r",
        "seller foreign": "r",
        "clerk": "rwcu",
        "manager": "rwcu",
        "accountant": "r",
        "portal": "",
        "public": "",
    },
    "payment.token": {
        "seller own": "r",
        "seller foreign": "r",
        "clerk": "r",
        "manager": "r",
        "accountant": "r",
        "portal": "",
        "public": "",
    },
}


@tagged("post_install", "-at_install")
class TestAccessMatrix(AccessCommon):
    def _get_samples(self, model):
        """Return ``(own, foreign)`` records of a model."""
        env = self.env
        if model == "crm.billing.setup":
            return (env[model],)
        if model == "payment.token":
            provider = env["payment.provider"].create({"name": "Test", "code": "none"})
            return env[model].create(
                [
                    {
                        "provider_id": provider.id,
                        "payment_method_id": env["payment.method"]
                        .with_context(active_test=False)
                        .search([], limit=1)
                        .id,
                        "partner_id": account.id,
                        "provider_ref": "ref",
                    }
                    for account in (self.account, self.foreign_account)
                ]
            )
        if model == "res.partner.bank":
            return env[model].create(
                [
                    {"acc_number": "BE71096123456769", "partner_id": account.id}
                    for account in (self.account, self.foreign_account)
                ]
            )
        samples = {
            "crm.billing.handoff": (self.handoff, self.foreign_handoff),
            "crm.billing.event": tuple(
                env["crm.billing.event"].search([("lead_id", "=", deal.id)])
                for deal in (self.deal, self.foreign_deal)
            ),
            "crm.billing.readiness.rule": (
                env["crm.billing.readiness.rule"].search([], limit=1),
            ),
            "crm.billing.plan": (env["crm.billing.plan"].create({"name": "P"}),),
            "crm.billing.service.tier": (
                env["crm.billing.service.tier"].create({"name": "T"}),
            ),
            "crm.lead": (self.deal, self.foreign_deal),
            "sale.order": (self.order, self.foreign_order),
            "account.move": (self.draft, self.foreign_draft),
            "res.partner": (self.account, self.foreign_account),
        }
        return samples[model]

    def test_rights_by_role_and_model(self):
        users = {**self.users, "portal": self.portal, "public": self.public}
        for model, rights_by_role in MATRIX.items():
            samples = self._get_samples(model)
            for role, rights in rights_by_role.items():
                user = users[role.split()[0]]
                record = samples[-1 if "foreign" in role else 0].with_user(user)
                got = "".join(
                    operation[0]
                    for operation in OPERATIONS
                    if record.has_access(operation)
                )
                with self.subTest(f"{model}: {role}"):
                    self.assertEqual(got, rights)

    def test_every_model_of_ours_is_in_the_matrix(self):
        ours = {
            name
            for name, model in self.env.registry.items()
            if model._original_module == "crm_billing_handoff" and not model._abstract
        }
        tested = {*MATRIX, *AGREEMENT_MATRIX, *MODEL_RIGHTS}
        self.assertLessEqual(ours, tested, "add the new models to a matrix")

    def test_a_salesperson_sees_only_own_rows(self):
        for model, domain in (
            ("crm.billing.handoff", []),
            ("crm.billing.event", [("lead_id", "!=", False)]),
        ):
            records = self.env[model].with_user(self.seller).search(domain)
            with self.subTest(model):
                self.assertTrue(records)
                leads = records.sudo().lead_id
                self.assertIn(self.deal, leads)
                self.assertNotIn(self.foreign_deal, leads)

    def test_a_salesperson_with_all_leads_sees_all_rows(self):
        leader = new_test_user(
            self.env,
            login="billing_leader",
            groups="sales_team.group_sale_salesman_all_leads",
        )
        self.assertTrue(self.foreign_handoff.with_user(leader).has_access("read"))
        self.assertFalse(self.foreign_handoff.with_user(leader).has_access("write"))


@tagged("post_install", "-at_install")
class TestAccessVerbs(AccessCommon):
    """Public methods called over RPC, by who may and who may not."""

    def _call(self, records, method, user):
        return call_kw(records.with_user(user), method, [records.ids], {})

    def test_sales_hands_off_own_deals_only(self):
        self._call(self.deal, "action_hand_off", self.seller)
        with self.assertRaises(AccessError):
            self._call(self.foreign_deal, "action_hand_off", self.seller)
        with self.assertRaises(AccessError):
            self._call(self.deal | self.foreign_deal, "action_hand_off", self.seller)

    def test_sales_processes_own_handoffs_only(self):
        self._call(self.handoff, "action_process", self.seller)
        with self._assert_refused("your own deals only"):
            self._call(self.foreign_handoff, "action_process", self.seller)

    def test_the_accountant_runs_no_billing_verb(self):
        for records, method in (
            (self.deal, "action_hand_off"),
            (self.handoff, "action_process"),
            (self.draft, "action_billing_review"),
            (self.draft, "action_billing_post_and_send"),
        ):
            with self.subTest(method), self.assertRaises(AccessError):
                self._call(records, method, self.accountant)

    def test_sales_neither_reviews_nor_posts(self):
        for method in ("action_billing_review", "action_billing_post_and_send"):
            with self.subTest(method), self._assert_refused("Only a billing clerk"):
                self._call(self.draft, method, self.seller)
        with self.assertRaises(AccessError):
            self._call(self.draft, "action_post", self.seller)

    def test_portal_and_public_run_nothing(self):
        for user in (self.portal, self.public):
            for records, method in (
                (self.deal, "action_hand_off"),
                (self.handoff, "action_process"),
                (self.draft, "action_billing_review"),
                (self.draft, "action_billing_post_and_send"),
            ):
                with self.subTest(method), self.assertRaises(AccessError):
                    self._call(records, method, user)

    def test_private_methods_are_not_reachable(self):
        for records, method in (
            (self.handoff, "_queue"),
            (self.handoff, "_wake"),
            (self.handoff, "_process"),
            (self.handoff, "_set_state"),
            (self.handoff, "_cron_process"),
            (self.env["crm.billing.event"], "_log"),
            (self.draft, "_set_reviewed"),
            (self.account, "_update_billing_drafts"),
            (self.env["base.partner.merge.automatic.wizard"], "_merge"),
        ):
            with self.subTest(method), self.assertRaises(AccessError):
                call_kw(records.with_user(self.manager), method, [records.ids], {})

    def test_a_handed_off_order_is_invoiced_by_billing_only(self):
        deal, order = self._create_won_deal(self.account, self.seller)
        for user in (self.seller, self.accountant):
            wizard = (
                self.env["sale.advance.payment.inv"]
                .sudo()
                .create({"sale_order_ids": [Command.set(order.ids)]})
                .with_user(user)
            )
            with self.subTest(user.name), self.assertRaises(UserError):
                wizard.create_invoices()
        self.assertFalse(order.invoice_ids)
        self.assertTrue(deal.billing_handoff_ids)
