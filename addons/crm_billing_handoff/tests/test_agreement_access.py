from datetime import date

from odoo.exceptions import AccessError, UserError
from odoo.fields import Command
from odoo.service.model import call_kw
from odoo.tests import new_test_user, tagged

from ..models.billing_machine_fields import (
    AGREEMENT_FIELDS,
    AGREEMENT_LINE_FIELDS,
    FROZEN_LINE_FIELDS,
)
from .refusal_common import AccessCommon

OPERATIONS = ("read", "write", "create", "unlink")

# Rights by role on records: "own" is a deal of the salesperson, "foreign" another's.
MATRIX = {
    "crm.billing.agreement": {
        "seller own": "r",
        "seller foreign": "",
        "clerk": "rwcu",
        "manager": "rwcu",
        "accountant": "r",
        "portal": "",
        "public": "",
    },
    "crm.billing.agreement.line": {
        "seller own": "r",
        "seller foreign": "",
        "clerk": "rwcu",
        "manager": "rwcu",
        "accountant": "r",
        "portal": "",
        "public": "",
    },
    "crm.billing.period": {
        "seller own": "r",
        "seller foreign": "",
        "clerk": "r",
        "manager": "r",
        "accountant": "r",
        "portal": "",
        "public": "",
    },
}

# Rights by role on the model: what else belongs to agreements.
MODEL_RIGHTS = {
    "crm.billing.milestone": ("rwcu", "rwcu", "rwcu", "r"),
    "crm.billing.retention.release": ("", "r", "r", "r"),
    "crm.billing.retention.wizard": ("", "rwcu", "rwcu", ""),
    "crm.billing.meter": ("r", "r", "rwcu", "r"),
    "crm.billing.price.tier": ("r", "rwcu", "rwcu", "r"),
    "crm.billing.usage": ("r", "rw", "rw", "r"),
    "crm.billing.usage.batch": ("", "r", "r", "r"),
    "crm.billing.usage.endpoint": ("", "r", "rwcu", ""),
    "crm.billing.usage.entry": ("", "rwcu", "rwcu", ""),
    "crm.billing.usage.import": ("", "rwcu", "rwcu", ""),
    "crm.billing.usage.source": ("", "r", "rwcu", ""),
    "crm.billing.change": ("r", "rwcu", "rwcu", "r"),
    "crm.billing.price.revision": ("", "rwcu", "rwcu", "r"),
    "crm.billing.contract.wizard": ("", "rwcu", "rwcu", ""),
    "crm.billing.rehearsal": ("", "rc", "rcu", "r"),
    "crm.billing.rehearsal.line": ("", "r", "r", "r"),
    "crm.billing.rehearsal.difference": ("", "r", "r", "r"),
    "crm.billing.watch": ("", "r", "rw", "r"),
    "crm.billing.health.address": ("", "", "rwcu", ""),
}


