from datetime import date, datetime

import psycopg2

from odoo import fields
from odoo.tests import tagged
from odoo.tools import mute_logger

from odoo.addons.crm_billing_handoff.tests.agreement_common import AgreementCommon

from .webhook_common import ProviderCommon


@tagged("post_install", "-at_install")
class TestExpiry(ProviderCommon, AgreementCommon):
    """A card of which the last day comes before the next charge (F8)."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.policy.charge_mode = "due"
        cls.stripe_method = cls.token.stripe_payment_method

    def _expire(self, month, year):
        self.stripe.expire_card(self.stripe_method, month, year)

    def _warn(self, day):
        """Run the nightly job at noon of ``day`` and return all notices so far."""
        now = datetime.combine(day, datetime.min.time()).replace(hour=12)
        self._run("payment.token", "_cron_token_expiry", now)
        return self.env["crm.dunning.notice"].search(
            [("kind", "=", "expiry"), ("partner_id", "=", self.account.id)], order="id"
        )

    def test_card_is_learned_from_the_provider(self):
        self._expire(4, 2027)
        self._warn(date(2026, 12, 1))
        self.assertRecordValues(
            self.token,
            [
                {
                    "exp_month": 4,
                    "exp_year": 2027,
                    "expires_on": date(2027, 4, 30),
                    "card_brand": "visa",
                }
            ],
        )

    def test_card_far_from_its_end_is_not_asked_for_again(self):
        self._expire(4, 2031)
        self._warn(date(2026, 12, 1))
        self.stripe.forget_journal()
        self._warn(date(2027, 12, 1))
        self.assertFalse(self.stripe.journal("GET"))

    def test_two_notices_thirty_and_seven_days_before(self):
        self._create_invoice(amount=80.0, due="2027-05-10")
        self._expire(4, 2027)
        self.assertFalse(self._warn(date(2027, 3, 30)))
        first = self._warn(date(2027, 3, 31))
        self.assertEqual(first.mapped("expiry_days"), [30])
        for day in (date(2027, 4, 1), date(2027, 4, 22)):
            self.assertEqual(self._warn(day), first)
        both = self._warn(date(2027, 4, 23))
        self.assertEqual(both.mapped("expiry_days"), [30, 7])
        self.assertEqual(self._warn(date(2027, 4, 29)), both)

    def test_one_broken_card_stops_no_other(self):
        broken = self._create_token(self._create_account("Broken"))
        self._create_invoice(amount=80.0, due="2027-05-10")
        self._expire(4, 2027)
        self.stripe.expire_card(broken.stripe_payment_method, 4, 2027)
        tokens = type(self.token)
        origin = tokens._get_charge_after_expiry

        def fail(token, *args):
            if token == broken:
                message = "broken"
                raise ValueError(message)
            return origin(token, *args)

        self.patch(tokens, "_get_charge_after_expiry", fail)
        with mute_logger("odoo.addons.crm_dunning.models.crm_dunning_token_expiry"):
            first = self._warn(date(2027, 3, 31))
        self.assertEqual(first.mapped("expiry_days"), [30])

    def test_message_is_gentle_and_goes_to_accounts_payable(self):
        invoice = self._create_invoice(amount=80.0, due="2027-05-10")
        self._expire(4, 2027)
        notice = self._warn(date(2027, 4, 1))
        self.assertEqual(notice.recipient_ids, self.account.billing_contact_id)
        self.assertEqual(notice.move_id, invoice)
        body = str(notice.message_id.body)
        self.assertIn("/my/payment_method", body)
        self.assertIn("4242", body)
        for word in ("overdue", "declined", self.stripe_method):
            self.assertNotIn(word, body)

    def test_no_charge_after_the_last_day_no_notice(self):
        self._create_invoice(amount=80.0, due="2027-04-20")
        self._expire(4, 2027)
        self.assertFalse(self._warn(date(2027, 4, 1)))

    def test_agreement_that_bills_on_is_a_charge(self):
        """The next invoice is due before the card's end, the one after it is not."""
        agreement = self._create_agreement(start_date="2026-01-01")
        agreement.generate_invoices(until=date(2027, 3, 15)).action_post()
        self._expire(4, 2027)
        notice = self._warn(date(2027, 4, 1))
        self.assertEqual(notice.expiry_days, 30)

    def test_agreement_that_ends_before_is_none(self):
        agreement = self._create_agreement(
            start_date="2026-01-01", end_date="2027-03-31"
        )
        moves = agreement.generate_invoices(until=date(2027, 3, 15))
        moves.action_post()
        self._expire(4, 2027)
        due = max(moves.mapped("invoice_date_due"))
        self.assertLess(due, date(2027, 4, 30))
        self.assertFalse(self._warn(date(2027, 4, 1)))

    def test_renewed_card_ends_the_track(self):
        self._create_invoice(amount=80.0, due="2027-05-10")
        self._expire(4, 2027)
        first = self._warn(date(2027, 4, 1))
        self._expire(4, 2032)
        self.assertEqual(self._warn(date(2027, 4, 24)), first)
        self.assertEqual(self.token.expires_on, date(2032, 4, 30))

    def test_queued_notice_of_a_renewed_card_does_not_leave(self):
        self._create_invoice(amount=80.0, due="2027-05-10")
        self._expire(4, 2027)
        notice = self._warn(date(2027, 4, 1))
        mail = self.env["mail.mail"].search(
            [("mail_message_id", "=", notice.message_id.id)]
        )
        self.token.write({"exp_year": 2032})
        mail.send()
        self.assertEqual(notice.state, "stopped")
        self.assertIn("replaced", notice.reason)

    def test_another_saved_card_ends_the_track(self):
        self._create_invoice(amount=80.0, due="2027-05-10")
        self._expire(4, 2027)
        self._create_token(self.account)
        self.assertFalse(self._warn(date(2027, 4, 1)))

    def test_archived_token_warns_nobody(self):
        self._create_invoice(amount=80.0, due="2027-05-10")
        self._expire(4, 2027)
        self._warn(date(2027, 3, 1))
        self.token.active = False
        self.assertFalse(self._warn(date(2027, 4, 1)))

    def test_policy_that_does_not_charge_warns_nobody(self):
        self._create_invoice(amount=80.0, due="2027-05-10")
        self._expire(4, 2027)
        self.policy.charge_mode = "none"
        self.assertFalse(self._warn(date(2027, 4, 1)))

    def test_dry_run_warns_nobody(self):
        self._create_invoice(amount=80.0, due="2027-05-10")
        self._expire(4, 2027)
        self.policy.state = "dry_run"
        self.assertFalse(self._warn(date(2027, 4, 1)))

    def test_ledger_refuses_a_second_notice(self):
        self._create_invoice(amount=80.0, due="2027-05-10")
        self._expire(4, 2027)
        notice = self._warn(date(2027, 4, 1))
        with (
            mute_logger("odoo.sql_db"),
            self.assertRaises(psycopg2.errors.UniqueViolation),
            self.env.cr.savepoint(),
        ):
            notice.copy(
                {
                    "token_id": self.token.id,
                    "token_expires_on": notice.token_expires_on,
                    "expiry_days": 30,
                    "kind": "expiry",
                    "state": "queued",
                }
            ).flush_recordset()

    def test_outage_asks_another_night(self):
        self._create_invoice(amount=80.0, due="2027-05-10")
        self._expire(4, 2027)
        self.stripe.fault("error_before", "payment_methods/*", method="GET")
        with mute_logger("odoo.addons.crm_dunning.models.crm_dunning_token_expiry"):
            self.assertFalse(self._warn(date(2027, 4, 1)))
        self.assertFalse(self.token.card_checked_at)
        self.assertTrue(self._warn(date(2027, 4, 2)))

    # === EVENTS OF SAVED METHODS === #

    def _hear(self):
        self._run("payment.provider", "_cron_poll_events", fields.Datetime.now())
        later = fields.Datetime.add(fields.Datetime.now(), minutes=5)
        self._run("crm.dunning.provider.event", "_cron_process_events", later)

    def test_renewal_by_the_bank_is_noted(self):
        now = fields.Datetime.now()
        self.token._apply_method(self.stripe.get(self.stripe_method), now)
        self.stripe.update_card(self.stripe_method, 12, 2040)
        self._hear()
        self.assertEqual(self.token.expires_on, date(2040, 12, 31))
        self.assertTrue(self.token.card_changed_at)

    def test_detached_method_is_archived(self):
        client = self.provider._get_stripe_client()
        client.v1.payment_methods.detach(self.stripe_method)
        self._hear()
        self.assertFalse(self.token.active)

    def test_mandate_that_ends_archives_its_token(self):
        token = self._create_token(self.account, "pm_success_de")
        self.stripe.set_mandate(token.stripe_mandate)
        self._hear()
        self.assertFalse(token.active)
        self.assertTrue(self.token.active)
