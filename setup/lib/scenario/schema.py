"""Which keys a scenario may hold, so that a misspelt one is not silently ignored."""

INTERVAL = {"unit", "count"}
EACH = "each"  # an object whose keys are names, such as currencies
TERMS = {
    "start": None,
    "anchor": None,
    "anchor_mode": None,
    "interval": INTERVAL,
    "timing": None,
    "basis": None,
    "proration_timing": None,
    "end": None,
}
MODEL = {
    "kind": None,
    "price": None,
    "tiers": [{"up_to", "price", "percent", "flat"}],
    "first_flat_at_zero": None,
    "size": None,
    "percent": None,
    "fixed_per_event": None,
    "base": None,
    "included": None,
    "allowance": None,
    "free_amount": None,
    "free_events": None,
    "minimum": None,
    "cap": None,
    "discount": None,
}
LINE = {
    **TERMS,
    "id": None,
    "method": None,
    "price": None,
    "quantity": None,
    "discount": None,
    "model": MODEL,
}
WHERE = {"type": None, "at": None, "agreement": None, "line": None}
EVENTS = {
    "run": {"type", "at"},
    "change": {**WHERE, "price": None, "quantity": None, "discount": None},
    "change_interval": {**WHERE, "interval": INTERVAL, "price": None},
    "cancel": {**WHERE, "last_day": None, "policy": None},
    "payment": {"type", "at", "amount"},
    "usage": {**WHERE, "quantity": None, "id": None},
    "tax_rate": {"type", "at", "tax_rate", "rate", "to"},
    "list_price": {**WHERE, "price": None, "list_price": None, "to": None},
    "move_invoice_date": {**WHERE, "period_start": None, "to": None},
}
TIMELINE = {
    "account": {"timezone", "tax_rate", "currency", "tax_rounding"},
    "agreements": [{**TERMS, "id": None, "lines": [LINE]}],
    "events": [EVENTS],
}
STARTS = {
    "anchor": None,
    "anchor_mode": None,
    "interval": INTERVAL,
    "timezone": None,
    "count": None,
}
RATE = {
    "model": MODEL,
    "tax_rate": None,
    "cases": [
        {
            "quantity": None,
            "events": [None],
            "service": {"start", "last_day", "period_start", "period_end"},
        }
    ],
}
INGEST = {"events": [{"meter", "id", "received", "at", "quantity"}]}
MILESTONES = {
    "contract": None,
    "milestones": [{"kind", "share", "amount"}],
    "deposit_percent": None,
    "already_invoiced": None,
}
RETENTION = {"net", "tax_rate", "retention_rate", "retention_base"}
DUNNING = {
    "policy": [{"offset", "action"}],
    "instalments": [{"id", "due", "amount", "currency"}],
    "runs": [{"date", "bank_data_age_days"}],
    "payments": [{"instalment", "date", "amount", "state", "until"}],
    "thresholds": EACH,
    "bank_data_limit_days": None,
    "timezone": None,
}
RETRIES = {
    "first_failure",
    "decline",
    "paid_other_way",
    "provider_owns_retries",
    "timezone",
}
AGING = {
    "as_of": None,
    "printed_on": None,
    "company_currency": None,
    "documents": [
        {
            "id": None,
            "date": None,
            "kind": None,
            "currency": None,
            "company_rate": None,
            "instalments": [{"due", "amount", "kind", "released"}],
            "allocations": [{"instalment", "date", "amount"}],
            "disputed": None,
            "on_hold": None,
        }
    ],
}
MRR_MOVEMENTS = {
    "agreements": [
        {
            "id": None,
            "versions": [
                {
                    "from": None,
                    "price": None,
                    "quantity": None,
                    "discount": None,
                    "interval": INTERVAL,
                    "kind": None,
                    "last_day": None,
                    "cancel_requested": None,
                }
            ],
            "last_day": None,
            "cancel_requested": None,
        }
    ],
    "ask": [None],
}

SCENARIO = {
    "id",
    "description",
    "operation",
    "inputs",
    "expected",
    "mode",
    "supported",
}
OPERATIONS = {
    "timeline": TIMELINE,
    "starts": STARTS,
    "rate": RATE,
    "ingest": INGEST,
    "milestones": MILESTONES,
    "retention": RETENTION,
    "dunning": DUNNING,
    "retries": RETRIES,
    "aging": AGING,
    "mrr_movements": MRR_MOVEMENTS,
}


def find_problems(value, shape, path="inputs"):
    """Yield what is wrong with ``value``, each with the place where it stands.

    :param shape: allowed keys as a set or ``{key: shape}``, ``[shape]`` for a list,
        ``EVENTS`` for one of several kinds of object, ``EACH`` for an object with any
        names as keys, None for a plain value
    """
    if shape is EACH:
        yield from _find_name_problems(value, path)
    elif shape is None:
        if isinstance(value, dict | list):
            yield f"{path} is one value, not a list or an object"
    elif isinstance(shape, list):
        if not isinstance(value, list):
            yield f"{path} is a list"
            return
        for position, item in enumerate(value):
            yield from find_problems(item, shape[0], f"{path}[{position}]")
    elif value is not None and not isinstance(value, dict):
        yield f"{path} is an object with keys"
    elif value is not None:
        yield from _find_key_problems(value, shape, path)


def _find_name_problems(value, path):
    if not isinstance(value, dict):
        yield f"{path} is an object with names as keys"
        return
    for name, item in value.items():
        if name != "note":
            yield from find_problems(item, None, f"{path}.{name}")


def _find_key_problems(value, shape, path):
    if shape is EVENTS:
        kind = value.get("type")
        if kind not in EVENTS:
            known = ", ".join(EVENTS)
            yield f"{path}.type {kind!r} is unknown; there are {known}"
            return
        shape = EVENTS[kind]
    for key, item in value.items():
        if key == "note":
            continue
        if key not in shape:
            yield f"unknown key {path}.{key}"
        elif isinstance(shape, dict):
            yield from find_problems(item, shape[key], f"{path}.{key}")
