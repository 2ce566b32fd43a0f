from datetime import date

from freezegun import freeze_time
from psycopg2.errors import CheckViolation

from odoo.exceptions import AccessError, RedirectWarning, UserError, ValidationError
from odoo.fields import Command
from odoo.service.model import call_kw
from odoo.tests import new_test_user, tagged

from .milestone_common import MilestoneCommon


@tagged("post_install", "-at_install")
@freeze_time("2027-03-01 12:00:00")
class TestMilestones(MilestoneCommon):
    """A phase is ticked once and billed once (C8)."""

    def test_fixed_amounts_first_then_the_percentages(self):
        milestones = self._create_contract().milestone_ids
        self.assertEqual(milestones.mapped("amount"), [8000, 18000, 32400, 21600])

    def test_done_makes_the_draft_at_once(self):
        agreement = self._start()
        design = agreement.milestone_ids[1]
        design.with_user(self.responsible).action_mark_done()
        self.assertRecordValues(
            design,
            [
                {
                    "state": "invoiced",
                    "done_date": date(2027, 3, 1),
                    "done_uid": self.responsible.id,
                }
            ],
        )
        move = agreement.move_ids
        self.assertRecordValues(
            move,
            [
                {
                    "state": "draft",
                    "invoice_date": date(2027, 3, 1),
                    "amount_untaxed": 18000,
                    "amount_tax": 1800,
                }
            ],
        )
        self.assertIn("Design", move.invoice_line_ids.name)
        self.assertEqual(move.invoice_line_ids.billing_kind, "milestone")
        self.assertRecordValues(
            agreement.period_ids,
            [{"kind": "milestone", "amount": 18000, "milestone_id": design.id}],
        )
        self.assertEqual(design.move_id, move)

    def test_ticking_twice_bills_once(self):
        agreement = self._start()
        design = agreement.milestone_ids[1]
        for _time in range(2):
            design.with_user(self.clerk).action_mark_done()
            agreement.with_user(self.clerk).generate_invoices()
        self.assertEqual(len(agreement.move_ids), 1)

    def test_the_database_lets_no_milestone_be_billed_twice(self):
        agreement = self._start()
        agreement.milestone_ids[1].action_mark_done()
        with self.assertRaisesRegex(Exception, "milestone_uniq"), self.cr.savepoint():
            agreement.period_ids.copy()

    def test_dated_back_it_is_invoiced_today(self):
        agreement = self._start()
        agreement.milestone_ids[1].action_mark_done(date="2027-02-10")
        self.assertEqual(agreement.milestone_ids[1].done_date, date(2027, 2, 10))
        self.assertEqual(agreement.move_ids.invoice_date, date(2027, 3, 1))
        self.assertEqual(agreement.period_ids.date_from, date(2027, 2, 10))

    def test_tomorrow_is_not_done(self):
        agreement = self._start()
        with self.assertRaisesRegex(UserError, "cannot be done on 2027-03-02"):
            agreement.milestone_ids[1].action_mark_done(date="2027-03-02")

    def test_done_is_the_day_of_the_account(self):
        self.account.billing_tz = "Pacific/Auckland"
        agreement = self._start()
        agreement.milestone_ids[1].action_mark_done()
        self.assertEqual(agreement.milestone_ids[1].done_date, date(2027, 3, 2))

    def test_two_on_one_day_share_an_invoice_with_a_heading_each(self):
        agreement = self._start()
        agreement.milestone_ids[:2].action_mark_done()
        move = agreement.move_ids
        self.assertEqual(len(move), 1)
        self.assertEqual(
            move.invoice_line_ids.sorted("sequence").mapped("display_type"),
            ["line_section", "product", "line_section", "product"],
        )
        self.assertEqual(move.amount_untaxed, 26000)

    def test_without_shared_invoices_each_has_its_own(self):
        agreement = self._start(consolidate="no")
        agreement.milestone_ids[:2].action_mark_done()
        self.assertEqual(
            sorted(agreement.move_ids.mapped("amount_untaxed")), [8000, 18000]
        )

    def test_seven_shares(self):
        phases = [(f"Phase {n}", "share", 1.0) for n in range(7)]
        agreement = self._start(100.0, phases)
        milestones = agreement.milestone_ids
        self.assertEqual(milestones.mapped("amount"), [14.29] * 6 + [14.26])
        for milestone in milestones:
            milestone.action_mark_done()
        self.assertEqual(
            agreement.period_ids.sorted("id").mapped("amount"), [14.29] * 6 + [14.26]
        )
        self.assertAlmostEqual(sum(agreement.move_ids.mapped("amount_untaxed")), 100)
        self.assertEqual(agreement.state, "running")

    def test_on_hold_it_is_done_and_says_why_it_is_not_billed(self):
        agreement = self._start()
        self.account.billing_hold = True
        design = agreement.milestone_ids[1]
        notice = design.with_user(self.responsible).action_mark_done()
        self.assertIn("on billing hold", notice["params"]["message"])
        self.assertEqual(design.state, "done")
        self.account.billing_hold = False
        agreement.with_user(self.clerk).generate_invoices()
        self.assertEqual(design.state, "invoiced")

    # === UNDO === #

    def test_undone_while_draft_the_draft_goes(self):
        agreement = self._start()
        design = agreement.milestone_ids[1]
        design.with_user(self.responsible).action_mark_done()
        design.with_user(self.responsible).action_mark_undone()
        self.assertFalse(agreement.move_ids.exists())
        self.assertFalse(agreement.period_ids)
        self.assertRecordValues(design, [{"state": "open", "done_date": False}])
        design.with_user(self.responsible).action_mark_done()
        self.assertEqual(agreement.move_ids.amount_untaxed, 18000)

    def test_undone_on_a_shared_draft_only_its_line_goes(self):
        agreement = self._start()
        agreement.milestone_ids[:2].action_mark_done()
        agreement.milestone_ids[0].action_mark_undone()
        self.assertEqual(
            agreement.move_ids.invoice_line_ids.sorted("sequence").mapped("name"),
            ["Design", "Migration project\nMilestone: Design"],
        )
        self.assertEqual(agreement.move_ids.amount_untaxed, 18000)

    def test_undone_after_posting_is_refused_with_a_credit_note(self):
        agreement = self._start()
        design = agreement.milestone_ids[1]
        design.action_mark_done()
        self._post(agreement.move_ids)
        with self.assertRaisesRegex(RedirectWarning, "posted") as caught:
            design.with_user(self.clerk).action_mark_undone()
        self.assertEqual(
            caught.exception.args[1],
            self.env.ref("account.action_view_account_move_reversal").id,
        )
        self.assertEqual(design.state, "invoiced")

    def test_credited_it_can_be_done_again(self):
        agreement = self._start()
        design = agreement.milestone_ids[1]
        design.action_mark_done()
        first = self._post(agreement.move_ids)
        credit = first._reverse_moves([{"invoice_date": "2027-03-01"}])
        with self.assertRaises(RedirectWarning):
            design.action_mark_undone()
        credit.action_post()
        design.with_user(self.clerk).action_mark_undone()
        self.assertEqual(design.state, "open")
        design.with_user(self.responsible).action_mark_done()
        self.assertEqual(design.state, "invoiced")
        self.assertEqual((agreement.move_ids - first - credit).amount_untaxed, 18000)
        self.assertAlmostEqual(sum(agreement.period_ids.mapped("amount")), 18000)

    def test_a_deleted_draft_is_made_again(self):
        agreement = self._start()
        agreement.milestone_ids[1].action_mark_done()
        agreement.move_ids.unlink()
        self.assertEqual(agreement.milestone_ids[1].state, "done")
        moves = agreement.with_user(self.clerk).generate_invoices()
        self.assertEqual(moves.amount_untaxed, 18000)

    # === WHO === #

    def test_who_may_tick(self):
        agreement = self._start()
        design = agreement.milestone_ids[1]
        stranger = new_test_user(
            self.env, login="billing_stranger", groups="base.group_user"
        )
        for user in (stranger, self.users["other_seller"], self.users["accountant"]):
            with self.subTest(user.name), self.assertRaises(AccessError):
                design.with_user(user).action_mark_done()
        design.with_user(self.seller).action_mark_done()
        design.with_user(self.seller).action_mark_undone()
        agreement.company_id.billing_sales_mark_done = False
        with self.assertRaises(AccessError):
            design.with_user(self.seller).action_mark_done()
        design.with_user(self.clerk).action_mark_done()

    def test_the_engineer_opens_own_milestones_and_changes_nothing(self):
        agreement = self._start()
        design = agreement.milestone_ids[1].with_user(self.responsible)
        self.assertEqual(design.read(["name"])[0]["name"], "Design")
        for values in ({"weight": 50.0}, {"done_date": "2027-01-01"}):
            with self.subTest(values), self.assertRaises(AccessError):
                design.write(values)

    def test_what_the_flow_writes_nobody_types(self):
        design = self._start().milestone_ids[1]
        for name in ("done_date", "done_uid", "state", "amount", "period_ids"):
            with self.subTest(name), self.assertRaises(AccessError):
                value = [Command.clear()] if name == "period_ids" else False
                call_kw(
                    design.with_user(self.manager),
                    "write",
                    [design.ids, {name: value}],
                    {},
                )

    def test_sales_types_until_it_is_handed_over(self):
        deal = self._create_deal(expected_revenue=100.0)
        milestones = self.env["crm.billing.milestone"].with_user(self.seller)
        mine = milestones.create({"name": "All", "lead_id": deal.id, "weight": 100.0})
        mine.weight = 50.0
        design = self._start().milestone_ids[1].with_user(self.seller)
        design.expected_date = "2027-04-01"
        with self.assertRaisesRegex(AccessError, "handed over"):
            design.weight = 50.0
        with self.assertRaises(AccessError):
            self._start(user_id=self.users["other_seller"].id).milestone_ids[
                1
            ].with_user(self.seller).expected_date = "2027-04-01"

    # === START === #

    def test_what_does_not_add_up_is_refused_at_the_start(self):
        cases = {
            "sum to 90": [("A", "percent", 60.0), ("B", "percent", 30.0)],
            "above the contract": [("A", "fixed", 101.0)],
            "do not add up": [("A", "fixed", 99.0)],
            "positive percentage": [("A", "percent", 100.0), ("B", "percent", 0.0)],
        }
        for text, phases in cases.items():
            agreement = self._create_contract(100.0, phases)
            with self.subTest(text), self.assertRaisesRegex(UserError, text):
                agreement.action_start()
        agreement = self._create_contract(100.0, cases["sum to 90"])
        agreement.line_ids.shares = True
        agreement.action_start()
        self.assertAlmostEqual(sum(agreement.milestone_ids.mapped("amount")), 100)
        self._create_contract(100.0, [("A", "percent", 33.33)] * 3).action_start()

    def test_a_milestone_belongs_somewhere(self):
        with self.assertRaises(CheckViolation), self.cr.savepoint():
            self.env["crm.billing.milestone"].create({"name": "Nowhere"})
        with self.assertRaisesRegex(ValidationError, "which line"):
            agreement = self._create_contract()
            agreement.line_ids.copy({"agreement_id": agreement.id})
            self.env["crm.billing.milestone"].create(
                {"name": "Where?", "agreement_id": agreement.id}
            )

    # === FROM DEAL AND QUOTATION === #

    def test_milestones_of_a_quotation_are_handed_over(self):
        deal = self._create_deal()
        self.product.billing_method = "milestone"
        order = self._create_quotation(deal, price=200.0)
        order.write(
            {"billing_retention_percent": 5.0, "billing_retention_base": "gross"}
        )
        order.order_line.write({"billing_deposit_percent": 10.0})
        milestones = self.env["crm.billing.milestone"].create(
            [
                {"name": name, "order_id": order.id, "weight": 50.0}
                for name in ("One", "Two")
            ]
        )
        self.assertEqual(milestones.sale_line_id, order.order_line)
        self.assertEqual(milestones.mapped("amount"), [100.0, 100.0])
        handoff = self._win_and_process(deal)
        self.assertEqual(handoff.state, "done", handoff.billing_error)
        agreement = handoff.agreement_id
        self.assertEqual(agreement.milestone_ids, milestones)
        self.assertRecordValues(
            agreement, [{"retention_percent": 5.0, "retention_base": "gross"}]
        )
        self.assertEqual(agreement.line_ids.deposit_percent, 10.0)
        self.assertEqual(agreement.move_ids.amount_untaxed, 20.0)

    def test_milestones_of_a_deal_divide_its_one_line(self):
        deal = self._create_deal(expected_revenue=200.0)
        self.product.billing_method = "milestone"
        self._create_quotation(deal, price=200.0)
        milestones = self.env["crm.billing.milestone"].create(
            [
                {"name": name, "lead_id": deal.id, "weight": 50.0}
                for name in ("One", "Two")
            ]
        )
        handoff = self._win_and_process(deal)
        self.assertEqual(handoff.state, "done", handoff.billing_error)
        agreement = handoff.agreement_id
        self.assertEqual(agreement.state, "running")
        self.assertEqual(agreement.milestone_ids, milestones)

    def test_a_deal_without_quotation_is_billed_by_its_milestones(self):
        deal = self._create_deal(expected_revenue=200.0)
        milestones = self.env["crm.billing.milestone"].create(
            [
                {"name": name, "lead_id": deal.id, "weight": 50.0}
                for name in ("One", "Two")
            ]
        )
        handoff = self._win_and_process(deal)
        self.assertEqual(handoff.state, "done", handoff.billing_error)
        agreement = handoff.agreement_id
        self.assertEqual(agreement.milestone_ids, milestones)
        milestones[0].action_mark_done()
        self.assertEqual(agreement.move_ids.amount_untaxed, 100.0)
        self.assertEqual(agreement.move_ids.opportunity_ids, deal)

    # === TASK AND AUTOMATION === #

    def test_the_responsible_person_is_reminded_on_the_expected_day(self):
        agreement = self._create_contract()
        design = agreement.milestone_ids[1]
        design.expected_date = "2027-04-15"
        agreement.action_start()
        self.assertRecordValues(
            design.activity_ids,
            [{"user_id": self.responsible.id, "date_deadline": date(2027, 4, 15)}],
        )
        design.expected_date = "2027-05-15"
        self.assertEqual(design.activity_ids.date_deadline, date(2027, 5, 15))
        design.action_mark_done()
        self.assertFalse(design.activity_ids)

    def test_a_server_action_marks_done(self):
        agreement = self._start()
        action = self.env.ref(
            "crm_billing_handoff.crm_billing_milestone_action_mark_done"
        )
        design = agreement.milestone_ids[1]
        action.with_user(self.responsible).with_context(
            active_model=design._name, active_ids=design.ids
        ).run()
        self.assertEqual(design.state, "invoiced")

    def test_the_log_says_who(self):
        design = self._start().milestone_ids[1]
        design.with_user(self.responsible).action_mark_done()
        event = self.env["crm.billing.event"].search(
            [("action", "=", "milestone_done")], limit=1
        )
        self.assertRecordValues(
            event, [{"user_id": self.responsible.id, "note": "Design"}]
        )
