"""Who may do what with each model of ours, whatever way it is called (I1)."""

from odoo import fields
from odoo.exceptions import AccessError
from odoo.fields import Command
from odoo.service.model import call_kw
from odoo.tests import new_test_user, tagged

from .common import DunningCommon

OPERATIONS = ("read", "write", "create", "unlink")
ROLES = ("seller own", "seller foreign", "clerk", "manager", "accountant", "portal")

# Rights by role, in the order of ROLES, as letters: r w c u.
READ_BY_ALL = ("r", "r", "r", "rwcu", "r", "")
READ_BY_OWN = ("r", "", "r", "r", "r", "")
FOR_MANAGERS = ("", "", "", "r", "", "")
CLERKS_DIALOG = ("", "", "rwcu", "rwcu", "", "")
MANAGERS_DIALOG = ("", "", "", "rwcu", "", "")
MATRIX = {
    "crm.dunning.case": ("r", "", "rw", "rw", "r", ""),
    "crm.dunning.attempt": READ_BY_OWN,
    "crm.dunning.notice": READ_BY_OWN,
    "crm.dunning.notice.line": READ_BY_OWN,
    "crm.dunning.fee": READ_BY_OWN,
    "crm.dunning.news": FOR_MANAGERS,
    "crm.dunning.policy": READ_BY_ALL,
    "crm.dunning.step": READ_BY_ALL,
    "crm.dunning.threshold": READ_BY_ALL,
    "crm.dunning.decline.rule": READ_BY_ALL,
    "crm.dunning.case.wizard": CLERKS_DIALOG,
    "crm.dunning.order.wizard": MANAGERS_DIALOG,
    "crm.dunning.fee.wizard": MANAGERS_DIALOG,
}
# Rights of models without samples here: what the model grants to each role.
ACCOUNTING_READS = ("", "", "r", "r", "r", "")
MODEL_RIGHTS = {
    "crm.billing.timeline": ("r", "r", "r", "r", "r", ""),
    "crm.dunning.answer": ("r", "r", "r", "r", "r", ""),
    "crm.dunning.backtest": ACCOUNTING_READS,
    "crm.dunning.backtest.line": ACCOUNTING_READS,
    "crm.dunning.dispute": ACCOUNTING_READS,
    "crm.dunning.interest.rate": READ_BY_ALL,
    "crm.dunning.notice.preview": CLERKS_DIALOG,
    "crm.dunning.notice.preview.line": CLERKS_DIALOG,
    "crm.dunning.payout": ACCOUNTING_READS,
    "crm.dunning.payout.import": ("", "", "rwcu", "rwcu", "rwcu", ""),
    "crm.dunning.payout.line": ACCOUNTING_READS,
    "crm.dunning.provider.event": ("", "", "r", "r", "", ""),
    "crm.dunning.recovery.report": ("r", "r", "r", "r", "r", ""),
    "crm.dunning.reply.rule": READ_BY_ALL,
}


