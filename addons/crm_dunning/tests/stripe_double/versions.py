"""API versions: what a reply of an older or a newer version shows."""

import copy
import re

from .errors import ApiError

NEWEST = "2026-10-28.endive"  # the default of the SDK that the addon is built on

# Parameters that changed their name
ALLOWED_TYPES = "2026-10-28"

# Since when a decline says more: the changelog of Stripe's API
NETWORK_CODES = "2024-12-18"
ADVICE_CODE = "2025-01-27"

# Since when lists of children are no longer part of the object
NO_CHILDREN = "2022-11-15"


def check(version):
    """Return the version to answer in.

    :raise ApiError: there was never such a version
    """
    version = version or NEWEST
    if not re.fullmatch(r"20\d\d-\d\d-\d\d(\.\w+)?", version) or version > NEWEST:
        raise ApiError(400, f"Invalid Stripe API version: {version}")
    return version


def render(value, version):
    """Return a copy of an object, list or error as ``version`` shows it."""
    value = copy.deepcopy(value)
    _trim(value, version)
    return value


def _trim(value, version):
    if isinstance(value, list):
        for item in value:
            _trim(item, version)
    if not isinstance(value, dict):
        return
    if version < ADVICE_CODE:
        value.pop("advice_code", None)
    if version < NETWORK_CODES:
        value.pop("network_advice_code", None)
        value.pop("network_decline_code", None)
    if version >= NO_CHILDREN and value.get("object") == "payment_intent":
        value.pop("charges", None)
    if version >= NO_CHILDREN and value.get("object") == "charge":
        value.pop("refunds", None)
    if version < ALLOWED_TYPES and value.get("object") in (
        "payment_intent",
        "setup_intent",
    ):
        value.pop("allowed_payment_method_types", None)
    for item in value.values():
        _trim(item, version)
