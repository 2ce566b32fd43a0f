"""The table of endpoints, and what all lists and expansions have in common."""

import re

from . import errors, forms, store, versions
from .forms import Known

ROUTES = []  # (method, pattern, known parameters, function)
PAGE = {
    "limit": forms.integer,
    "starting_after": forms.text,
    "ending_before": forms.text,
}


def route(method, path, **known):
    """Register a function of ``(store, params, **parts of the address)``.

    :param path: ``payment_intents/{id}``, below ``/v1/``
    :param known: parameters of the endpoint and their kinds
    """
    pattern = re.compile("/v1/" + re.sub(r"{(\w+)}", r"(?P<\1>[^/]+)", path) + "/?")

    def register(function):
        ROUTES.append((method, pattern, {"expand": forms.array, **known}, function))
        return function

    return register


def listed(path, kind, created=True, **filters):
    """Register the list of all objects of a type, newest first."""
    known = {**PAGE, **filters}
    if created:
        known["created"] = forms.moment

    @route("GET", path, **known)
    def listing(account, params):
        return page(account.find(kind), params, f"/v1/{path}", tuple(filters))

    return listing


def retrieved(path, kind, **known):
    """Register reading one object."""

    @route("GET", f"{path}/{{id}}", **known)
    def retrieve(account, params, id):
        return account.get(kind, id)

    return retrieve


def find_route(method, path):
    """Return ``(function, known parameters, parts of the address)``.

    :raise ApiError: 404, Stripe has no such address (or we do not simulate it)
    """
    for verb, pattern, known, function in ROUTES:
        if verb == method and (match := pattern.fullmatch(path)):
            return function, known, match.groupdict()
    raise errors.ApiError(
        404, f"Unrecognized request URL ({method}: {path}).", param=None
    )


# === LISTS === #


def page(items, params, address, filters=()):
    """Return one page of ``items`` (newest first), as the parameters ask."""
    items = [
        item
        for item in items
        if all(_equals(item, name, params[name]) for name in filters if name in params)
        and _is_within(item.get("created"), params.get("created"))
    ]
    limit = params.get("limit", 10)
    if not 1 <= limit <= 100:
        raise errors.BadParameter(
            "This value must be between 1 and 100.",
            "parameter_invalid_integer",
            "limit",
        )
    if last := params.get("starting_after"):
        items = items[_position(items, last, "starting_after") + 1 :]
    if first := params.get("ending_before"):
        before = items[: _position(items, first, "ending_before")]
        return store.listing(before[-limit:], address, has_more=len(before) > limit)
    return store.listing(items[:limit], address, has_more=len(items) > limit)


def _equals(item, name, wanted):
    value = item.get(name)
    return (value["id"] if isinstance(value, dict) else value) == wanted


def _is_within(created, bounds):
    if bounds is None:
        return True
    if not isinstance(bounds, dict):
        return created == bounds
    tests = {
        "gt": lambda limit: created > limit,
        "gte": lambda limit: created >= limit,
        "lt": lambda limit: created < limit,
        "lte": lambda limit: created <= limit,
    }
    return all(tests[bound](limit) for bound, limit in bounds.items())


def _position(items, identifier, param):
    for number, item in enumerate(items):
        if item["id"] == identifier:
            return number
    raise errors.missing("object", identifier, param)


# === EXPANSION === #


def expand(account, answer, paths, version):
    """Replace ids in ``answer`` by their objects (``data.customer``).

    :raise ApiError: 400, there is nothing to expand
    """
    for path in paths:
        _expand(account, answer, path.split("."), path, version)
    return answer


def _expand(account, node, steps, whole, version):
    if isinstance(node, list):
        for item in node:
            _expand(account, item, steps, whole, version)
        return
    if node is None:
        return
    step, *rest = steps
    if step == "refunds" and isinstance(node, dict) and node.get("object") == "charge":
        refunds = account.with_children(account.get("charge", node["id"]))["refunds"]
        node[step] = versions.render(refunds, version)
    if not isinstance(node, dict) or step not in node:
        raise errors.ApiError(
            400,
            f"This property cannot be expanded ({whole}).",
            code="property_cannot_be_expanded",
        )
    if isinstance(node[step], str) and (found := account.locate(node[step])):
        node[step] = versions.render(account.with_children(found), version)
    if rest:
        _expand(account, node[step], rest, whole, version)


__all__ = [
    "PAGE",
    "Known",
    "expand",
    "find_route",
    "listed",
    "page",
    "retrieved",
    "route",
]
