"""The stories of reminders and retries, told once more by the rules alone.

Real Odoo plays them in ``tests/odoo``; here a small ledger stands in for it, so that a
slip in the rules shows within a second.
"""

from collections import defaultdict
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from dunning_rules import retries
from dunning_rules.declines import Decline, classify
from dunning_rules.ladder import Step, decide
from dunning_rules.situation import Instalment, Situation

from lib.scenario import clock, compare, reader

FOLDER = Path(__file__).resolve().parents[1] / "scenarios"
REMINDERS = reader.read_files([FOLDER / "reminders.json"])
RETRIES = reader.read_files([FOLDER / "retries.json"])
ACTIONS = {"mail": "mail", "human": "person"}
HOME = "USD"

each_reminder = pytest.mark.parametrize(
    "story", REMINDERS, ids=lambda story: story["id"]
)
each_retry = pytest.mark.parametrize("story", RETRIES, ids=lambda story: story["id"])


class Play:
    """Runs the ladder over a story, one currency beside the other."""

    def __init__(self, inputs):
        self.inputs = inputs
        self.steps = [
            Step(int(step["offset"]), ACTIONS[step["action"]])
            for step in inputs["policy"]
        ]
        self.noticed = defaultdict(set)
        self.last_message = {}
        self.taken_over = set()
        self.is_told = False
        self.actions, self.stages = [], []
        self.attempts = dict.fromkeys(map(self.currency_of, inputs["instalments"]), 0)

    @staticmethod
    def currency_of(instalment):
        return instalment.get("currency") or HOME

    def play(self):
        for run in self.inputs["runs"]:
            today = clock.to_date(run["date"], self.inputs.get("timezone") or "UTC")
            self.run(today, run.get("bank_data_age_days"))
        return {
            "actions": self.actions,
            "stages": self.stages,
            "attempts": self.attempts,
        }

    def run(self, today, age):
        self.taken_over = {key for key in self.taken_over if self.residual(key, today)}
        thresholds = self.inputs.get("thresholds") or {}
        # Whoever takes over in one currency stops the account in all of them, later.
        with_person, stages, reasons = bool(self.taken_over), [], set()
        for currency in self.attempts:
            decision = decide(
                self.steps,
                self.look(today, age, currency, with_person),
                threshold=Decimal(thresholds.get(currency, "0")),
                bank_data_limit=self.inputs.get("bank_data_limit_days"),
            )
            stages.append(decision.stage)
            reasons.add(decision.reason)
            self.record(decision, today, currency)
        is_stale = "bank_data" in reasons
        if is_stale and not self.is_told:
            self.actions.append({"date": today.isoformat(), "action": "owner_told"})
        self.is_told = is_stale
        stage = max((one for one in stages if one is not None), default=None)
        self.stages.append({"date": today.isoformat(), "stage": stage})

    def look(self, today, age, currency, with_person):
        return Situation(
            today,
            currency,
            tuple(
                Instalment(
                    one["id"],
                    date.fromisoformat(one["due"]),
                    self.residual(one["id"], today),
                    frozenset(self.noticed[one["id"]]),
                    "in_flight" if self.is_in_flight(one["id"], today) else None,
                )
                for one in self.inputs["instalments"]
                if self.currency_of(one) == currency
            ),
            last_message=self.last_message.get(currency),
            bank_data_age=age or 0,
            is_with_person=with_person,
        )

    def payments(self, key, today, state):
        return [
            payment
            for payment in self.inputs.get("payments") or ()
            if payment["instalment"] == key
            and payment.get("state", "done") == state
            and date.fromisoformat(payment["date"]) <= today
        ]

    def residual(self, key, today):
        [amount] = [
            one["amount"] for one in self.inputs["instalments"] if one["id"] == key
        ]
        paid = self.payments(key, today, "done")
        left = Decimal(amount) - sum(Decimal(one["amount"]) for one in paid)
        return max(left, Decimal(0))

    def is_in_flight(self, key, today):
        return any(
            not one.get("until") or today < date.fromisoformat(one["until"])
            for one in self.payments(key, today, "processing")
        )

    def record(self, decision, today, currency):
        for entry in decision.listed:
            if entry.is_new:
                self.noticed[entry.key].add(entry.offset)
        for key, offset in decision.skipped:
            self.noticed[key].add(offset)
        if not decision.action:
            return
        shown = [
            entry
            for entry in decision.listed
            if entry.is_overdue or not decision.takeover
        ]
        if decision.takeover:
            self.taken_over |= {entry.key for entry in shown if entry.is_new}
        else:
            self.last_message[currency] = today
            self.attempts[currency] += 1
        self.actions.append(
            {
                "date": today.isoformat(),
                "action": "human" if decision.takeover else "mail",
                "stage": decision.step.offset,
                "amount": str(sum(entry.residual for entry in shown)),
                "currency": currency,
                "listed": [entry.key for entry in shown],
            }
        )


@each_reminder
def test_reminders(story):
    actual = Play(story["inputs"]).play()
    assert compare.first_difference(story["expected"], actual) is None


@each_retry
def test_retries(story):
    inputs, expected = story["inputs"], story["expected"]
    if inputs.get("provider_owns_retries"):
        assert (expected["tries"], expected["case"]) == ([], None)
        return
    code = {"soft": "insufficient_funds", "hard": "transaction_not_allowed"}.get(
        inputs["decline"], inputs["decline"]
    )
    first = date.fromisoformat(inputs["first_failure"])
    found = retries.plan(first, retries.RetryPolicy(), classify(Decline(code)))
    paid = inputs.get("paid_other_way") or "9999-12-31"
    tries = [day.isoformat() for day in found.tries]
    person = found.person and found.person.isoformat()
    assert expected["tries"] == [day for day in tries if day < paid]
    assert expected["cancelled"] == sum(day >= paid for day in tries)
    assert expected["case"] == (person if person and person < paid else None)
    assert expected["payment_update_mail"] == (found.mail in ("new_method", "revoked"))


def test_every_story_has_its_own_name():
    names = [story["id"] for story in (*REMINDERS, *RETRIES)]
    assert len(names) == len(set(names)) >= 40
