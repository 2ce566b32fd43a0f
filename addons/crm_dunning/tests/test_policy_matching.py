from odoo.exceptions import AccessError, UserError
from odoo.fields import Command
from odoo.tests import tagged

from odoo.addons.crm_billing_handoff.tests.refusal_common import RefusalCommon

from .common import DunningCommon


@tagged("post_install", "-at_install")
class TestPolicyMatching(RefusalCommon, DunningCommon):
    """Which policy follows which account."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.gold = cls.env["crm.billing.service.tier"].create({"name": "Gold"})
        cls.tag = cls.env["res.partner.category"].create({"name": "Small tickets"})
        cls.other_account = cls._create_account("Southwind")

    def _get(self, account=None, company=None):
        account = account or self.account
        found = account._get_dunning_policies(company or self.company)
        return found[account.id]

    def _create(self, name, **values):
        return self._create_policy(name=name, **{"sequence": 90, **values})

    def test_own_before_tier_before_tags_before_default(self):
        by_tag = self._create("Tag", category_ids=[Command.set(self.tag.ids)])
        by_tier = self._create("Tier", tier_ids=[Command.set(self.gold.ids)])
        own = self._create("Own")
        self.assertEqual(self._get(), self.policy)
        self.account.category_id = self.tag
        self.assertEqual(self._get(), by_tag)
        self.account.service_tier_id = self.gold
        self.assertEqual(self._get(), by_tier)
        self.account.dunning_policy_id = own
        self.assertEqual(self._get(), own)
        self.assertEqual(self._get(self.other_account), self.policy)

    def test_tier_and_tags_of_one_policy_must_both_fit(self):
        both = self._create(
            "Both",
            tier_ids=[Command.set(self.gold.ids)],
            category_ids=[Command.set(self.tag.ids)],
        )
        self.account.service_tier_id = self.gold
        self.assertEqual(self._get(), self.policy)
        self.account.category_id = self.tag
        self.assertEqual(self._get(), both)

    def test_the_company_comes_before_all_companies(self):
        everywhere = self._create("Everywhere", sequence=-1, company_id=False)
        self.assertEqual(self._get(), self.policy)
        elsewhere = self.env["res.company"].create({"name": "Elsewhere"})
        self.assertEqual(self._get(company=elsewhere), everywhere)

    def test_the_company_may_choose_its_default(self):
        chosen = self._create("Chosen")
        self.company.dunning_policy_id = chosen
        self.assertEqual(self._get(), chosen)
        elsewhere = self.env["res.company"].create({"name": "Elsewhere"})
        elsewhere.dunning_policy_id = chosen
        self.assertNotEqual(self._get(company=elsewhere), chosen, "another company's")

    def test_an_archived_policy_is_never_followed(self):
        by_tag = self._create(
            "Tag", state="dry_run", category_ids=[Command.set(self.tag.ids)]
        )
        self.account.category_id = self.tag
        self.assertEqual(self._get(), by_tag)
        by_tag.active = False
        self.assertEqual(self._get(), self.policy)

    def test_an_own_policy_belongs_to_one_company(self):
        own = self._create("Own", company_id=False)
        self.account.dunning_policy_id = own
        elsewhere = self.env["res.company"].create({"name": "Elsewhere"})
        self.assertEqual(self._get(), own)
        self.assertNotEqual(self._get(company=elsewhere), own)

    def test_a_policy_of_another_company_cannot_be_chosen(self):
        elsewhere = self.env["res.company"].create({"name": "Elsewhere"})
        foreign = self._create("Foreign", company_id=elsewhere.id, owner_id=False)
        with self._assert_refused("belongs to another company", UserError):
            self.account.dunning_policy_id = foreign
        tier = self.env["crm.billing.service.tier"].create(
            {"name": "Theirs", "company_id": elsewhere.id}
        )
        with self._assert_refused(
            "Theirs.* belongs to another company|Elsewhere", UserError
        ):
            self.policy.tier_ids = tier

    def test_a_contact_follows_its_account(self):
        own = self._create("Own")
        self.account.dunning_policy_id = own
        contact = self.account.billing_contact_id
        self.assertEqual(self._get(contact), own)

    def test_the_number_of_queries_does_not_grow(self):
        self._create("Tag", category_ids=[Command.set(self.tag.ids)])
        self._create("Tier", tier_ids=[Command.set(self.gold.ids)])
        accounts = self.env["res.partner"].create(
            [{"name": f"Account {number}", "is_company": True} for number in range(60)]
        )
        accounts[::2].category_id = self.tag
        accounts[::3].service_tier_id = self.gold
        self.env.flush_all()

        def count(payers):
            self.env.invalidate_all()
            before = self.env.cr.sql_log_count
            payers._get_dunning_policies(self.company)
            return self.env.cr.sql_log_count - before

        count(accounts[:2])
        self.assertEqual(count(accounts), count(accounts[:2]))

    def test_sales_reads_the_policy_of_an_account_and_does_not_choose_it(self):
        account = self.account.with_user(self.seller)
        self.assertFalse(account.dunning_policy_id)
        with self._assert_refused("billing data", AccessError):
            account.dunning_policy_id = self.policy
        with self._assert_refused("billing data", AccessError):
            account.dunning_hold_until = "2027-01-01"
        self.account.with_user(self.clerk).dunning_policy_id = self.policy
        self.assertEqual(self.account.dunning_policy_id, self.policy)
        event = self.env["crm.billing.event"].search(
            [
                ("partner_id", "=", self.account.id),
                ("field_name", "=", "dunning_policy_id"),
            ]
        )
        self.assertEqual(event.new_value, self.policy.name)
        self.assertEqual(event.user_id, self.clerk)
