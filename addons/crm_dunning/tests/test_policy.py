from datetime import date
from decimal import Decimal

from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.fields import Command, Datetime
from odoo.tests import tagged
from odoo.tools import mute_logger

from odoo.addons.crm_billing_handoff.tests.refusal_common import RefusalCommon

from ..dunning_rules import declines
from .common import DunningCommon

to_utc = Datetime.to_datetime


@tagged("post_install", "-at_install")
class TestPolicy(RefusalCommon, DunningCommon):
    """What a policy may say, and what protects one that is in use."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.dry = cls._create_policy(state="dry_run", name="Dry", sequence=50)

    def _refuse(self, values, words):
        with self._assert_refused(words, ValidationError):
            self.dry.with_user(self.manager).write(values)

    # === STEPS === #

    def test_steps_are_told_in_the_order_of_their_days(self):
        steps = self.dry._to_steps()
        self.assertEqual(
            [(step.offset, step.action) for step in steps],
            [(-5, "mail"), (2, "mail"), (9, "mail"), (18, "person")],
        )
        self.assertEqual(
            [step.key for step in steps], self.dry.step_ids.sorted("days").ids
        )
        self.assertEqual(self.dry._to_steps("failure"), [])

    def test_a_step_that_is_switched_off_is_not_told(self):
        self.dry.step_ids.filtered(lambda step: step.days == 2).active = False
        self.assertEqual([step.offset for step in self.dry._to_steps()], [-5, 9, 18])

    def test_no_mail_comes_after_the_person(self):
        step = {"name": "Late", "days": 20, "action": "mail"}
        self._refuse({"step_ids": [Command.create(step)]}, "day 18")
        person = self.dry.step_ids.filtered(lambda step: step.action == "person")
        with self._assert_refused("takes over on day 9", ValidationError):
            person.days = 9

    def test_steps_that_move_together_are_looked_at_together(self):
        mail = self.dry.step_ids.filtered(lambda step: step.days == 9)
        person = self.dry.step_ids.filtered(lambda step: step.action == "person")
        self.dry.with_user(self.manager).write(
            {
                "step_ids": [
                    Command.update(mail.id, {"days": 25}),
                    Command.update(person.id, {"days": 30}),
                ]
            }
        )
        self.assertEqual(
            [step.offset for step in self.dry._to_steps()], [-5, 2, 25, 30]
        )

    def test_a_context_from_outside_does_not_skip_the_check(self):
        step = self.dry.step_ids.filtered(lambda step: step.days == 9)
        with self.assertRaises(ValidationError):
            step.with_context(dunning_steps=True).days = 40

    def test_nothing_but_words_comes_before_the_due_date(self):
        for action in ("person", "hold", "letter", "retry"):
            step = {"name": "Early", "days": -1, "action": action}
            self._refuse({"step_ids": [Command.create(step)]}, "before the due date")

    def test_nothing_comes_before_the_failure(self):
        step = {"name": "Early", "days": -1, "trigger": "failure"}
        self._refuse({"step_ids": [Command.create(step)]}, "has failed")

    def test_a_text_must_be_made_for_reminders(self):
        template = self.env["mail.template"].create(
            {"name": "Quote", "model_id": self.env.ref("sale.model_sale_order").id}
        )
        step = self.dry.step_ids[:1]
        with self._assert_refused("not a text for reminders", ValidationError):
            step.template_id = template

    def test_a_step_with_a_history_is_not_deleted(self):
        step = self.dry.step_ids.filtered(lambda step: step.days == 2)
        move = self._create_invoice()
        notice = self.env["crm.dunning.notice"].create(
            {
                "partner_id": self.account.id,
                "company_id": self.company.id,
                "currency_id": self.currency.id,
                "date": date(2027, 1, 1),
                "line_ids": [
                    Command.create(
                        {
                            "company_id": self.company.id,
                            "line_id": move.line_ids.filtered("date_maturity").id,
                            "move_id": move.id,
                            "step_id": step.id,
                            "days": 2,
                            "kind": "listed",
                            "date": date(2027, 1, 1),
                            "currency_id": self.currency.id,
                        }
                    )
                ],
            }
        )
        with self._assert_refused("Switch it off", UserError):
            step.with_user(self.manager).unlink()
        notice.unlink()
        step.with_user(self.manager).unlink()
        self.assertFalse(step.exists())

    # === WHEN === #

    def test_hours_over_midnight_are_refused_in_words(self):
        self._refuse({"hour_from": 22.0, "hour_to": 6.0}, "past midnight")
        self._refuse({"hour_from": -1.0}, "between 0:00 and 24:00")
        self._refuse({"hour_to": 25.0}, "between 0:00 and 24:00")

    def test_the_window_knows_hours_weekdays_and_holidays(self):
        calendar = self.env["resource.calendar"].create(
            {"name": "Office", "tz": "Europe/Brussels", "company_id": self.company.id}
        )
        # Christmas at the office, as the calendar stores it: in UTC.
        self.env["resource.calendar.leaves"].create(
            {
                "name": "Christmas",
                "calendar_id": calendar.id,
                "date_from": "2026-12-24 23:00:00",
                "date_to": "2026-12-25 23:00:00",
            }
        )
        self.dry.write(
            {
                "hour_from": 9.5,
                "hour_to": 17.0,
                "weekdays_only": True,
                "calendar_id": calendar.id,
            }
        )
        window = self.dry._get_window("Europe/Brussels")
        self.assertEqual(window.holidays, {date(2026, 12, 25)})
        self.assertTrue(window.is_open(to_utc("2026-12-24 08:30:00")))
        self.assertFalse(window.is_open(to_utc("2026-12-24 08:29:00")))
        self.assertFalse(window.is_open(to_utc("2026-12-24 16:00:00")))
        self.assertFalse(window.is_open(to_utc("2026-12-25 10:00:00")))
        self.assertFalse(window.is_open(to_utc("2026-12-26 10:00:00")), "a Saturday")

    def test_days_off_of_one_person_close_nothing(self):
        calendar = self.env["resource.calendar"].create(
            {"name": "Office", "tz": "UTC", "company_id": self.company.id}
        )
        person = self.env["resource.resource"].create(
            {"name": "Ann", "calendar_id": calendar.id, "company_id": self.company.id}
        )
        self.env["resource.calendar.leaves"].create(
            {
                "calendar_id": calendar.id,
                "resource_id": person.id,
                "date_from": "2026-12-28 00:00:00",
                "date_to": "2026-12-29 00:00:00",
            }
        )
        self.dry.calendar_id = calendar
        self.assertFalse(self.dry._get_holidays())

    def test_days_are_whole_and_sensible(self):
        self._refuse({"min_gap_days": 0}, "1 to 365")
        self._refuse({"deadline_days": -1}, "0 to 365")

    def test_a_threshold_holds_for_its_currency_only(self):
        euro = self.env.ref("base.EUR")
        dollar = self.env.ref("base.USD")
        self.dry.threshold_ids = [
            Command.create({"currency_id": euro.id, "amount": 25.10})
        ]
        self.assertEqual(self.dry._get_threshold(euro), Decimal("25.1"))
        self.assertEqual(self.dry._get_threshold(dollar), Decimal(0))
        with mute_logger("odoo.sql_db"), self.assertRaises(Exception) as caught:
            self.dry.threshold_ids.amount = -1.0
            self.env.flush_all()
        self.assertIn("threshold", str(caught.exception))

    # === RETRIES === #

    def test_retry_days_are_an_ascending_list(self):
        self.dry.retry_days = " 1,3 ; 5 7 "
        self.assertEqual(self.dry._to_retry_policy().days, (1, 3, 5, 7))
        for text in ("3, 1", "0, 2", "1, 1", "1, two", "-1", "1.5", "61"):
            with self.subTest(text):
                self._refuse({"retry_days": text}, "retry days|whole numbers")

    def test_no_policy_goes_above_the_cap(self):
        self._refuse({"max_tries": 9}, "at most 8")
        self._refuse({"max_tries": 0}, "at most 8")
        self._refuse({"retry_days": "1,2,3,4,5,6,7,8,9"}, "at most 8")
        self._refuse({"retry_timing": "window", "retry_days": "1, 15"}, "14th")
        self.dry.write({"max_tries": 3, "hard_patience_days": 2})
        policy = self.dry._to_retry_policy()
        self.assertEqual((policy.max_tries, policy.hard_patience_days), (3, 2))

    def test_a_decline_rule_is_never_looser_than_the_table(self):
        rules = self.env["crm.dunning.decline.rule"].with_user(self.manager)
        values = {"policy_id": self.dry.id, "decline_code": " Insufficient_Funds "}
        with self._assert_refused("4 times at most", ValidationError):
            rules.create({**values, "max_tries": 5})
        for code in ("expired_card", "lost_card", "fraudulent"):
            with self._assert_refused("0 times at most", ValidationError):
                rules.create({**values, "decline_code": code, "max_tries": 1})
        with self._assert_refused("2 times at most", ValidationError):
            rules.create({**values, "decline_code": "brand_new_code", "max_tries": 3})
        rule = rules.create({**values, "max_tries": 1})
        self.assertEqual(rule.decline_code, "insufficient_funds")
        with self.assertRaises(ValidationError):
            rule.max_tries = 5

    def test_a_stricter_rule_restricts_the_class(self):
        code = "insufficient_funds"
        self.dry.decline_rule_ids = [
            Command.create({"decline_code": code, "max_tries": 3})
        ]
        card = declines.classify(declines.Decline(decline_code=code))
        self.assertEqual(self.dry._restrict_decline(card, code).max_tries, 3)
        debit = declines.classify(
            declines.Decline(decline_code=code, method_type="sepa_debit")
        )
        self.assertEqual(self.dry._restrict_decline(debit, code).max_tries, 1)
        self.dry.decline_rule_ids.to_person = True
        found = self.dry._restrict_decline(card, code)
        self.assertEqual((found.max_tries, found.person), (0, "at_once"))
        other = declines.classify(declines.Decline(decline_code="do_not_honor"))
        self.assertIs(self.dry._restrict_decline(other, "do_not_honor"), other)

    # === INTEREST === #

    def test_an_own_rate_has_a_value(self):
        self._refuse({"interest_mode": "rate", "interest_rate": 0.0}, "percent a year")
        self._refuse({"interest_rate": 101.0}, "percent a year")

    # === COPY, ARCHIVE, DELETE === #

    def test_a_copy_is_a_dry_run_with_steps_of_its_own(self):
        copy = self.policy.with_user(self.manager).copy()
        self.assertRecordValues(
            copy,
            [{"state": "dry_run", "armed_uid": False, "name": "Test policy (copy)"}],
        )
        self.assertEqual(len(copy.step_ids), 4)
        self.assertFalse(copy.step_ids & self.policy.step_ids)

    def test_an_armed_policy_is_not_archived(self):
        with self._assert_refused("Disarm it", UserError):
            self.policy.with_user(self.manager).action_archive()

    def test_a_chosen_policy_is_not_archived(self):
        self.account.dunning_policy_id = self.dry
        with self._assert_refused("1 accounts of", UserError):
            self.dry.with_user(self.manager).action_archive()
        self.account.dunning_policy_id = False
        self.company.dunning_policy_id = self.dry
        with self._assert_refused(self.company.name, UserError):
            self.dry.with_user(self.manager).action_archive()
        self.company.dunning_policy_id = False
        self.dry.with_user(self.manager).action_archive()
        self.assertFalse(self.dry.active)

    def test_a_policy_with_a_history_is_not_deleted(self):
        self.env["crm.dunning.notice"].create(
            {
                "partner_id": self.account.id,
                "company_id": self.company.id,
                "currency_id": self.currency.id,
                "policy_id": self.dry.id,
                "date": date(2027, 1, 1),
            }
        )
        with self._assert_refused("has a history", UserError):
            self.dry.with_user(self.manager).unlink()
        fresh = self.dry.copy().with_user(self.manager)
        fresh.unlink()
        self.assertFalse(fresh.exists())

    def test_a_used_policy_does_not_leave_its_companies(self):
        self.env["crm.dunning.notice"].create(
            {
                "partner_id": self.account.id,
                "company_id": self.company.id,
                "currency_id": self.currency.id,
                "policy_id": self.dry.id,
                "date": date(2027, 1, 1),
            }
        )
        other = self.env["res.company"].create({"name": "Elsewhere"})
        with self._assert_refused("Copy it for Elsewhere", ValidationError):
            self.dry.company_id = other
        self.dry.company_id = False
        self.dry.company_id = self.company

    # === ROLES === #

    def test_only_a_manager_changes_policies(self):
        for role in ("seller", "clerk", "accountant"):
            user = self.users[role]
            with self.subTest(role):
                with self.assertRaises(AccessError):
                    self.dry.with_user(user).name = "Mine"
                with self.assertRaises(AccessError):
                    self.dry.step_ids[:1].with_user(user).days = -4
        self.dry.with_user(self.manager).name = "Ours"
        self.assertEqual(self.dry.name, "Ours")

    def test_people_of_another_company_cannot_own_cases(self):
        other = self.env["res.company"].create({"name": "Elsewhere"})
        stranger = self.env["res.users"].create(
            {
                "name": "Stranger",
                "login": "stranger_of_elsewhere",
                "company_id": other.id,
                "company_ids": [Command.set(other.ids)],
            }
        )
        for field in ("owner_id", "deputy_id"):
            with self.assertRaises(UserError):
                self.dry[field] = stranger
        with self.assertRaises(UserError):
            self.dry.step_ids[-1:].user_id = stranger

    # === SHIPPED === #

    def test_the_shipped_policies_are_dry_runs_that_fit_their_own_rules(self):
        default = self.env.ref("crm_dunning.policy_default")
        names = ("policy_default", "policy_gentle", "policy_strict")
        for name in names:
            policy = self.env.ref(f"crm_dunning.{name}")
            self.assertEqual((policy.state, policy.charge_mode), ("dry_run", "none"))
            self.assertEqual(policy.interest_mode, "none")
            policy.step_ids._check_days()
            policy._check_steps()
        self.assertEqual(
            [(step.offset, step.action, step.tone) for step in default._to_steps()],
            [
                (-5, "mail", "gentle"),
                (2, "mail", "neutral"),
                (9, "mail", "firm"),
                (18, "person", "neutral"),
            ],
        )
        self.assertEqual(default._to_retry_policy().days, (1, 3, 5, 7))

    # === ON A CALENDAR === #

    def _get_track(self, policy, key="reminders"):
        tracks = {track["key"]: track["rows"] for track in policy.sample_plan["tracks"]}
        return [(row["date"], row["kind"]) for row in tracks.get(key, [])]

    def test_the_calendar_moves_steps_to_open_days(self):
        policy = self.dry.new(origin=self.dry)
        policy.update({"weekdays_only": True, "sample_due": date(2027, 2, 10)})
        # 19 February 2027 is a Friday, the 28th a Sunday.
        self.assertEqual(
            self._get_track(policy),
            [
                ("2027-02-05", "mail"),
                ("2027-02-10", "due"),
                ("2027-02-12", "mail"),
                ("2027-02-19", "mail"),
                ("2027-03-01", "person"),
            ],
        )
        self.assertFalse(self._get_track(policy, "charges"))

    def test_the_calendar_shows_the_retries_of_a_failed_charge(self):
        policy = self.dry.new(origin=self.dry)
        policy.update({"charge_mode": "due", "sample_due": date(2027, 11, 3)})
        self.assertEqual(
            self._get_track(policy, "charges"),
            [
                ("2027-11-03", "due"),
                ("2027-11-03", "charge"),
                ("2027-11-04", "retry"),
                ("2027-11-06", "retry"),
                ("2027-11-08", "retry"),
                ("2027-11-10", "retry"),
                ("2027-11-10", "person"),
            ],
        )
        policy.announce_days = 2
        self.assertEqual(self._get_track(policy, "charges")[0], ("2027-11-01", "mail"))

    def test_the_calendar_follows_what_is_typed_and_explains_what_is_wrong(self):
        policy = self.dry.new(origin=self.dry)
        policy.update({"hour_from": 20.0, "hour_to": 6.0})
        self.assertFalse(policy.sample_plan["tracks"])
        self.assertIn("hours", policy.sample_plan["note"])
        policy.update(
            {"hour_from": 8.0, "hour_to": 18.0, "charge_mode": "due", "retry_days": "x"}
        )
        self.assertIn("whole numbers", policy.sample_plan["note"])
        policy.update(
            {
                "retry_days": "1",
                "sample_amount": 5.0,
                "threshold_ids": [
                    Command.create({"currency_id": self.currency.id, "amount": 10.0})
                ],
            }
        )
        self.assertIn("nobody is reminded", policy.sample_plan["note"])
