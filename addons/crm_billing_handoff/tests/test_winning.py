from odoo.exceptions import AccessError, UserError
from odoo.fields import Command
from odoo.tests import tagged

from .common import BillingHandoffCommon


@tagged("post_install", "-at_install")
class TestWinning(BillingHandoffCommon):
    """Every way to win queues one handoff, and winning never fails."""

    def test_every_way_to_win(self):
        ways = {
            "write": lambda deal: deal.write({"stage_id": self.won_stage.id}),
            "assignment": lambda deal: setattr(deal, "stage_id", self.won_stage),
            "button": lambda deal: deal.action_set_won(),
            "rainbow": lambda deal: deal.action_set_won_rainbowman(),
        }
        for way, win in ways.items():
            with self.subTest(way=way):
                deal = self._create_deal()
                win(deal.with_user(self.seller))
                self.assertEqual(deal.billing_handoff_ids.state, "pending")

    def test_created_won(self):
        deal = (
            self.env["crm.lead"]
            .with_user(self.seller)
            .with_context(default_stage_id=self.won_stage.id)
            .create({"name": "Walk-in", "type": "opportunity"})
        )
        self.assertEqual(deal.sudo().billing_handoff_ids.state, "pending")

    def test_imported_won_and_imported_again(self):
        rows = [["__import__.deal_one", "Imported", "opportunity", self.won_stage.name]]
        names = ["id", "name", "type", "stage_id"]
        leads = self.env["crm.lead"].with_user(self.seller)
        for _time in range(2):
            result = leads.load(names, rows)
            self.assertFalse(result["messages"])
            deal = self.env["crm.lead"].browse(result["ids"])
            self.assertEqual(len(deal.billing_handoff_ids), 1)

    def test_a_stage_that_becomes_a_won_stage(self):
        stage = self.env["crm.stage"].create({"name": "Signed"})
        deals = self.env["crm.lead"].union(
            *(self._create_deal(stage_id=stage.id) for _number in range(3))
        )
        stage.is_won = True
        self.env.flush_all()
        self.assertEqual(len(deals.billing_handoff_ids), 3)
        self.assertFalse(any(deals.billing_handoff_ids.mapped("is_held")))

    def test_wins_in_bulk_wait_for_a_person(self):
        self.company.billing_bulk_win_limit = 2
        deals = self.env["crm.lead"].union(
            *(self._create_deal(expected_revenue=10) for _number in range(3))
        )
        handoffs = self._win(deals)
        self._run_job()
        self.assertEqual(set(handoffs.mapped("state")), {"blocked"})
        self.env["crm.billing.handoff"]._cron_recheck()
        self._run_job()
        self.assertFalse(handoffs.move_ids, "the nightly pass leaves them alone")
        self.assertEqual(handoffs.activity_ids.user_id, self.clerk)
        self.assertEqual(len(handoffs.activity_ids), 1, "one task for all of them")

        handoffs[0].with_user(self.clerk).action_process()
        self.assertEqual(handoffs[0].state, "done")
        self.assertEqual(handoffs[1].state, "blocked")

    def test_a_lead_that_is_won_is_an_opportunity(self):
        lead = self._create_deal(type="lead", expected_revenue=10)
        self._win_and_process(lead)
        self.assertEqual(lead.type, "opportunity")
        self.assertEqual(len(lead.billing_move_ids), 1)

    def test_an_automation_wins(self):
        model = self.env["ir.model"]._get("crm.lead")
        field = self.env["ir.model.fields"]._get("crm.lead", "priority")
        self.env["base.automation"].create(
            {
                "name": "Very high means won",
                "model_id": model.id,
                "trigger": "on_create_or_write",
                "trigger_field_ids": [Command.set(field.ids)],
                "filter_domain": "[('priority', '=', '3')]",
                "action_server_ids": [
                    Command.create(
                        {
                            "name": "Win",
                            "model_id": model.id,
                            "state": "code",
                            "code": "record.action_set_won()",
                        }
                    )
                ],
            }
        )
        deal = self._create_deal()
        deal.with_user(self.seller).priority = "3"
        self.assertEqual(deal.billing_handoff_ids.state, "pending")

    def test_hand_off_as_a_server_action(self):
        deal = self._create_deal(expected_revenue=10)
        self._win(deal)
        action = self.env.ref("crm_billing_handoff.crm_lead_action_hand_off")
        action.with_user(self.seller).with_context(
            active_model="crm.lead", active_ids=deal.ids, active_id=deal.id
        ).run()
        self.assertEqual(deal.billing_handoff_ids.state, "done")

    def test_a_server_action_on_the_wrong_model_says_which(self):
        action = self.env["ir.actions.server"].create(
            {
                "name": "Wrong",
                "model_id": self.env["ir.model"]._get("res.partner").id,
                "state": "billing_hand_off",
            }
        )
        with self.assertRaisesRegex(UserError, "Billing Handoff"):
            action.with_context(
                active_model="res.partner", active_ids=self.account.ids
            ).run()

    def test_the_job_makes_the_draft_and_runs_twice(self):
        deal = self._create_deal(expected_revenue=10)
        handoff = self._win(deal)
        self._run_job()
        self.assertEqual(handoff.state, "done")
        drafts = handoff.move_ids
        self._run_job()
        self.assertEqual(handoff.move_ids, drafts)

    def test_the_job_runs_as_whoever_an_administrator_chooses(self):
        handoff = self._win(self._create_deal(expected_revenue=10))
        with self.enter_registry_test_mode():
            cron = self.env.ref("crm_billing_handoff.ir_cron_process_handoffs")
            cron.user_id = self.manager
            cron.method_direct_trigger()
        self.assertEqual(handoff.state, "done")

    def test_winning_can_be_refused_by_the_company(self):
        self.company.billing_refuse_win = True
        deal = self._create_deal()
        with (
            self.assertRaisesRegex(UserError, "no quotation and no expected revenue"),
            self.env.cr.savepoint(),
        ):
            self._win(deal)
        deal.expected_revenue = 10
        self.assertTrue(self._win(deal))

    def test_only_won_deals_are_handed_off(self):
        deal = self._create_deal()
        with self.assertRaisesRegex(UserError, "is not won yet"):
            deal.with_user(self.seller).action_hand_off()

    def test_a_deal_of_somebody_else_is_refused(self):
        deal = self._create_deal(expected_revenue=10)
        self._win(deal)
        with self.assertRaises(AccessError):
            deal.with_user(self.users["other_seller"]).action_hand_off()
        with self.assertRaisesRegex(AccessError, "own deals only"):
            deal.billing_handoff_ids.with_user(
                self.users["other_seller"]
            ).action_process()
