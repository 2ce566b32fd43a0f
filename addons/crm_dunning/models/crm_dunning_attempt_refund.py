"""Refunds go the same way as charges: written and committed first, then sent."""

import uuid
from decimal import Decimal

import stripe

from odoo import models
from odoo.exceptions import UserError

from . import stripe_client
from .crm_dunning_attempt import LIVE_STATES
from .crm_dunning_attempt_send import Unproven
from .crm_dunning_attempt_start import OURS, _to_minor_units

REFUND_STATES = {
    "succeeded": "succeeded",
    "pending": "processing",
    "requires_action": "processing",
    "failed": "declined",
    "canceled": "cancelled",
}


class PaymentTransaction(models.Model):
    _inherit = "payment.transaction"

    def _refund(self, amount_to_refund=None):
        """Override of `payment` to give back no more than was paid, and not twice."""
        if self.provider_code == "stripe":
            self._check_refundable(amount_to_refund or self.amount)
        return super()._refund(amount_to_refund=amount_to_refund)

    def _check_refundable(self, amount):
        """Refuse a refund above what is left of the payment.

        :raise UserError: more than is left
        """
        self.ensure_one()
        given_back = sum(
            (
                Decimal(str(-child.amount))
                for child in self.child_transaction_ids
                if child.operation == "refund"
                and child.state not in ("error", "cancel")
            ),
            Decimal(0),
        )
        left = Decimal(str(self.amount)) - given_back
        if Decimal(str(amount)) > left:
            raise UserError(
                self.env._(
                    "%(left)s of payment %(reference)s can still be refunded, not "
                    "%(amount)s.",
                    left=self.currency_id.format(float(left)),
                    reference=self.reference,
                    amount=self.currency_id.format(amount),
                )
            )

    def _send_refund_request(self):
        """Override of `payment_stripe`, which sends refunds without any key.

        The request is written beside the transaction and sent once both are committed,
        so that a lost answer or a repeated click gives nothing back twice.
        """
        if self.provider_code != "stripe":
            return super()._send_refund_request()
        attempts = self.env["crm.dunning.attempt"].sudo()
        attempt = attempts.create(attempts._prepare_refund(self.sudo()))
        attempt._trigger_job("reconcile")
        attempt._send_after_commit()
        return None


class CrmDunningAttempt(models.Model):
    _inherit = "crm.dunning.attempt"

    # === BUSINESS METHODS - REFUND === #

    def _refund(self, amount=None):
        """Refund a charge of ours, by default all of it.

        :param amount: in the currency of the attempt
        :return: the refund transaction
        :raise UserError: it did not succeed, or less is left
        """
        self.ensure_one()
        if self.kind != "charge" or self.state != "succeeded":
            raise UserError(self.env._("Only a charge that was paid can be refunded."))
        return self.transaction_id._refund(amount_to_refund=amount)

    def _prepare_refund(self, transaction):
        """Return the values of the attempt of a refund transaction."""
        key = str(uuid.uuid4())
        source = transaction.source_transaction_id
        charge = source.dunning_attempt_ids.filtered(lambda one: one.kind == "charge")
        move = source.invoice_ids.filtered(
            lambda one: one.company_id == source.company_id
        )
        amount = -transaction.amount
        return {
            "key": key,
            "kind": "refund",
            "source": "refund",
            "move_id": (charge.move_id or move)[:1].id,
            "transaction_id": transaction.id,
            "source_transaction_id": source.id,
            "provider_id": transaction.provider_id.id,
            "token_id": transaction.token_id.id,
            "currency_id": transaction.currency_id.id,
            "amount": amount,
            "payment_intent": source.provider_reference,
            "payload": {
                "refund": {
                    "payment_intent": source.provider_reference,
                    "amount": _to_minor_units(amount, transaction.currency_id),
                    "metadata": {"attempt": key, "reference": transaction.reference},
                }
            },
        }

    def _send_refund(self, now):
        """Find the refund at the provider, or make it. See :meth:`_send`."""
        client = self.provider_id._get_stripe_client()
        key, payload = self.key, self.payload["refund"]
        number = self.refused_count
        self._commit()
        try:
            refund = _find_refund(client, payload["payment_intent"], key)
            refund = refund or _make_refund(client, payload, f"{key}-refund-{number}")
        except stripe.StripeError as error:
            self._apply_refund_error(error, now)
        else:
            self._apply_refund(refund, now)
        self._commit()

    def _apply_refund(self, refund, now):
        """Take over what the provider says of a refund; repeated, nothing changes."""
        self.lock_for_update()
        self.invalidate_recordset()
        if self.state not in LIVE_STATES:
            return
        asked = self.payload["refund"]["amount"]
        if refund["amount"] != asked or not refund["status"]:
            raise Unproven
        transaction = self.transaction_id.with_context(dunning_flow=OURS)
        transaction._process("stripe", {"refund": refund})
        state = REFUND_STATES.get(refund["status"], "verifying")
        if state in LIVE_STATES:
            self.write({"state": state, "charge": refund.get("charge")})
            return
        self.write({"charge": refund.get("charge")})
        self._settle(state, None, now)
        if transaction.state == "done":
            self._book(transaction)
        if state != "succeeded":
            self._report_failed_refund()

    def _report_failed_refund(self):
        """The customer waits for money that does not come: a person looks."""
        moves = self.source_transaction_id.invoice_ids.filtered(
            lambda move: move.move_type == "out_invoice"
        )
        note = self.env._(
            "Refund %(reference)s did not go through: the customer has not got the "
            "money. Check the payment and the invoice.",
            reference=self.reference,
        )
        self.env["crm.dunning.case"]._open_for(moves)._take_over("refund", note)

    def _apply_refund_error(self, error, now):
        """A refusal is final; anything else is asked again.

        After an error of the provider itself the same key would tell it for a day:
        when the next question shows no refund, the request after it is a new one.
        """
        self.lock_for_update()
        self.invalidate_recordset()
        if self.state not in LIVE_STATES:
            return
        if stripe_client.is_refusal(error) and error.http_status not in (401, 403):
            body = stripe_client.get_error_body(error)
            message = body.get("message") or self.env._("The refund was refused.")
            self.write(
                {
                    "code": body.get("code"),
                    "message": message,
                    "http_status": error.http_status,
                    "request_ref": error.request_id,
                }
            )
            self._settle("declined", None, now)
            self.transaction_id.with_context(dunning_flow=OURS)._set_error(message)
            self._report_failed_refund()
            return
        if stripe_client.is_server_error(error):
            self.refused_count += 1
            self._commit()
        raise Unproven


def _find_refund(client, intent_id, key):
    """Return the refund that carries the key, None if there is none."""
    found = client.v1.refunds.list(
        {"payment_intent": intent_id, "limit": stripe_client.PAGE}
    )
    for refund in found.auto_paging_iter():
        refund = refund.to_dict()
        if (refund.get("metadata") or {}).get("attempt") == key:
            return refund
    return None


def _make_refund(client, payload, key):
    return client.v1.refunds.create(payload, {"idempotency_key": key}).to_dict()
