"""Which payment of ours each line of a payout belongs to."""

from odoo import models


class CrmDunningPayoutLine(models.Model):
    _inherit = "crm.dunning.payout.line"

    # === BUSINESS METHODS - MATCHING === #

    def _match(self):
        """Match lines with payments; those that match no payment say why.

        Lines of a posted entry stay as they were booked.
        """
        lines = self.filtered(
            lambda line: line.payout_id.entry_state != "posted" and not line.is_matched
        )
        transactions = lines._find_transactions()
        for line in lines:
            line.write(line._prepare_match(transactions[line]))

    def _find_transactions(self):
        """Return ``{line: transaction}``, read for all lines at once.

        By the id of the payment or refund at the provider, by the charge of our
        attempts, at last by our reference, which Stripe shows as description.
        """
        domain = [("company_id", "in", self.company_id.ids)]
        wanted = {
            "provider_reference": set(
                filter(None, [*self.mapped("payment_ref"), *self.mapped("source_ref")])
            ),
            "reference": set(filter(None, self.mapped("description"))),
        }
        found = {name: {} for name in wanted}
        for name, values in wanted.items():
            for transaction in self.env["payment.transaction"].search(
                [*domain, (name, "in", list(values))]
            ):
                key = transaction.company_id, transaction[name]
                found[name][key] = transaction
        attempts = self.env["crm.dunning.attempt"].search(
            [*domain, ("kind", "=", "charge"), ("charge", "in", self._get_sources())]
        )
        charges = {
            (attempt.company_id, attempt.charge): attempt.transaction_id
            for attempt in attempts
        }
        return {
            line: line._choose_transaction(
                found["provider_reference"], charges, found["reference"]
            )
            for line in self
        }

    def _get_sources(self):
        return [ref for ref in self.mapped("source_ref") if ref]

    def _choose_transaction(self, by_provider, by_charge, by_reference):
        company = self.company_id
        payment = (
            by_provider.get((company, self.payment_ref))
            or by_charge.get((company, self.source_ref))
            or by_reference.get((company, self.description))
            or self.env["payment.transaction"]
        )
        if self.kind != "refund":
            return payment
        refund = by_provider.get((company, self.source_ref))
        if refund and refund.operation == "refund":
            return refund
        # A file names the charge only: the refund of this amount that is left over.
        used = self.payout_id.line_ids.transaction_id
        return payment.child_transaction_ids.filtered(
            lambda child: (
                child.operation == "refund"
                and child not in used
                and child.currency_id.compare_amounts(child.amount, self._get_paid())
                == 0
            )
        )[:1]

    def _prepare_match(self, transaction):
        """Return the values of a line: its payment, or what is in the way."""
        payment = transaction.payment_id
        problem = self._find_problem(transaction, payment)
        return {
            "transaction_id": transaction.id,
            "payment_id": not problem and self.kind != "dispute" and payment.id,
            "partner_id": transaction.partner_id.commercial_partner_id.id,
            "is_matched": not problem,
            "problem": problem,
        }

    def _find_problem(self, transaction, payment):
        """Return why the line is not matched, False if it is."""
        if self.kind == "fee":
            return False
        if self.kind == "other":
            return self.env._("Neither payment, refund, dispute nor fee.")
        if not transaction:
            return self.env._("Odoo knows no such payment.")
        if self.kind == "dispute":
            return False
        if not payment or payment.state in ("draft", "canceled", "rejected"):
            return self.env._(
                "%(reference)s is not booked in Odoo.",
                reference=transaction.reference,
            )
        if not payment.move_id:
            return self.env._(
                "%(payment)s has no entry: set an outstanding account on its method.",
                payment=payment.name,
            )
        return self._find_difference(payment)

    def _find_difference(self, payment):
        sign = -1 if payment.payment_type == "outbound" else 1
        booked, currency = sign * payment.amount, payment.currency_id
        paid_currency = self.paid_currency_id or self.currency_id
        if paid_currency != currency or currency.compare_amounts(
            booked, self._get_paid()
        ):
            return self.env._(
                "Booked: %(booked)s; at the provider: %(paid)s.",
                booked=currency.format(booked),
                paid=paid_currency.format(self._get_paid()),
            )
        if payment.dunning_payout_line_ids - self:
            return self.env._("Another payout contains this payment already.")
        return False

    def _get_paid(self):
        """Return what the customer paid (refunds negative), in their currency."""
        return self.paid_amount if self.paid_currency_id else self.gross
