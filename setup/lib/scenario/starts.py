"""Operation "starts": the first periods of a real agreement."""

from datetime import time

from . import agreements
from .clock import show_last_day, to_date

FAR = {"day": 1, "week": 7, "month": 31, "year": 366}  # longest days of a unit
STRIDE = 3000  # days; nobody is asked to bill many years ahead


def play(stage, inputs):
    """Return starts, last days and lengths of the first ``count`` periods."""
    account = {"timezone": inputs.get("timezone")}
    zone = account["timezone"] or "UTC"
    first = to_date(inputs["anchor"], zone)
    stage.zone = zone
    opening = stage.to_instant(first.isoformat(), at=time())
    stage.set_account(opening, account)
    story = {
        "start": first.isoformat(),
        "anchor_mode": inputs.get("anchor_mode"),
        "interval": inputs.get("interval"),
        "lines": [{"price": "1.00"}],
    }
    with stage.at(opening) as env:
        agreement, _lines = agreements.start(stage, env, story)
        found = agreement.id
    periods = _get_periods(stage, found, first, inputs)
    return {
        "starts": [start.isoformat() for start, _end in periods],
        "last_days": [show_last_day(end) for _start, end in periods],
        "lengths": [(end - start).days for start, end in periods],
    }


def _get_periods(stage, agreement, day, inputs):
    """Return the first periods of an agreement, billed as the years go by."""
    count = int(inputs.get("count") or 1)
    unit, length = agreements.read_interval(inputs.get("interval"))
    last = day.toordinal() + FAR[unit] * length * count
    periods = []
    while len(periods) < count and day.toordinal() < last:
        day = day.fromordinal(min(day.toordinal() + STRIDE, last))
        with stage.at(stage.to_instant(day.isoformat())) as env:
            env["crm.billing.agreement"].browse(agreement).generate_invoices(until=day)
            rows = env["crm.billing.period"].search([("agreement_id", "=", agreement)])
            periods = sorted((row.date_from, row.date_to) for row in rows)
    return periods[:count]
