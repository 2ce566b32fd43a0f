"""What a back-test asks the rules, and the rows that it leaves."""

from decimal import Decimal

from odoo import models

from ..dunning_rules.backtest import Terms, Walk


class CrmDunningBacktest(models.Model):
    _inherit = "crm.dunning.backtest"

    def _replay(self, payers):
        """Return the values of all that would have happened to ``payers``."""
        self.ensure_one()
        policy = self.policy_id
        history = self._read_history(payers)
        saved = self._read_tokens(payers) if policy.charge_mode != "none" else {}
        currencies = {currency_id for _partner, currency_id in history}
        terms = {
            currency.id: self._get_terms(currency)
            for currency in self.env["res.currency"].browse(currencies)
        }
        return [
            self._prepare_line(partner_id, currency_id, happening)
            for (partner_id, currency_id), lines in history.items()
            for happening in Walk(terms[currency_id], lines, saved.get(partner_id)).go(
                self.date_from, self.date_until
            )
        ]

    def _get_terms(self, currency):
        policy = self.policy_id
        return Terms(
            steps=tuple(policy._to_steps()),
            window=policy._get_window(self._get_tz()),
            threshold=policy._get_threshold(currency),
            gap_days=policy.min_gap_days,
            upcoming_days=policy.upcoming_days,
            by_behaviour=policy.tone_mode == "behaviour",
            charge_mode=policy.charge_mode,
        )

    def _prepare_line(self, partner_id, currency_id, happening):
        day, step = happening.day, happening.step
        paid = [line for line in happening.lines if line.is_paid(day)]
        is_mail = happening.action == "mail"
        amount_company = sum(
            (line.get_open(day) * line.rate for line in happening.lines), Decimal(0)
        )
        return {
            "backtest_id": self.id,
            "partner_id": partner_id,
            "currency_id": currency_id,
            "date": day,
            "action": happening.action,
            "step_id": step.key if step else False,
            "stage": step.offset if step else 0,
            "tone": happening.tone or False,
            "invoice_count": len(happening.lines),
            "is_after_payment": is_mail and bool(paid),
            "after_payment_count": len(paid) if is_mail else 0,
            "amount": float(happening.amount),
            "amount_company": float(amount_company),
        }
