from odoo.modules.module import Manifest
from odoo.tests import TransactionCase, tagged
from odoo.tools import convert_file
from odoo.tools.safe_eval import safe_eval

MODULE = "crm_billing_handoff"
LOGINS = {
    "sam": "sales_team.group_sale_salesman",
    "nora": "sales_team.group_sale_salesman",
    "clara": "crm_billing_handoff.group_billing_user",
    "max": "crm_billing_handoff.group_billing_manager",
    "anna": "account.group_account_invoice",
}
# Our groups and those that a role must not have by accident.
TELLING_GROUPS = (
    "sales_team.group_sale_salesman",
    "crm_billing_handoff.group_billing_user",
    "crm_billing_handoff.group_billing_manager",
    "account.group_account_manager",
    "base.group_system",
)


@tagged("post_install", "-at_install")
class TestDemo(TransactionCase):
    """The demo story shows something in every view, in a database without it too."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        if not cls.env.ref(f"{MODULE}.res_users_sam", raise_if_not_found=False):
            for path in Manifest.for_addon(MODULE)["demo"]:
                convert_file(cls.env, MODULE, path, {}, mode="init", noupdate=True)
            cls.env.flush_all()
        cls.deals = cls.env["crm.lead"].search(
            [("team_id", "=", cls.env.ref(f"{MODULE}.crm_team_services").id)]
        )

    def _as(self, login, model):
        return self.env[model].with_user(self.env.ref(f"{MODULE}.res_users_{login}"))

    def _deal(self, name):
        return self.env.ref(f"{MODULE}.crm_lead_{name}")

    def _draft(self, name):
        return self.env.ref(f"{MODULE}.account_move_{name}")

    def test_each_login_has_its_role_and_no_more(self):
        for login, group in LOGINS.items():
            with self.subTest(login=login):
                user = self.env["res.users"].search([("login", "=", login)])
                implied = self.env.ref(group).all_implied_ids
                has = {name for name in TELLING_GROUPS if user.has_group(name)}
                meant = {
                    name for name in TELLING_GROUPS if self.env.ref(name) in implied
                }
                self.assertEqual(has, meant)
                credential = {"type": "password", "password": login}
                user.with_user(user)._check_credentials(
                    credential, {"interactive": True}
                )
        self.assertTrue(
            self.env.ref("base.user_admin").has_group(f"{MODULE}.group_billing_manager")
        )
        self.assertEqual(
            self.env.ref("base.main_company").billing_responsible_id.login, "clara"
        )

    def test_every_billing_state_appears(self):
        states = {
            state for state, _label in self.deals._fields["billing_state"].selection
        }
        self.assertEqual(set(self.deals.mapped("billing_state")), states)
        for field in ("billing_overdue", "billing_payment_blocked"):
            self.assertTrue(self.deals.search([(field, "=", True)]) & self.deals, field)
        self.assertEqual(
            self.deals.filtered("billing_not_won"), self._deal("northgate_training")
        )
        handoff_states = set(self.deals.billing_handoff_ids.mapped("state"))
        self.assertEqual(handoff_states, {"pending", "blocked", "done"})

    def test_each_blocked_deal_has_its_own_reason(self):
        reasons = {
            "tidewater_wifi": "Accounts payable contact",
            "pinecrest_network": "PO number",
            "meridian_warehousing_network": "Several quotations",
            "juniper_support": "Nothing delivered yet",
            "bluefin_helpdesk": "Billing hold",
            "okafor_laptops": "Company",
            "larkspur_audit": "Accounts payable e-mail",
        }
        for name, reason in reasons.items():
            with self.subTest(deal=name):
                handoff = self._deal(name).billing_handoff_id
                self.assertEqual(handoff.state, "blocked")
                self.assertFalse(handoff.billing_error)
                self.assertEqual(handoff.missing[0]["name"], reason)
                self.assertEqual(handoff.missing[0]["level"], "block")
        self.assertEqual(self._deal("alder_move").billing_gap_count, 0)
        self.assertEqual(self._deal("summit_wifi").billing_gap_count, 1)

    def test_drafts_to_review_are_clean_or_red_as_told(self):
        red = {
            "kessler_remote": [],
            "harbor_library": [],
            "meridian_freight_helpdesk": [],
            "northgate_rooms": [],
            "orchard_screens": ["quotation"],
            "cascade_helpdesk": ["terms"],
            "cascade_consulting": ["po"],
            "meridian_warehousing_audit": ["payer"],
            "alder_consulting": ["amount", "discount"],
            "alder_training_again": ["duplicate"],
            "northgate_backup": ["discount"],
        }
        for name, codes in red.items():
            with self.subTest(draft=name):
                checklist = self._draft(name).billing_checklist
                found = [row["code"] for row in checklist if row["status"] != "ok"]
                self.assertEqual(found, codes)
        self.assertTrue(self._draft("cascade_consulting").billing_is_reviewed)
        self.assertEqual(
            self._draft("meridian_freight_helpdesk").commercial_partner_id,
            self.env.ref(f"{MODULE}.res_partner_meridian"),
        )
        for name in ("kessler_remote", "harbor_library"):
            self.assertFalse(self._draft(name).amount_tax)

    def test_every_view_has_something_to_show(self):
        for login, xmlid in (
            ("sam", "crm_billing_handoff_action"),
            ("nora", "crm_billing_handoff_action"),
            ("clara", "crm_billing_handoff_action"),
            ("anna", "crm_billing_handoff_action"),
            ("clara", "account_move_action_to_review"),
            ("clara", "account_move_action_billing"),
            ("clara", "res_partner_action_accounts"),
            ("max", "crm_billing_event_action"),
            ("sam", "crm_billing_agreement_action"),
            ("clara", "crm_billing_agreement_action"),
            ("clara", "crm_billing_agreement_action_due"),
            ("anna", "crm_billing_period_action"),
            ("clara", "crm_billing_agreement_line_action"),
            ("clara", "crm_billing_rehearsal_action"),
        ):
            with self.subTest(login=login, action=xmlid):
                action = self.env.ref(f"{MODULE}.{xmlid}")
                domain = safe_eval(action.domain or "[]")
                self.assertTrue(self._as(login, action.res_model).search(domain))

    def test_every_filter_of_the_accounts_finds_one(self):
        accounts = self._as("clara", "res.partner").search(
            [("id", "in", self.deals.partner_id.ids)]
        )
        for field in ("bill_to_id", "tax_exempt", "billing_hold", "private_customer"):
            self.assertTrue(accounts.filtered(field), field)
        self.assertTrue(
            accounts.filtered(lambda account: not account.billing_contact_id)
        )
        holding = self.env.ref(f"{MODULE}.res_partner_meridian")
        subsidiaries = holding.child_ids.filtered("is_company")
        self.assertEqual(len(subsidiaries), 2)
        self.assertTrue(
            subsidiaries.child_ids.filtered(lambda site: site.type == "delivery")
        )

    # === AGREEMENTS === #

    def _agreement(self, name):
        return self.env.ref(f"{MODULE}.crm_billing_agreement_{name}")

    def _get_statuses(self, name, line=0):
        cells = self._agreement(name).get_coverage_map()["strips"][line]["cells"]
        return [cell["status"] for cell in cells]

    def test_agreements_of_every_kind(self):
        states = {
            "brightwater": "running",
            "draft": "draft",
            "ironbridge": "paused",
            "lakeside": "cancelled",
            "solstice": "running",
        }
        for name, state in states.items():
            with self.subTest(agreement=name):
                self.assertEqual(self._agreement(name).state, state)
        self.assertIn("billing hold", self._agreement("oakline").billing_error)
        self.assertTrue(self._agreement("nimbus").is_catch_up_held)
        self.assertEqual(self._agreement("ulmen").currency_id.name, "EUR")
        methods = {
            line.billing_method
            for line in self.env["crm.billing.agreement.line"].search([])
        }
        self.assertEqual(methods, {"flat", "usage", "milestone", "one_off"})
        ending = self._agreement("vantage")
        self.assertEqual(ending.renewal_policy, "ask")
        self.assertTrue(self._agreement("tamarack").line_ids.filtered("discount"))

    def test_the_outage_shows_until_somebody_bills_it(self):
        statuses = self._get_statuses("maple")
        self.assertIn(statuses.count("missing"), (3, 4, 5))
        self.assertIn("billed", statuses)
        self.assertTrue(
            all(status == "missing" for status in self._get_statuses("nimbus")[:20])
        )

    def test_the_strips_tell_the_stories(self):
        self.assertIn("part_credited", self._get_statuses("brightwater"))
        self.assertIn("draft", self._get_statuses("brightwater"))
        self.assertIn("paused", self._get_statuses("ironbridge"))
        self.assertIn("part_credited", self._get_statuses("lakeside"))
        self.assertEqual(self._get_statuses("solstice")[0], "trial")
        self.assertEqual(
            self._get_statuses("halcyon"), ["billed", "billed", "draft", "upcoming"]
        )

    def test_two_agreements_of_one_account_share_an_invoice(self):
        shared = self._agreement("quarry_school").move_ids & (
            self._agreement("quarry_library").move_ids
        )
        self.assertTrue(shared)
        sections = shared[0].invoice_line_ids.filtered(
            lambda line: line.display_type == "line_section"
        )
        self.assertEqual(len(sections), 2)

    def test_the_refund_went_back_and_the_late_calls_are_billed(self):
        refunds = self._agreement("lakeside").move_ids.filtered(
            lambda move: move.move_type == "out_refund"
        )
        self.assertTrue(refunds)
        kinds = set(self._agreement("granite").period_ids.mapped("kind"))
        self.assertLessEqual({"recurring", "usage", "late_usage"}, kinds)

    def test_every_amount_is_recomputed_equal(self):
        for period in self.env["crm.billing.period"].search([]):
            if period.explanation:
                with self.subTest(period=period.id, kind=period.kind):
                    self.assertIn(period.proof["verdict"], ("equal", "stated"))

    def test_rehearsals_tell_what_changed(self):
        second = self.env.ref(f"{MODULE}.crm_billing_rehearsal_second")
        self.assertEqual(second.state, "done")
        self.assertTrue(second.amount)
        self.assertTrue(second.causes)
        self.assertEqual(second.broken_count, 1)
