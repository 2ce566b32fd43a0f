"""Operation "retries": a saved card fails, and what the machine does in three weeks.

The invoice is charged by the job on its due date, the first failure, at a local Stripe.
From then on the jobs run every noon. A twin, the same story without the payment by
another road, says how many tries that payment spared.
"""

from datetime import time, timedelta

from .. import local_stripe
from .clock import NOON, naive, to_date
from .dunning import mail_server

DAYS = 21  # that are played, the longest plan there is
OPENING = time(6)  # of a day; money moves before the jobs run
AMOUNT = 100.0
# What stands for a soft and a hard decline where the story names no code.
CODES = {"soft": "insufficient_funds", "hard": "transaction_not_allowed"}
ASKS = "authentication_required"
NEW_METHOD_TEXTS = ("new_method", "revoked")
CARDS = ("4242424242424242", "4000056655665556")  # another card for the twin
SENT = ("succeeded", "declined", "processing", "verifying")
KEYS = {
    "state": "test",
    "is_published": True,
    "allow_tokenization": True,
    "stripe_publishable_key": "pk_test_local",
    "stripe_secret_key": "sk_test_local",
    "stripe_webhook_secret": "whsec_local",
}


def play(stage, inputs):
    """Return the tries, the day of the person, and what was spared and told."""
    with local_stripe.LocalStripe() as stripe:
        story = Story(stage, inputs, stripe)
        story.open()
        for number in range(DAYS + 1):
            story.play_day(story.first + timedelta(days=number))
        return story.read()


