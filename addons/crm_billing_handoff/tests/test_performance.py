from unittest.mock import patch

from odoo.tests import tagged

from .common import BillingHandoffCommon

FEW, MANY = 10, 40  # the difference leaves out what does not grow with the number


@tagged("post_install", "-at_install")
class TestPerformance(BillingHandoffCommon):
    """Query budgets: what a deal may cost, whatever the number of deals."""

    def setUp(self):
        super().setUp()
        # The first deal of a process fills caches that all others share.
        self._count_queries(self._create_confirmed_deals(1))

    def _create_confirmed_deals(self, number):
        accounts = [self._create_account(f"Account {n}") for n in range(number)]
        deals = self.env["crm.lead"].union(
            *(self._create_deal(account) for account in accounts)
        )
        for deal in deals:
            self._create_quotation(deal, confirm=True)
        self.env.flush_all()
        self.env.cr.precommit.run()
        return deals

    def _count_queries(self, deals):
        """Return the queries of winning, and those of making the drafts."""
        start = self.env.cr.sql_log_count
        deals.with_user(self.seller).write({"stage_id": self.won_stage.id})
        self.env.flush_all()
        self.env.cr.precommit.run()
        won = self.env.cr.sql_log_count
        deals.billing_handoff_ids._process_or_bisect()
        self.env.flush_all()
        done = self.env.cr.sql_log_count
        self.assertEqual(set(deals.mapped("billing_state")), {"draft"})
        self.assertEqual(len(deals.billing_move_ids), len(deals))
        return won - start, done - won

    def test_one_deal(self):
        """P16: won → draft takes 80 queries at most."""
        self.assertLessEqual(
            sum(self._count_queries(self._create_confirmed_deals(1))), 80
        )

    def test_queueing_one_deal(self):
        """P16: queueing adds 5 queries at most to winning."""
        ours = self._count_winning()
        with (
            patch.object(type(self.env["crm.billing.handoff"]), "_queue"),
            patch.object(type(self.env["crm.billing.handoff"]), "_wake_later"),
        ):
            plain = self._count_winning()
        self.assertLessEqual(ours - plain, 5)

    def _count_winning(self):
        deal = self._create_confirmed_deals(1)
        start = self.env.cr.sql_log_count
        deal.with_user(self.seller).write({"stage_id": self.won_stage.id})
        self.env.flush_all()
        self.env.cr.precommit.run()
        return self.env.cr.sql_log_count - start

    def test_many_deals(self):
        """P17: queueing and documents take 6 queries a deal at most, beyond winning."""
        few = sum(self._count_queries(self._create_confirmed_deals(FEW)))
        many = sum(self._count_queries(self._create_confirmed_deals(MANY)))
        self.assertLessEqual((many - few) / (MANY - FEW), 6)

    def test_the_review_list_does_not_grow_with_its_drafts(self):
        def count(number):
            drafts = self._create_confirmed_deals(number)
            self._count_queries(drafts)
            moves = self.env["account.move"].with_user(self.clerk)
            ids = drafts.billing_move_ids.ids
            self.env.invalidate_all()
            start = self.env.cr.sql_log_count
            moves.search([("id", "in", ids)]).mapped("billing_checklist")
            return self.env.cr.sql_log_count - start

        few, many = count(5), count(15)
        # One: core looks up the fiscal position of each account by itself.
        self.assertLessEqual((many - few) / 10, 1)

    def test_nothing_due_is_found_with_one_query(self):
        self.env["crm.billing.handoff"].search(
            self.env["crm.billing.handoff"]._get_due_domain()
        ).write({"state": "cancelled"})
        self.env.flush_all()
        with self.assertQueryCount(1):
            self.env["crm.billing.handoff"].search_count(
                self.env["crm.billing.handoff"]._get_due_domain()
            )

    def test_a_new_contact_is_not_looked_up_among_payers(self):
        naming = patch.object(type(self.env["res.partner"]), "_get_accounts_naming")
        with naming as search:
            self.env["res.partner"].create({"name": "Anybody"})
        search.assert_not_called()
