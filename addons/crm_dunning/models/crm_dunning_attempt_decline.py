"""After a decline: what the class allows, when the next try is, who hears of it."""

from datetime import timedelta

import pytz

from odoo import api, models
from odoo.tools import SQL

from ..dunning_rules import caps, declines, retries

# Why a person gets the case, by class of the decline or reason of the rules.
PERSON_REASONS = {"fraud": "fraud", "no_answer": "authentication"}
SENT_STATES = ("sending", "verifying", "processing", "succeeded", "declined")


class CrmDunningAttempt(models.Model):
    """The plan after a failure (billing rules, 9.6); the rules decide, this writes."""

    _inherit = "crm.dunning.attempt"

    # === BUSINESS METHODS - CLASS === #

    def _to_decline(self):
        """Return what the provider said of this attempt, for the rules."""
        self.ensure_one()
        token = self.token_id.sudo()
        is_debit = token.payment_method_id.code == "sepa_direct_debit"
        return declines.Decline(
            code=self.code or None,
            decline_code=self.decline_code or None,
            advice_code=self.advice_code or None,
            network_advice_code=self.network_advice_code or None,
            network_decline_code=self.network_decline_code or None,
            outcome_reason=self.outcome_reason or None,
            brand=self.card_brand or None,
            method_type="sepa_debit" if is_debit else "card",
        )

    def _classify(self):
        """Return the class of the decline, with the stricter rule of the policy."""
        found = declines.classify(self._to_decline())
        policy = self.case_id.policy_id
        code = self.decline_code or self.code
        return policy._restrict_decline(found, code) if policy else found

    # === BUSINESS METHODS - WHAT FOLLOWS === #

    def _follow_decline(self, now):
        """Open the case, lock the method, plan the next try or hand over; tell."""
        case = self._get_case()
        found = self._classify()
        self.decline_class = found.name
        if found.blocks_token:
            self.token_id._block(found.name, now)
            if found.name == "sepa_dead":
                self.token_id.active = False  # the mandate is gone
        values = {"decline_class": found.name}
        if not case.first_failure_at:
            values["first_failure_at"] = now
        if case.state == "verifying":
            values["state"] = case._get_working_state()
        case.write(values)
        case._plan_after_failure(self, found, now)
        if found.mail != "none":
            case._send_failed_notice(self, now)
        case._refresh_next_action(now)

    def _follow_refusal(self, now):
        """The provider does not accept the request: the method, or a person's work."""
        found = declines.classify(self._to_decline())
        if not found.is_unknown:
            self.state = "declined"
            self._follow_decline(now)
            return
        note = self.env._(
            "The provider did not accept the charge: %(message)s",
            message=self.message or self.code or self.http_status,
        )
        self._get_case()._take_over("declined", note)

    def _retry_soon(self, now, delay=timedelta(0)):
        """Nothing was charged and nobody declined: the job tries again by itself."""
        case = self.case_id.filtered(lambda case: case.state != "closed")
        if self.source == "person":
            case._resume_plan(now)
            return
        if not case and not delay:
            return  # still due: the job finds it as before
        case = case or self._get_case()
        if case.state == "verifying":
            case.state = case._get_working_state()
        if case.state in ("automatic", "retrying"):
            case.write({"next_try_at": now + delay, "state": "retrying"})
            self._trigger_job("charge", now + delay)
        case._refresh_next_action(now)

    @api.model
    def _hand_over_charged_before(self, move):
        note = self.env._(
            "The customer has paid it online, and that payment was given back or taken "
            "off the invoice. Nothing is charged again by itself: credit the invoice, "
            "or collect it again."
        )
        self.env["crm.dunning.case"]._open_for(move)._take_over("refund", note)

    # === BUSINESS METHODS - LIMITS === #

    @api.model
    def _get_cap_attempts(self, move, token, now):
        """Return every charge that the limits of card and invoice count.

        Ours and those of core and pay page alike: all of the invoice, and those of the
        card, under whatever token, of the last 30 days.

        :return: tuple of :class:`caps.Attempt`
        """
        self.flush_model()
        self.env["payment.transaction"].flush_model()
        card = token._get_card_key()
        since = now - caps.HARD.card_span - timedelta(days=1)
        tokens = token.with_context(active_test=False)._get_same_card().ids
        rows = self.env.execute_query(
            SQL(
                """
                SELECT COALESCE(sent_at, create_date), token_id, move_id, card_brand,
                       state != 'succeeded', decline_class, settled_at
                  FROM crm_dunning_attempt
                 WHERE kind = 'charge' AND state = ANY(%(sent)s)
                   AND (move_id = %(move)s
                        OR token_id = ANY(%(tokens)s) AND create_date >= %(since)s)
             UNION ALL
                SELECT tx.last_state_change, tx.token_id, link.invoice_id, NULL,
                       TRUE, NULL, NULL
                  FROM payment_transaction tx
                  JOIN account_invoice_transaction_rel link
                    ON link.transaction_id = tx.id
                 WHERE tx.state = 'error'
                   AND tx.operation IN ('offline', 'online_token', 'online_direct')
                   AND (link.invoice_id = %(move)s
                        OR tx.token_id = ANY(%(tokens)s)
                           AND tx.create_date >= %(since)s)
                   AND NOT EXISTS (SELECT FROM crm_dunning_attempt
                                    WHERE transaction_id = tx.id)
              ORDER BY 1
                """,
                sent=list(SENT_STATES),
                move=move.id,
                tokens=tokens,
                since=since,
            )
        )
        renewed = token.card_changed_at
        failed_before, found = set(), []
        for at, token_id, move_id, brand, failed, name, settled_at in rows:
            known = declines.CLASSES.get(name)
            is_over = bool(renewed and settled_at and renewed > settled_at)
            found.append(
                caps.Attempt(
                    at=at,
                    card=card if token_id in tokens else f"token {token_id}",
                    invoice=move_id,
                    brand=brand or token.card_brand or None,
                    failed=failed,
                    is_retry=move_id in failed_before,
                    never=bool(known and known.stops_card and not is_over),
                )
            )
            if failed:
                failed_before.add(move_id)
            else:  # the next instalment is no retry
                failed_before.discard(move_id)
        return tuple(found)


