"""Working the inbox: read the object again at the provider, act on what is there."""

import logging
import traceback
from datetime import timedelta

import psycopg2
import stripe

from odoo import api, fields, models
from odoo.exceptions import LockError, UserError

from .crm_dunning_provider_event import KINDS

# Minutes until the next try, after each failure; then a person is asked.
BACKOFF = (1, 2, 5, 15, 60, 180, 360, 720)
SOON = timedelta(minutes=1)
CHUNK = 50

_logger = logging.getLogger(__name__)


class NotYet(Exception):
    """Somebody else is at it in this moment: look again soon, it is no failure."""


class CrmDunningProviderEvent(models.Model):
    _inherit = "crm.dunning.provider.event"

    # === BUSINESS METHODS - PROCESSING === #

    @api.model
    def _cron_process_events(self, now=None):
        """Work off what has come in, the oldest first, one commit an event.

        Order does not matter: each event only says where to look.
        """
        now = now or fields.Datetime.now()
        domain = [
            ("state", "in", ("new", "failed")),
            ("next_try_at", "<=", now),
        ]
        commit_progress = self.env["ir.cron"]._commit_progress
        commit_progress(remaining=self.search_count(domain))
        handled = set()
        while events := self.search(
            [*domain, ("id", "not in", list(handled))], order="id", limit=CHUNK
        ):
            handled.update(events.ids)
            for event in events:
                event._process(now)
                if not commit_progress(1):
                    return

    def _process(self, now):
        """Ask the provider about one event and act on the answer; never raises.

        The database transaction is closed while the provider is asked.
        """
        self.ensure_one()
        try:
            kind = KINDS[self.type]
            item = self._read_object(kind)
            if item is None:
                self._finish(
                    now, "ignored", self.env._("Not at the provider any more.")
                )
                return
            with self.env.cr.savepoint():
                self._lock_to_process()
                outcome = getattr(self, f"_apply_{kind}")(item, now)
            self._finish(now, "done" if outcome else "ignored", outcome)
        except (NotYet, LockError, psycopg2.OperationalError):
            self.env.cr.rollback()
            self.write({"next_try_at": now + SOON})
        except stripe.StripeError as error:
            self._fail(now, self._explain_refusal(error))
        except Exception as error:
            # The trace without the message, which may quote what a customer wrote.
            trace = "".join(traceback.format_tb(error.__traceback__))
            name = type(error).__name__
            _logger.error("Event %s failed, %s:\n%s", self.event_id, name, trace)
            self._fail(now, self._explain_failure(error))

    def _lock_to_process(self):
        """Claim the row for this run.

        :raise LockError: a person or another worker is at it
        :raise NotYet: it was done in between
        """
        self.lock_for_update()
        self.invalidate_recordset(["state"])
        if self.state not in ("new", "failed"):
            raise NotYet

    def _finish(self, now, state, note):
        self.activity_unlink(["mail.mail_activity_data_todo"])
        self.write(
            {
                "state": state,
                "note": note or self.env._("Nothing of ours hangs on it."),
                "error": False,
                "handled_at": now,
                "next_try_at": False,
            }
        )

    def _fail(self, now, error):
        """Keep what went wrong, try again later and later, then ask a person."""
        tries = self.tries + 1
        is_last = tries > len(BACKOFF)
        self.write(
            {
                "state": "failed",
                "error": error,
                "tries": tries,
                "next_try_at": not is_last
                and now + timedelta(minutes=BACKOFF[tries - 1]),
            }
        )
        if is_last:
            self._ask_person()

    def _explain_refusal(self, error):
        """Return a text for what the provider's library raised, without its secrets."""
        if isinstance(error, stripe.APIConnectionError):
            return self.env._("The provider could not be reached.")
        return self.env._(
            "The provider answered %(status)s %(code)s.",
            status=error.http_status or "-",
            code=error.code or type(error).__name__,
        )

    def _explain_failure(self, error):
        """Return the text of a refusal of ours; of anything else only its name."""
        return str(error) if isinstance(error, UserError) else type(error).__name__

    def _ask_person(self):
        """Give one activity to whoever is responsible for Billing."""
        company = self.company_id
        user = company.billing_responsible_id or self.env.ref("base.user_admin")
        self.activity_schedule(
            "mail.mail_activity_data_todo",
            user_id=user.id,
            summary=self.env._("An event of the payment provider cannot be worked off"),
            note=self.error,
        )

    # === BUSINESS METHODS - READING === #

    def _read_object(self, kind):
        """Return what the provider says now as a dict, None if it knows nothing."""
        client = self.provider_id._get_stripe_client()
        reader = getattr(self, f"_read_{kind}")
        object_id = self.object_id
        self.env["ir.cron"]._commit_progress()
        try:
            return reader(client, object_id)
        except stripe.InvalidRequestError as error:
            if error.http_status == 404 or error.code == "resource_missing":
                return None
            raise

    def _read_intent(self, client, intent_id):
        """Return a PaymentIntent with its method and latest charge expanded."""
        expand = {"expand": ["payment_method", "latest_charge"]}
        return client.v1.payment_intents.retrieve(intent_id, expand).to_dict()

    def _read_charge(self, client, charge_id):
        """Return the PaymentIntent of a charge, None for a charge without one."""
        intent = client.v1.charges.retrieve(charge_id).to_dict().get("payment_intent")
        return intent and self._read_intent(client, intent)

    def _read_setup(self, client, setup_id):
        return client.v1.setup_intents.retrieve(
            setup_id, {"expand": ["payment_method"]}
        ).to_dict()

    def _read_refunds(self, client, charge_id):
        """Return all refunds of a charge, the oldest first."""
        found = client.v1.refunds.list({"charge": charge_id, "limit": 100})
        return [refund.to_dict() for refund in found.auto_paging_iter()][::-1]

    def _read_refund(self, client, refund_id):
        return [client.v1.refunds.retrieve(refund_id).to_dict()]

    def _read_dispute(self, client, dispute_id):
        return client.v1.disputes.retrieve(dispute_id).to_dict()

    def _read_method(self, client, method_id):
        return client.v1.payment_methods.retrieve(method_id).to_dict()

    def _read_mandate(self, client, mandate_id):
        return client.v1.mandates.retrieve(mandate_id).to_dict()

    def _read_fraud_warning(self, client, warning_id):
        """Return an early fraud warning with its charge expanded."""
        return client.v1.radar.early_fraud_warnings.retrieve(
            warning_id, {"expand": ["charge"]}
        ).to_dict()
