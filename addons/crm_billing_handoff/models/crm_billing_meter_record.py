from dataclasses import dataclass
from datetime import datetime, timezone
from decimal import Decimal

from odoo import api, fields, models
from odoo.exceptions import UserError

from ..billing_rules.proration import midnight
from ..billing_rules.usage_event import Event, Refusal, local_day, read_event

# A number of events says nothing about their values.
VALUELESS = ("count", "distinct")
# So many refused rows are kept on a delivery; the answers hold all of them.
KEPT_REFUSALS = 1000


@dataclass
class Row:
    """An event that was understood, with what the database knows about it.

    :param key: ``(meter code, event id)``, unique in a company for ever
    :param content: what must be equal if the same id comes again
    """

    event: Event
    meter: models.Model
    partner_id: int | None
    agreement_id: int | None
    at: datetime
    day: object
    value: Decimal | None

    @property
    def key(self):
        return self.event.meter, self.event.uid


class CrmBillingMeter(models.Model):
    """The one door for usage: every event is accepted, already known, or refused."""

    _inherit = "crm.billing.meter"

    # === BUSINESS METHODS - RECORDING === #

    @api.model
    def record_usage(self, events):
        """Record events; sending the same ones again changes nothing (4.2).

        All of it is one transaction: an error leaves nothing half done. What is wrong
        with one event refuses that one alone.

        :param events: list of dicts: ``id`` (unique per meter, for ever), ``meter``
            (code; taken from the record if called on one), ``account`` (id as a number,
            customer code, VAT or external id) or ``agreement`` (number or id), ``at``
            (ISO 8601, UTC if without zone; a plain date is a local day), ``value`` (a
            number or its text), ``properties`` (dict), ``cancels`` (id of an event that
            is taken back)
        :return: one dict an event, in their order: ``id``, ``status`` (accepted,
            already_known, refused), and where there is something to say ``code`` and
            ``reason``
        :raise AccessError: the user is no billing clerk
        :raise UserError: ``events`` is no list
        """
        self.env["crm.billing.usage"]._check_can_record()
        answers, _batch = self._record_usage(events, "api")
        return answers

    def _record_usage(self, events, source, source_name=False, batch=None):
        """Record events and note the delivery.

        :param batch: the delivery they are a part of, which adds them up itself
        :return: ``(answers, crm.billing.usage.batch)``
        """
        if not isinstance(events, list | tuple):
            raise UserError(
                self.env._("Usage is a list of events, each a dict of its values.")
            )
        # The flow writes events; the caller has looked at the rights.
        flow = self.sudo().with_context(active_test=False)
        company = self.company_id[:1] or self.env.company
        now = fields.Datetime.now()
        code = self.code if len(self) == 1 else ""
        read = [
            read_event({"meter": code, **raw} if isinstance(raw, dict) else raw, now)
            for raw in events
        ]
        rows = flow._look_up_events(read, company)
        known_batch = batch
        if batch is None:
            batch = flow._create_batch(company, source, source_name, len(events))
        answers = flow._take_events(read, rows, company, batch, now)
        answers = [
            {"id": self._get_raw_id(raw), **answer}
            for raw, answer in zip(events, answers, strict=True)
        ]
        if known_batch is None:
            flow._close_batch(batch, answers)
        return answers, batch

    @api.model
    def _get_raw_id(self, raw):
        return raw.get("id") if isinstance(raw, dict) else None

    def _look_up_events(self, read, company):
        """Return ``[Row or Refusal]``: meters, accounts and days of all events."""
        events = [event for event in read if isinstance(event, Event)]
        usage = self.env["crm.billing.usage"]
        meters = usage._find_meters(company, {event.meter for event in events})
        agreements = usage._find_agreements(
            company, {event.agreement for event in events}
        )
        accounts = usage._find_accounts(company, {event.account for event in events})
        zones = usage._find_zones(company, accounts, agreements)
        known = (meters, agreements, accounts, zones)
        return [
            self._to_row(event, *known) if isinstance(event, Event) else event
            for event in read
        ]

    def _to_row(self, event, meters, agreements, accounts, zones):
        meter = meters.get(event.meter, self.browse())
        value = event.value
        if value is None and event.cancels:
            value = Decimal(0)
        elif value is None and meter.aggregation in VALUELESS:
            value = Decimal(1)
        elif value is None and meter:
            return Refusal("no_value")
        if not event.meter:
            return Refusal("no_meter")
        agreement_id, agreement_partner_id = agreements.get(
            event.agreement, (None, None)
        )
        partner_id = accounts.get(event.account)
        if not event.account:
            partner_id = agreement_partner_id
        tz = zones[partner_id]
        if event.at is None:
            at = midnight(event.day, tz).astimezone(timezone.utc).replace(tzinfo=None)
        else:
            at = event.at
        day = event.day or local_day(at, tz)
        return Row(event, meter, partner_id, agreement_id, at, day, value)

    def _take_events(self, read, rows, company, batch, now):
        """Write what is new, and return an answer for each row."""
        known = self.env["crm.billing.usage"]._read_known(
            company, [row.key for row in rows if isinstance(row, Row)]
        )
        answers, new = [], {}
        for row in rows:
            if isinstance(row, Refusal):
                answers.append(self._refuse(row))
            elif row.key in new:
                answers.append(self._compare(self._get_content(new[row.key]), row))
            elif row.key in known:
                answers.append(self._compare(known[row.key], row))
            else:
                new[row.key] = row
                answers.append(self._accept(row))
        if new:
            self.env["crm.billing.usage"]._insert(
                list(new.values()), company, batch, now
            )
        return answers

    # === BUSINESS METHODS - ANSWERS === #

    def _get_content(self, row):
        """Return what makes two events with one id the same (4.2)."""
        event = row.event
        return {
            "at": None if event.at is None else row.at,
            "day": row.day if event.at is None else None,
            "value": row.value,
            "account": event.account,
            "partner_id": row.partner_id,
            "agreement": event.agreement,
            "properties": event.properties,
            "cancels": event.cancels,
        }

    def _compare(self, known, row):
        """Answer an id that is known: the same event again, or another one."""
        sent = self._get_content(row)
        same = all(
            known[name] == sent[name]
            for name in ("at", "day", "value", "agreement", "properties", "cancels")
        )
        # An account may be named in two ways, and be merged later.
        same_account = known["account"] == sent["account"] or (
            known["partner_id"] and known["partner_id"] == sent["partner_id"]
        )
        if same and same_account:
            return {"status": "already_known"}
        return {
            "status": "refused",
            "code": "other_content",
            "reason": self.env._(
                "This id was recorded with other content. Recorded: %(known)s. Sent: "
                "%(sent)s. Give the new event an id of its own.",
                known=self._describe_content(known),
                sent=self._describe_content(sent),
            ),
        }

    @api.model
    def _describe_content(self, content):
        value = content["value"]
        parts = {
            "at": str(content["at"] or content["day"]),
            "value": "–" if value is None else f"{value.normalize():f}",
            "account": content["account"],
            "agreement": content["agreement"],
            "properties": ""
            if content["properties"] == "{}"
            else content["properties"],
            "cancels": content["cancels"],
        }
        return ", ".join(f"{name} {text}" for name, text in parts.items() if text)

    def _accept(self, row):
        answer = {"status": "accepted"}
        if not row.meter:
            answer |= {
                "code": "unknown_meter",
                "reason": self.env._(
                    "No meter has the code %(code)s: kept until one has.",
                    code=row.event.meter,
                ),
            }
        elif not row.partner_id:
            answer |= {
                "code": "unknown_account",
                "reason": self.env._(
                    "Nobody, or more than one account, is %(account)s: kept until a "
                    "clerk says whose it is.",
                    account=row.event.account or row.event.agreement,
                ),
            }
        return answer

    def _refuse(self, refusal):
        words = self._get_refusal_words()[refusal.reason]
        return {
            "status": "refused",
            "code": refusal.reason,
            "reason": words % {"about": refusal.about},
        }

    @api.model
    def _get_refusal_words(self):
        _ = self.env._
        return {
            "not_an_event": _("An event is a dict of its values."),
            "unknown_keys": _(
                "Nobody knows what %(about)s means: see the keys allowed."
            ),
            "bad_text": _("It holds a character that cannot be kept."),
            "no_id": _("It has no id, so that it could be counted twice."),
            "long_id": _("Its id is longer than %(about)s characters."),
            "long_name": _("It names something in more than %(about)s characters."),
            "no_meter": _("It names no meter."),
            "no_account": _("It names neither an account nor an agreement."),
            "no_time": _("It does not say when it happened."),
            "bad_time": _(
                "“%(about)s” is no time: write 2027-03-31T15:00:00Z or 2027-03-31."
            ),
            "future": _("%(about)s is more than one day in the future."),
            "no_value": _("It has no value."),
            "bad_value": _("“%(about)s” is no number, or too large a one."),
            "cancels_itself": _("It cannot cancel itself."),
            "cancels_with_value": _(
                "An event that cancels another has no value of its own: send the right "
                "value as an event with a new id."
            ),
            "bad_properties": _(
                "Its properties are no dict of plain values, or too long."
            ),
        }

    # === BUSINESS METHODS - DELIVERIES === #

    @api.model
    def _create_batch(self, company, source, source_name, count):
        """Return the note of a delivery; single events by API make none."""
        batches = self.env["crm.billing.usage.batch"]
        if count < 2 and source == "api":
            return batches
        return batches.create(
            {
                "company_id": company.id,
                "source": source,
                "source_name": source_name,
                "user_id": self.env.uid,
            }
        )

    @api.model
    def _close_batch(self, batch, answers):
        refusals = self._get_refusals(answers)[:KEPT_REFUSALS]
        batch.write({**self._count_answers(answers), "refusals": refusals})

    @api.model
    def _get_refusals(self, answers):
        return [
            {
                "row": number,
                "id": self._get_writable(str(answer["id"] or "")[:80]),
                "reason": self._get_writable(answer["reason"]),
            }
            for number, answer in enumerate(answers, 1)
            if answer["status"] == "refused"
        ]

    @api.model
    def _get_writable(self, text):
        """Return a text that the database keeps, whatever a sender sent."""
        return text.encode("utf-8", "replace").decode().replace("\x00", "")

    @api.model
    def _count_answers(self, answers):
        counts = {"accepted": 0, "already_known": 0, "refused": 0}
        for answer in answers:
            counts[answer["status"]] += 1
        return counts

    def _adopt_usage(self):
        """Take the events that came before the meter was known."""
        usage = self.env["crm.billing.usage"].sudo()
        waiting = usage.search(
            [("meter_id", "=", False), ("meter_code", "in", self.mapped("code"))]
        )
        waiting._assign()
