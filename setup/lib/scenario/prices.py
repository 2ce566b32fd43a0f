"""Price models as scenarios tell them, as the fields of a metered line."""

from .money import number, to_float
from .stage import percent

KINDS = (
    "per_unit",
    "graduated",
    "volume",
    "package",
    "percentage",
    "graduated_percentage",
)
AMOUNTS = {
    "price": "unit_price",
    "size": "package_size",
    "fixed_per_event": "fixed_per_event",
    "free_amount": "free_amount",
    "free_events": "free_events",
    "allowance": "allowance",
    "minimum": "minimum",
    "cap": "cap",
}


def create_meter(env, name):
    """Create a meter that sums up."""
    meters = env["crm.billing.meter"]
    code = f"{name.lower().replace(' ', '_')}_{meters.search_count([]) + 1}"
    return meters.create({"name": name, "code": code, "aggregation": "sum"})


def split(line):
    """Return what the line is in Odoo: a base fee with overage is two lines.

    :return: stories of lines; what was used is told to the last one
    """
    model = line.get("model") or {}
    if model.get("kind") != "flat_overage":
        return [line]
    rest = {key: value for key, value in line.items() if key != "model"}
    base = {**rest, "method": "flat", "price": model.get("base") or "0"}
    if model.get("discount") is not None:
        base["discount"] = model["discount"]
    used = {**model, "kind": "per_unit", "allowance": model.get("included") or "0"}
    return [base, {**rest, "method": "usage", "model": used}]


def prepare(model):
    """Return the values of a usage line with this price model.

    :raise ValueError: a kind that there is not
    """
    kind = model.get("kind")
    if kind not in KINDS:
        raise ValueError(f"unknown price model {kind!r}")
    values = {"price_model": kind}
    for key, field in AMOUNTS.items():
        if model.get(key) is not None:
            values[field] = to_float(model[key], key)
    if "free_events" in values:
        values["free_events"] = int(values["free_events"])
    scale = _get_percent_scale(model)
    if model.get("percent") is not None:
        values["percent"] = to_float(model["percent"], "percent") * scale
    if model.get("discount") is not None:
        values["discount"] = percent(model["discount"])
    values["flat_at_zero"] = model.get("first_flat_at_zero", True)
    if model.get("tiers"):
        values["tier_ids"] = [
            (0, 0, _prepare_tier(tier, scale)) for tier in model["tiers"]
        ]
    return values


def _get_percent_scale(model):
    """Return 100 where the model writes 2.5 % as ``"0.025"``, 1 where as ``"2.5"``.

    Both are found in files; no fee of one model stays below 0.2 % in all its tiers.
    """
    parts = [model, *(model.get("tiers") or [])]
    found = [number(part["percent"]) for part in parts if part.get("percent")]
    return 100 if found and max(found) < number("0.2") else 1


def _prepare_tier(tier, scale):
    """Return a tier; an open end is 0 in the table of tiers."""
    return {
        "up_to": to_float(tier.get("up_to") or "0", "up_to"),
        "price": to_float(tier.get("price") or "0", "price"),
        "percent": to_float(tier.get("percent") or "0", "percent") * scale,
        "flat": to_float(tier.get("flat") or "0", "flat"),
    }


def record(env, meter, account, usages):
    """Report what was used, as a sender does.

    :param usages: ``(id, aware instant, quantity)`` each
    :return: the meter's answers
    """
    return meter.record_usage(
        [
            {
                "id": name,
                "account": account.id,
                "at": instant.isoformat(),
                "value": str(quantity),
            }
            for name, instant, quantity in usages
        ]
    )
