"""Payments: ours go to the attempt, those of the portal and of core to Odoo."""

from odoo import models


class PaymentTransaction(models.Model):
    _inherit = "payment.transaction"

    # Each event looks for its payment by this.
    _provider_reference_idx = models.Index(
        "(provider_reference) WHERE provider_reference IS NOT NULL"
    )


class CrmDunningProviderEvent(models.Model):
    _inherit = "crm.dunning.provider.event"

    # === BUSINESS METHODS - PAYMENTS === #

    def _apply_intent(self, intent, now):
        """Let a charge of ours, or a transaction of core, take over what is true now.

        :param intent: PaymentIntent as the provider has just shown it
        :return: what was done, empty when nothing of ours hangs on it
        """
        attempt = self._find_attempt(intent)
        if attempt:
            self._link(attempt.transaction_id, attempt)
            attempt._apply(intent, now=now)
            return self._tell_state(attempt)
        transaction = self._find_transaction(intent)
        if not transaction:
            return False
        transaction.lock_for_update()
        self._link(transaction)
        return self._apply_to_transaction(transaction, intent)

    def _apply_charge(self, intent, now):
        return self._apply_intent(intent, now)

    def _apply_to_transaction(self, transaction, intent):
        """Apply a PaymentIntent to a transaction of core; book it when it is paid.

        Another payment of the same transaction never takes the place of the first: core
        would overwrite the reference and nobody could refund what was really paid.
        """
        known = transaction.provider_reference
        if known and known != intent["id"]:
            if intent["status"] != "succeeded":
                return self.env._("An older try of the same payment.")
            return self._report_second_payment(transaction)
        transaction._process("stripe", self._prepare_core_data(transaction, intent))
        if transaction.state == "done" and not transaction.is_post_processed:
            self.env["crm.dunning.attempt"]._book(transaction)
        return self._tell_state(transaction)

    def _prepare_core_data(self, transaction, intent):
        """Return the data that core's flow reads, in the shape it was written for.

        Stripe replaced the list of charges by the latest one in 2022.
        """
        latest = intent.get("latest_charge")
        charges = {"data": [latest] if isinstance(latest, dict) else []}
        return {
            "reference": transaction.reference,
            "payment_intent": {"charges": charges, **intent},
            "payment_method": intent.get("payment_method"),
        }

    def _report_second_payment(self, transaction):
        """Two payments succeeded for one transaction: money has to go back."""
        note = self.env._(
            "Two payments succeeded for transaction %(reference)s. Refund one of them.",
            reference=transaction.reference,
        )
        self._hand_over(transaction.invoice_ids, "mismatch", note)
        return note

    # === BUSINESS METHODS - SETTING UP A METHOD === #

    def _apply_setup(self, setup, now):
        """Let core's validation transaction know that a method was saved."""
        transaction = self.env["payment.transaction"].search(
            [
                ("provider_id", "=", self.provider_id.id),
                ("operation", "=", "validation"),
                ("reference", "=", setup.get("description") or ""),
            ],
            limit=1,
        )
        if not transaction:
            return False
        transaction.lock_for_update()
        self._link(transaction)
        if transaction.state == "done":
            return self.env._("Known already.")
        transaction._process(
            "stripe",
            {
                "reference": transaction.reference,
                "setup_intent": setup,
                "payment_method": setup.get("payment_method"),
            },
        )
        return self._tell_state(transaction)

    # === BUSINESS METHODS - FINDING === #

    def _find_attempt(self, intent):
        """Return our charge of a PaymentIntent, by its id or by the key it carries."""
        attempts = self.env["crm.dunning.attempt"]
        provider = [("provider_id", "=", self.provider_id.id), ("kind", "=", "charge")]
        found = attempts.search(
            [*provider, ("payment_intent", "=", intent["id"])], limit=1
        )
        keys = [key for key in (intent.get("metadata") or {}).values() if key]
        if not found and keys:
            found = attempts.search([*provider, ("key", "in", keys)], limit=1)
        return found

    def _find_transaction(self, intent):
        """Return core's transaction of a PaymentIntent, by its id or its reference."""
        transactions = self.env["payment.transaction"]
        domain = [
            ("provider_id", "=", self.provider_id.id),
            ("operation", "not in", ("refund", "validation")),
        ]
        found = transactions.search(
            [*domain, ("provider_reference", "=", intent["id"])], limit=1
        )
        reference = intent.get("description")
        if not found and reference:
            found = transactions.search(
                [*domain, ("reference", "=", reference)], limit=1
            )
        return found

    def _find_payment(self, intent_id, charge_id=None):
        """Return ``(transaction, attempt)`` of a payment by its provider ids."""
        attempt = self.env["crm.dunning.attempt"].search(
            [
                ("provider_id", "=", self.provider_id.id),
                ("kind", "=", "charge"),
                "|",
                ("payment_intent", "=", intent_id or "-"),
                ("charge", "=", charge_id or "-"),
            ],
            limit=1,
        )
        transaction = attempt.transaction_id or self._find_transaction(
            {"id": intent_id or "-"}
        )
        return transaction, attempt

    # === BUSINESS METHODS - TELLING === #

    def _link(self, transaction, attempt=None):
        self.write(
            {
                "transaction_id": transaction.id,
                "attempt_id": attempt.id if attempt else False,
                "move_id": (attempt.move_id if attempt else transaction.invoice_ids)[
                    :1
                ].id,
            }
        )

    def _tell_state(self, record):
        """Return "Charge: Succeeded" for an attempt or transaction."""
        labels = dict(record._fields["state"]._description_selection(self.env))
        return f"{record.display_name}: {labels[record.state]}"

    def _hand_over(self, moves, reason, note):
        """Open a case for each invoice if there is none and give it to a person.

        :return: the cases
        """
        cases = self.env["crm.dunning.case"]._open_for(
            moves.filtered(lambda move: move.move_type == "out_invoice")
        )
        cases._take_over(reason, note)
        return cases
