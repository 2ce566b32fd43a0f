"""Sending: the provider is called while no database transaction is open.

Whatever happens in between – a lost answer, a killed process – what is stored says how
to find out: the PaymentIntent carries the key of the attempt, is created unconfirmed,
and its id is committed before it is confirmed. Confirmed it can be once only.
"""

import logging
import traceback
import uuid
from dataclasses import dataclass

import psycopg2
import stripe

from odoo import fields, models
from odoo.exceptions import LockError, UserError

from ..dunning_rules import outcome
from . import stripe_client
from .crm_dunning_attempt import LIVE_STATES

_logger = logging.getLogger(__name__)


class Unproven(Exception):
    """Nobody knows yet what became of it: ask again later."""


class NotSent(Exception):
    """Proven: nothing was charged and nothing will be."""

    def __init__(self, error):
        super().__init__(type(error).__name__)
        self.error = error


@dataclass(frozen=True)
class Order:
    """What is to be sent, read before the transaction is closed.

    :param intent_id: the PaymentIntent, if it is known
    :param known: ids of the customer's PaymentIntents that Odoo knows
    :param invoice: number of the invoice, which references of its payments begin with
    """

    key: str
    payload: dict
    intent_id: str | None
    known: frozenset
    invoice: str


class CrmDunningAttempt(models.Model):
    """Phase B: find or create the payment, then confirm it, whatever was lost."""

    _inherit = "crm.dunning.attempt"

    # === BUSINESS METHODS - SEND === #

    def _send(self, now=None):
        """Find out what became of a live attempt, and finish it. Commits; never raises.

        Safe to repeat at any time, also beside another process: each request is either
        a question or one that the provider executes once.

        :param now: instant, naive UTC, the clock by default
        """
        self.ensure_one()
        now = now or fields.Datetime.now()
        self = self.sudo().with_context(lang=self.env.user.lang)
        try:
            if self._begin(now):
                self._send_by_kind(now)
        except (LockError, psycopg2.OperationalError):
            # Somebody else is at it: what they find is as true.
            self._rollback()
        except Unproven:
            self._keep_verifying(now)
        except Exception as error:
            # Nothing that breaks here may be taken for a decline. The trace without the
            # message, which may quote a key or what a customer wrote.
            trace = "".join(traceback.format_tb(error.__traceback__))
            name = type(error).__name__
            self._rollback()
            _logger.error("Attempt %s broke off, %s:\n%s", self.id, name, trace)
            self._keep_verifying(now)

    def _begin(self, now):
        """Note that the provider is asked; return whether there is anything to ask."""
        if self.state not in LIVE_STATES:
            return False
        self.write({"checked_at": now, "sent_at": self.sent_at or now})
        self._commit()
        return True

    def _send_by_kind(self, now):
        if self.provider_id.code != "stripe":
            return self._send_through_core(now)
        if self.kind == "refund":
            return self._send_refund(now)
        return self._send_charge(now)

    def _send_charge(self, now):
        client = self.provider_id._get_stripe_client()
        charge = StripeCharge(client, self._prepare_order())
        try:
            self._commit()
            if not charge.order.intent_id:
                found = charge.find_or_create()
                self._keep_intent(found["id"])
            else:
                found = charge.look_at(charge.order.intent_id)
            intent = self._finish_intent(charge, found, now)
        except NotSent as refusal:
            self._apply_not_sent(refusal.error, now)
        else:
            self._apply(intent, now=now)
        self._commit()

    def _finish_intent(self, charge, found, now):
        """Return the PaymentIntent after it was confirmed, or cancelled for good."""
        if outcome.read(found).state == "confirmable" and self._may_confirm(now):
            found = charge.confirm(found)
        return charge.end(found)

    def _prepare_order(self):
        known = self.move_id._get_known_payments(self.token_id)
        return Order(
            key=self.key,
            payload=self.payload,
            intent_id=self.payment_intent or None,
            known=known,
            invoice=self.move_id.name,
        )

    def _keep_intent(self, intent_id):
        """Store the id before the payment is confirmed, so that it is found again."""
        self.lock_for_update()
        self.write({"payment_intent": intent_id})
        # Core finds it by its reference, too.
        self.transaction_id.provider_reference = intent_id
        self._commit()

    def _may_confirm(self, now):
        """Look once more, in the second before money moves.

        A payment that came meanwhile, a dispute, a hold, a smaller residual: then the
        payment is cancelled, which proves that nothing was charged.
        """
        self.lock_for_update()
        move = self.move_id
        purpose = "person" if self.source == "person" else "charge"
        blocks = move._get_dunning_blocks(now, purpose, own_attempts=self)
        amount = move._get_charge_amounts(self.source, now)[move]
        is_owed = move.currency_id.compare_amounts(float(amount), self.amount) >= 0
        may = self.state in LIVE_STATES and not blocks and is_owed
        may = may and self._is_armed(now)
        self._commit()
        return may

    def _is_armed(self, now):
        """Return whether provider, method and policy still allow it."""
        token, policy = self.token_id, self.move_id._get_charge_policies()[self.move_id]
        if not token.active or token.dunning_blocked_class:
            return False  # the customer has removed it, or the bank has
        try:
            self.provider_id._check_can_charge()
        except UserError:
            return False
        return not self._get_policy_obstacle(self.move_id, policy, self.source, now)

    def _keep_verifying(self, now):
        """Say that the outcome is not known; the job asks again."""
        try:
            self.lock_for_update()
            self.invalidate_recordset(["state"])
            if self.state == "sending":
                self.write({"state": "verifying"})
                self._show_verifying()
            self._trigger_job("reconcile", fields.Datetime.add(now, minutes=1))
            self._commit()
        except (LockError, psycopg2.OperationalError):
            self._rollback()


