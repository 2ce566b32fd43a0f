import logging
import time
from datetime import timedelta

import stripe

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.tools.urls import urljoin

from .crm_dunning_provider_event import EPOCH, KINDS, is_event, to_datetime

TOLERANCE = 600  # seconds a signature may be old, or ahead of our clock
OVERLAP = timedelta(hours=1)  # asked for again: events appear late in the list
LISTED_DAYS = 29  # Stripe lists the events of thirty days
FIRST_DAYS = 1  # of a provider that was never asked
PAGE = 100
LATE_MINUTES = 15  # an event that the webhook has not brought by then is missed

_logger = logging.getLogger(__name__)


class PaymentProvider(models.Model):
    """Which events of Stripe are believed, and asking for those that never came."""

    _inherit = "payment.provider"

    dunning_webhook_secrets = fields.Text(
        string="Webhook Secrets of Collections",
        copy=False,
        groups="base.group_system",
        help="Signing secrets of the webhook below, one a line. While a secret is "
        "being replaced at Stripe, keep the old and the new one.",
    )
    dunning_webhook_url = fields.Char(
        string="Webhook of Collections",
        compute="_compute_dunning_webhook_url",
        help="Enter this address as a webhook endpoint at Stripe.",
    )
    dunning_webhook_types = fields.Char(
        string="Events to Send", compute="_compute_dunning_webhook_url"
    )
    dunning_events_until = fields.Datetime(
        string="Events Asked For Until",
        readonly=True,
        copy=False,
        help="When the newest event happened that asking has shown (UTC).",
    )
    dunning_polled_at = fields.Datetime(
        string="Events Last Asked For", readonly=True, copy=False
    )
    dunning_last_webhook_at = fields.Datetime(
        string="Last Event by Webhook", compute="_compute_dunning_last_webhook_at"
    )
    dunning_missed_count = fields.Integer(
        string="Events the Webhook Missed",
        compute="_compute_dunning_last_webhook_at",
        help="In the last day: found by asking, a quarter of an hour or more late.",
    )

    dunning_charge_problems = fields.Text(
        string="Missing", compute="_compute_dunning_charge_problems"
    )

    # === COMPUTE METHODS === #

    @api.depends(
        "state",
        "code",
        "journal_id",
        "capture_manually",
        "dunning_webhook_secrets",
        "stripe_webhook_secret",
    )
    def _compute_dunning_charge_problems(self):
        """Show what is in the way before somebody tries to switch charging on."""
        for provider in self:
            # Keys are looked at, not shown.
            problems = provider.sudo()._get_charge_problems()
            provider.dunning_charge_problems = "\n".join(problems)

    @api.depends("code")
    def _compute_dunning_webhook_url(self):
        for provider in self:
            is_stripe = provider.code == "stripe" and provider._origin.id
            provider.dunning_webhook_url = is_stripe and urljoin(
                provider.get_base_url(),
                f"/billing/stripe/webhook/{provider._origin.id}",
            )
            provider.dunning_webhook_types = is_stripe and ", ".join(KINDS)

    def _compute_dunning_last_webhook_at(self):
        inbox = self.env["crm.dunning.provider.event"].sudo()
        day_ago = fields.Datetime.now() - timedelta(days=1)
        latest = dict(
            inbox._read_group(
                [("provider_id", "in", self.ids), ("source", "!=", "poll")],
                ["provider_id"],
                ["received_at:max"],
            )
        )
        polled = inbox.search(
            [
                ("provider_id", "in", self.ids),
                ("source", "=", "poll"),
                ("received_at", ">=", day_ago),
            ]
        )
        missed = polled.filtered(
            lambda event: (
                event.received_at - event.created_at >= timedelta(minutes=LATE_MINUTES)
            )
        ).grouped("provider_id")
        for provider in self:
            provider.dunning_last_webhook_at = latest.get(provider)
            provider.dunning_missed_count = len(missed.get(provider, ()))

    # === BUSINESS METHODS - SIGNATURE === #

    def _get_webhook_secrets(self):
        """Return the signing secrets of our route and of core's, none twice."""
        self.ensure_one()
        # Whoever asks, secrets are read to compare signatures and go nowhere.
        provider = self.sudo()
        secrets = (
            f"{provider.dunning_webhook_secrets or ''} "
            f"{provider.stripe_webhook_secret or ''}"
        )
        return list(dict.fromkeys(secrets.split()))

    def _is_signed_event(self, body, header):
        """Return whether one of our secrets signed these bytes a moment ago.

        :param body: bytes of the request
        :param header: ``Stripe-Signature``; it may hold several signatures
        """
        if len(self) != 1 or self.code != "stripe" or self.state == "disabled":
            return False
        try:
            text = body.decode()
        except UnicodeDecodeError:
            return False
        return any(
            _is_signed(text, header, secret) for secret in self._get_webhook_secrets()
        )

    @api.model
    def _find_signer(self, body, header):
        """Return the provider whose secret signed the bytes, of all that are active."""
        providers = self.search([("code", "=", "stripe"), ("state", "!=", "disabled")])
        return next(
            (one for one in providers if one._is_signed_event(body, header)),
            self.browse(),
        )

    # === BUSINESS METHODS - POLL === #

    @api.model
    def _cron_poll_events(self, now=None):
        """Ask each active Stripe account for what has happened, and note it.

        What a webhook has brought is known already; what it has lost, or what happened
        while it was off, comes this way.
        """
        now = now or fields.Datetime.now()
        providers = self.search([("code", "=", "stripe"), ("state", "!=", "disabled")])
        commit_progress = self.env["ir.cron"]._commit_progress
        commit_progress(remaining=len(providers))
        for provider in providers:
            try:
                provider._poll_events(now)
            except (stripe.StripeError, UserError) as error:
                # The health page shows how long ago asking last worked.
                _logger.warning(
                    "Events of provider %s not read: %s",
                    provider.id,
                    type(error).__name__,
                )
            if not commit_progress(1):
                break

    def _poll_events(self, now):
        """Note the events since the last time, newest first, page by page.

        How far it came is stored after the last page only: Stripe lists from the new
        to the old, and an interrupted run has not seen the old ones.

        :raise stripe.StripeError: Stripe cannot be reached or refuses
        """
        self.ensure_one()
        inbox = self.env["crm.dunning.provider.event"]
        since = self._get_poll_start(now)
        newest, last = self.dunning_events_until, None
        while True:
            page = self._list_events(since, last)
            events = [event for event in page["data"] if is_event(event)]
            inbox._receive(self, events, "poll")
            self.env["ir.cron"]._commit_progress()
            times = [to_datetime(event["created"]) for event in events]
            newest = max(filter(None, [newest, *times]), default=False)
            if not page["has_more"] or not page["data"]:
                break
            last = page["data"][-1]["id"]
        self.write({"dunning_events_until": newest, "dunning_polled_at": now})

    def _get_poll_start(self, now):
        """Return the instant (UTC) from which on events are asked for."""
        if not self.dunning_events_until:
            return now - timedelta(days=FIRST_DAYS)
        return max(
            self.dunning_events_until - OVERLAP, now - timedelta(days=LISTED_DAYS)
        )

    def _list_events(self, since, last):
        """Return one page of events as a dict; no database transaction is open."""
        client = self._get_stripe_client()
        params = {
            "types": list(KINDS),
            "created": {"gte": int((since - EPOCH).total_seconds())},
            "limit": PAGE,
        }
        if last:
            params["starting_after"] = last
        self.env["ir.cron"]._commit_progress()
        return client.v1.events.list(params).to_dict()


def _is_signed(text, header, secret):
    """Return whether ``secret`` signed ``text``, within the tolerance on both sides."""
    if not header.isascii():  # two signatures could not even be compared
        return False
    try:
        stripe.WebhookSignature.verify_header(text, header, secret, TOLERANCE)
    except stripe.SignatureVerificationError:
        return False
    # The library lets signatures of the future pass.
    parts = [part.split("=", 2) for part in header.split(",")]
    timestamp = next(int(part[1]) for part in parts if part[0] == "t")
    return timestamp <= time.time() + TOLERANCE
