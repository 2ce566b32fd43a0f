import base64
from datetime import date

from odoo import fields
from odoo.exceptions import AccessError, UserError
from odoo.tests import tagged
from odoo.tools.safe_eval import safe_eval

from .webhook_common import ProviderCommon

HEADING = (
    "balance_transaction_id,created,currency,gross,fee,net,reporting_category,source_id,"
    "description,customer_facing_amount,customer_facing_currency,automatic_payout_id,"
    "automatic_payout_effective_at,charge_id,payment_intent_id"
)


@tagged("post_install", "-at_install")
class TestPayout(ProviderCommon):
    """Money that Stripe sent to the bank, to the cent and to the payment."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        accounts = cls.env["account.account"]
        cls.bank_account = accounts.create(
            {
                "name": "Money on its way",
                "code": "101999",
                "account_type": "asset_current",
                "reconcile": True,
            }
        )
        cls.fee_account = accounts.create(
            {"name": "Provider fees", "code": "620999", "account_type": "expense"}
        )
        cls.journal = cls.env["account.journal"].create(
            {"name": "Payouts", "code": "PAYO", "type": "general"}
        )
        cls.company.write(
            {
                "dunning_payout_journal_id": cls.journal.id,
                "dunning_payout_account_id": cls.bank_account.id,
                "dunning_fee_account_id": cls.fee_account.id,
            }
        )
        cls.accountant = cls.users["accountant"]
        cls.payouts = cls.env["crm.dunning.payout"]

    # === STRIPE === #

    def _settle(self, invoice):
        """Pay an invoice at Stripe and book it; return payment and intent."""
        transaction, intent = self._pay_on_portal(invoice)
        self._run("payment.provider", "_cron_poll_events", fields.Datetime.now())
        self._work()
        self.assertTrue(transaction.payment_id)
        return transaction.payment_id, intent

    def _work(self):
        now = fields.Datetime.add(fields.Datetime.now(), minutes=5)
        self._run("payment.provider", "_cron_poll_events", fields.Datetime.now())
        self._run("crm.dunning.provider.event", "_cron_process_events", now)

    def _pay_out(self, currency=None):
        code = (currency or self.currency).name.lower()
        return self.stripe.pay_out(code)["id"]

    def _fetch(self, payout_ref):
        self._run("crm.dunning.payout", "_cron_fetch_payouts", fields.Datetime.now())
        return self.payouts.search([("payout_ref", "=", payout_ref)])

    def test_payout_is_matched_with_its_payments(self):
        payments = [
            self._settle(self._create_invoice(amount=amount))[0]
            for amount in (100.0, 60.0)
        ]
        payout = self._fetch(self._pay_out())
        # 1.5 % and 0.25 of each: 1.75 and 1.15.
        self.assertRecordValues(
            payout,
            [
                {
                    "gross": 160.0,
                    "fee": 2.9,
                    "refund": 0.0,
                    "dispute": 0.0,
                    "net": 157.1,
                    "amount": 157.1,
                    "difference": 0.0,
                    "unmatched_count": 0,
                    "state": "paid",
                }
            ],
        )
        self.assertEqual(set(payout.line_ids.payment_id), set(payments))
        self.assertEqual(payments[0].dunning_payout_id, payout)
        self.assertEqual(payments[0].dunning_provider_fee, 1.75)
        self.assertTrue(payments[0].dunning_provider_reference.startswith("pi_"))

    def test_open_list_is_empty_when_all_is_matched(self):
        action = self.env.ref("crm_dunning.account_payment_action_provider")
        search = self.env["account.payment"].with_user(self.accountant)
        domain = [
            *safe_eval(action.domain),
            ("dunning_payout_id", "=", False),
            ("partner_id", "=", self.account.id),
        ]
        payment, _intent = self._settle(self._create_invoice(amount=100.0))
        self.assertEqual(search.search(domain), payment)
        self._fetch(self._pay_out())
        self.assertFalse(search.search(domain))

    def test_fetching_again_changes_nothing(self):
        self._settle(self._create_invoice(amount=100.0))
        payout_ref = self._pay_out()
        payout = self._fetch(payout_ref)
        lines = payout.line_ids
        self.assertEqual(self._fetch(payout_ref), payout)
        self.assertEqual(payout.line_ids, lines)
        self.assertEqual(self.payouts.search_count([]), 1)

    def test_refund_and_dispute_have_their_columns(self):
        first, one = self._settle(self._create_invoice(amount=100.0))
        _second, two = self._settle(self._create_invoice(amount=60.0))
        self.stripe.refund(one, 3000)
        self.stripe.open_dispute(two)
        self._work()
        payout = self._fetch(self._pay_out())
        self.assertEqual(payout.gross, 160.0)
        self.assertEqual(payout.refund, -30.0)
        self.assertEqual(payout.dispute, -60.0)
        self.assertEqual(payout.unmatched_count, 0)
        refund = payout.line_ids.filtered(lambda line: line.kind == "refund")
        self.assertEqual(refund.payment_id.payment_type, "outbound")
        self.assertEqual(refund.payment_id.source_payment_id, first)

    def test_foreign_payment_is_a_red_line(self):
        self._settle(self._create_invoice(amount=100.0))
        client = self.provider._get_stripe_client()
        intent = client.v1.payment_intents.create(
            {
                "amount": 700,
                "currency": self.currency.name.lower(),
                "automatic_payment_methods": {
                    "enabled": True,
                    "allow_redirects": "never",
                },
            }
        )
        self.stripe.pay(intent["id"])
        payout = self._fetch(self._pay_out())
        self.assertEqual(payout.unmatched_count, 1)
        red = payout.line_ids.filtered(lambda line: not line.is_matched)
        self.assertEqual(red.gross, 7.0)
        self.assertIn("no such payment", red.problem)

    def test_payment_booked_later_is_matched_the_next_night(self):
        transaction, _intent = self._pay_on_portal(self._create_invoice(amount=100.0))
        payout = self._fetch(self._pay_out())
        self.assertEqual(payout.unmatched_count, 1)
        self._work()
        self.assertTrue(transaction.payment_id)
        self._fetch(payout.payout_ref)
        self.assertEqual(payout.unmatched_count, 0)
        self.assertEqual(payout.line_ids.payment_id, transaction.payment_id)

    # === ENTRY === #

    def test_draft_entry_clears_receipts_against_bank_and_fees(self):
        payment, _intent = self._settle(self._create_invoice(amount=100.0))
        payout = self._fetch(self._pay_out())
        action = payout.with_user(self.accountant).action_create_entry()
        entry = payout.entry_id
        self.assertEqual(action["res_id"], entry.id)
        self.assertEqual((entry.state, entry.journal_id), ("draft", self.journal))
        receipt = payment._seek_for_lines()[0]
        found = {line.account_id: line.balance for line in entry.line_ids}
        self.assertEqual(
            found,
            {
                receipt.account_id: -100.0,
                self.bank_account: 98.25,
                self.fee_account: 1.75,
            },
        )
        self.assertFalse(receipt.reconciled)
        entry.with_user(self.accountant).action_post()
        self.assertTrue(receipt.reconciled)
        self.assertEqual(payment.state, "paid")

    def test_entry_is_drafted_once(self):
        self._settle(self._create_invoice(amount=100.0))
        payout = self._fetch(self._pay_out())
        payout.action_create_entry()
        entry = payout.entry_id
        payout.action_create_entry()
        entries = self.env["account.move"].search(
            [("dunning_payout_id", "=", payout.id)]
        )
        self.assertEqual(entries, entry)
        entry.unlink()
        payout.invalidate_recordset()
        payout.action_create_entry()
        self.assertNotEqual(payout.entry_id, entry)
        self.assertTrue(payout.entry_id)

    def test_red_line_waits_in_suspense(self):
        """Nothing disappears: what matches no payment is seen in the books."""
        self._pay_on_portal(self._create_invoice(amount=100.0))
        payout = self._fetch(self._pay_out())
        payout.action_create_entry()
        suspense = self.company.account_journal_suspense_account_id
        line = payout.entry_id.line_ids.filtered(lambda one: one.account_id == suspense)
        self.assertEqual(line.balance, -100.0)
        self.assertIn("Not matched", line.name)

    def test_dispute_gives_the_claim_back(self):
        _payment, intent = self._settle(self._create_invoice(amount=100.0))
        self._fetch(self._pay_out())
        self.stripe.open_dispute(intent)
        self._work()
        self._settle(self._create_invoice(amount=400.0))
        payout = self._fetch(self._pay_out())
        payout.action_create_entry()
        receivable = self.account.property_account_receivable_id
        claim = payout.entry_id.line_ids.filtered(
            lambda line: line.account_id == receivable
        )
        self.assertEqual((claim.balance, claim.partner_id), (100.0, self.account))

    def test_missing_accounts_are_named(self):
        self._settle(self._create_invoice(amount=100.0))
        payout = self._fetch(self._pay_out())
        self.company.dunning_fee_account_id = False
        with self.assertRaisesRegex(UserError, "Provider Fee Account"):
            payout.action_create_entry()

    def test_payout_under_way_is_not_booked(self):
        self._settle(self._create_invoice(amount=100.0))
        reference = self.stripe.pay_out(self.currency.name.lower(), paid=False)["id"]
        payout = self._fetch(reference)
        self.assertEqual(payout.state, "in_transit")
        with self.assertRaises(UserError):
            payout.action_create_entry()

    # === RIGHTS === #

    def test_sales_sees_no_payouts(self):
        for model in ("crm.dunning.payout", "crm.dunning.payout.line"):
            with self.assertRaises(AccessError):
                self.env[model].with_user(self.seller).search([])
        with self.assertRaises(AccessError):
            self.payouts.with_user(self.seller).action_fetch()
        with self.assertRaises(AccessError):
            self.env["crm.dunning.provider.event"].with_user(self.seller).search([])

    def test_accountant_reads_payouts_now(self):
        self._settle(self._create_invoice(amount=100.0))
        reference = self._pay_out()
        self.payouts.with_user(self.accountant).action_fetch()
        payout = self.payouts.search([("payout_ref", "=", reference)])
        self.assertEqual(payout.unmatched_count, 0)
        with self.assertRaises(AccessError):
            payout.with_user(self.accountant).write({"amount": 1.0})

    def test_nobody_fakes_a_payout_by_hand(self):
        payment, _intent = self._settle(self._create_invoice(amount=100.0))
        payout = self._fetch(self._pay_out())
        entry = self.env["account.move"].create({"journal_id": self.journal.id})
        for record, values in (
            (entry, {"dunning_payout_id": payout.id}),
            (payment, {"dunning_payout_id": False}),
            (payment, {"dunning_provider_fee": 0.0}),
        ):
            with self.assertRaises(AccessError):
                record.with_user(self.accountant).write(values)

    # === FILE === #

    def _import(self, *rows, heading=HEADING, **values):
        text = "\n".join([heading, *rows])
        wizard = self.env["crm.dunning.payout.import"].with_user(self.accountant)
        wizard = wizard.create(
            {"file": base64.b64encode(text.encode()), "file_name": "x.csv", **values}
        )
        action = wizard.action_import()
        return self.payouts.search(action["domain"])

    def _row(self, movement="txn_1", gross="100.00", fee="1.75", net="98.25", **more):
        values = {
            "kind": "charge",
            "currency": self.currency.name.lower(),
            "source": "ch_1",
            "description": "",
            "paid": "",
            "paid_currency": "",
            "payout": "po_file",
            "date": "2026-11-20 00:00:00",
            "intent": "",
            **more,
        }
        return (
            f"{movement},2026-11-13 10:00:00,{values['currency']},{gross},{fee},{net},"
            f"{values['kind']},{values['source']},{values['description']},"
            f"{values['paid']},{values['paid_currency']},{values['payout']},"
            f"{values['date']},{values['source']},{values['intent']}"
        )

    def test_file_is_matched_and_can_be_repeated(self):
        payment, intent = self._settle(self._create_invoice(amount=100.0))
        row = self._row(intent=intent)
        own = self._row(
            "txn_out", "-98.25", "0", "-98.25", kind="payout", source="po_file"
        )
        payout = self._import(row, own)
        self.assertRecordValues(
            payout,
            [
                {
                    "payout_ref": "po_file",
                    "date": date(2026, 11, 20),
                    "gross": 100.0,
                    "fee": 1.75,
                    "amount": 98.25,
                    "unmatched_count": 0,
                    "source": "file",
                }
            ],
        )
        self.assertEqual(payment.dunning_payout_id, payout)
        self.assertEqual(self._import(row, own), payout)
        self.assertEqual(len(payout.line_ids), 1)

    def test_file_with_errors_imports_nothing_and_names_the_rows(self):
        with self.assertRaises(UserError) as raised:
            self._import(
                self._row(),
                self._row("txn_2", gross="abc"),
                self._row("txn_3", net="98.24"),
                self._row("txn_4", date="20.11.2026"),
                self._row("txn_1"),
            )
        text = str(raised.exception)
        for part in (
            "Row 3, gross",
            "Row 4, net",
            "Row 5, automatic_payout_eff",
            "Row 6",
        ):
            self.assertIn(part, text)
        self.assertFalse(self.payouts.search([]))

    def test_file_of_something_else_is_refused(self):
        for heading in ("name,amount", "just one column", ""):
            with self.assertRaises(UserError):
                self._import("a,b", heading=heading)

    def test_payment_in_another_currency_shows_both_amounts(self):
        euro = self.env.ref("base.EUR")
        euro.active = True
        self.env["res.currency.rate"].create(
            {"currency_id": euro.id, "name": "2020-01-01", "rate": 0.5}
        )
        self.assertNotEqual(self.currency, euro)
        payment, intent = self._settle(
            self._create_invoice(amount=100.0, currency_id=euro.id)
        )
        payout = self._import(
            self._row(
                intent=intent,
                gross="198.00",
                fee="3.00",
                net="195.00",
                paid="100.00",
                paid_currency="eur",
            )
        )
        line = payout.line_ids
        self.assertTrue(line.is_matched, line.problem)
        self.assertEqual((line.gross, line.paid_amount), (198.0, 100.0))
        self.assertEqual(line.paid_currency_id, euro)
        payout.action_create_entry()
        receipt = payment._seek_for_lines()[0]
        clearing = payout.entry_id.line_ids.filtered(
            lambda one: one.account_id == receipt.account_id
        )
        # Booked at 200.00, paid out 198.00: the rate has cost 2.00.
        self.assertEqual((clearing.amount_currency, clearing.balance), (-100.0, -200.0))
        loss = payout.entry_id.line_ids.filtered(
            lambda one: one.name == "Exchange difference"
        )
        self.assertEqual(loss.balance, 2.0)
        payout.entry_id.action_post()
        self.assertTrue(receipt.reconciled)

    def test_payout_in_a_foreign_currency_shows_the_company_amount(self):
        euro = self.env.ref("base.EUR")
        euro.active = True
        self.env["res.currency.rate"].create(
            {"currency_id": euro.id, "name": "2020-01-01", "rate": 0.5}
        )
        payout = self._import(self._row(currency="eur"))
        self.assertEqual((payout.amount, payout.amount_company), (98.25, 196.5))
