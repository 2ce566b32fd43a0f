"""The local Stripe against the official types: its objects and its parameters.

The SDK is generated from Stripe's own description of the API. What the local Stripe
answers must fit its classes, and it must not take a parameter that Stripe does not.
"""

import sys

import pytest
import stripe
from stripe import params as official
from stripe_calls import charge

from lib.local_stripe import double

api_table = sys.modules[f"{double.__name__}.api"]
CLASSES = {
    "balance_transaction": stripe.BalanceTransaction,
    "charge": stripe.Charge,
    "customer": stripe.Customer,
    "dispute": stripe.Dispute,
    "event": stripe.Event,
    "mandate": stripe.Mandate,
    "payment_intent": stripe.PaymentIntent,
    "payment_method": stripe.PaymentMethod,
    "payout": stripe.Payout,
    "radar.early_fraud_warning": stripe.radar.EarlyFraudWarning,
    "refund": stripe.Refund,
    "setup_intent": stripe.SetupIntent,
    "webhook_endpoint": stripe.WebhookEndpoint,
}
ACTIONS = {  # (method, what follows the name of the resource): name of the class
    ("GET", ""): "{}List",
    ("POST", ""): "{}Create",
    ("GET", "/{id}"): "{}Retrieve",
    ("POST", "/{id}"): "{}Update",
    ("DELETE", "/{id}"): "{}Delete",
    ("POST", "/{id}/attach"): "{}Attach",
    ("POST", "/{id}/detach"): "{}Detach",
    ("POST", "/{id}/confirm"): "{}Confirm",
    ("POST", "/{id}/capture"): "{}Capture",
    ("POST", "/{id}/cancel"): "{}Cancel",
    ("POST", "/{id}/close"): "{}Close",
    ("GET", "/{id}/payment_methods"): "{}PaymentMethodList",
    ("GET", "/{id}/refunds"): "{}ListRefunds",
}
# What Stripe still takes but its description leaves out of that version
OF_OLDER_VERSIONS = {"payment_method_types"}
IN_RADAR = {"early_fraud_warnings"}


@pytest.fixture
def everything(local, api):
    """One of each object, as the newest version shows it."""
    local.set_webhook("http://127.0.0.1:9/", "whsec_x")
    intent = charge(api, local.saved_method())
    api.refunds.create({"payment_intent": intent.id, "amount": 100})
    local.warn_of_fraud(intent.id)
    local.open_dispute(intent.id)
    local.saved_method("pm_success_de")
    api.setup_intents.create({"payment_method": "pm_card_visa", "confirm": True})
    local.pay_out()
    return {kind: local.find(kind)[0] for kind in CLASSES}


def is_optional(annotation):
    return "None" in str(annotation) or "Optional" in str(annotation)


@pytest.mark.parametrize("kind", CLASSES)
def test_objects_are_what_the_sdk_expects(everything, kind):
    declared = {
        name: hint
        for name, hint in CLASSES[kind].__annotations__.items()
        if name != "OBJECT_NAME"
    }
    needed = {name for name, hint in declared.items() if not is_optional(hint)}
    found = everything[kind].keys()
    assert not found - declared.keys()
    assert not needed - found


def endpoints():
    """Yield ``(method, resource, rest of the address, known parameters)``."""
    for method, pattern, known, _function in api_table.ROUTES:
        path = pattern.pattern.removeprefix("/v1/").removesuffix("/?")
        path = path.replace("(?P<id>[^/]+)", "{id}").removeprefix("radar/")
        resource, slash, rest = path.partition("/")
        yield method, resource, slash + rest, known


def class_name(resource):
    return "".join(word.title() for word in resource.removesuffix("s").split("_"))


@pytest.mark.parametrize(
    ("method", "resource", "rest", "known"),
    [pytest.param(*item, id=" ".join(item[:3])) for item in endpoints()],
)
def test_parameters_are_known_to_stripe(method, resource, rest, known):
    name = ACTIONS[method, rest].format(class_name(resource)) + "Params"
    where = official.radar if resource in IN_RADAR else official
    declared = getattr(where, name).__annotations__.keys() | OF_OLDER_VERSIONS
    assert not known.keys() - declared - {"expand"}
