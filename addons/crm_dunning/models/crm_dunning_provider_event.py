import json
import re
from datetime import datetime, timedelta

import psycopg2

from odoo import api, fields, models
from odoo.exceptions import AccessError

# What is done about an event, by its type. Stripe's list of events takes at most
# twenty types at a time: the poll asks for exactly these.
KINDS = {
    "payment_intent.succeeded": "intent",
    "payment_intent.payment_failed": "intent",
    "payment_intent.processing": "intent",
    "payment_intent.canceled": "intent",
    "payment_intent.requires_action": "intent",
    "payment_intent.amount_capturable_updated": "intent",
    "setup_intent.succeeded": "setup",
    "charge.failed": "charge",
    "charge.refunded": "refunds",
    "charge.refund.updated": "refund",
    "charge.dispute.created": "dispute",
    "charge.dispute.updated": "dispute",
    "charge.dispute.closed": "dispute",
    "charge.dispute.funds_withdrawn": "dispute",
    "charge.dispute.funds_reinstated": "dispute",
    "payment_method.automatically_updated": "method",
    "payment_method.attached": "method",
    "payment_method.detached": "method",
    "mandate.updated": "mandate",
    "radar.early_fraud_warning.created": "fraud_warning",
}
IDENTIFIER = re.compile(r"[A-Za-z0-9_]{1,255}")
TYPE = re.compile(r"[a-z0-9_.]{1,100}")
EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 naive UTC, as Odoo keeps instants
KEPT_DAYS = 180  # Stripe lists events of thirty days: none of them comes back as new


def to_datetime(timestamp):
    """Return a Unix timestamp as naive UTC, False for none."""
    if not timestamp:
        return False
    return EPOCH + timedelta(seconds=timestamp)


def read_body(body, strict=True):
    """Return the JSON object in the bytes of a request, None if there is none.

    :param strict: whether it has to be an event with identifiers that Stripe uses
    """
    try:
        content = json.loads(body.decode())
    except (ValueError, RecursionError):
        return None
    if not isinstance(content, dict):
        return None
    return content if not strict or is_event(content) else None


def is_event(content):
    """Return whether this is an event with all that the inbox keeps of one."""
    data = content.get("data")
    item = data.get("object") if isinstance(data, dict) else None
    created = content.get("created")
    return (
        content.get("object") == "event"
        and isinstance(created, int)
        and not isinstance(created, bool)
        and 0 <= created < 2**32
        and _matches(IDENTIFIER, content.get("id"))
        and _matches(TYPE, content.get("type"))
        and isinstance(item, dict)
        and (content["type"] not in KINDS or _matches(IDENTIFIER, item.get("id")))
    )


def _matches(pattern, value):
    return isinstance(value, str) and bool(pattern.fullmatch(value))


