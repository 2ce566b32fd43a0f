from decimal import Decimal

from odoo import api, models

from ..billing_rules.allocation import exact
from ..billing_rules.replay import NotReplayable, replay


class CrmBillingAgreementLine(models.Model):
    """The ledger rows of milestones and deposit, and why they are what they are."""

    _inherit = "crm.billing.agreement.line"

    def _to_due_milestone(self, milestone, amount):
        """Return what a milestone bills, with the split that gave its amount."""
        others = self._get_milestones() - milestone
        settled = others.filtered("is_settled")
        fixed = (others - settled).filtered(lambda entry: entry.kind == "fixed")
        shared = self._get_milestones() - settled - fixed
        inputs = {
            "contract": self._get_contract(),
            "settled": _add(settled, "amount"),
            "fixed": _add(fixed, "amount"),
            "weight": exact(milestone.weight),
            "weights": _add(shared, "weight"),
            "others": _add(others, "amount"),
            "amount": amount,
        }
        formulas = (
            "(contract − settled − fixed) × weight ÷ weights",
            "contract − others",
            "amount",
        )
        if milestone.kind == "fixed":
            formulas = ("amount",)
        explanation = self._find_formula("S12", formulas, inputs, amount)
        return self._to_due_event(
            "milestone", milestone.done_date, amount, explanation, milestone
        )

    def _to_due_deposit(self, amount):
        """Return the deposit, billed at the confirmation."""
        inputs = {
            "contract": self._get_contract(),
            "percent": exact(self.deposit_percent),
            "amount": exact(self.deposit_amount),
        }
        formulas = ("amount",) if self.deposit_amount else ()
        formulas += ("contract × percent ÷ 100",)
        explanation = self._find_formula("5.4", formulas, inputs, amount)
        return self._to_due_event("deposit", self.deposit_date, amount, explanation)

    def _to_due_recovery(self, milestone, recovery, open_deposit, to_invoice):
        """Return what a milestone gives back of the deposit, with the deposit's tax."""
        inputs = {
            "open_deposit": open_deposit,
            "milestone": exact(milestone.amount),
            "to_invoice": to_invoice,
        }
        formulas = {
            "pro_rata": ("−(open_deposit × milestone ÷ to_invoice)",),
            "first": (),
            "last": ("−max(open_deposit + milestone − to_invoice, 0)",),
        }[self.deposit_recovery]
        formulas += ("−min(open_deposit, milestone)",)
        explanation = self._find_formula("5.4", formulas, inputs, -recovery)
        due = self._to_due_event(
            "deposit_recovery", milestone.done_date, -recovery, explanation, milestone
        )
        deposit = self._get_deposit_rows()[:1]
        if deposit:
            due.vals["debit_id"] = deposit.id
            due.tax_ids = tuple(deposit.move_line_id.tax_ids.ids)
        return due

    def _find_formula(self, rule, formulas, inputs, amount):
        """Return the explanation whose formula gives the amount when it is replayed.

        Only what the formula names is stored with it.
        """
        inputs = {name: str(value) for name, value in inputs.items()}
        inputs["step"] = str(self._get_step())
        for formula in formulas:
            try:
                found = replay(formula, inputs) == amount
            except NotReplayable:
                found = False
            if found:
                break
        named = {
            name: value
            for name, value in inputs.items()
            if name == "step" or name in formula
        }
        return {"rule": rule, "formula": formula, "inputs": named}

    def _describe_row(self, row):
        """Override to name the milestone, or what the deposit is about."""
        kind = row.vals["kind"]
        if kind == "milestone":
            return self.env._("Milestone: %(name)s", name=row.vals.get("note") or "")
        if kind == "deposit":
            return self.env._("Deposit")
        if kind == "deposit_recovery":
            return self.env._("Deposit invoiced before")
        return super()._describe_row(row)


class CrmBillingPeriod(models.Model):
    _inherit = "crm.billing.period"

    @api.model
    def _get_rule_texts(self):
        return super()._get_rule_texts() | {
            "5.4": self.env._(
                "The deposit is billed at the confirmation and comes back with the "
                "milestones; no invoice becomes negative."
            ),
        }

    @api.model
    def _get_input_labels(self):
        _ = self.env._
        return super()._get_input_labels() | {
            "contract": _("The whole contract"),
            "settled": _("Invoiced before the contract changed"),
            "fixed": _("Fixed amounts of the others"),
            "weight": _("Percent or share of this milestone"),
            "weights": _("All percentages or shares"),
            "others": _("All other milestones"),
            "percent": _("Deposit in percent"),
            "open_deposit": _("Deposit still to come back"),
            "milestone": _("This milestone"),
            "to_invoice": _("Still to be invoiced, with this one"),
        }


def _add(records, name):
    return sum((exact(record[name]) for record in records), Decimal(0))