class Story:
    """One invoice and its twin, each with a saved card that fails in the same way."""

    def __init__(self, stage, inputs, stripe):
        self.stage, self.inputs, self.stripe = stage, inputs, stripe
        stage.zone = inputs.get("timezone") or "UTC"
        self.first = to_date(inputs["first_failure"], stage.zone)
        self.paid_on = to_date(inputs.get("paid_other_way"), stage.zone)
        self.is_ours = not inputs.get("provider_owns_retries")
        self.move, self.twin = None, None

    def at(self, day, hour):
        instant = self.stage.to_instant(day.isoformat(), at=hour)
        return self.stage.at(instant, person=False)

    # === BEFORE IT BEGINS === #

    def open(self):
        opening = self.stage.to_instant(self.first.isoformat(), at=OPENING)
        self.stage.set_account(
            opening - timedelta(days=31), {"timezone": self.stage.zone}
        )
        with self.at(self.first - timedelta(days=30), OPENING) as env:
            provider = self._set_up_provider(env)
            self._create_policy(env)
            accounts = self.stage.get_account(env)
            accounts += accounts.copy({"name": "Scenario Twin"})
            accounts[1].write({"email": "twin@example.com"})
            self.move, self.twin = (
                self._create_debt(env, provider, account, number).id
                for account, number in zip(accounts, CARDS, strict=True)
            )

    def _set_up_provider(self, env):
        parameters = env["ir.config_parameter"]
        parameters.set_param(local_stripe.PARAMETER, self.stripe.url)
        provider = env.ref("payment.payment_provider_stripe")
        card = env.ref("payment.payment_method_card")
        provider.write({**KEYS, "payment_method_ids": [(4, card.id)]})
        card.active = True
        if self.is_ours:
            provider._arm_charging()
        return provider

    def _create_policy(self, env):
        """Arm a policy with the shipped days and without reminders.

        Where somebody else collects, it charges nothing by itself.
        """
        env["crm.dunning.policy"].create(
            {
                "name": "Scenario policy",
                "company_id": self.stage.get_company(env).id,
                "sequence": -1,
                "state": "armed",
                "armed_at": naive(self.stage.to_instant("2000-01-01")),
                "hour_from": 0.0,
                "hour_to": 24.0,
                "weekdays_only": False,
                "charge_mode": "due" if self.is_ours else "none",
            }
        )

    def _create_debt(self, env, provider, account, number):
        """Return an invoice due on the first day, of an account with a saved card."""
        saved = self.stripe.saved_method("pm_card_visa", number=number)
        code = CODES.get(self.inputs["decline"], self.inputs["decline"])
        if code == ASKS:
            self.stripe.ask_with(saved["payment_method"])
        else:
            self.stripe.decline_with(saved["payment_method"], code, times=0)
        env["payment.token"].create(
            {
                "provider_id": provider.id,
                "partner_id": account.id,
                "payment_method_id": env.ref("payment.payment_method_card").id,
                "provider_ref": saved["customer"],
                "stripe_payment_method": saved["payment_method"],
                "payment_details": number[-4:],
            }
        )
        line = {
            "product_id": self.stage.get_product(env, 0).id,
            "price_unit": AMOUNT,
            "tax_ids": [(5, 0, 0)],
        }
        move = env["account.move"].create(
            {
                "move_type": "out_invoice",
                "partner_id": account.id,
                "invoice_date": self.first - timedelta(days=30),
                "invoice_payment_term_id": False,
                "invoice_date_due": self.first,
                "invoice_line_ids": [(0, 0, line)],
            }
        )
        move.action_post()
        return move

    # === DAY BY DAY === #

    def play_day(self, day):
        if day == self.paid_on:
            with self.at(day, OPENING) as env:
                self._pay(env)
        if day == self.first and not self.is_ours:
            with self.at(day, OPENING) as env:
                self._fail_elsewhere(env)
        now = naive(self.stage.to_instant(day.isoformat(), at=NOON))
        for model, job in (
            ("crm.dunning.attempt", "_cron_charge"),
            ("crm.dunning.attempt", "_cron_reconcile"),
            ("crm.dunning.case", "_cron_cases"),
        ):
            with self.at(day, NOON) as env:
                getattr(env[model], job)(now=now)
        with self.at(day, NOON) as env, mail_server(env):
            env["mail.mail"].process_email_queue()

    def _pay(self, env):
        wizard = env["account.payment.register"].with_context(
            active_model="account.move", active_ids=[self.move]
        )
        wizard.create({})._create_payments()

    def _fail_elsewhere(self, env):
        """The charge of the other collector fails: a transaction, none of our own."""
        move = env["account.move"].browse(self.move)
        token = env["payment.token"].search(
            [("partner_id", "=", move.partner_id.id)], limit=1
        )
        transaction = env["payment.transaction"].create(
            {
                "provider_id": token.provider_id.id,
                "payment_method_id": token.payment_method_id.id,
                "token_id": token.id,
                "reference": f"{move.name}-elsewhere",
                "operation": "offline",
                "partner_id": move.partner_id.id,
                "amount": move.amount_residual,
                "currency_id": move.currency_id.id,
                "invoice_ids": [(6, 0, move.ids)],
            }
        )
        transaction._set_error("Declined")

    # === AFTERWARDS === #

    def read(self):
        with self.at(self.first + timedelta(days=DAYS), NOON) as env:
            tries = self._read_tries(env, self.move)
            spared = len(self._read_tries(env, self.twin)) - len(tries)
            move = env["account.move"].browse(self.move)
            return {
                "tries": [day.isoformat() for day in tries],
                "case": self._read_hand_over(env),
                "cancelled": spared if self.paid_on else 0,
                "ours_active": self._is_charged_by_us(move),
                "payment_update_mail": self._is_asked_for_a_method(env),
            }

    def _read_tries(self, env, move):
        """Return the local dates of the charges after the first one."""
        attempts = env["crm.dunning.attempt"].search(
            [("move_id", "=", move), ("kind", "=", "charge"), ("state", "in", SENT)],
            order="id",
        )
        return [self._to_local(attempt.sent_at) for attempt in attempts[1:]]

    def _to_local(self, moment):
        return to_date(f"{moment.isoformat()}Z", self.stage.zone)

    def _read_hand_over(self, env):
        cases = env["crm.dunning.case"].search(
            [("move_id", "=", self.move), ("taken_over_at", "!=", False)], order="id"
        )
        return cases and self._to_local(cases[0].taken_over_at).isoformat() or None

    def _is_charged_by_us(self, move):
        """Return whether the policy charges the invoice, and the provider for it."""
        policy = move._get_charge_policies()[move]
        provider = move.env.ref("payment.payment_provider_stripe")
        return policy.charge_mode != "none" and provider.dunning_armed

    def _is_asked_for_a_method(self, env):
        return bool(
            env["crm.dunning.notice"].search_count(
                [
                    ("move_id", "=", self.move),
                    ("kind", "=", "failed"),
                    ("failed_text", "in", NEW_METHOD_TEXTS),
                    ("state", "=", "sent"),
                ]
            )
        )
