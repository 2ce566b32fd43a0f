from datetime import date, datetime

from freezegun import freeze_time

from odoo.fields import Command

from .agreement_common import AgreementCommon


class UsageCommon(AgreementCommon):
    """A meter, an agreement with a usage line, and short verbs."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.meter = cls._create_meter()
        cls.account.ref = "C-100"

    # === RECORDS === #

    @classmethod
    def _create_meter(cls, code="calls", **values):
        """Return a meter at 0.50 a unit."""
        values = {"name": code.title(), "code": code, "unit_price": 0.5, **values}
        return cls.env["crm.billing.meter"].create(values)

    @classmethod
    def _tiers(cls, *rows):
        """Return commands for tiers of ``(up to, price, flat)``; 0 is open."""
        return [
            Command.create({"up_to": up_to, "price": price, "flat": flat})
            for up_to, price, flat in rows
        ]

    @classmethod
    def _create_usage_agreement(cls, meter=None, **values):
        """Return a running agreement that is billed monthly from 2027-01-01."""
        line = {
            "billing_method": "usage",
            "meter_id": (meter or cls.meter).id,
            **{name: values.pop(name) for name in [*values] if name in cls.LINE},
        }
        return cls._create_agreement(lines=[line], **values)

    LINE = (
        "allowance",
        "allowance_prorated",
        "cap",
        "discount",
        "minimum",
        "percent",
        "price_model",
        "settling_days",
        "tier_ids",
        "unit_price",
    )

    # === VERBS === #

    def _event(self, uid, value=1, at="2027-01-10T10:00:00Z", **values):
        return {
            "id": uid,
            "meter": self.meter.code,
            "account": self.account.id,
            "at": at,
            "value": value,
            **values,
        }

    def _record(self, *events, user=None, now="2027-01-31 12:00:00"):
        """Record events as a clerk, and return the answers."""
        meters = self.env["crm.billing.meter"].with_user(user or self.clerk)
        with freeze_time(now):
            return meters.record_usage(list(events))

    def _use(self, value, at="2027-01-10T10:00:00Z", now=None, **values):
        """Record one event with an id of its own, and return it."""
        self.used = getattr(self, "used", 0) + 1
        event = self._event(f"auto-{self.used}", value, at, **values)
        late = now or str(datetime.fromisoformat(at[:10]).replace(hour=23))
        answers = self._record(event, now=late)
        self.assertEqual([answer["status"] for answer in answers], ["accepted"])
        return self._find(event["id"])

    def _find(self, uid):
        return self.env["crm.billing.usage"].search([("event_uid", "=", uid)])

    def _bill(self, day):
        """Run and post, and return the product lines in the order they are printed."""
        with freeze_time(f"{day} 12:00:00"):
            moves = self._run(date.fromisoformat(day))
            moves.sudo().action_post()
        return moves.invoice_line_ids.filtered(
            lambda line: line.display_type == "product"
        ).sorted("sequence")