class PaymentToken(models.Model):
    _inherit = "payment.token"

    def _get_card_key(self):
        """Return what is equal for methods that are the same card or account."""
        self.ensure_one()
        return self.sudo().card_fingerprint or f"token {self.id}"


class CrmDunningCase(models.Model):
    _inherit = "crm.dunning.case"

    _failed_idx = models.Index(
        "(first_failure_at) WHERE next_try_at IS NULL"
        " AND state IN ('automatic', 'retrying')"
    )

    # === BUSINESS METHODS - TRIES === #

    def _plan_after_failure(self, attempt, decline, now):
        """Write when the next try is, or give the case to a person.

        A case that a person has, or that waits for the customer, gets no try.

        :param attempt: the failed one
        :param decline: its :class:`declines.DeclineClass`
        :param now: instant, naive UTC
        """
        self.ensure_one()
        if self.state not in ("automatic", "retrying"):
            return
        found = self._find_next_try(attempt, decline, now)
        if found and found.at:
            self._plan_try(found.at)
            return
        self.write({"next_try_at": False, "state": "automatic"})
        if not found:
            return
        if found.person:
            self._take_over("retries")
        else:
            self._judge_hard_declines(now)

    def _find_next_try(self, attempt, decline, now):
        """Return when the next try may be, None where the policy charges nothing."""
        policy = self.policy_id
        if policy.state != "armed" or policy.charge_mode == "none":
            return None
        payer = self.partner_id
        return retries.next_try(
            self._get_retry_facts(attempt, decline, now),
            policy._to_retry_policy(),
            now,
            policy._get_window(payer._get_dunning_tz(self.company_id)),
        )

    def _plan_try(self, at):
        self.write({"next_try_at": at, "state": "retrying"})
        self.env["crm.dunning.attempt"]._trigger_job("charge", at)

    def _plan_what_is_left(self, now):
        """Go on with the tries that a person or a dispute had stopped, if any is left.

        :param now: instant, naive UTC
        """
        for case in self.filtered(
            lambda case: case.state == "automatic" and case.first_failure_at
        ):
            last = case._get_last_decline()
            found = last and case._find_next_try(last, last._classify(), now)
            if found and found.at:
                case._plan_try(found.at)

    def _drop_try(self):
        """Plan no try any more."""
        for case in self.filtered("next_try_at"):
            case.write({"next_try_at": False})
            if case.state == "retrying":
                case.state = case._get_working_state()

    def _resume_plan(self, now):
        """A charge that a person wanted was not made: what was planned holds again."""
        for case in self.filtered(lambda case: case.state == "verifying"):
            case.state = case._get_working_state()
            last = case.first_failure_at and case._get_last_decline()
            if last:
                case._plan_after_failure(last, last._classify(), now)
            case._refresh_next_action(now)

    def _cure(self):
        """What failed was paid another way: what falls due later is charged anew.

        Not with a method that was declined for good, which stays dead.
        """
        self._drop_try()
        for case in self.filtered("first_failure_at"):
            last = case._get_last_decline()
            if not last or last._classify().may_retry:
                case.write({"first_failure_at": False, "decline_class": False})

    def _is_given_back(self):
        """Return whether a person gave it back after the last decline."""
        last = self._get_last_decline()
        given = self.resumed_on
        return bool(given and last and self._get_today(last.settled_at) <= given)

    def _get_retry_facts(self, attempt, decline, now):
        first = self.first_failure_at
        sent = self.move_id.dunning_attempt_ids.filtered(
            lambda one: one.kind == "charge" and one.state == "declined"
        )
        tries = sent.filtered(lambda one: one.settled_at > first)
        token = attempt.token_id
        return retries.Facts(
            first_failed_at=first,
            last_failed_at=now,
            decline=decline,
            tries=tuple(sorted(tries.mapped("settled_at"))),
            attempts=attempt._get_cap_attempts(self.move_id, token, now),
            card=token._get_card_key(),
            invoice=self.move_id.id,
            brand=attempt.card_brand or None,
        )

    def _judge_hard_declines(self, now):
        """Hand over cases whose method will not pay, when their time has come.

        At once, after the days that the policy leaves to the customer, or after two
        messages without an answer (billing rules, 9.6).

        :param now: instant, naive UTC
        """
        unanswered = self._count_unanswered()
        for case in self:
            attempt = case._get_last_decline()
            if not attempt:
                continue
            policy = case.policy_id
            decline = attempt._classify()
            zone = pytz.timezone(case.partner_id._get_dunning_tz(case.company_id))
            first = pytz.utc.localize(case.first_failure_at).astimezone(zone).date()
            reason = retries.get_person_reason(
                policy._to_retry_policy() if policy else retries.RetryPolicy(),
                decline,
                first,
                case._get_today(now),
                unanswered[case],
            )
            if not reason:
                continue
            if reason == "no_answer" and decline.name != "needs_customer":
                reason = decline.name
            case._take_over(PERSON_REASONS.get(reason, "declined"))

    def _get_last_decline(self):
        self.ensure_one()
        return self.move_id.dunning_attempt_ids.filtered(
            lambda attempt: attempt.kind == "charge" and attempt.state == "declined"
        ).sorted("id")[-1:]
