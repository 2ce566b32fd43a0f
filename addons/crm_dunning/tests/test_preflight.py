from datetime import date, timedelta

from odoo.tests import tagged

from .dunning_run_common import FollowUpCommon, to_instant

NOON = to_instant("2027-02-12 12:00:00")


@tagged("post_install", "-at_install")
class TestPreflight(FollowUpCommon):
    """Reasons not to remind or charge (G2, billing rules 9.3), one by one."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.move = cls._create_invoice(due="2027-02-10", amount=100)

    def _get_reason(self, purpose="mail", now=NOON):
        return self.move._get_dunning_blocks(now, purpose).get(self.move)

    def _open_case(self, **values):
        case = self.env["crm.dunning.case"]._open_for(self.move)
        case.write(values)
        return case

    def test_nothing_in_the_way(self):
        self.assertEqual(self.move._get_dunning_blocks(NOON), {})
        self.assertEqual(self.move._get_dunning_blocks(NOON, "charge"), {})
        with self.assertRaises(ValueError):
            self.move._get_dunning_blocks(NOON, "whatever")

    def test_labels(self):
        """Each reason can be told in words."""
        labels = self.move._get_dunning_block_labels()
        self.assertTrue(all(labels.values()))

    def test_paid(self):
        self._pay(self.move, 40)
        self.assertIsNone(self._get_reason())
        self._pay(self.move)
        self.assertEqual(self._get_reason(), "paid")
        self.assertEqual(self._get_reason("charge"), "paid")

    def test_not_posted(self):
        self.move.button_draft()
        self.assertEqual(self._get_reason("charge"), "not_posted")

    def test_blocked_for_payment(self):
        self.move.action_toggle_block_payment()
        self.assertEqual(self._get_reason(), "blocked")
        self.assertFalse(self._run("2027-02-12"))

    def test_no_followup(self):
        """Excluded from follow-ups, not from the charge that was agreed."""
        self.move.no_followup = True
        self.assertEqual(self._get_reason(), "no_followup")
        self.assertIsNone(self._get_reason("charge"))
        self.assertFalse(self._run("2027-02-12"))

    def test_dispute(self):
        self._open_case(state="dispute")
        self.assertEqual(self._get_reason(), "disputed")
        self.assertEqual(self._get_reason("person"), "disputed")
        self.assertFalse(self._run("2027-02-12"))

    def test_promise(self):
        """Until the promised day is over nothing is said."""
        self._open_case(
            state="promise", promise_date=date(2027, 2, 14), promise_amount=100
        )
        self.assertEqual(self._get_reason(), "promised")
        self.assertEqual(self._get_reason(now=NOON + timedelta(days=2)), "promised")
        self.assertIsNone(self._get_reason(now=NOON + timedelta(days=3)))
        self.assertFalse(self._run("2027-02-14"))

    def test_hold(self):
        self._open_case(state="hold", hold_until=date(2027, 2, 13))
        self.assertEqual(self._get_reason(), "held")
        self.assertIsNone(self._get_reason(now=NOON + timedelta(days=2)))

    def test_hold_of_the_account(self):
        self.account.dunning_hold_until = date(2027, 2, 12)
        self.assertEqual(self._get_reason(), "held")
        self.assertEqual(self._get_reason("charge"), "held")
        self.assertIsNone(self._get_reason(now=NOON + timedelta(days=1)))

    def test_person(self):
        """A person stops mails and planned tries, and may charge knowingly."""
        self._open_case(state="person")
        self.assertEqual(self._get_reason(), "with_person")
        self.assertEqual(self._get_reason("charge"), "with_person")
        self.assertIsNone(self._get_reason("person"))

    def test_in_flight(self):
        values = {
            "provider_id": self._create_stripe_provider().id,
            "payment_method_id": self.env.ref("payment.payment_method_card").id,
            "amount": 100,
            "currency_id": self.currency.id,
            "partner_id": self.account.id,
            "invoice_ids": [(6, 0, self.move.ids)],
            "reference": "test-in-flight",
            "operation": "offline",
        }
        transaction = self.env["payment.transaction"].create(values)
        self.assertIsNone(self._get_reason())
        for state in ("pending", "authorized"):
            transaction.state = state
            self.assertEqual(self._get_reason(), "in_flight", state)
        # Paid at the provider, not yet in the books.
        transaction.write({"state": "done", "is_post_processed": False})
        self.assertEqual(self._get_reason("charge"), "in_flight")
        transaction.is_post_processed = True
        self.assertIsNone(self._get_reason())
        transaction.state = "error"
        self.assertIsNone(self._get_reason())

    def test_live_attempt(self):
        attempt = self.env["crm.dunning.attempt"].create(
            {
                "key": "test",
                "source": "due",
                "move_id": self.move.id,
                "provider_id": self._create_stripe_provider().id,
                "currency_id": self.currency.id,
                "amount": 100,
            }
        )
        for state in ("sending", "verifying", "processing"):
            attempt.state = state
            self.assertEqual(self._get_reason(), "in_flight", state)
        self.assertEqual(
            self.move._get_dunning_blocks(NOON, "charge", own_attempts=attempt), {}
        )
        attempt.state = "declined"
        self.assertIsNone(self._get_reason())

    def test_disputed_charge(self):
        self.move.dunning_dispute_state = "open"
        self.assertEqual(self._get_reason(), "disputed")
        self.move.dunning_dispute_state = "won"
        self.assertIsNone(self._get_reason())

    # === THE BANK === #

    def _create_bank_line(self, **values):
        journal = self.env["account.journal"].search(
            [("type", "=", "bank"), ("company_id", "=", self.company.id)], limit=1
        )
        return self.env["account.bank.statement.line"].create(
            {
                "journal_id": journal.id,
                "date": "2027-02-11",
                "payment_ref": "?",
                **values,
            }
        )

    def test_bank_line_of_amount_and_payer(self):
        self._create_bank_line(amount=100, partner_id=self.account.id)
        self.assertEqual(self._get_reason(), "bank_match")
        self.assertEqual(self._get_reason("charge"), "bank_match")
        self.assertFalse(self._run("2027-02-12"))

    def test_bank_line_that_names_the_invoice(self):
        self._create_bank_line(amount=100, payment_ref=f"thanks {self.move.name}")
        self.assertEqual(self._get_reason(), "bank_match")

    def test_bank_line_for_everything_open(self):
        other = self._create_invoice(due="2027-02-10", amount=23.5)
        self._create_bank_line(amount=123.5, partner_id=self.account.id)
        found = (self.move | other)._get_dunning_blocks(NOON)
        self.assertEqual(set(found.values()), {"bank_match"})
        self.assertEqual(len(found), 2)

    def test_bank_lines_that_say_nothing(self):
        stranger = self._create_account("Stranger")
        self._create_bank_line(amount=100, partner_id=stranger.id)
        self._create_bank_line(amount=99.99, partner_id=self.account.id)
        self._create_bank_line(amount=-100, partner_id=self.account.id)
        self._create_bank_line(amount=100, payment_ref="something else")
        self.assertIsNone(self._get_reason())

    def test_payment_not_applied(self):
        payment = self.env["account.payment"].create(
            {
                "payment_type": "inbound",
                "partner_type": "customer",
                "partner_id": self.account.id,
                "amount": 100,
                "date": "2027-02-11",
            }
        )
        payment.action_post()
        self.assertEqual(self._get_reason(), "credit_match")

    def test_stale_bank_data(self):
        """The whole wave waits; its owner is told once, and the task clears itself."""
        self._create_bank_line(amount=1)
        self.env.cr.execute(
            "UPDATE account_bank_statement_line SET create_date = '2027-02-01'"
        )
        self.policy.bank_data_limit_days = 5
        self.assertEqual(self._get_reason("charge"), "bank_data")
        for day in ("2027-02-12", "2027-02-13"):
            self.assertFalse(self._run(day))
        task = self.policy.activity_ids
        self.assertEqual((len(task), task.user_id), (1, self.clerk))
        self.assertIn("11 days", task.note)
        self.env.cr.execute(
            "UPDATE account_bank_statement_line SET create_date = '2027-02-13'"
        )
        self.assertEqual(len(self._run("2027-02-14")), 1)
        self.assertFalse(self.policy.activity_ids)

    # === WHO === #

    def test_archived_account(self):
        self.account.billing_contact_id = False
        self.account.child_ids.action_archive()
        self.account.action_archive()
        self.assertEqual(self._get_reason(), "archived")
        self.assertFalse(self._run("2027-02-12"))

    def test_our_own_company(self):
        self.move = self._create_invoice(self.company.partner_id, due="2027-02-10")
        self.assertEqual(self._get_reason(), "internal")

    def test_automatic_payment(self):
        """Who pays automatically is not reminded, until a charge has failed."""
        provider = self._create_stripe_provider(dunning_armed=True)
        self.policy.armed_at = "2026-01-01 00:00:00"
        self.env["payment.token"].create(
            {
                "provider_id": provider.id,
                "payment_method_id": self.env.ref("payment.payment_method_card").id,
                "partner_id": self.account.id,
                "provider_ref": "cus_x",
                "stripe_payment_method": "pm_x",
                "payment_details": "1234",
            }
        )
        self.assertIsNone(self._get_reason())
        self.policy.charge_mode = "due"
        self.assertEqual(self._get_reason(), "automatic")
        self.assertIsNone(self._get_reason("charge"))
        self.assertFalse(self._run("2027-02-12"))
        self._open_case(first_failure_at="2027-02-10 09:00:00")
        self.assertIsNone(self._get_reason())

    def test_waiting_is_told(self):
        """The case says why nothing was sent (G2)."""
        self._run("2027-02-12")
        self.account.dunning_hold_until = date(2027, 2, 25)
        self._run("2027-02-19")
        self.assertEqual(self._get_case(self.move).waiting_reason, "it is on hold")

    def test_queries_do_not_grow(self):
        """Three invoices or thirty: the same number of queries."""

        def count(number):
            moves = self.env["account.move"]
            for _one in range(number):
                moves |= self._create_invoice(due="2027-02-10")
            self.env.flush_all()
            self.env.invalidate_all()
            before = self.env.cr.sql_log_count
            moves._get_dunning_blocks(NOON)
            return self.env.cr.sql_log_count - before

        count(1)
        self.assertEqual(count(3), count(15))
