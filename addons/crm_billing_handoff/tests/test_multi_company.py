from odoo.exceptions import AccessError, UserError
from odoo.fields import Command
from odoo.tests import tagged

from . import test_views
from .common import BillingHandoffCommon

ROLES = ("seller", "clerk", "manager", "accountant")


class MultiCompanyCommon(BillingHandoffCommon):
    """Everybody works in two companies; each has a won deal of its own."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.other = cls.env["res.company"].create(
            {"name": "Other Company", "country_id": cls.home.id}
        )
        cls.env["account.chart.template"].try_loading(
            "generic_coa", company=cls.other, install_demo=False
        )
        for user in cls.users.values():
            user.company_ids += cls.other
        cls.other.billing_responsible_id = cls.clerk
        cls.shared = cls._create_account("Shared")
        cls.other_account = cls._create_account("Elsewhere", company_id=cls.other.id)

    @classmethod
    def _create_deal_in(cls, company, account=None, **values):
        """Return an open deal of ``company``, of a team without company."""
        team = cls.env["crm.team"].create({"name": "Team", "company_id": False})
        return cls._create_deal(
            account or cls.shared,
            team_id=team.id,
            company_id=company and company.id,
            **values,
        )

    def _process_in(self, deal):
        handoff = self._win_and_process(deal)
        self.env.flush_all()
        return handoff


@tagged("post_install", "-at_install")
class TestCompanyOfHandoff(MultiCompanyCommon):
    """B3: the company of the deal, else of its team, else of its owner."""

    def test_the_deal_decides_first(self):
        deal = self._create_deal_in(self.other, expected_revenue=100.0)
        handoff = self._process_in(deal)
        self.assertEqual(handoff.company_id, self.other)
        self.assertEqual(handoff.move_ids.company_id, self.other)
        self.assertEqual(handoff.move_ids.journal_id.company_id, self.other)

    def test_the_quotation_decides_next(self):
        deal = self._create_deal_in(False)
        product = self.product.copy({"taxes_id": [Command.clear()]})
        self._create_quotation(deal, company_id=self.other.id, product=product)
        handoff = self._process_in(deal)
        self.assertEqual(handoff.company_id, self.other)
        self.assertEqual(handoff.state, "done", handoff.missing)
        self.assertEqual(handoff.move_ids.company_id, self.other)

    def test_the_team_decides_next(self):
        team = self.env["crm.team"].create({"name": "T", "company_id": self.other.id})
        deal = self._create_deal(self.shared, team_id=team.id, expected_revenue=100.0)
        handoff = self._process_in(deal)
        self.assertEqual(handoff.company_id, self.other)

    def test_a_company_that_is_chosen_later_counts(self):
        deal = self._create_deal_in(False)
        handoff = self._process_in(deal)
        self.assertEqual(handoff.company_id, self.company)
        deal.write({"company_id": self.other.id, "expected_revenue": 100.0})
        handoff._process_or_bisect()
        self.assertEqual(handoff.company_id, self.other)
        self.assertEqual(handoff.move_ids.company_id, self.other)

    def test_the_owner_decides_last(self):
        self.seller.company_id = self.other
        self.env.flush_all()
        deal = self._create_deal_in(False, expected_revenue=100.0)
        # The company comes from the deal's owner, not from who wins it.
        handoff = self._win(deal, self.env.user)
        self.assertEqual(handoff.company_id, self.other)

    def test_two_companies_in_conflict_block(self):
        deal = self._create_deal_in(self.other, expected_revenue=100.0)
        own = self._create_account("Own", company_id=self.company.id)
        # Core refuses it on the form; history and other addons bring it about.
        self.env.cr.execute(
            "UPDATE crm_lead SET partner_id = %s WHERE id = %s", (own.id, deal.id)
        )
        deal.invalidate_recordset()
        handoff = self._process_in(deal)
        self.assertEqual(handoff.state, "blocked")
        self.assertFalse(handoff.move_ids)
        self.assertIn("companies", [gap["code"] for gap in handoff.missing])

    def test_terms_are_those_of_the_company(self):
        self.shared.with_company(self.other).property_payment_term_id = False
        days = self.env.ref("account.account_payment_term_15days")
        self.shared.with_company(self.other).property_payment_term_id = days
        deal = self._create_deal_in(self.other, expected_revenue=100.0)
        handoff = self._process_in(deal)
        self.assertEqual(handoff.move_ids.invoice_payment_term_id, days)

    def test_an_agreement_is_made_in_the_company_of_the_deal(self):
        days = self.env.ref("account.account_payment_term_15days")
        self.shared.with_company(self.other).property_payment_term_id = days
        tax = self.env["account.tax"].search(
            [("company_id", "=", self.other.id), ("type_tax_use", "=", "sale")], limit=1
        )
        product = self._create_product(
            billing_method="flat",
            billing_plan_id=self.env.ref("crm_billing_handoff.plan_monthly").id,
            taxes_id=[Command.set((tax | self.tax).ids)],
        )
        deal = self._create_deal_in(self.other)
        self._create_quotation(deal, company_id=self.other.id, product=product)
        agreement = self._process_in(deal).agreement_id
        self.assertEqual(agreement.company_id, self.other)
        self.assertEqual(agreement.line_ids.tax_ids, tax)
        self.assertFalse(agreement.payment_term_id, "that of the account there")
        draft = agreement.move_ids
        self.assertEqual(draft.company_id, self.other)
        self.assertEqual(draft.journal_id.company_id, self.other)
        self.assertEqual(draft.invoice_payment_term_id, days)
        self.clerk.write(
            {"company_ids": [Command.set(self.company.ids)], "company_id": self.company}
        )
        self.assertFalse(agreement.with_user(self.clerk).has_access("read"))

    def test_a_payer_of_another_company_is_refused_on_the_handoff(self):
        deal = self._create_deal_in(self.company, expected_revenue=100.0)
        handoff = self._win(deal)
        with self.assertRaisesRegex(UserError, "Elsewhere.*another company"):
            handoff.with_user(self.clerk).bill_to_id = self.other_account


@tagged("post_install", "-at_install")
class TestCompanyWalls(MultiCompanyCommon):
    """Records of the other company are neither seen nor opened."""

    # As the web client does it.
    _get_menus = test_views.TestViews._get_menus
    _open_views = test_views.TestViews._open_views
    _get_specification = test_views.TestViews._get_specification
    _get_field_nodes = test_views.TestViews._get_field_nodes
    _eval = test_views.TestViews._eval

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.deals = {}
        for company, account in (
            (cls.company, cls.account),
            (cls.other, cls.other_account),
        ):
            deal = cls._create_deal_in(company, account, expected_revenue=100.0)
            deal.with_user(cls.seller).stage_id = cls.won_stage
            cls.env.flush_all()
            deal.billing_handoff_ids._process_or_bisect()
            cls.deals[company] = deal
        cls.env["crm.billing.plan"].create(
            [{"name": company.name, "company_id": company.id} for company in cls.deals]
        )
        cls.env["crm.billing.service.tier"].create(
            [{"name": company.name, "company_id": company.id} for company in cls.deals]
        )
        cls.env["crm.billing.readiness.rule"].create(
            [
                {
                    "name": company.name,
                    "company_id": company.id,
                    "field_path": "name",
                    "message": "Why",
                }
                for company in cls.deals
            ]
        )

    def _get_other(self, company):
        return self.other if company == self.company else self.company

    def test_both_deals_are_billed(self):
        for company, deal in self.deals.items():
            self.assertEqual(deal.billing_move_ids.company_id, company)

    def test_every_menu_in_each_company_as_each_role(self):
        for role in ROLES:
            user = self.users[role]
            for company in self.deals:
                for menu in self._get_menus(user):
                    with self.subTest(role=role, company=company.name, menu=menu.name):
                        action = menu.action
                        if action._name == "ir.actions.act_window":
                            self._open_in(company, action._get_action_dict(), user)

    def _open_in(self, company, action, user):
        model = (
            self.env[action["res_model"]]
            .with_user(user)
            .with_context(allowed_company_ids=company.ids)
        )
        domain = action.get("domain") or []
        if isinstance(domain, str):
            domain = self._eval(domain, user)
        records = model.search(domain) if not model._transient else model
        if "company_id" in records._fields:
            self.assertLessEqual(records.sudo().company_id, company)
        if model._name in ("crm.billing.handoff", "account.move"):
            self.assertTrue(records)
        views = action.get("views") or [
            (False, kind) for kind in action["view_mode"].split(",")
        ]
        # Views without records would read nothing: the walls are in the reading.
        self._open_views(records[:5], views, user)

    def test_the_other_company_is_invisible_and_unreadable(self):
        for company, deal in self.deals.items():
            hidden = {
                "crm.billing.handoff": deal.billing_handoff_ids,
                "crm.billing.event": self.env["crm.billing.event"].search(
                    [("company_id", "=", company.id)]
                ),
                "crm.billing.plan": self._get_named("crm.billing.plan", company),
                "crm.billing.service.tier": self._get_named(
                    "crm.billing.service.tier", company
                ),
                "crm.billing.readiness.rule": self._get_named(
                    "crm.billing.readiness.rule", company
                ),
            }
            for model, records in hidden.items():
                for role in ROLES:
                    seen = records.with_user(self.users[role]).with_context(
                        allowed_company_ids=self._get_other(company).ids
                    )
                    with self.subTest(model=model, role=role, company=company.name):
                        self.assertTrue(records)
                        self.assertFalse(seen.search([("id", "in", records.ids)]))
                        with self.assertRaises(AccessError):
                            seen[0].read(["display_name"])

    def _get_named(self, model, company):
        return self.env[model].search([("company_id", "=", company.id)])

    def test_verbs_do_not_reach_the_other_company(self):
        deal = self.deals[self.other]
        for role in ("seller", "clerk", "manager"):
            here = {"allowed_company_ids": self.company.ids}
            user = self.users[role]
            with self.subTest(role, verb="process"), self.assertRaises(AccessError):
                handoff = deal.billing_handoff_ids.with_user(user)
                handoff.with_context(**here).action_process()
            with self.subTest(role, verb="hand off"), self.assertRaises(AccessError):
                deal.with_user(user).with_context(**here).action_hand_off()

    def test_values_of_one_company_are_logged_there(self):
        account = self.shared.with_user(self.clerk).with_company(self.other)
        account.property_payment_term_id = self.env.ref(
            "account.account_payment_term_15days"
        )
        account.po_number = "PO-SHARED"
        events = self.env["crm.billing.event"]
        terms = events.search([("field_name", "=", "property_payment_term_id")])[:1]
        self.assertEqual(terms.company_id, self.other)
        number = events.search([("new_value", "=", "PO-SHARED")])
        self.assertFalse(number.company_id, "a value that the companies share")

    def test_the_open_balance_is_of_one_company(self):
        for company in self.deals:
            deal = self._create_deal_in(company, self.shared, expected_revenue=50.0)
            handoff = self._process_in(deal)
            handoff.move_ids.billing_review_note = "As agreed"
            handoff.move_ids.action_billing_review()
            handoff.move_ids.action_post()
        account = self.shared.with_user(self.clerk)
        for company in self.deals:
            balance = account.with_company(company).billing_open_balance
            total = handoff.move_ids.search(
                [
                    ("company_id", "=", company.id),
                    ("commercial_partner_id", "=", self.shared.id),
                ]
            ).amount_total
            self.assertAlmostEqual(balance, total)
