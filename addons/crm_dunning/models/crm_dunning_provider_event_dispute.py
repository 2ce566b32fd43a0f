"""Disputes and fraud warnings: everything stops, a person takes over."""

from odoo import fields, models

from .crm_dunning_dispute import ENDED, STATUSES, to_major
from .crm_dunning_provider_event import to_datetime

# After which reasons of a dispute the method is never charged again, and as what class
# of decline that counts.
DEAD_METHODS = {
    "fraudulent": "fraud",
    "subscription_canceled": "revoked",
    "debit_not_authorized": "sepa_dead",
    "incorrect_account_details": "sepa_dead",
}


class CrmDunningProviderEvent(models.Model):
    _inherit = "crm.dunning.provider.event"

    # === BUSINESS METHODS - DISPUTES === #

    def _apply_dispute(self, dispute, now):
        """Write a dispute as it stands now on the invoices that the payment paid.

        :param dispute: as the provider has just shown it
        :return: what was done, empty when nothing of ours hangs on it
        """
        transaction, attempt = self._find_payment(
            dispute.get("payment_intent"), dispute.get("charge")
        )
        if not transaction:
            return False
        transaction.lock_for_update()
        self._link(transaction, attempt)
        row = self._find_dispute(dispute["id"])
        before = row.status
        values = self._prepare_dispute(dispute, transaction, attempt, now)
        if row:
            row.write({**values, "closed_at": row.closed_at or values["closed_at"]})
        else:
            row = row.create(values)
        row.move_ids._refresh_dispute()
        if not before:
            self._lock_method(row, now)
        if row.status != before:
            self._follow_dispute(row, is_new=not before)
        return f"{row.dispute_ref}: {self._get_label(row, 'status')}"

    def _find_dispute(self, dispute_ref):
        return self.env["crm.dunning.dispute"].search(
            [
                ("provider_id", "=", self.provider_id.id),
                ("dispute_ref", "=", dispute_ref),
            ],
            limit=1,
        )

    def _prepare_dispute(self, dispute, transaction, attempt, now):
        status = dispute["status"]
        currency = self._find_currency(dispute["currency"])
        evidence = dispute.get("evidence_details") or {}
        is_known = status in dict(STATUSES)
        return {
            "provider_id": self.provider_id.id,
            "dispute_ref": dispute["id"],
            "transaction_id": transaction.id,
            "attempt_id": attempt.id,
            "partner_id": transaction.partner_id.commercial_partner_id.id,
            "move_ids": [fields.Command.set(transaction.invoice_ids.ids)],
            "currency_id": currency.id,
            "amount": to_major(dispute["amount"], currency),
            "reason": dispute.get("reason"),
            "status": status if is_known else "other",
            "funds": self._get_funds(dispute),
            "opened_at": to_datetime(dispute.get("created")),
            "evidence_due_at": to_datetime(evidence.get("due_by")),
            "closed_at": status in ENDED and now,
        }

    def _get_funds(self, dispute):
        """Return where the money is, from the movements on the provider's balance."""
        amounts = [
            movement["amount"]
            for movement in dispute.get("balance_transactions") or []
            if isinstance(movement, dict)
        ]
        if not amounts:
            return "kept"
        return "withdrawn" if sum(amounts) < 0 else "reinstated"

    def _find_currency(self, code):
        return (
            self.env["res.currency"]
            .with_context(active_test=False)
            .search([("name", "=", code.upper())], limit=1)
        )

    def _get_label(self, record, name):
        selection = record._fields[name]._description_selection(self.env)
        return dict(selection).get(record[name], "")

    def _follow_dispute(self, row, is_new):
        """Tell the invoices; a new dispute, or one that was lost, needs a person."""
        note = self._describe_dispute(row)
        for move in row.move_ids:
            move._message_log(body=note)
        if row.is_open or row.status == "lost":
            cases = self._hand_over(row.move_ids, "chargeback", note)
            if is_new:
                cases._tell_seller("disputed")
        else:
            self._end_cases(row, note)

    def _end_cases(self, row, note):
        """Close the cases of a dispute that ended well, unless something is open."""
        cases = row.move_ids.dunning_case_ids.filtered(
            lambda case: case.state != "closed" and case.reason == "chargeback"
        )
        for case in cases:
            case._message_log(body=note)
            others = case.move_id.dunning_dispute_ids - row
            is_over = all(not one.is_open and one.status != "lost" for one in others)
            if is_over and case.move_outcome not in (False, "open"):
                case._close(case.move_outcome)

    def _lock_method(self, row, now):
        """Never charge again what its owner says was never theirs, or was withdrawn."""
        token = (row.attempt_id.token_id or row.transaction_id.token_id).sudo()
        if token and row.reason in DEAD_METHODS:
            token._block(DEAD_METHODS[row.reason], now)

    def _describe_dispute(self, row):
        amount = row.currency_id.format(row.amount)
        if row.status == "won":
            return self.env._("The dispute over %(amount)s is won.", amount=amount)
        if row.status == "lost":
            return self.env._(
                "The dispute over %(amount)s is lost: the money is gone. Decide "
                "whether the customer owes it again or gets a credit note.",
                amount=amount,
            )
        if not row.is_open:
            return self.env._("The inquiry over %(amount)s is closed.", amount=amount)
        return self.env._(
            "The payment of %(amount)s is disputed (%(reason)s): %(status)s. Answer "
            "until: %(due)s. Nothing is mailed or charged meanwhile.",
            amount=amount,
            reason=row.reason or "-",
            status=self._get_label(row, "status"),
            due=f"{row.evidence_due_at:%Y-%m-%d %H:%M} UTC"
            if row.evidence_due_at
            else "-",
        )

    # === BUSINESS METHODS - FRAUD WARNINGS === #

    def _apply_fraud_warning(self, warning, now):
        """A bank suspects that a payment was fraud: stop, and have a person look."""
        charge = warning.get("charge")
        charge = charge if isinstance(charge, dict) else {"id": charge}
        transaction, attempt = self._find_payment(
            warning.get("payment_intent") or charge.get("payment_intent"), charge["id"]
        )
        if not transaction:
            return False
        self._link(transaction, attempt)
        if not warning.get("actionable", True):
            return self.env._("Refunded or disputed already.")
        note = self.env._(
            "The bank warns of fraud on the payment %(reference)s. Refund it, or be "
            "ready for a dispute. Nothing is mailed or charged meanwhile.",
            reference=transaction.reference,
        )
        for move in transaction.invoice_ids:
            move._message_log(body=note)
        token = (attempt.token_id or transaction.token_id).sudo()
        if token:
            token._block("fraud", now)
        self._hand_over(transaction.invoice_ids, "fraud", note)
        return note
