from datetime import date
from unittest.mock import patch

from freezegun import freeze_time

from odoo.exceptions import AccessError, UserError
from odoo.tests import tagged
from odoo.tools import mute_logger

from .change_common import ChangeCommon
from .milestone_common import MilestoneCommon

JANUARY = date(2027, 1, 1)
FEBRUARY = date(2027, 2, 1)


@tagged("post_install", "-at_install")
class TestAgreementDeadEnds(ChangeCommon):
    """Nothing stops the others, passes unseen or goes past its gate."""

    def test_one_broken_change_stops_no_other(self):
        broken = self._create_billed(JANUARY, price=100.0)
        sound = self._create_billed(JANUARY, price=50.0)
        with self._on(JANUARY):
            for agreement in (broken, sound):
                self._create_change(
                    agreement, "price", FEBRUARY, price_unit=70.0
                ).action_apply()
        changes = type(self.changes)
        apply = changes._apply

        def _apply(change, *args, **kwargs):
            if change.agreement_id.id == broken.id:
                raise ZeroDivisionError("bad data")
            return apply(change, *args, **kwargs)

        logger = "odoo.addons.crm_billing_handoff.models.crm_billing_agreement_run"
        with patch.object(changes, "_apply", _apply), mute_logger(logger):
            self._apply_due(FEBRUARY)
        self.assertEqual(sound.change_ids.state, "applied")
        self.assertEqual(broken.change_ids.state, "scheduled")
        self.assertIn("bad data", broken.billing_error)

    def test_one_broken_renewal_stops_no_other(self):
        broken, sound = (
            self._create_billed(
                JANUARY,
                end_date=date(2027, 3, 31),
                renewal_policy="auto",
                notice_days=30,
            )
            for _number in range(2)
        )
        agreements = type(broken)
        renew = agreements._renew

        def _renew(agreement, *args, **kwargs):
            if agreement.id == broken.id:
                raise ZeroDivisionError("bad data")
            return renew(agreement, *args, **kwargs)

        logger = "odoo.addons.crm_billing_handoff.models.crm_billing_agreement_renewal"
        with patch.object(agreements, "_renew", _renew), mute_logger(logger):
            self._apply_due(date(2027, 3, 15))
        self.assertTrue(sound.successor_ids)
        self.assertIn("bad data", broken.activity_ids.note)

    def test_term_without_notice_renews_though_it_is_billed_first(self):
        for timing in ("advance", "arrears"):
            with self.subTest(timing=timing):
                plan = self._create_plan(timing=timing)
                with self._on(JANUARY):
                    agreement = self._create_agreement(
                        start_date=JANUARY,
                        end_date=date(2027, 1, 31),
                        renewal_policy="auto",
                        renewal_count=1,
                        plan_id=plan.id,
                    )
                self._bill(JANUARY)
                with self._on(FEBRUARY):
                    self._run(FEBRUARY)
                    agreement._cron_refresh()
                self._apply_due(FEBRUARY)
                self.assertEqual(agreement.successor_ids.start_date, FEBRUARY)
                with self._on(FEBRUARY):
                    agreement._cron_refresh()
                self.assertEqual(agreement.state, "closed")

    def test_term_that_nobody_renews_ends(self):
        with self._on(JANUARY):
            agreement = self._create_agreement(
                start_date=JANUARY, end_date=date(2027, 1, 31), renewal_policy="ask"
            )
        self._bill(JANUARY)
        self._apply_due(FEBRUARY)
        with self._on(FEBRUARY):
            agreement._cron_refresh()
        self.assertEqual(agreement.state, "closed")
        self.assertFalse(agreement.successor_ids)

    def test_notice_of_a_paused_term_does_not_pass_unseen(self):
        agreement = self._create_billed(
            JANUARY,
            end_date=date(2027, 6, 30),
            renewal_policy="auto",
            notice_days=30,
        )
        self._change(agreement, "pause", FEBRUARY)
        self._apply_due(date(2027, 6, 2))
        self.assertTrue(agreement.is_notice_missed)
        self.assertIn(
            "The agreement could not be renewed",
            agreement.activity_ids.mapped("summary"),
        )

    def test_notice_of_a_term_that_was_moved_is_asked_again(self):
        agreement = self._create_billed(
            JANUARY, end_date=date(2027, 3, 31), renewal_policy="ask", notice_days=10
        )
        self._apply_due(date(2027, 3, 25))
        self.assertTrue(agreement.is_notice_missed)
        agreement.renewal_lead_id.action_set_lost()
        with self._on(date(2027, 3, 26)):
            agreement.with_user(self.clerk).end_date = date(2028, 3, 31)
            self.assertFalse(agreement.is_notice_missed)
        self._apply_due(date(2028, 2, 25))
        self.assertTrue(agreement.renewal_lead_id)
        self._apply_due(date(2028, 3, 25))
        self.assertTrue(agreement.is_notice_missed)

    def test_change_leaves_the_lines_of_other_agreements_alone(self):
        mine = self._create_billed(JANUARY, price=100.0)
        other = self._create_billed(JANUARY, price=100.0)
        with self.assertRaisesRegex(UserError, "choose its own"):
            self._change(
                mine,
                "price",
                date(2027, 1, 11),
                price_unit=1.0,
                line_ids=other.line_ids.ids,
            )
        self.assertEqual(other.line_ids.mapped("price_unit"), [100.0])

    def test_instant_of_a_change_is_on_its_day(self):
        plan = self._create_plan(proration_basis="second")
        agreement = self._create_billed(JANUARY, price=310.0, plan_id=plan.id)
        for instant in ("2027-02-20 10:00:00", "2026-12-20 10:00:00"):
            with self.assertRaisesRegex(UserError, "is not on 2027-01-11"):
                self._change(
                    agreement,
                    "price",
                    date(2027, 1, 11),
                    price_unit=620.0,
                    effective_at=instant,
                )

    def test_line_added_by_hand_is_billed_from_its_day(self):
        agreement = self._create_billed(JANUARY, price=310.0)
        lines = self.env["crm.billing.agreement.line"].with_user(self.clerk)
        vals = {"agreement_id": agreement.id, "product_id": self.product.id}
        with self._on(date(2027, 1, 12)):
            with self.assertRaisesRegex(UserError, "from which day"):
                lines.create({**vals, "plan_id": self.monthly.id})
            with self.assertRaisesRegex(UserError, "billing cycle"):
                lines.create({**vals, "start_date": date(2027, 1, 12)})
            vals["start_date"] = date(2027, 1, 12)
            lines.create({**vals, "plan_id": self.monthly.id, "price_unit": 31.0})
            lines.create({**vals, "billing_method": "one_off", "price_unit": 7.0})
            self.env.flush_all()
            self.assertEqual(self._run(date(2027, 1, 12)).amount_untaxed, 27.0)
        self.assertEqual(self._bill(FEBRUARY).amount_untaxed, 341.0)

    def test_line_of_a_change_is_not_deleted(self):
        agreement = self._create_billed(JANUARY)
        self._change(agreement, "price", FEBRUARY, price_unit=400.0)
        successor = agreement.line_ids.filtered("predecessor_id")
        with self.assertRaisesRegex(UserError, "nobody bills"):
            successor.with_user(self.clerk).unlink()

    def test_refund_is_not_scheduled_past_the_manager(self):
        agreement = self._create_billed(JANUARY, price=310.0)
        day = date(2027, 1, 11)
        with self._on(day):
            self._pay(agreement.move_ids)
            change = self.changes.with_user(self.clerk).with_context(
                default_state="scheduled"
            )
            change = change.create(
                {
                    "agreement_id": agreement.id,
                    "change_type": "cancel",
                    "date": day,
                    "policy": "refund",
                }
            )
        self._apply_due(day)
        self.assertEqual(change.state, "draft")
        self.assertFalse(change.sudo().payment_ids)

    def test_discount_end_is_planned_once_after_a_second_start(self):
        with self._on(date(2026, 12, 1)):
            agreement = self._create_agreement(
                start_date=JANUARY, discount=50.0, discount_last_day=date(2027, 1, 31)
            )
            agreement.with_user(self.clerk).action_draft()
            agreement.line_ids.discount_last_day = date(2027, 2, 28)
            agreement.with_user(self.clerk).action_start()
        planned = agreement.change_ids.filtered(lambda one: one.state == "scheduled")
        self.assertEqual(planned.mapped("date"), [date(2027, 3, 1)])

    def test_button_says_that_much_is_due_at_once(self):
        self.company.billing_catch_up_limit = 3
        with self._on(date(2027, 6, 1)):
            agreement = self._create_agreement(start_date=JANUARY)
            clerks = agreement.with_user(self.clerk)
            action = clerks.action_generate_invoices()
            self.assertIn("6 periods", action["params"]["message"])
            clerks.action_generate_invoices()
        self.assertEqual(len(agreement.move_ids), 6)


