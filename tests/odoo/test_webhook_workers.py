"""Webhooks at real servers: the same event thrice at once, and a killed process."""

import time
import urllib.error
import urllib.request
from functools import partial

from office import until

from lib import databases

SECRET = "whsec_office"
PREPARE = f"""
import uuid
from datetime import date
# Both databases are copies of one: their requests must not look alike to Stripe.
env["ir.config_parameter"].set_param("database.uuid", str(uuid.uuid4()))
provider = env["payment.provider"].search([("code", "=", "stripe")], limit=1)
card = env.ref("payment.payment_method_card")
provider.write({{
    "state": "test", "stripe_publishable_key": "pk_test_x",
    "stripe_secret_key": "sk_test_x", "stripe_webhook_secret": "{SECRET}",
    "payment_method_ids": [(4, card.id)],
}})
card.active = True
env["ir.config_parameter"].set_param("crm_dunning.stripe_api_base", "%(url)s")
# The test says when the inbox is worked off.
env.ref("crm_dunning.ir_cron_poll_provider_events").active = False
partner = env["res.partner"].create({{"name": "Northwind", "is_company": True}})
product = env["product.product"].create({{"name": "Day", "type": "service"}})
move = env["account.move"].create({{
    "move_type": "out_invoice", "partner_id": partner.id,
    "invoice_date": str(date.today()), "invoice_line_ids": [(0, 0, {{
        "product_id": product.id, "price_unit": 80, "tax_ids": [(5,)]}})],
}})
move.action_post()
transaction = env["payment.transaction"].create({{
    "provider_id": provider.id, "payment_method_id": card.id,
    "operation": "online_direct", "reference": move.name, "amount": 80,
    "currency_id": move.currency_id.id, "partner_id": partner.id,
    "invoice_ids": move.ids,
}})
env.cr.commit()
intent = transaction._stripe_create_intent()
env.cr.commit()
print(provider.id, move.id, intent["id"])
"""
INBOX = "SELECT state, count(*) FROM crm_dunning_provider_event GROUP BY state"
PAYMENTS = "SELECT count(*) FROM account_payment"


def prepare(shell, database, stripe):
    """Return provider, invoice and PaymentIntent of a customer on the pay page."""
    printed = shell(database, PREPARE % {"url": stripe.url}).split()[-3:]
    return int(printed[0]), int(printed[1]), printed[2]


def send(url, event):
    request = urllib.request.Request(url, event["body"].encode(), event["headers"])
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def test_one_event_thrice_at_once_is_one_row(office, odoo_shell, stripe):
    database = office.query("SELECT current_database()")[0][0]
    provider, _move, intent = prepare(odoo_shell, database, stripe)
    address = f"/billing/stripe/webhook/{provider}"
    stripe.set_webhook("http://127.0.0.1:1/unused", SECRET)
    stripe.pay(intent)
    [event] = stripe.signed_events(types=["payment_intent.succeeded"])
    urls = [office.servers[number % 2].url + address for number in range(3)]
    statuses = office.meet(
        "BEFORE INSERT ON crm_dunning_provider_event FOR EACH STATEMENT",
        *(partial(send, url, event) for url in urls),
    )
    assert statuses == [200, 200, 200]
    assert office.query("SELECT event_id FROM crm_dunning_provider_event") == [
        (event["id"],)
    ]


def test_event_outlives_a_killed_process(database, odoo_shell, odoo_server, stripe):
    provider, move, intent = prepare(odoo_shell, database, stripe)
    stripe.set_webhook("http://127.0.0.1:1/unused", SECRET)
    stripe.pay(intent)
    event = stripe.signed_events(types=["payment_intent.succeeded"])[-1]
    # The job is asking Stripe when the power fails.
    stripe.fault("delay_before", "payment_intents/*", method="GET", seconds=20)
    with odoo_server(database, cron_threads=1) as running:
        address = f"{running.url}/billing/stripe/webhook/{provider}"
        assert send(address, event) == 200
        until(lambda: not stripe.faults(), meanwhile=running.wake_crons)
        running.kill()
    assert dict(databases.query(INBOX, database)) == {"new": "1"}
    stripe.clear_faults()
    with odoo_server(database, cron_threads=1) as running:
        until(
            lambda: "done" in dict(databases.query(INBOX, database)),
            meanwhile=running.wake_crons,
        )
        for _copy in range(2):
            address = f"{running.url}/billing/stripe/webhook/{provider}"
            assert send(address, event) == 200
        time.sleep(1)
    assert dict(databases.query(INBOX, database)) == {"done": "1"}
    assert int(databases.query(PAYMENTS, database)[0][0]) == 1
    [[state]] = databases.query(
        f"SELECT payment_state FROM account_move WHERE id = {move}", database
    )
    assert state in ("paid", "in_payment")
