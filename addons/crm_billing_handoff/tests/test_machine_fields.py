from odoo.exceptions import AccessError, ValidationError
from odoo.fields import Command
from odoo.models import MAGIC_COLUMNS
from odoo.service.model import call_kw
from odoo.tests import new_test_user, tagged

from ..models.billing_machine_fields import (
    HANDOFF_FIELDS,
    LEAD_FIELDS,
    MOVE_FIELDS,
    ORDER_LINE_FIELDS,
)
from .refusal_common import AccessCommon


@tagged("post_install", "-at_install")
class TestMachineFields(AccessCommon):
    """What the flow writes cannot be written by hand, whatever the role."""

    def _assert_locked(self, record, names, user):
        values = {"many2many": [Command.clear()], "one2many": [Command.clear()]}
        for name in names:
            value = values.get(record._fields[name].type, False)
            with self.subTest(f"{user.name} {record._name}.{name}"):
                with self._assert_refused("not written by hand|not allowed|rights"):
                    call_kw(
                        record.with_user(user), "write", [record.ids, {name: value}], {}
                    )

    def test_a_handoff(self):
        for user in (self.clerk, self.manager):
            self._assert_locked(self.handoff, HANDOFF_FIELDS, user)
        self.handoff.with_user(self.clerk).bill_to_id = self.foreign_account

    def test_a_deal(self):
        self._assert_locked(self.deal, LEAD_FIELDS, self.seller)

    def test_what_an_order_line_has_billed(self):
        for user in (self.seller, self.clerk):
            self._assert_locked(self.order.order_line, ORDER_LINE_FIELDS, user)

    def test_an_archived_payer_of_a_handoff_is_refused(self):
        self.foreign_account.active = False
        with self._assert_refused("Contoso is archived", ValidationError):
            self.handoff.with_user(self.clerk).bill_to_id = self.foreign_account

    def test_a_draft(self):
        for user in (self.clerk, self.accountant):
            self._assert_locked(self.draft, MOVE_FIELDS, user)
            with self.assertRaises(AccessError):
                self.draft.with_user(user).is_billing_review = False

    def test_all_stored_fields_of_ours_are_decided(self):
        free = {
            "bill_to_id",
            "order_id",
            "billing_courier",
            "billing_tracking_ref",
            "billing_review_note",
            "is_billing_review",
            "billing_exempt_reason",
            "billing_milestone_ids",
        }
        decided = {*LEAD_FIELDS, *HANDOFF_FIELDS, *MOVE_FIELDS, *free}
        for model in ("crm.lead", "crm.billing.handoff", "account.move"):
            ours = {
                name
                for name, field in self.env[model]._fields.items()
                if field._module == "crm_billing_handoff" and field.store
            }
            with self.subTest(model):
                self.assertFalse(ours - decided - set(MAGIC_COLUMNS))

    def test_the_client_is_told(self):
        fields = self.draft.with_user(self.clerk).fields_get(MOVE_FIELDS, ["readonly"])
        self.assertTrue(all(info["readonly"] for info in fields.values()))

    def test_forged_context_opens_nothing(self):
        for context in (
            {"billing_flow": "flow"},
            {"billing_flow": True},
            {"billing_from_handoff": True},
            {"billing_cause": "job"},
        ):
            with self.subTest(context), self.assertRaises(AccessError):
                call_kw(
                    self.draft.with_user(self.accountant),
                    "write",
                    [self.draft.ids, {"billing_reviewed_uid": self.clerk.id}],
                    {"context": context},
                )

    def test_a_new_invoice_cannot_claim_a_deal_or_a_review(self):
        moves = self.env["account.move"].with_user(self.accountant)
        for values in (
            {"opportunity_ids": [Command.link(self.deal.id)]},
            {"billing_reviewed_uid": self.clerk.id},
        ):
            with self.subTest(values), self.assertRaises(AccessError):
                moves.create({"move_type": "out_invoice", **values})
        with self.assertRaises(AccessError):
            moves.with_context(default_billing_reviewed_uid=self.clerk.id).create(
                {"move_type": "out_invoice"}
            )

    def test_an_own_default_does_not_fake_a_review(self):
        defaults = self.env["ir.default"].with_user(self.accountant)
        defaults.set(
            "account.move", "billing_reviewed_uid", self.clerk.id, user_id=True
        )
        move = self.env["account.move"].with_user(self.accountant)
        move = move.create({"move_type": "out_invoice"})
        self.assertFalse(move.billing_reviewed_uid)

    def test_nobody_makes_or_deletes_a_handoff_by_hand(self):
        values = {"lead_id": self.deal.id, "company_id": self.env.company.id}
        for user in (self.seller, self.clerk, self.manager, self.accountant):
            with self.subTest(user.name), self.assertRaises(AccessError):
                self.handoff.with_user(user).create(values)
            with self.subTest(user.name), self.assertRaises(AccessError):
                self.handoff.with_user(user).unlink()

    def test_sales_cannot_choose_the_payer_on_the_handoff(self):
        with self.assertRaises(AccessError):
            self.handoff.with_user(self.seller).bill_to_id = self.foreign_account
        # Lines of a deal are written as the user who began the transaction.
        self.patch(self.env.transaction, "default_env", self.env(user=self.seller))
        payer = {"bill_to_id": self.foreign_account.id}
        with self.assertRaises(AccessError):
            self.deal.with_user(self.seller).write(
                {"billing_handoff_ids": [Command.update(self.handoff.id, payer)]}
            )

    def test_the_flow_itself_goes_on(self):
        self.draft.with_user(self.clerk).action_billing_review()
        self.assertEqual(self.draft.billing_reviewed_uid, self.clerk)
        self.draft.with_user(self.clerk).action_post()
        refund = (
            self.draft.with_user(self.accountant)
            ._reverse_moves([{"ref": "back"}])
            .with_user(self.env.user)
        )
        self.assertEqual(refund.opportunity_ids, self.deal)

    def test_a_salesperson_merges_deals_with_invoices(self):
        other = self._create_deal()
        merged = (self.deal | other).with_user(self.seller).merge_opportunity()
        self.assertEqual(merged.billing_move_ids.sudo(), self.draft)


