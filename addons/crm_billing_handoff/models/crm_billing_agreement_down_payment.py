from decimal import Decimal
from fractions import Fraction

from odoo import models

from ..billing_rules.allocation import exact, round_money
from .crm_billing_agreement_due import Due


class CrmBillingAgreement(models.Model):
    """What was paid down on the order is deducted until nothing of it is left."""

    _inherit = "crm.billing.agreement"

    def _plan_documents(self, until, facts, pending):
        """Override to deduct from each document as much as it can take.

        No invoice becomes negative; what is left goes on to the next one.
        """
        documents = super()._plan_documents(until, facts, pending)
        for line in self.line_ids.filtered(lambda line: line._is_down_payment()):
            left = line._get_down_payment_left()
            for document in documents:
                room = sum((row.amount for row in document.rows), Decimal(0))
                amount = round_money(Fraction(min(left, room)), line._get_step())
                if amount > 0:
                    left -= amount
                    due = line._to_deduction(document.billing_date, amount)
                    document.rows.append(due)
        return documents

    def _close_ended(self):
        """Override to ask what happens to money paid ahead that nothing is left to."""
        result = super()._close_ended()
        for agreement in self.filtered(
            lambda one: one.state in ("closed", "cancelled")
        ):
            left = sum(
                (line._get_paid_ahead() for line in agreement.line_ids), Decimal()
            )
            if left > 0:
                agreement._ask_billing(
                    self.env._("Down payment left"),
                    self.env._(
                        "%(agreement)s has ended, but %(amount)s before tax of its "
                        "deposit or down payment was never deducted: credit it.",
                        agreement=agreement.name,
                        amount=agreement.currency_id.format(float(left)),
                    ),
                )
        return result


class CrmBillingAgreementLine(models.Model):
    _inherit = "crm.billing.agreement.line"

    def _is_down_payment(self):
        return self.billing_method == "one_off" and self.sale_line_id.is_downpayment

    def _get_paid_ahead(self):
        """Return what was billed ahead, and no invoice has deducted yet."""
        if self._is_down_payment():
            return self._get_down_payment_left()
        if self.billing_method == "milestone":
            return self._get_open_deposit()
        return Decimal()

    def _get_down_payment_left(self):
        """Return what is not deducted yet, before tax."""
        paid = exact(self.price_unit) * -exact(self.quantity)
        return paid + sum(exact(row.amount) for row in self.period_ids)

    def _to_deduction(self, day, amount):
        vals = {
            "line_id": self.id,
            "kind": "deposit_recovery",
            "date_from": day,
            "date_to": day.fromordinal(day.toordinal() + 1),
            "amount": -amount,
            "factor": "1",
            "explanation": {
                "rule": "S12",
                "formula": "min(open down payment, this invoice)",
                "inputs": {"open": str(self._get_down_payment_left())},
                "amount": str(-amount),
            },
        }
        return Due(self, day, vals)

    def _get_due_one_off(self, facts):
        """Override to leave a down payment to :meth:`_plan_documents`."""
        return None if self._is_down_payment() else super()._get_due_one_off(facts)

    def _get_next_date_one_off(self, facts):
        """Override: a down payment rides on other lines, it asks for no invoice."""
        if self._is_down_payment():
            return None
        return super()._get_next_date_one_off(facts)

    def _prepare_move_line(self, row, paper, cache, lang):
        """Override to deduct as core does: −1 × what is deducted, from its account."""
        vals = super()._prepare_move_line(row, paper, cache, lang)
        if row.vals["kind"] == "deposit_recovery" and self._is_down_payment():
            paid = self.sale_line_id.invoice_lines.filtered("is_downpayment")
            vals |= {
                "is_downpayment": True,
                "product_id": self.sale_line_id.product_id.id,
                "name": self.sale_line_id.name,
                "quantity": -1.0,
                "price_unit": -vals["price_unit"],
                "account_id": paid.account_id[:1].id or vals["account_id"],
            }
        return vals
