import re
from datetime import timedelta
from decimal import Decimal

from odoo import api, fields, models
from odoo.exceptions import UserError

from ..billing_rules.allocation import exact
from ..billing_rules.amendment import credit
from ..billing_rules.replay import NotReplayable, number, replay


class CrmBillingPeriod(models.Model):
    """Explain this amount: the formula and the inputs that were stored, replayed."""

    _inherit = "crm.billing.period"

    last_day = fields.Date(
        compute="_compute_last_day", help="The last day of service, included."
    )
    credited = fields.Monetary(
        compute="_compute_credited", help="What credit rows took back of this one."
    )
    line_name = fields.Char(string="Service", compute="_compute_line_name")
    proof = fields.Json(compute="_compute_proof")

    # === COMPUTE METHODS === #

    @api.depends("date_to")
    def _compute_last_day(self):
        for period in self:
            after = period.date_to
            period.last_day = after and after - timedelta(days=1)

    @api.depends("credit_ids.amount", "credit_ids.kind")
    def _compute_credited(self):
        """Sum the credits; what comes back of a deposit is no credit."""
        for period in self:
            credits = period.credit_ids.filtered(lambda row: row.kind == "credit")
            period.credited = -sum(credits.mapped("amount"))

    @api.depends("line_id.name")
    def _compute_line_name(self):
        for period in self:
            period.line_name = (period.line_id.name or "").split("\n")[0]

    @api.depends("explanation", "amount")
    @api.depends_context("lang")
    def _compute_proof(self):
        for period in self:
            period.proof = period.explanation and period._get_proof()

    # === ACTION METHODS === #

    def action_explain(self):
        """Show how the amount came about, and whether it still comes out the same.

        :raise UserError: nothing was stored with it, such as for a waived period
        """
        self.ensure_one()
        self.check_access("read")
        if not self.explanation:
            raise UserError(
                self.env._(
                    "Nothing was computed for %(period)s: %(note)s",
                    period=self.display_name,
                    note=self.note or self.env._("the amount was given."),
                )
            )
        view = self.env.ref("crm_billing_handoff.crm_billing_period_view_form")
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Why this amount?"),
            "res_model": self._name,
            "res_id": self.id,
            "views": [(view.id, "form")],
            "target": "new",
        }

    def action_print_explanation(self):
        """Print the short form for the customer."""
        report = self.env.ref("crm_billing_handoff.action_report_billing_explanation")
        return report.report_action(self)

    # === BUSINESS METHODS === #

    def _get_proof(self):
        """Return the explanation in words, and the verdict of its replay.

        ``equal``: the stored inputs give the amount that was billed. ``edited``: they
        give the stored amount, the invoice says another since somebody changed it.
        ``differs``: they give another amount. ``stated``: the formula is in words.
        """
        self.ensure_one()
        story = self.explanation
        inputs = story.get("inputs") or {}
        computed = story.get("amount")
        recomputed = self._replay_explanation()
        billed = exact(self.amount)
        if recomputed is None:
            verdict = "stated"
        elif computed is not None and number(recomputed) != number(computed):
            verdict = "differs"
        else:
            verdict = "equal" if recomputed == billed else "edited"
        return {
            "rule": story.get("rule") or "",
            "why": self._get_rule_texts().get(story.get("rule"), ""),
            "formula": story.get("formula") or "",
            "inputs": self._describe_inputs(inputs),
            "verdict": verdict,
            "billed": self.currency_id.format(self.amount),
            "recomputed": recomputed is not None
            and self.currency_id.format(float(recomputed)),
            "difference": recomputed is not None
            and self.currency_id.format(float(billed - recomputed)),
        }

    def _replay_explanation(self):
        """Return the amount that the stored inputs give, ``None`` if they cannot.

        Other billing methods replay what is more than arithmetic through ``super()``.

        :rtype: Decimal or None
        """
        self.ensure_one()
        story = self.explanation
        inputs = {"step": str(self.currency_id.rounding), **(story.get("inputs") or {})}
        try:
            if "credited_factor" in inputs:
                return self._replay_credit(inputs)
            return replay(story.get("formula") or "", inputs)
        except NotReplayable:
            return None

    @api.model
    def _replay_credit(self, inputs):
        """Credit once more: who gives back the last day gives back the rest (S7)."""
        names = ("debit", "credited_before", "step")
        debit, before, step = (Decimal(str(inputs[name])) for name in names)
        names = ("debited_factor", "factor", "credited_factor")
        debited, unused, given_back = (number(inputs[name]) for name in names)
        return -credit(debit, debited, unused, step, before, given_back)

    @api.model
    def _get_rule_texts(self):
        """Return ``{rule: why}``: the sections of the billing rules, in a sentence."""
        _ = self.env._
        return {
            "S5": _(
                "A part of a period costs its days divided by the days of the whole "
                "period. A whole period costs its full price."
            ),
            "S6": _("A part of a period is measured as the agreement says."),
            "S7": _(
                "A change gives back the unused part of what was really billed, and "
                "charges the same days at the new price."
            ),
            "S10": _(
                "The days after the last day of service are given back, as far as they "
                "were billed."
            ),
            "S11": _("Quantity times price, less the discount, rounded once."),
            "5.4": _(
                "A deposit is part of the contract and comes back with the milestones."
            ),
            "S12": _("A split gives the rest to the last part, so no cent is lost."),
            "S13": _("Usage is priced by the price model of the line."),
            "S14": _(
                "Allowance, then the price model, then minimum, cap and discount."
            ),
            "S16": _(
                "Late usage: the whole period is priced again as it was then; what was "
                "billed for it already is taken off."
            ),
        }

    def _describe_inputs(self, inputs):
        """Return the stored inputs as ``[{"name": …, "value": …}]``, in words."""
        labels = self._get_input_labels()
        return [
            {
                "name": labels.get(name, name.replace("_", " ").capitalize()),
                "value": self._describe_input(value),
            }
            for name, value in inputs.items()
            if value not in (None, "", [], {})
        ]

    def _describe_input(self, value):
        """Return a stored value as text: numbers as they are, lists one a line."""
        if isinstance(value, list):
            return "\n".join(self._describe_input(item) for item in value)
        if isinstance(value, dict):
            return ", ".join(
                f"{name.replace('_', ' ')} {self._describe_input(item)}"
                for name, item in value.items()
                if item not in (None, "", False)
            )
        text = str(value)
        if re.fullmatch(r"-?\d+(\.\d+)?E[+-]\d+", text):
            return f"{Decimal(text):f}"
        return text

    @api.model
    def _get_input_labels(self):
        _ = self.env._
        return {
            "price": _("Price of a whole period"),
            "quantity": _("Quantity"),
            "discount": _("Discount in percent"),
            "factor": _("Share of the whole period"),
            "step": _("Rounded to"),
            "days": _("Days billed"),
            "of_days": _("Days of the whole period"),
            "period_from": _("The whole period starts on"),
            "period_to": _("The next one starts on"),
            "basis": _("Measured by"),
            "debit": _("Billed at that time"),
            "debited_factor": _("Share that was billed"),
            "credited_before": _("Given back before"),
            "credited_factor": _("Share given back before"),
        }


class AccountMoveLine(models.Model):
    _inherit = "account.move.line"

    def action_explain_billing(self):
        """Show how the amount of a generated line came about.

        :raise UserError: the line was typed by hand
        """
        self.ensure_one()
        self.check_access("read")
        periods = self.billing_period_ids
        if not periods:
            raise UserError(
                self.env._(
                    "This line was typed on the invoice: no agreement computed it."
                )
            )
        if len(periods) == 1:
            return periods.action_explain()
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "crm_billing_handoff.crm_billing_period_action"
        )
        return {**action, "domain": [("id", "in", periods.ids)], "path": False}
