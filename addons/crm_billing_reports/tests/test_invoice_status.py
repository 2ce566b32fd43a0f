from datetime import timedelta

from odoo import fields
from odoo.exceptions import AccessError
from odoo.fields import Command
from odoo.tests import tagged

from .common import ReportsCommon


@tagged("post_install", "-at_install")
class TestInvoiceStatus(ReportsCommon):
    """Where each invoice stands, whose it is, and that the list ties."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.report = cls.env["crm.billing.status.report"]
        cls.today = fields.Date.today()
        cls.later = cls.today + timedelta(days=20)
        cls.client = cls._create_account("Statusco")

    @classmethod
    def _bill(cls, amount=100.0, due=None, **values):
        values.setdefault("account", cls.client)
        return cls._create_dated(
            cls.today - timedelta(days=40), amount, due=due or cls.later, **values
        )

    def _get_row(self, move):
        self.env.invalidate_all()
        return self.report.search([("move_id", "=", move.id)])

    def _assert_row(self, move, **values):
        self.assertRecordValues(self._get_row(move), [values])

    # === STATUS === #

    def test_draft_sent_and_not_sent(self):
        move = self._bill()
        self._assert_row(move, status="posted", amount_billed=100.0, amount_open=100.0)
        move.is_move_sent = True
        self._assert_row(move, status="sent", amount_billed=100.0)
        move.button_draft()
        self._assert_row(move, status="draft", amount_total=100.0, amount_billed=0.0)

    def test_cancelled_invoice_is_no_invoice(self):
        move = self._bill()
        move.button_draft()
        move.button_cancel()
        self.assertFalse(self._get_row(move))

    def test_partly_paid_then_paid(self):
        move = self._bill()
        self._pay_on(move, self.today, 60.0)
        self._assert_row(move, status="part", amount_collected=60.0, amount_open=40.0)
        self._pay_on(move, self.today)
        self._assert_row(move, status="paid", amount_collected=100.0, amount_open=0.0)

    def test_what_a_credit_note_took_off_is_no_payment(self):
        move = self._bill()
        credit = move._reverse_moves([{"invoice_date": self.today}])
        credit.invoice_line_ids.price_unit = 30.0
        credit.action_post()
        (move | credit).line_ids.filtered(
            lambda line: line.account_type == "asset_receivable"
        ).reconcile()
        self._assert_row(
            move, status="posted", amount_credited=30.0, amount_collected=0.0
        )
        move.is_move_sent = True
        self._assert_row(move, status="sent", amount_open=70.0)
        self._pay_on(move, self.today, 20.0)
        self._assert_row(move, status="part", amount_collected=20.0)

    def test_overdue_from_the_day_after_the_due_date(self):
        move = self._bill(due=self.today)
        self._assert_row(move, status="posted", amount_overdue=0.0, days_overdue=0)
        late = self._bill(due=self.today - timedelta(days=3))
        self._assert_row(late, status="overdue", amount_overdue=100.0, days_overdue=3)

    def test_only_the_instalment_that_is_due_is_overdue(self):
        terms = self.env["account.payment.term"].create(
            {
                "name": "Two halves",
                "line_ids": [
                    Command.create(
                        {"value": "percent", "value_amount": 50, "nb_days": days}
                    )
                    for days in (10, 90)
                ],
            }
        )
        move = self._bill(invoice_payment_term_id=terms.id, invoice_date_due=False)
        self._assert_row(
            move,
            status="overdue",
            amount_overdue=50.0,
            amount_open=100.0,
            days_overdue=30,
        )
        self._pay_on(move, self.today, 50.0)
        self._assert_row(move, status="part", amount_overdue=0.0)

    def test_retention_is_not_overdue(self):
        move = self._bill(due=self.today - timedelta(days=3))
        term = move.line_ids.filtered("date_maturity")
        self.env.flush_all()
        self.env.cr.execute(
            "UPDATE account_move_line SET billing_is_retention = TRUE WHERE id = %s",
            [term.id],
        )
        self._assert_row(move, status="posted", amount_overdue=0.0, amount_open=100.0)

    def test_failed_payment_comes_before_overdue(self):
        move = self._bill(due=self.today - timedelta(days=3))
        provider = self._create_stripe_provider()
        values = {
            "provider_id": provider.id,
            "payment_method_id": self.env.ref("payment.payment_method_card").id,
            "amount": 100.0,
            "currency_id": move.currency_id.id,
            "partner_id": move.partner_id.id,
            "invoice_ids": [Command.set(move.ids)],
        }
        self.env["payment.transaction"].create(
            {**values, "reference": "status-1", "state": "error"}
        )
        self._assert_row(move, status="failed", amount_overdue=100.0)
        self.env["payment.transaction"].create(
            {**values, "reference": "status-2", "state": "pending"}
        )
        self._assert_row(move, status="overdue")
        self._pay_on(move, self.today)
        self._assert_row(move, status="paid")

    def test_credited_and_its_credit_note(self):
        move = self._bill()
        reversal = self.env["account.move.reversal"].create(
            {
                "move_ids": [Command.set(move.ids)],
                "journal_id": move.journal_id.id,
                "date": self.today,
            }
        )
        reversal.modify_moves()
        refund = move.reversal_move_ids
        self._assert_row(
            move,
            status="credited",
            amount_billed=100.0,
            amount_credited=100.0,
            amount_collected=0.0,
            amount_open=0.0,
        )
        self._assert_row(
            refund, status="credit_note", amount_billed=-100.0, amount_credited=-100.0
        )

    # === AMOUNTS === #

    def test_write_off_is_not_collected(self):
        move = self._bill()
        loss = self.env["account.account"].search(
            [
                ("account_type", "=", "expense"),
                ("company_ids", "in", self.company.ids),
            ],
            limit=1,
        )
        self.env["account.payment.register"].with_context(
            active_model="account.move", active_ids=move.ids
        ).create(
            {
                "payment_date": self.today,
                "amount": 90.0,
                "payment_difference_handling": "reconcile",
                "writeoff_account_id": loss.id,
            }
        )._create_payments()
        self._assert_row(move, status="paid", amount_collected=90.0, amount_open=0.0)

    def test_money_paid_back_is_not_collected(self):
        refund = self._bill(-40.0)
        self._pay_on(refund, self.today)
        self._assert_row(refund, amount_collected=-40.0, amount_open=0.0)

    def test_company_currency_as_booked(self):
        currency = self.env["res.currency"].create(
            {
                "name": "TSC",
                "symbol": "t",
                "rate_ids": [Command.create({"name": "2020-01-01", "rate": 2.0})],
            }
        )
        move = self._bill(currency_id=currency.id)
        self._pay_on(move, self.today, 40.0)
        self._assert_row(
            move,
            amount_currency=100.0,
            amount_billed=50.0,
            amount_collected=20.0,
            amount_open=30.0,
        )

    # === WHOSE === #

    def test_ranking_by_salesperson_team_and_account_manager(self):
        other = self.users["other_seller"]
        team = self.env["crm.team"].create({"name": "North"})
        own = self._bill(300.0, due=self.today - timedelta(days=1))
        self._pay_on(own, self.today, 100.0)
        self._bill(500.0, invoice_user_id=other.id, team_id=team.id)
        domain = [("partner_id", "=", self.client.id)]
        self.env.invalidate_all()
        measures = ["amount_billed:sum", "amount_collected:sum", "amount_overdue:sum"]
        self.assertEqual(
            self.report._read_group(
                domain, ["user_id"], measures, order="amount_billed:sum desc"
            ),
            [(other, 500.0, 0.0, 0.0), (self.seller, 300.0, 100.0, 200.0)],
        )
        self.assertEqual(
            self.report._read_group(domain, ["account_manager_id"], measures),
            [(self.seller, 800.0, 100.0, 200.0)],
        )
        teams = dict(self.report._read_group(domain, ["team_id"], measures[:1]))
        self.assertEqual(teams[team], 500.0)

    def test_sum_over_accounts_is_the_total(self):
        self._bill(300.0)
        self._bill(-20.0)
        self._bill(70.0, account=self.account)
        [(total,)] = self.report._read_group([], [], ["amount_total:sum"])
        groups = self.report._read_group([], ["partner_id"], ["amount_total:sum"])
        self.assertAlmostEqual(sum(amount for _account, amount in groups), total)

    def test_totals_and_rows_are_read_alike(self):
        """Totals are added up at once, rows looked up one by one: one meaning."""
        late, part, paid = (
            self._bill(amount, due=self.today - timedelta(days=amount / 100))
            for amount in (100.0, 200.0, 300.0)
        )
        refund = self._bill(-30.0)
        self._pay_on(part, self.today, 50.0)
        self._pay_on(paid, self.today)
        (late | refund).line_ids.filtered(
            lambda line: line.account_type == "asset_receivable"
        ).reconcile()
        self._bill().button_draft()
        names = ["amount_collected", "amount_credited", "amount_open", "amount_overdue"]
        names += ["days_overdue"]
        self.env.invalidate_all()
        rows = self.report.search([("partner_id", "=", self.client.id)])
        self.assertEqual(len(rows), 5)
        groups = self.report._read_group(
            [("partner_id", "=", self.client.id)],
            ["move_id", "status"],
            [f"{name}:{'max' if name == 'days_overdue' else 'sum'}" for name in names],
        )
        self.assertEqual(
            {
                (row.move_id, row.status): tuple(row[name] for name in names)
                for row in rows
            },
            {(move, status): tuple(facts) for move, status, *facts in groups},
        )
        by_amount = self.report.search(
            [("partner_id", "=", self.client.id), ("amount_overdue", ">", 0)],
            order="amount_overdue desc",
        )
        self.assertEqual(by_amount.move_id, part | late)

    def test_row_opens_its_invoice(self):
        move = self._bill()
        action = self._get_row(move).action_view_invoice()
        self.assertEqual((action["res_model"], action["res_id"]), (move._name, move.id))

    # === TIE-OUT === #

    def _get_proofs(self, domain=None):
        self.env.invalidate_all()
        report = self.report.with_user(self.users["accountant"])
        return report.get_tie_outs(domain or [("partner_id", "=", self.client.id)])

    def test_ties_to_the_list_of_invoices_and_to_receivables(self):
        self._bill(300.0)
        self._bill(-20.0)
        self._bill(50.0).button_draft()
        total, billed, overdue = self._get_proofs()
        self.assertEqual((total["amount"], total["ledger_amount"]), (330.0, 330.0))
        self.assertEqual((billed["amount"], billed["ledger_amount"]), (280.0, 280.0))
        self.assertEqual((overdue["amount"], overdue["ledger_amount"]), (0.0, 0.0))

    def test_overdue_ties_to_the_aging(self):
        """What is no invoice is overdue in the aging, and named in the proof."""
        day = self.today - timedelta(days=2)
        self._bill(300.0, due=day)
        self._pay_on(self._bill(80.0, due=day), self.today, 30.0)
        self._pay_on(self._bill(40.0, due=day), self.later)
        self._create_dated(self.later, 70.0, due=day, account=self.client)
        self._book(500.0)
        [row] = self.env["crm.billing.overdue.report"].search(
            [("partner_id", "=", self.client.id)]
        )
        self.assertEqual(row.amount_company, 300.0 + 50.0 + 40.0 + 500.0)
        overdue = self._get_proofs()[2]
        self.assertEqual(overdue["amount"], 350.0)
        self.assertTrue(overdue["ties"])

    def test_a_difference_of_overdue_names_the_document(self):
        day = self.today - timedelta(days=2)
        good, bad = self._bill(300.0, due=day), self._bill(100.0, due=day)
        items = bad.line_ids.filtered("date_maturity")
        self.env.flush_all()
        # Not open, says the index of open items that the aging starts from.
        self.env.cr.execute(
            "UPDATE account_move_line SET reconciled = TRUE WHERE id = %s", [items.id]
        )
        overdue = self._get_proofs()[2]
        self.assertEqual(overdue["difference"], 100.0)
        self.assertEqual(overdue["documents"], ("account.move", [bad.id]))
        self.assertNotIn(good.id, overdue["documents"][1])

    def _book(self, amount):
        """Book a debit of the client without an invoice, such as an opening balance."""
        invoice = self._bill(1.0).line_ids
        accounts = invoice.sorted("balance", reverse=True).account_id
        entry = self.env["account.move"].create(
            {
                "move_type": "entry",
                "date": self.today - timedelta(days=30),
                "line_ids": [
                    Command.create(
                        {
                            "account_id": account.id,
                            "partner_id": self.client.id,
                            "balance": sign * amount,
                        }
                    )
                    for account, sign in zip(accounts, (1, -1), strict=True)
                ],
            }
        )
        entry.action_post()
        return entry

    def test_ties_below_every_filter(self):
        move = self._bill(300.0, due=self.today - timedelta(days=1))
        self._bill(50.0)
        for domain in (
            [("status", "=", "overdue"), ("partner_id", "=", self.client.id)],
            [("partner_id", "child_of", self.client.id), ("amount_total", ">", 100)],
            [("user_id", "=", self.seller.id), ("move_id", "=", move.id)],
        ):
            with self.subTest(domain=domain):
                for proof in self._get_proofs(domain):
                    self.assertEqual(proof["amount"], 300.0)
                    self.assertEqual(proof["difference"], 0.0)

    def test_ties_where_the_account_names_the_salesperson(self):
        self._bill(300.0, invoice_user_id=False)
        self._bill(50.0, invoice_user_id=self.users["other_seller"].id)
        client = ("partner_id", "=", self.client.id)
        for leaf, amount in (
            (("user_id", "=", self.seller.id), 300.0),
            (("user_id", "!=", self.seller.id), 50.0),
            (("user_id.login", "=", "billing_seller"), 300.0),
        ):
            with self.subTest(leaf=leaf):
                for proof in self._get_proofs([client, leaf])[:2]:
                    self.assertEqual(proof["amount"], amount)
                    self.assertEqual(proof["ledger_amount"], amount)

    def test_difference_names_the_document(self):
        good, bad = self._bill(300.0), self._bill(100.0)
        self.env.flush_all()
        self.env.cr.execute(
            "UPDATE account_move SET amount_total_signed = 112 WHERE id = %s", [bad.id]
        )
        _total, billed, _overdue = self._get_proofs()
        self.assertEqual(billed["difference"], 12.0)
        self.assertEqual(billed["documents"], ("account.move", [bad.id]))
        self.assertNotIn(good.id, billed["documents"][1])

    # === RIGHTS === #

    def test_salespeople_see_their_own(self):
        move = self._bill()
        for role, count in (("seller", 1), ("other_seller", 0), ("clerk", 1)):
            report = self.report.with_user(self.users[role])
            with self.subTest(role=role):
                found = report.search_count([("move_id", "=", move.id)])
                self.assertEqual(found, count)
        self.assertFalse(self.report.with_user(self.seller).get_tie_outs([]))

    def test_other_companies_and_strangers_see_nothing(self):
        move = self._bill()
        other = self.env["res.company"].create({"name": "Elsewhere"})
        clerk = self.clerk
        clerk.company_ids |= other
        report = self.report.with_user(clerk).with_context(
            allowed_company_ids=other.ids
        )
        self.assertFalse(report.search([("move_id", "=", move.id)]))
        clerk.group_ids = [Command.set(self.env.ref("base.group_user").ids)]
        with self.assertRaises(AccessError):
            self.report.with_user(clerk).search([])
