"""What collections watch: webhook, poll, booking, outcomes, money, mails, set-up."""

from collections import defaultdict
from datetime import timedelta

from odoo import api, models
from odoo.exceptions import UserError
from odoo.fields import Domain
from odoo.tools import SQL

from odoo.addons.crm_billing_handoff.models.crm_billing_watch import Finding
from odoo.addons.crm_billing_handoff.models.crm_billing_watch_checks import LISTED

POST_PROCESSING_JOB = "payment.cron_post_process_payment_tx"
WEBHOOK_PATIENCE = timedelta(hours=1)
WEBHOOK_DAYS = 7  # Stripe sends again for three days
POLL_PATIENCE = timedelta(hours=1)
BOOKING_PATIENCE = timedelta(minutes=15)
OUTCOME_PATIENCE = timedelta(hours=2)
# Fifteen bank days, the longest that a debit takes.
DEBIT_PATIENCE = timedelta(days=21)
EVENT_PATIENCE = timedelta(hours=1)
REMINDER_PATIENCE = timedelta(hours=2)
MISMATCH_DAYS = 90
BY_WEBHOOK = ("webhook", "core")


class CrmBillingWatch(models.Model):
    _inherit = "crm.billing.watch"

    @api.model
    def _get_job_modules(self):
        return [*super()._get_job_modules(), "crm_dunning"]

    @api.model
    def _get_core_jobs(self):
        """Override to watch the job that books payments, if there is a provider."""
        jobs = super()._get_core_jobs()
        if self._find_providers([]):
            jobs.append(POST_PROCESSING_JOB)
        return jobs

    @api.model
    def _get_watches(self):
        _ = self.env._
        return {
            **super()._get_watches(),
            "charging": (_("Charging is possible"), 0, self._check_charging),
            "webhook": (_("Webhook of Stripe"), 60, self._check_webhook),
            "poll": (_("Asking Stripe for events"), 60, self._check_poll),
            "events": (_("Events of Stripe are worked off"), 60, self._check_events),
            "booking": (_("Online payments are booked"), 15, self._check_booking),
            "outcomes": (_("Outcomes of charges"), 120, self._check_outcomes),
            "debits": (_("Direct debits end"), 30_240, self._check_debits),
            "money": (_("Odoo and provider agree"), 0, self._check_money),
            "reminders": (_("Reminders leave"), 120, self._check_reminders),
            "replies": (_("Replies come back"), 0, self._check_replies),
        }

    # === BUSINESS METHODS - PROVIDERS === #

    @api.model
    def _find_providers(self, domain):
        active = Domain("state", "!=", "disabled")
        return self.env["payment.provider"].search(active & Domain(domain))

    @api.model
    def _judge_providers(self, providers, judge):
        """Return a finding for each company: that of its worst provider.

        :param judge: returns ``(state, what to do, last seen)`` of a provider
        """
        found = {}
        for provider in providers:
            state, message, seen = judge(provider)
            company_id = provider.company_id.id
            if company_id not in found or state != "ok":
                found[company_id] = Finding(
                    state,
                    message,
                    company_id,
                    last_seen_at=seen or None,
                    link=("payment.provider", provider.ids),
                )
        return list(found.values()) or [Finding()]

    @api.model
    def _check_charging(self, now):
        """Find armed providers that must not charge: no secret, a copy, no journal."""

        def judge(provider):
            try:
                provider._check_can_charge()
            except UserError as error:
                return "off", " ".join(str(error).split()), None
            return "ok", "", None

        armed = self._find_providers([("dunning_armed", "=", True)])
        return self._judge_providers(armed, judge)

    @api.model
    def _check_webhook(self, now):
        """Find providers of which something is known that no webhook has told."""

        def judge(provider):
            seen = provider.dunning_last_webhook_at
            if self._has_silent_charge(provider, seen, now) or self._has_missed_event(
                provider, seen, now
            ):
                return "late", message, seen
            return "ok", "", seen

        message = self.env._(
            "Stripe has news, and none of them comes by webhook. Check address and "
            "secret of the webhook at Stripe. Until then Stripe is asked every "
            "quarter of an hour."
        )
        watched = self._find_providers(
            [("code", "=", "stripe"), ("dunning_armed", "=", True)]
        )
        return self._judge_providers(watched, judge)

    @api.model
    def _has_silent_charge(self, provider, seen, now):
        """Return whether a charge was settled, and no event came in the hour after."""
        since = now - timedelta(days=WEBHOOK_DAYS)
        charge = self.env["crm.dunning.attempt"].search(
            [
                ("provider_id", "=", provider.id),
                ("state", "in", ("succeeded", "declined")),
                ("sent_at", ">=", max(since, seen or since)),
                ("sent_at", "<", now - WEBHOOK_PATIENCE),
            ],
            order="id desc",
            limit=1,
        )
        return bool(charge)

    @api.model
    def _has_missed_event(self, provider, seen, now):
        """Return whether asking found events, and none came by webhook since."""
        since = now - timedelta(days=WEBHOOK_DAYS)
        missed = self.env["crm.dunning.provider.event"].search(
            [
                ("provider_id", "=", provider.id),
                ("source", "not in", BY_WEBHOOK),
                ("created_at", ">", max(since, seen or since)),
                ("created_at", "<", now - WEBHOOK_PATIENCE),
            ],
            limit=1,
        )
        return bool(missed)

    @api.model
    def _check_poll(self, now):
        """Find providers that were not asked, or did not answer, for an hour."""

        def judge(provider):
            seen = provider.dunning_polled_at
            since = seen or provider.dunning_armed_at
            if since and now - since > POLL_PATIENCE:
                return "late", message, seen
            return "ok", "", seen

        message = self.env._(
            "Stripe does not answer or refuses the key; the server log says which."
        )
        watched = self._find_providers(
            [("code", "=", "stripe"), ("dunning_armed", "=", True)]
        )
        return self._judge_providers(watched, judge)

    @api.model
    def _check_events(self, now):
        events = self.env["crm.dunning.provider.event"]
        return self._find_by_company(
            events,
            Domain("received_at", "<", now - EVENT_PATIENCE)
            & Domain("state", "in", ("new", "failed")),
            self.env._("Open them: each says why it could not be worked off."),
            "failed",
        )

    # === BUSINESS METHODS - MONEY === #

    @api.model
    def _check_booking(self, now):
        """Find payments that came and are not booked: their invoices look unpaid.

        Core tries for four days and then stays silent; they are seen until booked.
        """
        return self._find_by_company(
            self.env["payment.transaction"],
            Domain("state", "=", "done")
            & Domain("is_post_processed", "=", False)
            & Domain("operation", "not in", ("refund", "validation"))
            & Domain("last_state_change", "<", now - BOOKING_PATIENCE)
            & Domain("invoice_ids.payment_state", "in", ("not_paid", "partial")),
            self.env._(
                "The customer has paid, the invoice is still open: it is neither "
                "reminded nor charged. Open the payment and book it."
            ),
        )

    @api.model
    def _check_outcomes(self, now):
        """Find charges of which nobody knows for hours whether money moved (idea 9)."""
        return self._find_by_company(
            self.env["crm.dunning.attempt"],
            Domain("state", "in", ("sending", "verifying"))
            & Domain("create_date", "<", now - OUTCOME_PATIENCE),
            self.env._(
                "Nobody knows yet whether money moved: look at the provider. Nothing "
                "is charged again meanwhile."
            ),
            "failed",
        )

    @api.model
    def _check_debits(self, now):
        return self._find_by_company(
            self.env["crm.dunning.attempt"],
            Domain("state", "=", "processing")
            & Domain("create_date", "<", now - DEBIT_PATIENCE),
            self.env._(
                "The bank has not answered for three weeks: ask the payment provider."
            ),
        )

    @api.model
    def _check_money(self, now):
        """Find charges whose amount differs between provider, payment and books.

        A person has a case of each amount that the provider itself reported.
        """
        rows = self.env.execute_query(
            SQL(
                """
                SELECT attempt.company_id, attempt.id
                  FROM crm_dunning_attempt attempt
                  JOIN payment_transaction tx ON tx.id = attempt.transaction_id
             LEFT JOIN account_payment payment ON payment.id = tx.payment_id
                 WHERE attempt.kind = 'charge' AND attempt.create_date >= %(since)s
                   AND (attempt.state = 'succeeded'
                        AND (tx.state != 'done' OR tx.amount != attempt.amount
                             OR payment.amount != attempt.amount)
                        OR attempt.state IN ('declined', 'cancelled', 'not_sent')
                        AND tx.state = 'done')
              ORDER BY attempt.id LIMIT %(limit)s
                """,
                since=now - timedelta(days=MISMATCH_DAYS),
                limit=LISTED,
            )
        )
        found = defaultdict(list)
        for company_id, attempt_id in rows:
            found[company_id].append(attempt_id)
        message = self.env._(
            "What was charged, what the provider says and what is booked differ. "
            "Compare them with the provider."
        )
        cases = self._find_by_company(
            self.env["crm.dunning.case"],
            Domain("reason", "=", "mismatch") & Domain("state", "!=", "closed"),
            message,
            "failed",
        )
        return [
            Finding(
                "failed",
                message,
                case.company_id,
                backlog=len(found[case.company_id]),
                link=("crm.dunning.attempt", found[case.company_id]),
            )
            if case.company_id in found
            else case
            for case in cases
        ]

    # === BUSINESS METHODS - MAILS === #

    @api.model
    def _check_reminders(self, now):
        since = now - REMINDER_PATIENCE
        # What was written at night leaves in the hours of the policy.
        later = Domain("message_id.mail_ids.scheduled_date", ">", since)
        return self._find_by_company(
            self.env["crm.dunning.notice"],
            Domain("state", "=", "queued") & Domain("create_date", "<", since) & ~later,
            self.env._(
                "They are written and did not leave: check the mail queue and its job."
            ),
        )

    @api.model
    def _check_replies(self, now):
        """Find companies that remind and could not hear an answer (L1)."""
        message = self.env._(
            "Answers of customers do not come back to Odoo: set up an alias domain "
            "with a catch-all address in Settings."
        )
        return [
            Finding("off", message, company.id, link=("res.company", company.ids))
            if not company.alias_domain_id.catchall_email
            else Finding(company_id=company.id)
            for company in self._find_reminding_companies()
        ]

    @api.model
    def _find_reminding_companies(self):
        """Return the companies that invoice and in which an armed policy reminds."""
        policies = self.env["crm.dunning.policy"].search([("state", "=", "armed")])
        invoicing = self.env["account.journal"].search([("type", "=", "sale")])
        companies = invoicing.company_id
        if all(policy.company_id for policy in policies):
            return companies & policies.company_id
        return companies
