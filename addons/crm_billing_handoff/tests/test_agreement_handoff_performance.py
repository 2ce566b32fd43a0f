from odoo.fields import Command
from odoo.tests import tagged

from .agreement_handoff_common import AgreementHandoffCommon

FEW, MANY = 5, 20  # the difference leaves out what does not grow with the number


@tagged("post_install", "-at_install")
class TestAgreementHandoffPerformance(AgreementHandoffCommon):
    """Query budgets: what a deal that recurs may cost, whatever the number."""

    def _create_deals(self, number):
        deals = self.env["crm.lead"]
        for position in range(number):
            account = self._create_account(f"Account {position}")
            deal = self._create_deal(account)
            order = self._create_quotation(deal)
            line = {"product_id": self.hosting.id, "price_unit": 30.0}
            order.order_line = [Command.create(line)]
            order.action_confirm()
            deals |= deal
        self.env.flush_all()
        self.env.cr.precommit.run()
        return deals

    def _count_handing_off(self, number):
        deals = self._create_deals(number)
        handoffs = self._win(deals)
        self.env.cr.precommit.run()
        start = self.env.cr.sql_log_count
        handoffs._process_or_bisect()
        self.env.flush_all()
        self.assertEqual(set(handoffs.agreement_id.mapped("state")), {"running"})
        self.assertEqual(len(deals.billing_move_ids), number)
        return self.env.cr.sql_log_count - start

    def test_many_deals(self):
        """Agreement, ledger and draft: 6 queries a deal at most."""
        self._count_handing_off(1)
        few, many = self._count_handing_off(FEW), self._count_handing_off(MANY)
        self.assertLessEqual((many - few) / (MANY - FEW), 6)

    def test_the_review_list_does_not_grow_with_its_drafts(self):
        def count(number):
            deals = self._create_deals(number)
            self._win_and_process(deals)
            moves = self.env["account.move"].with_user(self.clerk)
            ids = deals.billing_move_ids.ids
            self.env.invalidate_all()
            start = self.env.cr.sql_log_count
            moves.search([("id", "in", ids)]).mapped("billing_checklist")
            return self.env.cr.sql_log_count - start

        count(1)
        few, many = count(5), count(15)
        # One: core looks up the fiscal position of each account by itself.
        self.assertLessEqual((many - few) / 10, 1)
