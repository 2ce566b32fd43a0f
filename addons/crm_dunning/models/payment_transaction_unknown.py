"""Payments of core whose answer was lost: the provider is asked about them."""

import logging
import uuid
from datetime import timedelta

import psycopg2
import stripe

from odoo import api, models
from odoo.exceptions import LockError, UserError

from ..dunning_rules import outcome
from . import stripe_client
from .account_move_charge import PORTAL_MINUTES
from .payment_transaction import BY_TOKEN

ASKED_DAYS = 30
LEFT_AFTER = timedelta(hours=1)  # after it, whoever opened a pay page is gone
# What a customer must do before a payment goes on, and does in minutes; a voucher that
# is paid at a counter some days later is not among them.
QUICK_ACTIONS = ("redirect_to_url", "use_stripe_sdk")
BATCH = 50

_logger = logging.getLogger(__name__)


class PaymentTransaction(models.Model):
    _inherit = "payment.transaction"

    # === BUSINESS METHODS - UNKNOWN OUTCOMES === #

    @api.model
    def _find_unknown(self, now):
        """Return payments whose outcome is not known, longest unasked first.

        On the pay page the customer has an hour.
        """
        return self.search(
            [
                ("outcome_unknown", "=", True),
                ("provider_code", "=", "stripe"),
                ("create_date", ">=", now - timedelta(days=ASKED_DAYS)),
                "|",
                ("operation", "in", BY_TOKEN),
                ("create_date", "<=", now - LEFT_AFTER),
            ],
            order="outcome_checked_at nulls first, id",
            limit=BATCH,
        )

    def _prove(self, now):
        """Ask the provider what became of one payment, and take that over. Commits.

        What took no money is cancelled there, so that nobody can pay it any more.

        :return: whether the outcome is proven
        """
        self.ensure_one()
        attempts = self.env["crm.dunning.attempt"]
        self.outcome_checked_at = now
        try:
            client = self.provider_id._get_stripe_client()
            query = self._prepare_question()
            attempts._commit()
            intent = _find_out(client, **query)
            self.lock_for_update()
            self._apply_proof(intent)
            attempts._commit()
        except (stripe.StripeError, UserError) as error:
            _logger.info("Transaction %s not proven: %s", self.id, type(error).__name__)
            return False
        except (LockError, psycopg2.OperationalError):
            attempts._rollback()
            return False
        return not self.outcome_unknown

    def _ask_person(self, limit):
        """Ask a person about a payment that began before ``limit`` (naive UTC)."""
        moves = self._get_paid_invoices().filtered(
            lambda move: move.dunning_outcome == "open"
        )
        if self.create_date > limit or not moves:
            return
        note = self.env._(
            "Whether payment %(reference)s took money is not known. The provider is "
            "asked on and on; nothing else is charged meanwhile. Look there.",
            reference=self.reference,
        )
        self.env["crm.dunning.case"]._open_for(moves)._take_over("unknown", note)

    def _prepare_question(self):
        return {
            "intent_id": self.provider_reference or None,
            "customer": self.token_id.provider_ref or None,
            "reference": self.reference,
        }

    def _apply_proof(self, intent):
        """Take over what is true of this payment.

        :param intent: PaymentIntent, None if the provider knows none: nothing was
            charged
        """
        found = outcome.read(intent)
        if intent and not self.provider_reference:
            self.provider_reference = intent["id"]
        if found.state in ("succeeded", "processing"):
            if found.state == "processing" and self.state == "error":
                self._set_pending(extra_allowed_states=("error",))
            self._process(
                "stripe",
                {
                    "reference": self.reference,
                    "payment_intent": intent,
                    "payment_method": intent.get("payment_method"),
                },
            )
            self.outcome_unknown = False
            if self.state == "done" and not self.is_post_processed:
                self.env["crm.dunning.attempt"]._book(self)
        elif not intent or found.state == "cancelled":
            self.outcome_unknown = False
            if self.state == "draft":
                self._set_canceled()
            if found.decline:
                self.decline_code = found.decline.decline_code or found.decline.code
            if self.state == "error":
                self._follow_failure()


class AccountMove(models.Model):
    _inherit = "account.move"

    def _get_known_payments(self, token):
        """Return the provider's ids of all payments that Odoo knows of them."""
        moves = self.sudo()
        transactions = moves.transaction_ids | token.sudo().transaction_ids
        return frozenset(filter(None, transactions.mapped("provider_reference")))

    def _report_unknown_payment(self, payment):
        """Have a person look at a payment that Odoo knows nothing of.

        :param payment: id at the provider
        """
        note = self.env._(
            "The provider has payment %(payment)s for %(invoice)s, which Odoo knows "
            "nothing of. Nothing was charged. Book that payment, or refund it.",
            payment=payment,
            invoice=", ".join(self.mapped("name")),
        )
        self.env["crm.dunning.case"]._open_for(self)._take_over("mismatch", note)

    def _get_unproven_transactions(self):
        """Return payments of these invoices that may have taken money, or still may."""
        return self.sudo().transaction_ids.filtered("outcome_unknown")

    def _prove_transactions(self, now):
        """Ask about unproven payments of these invoices, in the way of a charge.

        What a customer has begun on the pay page is left alone while he may be there.
        """
        unproven = self._get_unproven_transactions()
        limit = now - timedelta(minutes=PORTAL_MINUTES)
        for transaction in unproven:
            is_left = transaction.create_date <= limit
            if transaction.operation in BY_TOKEN or is_left:
                transaction._prove(now)


def _find_out(client, intent_id, customer, reference):
    """Return the PaymentIntent of a transaction after it was settled or cancelled.

    :return: as plain dictionaries, None if there is none
    """
    if not intent_id and customer:
        found = stripe_client.list_intents(client, customer)
        intent_id = next(
            (one["id"] for one in found if one.get("description") == reference), None
        )
    if not intent_id:
        return None
    try:
        intent = stripe_client.read_intent(client, intent_id)
    except stripe.InvalidRequestError as error:
        if error.http_status == 404 or error.code == "resource_missing":
            return None
        raise
    if _may_cancel(intent):
        key = f"cancel-{uuid.uuid4()}"
        after = stripe_client.cancel_intent(client, intent_id, key)
        error = after.get("last_payment_error") or intent.get("last_payment_error")
        return {**after, "last_payment_error": error}
    return intent


def _may_cancel(intent):
    """Return whether a payment took no money and nobody is about to pay it."""
    action = (intent.get("next_action") or {}).get("type")
    if action and action not in QUICK_ACTIONS:
        return False
    return outcome.read(intent).state in (
        "declined",
        "needs_customer",
        "not_charged",
        "confirmable",
    )
