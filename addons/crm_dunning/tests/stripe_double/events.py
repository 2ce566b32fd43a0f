"""Events and the endpoints that want them: the API's side of webhooks."""

import secrets

from . import errors, forms, versions
from .api import PAGE, Known, listed, page, route

KEPT_DAYS = 30


def kept(store):
    """Return the events that Stripe still has, newest first."""
    oldest = store.clock.now() - KEPT_DAYS * 24 * 3600
    return [event for event in store.find("event") if event["created"] >= oldest]


@route(
    "GET",
    "events",
    **PAGE,
    created=forms.moment,
    delivery_success=forms.flag,
    type=forms.text,
    types=forms.array,
)
def list_events(store, params):
    found = kept(store)
    if params.get("type") and params.get("types"):
        raise errors.ApiError(
            400, "You may pass either `type` or `types`, but not both."
        )
    wanted = [params["type"]] if params.get("type") else params.get("types")
    if wanted:
        found = [event for event in found if _fits(event["type"], wanted)]
    if (succeeded := params.get("delivery_success")) is not None:
        found = [e for e in found if (not e["pending_webhooks"]) == succeeded]
    return page(found, params, "/v1/events")


def _fits(kind, patterns):
    return any(
        pattern == "*"
        or pattern == kind
        or (pattern.endswith(".*") and kind.startswith(pattern[:-1]))
        for pattern in patterns
    )


@route("GET", "events/{id}")
def retrieve_event(store, params, id):
    event = store.get("event", id)
    if event not in kept(store):
        raise errors.missing("event", id)
    return event


# === ENDPOINTS === #

WISHES = {"description": forms.text, "metadata": forms.mapping}


@route(
    "POST",
    "webhook_endpoints",
    **WISHES,
    api_version=forms.text,
    enabled_events=Known(forms.array, required=True),
    url=Known(forms.text, required=True),
)
def create_endpoint(store, params):
    endpoint = add_endpoint(
        store,
        params["url"],
        f"whsec_{secrets.token_hex(16)}",
        params["enabled_events"],
        params.get("api_version"),
    )
    endpoint["description"] = params.get("description")
    endpoint["metadata"] = params.get("metadata", {})
    secret = store.hidden["secrets"][endpoint["id"]][0]
    return {**endpoint, "secret": secret}  # told once, never again


def add_endpoint(store, url, secret, enabled_events=("*",), api_version=None):
    """Keep an endpoint; its secrets are hidden, several while they are rotated."""
    if api_version:
        versions.check(api_version)
    endpoint = store.add(
        "webhook_endpoint",
        api_version=api_version,
        application=None,
        description=None,
        enabled_events=list(enabled_events),
        metadata={},
        status="enabled",
        url=url,
    )
    store.hidden["secrets"][endpoint["id"]] = [secret]
    return endpoint


@route(
    "POST",
    "webhook_endpoints/{id}",
    **WISHES,
    disabled=forms.flag,
    enabled_events=forms.array,
    url=forms.text,
)
def update_endpoint(store, params, id):
    endpoint = store.get("webhook_endpoint", id)
    disabled = params.pop("disabled", endpoint["status"] == "disabled")
    params.pop("expand", None)
    status = "disabled" if disabled else "enabled"
    return store.change(endpoint, **params, status=status)


@route("GET", "webhook_endpoints/{id}")
def retrieve_endpoint(store, params, id):
    return store.get("webhook_endpoint", id)


@route("DELETE", "webhook_endpoints/{id}")
def delete_endpoint(store, params, id):
    store.remove(store.get("webhook_endpoint", id))
    return {"id": id, "object": "webhook_endpoint", "deleted": True}


listed("webhook_endpoints", "webhook_endpoint", created=False)


def wants(endpoint, event):
    """Return whether an endpoint is told of an event."""
    enabled = endpoint["status"] == "enabled"
    return enabled and _fits(event["type"], endpoint["enabled_events"])