class AccessCommon(DunningCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.portal = new_test_user(
            cls.env, login="dunning_portal", groups="base.group_portal"
        )
        cls.other_seller = cls.users["other_seller"]
        cls.foreign = cls._create_account("Contoso", user_id=cls.other_seller.id)
        cls.move = cls._create_invoice()
        cls.foreign_move = cls._create_invoice(
            account=cls.foreign, invoice_user_id=cls.other_seller.id
        )
        cls.moves = cls.move | cls.foreign_move
        cls.case, cls.foreign_case = cls.env["crm.dunning.case"]._open_for(cls.moves)
        cls.provider = cls.env["payment.provider"].create(
            {"name": "Test", "code": "none"}
        )

    def _make(self, model, **values):
        """Return the samples of a model: one of an own invoice, one of a foreign."""
        return self.env[model].create(
            [
                {
                    name: value(move) if callable(value) else value
                    for name, value in values.items()
                }
                for move in self.moves
            ]
        )

    def _get_samples(self, model):
        company, currency = self.company.id, self.currency.id
        today = fields.Date.today()
        line = {
            "company_id": company,
            "line_id": self._get_line,
            "move_id": lambda move: move.id,
            "days": 2,
            "kind": "listed",
            "date": today,
            "currency_id": currency,
        }
        if model == "crm.dunning.notice.line":
            notices = self._get_samples("crm.dunning.notice")
            by_move = dict(zip(self.moves, notices, strict=True))
            return self._make(model, **line, notice_id=lambda move: by_move[move].id)
        makers = {
            "crm.dunning.case": lambda: self.case | self.foreign_case,
            "crm.dunning.attempt": lambda: self._make(
                "crm.dunning.attempt",
                key=lambda move: f"key {move.id}",
                source="due",
                move_id=lambda move: move.id,
                provider_id=self.provider.id,
                currency_id=currency,
                amount=1.0,
            ),
            "crm.dunning.notice": lambda: self._make(
                "crm.dunning.notice",
                partner_id=lambda move: move.commercial_partner_id.id,
                company_id=company,
                currency_id=currency,
                date=today,
                move_id=lambda move: move.id,
            ),
            "crm.dunning.fee": lambda: self._make(
                "crm.dunning.fee",
                kind="fee",
                line_id=self._get_line,
                origin_move_id=lambda move: move.id,
                currency_id=currency,
                amount=1.0,
                date_to=today,
            ),
            "crm.dunning.news": lambda: self._make(
                "crm.dunning.news",
                user_id=lambda move: move.invoice_user_id.id,
                kind="paid",
                move_id=lambda move: move.id,
                company_id=company,
                currency_id=currency,
                key="key",
            ),
            "crm.dunning.policy": lambda: self.policy,
            "crm.dunning.step": lambda: self.policy.step_ids[:1],
            "crm.dunning.threshold": lambda: self.env["crm.dunning.threshold"].create(
                {"policy_id": self.policy.id, "currency_id": currency, "amount": 5}
            ),
        }
        return makers[model]() if model in makers else self.env[model]

    def _get_line(self, move):
        return move.line_ids.filtered("date_maturity")[:1].id


@tagged("post_install", "-at_install")
class TestDunningAccess(AccessCommon):
    def test_rights_by_role_and_model(self):
        users = {**self.users, "portal": self.portal}
        for model, row in MATRIX.items():
            samples = self._get_samples(model)
            for role, rights in zip(ROLES, row, strict=True):
                record = samples[-1:] if "foreign" in role else samples[:1]
                seen = record.with_user(users[role.split()[0]])
                got = "".join(
                    operation[0]
                    for operation in OPERATIONS
                    if seen.has_access(operation)
                )
                with self.subTest(f"{model}: {role}"):
                    self.assertEqual(got, rights)

    def test_rights_of_models_without_samples(self):
        users = {**self.users, "portal": self.portal}
        for model, row in MODEL_RIGHTS.items():
            for role, rights in zip(ROLES, row, strict=True):
                seen = self.env[model].with_user(users[role.split()[0]])
                got = "".join(
                    operation[0]
                    for operation in OPERATIONS
                    if seen.has_access(operation)
                )
                with self.subTest(f"{model}: {role}"):
                    self.assertEqual(got, rights)

    def test_every_model_of_ours_is_in_the_matrix(self):
        ours = {
            name
            for name, model in self.env.registry.items()
            if model._original_module == "crm_dunning" and not model._abstract
        }
        self.assertLessEqual(
            ours, {*MATRIX, *MODEL_RIGHTS}, "add the new models to a matrix"
        )

    def test_every_model_with_a_company_has_its_rule(self):
        rules = self.env["ir.rule"].search([("groups", "=", False)])
        for name in {*MATRIX, *MODEL_RIGHTS}:
            model = self.env[name]
            if model._transient or "company_id" not in model._fields:
                continue
            with self.subTest(name):
                names = rules.filtered(
                    lambda rule, name=name: rule.model_id.model == name
                ).mapped("domain_force")
                self.assertTrue(any("company_ids" in text for text in names))

    def test_another_company_sees_nothing(self):
        other = self.env["res.company"].create({"name": "Other"})
        for user in self.users.values():
            user.write(
                {"company_ids": [Command.set(other.ids)], "company_id": other.id}
            )
        for model in ("crm.dunning.case", "crm.dunning.notice", "crm.dunning.fee"):
            samples = self._get_samples(model)
            for user in self.users.values():
                with self.subTest(f"{model}: {user.name}"):
                    self.assertFalse(samples.with_user(user).has_access("read"))
                    self.assertFalse(
                        self.env[model]
                        .with_user(user)
                        .search([("id", "in", samples.ids)])
                    )

    def test_another_company_does_not_work_cases(self):
        other = self.env["res.company"].create({"name": "Other"})
        self.clerk.write(
            {"company_ids": [Command.set(other.ids)], "company_id": other.id}
        )
        case = self.case.with_user(self.clerk)
        for call in (case.action_take_over, case.action_resolve_dispute):
            with self.assertRaises(AccessError):
                call()
        with self.assertRaises(AccessError):
            self.move.with_user(self.clerk).action_start_dunning()


@tagged("post_install", "-at_install")
class TestDunningMachineFields(AccessCommon):
    """What collections write cannot be written by hand, whatever the role."""

    def _assert_locked(self, record, names, user):
        values = {"many2many": [Command.clear()], "one2many": [Command.clear()]}
        for name in names:
            value = values.get(record._fields[name].type, False)
            with self.subTest(f"{user.name} {record._name}.{name}"):
                with self.assertRaises(AccessError):
                    call_kw(
                        record.with_user(user), "write", [record.ids, {name: value}], {}
                    )

    def test_of_a_case_only_the_person_is_free(self):
        stored = {
            name
            for name, field in self.case._fields.items()
            if field.store and field.type not in ("one2many", "many2many")
        }
        free = {"owner_id", "deputy_id", "deadline"}
        core = {"id", "create_uid", "create_date", "write_uid", "write_date"}
        core |= {name for name in stored if name.startswith(("message_", "activity_"))}
        locked = stored - free - core
        self.assertIn("state", locked)
        self.assertIn("promise_date", locked)
        for user in (self.clerk, self.manager):
            self._assert_locked(self.case, locked, user)
            call_kw(
                self.case.with_user(user),
                "write",
                [self.case.ids, {"deadline": fields.Date.today(), "owner_id": user.id}],
                {},
            )
            self.assertEqual(self.case.owner_id, user)

    def test_nobody_makes_or_deletes_a_case(self):
        for user in (self.clerk, self.manager, self.users["accountant"]):
            with self.assertRaises(AccessError):
                self.case.with_user(user).create({"move_id": self.move.id})
            with self.assertRaises(AccessError):
                self.case.with_user(user).unlink()
            with self.assertRaises(AccessError):
                call_kw(
                    self.env["crm.dunning.case"].with_user(user),
                    "create",
                    [{"move_id": self.move.id, "state": "closed"}],
                    {"context": {"billing_flow": "flow"}},
                )

    def test_an_invoice(self):
        names = ("dunning_outcome", "dunning_case_ids", "is_dunning_fee")
        for user in (self.clerk, self.users["accountant"]):
            self._assert_locked(self.move, names, user)

    def test_a_deal_a_quotation_and_an_agreement(self):
        deal = self._create_deal()
        order = self._create_quotation(deal)
        agreement = self.env["crm.billing.agreement"].create(
            {"partner_id": self.account.id, "start_date": fields.Date.today()}
        )
        self._assert_locked(deal, ("billing_paid_at",), self.seller)
        names = ("dunning_allowed_uid", "dunning_allowed_at", "dunning_allow_reason")
        for user in (self.seller, self.clerk, self.manager):
            self._assert_locked(order, names, user)
        for user in (self.clerk, self.manager):
            self._assert_locked(agreement, ("dunning_hold_at",), user)

    def test_default_values_do_not_get_around_it(self):
        case = self.env["crm.dunning.case"].with_user(self.clerk)
        with self.assertRaises(AccessError):
            case.with_context(default_state="closed").create({"move_id": self.move.id})
