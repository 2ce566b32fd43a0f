from datetime import date

from freezegun import freeze_time

from odoo.exceptions import AccessError, UserError
from odoo.tests import tagged
from odoo.tools import mute_logger

from .usage_common import UsageCommon


@tagged("post_install", "-at_install")
class TestUsageRecording(UsageCommon):
    """Events come in once, for ever, and none is dropped."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.agreement = cls._create_usage_agreement()
        cls.line = cls.agreement.line_ids

    def _statuses(self, answers):
        return [answer["status"] for answer in answers]

    def test_sent_again_is_known_other_content_is_refused(self):
        event = self._event("e1", "2.50", properties={"a": 1, "b": [1, 2]})
        self.assertEqual(self._statuses(self._record(event)), ["accepted"])
        again = {
            **event,
            "value": 2.5,
            "at": "2027-01-10T11:00:00+01:00",
            "account": "C-100",
            "properties": {"b": [1, 2], "a": 1},
        }
        self.assertEqual(self._record(again), [{"id": "e1", "status": "already_known"}])
        for change in (
            {"value": 2.51},
            {"at": "2027-01-10T10:00:01Z"},
            {"properties": {"a": 2}},
            {"account": self._create_account("Other").id},
            {"value": 0, "cancels": "e0"},
        ):
            answer = self._record({**event, **change})[0]
            self.assertEqual(
                (answer["status"], answer["code"]), ("refused", "other_content")
            )
            self.assertIn("2.5", answer["reason"])
        self.assertEqual(self._find("e1").value, 2.5)

    def test_the_same_id_twice_in_one_delivery(self):
        answers = self._record(
            self._event("e1", 1), self._event("e1", 1), self._event("e1", 2)
        )
        self.assertEqual(
            self._statuses(answers), ["accepted", "already_known", "refused"]
        )
        self.assertEqual(len(self._find("e1")), 1)

    def test_an_id_belongs_to_its_meter(self):
        other = self._create_meter("storage")
        answers = self._record(
            self._event("e1", 1), self._event("e1", 2, meter=other.code)
        )
        self.assertEqual(self._statuses(answers), ["accepted", "accepted"])

    def test_what_is_wrong_with_one_event_refuses_that_one_alone(self):
        bad = {
            "not_an_event": "text",
            "unknown_keys": self._event("x", colour="red"),
            "no_id": self._event(""),
            "no_account": self._event("x", account=None),
            "no_meter": self._event("x", meter=""),
            "no_time": self._event("x", at=None),
            "bad_time": self._event("x", at="31/01/2027"),
            "future": self._event("x", at="2027-02-01T12:00:01Z"),
            "no_value": self._event("x", None),
            "bad_value": self._event("x", "1,5"),
            "bad_properties": self._event("x", properties=["a"]),
            "cancels_itself": self._event("x", 0, cancels="x"),
            "cancels_with_value": self._event("x", 5, cancels="y"),
            "bad_text": self._event("x\x00"),
            "long_id": self._event("x" * 300),
        }
        answers = self._record(*bad.values(), self._event("good"))
        self.assertEqual([a.get("code") for a in answers], [*bad, None])
        self.assertTrue(all(answer["reason"] for answer in answers[:-1]))
        self.assertEqual(self._statuses(answers[-1:]), ["accepted"])
        batch = self._find("good").batch_id
        self.assertRecordValues(batch, [{"accepted": 1, "refused": len(bad)}])
        self.assertIn("31/01/2027", batch.refusal_text)
        self.assertEqual(batch.user_id, self.clerk)

    def test_bad_numbers_and_times_of_all_kinds(self):
        for value in ("nan", "inf", "1e99", True, {}, "1_000x"):
            answer = self._record(self._event("x", value))[0]
            self.assertEqual(answer["code"], "bad_value", value)
        for at in ("2027-13-01", "2027-01-10T25:00", "soon", 5, "0000-00-00"):
            answer = self._record(self._event("x", at=at))[0]
            self.assertEqual(answer["code"], "bad_time", at)

    def test_one_day_ahead_is_taken(self):
        answers = self._record(self._event("e1", at="2027-02-01T12:00:00Z"))
        self.assertEqual(self._statuses(answers), ["accepted"])

    def test_a_list_is_needed(self):
        with self.assertRaisesRegex(UserError, "list of events"):
            self.env["crm.billing.meter"].record_usage({"id": "x"})

    def test_an_account_is_found_by_what_names_it(self):
        self.account.vat = "BE0477472701"
        self.env["ir.model.data"].create(
            {
                "module": "shop",
                "name": "customer_7",
                "model": "res.partner",
                "res_id": self.account.id,
            }
        )
        contact = self.account.billing_contact_id
        named = [
            self.account.id,
            "C-100",
            "BE0477472701",
            "be 0477.472.701",
            "shop.customer_7",
            contact.id,
            f"id:{self.account.id}",
        ]
        self._record(
            *[self._event(f"e{n}", account=ref) for n, ref in enumerate(named)]
        )
        for number, reference in enumerate(named):
            event = self._find(f"e{number}")
            self.assertEqual(event.partner_id, self.account, reference)
            self.assertEqual(event.line_id, self.line, reference)

    def test_an_agreement_names_the_line(self):
        other = self._create_usage_agreement()
        answers = self._record(
            self._event("both"),
            self._event("named", account=None, agreement=other.name),
            self._event("number", account=None, agreement=other.id),
        )
        self.assertEqual(self._statuses(answers), ["accepted"] * 3)
        # Two lines could bill the first: a person decides, nobody guesses.
        self.assertRecordValues(
            self._find("both"), [{"state": "unrated", "partner_id": self.account.id}]
        )
        self.assertEqual(self._find("named").line_id, other.line_ids)
        self.assertEqual(self._find("number").line_id, other.line_ids)
        self._find("both").with_user(self.clerk).agreement_id = self.agreement
        self.assertEqual(self._find("both").line_id, self.line)

    def test_unknown_meter_and_account_are_kept_and_find_their_place(self):
        answers = self._record(
            self._event("e1", meter="gigabytes"), self._event("e2", account="C-200")
        )
        self.assertEqual(self._statuses(answers), ["accepted", "accepted"])
        self.assertEqual(
            [answer["code"] for answer in answers], ["unknown_meter", "unknown_account"]
        )
        both = self._find("e1") | self._find("e2")
        self.assertEqual(set(both.mapped("state")), {"unassigned"})
        self.assertEqual(both.search([("state", "=", "unassigned")]), both)
        again = self._record(self._event("e1", meter="gigabytes"))
        self.assertEqual(self._statuses(again), ["already_known"])
        meter = self._create_meter("gigabytes")
        self.assertRecordValues(
            self._find("e1"), [{"meter_id": meter.id, "state": "unrated"}]
        )
        other = self._create_account("Other", ref="C-200")
        self._find("e2").with_user(self.clerk).action_assign()
        self.assertEqual(self._find("e2").partner_id, other)

    def test_two_accounts_of_one_code_are_nobody(self):
        self._create_account("Other", ref="C-100")
        answer = self._record(self._event("e1", account="C-100"))[0]
        self.assertEqual(answer["code"], "unknown_account")

    def test_outside_the_service_is_unrated_until_a_line_serves(self):
        self.agreement.line_ids.end_date = date(2027, 1, 15)
        self._record(
            self._event("before", at="2026-12-31"),
            self._event("last", at="2027-01-15"),
            self._event("after", at="2027-01-16"),
        )
        states = {uid: self._find(uid).state for uid in ("before", "last", "after")}
        self.assertEqual(
            states, {"before": "unrated", "last": "open", "after": "unrated"}
        )
        successor = self.line.copy(
            {"start_date": date(2027, 1, 16), "predecessor_id": self.line.id}
        )
        self.assertEqual(self._find("after").line_id, successor)
        self.line.end_date = date(2027, 1, 14)
        self.assertEqual(self._find("last").state, "unrated")

    def test_events_wait_for_a_draft_to_start(self):
        meter = self._create_meter("seats")
        agreement = self._create_usage_agreement(meter, start=False)
        self._record(self._event("e1", meter="seats"))
        self.assertEqual(self._find("e1").state, "unrated")
        agreement.with_user(self.clerk).action_start()
        self.assertEqual(self._find("e1").line_id, agreement.line_ids)

    def test_day_is_the_local_day_of_the_account(self):
        self.account.billing_tz = "Pacific/Auckland"
        self._record(
            self._event("late", at="2027-01-09T11:30:00Z"),
            self._event("plain", at="2027-01-09"),
        )
        self.assertEqual(self._find("late").usage_date, date(2027, 1, 10))
        self.assertEqual(self._find("plain").usage_date, date(2027, 1, 9))
        self.account.with_user(self.clerk).billing_tz = "UTC"
        self.assertEqual(self._find("late").usage_date, date(2027, 1, 9))
        self.assertEqual(self._find("plain").usage_date, date(2027, 1, 9))

    def test_cancelled_events_count_nothing_in_any_order(self):
        self._record(
            self._event("e1", 5),
            self._event("c1", None, cancels="e1"),
            self._event("c2", 0, cancels="e2"),
        )
        self._record(self._event("e2", 7))
        events = [self._find(uid) for uid in ("e1", "c1", "c2", "e2")]
        self.assertEqual([event.state for event in events], ["void"] * 4)

    def test_the_nightly_job_finds_accounts_and_cancels_that_crossed(self):
        self._record(self._event("e1", 5), self._event("e2", account="C-300"))
        other = self._create_account("Later", ref="C-300")
        self._record(self._event("c1", None, cancels="e1"))
        self._find("e1").sudo().is_void = False  # neither saw the other
        with freeze_time("2027-02-01 02:00:00"):
            self.env["crm.billing.usage"]._cron_assign()
        self.assertEqual(self._find("e1").state, "void")
        self.assertEqual(self._find("e2").partner_id, other)

    def test_events_stay_as_they_were_sent(self):
        event = self._use(1).with_user(self.clerk)
        with self.assertRaisesRegex(AccessError, "stay as they were sent"):
            event.value = 2
        with self.assertRaises(AccessError):
            event.unlink()
        with self.assertRaisesRegex(UserError, "kept for ever"):
            event.sudo().unlink()
        with self.assertRaises(UserError):
            self.env["crm.billing.usage"].create({"event_uid": "x"})

    def test_only_billing_records_usage(self):
        for user in (self.seller, self.users["accountant"]):
            with self.assertRaisesRegex(AccessError, "Only Billing"):
                self._record(self._event("x"), user=user)
            with self.assertRaises(AccessError):
                self._use(1).with_user(user).action_assign()

    def test_sales_sees_usage_of_own_deals(self):
        event = self._use(1)
        mine = self.env["crm.billing.usage"].with_user(self.seller)
        self.assertIn(event.id, mine.search([]).ids)
        other = self.env["crm.billing.usage"].with_user(self.users["other_seller"])
        self.assertNotIn(event.id, other.search([]).ids)

    def test_queries_do_not_grow_with_the_events(self):
        def count(number, prefix):
            events = [self._event(f"{prefix}{n}", n) for n in range(number)]
            self.env.invalidate_all()
            before = self.cr.sql_log_count
            self._record(*events)
            self.env.flush_all()
            return self.cr.sql_log_count - before

        count(2, "warm")
        self.assertEqual(count(10, "few"), count(300, "many"))

    @mute_logger("odoo.sql_db")
    def test_an_error_leaves_nothing_half_done(self):
        meters = type(self.env["crm.billing.usage"])
        self.patch(meters, "_mark_late", lambda self: 1 / 0)
        with self.assertRaises(ZeroDivisionError), self.cr.savepoint():
            self._record(self._event("e1"), self._event("e2"))
        self.assertFalse(self._find("e1"))
