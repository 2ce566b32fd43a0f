from fractions import Fraction

from odoo import models
from odoo.exceptions import UserError
from odoo.tools import float_compare

from ..billing_rules.allocation import exact, round_money
from ..billing_rules.amendment import credit


class CrmBillingPeriod(models.Model):
    """Credits follow the debit that they take back, until both are on paper."""

    _inherit = "crm.billing.period"

    def write(self, vals):
        """Override: a draft was edited before it was posted, its credits follow."""
        result = super().write(vals)
        if "amount" in vals:
            self._follow_debit()
        return result

    def _follow_debit(self):
        for row in self.credit_ids:
            if not row.change_id or row.move_line_id or row.kind != "credit":
                continue
            debit, line = row.debit_id, row.line_id
            others = [other for other in debit.credit_ids if other.id < row.id]
            before = -sum(exact(other.amount) for other in others)
            amount = -credit(
                exact(debit.amount),
                line._get_debited_factor(debit),
                Fraction(row.factor),
                line._get_step(),
                round_money(before or 0, line._get_step()),
                sum((Fraction(other.factor or 0) for other in others), Fraction(0)),
            )
            rounding = row.currency_id.rounding
            if float_compare(row.amount, float(amount), precision_rounding=rounding):
                row.amount = float(amount)
                row.is_covered = False

    def unlink(self):
        """Override: what took back a deleted draft goes with it.

        The lines that go on are due again as a whole then, each at its own terms.
        """
        credits = self.credit_ids
        if not credits:
            return super().unlink()
        credits._check_not_printed()
        charges = self.search(
            [
                ("change_id", "in", credits.change_id.ids),
                ("kind", "=", "charge"),
                ("move_line_id", "=", False),
                ("line_id.agreement_id", "in", self.agreement_id.ids),
                ("date_to", "<=", max(self.mapped("date_to"))),
            ]
        )
        credits.unlink()
        charges.unlink()
        return super().unlink()

    def _check_not_printed(self):
        """Refuse to drop a debit whose credit is on paper already."""
        printed = self.move_line_id.move_id
        if printed:
            raise UserError(
                self.env._(
                    "%(moves)s credit what this draft bills. Delete them first, or "
                    "post the draft.",
                    moves=", ".join(printed.mapped("display_name")),
                )
            )
