"""Refunds, whoever made them: one child transaction each, and visible."""

from datetime import timedelta

from odoo import models

from odoo.addons.payment_stripe.controllers.main import StripeController

from .crm_dunning_attempt import LIVE_STATES
from .crm_dunning_provider_event import to_datetime
from .crm_dunning_provider_event_run import NotYet

# A refund that somebody makes in Odoo is known at Stripe before it is committed here.
SETTLING = timedelta(seconds=90)


class CrmDunningProviderEvent(models.Model):
    _inherit = "crm.dunning.provider.event"

    # === BUSINESS METHODS - REFUNDS === #

    def _apply_refunds(self, refunds, now):
        """Note each refund of a charge once and show it on its invoice.

        :param refunds: refunds as the provider has just listed them
        :return: what was done, empty when nothing of ours hangs on them
        """
        notes = [self._apply_one_refund(refund, now) for refund in refunds]
        return ", ".join(dict.fromkeys(filter(None, notes)))

    def _apply_refund(self, refunds, now):
        return self._apply_refunds(refunds, now)

    def _apply_one_refund(self, refund, now):
        source, attempt = self._find_payment(
            refund.get("payment_intent"), refund.get("charge")
        )
        if not source:
            return False
        source.lock_for_update()
        self._link(source, attempt)
        own = self._find_own_refund(refund)
        if own and own.state in LIVE_STATES:
            own._apply_refund(refund, now)
            return self._tell_state(own)
        child = self._find_refund(source, refund)
        if child:
            return self._update_refund(child, refund)
        if self._is_being_made(source, refund, now):
            raise NotYet
        return self._note_foreign_refund(source, refund)

    def _find_own_refund(self, refund):
        """Return our request for this refund, by the key that it carries."""
        keys = [key for key in (refund.get("metadata") or {}).values() if key]
        return self.env["crm.dunning.attempt"].search(
            [
                ("provider_id", "=", self.provider_id.id),
                ("kind", "=", "refund"),
                ("key", "in", keys),
            ],
            limit=1,
        )

    def _find_refund(self, source, refund):
        return source.child_transaction_ids.filtered(
            lambda child: (
                child.operation == "refund" and child.provider_reference == refund["id"]
            )
        )[:1]

    def _is_being_made(self, source, refund, now):
        """Return whether our own refund may not have heard its answer yet."""
        is_young = to_datetime(refund["created"]) > now - SETTLING
        return is_young or bool(
            source.child_transaction_ids.dunning_attempt_ids.filtered(
                lambda attempt: (
                    attempt.kind == "refund" and attempt.state in LIVE_STATES
                )
            )
        )

    def _update_refund(self, child, refund):
        """Apply a later state of a known refund; a failed one needs a person."""
        before = child.state
        child._process("stripe", {"refund": refund})
        if child.state == "error" and before != "error":
            note = self.env._(
                "Refund %(reference)s did not go through: the money came back. Check "
                "the payment and the invoice.",
                reference=child.reference,
            )
            self._hand_over(child.source_transaction_id.invoice_ids, "refund", note)
        return self._tell_state(child)

    def _note_foreign_refund(self, source, refund):
        """Book a refund that was made at the provider, and have a person look at it.

        Neither core nor the ledger reopens an invoice whose payment was refunded: that
        the customer owes again, or gets a credit note, somebody has to decide.
        """
        child = StripeController._create_refund_tx_from_refund(source, refund)
        child._process("stripe", {"refund": refund})
        if child.state == "done":
            self.env["crm.dunning.attempt"]._book(child)
        if child.state in ("done", "pending"):
            note = self.env._(
                "%(amount)s were refunded at the provider. Credit the invoice, or "
                "collect it again.",
                amount=source.currency_id.format(-child.amount),
            )
            for move in source.invoice_ids:
                move._message_log(body=note)
            self._hand_over(source.invoice_ids, "refund", note)
        return self._tell_state(child)
