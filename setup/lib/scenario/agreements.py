"""Agreements as a scenario tells them, typed in as a person would."""

from . import prices
from .clock import is_instant, naive
from .money import to_float
from .schema import TERMS
from .stage import percent

UNITS = {
    "day": ("day", 1),
    "week": ("week", 1),
    "month": ("month", 1),
    "quarter": ("month", 3),
    "half_year": ("month", 6),
    "year": ("year", 1),
}
MODES = {"plain": "start", "end_of_month": "end_of_month"}


def read_interval(interval):
    """Return ``(unit, count)`` as Odoo knows them; a quarter is three months."""
    interval = interval or {"unit": "month"}
    unit, factor = UNITS[interval.get("unit") or "month"]
    return unit, factor * int(interval.get("count") or 1)


def get_plan(env, terms):
    """Return the billing plan with these terms, made when it is missing."""
    unit, count = read_interval(terms.get("interval"))
    values = {
        "interval_unit": unit,
        "interval_count": count,
        "timing": terms.get("timing") or "advance",
        "anchor_mode": MODES[terms.get("anchor_mode") or "plain"],
        "proration_basis": terms.get("basis") or False,
        "proration_timing": terms.get("proration_timing") or False,
    }
    name = " ".join(str(value) for value in values.values() if value)
    plans = env["crm.billing.plan"]
    return plans.search([("name", "=", name)]) or plans.create({"name": name, **values})


def start(stage, env, story, position=0):
    """Create and start one agreement.

    :param story: the agreement as the scenario tells it
    :param position: number of its first line, for the product
    :return: the agreement and ``{id of a line: the line}``
    """
    agreement = env["crm.billing.agreement"].create(prepare(stage, env, story))
    lines = {}
    told = [part for line in story["lines"] for part in prices.split(line)]
    for number, line in enumerate(told):
        terms = {**{key: story.get(key) for key in TERMS}, **line}
        product = stage.get_product(env, position + number)
        values = prepare_line(stage, env, agreement, product, terms, number)
        created = env["crm.billing.agreement.line"].create(values)
        if is_instant(terms.get("start")):
            # Only the flow starts a line in the middle of a day.
            created.sudo().start_at = naive(stage.to_instant(terms["start"]))
        lines[line.get("id") or str(number)] = created
    agreement.action_start()
    return agreement, lines


def prepare(stage, env, story):
    """Return the values of an agreement."""
    starts = [story.get("start"), *(line.get("start") for line in story["lines"])]
    starts = [stage.to_date(value) for value in starts if value]
    if not starts:
        raise ValueError(f"agreement {story.get('id')}: start is missing")
    return {
        "partner_id": stage.get_account(env).id,
        "start_date": stage.to_date(story.get("start")) or min(starts),
        "end_date": stage.to_date(story.get("end")),
        "plan_id": get_plan(env, story).id,
        "catch_up_limit": 0,
    }


def prepare_line(stage, env, agreement, product, terms, number):
    """Return the values of a line; ``terms`` are its own over the agreement's."""
    method = terms.get("method") or ("usage" if terms.get("model") else "flat")
    values = {
        "agreement_id": agreement.id,
        "product_id": product.id,
        "name": f"Line {terms.get('id') or number + 1}",
        "sequence": 10 * (number + 1),
        "billing_method": method,
        "plan_id": get_plan(env, terms).id,
        "discount": percent(terms.get("discount") or "0"),
        "start_date": stage.to_date(terms.get("start")),
        "end_date": stage.to_date(terms.get("end")),
        **_prepare_anchor(stage, terms),
    }
    if method == "usage":
        meter = prices.create_meter(env, f"Meter {terms.get('id') or number + 1}")
        model = terms.get("model") or {"kind": "per_unit", "price": terms["price"]}
        values |= prices.prepare(model) | {"meter_id": meter.id}
    else:
        values["price_unit"] = to_float(terms.get("price"), "price")
        values["quantity"] = to_float(terms.get("quantity") or "1", "quantity")
    return values


def _prepare_anchor(stage, terms):
    values = {}
    if anchor := stage.to_date(terms.get("anchor")):
        at_end = terms.get("anchor_mode") == "end_of_month"
        values["anchor_date"] = anchor
        values["anchor_day"] = 31 if at_end else anchor.day
    return values
