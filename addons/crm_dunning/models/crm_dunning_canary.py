"""The canary (idea 6): every night one reminder and one decline that never were."""

import logging
from datetime import timedelta

from odoo import api, fields, models
from odoo.fields import Command

from odoo.addons.crm_billing_handoff.models.crm_billing_watch import Finding

from .crm_dunning_attempt_start import OURS

CANARY = "canary"
NIGHT = timedelta(hours=26)
OVERDUE_DAYS = 5
AMOUNT = 100.0

_logger = logging.getLogger(__name__)


class CanarySilent(Exception):
    """The flow did not do what it should; the text says what was missing."""


class CrmDunningCanary(models.AbstractModel):
    """Plays an overdue invoice and a failed payment in a transaction of its own.

    The same code runs as for a customer: policy, pre-flight, ladder, ledger, mail,
    decline, next try. The transaction can only be rolled back, so that nothing leaves
    the house and no number is used. If all went well a heartbeat is written; its
    absence is the alarm.
    """

    _name = "crm.dunning.canary"
    _description = "Canary of Collections"

    # === BUSINESS METHODS - THE JOB === #

    @api.model
    def _cron_canary(self, now=None):
        """Let the canary sing in each company that reminds.

        :param now: instant, naive UTC, the clock by default
        """
        now = now or fields.Datetime.now()
        watches = self.env["crm.billing.watch"].sudo()
        companies = watches._find_reminding_companies()
        commit_progress = self.env["ir.cron"]._commit_progress
        commit_progress(remaining=len(companies))
        for company in companies:
            if self._is_alive(company, now):
                watches._seen(CANARY, company, now)
            if not commit_progress(1):
                break

    @api.model
    def _is_alive(self, company, now):
        """Return whether everything worked; what did not is in the log."""
        try:
            with self.env.registry.cursor() as cr:
                cr.commit = _refuse_to_commit
                try:
                    canary = self.env(cr=cr, su=True)[self._name]
                    canary.with_company(company)._sing(
                        company.with_env(canary.env), now
                    )
                finally:
                    # Nothing of it may stay, nor be done after a commit.
                    cr.rollback()
                    del cr.commit
        except Exception:
            # Whatever breaks it is the very thing that is looked for.
            _logger.exception("The canary of company %s is silent", company.id)
            return False
        return True

    @api.model
    def _sing(self, company, now):
        """Remind of an overdue invoice, then let its charge be declined.

        :raise CanarySilent: something that a customer would get did not come
        """
        env = self.with_context(
            allowed_company_ids=company.ids, tracking_disable=True
        ).env
        move = self.with_env(env)._create_overdue(company.with_env(env), now)
        self.with_env(env)._check_reminder(move, now)
        self.with_env(env)._check_decline(move, now)
        env.flush_all()

    # === BUSINESS METHODS - THE SONG === #

    @api.model
    def _create_overdue(self, company, now):
        """Return a posted invoice of a customer and under a policy of its own."""
        policy = self.env["crm.dunning.policy"].create(
            {
                "name": "Canary",
                "company_id": company.id,
                "state": "armed",
                "armed_at": now - NIGHT,
                "charge_mode": "due",
                "hour_from": 0.0,
                "hour_to": 24.0,
                "weekdays_only": False,
                "step_ids": [
                    Command.create({"name": "Canary", "days": 2, "action": "mail"})
                ],
            }
        )
        payer = self.env["res.partner"].create(
            {
                "name": "Canary",
                "is_company": True,
                "email": "canary@example.invalid",
                "dunning_policy_id": policy.id,
            }
        )
        due = payer._get_dunning_today(company, now) - timedelta(days=OVERDUE_DAYS)
        move = self.env["account.move"].create(
            {
                "move_type": "out_invoice",
                "partner_id": payer.id,
                "company_id": company.id,
                "invoice_date": due,
                "invoice_date_due": due,
                "invoice_payment_term_id": False,
                "invoice_line_ids": [
                    Command.create(
                        {
                            "name": "Canary",
                            "price_unit": AMOUNT,
                            "tax_ids": [Command.clear()],
                        }
                    )
                ],
            }
        )
        move.action_post()
        return move

    @api.model
    def _check_reminder(self, move, now):
        payer = move.commercial_partner_id
        cases = self.env["crm.dunning.case"].with_context(active_test=False)
        self.env.flush_all()
        notices = cases._follow_up(now, payer.ids, company_ids=move.company_id.ids)
        self.env.invalidate_all()  # as the job's commit does: the run writes rows
        if notices.mapped("state") != ["queued"] or not notices.message_id:
            raise CanarySilent("An overdue invoice was not reminded")
        if not move.dunning_case_ids:
            raise CanarySilent("An overdue invoice opened no case")

    @api.model
    def _check_decline(self, move, now):
        """Decline a charge with a code that allows another try."""
        attempt = self._create_attempt(move)
        attempt._apply(self._prepare_declined(attempt), now=now)
        case = move.dunning_case_ids
        if attempt.state != "declined" or not attempt.decline_class:
            raise CanarySilent("A declined charge was not understood")
        if not case.first_failure_at or not (case.next_try_at or case.taken_over_at):
            raise CanarySilent("A declined charge was neither planned nor handed over")

    @api.model
    def _create_attempt(self, move):
        provider = self._get_provider(move.company_id)
        method = self.env.ref("payment.payment_method_card")
        token = self.env["payment.token"].create(
            {
                "provider_id": provider.id,
                "payment_method_id": method.id,
                "partner_id": move.partner_id.id,
                "provider_ref": "cus_canary",
                "stripe_payment_method": "pm_canary",
            }
        )
        transaction = (
            self.env["payment.transaction"]
            .with_context(dunning_flow=OURS)
            .create(
                {
                    "provider_id": provider.id,
                    "payment_method_id": method.id,
                    "reference": f"canary-{move.id}",
                    "amount": AMOUNT,
                    "currency_id": move.currency_id.id,
                    "partner_id": move.partner_id.id,
                    "token_id": token.id,
                    "operation": "offline",
                    "invoice_ids": [Command.set(move.ids)],
                }
            )
        )
        return self.env["crm.dunning.attempt"].create(
            {
                "key": f"canary-{move.id}",
                "source": "due",
                "move_id": move.id,
                "case_id": move.dunning_case_ids[:1].id,
                "transaction_id": transaction.id,
                "provider_id": provider.id,
                "token_id": token.id,
                "currency_id": move.currency_id.id,
                "amount": AMOUNT,
                "payload": {"create": {"amount": 10_000, "currency": "xxx"}},
                "payment_intent": "pi_canary",
            }
        )

    @api.model
    def _get_provider(self, company):
        """Return Stripe's provider of the company, or a copy that nobody ever sees."""
        provider = self.env["payment.provider"].search(
            [("code", "=", "stripe"), ("company_id", "=", company.id)], limit=1
        )
        if provider:
            return provider
        shipped = self.env.ref("payment.payment_provider_stripe")
        return shipped.copy({"company_id": company.id, "state": "disabled"})

    @api.model
    def _prepare_declined(self, attempt):
        """Return a payment as Stripe shows it after it declined and was cancelled."""
        return {
            "id": attempt.payment_intent,
            "object": "payment_intent",
            "status": "canceled",
            "amount": attempt.payload["create"]["amount"],
            "currency": attempt.payload["create"]["currency"],
            "description": attempt.reference,
            "last_payment_error": {
                "type": "card_error",
                "code": "card_declined",
                "decline_code": "insufficient_funds",
                "message": "Your card has insufficient funds.",
            },
        }


class CrmBillingWatch(models.Model):
    _inherit = "crm.billing.watch"

    @api.model
    def _get_watches(self):
        minutes = int(NIGHT.total_seconds() // 60)
        name = self.env._("Nightly trial of reminder and decline")
        return {**super()._get_watches(), CANARY: (name, minutes, self._check_canary)}

    @api.model
    def _check_canary(self, now):
        """Find companies in which the trial did not end well for a night."""
        companies = self._find_reminding_companies()
        rows = self.with_context(active_test=False).search(
            [("key", "=", CANARY), ("company_id", "in", companies.ids)]
        )
        message = self.env._(
            "A trial with an overdue invoice and a declined charge did not do what it "
            "should: customers may not be reminded. The server log says what is wrong."
        )
        sung = {row.company_id: row for row in rows}
        for company in companies:
            row = sung.get(company, rows.browse())
            since = row.last_seen_at or row.create_date
            late = bool(since) and now - since > NIGHT
            yield Finding(
                "late" if late else "ok",
                message if late else "",
                company.id,
                last_seen_at=row.last_seen_at or None,
            )


def _refuse_to_commit():
    raise CanarySilent("The canary must not be committed")
