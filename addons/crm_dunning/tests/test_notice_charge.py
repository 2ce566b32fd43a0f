from odoo.tests import tagged

from .dunning_run_common import FollowUpCommon, to_instant

NOON = to_instant("2027-02-10 12:00:00")


@tagged("post_install", "-at_install")
class TestNoticeCharge(FollowUpCommon):
    """Messages about charges that failed or are announced (F2, payments)."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.provider = cls._create_stripe_provider(dunning_armed=True)
        cls.policy.write({"charge_mode": "due", "armed_at": "2026-01-01 00:00:00"})
        cls.token = cls.env["payment.token"].create(
            {
                "provider_id": cls.provider.id,
                "payment_method_id": cls.env.ref("payment.payment_method_card").id,
                "partner_id": cls.account.id,
                "provider_ref": "cus_x",
                "stripe_payment_method": "pm_x",
                "payment_details": "4242",
            }
        )
        cls.move = cls._create_invoice(due="2027-02-10", amount=100)

    def _fail(self, decline_class, number=1, now=NOON):
        """Let a charge of the invoice fail, and tell the customer."""
        case = self.env["crm.dunning.case"]._open_for(self.move)
        if not case.first_failure_at:
            case.write({"first_failure_at": now, "decline_class": decline_class})
        attempt = self.env["crm.dunning.attempt"].create(
            {
                "key": f"{decline_class}{number}",
                "source": "due",
                "state": "declined",
                "move_id": self.move.id,
                "provider_id": self.provider.id,
                "currency_id": self.currency.id,
                "amount": 100,
                "decline_class": decline_class,
                "decline_code": "stolen_card",
                "message": "Your card was stolen.",
            }
        )
        return case._send_failed_notice(attempt, now), attempt, case

    def test_by_class(self):
        """Which text tells of which class; some classes tell nothing."""
        expected = {
            "wait_funds": "did not go through",
            "generic": "your bank declined",
            "needs_customer": "confirm",
            "new_method": "cannot be used any more",
            "lost_stolen": "cannot be used any more",
            "revoked": "do not charge",
            "try_later": None,
            "fraud": None,
            "duplicate": None,
        }
        for number, (decline_class, text) in enumerate(expected.items()):
            self.move = self._create_invoice(
                self._create_account(f"Customer {number}"), due="2027-02-10"
            )
            with self.subTest(decline_class=decline_class):
                notice, _attempt, _case = self._fail(decline_class)
                if text is None:
                    self.assertFalse(notice)
                    continue
                body = notice.message_id.body
                self.assertIn(text, " ".join(body.split()))
                self.assertNotIn("stolen", body)
                self.assertEqual(notice.message_id.res_id, self.move.id)

    def test_once_an_attempt(self):
        notice, attempt, case = self._fail("generic")
        self.assertEqual(case._send_failed_notice(attempt, NOON), notice)
        self.assertEqual(len(case.notice_line_ids), 1)

    def test_next_try_is_told(self):
        case = self.env["crm.dunning.case"]._open_for(self.move)
        case.write({"next_try_at": "2027-02-13 09:00:00", "state": "retrying"})
        notice, _attempt, _case = self._fail("generic")
        self.assertIn("02/13/2027", notice.message_id.body)

    def test_one_message_a_day(self):
        """A reminder left today: the failure is told tomorrow, in the hours."""
        self.policy.write({"charge_mode": "none", "hour_from": 8, "hour_to": 18})
        other = self._create_invoice(due="2027-02-08")
        [reminder] = self._run("2027-02-10")
        self.assertIn(other, reminder.line_ids.move_id)
        notice, _attempt, _case = self._fail("generic")
        self.assertEqual(str(notice.date), "2027-02-11")
        mail = self.env["mail.mail"].search(
            [("mail_message_id", "=", notice.message_id.id)]
        )
        self.assertEqual(str(mail.scheduled_date), "2027-02-11 08:00:00")
        # And the next reminder waits for it.
        self.assertFalse(self._run("2027-02-11"))

    def test_paid_meanwhile_is_not_told(self):
        self._pay(self.move)
        case_move = self._create_invoice(due="2027-02-10")
        self.move, paid = case_move, self.move
        notice, attempt, case = self._fail("generic")
        self.assertTrue(notice)
        self._pay(self.move)
        self.assertTrue(notice._get_reason_to_stop(NOON))
        self.assertTrue(paid)

    def test_dry_run_tells_nothing(self):
        self.policy.state = "dry_run"
        notice, _attempt, _case = self._fail("generic")
        self.assertFalse(notice)

    def test_unanswered(self):
        """Messages since the failure are counted until the customer answers."""
        notice, _attempt, case = self._fail("needs_customer")
        self.assertEqual(case._count_unanswered(), {case: 0})
        notice.write({"state": "sent", "sent_at": "2027-02-10 12:05:00"})
        self.assertEqual(case._count_unanswered(), {case: 1})
        [reminder] = self._run("2027-02-12")
        reminder.write({"state": "sent", "sent_at": "2027-02-12 12:05:00"})
        self.assertEqual(case._count_unanswered(), {case: 2})
        case.replied_at = "2027-02-12 13:00:00"
        self.assertEqual(case._count_unanswered(), {case: 0})

    # === STEPS AFTER A FAILURE === #

    def _add_failure_steps(self, *steps):
        for days, action in steps:
            self.env["crm.dunning.step"].create(
                {
                    "policy_id": self.policy.id,
                    "trigger": "failure",
                    "days": days,
                    "action": action,
                    "name": f"{action} {days}",
                }
            )

    def test_steps_after_a_failure(self):
        """Counted from the failure; once each; the person at the end."""
        self.policy.step_ids.active = False
        self._add_failure_steps((3, "mail"), (5, "activity"), (8, "person"))
        _notice, _attempt, case = self._fail("new_method")
        found = self._run_days("2027-02-11", "2027-02-20")
        self.assertEqual(
            [(day, one.kind, one.stage) for day, one in found.items()],
            [
                ("13.02.", "failed", 3),
                ("15.02.", "record", 5),
                ("18.02.", "record", 8),
            ],
        )
        self.assertIn("cannot be used", found["13.02."].message_id.body)
        self.assertEqual((case.state, case.reason), ("person", "retries"))
        self.assertIn("activity 5", case.activity_ids.mapped("summary"))

    def test_outage_after_a_failure(self):
        """What was missed is not said later: the highest step only."""
        self.policy.step_ids.active = False
        self._add_failure_steps((2, "mail"), (4, "mail"))
        self._fail("new_method")
        notices = self._run("2027-02-16")
        self.assertEqual(notices.filtered("failed_text").mapped("stage"), [4])
        self.assertFalse(self._run("2027-02-17"))

    def test_mail_after_a_failure_that_did_not_leave(self):
        """What did not leave was not said: the step is said by a later run."""
        self.policy.step_ids.active = False
        self._add_failure_steps((3, "mail"))
        self._fail("new_method")
        notice = self._run("2027-02-13").filtered("failed_text")
        notice._stop("it could not leave in the hours of its day")
        [again] = self._run("2027-02-14").filtered("failed_text")
        self.assertEqual((again.stage, again.state), (3, "queued"))
        self.assertFalse(self._run("2027-02-15"))

    def test_retry_step(self):
        """Plans a charge, never one after a hard decline."""
        self.policy.step_ids.active = False
        self._add_failure_steps((2, "retry"))
        _notice, _attempt, soft = self._fail("generic")
        other = self._create_account("Hard")
        self.token.copy({"partner_id": other.id, "provider_ref": "y"})
        self.move = self._create_invoice(other, due="2027-02-10")
        _notice, _attempt, hard = self._fail("new_method")
        soft.next_try_at = hard.next_try_at = False
        self._run("2027-02-12")
        self.assertTrue(soft.next_try_at)
        self.assertFalse(hard.next_try_at)

    # === ANNOUNCEMENTS === #

    def test_announced(self):
        """Three days before, once, with amount, day and method."""
        self.policy.announce_days = 3
        found = self._run_days("2027-02-01", "2027-02-10")
        self.assertEqual(list(found), ["07.02."])
        notice = found["07.02."]
        self.assertEqual((notice.kind, notice.amount), ("announcement", 100))
        self.assertEqual(str(notice.charge_on), "2027-02-10")
        body = notice.message_id.body
        for text in ("100.00", "02/10/2027", "4242"):
            self.assertIn(text, body)

    def test_announced_late(self):
        """Posted on the due date: charged as many days later as are promised."""
        self.policy.announce_days = 3
        [notice] = self._run("2027-02-10")
        self.assertEqual(str(notice.charge_on), "2027-02-13")

    def test_not_announced(self):
        """Without a method, without arming, or on hold, nothing is announced."""
        self.policy.announce_days = 3
        self.account.dunning_hold_until = "2027-02-09"
        self.assertFalse(self._run("2027-02-08"))
        self.account.dunning_hold_until = False
        self.provider.dunning_armed = False
        announced = self._run("2027-02-08").filtered(
            lambda one: one.kind == "announcement"
        )
        self.assertFalse(announced)

    def test_one_broken_announcement_stops_no_other(self):
        self.policy.announce_days = 3
        other = self._create_account("Other payer")
        self.token.copy({"partner_id": other.id, "provider_ref": "cus_y"})
        fine = self._create_invoice(other, due="2027-02-10", amount=70)
        moves = type(self.move)
        origin, broken = moves._filter_to_announce, self.move.id

        def fail(move, *args):
            if move.id == broken:
                message = "broken"
                raise ValueError(message)
            return origin(move, *args)

        self.patch(moves, "_filter_to_announce", fail)
        found = self._run("2027-02-08")
        told = found.filtered(lambda one: one.kind == "announcement")
        self.assertEqual(told.move_id, fine)
        failed = found.filtered(lambda one: one.state == "failed")
        self.assertEqual(failed.move_id, self.move)

    def test_nobody_to_announce_to(self):
        """Not announced means not charged: a person is told instead of nobody."""
        self.policy.announce_days = 3
        self.account.billing_contact_id.email = False
        self.account.email = False
        self.assertFalse(self._run("2027-02-08").filtered("charge_on"))
        case = self._get_case(self.move)
        self.assertEqual((case.state, case.reason), ("person", "bounce"))
