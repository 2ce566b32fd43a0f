import json
import secrets
import time

from odoo import api, fields, models
from odoo.exceptions import UserError

from ..billing_rules.signature import is_signed

MANAGER = "crm_billing_handoff.group_billing_manager"
MOST_EVENTS = 50_000


class CrmBillingUsageEndpoint(models.Model):
    """A door for a system that pushes usage: an address, and secrets that sign it.

    A message is JSON, ``{"events": [...]}`` as in :meth:`CrmBillingMeter.record_usage`,
    with the header ``X-Billing-Signature`` (`billing_rules/signature.py`).
    """

    _name = "crm.billing.usage.endpoint"
    _description = "Usage Webhook"
    _order = "name, id"
    _check_company_auto = True

    name = fields.Char(required=True)
    active = fields.Boolean(default=True)
    company_id = fields.Many2one(
        "res.company", required=True, default=lambda self: self.env.company
    )
    meter_id = fields.Many2one(
        "crm.billing.meter",
        check_company=True,
        ondelete="restrict",
        help="Of events that name none.",
    )
    key = fields.Char(
        required=True,
        readonly=True,
        copy=False,
        default=lambda self: secrets.token_urlsafe(18),
        help="Names the door in its address; it is no secret.",
    )
    url = fields.Char(string="Address", compute="_compute_url")
    secret = fields.Char(
        copy=False,
        groups=MANAGER,
        default=lambda self: secrets.token_urlsafe(32),
        help="Signs the messages. Share it with the sender over a safe way only.",
    )
    old_secret = fields.Char(
        string="Secret before It",
        copy=False,
        groups=MANAGER,
        help="Still accepted, until the sender uses the new one. Then empty it.",
    )
    tolerance = fields.Integer(
        string="Seconds of Age", default=300, help="Older messages are refused."
    )
    last_seen_at = fields.Datetime(readonly=True, copy=False)

    _key_uniq = models.UniqueIndex("(key)")
    _tolerance_positive = models.Constraint(
        "CHECK (tolerance BETWEEN 1 AND 86400)",
        "A message may be 1 second to 1 day old.",
    )

    def _compute_url(self):
        base = self.get_base_url()
        for endpoint in self:
            endpoint.url = f"{base}/billing/usage/{endpoint.key}"

    def action_new_secret(self):
        """Make a new secret; the one until now stays accepted beside it."""
        self.check_access("write")
        for endpoint in self:
            endpoint.write(
                {
                    "old_secret": endpoint.secret,
                    "secret": secrets.token_urlsafe(32),
                }
            )
        return True

    # === BUSINESS METHODS === #

    @api.model
    def _receive(self, key, body, header):
        """Take a message of somebody who proves to know the secret.

        :return: ``(HTTP status, answer)``; a stranger learns nothing but "no"
        """
        # Nobody is logged in: the signature below is the right to record.
        endpoint = self.sudo().search([("key", "=", key)], limit=1)
        known = [secret for secret in (endpoint.secret, endpoint.old_secret) if secret]
        now = int(time.time())
        if not is_signed(body, header, known, now, endpoint.tolerance):
            return 401, {"error": "The signature is missing, wrong or too old."}
        endpoint.last_seen_at = fields.Datetime.now()
        try:
            events = self._read_message(body)
        except ValueError as error:
            return 400, {"error": str(error)}
        meters = endpoint.env["crm.billing.meter"].with_company(endpoint.company_id)
        try:
            answers, batch = (endpoint.meter_id or meters)._record_usage(
                events, "webhook", endpoint.name
            )
        except UserError as error:
            return 400, {"error": str(error)}
        counts = {
            name: batch[name] for name in ("accepted", "already_known", "refused")
        }
        return 200, {**counts, "answers": answers}

    @api.model
    def _read_message(self, body):
        """Return the events of a message.

        :raise ValueError: it is none; the text is safe to send back
        """
        try:
            message = json.loads(body)
        except (ValueError, RecursionError):
            raise ValueError("The body is no JSON in UTF-8.") from None
        events = message.get("events") if isinstance(message, dict) else message
        if not isinstance(events, list):
            raise ValueError('Send {"events": [...]}.')
        if len(events) > MOST_EVENTS:
            raise ValueError(f"Send at most {MOST_EVENTS} events at a time.")
        return events
