from odoo.exceptions import AccessError, UserError
from odoo.fields import Command
from odoo.service.model import call_kw
from odoo.tests import tagged

from .refusal_common import WallCommon


@tagged("post_install", "-at_install")
class TestAuditLog(WallCommon):
    """Every change of billing data says who, what, when, and by what road."""

    def _get_events(self, partner=None, **values):
        domain = [(name, "=", value) for name, value in values.items()]
        if partner is not None:
            domain.append(("partner_id", "=", partner.id))
        return self.env["crm.billing.event"].search(domain)

    def _assert_last(self, partner, **values):
        self.assertRecordValues(self._get_events(partner)[0], [values])

    # === WHAT IS LOGGED === #

    def test_a_change_carries_who_old_and_new(self):
        account = self.account.with_user(self.clerk)
        account.property_payment_term_id = self.long_terms
        self._assert_last(
            self.account,
            action="changed",
            field_name="property_payment_term_id",
            old_value=self.terms.display_name,
            new_value=self.long_terms.display_name,
            user_id=self.clerk.id,
            source="person",
            source_name=False,
            company_id=self.env.company.id,
            account_name="Northwind",
        )

    def test_every_walled_field_is_logged(self):
        self.account.with_user(self.clerk).write(self.walled)
        logged = self._get_events(self.account, action="changed").mapped("field_name")
        self.assertLessEqual(set(self.walled), set(logged))

    def test_what_does_not_change_leaves_no_line(self):
        before = self._get_events(self.account)
        self.account.with_user(self.clerk).write(
            {"property_payment_term_id": self.terms.id, "po_required": False}
        )
        self.assertEqual(self._get_events(self.account), before)

    def test_creation_values_are_logged(self):
        account = (
            self.env["res.partner"]
            .with_user(self.seller)
            .create({"name": "New", "is_company": True, "legal_name": "New Ltd"})
        )
        self._assert_last(
            account,
            action="created",
            field_name="legal_name",
            old_value=False,
            new_value="New Ltd",
            user_id=self.seller.id,
        )

    def test_defaults_at_creation_are_logged_too(self):
        self.env["ir.default"].set("res.partner", "po_required", True)
        account = self.env["res.partner"].with_user(self.seller).create({"name": "New"})
        self._assert_last(account, action="created", field_name="po_required")

    def test_contacts_that_mirror_the_account_are_not_logged(self):
        contact = self.account.billing_contact_id
        self.account.with_user(self.clerk).write({"po_number": "PO-1"})
        self.assertEqual(contact.po_number, "PO-1")
        self.assertFalse(self._get_events(contact))

    def test_bank_accounts_are_logged_by_their_last_digits(self):
        banks = self.env["res.partner.bank"].with_user(self.clerk)
        bank = banks.create(
            {"acc_number": "BE71096123456769", "partner_id": self.account.id}
        )
        self._assert_last(
            self.account,
            action="created",
            field_name="bank_ids",
            new_value="…6769, Northwind",
        )
        bank.acc_number = "BE02001234567890"
        self._assert_last(
            self.account,
            action="changed",
            old_value="…6769, Northwind",
            new_value="…7890, Northwind",
        )
        bank.unlink()
        self._assert_last(self.account, old_value="…7890, Northwind", new_value=False)

    def test_the_log_outlives_the_account(self):
        account = self.env["res.partner"].create({"name": "Gone", "po_number": "PO"})
        event = self._get_events(account)
        account.unlink()
        event.invalidate_recordset()
        self.assertEqual(event.account_name, "Gone")
        self.assertFalse(event.partner_id)

    def test_tracking_cannot_be_switched_off(self):
        account = self.account.with_user(self.clerk).with_context(
            tracking_disable=True, mail_notrack=True
        )
        account.po_required = True
        self._assert_last(self.account, field_name="po_required")

    # === BY WHAT ROAD === #

    def test_an_automation_rule_passes_and_is_named(self):
        self.env["base.automation"].create(
            {
                "name": "Charities are exempt",
                "model_id": self.env.ref("base.model_res_partner").id,
                "trigger": "on_create_or_write",
                "filter_domain": "[('comment', 'ilike', 'charity')]",
                "action_server_ids": [
                    Command.create(
                        {
                            "name": "Set exempt",
                            "model_id": self.env.ref("base.model_res_partner").id,
                            "state": "object_write",
                            "update_path": "tax_exempt",
                            "update_boolean_value": "true",
                        }
                    )
                ],
            }
        )
        self.seen.comment = "A charity"
        self.assertTrue(self.account.tax_exempt)
        self._assert_last(
            self.account,
            field_name="tax_exempt",
            source="rule",
            source_name="Charities are exempt",
            user_id=self.seller.id,
        )

    def _create_action(self, **values):
        return self.env["ir.actions.server"].create(
            {
                "name": "Hold the account",
                "model_id": self.env.ref("base.model_res_partner").id,
                "state": "object_write",
                "update_path": "billing_hold",
                "update_boolean_value": "true",
                **values,
            }
        )

    def test_a_server_action_passes_and_is_named(self):
        self._create_action().with_user(self.seller).with_context(
            active_model="res.partner", active_id=self.account.id
        ).run()
        self._assert_last(
            self.account,
            field_name="billing_hold",
            source="rule",
            source_name="Hold the account",
            user_id=self.seller.id,
        )

    def test_code_of_an_administrator_runs_with_the_rights_of_the_user(self):
        action = self._create_action(
            state="code", code="record.write({'billing_hold': True})"
        )
        with self._assert_refused():
            action.with_user(self.seller).with_context(
                active_model="res.partner", active_id=self.account.id
            ).run()

    def test_a_scheduled_job_is_named(self):
        cron = self.env["ir.cron"].create(
            {
                "name": "Nightly hold",
                "model_id": self.env.ref("base.model_res_partner").id,
                "state": "code",
                "code": f"model.browse({self.account.id}).write({{'billing_hold': 1}})",
                "interval_number": 1,
                "interval_type": "days",
            }
        )
        with self.enter_registry_test_mode():
            cron.method_direct_trigger()
        self._assert_last(
            self.account,
            field_name="billing_hold",
            source="job",
            source_name="Nightly hold",
        )

    def test_an_import_is_told_from_typing(self):
        partners = self.env["res.partner"].with_user(self.clerk)
        result = partners.load(
            [".id", "po_number"], [[str(self.account.id), "PO-IMPORT"]]
        )
        self.assertFalse(result["messages"])
        self._assert_last(
            self.account, field_name="po_number", source="import", source_name=False
        )

    def test_the_source_cannot_be_forged(self):
        automation = self.env["base.automation"].search([], limit=1)
        for context in (
            {"import_file": True},
            {"cron_id": self.env["ir.cron"].search([], limit=1).id},
            {"billing_action_id": self._create_action().id},
            {"billing_cause": "Nightly hold"},
            {"billing_cause": {"source": "job", "name": "x"}},
            {"__action_done": {str(automation.id): [1]}},
            {"billing_from_handoff": True},
        ):
            number = f"PO-{sorted(context)}"
            with self.subTest(context):
                call_kw(
                    self.env["res.partner"].with_user(self.clerk),
                    "write",
                    [self.account.ids, {"po_number": number}],
                    {"context": context},
                )
                self._assert_last(
                    self.account,
                    new_value=number,
                    source="person",
                    source_name=False,
                    user_id=self.clerk.id,
                )

    def test_the_handoff_names_the_job_that_made_the_draft(self):
        deal = self._create_deal()
        self._create_quotation(deal, confirm=True)
        self._win(deal)
        self._run_job()
        event = self._get_events(lead_id=deal.id, action="drafted")
        self.assertRecordValues(
            event, [{"source": "job", "source_name": "Billing: process handoffs"}]
        )

    def test_a_verb_of_the_actions_menu_is_the_persons_own_act(self):
        deal = self._create_deal()
        self._create_quotation(deal, confirm=True)
        self._win(deal)
        action = self.env.ref("crm_billing_handoff.crm_lead_action_hand_off")
        action.with_user(self.seller).with_context(
            active_model="crm.lead", active_id=deal.id, active_ids=deal.ids
        ).run()
        event = self._get_events(lead_id=deal.id, action="drafted")
        self.assertRecordValues(
            event, [{"source": "person", "user_id": self.seller.id}]
        )

    # === NOBODY EDITS IT === #

    def test_nobody_changes_or_deletes_a_line(self):
        event = self._get_events(self.account)[0]
        admin = self.env.ref("base.user_admin")
        for log in (event, event.sudo(), event.with_user(admin)):
            with self.subTest(log.env.user.name), self.assertRaises(UserError):
                log.write({"new_value": "Other"})
            with self.subTest(log.env.user.name), self.assertRaises(UserError):
                log.unlink()
        for user in (*self.users.values(), admin):
            for operation in ("create", "write", "unlink"):
                with self.subTest(user.name, operation=operation):
                    self.assertFalse(event.with_user(user).has_access(operation))

    def test_nobody_writes_a_line_by_rpc(self):
        admin = self.env.ref("base.user_admin")
        line = {"action": "reviewed", "source": "person", "user_id": self.clerk.id}
        for user in (self.seller, self.clerk, self.manager, admin):
            events = self.env["crm.billing.event"].with_user(user)
            with self.subTest(user.name), self.assertRaises(AccessError):
                call_kw(events, "create", [line], {})
            with self.subTest(user.name), self.assertRaises(AccessError):
                call_kw(events, "_log", [[line]], {})
            with self.subTest(user.name), self.assertRaises(AccessError):
                call_kw(events, "copy", [self._get_events(self.account)[0].ids], {})
            result = events.load(["action", "source"], [["Draft reviewed", "Person"]])
            self.assertFalse(result["ids"])
