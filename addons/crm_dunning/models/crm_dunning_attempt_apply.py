"""What the provider says becomes true in Odoo: transaction, payment, case."""

import logging
from datetime import timedelta

import psycopg2

from odoo import fields, models

from ..dunning_rules import outcome
from . import stripe_client
from .crm_dunning_attempt import LIVE_STATES
from .crm_dunning_attempt_send import Stranger
from .crm_dunning_attempt_start import OURS

SOON = timedelta(minutes=15)  # until a charge that the provider itself lost is tried
CODES = (
    "code",
    "decline_code",
    "advice_code",
    "network_decline_code",
    "network_advice_code",
    "outcome_reason",
)

_logger = logging.getLogger(__name__)


class CrmDunningAttempt(models.Model):
    """Phase C: apply a proven outcome, once."""

    _inherit = "crm.dunning.attempt"

    # === BUSINESS METHODS - APPLY === #

    def _apply(self, intent, error=None, now=None):
        """Take over what a PaymentIntent proves; repeated, it changes nothing.

        Calls nobody and commits nothing: the caller has read the intent and commits.
        What is not proven, or not cancelled yet, is left to the job.

        :param intent: as plain dictionaries, method and latest charge expanded
        :param error: :class:`outcome.CallError` that came instead of an answer
        :raise LockError: another process applies an outcome in this moment
        """
        self.ensure_one()
        now = now or fields.Datetime.now()
        # Whoever reports it, the outcome is the flow's.
        self = self.sudo()
        self.lock_for_update()
        self.invalidate_recordset()
        found = outcome.read(intent, error)
        if not self.payment_intent and intent:
            self.payment_intent = intent["id"]
        if not intent:
            self._look_again(found)
        elif self._is_another(intent) or self._is_mismatch(found):
            self._report_mismatch(intent, found)
        elif found.state == "succeeded":
            self._apply_succeeded(intent, found, now)
        elif found.state == "processing":
            self._apply_processing(intent, found, now)
        elif found.state == "cancelled":
            self._apply_cancelled(found, now)
        else:
            self._look_again(found)

    def _is_another(self, intent):
        """Return whether this is not the payment that the attempt has confirmed."""
        return bool(self.payment_intent) and intent.get("id") != self.payment_intent

    def _is_mismatch(self, found):
        """Return whether the money that moved is not what was asked for."""
        asked = (self.payload or {}).get("create") or {}
        return found.state in ("succeeded", "processing") and (
            (found.amount, found.currency) != (asked["amount"], asked["currency"])
        )

    def _report_mismatch(self, intent, found):
        """Money moved that was not asked for: nothing is booked, a person looks."""
        if found.state not in ("succeeded", "processing"):
            return
        if self.state in LIVE_STATES:
            self.state = "verifying"
        note = self.env._(
            "Payment %(payment)s of %(reference)s at the provider is %(amount)s "
            "%(currency)s in its smallest unit, not what was asked for. Nothing was "
            "booked. Compare it with the provider and book it by hand.",
            payment=intent.get("id"),
            reference=self.reference,
            amount=found.amount,
            currency=(found.currency or "").upper(),
        )
        self._get_case()._take_over("mismatch", note)

    def _look_again(self, found):
        """Not final yet: the job asks, and cancels what was declined."""
        if self.state not in LIVE_STATES:
            return
        if self.state == "processing" and found.state != "unknown":
            self.state = "verifying"
        self.checked_at = False
        self._trigger_job("reconcile")

    # === BUSINESS METHODS - MONEY CAME === #

    def _apply_succeeded(self, intent, found, now):
        if self.state == "succeeded":
            return
        transaction = self.transaction_id.with_context(dunning_flow=OURS)
        if transaction.state == "cancel":
            transaction._set_done(extra_allowed_states=("cancel",))
        self._process_core(transaction, intent)
        self._settle("succeeded", found, now)
        self._learn_card(found)
        if transaction.state == "done":
            self._book(transaction)
        self._cure_case(now)

    def _apply_processing(self, intent, found, now):
        """A debit is on its way; its outcome comes in days, by webhook or job."""
        if self.state not in LIVE_STATES:
            return
        self._process_core(self.transaction_id, intent)
        self.write({"state": "processing", "charge": found.charge})
        self._learn_card(found)
        self._calm_case(now)

    def _process_core(self, transaction, intent):
        """Let Odoo's own road take it over: state, chatter, later the payment."""
        method = intent.get("payment_method")
        transaction.with_context(dunning_flow=OURS)._process(
            "stripe",
            {
                "reference": transaction.reference,
                "payment_intent": intent,
                "payment_method": method if isinstance(method, dict) else None,
            },
        )

    def _book(self, transaction):
        """Book the payment now; if that is refused, core's job tries for some days."""
        try:
            with self.env.cr.savepoint():
                transaction._post_process()
        except psycopg2.OperationalError:
            raise
        except Exception as error:
            # Whatever the books object to, the money came: that is not rolled back.
            name = type(error).__name__
            _logger.warning("Payment %s is not booked yet: %s", transaction.id, name)
            self.env.ref("payment.cron_post_process_payment_tx")._trigger()

    def _learn_card(self, found):
        """Keep which card it was: limits count for a card, saved once or often."""
        if found.fingerprint and not self.token_id.card_fingerprint:
            self.token_id.card_fingerprint = found.fingerprint

    def _cure_case(self, now):
        """The failure is over: what falls due later is charged as if none had been."""
        case = self.case_id.filtered(lambda case: case.state != "closed")
        if case.first_failure_at:
            case.write({"first_failure_at": False, "decline_class": False})
        self._calm_case(now)

    def _calm_case(self, now):
        """After an outcome: no try is planned any more, nobody waits for the answer."""
        case = self.case_id.filtered(lambda case: case.state != "closed")
        if not case:
            return
        if case.next_try_at:
            case.next_try_at = False
        if case.state in ("verifying", "retrying"):
            case.state = case._get_working_state()
        case._refresh_next_action(now)

    # === BUSINESS METHODS - NO MONEY CAME === #

    def _apply_cancelled(self, found, now):
        if self.state not in LIVE_STATES:
            return
        if found.decline:
            self._apply_declined(found, now)
            return
        self._settle("cancelled", found, now)
        self.transaction_id.with_context(dunning_flow=OURS)._set_canceled()
        self._retry_soon(now)

    def _apply_declined(self, found, now):
        self._settle("declined", found, now)
        self._learn_card(found)
        message = found.message or self.env._("The payment was declined.")
        self.transaction_id.with_context(dunning_flow=OURS)._set_error(message)
        self._follow_decline(now)

    def _apply_not_sent(self, error, now):
        """The provider refused before anything was charged.

        :param error: what it answered
        """
        self.lock_for_update()
        self.invalidate_recordset()
        if self.state not in LIVE_STATES:
            return
        transaction = self.transaction_id.with_context(dunning_flow=OURS)
        if isinstance(error, Stranger):
            self._settle("not_sent", None, now)
            transaction._set_canceled()
            self._report_stranger(error)
            return
        body = stripe_client.get_error_body(error)
        self.write(
            {
                "code": body.get("code"),
                "message": body.get("message"),
                "http_status": error.http_status,
                "request_ref": error.request_id,
            }
        )
        self._settle("not_sent", None, now)
        transaction._set_error(
            self.env._("The payment provider did not accept the request.")
        )
        if stripe_client.is_server_error(error) or error.http_status in (401, 403):
            # Nobody's invoice is to blame: the provider, or the key.
            self._retry_soon(now, timedelta(hours=1) if body else SOON)
        else:
            self._follow_refusal(now)

    def _report_stranger(self, error):
        self._get_case()
        self.move_id._report_unknown_payment(str(error))

    def _settle(self, state, found, now):
        """Write the final state with all that the provider said."""
        values = {"state": state, "settled_at": now, "checked_at": now}
        if found:
            values |= {
                "charge": found.charge,
                "outcome_type": found.outcome_type,
                "card_fingerprint": found.fingerprint or self.card_fingerprint,
            }
        if found and found.decline:
            values |= {name: getattr(found.decline, name) for name in CODES}
            values["message"] = found.message
            values["http_status"] = 402
            values["card_brand"] = found.decline.brand or self.card_brand
        self.write(values)
        self.move_id._write_lease(None, None)

    def _get_case(self):
        """Return the open case of the invoice, opened if there is none."""
        case = self.env["crm.dunning.case"]._open_for(self.move_id)
        if self.case_id != case:
            self.case_id = case
        return case
