from datetime import timedelta
from unittest.mock import patch

from odoo import fields
from odoo.fields import Command
from odoo.tests import tagged

from .charge_common import ChargeCommon


@tagged("post_install", "-at_install")
class TestCharge(ChargeCommon):
    """One charge: from the due date to the books."""

    def test_a_due_invoice_is_charged_once_and_paid(self):
        invoice = self._create_invoice(amount=120.0)
        self._run_charges()
        self._run_charges()
        attempt = self._get_attempts(invoice)
        self.assertRecordValues(
            attempt,
            [{"state": "succeeded", "source": "due", "amount": 120.0}],
        )
        self.assertPaid(invoice)
        self.assertEqual(self._count_charges(), 1)
        self.assertRecordValues(
            attempt.transaction_id,
            [{"state": "done", "operation": "offline", "is_post_processed": True}],
        )
        self.assertFalse(self._get_case(invoice))

    def test_what_is_sent_fits_the_newest_api(self):
        invoice = self._create_invoice(amount=12.34)
        attempt = self._charge(invoice)
        [create] = self.stripe.journal(method="POST", path="payment_intents")
        self.assertEqual(create["idempotency_key"], f"{attempt.key}-create")
        intent = self.stripe.get(attempt.payment_intent)
        self.assertEqual(intent["amount"], 1234)
        self.assertEqual(intent["allowed_payment_method_types"], ["card"])
        self.assertEqual(intent["description"], attempt.reference)
        self.assertEqual(
            intent["metadata"],
            {"attempt": attempt.key, "reference": attempt.reference},
        )
        path = f"payment_intents/{attempt.payment_intent}/confirm"
        [confirm] = self.stripe.journal(method="POST", path=path)
        self.assertEqual(confirm["idempotency_key"], f"{attempt.key}-confirm")

    def test_only_what_is_due_of_instalments_is_charged(self):
        terms = self.env["account.payment.term"].create(
            {
                "name": "Half now, half in 30 days",
                "line_ids": [
                    Command.create({"value_amount": 50.0, "nb_days": 0}),
                    Command.create({"value_amount": 50.0, "nb_days": 30}),
                ],
            }
        )
        invoice = self._create_invoice(
            amount=100.0,
            invoice_date=self.today,
            invoice_payment_term_id=terms.id,
        )
        attempt = self._charge(invoice)
        self.assertEqual(attempt.amount, 50.0)
        self.assertEqual(invoice.amount_residual, 50.0)
        self.assertFalse(self._charge(invoice))

    def test_the_amount_is_what_is_open_in_that_second(self):
        invoice = self._create_invoice(amount=100.0)
        self._credit(invoice, 30.0)
        attempt = self._charge(invoice)
        self.assertEqual(attempt.amount, 70.0)
        self.assertPaid(invoice)

    def test_a_credit_note_midway_cancels_the_payment(self):
        """Between the commit and the call: nothing is taken, the rest is charged."""
        invoice = self._create_invoice(amount=100.0)
        attempt = self.attempts._start(invoice, "due", self.now)
        self._credit(invoice, 30.0)
        attempt._send(self.now)
        self.assertEqual(attempt.state, "cancelled")
        self.assertEqual(self.stripe.get(attempt.payment_intent)["status"], "canceled")
        self.assertEqual(self._count_charges(), 0)
        self._run_charges()
        self.assertPaid(invoice)
        self.assertEqual(self._get_attempts(invoice).mapped("amount"), [100.0, 70.0])

    def test_a_reset_to_draft_midway_cancels_the_payment(self):
        invoice = self._create_invoice(amount=100.0)
        attempt = self.attempts._start(invoice, "due", self.now)
        invoice.button_draft()
        attempt._send(self.now)
        self.assertEqual(attempt.state, "cancelled")
        self.assertEqual(self._count_charges(), 0)

    def test_a_credit_note_after_the_money_leaves_the_rest_as_credit(self):
        invoice = self._create_invoice(amount=100.0)
        attempt = self.attempts._start(invoice, "due", self.now)
        confirmed = self._confirm_behind(attempt)
        self._credit(invoice, 30.0)
        attempt._apply(confirmed)
        self.assertPaid(invoice)
        self.assertEqual(attempt.transaction_id.payment_id.amount, 100.0)
        receivable = attempt.transaction_id.payment_id.move_id.line_ids.filtered(
            lambda line: line.account_type == "asset_receivable"
        )
        self.assertEqual(receivable.amount_residual, -30.0)

    def test_a_foreign_currency_is_charged_as_such(self):
        for code, amount, minor in (("GBP", 55.5, 5550), ("JPY", 900.0, 900)):
            currency = self.env.ref(f"base.{code}")
            currency.active = True
            invoice = self._create_invoice(amount=amount, currency_id=currency.id)
            attempt = self._charge(invoice)
            self.assertEqual(attempt.currency_id, currency)
            intent = self.stripe.get(attempt.payment_intent)
            self.assertEqual(
                (intent["amount"], intent["currency"]), (minor, code.lower())
            )
            self.assertPaid(invoice)

    def test_a_retention_is_not_charged(self):
        invoice = self._create_invoice(amount=100.0)
        line = invoice.line_ids.filtered(lambda one: one.display_type == "payment_term")
        line.sudo().billing_is_retention = True
        self._run_charges()
        self.assertFalse(self._get_attempts(invoice))

    def test_what_is_not_due_yet_waits(self):
        invoice = self._create_invoice(due=self.today + timedelta(days=3))
        self._run_charges()
        self.assertFalse(self._get_attempts(invoice))
        self._run_charges(self.now + timedelta(days=3))
        self.assertPaid(invoice)

    def test_at_posting_what_is_due_later_is_charged_at_once(self):
        self.policy.charge_mode = "posting"
        invoice = self._create_invoice(due=self.today + timedelta(days=20))
        self._run_charges()
        self.assertPaid(invoice)

    def test_who_is_charged_early_gets_the_discount_of_the_terms(self):
        self.policy.charge_mode = "posting"
        terms = self.env["account.payment.term"].create(
            {
                "name": "30 days, 2 % within 10",
                "early_discount": True,
                "discount_percentage": 2.0,
                "discount_days": 10,
                "line_ids": [Command.create({"value_amount": 100.0, "nb_days": 30})],
            }
        )
        invoice = self._create_invoice(
            invoice_date=self.today, invoice_payment_term_id=terms.id
        )
        self.assertEqual(self._charge(invoice).amount, 98.0)
        self.assertPaid(invoice)
        late = self._create_invoice(
            invoice_date=self.today - timedelta(days=11),
            invoice_payment_term_id=terms.id,
        )
        self.assertEqual(self._charge(late).amount, 100.0)
        self.assertPaid(late)

    def test_arming_charges_nobody_for_the_past(self):
        self.policy.armed_at = self.now - timedelta(days=2)
        old = self._create_invoice(due=self.today - timedelta(days=5))
        new = self._create_invoice(due=self.today - timedelta(days=1))
        self._run_charges()
        self.assertFalse(self._get_attempts(old))
        self.assertPaid(new)

    def test_nothing_is_charged_unarmed(self):
        invoice = self._create_invoice()
        for record, values in (
            (self.policy, {"state": "dry_run"}),
            (self.policy, {"charge_mode": "none"}),
            (self.provider, {"dunning_armed": False}),
            (self.token, {"active": False}),
        ):
            with self.subTest(values=values), self.env.cr.savepoint() as undo:
                record.write(values)
                self._run_charges()
                self.assertFalse(self._get_attempts(invoice))
                undo.rollback()
        self._run_charges()
        self.assertPaid(invoice)

    def test_what_is_to_be_announced_waits_for_it(self):
        self.policy.announce_days = 3
        invoice = self._create_invoice()
        self._run_charges()
        self.assertFalse(self._get_attempts(invoice))
        notice = self.env["crm.dunning.notice"].create(
            {
                "kind": "announcement",
                "state": "sent",
                "move_id": invoice.id,
                "partner_id": self.account.id,
                "company_id": self.company.id,
                "currency_id": invoice.currency_id.id,
                "policy_id": self.policy.id,
                "date": self.today - timedelta(days=3),
                "charge_on": self.today - timedelta(days=30),
            }
        )
        self._run_charges()
        self.assertFalse(self._get_attempts(invoice), "another day was announced")
        notice.charge_on = self.today
        self._run_charges()
        self.assertPaid(invoice)

    def test_nothing_is_charged_outside_the_hours(self):
        invoice = self._create_invoice()
        moment = fields.Datetime.now().replace(hour=12, minute=0)
        self.policy.write({"hour_from": 14.0, "hour_to": 18.0})
        self._run_charges(moment)
        self.assertFalse(self._get_attempts(invoice))
        self._run_charges(moment.replace(hour=15))
        self.assertPaid(invoice)

    def test_what_the_customer_said_comes_first(self):
        """The pre-flight of messages holds for charges, too."""
        for name, args in (
            ("action_promise", (self.today + timedelta(days=3),)),
            ("action_dispute", ("Wrong quantity",)),
            ("action_hold", (self.today + timedelta(days=3),)),
            ("action_take_over", ()),
        ):
            with self.subTest(name):
                invoice = self._create_invoice()
                case = self.env["crm.dunning.case"]._open_for(invoice)
                getattr(case.with_user(self.clerk), name)(*args)
                self._run_charges()
                self.assertFalse(self._get_attempts(invoice))

    def test_the_named_method_is_charged_and_no_other(self):
        named = self.token
        self._create_token(self.account)
        self.account.dunning_token_id = named
        attempt = self._charge(self._create_invoice())
        self.assertEqual(attempt.token_id, named)
        named.active = False
        self.assertFalse(self._charge(self._create_invoice()))

    def test_a_method_belongs_to_its_account(self):
        other = self._create_account("Southwind")
        with self.assertRaisesRegex(Exception, "another account"):
            other.dunning_token_id = self.token

    def test_sales_does_not_choose_the_method(self):
        with self.assertRaisesRegex(Exception, "billing data"):
            self.account.with_user(self.seller).dunning_token_id = self.token

    # === HELPERS === #

    def test_the_hours_end_before_the_money_moves(self):
        """A process died after the commit; found at night, it waits for the day."""
        invoice = self._create_invoice()
        attempt = self.attempts._start(invoice, "due", self.now)
        self.policy.write({"hour_from": 9.0, "hour_to": 17.0})
        night = self.now.replace(hour=2) + timedelta(days=1)
        attempt._send(night)
        self.assertEqual(attempt.state, "cancelled")
        self._run_charges(night + timedelta(hours=1))
        self.assertEqual(self._count_charges(), 0)
        self._run_charges(night + timedelta(hours=9))
        self.assertPaid(invoice)

    def test_what_was_switched_off_or_removed_meanwhile_is_not_charged(self):
        changes = (
            (self.policy, {"state": "dry_run"}, {"state": "armed"}),
            (self.policy, {"charge_mode": "none"}, {"charge_mode": "due"}),
            (self.token, {"active": False}, {"active": True}),
            (self.token, {"dunning_blocked_class": "fraud"}, {}),
        )
        for record, change, back in changes:
            with self.subTest(change):
                invoice = self._create_invoice()
                attempt = self.attempts._start(invoice, "due", self.now)
                record.write(change)
                attempt._send(self.now)
                self.assertEqual(attempt.state, "cancelled")
                self.assertEqual(self._count_charges(), 0)
                record.write(back)

    def test_books_that_break_do_not_undo_a_payment(self):
        invoice = self._create_invoice()
        transactions = type(self.env["payment.transaction"])
        broken = patch.object(transactions, "_create_payment", side_effect=ValueError)
        rolled_back = patch.object(type(self.attempts), "_rollback")
        with broken, rolled_back as rollback:
            attempt = self._charge(invoice)
        rollback.assert_not_called()
        self.assertEqual(attempt.state, "succeeded")
        self.assertEqual(attempt.transaction_id.state, "done")
        self.assertFalse(self._charge(invoice, "person"))
        attempt.transaction_id._post_process()
        self.assertPaid(invoice)

    def _credit(self, invoice, amount):
        """Credit a part of a posted invoice and match it."""
        note = self.env["account.move"].create(
            {
                "move_type": "out_refund",
                "partner_id": invoice.partner_id.id,
                "invoice_line_ids": [
                    Command.create(
                        {
                            "product_id": self.product.id,
                            "price_unit": amount,
                            "tax_ids": [Command.clear()],
                        }
                    )
                ],
            }
        )
        note.action_post()
        lines = (note + invoice).line_ids
        lines.filtered(
            lambda line: line.account_type == "asset_receivable" and not line.reconciled
        ).reconcile()

    def _confirm_behind(self, attempt):
        """Let the provider take the money while our process hears nothing of it."""
        client = self.provider._get_stripe_client()
        made = client.v1.payment_intents.create(attempt.payload["create"])
        attempt._keep_intent(made["id"])
        expand = {"expand": ["payment_method", "latest_charge"]}
        done = client.v1.payment_intents.confirm(
            made["id"], {**attempt.payload["confirm"], **expand}
        )
        return done.to_dict()
