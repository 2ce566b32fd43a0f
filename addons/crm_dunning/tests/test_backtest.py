from datetime import date, timedelta
from unittest.mock import patch

from odoo.exceptions import AccessError, UserError
from odoo.fields import Command
from odoo.tests import Form, freeze_time, tagged
from odoo.tools import SQL

from odoo.addons.crm_billing_handoff.tests.refusal_common import RefusalCommon

from ..models import crm_dunning_backtest
from .common import DunningCommon


@tagged("post_install", "-at_install")
@freeze_time("2026-06-30 12:00:00")
class TestBacktest(RefusalCommon, DunningCommon):
    """The last twelve months, as a policy would have collected them."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.dry = cls._create_policy(
            state="dry_run",
            name="Dry",
            sequence=-1,
            step_ids=[
                Command.create({"name": "Hello", "days": -5, "tone": "gentle"}),
                Command.create({"name": "Reminder", "days": 2, "tone": "neutral"}),
                Command.create({"name": "Firm", "days": 9, "tone": "firm"}),
                Command.create({"name": "Person", "days": 18, "action": "person"}),
            ],
        )

    def _run(self, policy=None, user=None):
        policy = (policy or self.dry).with_user(user or self.manager)
        action = policy.action_backtest()
        return self.env["crm.dunning.backtest"].browse(action["res_id"])

    def _get_lines(self, backtest, account=None):
        lines = backtest.line_ids.sorted("date")
        lines = lines.filtered(
            lambda line: line.partner_id == (account or self.account)
        )
        return [(str(line.date), line.action, line.stage) for line in lines]

    def _pay_on(self, move, day, amount=None, matched=None):
        """Pay on a day of the past; the books know of it since then or later."""
        wizard = (
            self.env["account.payment.register"]
            .with_context(active_model="account.move", active_ids=move.ids)
            .create({"payment_date": day, "amount": amount or move.amount_residual})
        )
        before = self._get_partials(move)
        wizard._create_payments()
        partials = self._get_partials(move) - before
        self._date(partials, matched or day)
        self._date(partials.credit_move_id, matched or day)

    def _get_partials(self, move):
        return move.line_ids.matched_credit_ids

    def _date(self, records, day):
        """Let the books have known of ``records`` since ``day``."""
        self.env.flush_all()
        self.env.cr.execute(
            SQL(
                "UPDATE %s SET create_date = %s WHERE id IN %s",
                SQL.identifier(records._table),
                f"{day} 10:00:00",
                tuple(records.ids),
            )
        )
        self.env.invalidate_all()

    def _create_past(self, due, amount=100.0, account=None, **values):
        move = self._create_invoice(account, amount, due, **values)
        self._date(move.line_ids, move.invoice_date)
        return move

    # === WHO WOULD HAVE GOT WHAT, AND WHEN === #

    def test_an_invoice_that_nobody_pays_goes_up_the_ladder(self):
        self._create_past("2026-02-10")
        backtest = self._run()
        self.assertEqual(
            self._get_lines(backtest),
            [
                ("2026-02-05", "mail", -5),
                ("2026-02-12", "mail", 2),
                ("2026-02-19", "mail", 9),
                ("2026-02-28", "person", 18),
            ],
        )
        self.assertRecordValues(
            backtest,
            [
                {
                    "state": "done",
                    "mail_count": 3,
                    "person_count": 1,
                    "account_count": 1,
                    "after_payment_count": 0,
                    "progress": 100,
                    "date_from": date(2025, 7, 1),
                    "date_until": date(2026, 6, 30),
                }
            ],
        )
        self.assertEqual(backtest.line_ids.mapped("amount_company"), [100.0] * 4)
        self.assertEqual(
            {row["tone"]: (row["mails"], row["accounts"]) for row in backtest.tones},
            {"gentle": (1, 1), "neutral": (1, 1), "firm": (1, 1)},
        )

    def test_a_payment_ends_it_and_a_part_of_it_lowers_the_amount(self):
        move = self._create_past("2026-02-10")
        self._pay_on(move, "2026-02-14", 40.0)
        self._pay_on(move, "2026-02-18", 60.0)
        other = self._create_past("2026-04-10")
        self._pay_on(other, "2026-04-13", 30.0)
        backtest = self._run()
        self.assertEqual(
            self._get_lines(backtest),
            [
                ("2026-02-05", "mail", -5),
                ("2026-02-12", "mail", 2),
                ("2026-04-05", "mail", -5),
                ("2026-04-12", "mail", 2),
                ("2026-04-19", "mail", 9),
                ("2026-04-28", "person", 18),
            ],
        )
        firm = backtest.line_ids.filtered(lambda line: line.stage == 9)
        self.assertEqual(firm.amount, 70.0)

    def test_money_that_came_and_was_matched_later_is_pointed_out(self):
        move = self._create_past("2026-02-10")
        self._pay_on(move, "2026-02-11", matched="2026-02-20")
        backtest = self._run()
        after = backtest.line_ids.filtered("is_after_payment")
        self.assertEqual(
            [(str(line.date), line.stage) for line in after],
            [("2026-02-12", 2), ("2026-02-19", 9)],
        )
        self.assertEqual(backtest.after_payment_count, 2)
        self.assertEqual(backtest.mail_count, 3)

    def test_money_in_the_books_holds_the_mail_back_before_it_is_matched(self):
        move = self._create_past("2026-02-10")
        self._pay_on(move, "2026-02-11", matched="2026-02-20")
        self._date(self._get_partials(move).credit_move_id, "2026-02-11")
        self.assertEqual(self._get_lines(self._run()), [("2026-02-05", "mail", -5)])

    def test_matching_imported_months_later_counts_from_the_payment(self):
        move = self._create_past("2026-02-10")
        self._pay_on(move, "2026-02-11", matched="2026-06-20")
        backtest = self._run()
        self.assertEqual(self._get_lines(backtest), [("2026-02-05", "mail", -5)])

    def test_what_was_late_before_is_not_caught_up_on(self):
        self._create_past("2025-06-20")
        self.assertEqual(self._get_lines(self._run()), [("2025-07-08", "person", 18)])

    def test_one_mail_lists_all_that_is_overdue(self):
        self._create_past("2026-02-10")
        self._create_past("2026-02-10", 50.0)
        backtest = self._run()
        reminder = backtest.line_ids.filtered(lambda line: line.stage == 2)
        self.assertRecordValues(reminder, [{"invoice_count": 2, "amount": 150.0}])

    def test_currencies_are_not_added(self):
        foreign = self.env["res.currency"].create(
            {
                "name": "XTS",
                "symbol": "X",
                "rate_ids": [Command.create({"name": "2020-01-01", "rate": 2.0})],
            }
        )
        self._create_past("2026-02-10")
        self._create_past("2026-02-10", 80.0, currency_id=foreign.id)
        lines = self._run().line_ids.filtered(lambda line: line.stage == 2)
        self.assertEqual(
            {(line.currency_id, line.amount, line.amount_company) for line in lines},
            {(self.currency, 100.0, 100.0), (foreign, 80.0, 40.0)},
        )

    def test_credit_that_covers_it_keeps_the_mail_back(self):
        self._create_past("2026-02-10")
        refund = self._create_past(
            "2026-02-01", 100.0, move_type="out_refund", invoice_date="2026-01-20"
        )
        self.assertEqual(refund.state, "posted")
        self.assertEqual(self._get_lines(self._run()), [])

    def test_small_amounts_are_left_alone(self):
        self.dry.threshold_ids = [
            Command.create({"currency_id": self.currency.id, "amount": 100.01})
        ]
        self._create_past("2026-02-10")
        self.assertEqual(self._get_lines(self._run()), [])

    def test_closed_days_wait_for_the_next_open_one(self):
        self.dry.weekdays_only = True
        # 14 February 2026 is a Saturday.
        self._create_past("2026-02-12")
        self.assertIn(("2026-02-16", "mail", 2), self._get_lines(self._run()))

    def test_what_was_disputed_or_promised_was_left_alone_while_it_was_so(self):
        move = self._create_past("2026-02-10")
        case = self.env["crm.dunning.case"].create({"move_id": move.id})
        events = self.env["crm.billing.event"]
        for action, day in (
            ("disputed", "2026-02-11"),
            ("dispute_ended", "2026-02-15"),
            ("promised", "2026-02-16"),
            ("promise_broken", "2026-02-20"),
        ):
            event = events._log([{"action": action, "dunning_case_id": case.id}])
            self._date(event, day)
        backtest = self._run()
        self.assertEqual(
            self._get_lines(backtest),
            [
                ("2026-02-05", "mail", -5),
                ("2026-02-15", "mail", 2),
                ("2026-02-20", "mail", 9),
                ("2026-02-28", "person", 18),
            ],
        )

    def test_the_tone_follows_the_habits_if_the_policy_says_so(self):
        for month in ("2025-08", "2025-09", "2025-10"):
            move = self._create_past(f"{month}-10")
            self._pay_on(move, f"{month}-25")
        self._create_past("2026-02-10")
        self.dry.tone_mode = "behaviour"
        lines = self._run().line_ids.filtered(lambda line: line.stage == 2)
        self.assertEqual(
            [(str(line.date), line.tone) for line in lines.sorted("date")],
            [
                ("2025-08-12", "gentle"),
                ("2025-09-12", "neutral"),
                ("2025-10-12", "neutral"),
                ("2026-02-12", "firm"),
            ],
        )

    # === ON WHOM === #

    def test_only_followers_are_replayed_and_all_where_there_are_none(self):
        other = self._create_account("Southwind")
        self._create_past("2026-02-10")
        self._create_past("2026-02-10", account=other)
        tag = self.env["res.partner.category"].create({"name": "Few"})
        self.dry.category_ids = tag
        backtest = self._run()
        self.assertEqual((backtest.scope, backtest.payer_total), ("all", 2))
        other.category_id = tag
        backtest = self._run()
        self.assertEqual((backtest.scope, backtest.payer_total), ("followers", 1))
        self.assertEqual(backtest.line_ids.partner_id, other)

    def test_another_company_stays_out(self):
        elsewhere = self.env["res.company"].create({"name": "Elsewhere"})
        everywhere = self._create_policy(
            state="dry_run", name="Everywhere", company_id=False, owner_id=False
        )
        self._create_past("2026-02-10")
        manager = self.manager
        manager.write(
            {"company_ids": [Command.link(elsewhere.id)], "company_id": elsewhere.id}
        )
        backtest = self._run(everywhere, manager)
        self.assertEqual(backtest.company_id, elsewhere)
        self.assertFalse(backtest.line_ids)

    # === THE RUN === #

    def test_it_writes_nothing_but_its_own_rows(self):
        move = self._create_past("2026-02-10")
        before = move.message_ids
        mails = self.env["mail.mail"].search_count([])
        self._run()
        self.assertFalse(self.env["crm.dunning.notice"].search_count([]))
        self.assertFalse(move.dunning_case_ids)
        self.assertEqual(move.message_ids, before)
        self.assertEqual(self.env["mail.mail"].search_count([]), mails)

    def test_a_large_ledger_goes_on_in_the_job_and_ends_the_same(self):
        accounts = [self._create_account(f"Customer {n}") for n in range(5)]
        for account in accounts:
            self._create_past("2026-02-10", account=account)
        at_once = self._run()
        self.assertEqual((at_once.state, at_once.payer_total), ("done", 5))
        with (
            patch.object(crm_dunning_backtest, "SECONDS_AT_ONCE", -1),
            patch.object(crm_dunning_backtest, "CHUNK_SIZE", 2),
        ):
            later = self._run()
        self.assertEqual((later.state, later.progress), ("running", 40))
        job = self.env.ref("crm_dunning.ir_cron_backtest")
        self.assertTrue(
            self.env["ir.cron.trigger"].search_count([("cron_id", "=", job.id)])
        )
        with self.enter_registry_test_mode():
            job.method_direct_trigger()
        self.assertEqual((later.state, later.progress), ("done", 100))

        def get_all(backtest):
            return sorted(
                (line.partner_id.id, str(line.date), line.action)
                for line in backtest.line_ids
            )

        self.assertEqual(get_all(later), get_all(at_once))
        self.assertEqual(len(get_all(later)), 20)

    def test_a_chunk_takes_the_same_number_of_queries_for_more_payers(self):
        accounts = [self._create_account(f"Customer {n}") for n in range(12)]
        for account in accounts:
            self._create_past("2026-02-10", account=account)
        backtest = self._run()
        payers = self.env["res.partner"].browse([account.id for account in accounts])

        def count(some):
            self.env.invalidate_all()
            start = self.env.cr.sql_log_count
            backtest._replay(some)
            return self.env.cr.sql_log_count - start

        count(payers)
        self.assertEqual(count(payers), count(payers[:2]))

    # === READING IT === #

    def test_only_a_manager_runs_and_reads_it_and_the_clerk_looks(self):
        backtest = self._run()
        for role in ("seller", "clerk", "accountant"):
            with self.subTest(role):
                with self._assert_refused("Only a billing manager"):
                    self._run(user=self.users[role])
                with self.assertRaises(AccessError):
                    backtest.with_user(self.users[role]).action_read()
        self.assertTrue(backtest.with_user(self.clerk).name)
        with self.assertRaises(AccessError):
            backtest.with_user(self.seller).read(["mail_count"])
        for values in ({"read_uid": self.manager.id}, {"digest": "x"}):
            with self.assertRaises(AccessError):
                backtest.with_user(self.manager).write(values)
        backtest.with_user(self.manager).action_read()
        self.assertRecordValues(backtest, [{"read_uid": self.manager.id}])
        self.assertIn("Back-test read", self.dry.message_ids[0].body)

    def test_a_running_one_cannot_be_read(self):
        backtest = self._run()
        backtest.state = "running"
        with self._assert_refused("not finished", UserError):
            backtest.with_user(self.manager).action_read()
        backtest.with_user(self.manager).action_stop()
        self.assertEqual(backtest.state, "stopped")

    def test_a_changed_policy_is_not_the_one_that_was_read(self):
        backtest = self._run()
        self.assertTrue(backtest.is_current)
        self.dry.step_ids.filtered(lambda step: step.days == 9).days = 10
        self.assertFalse(backtest.is_current)

    def test_old_ones_are_forgotten(self):
        backtest = self._run()
        recent = self._run()
        self._date(backtest, date(2026, 6, 30) - timedelta(days=401))
        self.env["crm.dunning.backtest"]._gc_backtests()
        self.assertFalse(backtest.exists())
        self.assertTrue(recent.exists())

    def test_the_form_opens_for_who_may_see_it(self):
        self._create_past("2026-02-10")
        backtest = self._run()
        for user in (self.manager, self.clerk):
            form = Form(backtest.with_user(user))
            self.assertEqual(form.mail_count, 3)