@tagged("post_install", "-at_install")
class TestLeaks(AccessCommon):
    """What computed fields, which read as superuser, give to whom."""

    def test_open_balance_is_for_billing_and_the_accounts_salesperson(self):
        (self.draft | self.foreign_draft).billing_review_note = "ok"
        (self.draft | self.foreign_draft).with_user(self.clerk).action_billing_review()
        (self.draft | self.foreign_draft).action_post()
        plain = new_test_user(self.env, login="billing_plain", groups="base.group_user")
        expected = {
            self.seller: (True, False),
            self.other_seller: (False, True),
            self.clerk: (True, True),
            self.accountant: (True, True),
            plain: (False, False),
        }
        for user, seen in expected.items():
            accounts = (self.account | self.foreign_account).with_user(user)
            with self.subTest(user.name):
                self.assertEqual(
                    tuple(bool(account.billing_open_balance) for account in accounts),
                    seen,
                )

    def test_the_customer_does_not_read_how_we_handle_it(self):
        self.portal.partner_id.parent_id = self.account
        partner = self.account.with_user(self.portal)
        self.assertTrue(partner.has_access("read"))
        for name in (
            "billing_hold",
            "billing_open_balance",
            "billing_readiness",
            "service_tier_id",
        ):
            with self.subTest(name), self.assertRaises(AccessError):
                call_kw(partner, "read", [partner.ids, [name]], {})
        self.assertNotIn("billing_hold", partner.fields_get())
        call_kw(partner, "read", [partner.ids, ["name", "street", "vat"]], {})

    def test_a_foreign_draft_shows_no_checklist_to_sales(self):
        for name in ("billing_checklist", "billing_deal_names"):
            with self.subTest(name), self.assertRaises(AccessError):
                call_kw(
                    self.foreign_draft.with_user(self.seller),
                    "read",
                    [self.foreign_draft.ids, [name]],
                    {},
                )

    def test_a_foreign_deal_shows_no_readiness_to_sales(self):
        for record in (self.foreign_deal, self.foreign_handoff):
            with self.assertRaises(AccessError):
                record.with_user(self.seller).read(["billing_state"])

    def test_the_accountant_reads_handoffs_and_log(self):
        handoff = self.handoff.with_user(self.accountant)
        values = handoff.web_read(
            {
                "display_name": {},
                "lead_id": {"fields": {"display_name": {}}},
                "account_id": {"fields": {"display_name": {}}},
                "state": {},
                "readiness": {},
                "move_ids": {"fields": {"display_name": {}}},
            }
        )[0]
        self.assertEqual(values["display_name"], self.deal.name)
        self.assertEqual(values["lead_id"]["display_name"], self.deal.name)
        self.assertEqual(len(values["move_ids"]), 1)
