from datetime import timedelta
from subprocess import CompletedProcess
from unittest.mock import patch

from odoo.exceptions import UserError
from odoo.fields import Command
from odoo.tests import tagged

from .dunning_run_common import FollowUpCommon, to_instant


@tagged("post_install", "-at_install")
class TestFollowUp(FollowUpCommon):
    """Stages and days of reminders (billing rules, section 9)."""

    def test_worked_example(self):
        """Default policy, due 10 Feb: mails 5, 12, 19 Feb, person 28 Feb."""
        move = self._create_invoice(due="2027-02-10")
        found = self._run_days("2027-02-01", "2027-03-05")
        self.assertEqual(list(found), ["05.02.", "12.02.", "19.02.", "28.02."])
        self.assertEqual([one.stage for one in found.values()], [-5, 2, 9, 18])
        self.assertEqual(
            [one.state for one in found.values()],
            ["queued", "queued", "queued", "recorded"],
        )
        case = self._get_case(move)
        self.assertEqual((case.state, case.reason), ("person", "overdue"))
        self.assertEqual(case.owner_id, self.clerk)

    def test_outage(self):
        """Stopped 6–20 Feb: one mail on the 21st, the +9 one, the +2 skipped."""
        self._create_invoice(due="2027-02-10")
        self._run_days("2027-02-01", "2027-02-05")
        found = self._run_days("2027-02-21", "2027-02-27")
        self.assertEqual(list(found), ["21.02."])
        notice = found["21.02."]
        self.assertEqual(notice.stage, 9)
        self.assertEqual(self._get_lines(notice).mapped("days"), [9])
        self.assertEqual(self._get_lines(notice, "skipped").mapped("days"), [2])

    def test_twice_a_day(self):
        """A second run of the day finds nothing to say."""
        self._create_invoice(due="2027-02-10")
        self.assertEqual(len(self._run("2027-02-12")), 1)
        self.assertFalse(self._run("2027-02-12", hour=14))
        self.assertFalse(self._run("2027-02-13"))

    def test_clock_jumps_back(self):
        """The clock of yesterday says nothing again."""
        self._create_invoice(due="2027-02-10")
        self._run("2027-02-19")
        self.assertFalse(self._run("2027-02-12"))
        self.assertFalse(self._run("2027-02-19", hour=15))

    def test_before_due_opens_no_case(self):
        move = self._create_invoice(due="2027-02-10")
        [notice] = self._run("2027-02-05")
        self.assertFalse(move.dunning_case_ids)
        self.assertEqual(notice.line_ids.kind, "listed")
        self._run("2027-02-12")
        self.assertEqual(self._get_case(move).state, "automatic")
        self.assertEqual(self._get_case(move).stage, 2)

    def test_one_message_lists_everything(self):
        """Two invoices at different steps: one mail, worded for the highest."""
        old = self._create_invoice(due="2027-02-10", amount=100)
        new = self._create_invoice(due="2027-02-17", amount=70)
        soon = self._create_invoice(due="2027-02-22", amount=30)
        notices = self._run("2027-02-19")
        self.assertEqual(len(notices), 1)
        self.assertEqual(notices.stage, 9)
        self.assertEqual(notices.amount, 170)
        self.assertEqual(notices.move_id, old)
        days = {line.move_id: line.days for line in self._get_lines(notices)}
        self.assertEqual(days, {old: 9, new: 2, soon: -5})

    def test_stage_falls_back(self):
        """When the oldest is paid, the next one speaks for itself."""
        old = self._create_invoice(due="2027-02-10")
        new = self._create_invoice(due="2027-02-20")
        self._run("2027-02-19")
        self._pay(old)
        [notice] = self._run("2027-02-22")
        self.assertEqual(notice.stage, 2)
        self.assertEqual(self._get_lines(notice).move_id, new)

    def test_known_is_listed_again(self):
        """What was noticed already stands in the next message, not as new."""
        old = self._create_invoice(due="2027-02-10")
        self._run("2027-02-12")
        new = self._create_invoice(due="2027-02-12", amount=50)
        [notice] = self._run("2027-02-14")
        self.assertEqual(self._get_lines(notice).move_id, new)
        self.assertEqual(self._get_lines(notice, "known").move_id, old)
        self.assertEqual(notice.amount, 150)

    def test_two_currencies(self):
        """One message each, amounts never added."""
        other = (
            self.env["res.currency"]
            .with_context(active_test=False)
            .search([("name", "=", "CHF")])
        )
        other.active = True
        self._create_invoice(due="2027-02-10", amount=100)
        self._create_invoice(due="2027-02-10", amount=30, currency_id=other.id)
        notices = self._run("2027-02-12")
        self.assertEqual(
            {(one.currency_id, one.amount) for one in notices},
            {(self.currency, 100.0), (other, 30.0)},
        )

    def test_two_companies(self):
        """Each company reminds of its own invoices, by its own policy."""
        other = self.env["res.company"].create({"name": "Other house"})
        self.env["account.chart.template"].try_loading(
            "generic_coa", company=other, install_demo=False
        )
        self._create_invoice(due="2027-02-10")
        policy = self._create_policy(company_id=other.id, owner_id=False)
        move = (
            self.env["account.move"]
            .with_company(other)
            .create(
                {
                    "move_type": "out_invoice",
                    "company_id": other.id,
                    "partner_id": self.account.id,
                    "invoice_date": "2027-01-10",
                    "invoice_date_due": "2027-02-10",
                    "invoice_payment_term_id": False,
                    "invoice_line_ids": [
                        Command.create(
                            {"name": "x", "price_unit": 5, "tax_ids": [Command.clear()]}
                        )
                    ],
                }
            )
        )
        move.action_post()
        notices = self._run("2027-02-12")
        self.assertEqual(
            {one.company_id: one.policy_id for one in notices},
            {self.company: self.policy, other: policy},
        )

    def test_instalments(self):
        """Each instalment climbs by itself; its own residual is asked for."""
        terms = self.env["account.payment.term"].create(
            {
                "name": "Half now, half in 20 days",
                "line_ids": [
                    Command.create({"value_amount": 50, "nb_days": 0}),
                    Command.create({"value_amount": 50, "nb_days": 20}),
                ],
            }
        )
        move = self._create_invoice(
            due="2027-02-10",
            amount=300,
            invoice_date="2027-02-10",
            invoice_payment_term_id=terms.id,
        )
        [notice] = self._run("2027-02-12")
        self.assertEqual(notice.amount, 150)
        self._pay(move, 60)
        [notice] = self._run("2027-02-19")
        self.assertEqual((notice.stage, notice.amount), (9, 90))
        second = move.line_ids.filtered(lambda line: line.date_maturity)[-1]
        self.assertNotIn(second, self._get_lines(notice).line_id)
        [notice] = self._run("2027-02-25")
        self.assertEqual(self._get_lines(notice).line_id, second)
        # The first half is still open, so its step words the message.
        self.assertEqual((notice.stage, notice.amount), (9, 90))

    def test_paid_in_full_by_credit_note(self):
        move = self._create_invoice(due="2027-02-10")
        move._reverse_moves([{"invoice_date": move.invoice_date}], cancel=True)
        self.assertFalse(self._run("2027-02-12"))

    def test_credit_not_applied_covers_it(self):
        """A credit note of another amount that covers everything: no reminder."""
        self._create_invoice(due="2027-02-10", amount=100)
        self._create_invoice(due="2027-02-10", amount=50, move_type="out_refund")
        [notice] = self._run("2027-02-12")
        self.assertEqual(notice.amount, 100)
        self._create_invoice(due="2027-02-10", amount=80, move_type="out_refund")
        self.assertFalse(self._run("2027-02-19"))

    def test_threshold(self):
        self.policy.threshold_ids = [
            Command.create({"currency_id": self.currency.id, "amount": 50})
        ]
        self._create_invoice(due="2027-02-10", amount=30)
        self.assertFalse(self._run("2027-02-12"))
        self._create_invoice(due="2027-02-11", amount=40)
        [notice] = self._run("2027-02-13")
        self.assertEqual(notice.amount, 70)

    def test_dry_run(self):
        """Nothing leaves; once armed, the customer hears of the highest step."""
        self.policy.state = "dry_run"
        move = self._create_invoice(due="2027-02-10")
        found = self._run_days("2027-02-05", "2027-03-02")
        self.assertEqual(list(found), ["05.02.", "12.02.", "19.02.", "28.02."])
        self.assertEqual({one.state for one in found.values()}, {"dry_run"})
        self.assertFalse(move.dunning_case_ids)
        self.assertFalse(move.message_ids.filtered(lambda m: m.subject))
        self.assertFalse(self._run("2027-03-03"))
        self.policy.state = "armed"
        [notice] = self._run("2027-03-03")
        self.assertEqual((notice.kind, notice.stage), ("record", 18))

    def test_person_stops_the_account(self):
        """After the hand-over no other invoice of the account is mailed either."""
        move = self._create_invoice(due="2027-02-10")
        self._run("2027-02-28")
        self.assertEqual(self._get_case(move).state, "person")
        self._create_invoice(due="2027-03-01")
        self.assertFalse(self._run("2027-03-03"))

    def test_a_promise_to_a_person_keeps_the_account_quiet(self):
        """9.4: mails of the account stop until the person gives the case back."""
        first = self._create_invoice(due="2027-02-10")
        case = self.env["crm.dunning.case"]._open_for(first)
        case._take_over("manual")
        case._promise(case._get_today() + timedelta(days=200))
        self._create_invoice(due="2027-02-20", amount=70.0)
        self.assertFalse(self._run("2027-02-22"))
        case._release(2)
        self.assertTrue(self._run("2027-02-23"))

    def test_a_case_of_the_run_follows_its_invoice_at_once(self):
        """Also where invoice and run share a transaction, as in an installation."""
        move = self._create_invoice(due="2027-02-10", amount=100.0)
        self.assertFalse(move.dunning_case_ids)
        self.env["crm.dunning.case"]._follow_up(
            to_instant("2027-02-12 12:00:00"), move.commercial_partner_id.ids
        )
        self._pay(move, 40.0)
        self.assertEqual(self._get_case(move).amount_residual, 60.0)

    def test_given_back_at_a_step(self):
        """Given back at +2: said on that day again, +9 comes seven days later."""
        move = self._create_invoice(due="2027-02-10")
        self._run("2027-02-12")
        self._run("2027-02-28")
        case = self._get_case(move)
        case.write({"state": "automatic", "taken_over_at": False})
        case._resume_ladder(2, to_instant("2027-03-10 12:00:00"))
        found = self._run_days("2027-03-10", "2027-03-31")
        self.assertEqual(
            {day: one.stage for day, one in found.items()},
            {"10.03.": 2, "17.03.": 9, "26.03.": 18},
        )

    def test_local_date_decides(self):
        """On one instant it is another day in Auckland and in Los Angeles."""
        self._create_policy([(2, "mail")], sequence=-1)
        east = self._create_account("East", billing_tz="Pacific/Auckland")
        west = self._create_account("West", billing_tz="America/Los_Angeles")
        for account in (east, west):
            self._create_invoice(account, due="2027-02-10")
        # 11 Feb 23:30 UTC: 12 Feb in the east, 11 Feb in the west
        notices = self._run("2027-02-11 23:30:00")
        self.assertEqual(notices.partner_id, east)
        self.assertEqual(str(notices.date), "2027-02-12")
        notices = self._run("2027-02-12 23:30:00")
        self.assertEqual(notices.partner_id, west)

    def test_hours(self):
        """Outside the policy's hours nothing is said; the next run of the day does."""
        self.policy.write({"hour_from": 8, "hour_to": 18, "weekdays_only": True})
        self.account.billing_tz = "Europe/Brussels"
        self._create_invoice(due="2027-02-10")
        self.assertFalse(self._run("2027-02-12 06:30:00"))
        self.assertEqual(len(self._run("2027-02-12 07:30:00")), 1)
        # +9 is Friday 19th; the run was late, then came the weekend
        self.assertFalse(self._run("2027-02-19 17:30:00"))
        self.assertFalse(self._run("2027-02-20 12:00:00"))
        [notice] = self._run("2027-02-22 12:00:00")
        self.assertEqual(notice.stage, 9)

    def test_daylight_saving(self):
        """On the night the clock moves the hours are those of the wall."""
        self.policy.write({"hour_from": 8, "hour_to": 18})
        self.account.billing_tz = "Europe/Brussels"
        self._create_invoice(due="2027-03-26")
        # 28 March 2027: summer time; 8 o'clock is 6 UTC
        self.assertFalse(self._run("2027-03-28 05:59:00"))
        self.assertEqual(len(self._run("2027-03-28 06:01:00")), 1)

    def test_gap(self):
        """With a longer gap the second step waits, and is not lost."""
        self.policy.min_gap_days = 10
        self._create_invoice(due="2027-02-10")
        found = self._run_days("2027-02-12", "2027-02-27")
        self.assertEqual(list(found), ["12.02.", "22.02."])
        self.assertEqual(found["22.02."].stage, 9)

    def test_retention_is_not_chased(self):
        move = self._create_invoice(due="2027-02-10")
        line = move.line_ids.filtered(lambda one: one.display_type == "payment_term")
        self.env.cr.execute(
            "UPDATE account_move_line SET billing_is_retention = TRUE WHERE id = %s",
            [line.id],
        )
        line.invalidate_recordset()
        self.assertFalse(self._run("2027-02-12"))

    def test_broken_customer_stops_nobody(self):
        """One of five cannot be reminded: the others are, its reason is kept once."""
        accounts = [self._create_account(f"Customer {n}") for n in range(5)]
        moves = [self._create_invoice(one, due="2027-02-10") for one in accounts]
        bad = accounts[2]
        broken = self.env["mail.template"].create(
            {
                "name": "Broken",
                "model_id": self.env["ir.model"]._get_id("crm.dunning.notice"),
                "subject": "x",
                "body_html": f"<p t-if='object.partner_id.id == {bad.id}' "
                "t-out='1 // 0'/>",
            }
        )
        self.policy.step_ids.filtered(lambda s: s.days == 2).template_id = broken
        notices = self._run("2027-02-12")
        sent = notices.filtered(lambda one: one.state == "queued")
        self.assertEqual(
            set(sent.partner_id.ids), {one.id for one in accounts if one != bad}
        )
        failed = notices - sent
        self.assertEqual((failed.state, failed.partner_id), ("failed", bad))
        self.assertIn("Failed to render", failed.reason)
        self.assertFalse(self._run("2027-02-12", hour=13), "tried again the same day")
        self._run("2027-02-13")
        tasks = moves[2].activity_ids.filtered(lambda a: "reminded" in a.summary)
        self.assertEqual(len(tasks), 1)
        self.policy.step_ids.template_id = False
        [notice] = self._run("2027-02-14")
        self.assertEqual((notice.partner_id, notice.stage), (bad, 2))

    def test_side_steps(self):
        """Activities are done besides the mail, once."""
        self.policy = self._create_policy(
            [
                (2, "mail"),
                {
                    "days": 4,
                    "action": "activity",
                    "name": "Call them",
                    "user_id": self.manager.id,
                },
                (9, "mail"),
            ],
            sequence=-1,
        )
        move = self._create_invoice(due="2027-02-10")
        found = self._run_days("2027-02-12", "2027-02-20")
        self.assertEqual(
            [(day, one.kind) for day, one in found.items()],
            [("12.02.", "reminder"), ("14.02.", "record"), ("19.02.", "reminder")],
        )
        activity = self._get_case(move).activity_ids
        self.assertEqual(
            (activity.summary, activity.user_id), ("Call them", self.manager)
        )

    def test_letter(self):
        """The letter step makes a document to print and a task."""
        self._create_policy([(2, "mail"), (9, "letter")], sequence=-1)
        move = self._create_invoice(due="2027-02-10", amount=120)
        self._run("2027-02-12")
        notices = self._run("2027-02-19")
        letter = notices.filtered(lambda one: one.kind == "letter")
        self.assertEqual((letter.amount, letter.move_id), (120, move))
        self.assertEqual(len(self._get_case(move).activity_ids), 1)
        html = (
            self.env["ir.actions.report"]
            ._render_qweb_html("crm_dunning.report_dunning_letter", letter.ids)[0]
            .decode()
        )
        self.assertIn(move.name, html)
        self.assertIn("120.00", html)

    def test_no_letter_is_empty(self):
        """A printer that fails with a warning leaves an empty file behind."""
        self._create_policy([(2, "letter")], sequence=-1)
        self._create_invoice(due="2027-02-10", amount=120)
        notices = self._run("2027-02-12")
        letter = notices.filtered(lambda one: one.kind == "letter")
        reports = self.env["ir.actions.report"].with_context(
            force_report_rendering=True
        )
        with (
            patch(
                "odoo.addons.base.models.ir_actions_report._run_wkhtmltopdf",
                return_value=CompletedProcess([], 1, "", "no module"),
            ),
            self.assertRaisesRegex(UserError, "could not be printed"),
        ):
            reports._render_qweb_pdf("crm_dunning.report_dunning_letter", letter.ids)

    def test_tone_from_behaviour(self):
        """Idea 22: late again and again is told firmly, the first time gently."""
        self.policy.tone_mode = "behaviour"
        late = self._create_account("Late payer")
        for month in ("2026-08", "2026-09", "2026-10"):
            move = self._create_invoice(late, due=f"{month}-10")
            self._pay_on(move, f"{month}-28")
        first = self._create_account("First timer")
        for account in (late, first):
            self._create_invoice(account, due="2027-02-10")
        notices = self._run("2027-02-12")
        tones = {one.partner_id: (one.tone, one.tone_reason) for one in notices}
        self.assertEqual(tones[late], ("firm", "3 of 3 invoices paid late, by 18 days"))
        self.assertEqual(tones[first], ("gentle", "Overdue for the first time"))

    def _pay_on(self, move, day):
        wizard = (
            self.env["account.payment.register"]
            .with_context(active_model="account.move", active_ids=move.ids)
            .create({"payment_date": day})
        )
        return wizard._create_payments()