class StripeCharge:
    """The calls of one charge; knows no database."""

    def __init__(self, client, order):
        self.client = client
        self.order = order

    def find_or_create(self):
        """Return the PaymentIntent of the attempt, created unconfirmed if need be.

        :raise NotSent: refused; nothing was charged
        :raise Unproven: no answer
        """
        found = self._find()
        if found:
            return self.look_at(found["id"])
        try:
            made = self.client.v1.payment_intents.create(
                self.order.payload["create"],
                {"idempotency_key": f"{self.order.key}-create"},
            )
        except stripe.StripeError as error:
            if stripe_client.is_refusal(error):
                raise NotSent(error) from None
            if not stripe_client.is_server_error(error):
                raise Unproven from None
            # The same key would tell the same error for a day. What was not confirmed
            # never takes money: if it is not there, this attempt is over.
            found = self._find()
            if not found:
                raise NotSent(error) from None
            return self.look_at(found["id"])
        return made.to_dict()

    def _find(self):
        """Return the PaymentIntent with the key of the attempt.

        :raise NotSent: another payment for this invoice succeeded that Odoo does not
            know: nobody may charge before somebody has looked
        """
        customer = self.order.payload["create"]["customer"]
        intents = self._ask(stripe_client.list_intents, customer)
        for intent in intents:
            if (intent.get("metadata") or {}).get("attempt") == self.order.key:
                return intent
        order = self.order
        stranger = self._ask(
            stripe_client.find_stranger, intents, order.invoice, order.known
        )
        if stranger:
            raise NotSent(Stranger(stranger))
        return None

    def look_at(self, intent_id):
        return self._ask(stripe_client.read_intent, intent_id)

    def _ask(self, question, *args):
        try:
            return question(self.client, *args)
        except stripe.StripeError as error:
            raise Unproven from error

    def confirm(self, intent):
        """Confirm once; after an error return what is true then.

        :raise Unproven: the request may still be under way
        """
        params = {**self.order.payload["confirm"], "expand": stripe_client.EXPAND}
        try:
            done = self.client.v1.payment_intents.confirm(
                intent["id"], params, {"idempotency_key": f"{self.order.key}-confirm"}
            )
        except stripe.StripeError as error:
            return self._read_after(error, intent["id"])
        return done.to_dict()

    def _read_after(self, error, intent_id):
        """Return the PaymentIntent after a failed confirmation.

        Still unconfirmed after a refusal or an error of the provider, it is cancelled
        by the caller: that proves that nothing was charged.
        """
        intent = self.look_at(intent_id)
        if intent["status"] != "requires_confirmation":
            return intent
        if stripe_client.is_refusal(error):
            body = stripe_client.get_error_body(error)
            told = {name: body.get(name) for name in ("code", "message", "type")}
            return {**intent, "last_payment_error": told}
        if stripe_client.is_server_error(error):
            return intent
        raise Unproven from None

    def end(self, intent):
        """Cancel what took no money, so that nobody can pay it any more.

        What the bank said is kept: a cancelled payment still tells why.

        :raise Unproven: it is not known whether it is cancelled
        """
        before = outcome.read(intent)
        if before.state not in (
            "declined",
            "needs_customer",
            "not_charged",
            "confirmable",
        ):
            return intent
        key = f"{self.order.key}-cancel-{uuid.uuid4().hex[:8]}"
        try:
            after = stripe_client.cancel_intent(self.client, intent["id"], key)
        except stripe.StripeError as error:
            raise Unproven from error
        if after["status"] not in ("canceled", "succeeded", "processing"):
            raise Unproven
        told = {
            name: after.get(name) or intent.get(name)
            for name in ("last_payment_error", "latest_charge", "payment_method")
        }
        if before.state == "needs_customer" and not told["last_payment_error"]:
            told["last_payment_error"] = {"code": "authentication_required"}
        return {**after, **told}


class Stranger(Exception):
    """A payment for the invoice that Odoo knows nothing of."""
