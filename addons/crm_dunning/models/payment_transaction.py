"""Core's own doors to the same money: pay page, payment form, wizard, webhook."""

import stripe

from odoo import api, fields, models
from odoo.exceptions import UserError

from . import stripe_client
from .crm_dunning_attempt import LIVE_STATES
from .crm_dunning_attempt_start import OURS

NO_MONEY = ("refund", "validation")
BY_TOKEN = ("offline", "online_token")
# Under which key of ``cr.cache`` the last refusal of a provider lies.
ANSWER = "crm_dunning.answer"


class PaymentTransaction(models.Model):
    """One payment at a time, and no failure that is none."""

    _inherit = "payment.transaction"

    dunning_attempt_ids = fields.One2many(
        "crm.dunning.attempt", "transaction_id", readonly=True
    )
    outcome_unknown = fields.Boolean(
        readonly=True,
        copy=False,
        help="The provider may have taken money for it, or still may: it is asked "
        "before anybody charges the invoice again.",
    )
    outcome_checked_at = fields.Datetime(
        readonly=True,
        copy=False,
        help="When the provider was last asked about an unknown outcome (UTC).",
    )
    decline_code = fields.Char(readonly=True, copy=False)

    _unknown_idx = models.Index("(id) WHERE outcome_unknown")

    # === CRUD METHODS === #

    @api.model_create_multi
    def create(self, vals_list):
        """Override of `payment` to let one payment of an invoice begin at a time."""
        transactions = super().create(vals_list)
        if self.env.context.get("dunning_flow") is not OURS:
            now = fields.Datetime.now()
            for transaction in transactions:
                if transaction.operation not in NO_MONEY and transaction.amount > 0:
                    invoices = transaction.sudo()._get_paid_invoices()
                    invoices._claim_for_payment(transaction, now)
        return transactions

    def _get_paid_invoices(self):
        """Return the invoices that this transaction pays, also through a payment."""
        invoices = self.invoice_ids
        if "invoice_ids" in self.payment_id._fields:
            invoices |= self.payment_id.invoice_ids
        return invoices

    # === BUSINESS METHODS - REQUESTS === #

    def _stripe_create_intent(self):
        """Override of `payment_stripe` to keep which payment it was, or may have been.

        Core forgets the payment when the answer is lost, and counts that as a failure.
        """
        if self.operation == "validation":
            return super()._stripe_create_intent()
        if self.operation in BY_TOKEN and self._is_paid_unknown():
            return None
        cache = self.env.cr.cache
        cache.pop(ANSWER, None)
        self.sudo().outcome_unknown = True  # whoever pays
        intent = super()._stripe_create_intent()
        if intent:
            self.provider_reference = intent["id"]
        else:
            self._note_answer(cache.pop(ANSWER, None))
        return intent

    def _is_paid_unknown(self):
        """Return whether the provider has a payment of these invoices unknown to us.

        Then nothing is charged, and a person looks.
        """
        moves, token = self._get_paid_invoices(), self.token_id
        if not moves or not token.provider_ref:
            return False
        try:
            client = self.provider_id._get_stripe_client()
            intents = stripe_client.list_intents(client, token.provider_ref)
            known = moves._get_known_payments(token)
            strangers = {
                move: stripe_client.find_stranger(client, intents, move.name, known)
                for move in moves
            }
        except (stripe.StripeError, UserError):
            return False  # core's own call will say what is wrong
        for move, stranger in strangers.items():
            if stranger:
                self._set_error(self.env._("This invoice seems to be paid already."))
                move._report_unknown_payment(stranger)
                return True
        return False

    def _note_answer(self, answer):
        """Take over a refusal that proves that nothing was charged.

        :param answer: ``(http status, error object)``, None if none came
        """
        status, error = answer or (None, {})
        if not status or status >= 500 or status == 409:
            self.env["crm.dunning.attempt"]._trigger_job("reconcile")
            return
        intent = error.get("payment_intent")
        self.sudo().write(
            {
                "outcome_unknown": False,
                "decline_code": error.get("decline_code") or error.get("code"),
                "provider_reference": (intent or {}).get("id")
                or self.provider_reference,
            }
        )
        self._follow_failure()

    # === BUSINESS METHODS - WHAT OTHERS REPORT === #

    def _process(self, provider_code, payment_data):
        """Override of `payment` to believe nobody about a charge of ours.

        Whatever core's webhook is told of it, the provider is asked.
        """
        transaction = self or self._search_by_reference(provider_code, payment_data)
        if not transaction:
            return transaction
        if self.env.context.get("dunning_flow") is not OURS:
            live = transaction.sudo().dunning_attempt_ids.filtered(
                lambda attempt: attempt.state in LIVE_STATES
            )
            if live and provider_code == "stripe":
                live.checked_at = False
                live._trigger_job("reconcile")
                return transaction
        return super(PaymentTransaction, transaction)._process(
            provider_code, payment_data
        )

    def _apply_updates(self, payment_data):
        """Override of `payment` to keep which payment was paid.

        A late failure of another try would take the place of its reference.
        """
        intent = payment_data.get("payment_intent") or {}
        if (
            self.provider_code == "stripe"
            and self.state == "done"
            and self.operation not in NO_MONEY
            and self.provider_reference
            and intent.get("id") != self.provider_reference
        ):
            return None
        return super()._apply_updates(payment_data)

    def _update_state(self, allowed_states, target_state, state_message):
        """Override of `payment` to follow what a payment that is not ours becomes."""
        changed = super()._update_state(allowed_states, target_state, state_message)
        if self.env.context.get("dunning_flow") is OURS:
            return changed
        if target_state in ("done", "cancel"):
            changed.sudo().filtered("outcome_unknown").outcome_unknown = False
        elif target_state == "error":
            proven = changed.filtered(lambda one: not one.outcome_unknown)
            proven._follow_failure()
        return changed

    def _follow_failure(self):
        """A payment by a saved method failed: open a case for each invoice (G6)."""
        failed = self.sudo().filtered(
            lambda one: one.operation in BY_TOKEN and not one.dunning_attempt_ids
        )
        now = fields.Datetime.now()
        for transaction in failed:
            moves = transaction._get_paid_invoices().filtered(
                lambda move: move.dunning_outcome == "open"
            )
            cases = self.env["crm.dunning.case"]._open_for(moves, first_failure_at=now)
            cases = cases.sudo().filtered(lambda case: not case.first_failure_at)
            cases.write({"first_failure_at": now})


class PaymentProvider(models.Model):
    _inherit = "payment.provider"

    def _parse_response_error(self, response):
        """Override of `payment` to remember that an answer came, and which."""
        message = super()._parse_response_error(response)
        error = {}
        if self.code == "stripe":
            body = response.json().get("error")
            error = body if isinstance(body, dict) else {}
        self.env.cr.cache[ANSWER] = (response.status_code, error)
        return message