class CrmDunningProviderEvent(models.Model):
    """The inbox: that something happened at the provider, never what it says happened.

    An event is noted once, by its id, whichever way it came. Only identifiers are kept
    of it; a job reads the object again at the provider and acts on what is there now
    (:meth:`_cron_process_events`). Order and repetition of events mean nothing.
    """

    _name = "crm.dunning.provider.event"
    _description = "Provider Event"
    _inherit = ["mail.thread", "mail.activity.mixin"]
    _order = "id desc"
    _rec_name = "event_id"

    provider_id = fields.Many2one(
        "payment.provider", required=True, readonly=True, ondelete="cascade"
    )
    company_id = fields.Many2one(
        related="provider_id.company_id", store=True, index=True, precompute=True
    )
    event_id = fields.Char(string="Event ID", required=True, readonly=True, copy=False)
    type = fields.Char(required=True, readonly=True, index=True)
    object_id = fields.Char(
        string="Object ID", required=True, readonly=True, index=True
    )
    source = fields.Selection(
        [
            ("webhook", "Webhook"),
            ("core", "Webhook of the payment module"),
            ("poll", "Asked for"),
        ],
        string="Came By",
        required=True,
        readonly=True,
    )
    created_at = fields.Datetime(
        string="Happened", readonly=True, help="When the provider made it (UTC)."
    )
    received_at = fields.Datetime(
        string="Received", required=True, readonly=True, index=True
    )
    state = fields.Selection(
        [
            ("new", "To do"),
            ("done", "Done"),
            ("ignored", "None of ours"),
            ("failed", "Failed"),
        ],
        default="new",
        required=True,
        readonly=True,
        index=True,
    )
    handled_at = fields.Datetime(readonly=True)
    tries = fields.Integer(readonly=True)
    next_try_at = fields.Datetime(readonly=True)
    error = fields.Char(readonly=True)
    note = fields.Char(string="Outcome", readonly=True)
    attempt_id = fields.Many2one(
        "crm.dunning.attempt", readonly=True, index="btree_not_null"
    )
    transaction_id = fields.Many2one(
        "payment.transaction", readonly=True, index="btree_not_null"
    )
    move_id = fields.Many2one(
        "account.move", string="Invoice", readonly=True, index="btree_not_null"
    )

    _event_uniq = models.UniqueIndex(
        "(provider_id, event_id)", "This event was noted already."
    )
    _due_idx = models.Index("(next_try_at) WHERE state IN ('new', 'failed')")

    # === BUSINESS METHODS - INBOX === #

    @api.model
    def _receive(self, provider, events, source):
        """Note events that are not noted yet and wake the job.

        :param events: dicts as Stripe sends them, checked with :func:`is_event`
        :param source: webhook, core or poll
        :return: the new rows; empty for repeated events and types that we do not use
        """
        wanted = {event["id"]: event for event in events if event["type"] in KINDS}
        known = self.search(
            [("provider_id", "=", provider.id), ("event_id", "in", list(wanted))]
        )
        now = fields.Datetime.now()
        vals_list = [
            self._prepare_event(provider, event, source, now)
            for event_id, event in wanted.items()
            if event_id not in set(known.mapped("event_id"))
        ]
        rows = self._create_once(vals_list)
        if rows:
            self.env.ref("crm_dunning.ir_cron_process_provider_events")._trigger()
        return rows

    def _prepare_event(self, provider, event, source, now):
        return {
            "provider_id": provider.id,
            "event_id": event["id"],
            "type": event["type"],
            "object_id": event["data"]["object"]["id"],
            "source": source,
            "created_at": to_datetime(event["created"]),
            "received_at": now,
            "next_try_at": now,
        }

    def _create_once(self, vals_list):
        """Create rows; what another worker has noted in this moment is left out."""
        try:
            with self.env.cr.savepoint():
                # Nobody follows an event, and none needs a message that it is there.
                return self.with_context(tracking_disable=True).create(vals_list)
        except psycopg2.errors.UniqueViolation:
            if len(vals_list) == 1:
                return self.browse()
        return self.union(*(self._create_once([vals]) for vals in vals_list))

    # === BUSINESS METHODS - CORE'S ROUTE === #

    @api.model
    def _find_core_transaction(self, content):
        """Return the transaction that core would take for this body, if any."""
        data = content.get("data")
        item = data.get("object") if isinstance(data, dict) else None
        item = item if isinstance(item, dict) else {}
        wanted = {
            "reference": item.get("description"),
            "provider_reference": item.get("id"),
        }
        transactions = self.env["payment.transaction"]
        for name, value in wanted.items():
            # Some letters of JSON are none that a database can be asked for.
            if isinstance(value, str) and value.isprintable() and value:
                domain = [(name, "=", value), ("provider_code", "=", "stripe")]
                if found := transactions.search(domain, limit=1):
                    return found
        return transactions

    @api.model
    def _concerns_invoices(self, transaction):
        """Return whether invoices hang on it, or a charge of ours."""
        source = transaction.source_transaction_id or transaction
        return bool(source.invoice_ids) or bool(
            self.env["crm.dunning.attempt"].search_count(
                [("transaction_id", "in", (transaction | source).ids)], limit=1
            )
        )

    # === ACTION METHODS === #

    def action_process(self):
        """Read the objects again at the provider now, failed events included."""
        if not self.env.user.has_group("crm_billing_handoff.group_billing_user"):
            raise AccessError(
                self.env._("Only Billing works on the events of a provider.")
            )
        self.check_access("read")
        # Billing reads the inbox, the flow writes it.
        waiting = self.sudo().filtered(lambda event: event.state in ("new", "failed"))
        waiting.write({"next_try_at": fields.Datetime.now(), "tries": 0})
        self.env.ref("crm_dunning.ir_cron_process_provider_events").sudo()._trigger()

    # === CRUD METHODS === #

    @api.autovacuum
    def _gc_events(self):
        """Forget events that are done, long after Stripe does."""
        limit = fields.Datetime.subtract(fields.Datetime.now(), days=KEPT_DAYS)
        self.search(
            [("state", "in", ("done", "ignored")), ("received_at", "<", limit)],
            limit=10_000,
        ).unlink()
