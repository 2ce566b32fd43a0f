"""Saved methods of other providers: charged through core, as safely as it allows.

The attempt is committed before core calls the provider, so that a killed process leaves
a trace and no second charge. What it cannot do: core's call runs inside a database
transaction, most providers take no key, and there is no common way to ask one what
became of a request. So whatever is not clearly a success or a refusal stays *verifying*
until a webhook of the provider or a person says what happened. It is never repeated.
"""

from odoo import fields, models
from odoo.exceptions import AccessError, UserError

from odoo.addons.base.models.res_users import check_identity

from .crm_dunning_attempt import LIVE_STATES
from .crm_dunning_attempt_send import Unproven
from .crm_dunning_attempt_start import OURS
from .payment_provider_charge import MANAGER
from .payment_transaction import ANSWER


class CrmDunningAttempt(models.Model):
    _inherit = "crm.dunning.attempt"

    # === BUSINESS METHODS - OTHER PROVIDERS === #

    def _send_through_core(self, now):
        """Charge once through core; afterwards only look at what core was told."""
        self.lock_for_update()
        self.invalidate_recordset()
        transaction = self.transaction_id.with_context(dunning_flow=OURS)
        if self.payload:  # sent before, by this process or one that died
            self._apply_core(transaction, None, now)
            return
        self.payload = {"sent": fields.Datetime.to_string(now)}
        self._commit()
        cache = self.env.cr.cache
        cache.pop(ANSWER, None)
        transaction._charge_with_token()
        answer = cache.pop(ANSWER, None)
        # Who looks at the attempt meanwhile must not undo what was charged.
        self._commit()
        self._apply_core(transaction, answer, now)

    def _apply_core(self, transaction, answer, now):
        """Take over the state that core gave its transaction.

        :param answer: ``(http status, error)`` of a refusal, if core got one
        :raise Unproven: core does not say whether money moved
        """
        self.lock_for_update()
        state = transaction.state
        if state in ("pending", "authorized"):
            self.state = "processing"
            self._commit()
        elif state == "done":
            self._settle("succeeded", None, now)
            self._book(transaction)
            self._cure_case(now)
            self._commit()
        elif state == "cancel":
            self._settle("cancelled", None, now)
            self._follow_decline(now)
            self._commit()
        elif state == "error" and self._is_clear_refusal(transaction, answer):
            self.message = transaction.state_message
            self._settle("declined", None, now)
            self._follow_decline(now)
            self._commit()
        else:
            raise Unproven

    def _is_clear_refusal(self, transaction, answer):
        """Return whether the provider, and not the connection, said no.

        A reference of the provider shows that it answered; so does a refusal that is
        neither an error of its own nor a conflict.
        """
        status = answer[0] if answer else 0
        is_refused = 400 <= status < 500 and status not in (408, 409, 429)
        return is_refused or bool(transaction.provider_reference)

    # === ACTION METHODS === #

    def action_check(self):
        """Ask the provider now what became of these attempts.

        :raise AccessError: the user is no billing clerk
        """
        self.env["crm.dunning.case"]._check_is_collector()
        self.check_access("read")
        self.filtered(lambda one: one.state in LIVE_STATES)._send_after_commit()
        return {"type": "ir.actions.client", "tag": "soft_reload"}

    @check_identity
    def action_give_up(self):
        """Say that nothing was charged, after a look at the provider by hand.

        For outcomes that nobody can be asked about; a manager answers for it.
        """
        self._give_up()
        return {"type": "ir.actions.client", "tag": "soft_reload"}

    def _give_up(self):
        """End attempts with an unknown outcome of which a person was asked.

        :raise AccessError: the user is no billing manager
        :raise UserError: an attempt is not in question
        """
        if not self.env.su and not self.env.user.has_group(MANAGER):
            raise AccessError(
                self.env._("Only a billing manager says that nothing was charged.")
            )
        self.check_access("read")
        attempts = self.sudo()  # attempts are written by the flow only
        attempts.lock_for_update()
        for attempt in attempts:
            if attempt.state not in LIVE_STATES or not attempt.asked_at:
                raise UserError(
                    self.env._(
                        "%(attempt)s is not in question: the provider is still asked.",
                        attempt=attempt.display_name,
                    )
                )
            attempt._settle("cancelled", None, fields.Datetime.now())
            attempt.transaction_id.with_context(dunning_flow=OURS)._set_canceled()
            attempt._log_given_up()

    def _log_given_up(self):
        self.env["crm.billing.event"]._log(
            [
                {
                    "action": "charge_given_up",
                    "move_id": self.move_id.id,
                    "dunning_case_id": self.case_id.id,
                    "partner_id": self.partner_id.id,
                    "company_id": self.company_id.id,
                    "note": self.reference,
                }
            ]
        )