class AgreementAccessCommon(AccessCommon):
    """Two running agreements, of two salespeople."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.hosting = cls._create_product(
            name="Hosting",
            billing_method="flat",
            billing_plan_id=cls.env.ref("crm_billing_handoff.plan_monthly").id,
        )
        cls.agreement = cls._create_agreement_of(cls.account, cls.seller)
        cls.foreign_agreement = cls._create_agreement_of(
            cls.foreign_account, cls.other_seller
        )

    @classmethod
    def _create_agreement_of(cls, account, user):
        deal = cls._create_deal(account, user)
        cls._create_quotation(deal, product=cls.hosting, confirm=True)
        deal.with_user(user).stage_id = cls.won_stage
        cls.env.flush_all()
        deal.billing_handoff_ids._process_or_bisect()
        return deal.billing_handoff_ids.agreement_id


@tagged("post_install", "-at_install")
class TestAgreementAccess(AgreementAccessCommon):
    """I1, I6: who may do what with agreements, their lines and their ledger."""

    def _get_samples(self, model):
        agreements = self.agreement | self.foreign_agreement
        samples = {
            "crm.billing.agreement": agreements,
            "crm.billing.agreement.line": agreements.line_ids,
            "crm.billing.period": agreements.period_ids,
        }
        records = samples[model]
        own = records.filtered(
            lambda record: (
                record == self.agreement
                or ("agreement_id" in record and record.agreement_id == self.agreement)
            )
        )
        return own[:1], (records - own)[:1]

    def test_rights_by_role_and_model(self):
        users = {**self.users, "portal": self.portal, "public": self.public}
        for model, rights_by_role in MATRIX.items():
            samples = self._get_samples(model)
            self.assertTrue(all(samples), model)
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

    def test_rights_on_what_belongs_to_agreements(self):
        roles = ("seller", "clerk", "manager", "accountant")
        users = {**self.users, "portal": self.portal, "public": self.public}
        for model, rights in MODEL_RIGHTS.items():
            expected = dict(zip(roles, rights, strict=True))
            for role in (*roles, "portal", "public"):
                records = self.env[model].with_user(users[role])
                got = "".join(op[0] for op in OPERATIONS if records.has_access(op))
                with self.subTest(f"{model}: {role}"):
                    self.assertEqual(got, expected.get(role, ""))

    def test_a_salesperson_lists_own_agreements_only(self):
        for model in MATRIX:
            records = self.env[model].with_user(self.seller).search([])
            agreements = records.sudo()
            if model != "crm.billing.agreement":
                agreements = agreements.agreement_id
            with self.subTest(model):
                self.assertIn(self.agreement, agreements)
                self.assertNotIn(self.foreign_agreement, agreements)

    def test_a_salesperson_with_all_leads_reads_all(self):
        leader = new_test_user(
            self.env,
            login="billing_leader",
            groups="sales_team.group_sale_salesman_all_leads",
        )
        for record in (self.foreign_agreement, self.foreign_agreement.line_ids):
            self.assertTrue(record.with_user(leader).has_access("read"))
            self.assertFalse(record.with_user(leader).has_access("write"))

    def test_another_company_sees_nothing(self):
        company = self.env["res.company"].create({"name": "Elsewhere"})
        stranger = new_test_user(
            self.env,
            login="billing_stranger",
            groups="crm_billing_handoff.group_billing_manager",
            company_id=company.id,
            company_ids=[Command.set(company.ids)],
        )
        for model in MATRIX:
            with self.subTest(model):
                self.assertFalse(self.env[model].with_user(stranger).search([]))
        for record in self._get_samples("crm.billing.agreement"):
            with self.assertRaises(AccessError):
                call_kw(
                    record.with_user(stranger), "generate_invoices", [record.ids], {}
                )

    def test_verbs_are_billings(self):
        for method in (
            "action_start",
            "action_draft",
            "generate_invoices",
            "action_generate_invoices",
        ):
            for user in (self.seller, self.accountant, self.portal, self.public):
                with self.subTest(f"{method} {user.name}"):
                    with self.assertRaises(AccessError):
                        call_kw(
                            self.agreement.with_user(user),
                            method,
                            [self.agreement.ids],
                            {},
                        )
        self.agreement.with_user(self.clerk).generate_invoices(date(2030, 1, 1))

    def test_private_methods_are_not_reachable(self):
        for record, method in (
            (self.agreement, "_invoice_due"),
            (self.agreement, "_cron_invoice_due"),
            (self.agreement, "_bill_at_once"),
            (self.agreement, "_take_over"),
            (self.handoff, "_make_agreements"),
        ):
            with self.subTest(method), self.assertRaises(AccessError):
                call_kw(record.with_user(self.manager), method, [record.ids], {})


@tagged("post_install", "-at_install")
class TestAgreementWall(AgreementAccessCommon):
    """What follows from the flow is not written by hand (I2), whatever the role."""

    def test_the_machines_fields(self):
        line = self.agreement.line_ids
        for record, names in (
            (self.agreement, AGREEMENT_FIELDS),
            (line, AGREEMENT_LINE_FIELDS),
        ):
            for name in names:
                kind = record._fields[name].type
                many = {"many2many", "one2many"}
                value = [Command.clear()] if kind in many else False
                for user in (self.clerk, self.manager):
                    with self.subTest(f"{user.name} {name}"):
                        with self._assert_refused("not written by hand|rights"):
                            call_kw(
                                record.with_user(user),
                                "write",
                                [record.ids, {name: value}],
                                {},
                            )

    def test_a_billed_line_keeps_its_terms(self):
        line = self.agreement.line_ids.with_user(self.manager)
        self.assertTrue(line.period_ids)
        for name in FROZEN_LINE_FIELDS:
            value = line[name].id if hasattr(line[name], "_name") else line[name]
            with self.subTest(name):
                with self._assert_refused("has been billed", UserError):
                    line.write({name: value})
        line.name = "Hosting, renamed"
        with self._assert_refused("has been billed", UserError):
            self.agreement.with_user(self.clerk).line_ids = [
                Command.update(line.id, {"price_unit": 1})
            ]

    def test_the_ledger_is_written_by_the_flow_alone(self):
        period = self.agreement.period_ids[:1]
        for user in (self.seller, self.clerk, self.manager, self.accountant):
            for method, args in (
                ("write", [period.ids, {"amount": 0}]),
                ("unlink", [period.ids]),
                (
                    "create",
                    [
                        {
                            "line_id": period.line_id.id,
                            "kind": "credit",
                            "date_from": "2026-01-01",
                            "date_to": "2026-02-01",
                            "amount": -99,
                        }
                    ],
                ),
            ):
                with self.subTest(f"{user.name} {method}"):
                    with self.assertRaises(AccessError):
                        call_kw(period.with_user(user), method, args, {})
        with self.assertRaises(AccessError):
            self.agreement.with_user(self.clerk).write(
                {"period_ids": [Command.update(period.id, {"amount": 0})]}
            )

    def test_terms_are_the_clerks_and_never_sales(self):
        payer = self._create_account("Parent Holding")
        immediate = self.env.ref("account.account_payment_term_immediate")
        values = {
            "payment_term_id": immediate.id,
            "bill_to_id": payer.id,
            "po_number": "PO-9",
        }
        for user in (self.seller, self.accountant):
            for name, value in values.items():
                with self.subTest(f"{user.name} {name}"):
                    with self.assertRaises(AccessError):
                        call_kw(
                            self.agreement.with_user(user),
                            "write",
                            [self.agreement.ids, {name: value}],
                            {},
                        )
        self.agreement.with_user(self.clerk).write(values)
        self.assertEqual(self.agreement.payer_id, payer)

    def test_sales_reaches_it_through_no_deal_nor_order(self):
        deal = self.agreement.lead_id.with_user(self.seller)
        command = [Command.update(self.agreement.id, {"po_number": "X"})]
        with self.assertRaises(AccessError):
            deal.write({"billing_agreement_ids": command})
        line = self.agreement.order_id.order_line.with_user(self.seller)
        for values in (
            {"is_billing_taken_over": False},
            {"billing_line_ids": [Command.clear()]},
        ):
            with self.subTest(values), self.assertRaises(AccessError):
                line.write(values)

    def test_nobody_starts_or_ties_an_agreement_by_writing(self):
        agreements = self.env["crm.billing.agreement"].with_user(self.clerk)
        values = {"partner_id": self.account.id}
        for name, value in (
            ("state", "running"),
            ("lead_id", self.deal.id),
            ("order_id", self.order.id),
        ):
            with self.subTest(name), self.assertRaises(AccessError):
                agreements.create({**values, name: value})
        self.assertEqual(agreements.create(values).state, "draft")

    def test_an_invoice_cannot_claim_an_agreement(self):
        moves = self.env["account.move"].with_user(self.accountant)
        link = [Command.link(self.agreement.id)]
        with self.assertRaises(AccessError):
            moves.create({"move_type": "out_invoice", "agreement_ids": link})

    def test_an_accountant_credits_an_invoice_of_an_agreement(self):
        invoice = self.agreement.move_ids
        invoice.billing_review_note = "like the deal's one-off invoice"
        invoice.with_user(self.clerk).action_billing_review()
        invoice.action_post()
        refund = invoice.with_user(self.accountant)._reverse_moves()
        self.assertEqual(refund.sudo().agreement_ids, self.agreement)


@tagged("post_install", "-at_install")
class TestGenerateAction(AgreementAccessCommon):
    """B8: “Generate invoices” is a type of server action."""

    def _create_action(self, model):
        return self.env["ir.actions.server"].create(
            {
                "name": "Bill them",
                "model_id": self.env["ir.model"]._get(model).id,
                "state": "billing_generate_invoices",
            }
        )

    def _run(self, records):
        action = self._create_action(records._name).with_context(
            active_model=records._name,
            active_ids=records.ids,
            active_id=records[:1].id,
        )
        return action.run()

    def test_on_agreements_and_deals(self):
        self.agreement.move_ids.unlink()
        self.foreign_agreement.move_ids.unlink()
        self.assertTrue(self._run(self.agreement))
        self.assertEqual(len(self.agreement.move_ids), 1)
        self._run(self.foreign_agreement.lead_id)
        self.assertEqual(len(self.foreign_agreement.move_ids), 1)

    def test_the_log_names_the_rule(self):
        trigger = self.env["ir.model.fields"]._get("crm.billing.agreement", "po_number")
        self.env["base.automation"].create(
            {
                "name": "Bill on a new PO",
                "model_id": self.env["ir.model"]._get_id("crm.billing.agreement"),
                "trigger": "on_create_or_write",
                "trigger_field_ids": [Command.set(trigger.ids)],
                "action_server_ids": [
                    Command.set(self._create_action("crm.billing.agreement").ids)
                ],
            }
        )
        self.agreement.move_ids.unlink()
        self.agreement.with_user(self.clerk).po_number = "PO-1"
        self.env.flush_all()
        self.assertEqual(self.agreement.move_ids.ref, "PO-1")
        event = self.env["crm.billing.event"].search(
            [("agreement_id", "=", self.agreement.id), ("action", "=", "billed")],
            limit=1,
        )
        self.assertEqual(event.source, "rule")
        self.assertEqual(event.source_name, "Bill on a new PO")

    def test_not_on_other_models(self):
        with self.assertRaisesRegex(UserError, "Generate Invoices"):
            self._run(self.account)
