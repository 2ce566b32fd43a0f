import random
from datetime import date, timedelta
from unittest.mock import patch

from psycopg2.errors import CheckViolation

from odoo import fields
from odoo.exceptions import AccessError
from odoo.tests import tagged
from odoo.tools import SQL, mute_logger

from ..report_rules import exceptions
from .common import ReportsCommon


@tagged("post_install", "-at_install")
class TestExceptions(ReportsCommon):
    """Exceptions per 100 invoices: of any group, by month, with causes and changes."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.rows = cls.env["crm.billing.exception.report"]
        cls.months = cls.env["crm.billing.exception.month.report"]
        cls.changes = cls.env["crm.billing.exception.change.report"]
        cls.client = cls._create_account("Excepto")
        cls.far = date(2031, 1, 1)  # no other document is dated there

    @classmethod
    def _bill(cls, day, count=1):
        """Return invoices dated ``day``."""
        moves = cls.env["account.move"]
        for _one in range(count):
            moves |= cls._create_dated(day, 100.0, account=cls.client)
        return moves

    def _touch(self, moves, action="not_sent", note="Bounced"):
        """Log an exception on each of ``moves``."""
        self.env["crm.billing.event"]._log(
            [{**move._prepare_billing_event(action), "note": note} for move in moves]
        )

    def _get_month(self, day):
        self.env.invalidate_all()
        return self.months.search(
            [("date", "=", day), ("company_id", "=", self.company.id)]
        )

    # === RATE === #

    def test_rate_of_a_group_is_that_of_its_sums(self):
        january = self._bill(self.far, 3)
        self._bill(date(2031, 2, 10), 1)
        self._touch(january[:2])
        self.env.invalidate_all()
        domain = [("partner_id", "=", self.client.id)]
        measures = ["exception_count:sum", "invoice_count:sum", "rate:avg"]
        groups = self.rows._read_group(domain, ["date:month"], measures)
        self.assertEqual([count for _m, count, _n, _r in groups], [2, 0])
        self.assertAlmostEqual(groups[0][3], 66.667, 3)
        self.assertEqual(groups[1][3], 0.0)
        # Not the average of 66.7 and 0.
        self.assertEqual(self.rows._read_group(domain, [], measures), [(2, 4, 50.0)])

    def test_without_invoices_the_rate_is_undefined(self):
        moves = self._bill(self.far)
        self._touch(moves)
        moves.button_draft()
        self.env.invalidate_all()
        domain = [("partner_id", "=", self.client.id)]
        [(count, invoices, rate)] = self.rows._read_group(
            domain, [], ["exception_count:sum", "invoice_count:sum", "rate:avg"]
        )
        self.assertEqual((count, invoices, rate or False), (1, 0, False))
        [row] = self.rows.search_read(domain, ["rate"])
        self.assertIs(row["rate"], False)
        self.assertIs(self._get_month(self.far).rate_before, False)

    def test_touch_counts_in_the_month_of_its_invoice(self):
        self._touch(self._bill(self.far))
        [row] = self.rows.search([("partner_id", "=", self.client.id)])
        self.assertEqual((row.date, row.exception_count), (self.far, 1))
        self.assertEqual(row.user_id, self.seller)
        action = row.action_view_touches()
        touches = self.env[action["res_model"]].search(action["domain"])
        self.assertEqual(touches.cause, "Bounced")

    def test_hours_follow_from_the_minutes(self):
        self.env["crm.billing.touch.cost"].search(
            [("kind", "=", "not_sent")]
        ).minutes = 45
        self._touch(self._bill(self.far, 2))
        self.env.invalidate_all()
        [(hours,)] = self.rows._read_group(
            [("partner_id", "=", self.client.id)], [], ["hours:sum"]
        )
        self.assertEqual(hours, 1.5)

    def test_no_invoice_and_no_touch_is_lost(self):
        self._touch(self._bill(self.far, 3)[:2])
        self._bill(date(2031, 2, 10), 1)
        self.env.invalidate_all()
        rows = self.rows.with_user(self.users["accountant"])
        domain = [("partner_id", "child_of", self.client.id)]
        invoices, touches = rows.get_tie_outs(domain)
        self.assertEqual((invoices["amount"], invoices["ledger_amount"]), (4, 4))
        self.assertEqual((touches["amount"], touches["ledger_amount"]), (2, 2))
        whole = rows.get_tie_outs([("date", "=", self.far)])
        self.assertEqual([proof["difference"] for proof in whole], [0, 0])
        self.assertGreaterEqual(whole[0]["amount"], 4)
        self.assertIn("without these filters", whole[0]["label"])
        self.assertFalse(rows.with_user(self.seller).get_tie_outs(domain))

    # === BUDGET === #

    def test_all_exception_reports_prove_themselves_and_name_what_is_lost(self):
        moves = self._bill(self.far, 2)
        self._touch(moves)
        reports = (self.rows, self.months, self.changes)
        for report in reports:
            for proof in report.get_tie_outs([]):
                self.assertTrue(proof["ties"], (report._name, proof))
        items = self.rows._select_items()
        for report in (self.rows, self.months):
            for number, model, culprit in (
                (moves[0].id * 2 + 1, "account.move", moves[0].id),
                (self._get_touch(moves[1]).id * 2, "crm.billing.touch.report", None),
            ):
                lost = SQL("SELECT * FROM (%s) item WHERE item.id <> %s", items, number)
                culprit = culprit or self._get_touch(moves[1]).id
                with patch.object(
                    type(self.rows), "_select_items", lambda _self, lost=lost: lost
                ):
                    proofs = report.get_tie_outs([])
                [red] = [proof for proof in proofs if not proof["ties"]]
                self.assertEqual(red["difference"], -1.0)
                self.assertEqual(red["documents"], (model, (culprit,)))

    def _get_touch(self, move):
        return self.env["crm.billing.touch.report"].search([("move_id", "=", move.id)])

    def test_changes_prove_themselves(self):
        revision = self.env["crm.billing.price.revision"].create(
            {"name": "New prices", "date": self.far}
        )
        [proof] = self.changes.get_tie_outs([])
        before = proof["ledger_amount"]
        revision.sudo().state = "applied"
        self.env.flush_all()
        [proof] = self.changes.get_tie_outs([])
        self.assertEqual(proof["amount"], before + 1)
        self.assertTrue(proof["ties"])
        other = self.changes._select_changes()
        with patch.object(
            type(self.changes),
            "_select_changes",
            lambda _self: SQL(
                "SELECT * FROM (%s) one WHERE one.revision_id IS DISTINCT FROM %s",
                other,
                revision.id,
            ),
        ):
            [proof] = self.changes.get_tie_outs([])
        self.assertEqual(proof["difference"], -1.0)
        self.assertIn(revision.id, proof["documents"][1])

    def test_a_lost_event_is_named_by_the_proof_of_changes(self):
        event = (
            self.env["crm.billing.event"]
            .sudo()
            .create(
                {
                    "action": "armed",
                    "company_id": self.company.id,
                    "new_value": "Reminders",
                    "source": "person",
                    "user_id": self.env.uid,
                }
            )
        )
        self.env.flush_all()
        every = self.changes._select_changes()
        lost = SQL(
            "SELECT * FROM (%s) one WHERE one.kind = 'revision' OR one.source_id <> %s",
            every,
            event.id,
        )
        with patch.object(type(self.changes), "_select_changes", lambda _self: lost):
            [proof] = self.changes.get_tie_outs([])
        self.assertEqual(proof["difference"], -1.0)
        self.assertEqual(proof["documents"], ("crm.billing.event", (event.id,)))

    def test_month_beside_its_budget(self):
        self.company.billing_exception_budget = 30.0
        self._touch(self._bill(self.far, 10)[:3])
        month = self._get_month(self.far)
        self.assertEqual((month.rate, month.budget), (30.0, 30.0))
        self.assertFalse(month.is_over_budget)
        self.company.billing_exception_budget = 29.0
        self.assertTrue(self._get_month(self.far).is_over_budget)

    def test_month_is_compared_with_three_months_before(self):
        for month in (9, 10, 11, 12):
            self._touch(self._bill(date(2030, month, 5), 5)[: month == 9])
        self._touch(self._bill(self.far, 5)[:3])
        month = self._get_month(self.far)
        # September, with its exception, is a fourth month before.
        self.assertEqual((month.rate, month.rate_before), (60.0, 0.0))
        self.assertTrue(month.is_raised)
        self.assertEqual(self._get_month(date(2030, 12, 1)).rate_before, 100 / 15)

    def test_top_three_causes(self):
        moves = self._bill(self.far, 4)
        long = "x" * 100
        for count, note in ((4, "Bounced"), (3, "No address"), (2, long)):
            self._touch(moves[:count], note=note)
        self._touch(moves[:1], note="Rare")
        causes = self._get_month(self.far).top_causes.split(" · ")
        self.assertEqual(
            causes,
            [
                "Invoice not sent: Bounced (4)",
                "Invoice not sent: No address (3)",
                f"Invoice not sent: {'x' * 60}… (2)",
            ],
        )

    def test_month_opens_its_touches(self):
        self._touch(self._bill(date(2031, 1, 31)))
        self._touch(self._bill(date(2031, 2, 1)))
        action = self._get_month(self.far).action_view_touches()
        touches = self.env[action["res_model"]].search(action["domain"])
        self.assertEqual(touches.move_id.invoice_date, date(2031, 1, 31))

    def test_rate_of_several_months_is_that_of_their_sums(self):
        self._touch(self._bill(self.far, 3)[:1])
        self._bill(date(2031, 2, 10), 1)
        self.env.invalidate_all()
        domain = [("date", ">=", self.far), ("company_id", "=", self.company.id)]
        self.assertEqual(self.months._read_group(domain, [], ["rate:avg"]), [(25.0,)])

    def test_budget_is_not_negative(self):
        with self.assertRaises(CheckViolation), mute_logger("odoo.sql_db"):
            self.company.billing_exception_budget = -1
            self.env.flush_all()

    # === CHANGES === #

    def _revise(self, day):
        return self.env["crm.billing.price.revision"].create(
            {
                "name": "Prices 2031",
                "company_id": self.company.id,
                "date": day,
                "percent": 5.0,
                "state": "applied",
            }
        )

    def _get_change(self, revision):
        self.env.invalidate_all()
        return self.changes.search([("revision_id", "=", revision.id)])

    def test_change_that_raised_the_rate_is_flagged(self):
        day = date(2031, 3, 10)
        self._bill(day - timedelta(days=1), 5)
        self._touch(self._bill(day - timedelta(days=31), 1))  # too early
        after = self._bill(day + timedelta(days=29), 5)
        self._touch(self._bill(day + timedelta(days=30), 1))  # too late
        revision = self._revise(day)
        change = self._get_change(revision)
        self.assertEqual((change.rate_before, change.rate_after), (0.0, 0.0))
        self.assertFalse(change.is_raised)
        self._touch(after[:3])
        change = self._get_change(revision)
        self.assertEqual((change.rate_before, change.rate_after), (0.0, 60.0))
        self.assertTrue(change.is_raised)
        self.assertEqual(self._get_month(date(2031, 3, 1)).changes, "Prices 2031")
        action = change.action_view_touches()
        touches = self.env[action["res_model"]].search(action["domain"])
        self.assertEqual(touches.move_id, after[:3])

    def test_armed_policy_is_a_change(self):
        self.policy._set_state("armed")
        self.env.flush_all()
        change = self.changes.search(
            [("kind", "=", "policy"), ("name", "=", self.policy.name)]
        )
        self.assertEqual(change.company_id, self.company)
        self.assertEqual(change.date, fields.Date.context_today(change))

    def test_release_is_logged_once_and_concerns_each_company(self):
        log = self.env["crm.billing.event"]
        releases = log.search([("action", "=", "updated")])
        self.assertIn("crm_billing_reports 19.0", releases[:1].new_value)
        log._log_release()
        self.assertEqual(log.search([("action", "=", "updated")]), releases)
        first = releases[-1:]
        self.assertFalse(first.old_value)
        log._log([{"action": "updated", "old_value": "a 1", "new_value": "a 2"}])
        self.env["res.company"].create({"name": "Elsewhere"})
        self.env.invalidate_all()
        found = self.changes.search([("kind", "=", "release"), ("name", "=", "a 2")])
        self.assertEqual(found.company_id, self.env["res.company"].search([]))
        # An installation changes nothing that was there before.
        installed = [("kind", "=", "release"), ("name", "=", first.new_value)]
        self.assertFalse(self.changes.search(installed))

    def test_sql_says_raised_where_the_rule_does(self):
        dice = random.Random(24)
        cases = [tuple(dice.randint(0, 12) for _n in range(4)) for _case in range(300)]
        raised = self.rows._get_raised(
            (SQL("one.a"), SQL("one.b")), (SQL("one.c"), SQL("one.d"))
        )
        rows = self.env.execute_query(
            SQL(
                "SELECT a, b, c, d, %s FROM (VALUES %s) one (a, b, c, d)",
                raised,
                SQL(", ").join(SQL("%s", case) for case in cases),
            )
        )
        self.assertEqual({row[4] for row in rows}, {True, False})
        for *case, answer in rows:
            with self.subTest(case=case):
                before, after = tuple(case[:2]), tuple(case[2:])
                self.assertEqual(answer, exceptions.is_raised(before, after))

    # === RIGHTS === #

    def test_budget_is_for_billing_rates_for_all(self):
        self._touch(self._bill(self.far))
        self.assertTrue(self.months.with_user(self.clerk).search([]))
        for model in (self.months, self.changes):
            with self.assertRaises(AccessError):
                model.with_user(self.seller).search([])
        domain = [("partner_id", "=", self.client.id)]
        for role, count in (("seller", 1), ("other_seller", 0), ("clerk", 1)):
            rows = self.rows.with_user(self.users[role])
            with self.subTest(role=role):
                self.assertEqual(rows.search_count(domain), count)

    def test_other_companies_are_not_seen(self):
        self._touch(self._bill(self.far))
        other = self.env["res.company"].create({"name": "Elsewhere"})
        self.clerk.company_ids |= other
        for model in (self.rows, self.months, self.changes):
            seen = model.with_user(self.clerk).with_context(
                allowed_company_ids=other.ids
            )
            self.assertFalse(seen.search([]).company_id - other)
