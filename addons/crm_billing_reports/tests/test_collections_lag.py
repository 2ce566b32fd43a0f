import random
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction

from freezegun import freeze_time

from odoo.exceptions import AccessError
from odoo.fields import Command
from odoo.tests import new_test_user, tagged

from odoo.addons.crm_billing_handoff.tests.agreement_common import AgreementCommon

from ..report_rules import collections
from .aging_common import AgingCommon

YEAR = [("date", ">=", "2027-01-01"), ("date", "<=", "2027-12-31")]
PARTS = ("days_ours", "days_terms", "days_customer", "days_processing")


@tagged("post_install", "-at_install")
@freeze_time("2027-12-31 12:00:00")
class TestCollectionsLag(AgreementCommon, AgingCommon):
    """How late money comes, and whose delay it is (billing rules, 8.6 and 8.7)."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.collections = cls.env["crm.billing.collection.report"]
        cls.journal = cls.env["account.journal"].search(
            [("type", "=", "bank"), ("company_id", "=", cls.company.id)], limit=1
        )

    def _ask(self, account=None):
        return [*YEAR, ("partner_id", "=", (account or self.account).id)]

    def _mean(self, *names, account=None):
        self.env.flush_all()
        [found] = self.collections._read_group(
            self._ask(account), [], [f"{name}:avg" for name in names]
        )
        return found

    def _read(self, account=None):
        self.env.flush_all()
        self.collections.invalidate_model()
        return self.collections.search(self._ask(account), order="date, id")

    # === LAG === #

    def test_the_example_of_the_rules(self):
        move = self._create_dated("2027-03-01", 1000, due="2027-03-10")
        self._pay_on(move, "2027-03-02", 250)
        self._pay_on(move, "2027-03-26", 750)
        self.assertEqual(self._mean("days_late", "days_to_terms"), (12, 10))
        self.assertRecordValues(
            self._read(),
            [
                {"amount": 250, "days": -8, "days_late": 0, "days_to_terms": -8},
                {"amount": 750, "days": 16, "days_late": 16, "days_to_terms": 16},
            ],
        )

    def test_credit_notes_are_no_collections(self):
        move = self._create_dated("2027-03-01", 1000, due="2027-03-10")
        self._match(move, self._create_dated("2027-04-01", -400))
        self.assertFalse(self._read())
        self._pay_on(move, "2027-03-20")
        self.assertRecordValues(self._read(), [{"amount": 600, "days": 10}])

    def test_write_offs_are_no_collections(self):
        move = self._create_dated("2027-03-01", 1000, due="2027-03-10")
        wizard = (
            self.env["account.payment.register"]
            .with_context(active_model="account.move", active_ids=move.ids)
            .create(
                {
                    "payment_date": "2027-03-20",
                    "amount": 980,
                    "payment_difference_handling": "reconcile",
                    "writeoff_account_id": (
                        self.company.expense_currency_exchange_account_id.id
                    ),
                }
            )
        )
        wizard.action_create_payments()
        row = self._read()
        self.assertRecordValues(row, [{"amount": 980, "amount_written_off": 20}])
        [proof] = self.collections.get_tie_outs(self._ask())
        self.assertEqual((proof["amount"], proof["difference"]), (1000, 0))

    def test_each_instalment_by_its_own_due_date(self):
        move = self._create_in([("2027-02-01", 400), ("2027-03-01", 600)], "2027-01-10")
        self._pay_on(move, "2027-02-11", 700)
        self.assertEqual(
            [(row.amount, row.days) for row in self._read().sorted("date_due")],
            [(400, 10), (300, -18)],
        )
        self.assertEqual(
            self._mean("days_late", "days_to_terms"), (4000 / 700, (4000 - 5400) / 700)
        )

    def test_an_advance_counts_from_the_invoice(self):
        payment = self._create_payment("2027-01-05", 100)
        move = self._create_dated("2027-02-10", 100, due="2027-03-10")
        self._match(move, payment.move_id)
        self.assertRecordValues(
            self._read(), [{"date": date(2027, 2, 10), "days": -28}]
        )

    def test_retained_money_that_comes_early_is_not_early(self):
        move = self._create_retaining("2027-02-01", 1000, invoice_date_due="2027-02-01")
        self._pay_on(move, "2027-02-11", 1000)
        retained = self._read().filtered(lambda row: not row.date_due)
        self.assertEqual(retained.amount, 100)
        names = ("days_to_terms", "days_late", "days_whole", *PARTS)
        [values] = retained.web_read({name: {} for name in names})
        for name in names:
            self.assertIs(values[name], False, name)
        self.assertEqual(self._mean("days_late"), (10,))

    def test_nothing_collected(self):
        self._create_dated("2027-03-01", 1000)
        self.assertEqual(self._mean("days_late", "days_whole"), (False, False))

    # === WHOSE DELAY === #

    def _log(self, move, posted=None, sent=None):
        """Let the log say when (UTC) the invoice was posted and sent."""
        events = self.env["crm.billing.event"]
        for action, moment in (("posted", posted), ("sent", sent)):
            if not moment:
                continue
            known = events.search(
                [("move_id", "=", move.id), ("action", "=", action)]
            ) or events._log([move._prepare_billing_event(action)])
            self.env.flush_all()
            self.env.cr.execute(
                "UPDATE crm_billing_event SET create_date = %s WHERE id IN %s",
                [moment, tuple(known.ids)],
            )

    def _settle(self, payments, day):
        """Let the bank's entry of ``day`` clear the payments' outstanding account."""
        waiting = payments.move_id.line_ids.filtered(
            lambda line: line.account_id == payments.outstanding_account_id
        )
        entry = self.env["account.move"].create(
            {
                "date": day,
                "journal_id": self.journal.id,
                "line_ids": [
                    Command.create(
                        {
                            "account_id": waiting.account_id.id,
                            "balance": -sum(waiting.mapped("balance")),
                        }
                    ),
                    Command.create(
                        {
                            "account_id": self.journal.default_account_id.id,
                            "balance": sum(waiting.mapped("balance")),
                        }
                    ),
                ],
            }
        )
        entry.action_post()
        (waiting | entry.line_ids[:1]).reconcile()

    def test_each_part_has_its_owner(self):
        with freeze_time("2027-02-01 12:00:00"):
            move = self._create_retaining("2027-02-04", 100, percent=0)
            self._receivable(move).date_maturity = date(2027, 3, 10)
        self._log(move, "2027-02-04 09:00:00", "2027-02-11 09:00:00")
        payments = self._pay_on(move, "2027-03-20")
        self.assertTrue(payments.outstanding_account_id.reconcile)
        self.assertFalse(self._read().is_settled)
        self.assertEqual(self._mean(*PARTS), (10, 27, 10, 0))
        self._settle(payments, "2027-03-23")
        self.assertEqual(self._mean(*PARTS), (10, 27, 10, 3))
        self.assertEqual(
            self._mean("days_to_post", "days_to_send", "days_whole"), (3, 7, 50)
        )
        self.assertRecordValues(
            self._read(),
            [
                {
                    "date_service": date(2027, 2, 1),
                    "date_posted": date(2027, 2, 4),
                    "date_sent": date(2027, 2, 11),
                    "date_due": date(2027, 3, 10),
                    "date_settled": date(2027, 3, 23),
                    "is_settled": True,
                }
            ],
        )

    def test_arrears_are_served_on_the_day_after_the_period(self):
        self.company.billing_responsible_id = self.clerk
        agreement = self._create_agreement(
            plan_id=self._create_plan(timing="arrears").id, price_unit=100.0
        )
        self._run(date(2027, 2, 5))
        move = agreement.move_ids
        self.assertEqual(move.invoice_date, date(2027, 2, 5))
        move.billing_review_note = "as agreed"
        move.with_user(self.clerk).action_billing_review()
        move.date = move.invoice_date
        self._post(move)
        self._log(move, "2027-02-05 23:30:00")
        self._pay_on(move, "2027-03-01")
        row = self._read()
        self.assertEqual(row.date_service, date(2027, 2, 1))
        self.assertEqual((row.days_to_post, row.days_to_send), (4, 0))
        self.account.billing_tz = "Europe/Brussels"
        # Half past eleven in London is tomorrow in Brussels.
        self.assertEqual(self._read().date_posted, date(2027, 2, 6))

    def test_without_parts_the_invoice_is_the_service(self):
        move = self._create_dated("2027-02-04", 100, due="2027-02-14")
        self._pay_on(move, "2027-02-10")
        self.assertEqual(self._mean(*PARTS, "days_whole"), (0, 10, -4, 0, 6))

    def test_history_typed_in_later_has_its_own_date(self):
        move = self._create_dated("2027-02-04", 100, due="2027-02-14")
        self._pay_on(move, "2027-02-20")
        self._log(move, "2027-06-01 09:00:00", "2027-06-02 09:00:00")
        self.assertEqual(self._mean(*PARTS), (0, 10, 6, 0))
        # Sent after it was paid, but posted before: that is how it went.
        self._log(move, "2027-02-06 09:00:00", "2027-02-24 09:00:00")
        self.assertEqual(self._mean(*PARTS), (20, -10, 6, 0))

    def test_parts_add_up_to_the_whole(self):
        chance = random.Random(87)
        wanted = []
        for _number in range(6):
            day = date(2027, 1, 1) + timedelta(days=chance.randrange(200))
            due, posted, sent, paid, settled = (
                day + timedelta(days=chance.randrange(60)) for _step in range(5)
            )
            amount = chance.randint(100, 90000) / 100
            move = self._create_dated(day, amount, due=due)
            self._log(move, f"{posted} 10:00:00", f"{sent} 10:00:00")
            payments = self._pay_on(move, paid)
            self._settle(payments, settled)
            wanted.append(
                collections.Allocation(
                    Decimal(str(amount)),
                    due,
                    max(paid, day),
                    Fraction(day.toordinal()),
                    *collections.get_known_steps(day, max(paid, day), posted, sent),
                    max(paid, settled),
                )
            )
        self._compare(wanted)

    def _compare(self, wanted):
        total = sum(Fraction(one.amount) for one in wanted)
        parts = [(one.amount, collections.get_parts(one)) for one in wanted]
        mean = {
            name: sum(Fraction(amount) * part[name] for amount, part in parts) / total
            for name in collections.PARTS
        }
        found = self._mean(
            "days_late", "days_to_terms", "days_whole", "days_to_post", "days_to_send"
        )
        for ours, theirs in zip(
            found,
            [
                collections.get_days_late(wanted),
                collections.get_days_to_terms(wanted),
                sum(mean.values()),
                mean["to_post"],
                mean["to_send"],
            ],
            strict=True,
        ):
            self.assertAlmostEqual(float(ours), float(theirs), 8)
        parts = self._mean(*PARTS)
        self.assertAlmostEqual(float(sum(parts)), float(found[2]), 8)
        self.assertAlmostEqual(float(parts[3]), float(mean["processing"]), 8)
        for row in self._read():
            self.assertEqual(
                sum(row[name] for name in PARTS), row.days_whole, row.move_id.name
            )

    def test_money_on_the_statement_is_there_at_once(self):
        move = self._create_dated("2027-02-04", 100, due="2027-02-14")
        line = self.env["account.bank.statement.line"].create(
            {
                "journal_id": self.journal.id,
                "date": "2027-02-20",
                "payment_ref": "Northwind",
                "partner_id": self.account.id,
                "amount": 97,
            }
        )
        entry = line.move_id
        suspense = entry.line_ids.filtered(
            lambda one: one.account_id == self.journal.suspense_account_id
        )
        fee = self.company.expense_currency_exchange_account_id
        receivable = self._receivable(move).account_id
        entry.button_draft()
        entry.with_context(skip_account_move_synchronization=True).line_ids = [
            Command.update(suspense.id, {"account_id": receivable.id, "balance": -100}),
            Command.create({"account_id": fee.id, "balance": 3}),
        ]
        entry.action_post()
        (suspense | self._receivable(move)).reconcile()
        self.assertRecordValues(
            self._read(),
            [
                {
                    "amount": 97,
                    "amount_written_off": 3,
                    "is_settled": True,
                    "date_settled": date(2027, 2, 20),
                }
            ],
        )

    # === PROOF, RIGHTS, SPEED === #

    def test_a_difference_names_its_invoices(self):
        move = self._create_dated("2027-03-01", 1000)
        self._pay_on(move, "2027-03-02", 250)
        domain = [*self._ask(), ("days", ">", 0)]
        [proof] = self.collections.get_tie_outs(domain)
        self.assertEqual((proof["amount"], proof["ties"]), (250, True))
        # Not an item of the invoice's terms any more: the report does not know it.
        self.env.cr.execute(
            "UPDATE account_move_line SET display_type = 'product' WHERE id = %s",
            [self._receivable(move).id],
        )
        self.env.invalidate_all()
        [proof] = self.collections.get_tie_outs(self._ask())
        self.assertEqual(proof["difference"], -250)
        self.assertEqual(list(proof["documents"]), ["account.move", [move.id]])

    def test_currencies_are_not_mixed(self):
        """Two companies with two currencies have no common mean."""
        other = self.env["res.company"].create(
            {"name": "Elsewhere", "currency_id": self.env.ref("base.JPY").id}
        )
        move = self._create_dated("2027-03-01", 1000)
        self._pay_on(move, "2027-03-05")
        second = self._create_dated("2027-03-01", 500)
        self._pay_on(second, "2027-03-05")
        line = self._receivable(second)
        self.env.flush_all()
        self.env.cr.execute(
            "UPDATE account_move_line SET company_id = %s, company_currency_id = %s"
            " WHERE id = %s",
            [other.id, other.currency_id.id, line.id],
        )
        self.env.invalidate_all()
        both = self.collections.with_context(
            allowed_company_ids=[self.company.id, other.id]
        ).sudo()
        self.assertEqual(
            both._read_group(self._ask(), [], ["days_late:avg", "amount:sum"]),
            [(False, False)],
        )
        by_company = both._read_group(self._ask(), ["company_id"], ["days_late:avg"])
        self.assertEqual([mean for _company, mean in by_company], [4, 4])

    def test_a_salesperson_sees_own_accounts(self):
        foreign = self._create_account(
            "Not mine", user_id=self.users["other_seller"].id
        )
        mine = self._create_dated("2027-03-01", 100)
        theirs = self._create_dated(
            "2027-03-01",
            50,
            account=foreign,
            invoice_user_id=self.users["other_seller"].id,
        )
        self._pay_on(mine, "2027-03-05")
        self._pay_on(theirs, "2027-03-05")
        seen = self.collections.with_user(self.seller).search(YEAR).move_id
        self.assertIn(mine, seen)
        self.assertNotIn(theirs, seen)
        self.assertEqual(self.collections.with_user(self.seller).get_tie_outs(YEAR), [])
        seen = self.collections.with_user(self.users["accountant"]).search(YEAR)
        self.assertGreaterEqual(seen.move_id, mine | theirs)
        nobody = new_test_user(self.env, login="nobody", groups="base.group_user")
        with self.assertRaises(AccessError):
            self.collections.with_user(nobody).search(YEAR)

    def test_queries_do_not_grow(self):
        for _number in range(3):
            self._pay_on(self._create_dated("2027-03-01", 100), "2027-03-05")
        names = ["days_late:avg", "days_whole:avg", "amount:sum"]
        self.env.flush_all()
        self.collections._read_group(YEAR, ["date:month"], names)
        with self.assertQueryCount(1):
            self.collections._read_group(YEAR, ["date:month", "partner_id"], names)

    def test_buttons_open_invoice_and_payment(self):
        move = self._create_dated("2027-03-01", 100)
        payment = self._pay_on(move, "2027-03-05")
        row = self._read()
        action = row.action_view_invoice()
        self.assertEqual((action["res_model"], action["res_id"]), (move._name, move.id))
        action = row.action_view_payment()
        self.assertEqual(
            (action["res_model"], action["res_id"]), (payment._name, payment.id)
        )
