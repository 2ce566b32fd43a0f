import json
import time
from urllib.parse import urljoin, urlsplit

import requests

from odoo import fields, models

from ..billing_rules.usage_event import Event, read_event
from ..billing_rules.usage_table import BadTable, decode, find_separator, read_text
from .crm_billing_usage_source import MAPPED
from .guarded_requests import ForbiddenHost, GuardedSession

MOST_PAGES = 50
MOST_REDIRECTS = 5
REDIRECTS = (301, 302, 303, 307, 308)


class CrmBillingUsageSource(models.Model):
    """Asking a source: one safe request a page, and its answer as events."""

    _inherit = "crm.billing.usage.source"

    def _pull(self):
        """Ask for what is new and record it, page by page until there is no more.

        :return: the deliveries
        :raise requests.RequestException: it could not be reached
        :raise ValueError: its answer could not be read
        """
        self.ensure_one()
        batches = self.env["crm.billing.usage.batch"]
        meters = self.env["crm.billing.meter"].with_company(self.company_id)
        for _page in range(MOST_PAGES):
            body = self._fetch()
            events, cursor = self._read_answer(body)
            if events:
                _answers, batch = (self.meter_id or meters)._record_usage(
                    events, "pull", self.name
                )
                batches |= batch
                self.batch_id = batch
            moved = bool(cursor) and cursor != self.cursor
            if moved:
                self.cursor = cursor
            if not (moved and events and self.cursor_path):
                break
        self.write({"last_pull_at": fields.Datetime.now(), "last_error": False})
        return batches

    # === BUSINESS METHODS - REQUEST === #

    def _fetch(self):
        """Return the body of one answer; each redirect is looked at like an address."""
        url, parameters = self.url, {}
        if self.cursor_parameter and self.cursor:
            parameters = {self.cursor_parameter: self.cursor}
        deadline = time.monotonic() + 3 * self.timeout
        with GuardedSession(self.allow_private_host and self.url) as session:
            options = self._get_credentials()
            for _hop in range(MOST_REDIRECTS + 1):
                with session.get(
                    url,
                    params=parameters,
                    timeout=self.timeout,
                    stream=True,
                    allow_redirects=False,
                    **options,
                ) as answer:
                    if answer.status_code not in REDIRECTS:
                        answer.raise_for_status()
                        return self._read_body(answer, deadline)
                    target = urljoin(url, answer.headers.get("Location", ""))
                if self._get_origin(target) != self._get_origin(url):
                    options = {}  # what signs in here is no business of another host
                url, parameters = target, {}
        raise ForbiddenHost(self.env._("It redirects too often."))

    def _get_origin(self, url):
        parts = urlsplit(url)
        return parts.scheme, parts.hostname, parts.port

    def _get_credentials(self):
        secret = self.auth_secret or ""
        if self.auth_type == "basic":
            return {"auth": (self.auth_name or "", secret)}
        if self.auth_type == "bearer":
            return {"headers": {"Authorization": f"Bearer {secret}"}}
        if self.auth_type == "header":
            return {"headers": {self.auth_name or "X-Api-Key": secret}}
        return {}

    def _read_body(self, answer, deadline):
        """Return the bytes of an answer, unpacked; never more than was allowed."""
        limit, body = self.largest_size * 1024 * 1024, bytearray()
        for chunk in answer.iter_content(65536):
            body += chunk
            if len(body) > limit:
                raise ForbiddenHost(
                    self.env._(
                        "The answer is larger than %(size)s MB.", size=self.largest_size
                    )
                )
            if time.monotonic() > deadline:
                raise requests.Timeout()
        return bytes(body)

    # === BUSINESS METHODS - ANSWER === #

    def _read_answer(self, body):
        """Return ``(events, next cursor)`` of an answer.

        :raise ValueError: it is not what the mapping says
        """
        if self.content == "csv":
            rows, message = self._read_csv(body), None
        else:
            message = self._read_json(body)
            rows = self._dig(message, self.list_path)
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise ValueError(
                self.env._("There is no list of events where the mapping looks for it.")
            )
        events = [self._map_event(row) for row in rows]
        if self.cursor_path and message is not None:
            cursor = self._dig(message, self.cursor_path)
        else:
            cursor = self._get_latest(events)
        return events, str(cursor) if cursor not in (None, "", False) else False

    def _read_json(self, body):
        try:
            return json.loads(body)
        except (ValueError, RecursionError):
            raise ValueError(self.env._("The answer is no JSON.")) from None

    def _read_csv(self, body):
        text = decode(body)
        if not text.strip():
            return []
        rows = read_text(text, find_separator(text))
        heading = [cell.strip() for cell in next(rows)]
        if len(set(heading)) != len(heading):
            raise BadTable("twice")
        return [dict(zip(heading, row, strict=False)) for row in rows]

    def _dig(self, value, path):
        """Return what stands at a path like ``data.items``, ``None`` if nothing."""
        for part in (path or "").split("."):
            if not part:
                continue
            if isinstance(value, list) and part.isdecimal() and int(part) < len(value):
                value = value[int(part)]
            elif isinstance(value, dict):
                value = value.get(part)
            else:
                return None
        return value

    def _map_event(self, row):
        event = {}
        for name in MAPPED:
            value = self._dig(row, self[f"map_{name}"]) if self[f"map_{name}"] else None
            if value not in (None, ""):
                event[name] = value
        if self.map_properties:
            properties = self._dig(row, self.map_properties)
            if isinstance(properties, dict) and properties:
                event["properties"] = properties
        return event

    def _get_latest(self, events):
        """Return the time of the latest event as ISO 8601, to go on from there."""
        now = fields.Datetime.now()
        read = [read_event(event, now) for event in events]
        times = [event.at for event in read if isinstance(event, Event) and event.at]
        return f"{max(times).isoformat()}Z" if times else False