@tagged("post_install", "-at_install")
@freeze_time("2027-01-01 12:00:00")
class TestMilestoneArchive(MilestoneCommon):
    """A milestone that is set aside changes what the others bill: a clerk does it."""

    def test_salesperson_sets_none_aside_after_the_handover(self):
        milestone = self._start().milestone_ids[0]
        with self.assertRaisesRegex(AccessError, "handed over"):
            milestone.with_user(self.seller).active = False

    def test_done_after_the_end_is_billed(self):
        agreement = self._start(line={"deposit_percent": 10.0})
        agreement._bill_at_once()
        change = (
            self.env["crm.billing.change"]
            .with_user(self.clerk)
            .create(
                {
                    "agreement_id": agreement.id,
                    "change_type": "cancel",
                    "date": JANUARY,
                    "policy": "none",
                }
            )
        )
        change.action_apply()
        with freeze_time("2027-01-03 12:00:00"):
            agreement._cron_refresh()
            self.assertEqual(agreement.state, "cancelled")
            self.assertIn("deposit", agreement.activity_ids.note)
            milestone = agreement.milestone_ids[0]
            milestone.with_user(self.clerk).action_mark_done()
        self.assertEqual(milestone.state, "invoiced")
        self.assertEqual(agreement.state, "cancelled", "it ends again")

    def test_an_invoiced_one_stays(self):
        milestone = self._start().milestone_ids[0]
        milestone.with_user(self.clerk).action_mark_done()
        with self.assertRaisesRegex(UserError, "is invoiced"):
            milestone.with_user(self.clerk).active = False

    def test_the_others_share_the_contract(self):
        milestones = self._start().milestone_ids.sorted("sequence")
        milestones[3].with_user(self.clerk).active = False
        self.env.flush_all()
        milestones.invalidate_recordset()
        self.assertEqual(milestones[:3].mapped("amount"), [8000.0, 25714.29, 46285.71])
