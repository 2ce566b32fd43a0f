"""A local Stripe for the tests that want one."""

import pytest
from stripe_calls import client_of

from lib.local_stripe import LocalStripe


@pytest.fixture(scope="session")
def running_stripe():
    with LocalStripe() as running:
        yield running


@pytest.fixture
def local(running_stripe):
    """A local Stripe that knows nothing yet, on real time."""
    running_stripe.reset()
    return running_stripe


@pytest.fixture
def api(local):
    """The SDK, talking to it."""
    return client_of(local)
