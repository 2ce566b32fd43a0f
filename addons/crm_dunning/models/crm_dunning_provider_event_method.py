"""Saved methods: renewed by the bank, removed by the customer, mandates that end."""

from odoo import models


class CrmDunningProviderEvent(models.Model):
    _inherit = "crm.dunning.provider.event"

    # === BUSINESS METHODS - SAVED METHODS === #

    def _apply_method(self, method, now):
        """Follow a saved method: a new expiry date, or that it is gone.

        :param method: PaymentMethod as the provider has just shown it
        :return: what was done, empty when none of our tokens uses it
        """
        tokens = self._find_tokens([("stripe_payment_method", "=", method["id"])])
        if not tokens:
            return False
        if not method.get("customer"):
            return self._archive(tokens)
        renewed = tokens._apply_method(method, now)
        if not renewed:
            return self.env._("Nothing has changed.")
        self._retry_renewed(renewed, now)
        return self.env._("The bank has renewed the card.")

    def _apply_mandate(self, mandate, now):
        """Archive the tokens of a mandate that has ended."""
        tokens = self._find_tokens([("stripe_mandate", "=", mandate["id"])])
        if not tokens:
            return False
        if mandate["status"] != "inactive":
            return self.env._("The mandate holds.")
        return self._archive(tokens)

    def _find_tokens(self, domain):
        return self.env["payment.token"].search(
            [("provider_id", "=", self.provider_id.id), *domain]
        )

    def _archive(self, tokens):
        """Archive tokens that can be charged no more; their invoices show why."""
        tokens.write({"active": False})
        cases = self._get_cases(tokens)
        note = self.env._("The saved payment method was removed at the provider.")
        for case in cases:
            case._message_log(body=note)
        return note

    def _retry_renewed(self, tokens, now):
        """Try what failed for want of a valid card, once, with the renewed card.

        Another failure asks the customer again: the card is not renewed twice.
        """
        cases = self._get_cases(tokens).filtered(
            lambda case: (
                case.decline_class == "new_method"
                and case.state in ("automatic", "retrying")
                and case.policy_id.state == "armed"
                and case.policy_id.charge_mode != "none"
            )
        )
        if cases:
            cases.write({"next_try_at": now, "state": "retrying"})
            self.env["crm.dunning.attempt"]._trigger_job("charge", now)

    def _get_cases(self, tokens):
        """Return the open cases of which a charge with these tokens failed."""
        attempts = self.env["crm.dunning.attempt"].search(
            [("token_id", "in", tokens.ids), ("case_id.state", "!=", "closed")]
        )
        return attempts.case_id
