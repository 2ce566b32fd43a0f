"""Operation "rate": quantities through a real meter onto a draft invoice."""

from datetime import date, timedelta
from fractions import Fraction

from . import agreements, prices
from .clock import naive
from .document import get_lines
from .money import exact, text

PERIOD = {"period_start": "2027-01-01", "period_end": "2027-02-01"}


def play(stage, inputs):
    """Return ``results``, one for each case: what it costs, step by step."""
    opening = stage.to_instant("2000-01-01")
    stage.set_account(opening, {"tax_rate": inputs.get("tax_rate")})
    cases = inputs.get("cases") or []
    played = [_play_case(stage, inputs["model"], case) for case in cases]
    return {"results": played}


def _play_case(stage, model, case):
    service = {**PERIOD, **(case.get("service") or {})}
    start, end = (
        date.fromisoformat(service[key]) for key in ("period_start", "period_end")
    )
    first = date.fromisoformat(service.get("start") or start.isoformat())
    last = service.get("last_day") or (end - timedelta(days=1)).isoformat()
    story = {
        "start": first.isoformat(),
        "anchor": start.isoformat(),
        "end": last,
        "interval": _find_interval(start, end),
        "timing": "arrears",
        "lines": [{"id": "usage", "method": "usage", "model": model}],
    }
    with stage.at(stage.to_instant(story["start"])) as env:
        agreement, lines = agreements.start(stage, env, story)
        agreement_id, line_id = agreement.id, lines["usage"].id
        agreement.consolidate = "no"
    _use(stage, line_id, story["start"], case)
    after = stage.to_instant((date.fromisoformat(last) + timedelta(days=1)).isoformat())
    with stage.at(after, person=False) as env:
        env["crm.billing.agreement"]._cron_invoice_due(now=naive(after))
        return _read(stage, env["crm.billing.agreement"].browse(agreement_id))


def _find_interval(start, end):
    """Return the interval that makes [start, end) one period."""
    months = (end.year - start.year) * 12 + end.month - start.month
    if start.day == end.day and months:
        return {"unit": "month", "count": months}
    return {"unit": "day", "count": (end - start).days}


def _use(stage, line_id, day, case):
    """Report the quantity, or the events in order of time, a second apart."""
    quantities = case.get("events")
    if quantities is None:
        quantities = [case.get("quantity") or "0"]
    at = stage.to_instant(day)
    with stage.at(at) as env:
        line = env["crm.billing.agreement.line"].browse(line_id)
        usages = [
            (f"{line_id}-{number}", at + timedelta(seconds=number), quantity)
            for number, quantity in enumerate(quantities)
        ]
        answers = prices.record(env, line.meter_id, stage.get_account(env), usages)
        for answer in answers:
            if answer["status"] != "accepted":
                raise ValueError(f"usage was not accepted: {answer.get('reason')}")


def _read(stage, agreement):
    if agreement.billing_error:
        raise ValueError(agreement.billing_error)
    currency = agreement.currency_id
    digits = currency.decimal_places
    lines = [
        line for move in agreement.move_ids.sorted("id") for line in get_lines(move)
    ]
    rows = agreement.period_ids.filtered(lambda row: row.kind == "usage")
    inputs = (rows[:1].explanation or {}).get("inputs", {})
    steps = {name: exact(value) for name, value in inputs.get("steps", {}).items()}
    taxes = [line.price_total - line.price_subtotal for line in lines]
    result = {
        "quantity": _show(steps.get("quantity")),
        "rated": _show(steps.get("rated"), digits),
        "minimum": _show(steps.get("minimum"), digits),
        "true_up": text(float(steps.get("true_up") or 0), digits),
        "after_cap": _show(steps.get("after_cap"), digits),
        "amount": text(sum(line.price_subtotal for line in lines), digits),
        "tax": text(sum(taxes), digits),
        "total": text(sum(line.price_total for line in lines), digits),
        "lines": [text(line.price_subtotal, digits) for line in lines],
        "line_taxes": [text(tax, digits) for tax in taxes],
    }
    if inputs.get("floored"):
        result["warning"] = True
    return result


def _show(value, digits=6):
    """Return an exact number; what never ends is rounded."""
    value = value or Fraction(0)
    decimals = f"{float(value):.6f}"
    if Fraction(decimals) == value:
        return decimals.rstrip("0").rstrip(".") or "0"
    return text(float(value), digits)
