from datetime import date, timedelta

from odoo.exceptions import AccessError
from odoo.fields import Command
from odoo.tests import new_test_user, tagged

from ..dunning_rules import declines
from .common import DunningCommon


@tagged("post_install", "-at_install")
class TestRecoveryReport(DunningCommon):
    """What each reminder and each charge brought in, each payment once."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.company.billing_tz = "Europe/Brussels"
        cls.move = cls._create_invoice(amount=100.0, due="2026-02-10")
        cls.report = cls.env["crm.dunning.recovery.report"]

    @classmethod
    def _notice(cls, day, move=None, stage=2, at=None, **values):
        """Record a reminder of a local day that left at ``at`` (UTC)."""
        move = move or cls.move
        term = move.line_ids.filtered(lambda line: line.date_maturity)
        return cls.env["crm.dunning.notice"].create(
            {
                "partner_id": move.commercial_partner_id.id,
                "company_id": move.company_id.id,
                "currency_id": move.currency_id.id,
                "policy_id": cls.policy.id,
                "step_id": cls._get_step(stage).id,
                "stage": stage,
                "tone": "firm" if stage > 5 else "neutral",
                "date": day,
                "state": "sent",
                "sent_at": at or f"{day} 09:30:00",
                "move_id": move.id,
                "line_ids": [
                    Command.create(
                        {
                            "company_id": move.company_id.id,
                            "line_id": term.id,
                            "move_id": move.id,
                            "step_id": cls._get_step(stage).id,
                            "days": stage,
                            "kind": "listed",
                            "date": day,
                            "currency_id": move.currency_id.id,
                            "amount": move.amount_residual,
                        }
                    )
                ],
                **values,
            }
        )

    @classmethod
    def _get_step(cls, days):
        return cls.policy.step_ids.filtered(lambda step: step.days == days)

    @classmethod
    def _charge(cls, move, state, at, **values):
        provider = cls._create_stripe_provider()
        return cls.env["crm.dunning.attempt"].create(
            {
                "key": f"{move.id}-{at}",
                "state": state,
                "source": "due",
                "move_id": move.id,
                "provider_id": provider.id,
                "currency_id": move.currency_id.id,
                "amount": move.amount_residual,
                "sent_at": at,
                **values,
            }
        )

    def _pay_on(self, move, day, amount=None):
        wizard = (
            self.env["account.payment.register"]
            .with_context(active_model="account.move", active_ids=move.ids)
            .create({"payment_date": day, "amount": amount or move.amount_residual})
        )
        return wizard._create_payments()

    def _get_rows(self, user=None, **context):
        self.env.flush_all()
        self.env.invalidate_all()
        report = self.report.with_user(user or self.manager).with_context(**context)
        return report.search([("partner_id", "=", self.account.id)], order="date, id")

    def test_a_payment_counts_for_the_last_reminder_before_it(self):
        self._notice("2026-02-12")
        self._notice("2026-02-19", stage=9)
        self._pay_on(self.move, "2026-02-21")
        self.assertRecordValues(
            self._get_rows(),
            [
                {
                    "kind": "reminder",
                    "days": 2,
                    "tone": "neutral",
                    "amount": 100.0,
                    "amount_recovered": 0.0,
                    "is_recovered": 0,
                    "user_id": self.seller.id,
                    "policy_id": self.policy.id,
                    "step_id": self._get_step(2).id,
                },
                {
                    "kind": "reminder",
                    "days": 9,
                    "tone": "firm",
                    "amount": 100.0,
                    "amount_recovered": 100.0,
                    "is_recovered": 1,
                    "user_id": self.seller.id,
                    "policy_id": self.policy.id,
                    "step_id": self._get_step(9).id,
                },
            ],
        )
        self.assertEqual(self._get_rows()[1].days_to_payment, 2.0)

    def test_parts_of_a_payment_count_where_they_came(self):
        self._notice("2026-02-12")
        self._pay_on(self.move, "2026-02-13", 30.0)
        self._notice("2026-02-19", stage=9)
        self._pay_on(self.move, "2026-02-25", 70.0)
        rows = self._get_rows()
        self.assertEqual(rows.mapped("amount_recovered"), [30.0, 70.0])
        self.assertEqual(rows.mapped("amount"), [100.0, 70.0])

    def test_a_late_payment_is_nobodys_merit(self):
        self._notice("2026-02-12")
        self._pay_on(self.move, "2026-02-27")
        self.assertEqual(self._get_rows().amount_recovered, 0.0)
        rows = self._get_rows(recovery_days=15)
        self.assertEqual(rows.amount_recovered, 100.0)
        self.assertEqual(self._get_rows(recovery_days="0); DROP").amount_recovered, 0.0)

    def test_a_payment_before_the_reminder_does_not_count(self):
        self._notice("2026-02-12")
        self._pay_on(self.move, "2026-02-11", 40.0)
        self.assertEqual(self._get_rows().amount_recovered, 0.0)

    def test_a_credit_note_brings_no_money(self):
        self._notice("2026-02-12")
        refund = self.move._reverse_moves(
            [{"date": date(2026, 2, 14), "invoice_date": date(2026, 2, 14)}],
            cancel=True,
        )
        self.assertEqual(refund.state, "posted")
        self.assertTrue(self.move.currency_id.is_zero(self.move.amount_residual))
        self.assertEqual(self._get_rows().amount_recovered, 0.0)

    def test_only_what_left_and_was_listed_is_a_row(self):
        for state in ("queued", "stopped", "dry_run", "bounced"):
            self._notice("2026-02-12", state=state).line_ids.unlink()
            notice = self._notice("2026-02-12", state=state)
            self.assertFalse(self._get_rows(), state)
            notice.unlink()
        notice = self._notice("2026-02-12")
        notice.line_ids.kind = "skipped"
        self.assertFalse(self._get_rows())

    def test_hour_and_weekday_are_those_of_the_account(self):
        # Half past eleven in the evening of a Wednesday in UTC is Thursday in Brussels.
        self._notice("2026-02-12", at="2026-02-11 23:30:00")
        row = self._get_rows()
        self.assertEqual((row.hour, row.weekday), (0, "4"))
        self.account.billing_tz = "America/New_York"
        row = self._get_rows()
        self.assertEqual(row.hour, 18)

    def test_foreign_money_is_told_in_the_companys(self):
        foreign = self.env["res.currency"].create(
            {
                "name": "XTS",
                "symbol": "X",
                "rate_ids": [Command.create({"name": "2020-01-01", "rate": 2.0})],
            }
        )
        move = self._create_invoice(
            amount=80.0, due="2026-02-10", currency_id=foreign.id
        )
        self._notice("2026-02-12", move)
        self._pay_on(move, "2026-02-13")
        self.assertRecordValues(
            self._get_rows(), [{"amount": 40.0, "amount_recovered": 40.0}]
        )

    def test_charges_tell_class_and_code_and_are_not_counted_twice(self):
        self._notice("2026-02-12")
        self._charge(
            self.move,
            "declined",
            "2026-02-13 08:00:00",
            decline_class="generic",
            decline_code="do_not_honor",
        )
        payment = self._pay_on(self.move, "2026-02-14")
        transaction = self.env["payment.transaction"].create(
            {
                "provider_id": self._create_stripe_provider().id,
                "payment_method_id": self.env.ref("payment.payment_method_card").id,
                "reference": "charge-1",
                "amount": 100.0,
                "currency_id": self.currency.id,
                "partner_id": self.account.id,
            }
        )
        payment.payment_transaction_id = transaction
        self._charge(
            self.move,
            "succeeded",
            "2026-02-14 08:00:00",
            amount=100.0,
            transaction_id=transaction.id,
        )
        self.assertRecordValues(
            self._get_rows(),
            [
                {
                    "kind": "reminder",
                    "state": False,
                    "decline_class": False,
                    "decline_code": False,
                    "amount_recovered": 0.0,
                },
                {
                    "kind": "charge",
                    "state": "declined",
                    "decline_class": "generic",
                    "decline_code": "do_not_honor",
                    "amount_recovered": 0.0,
                },
                {
                    "kind": "charge",
                    "state": "succeeded",
                    "decline_class": False,
                    "decline_code": False,
                    "amount_recovered": 100.0,
                },
            ],
        )

    def test_each_class_of_declines_has_a_name(self):
        field = self.report._fields["decline_class"]
        names = dict(field._description_selection(self.env))
        self.assertEqual(set(names), set(declines.CLASSES))

    def test_it_groups_by_what_a_manager_asks(self):
        self._notice("2026-02-12")
        self._notice("2026-02-19", stage=9)
        self._pay_on(self.move, "2026-02-21")
        self.env.flush_all()
        self.env.invalidate_all()
        report = self.report.with_user(self.manager)
        domain = [("partner_id", "=", self.account.id)]
        for name in (
            "step_id",
            "tone",
            "hour",
            "weekday",
            "decline_class",
            "policy_id",
        ):
            rows = report.formatted_read_group(
                domain, [name], ["amount_recovered:sum", "is_recovered:avg"]
            )
            total = sum(row["amount_recovered:sum"] for row in rows)
            self.assertEqual(total, 100.0, name)
        (row,) = report.formatted_read_group(domain, ["kind"], ["is_recovered:avg"])
        self.assertEqual(row["is_recovered:avg"], 0.5)

    # === WHO SEES WHAT === #

    def test_a_salesperson_sees_own_accounts_and_everybody_own_companies(self):
        self._notice("2026-02-12")
        self.assertEqual(len(self._get_rows(self.seller)), 1)
        self.assertFalse(self._get_rows(self.users["other_seller"]))
        for role in ("clerk", "manager", "accountant"):
            self.assertEqual(len(self._get_rows(self.users[role])), 1, role)
        nobody = new_test_user(self.env, "nobody_special", groups="base.group_user")
        with self.assertRaises(AccessError):
            self._get_rows(nobody)
        elsewhere = self.env["res.company"].create({"name": "Elsewhere"})
        self.manager.write(
            {"company_ids": [Command.set(elsewhere.ids)], "company_id": elsewhere.id}
        )
        self.assertFalse(self._get_rows(self.manager))

    def test_a_row_opens_its_invoice(self):
        self._notice("2026-02-12")
        action = self._get_rows().action_view_invoice()
        self.assertEqual(action["res_id"], self.move.id)

    def test_the_number_of_queries_does_not_grow(self):
        def count():
            self.env.flush_all()
            self.env.invalidate_all()
            start = self.env.cr.sql_log_count
            rows = self.report.search([("company_id", "=", self.company.id)])
            rows.mapped("amount_recovered")
            return self.env.cr.sql_log_count - start, len(rows)

        self._notice("2026-02-12")
        count()
        few, _rows = count()
        for number in range(10):
            move = self._create_invoice(due=date(2026, 3, 1) + timedelta(days=number))
            self._notice(move.invoice_date_due, move)
        many, rows = count()
        self.assertEqual((many, rows), (few, 11))
