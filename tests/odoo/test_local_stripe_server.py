"""A real Odoo behind the local Stripe: parameter, saved methods, signed webhooks."""

import time
import urllib.error
import urllib.request

import pytest

from lib import databases, local_stripe

SECRET = "whsec_office"
PREPARE = f"""
provider = env["payment.provider"].search([("code", "=", "stripe")], limit=1)
card = env.ref("payment.payment_method_card")
provider.write({{
    "state": "test", "allow_tokenization": True,
    "stripe_publishable_key": "pk_test_x", "stripe_secret_key": "sk_test_x",
    "stripe_webhook_secret": "{SECRET}", "payment_method_ids": [(4, card.id)],
}})
card.active = True
env["payment.token"].create({{
    "provider_id": provider.id, "partner_id": env.user.partner_id.id,
    "payment_method_id": card.id, "provider_ref": "cus_anna",
    "stripe_payment_method": "pm_card_visa_chargeDeclinedLostCard.anna",
    "payment_details": "9987",
}})
env.cr.commit()
print(provider.id)
"""


@pytest.fixture
def provider(database, odoo_shell, stripe):
    """The id of a Stripe provider of ``database``, which knows the local Stripe."""
    number = odoo_shell(database, PREPARE).split()[-1]
    local_stripe.connect(stripe, database)
    return int(number)


def events_in(database):
    rows = databases.query(
        "SELECT event_id, type FROM crm_dunning_provider_event ORDER BY id", database
    )
    return {name: kind for name, kind in rows}


def test_database_and_local_stripe_know_each_other(database, provider, stripe):
    [[address]] = databases.query(
        f"SELECT value FROM ir_config_parameter WHERE key = '{local_stripe.PARAMETER}'",
        database,
    )
    assert address == stripe.url
    method = stripe.get("pm_card_visa_chargeDeclinedLostCard.anna")
    assert (method["customer"], method["card"]["last4"]) == ("cus_anna", "9987")


def test_one_of_its_own_for_a_database(database, provider, tmp_path, monkeypatch):
    monkeypatch.setattr(local_stripe, "STATE", tmp_path / "state.json")
    monkeypatch.setattr(local_stripe, "PID", tmp_path / "pid")
    with local_stripe.beside(database) as running:
        assert running.get("cus_anna")
        [[address]] = databases.query(
            "SELECT value FROM ir_config_parameter"
            f" WHERE key = '{local_stripe.PARAMETER}'",
            database,
        )
        assert address == running.url
    with pytest.raises(OSError, match="refused"):
        running.now()
    uninstalled = "UPDATE ir_module_module SET state = 'uninstalled'"
    databases.query(f"{uninstalled} WHERE name = 'crm_dunning'", database)
    with local_stripe.beside(database) as running:
        assert running is None


def test_events_arrive_signed(database, provider, stripe, odoo_server):
    with odoo_server(database, cron_threads=0) as running:
        local_stripe.send_webhooks(stripe, database, running.url)
        stripe.saved_method(name="Berta")
        deadline = time.monotonic() + 20
        while stripe.pending() and time.monotonic() < deadline:
            time.sleep(0.1)
        assert "payment_method.attached" in events_in(database).values()
        [event] = stripe.find("event", type="payment_method.attached")[:1]
        assert event["id"] in events_in(database)
        assert [item["status"] for item in stripe.deliver(ids=[event["id"]])] == [200]
        assert post(running.url, provider, stripe, [event["id"]], age=3600) == 400
        endpoint = stripe.find("webhook_endpoint")[0]["id"]
        stripe.set_secrets(endpoint, "whsec_of_somebody_else")
        assert post(running.url, provider, stripe, [event["id"]]) == 400
        assert list(events_in(database)).count(event["id"]) == 1


def post(url, provider, stripe, ids, **how):
    """Hand one event over by hand; return the status of the answer."""
    [told] = stripe.signed_events(ids=ids, **how)
    address = f"{url}/billing/stripe/webhook/{provider}"
    request = urllib.request.Request(address, told["body"].encode(), told["headers"])
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code
