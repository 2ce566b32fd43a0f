from odoo import models
from odoo.exceptions import UserError

from ..billing_rules.allocation import exact, round_money
from ..billing_rules.milestones import find_change_problem, split_contract


class CrmBillingAgreementLine(models.Model):
    """The contract changes while it runs (billing rules, 5.2)."""

    _inherit = "crm.billing.agreement.line"

    # === ACTION METHODS === #

    def action_change_contract(self, total):
        """Change what a contract billed by milestones is worth; for billing clerks.

        What is invoiced and what is fixed stays; the open weighted milestones share
        the rest anew. Where none is left, the raise is a new milestone.

        :param total: before tax, in the currency of the agreement
        :return: the new milestone, if one was needed
        :raise UserError: below what is invoiced, or what is fixed
        """
        self.ensure_one()
        self.agreement_id._check_is_biller()
        self.check_access("write")
        if self.billing_method != "milestone":
            raise UserError(
                self.env._(
                    "%(line)s is not billed by milestones: use “Change plan”.",
                    line=self.name,
                )
            )
        before = self._get_contract()
        added = self._change_contract(total)
        self.agreement_id._log_event(
            "amended",
            note=self.env._(
                "%(line)s: contract changed from %(before)s to %(total)s",
                line=(self.name or "").split("\n")[0],
                before=self.currency_id.format(float(before)),
                total=self.currency_id.format(float(self._get_contract())),
            ),
        )
        return added

    def action_open_contract_change(self):
        """Ask for the new total, and show the new split."""
        self.ensure_one()
        self.agreement_id._check_is_biller()
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Change Contract"),
            "res_model": "crm.billing.contract.wizard",
            "view_mode": "form",
            "target": "new",
            "context": {"default_line_id": self.id},
        }

    # === BUSINESS METHODS === #

    def _change_contract(self, total):
        """Change the contract without asking who does it."""
        self.ensure_one()
        total, _amounts, left = self._plan_contract(total)
        # The flow changes what was billed; whoever calls it has checked the rights.
        self.sudo().write({"quantity": 1, "price_unit": float(total), "discount": 0})
        if not left:
            return self.env["crm.billing.milestone"]
        last = self._get_milestones()[-1:]
        return last.create(
            {
                "line_id": self.id,
                "name": self.env._("Change of the contract"),
                "kind": "fixed",
                "fixed_amount": float(left),
                "sequence": last.sequence + 1,
                "user_id": last.user_id.id,
            }
        )

    def _plan_contract(self, total):
        """Return ``(total, amounts, rest)`` of a change: the new split, in order.

        :raise UserError: below what is invoiced, or what is fixed
        """
        total = round_money(exact(total), self._get_step())
        rules = [entry._to_rule() for entry in self._get_milestones()]
        if problem := find_change_problem(total, rules, self._get_open_deposit()):
            self._refuse_change(problem)
        return total, *split_contract(total, rules, self._get_step())

    def _refuse_change(self, problem):
        if problem == "over":
            raise UserError(
                self.env._(
                    "The contract cannot fall below what is invoiced and its fixed "
                    "milestones. Lower those first."
                )
            )
        raise UserError(
            self.env._(
                "More than that is invoiced already. Make a credit note of what was "
                "invoiced too much, then change the contract."
            )
        )
